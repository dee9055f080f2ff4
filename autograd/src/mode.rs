//! The modes of a thread: whether operations are recorded, and whether they are searched for NaN.

use std::cell::Cell;
use std::panic::Location;

/// Operations enter the graph.
pub(crate) const RECORD: u8 = 1;
/// A backward pass panics at the first NaN that a pullback gives.
const CHECK_BACKWARD: u8 = 2;
/// An operation panics when its result has a NaN.
pub(crate) const CHECK_FORWARD: u8 = 4;

/// A backward pass is being recorded: new steps belong to the forward step whose pullback runs.
const IN_RECORDED_PASS: u8 = 8;

thread_local! {
    // All modes in one place, so that recording an operation reads it once.
    static MODE: Cell<u8> = const { Cell::new(RECORD) };
    static PULLING: Cell<Option<Place>> = const { Cell::new(None) };
    static NEXT_SEQ: Cell<u64> = const { Cell::new(0) };
}

/// True when operations on this thread are recorded for a backward pass; the default.
///
/// ```
/// assert!(autograd::is_grad_enabled());
/// autograd::no_grad(|| assert!(!autograd::is_grad_enabled()));
/// ```
pub fn is_grad_enabled() -> bool {
    mode() & RECORD != 0
}

/// True inside [`detect_anomaly`].
///
/// ```
/// assert!(!autograd::is_anomaly_enabled());
/// autograd::detect_anomaly(|| assert!(autograd::is_anomaly_enabled()));
/// ```
pub fn is_anomaly_enabled() -> bool {
    mode() & CHECK_BACKWARD != 0
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
    with_mode(mode() & !RECORD, f)
}

/// Runs `f` with recording on, also inside [`no_grad`].
///
/// ```
/// use autograd::{enable_grad, is_grad_enabled, no_grad};
/// no_grad(|| enable_grad(|| assert!(is_grad_enabled())));
/// ```
pub fn enable_grad<R>(f: impl FnOnce() -> R) -> R {
    with_mode(mode() | RECORD, f)
}

/// What [`detect_anomaly_with`] looks for.
#[derive(Clone, Copy, Debug)]
pub struct AnomalyOptions {
    /// A NaN among the gradients that a pullback gives (true).
    pub check_nan: bool,
    /// A NaN in the result of an operation, recorded or not (false): it costs a pass over every result.
    pub check_forward: bool,
}

impl Default for AnomalyOptions {
    fn default() -> AnomalyOptions {
        AnomalyOptions { check_nan: true, check_forward: false }
    }
}

/// Runs `f`, in which a backward pass panics as soon as a pullback gives a NaN, and says which operation it belongs to
/// and where in the program that ran: `log` of zero times zero, the root of a variance that became negative.
///
/// Only the backward pass has to be inside: every operation remembers its line anyway. Outside nothing is searched and
/// nothing costs anything.
///
/// # Panics
/// Only with what `f` panics with; the backward passes in it name the operation, the input whose gradient is NaN, and the
/// elements.
///
/// # Differs
/// PyTorch checks the same, but knows the forward call only when it ran in this mode too.
///
/// ```should_panic
/// use autograd::{Var, detect_anomaly};
/// use tensor::Tensor;
/// let x = Var::new(Tensor::from([0.0, 1.0])).requires_grad_(true);
/// let y = (x.sqrt() * &x).sum(); // the derivative of the root is infinite at 0, and 0 times infinity is NaN
/// detect_anomaly(|| y.backward()); // the gradient of input 0 of `sqrt` (...) is NaN at [0] (1 of 2 elements)
/// ```
pub fn detect_anomaly<R>(f: impl FnOnce() -> R) -> R {
    detect_anomaly_with(AnomalyOptions::default(), f)
}

/// [`detect_anomaly`] with options: `check_forward` finds the operation whose result is the first NaN.
///
/// ```should_panic
/// use autograd::{AnomalyOptions, Var, detect_anomaly_with};
/// use tensor::Tensor;
/// let x = Var::new(Tensor::from([-1.0, 1.0]));
/// let options = AnomalyOptions { check_forward: true, ..Default::default() };
/// detect_anomaly_with(options, || x.sqrt()); // the result of `sqrt` (...) is NaN at [0] (1 of 2 elements)
/// ```
pub fn detect_anomaly_with<R>(options: AnomalyOptions, f: impl FnOnce() -> R) -> R {
    let bit = |on: bool, bit: u8| if on { bit } else { 0 };
    let checks = bit(options.check_nan, CHECK_BACKWARD) | bit(options.check_forward, CHECK_FORWARD);
    with_mode(mode() & RECORD | checks, f)
}

/// Runs a backward pass: recorded or not, and with its pullbacks' results left to the check of gradients.
pub(crate) fn with_pass_mode<R>(create_graph: bool, f: impl FnOnce() -> R) -> R {
    let record = if create_graph { RECORD | IN_RECORDED_PASS } else { 0 };
    with_mode(mode() & CHECK_BACKWARD | record, f)
}

/// A line of the user's program.
pub(crate) type Place = &'static Location<'static>;

/// The line to which a step recorded at `caller` belongs: in a recorded backward pass that of the forward step, because
/// `caller` is in the middle of a pullback.
#[inline]
pub(crate) fn place_of(mode: u8, caller: Place) -> Place {
    if mode & IN_RECORDED_PASS == 0 { caller } else { PULLING.get().unwrap_or(caller) }
}

/// Runs the pullback of a step recorded at `place`.
pub(crate) fn pulling<R>(place: Place, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Place>);
    impl Drop for Restore {
        fn drop(&mut self) {
            PULLING.set(self.0);
        }
    }
    if mode() & IN_RECORDED_PASS == 0 {
        return f();
    }
    let _restore = Restore(PULLING.replace(Some(place)));
    f()
}

/// Runs `f` once more in the middle of a pass, recorded as outside of it.
pub(crate) fn rerun<R>(f: impl FnOnce() -> R) -> R {
    with_mode(mode() & !IN_RECORDED_PASS | RECORD, f)
}

/// All modes of this thread.
#[inline]
pub(crate) fn mode() -> u8 {
    MODE.get()
}

/// Runs `f` in the given mode; a guard restores the mode of before, so that a panic in `f` cannot leave it changed.
fn with_mode<R>(mode: u8, f: impl FnOnce() -> R) -> R {
    struct Restore(u8);
    impl Drop for Restore {
        fn drop(&mut self) {
            MODE.set(self.0);
        }
    }
    let _restore = Restore(MODE.replace(mode));
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
        let caught = std::panic::catch_unwind(|| no_grad(|| detect_anomaly(|| panic!("inside"))));
        assert!(caught.is_err());
        assert!(is_grad_enabled() && !is_anomaly_enabled());
    }

    #[test]
    fn modes_nest() {
        no_grad(|| {
            enable_grad(|| assert!(is_grad_enabled()));
            detect_anomaly(|| assert!(!is_grad_enabled() && is_anomaly_enabled()));
            assert!(!is_grad_enabled() && !is_anomaly_enabled());
        });
        assert!(is_grad_enabled());
        detect_anomaly(|| {
            no_grad(|| assert!(is_anomaly_enabled()));
            let off = AnomalyOptions { check_nan: false, check_forward: false };
            detect_anomaly_with(off, || assert!(!is_anomaly_enabled() && is_grad_enabled()));
            assert!(is_anomaly_enabled());
        });
    }
}
