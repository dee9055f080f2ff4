//! What this machine can do at most: multiply-adds in its registers, and bytes to and from its memory.
//!
//! A kernel is fast or slow only beside such a limit. All of them are measured with the vector level and the
//! [number of threads](crate::num_threads) that the kernels use. Of several rounds the best counts, as what the machine can
//! do; beside a kernel, whose moments are not the best, single rounds are measured ([`fma_round`], [`Streams::run`]).

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::kernels::parallel;
use crate::kernels::simd::{Portable, Simd, vectorised};
use crate::{DType, Tensor};

/// Multiply-adds of each chain in a block, a tenth of a millisecond or two.
const ROUNDS: usize = 1 << 16;
/// Blocks per thread in one round of [`fma_peak`].
const BLOCKS: usize = 16;
/// Elements of a block of [`Streams`]: 1 MiB, so that a thread that is late is helped.
const BLOCK: usize = 1 << 18;
/// Rounds at least.
const LEAST: usize = 3;

/// The rate of f32 arithmetic that no kernel can exceed, in operations per second: fused multiply-adds, two operations
/// each, on vectors that stay in registers.
///
/// Each thread runs so many independent chains `s ← s a + b` that neither memory nor the latency of an addition counts.
/// Rounds of a few milliseconds are repeated for `time`; the fastest counts.
///
/// # Differs
/// Where the vector level has no fused multiply-add (`GRADUS_SIMD=portable` on x86-64), a multiplication and an addition
/// take its place.
///
/// ```
/// use std::time::Duration;
/// assert!(tensor::limits::fma_peak(Duration::ZERO) > 1e6);
/// ```
pub fn fma_peak(time: Duration) -> f64 {
    fma_round();
    fastest(time, fma_round)
}

/// The rate of one round of [`fma_peak`].
///
/// ```
/// assert!(tensor::limits::fma_round() > 1e6);
/// ```
pub fn fma_round() -> f64 {
    let blocks = BLOCKS * parallel::num_threads();
    let (chains, lanes) = arithmetic();
    let operations = 2.0 * (lanes * ROUNDS * blocks) as f64;
    operations / seconds(|| parallel::for_each_block(blocks, |_| chains(black_box(0.5), black_box(1.0), ROUNDS)))
}

/// A plain way through large arrays, with which a kernel that memory limits is compared.
///
/// The bytes are counted once for each array read and once for each written. Most CPUs read a line before they write a part
/// of it, which costs [`Copy`](Stream::Copy) and [`Triad`](Stream::Triad) transfers that are not counted; a kernel that
/// writes a new array pays the same. One that changes an array in place does not, so its limit is
/// [`Update`](Stream::Update).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// `sum(x)`: one array read, hardly anything written.
    Read,
    /// `y = a x`, or a plain copy if that is faster: one array read for each that is written.
    Copy,
    /// `z = x + a y`: two arrays read for one that is written.
    Triad,
    /// `x = a x`: arrays changed in place.
    Update,
}

impl Stream {
    /// All of them.
    pub const ALL: [Stream; 4] = [Stream::Read, Stream::Copy, Stream::Triad, Stream::Update];

    /// `read`, `copy`, `triad` or `update`.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Read => "read",
            Stream::Copy => "copy",
            Stream::Triad => "triad",
            Stream::Update => "update",
        }
    }
}

/// Three arrays through which each [`Stream`] can run.
///
/// ```
/// use tensor::limits::{Stream, Streams};
/// use std::time::Duration;
/// // Small arrays: the rate of a cache.
/// let mut streams = Streams::new(1 << 16);
/// assert!(streams.rate(Stream::Triad, Duration::ZERO) > 0.0);
/// ```
pub struct Streams {
    x: Tensor,
    y: Tensor,
    out: Tensor,
}

impl Streams {
    /// Arrays of `bytes` each, which must be far larger than the last-level cache to tell anything: 256 MiB is.
    pub fn new(bytes: usize) -> Streams {
        let n = (bytes / size_of::<f32>()).max(1);
        // Written once, so that the pages are there; from the pool, whose large buffers lie in huge pages like a kernel's.
        let array = |value: f64| Tensor::full([n], value, DType::F32);
        Streams { x: array(1.0), y: array(2.0), out: array(0.0) }
    }

    /// Bytes per second of the fastest of some runs, of which there are at least three and as many as fit into `time`.
    pub fn rate(&mut self, stream: Stream, time: Duration) -> f64 {
        fastest(time, || self.run(stream))
    }

    /// Bytes per second of one run.
    pub fn run(&mut self, stream: Stream) -> f64 {
        let Streams { x, y, out } = self;
        let (x, y) = (x.as_slice::<f32>().expect("just made"), y.as_slice::<f32>().expect("just made"));
        let out = out.as_slice_mut::<f32>();
        let (n, array) = (x.len(), size_of_val(x) as f64);
        let rate = match stream {
            Stream::Read => {
                let block = |i: usize| bits(&x[i * BLOCK..n.min((i + 1) * BLOCK)]);
                array / seconds(|| parallel::for_each_block(n.div_ceil(BLOCK), |i| _ = black_box(block(i))))
            }
            Stream::Copy => {
                let scaled =
                    seconds(|| parallel::for_each_chunk(out, BLOCK, |i, out| scale(0.5, &x[i * BLOCK..], out)));
                let copied = seconds(|| {
                    parallel::for_each_chunk(out, BLOCK, |i, out| out.copy_from_slice(&x[i * BLOCK..][..out.len()]))
                });
                2.0 * array / scaled.min(copied)
            }
            Stream::Triad => {
                let block = |i: usize, out: &mut [f32]| add(0.5, &x[i * BLOCK..], &y[i * BLOCK..], out);
                3.0 * array / seconds(|| parallel::for_each_chunk(out, BLOCK, block))
            }
            Stream::Update => {
                // A factor of 1 that the compiler cannot see, or the numbers would shrink until arithmetic is slow.
                let one = black_box(1.0);
                2.0 * array / seconds(|| parallel::for_each_chunk(out, BLOCK, |_, out| multiply(one, out)))
            }
        };
        black_box(out);
        rate
    }
}

