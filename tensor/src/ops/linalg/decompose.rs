//! Factors of matrices: Cholesky, QR, singular values, eigenvalues.

use super::{Matrices, build, first_failure};
use crate::dtype::dispatch;
use crate::kernels::linalg::{self, for_each_matrix, parts};
use crate::{DType, Error, Tensor};

/// Which factors [`Tensor::qr`] gives of an `[m, n]` matrix; `k` is the lesser of `m` and `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QrMode {
    /// `Q [m, k]` and `R [k, n]`.
    #[default]
    Reduced,
    /// `Q [m, m]` and `R [m, n]`.
    Complete,
    /// `R [k, n]` alone; Q has no element.
    R,
}

/// The triangle of a symmetric matrix that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Triangle {
    /// On and below the diagonal.
    #[default]
    Lower,
    /// On and above the diagonal.
    Upper,
}

impl Tensor {
    /// The Cholesky factor of every positive-definite matrix: the lower triangular `L` with `L L^T = A`, or with `upper`
    /// the upper triangular `U` with `U^T U = A`. Only that triangle of `A` is read.
    ///
    /// # Shape
    /// `[.., n, n] -> [.., n, n]`
    /// # Panics
    /// If the matrices are not square, the dtype is not f32 or f64, or a matrix is not positive-definite;
    /// [`cholesky_ex`](Tensor::cholesky_ex) reports the last.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let l = Tensor::from([[4.0, 2.0], [2.0, 5.0]]).cholesky(false);
    /// assert_eq!(l.to_vec::<f64>(), [2.0, 0.0, 1.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn cholesky(&self, upper: bool) -> Tensor {
        let (factor, info) = self.cholesky_factor("cholesky", upper);
        if let Some((which, order)) = first_failure(&info) {
            let what = format!("{which} is not positive-definite: its leading minor of order {order} is not positive");
            panic!("{}", Error::value("cholesky", what));
        }
        factor
    }

    /// The Cholesky factor of every matrix, and for each (in i64) 0 or the order of the first leading minor that is not
    /// positive: the factor of such a matrix is no use.
    ///
    /// # Panics
    /// If the matrices are not square, or the dtype is not f32 or f64.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (_, info) = Tensor::from([[1.0, 2.0], [2.0, 1.0]]).cholesky_ex(false);
    /// assert_eq!(info.item::<i64>(), 2);
    /// ```
    #[track_caller]
    pub fn cholesky_ex(&self, upper: bool) -> (Tensor, Tensor) {
        self.cholesky_factor("cholesky_ex", upper)
    }

    #[track_caller]
    fn cholesky_factor(&self, op: &'static str, upper: bool) -> (Tensor, Tensor) {
        if upper && self.ndim() >= 2 {
            let (factor, info) = self.transpose(-1, -2).cholesky_factor(op, false);
            return (factor.transpose(-1, -2), info);
        }
        let a = Matrices::square(op, self);
        let mut info = Tensor::zeros(a.shape(&[]), DType::I64);
        let [factor] = dispatch!(float a.elements.dtype(), op, T => build::<T, 1>([a.shape(&[a.n, a.n])], |[l]| {
            let items = parts(l, a.count()).zip(info.as_slice_mut::<i64>());
            for_each_matrix(items, a.cost(), |i, (l, info)| {
                **info = linalg::cholesky(a.get::<T>(i), a.n, l).map_or_else(|order| order as i64, |()| 0);
            });
        }));
        (factor, info)
    }

    /// `A = Q R` with orthonormal columns in `Q` and an upper triangular `R`, for every matrix.
    ///
    /// # Shape
    /// `[.., m, n] -> Q [.., m, k], R [.., k, n]` with `k = min(m, n)`; see [`QrMode`] for others.
    /// # Numerics
    /// Householder reflections; the signs are LAPACK's, so the diagonal of `R` may be negative. Of a matrix whose columns
    /// depend on one another there are many factorisations; this one may differ from PyTorch's.
    /// # Panics
    /// If there are fewer than two dimensions, or the dtype is not f32 or f64.
    ///
    /// ```
    /// use tensor::{QrMode, Tensor};
    /// let a = Tensor::from([[3.0, 1.0], [4.0, 2.0]]);
    /// let (q, r) = a.qr(QrMode::Reduced);
    /// assert!(q.matmul(&r).allclose(&a, 1e-12, 1e-12));
    /// assert!((r.get::<f64>(&[0, 0]) + 5.0).abs() < 1e-12);
    /// ```
    #[track_caller]
    pub fn qr(&self, mode: QrMode) -> (Tensor, Tensor) {
        let a = Matrices::of("qr", self);
        let (m, n, count) = (a.m, a.n, a.count());
        let (width, height) = match mode {
            QrMode::Reduced => (m.min(n), m.min(n)),
            QrMode::Complete => (m, m),
            QrMode::R => (0, m.min(n)),
        };
        let shapes = [a.shape(&[m, width]), a.shape(&[height, n])];
        let [q, r] = dispatch!(float a.elements.dtype(), "qr", T => build::<T, 2>(shapes, |[q, r]| {
            for_each_matrix(parts(q, count).zip(parts(r, count)), a.cost(), |i, (q, r)| {
                linalg::qr(a.get::<T>(i), [m, n], q, r)
            });
        }));
        if mode == QrMode::R { (Tensor::zeros([0], r.dtype()), r) } else { (q, r) }
    }

    /// The singular value decomposition `A = U diag(S) Vh` of every matrix: `(U, S, Vh)`, the singular values in descending
    /// order. `U` and `Vh` are square with `full_matrices`.
    ///
    /// # Shape
    /// `[.., m, n] -> U [.., m, k], S [.., k], Vh [.., k, n]` with `k = min(m, n)`; with `full_matrices` `U [.., m, m]` and
    /// `Vh [.., n, n]`.
    /// # Numerics
    /// A column of `U` and the row of `Vh` that belongs to it may both have the other sign, and vectors of equal singular
    /// values may be turned among one another: no more is determined by `A`.
    /// # Panics
    /// If there are fewer than two dimensions, the dtype is not f32 or f64, or a matrix has an element that is not finite.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (u, s, vh) = Tensor::from([[0.0, 2.0], [3.0, 0.0]]).svd(false);
    /// assert!(s.allclose(&Tensor::from([3.0, 2.0]), 1e-12, 0.0));
    /// assert_eq!((&u * &s).matmul(&vh).round().to_vec::<f64>(), [0.0, 2.0, 3.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn svd(&self, full_matrices: bool) -> (Tensor, Tensor, Tensor) {
        let (m, n) = Matrices::sizes("svd", self);
        let k = m.min(n);
        let widths = if full_matrices { [m, n] } else { [k, k] };
        self.singular_values("svd", widths)
    }

    /// The singular values of every matrix in descending order.
    ///
    /// # Shape
    /// `[.., m, n] -> [.., min(m, n)]`
    /// # Panics
    /// As [`svd`](Tensor::svd).
    #[track_caller]
    pub fn svdvals(&self) -> Tensor {
        self.singular_values("svdvals", [0, 0]).1
    }

    #[track_caller]
    fn singular_values(&self, op: &'static str, [left, right]: [usize; 2]) -> (Tensor, Tensor, Tensor) {
        let a = Matrices::of(op, self);
        let (m, n, k, count) = (a.m, a.n, a.m.min(a.n), a.count());
        let shapes = [a.shape(&[m, left]), a.shape(&[k]), a.shape(&[right, n])];
        let mut info = Tensor::zeros(a.shape(&[]), DType::I64);
        let [u, s, vh] = dispatch!(float a.elements.dtype(), op, T => build::<T, 3>(shapes, |[u, s, vh]| {
            let items = parts(u, count).zip(parts(s, count)).zip(parts(vh, count)).zip(info.as_slice_mut::<i64>());
            for_each_matrix(items, 4 * a.cost(), |i, (((u, s), vh), info)| {
                let a = a.get::<T>(i);
                **info = if a.iter().any(|x| !x.is_finite()) {
                    NOT_FINITE
                } else if linalg::svd(a, [m, n], u, s, vh) {
                    0
                } else {
                    NOT_CONVERGED
                };
            });
        }));
        refuse_failures(op, &info);
        (u, s, vh)
    }

    /// The eigenvalues of every symmetric matrix in ascending order, and its orthonormal eigenvectors as columns:
    /// `A = V diag(w) V^T`. Only one triangle of `A` is read.
    ///
    /// # Shape
    /// `[.., n, n] -> w [.., n], V [.., n, n]`
    /// # Numerics
    /// A column of `V` may have the other sign, and vectors of equal eigenvalues may be turned among one another: no more is
    /// determined by `A`. A matrix with an element that is not finite gives NaN.
    /// # Panics
    /// If the matrices are not square, or the dtype is not f32 or f64.
    ///
    /// ```
    /// use tensor::{Tensor, Triangle};
    /// let (w, v) = Tensor::from([[2.0, 1.0], [1.0, 2.0]]).eigh(Triangle::Lower);
    /// assert!(w.allclose(&Tensor::from([1.0, 3.0]), 1e-12, 0.0));
    /// assert!(v.square().allclose(&Tensor::from([[0.5, 0.5], [0.5, 0.5]]), 1e-12, 0.0));
    /// ```
    #[track_caller]
    pub fn eigh(&self, triangle: Triangle) -> (Tensor, Tensor) {
        self.eigenvalues("eigh", triangle, true)
    }

    /// The eigenvalues of every symmetric matrix in ascending order; see [`eigh`](Tensor::eigh).
    ///
    /// # Shape
    /// `[.., n, n] -> [.., n]`
    /// # Panics
    /// As [`eigh`](Tensor::eigh).
    #[track_caller]
    pub fn eigvalsh(&self, triangle: Triangle) -> Tensor {
        self.eigenvalues("eigvalsh", triangle, false).0
    }

    #[track_caller]
    fn eigenvalues(&self, op: &'static str, triangle: Triangle, vectors: bool) -> (Tensor, Tensor) {
        let a = Matrices::square(op, self);
        let (n, count, upper) = (a.n, a.count(), triangle == Triangle::Upper);
        let shapes = [a.shape(&[n]), a.shape(&[n, if vectors { n } else { 0 }])];
        let mut info = Tensor::zeros(a.shape(&[]), DType::I64);
        let [w, v] = dispatch!(float a.elements.dtype(), op, T => build::<T, 2>(shapes, |[w, v]| {
            let items = parts(w, count).zip(parts(v, count)).zip(info.as_slice_mut::<i64>());
            for_each_matrix(items, 2 * a.cost(), |i, ((w, v), info)| {
                let a = a.get::<T>(i);
                let read = |i: usize, j: usize| if upper { i <= j } else { i >= j };
                if (0..n * n).any(|at| read(at / n, at % n) && !a[at].is_finite()) {
                    w.fill(T::NAN);
                    v.fill(T::NAN);
                } else if !linalg::eigh(a, n, upper, w, v) {
                    **info = NOT_CONVERGED;
                }
            });
        }));
        refuse_failures(op, &info);
        (w, v)
    }
}

const NOT_FINITE: i64 = 1;
const NOT_CONVERGED: i64 = 2;

#[track_caller]
fn refuse_failures(op: &str, info: &Tensor) {
    if let Some((which, code)) = first_failure(info) {
        let what = if code == NOT_FINITE { "has an element that is not finite" } else { "made no iteration converge" };
        panic!("{}", Error::value(op, format!("{which} {what}")));
    }
}
