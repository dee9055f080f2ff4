//! Products with a matrix of weights that is stored in some compact format: its rows are widened to f32 as they are read.
//!
//! With a few rows on the left, as in decoding, the memory that the weights are read from is the limit: each is read once
//! and widened in registers. With many rows the panels that the micro-kernel reads are widened while they are packed.

use half::slice::HalfFloatSliceExt;

use super::lanes::{Lanes, WIDTH, at_level};
use super::micro::Micro;
use super::packed::{self, Panels, Rows};
use super::{Add, FLIPPED, Matrix, Size, pack, portable, start};
use crate::kernels::cpu::Reading;
use crate::kernels::parallel::{self, SharedMut};
use crate::kernels::simd::prefetch;
use crate::storage::Storage;
use crate::{DType, bf16, f16};

/// Weights that are widened at a time, and independent partial sums of a dot product.
pub(crate) const LANES: usize = 2 * WIDTH;
/// So many neighbouring weights of a row, in f32.
pub(crate) type Chunk = [[f32; WIDTH]; 2];

/// Up to so many rows on the left the weights are read row by row.
const ROWS: usize = 8;
/// Weights that one block of rows reads: so many that it takes a while until the CPU must find out anew where the next
/// ones are.
const BLOCK: usize = 1 << 17;
/// About so many blocks there are even of a small matrix, so that no thread waits long for the last one of another.
const BLOCKS: usize = 8;

/// Bytes of a cache line.
const LINE: usize = 64;

/// The rows of a matrix of weights, stored in some format.
pub(crate) trait Format: Sync {
    /// One row as it is stored.
    type Row<'a>: Copy
    where
        Self: 'a;

    /// Chunks that lie in one cache line, or 1 if a chunk is longer.
    const TO_A_LINE: usize;

    /// Rows that are read side by side where memory wants few streams: 1 or 2.
    const IN_FEW: usize;
    /// The same where it wants many: 2, 4 or 8. The narrower the weights, the more the registers must do, and the fewer streams
    /// it takes to keep the memory busy.
    const IN_MANY: usize;

    /// Whether memory is asked for ahead: not where a line is used up so soon that the CPU sees what comes next.
    const ASKS: bool = true;