/// The seconds that `f` takes.
fn seconds(f: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    f();
    // A clock may tell no difference at all for a tiny array.
    begun.elapsed().as_secs_f64().max(1e-9)
}

/// The largest rate that `f` gives, which is called for `time` and at least three times.
fn fastest(time: Duration, mut f: impl FnMut() -> f64) -> f64 {
    let (started, mut best, mut rounds) = (Instant::now(), 0.0_f64, 0);
    while rounds < LEAST || started.elapsed() < time {
        best = best.max(f());
        rounds += 1;
    }
    best
}

/// `rounds` steps `s ← s a + b` of independent chains.
type Chains = fn(a: f32, b: f32, rounds: usize);

/// The chains for the vector level in use, and how many numbers they change in a step.
fn arithmetic() -> (Chains, usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use crate::kernels::simd::{Level, level};
        match level() {
            // SAFETY: level() reports AVX-512 only where it was detected.
            Level::Avx512 => return (|a, b, rounds| unsafe { wide::avx512(a, b, rounds) }, 24 * 16),
            // SAFETY: as above, for AVX2 and FMA.
            Level::Avx2 => return (|a, b, rounds| unsafe { wide::avx2(a, b, rounds) }, 12 * 8),
            Level::Portable => {}
        }
    }
    (portable, PORTABLE * 4)
}

/// Chains of the portable level: more than the latency of a multiply-add times those started per cycle, and few enough
/// for the registers (16 of SSE2, 32 of NEON).
const PORTABLE: usize = if cfg!(target_arch = "x86_64") { 12 } else { 24 };

/// Chains of four numbers, for the vector registers that every CPU of the target has.
fn portable(a: f32, b: f32, rounds: usize) {
    let mut sums: [[f32; 4]; PORTABLE] = std::array::from_fn(|i| [i as f32; 4]);
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = sum.map(|s| Portable::mul_add(s, a, b));
        }
    }
    black_box(sums);
}

/// Chains in the vector registers of x86-64: the compiler is not left to choose how many.
#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    macro_rules! chains {
        ($name:ident, $features:literal, $chains:literal, $set:ident, $fma:ident) => {
            #[target_feature(enable = $features)]
            pub(super) fn $name(a: f32, b: f32, rounds: usize) {
                let (a, b) = ($set(a), $set(b));
                // Different numbers, or one chain would do for all.
                let mut sums: [_; $chains] = std::array::from_fn(|i| $set(i as f32));
                for _ in 0..rounds {
                    for sum in &mut sums {
                        *sum = $fma(*sum, a, b);
                    }
                }
                black_box(sums);
            }
        };
    }
    chains!(avx512, "avx512f", 24, _mm512_set1_ps, _mm512_fmadd_ps);
    chains!(avx2, "avx2,fma", 12, _mm256_set1_ps, _mm256_fmadd_ps);
}

vectorised! {
    /// The sum of the numbers' bits: integers, because the order of an exact sum is the compiler's to choose.
    fn bits<S>(x: &[f32]) -> u32 {
        x.iter().fold(0u32, |sum, x| sum.wrapping_add(x.to_bits()))
    }

    /// `out = a x`.
    fn scale<S>(a: f32, x: &[f32], out: &mut [f32]) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = a * x;
        }
    }

    /// `out = x + a y`.
    fn add<S>(a: f32, x: &[f32], y: &[f32], out: &mut [f32]) {
        for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
            *out = S::mul_add(a, y, x);
        }
    }

    /// `out = a out`.
    fn multiply<S>(a: f32, out: &mut [f32]) {
        for out in out {
            *out *= a;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_streams_do_what_they_are_counted_as() {
        let (x, y) = ([1.0, 2.0, 3.0], [10.0, 20.0, 30.0]);
        let mut out = [0.0; 3];
        scale(0.5, &x, &mut out);
        assert_eq!(out, [0.5, 1.0, 1.5]);
        add(0.5, &x, &y, &mut out);
        assert_eq!(out, [6.0, 12.0, 18.0]);
        multiply(2.0, &mut out);
        assert_eq!(out, [12.0, 24.0, 36.0]);
        assert_eq!(bits(&[f32::from_bits(3), f32::from_bits(4)]), 7);
    }

    #[test]
    fn every_rate_is_a_positive_number() {
        // No multiple of a block, and smaller than one number.
        for bytes in [4 * BLOCK * 4 + 12, 1] {
            let mut streams = Streams::new(bytes);
            for stream in Stream::ALL {
                let rate = streams.rate(stream, Duration::ZERO);
                assert!(rate.is_finite() && rate > 0.0, "{bytes} bytes at {rate}: {}", stream.name());
            }
        }
        let peak = fma_peak(Duration::ZERO);
        assert!(peak.is_finite() && peak > 0.0, "{peak}");
    }

    #[test]
    fn the_largest_rate_counts_of_at_least_three() {
        let mut rates = [3.0, 5.0, 4.0, 9.0].into_iter();
        assert_eq!(fastest(Duration::ZERO, || rates.next().unwrap()), 5.0);
    }
}
