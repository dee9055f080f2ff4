//! Products with a matrix of weights that is stored in some compact format: its rows are widened to f32 as they are read.
//!
//! With a few rows on the left, as in decoding, the memory that the weights are read from is the limit: each is read once
//! and widened in registers. With many rows the panels that the micro-kernel reads are widened while they are packed.

use super::micro::Micro;
use super::packed::{self, Panels};
use super::{Add, Matrix, Size, pack, portable, start};
use crate::DType;
use crate::kernels::parallel::{self, SharedMut};
use crate::kernels::simd::{Simd, vectorised};
use crate::storage::Storage;

/// Weights that are widened at a time, and independent partial sums of a dot product.
pub(crate) const LANES: usize = 32;
/// So many neighbouring weights of a row, in f32.
pub(crate) type Chunk = [f32; LANES];

/// Up to so many rows on the left the weights are read row by row.
const ROWS: usize = 8;
/// Weights that one block of rows reads.
const BLOCK: usize = 1 << 16;

/// The rows of a matrix of weights, stored in some format.
pub(crate) trait Format: Sync {
    /// One row as it is stored.
    type Row<'a>: Copy
    where
        Self: 'a;

    /// A row by its number.
    fn row(&self, row: usize) -> Self::Row<'_>;

    /// Elements `c LANES .. (c + 1) LANES` of a row, all of which it has, without the scale of the row.
    fn chunk(row: Self::Row<'_>, c: usize) -> Chunk;

    /// Elements from `c LANES` on, `LANES` of them or to the end of the row, and then zeros.
    fn rest(row: Self::Row<'_>, c: usize) -> Chunk;

    /// What the elements of the row are multiplied by after they are widened.
    fn scale(&self, _row: usize) -> f32 {
        1.0
    }
}

/// Weights stored one element after the other, each of which widens exactly.
pub(crate) trait Widen: Copy + Default + Send + Sync {
    fn widen(self) -> f32;
}
impl Widen for f32 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
}
impl Widen for half::bf16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits((self.to_bits() as u32) << 16)
    }
}
impl Widen for half::f16 {
    /// Without branches or a call, so that loops over it vectorise.
    #[inline(always)]
    fn widen(self) -> f32 {
        let bits = self.to_bits() as u32;
        // Exponent and mantissa in their places, the exponent's bias raised from 15 to 127.
        let (moved, exponent) = ((bits & 0x7fff) << 13, bits & 0x7c00);
        let normal = moved + (112 << 23);
        // Infinity and NaN have the greatest exponent in both formats.
        let special = moved + (224 << 23);
        // Zero and subnormal numbers: with a leading one in front, which is then taken away.
        let small = (f32::from_bits(normal + (1 << 23)) - f32::from_bits(113 << 23)).to_bits();
        let magnitude = if exponent == 0x7c00 { special } else { normal };
        let magnitude = if exponent == 0 { small } else { magnitude };
        f32::from_bits(magnitude | ((bits & 0x8000) << 16))
    }
}

/// [`Format::chunk`] of elements in a row.
#[inline(always)]
pub(crate) fn widened<W: Widen>(row: &[W], c: usize) -> Chunk {
    row.as_chunks::<LANES>().0[c].map(W::widen)
}

/// [`Format::rest`] of elements in a row.
#[inline(always)]
pub(crate) fn widened_rest<W: Widen>(row: &[W], c: usize) -> Chunk {
    let mut chunk = [W::default(); LANES];
    let rest = &row[c * LANES..row.len().min((c + 1) * LANES)];
    chunk[..rest.len()].copy_from_slice(rest);
    chunk.map(W::widen)
}

/// Rows of elements `apart` from one another.
pub(crate) struct Dense<'a, W> {
    pub(crate) data: &'a [W],
    pub(crate) len: usize,
    pub(crate) apart: usize,
}

impl<W: Widen> Format for Dense<'_, W> {
    type Row<'b>
        = &'b [W]
    where
        Self: 'b;

    #[inline(always)]
    fn row(&self, row: usize) -> &[W] {
        &self.data[row * self.apart..][..self.len]
    }
    #[inline(always)]
    fn chunk(row: &[W], c: usize) -> Chunk {
        widened(row, c)
    }
    #[inline(always)]
    fn rest(row: &[W], c: usize) -> Chunk {
        widened_rest(row, c)
    }
}

