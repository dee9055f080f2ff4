//! Packing: a panel holds some rows of a matrix column by column, in the order in which the micro-kernel reads them.

use super::Matrix;
use crate::dtype::Number;
use crate::kernels::simd::vectorised;

/// `to[p][q] = matrix[q][p]` for `count` rows of the matrix; rows up to `unit` are zero.
pub(crate) fn pack_panel<T: Number>(matrix: Matrix<T>, count: usize, unit: usize, deep: usize, to: &mut [T]) {
    let to = &mut to[..deep * unit];
    if count < unit {
        to.fill(T::ZERO);
    }
    match (matrix.row, matrix.column) {
        (1, _) if count == unit => pack_columns(matrix, unit, to),
        (_, 1) => pack_rows(matrix, count, unit, to),
        _ => {
            for (p, to) in to.chunks_exact_mut(unit).enumerate() {
                (0..count).for_each(|q| to[q] = matrix.data[matrix.at(q, p)]);
            }
        }
    }
}

/// Copies each column of the panel, `U` neighbouring elements, in whole vectors.
#[inline(always)]
fn copy_columns<T: Number, const U: usize>(matrix: Matrix<T>, to: &mut [T]) {
    for (p, to) in to.as_chunks_mut::<U>().0.iter_mut().enumerate() {
        *to = *matrix.data[matrix.at(0, p)..].first_chunk::<U>().expect("the matrix lies inside its storage");
    }
}

vectorised! {
    /// The panel's columns are contiguous in the matrix. The units are those of the micro-kernels.
    fn pack_columns<S, T: Number>(matrix: Matrix<T>, unit: usize, to: &mut [T]) {
        match unit {
            32 => copy_columns::<T, 32>(matrix, to),
            16 => copy_columns::<T, 16>(matrix, to),
            12 => copy_columns::<T, 12>(matrix, to),
            8 => copy_columns::<T, 8>(matrix, to),
            6 => copy_columns::<T, 6>(matrix, to),
            _ => {
                for (p, to) in to.chunks_exact_mut(unit).enumerate() {
                    to.copy_from_slice(&matrix.data[matrix.at(0, p)..][..unit]);
                }
            }
        }
    }

    /// The panel's rows are contiguous in the matrix: blocks of four by four elements are transposed in registers.
    fn pack_rows<S, T: Number>(matrix: Matrix<T>, count: usize, unit: usize, to: &mut [T]) {
        let deep = to.len() / unit;
        for q in (0..count).step_by(4) {
            let height = (count - q).min(4);
            // A last group of fewer rows reads its last one again and does not write it.
            let rows: [&[T]; 4] = std::array::from_fn(|g| &matrix.data[matrix.at(q + g.min(height - 1), 0)..][..deep]);
            let blocks = rows.map(|row| row.as_chunks::<4>().0);
            let whole = if height == 4 { deep / 4 } else { 0 };
            for (b, to) in to.chunks_exact_mut(4 * unit).take(whole).enumerate() {
                let block = blocks.map(|row| row[b]);
                for j in 0..4 {
                    to[j * unit + q..][..4].copy_from_slice(&[block[0][j], block[1][j], block[2][j], block[3][j]]);
                }
            }
            for (p, to) in to.chunks_exact_mut(unit).enumerate().skip(4 * whole) {
                (0..height).for_each(|g| to[q + g] = rows[g][p]);
            }
        }
    }
}
