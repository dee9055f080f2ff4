//! Random numbers: a small counter-based generator, the thread's default one, and tensors drawn from them.
//!
//! A draw takes the next counter value; block `i` of its elements is a function of (seed, counter, `i`) alone. So a
//! large tensor is filled in parallel, its contents do not depend on the number of threads, and the whole state of a
//! generator is two integers.

use std::cell::RefCell;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp, Normal, StandardNormal, Uniform};

use crate::dtype::dispatch;
use crate::kernels::parallel;
use crate::{DType, Element, Error, Shape, Tensor};

/// Elements per block of a draw. Part of the format: another number gives other values for the same seed.
pub(crate) const BLOCK: usize = 4096;

/// One draw of a [`Generator`]: whatever is made from the same key is made the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawKey {
    /// The generator's seed.
    pub seed: u64,
    /// Which of its draws this is.
    pub counter: u64,
}

impl DrawKey {
    /// The source of block `i` of this draw.
    pub(crate) fn block(self, i: usize) -> ChaCha8Rng {
        let mut key = [0u8; 32];
        key.as_chunks_mut().0.iter_mut().zip(self.words(i)).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        ChaCha8Rng::from_seed(key)
    }

    /// The key of block `i`, in words.
    pub(crate) fn words(self, i: usize) -> [u32; 8] {
        let [seed, counter, i] = [self.seed, self.counter, i as u64].map(|x| [x as u32, (x >> 32) as u32]);
        [seed[0], seed[1], counter[0], counter[1], i[0], i[1], 0, 0]
    }

    /// Fills `out` block by block, in parallel.
    pub(crate) fn fill<T: Send>(self, out: &mut [T], draw: impl Fn(&mut ChaCha8Rng) -> T + Sync) {
        parallel::for_each_chunk(out, BLOCK, |i, out| {
            let mut rng = self.block(i);
            out.iter_mut().for_each(|out| *out = draw(&mut rng));
        });
    }
}

/// A source of random tensors whose state is a seed and the number of draws made.
///
/// ```
/// use tensor::{DType, Generator, Tensor};
/// let (mut a, mut b) = (Generator::new(7), Generator::new(7));
/// let x = Tensor::randn_with([3], DType::F32, &mut a);
/// assert!(x.bit_eq(&Tensor::randn_with([3], DType::F32, &mut b)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generator {
    seed: u64,
    counter: u64,
}

impl Generator {
    /// A generator at the start of its sequence.
    pub fn new(seed: u64) -> Self {
        Generator { seed, counter: 0 }
    }

    /// The seed and the number of draws made: all there is to save.
    pub fn state(&self) -> (u64, u64) {
        (self.seed, self.counter)
    }

    /// The generator that had this [`state`](Generator::state).
    pub fn from_state((seed, counter): (u64, u64)) -> Self {
        Generator { seed, counter }
    }

    /// The next draw.
    pub fn next_key(&mut self) -> DrawKey {
        let key = DrawKey { seed: self.seed, counter: self.counter };
        // A state from a file may have the last number.
        self.counter = self.counter.wrapping_add(1);
        key
    }

    /// One number, uniform in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        self.next_key().block(0).random()
    }

    /// One integer, uniform in `0..n`.
    ///
    /// # Panics
    /// If `n` is 0.
    #[track_caller]
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "below: there is no integer below 0");
        self.next_key().block(0).random_range(0..n)
    }
}

thread_local! {
    static DEFAULT: RefCell<Generator> = RefCell::new(Generator::new(rand::random()));
}

/// Restarts this thread's default generator with `seed`.
///
/// Threads have default generators of their own, seeded by the system until this is called.
pub fn manual_seed(seed: u64) {
    set_state((seed, 0));
}

/// The state of this thread's default generator.
pub fn get_state() -> (u64, u64) {
    with_default(|generator| generator.state())
}

/// Puts this thread's default generator into a state that [`get_state`] gave.
pub fn set_state(state: (u64, u64)) {
    with_default(|generator| *generator = Generator::from_state(state));
}

/// Calls `f` with this thread's default generator.
pub fn with_default<R>(f: impl FnOnce(&mut Generator) -> R) -> R {
    DEFAULT.with(|generator| f(&mut generator.borrow_mut()))
}

