//! Matrix multiplication `C = A B (+ bias or C)` for any strides of A and B.
//!
//! The portable path hands tiles to `matrixmultiply`. On CPUs with AVX2 or AVX-512, each thread packs into panels what it
//! needs of B, and of A where its rows cannot be read as they are, and a register-blocked micro-kernel runs over them (the
//! scheme of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008); with few rows and contiguous
//! columns of B the transposed product is computed, for which only the rows need packing. Products with a few rows only, as
//! in decoding, are limited by memory: `thin` and `stream` read the matrix once. Which path runs, and how it cuts the work,
//! depends on the shape and the CPU, never on the number of threads.

#[cfg(target_arch = "x86_64")]
mod digits;
pub(crate) mod lanes;
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "only kernels for x86-64 ask memory for what comes next")
)]
pub(crate) mod micro;
pub(crate) mod pack;
pub(crate) mod packed;
pub(crate) mod plain;
mod portable;
pub(crate) mod stream;
mod thin;

use crate::dtype::{Float, Number};
use crate::kernels::parallel;
use crate::kernels::simd::Simd;
use micro::{Kernel, Micro};

/// A matrix operand: element `(i, j)` lies at `data[offset + i * row + j * column]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) offset: usize,
    pub(crate) row: isize,
    pub(crate) column: isize,
}

impl<'a, T> Matrix<'a, T> {
    pub(crate) fn transposed(self) -> Self {
        Matrix { row: self.column, column: self.row, ..self }
    }

    /// The same matrix seen from element `(i, j)` on.
    pub(crate) fn from(self, i: usize, j: usize) -> Self {
        let offset = self.offset as isize + i as isize * self.row + j as isize * self.column;
        Matrix { offset: offset as usize, ..self }
    }

    #[inline(always)]
    pub(crate) fn at(&self, i: usize, j: usize) -> usize {
        (self.offset as isize + i as isize * self.row + j as isize * self.column) as usize
    }

    /// Panics unless every element of the `rows x columns` matrix lies in `data`: what the unchecked loops rest on.
    fn check(&self, rows: usize, columns: usize) {
        if rows == 0 || columns == 0 {
            return;
        }
        let reach = |n: usize, stride: isize| (n as isize - 1) * stride;
        let (r, c) = (reach(rows, self.row), reach(columns, self.column));
        let low = self.offset as isize + r.min(0) + c.min(0);
        let high = self.offset as isize + r.max(0) + c.max(0);
        assert!(low >= 0 && (high as usize) < self.data.len(), "a matrix leaves its storage");
    }
}

/// What is added to the product.
#[derive(Clone, Copy)]
pub(crate) enum Add<'a, T> {
    /// Nothing: C is overwritten.
    Nothing,
    /// One number per column of C.
    Bias(&'a [T]),
    /// What C held before.
    Output,
}

impl<'a, T> Add<'a, T> {
    /// The same from column `j` on.
    fn from(self, j: usize) -> Add<'a, T> {
        match self {
            Add::Bias(bias) => Add::Bias(&bias[j..]),
            add => add,
        }
    }
}

/// Element types that can be multiplied; the floats have fast paths.
pub(crate) trait Gemm: Number {
    /// `c[m, n] = a[m, k] b[k, n]`, plus what `add` says. `c` is row-major and contiguous.
    fn gemm(size: Size, a: Matrix<Self>, b: Matrix<Self>, add: Add<Self>, c: &mut [Self]);

    /// The micro-kernel for kernels that pack their panels themselves, such as convolution.
    fn micro_kernel() -> Kernel<Self> {
        plain::kernel()
    }

    /// `a * b + c`; for floats fused where that is fast.
    #[inline(always)]
    fn multiply_add<S: Simd>(a: Self, b: Self, c: Self) -> Self {
        a.times(b).plus(c)
    }
}

/// The sizes of a product `[m, k] x [k, n]`.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
}

/// Float types with a micro-kernel and a `matrixmultiply` routine.
trait FastGemm: Float + micro::Micro + portable::Portable {
    /// The product of a few rows.
    fn thin(size: Size, a: Matrix<Self>, b: Matrix<Self>, add: Add<Self>, c: &mut [Self]) {
        thin::gemm(size, a, b, add, c);
    }
}
impl FastGemm for f32 {
    fn thin(size: Size, a: Matrix<f32>, b: Matrix<f32>, add: Add<f32>, c: &mut [f32]) {
        // The columns of B lie in memory like the rows of a layer's weights: they are read in the same way.
        if b.row == 1 && b.column >= 0 {
            let columns = stream::Dense { data: &b.data[b.offset..], len: size.k, apart: b.column as usize };
            stream::few(size, a, &columns, add, c);
        } else {
            thin::gemm(size, a, b, add, c);
        }
    }
}
impl FastGemm for f64 {}

