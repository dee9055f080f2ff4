//! Gradient mode: whether operations are recorded, per thread.

use std::cell::Cell;

thread_local! {
    static ENABLED: Cell<bool> = const { Cell::new(true) };
    static NEXT_SEQ: Cell<u64> = const { Cell::new(0) };
}

/// True when operations on this thread are recorded for a backward pass; the default.
///
/// ```
/// assert!(autograd::is_grad_enabled());
/// autograd::no_grad(|| assert!(!autograd::is_grad_enabled()));
/// ```
pub fn is_grad_enabled() -> bool {
    ENABLED.get()
}

/// Runs `f` without recording: its results are constants and nothing is kept alive for a backward pass.
///
/// The mode of before comes back when `f` returns and also when it panics.
///
/// ```
/// use autograd::{Var, no_grad};
/// use tensor::Tensor;
/// let w = Var::new(Tensor::from([1.0, 2.0])).requires_grad_(true);
/// let y = no_grad(|| &w * 3.0);
/// assert!(!y.requires_grad());
/// ```
pub fn no_grad<R>(f: impl FnOnce() -> R) -> R {
    with_mode(false, f)
}

/// Runs `f` with recording on, also inside [`no_grad`].
///
/// ```
/// use autograd::{enable_grad, is_grad_enabled, no_grad};
/// no_grad(|| enable_grad(|| assert!(is_grad_enabled())));
/// ```
pub fn enable_grad<R>(f: impl FnOnce() -> R) -> R {
    with_mode(true, f)
}

/// Runs `f` in the given mode; a guard restores the mode of before, so that a panic in `f` cannot leave it changed.
pub(crate) fn with_mode<R>(enabled: bool, f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ENABLED.set(self.0);
        }
    }
    let _restore = Restore(ENABLED.replace(enabled));
    f()
}

/// The next number of this thread's creation order; a step's number is larger than those of all its inputs.
pub(crate) fn next_seq() -> u64 {
    let seq = NEXT_SEQ.get();
    NEXT_SEQ.set(seq + 1);
    seq
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_restores_the_mode() {
        let caught = std::panic::catch_unwind(|| no_grad(|| panic!("inside")));
        assert!(caught.is_err());
        assert!(is_grad_enabled());
    }

    #[test]
    fn modes_nest() {
        no_grad(|| {
            enable_grad(|| assert!(is_grad_enabled()));
            assert!(!is_grad_enabled());
        });
        assert!(is_grad_enabled());
    }
}
