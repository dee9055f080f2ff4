//! In how many streams a CPU reads memory fastest.

/// The answer for a CPU.
#[derive(Clone, Copy)]
pub(crate) enum Streams {
    /// In one or two: the prefetchers of AMD's CPUs then run far ahead of them.
    Few,
    /// In as many as eight: so Intel's have more lines under way.
    Many,
}

impl Streams {
    pub(super) fn of_this_cpu() -> Streams {
        if is_amd() { Streams::Few } else { Streams::Many }
    }

    /// The rows that are read side by side, each in a stream of its own, of those given for either kind.
    pub(super) fn rows(self, in_few: usize, in_many: usize) -> usize {
        match self {
            Streams::Few => in_few,
            Streams::Many => in_many,
        }
    }

    /// How many bytes ahead of the reading memory is asked for where the CPU does not do so early enough by itself.
    pub(super) fn ahead(self) -> usize {
        match self {
            Streams::Few => 4096,
            Streams::Many => 2048,
        }
    }
}

/// Whether AMD made this CPU.
#[cfg(target_arch = "x86_64")]
fn is_amd() -> bool {
    static AMD: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *AMD.get_or_init(|| {
        // SAFETY: every CPU of this architecture has the instruction, and leaf 0 of it.
        #[allow(unused_unsafe)]
        let name = unsafe { std::arch::x86_64::__cpuid(0) };
        [name.ebx, name.edx, name.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
    })
}

/// Whether AMD made this CPU.
#[cfg(not(target_arch = "x86_64"))]
fn is_amd() -> bool {
    false
}
