//! Operands brought into the forms in which the micro-kernel reads them.

use std::ops::Range;

use super::{Attend, end_row};
use crate::kernels::gemm::Matrix;
use crate::kernels::gemm::pack::pack_panel;
use crate::kernels::math::Math;
use crate::kernels::parallel::SharedMut;
use crate::kernels::rows::merge;
use crate::kernels::simd::{Simd, vectorised};

/// Elements of a row that are treated together: a register of f32 with AVX-512.
const LANES: usize = 16;

/// Row `i` of a matrix with contiguous rows.
#[inline(always)]
pub(super) fn row<'a, T>(matrix: &Matrix<'a, T>, i: usize, len: usize) -> &'a [T] {
    &matrix.data[matrix.at(i, 0)..][..len]
}

/// Rows of an output, which belong to one task.
pub(super) struct RowsMut<'a, T> {
    out: &'a SharedMut<T>,
    first: usize,
    apart: usize,
    width: usize,
}

impl<'a, T> RowsMut<'a, T> {
    /// Rows of `width` elements, `apart` elements apart, the first from element `first` on.
    ///
    /// # Safety
    /// Nobody else may use the rows that are asked for as long as this lives.
    pub(super) unsafe fn new(out: &'a SharedMut<T>, first: usize, apart: usize, width: usize) -> Self {
        RowsMut { out, first, apart, width }
    }

    #[inline(always)]
    fn row(&mut self, i: usize) -> &mut [T] {
        // SAFETY: nobody else uses the row, by the promise given to `new`, and this is borrowed as long as the row.
        unsafe { self.out.slice(self.first + i * self.apart, self.width) }
    }
}

/// Packs rows `rows` of a matrix with `depth` columns: `panel[p][i] = matrix[rows.start + i][p]`, zero where there is no row.
pub(super) fn pack_rows<T: Attend>(matrix: Matrix<T>, rows: Range<usize>, unit: usize, depth: usize, to: &mut [T]) {
    if depth > 0 {
        pack_panel(matrix.from(rows.start, 0), rows.len(), unit, depth, to);
    }
}

/// The columns of a matrix in panels: `panel[p][i] = matrix[p][i]`, panel after panel, `room` rows each, of which the first
/// `depth` are written. The elements that fill the last panel up may be anything.
pub(super) fn pack_columns<T: Attend>(
    matrix: Matrix<T>,
    depth: usize,
    columns: usize,
    unit: usize,
    room: usize,
    to: &mut [T],
) {
    if columns == 0 {
        return;
    }
    if matrix.column == 1 {
        return copy_columns(matrix, depth, columns, unit, room, to);
    }
    for panel in 0..columns.div_ceil(unit) {
        let (first, to) = (panel * unit, &mut to[panel * room * unit..][..depth * unit]);
        pack_rows(matrix.from(0, first).transposed(), 0..unit.min(columns - first), unit, depth, to);
    }
}

/// From one column per query, `[feature][nr]`, to one row per query, `[query][features]`.
pub(super) fn turn<T: Attend>(columns: &[T], nr: usize, features: usize, to: &mut [T]) {
    let matrix = Matrix { data: columns, offset: 0, row: nr as isize, column: 1 };
    pack_rows(matrix, 0..features, features.max(1), if features > 0 { nr } else { 0 }, to);
}

