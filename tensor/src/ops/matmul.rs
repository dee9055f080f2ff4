//! Matrix products.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::gemm::{self, Add, Gemm, Matrix, Size, stream};
use crate::kernels::walk::Walk;
use crate::layout::Layout;
use crate::shape::broadcast_shapes;
use crate::{DType, Element, Error, Result, Shape, Tensor, bf16, f16};

const RULE: &str = "[.., m, k] @ [.., k, n]";

/// The shape of `a @ b`, by the rule of [`Tensor::matmul`].
///
/// ```
/// assert_eq!(tensor::matmul_shape(&[5, 1, 2, 3], &[4, 3, 6]).unwrap(), [5, 4, 2, 6]);
/// ```
pub fn matmul_shape(a: &[usize], b: &[usize]) -> Result<Shape> {
    let fail = |what: String| Err(Error::shape("matmul", what, &[("lhs", a), ("rhs", b)], RULE));
    let ((Some(&k), Some(_)), b_inner) = ((a.last(), b.last()), b.len().saturating_sub(2)) else {
        return fail("a scalar has no rows or columns; multiply with *".into());
    };
    if b[b_inner] != k {
        return fail(format!("inner dimensions differ, {k} != {}", b[b_inner]));
    }
    let (a_batch, b_batch) = (&a[..a.len().saturating_sub(2)], &b[..b_inner]);
    let Ok(batch) = broadcast_shapes("matmul", a_batch, b_batch) else {
        return fail(format!("batch dimensions do not broadcast, {a_batch:?} and {b_batch:?}"));
    };
    let rows = if a.len() > 1 { Some(a[a.len() - 2]) } else { None };
    let columns = if b.len() > 1 { b.last().copied() } else { None };
    Ok(batch.iter().copied().chain(rows).chain(columns).collect())
}

/// The shape of `x w^T + bias`.
pub(crate) fn linear_shape(x: &[usize], weight: &[usize], bias: Option<&[usize]>) -> Result<Shape> {
    let fail = |what: String| {
        let mut operands = vec![("x", x), ("weight", weight)];
        operands.extend(bias.map(|bias| ("bias", bias)));
        Err(Error::shape("linear", what, &operands, "[.., in], [out, in], [out] -> [.., out]"))
    };
    let (&[out, inner], Some((&last, leading))) = (weight, x.split_last()) else {
        return fail("needs a matrix of weights and an input with at least one dimension".into());
    };
    if inner != last {
        return fail(format!("input features differ, {last} != {inner}"));
    }
    if bias.is_some_and(|bias| bias != [out]) {
        return fail(format!("the bias does not have {out} elements"));
    }
    Ok(leading.iter().copied().chain([out]).collect())
}

impl Tensor {
    /// The matrix product `c[i, j] = sum over p of a[i, p] b[p, j]`, by PyTorch's rules for vectors, matrices and batches.
    ///
    /// No operand is ever copied or transposed in memory: any layout will do.
    ///
    /// # Shape
    /// `[.., m, k] @ [.., k, n] -> [.., m, n]`; batch dimensions broadcast. A 1-d operand is a row on the left or a column
    /// on the right, and that dimension is dropped from the result.
    ///
    /// # Numerics
    /// Sums are taken in the operands' dtype; their order depends on the shape and the kind of CPU, not on the number of
    /// threads. Integers wrap.
    ///
    /// # Panics
    /// If the shapes do not fit or both operands are bool; [`try_matmul`](Tensor::try_matmul) returns an error instead.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let x = Tensor::from([1.0, -1.0]);
    /// assert_eq!(a.matmul(&x).to_vec::<f64>(), [-1.0, -1.0]);
    /// assert_eq!(a.matmul(&a.t()).to_vec::<f64>(), [5.0, 11.0, 11.0, 25.0]);
    /// ```
    #[track_caller]
    pub fn matmul(&self, other: &Tensor) -> Tensor {
        self.try_matmul(other).or_panic()
    }

