//! Packing: a panel holds some rows of a matrix column by column, in the order in which the micro-kernel reads them.

use super::Matrix;
use crate::dtype::Number;
use crate::kernels::simd::{prefetch, vectorised};
#[cfg(target_arch = "x86_64")]
use crate::{
    DType,
    kernels::simd::{Level, level},
};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// How many columns before they are copied memory is asked for them.
const AHEAD: usize = 12;

/// `to[p][q] = matrix[q][p]` for `unit` rows of the matrix, and so on, panel after panel, for `count` rows; the rows that
/// are missing in the last panel are zero.
pub(crate) fn pack_panel<T: Number>(matrix: Matrix<T>, count: usize, unit: usize, deep: usize, to: &mut [T]) {
    let (whole, rest) = (count / unit, count % unit);
    let (to, last) = to[..count.div_ceil(unit) * unit * deep].split_at_mut(whole * unit * deep);
    if deep == 0 {
        return;
    }
    last.fill(T::ZERO);
    if matrix.row == 1 && whole > 0 {
        pack_columns(matrix, whole, unit, to);
    } else {
        for (panel, to) in to.chunks_exact_mut(unit * deep).enumerate() {
            pack_any(matrix.from(panel * unit, 0), unit, unit, to);
        }
    }
    if rest > 0 {
        pack_any(matrix.from(whole * unit, 0), rest, unit, last);
    }
}

/// One panel of `count` rows.
fn pack_any<T: Number>(matrix: Matrix<T>, count: usize, unit: usize, to: &mut [T]) {
    if matrix.column != 1 {
        for (p, to) in to.chunks_exact_mut(unit).enumerate() {
            (0..count).for_each(|q| to[q] = matrix.data[matrix.at(q, p)]);
        }
        return;
    }
    // SAFETY: `to` is columns of `unit` elements, at least `count`, and ours alone.
    if unsafe { turned(matrix, count, to.len() / unit, to.as_mut_ptr(), unit) } {
        return;
    }
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if T::DTYPE == DType::F32 && level() == Level::Avx2 {
        while count - done >= 8 {
            // SAFETY: level() reports AVX2 only after detecting it, and T is f32.
            unsafe { turn_eight(matrix.from(done, 0), unit, &mut to[done..]) };
            done += 8;
        }
    }
    if done < count {
        pack_rows(matrix.from(done, 0), count - done, unit, &mut to[done..]);
    }
}

/// Copies the columns of `panels` panels, `U` neighbouring elements of each, in whole vectors. The panels side by side: what
/// lies in one cache line is read at once.
#[inline(always)]
fn copy_columns<T: Number, const U: usize>(matrix: Matrix<T>, panels: usize, to: &mut [T]) {
    let each = to.len() / panels;
    for (p, first) in (0..each).step_by(U).enumerate() {
        // The columns lie too far apart for the CPU to guess where the next ones are.
        let ahead = matrix.data.as_ptr().wrapping_add(matrix.at(0, p + AHEAD));
        (0..panels * U).step_by(64 / size_of::<T>()).for_each(|i| prefetch(ahead.wrapping_add(i)));
        let column = matrix.data[matrix.at(0, p)..][..panels * U].as_chunks::<U>().0;
        for (panel, x) in column.iter().enumerate() {
            *to[panel * each + first..].first_chunk_mut::<U>().expect("a panel has whole columns") = *x;
        }
    }
}

