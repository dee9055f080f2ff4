//! Matrices of weights in 8 or 4 bits: a quarter or a seventh of the memory of f32, read as fast.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::error::OrPanic;
use crate::kernels::gemm::stream::{Format, LANES, widen_row};
use crate::kernels::parallel::{self, GRAIN, SharedMut};
use crate::kernels::quantized::{self, Int4, Int8};
use crate::ops::index::Negative;
use crate::ops::matmul::{linear_in, linear_shape};
use crate::{DType, Error, Result, Tensor, bf16};

/// How a [`QuantizedMatrix`] stores its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Whole numbers from -127 to 127 and one f32 scale per row, the largest magnitude of the row over 127.
    Int8,
    /// Whole numbers from -8 to 7 and one bf16 scale per `group` neighbours of a row (32, 64 or 128): the element of the largest
    /// magnitude over -8, cut to a bf16. That is 4.5 bits per element with groups of 32.
    Int4 {
        /// Neighbours in a row that share a scale.
        group: usize,
    },
}

impl Precision {
    /// 4 bits with groups of 32, the most accurate.
    pub const INT4: Precision = Precision::Int4 { group: 32 };
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Precision::Int8 => f.write_str("int8"),
            Precision::Int4 { group } => write!(f, "int4/{group}"),
        }
    }
}

/// A matrix `[out, in]` of weights in few bits: `w[i, j] ≈ scale * code[i, j]` with small whole numbers as codes.
///
/// Only the weights are quantised: products widen them to f32 while they are read and multiply and add in f32 (or in whole numbers,
/// see [`linear`](QuantizedMatrix::linear)). With a few rows on the left, as in the decoding of text, the memory that the weights are
/// read from limits the speed: fewer bits are faster; with many rows a product costs what it costs in f32. A clone shares the memory.
///
/// # Numerics
/// Codes are rounded to the nearest, ties to even, so that in [`Precision::Int8`] an element is at most half a scale off, which
/// is 1/254 of the largest magnitude in its row. In [`Precision::Int4`] it is also at most half a scale off, 1/16 of the largest magnitude
/// in its group, but for elements on the other side of zero than that and nearly as large: these, for which there is no
/// code 8, may be 17/16 of a scale off. On normally distributed weights the root mean square of the errors is 0.008 (int8,
/// rows of 768), 0.086 (int4, groups of 32) or 0.095 (groups of 64) standard deviations. An offset per group as well would
/// give 0.090 in groups of 64, at the memory of the 0.086.
///
/// Scales are at least the smallest normal f32, and a row or group of zeros has the scale 0.
///
/// ```
/// use tensor::{DType, Precision, QuantizedMatrix, Tensor};
/// let w = Tensor::randn([64, 32], DType::F32);
/// let q = QuantizedMatrix::quantize(&w, Precision::Int8)?;
/// assert!(q.dequantize().allclose(&w, 0.0, 0.02));
/// let x = Tensor::randn([2, 32], DType::F32);
/// assert!(q.linear(&x, None).allclose(&x.linear(&q.dequantize(), None), 1e-5, 1e-5));
/// assert_eq!(q.nbytes(), 64 * 32 + 64 * 4);
/// # Ok::<(), tensor::Error>(())
/// ```
///
/// # Source
/// Int8: "absmax" of Dettmers et al., "LLM.int8()", 2022, section 2.1, row by row. Int4: the format `Q4_0` of llama.cpp in
/// other bytes.
#[derive(Clone)]
pub struct QuantizedMatrix {
    dims: [usize; 2],
    precision: Precision,
    /// u8 `[out, bytes of a row]`.
    codes: Tensor,
    /// `[out]` in f32, or `[out, groups]` in bf16.
    scales: Tensor,
}

