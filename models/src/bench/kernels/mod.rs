//! How near each kernel comes to what the machine can do.
//!
//! Matrix products, convolution and attention are limited by arithmetic: their rate is compared with that of fused
//! multiply-adds in registers. Everything else is limited by memory: its bytes, each array counted once for reading and
//! once for writing, are compared with the rate of a plain stream that reads and writes as many arrays. Kernel and limit are
//! measured in turn, because the clock of a CPU and the rate of a shared memory change within seconds.

mod memory;
mod products;

use std::time::{Duration, Instant};

use tensor::limits::{self, Stream, Streams};

use super::median;
use crate::{Error, Result};

/// Rounds at least, after a first that is not counted.
const LEAST: usize = 3;
/// So many times longer than its limit a kernel is measured.
const LONGER: u32 = 2;

/// What a kernel has to do, whatever way it takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Work {
    /// So many floating-point operations; a multiply-add is two.
    Flops(f64),
    /// So many bytes to or from memory, mixed like those of the stream.
    Bytes(f64, Stream),
}

impl Work {
    /// What limits it: `fma`, or the name of the stream.
    pub fn limit(self) -> &'static str {
        match self {
            Work::Flops(_) => "fma",
            Work::Bytes(_, stream) => stream.name(),
        }
    }
}

/// Where the operands of a matrix product lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `a [m, k] @ b [k, n]`: a plain product, or the gradient of a layer's input, `dy w`.
    Nn,
    /// `a [m, k] @ b [n, k]^T`: a layer's output, `x w^T`.
    Nt,
    /// `a [k, m]^T @ b [k, n]`: the gradient of a layer's weight, `dy^T x`.
    Tn,
}

impl Form {
    /// The names that BLAS gives: `nn`, `nt`, `tn`.
    pub fn name(self) -> &'static str {
        match self {
            Form::Nn => "nn",
            Form::Nt => "nt",
            Form::Tn => "tn",
        }
    }
}

/// A matrix product `[m, k] @ [k, n]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// Rows of the result.
    pub m: usize,
    /// Terms of each sum.
    pub k: usize,
    /// Columns of the result.
    pub n: usize,
    /// Where the operands lie.
    pub form: Form,
}

/// A kernel on operands of a certain size.
pub struct Kernel {
    /// The name, unique in the [`list`].
    pub name: String,
    /// What one call has to do.
    pub work: Work,
    /// The shape, if it is a matrix product.
    pub product: Option<Product>,
    prepare: Box<dyn Fn() -> Call>,
}

/// Calls a kernel once on operands that it holds.
pub type Call = Box<dyn FnMut()>;

impl Kernel {
    fn new<F: FnMut() + 'static>(name: impl Into<String>, work: Work, prepare: impl Fn() -> F + 'static) -> Kernel {
        Kernel { name: name.into(), work, product: None, prepare: Box::new(move || Box::new(prepare())) }
    }

    /// Makes the operands.
    pub fn prepare(&self) -> Call {
        (self.prepare)()
    }
}

/// All kernels: products of fixed shapes, memory-bound ones on arrays of `bytes`.
///
/// ```
/// let kernels = models::bench::kernels::list(1 << 16);
/// let add = kernels.iter().find(|kernel| kernel.name == "add").unwrap();
/// let mut call = add.prepare();
/// call();
/// ```
pub fn list(bytes: usize) -> Vec<Kernel> {
    shrunk(bytes, 1)
}

/// The kernels with every size of the products divided by `by`, for tests.
fn shrunk(bytes: usize, by: usize) -> Vec<Kernel> {
    let mut kernels = products::list(by);
    kernels.extend(memory::list(bytes));
    kernels
}

/// What [`kernels`] measures.
#[derive(Debug, Clone)]
pub struct KernelOptions {
    /// Only kernels whose names hold all words of this, in any order; all of them if it is empty. `""`.
    pub filter: String,
    /// How long to measure each kernel together with its limit, at least three rounds, and before that each limit by itself.
    /// 0.5 s.
    pub time: Duration,
    /// The size of an array of the memory-bound kernels and streams, which must be far above that of the last-level cache.
    /// 256 MiB.
    pub bytes: usize,
}

