//! How a CPU likes its memory to be read, which its instruction set does not tell.

use std::sync::OnceLock;

/// The kinds of CPUs by the way in which they read memory fastest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Intel's, and any that is not known: in as many as eight streams, so that more lines are under way; what is asked for
    /// comes into the first-level cache.
    Many,
    /// AMD's from Zen 5 on: in one or two streams, of which the prefetchers run far ahead.
    Few,
    /// AMD's before: the same, but the first-level cache has so few lines under way that what is asked for waits there. What may
    /// lie anywhere is asked for into the second-level one, and what a stream brings next not at all.
    FewFar,
}

impl Reading {
    /// That of this CPU.
    #[inline(always)]
    pub(crate) fn of_this_cpu() -> Reading {
        static READING: OnceLock<Reading> = OnceLock::new();
        *READING.get_or_init(|| match amd_family() {
            None => Reading::Many,
            Some(family) if family >= ZEN_5 => Reading::Few,
            Some(_) => Reading::FewFar,
        })
    }

    /// The rows that are read side by side, each in a stream of its own, of those given for few and for many streams.
    pub(crate) fn rows(self, in_few: usize, in_many: usize) -> usize {
        match self {
            Reading::Few | Reading::FewFar => in_few,
            Reading::Many => in_many,
        }
    }

    /// How many bytes ahead of the reading a stream is asked for that the CPU does not see early enough by itself, if any.
    pub(crate) fn ahead(self) -> Option<usize> {
        match self {
            Reading::Few => Some(4096),
            Reading::FewFar => None,
            Reading::Many => Some(2048),
        }
    }
}

/// The family of Zen 5.
const ZEN_5: u32 = 26;

/// The family of this CPU, if AMD made it.
#[cfg(target_arch = "x86_64")]
fn amd_family() -> Option<u32> {
    use std::arch::x86_64::__cpuid;
    // SAFETY: every CPU of this architecture has the instruction and these leaves of it.
    #[allow(unused_unsafe)]
    let (name, version) = unsafe { (__cpuid(0), __cpuid(1)) };
    // The family is the sum of four bits and eight more.
    let family = (version.eax >> 8 & 15) + (version.eax >> 20 & 255);
    ([name.ebx, name.edx, name.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD").then_some(family)
}

/// The family of this CPU, if AMD made it.
#[cfg(not(target_arch = "x86_64"))]
fn amd_family() -> Option<u32> {
    None
}