/// Runs `$body` with `$w` standing for the matrix's format.
macro_rules! with_format {
    ($matrix:expr, $w:ident => $body:expr) => {{
        let matrix: &QuantizedMatrix = $matrix;
        let codes = matrix.codes.as_slice::<u8>().expect("made contiguous");
        match matrix.precision {
            Precision::Int8 => {
                let scales = matrix.scales.as_slice::<f32>().expect("made contiguous");
                let $w = Int8 { codes, scales, len: matrix.dims[1] };
                $body
            }
            Precision::Int4 { group } => {
                let scales = matrix.scales.as_slice::<bf16>().expect("made contiguous");
                let (groups, shift) = (matrix.dims[1].div_ceil(group), (group / LANES).ilog2());
                let $w = Int4 { codes, scales, shift, groups };
                $body
            }
        }
    }};
}

/// Writes the codes of a row, by its number and its elements, and says whether it could.
type Write<'a> = &'a (dyn Fn(usize, &[f32], &mut [u8]) -> bool + Sync);

impl QuantizedMatrix {
    /// The matrix with its elements rounded to `precision`. It is read in blocks: no f32 copy of all of it is made.
    ///
    /// # Errors
    /// If this is no matrix of floats, an element is NaN or infinite (also after rounding an f64 to f32), or the group is none of 32, 64 and 128.
    ///
    /// ```
    /// use tensor::{Precision, QuantizedMatrix, Tensor};
    /// let error = QuantizedMatrix::quantize(&Tensor::from([[1.0f32], [f32::NAN]]), Precision::Int8).unwrap_err();
    /// assert_eq!(error.to_string(), "quantize: row 1 of the matrix [2, 1] has an element that is NaN or infinite");
    /// ```
    pub fn quantize(weight: &Tensor, precision: Precision) -> Result<QuantizedMatrix> {
        let &[rows, len] = weight.dims() else {
            return Err(Error::shape("quantize", "not a matrix", &[("weight", weight.dims())], "[out, in]"));
        };
        if !weight.dtype().is_floating_point() {
            return Err(Error::dtype("quantize", format!("takes floats, got {}", weight.dtype())));
        }
        let (bytes, scales_of_row, dtype) = match precision {
            Precision::Int8 => (len, 1, DType::F32),
            Precision::Int4 { group: group @ (32 | 64 | 128) } => {
                (len.div_ceil(group) * (group / 2), len.div_ceil(group), DType::BF16)
            }
            Precision::Int4 { group } => {
                return Err(Error::value("quantize", format!("a group has 32, 64 or 128 elements, not {group}")));
            }
        };
        let mut codes = Tensor::zeros([rows, bytes], DType::U8);
        let mut scales = Tensor::zeros([rows, scales_of_row], dtype);
        // So many rows are converted to contiguous f32 at a time.
        let block = (64 * GRAIN / len.max(1)).max(1);
        for first in (0..rows).step_by(block) {
            let count = block.min(rows - first);
            let floats = weight.narrow(0, first as isize, count).to_dtype(DType::F32).contiguous();
            let floats = floats.as_slice::<f32>().expect("made contiguous");
            let bad = AtomicUsize::new(usize::MAX);
            let codes = SharedMut::new(&mut codes.as_slice_mut::<u8>()[first * bytes..]);
            let each = |write: Write| {
                let together = (GRAIN / len.max(1)).max(1);
                parallel::for_each_block(count.div_ceil(together), |b| {
                    for row in b * together..count.min((b + 1) * together) {
                        // SAFETY: each row belongs to one block.
                        let codes = unsafe { codes.slice(row * bytes, bytes) };
                        if !write(row, &floats[row * len..][..len], codes) {
                            bad.fetch_min(first + row, Relaxed);
                        }
                    }
                });
            };
            match precision {
                Precision::Int8 => {
                    let scales = SharedMut::new(&mut scales.as_slice_mut::<f32>()[first..]);
                    each(&|row, x, codes| {
                        let scale = quantized::to_int8(x, codes);
                        // SAFETY: the row's own scale.
                        let to = unsafe { scales.slice(row, 1) };
                        to[0] = scale.unwrap_or(0.0);
                        scale.is_some()
                    });
                }
                Precision::Int4 { group } => {
                    let scales = SharedMut::new(&mut scales.as_slice_mut::<bf16>()[first * scales_of_row..]);
                    each(&|row, x, codes| {
                        // SAFETY: the row's own scales.
                        let scales = unsafe { scales.slice(row * scales_of_row, scales_of_row) };
                        quantized::to_int4(x, group, codes, scales).is_some()
                    });
                }
            }
            let row = bad.into_inner();
            if row != usize::MAX {
                let what =
                    format!("row {row} of the matrix {:?} has an element that is NaN or infinite", weight.dims());
                return Err(Error::value("quantize", what));
            }
        }
        Ok(QuantizedMatrix { dims: [rows, len], precision, codes, scales })
    }

