//! Products with a few rows, limited by the memory that B is read from: each element of B is read once.

use super::{Add, Matrix, Size, start};
use crate::dtype::Float;
use crate::kernels::parallel::{self, SharedMut};
use crate::kernels::rows::dot_of;
use crate::kernels::simd::vectorised;

/// From so many rows on the packed path is faster.
pub(super) const ROWS: usize = 4;
/// Columns of C that one block computes.
const COLUMNS: usize = 256;

vectorised! {
    /// `sum x[i] * y[i]`.
    fn dot<S, T: Float>(x: &[T], y: &[T]) -> T {
        dot_of::<S, T>(x, y)
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
    // Rows of B are added up where they are contiguous, unless there is but one column: a single dot product is faster.
    let by_rows = b.column == 1 && n > 1;
    let work = |block: usize| {
        let j = block * COLUMNS;
        let width = COLUMNS.min(n - j);
        let mut column = vec![T::ZERO; if b.row == 1 || by_rows { 0 } else { k }];
        for i in 0..m {
            // SAFETY: columns j .. j + width of the output belong to this block alone.
            let c = unsafe { out.slice(i * n + j, width) };
            let add = if let Add::Bias(bias) = add { Add::Bias(&bias[j..j + width]) } else { add };
            start(add, width, c);
        }
        if by_rows {
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
