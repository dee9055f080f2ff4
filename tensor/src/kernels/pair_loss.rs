//! Losses that compare two tensors element by element: their sum in one pass, and their gradients in one pass each.

use crate::dtype::Float;
use crate::kernels::map::Piece;
use crate::kernels::parallel::{self, GRAIN};
use crate::kernels::rows::sum_of_pairs;
use crate::kernels::simd::{Simd, vectorised};
use crate::kernels::walk::Walk;
use crate::kernels::zip::Zip;
use crate::tensor::View;

/// A loss of an input and a target, and its slopes by either.
pub(crate) trait PairLoss<T>: Copy + Send + Sync {
    fn value<S: Simd>(self, x: T, t: T) -> T;
    fn slope<S: Simd>(self, x: T, t: T) -> T;
    fn target_slope<S: Simd>(self, x: T, t: T) -> T;
}

/// The losses one by one.
#[derive(Clone, Copy)]
pub(crate) struct Each<F>(pub(crate) F);
impl<T: Float, F: PairLoss<T>> Zip<T, T> for Each<F> {
    #[inline(always)]
    fn call<S: Simd>(self, x: T, t: T) -> T {
        self.0.value::<S>(x, t)
    }
}

/// The slopes by the input, times a number.
#[derive(Clone, Copy)]
pub(crate) struct Slope<F, T>(pub(crate) F, pub(crate) T);
impl<T: Float, F: PairLoss<T>> Zip<T, T> for Slope<F, T> {
    #[inline(always)]
    fn call<S: Simd>(self, x: T, t: T) -> T {
        self.0.slope::<S>(x, t) * self.1
    }
}

/// The slopes by the target, times a number.
#[derive(Clone, Copy)]
pub(crate) struct TargetSlope<F, T>(pub(crate) F, pub(crate) T);
impl<T: Float, F: PairLoss<T>> Zip<T, T> for TargetSlope<F, T> {
    #[inline(always)]
    fn call<S: Simd>(self, x: T, t: T) -> T {
        self.0.target_slope::<S>(x, t) * self.1
    }
}

/// Elements added up in lanes before the lanes are emptied into a double: so the rounding error stays that of a short sum.
const STRETCH: usize = 1024;

vectorised! {
    fn sum_run<S, T: Float, F: PairLoss<T>>(f: F, x: &[T], t: &[T]) -> f64 {
        let mut total = 0.0;
        for (x, t) in x.chunks(STRETCH).zip(t.chunks(STRETCH)) {
            total += sum_of_pairs(x, t, |sum, x, t| sum + f.value::<S>(x, t)).to_f64();
        }
        total
    }
}

/// The sum of the losses of two operands of one shape.
pub(crate) fn sum<T: Float, F: PairLoss<T>>(f: F, x: View<T>, t: View<T>) -> f64 {
    let walk = Walk::new([x.layout, t.layout]);
    let (_, steps) = walk.inner();
    let total = walk.total();
    let mut partial = vec![0.0f64; total.div_ceil(GRAIN)];
    parallel::for_each_chunk(&mut partial, 1, |i, sum| {
        let (mut left, mut right) = (Piece::new(), Piece::new());
        walk.for_runs(i * GRAIN..total.min((i + 1) * GRAIN), |_, at, len| {
            let piece = left.len_for(steps[0], len).min(right.len_for(steps[1], len));
            for done in (0..len).step_by(piece) {
                let count = piece.min(len - done);
                let x = left.load(x.data, at[0], steps[0], done, count);
                sum[0] += sum_run(f, x, right.load(t.data, at[1], steps[1], done, count));
            }
        });
    });
    // From 0, as the sum of nothing would be -0.
    partial.iter().fold(0.0, |sum, part| sum + part)
}