    /// [`matmul`](Tensor::matmul), with an error instead of a panic when the shapes do not fit.
    ///
    /// # Errors
    /// If an operand is a scalar, the inner dimensions differ, the batch dimensions do not broadcast, or both operands are
    /// bool.
    pub fn try_matmul(&self, other: &Tensor) -> Result<Tensor> {
        let shape = matmul_shape(self.dims(), other.dims())?;
        let dtype = self.dtype().promote(other.dtype());
        if dtype == DType::Bool {
            return Err(Error::dtype("matmul", "not defined for bool; convert with to_dtype first"));
        }
        let (a, b) = (self.to_dtype(dtype.compute()), other.to_dtype(dtype.compute()));
        let (mut a_layout, mut b_layout) = (a.layout().clone(), b.layout().clone());
        if a_layout.shape.len() == 1 {
            a_layout = a_layout.unsqueeze(0);
        }
        if b_layout.shape.len() == 1 {
            b_layout = b_layout.unsqueeze(1);
        }
        Ok(product(&a, a_layout, &b, b_layout, None, shape).to_dtype(dtype))
    }

    /// `x w^T + b`: the layer of the same name, the bias added in the same pass over the result.
    ///
    /// # Shape
    /// `x [.., in]`, `weight [out, in]`, `bias [out]` -> `[.., out]`; a weight `[in]` has one output, without a dimension.
    ///
    /// # Panics
    /// If the shapes do not fit.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let y = x.linear(&Tensor::from([[1.0, 1.0]]), Some(&Tensor::from([0.5])));
    /// assert_eq!(y.to_vec::<f64>(), [3.5, 7.5]);
    /// ```
    #[track_caller]
    pub fn linear(&self, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        if weight.ndim() == 1 {
            let y = self.matmul(weight);
            return bias.map_or_else(|| y.clone(), |bias| &y + bias);
        }
        let shape = linear_shape(self.dims(), weight.dims(), bias.map(Tensor::dims)).or_panic();
        let of_bias = bias.map_or(DType::Bool, Tensor::dtype);
        let dtype = self.dtype().promote(weight.dtype()).promote(of_bias);
        let compute = dtype.compute();
        if weight.dtype().is_half() && compute == DType::F32 {
            return self.linear_halves(weight, bias, shape).to_dtype(dtype);
        }
        let (x, weight) = (self.to_dtype(compute), weight.to_dtype(compute));
        let bias = bias.map(|bias| bias.to_dtype(compute).contiguous());
        let mut layout = x.layout().clone();
        if layout.shape.len() == 1 {
            layout = layout.unsqueeze(0);
        }
        product(&x, layout, &weight, weight.layout().transpose(0, 1), bias.as_ref(), shape).to_dtype(dtype)
    }

    /// [`linear`](Tensor::linear) with a weight of halves, which is widened while it is read, in f32.
    #[track_caller]
    fn linear_halves(&self, weight: &Tensor, bias: Option<&Tensor>, shape: Shape) -> Tensor {
        let mut weight = weight.clone();
        if weight.layout().strides[1] != 1 || weight.layout().strides[0] < 0 {
            weight = weight.copy();
        }
        let layout = weight.layout();
        let (len, apart) = (layout.shape[1], layout.strides[0] as usize);
        fn rows<W: Element>(weight: &Tensor, len: usize, apart: usize) -> stream::Dense<'_, W> {
            let view = weight.elements::<W>();
            stream::Dense { data: &view.data[view.layout.offset.min(view.data.len())..], len, apart }
        }
        match weight.dtype() {
            DType::BF16 => linear_in(self, &rows::<bf16>(&weight, len, apart), bias, shape),
            _ => linear_in(self, &rows::<f16>(&weight, len, apart), bias, shape),
        }
    }
}

/// `x w^T + bias` in f32, the weights in any format; `shape` is that of the result.
#[track_caller]
pub(crate) fn linear_in<F: stream::Format>(x: &Tensor, w: &F, bias: Option<&Tensor>, shape: Shape) -> Tensor {
    let x = x.to_dtype(DType::F32);
    let bias = bias.map(|bias| bias.to_dtype(DType::F32).contiguous());
    let (&k, leading) = x.dims().split_last().expect("linear_shape has seen a dimension");
    let size = Size { m: leading.iter().product(), k, n: shape[shape.len() - 1] };
    let x = x.reshape([size.m, k]);
    let (view, strides) = (x.elements::<f32>(), x.strides());
    let matrix = Matrix { data: view.data, offset: view.layout.offset, row: strides[0], column: strides[1] };
    let add = match &bias {
        Some(bias) => Add::Bias(bias.as_slice::<f32>().expect("made contiguous")),
        None => Add::Nothing,
    };
    Tensor::build::<f32>(shape, |c| stream::gemm(size, matrix, w, add, c))
}