/// `distribution` in floats of `dtype`, each element drawn in double precision.
#[track_caller]
fn draw_float(
    op: &str,
    shape: Shape,
    dtype: DType,
    key: DrawKey,
    distribution: impl Distribution<f64> + Sync,
) -> Tensor {
    let drawn = dispatch!(float if dtype.is_half() { DType::F32 } else { dtype }, op, T =>
        Tensor::build::<T>(shape, |out| key.fill(out, |rng| T::from_f64(distribution.sample(rng)))));
    drawn.to_dtype(dtype)
}

/// Defines each random creation twice: with the thread's default generator, and with one of the caller's.
macro_rules! draws {
    ($($(#[$doc:meta])* $name:ident, $with:ident ($($arg:ident: $ty:ty),*) |$key:ident| $body:expr;)*) => { impl Tensor {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name($($arg: $ty),*) -> Tensor {
            // The key is taken first: a panic below must not happen while the generator is borrowed.
            let $key = with_default(Generator::next_key);
            $body
        }

        $(#[$doc])*
        ///
        /// Drawn from `generator`.
        #[track_caller]
        pub fn $with($($arg: $ty,)* generator: &mut Generator) -> Tensor {
            let $key = generator.next_key();
            $body
        }
    )*}};
}

draws! {
    /// Uniform in `[0, 1)`.
    rand, rand_with(shape: impl Into<Shape>, dtype: DType) |key| uniform("rand", 0.0, 1.0, shape.into(), dtype, key);
    /// Uniform in `[low, high)`.
    ///
    /// # Panics
    /// Unless `low <= high`, both finite.
    uniform, uniform_with(low: f64, high: f64, shape: impl Into<Shape>, dtype: DType) |key|
        uniform("uniform", low, high, shape.into(), dtype, key);
    /// Normal with mean 0 and standard deviation 1.
    randn, randn_with(shape: impl Into<Shape>, dtype: DType) |key|
        draw_float("randn", shape.into(), dtype, key, StandardNormal);
    /// Normal with the given mean and standard deviation.
    ///
    /// # Panics
    /// If `std` is negative or not finite.
    normal, normal_with(mean: f64, std: f64, shape: impl Into<Shape>, dtype: DType) |key| {
        let Some(distribution) = Normal::new(mean, std).ok().filter(|_| std >= 0.0) else {
            panic!("{}", Error::value("normal", format!("the standard deviation must be finite and >= 0, got {std}")));
        };
        draw_float("normal", shape.into(), dtype, key, distribution)
    };
    /// Integers (i64; convert with [`to_dtype`](Tensor::to_dtype) for another dtype), uniform in `low..high`.
    ///
    /// # Panics
    /// Unless `low < high`.
    randint, randint_with(low: i64, high: i64, shape: impl Into<Shape>) |key| {
        let Ok(distribution) = Uniform::new(low, high) else {
            panic!("{}", Error::value("randint", format!("there is no integer from {low} to below {high}")));
        };
        Tensor::build::<i64>(shape, |out| key.fill(out, |rng| distribution.sample(rng)))
    };
    /// Exponential with the given rate: mean `1 / rate`.
    ///
    /// # Panics
    /// If `rate` is not positive and finite.
    exponential, exponential_with(rate: f64, shape: impl Into<Shape>, dtype: DType) |key| {
        let Some(distribution) = Exp::new(rate).ok().filter(|_| rate > 0.0 && rate.is_finite()) else {
            panic!("{}", Error::value("exponential", format!("the rate must be positive and finite, got {rate}")));
        };
        draw_float("exponential", shape.into(), dtype, key, distribution)
    };
    /// 1 with probability `p`, else 0.
    ///
    /// # Panics
    /// Unless `p` is in `[0, 1]`.
    bernoulli, bernoulli_with(p: f64, shape: impl Into<Shape>, dtype: DType) |key| {
        if !(0.0..=1.0).contains(&p) {
            panic!("{}", Error::value("bernoulli", format!("a probability lies in [0, 1], got {p}")));
        }
        dispatch!(all dtype, T =>
            Tensor::build::<T>(shape, |out| key.fill(out, |rng| T::from_i64((rng.random::<f64>() < p) as i64))))
    };
    /// The integers `0..n` (i64) in random order.
    randperm, randperm_with(n: usize) |key| {
        let mut rng = key.block(0);
        Tensor::build::<i64>([n], |out| {
            (0..n).for_each(|i| out[i] = i as i64);
            // Fisher and Yates: each place takes one of the elements that are left.
            (1..n).rev().for_each(|i| out.swap(i, rng.random_range(0..=i)));
        })
    };
}

