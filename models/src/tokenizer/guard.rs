//! What keeps a panic of the library from getting out: a `tokenizer.json` from anywhere must give an error.

use std::any::Any;
use std::cell::Cell;
use std::fmt::Display;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::{Error, Result};

thread_local! {
    /// Whether a panic of this thread is caught here and becomes an error.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives; its error, and also its panic, becomes an error that says what was being done.
///
/// The crate `tokenizers` takes some of what a file says for granted and panics where it is not so (a length of zero, a
/// pattern that matches nothing). Nothing of ours is changed while it works, so that nothing is left half done. The
/// report that a panic prints is left out, since the error tells it.
pub(super) fn guarded<T, E: Display>(what: &str, work: impl FnOnce() -> std::result::Result<T, E>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CAUGHT.get() {
                before(info);
            }
        }));
    });
    let outer = CAUGHT.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(outer);
    match outcome {
        Ok(result) => result.map_err(|error| Error::invalid(format!("{what}: {error}"))),
        Err(panic) => Err(Error::invalid(format!("{what}: the file contradicts itself: {}", reason(&*panic)))),
    }
}

/// What a panic says.
fn reason(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_errors_and_panics_come_back() {
        assert_eq!(guarded("adding", || Ok::<_, Error>(7)).unwrap(), 7);
        assert_eq!(guarded("adding", || Err::<(), _>("no\n numbers")).unwrap_err().to_string(), "adding: no numbers");
        for (message, at) in [("the file contradicts itself: 5 and 6", 5), ("contradicts itself: plain", 0)] {
            let error = guarded("adding", || -> Result<()> {
                if at == 0 { panic!("plain") } else { panic!("{at} and 6") }
            });
            assert!(error.unwrap_err().to_string().ends_with(message));
        }
        assert!(!CAUGHT.get());
    }
}