vectorised! {
    /// Copies the first rows of a matrix one after the other: the micro-kernel reads such rows without having them turned,
    /// which costs much more than the copy. What is left of `to` becomes zero.
    pub(super) fn copy_rows<S, T: Math>(matrix: Matrix<T>, rows: usize, width: usize, to: &mut [T]) {
        let (whole, rest) = to.split_at_mut(rows * width);
        rest.fill(T::ZERO);
        for (i, to) in whole.chunks_exact_mut(width.max(1)).enumerate() {
            if matrix.column == 1 {
                copy_row(row(&matrix, i, width), to);
            } else {
                to.iter_mut().enumerate().for_each(|(p, x)| *x = matrix.data[matrix.at(i, p)]);
            }
        }
    }

    /// `out[i] = factors[i] * row`, where the rows of `from` are `apart` elements apart.
    pub(super) fn write_rows<S, T: Math>(from: &[T], apart: usize, factors: &[T], out: &mut RowsMut<T>) {
        for (i, &factor) in factors.iter().enumerate() {
            let to = out.row(i);
            let (from, from_rest) = from[i * apart..][..to.len()].as_chunks::<LANES>();
            let (to, to_rest) = to.as_chunks_mut::<LANES>();
            for (from, to) in from.iter().zip(to) {
                for l in 0..LANES {
                    to[l] = from[l] * factor;
                }
                end_row();
            }
            from_rest.iter().zip(to_rest).for_each(|(&x, to)| *to = x * factor);
        }
    }

    /// `x *= factor`.
    pub(super) fn scale<S, T: Math>(x: &mut [T], factor: T) {
        x.iter_mut().for_each(|x| *x = *x * factor);
    }

    /// See [`pack_columns`]; the rows of the matrix are contiguous.
    fn copy_columns<S, T: Math>(matrix: Matrix<T>, depth: usize, columns: usize, unit: usize, room: usize, to: &mut [T]) {
        match unit {
            32 => copy_columns_of::<T, 32>(matrix, depth, columns, room, to),
            16 => copy_columns_of::<T, 16>(matrix, depth, columns, room, to),
            12 => copy_columns_of::<T, 12>(matrix, depth, columns, room, to),
            8 => copy_columns_of::<T, 8>(matrix, depth, columns, room, to),
            6 => copy_columns_of::<T, 6>(matrix, depth, columns, room, to),
            _ => copy_columns_of::<T, 4>(matrix, depth, columns, room, to),
        }
    }

    /// `sums[i] = sum over p of x[i][p] y[i][p]`.
    pub(super) fn row_products<S, T: Math>(x: Matrix<T>, y: Matrix<T>, width: usize, sums: &mut [T]) {
        if width == 0 {
            return sums.fill(T::ZERO);
        }
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = if x.column == 1 && y.column == 1 {
                product_of_rows::<S, T>(row(&x, i, width), row(&y, i, width))
            } else {
                (0..width).fold(T::ZERO, |sum, p| S::mul_add(x.data[x.at(i, p)], y.data[y.at(i, p)], sum))
            };
        }
    }
}

/// Copies a row so short that a call of `memcpy` would take longer.
#[inline(always)]
fn copy_row<T: Math>(from: &[T], to: &mut [T]) {
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<LANES>(), to.as_chunks_mut::<LANES>());
    for (from, to) in from.iter().zip(to) {
        *to = *from;
        end_row();
    }
    for (from, to) in from_rest.iter().zip(to_rest) {
        *to = *from;
        end_row();
    }
}

/// The sum of the products of two rows. What is left beside whole lanes has a sum of its own, so that the lanes stay in
/// registers.
#[inline(always)]
fn product_of_rows<S: Simd, T: Math>(x: &[T], y: &[T]) -> T {
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    let mut lanes = [T::ZERO; LANES];
    for (x, y) in x.iter().zip(y) {
        for l in 0..LANES {
            lanes[l] = S::mul_add(x[l], y[l], lanes[l]);
        }
    }
    let rest = x_rest.iter().zip(y_rest).fold(T::ZERO, |sum, (&x, &y)| S::mul_add(x, y, sum));
    merge(lanes, |a, b| a + b) + rest
}

#[inline(always)]
fn copy_columns_of<T: Math, const U: usize>(
    matrix: Matrix<T>,
    depth: usize,
    columns: usize,
    room: usize,
    to: &mut [T],
) {
    for (panel, first) in (0..columns).step_by(U).enumerate() {
        let to = to[panel * room * U..][..depth * U].as_chunks_mut::<U>().0;
        for (p, to) in to.iter_mut().enumerate() {
            let from = &matrix.data[matrix.at(p, first)..];
            // What follows the last column fills the panel up as well as anything, and whole vectors are copied faster.
            match from.first_chunk::<U>() {
                Some(from) => *to = *from,
                None => copy_last(&from[..columns - first], to),
            }
        }
    }
}

/// Copies a row at the very end of the memory. It stands alone, so that the loop around it is a short one.
#[cold]
#[inline(never)]
fn copy_last<T: Math>(from: &[T], to: &mut [T]) {
    to[..from.len()].copy_from_slice(from);
}