/// The product of matrices (with batch dimensions), as a tensor of `shape`.
#[track_caller]
fn product(a: &Tensor, a_layout: Layout, b: &Tensor, b_layout: Layout, bias: Option<&Tensor>, shape: Shape) -> Tensor {
    let (mut a_layout, mut b_layout) = (a_layout, b_layout);
    // A single matrix on the right meets all rows on the left at once, if these can be seen as one matrix.
    if b_layout.shape.len() == 2
        && let Some((&k, leading)) = a_layout.shape.split_last()
        && let Some(rows) = a_layout.reshape(&Shape::from([leading.iter().product(), k]))
    {
        a_layout = rows;
    }
    let (of_a, of_b) = (a_layout.shape.len() - 2, b_layout.shape.len() - 2);
    let size = Size { m: a_layout.shape[of_a], k: a_layout.shape[of_a + 1], n: b_layout.shape[of_b + 1] };
    let batch = broadcast_shapes("matmul", &a_layout.shape[..of_a], &b_layout.shape[..of_b]).or_panic();
    let stretch = |layout: &Layout| {
        let matrix = &layout.shape[layout.shape.len() - 2..];
        layout.expand("matmul", &batch.iter().chain(matrix).copied().collect()).or_panic()
    };
    (a_layout, b_layout) = (stretch(&a_layout), stretch(&b_layout));
    let starts = starts(&batch, &a_layout, &b_layout);
    dispatch!(number a.dtype(), "matmul", T => Tensor::build::<T>(shape, |c| {
        let (a, b) = (a.elements::<T>().data, b.elements::<T>().data);
        let matrix = |data, offset, layout: &Layout| {
            let d = layout.strides.len() - 2;
            Matrix { data, offset, row: layout.strides[d], column: layout.strides[d + 1] }
        };
        let a = |i: usize| matrix(a, starts[i][0], &a_layout);
        let b = |i: usize| matrix(b, starts[i][1], &b_layout);
        match bias {
            None => gemm::batched(size, a, b, None, starts.len(), c),
            Some(bias) if !c.is_empty() => {
                let bias = bias.as_slice::<T>().expect("made contiguous");
                let each = size.m * size.n;
                c.chunks_mut(each).enumerate().for_each(|(i, c)| T::gemm(size, a(i), b(i), Add::Bias(bias), c));
            }
            Some(_) => {}
        }
    }))
}