    /// Where a chunk of a row is stored.
    fn at(row: Self::Row<'_>, c: usize) -> *const u8;

    /// A row by its number.
    fn row(&self, row: usize) -> Self::Row<'_>;

    /// Elements `c LANES .. (c + 1) LANES` of a row, all of which it has, without the scale of the row.
    fn chunk<V: Lanes>(row: Self::Row<'_>, c: usize) -> [V; 2];

    /// Adds the products of line `l`, which is `TO_A_LINE` whole chunks, with rows of `x` that went through `arrange`.
    #[inline(always)]
    fn add_line<V: Lanes, const M: usize>(row: Self::Row<'_>, l: usize, x: &[&[Chunk]; M], sums: &mut [[V; 2]; M]) {
        for c in l * Self::TO_A_LINE..(l + 1) * Self::TO_A_LINE {
            add_chunk(Self::chunk(row, c), c, x, sums);
        }
    }

    /// Brings what is multiplied by a line into the order in which `add_line` wants it.
    #[inline(always)]
    fn arrange<V: Lanes>(_x: &mut [Chunk]) {}

    /// Elements from `c LANES` on, `LANES` of them or to the end of the row, and then zeros.
    fn rest<V: Lanes>(row: Self::Row<'_>, c: usize) -> [V; 2];

    /// What the elements of the row are multiplied by after they are widened.
    fn scale(&self, _row: usize) -> f32 {
        1.0
    }
}

/// Adds the products of chunk `c` of the weights, which is `w`, with `M` rows of `x`.
#[inline(always)]
fn add_chunk<V: Lanes, const M: usize>(w: [V; 2], c: usize, x: &[&[Chunk]; M], sums: &mut [[V; 2]; M]) {
    for (sums, x) in sums.iter_mut().zip(x) {
        for v in 0..2 {
            sums[v] = sums[v].add_product(w[v], V::of_f32(&x[c][v]));
        }
    }
}

/// Weights stored one element after the other.
pub(crate) trait Widen: Copy + Default + Send + Sync {
    /// The elements as f32, exactly.
    fn widen<V: Lanes>(x: &[Self; WIDTH]) -> V;
}
impl Widen for f32 {
    #[inline(always)]
    fn widen<V: Lanes>(x: &[f32; WIDTH]) -> V {
        V::of_f32(x)
    }
}

/// The same memory as bits: a copy would not be taken away by the compiler.
#[inline(always)]
fn bits<H>(x: &[H; WIDTH]) -> &[u16; WIDTH]
where
    [H]: HalfFloatSliceExt,
{
    x.reinterpret_cast().first_chunk().expect("as many bits as halves")
}

impl Widen for bf16 {
    #[inline(always)]
    fn widen<V: Lanes>(x: &[bf16; WIDTH]) -> V {
        V::of_bf16(bits(x))
    }
}
impl Widen for f16 {
    #[inline(always)]
    fn widen<V: Lanes>(x: &[f16; WIDTH]) -> V {
        V::of_f16(bits(x))
    }
}

/// Chunk `c` of a row of elements.
#[inline(always)]
pub(crate) fn whole<T>(row: &[T], c: usize) -> [&[T; WIDTH]; 2] {
    let [low, high] = row.as_chunks::<LANES>().0[c].as_chunks::<WIDTH>().0 else { unreachable!("two halves") };
    [low, high]
}

/// The `i`-th `N` elements of a row that has them.
#[inline(always)]
pub(crate) fn nth<T, const N: usize>(row: &[T], i: usize) -> &[T; N] {
    &row.as_chunks().0[i]
}

/// The elements of a row from chunk `c` on, filled with zeros.
#[inline(always)]
pub(crate) fn filled<T: Copy + Default>(row: &[T], c: usize) -> [T; LANES] {
    let mut chunk = [T::default(); LANES];
    let rest = &row[c * LANES..row.len().min((c + 1) * LANES)];
    chunk[..rest.len()].copy_from_slice(rest);
    chunk
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

    const TO_A_LINE: usize = (LINE / (LANES * size_of::<W>())).saturating_sub(1) + 1;
    const IN_FEW: usize = size_of::<W>() / 2;
    const IN_MANY: usize = 2 * size_of::<W>();
    const ASKS: bool = size_of::<W>() < size_of::<f32>();

    #[inline(always)]
    fn at(row: &[W], c: usize) -> *const u8 {
        row.as_ptr().wrapping_add(c * LANES).cast()
    }
    #[inline(always)]
    fn row(&self, row: usize) -> &[W] {
        &self.data[row * self.apart..][..self.len]
    }
    #[inline(always)]
    fn chunk<V: Lanes>(row: &[W], c: usize) -> [V; 2] {
        whole(row, c).map(W::widen)
    }
    #[inline(always)]
    fn rest<V: Lanes>(row: &[W], c: usize) -> [V; 2] {
        whole(&filled(row, c), 0).map(W::widen)
    }
}

/// The dot products of some rows of the weights with `M` rows of `x`, which are filled with zeros to whole chunks.
///
/// Several rows are read side by side: the elements of `x` are loaded once for all of them, there are sums enough to hide
/// the latency of a multiply-add, and while those of one row are added up the next rows are not waiting.
#[inline(always)]
fn dots<V: Lanes, F: Format, const M: usize, const R: usize>(
    w: &F,
    rows: [usize; R],
    k: usize,
    x: &[Chunk],
    ahead: Option<usize>,
) -> [[f32; M]; R] {
    let (whole, chunks) = (k / LANES, k.div_ceil(LANES));
    let stored: [F::Row<'_>; R] = rows.map(|row| w.row(row));
    let x: [&[Chunk]; M] = std::array::from_fn(|i| &x[i * chunks..][..chunks]);
    let mut sums = [[[V::splat(0.0); 2]; M]; R];
    let lines = whole / F::TO_A_LINE;
    for l in 0..lines {
        for (sums, &stored) in sums.iter_mut().zip(&stored) {
            if let (true, Some(ahead)) = (F::ASKS, ahead) {
                prefetch(F::at(stored, l * F::TO_A_LINE).wrapping_add(ahead));
            }
            F::add_line(stored, l, &x, sums);
        }
    }
    for (sums, &stored) in sums.iter_mut().zip(&stored) {
        for c in lines * F::TO_A_LINE..whole {
            add_chunk(F::chunk(stored, c), c, &x, sums);
        }
        if whole < chunks {
            add_chunk(F::rest(stored, whole), whole, &x, sums);
        }
    }
    // Loops, not maps of arrays: their closures lack the vector instructions, and calls would take longer than a row.
    let mut dots = [[0.0; M]; R];
    for r in 0..R {
        for i in 0..M {
            dots[r][i] = w.scale(rows[r]) * V::total(sums[r][i]);
        }
    }
    dots
}

/// Rows of the output from `first` on, each `n` long.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    c: SharedMut<f32>,
    first: usize,
    n: usize,
}

/// Adds the products of rows `rows` of the weights with `M` rows of `x` to the output.
///
/// `R` rows of the weights are read at a time, each from a part of the block of its own: memory is read faster in several
/// streams, each of which runs on from row to row, than in one that jumps over what was read beside it.
#[inline(always)]
fn add_block<V: Lanes, F: Format, const M: usize, const R: usize>(
    w: &F,
    rows: std::ops::Range<usize>,
    k: usize,
    x: &[Chunk],
    to: Output,
    ahead: Option<usize>,
) {
    let Output { c, first, n } = to;
    let add = |j: usize, dots: [f32; M]| {
        for (i, dot) in dots.into_iter().enumerate() {
            // SAFETY: columns `rows` of the output belong to this block alone.
            let c = unsafe { c.slice((first + i) * n + j, 1) };
            c[0] += dot;
        }
    };
    let part = rows.len() / R;
    for step in 0..part {
        let together: [usize; R] = std::array::from_fn(|r| rows.start + r * part + step);
        for (j, &dots) in together.into_iter().zip(&dots::<V, F, M, R>(w, together, k, x, ahead)) {
            add(j, dots);
        }
    }
    for j in rows.start + R * part..rows.end {
        add(j, dots::<V, F, M, 1>(w, [j], k, x, ahead)[0]);
    }
}

at_level! {
    // The columns `rows` of the product with one, two or four rows of `x`.
    fn block<F: Format, V>(
        w: &F,
        rows: std::ops::Range<usize>,
        k: usize,
        m: usize,
        x: &[Chunk],
        to: Output,
        reading: Reading
    ) {
        // So many rows of the weights that their sums fit into the registers of AVX-512. With those of AVX2 the sums of eight
        // rows go through the first-level cache, which is still faster than memory in fewer streams where it wants many. Two
        // rows of `x` have two rows of the weights at least: one alone has too few sums to hide the latency.
        let ahead = reading.ahead();
        match (m, reading.rows(F::IN_FEW, F::IN_MANY) / m) {
            (1, 1) => add_block::<V, F, 1, 1>(w, rows, k, x, to, ahead),
            (1, 8) => add_block::<V, F, 1, 8>(w, rows, k, x, to, ahead),
            (1, 4) => add_block::<V, F, 1, 4>(w, rows, k, x, to, ahead),
            (1, _) => add_block::<V, F, 1, 2>(w, rows, k, x, to, ahead),
            (2, 4) => add_block::<V, F, 2, 4>(w, rows, k, x, to, ahead),
            (2, _) => add_block::<V, F, 2, 2>(w, rows, k, x, to, ahead),
            (_, 2) => add_block::<V, F, 4, 2>(w, rows, k, x, to, ahead),
            _ => add_block::<V, F, 4, 1>(w, rows, k, x, to, ahead),
        }
    }
}

at_level! {
    // Arranges a row of `x`.
    fn arrange<F: Format, V>(_w: &F, x: &mut [Chunk]) {
        for line in x.chunks_exact_mut(F::TO_A_LINE) {
            F::arrange::<V>(line);
        }
    }
}

at_level! {
    // Elements `from ..` of a row of the weights.
    fn widen_row<F: Format, V>(w: &F, row: usize, from: usize, to: &mut [f32]) {
        let (stored, scale) = (w.row(row), w.scale(row));
        let mut done = 0;
        while done < to.len() {
            let (c, skip) = ((from + done) / LANES, (from + done) % LANES);
            let len = (LANES - skip).min(to.len() - done);
            // A chunk that is wanted to its end is a whole one.
            let chunk = if skip + len == LANES { F::chunk::<V>(stored, c) } else { F::rest(stored, c) };
            let chunk = chunk.map(V::to_array);
            for (to, &x) in to[done..][..len].iter_mut().zip(&chunk.as_flattened()[skip..]) {
                *to = scale * x;
            }
            done += len;
        }
    }
}

/// Rows of `x` brought together, each filled with zeros to whole chunks, which begin with a cache line: a vector that lies
/// in two lines is loaded twice.
fn packed_rows(m: usize, k: usize, x: Matrix<f32>) -> Storage {
    let width = k.next_multiple_of(LANES);
    let mut rows = Storage::new(DType::F32, m * width);
    for (i, row) in rows.as_slice_mut::<f32>().chunks_exact_mut(width).enumerate() {
        for (p, element) in row[..k].iter_mut().enumerate() {
            *element = x.data[x.at(i, p)];
        }
        row[k..].fill(0.0);
    }
    rows
}

/// Numbers as chunks, as many as are whole.
fn as_chunks(x: &mut [f32]) -> &mut [Chunk] {
    x.as_chunks_mut().0.as_chunks_mut().0
}

/// With few rows on the left: `c = x w^T`, plus what `add` says, reading each weight once.
pub(super) fn few<F: Format>(size: Size, x: Matrix<f32>, w: &F, add: Add<f32>, c: &mut [f32]) {
    few_in(Reading::of_this_cpu(), size, x, w, add, c);
}

/// [`few`] in few or many streams: the result is the same.
fn few_in<F: Format>(reading: Reading, size: Size, x: Matrix<f32>, w: &F, add: Add<f32>, c: &mut [f32]) {
    let Size { m, k, n } = size;
    start(add, n, c);
    let (mut x, chunks) = (packed_rows(m, k, x), k.div_ceil(LANES));
    let x = as_chunks(x.as_slice_mut());
    for x in x.chunks_mut(chunks) {
        arrange(w, &mut x[..k / LANES]);
    }
    let rows = (BLOCK / k.max(1)).clamp(1, n.div_ceil(BLOCKS)).next_multiple_of(reading.rows(F::IN_FEW, F::IN_MANY));
    let out = SharedMut::new(c);
    let work = |b: usize| {
        let range = b * rows..((b + 1) * rows).min(n);
        let mut i = 0;
        while i < m {
            let together = [4, 2, 1].into_iter().find(|&t| t <= m - i).expect("i < m");
            block(w, range.clone(), k, together, &x[i * chunks..], Output { c: out, first: i, n }, reading);
            i += together;
        }
    };
    if m * n * k < parallel::GRAIN {
        (0..n.div_ceil(rows)).for_each(work);
    } else {
        parallel::for_each_block(n.div_ceil(rows), work);
    }
}

/// The columns of `w^T` as the panels of a product, or the rows of `w`.
struct Widened<'a, F>(&'a F);

impl<F> Widened<'_, F> {
    /// Elements `p ..` of rows `first ..`, as many as there is room for.
    fn rows(&self, first: usize, p: usize, deep: usize, to: &mut [f32])
    where
        F: Format,
    {
        for (q, row) in to.chunks_exact_mut(deep).enumerate() {
            widen_row(self.0, first + q, p, row);
        }
    }
}

impl<F: Format> Rows<f32> for Widened<'_, F> {
    fn in_rows(&self, _: usize) -> bool {
        true
    }

