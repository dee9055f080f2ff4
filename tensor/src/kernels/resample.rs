//! Changing the size of one dimension: each new element is a blend of two old ones; and the way back.

use crate::dtype::Float;
use crate::kernels::parallel;
use crate::kernels::rows::rows_per_block;
use crate::kernels::simd::vectorised;

/// A new element: the positions of two old ones, and the weight of the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tap {
    pub(crate) first: usize,
    pub(crate) second: usize,
    pub(crate) weight: f64,
}

/// A tensor seen as `[outer, n, inner]`, whose middle dimension changes.
#[derive(Clone, Copy)]
pub(crate) struct Middle<'a> {
    pub(crate) n: usize,
    pub(crate) inner: usize,
    pub(crate) taps: &'a [Tap],
}

vectorised! {
    /// Rows of `inner` elements of the result, from row `start` on.
    fn blend<S, T: Float>(x: &[T], middle: Middle<'_>, start: usize, y: &mut [T]) {
        let Middle { n, inner, taps } = middle;
        for (r, y) in y.chunks_exact_mut(inner).enumerate() {
            let (outer, o) = ((start + r) / taps.len(), (start + r) % taps.len());
            let Tap { first, second, weight } = taps[o];
            let row = |i: usize| &x[(outer * n + i) * inner..][..inner];
            let (w, rest) = (T::of(weight), T::of(1.0 - weight));
            for ((y, &a), &b) in y.iter_mut().zip(row(first)).zip(row(second)) {
                *y = S::mul_add(b, w, a * rest);
            }
        }
    }

    /// What the new elements of one outer index give back to its old ones.
    fn give_back<S, T: Float>(dy: &[T], middle: Middle<'_>, dx: &mut [T]) {
        let Middle { inner, taps, .. } = middle;
        dx.fill(T::ZERO);
        for (dy, tap) in dy.chunks_exact(inner).zip(taps) {
            for (i, weight) in [(tap.first, T::of(1.0 - tap.weight)), (tap.second, T::of(tap.weight))] {
                for (dx, &dy) in dx[i * inner..][..inner].iter_mut().zip(dy) {
                    *dx = S::mul_add(dy, weight, *dx);
                }
            }
        }
    }
}

/// `y [outer, taps, inner]` from `x [outer, n, inner]`.
pub(crate) fn forward<T: Float>(x: &[T], middle: Middle<'_>, y: &mut [T]) {
    let rows = rows_per_block(middle.inner);
    parallel::for_each_chunk(y, rows * middle.inner, |i, y| blend(x, middle, i * rows, y));
}

/// `dx [outer, n, inner]` from `dy [outer, taps, inner]`.
pub(crate) fn backward<T: Float>(dy: &[T], middle: Middle<'_>, dx: &mut [T]) {
    let (per_outer, given) = (middle.n * middle.inner, middle.taps.len() * middle.inner);
    let together = rows_per_block(per_outer.max(given));
    parallel::for_each_chunk(dx, together * per_outer, |i, dx| {
        for (k, dx) in dx.chunks_exact_mut(per_outer).enumerate() {
            give_back(&dy[(i * together + k) * given..][..given], middle, dx);
        }
    });
}
