//! The steps of optimizers: one pass over the memory of a parameter, its gradient and what is kept for it.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::kernels::parallel::{self, GRAIN, SharedMut};
use crate::kernels::simd::vectorised;

/// The numbers that an [`ElementStep`] computes with: `f32` and `f64`.
///
/// ```
/// use tensor::Real;
/// assert_eq!(2f32.maximum(3.0).sign(), f32::of(1.0));
/// assert_eq!(Real::lerp(1.0, 3.0, 0.25), 1.5);
/// ```
pub trait Real:
    sealed::Sealed
    + Copy
    + Send
    + Sync
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// `x`, rounded.
    fn of(x: f64) -> Self;

    /// The square root.
    fn sqrt(self) -> Self;

    /// The absolute value.
    fn abs(self) -> Self;

    /// Whether this is no number.
    fn is_nan(self) -> bool;

    /// The larger of two numbers; NaN if one of them is.
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        if self > other || self.is_nan() { self } else { other }
    }

    /// -1, 0 or 1; 0 for NaN, as in PyTorch.
    #[inline(always)]
    fn sign(self) -> Self {
        let zero = Self::of(0.0);
        if self > zero {
            Self::of(1.0)
        } else if self < zero {
            Self::of(-1.0)
        } else {
            zero
        }
    }

    /// From `self` the part `weight` of the way to `end`; from whichever is nearer, as in PyTorch.
    #[inline(always)]
    fn lerp(self, end: Self, weight: f64) -> Self {
        if weight.abs() < 0.5 {
            self + Self::of(weight) * (end - self)
        } else {
            end - (end - self) * Self::of(1.0 - weight)
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

macro_rules! real {
    ($t:ty) => {
        impl Real for $t {
            #[inline(always)]
            fn of(x: f64) -> $t {
                x as $t
            }
            #[inline(always)]
            fn sqrt(self) -> $t {
                <$t>::sqrt(self)
            }
            #[inline(always)]
            fn abs(self) -> $t {
                <$t>::abs(self)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                <$t>::is_nan(self)
            }
        }
    };
}
real!(f32);
real!(f64);

/// One step of one element, for [`Tensor::step_`](crate::Tensor::step_): what becomes of a parameter, and of the `N`
/// numbers kept for it, by its gradient.
///
/// `call` is inlined into loops that are compiled for several kinds of vector instructions: mark it `#[inline(always)]`,
/// and let it branch on the options only.
pub trait ElementStep<const N: usize>: Copy + Send + Sync {
    /// The parameter and the kept numbers after the step.
    fn call<T: Real>(self, parameter: T, gradient: T, kept: [T; N]) -> (T, [T; N]);
}

vectorised! {
    fn run0<S, T: Real, F: ElementStep<0>>(f: F, p: &mut [T], g: &[T]) {
        for (p, &g) in p.iter_mut().zip(g) {
            (*p, []) = f.call(*p, g, []);
        }
    }
    fn run1<S, T: Real, F: ElementStep<1>>(f: F, p: &mut [T], g: &[T], a: &mut [T]) {
        for ((p, &g), a) in p.iter_mut().zip(g).zip(a) {
            (*p, [*a]) = f.call(*p, g, [*a]);
        }
    }
    fn run2<S, T: Real, F: ElementStep<2>>(f: F, p: &mut [T], g: &[T], a: &mut [T], b: &mut [T]) {
        for (((p, &g), a), b) in p.iter_mut().zip(g).zip(a).zip(b) {
            (*p, [*a, *b]) = f.call(*p, g, [*a, *b]);
        }
    }
    fn run3<S, T: Real, F: ElementStep<3>>(f: F, p: &mut [T], g: &[T], a: &mut [T], b: &mut [T], c: &mut [T]) {
        for ((((p, &g), a), b), c) in p.iter_mut().zip(g).zip(a).zip(b).zip(c) {
            (*p, [*a, *b, *c]) = f.call(*p, g, [*a, *b, *c]);
        }
    }
}

/// An [`ElementStep`] that knows its loop, of which there is one for each number of kept tensors from none to three.
pub trait Steps<const N: usize>: ElementStep<N> {
    #[doc(hidden)]
    fn run<T: Real>(self, p: &mut [T], g: &[T], kept: [&mut [T]; N]);
}
impl<F: ElementStep<0>> Steps<0> for F {
    fn run<T: Real>(self, p: &mut [T], g: &[T], []: [&mut [T]; 0]) {
        run0(self, p, g);
    }
}
impl<F: ElementStep<1>> Steps<1> for F {
    fn run<T: Real>(self, p: &mut [T], g: &[T], [a]: [&mut [T]; 1]) {
        run1(self, p, g, a);
    }
}
impl<F: ElementStep<2>> Steps<2> for F {
    fn run<T: Real>(self, p: &mut [T], g: &[T], [a, b]: [&mut [T]; 2]) {
        run2(self, p, g, a, b);
    }
}
impl<F: ElementStep<3>> Steps<3> for F {
    fn run<T: Real>(self, p: &mut [T], g: &[T], [a, b, c]: [&mut [T]; 3]) {
        run3(self, p, g, a, b, c);
    }
}

/// Calls `f` for every element; all slices have the length of `p`.
pub(crate) fn step<T: Real, F: Steps<N>, const N: usize>(f: F, p: &mut [T], g: &[T], kept: [&mut [T]; N]) {
    let kept = kept.map(SharedMut::new);
    parallel::for_each_chunk(p, GRAIN, |i, p| {
        let (from, len) = (i * GRAIN, p.len());
        // SAFETY: chunks do not overlap.
        let kept = kept.each_ref().map(|kept| unsafe { kept.slice(from, len) });
        f.run(p, &g[from..from + len], kept);
    });
}