    /// The sizes, `[out, in]`.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// How the elements are stored.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The bytes of codes and scales.
    pub fn nbytes(&self) -> usize {
        self.codes.numel() + self.scales.numel() * self.scales.dtype().size_in_bytes()
    }

    /// Rows `start .. start + len`, in the same memory.
    ///
    /// # Panics
    /// If there are no such rows.
    ///
    /// ```
    /// use tensor::{DType, Precision, QuantizedMatrix, Tensor};
    /// let all = QuantizedMatrix::quantize(&Tensor::randn([6, 40], DType::F32), Precision::INT4)?;
    /// assert!(all.narrow(2, 3).dequantize().bit_eq(&all.dequantize().narrow(0, 2, 3)));
    /// # Ok::<(), tensor::Error>(())
    /// ```
    #[track_caller]
    pub fn narrow(&self, start: usize, len: usize) -> QuantizedMatrix {
        let [codes, scales] = [&self.codes, &self.scales].map(|part| part.narrow(0, start as isize, len));
        QuantizedMatrix { dims: [len, self.dims[1]], precision: self.precision, codes, scales }
    }

    /// The matrix in f32, every element its code times its scale.
    pub fn dequantize(&self) -> Tensor {
        with_format!(self, w => Tensor::build::<f32>(self.dims, |out| widen_rows(&w, self.dims[1], |i| i, out)))
    }

    /// Row `ids[..]` of the matrix for every index, in f32: a table lookup.
    ///
    /// # Shape
    /// ids `[..]` `-> [.., in]`
    ///
    /// # Panics
    /// If `ids` is not i64 or i32, or an index is out of range.
    ///
    /// ```
    /// use tensor::{Precision, QuantizedMatrix, Tensor};
    /// let table = QuantizedMatrix::quantize(&Tensor::from([[0.0f32, 127.0], [1.0, -2.0]]), Precision::Int8)?;
    /// assert_eq!(table.rows(&Tensor::from([0i64, 0])).to_vec::<f32>(), [0.0, 127.0, 0.0, 127.0]);
    /// # Ok::<(), tensor::Error>(())
    /// ```
    #[track_caller]
    pub fn rows(&self, ids: &Tensor) -> Tensor {
        let checked = Tensor::indices("rows", &ids.ravel(), self.dims[0], Negative::Refused);
        let of_row = checked.as_slice::<i64>().expect("made contiguous");
        let mut shape = ids.dims().to_vec();
        shape.push(self.dims[1]);
        with_format!(self, w => Tensor::build::<f32>(shape, |out| {
            widen_rows(&w, self.dims[1], |i| of_row[i] as usize, out)
        }))
    }

    /// `x w^T + bias`: [`Tensor::linear`] with this matrix as its weight.
    ///
    /// # Shape
    /// `x [.., in]`, `bias [out]` -> `[.., out]`
    ///
    /// # Numerics
    /// In f32, whatever the dtype of `x`; only if `x` or the bias is f64, in f64. A few rows give the bits that each of them
    /// gives alone. The bits do not depend on the number of threads. With 4-bit numbers and AVX-512 VNNI each whole 128 neighbours
    /// in a few rows of `x` are rounded to about 2^-23 of the greatest (1.2e-38 at least); one that is not finite gives NaN.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn linear(&self, x: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let shape = linear_shape(x.dims(), &self.dims, bias.map(Tensor::dims)).or_panic();
        if x.dtype() == DType::F64 || bias.is_some_and(|bias| bias.dtype() == DType::F64) {
            return x.linear(&self.dequantize(), bias);
        }
        with_format!(self, w => linear_in(x, &w, bias, shape))
    }
}

