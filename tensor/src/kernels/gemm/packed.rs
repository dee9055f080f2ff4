//! The packed path: blocks of A and B are packed into panels, and tasks of C multiply them.

use super::micro::Kernel;
use super::pack::pack_panel;
use super::{Add, Matrix, Size};
use crate::dtype::Float;
use crate::kernels::parallel::{self, SharedMut};
use crate::storage::Storage;

/// Depth of a packed block: a panel of A of this depth stays in the first-level cache.
const DEPTH: usize = 384;
/// Rows and columns of C that are packed at a time; bounds the memory of the packed blocks.
const SLAB: usize = 4096;
/// Columns of C of one task: with `DEPTH` they make a part of B that stays in the second-level cache.
const TASK_COLUMNS: usize = 384;
/// Rows of C of one task.
const TASK_ROWS: usize = 96;
/// Micro-kernel panels that one packing task fills.
const PANELS: usize = 8;

/// `total` in pieces of at most `most`, nearly equal and multiples of `unit`.
pub(crate) fn piece(total: usize, most: usize, unit: usize) -> usize {
    total.div_ceil(total.div_ceil(most)).next_multiple_of(unit)
}

/// The right operand of a product, as what its panels are packed from.
pub(super) trait Panels<T>: Sync {
    /// Packs `deep` elements, from row `p` on, of `count` columns, from `column` on: see [`pack_panel`].
    fn pack(&self, column: usize, p: usize, count: usize, unit: usize, deep: usize, to: &mut [T]);
}

impl<T: Float> Panels<T> for Matrix<'_, T> {
    fn pack(&self, column: usize, p: usize, count: usize, unit: usize, deep: usize, to: &mut [T]) {
        pack_panel(self.from(p, column).transposed(), count, unit, deep, to);
    }
}

pub(super) fn gemm<T: Float>(size: Size, a: Matrix<T>, b: impl Panels<T>, add: Add<T>, c: &mut [T], kernel: Kernel<T>) {
    multiply(size, a, b, add, c, kernel, false);
}

/// [`gemm`] with fewer rows than columns, which are contiguous in B, as the transposed product: the columns are read where
/// they are, and only the rows of A are packed.
pub(super) fn flipped<T: Float>(size: Size, a: Matrix<T>, b: Matrix<T>, add: Add<T>, c: &mut [T], kernel: Kernel<T>) {
    let Size { m, k, n } = size;
    multiply(Size { m: n, k, n: m }, b.transposed(), a.transposed(), add, c, kernel, true);
}

/// `c = a b`; or, `flipped`, its transpose, whose bias then belongs to the rows of the product.
fn multiply<T: Float>(
    size: Size,
    a: Matrix<T>,
    b: impl Panels<T>,
    add: Add<T>,
    c: &mut [T],
    kernel: Kernel<T>,
    flipped: bool,
) {
    let Size { m, k, n } = size;
    let Kernel { mr, nr, .. } = kernel;
    let (depth, slab_m, slab_n) = (piece(k, DEPTH, 1), piece(m, SLAB, mr), piece(n, SLAB, nr));
    let mut a_store = Storage::new(T::DTYPE, slab_m * depth);
    let mut b_store = Storage::new(T::DTYPE, slab_n * depth);
    let (a_pack, b_pack) = (a_store.as_slice_mut::<T>(), b_store.as_slice_mut::<T>());
    // Rows that lie a multiple of a page apart would all compete for the same few lines of the first-level cache.
    // Where they are read only once or twice that costs less than packing.
    let in_rows = a.column == 1 && (flipped || !(a.row.unsigned_abs() * size_of::<T>()).is_multiple_of(4096));
    let out = SharedMut::new(c);
    for j in (0..n).step_by(slab_n) {
        let columns = slab_n.min(n - j);
        for p in (0..k).step_by(depth) {
            let deep = depth.min(k - p);
            for i in (0..m).step_by(slab_m) {
                let rows = slab_m.min(m - i);
                let (a_panels, b_panels) = (rows.div_ceil(mr), columns.div_ceil(nr));
                // Rows of A that are contiguous are read where they are; only a last panel of fewer rows is packed.
                let a_first = if in_rows { rows / mr } else { 0 };
                // One parallel region packs both; B only once for all the slabs of rows.
                let a_tasks = (a_panels - a_first).div_ceil(PANELS);
                let b_tasks = if i == 0 { b_panels.div_ceil(PANELS) } else { 0 };
                let (a_out, b_out) = (SharedMut::new(a_pack), SharedMut::new(b_pack));
                let pack = |task: usize| {
                    let of_a = task < a_tasks;
                    let (first, out, unit, panels) = if of_a {
                        (a_first + task * PANELS, a_out, mr, a_panels)
                    } else {
                        ((task - a_tasks) * PANELS, b_out, nr, b_panels)
                    };
                    let last = (first + PANELS).min(panels);
                    // SAFETY: each panel belongs to one task.
                    let to = unsafe { out.slice(first * unit * deep, (last - first) * unit * deep) };
                    let (begin, end) = (first * unit, last * unit);
                    if of_a {
                        pack_panel(a.from(i + begin, p), end.min(rows) - begin, unit, deep, to);
                    } else {
                        b.pack(j + begin, p, end.min(columns) - begin, unit, deep, to);
                    }
                };
                let small = ((a_panels - a_first) * mr + columns) * deep < parallel::GRAIN;
                if small {
                    (0..a_tasks + b_tasks).for_each(pack)
                } else {
                    parallel::for_each_block(a_tasks + b_tasks, pack)
                };

                let (task_rows, task_columns) = (piece(rows, TASK_ROWS, mr), piece(columns, TASK_COLUMNS, nr));
                let (down, across) = (rows.div_ceil(task_rows), columns.div_ceil(task_columns));
                let (a_pack, b_pack): (&[T], &[T]) = (a_pack, b_pack);
                let multiply = |task: usize| {
                    let (row, column) = (task / across * task_rows, task % across * task_columns);
                    let block = Block {
                        rows: row..(row + task_rows).min(rows),
                        columns: column..(column + task_columns).min(columns),
                        deep,
                        rows_of_a: in_rows.then(|| a.from(i, p)),
                        a: a_pack,
                        b: b_pack,
                        add: if p == 0 { add } else { Add::Output },
                    };
                    // SAFETY: the blocks of C are disjoint, and the packed panels are complete.
                    unsafe {
                        if flipped {
                            turn_block(kernel, block, &out, (j + column, i + row), m);
                        } else {
                            multiply_block(kernel, block, &out, (i + row, j + column), n);
                        }
                    }
                };
                let small = rows * columns * deep < 4 * parallel::GRAIN;
                if small {
                    (0..down * across).for_each(multiply)
                } else {
                    parallel::for_each_block(down * across, multiply)
                };
            }
        }
    }
}