/// With so many times more columns than rows, contiguous columns of B are not packed but the rows of A.
const FLIPPED: usize = 2;

fn fast<T: FastGemm>(size: Size, a: Matrix<T>, b: Matrix<T>, add: Add<T>, c: &mut [T]) {
    let Size { m, k, n } = size;
    assert_eq!(c.len(), m * n, "the output of a product has m * n elements");
    a.check(m, k);
    b.check(k, n);
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        start(add, n, c);
    } else if n == 1 && m > 1 && !matches!(add, Add::Bias(_)) {
        // A column is a row of the transposed product, and lies in memory in the same way.
        fast(Size { m: 1, k, n: m }, b.transposed(), a.transposed(), add, c);
    } else if m <= thin::ROWS {
        T::thin(size, a, b, add, c);
    } else if let Some(kernel) = T::kernel() {
        if b.row == 1 && n >= FLIPPED * m {
            packed::flipped(size, a, b.transposed(), add, c, kernel);
        } else {
            packed::gemm(size, a, b, add, c, kernel);
        }
    } else {
        portable::gemm(size, a, b, add, c);
    }
}

/// Puts into `c` what the product is added to.
fn start<T: Number>(add: Add<T>, n: usize, c: &mut [T]) {
    match add {
        Add::Nothing => c.fill(T::ZERO),
        Add::Bias(bias) => c.chunks_mut(n).for_each(|row| row.copy_from_slice(bias)),
        Add::Output => {}
    }
}

impl Gemm for f32 {
    fn gemm(size: Size, a: Matrix<f32>, b: Matrix<f32>, add: Add<f32>, c: &mut [f32]) {
        fast(size, a, b, add, c)
    }
    fn micro_kernel() -> Kernel<f32> {
        <f32 as Micro>::kernel().unwrap_or_else(plain::kernel)
    }
    #[inline(always)]
    fn multiply_add<S: Simd>(a: f32, b: f32, c: f32) -> f32 {
        S::mul_add(a, b, c)
    }
}
impl Gemm for f64 {
    fn gemm(size: Size, a: Matrix<f64>, b: Matrix<f64>, add: Add<f64>, c: &mut [f64]) {
        fast(size, a, b, add, c)
    }
    fn micro_kernel() -> Kernel<f64> {
        <f64 as Micro>::kernel().unwrap_or_else(plain::kernel)
    }
    #[inline(always)]
    fn multiply_add<S: Simd>(a: f64, b: f64, c: f64) -> f64 {
        S::mul_add(a, b, c)
    }
}

/// Integers: a plain loop over rows of B, which wraps like all integer arithmetic here.
fn integer<T: Number>(size: Size, a: Matrix<T>, b: Matrix<T>, add: Add<T>, c: &mut [T]) {
    let Size { m, k, n } = size;
    assert_eq!(c.len(), m * n, "the output of a product has m * n elements");
    start(add, n.max(1), c);
    parallel::for_each_chunk(c, n.max(1), |i, row| {
        for p in 0..k {
            let x = a.data[a.at(i, p)];
            for (j, c) in row.iter_mut().enumerate() {
                *c = c.plus(x.times(b.data[b.at(p, j)]));
            }
        }
    });
}
impl Gemm for i64 {
    fn gemm(size: Size, a: Matrix<i64>, b: Matrix<i64>, add: Add<i64>, c: &mut [i64]) {
        integer(size, a, b, add, c)
    }
}
impl Gemm for u8 {
    fn gemm(size: Size, a: Matrix<u8>, b: Matrix<u8>, add: Add<u8>, c: &mut [u8]) {
        integer(size, a, b, add, c)
    }
}

/// Fills a matrix of C, by number, before a product is added to it.
pub(crate) type Start<'a, T> = &'a (dyn Fn(usize, &mut [T]) + Sync);