impl fmt::Debug for QuantizedMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuantizedMatrix({:?}, {})", self.dims, self.precision)
    }
}

/// Writes rows of `len` weights, the `i`-th of `out` being the `row(i)`-th of `w`.
fn widen_rows<F: Format>(w: &F, len: usize, row: impl Fn(usize) -> usize + Sync, out: &mut [f32]) {
    let together = (GRAIN / len.max(1)).max(1);
    parallel::for_each_chunk(out, together * len, |b, out| {
        out.chunks_mut(len.max(1)).enumerate().for_each(|(i, out)| widen_row(w, row(b * together + i), 0, out));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;
    use proptest::prelude::*;

    const ALL: [Precision; 4] =
        [Precision::Int8, Precision::INT4, Precision::Int4 { group: 64 }, Precision::Int4 { group: 128 }];

    fn randn(shape: &[usize], g: &mut Generator) -> Tensor {
        Tensor::randn_with(shape, DType::F32, g)
    }

    /// The largest error that an element of a row may have, by the formulas of the documentation.
    fn check_errors(w: &Tensor, precision: Precision) {
        let q = QuantizedMatrix::quantize(w, precision).unwrap();
        assert_eq!((q.dims(), q.precision()), (w.dims(), precision));
        let back = q.dequantize();
        let len = w.dims()[1];
        let group = if let Precision::Int4 { group } = precision { group } else { len };
        for (w, back) in w.to_vec::<f32>().chunks(len.max(1)).zip(back.to_vec::<f32>().chunks(len.max(1))) {
            for (w, back) in w.chunks(group.max(1)).zip(back.chunks(group.max(1))) {
                let end = w.iter().fold(0.0f32, |m, &x| if x.abs() > m.abs() { x } else { m }) as f64;
                let least = f32::MIN_POSITIVE as f64;
                for (&x, &y) in w.iter().zip(back) {
                    let (x, y) = (x as f64, y as f64);
                    let error = (x - y).abs();
                    // A little above half a scale: the scale itself and its product with a code are rounded.
                    match precision {
                        Precision::Int8 => assert!(error <= (end.abs() / 127.0).max(least) * 0.50002, "{x} {y} {end}"),
                        Precision::Int4 { .. } => {
                            let scale = (end.abs() / 8.0).max(least);
                            // Cutting off makes the scale up to 1/128 smaller.
                            let far = x * end < 0.0 && x.abs() > 7.4 * scale;
                            assert!(error <= scale * if far { 17.0 / 16.0 } else { 0.5 } * 1.00001, "{x} {y} {end}");
                        }
                    }
                    assert!(y.is_finite() && x * y >= 0.0);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn elements_are_off_by_half_a_scale(
            (rows, len) in (0usize..4, 0usize..200), scale in -44.0f64..38.0, seed in 0u64..1000, which in 0usize..4
        ) {
            let w = randn(&[rows, len], &mut Generator::new(seed)) * 10f64.powf(scale.min(37.0));
            check_errors(&w, ALL[which]);
        }
    }

    #[test]
    fn extreme_elements_stay_finite_and_zeros_stay_zeros() {
        for precision in ALL {
            for x in [f32::MAX, -f32::MAX, f32::MIN_POSITIVE, -f32::from_bits(1), 0.0] {
                check_errors(&Tensor::from([[x, 0.0, x / 3.0, -x]]), precision);
                check_errors(&Tensor::from([[x], [0.0], [-x]]), precision);
            }
        }
        // Every code comes back.
        let codes = Tensor::arange(-127.0, 128.0, 1.0, DType::F32).reshape([1, 255]);
        let q = QuantizedMatrix::quantize(&codes, Precision::Int8).unwrap();
        assert!(q.dequantize().bit_eq(&codes));
        let codes = Tensor::arange(-8.0, 8.0, 1.0, DType::F32).reshape([1, 16]);
        let q = QuantizedMatrix::quantize(&codes, Precision::INT4).unwrap();
        assert!(q.dequantize().bit_eq(&codes));
        // Ties go to the even neighbour.
        let ties = Tensor::from([[127.0f32, 0.5, 1.5, 2.5, -0.5, -1.5]]);
        let q = QuantizedMatrix::quantize(&ties, Precision::Int8).unwrap();
        assert_eq!(q.dequantize().to_vec::<f32>(), [127.0, 0.0, 2.0, 2.0, 0.0, -2.0]);
    }

    #[test]
    fn the_documented_errors_are_measured_ones() {
        let w = randn(&[512, 768], &mut Generator::new(1));
        let rms = |precision| {
            let d = QuantizedMatrix::quantize(&w, precision).unwrap().dequantize() - &w;
            (&d * &d).mean().sqrt().item::<f64>()
        };
        let close = |x: f64, y: f64| assert!((x - y).abs() < 0.01 * y, "{x} {y}");
        close(rms(Precision::Int8), 0.00767);
        close(rms(Precision::INT4), 0.0858);
        close(rms(Precision::Int4 { group: 64 }), 0.0947);
    }

    #[test]
    fn products_are_those_of_the_dequantised_matrix() {
        let mut g = Generator::new(2);
        for (round, precision) in (0..8).flat_map(|_| ALL).enumerate() {
            for (out, len) in [(5, 3), (1, 32), (3, 64), (70, 100), (33, 257), (130, 96), (2, 0), (0, 7)] {
                let q = QuantizedMatrix::quantize(&randn(&[out, len], &mut g), precision).unwrap();
                let (plain, bias) = (q.dequantize(), randn(&[out], &mut g));
                let bias = (round % 3 != 0).then_some(&bias);
                let inputs = [
                    randn(&[len], &mut g),
                    randn(&[1 + round, len], &mut g),
                    randn(&[len, 3], &mut g).t(),
                    randn(&[2, 3, len], &mut g).transpose(0, 1),
                    randn(&[4, 2 * len], &mut g).narrow(1, 0, len),
                    randn(&[2, 9, len], &mut g).flip(&[-1]),
                    randn(&[1, len], &mut g).expand([40, len]),
                    randn(&[0, len], &mut g),
                ];
                for x in inputs {
                    let (y, expected) = (q.linear(&x, bias), x.linear(&plain, bias));
                    assert!(y.shape() == expected.shape() && y.dtype() == DType::F32);
                    assert!(y.allclose(&expected, 1e-5, 2e-5), "{q:?} {x}\n{y}\n{expected}");
                }
            }
        }
    }

    #[test]
    fn rows_of_a_batch_are_bits_of_single_rows_and_of_any_number_of_threads() {
        let mut g = Generator::new(3);
        for precision in ALL {
            let q = QuantizedMatrix::quantize(&randn(&[300, 515], &mut g), precision).unwrap();
            for m in 1..9 {
                let x = randn(&[m, 515], &mut g);
                let y = q.linear(&x, None);
                for i in 0..m {
                    let alone = q.linear(&x.narrow(0, i as isize, 1), None);
                    assert!(alone.bit_eq(&y.narrow(0, i as isize, 1)), "{q:?} row {i} of {m}");
                }
            }
        }
    }

    #[test]
    fn inputs_of_other_dtypes_are_widened() {
        let mut g = Generator::new(4);
        let q = QuantizedMatrix::quantize(&randn(&[6, 40], &mut g), Precision::Int8).unwrap();
        let x = randn(&[3, 40], &mut g);
        for dtype in [DType::F16, DType::BF16] {
            let x = x.to_dtype(dtype);
            assert!(q.linear(&x, None).bit_eq(&q.linear(&x.to_dtype(DType::F32), None)));
        }
        let x = x.to_dtype(DType::F64);
        let y = q.linear(&x, None);
        assert!(y.dtype() == DType::F64 && y.allclose(&x.matmul(&q.dequantize().t()), 1e-12, 1e-12));
        for dtype in [DType::F64, DType::F16, DType::BF16] {
            let w = randn(&[4, 33], &mut g).to_dtype(dtype);
            let other = QuantizedMatrix::quantize(&w.to_dtype(DType::F32), Precision::INT4).unwrap();
            let q = QuantizedMatrix::quantize(&w, Precision::INT4).unwrap();
            assert!(q.dequantize().bit_eq(&other.dequantize()));
        }
    }

    #[test]
    fn views_are_quantised_as_their_copies() {
        let mut g = Generator::new(5);
        for precision in ALL {
            for w in [
                randn(&[40, 7], &mut g).t(),
                randn(&[9, 80], &mut g).narrow(1, 3, 70),
                randn(&[1, 70], &mut g).expand([5, 70]),
            ] {
                let [view, copy] =
                    [&w, &w.copy()].map(|w| QuantizedMatrix::quantize(w, precision).unwrap().dequantize());
                assert!(view.bit_eq(&copy));
            }
        }
    }

    #[test]
    fn rows_are_those_of_the_dequantised_matrix() {
        let mut g = Generator::new(6);
        for precision in ALL {
            let q = QuantizedMatrix::quantize(&randn(&[11, 70], &mut g), precision).unwrap();
            for ids in
                [Tensor::from([[3i64, 10, 0], [3, 3, 1]]), Tensor::scalar(7i64), Tensor::zeros([0, 2], DType::I64)]
            {
                assert!(q.rows(&ids).bit_eq(&q.dequantize().embedding(&ids)), "{ids}");
            }
        }
    }

    #[test]
    fn sizes_are_a_quarter_and_a_seventh() {
        let w = Tensor::zeros([64, 768], DType::F32);
        let nbytes = |precision| QuantizedMatrix::quantize(&w, precision).unwrap().nbytes();
        assert_eq!(nbytes(Precision::Int8), 64 * (768 + 4));
        assert_eq!(nbytes(Precision::INT4), 64 * (384 + 24 * 2));
        assert_eq!(nbytes(Precision::Int4 { group: 128 }), 64 * (384 + 6 * 2));
    }

    #[test]
    fn mistakes_are_explained() {
        let error = |w: Tensor, precision| QuantizedMatrix::quantize(&w, precision).unwrap_err().to_string();
        let says = |message: String, what: &str| assert!(message.contains(what), "{message}");
        says(error(Tensor::zeros([3], DType::F32), Precision::Int8), "not a matrix");
        says(error(Tensor::zeros([3, 3], DType::I64), Precision::Int8), "takes floats, got i64");
        says(error(Tensor::zeros([3, 3], DType::F32), Precision::Int4 { group: 48 }), "32, 64 or 128 elements, not 48");
        for precision in ALL {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut w = Tensor::ones([2000, 40], DType::F32);
                w.as_slice_mut::<f32>()[1500 * 40 + 39] = bad;
                says(error(w, precision), "row 1500 of the matrix [2000, 40] has an element that is NaN or infinite");
            }
        }
        says(error(Tensor::from([[1e300]]), Precision::Int8), "NaN or infinite");
    }

    #[test]
    #[should_panic(expected = "linear: input features differ, 4 != 3")]
    fn an_input_of_another_width_is_refused() {
        let q = QuantizedMatrix::quantize(&Tensor::ones([2, 3], DType::F32), Precision::Int8).unwrap();
        q.linear(&Tensor::ones([1, 4], DType::F32), None);
    }

    #[test]
    #[should_panic(expected = "rows: index 2 is out of range 0..2")]
    fn an_index_out_of_range_is_refused() {
        let q = QuantizedMatrix::quantize(&Tensor::ones([2, 3], DType::F32), Precision::Int8).unwrap();
        q.rows(&Tensor::from([0i64, 2]));
    }
}
