//! Ctrl-C: the first asks a run to end after its step, the second ends the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether one of the signals came that ask a process to end.
#[derive(Default)]
pub(super) struct Signals {
    any: Arc<AtomicBool>,
    which: Arc<AtomicUsize>,
}

impl Signals {
    /// Listens from now on: to Ctrl-C and to what a system sends that shuts down.
    pub(super) fn listen() -> io::Result<Signals> {
        let signals = Signals::default();
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag unset.
            flag::register_conditional_shutdown(signal, code(signal), Arc::clone(&signals.any))?;
            flag::register(signal, Arc::clone(&signals.any))?;
            flag::register_usize(signal, Arc::clone(&signals.which), signal as usize)?;
        }
        Ok(signals)
    }

    /// Whether one came.
    pub(super) fn came(&self) -> bool {
        self.any.load(Ordering::SeqCst)
    }

    /// The exit code that says so, as shells have it: 128 and the number of the signal.
    pub(super) fn exit_code(&self) -> u8 {
        code(self.which.load(Ordering::SeqCst) as i32) as u8
    }
}

fn code(signal: i32) -> i32 {
    128 + signal
}