vectorised! {
    /// The panels' columns are contiguous in the matrix. The units are those of the micro-kernels.
    fn pack_columns<S, T: Number>(matrix: Matrix<T>, panels: usize, unit: usize, to: &mut [T]) {
        match unit {
            32 => copy_columns::<T, 32>(matrix, panels, to),
            16 => copy_columns::<T, 16>(matrix, panels, to),
            12 => copy_columns::<T, 12>(matrix, panels, to),
            8 => copy_columns::<T, 8>(matrix, panels, to),
            6 => copy_columns::<T, 6>(matrix, panels, to),
            4 => copy_columns::<T, 4>(matrix, panels, to),
            _ => {
                let each = to.len() / panels;
                for (i, to) in to.chunks_exact_mut(unit).enumerate() {
                    let (panel, p) = (i * unit / each, i * unit % each / unit);
                    to.copy_from_slice(&matrix.data[matrix.at(panel * unit, p)..][..unit]);
                }
            }
        }
    }

    /// The panel's rows are contiguous in the matrix: blocks of four by four elements are transposed in registers. `to`
    /// begins at the first of the rows and may end after the last of them.
    fn pack_rows<S, T: Number>(matrix: Matrix<T>, count: usize, unit: usize, to: &mut [T]) {
        let deep = to.len().div_ceil(unit);
        for q in (0..count).step_by(4) {
            let height = (count - q).min(4);
            // A last group of fewer rows reads its last one again and does not write it.
            let rows: [&[T]; 4] = std::array::from_fn(|g| &matrix.data[matrix.at(q + g.min(height - 1), 0)..][..deep]);
            let blocks = rows.map(|row| row.as_chunks::<4>().0);
            let whole = if height == 4 { deep / 4 } else { 0 };
            for b in 0..whole {
                let block = blocks.map(|row| row[b]);
                for j in 0..4 {
                    to[(4 * b + j) * unit + q..][..4]
                        .copy_from_slice(&[block[0][j], block[1][j], block[2][j], block[3][j]]);
                }
            }
            for p in 4 * whole..deep {
                (0..height).for_each(|g| to[p * unit + q + g] = rows[g][p]);
            }
        }
    }
}

/// Eight rows of a panel, contiguous in the matrix: blocks of eight by eight f32 are transposed in registers. `to` begins at
/// the first of the rows.
///
/// # Safety
/// `T` must be f32 and the CPU have AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn turn_eight<T: Number>(matrix: Matrix<T>, unit: usize, to: &mut [T]) {
    let deep = to.len().div_ceil(unit);
    let rows: [&[T]; 8] = std::array::from_fn(|q| &matrix.data[matrix.at(q, 0)..][..deep]);
    for p in (0..deep - deep % 8).step_by(8) {
        // SAFETY: elements p .. p + 8 of a row of f32.
        let x = rows.map(|row| unsafe { _mm256_loadu_ps(row.as_ptr().add(p).cast()) });
        let pairs: [__m256; 8] = std::array::from_fn(|i| {
            let (a, b) = (x[i / 2 * 2], x[i / 2 * 2 + 1]);
            if i % 2 == 0 { _mm256_unpacklo_ps(a, b) } else { _mm256_unpackhi_ps(a, b) }
        });
        // Four rows each: columns 0 and 4, 1 and 5, 2 and 6, 3 and 7.
        let fours: [__m256; 8] = std::array::from_fn(|i| {
            let (half, column) = (i / 4, i % 4);
            let (a, b) = (pairs[4 * half + column / 2], pairs[4 * half + column / 2 + 2]);
            if column % 2 == 0 { _mm256_shuffle_ps::<0x44>(a, b) } else { _mm256_shuffle_ps::<0xee>(a, b) }
        });
        for j in 0..8 {
            let (a, b) = (fours[j % 4], fours[4 + j % 4]);
            let column =
                if j < 4 { _mm256_permute2f128_ps::<0x20>(a, b) } else { _mm256_permute2f128_ps::<0x31>(a, b) };
            let to = to[(p + j) * unit..].first_chunk_mut::<8>().expect("a column has all eight rows");
            // SAFETY: these are eight f32.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr().cast(), column) };
        }
    }
    for p in deep - deep % 8..deep {
        rows.iter().enumerate().for_each(|(q, row)| to[p * unit + q] = row[p]);
    }
}

/// `to[p * apart + q] = matrix[q][p]` for `count` rows of a matrix, which are contiguous, and `deep` of their elements: `false`,
/// and nothing done, where no vector instructions do so.
///
/// # Safety
/// There must be these places, and they must be the caller's alone.
pub(super) unsafe fn turned<T: Number>(matrix: Matrix<T>, count: usize, deep: usize, to: *mut T, apart: usize) -> bool {
    #[cfg(target_arch = "x86_64")]
    if T::DTYPE == DType::F32 && level() == Level::Avx512 {
        for done in (0..count).step_by(16) {
            let height = (count - done).min(16);
            // SAFETY: level() reports AVX-512 only after detecting it, and T is f32; the places are the caller's.
            unsafe { turn_sixteen(matrix.from(done, 0), height, apart, deep, to.add(done)) };
        }
        return true;
    }
    let _ = (matrix, count, deep, to, apart);
    false
}