/// The dot products of `R` rows of weights with `M` rows of `x`, which are filled with zeros to whole chunks.
#[inline(always)]
fn dots<S: Simd, F: Format, const M: usize, const R: usize>(
    w: &F,
    first: usize,
    k: usize,
    x: &[Chunk],
) -> [[f32; M]; R] {
    let (whole, chunks) = (k / LANES, k.div_ceil(LANES));
    let rows: [F::Row<'_>; R] = std::array::from_fn(|r| w.row(first + r));
    let x: [&[Chunk]; M] = std::array::from_fn(|i| &x[i * chunks..][..chunks]);
    let mut sums = [[[0.0; LANES]; M]; R];
    // Several rows are read side by side.
    #[allow(clippy::needless_range_loop)]
    for c in 0..chunks {
        for r in 0..R {
            let w = if c < whole { F::chunk(rows[r], c) } else { F::rest(rows[r], c) };
            for i in 0..M {
                for l in 0..LANES {
                    sums[r][i][l] = S::mul_add(w[l], x[i][c][l], sums[r][i][l]);
                }
            }
        }
    }
    std::array::from_fn(|r| std::array::from_fn(|i| w.scale(first + r) * total(sums[r][i])))
}

/// The sum of the lanes, in pairs.
#[inline(always)]
fn total(mut lanes: Chunk) -> f32 {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for l in 0..width {
            lanes[l] += lanes[l + width];
        }
    }
    lanes[0]
}

/// Adds the products of rows `rows` of the weights with `M` rows of `x` to rows `first ..` of `c`, which are `n` long.
#[inline(always)]
fn add_block<S: Simd, F: Format, const M: usize>(
    w: &F,
    rows: std::ops::Range<usize>,
    k: usize,
    x: &[Chunk],
    c: SharedMut<f32>,
    (first, n): (usize, usize),
) {
    let add = |j: usize, dots: [f32; M]| {
        for (i, dot) in dots.into_iter().enumerate() {
            // SAFETY: columns `rows` of the output belong to this block alone.
            let c = unsafe { c.slice((first + i) * n + j, 1) };
            c[0] += dot;
        }
    };
    let mut j = rows.start;
    while j + 2 <= rows.end {
        let [a, b] = dots::<S, F, M, 2>(w, j, k, x);
        add(j, a);
        add(j + 1, b);
        j += 2;
    }
    if j < rows.end {
        let [a] = dots::<S, F, M, 1>(w, j, k, x);
        add(j, a);
    }
}

vectorised! {
    /// The columns `rows` of the product with one, two or four rows of `x`.
    fn block<S, F: Format>(
        w: &F, rows: std::ops::Range<usize>, k: usize, m: usize, x: &[Chunk], c: SharedMut<f32>, at: (usize, usize)
    ) {
        match m {
            1 => add_block::<S, F, 1>(w, rows, k, x, c, at),
            2 => add_block::<S, F, 2>(w, rows, k, x, c, at),
            _ => add_block::<S, F, 4>(w, rows, k, x, c, at),
        }
    }

    /// Elements `from ..` of a row of the weights.
    pub(crate) fn widen_row<S, F: Format>(w: &F, row: usize, from: usize, to: &mut [f32]) {
        let (stored, scale) = (w.row(row), w.scale(row));
        let mut done = 0;
        while done < to.len() {
            let (c, skip) = ((from + done) / LANES, (from + done) % LANES);
            let len = (LANES - skip).min(to.len() - done);
            // A chunk that is wanted to its end is a whole one.
            let chunk = if skip + len == LANES { F::chunk(stored, c) } else { F::rest(stored, c) };
            for (to, &x) in to[done..][..len].iter_mut().zip(&chunk[skip..]) {
                *to = scale * x;
            }
            done += len;
        }
    }
}

/// Rows of `x` brought together, each filled with zeros to whole chunks.
fn packed_rows(m: usize, k: usize, x: Matrix<f32>) -> Vec<Chunk> {
    let chunks = k.div_ceil(LANES);
    let mut rows = vec![[0.0; LANES]; m * chunks];
    for i in 0..m {
        for p in 0..k {
            rows[i * chunks + p / LANES][p % LANES] = x.data[x.at(i, p)];
        }
    }
    rows
}