    fn made(&self, all: usize) -> usize {
        all
    }

    fn block<'s>(&'s self, row: usize, p: usize, height: usize, deep: usize, room: &'s mut [f32]) -> Matrix<'s, f32> {
        self.rows(row, p, deep, &mut room[..height * deep]);
        Matrix { data: room, offset: 0, row: deep as isize, column: 1 }
    }
}

impl<F: Format> Panels<f32> for Widened<'_, F> {
    fn pack(&self, column: usize, p: usize, count: usize, unit: usize, deep: usize, to: &mut [f32]) {
        let mut store = Storage::new(DType::F32, count * deep);
        let rows = store.as_slice_mut::<f32>();
        self.rows(column, p, deep, rows);
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
        if n >= FLIPPED * m {
            packed::flipped(size, x, Widened(w), add, c, kernel);
        } else {
            packed::gemm(size, x, Widened(w), add, c, kernel);
        }
    } else {
        portable::gemm_widened(size, x, w, add, c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Generator, Tensor};

    #[test]
    fn every_path_gives_the_product_with_the_widened_weights() {
        let mut g = Generator::new(1);
        for (m, k, n) in
            [(1, 31, 3), (3, 32, 70), (8, 100, 5), (9, 64, 33), (130, 900, 520), (97, 900, 300), (130, 900, 97)]
        {
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
                for reading in [Reading::Few, Reading::FewFar, Reading::Many] {
                    check(&format!("{reading:?}"), &|c| few_in(reading, size, matrix, &w, add, c));
                }
                check("portable", &|c| portable::gemm_widened(size, matrix, &w, add, c));
                if let Some(kernel) = f32::kernel() {
                    check("packed", &|c| packed::gemm(size, matrix, Widened(&w), add, c, kernel));
                    check("flipped", &|c| packed::flipped(size, matrix, Widened(&w), add, c, kernel));
                }
            }
        }
    }
}
