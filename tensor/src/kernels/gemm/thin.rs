//! Products with a few rows, limited by the memory that B is read from: each element of B is read once.

use super::{Add, Matrix, Size, start};
use crate::dtype::Float;
use crate::kernels::parallel::{self, SharedMut};
use crate::kernels::simd::vectorised;

/// From so many rows on the packed path is faster.
pub(super) const ROWS: usize = 4;
/// Columns of C that one block computes.
const COLUMNS: usize = 256;
/// Independent partial sums of a dot product.
const LANES: usize = 64;

vectorised! {
    /// `sum x[i] * y[i]`.
    fn dot<S, T: Float>(x: &[T], y: &[T]) -> T {
        let mut lanes = [T::ZERO; LANES];
        let (xs, x_rest) = x.as_chunks::<LANES>();
        let (ys, y_rest) = y.as_chunks::<LANES>();
        for (x, y) in xs.iter().zip(ys) {
            for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
                *lane = S::mul_add(x, y, *lane);
            }
        }
        for ((lane, &x), &y) in lanes.iter_mut().zip(x_rest).zip(y_rest) {
            *lane = S::mul_add(x, y, *lane);
        }
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
        }
        lanes[0]
    }

    /// `y += a * x`.
    fn add_scaled<S, T: Float>(a: T, x: &[T], y: &mut [T]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = S::mul_add(a, x, *y);
        }
    }
}

pub(super) fn gemm<T: Float>(size: Size, a: Matrix<T>, b: Matrix<T>, add: Add<T>, c: &mut [T]) {
    let Size { m, k, n } = size;
    // A has few elements; its rows are brought into order once.
    let rows: Vec<T> = (0..m * k).map(|ip| a.data[a.at(ip / k, ip % k)]).collect();
    let out = SharedMut::new(c);
    let work = |block: usize| {
        let j = block * COLUMNS;
        let width = COLUMNS.min(n - j);
        let mut column = vec![T::ZERO; if b.row == 1 || b.column == 1 { 0 } else { k }];
        for i in 0..m {
            // SAFETY: columns j .. j + width of the output belong to this block alone.
            let c = unsafe { out.slice(i * n + j, width) };
            let add = if let Add::Bias(bias) = add { Add::Bias(&bias[j..j + width]) } else { add };
            start(add, width, c);
        }
        if b.column == 1 {
            for p in 0..k {
                let at = b.at(p, j);
                for i in 0..m {
                    // SAFETY: as above.
                    let c = unsafe { out.slice(i * n + j, width) };
                    add_scaled(rows[i * k + p], &b.data[at..at + width], c);
                }
            }
            return;
        }
        for q in 0..width {
            let at = b.at(0, j + q);
            let y = if b.row == 1 {
                &b.data[at..at + k]
            } else {
                column.iter_mut().enumerate().for_each(|(p, y)| *y = b.data[b.at(p, j + q)]);
                &column
            };
            for i in 0..m {
                // SAFETY: as above.
                let c = unsafe { out.slice(i * n + j + q, 1) };
                c[0] += dot(&rows[i * k..(i + 1) * k], y);
            }
        }
    };
    if m * n * k < parallel::GRAIN {
        (0..n.div_ceil(COLUMNS)).for_each(work);
    } else {
        parallel::for_each_block(n.div_ceil(COLUMNS), work);
    }
}
