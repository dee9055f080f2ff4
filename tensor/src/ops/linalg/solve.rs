//! Systems of linear equations, and inverses.

use super::{Matrices, build, check_dtype, first_failure};
use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::linalg::{self, Lu, for_each_matrix, parts};
use crate::shape::broadcast_shapes;
use crate::{DType, Error, Result, Shape, Tensor};

/// Which triangle a triangular system has, and on which side the unknown stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Triangular {
    /// The upper triangle is read, not the lower.
    pub upper: bool,
    /// `A X = B`; otherwise `X A = B`.
    pub left: bool,
    /// The diagonal is taken as 1 and not read.
    pub unitriangular: bool,
}

impl Default for Triangular {
    /// A lower triangle on the left whose diagonal is read.
    fn default() -> Triangular {
        Triangular { upper: false, left: true, unitriangular: false }
    }
}

/// Whether the right-hand side `b` of `solve` stands for vectors: it is one, or one for each matrix of the batch `a`.
///
/// ```
/// assert!(tensor::solves_for_vector(&[2, 3, 3], &[3]));
/// assert!(tensor::solves_for_vector(&[2, 3, 3], &[2, 3]));
/// assert!(!tensor::solves_for_vector(&[2, 3, 3], &[3, 2]));
/// ```
pub fn solves_for_vector(a: &[usize], b: &[usize]) -> bool {
    b.len() == 1 || (!a.is_empty() && a[..a.len() - 1] == *b)
}

/// Both sides of a system in one dtype and with one batch; the number of equations and of columns comes last.
#[track_caller]
fn system(op: &'static str, a: &Tensor, b: &Tensor) -> (Matrices, Matrices) {
    let dtype = a.dtype().promote(b.dtype());
    check_dtype(op, dtype).or_panic();
    let (a, b) = (Matrices::square(op, &a.to_dtype(dtype)), Matrices::of(op, &b.to_dtype(dtype)));
    let shapes = || [("a", a.elements.dims()), ("b", b.elements.dims())];
    let rule = "[.., n, n] X = [.., n, k]";
    if a.n != b.m {
        let what = format!("the sides do not fit, {} != {}", a.n, b.m);
        panic!("{}", Error::shape(op, what, &shapes(), rule));
    }
    let Ok(batch) = broadcast_shapes(op, &a.batch, &b.batch) else {
        let what = format!("batch dimensions do not broadcast, {:?} and {:?}", a.batch, b.batch);
        panic!("{}", Error::shape(op, what, &shapes(), rule));
    };
    let stretch = |x: &Matrices| {
        let shape = [&batch[..], &[x.m, x.n]].concat();
        Matrices::of(op, &x.elements.expand(shape))
    };
    (stretch(&a), stretch(&b))
}

/// The transposes of the matrices of a batch.
#[track_caller]
fn transposed(op: &'static str, x: &Tensor) -> Tensor {
    if x.ndim() < 2 {
        panic!("{}", Error::shape(op, "needs at least 2 dimensions", &[("tensor", x.dims())], "[.., m, n]"));
    }
    x.transpose(-1, -2)
}

impl Tensor {
    /// The solution of `A X = B`, or with `left = false` of `X A = B`, where this tensor is `A`.
    ///
    /// # Shape
    /// `[.., n, n], [.., n, k] -> [.., n, k]`, batch dimensions broadcast. A `b` of shape `[n]`, or of the shape of `A`
    /// without its last dimension, stands for vectors, and so does the result.
    /// # Numerics
    /// LU factorisation with partial pivoting.
    /// # Panics
    /// If the shapes do not fit, the dtype is not f32 or f64, or a matrix is singular: a pivot of its factorisation is zero.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let a = Tensor::from([[2.0, 1.0], [1.0, 3.0]]);
    /// let x = a.solve(&Tensor::from([3.0, 5.0]), true);
    /// assert!(x.allclose(&Tensor::from([0.8, 1.4]), 1e-12, 0.0));
    /// ```
    #[track_caller]
    pub fn solve(&self, b: &Tensor, left: bool) -> Tensor {
        if solves_for_vector(self.dims(), b.dims()) {
            // One column, and as many dimensions as the matrices have: not taken for vectors again.
            let column = b.unsqueeze(-1);
            let column = (column.ndim()..self.ndim()).fold(column, |column, _| column.unsqueeze(0));
            return self.solve(&column, left).squeeze(-1);
        }
        if !left {
            let (a, b) = (transposed("solve", self), transposed("solve", b));
            return a.solve(&b, true).transpose(-1, -2);
        }
        if self.ndim() == 2 && b.ndim() > 2 {
            // One factorisation for all: the batch goes into the columns.
            let rows = b.movedim(-2, 0);
            let shape = rows.shape().clone();
            return self.solve(&rows.flatten(1, -1), true).reshape(&shape).movedim(0, -2);
        }
        let (a, b) = system("solve", self, b);
        let (n, k, count) = (b.m, b.n, a.count());
        let mut info = Tensor::zeros(a.shape(&[]), DType::I64);
        let [x] = dispatch!(float a.elements.dtype(), "solve", T => build::<T, 1>([a.shape(&[n, k])], |[x]| {
            let items = parts(x, count).zip(info.as_slice_mut::<i64>());
            for_each_matrix(items, a.cost(), |i, (x, info)| {
                let lu = Lu::new(a.get::<T>(i), n);
                **info = lu.zero_pivot() as i64;
                lu.solve(b.get(i), k, x);
            });
        }));
        refuse_singular("solve", &info).or_panic();
        x
    }