impl Default for KernelOptions {
    fn default() -> KernelOptions {
        KernelOptions { filter: String::new(), time: Duration::from_millis(500), bytes: 256 << 20 }
    }
}

/// What this machine can do with the number of threads in use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Operations per second: see [`limits::fma_peak`].
    pub fma: f64,
    /// Bytes per second of each of [`Stream::ALL`].
    pub streams: [f64; Stream::ALL.len()],
}

impl Limits {
    /// Measures them.
    pub fn measure(options: &KernelOptions) -> Limits {
        Limits::of(&mut Streams::new(options.bytes), options.time)
    }

    fn of(streams: &mut Streams, time: Duration) -> Limits {
        Limits { fma: limits::fma_peak(time), streams: Stream::ALL.map(|stream| streams.rate(stream, time)) }
    }

    /// The limit that was measured beside a kernel counts for all if it is larger.
    fn raise(&mut self, work: Work, rate: f64) {
        let limit = match work {
            Work::Flops(_) => &mut self.fma,
            Work::Bytes(_, stream) => &mut self.streams[stream as usize],
        };
        *limit = limit.max(rate);
    }
}

/// What was measured of one kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelSpeed {
    /// The kernel's name.
    pub name: String,
    /// What one call has to do.
    pub work: Work,
    /// The shape, if it is a matrix product.
    pub product: Option<Product>,
    /// The median time of a call.
    pub seconds: f64,
    /// Operations or bytes per second of the limit: the median of the rounds between the calls.
    pub limit: f64,
}

impl KernelSpeed {
    /// Operations or bytes per second.
    pub fn rate(&self) -> f64 {
        let (Work::Flops(amount) | Work::Bytes(amount, _)) = self.work;
        amount / self.seconds
    }

    /// The rate over its limit: 1 is as fast as the machine.
    pub fn share(&self) -> f64 {
        self.rate() / self.limit
    }
}

/// What [`kernels`] measured.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelsSpeed {
    /// The fastest that was seen of each limit before the kernels, or the largest median beside them.
    pub limits: Limits,
    /// The kernels in the order of the [`list`].
    pub kernels: Vec<KernelSpeed>,
}

/// Measures kernels and the limits of the machine in turn, with the number of threads that is set. Of both the median counts:
/// the fastest moments of the two are not the same, where a clock rises for a moment.
///
/// # Errors
/// When no kernel has the words of the filter in its name.
///
/// ```
/// use models::bench::kernels::{KernelOptions, kernels};
/// use std::time::Duration;
/// // Arrays as small as this tell about a cache.
/// let options = KernelOptions { filter: "forward norm".into(), time: Duration::ZERO, bytes: 1 << 16 };
/// let speed = kernels(&options)?;
/// let names: Vec<&str> = speed.kernels.iter().map(|kernel| &kernel.name[..]).collect();
/// assert_eq!(names, ["layer norm forward", "rms norm forward"]);
/// assert!(speed.kernels[0].share() > 0.0);
/// # Ok::<(), models::Error>(())
/// ```
pub fn kernels(options: &KernelOptions) -> Result<KernelsSpeed> {
    measure(list(options.bytes), options)
}

fn measure(mut list: Vec<Kernel>, options: &KernelOptions) -> Result<KernelsSpeed> {
    list.retain(|kernel| options.filter.split_whitespace().all(|word| kernel.name.contains(word)));
    if list.is_empty() {
        let what =
            format!("no kernel has all words of {:?} in its name; without a filter all are shown", options.filter);
        return Err(Error::invalid(what));
    }
    let mut streams = Streams::new(options.bytes);
    let mut limits = Limits::of(&mut streams, options.time);
    let kernels: Vec<KernelSpeed> = list.into_iter().map(|kernel| speed(kernel, &mut streams, options.time)).collect();
    kernels.iter().for_each(|kernel| limits.raise(kernel.work, kernel.limit));
    Ok(KernelsSpeed { limits, kernels })
}

