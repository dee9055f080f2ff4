//! Products of vectors, matrices and batches with fixed ranks, and sums of such a product with another tensor.

use crate::error::OrPanic;
use crate::{DType, Error, Result, Tensor};

/// What the operands of a product must look like.
struct Rule {
    op: &'static str,
    /// How many dimensions the two factors have.
    ranks: [usize; 2],
    text: &'static str,
}

const MM: Rule = Rule { op: "mm", ranks: [2, 2], text: "[m, k] @ [k, n]" };
const BMM: Rule = Rule { op: "bmm", ranks: [3, 3], text: "[b, m, k] @ [b, k, n]" };
const MV: Rule = Rule { op: "mv", ranks: [2, 1], text: "[m, k] @ [k]" };
const DOT: Rule = Rule { op: "dot", ranks: [1, 1], text: "[k] . [k]" };
const OUTER: Rule = Rule { op: "outer", ranks: [1, 1], text: "[m] x [n]" };

impl Rule {
    fn broken<T>(&self, what: String, a: &Tensor, b: &Tensor) -> Result<T> {
        Err(Error::shape(self.op, what, &[("lhs", a.dims()), ("rhs", b.dims())], self.text))
    }

    fn check_ranks(&self, a: &Tensor, b: &Tensor) -> Result<()> {
        for (side, factor, rank) in [("lhs", a, self.ranks[0]), ("rhs", b, self.ranks[1])] {
            if factor.ndim() != rank {
                return self.broken(format!("the {side} must be {rank}-d, it is {}-d", factor.ndim()), a, b);
            }
        }
        Ok(())
    }

    /// The product, if the operands follow the rule.
    fn product(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.check_ranks(a, b)?;
        let (a_inner, b_inner) = (a.dim(-1), if b.ndim() == 1 { b.dim(0) } else { b.dim(-2) });
        if a_inner != b_inner {
            return self.broken(format!("inner dimensions differ, {a_inner} != {b_inner}"), a, b);
        }
        if a.ndim() == 3 && a.dims()[0] != b.dims()[0] {
            return self.broken(format!("batch sizes differ, {} != {}", a.dims()[0], b.dims()[0]), a, b);
        }
        if a.dtype().promote(b.dtype()) == DType::Bool {
            return Err(Error::dtype(self.op, "not defined for bool; convert with to_dtype first"));
        }
        a.try_matmul(b)
    }

    /// `beta input + alpha product`, the input broadcast to the shape of the product.
    fn sum(
        &self,
        op: &'static str,
        input: &Tensor,
        [a, b]: [&Tensor; 2],
        [beta, alpha]: [f64; 2],
        over_batch: bool,
    ) -> Result<Tensor> {
        let dtype = input.dtype().promote(a.dtype()).promote(b.dtype());
        let rule = Rule { op, ..*self };
        // Halves are rounded once, at the end.
        let wide = |t: &Tensor| t.to_dtype(if dtype.is_floating_point() { dtype.compute() } else { dtype });
        let mut product = rule.product(&wide(a), &wide(b))?;
        if over_batch {
            product = product.sum_dim(0, false).to_dtype(dtype.compute());
        }
        if input.layout().expand(op, product.shape()).is_err() {
            let (shapes, what) = (
                [("input", input.dims()), ("lhs", a.dims()), ("rhs", b.dims())],
                format!("the input does not broadcast to the product's shape {}", product.shape()),
            );
            return Err(Error::shape(op, what, &shapes, self.text));
        }
        // Integers take the whole part of a factor, as in PyTorch.
        let factor = |f: f64| if dtype.is_floating_point() { f } else { f.trunc() };
        let scaled = |t: &Tensor, f: f64| if f == 1.0 { t.clone() } else { t.mul_scalar(f) };
        let product = scaled(&product, factor(alpha));
        let sum = match factor(beta) {
            // Not even a NaN of the input comes through.
            0.0 => product,
            beta => scaled(&wide(input), beta).add(&product),
        };
        Ok(sum.to_dtype(dtype))
    }
}