/// Where the matrices of a batch start, in row-major order.
fn starts(batch: &[usize], a: &Layout, b: &Layout) -> Vec<[usize; 2]> {
    let strides = [&a.strides[..batch.len()], &b.strides[..batch.len()]];
    let walk = Walk::over(batch, strides, [a.offset, b.offset]);
    let (_, steps) = walk.inner();
    let mut starts = Vec::with_capacity(walk.total());
    walk.for_runs(0..walk.total(), |_, at, len| {
        starts.extend((0..len as isize).map(|i| [0, 1].map(|o| (at[o] as isize + i * steps[o]) as usize)));
    });
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;

    /// The product by multiplying and adding up, for operands with at least two dimensions.
    fn plain(a: &Tensor, b: &Tensor) -> Tensor {
        (a.unsqueeze(-1) * b.unsqueeze(-3)).sum_dim(-2, false)
    }

    #[test]
    fn vectors_matrices_and_batches_of_any_layout() {
        let mut g = Generator::new(1);
        let mut rand = |shape: &[usize]| Tensor::randn_with(shape, DType::F64, &mut g);
        let close = |x: Tensor, y: Tensor| assert!(x.shape() == y.shape() && x.allclose(&y, 1e-12, 1e-12), "{x}\n{y}");
        let (m, t, v) = (rand(&[7, 5]), rand(&[4, 7]).t(), rand(&[5]));
        close(m.matmul(&v), plain(&m, &v.unsqueeze(1)).squeeze(1));
        close(v.matmul(&m.t()), plain(&v.unsqueeze(0), &m.t()).squeeze(0));
        close(v.matmul(&v), (&v * &v).sum());
        close(m.t().matmul(&t), plain(&m.t(), &t));
        for (a, b) in [
            (&[2, 3, 4, 5][..], &[5, 6][..]),
            (&[4, 5], &[3, 5, 6]),
            (&[2, 1, 4, 5], &[3, 5, 6]),
            (&[6, 40, 5], &[6, 5, 30]),
        ] {
            let (a, b) = (rand(a), rand(b));
            close(a.matmul(&b), plain(&a, &b));
            let (a, b) = (a.transpose(0, -1).contiguous().transpose(0, -1), b.flip(&[-1, -2]));
            close(a.matmul(&b), plain(&a, &b));
        }
        for (a, b) in [(&[0, 5][..], &[5, 3][..]), (&[4, 0], &[0, 3]), (&[2, 4, 5], &[5, 0]), (&[0, 4, 5], &[1, 5, 3])]
        {
            let (a, b) = (rand(a), rand(b));
            close(a.matmul(&b), plain(&a, &b));
        }
    }

    #[test]
    fn linear_adds_its_bias_whatever_the_layout() {
        let mut g = Generator::new(2);
        let mut rand = |shape: &[usize]| Tensor::randn_with(shape, DType::F64, &mut g);
        let (w, b) = (rand(&[6, 5]), rand(&[6]));
        for x in [rand(&[5]), rand(&[3, 5]), rand(&[2, 9, 5]), rand(&[9, 2, 5]).transpose(0, 1), rand(&[0, 5])] {
            let expected = &x.matmul(&w.t()) + &b;
            assert!(x.linear(&w, Some(&b)).allclose(&expected, 1e-12, 1e-12));
        }
        assert!(
            linear_shape(&[3, 4], &[6, 5], None).unwrap_err().to_string().contains("input features differ, 4 != 5")
        );
    }

    #[test]
    fn weights_of_halves_are_widened_while_they_are_read() {
        let mut g = Generator::new(3);
        let mut rand = |shape: &[usize]| Tensor::randn_with(shape, DType::F32, &mut g);
        for dtype in [DType::F16, DType::BF16] {
            for (out, len) in [(7, 5), (70, 96), (33, 257), (1, 64), (3, 0), (0, 4)] {
                let weights = [
                    rand(&[out, len]),
                    rand(&[len, out]).t(),
                    rand(&[out, 2 * len + 1]).narrow(1, 1, len),
                    rand(&[out, len]).flip(&[0]),
                    rand(&[1, len]).expand([out, len]),
                ];
                let bias = rand(&[out]);
                for (i, w) in weights.iter().map(|w| w.to_dtype(dtype)).enumerate() {
                    // Conversions bring the rows in order; this view of halves does not.
                    let w = if i == 1 { w.t().contiguous().t() } else { w };
                    for x in [rand(&[len]), rand(&[4, len]), rand(&[len, 9]).t(), rand(&[2, 20, len])] {
                        let expected = x.linear(&w.to_dtype(DType::F32), Some(&bias));
                        let y = x.linear(&w, Some(&bias));
                        assert!(y.dtype() == DType::F32 && y.allclose(&expected, 1e-5, 2e-5), "{y}\n{expected}");
                        let x = x.to_dtype(dtype);
                        let y = x.linear(&w, None);
                        let expected = x.to_dtype(DType::F32).linear(&w.to_dtype(DType::F32), None);
                        assert_eq!((y.dtype(), y.shape()), (dtype, expected.shape()));
                        assert!(y.to_dtype(DType::F32).allclose(&expected, 1e-2, 1e-4));
                    }
                }
            }
        }
    }

    #[test]
    fn dtypes_are_promoted_and_integers_stay_exact() {
        let (a, b) = (Tensor::from([[1i64, 1 << 60]]), Tensor::from([[1i64], [1]]));
        assert_eq!(a.matmul(&b).to_vec::<i64>(), [(1 << 60) + 1]);
        assert_eq!(b.matmul(&Tensor::from([[0.5f32]])).dtype(), DType::F32);
    }

    #[test]
    fn mistakes_are_explained() {
        let message = |a: &[usize], b: &[usize]| matmul_shape(a, b).unwrap_err().to_string();
        assert_eq!(
            message(&[2, 3, 4], &[3, 5]),
            "matmul: inner dimensions differ, 4 != 3\n  lhs [2, 3, 4]   rhs [3, 5]   rule [.., m, k] @ [.., k, n]"
        );
        assert!(message(&[], &[3]).contains("a scalar has no rows"));
        assert!(message(&[2, 3, 4], &[3, 4, 5]).contains("batch dimensions do not broadcast"));
    }
}
