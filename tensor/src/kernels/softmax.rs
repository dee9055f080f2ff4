//! Softmax and its logarithm along rows, forwards and backwards.

use crate::kernels::math::Math;
use crate::kernels::parallel;
use crate::kernels::rows::{LANES, Rows, ahead_of, ask, dot_of, max_of, merge, rows_per_block, sum_of};
use crate::kernels::simd::vectorised;
use crate::tensor::View;

vectorised! {
    fn softmax_rows<S, T: Math>(len: usize, x: &[T], y: &mut [T]) {
        let count = y.len() / len;
        for (r, (x, y)) in x.chunks_exact(len).zip(y.chunks_exact_mut(len)).enumerate() {
            let ahead = ahead_of(r, count, len);
            let max = max_of(x);
            let mut sums = [T::ZERO; LANES];
            let power = |sum: &mut T, y: &mut T, x: T| {
                *y = (x - max).exp_below::<S>();
                *sum += *y;
            };
            let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks_mut::<LANES>());
            for (x, y) in xs.iter().zip(ys) {
                ask(x, ahead, 0);
                ask(y, ahead, 0);
                for l in 0..LANES {
                    power(&mut sums[l], &mut y[l], x[l]);
                }
            }
            for ((sum, y), &x) in sums.iter_mut().zip(y_rest).zip(x_rest) {
                power(sum, y, x);
            }
            let scale = T::ONE / merge(sums, |a, b| a + b);
            y.iter_mut().for_each(|y| *y = *y * scale);
        }
    }

    fn log_softmax_rows<S, T: Math>(len: usize, x: &[T], y: &mut [T]) {
        for (x, y) in x.chunks_exact(len).zip(y.chunks_exact_mut(len)) {
            let max = max_of(x);
            let log_sum = sum_of(x, |x| (x - max).exp_below::<S>()).log::<S>();
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - max) - log_sum;
            }
        }
    }

    fn softmax_backward_rows<S, T: Math>(len: usize, y: &[T], dy: &[T], dx: &mut [T]) {
        for ((y, dy), dx) in y.chunks_exact(len).zip(dy.chunks_exact(len)).zip(dx.chunks_exact_mut(len)) {
            let mean = dot_of::<S, T>(dy, y);
            for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = y * (dy - mean);
            }
        }
    }

    fn log_softmax_backward_rows<S, T: Math>(len: usize, y: &[T], dy: &[T], dx: &mut [T]) {
        for ((y, dy), dx) in y.chunks_exact(len).zip(dy.chunks_exact(len)).zip(dx.chunks_exact_mut(len)) {
            let sum = sum_of(dy, |dy| dy);
            for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = dy - y.exp_below::<S>() * sum;
            }
        }
    }
}

/// Whether the logarithm is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Log,
}

/// `y = softmax(x)` (or its logarithm) along the last dimension, `y` in row-major order.
pub(crate) fn forward<T: Math>(kind: Kind, x: View<T>, len: usize, y: &mut [T]) {
    let (rows, block) = (Rows::new(x, len), rows_per_block(len));
    parallel::for_each_chunk(y, block * len, |i, y| {
        let mut buffer = Vec::new();
        let x = rows.get(i * block, y.len() / len, &mut buffer);
        match kind {
            Kind::Plain => softmax_rows(len, x, y),
            Kind::Log => log_softmax_rows(len, x, y),
        }
    });
}

/// The gradient of the input from the output `y` and its gradient.
pub(crate) fn backward<T: Math>(kind: Kind, y: View<T>, dy: View<T>, len: usize, dx: &mut [T]) {
    let (y, dy, block) = (Rows::new(y, len), Rows::new(dy, len), rows_per_block(len));
    parallel::for_each_chunk(dx, block * len, |i, dx| {
        let (mut y_buffer, mut dy_buffer) = (Vec::new(), Vec::new());
        let count = dx.len() / len;
        let (y, dy) = (y.get(i * block, count, &mut y_buffer), dy.get(i * block, count, &mut dy_buffer));
        match kind {
            Kind::Plain => softmax_backward_rows(len, y, dy, dx),
            Kind::Log => log_softmax_backward_rows(len, y, dy, dx),
        }
    });
}