impl Tensor {
    /// The product of two matrices; see [`matmul`](Tensor::matmul) for batches and vectors.
    ///
    /// # Shape
    /// `[m, k] @ [k, n] -> [m, n]`
    /// # Panics
    /// If an operand is not a matrix, the inner dimensions differ, or both operands are bool.
    /// # Differs
    /// Mixed dtypes are promoted, as [`matmul`](Tensor::matmul) does here, where PyTorch refuses them.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(a.mm(&a).to_vec::<f64>(), [7.0, 10.0, 15.0, 22.0]);
    /// ```
    #[track_caller]
    pub fn mm(&self, other: &Tensor) -> Tensor {
        MM.product(self, other).or_panic()
    }

    /// The products of two batches of matrices, which do not broadcast; see [`matmul`](Tensor::matmul) for batches that do.
    ///
    /// # Shape
    /// `[b, m, k] @ [b, k, n] -> [b, m, n]`
    /// # Panics
    /// If an operand is not 3-d, the batch sizes or the inner dimensions differ, or both operands are bool.
    #[track_caller]
    pub fn bmm(&self, other: &Tensor) -> Tensor {
        BMM.product(self, other).or_panic()
    }

    /// The product of a matrix and a vector.
    ///
    /// # Shape
    /// `[m, k] @ [k] -> [m]`
    /// # Panics
    /// If the operands are not a matrix and a vector of fitting sizes, or both are bool.
    #[track_caller]
    pub fn mv(&self, vector: &Tensor) -> Tensor {
        MV.product(self, vector).or_panic()
    }

    /// `sum a[i] b[i]` of two vectors, which do not broadcast.
    ///
    /// # Shape
    /// `[k] . [k] -> []`
    /// # Numerics
    /// Vectors of more than 16384 floats are added up as [`sum`](Tensor::sum) does it, with an error below 1e-6 of the sum of
    /// absolute products at ten million of f32. A matrix product of that depth has no such care: it adds up in the dtype,
    /// block by block, and can be off by 1e-3.
    /// # Panics
    /// If the operands are not vectors of one size, or both are bool.
    #[track_caller]
    pub fn dot(&self, other: &Tensor) -> Tensor {
        let long = self.ndim() == 1 && self.dims() == other.dims() && self.numel() > 16384;
        let dtype = self.dtype().promote(other.dtype());
        if long && matches!(dtype, DType::F32 | DType::F64) {
            return self.mul(other).sum();
        }
        DOT.product(self, other).or_panic()
    }

    /// `c[i, j] = a[i] b[j]`.
    ///
    /// # Shape
    /// `[m] x [n] -> [m, n]`
    /// # Panics
    /// If an operand is not a vector.
    #[track_caller]
    pub fn outer(&self, other: &Tensor) -> Tensor {
        OUTER.check_ranks(self, other).or_panic();
        self.unsqueeze(1).mul(other)
    }

    /// The sum of products over the last dimension of both: `c[.., j, ..] = sum over k of a[.., k] b[j, .., k]`. A scalar
    /// multiplies the other operand.
    ///
    /// # Shape
    /// `[a.., k], [b.., k] -> [a.., b..]`
    /// # Panics
    /// If the last dimensions differ, or both operands are bool.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(a.inner(&Tensor::from([1.0, 10.0])).to_vec::<f64>(), [21.0, 43.0]);
    /// ```
    #[track_caller]
    pub fn inner(&self, other: &Tensor) -> Tensor {
        if self.ndim() == 0 || other.ndim() == 0 {
            return self.mul(other);
        }
        let ((&a, rows), (&b, columns)) = (
            self.dims().split_last().expect("at least one dimension"),
            other.dims().split_last().expect("at least one dimension"),
        );
        if a != b {
            let shapes = [("lhs", self.dims()), ("rhs", other.dims())];
            let what = format!("last dimensions differ, {a} != {b}");
            panic!("{}", Error::shape("inner", what, &shapes, "[.., k], [.., k]"));
        }
        let flat = |t: &Tensor, leading: &[usize]| t.reshape([leading.iter().product(), a]);
        flat(self, rows).matmul(&flat(other, columns).t()).reshape([rows, columns].concat())
    }