/// One task: a block of C, and the packed panels of its slab.
struct Block<'a, T> {
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    deep: usize,
    /// A's slab, if its rows are read as they are.
    rows_of_a: Option<Matrix<'a, T>>,
    a: &'a [T],
    b: &'a [T],
    add: Add<'a, T>,
}

/// The largest block of a micro-kernel, in elements.
const LARGEST: usize = 12 * 32;

/// Multiplies a block, which goes to row and column `to` of C, whose rows lie `stride` apart.
///
/// # Safety
/// The block of C must belong to the caller alone, and `a` and `b` hold complete panels for it.
unsafe fn multiply_block<T: Float>(
    kernel: Kernel<T>,
    block: Block<T>,
    out: &SharedMut<T>,
    to: (usize, usize),
    stride: usize,
) {
    let Kernel { mr, nr, routine } = kernel;
    let Block { rows, columns, deep, rows_of_a, a, b, add } = block;
    let mut edge = [T::ZERO; LARGEST];
    for i in rows.clone().step_by(mr) {
        let (a, apart) = match rows_of_a {
            // SAFETY: a whole panel of rows lies inside A, as `Matrix::check` has shown.
            Some(m) if i + mr <= rows.end => (unsafe { m.data.as_ptr().add(m.at(i, 0)) }, Some(m.row)),
            _ => (a[i * deep..][..mr * deep].as_ptr(), None),
        };
        for j in columns.clone().step_by(nr) {
            let b = &b[j * deep..][..nr * deep];
            let (height, width) = (mr.min(rows.end - i), nr.min(columns.end - j));
            let column = to.1 + j - columns.start;
            let at = |r: usize| (to.0 + i - rows.start + r) * stride + column;
            if height == mr && width == nr && !matches!(add, Add::Bias(_)) {
                // SAFETY: the block lies inside C, whose rows are `stride` long, and is ours alone.
                unsafe {
                    let first = out.as_ptr().add(at(0));
                    routine(deep, a, apart, b.as_ptr(), first, stride, matches!(add, Add::Output));
                }
                continue;
            }
            // SAFETY: `edge` has room for the whole block.
            unsafe { routine(deep, a, apart, b.as_ptr(), edge.as_mut_ptr(), nr, false) };
            for r in 0..height {
                // SAFETY: a part of a row of the block.
                let c = unsafe { out.slice(at(r), width) };
                put(add, column, &edge[r * nr..][..width], c);
            }
        }
    }
}

/// [`multiply_block`] for the transpose of C: the block is turned on its way to row and column `to`.
///
/// # Safety
/// As there.
unsafe fn turn_block<T: Float>(
    kernel: Kernel<T>,
    block: Block<T>,
    out: &SharedMut<T>,
    to: (usize, usize),
    stride: usize,
) {
    let (height, width, add) = (block.rows.len(), block.columns.len(), block.add);
    let mut store = Storage::new(T::DTYPE, 2 * height * width);
    let (product, turned) = store.as_slice_mut::<T>().split_at_mut(height * width);
    let block = Block { add: Add::Nothing, ..block };
    // SAFETY: all of `product` is ours, and the rest is the caller's promise.
    unsafe { multiply_block(kernel, block, &SharedMut::new(product), (0, 0), width) };
    let product = Matrix { data: product, offset: 0, row: width as isize, column: 1 };
    pack_panel(product, height, height, width, turned);
    for (q, sums) in turned.chunks_exact(height).enumerate() {
        // SAFETY: a part of a row of the block.
        let c = unsafe { out.slice((to.0 + q) * stride + to.1, height) };
        put(add, to.1, sums, c);
    }
}

/// Puts sums into a row of C, from column `column` on.
fn put<T: Float>(add: Add<T>, column: usize, sums: &[T], c: &mut [T]) {
    match add {
        Add::Nothing => c.copy_from_slice(sums),
        Add::Bias(bias) => {
            let bias = &bias[column..][..c.len()];
            c.iter_mut().zip(sums).zip(bias).for_each(|((c, &s), &b)| *c = s + b);
        }
        Add::Output => c.iter_mut().zip(sums).for_each(|(c, &s)| *c += s),
    }
}