/// Up to sixteen rows of a panel, contiguous in the matrix; of their f32 four at a time. `to` is the place of the first, and
/// the columns lie `unit` apart.
///
/// # Safety
/// `T` must be f32 and the CPU have AVX-512; `1 <= count <= 16`, and each of `deep` columns from `to` on have room for the rows.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn turn_sixteen<T: Number>(matrix: Matrix<T>, count: usize, unit: usize, deep: usize, to: *mut T) {
    // Rows that are missing repeat the last one, and are not written.
    let mut rows = [std::ptr::null::<f32>(); 16];
    for (q, row) in rows.iter_mut().enumerate() {
        *row = matrix.data[matrix.at(q.min(count - 1), 0)..][..deep].as_ptr().cast();
    }
    let (inside, start): (__mmask16, _) = (u16::MAX >> (16 - count), to.cast::<f32>());
    let whole = deep / 4 * 4;
    for p in (0..whole).step_by(4) {
        // In the four lanes of `x[i]` rows i, 4 + i, 8 + i and 12 + i: what is to stand side by side ends in one lane.
        let mut x = [_mm512_setzero_ps(); 4];
        for (i, x) in x.iter_mut().enumerate() {
            // SAFETY: elements p .. p + 4 of rows of `deep` elements.
            unsafe {
                *x = _mm512_castps128_ps512(_mm_loadu_ps(rows[i].add(p)));
                *x = _mm512_insertf32x4::<1>(*x, _mm_loadu_ps(rows[4 + i].add(p)));
                *x = _mm512_insertf32x4::<2>(*x, _mm_loadu_ps(rows[8 + i].add(p)));
                *x = _mm512_insertf32x4::<3>(*x, _mm_loadu_ps(rows[12 + i].add(p)));
            }
        }
        let low = [_mm512_unpacklo_ps(x[0], x[1]), _mm512_unpacklo_ps(x[2], x[3])];
        let high = [_mm512_unpackhi_ps(x[0], x[1]), _mm512_unpackhi_ps(x[2], x[3])];
        let columns = [
            _mm512_shuffle_ps::<0x44>(low[0], low[1]),
            _mm512_shuffle_ps::<0xee>(low[0], low[1]),
            _mm512_shuffle_ps::<0x44>(high[0], high[1]),
            _mm512_shuffle_ps::<0xee>(high[0], high[1]),
        ];
        for (j, &column) in columns.iter().enumerate() {
            // SAFETY: column p + j of `deep` has `count` elements from there on.
            unsafe { _mm512_mask_storeu_ps(start.add((p + j) * unit), inside, column) };
        }
    }
    for p in whole..deep {
        for q in 0..count {
            // SAFETY: as above.
            unsafe { *to.add(p * unit + q) = matrix.data[matrix.at(q, p)] };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Number + From<u16> + PartialEq>() {
        let data: Vec<T> = (0..20_000_u16).map(T::from).collect();
        for (row, column) in [(1, 101), (97, 1), (3, 200), (1, 1)] {
            let matrix = Matrix { data: &data[..], offset: 5, row, column };
            for unit in [4_usize, 5, 6, 8, 12, 16, 32] {
                for (count, deep) in
                    [(1_usize, 1), (4, 7), (unit, 8), (unit, 50), (3 * unit, 9), (2 * unit + 3, 16), (70, 0)]
                {
                    let panels = count.div_ceil(unit);
                    let mut to = vec![T::from(7); panels * unit * deep + 3];
                    pack_panel(matrix, count, unit, deep, &mut to);
                    for (i, &x) in to[..panels * unit * deep].iter().enumerate() {
                        let (panel, p, q) = (i / (unit * deep), i / unit % deep, i % unit);
                        let q = panel * unit + q;
                        let expected = if q < count { data[matrix.at(q, p)] } else { T::from(0) };
                        assert!(x == expected, "{row} {column}: {count} rows in {unit}s, {deep} deep, at {i}");
                    }
                    assert!(to[panels * unit * deep..].iter().all(|&x| x == T::from(7)));
                }
            }
        }
    }

    #[test]
    fn panels_hold_the_rows_column_by_column() {
        check::<f32>();
        check::<f64>();
    }
}