    /// `beta self + alpha (a @ b)`, this tensor broadcast to the shape of the product. With `beta = 0` it is not read: its
    /// NaNs and infinities do not come through.
    ///
    /// # Shape
    /// self broadcasts to `[m, n]`; `[m, k] @ [k, n]`
    /// # Numerics
    /// Integers take the whole parts of `beta` and `alpha`, as in PyTorch.
    /// # Panics
    /// If `a` or `b` is not a matrix, the inner dimensions differ, or this tensor does not broadcast.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (a, b) = (Tensor::from([[1.0, 2.0]]), Tensor::from([[3.0], [4.0]]));
    /// assert_eq!(Tensor::from([[10.0]]).addmm(&a, &b, 0.5, 2.0).item::<f64>(), 27.0);
    /// ```
    #[track_caller]
    pub fn addmm(&self, a: &Tensor, b: &Tensor, beta: f64, alpha: f64) -> Tensor {
        MM.sum("addmm", self, [a, b], [beta, alpha], false).or_panic()
    }

    /// `beta self + alpha (matrix @ vector)`; see [`addmm`](Tensor::addmm).
    ///
    /// # Shape
    /// self broadcasts to `[m]`; `[m, k] @ [k]`
    /// # Panics
    /// As [`mv`](Tensor::mv), and if this tensor does not broadcast.
    #[track_caller]
    pub fn addmv(&self, matrix: &Tensor, vector: &Tensor, beta: f64, alpha: f64) -> Tensor {
        MV.sum("addmv", self, [matrix, vector], [beta, alpha], false).or_panic()
    }

    /// `beta self[b] + alpha (a[b] @ b[b])` for each item of a batch; see [`addmm`](Tensor::addmm).
    ///
    /// # Shape
    /// self broadcasts to `[b, m, n]`; `[b, m, k] @ [b, k, n]`
    /// # Panics
    /// As [`bmm`](Tensor::bmm), and if this tensor does not broadcast.
    #[track_caller]
    pub fn baddbmm(&self, a: &Tensor, b: &Tensor, beta: f64, alpha: f64) -> Tensor {
        BMM.sum("baddbmm", self, [a, b], [beta, alpha], false).or_panic()
    }

    /// `beta self + alpha sum over b of (a[b] @ b[b])`; see [`addmm`](Tensor::addmm).
    ///
    /// # Shape
    /// self broadcasts to `[m, n]`; `[b, m, k] @ [b, k, n]`
    /// # Panics
    /// As [`bmm`](Tensor::bmm), and if this tensor does not broadcast.
    #[track_caller]
    pub fn addbmm(&self, a: &Tensor, b: &Tensor, beta: f64, alpha: f64) -> Tensor {
        BMM.sum("addbmm", self, [a, b], [beta, alpha], true).or_panic()
    }

