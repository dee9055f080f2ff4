//! Systems of linear equations, and inverses.

use tensor::{Triangular, solves_for_vector};

use crate::var::Var;

/// The transposes of the matrices of a batch.
pub(crate) fn transposed(x: &Var) -> Var {
    x.transpose(-1, -2)
}

/// Vectors as matrices of one column, with as many dimensions as the matrices of the system: so no mistake is possible.
fn column(v: &Var, ndim: usize) -> Var {
    let v = v.unsqueeze(-1);
    (v.ndim()..ndim).fold(v, |v, _| v.unsqueeze(0))
}

impl Var {
    /// The solution of `A X = B`, or with `left = false` of `X A = B`, where this value is `A`.
    ///
    /// # Shape
    /// `[.., n, n], [.., n, k] -> [.., n, k]`, batch dimensions broadcast. A `b` of shape `[n]`, or of the shape of `A`
    /// without its last dimension, stands for vectors.
    ///
    /// # Gradient
    /// `dB` solves `A^T dB = dX`; `dA = -dB X^T`. On the right `dB A^T = dX` and `dA = -X^T dB`. Keeps `A` and `X`.
    ///
    /// # Source
    /// Giles, *Collected matrix derivative results for forward and reverse mode algorithmic differentiation*, 2008,
    /// section 2.3.1.
    #[track_caller]
    pub fn solve(&self, b: &Var, left: bool) -> Var {
        let vector = solves_for_vector(&self.shape(), &b.shape());
        let a = self.keep_for(&[self, b]);
        Var::record_output("solve", self.tensor().solve(&b.tensor(), left), [self, b], move |x, dx, need| {
            let matrix = |v: &Var| if vector { column(v, a.ndim()) } else { v.clone() };
            let (x, db) = (matrix(x), transposed(&a).solve(&matrix(dx), left));
            [
                need.of(0, || if left { -db.matmul(&transposed(&x)) } else { -transposed(&x).matmul(&db) }),
                need.of(1, || if vector { db.squeeze(-1) } else { db.clone() }),
            ]
        })
    }

    /// The solution of a triangular system `A X = B` or `X A = B`, where this value is `A`; the other triangle is not read.
    ///
    /// # Shape
    /// `[.., n, n], [.., n, k] -> [.., n, k]` (`[.., k, n]` on the right), batch dimensions broadcast.
    ///
    /// # Gradient
    /// That of [`Var::solve`], of which `dA` has the triangle that is read. Keeps `A` and `X`.
    #[track_caller]
    pub fn solve_triangular(&self, b: &Var, how: Triangular) -> Var {
        let a = self.keep_for(&[self, b]);
        let value = self.tensor().solve_triangular(&b.tensor(), how);
        Var::record_output("solve_triangular", value, [self, b], move |x, dx, need| {
            let db = transposed(&a).solve_triangular(dx, Triangular { upper: !how.upper, ..how });
            let da = || {
                let whole = if how.left { -db.matmul(&transposed(x)) } else { -transposed(x).matmul(&db) };
                let skip = how.unitriangular as isize;
                if how.upper { whole.triu(skip) } else { whole.tril(-skip) }
            };
            [need.of(0, da), need.of(1, || db.clone())]
        })
    }

    /// The solution of `A X = B` for the `A` of which `factor` is the Cholesky factor, where this value is `B`.
    ///
    /// # Gradient
    /// That of two triangular systems.
    #[track_caller]
    pub fn cholesky_solve(&self, factor: &Var, upper: bool) -> Var {
        let other = transposed(factor);
        let (lower, raised) = if upper { (&other, factor) } else { (factor, &other) };
        let y = lower.solve_triangular(self, Triangular::default());
        raised.solve_triangular(&y, Triangular { upper: true, ..Triangular::default() })
    }

    /// The inverse of every matrix.
    ///
    /// # Gradient
    /// `dA = -Y^T dY Y^T`. Keeps the inverse `Y`.
    ///
    /// # Source
    /// Giles, 2008, section 2.2.3.
    #[track_caller]
    pub fn inv(&self) -> Var {
        Var::record_output("inv", self.tensor().inv(), [self], |y, dy, _| {
            let y = transposed(y);
            [Some(-y.matmul(dy).matmul(&y))]
        })
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("solve", &[REAL, REAL], systems, |v, _| regular(&v[0]).solve(&v[1], true).into()),
        sample("solve", &[REAL, REAL], systems_with_matrices, |v, _| {
            let b = transposed(&v[1]);
            // What would stand for vectors, which have no place on the right.
            let b = if solves_for_vector(&v[0].shape(), &b.shape()) { b.unsqueeze(0) } else { b };
            regular(&v[0]).solve(&b, false).into()
        }),
        sample("solve_triangular", &[REAL, REAL], systems_with_matrices, |v, p| {
            let how = Triangular { upper: p.coin(), left: p.coin(), unitriangular: p.coin() };
            let b = if how.left { v[1].clone() } else { transposed(&v[1]) };
            regular(&v[0]).solve_triangular(&b, how).into()
        }),
        sample("cholesky_solve", &[REAL, REAL], systems_with_matrices, |v, p| {
            v[1].cholesky_solve(&regular(&v[0]), p.coin()).into()
        }),
        sample("inv", &[REAL], square_matrices, |v, _| regular(&v[0]).inv().into()),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("linalg.solve", &["solve"], |a| done(a.var(0, "A")?.solve(&a.var(1, "B")?, a.flag(2, "left", true)?))),
        torch("linalg.solve_triangular", &["solve_triangular"], |a| {
            let (x, b) = (a.var(0, "A")?, a.var(1, "B")?);
            let upper = a.flag(2, "upper", false)?;
            let (left, unitriangular) = (a.flag(3, "left", true)?, a.flag(4, "unitriangular", false)?);
            done(x.solve_triangular(&b, Triangular { upper, left, unitriangular }))
        }),
        torch("cholesky_solve", &["cholesky_solve"], |a| {
            let (b, factor) = (a.var(0, "B")?, a.var(1, "L")?);
            if factor.requires_grad() && factor.numel() > 0 {
                return skip("a gradient of the triangle that is not read, which is zero here");
            }
            done(b.cholesky_solve(&factor, a.flag(2, "upper", false)?))
        }),
        torch("linalg.inv", &["inv"], |a| done(a.var(0, "A")?.inv())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::Tensor;

    #[test]
    fn only_the_triangle_that_is_read_has_a_gradient() {
        let a = Var::new(Tensor::from([[2.0, 1.0], [1.0, 4.0]])).requires_grad_(true);
        let b = Var::new(Tensor::from([[1.0], [1.0]]));
        a.solve_triangular(&b, Triangular { unitriangular: true, ..Triangular::default() }).sum().backward();
        // x = (1, 1 - a[1, 0]).
        assert_eq!(a.grad().unwrap().to_vec::<f64>(), [0.0, 0.0, -1.0, 0.0]);
    }

    #[test]
    fn a_shared_matrix_adds_up_its_gradients() {
        let a = Var::new(Tensor::from([[2.0]])).requires_grad_(true);
        let b = Var::new(Tensor::from([[[1.0]], [[3.0]]]));
        a.solve(&b, true).sum().backward();
        assert_eq!(a.grad().unwrap().to_vec::<f64>(), [-1.0]);
    }
}