/// With few rows on the left: `c = x w^T`, plus what `add` says, reading each weight once.
pub(super) fn few<F: Format>(size: Size, x: Matrix<f32>, w: &F, add: Add<f32>, c: &mut [f32]) {
    let Size { m, k, n } = size;
    start(add, n, c);
    let (x, chunks) = (packed_rows(m, k, x), k.div_ceil(LANES));
    let rows = (BLOCK / k.max(1)).max(1);
    let out = SharedMut::new(c);
    let work = |b: usize| {
        let range = b * rows..((b + 1) * rows).min(n);
        let mut i = 0;
        while i < m {
            let together = [4, 2, 1].into_iter().find(|&t| t <= m - i).expect("i < m");
            block(w, range.clone(), k, together, &x[i * chunks..], out, (i, n));
            i += together;
        }
    };
    if m * n * k < parallel::GRAIN {
        (0..n.div_ceil(rows)).for_each(work);
    } else {
        parallel::for_each_block(n.div_ceil(rows), work);
    }
}

/// The columns of `w^T` as the panels of a product.
struct Widened<'a, F>(&'a F);

impl<F: Format> Panels<f32> for Widened<'_, F> {
    fn pack(&self, column: usize, p: usize, count: usize, unit: usize, deep: usize, to: &mut [f32]) {
        let mut store = Storage::new(DType::F32, count * deep);
        let rows = store.as_slice_mut::<f32>();
        for (q, row) in rows.chunks_exact_mut(deep).enumerate() {
            widen_row(self.0, column + q, p, row);
        }
        pack::pack_panel(Matrix { data: rows, offset: 0, row: deep as isize, column: 1 }, count, unit, deep, to);
    }
}

/// `c[m, n] = x[m, k] w[n, k]^T`, plus what `add` says. `c` is row-major and contiguous.
pub(crate) fn gemm<F: Format>(size: Size, x: Matrix<f32>, w: &F, add: Add<f32>, c: &mut [f32]) {
    let Size { m, k, n } = size;
    assert_eq!(c.len(), m * n, "the output of a product has m * n elements");
    x.check(m, k);
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        start(add, n, c);
    } else if m <= ROWS {
        few(size, x, w, add, c);
    } else if let Some(kernel) = f32::kernel() {
        packed::gemm(size, x, Widened(w), add, c, kernel);
    } else {
        portable::gemm_widened(size, x, w, add, c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Generator, Tensor, bf16, f16};

    #[test]
    fn every_half_widens_to_its_value() {
        for bits in 0..=u16::MAX {
            let (a, b) = (f16::from_bits(bits), bf16::from_bits(bits));
            let same = |x: f32, y: f32| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
            assert!(same(a.widen(), a.to_f32()) && same(b.widen(), b.to_f32()), "{bits:#x}");
        }
    }

    #[test]
    fn every_path_gives_the_product_with_the_widened_weights() {
        let mut g = Generator::new(1);
        for (m, k, n) in [(1, 31, 3), (3, 32, 70), (8, 100, 5), (9, 64, 33), (130, 900, 520)] {
            let mut rand = |shape: [usize; 2]| Tensor::randn_with(shape, DType::F32, &mut g);
            let (x, w, before) = (rand([m, k]), rand([n, k]).to_dtype(DType::BF16), rand([m, n]));
            let expected = [x.matmul(&w.to_dtype(DType::F32).t()), x.matmul(&w.to_dtype(DType::F32).t()) + &before];
            let matrix = Matrix { data: x.as_slice::<f32>().unwrap(), offset: 0, row: k as isize, column: 1 };
            let w = Dense { data: w.as_slice::<bf16>().unwrap(), len: k, apart: k };
            for (add, expected) in [Add::Nothing, Add::Output].into_iter().zip(&expected) {
                let size = Size { m, k, n };
                let check = |path: &str, f: &dyn Fn(&mut [f32])| {
                    let mut c = before.copy();
                    f(c.as_slice_mut());
                    assert!(c.allclose(expected, 1e-4, 1e-4), "{path} {m}x{k}x{n}");
                };
                check("chosen", &|c| gemm(size, matrix, &w, add, c));
                check("few", &|c| few(size, matrix, &w, add, c));
                check("portable", &|c| portable::gemm_widened(size, matrix, &w, add, c));
                if let Some(kernel) = f32::kernel() {
                    check("packed", &|c| packed::gemm(size, matrix, Widened(&w), add, c, kernel));
                }
            }
        }
    }
}