#[track_caller]
fn uniform(op: &str, low: f64, high: f64, shape: Shape, dtype: DType, key: DrawKey) -> Tensor {
    if !(low <= high && (high - low).is_finite()) {
        panic!("{}", Error::value(op, format!("needs finite low <= high, got {low} and {high}")));
    }
    if dtype.is_half() {
        // Rounding to a half may reach `high`: such an element becomes `low`, as below.
        let drawn = uniform(op, low, high, shape, DType::F32, key).to_dtype(dtype);
        return drawn.masked_fill(&drawn.ge_scalar(high), low);
    }
    // f32 rounding could turn a number just below `high` into `high`; the sample is drawn with 24 bits to avoid it.
    let unit = move |rng: &mut dyn Rng| -> f64 {
        match dtype {
            DType::F32 => f64::from(rng.random::<f32>()),
            _ => rng.random(),
        }
    };
    dispatch!(float dtype, op, T => Tensor::build::<T>(shape, |out| key.fill(out, |rng| {
        let (low_t, high_t) = (<T as Element>::from_f64(low), <T as Element>::from_f64(high));
        let x = <T as Element>::from_f64(low + (high - low) * unit(rng));
        if x < high_t { x } else { low_t }
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_replays_the_sequence() {
        manual_seed(3);
        Tensor::rand([10], DType::F32);
        let state = get_state();
        let a = Tensor::randn([5000], DType::F64);
        set_state(state);
        assert!(a.bit_eq(&Tensor::randn([5000], DType::F64)));
        assert!(!a.bit_eq(&Tensor::randn([5000], DType::F64)));
    }

    #[test]
    fn after_the_last_draw_comes_the_first() {
        let mut generator = Generator::from_state((3, u64::MAX));
        let last = Tensor::rand_with([4], DType::F32, &mut generator);
        assert_eq!(generator.state(), (3, 0));
        let first = Tensor::rand_with([4], DType::F32, &mut generator);
        assert!(first.bit_eq(&Tensor::rand_with([4], DType::F32, &mut Generator::new(3))) && !first.bit_eq(&last));
    }

    #[test]
    fn moments_and_bounds_are_those_of_the_distributions() {
        let mut g = Generator::new(1);
        let n = Tensor::normal_with(2.0, 3.0, [100_000], DType::F64, &mut g);
        assert!((n.mean().item::<f64>() - 2.0).abs() < 0.05);
        assert!((n.var().item::<f64>() - 9.0).abs() < 0.2);
        let u = Tensor::uniform_with(-1.0, 3.0, [100_000], DType::F32, &mut g);
        assert!((u.mean().item::<f64>() - 1.0).abs() < 0.02);
        assert!(u.min().item::<f64>() >= -1.0 && u.max().item::<f64>() < 3.0);
        let b = Tensor::bernoulli_with(0.3, [100_000], DType::F64, &mut g);
        assert!((b.mean().item::<f64>() - 0.3).abs() < 0.01);
        let mut p = Tensor::randperm_with(100, &mut g).to_vec::<i64>();
        p.sort_unstable();
        assert_eq!(p, (0..100).collect::<Vec<i64>>());
    }

    #[test]
    fn multinomial_follows_the_weights() {
        let mut g = Generator::new(2);
        let drawn = Tensor::from([1.0, 0.0, 3.0]).multinomial_with(20_000, true, &mut g).to_vec::<i64>();
        let share = drawn.iter().filter(|&&i| i == 2).count() as f64 / 20_000.0;
        assert!((share - 0.75).abs() < 0.02 && !drawn.contains(&1));
        let mut all = Tensor::from([[1.0, 2.0, 3.0]]).multinomial_with(3, false, &mut g).to_vec::<i64>();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    }
}
