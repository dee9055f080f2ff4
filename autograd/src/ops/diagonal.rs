//! Diagonals taken out of matrices and put into them.

use crate::var::Var;

impl Var {
    /// A matrix with this vector on its `offset`-th diagonal, or that diagonal of this matrix.
    ///
    /// # Gradient
    /// The diagonal of `dy`, or `dy` on the diagonal among zeros.
    #[track_caller]
    pub fn diag(&self, offset: isize) -> Var {
        if self.ndim() == 1 {
            return self.diag_embed(offset, 0, 1);
        }
        let shape = self.shape();
        Var::record_unary("diag", self.tensor().diag(offset), self, move |dy| {
            // A matrix that is not square cuts the square of the gradient off.
            let square = dy.diag_embed(offset, 0, 1);
            let fit = |x: &Var, dim: isize| {
                let (have, want) = (x.dim(dim), shape[dim as usize]);
                match have < want {
                    true => crate::ops::parts::among_zeros(x, dim, 0, want),
                    false => x.narrow(dim, 0, want),
                }
            };
            fit(&fit(&square, 0), 1)
        })
    }

    /// Matrices of zeros with the last dimension on their `offset`-th diagonal; `a` and `b` are the places of the rows and
    /// columns in the result.
    ///
    /// # Gradient
    /// The same diagonal of `dy`.
    #[track_caller]
    pub fn diag_embed(&self, offset: isize, a: isize, b: isize) -> Var {
        let value = self.tensor().diag_embed(offset, a, b);
        Var::record_unary("diag_embed", value, self, move |dy| dy.diagonal(offset, a, b))
    }

    /// The sum of the diagonal of a matrix.
    ///
    /// # Gradient
    /// `dy` on the diagonal, zero elsewhere.
    #[track_caller]
    pub fn trace(&self) -> Var {
        let (value, shape) = (self.tensor().trace(), self.shape());
        Var::record_unary("trace", value, self, move |dy| {
            let eye = tensor::Tensor::eye(shape[0].max(shape[1]), dy.dtype());
            dy * Var::new(eye.narrow(0, 0, shape[0]).narrow(1, 0, shape[1]))
        })
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    fn vector_or_matrix(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
        let matrix = matrix(shape, pick, n);
        if pick.coin() { matrix } else { vec![matrix[0][..1].to_vec()] }
    }
    vec![
        sample("diag", &[REAL], vector_or_matrix, |v, p| v[0].diag(p.below(5) as isize - 2).into()),
        sample("diag_embed", &[REAL], at_least_1d, |v, p| {
            let order = p.order(v[0].ndim() + 1);
            v[0].diag_embed(p.below(5) as isize - 2, order[0], order[1]).into()
        }),
        sample("trace", &[REAL], matrix, |v, _| v[0].trace().into()),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("diag", &["diag"], |a| done(a.var(0, "input")?.diag(a.int_or(1, "diagonal", 0)?))),
        torch("diag_embed", &["diag_embed"], |a| {
            let (offset, dim1, dim2) = (a.int_or(1, "offset", 0)?, a.int_or(2, "dim1", -2)?, a.int_or(3, "dim2", -1)?);
            done(a.var(0, "input")?.diag_embed(offset, dim1, dim2))
        }),
        torch("trace", &["trace"], |a| done(a.var(0, "input")?.trace())),
    ]
}
