//! Determinants, powers and pseudo-inverses of square matrices.

use super::{Matrices, build};
use crate::dtype::dispatch;
use crate::kernels::linalg::{Lu, for_each_matrix};
use crate::{DType, Error, Tensor};

impl Tensor {
    /// The determinant of every matrix; 1 for a matrix of no rows.
    ///
    /// # Shape
    /// `[.., n, n] -> [..]`
    /// # Numerics
    /// The product of the pivots of an LU factorisation. It overflows and vanishes easily: see
    /// [`slogdet`](Tensor::slogdet).
    /// # Panics
    /// If the matrices are not square, or the dtype is not f32 or f64.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert!((Tensor::from([[1.0, 2.0], [3.0, 4.0]]).det().item::<f64>() + 2.0).abs() < 1e-12);
    /// ```
    #[track_caller]
    pub fn det(&self) -> Tensor {
        let a = Matrices::square("det", self);
        let [det] = dispatch!(float a.elements.dtype(), "det", T => build::<T, 1>([a.shape(&[])], |[det]| {
            for_each_matrix(det.iter_mut(), a.cost(), |i, det| {
                let lu = Lu::new(a.get::<T>(i), a.n);
                **det = lu.pivots().fold(if lu.is_odd() { -1.0 } else { 1.0 }, |product, pivot| product * pivot);
            });
        }));
        det
    }

    /// The sign (-1, 0 or 1) of every matrix's determinant, and the logarithm of its absolute value (negative infinity for
    /// a determinant of 0).
    ///
    /// # Shape
    /// `[.., n, n] -> [..], [..]`
    /// # Panics
    /// If the matrices are not square, or the dtype is not f32 or f64.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (sign, log) = Tensor::from([[0.0, 2.0], [3.0, 0.0]]).slogdet();
    /// assert_eq!(sign.item::<f64>(), -1.0);
    /// assert!((log.item::<f64>() - 6f64.ln()).abs() < 1e-12);
    /// ```
    #[track_caller]
    pub fn slogdet(&self) -> (Tensor, Tensor) {
        let a = Matrices::square("slogdet", self);
        let shapes = [a.shape(&[]), a.shape(&[])];
        let [sign, log] = dispatch!(float a.elements.dtype(), "slogdet", T => build::<T, 2>(shapes, |[sign, log]| {
            for_each_matrix(sign.iter_mut().zip(log), a.cost(), |i, (sign, log)| {
                let lu = Lu::new(a.get::<T>(i), a.n);
                let start: (T, T) = (if lu.is_odd() { -1.0 } else { 1.0 }, 0.0);
                (**sign, **log) = lu.pivots().fold(start, |(sign, log), pivot| {
                    let of_pivot = if pivot == 0.0 { 0.0 } else { pivot.signum() };
                    (sign * of_pivot, log + pivot.abs().ln())
                });
            });
        }));
        (sign, log)
    }

    /// The logarithm of every matrix's determinant; NaN where that is negative.
    ///
    /// # Shape
    /// `[.., n, n] -> [..]`
    /// # Panics
    /// As [`slogdet`](Tensor::slogdet).
    #[track_caller]
    pub fn logdet(&self) -> Tensor {
        let (sign, log) = self.slogdet();
        log.masked_fill(&sign.lt_scalar(0.0), f64::NAN)
    }

    /// The product of `n` copies of every matrix; of the inverse for negative `n`, and the identity for `n = 0`.
    ///
    /// # Shape
    /// `[.., m, m] -> [.., m, m]`
    /// # Panics
    /// If the matrices are not square, the dtype is bool, or for negative `n` as [`inv`](Tensor::inv).
    ///
    /// ```
    /// use tensor::Tensor;
    /// let fibonacci = Tensor::from([[1i64, 1], [1, 0]]).matrix_power(10);
    /// assert_eq!(fibonacci.to_vec::<i64>(), [89, 55, 55, 34]);
    /// ```
    #[track_caller]
    pub fn matrix_power(&self, n: i64) -> Tensor {
        let shapes = [("a", self.dims())];
        match self.dims() {
            [.., rows, columns] if rows == columns => {}
            _ => panic!("{}", Error::shape("matrix_power", "needs square matrices", &shapes, "[.., m, m]")),
        }
        if self.dtype() == DType::Bool {
            panic!("{}", Error::dtype("matrix_power", "not defined for bool; convert with to_dtype first"));
        }
        if n == 0 {
            return Tensor::eye(self.dim(-1), self.dtype()).expand(self.shape());
        }
        let base = if n < 0 { self.inv() } else { self.clone() };
        power_by_squaring(base, n.unsigned_abs(), |a, b| a.matmul(b))
    }

    /// The pseudo-inverse of every matrix (Moore and Penrose): the inverse on the space that the matrix maps to, zero on
    /// what is orthogonal to it. Singular values up to `rtol` times the greatest count as zero; `None` stands for the
    /// greater size times the precision of the dtype.
    ///
    /// # Shape
    /// `[.., m, n] -> [.., n, m]`
    /// # Panics
    /// As [`svd`](Tensor::svd).
    ///
    /// ```
    /// use tensor::Tensor;
    /// let p = Tensor::from([[2.0, 0.0], [0.0, 0.0]]).pinv(None);
    /// assert!(p.allclose(&Tensor::from([[0.5, 0.0], [0.0, 0.0]]), 1e-12, 1e-12));
    /// ```
    #[track_caller]
    pub fn pinv(&self, rtol: Option<f64>) -> Tensor {
        let (m, n) = Matrices::sizes("pinv", self);
        if m * n == 0 {
            return Tensor::zeros(self.transpose(-1, -2).shape(), self.dtype());
        }
        let (u, s, vh) = self.svd(false);
        let precision = if s.dtype() == DType::F32 { f32::EPSILON as f64 } else { f64::EPSILON };
        let cut = s.narrow(-1, 0, 1).mul_scalar(rtol.unwrap_or(m.max(n) as f64 * precision));
        let inverse = s.reciprocal().masked_fill(&s.le(&cut), 0.0);
        vh.transpose(-1, -2).mul(&inverse.unsqueeze(-2)).matmul(&u.transpose(-1, -2))
    }
}

/// `base` to the power `n > 0`, in about as many multiplications as `n` has bits.
///
/// ```
/// assert_eq!(tensor::power_by_squaring(3, 5, |a, b| a * b), 243);
/// ```
pub fn power_by_squaring<T: Clone>(base: T, n: u64, multiply: impl Fn(&T, &T) -> T) -> T {
    let (mut square, mut rest, mut result) = (base, n, None);
    loop {
        if rest & 1 == 1 {
            result = Some(match &result {
                None => square.clone(),
                Some(result) => multiply(result, &square),
            });
        }
        rest >>= 1;
        if rest == 0 {
            return result.expect("n has a bit that is set");
        }
        square = multiply(&square, &square);
    }
}