/// `batch` products of one size, whose results lie one after the other in `c`; `a` and `b` give the operands by number.
/// With `start`, which fills a matrix of `c` by number, they are added to that.
pub(crate) fn batched<'a, T: Gemm>(
    size: Size,
    a: impl Fn(usize) -> Matrix<'a, T> + Sync,
    b: impl Fn(usize) -> Matrix<'a, T> + Sync,
    start: Option<Start<T>>,
    batch: usize,
    c: &mut [T],
) {
    /// A product of more multiplications is spread over threads itself.
    const LARGE: usize = 1 << 24;
    let (each, work) = (size.m * size.n, size.m * size.n * size.k);
    let product = |i: usize, c: &mut [T]| match start {
        None => T::gemm(size, a(i), b(i), Add::Nothing, c),
        Some(start) => {
            start(i, c);
            T::gemm(size, a(i), b(i), Add::Output, c);
        }
    };
    if each == 0 {
        return;
    }
    if batch == 1 || work > LARGE {
        c.chunks_mut(each).enumerate().for_each(|(i, c)| product(i, c));
        return;
    }
    let together = ((1 << 16) / work.max(1)).max(1);
    parallel::for_each_chunk(c, together * each, |chunk, c| {
        c.chunks_mut(each).enumerate().for_each(|(i, c)| product(chunk * together + i, c));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::simd::Level;
    use crate::{DType, Element, Generator, Tensor};

    /// Row-major, transposed, or with gaps.
    fn operand<T: Element>(
        rows: usize,
        columns: usize,
        how: usize,
        g: &mut Generator,
    ) -> (Vec<T>, usize, isize, isize) {
        let n = 3 * (rows + 1) * (columns + 1);
        let dtype = T::DTYPE;
        let data = (Tensor::rand_with([n], DType::F64, g) - 0.5).to_dtype(dtype).to_vec::<T>();
        match how {
            0 => (data, 1, columns as isize, 1),
            1 => (data, 2, 1, rows as isize),
            2 => (data, 0, 2 * columns as isize + 1, 1),
            _ => (data, n - 1, -(columns as isize), -1),
        }
    }

    fn check<T: FastGemm>(tolerance: f64) {
        let mut g = Generator::new(4);
        let sizes = [1, 2, 4, 5, 13, 31, 33, 64, 100];
        for round in 0..240 {
            let mut pick = || sizes[g.below(sizes.len())];
            let mut size = Size { m: pick(), k: pick(), n: pick() };
            // Several blocks of the depth, with each layout of A and of B; and rows that lie a multiple of a page apart.
            match round {
                0 | 21 | 42 | 63 | 100 | 141 => size = Size { m: 130, k: 900, n: 420 },
                // The same with a last column of the product or of its transpose that has no panel of its own; and rows that
                // lie a multiple of a page apart and are read a few times only.
                4 | 8 => size = Size { m: 130, k: 900, n: 97 },
                5 | 6 | 22 => size = Size { m: 97, k: 900, n: 260 },
                12 => size = Size { m: 70, k: 1024, n: 33 },
                7 | 20 => size = Size { m: 97, k: 1024, n: 260 },
                44 => size = Size { m: 7, k: 400, n: 4200 },
                48 => size = Size { m: 70, k: 1024, n: 100 },
                _ => {}
            }
            let Size { m, k, n } = size;
            let (a, ao, ar, ac) = operand::<T>(m, k, round % 4, &mut g);
            let (b, bo, br, bc) = operand::<T>(k, n, round / 4 % 4, &mut g);
            let a = Matrix { data: &a[..], offset: ao, row: ar, column: ac };
            let b = Matrix { data: &b[..], offset: bo, row: br, column: bc };
            let bias: Vec<T> = (0..n).map(|j| T::of(j as f64)).collect();
            let before: Vec<T> = (0..m * n).map(|j| T::of(j as f64 % 7.0)).collect();
            for add in [Add::Nothing, Add::Bias(&bias), Add::Output] {
                let expected: Vec<f64> = (0..m * n)
                    .map(|ij| {
                        let (i, j) = (ij / n, ij % n);
                        let start = match add {
                            Add::Nothing => 0.0,
                            Add::Bias(bias) => bias[j].to_f64(),
                            Add::Output => before[ij].to_f64(),
                        };
                        (0..k).fold(start, |s, p| s + a.data[a.at(i, p)].to_f64() * b.data[b.at(p, j)].to_f64())
                    })
                    .collect();
                let compare = |path: &str, c: &[T]| {
                    for (x, y) in c.iter().zip(&expected) {
                        assert!(
                            (x.to_f64() - y).abs() <= tolerance * (k as f64 + y.abs()),
                            "{path} {m}x{k}x{n}: {x} {y}"
                        );
                    }
                };
                let run = |f: &dyn Fn(&mut [T])| {
                    let mut c = before.clone();
                    f(&mut c);
                    c
                };
                compare("chosen", &run(&|c| fast(size, a, b, add, c)));
                compare("portable", &run(&|c| portable::gemm(size, a, b, add, c)));
                compare("thin", &run(&|c| thin::gemm(size, a, b, add, c)));
                for level in [Level::Avx2, Level::Avx512] {
                    if let Some(kernel) = T::kernel_for(level) {
                        compare("packed", &run(&|c| packed::gemm(size, a, b, add, c, kernel)));
                        compare("flipped", &run(&|c| packed::flipped(size, a, b.transposed(), add, c, kernel)));
                    }
                }
            }
        }
    }

    #[test]
    fn every_path_gives_the_plain_sum_in_f32() {
        check::<f32>(1e-6);
    }

    #[test]
    fn every_path_gives_the_plain_sum_in_f64() {
        check::<f64>(1e-14);
    }
}
