//! What the tests share: how a refusal reads.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message with which `f` panics.
#[track_caller]
pub fn refusal<R>(f: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { panic!("it was not refused") };
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast::<&str>().expect("a panic has a message").to_string(),
    }
}

/// Each expression panics with a message that contains each of the texts.
macro_rules! refuses {
    ($($call:expr => $($text:literal),+;)+) => {$(
        let message = crate::common::refusal(|| $call);
        $(assert!(message.contains($text), "{}: {message}", stringify!($call));)+
    )+};
}
pub(crate) use refuses;
