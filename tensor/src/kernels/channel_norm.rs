//! Normalisation by channels: statistics of rows (contiguous stretches of one length), and what group and batch
//! normalisation make of them. How rows belong to channels and groups is the caller's business.

use crate::dtype::Float;
use crate::kernels::parallel;
use crate::kernels::rows::{rows_per_block, sum_of, sum_of_pairs};
use crate::kernels::simd::vectorised;

/// Elements added up in lanes before the lanes are emptied into a double.
const STRETCH: usize = 1024;

vectorised! {
    /// The sum of a row.
    fn sum_row<S, T: Float>(x: &[T]) -> f64 {
        x.chunks(STRETCH).map(|x| sum_of(x, |x| x).to_f64()).sum()
    }

    /// The sum of the squared distances of a row from `mean`.
    fn scatter_row<S, T: Float>(x: &[T], mean: T) -> f64 {
        x.chunks(STRETCH).map(|x| sum_of(x, |x| (x - mean) * (x - mean)).to_f64()).sum()
    }

    /// The sums of `dy` and of `dy (x - mean)`.
    fn gradient_sums_row<S, T: Float>(dy: &[T], x: &[T], mean: T) -> [f64; 2] {
        let mut sums = [0.0; 2];
        for (dy, x) in dy.chunks(STRETCH).zip(x.chunks(STRETCH)) {
            sums[0] += sum_of(dy, |dy| dy).to_f64();
            sums[1] += sum_of_pairs(dy, x, |sum, dy, x| S::mul_add(dy, x - mean, sum)).to_f64();
        }
        sums
    }

    /// `y = (x - mean) scale + shift`.
    fn apply_row<S, T: Float>(x: &[T], mean: T, scale: T, shift: T, y: &mut [T]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = S::mul_add(x - mean, scale, shift);
        }
    }

    /// `dx = dy scale + (x - mean) slope + shift`.
    fn pull_row<S, T: Float>(dy: &[T], x: &[T], pull: Pull<T>, dx: &mut [T]) {
        for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
            *dx = S::mul_add(dy, pull.scale, S::mul_add(x - pull.mean, pull.slope, pull.shift));
        }
    }
}

/// Per row of `len` elements its mean and the sum of the squared distances from it.
pub(crate) fn moments<T: Float>(x: &[T], len: usize) -> Vec<[f64; 2]> {
    let mut out = vec![[0.0; 2]; x.len() / len.max(1)];
    let block = rows_per_block(len);
    parallel::for_each_chunk(&mut out, block, |i, out| {
        for (r, out) in out.iter_mut().enumerate() {
            let x = &x[(i * block + r) * len..][..len];
            let mean = sum_row(x) / len as f64;
            *out = [mean, scatter_row(x, T::of(mean))];
        }
    });
    out
}

/// Per row the sums of `dy` and of `dy (x - mean(row))`.
pub(crate) fn gradient_sums<T: Float>(
    dy: &[T],
    x: &[T],
    len: usize,
    mean: impl Fn(usize) -> f64 + Sync,
) -> Vec<[f64; 2]> {
    let mut out = vec![[0.0; 2]; x.len() / len.max(1)];
    let block = rows_per_block(len);
    parallel::for_each_chunk(&mut out, block, |i, out| {
        for (r, out) in out.iter_mut().enumerate() {
            let row = i * block + r;
            let at = row * len..(row + 1) * len;
            *out = gradient_sums_row(&dy[at.clone()], &x[at], T::of(mean(row)));
        }
    });
    out
}

/// `y = (x - mean) scale + shift` with three numbers per row.
pub(crate) fn apply<T: Float>(x: &[T], len: usize, numbers: impl Fn(usize) -> [f64; 3] + Sync, y: &mut [T]) {
    let block = rows_per_block(len);
    parallel::for_each_chunk(y, block * len, |i, y| {
        for (r, y) in y.chunks_mut(len).enumerate() {
            let row = i * block + r;
            let [mean, scale, shift] = numbers(row).map(T::of);
            apply_row(&x[row * len..][..len], mean, scale, shift, y);
        }
    });
}

/// How a row's gradient goes back.
#[derive(Clone, Copy)]
pub(crate) struct Pull<T> {
    pub(crate) scale: T,
    pub(crate) mean: T,
    pub(crate) slope: T,
    pub(crate) shift: T,
}

/// `dx = dy scale + (x - mean) slope + shift` with four numbers per row.
pub(crate) fn pull<T: Float>(dy: &[T], x: &[T], len: usize, numbers: impl Fn(usize) -> Pull<f64> + Sync, dx: &mut [T]) {
    let block = rows_per_block(len);
    parallel::for_each_chunk(dx, block * len, |i, dx| {
        for (r, dx) in dx.chunks_mut(len).enumerate() {
            let row = i * block + r;
            let at = row * len..(row + 1) * len;
            let Pull { scale, mean, slope, shift } = numbers(row);
            let pull = Pull { scale: T::of(scale), mean: T::of(mean), slope: T::of(slope), shift: T::of(shift) };
            pull_row(&dy[at.clone()], &x[at], pull, dx);
        }
    });
}
