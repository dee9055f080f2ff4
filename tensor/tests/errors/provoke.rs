//! Provoking panics and reading their messages.

/// The message of the panic that `f` must end in.
pub fn panic_of(f: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let error = std::panic::catch_unwind(f).expect_err("this must panic");
    error.downcast_ref::<String>().cloned().or_else(|| error.downcast_ref::<&str>().map(|s| s.to_string())).unwrap()
}

macro_rules! panics {
    ($($expression:expr => $($part:literal),+;)*) => {$(
        let message = $crate::provoke::panic_of(|| { let _ = $expression; });
        $(assert!(message.contains($part), "{:?} is not in the message of {}: {message}", $part, stringify!($expression));)+
    )*};
}