/// The median of some calls, and of some rounds of what limits them.
fn speed(kernel: Kernel, streams: &mut Streams, time: Duration) -> KernelSpeed {
    let mut call = kernel.prepare();
    call();
    let (started, mut seconds, mut limits) = (Instant::now(), Vec::new(), Vec::new());
    while limits.len() < LEAST || started.elapsed() < time {
        let begun = Instant::now();
        limits.push(match kernel.work {
            Work::Flops(_) => limits::fma_round(),
            Work::Bytes(_, stream) => streams.run(stream),
        });
        let (enough, calls) = (LONGER * begun.elapsed(), Instant::now());
        loop {
            let begun = Instant::now();
            call();
            // A coarse clock may see no time pass at all.
            seconds.push(begun.elapsed().as_secs_f64().max(1e-9));
            if calls.elapsed() >= enough {
                break;
            }
        }
    }
    KernelSpeed {
        name: kernel.name,
        work: kernel.work,
        product: kernel.product,
        seconds: median(&mut seconds),
        limit: median(&mut limits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick(filter: &str) -> KernelOptions {
        KernelOptions { filter: filter.into(), time: Duration::ZERO, bytes: 1 << 20 }
    }

    #[test]
    fn every_kernel_has_a_share_of_its_limit() {
        let speed = measure(shrunk(1 << 18, 16), &quick("")).unwrap();
        assert!(speed.kernels.len() > 80, "{}", speed.kernels.len());
        for kernel in &speed.kernels {
            let share = kernel.share();
            assert!(share.is_finite() && share > 0.0, "{}: {share}", kernel.name);
            let Limits { fma, streams } = speed.limits;
            let largest = match kernel.work {
                Work::Flops(_) => fma,
                Work::Bytes(_, stream) => streams[Stream::ALL.iter().position(|&other| other == stream).unwrap()],
            };
            assert!(kernel.limit <= largest, "{}", kernel.name);
        }
    }

    #[test]
    fn names_are_unique_and_a_filter_asks_for_all_of_its_words() {
        let kernels = list(1 << 20);
        let mut names: Vec<&str> = kernels.iter().map(|kernel| &kernel.name[..]).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
        let speed = kernels_named("backward gelu");
        assert_eq!(speed, ["gelu backward"]);
        let error = measure(list(1 << 20), &quick("gelu sideways")).unwrap_err().to_string();
        assert!(error.contains("sideways"), "{error}");
    }

    fn kernels_named(filter: &str) -> Vec<String> {
        kernels(&quick(filter)).unwrap().kernels.into_iter().map(|kernel| kernel.name).collect()
    }

    #[test]
    fn a_share_is_the_rate_over_the_limit_beside_it() {
        for (work, limit, share) in [
            (Work::Flops(100.0), 100.0, 0.5),
            (Work::Bytes(10.0, Stream::Read), 10.0, 0.5),
            (Work::Bytes(80.0, Stream::Update), 40.0, 1.0),
        ] {
            let kernel = KernelSpeed { name: "one".into(), work, product: None, seconds: 2.0, limit };
            assert_eq!(kernel.share(), share, "{work:?}");
        }
    }

    #[test]
    fn a_larger_limit_beside_a_kernel_counts_for_the_machine() {
        let mut limits = Limits { fma: 100.0, streams: [10.0, 20.0, 30.0, 40.0] };
        for (work, rate) in [
            (Work::Flops(1.0), 110.0),
            (Work::Bytes(1.0, Stream::Read), 9.0),
            (Work::Bytes(1.0, Stream::Copy), 21.0),
            (Work::Bytes(1.0, Stream::Triad), 29.0),
            (Work::Bytes(1.0, Stream::Update), 41.0),
        ] {
            limits.raise(work, rate);
        }
        assert_eq!(limits, Limits { fma: 110.0, streams: [10.0, 21.0, 30.0, 41.0] });
    }
}
