//! The portable path: `matrixmultiply` on a grid of tiles.

use super::stream::{Format, widen_row};
use super::{Add, Matrix, Size, start};
use crate::DType;
use crate::dtype::Float;
use crate::kernels::parallel::{self, SharedMut};
use crate::storage::Storage;

/// Rows and columns of a tile.
const TILE: (usize, usize) = (128, 256);

/// The routine of `matrixmultiply` for a float type.
pub(super) trait Portable: Float {
    /// `C = A B + beta C`.
    ///
    /// # Safety
    /// All elements that the sizes and strides reach must lie inside live allocations, C's must be exclusive.
    #[allow(clippy::too_many_arguments)]
    unsafe fn routine(
        size: Size,
        a: *const Self,
        ra: isize,
        ca: isize,
        b: *const Self,
        rb: isize,
        cb: isize,
        beta: Self,
        c: *mut Self,
        rc: isize,
    );
}

macro_rules! portable {
    ($t:ty, $routine:path) => {
        impl Portable for $t {
            unsafe fn routine(
                size: Size,
                a: *const $t,
                ra: isize,
                ca: isize,
                b: *const $t,
                rb: isize,
                cb: isize,
                beta: $t,
                c: *mut $t,
                rc: isize,
            ) {
                // SAFETY: the caller's promise.
                unsafe { $routine(size.m, size.k, size.n, 1.0, a, ra, ca, b, rb, cb, beta, c, rc, 1) }
            }
        }
    };
}
portable!(f32, matrixmultiply::sgemm);
portable!(f64, matrixmultiply::dgemm);

pub(super) fn gemm<T: Portable>(size: Size, a: Matrix<T>, b: Matrix<T>, add: Add<T>, c: &mut [T]) {
    let (rows, columns) = (size.m.div_ceil(TILE.0), size.n.div_ceil(TILE.1));
    let out = SharedMut::new(c);
    parallel::for_each_block(rows * columns, |block| {
        let (i, j) = (block / columns * TILE.0, block % columns * TILE.1);
        tile(size, a, b.from(0, j), add, out, (i, j));
    });
}

/// The product with weights of some format, which are widened for a column of tiles at a time.
pub(super) fn gemm_widened<F: Format>(size: Size, a: Matrix<f32>, w: &F, add: Add<f32>, c: &mut [f32]) {
    let Size { m, k, n } = size;
    let out = SharedMut::new(c);
    parallel::for_each_block(n.div_ceil(TILE.1), |block| {
        let j = block * TILE.1;
        let mut store = Storage::new(DType::F32, TILE.1.min(n - j) * k);
        let rows = store.as_slice_mut::<f32>();
        rows.chunks_exact_mut(k).enumerate().for_each(|(q, row)| widen_row(w, j + q, 0, row));
        let b = Matrix { data: rows, offset: 0, row: 1, column: k as isize };
        (0..m).step_by(TILE.0).for_each(|i| tile(size, a, b, add, out, (i, j)));
    });
}

/// The tile of C that starts at `(i, j)` and belongs to the caller alone; `b` starts with its first column.
fn tile<T: Portable>(size: Size, a: Matrix<T>, b: Matrix<T>, add: Add<T>, out: SharedMut<T>, (i, j): (usize, usize)) {
    let Size { m, k, n } = size;
    let part = Size { m: TILE.0.min(m - i), k, n: TILE.1.min(n - j) };
    if !matches!(add, Add::Output) {
        for row in i..i + part.m {
            // SAFETY: the rows of different tiles do not overlap.
            let row = unsafe { out.slice(row * n + j, part.n) };
            let add = if let Add::Bias(bias) = add { Add::Bias(&bias[j..j + part.n]) } else { add };
            start(add, part.n, row);
        }
    }
    let a = a.from(i, 0);
    // SAFETY: the callers have seen that A and B lie inside their slices; the tile of C lies inside `c` and belongs to
    // this call alone.
    unsafe {
        let (pa, pb) = (a.data.as_ptr().add(a.offset), b.data.as_ptr().add(b.offset));
        T::routine(part, pa, a.row, a.column, pb, b.row, b.column, T::ONE, out.as_ptr().add(i * n + j), n as isize);
    }
}