    /// The solution of a triangular system `A X = B` or `X A = B`, where this tensor is `A`; the other triangle of `A` is
    /// not read.
    ///
    /// # Shape
    /// `[.., n, n], [.., n, k] -> [.., n, k]` (`[.., k, n]` on the right), batch dimensions broadcast.
    /// # Numerics
    /// A zero on the diagonal gives infinities and NaN, as in PyTorch.
    /// # Panics
    /// If the shapes do not fit or the dtype is not f32 or f64.
    ///
    /// ```
    /// use tensor::{Tensor, Triangular};
    /// let a = Tensor::from([[2.0, 0.0], [1.0, 4.0]]);
    /// let x = a.solve_triangular(&Tensor::from([[2.0], [9.0]]), Triangular::default());
    /// assert_eq!(x.to_vec::<f64>(), [1.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn solve_triangular(&self, b: &Tensor, how: Triangular) -> Tensor {
        const OP: &str = "solve_triangular";
        if !how.left {
            let (a, b) = (transposed(OP, self), transposed(OP, b));
            let how = Triangular { upper: !how.upper, left: true, ..how };
            return a.solve_triangular(&b, how).transpose(-1, -2);
        }
        let (a, b) = system(OP, self, b);
        let (sizes, count) = ([b.m, b.n], a.count());
        let [x] = dispatch!(float a.elements.dtype(), OP, T => build::<T, 1>([a.shape(&sizes)], |[x]| {
            for_each_matrix(parts(x, count), a.cost(), |i, x| {
                linalg::solve_triangular(a.get::<T>(i), [how.upper, how.unitriangular], b.get(i), sizes, x);
            });
        }));
        x
    }

    /// The solution of `A X = B` for the positive-definite `A = L L^T` of which `factor` is the Cholesky factor (`U^T U` if
    /// `upper`), where this tensor is `B`.
    ///
    /// # Shape
    /// `[.., n, k]`, factor `[.., n, n]` `-> [.., n, k]`, batch dimensions broadcast.
    /// # Panics
    /// As [`solve_triangular`](Tensor::solve_triangular).
    ///
    /// ```
    /// use tensor::Tensor;
    /// let a = Tensor::from([[4.0, 2.0], [2.0, 3.0]]);
    /// let x = Tensor::from([[2.0], [5.0]]).cholesky_solve(&a.cholesky(false), false);
    /// assert!(a.matmul(&x).allclose(&Tensor::from([[2.0], [5.0]]), 1e-12, 0.0));
    /// ```
    #[track_caller]
    pub fn cholesky_solve(&self, factor: &Tensor, upper: bool) -> Tensor {
        let other = transposed("cholesky_solve", factor);
        let (lower, raised) = if upper { (&other, factor) } else { (factor, &other) };
        let y = lower.solve_triangular(self, Triangular::default());
        raised.solve_triangular(&y, Triangular { upper: true, ..Triangular::default() })
    }

    /// The inverse of every matrix.
    ///
    /// # Shape
    /// `[.., n, n] -> [.., n, n]`
    /// # Numerics
    /// LU factorisation with partial pivoting. To multiply by an inverse, [`solve`](Tensor::solve) is faster and more
    /// precise.
    /// # Panics
    /// If the matrices are not square, the dtype is not f32 or f64, or a matrix is singular; [`inv_ex`](Tensor::inv_ex)
    /// reports the last.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([[2.0, 0.0], [0.0, 4.0]]).inv().to_vec::<f64>(), [0.5, 0.0, 0.0, 0.25]);
    /// ```
    #[track_caller]
    pub fn inv(&self) -> Tensor {
        let (inverse, info) = self.inverse("inv");
        refuse_singular("inv", &info).or_panic();
        inverse
    }

    /// The inverse of every matrix, and for each (in i64) 0 or the number of the first pivot that is zero: a matrix with
    /// such a pivot has none, and infinities and NaN stand for it.
    ///
    /// # Panics
    /// If the matrices are not square, or the dtype is not f32 or f64.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (_, info) = Tensor::from([[1.0, 2.0], [2.0, 4.0]]).inv_ex();
    /// assert_eq!(info.item::<i64>(), 2);
    /// ```
    #[track_caller]
    pub fn inv_ex(&self) -> (Tensor, Tensor) {
        self.inverse("inv_ex")
    }

    #[track_caller]
    fn inverse(&self, op: &'static str) -> (Tensor, Tensor) {
        let a = Matrices::square(op, self);
        let (n, count) = (a.n, a.count());
        let mut info = Tensor::zeros(a.shape(&[]), DType::I64);
        let eye = Tensor::eye(n, a.elements.dtype());
        let shape: Shape = a.shape(&[n, n]);
        let [inverse] = dispatch!(float a.elements.dtype(), op, T => build::<T, 1>([shape], |[x]| {
            let eye = eye.as_slice::<T>().expect("fresh");
            let items = parts(x, count).zip(info.as_slice_mut::<i64>());
            for_each_matrix(items, a.cost(), |i, (x, info)| {
                let lu = Lu::new(a.get::<T>(i), n);
                **info = lu.zero_pivot() as i64;
                lu.solve(eye, n, x);
            });
        }));
        (inverse, info)
    }
}

/// An error that names the first singular matrix.
fn refuse_singular(op: &str, info: &Tensor) -> Result<()> {
    match first_failure(info) {
        None => Ok(()),
        Some((which, pivot)) => Err(Error::value(op, format!("{which} is singular: pivot {pivot} is zero"))),
    }
}
