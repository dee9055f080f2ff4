//! What keeps a panic of the library from getting out: a `tokenizer.json` from anywhere must give an error.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Error, Result};

/// What `work` gives; its error, and also its panic, becomes an error that says what was being done.
///
/// The crate `tokenizers` takes some of what a file says for granted and panics where it is not so (an empty piece in
/// a Unigram model, say). Nothing of ours is changed while it works, so that nothing is left half done.
pub(super) fn guarded<T, E: Display>(what: &str, work: impl FnOnce() -> std::result::Result<T, E>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Error::invalid(format!("{what}: {error}"))),
        Err(panic) => {
            let why = panic.downcast_ref::<&str>().copied();
            let why = why.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given");
            Err(Error::invalid(format!("{what}: the file contradicts itself: {why}")))
        }
    }
}