    /// The Kronecker product: each element of `a` times the whole of `b`, in its place.
    ///
    /// # Shape
    /// `[m, n], [p, q] -> [m p, n q]`; a tensor of fewer dimensions gets leading ones.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let k = Tensor::from([[1i64, 2]]).kron(&Tensor::from([[1i64], [10]]));
    /// assert_eq!(k.to_vec::<i64>(), [1, 2, 10, 20]);
    /// ```
    #[track_caller]
    pub fn kron(&self, other: &Tensor) -> Tensor {
        let ndim = self.ndim().max(other.ndim());
        let padded = |t: &Tensor| [vec![1; ndim - t.ndim()], t.dims().to_vec()].concat();
        let (a, b) = (padded(self), padded(other));
        let apart = |shape: &[usize], at: usize| -> Vec<usize> {
            shape.iter().flat_map(|&n| if at == 0 { [n, 1] } else { [1, n] }).collect()
        };
        let merged: Vec<usize> = a.iter().zip(&b).map(|(m, n)| m * n).collect();
        self.reshape(apart(&a, 0)).mul(&other.reshape(apart(&b, 1))).reshape(merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;

    #[test]
    fn products_are_those_of_matmul() {
        let mut g = Generator::new(3);
        let mut rand = |shape: &[usize]| Tensor::randn_with(shape, DType::F64, &mut g);
        let (a, b, v) = (rand(&[4, 3]), rand(&[3, 5]), rand(&[3]));
        let (x, y) = (rand(&[2, 4, 3]), rand(&[2, 3, 5]));
        assert!(a.mm(&b).bit_eq(&a.matmul(&b)) && a.mv(&v).bit_eq(&a.matmul(&v)) && x.bmm(&y).bit_eq(&x.matmul(&y)));
        assert!(v.dot(&v).bit_eq(&v.matmul(&v)));
        assert_eq!(v.outer(&rand(&[0])).dims(), [3, 0]);
        assert_eq!(rand(&[2, 4, 3]).inner(&rand(&[5, 3])).dims(), [2, 4, 5]);
        assert_eq!(rand(&[0, 3]).inner(&v).dims(), [0]);
    }

    #[test]
    fn sums_with_a_product() {
        let mut g = Generator::new(4);
        let mut rand = |shape: &[usize]| Tensor::randn_with(shape, DType::F64, &mut g);
        let (a, b, x, y) = (rand(&[4, 3]), rand(&[3, 5]), rand(&[2, 4, 3]), rand(&[2, 3, 5]));
        let row = rand(&[5]);
        let close = |x: Tensor, y: Tensor| assert!(x.shape() == y.shape() && x.allclose(&y, 1e-12, 1e-12), "{x}\n{y}");
        close(row.addmm(&a, &b, 0.5, 2.0), &row * 0.5 + a.matmul(&b) * 2.0);
        close(row.addbmm(&x, &y, 0.5, 2.0), &row * 0.5 + x.matmul(&y).sum_dim(0, false) * 2.0);
        close(row.baddbmm(&x, &y, 0.5, 2.0), &row * 0.5 + x.matmul(&y) * 2.0);
        close(rand(&[]).addmv(&a, &rand(&[3]), 0.0, 1.0) * 0.0, Tensor::zeros([4], DType::F64));
        let nan = Tensor::full([4, 5], f64::NAN, DType::F64);
        close(nan.addmm(&a, &b, 0.0, 1.0), a.matmul(&b));
        assert!(nan.addmm(&a, &b, 1.0, 1.0).isnan().all().item::<bool>());
    }

    #[test]
    fn integers_take_whole_factors_and_halves_are_rounded_once() {
        let a = Tensor::from([[1i64, 2], [3, 4]]);
        assert_eq!(a.addmm(&a, &a, 2.0, 0.9).to_vec::<i64>(), [2, 4, 6, 8]);
        assert_eq!(a.to_dtype(DType::U8).addbmm(&a.unsqueeze(0), &a.unsqueeze(0), 1.0, 1.0).dtype(), DType::I64);
        let h = Tensor::full([1, 1], 1.0 / 3.0, DType::F16);
        let exact = (1.0 + 1.0 / 1024.0 + 1.0) * h.item::<f64>();
        let sum = h.addmm(&h, &Tensor::full([1, 1], 1.0 + 1.0 / 1024.0, DType::F16), 1.0, 1.0);
        assert_eq!((sum.dtype(), sum.item::<f64>()), (DType::F16, half::f16::from_f64(exact).to_f64()));
    }

    #[test]
    fn kronecker_products_of_any_ranks() {
        let (a, b) = (Tensor::from([[1i64, 2], [3, 4]]), Tensor::from([1i64, 10]));
        assert_eq!(a.kron(&b).to_vec::<i64>(), [1, 10, 2, 20, 3, 30, 4, 40]);
        assert_eq!(b.kron(&Tensor::scalar(3i64)).to_vec::<i64>(), [3, 30]);
        assert_eq!(a.kron(&Tensor::zeros([0, 3], DType::I64)).dims(), [0, 6]);
    }
}
