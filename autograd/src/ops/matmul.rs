//! Matrix products.

use smallvec::SmallVec;

use crate::var::Var;

impl Var {
    /// The matrix product, by PyTorch's rules for vectors, matrices and batches of them.
    ///
    /// # Shape
    /// `[.., m, k] @ [.., k, n] -> [.., m, n]`; batch dimensions broadcast; a 1-d operand is a row on the left, a
    /// column on the right.
    ///
    /// # Gradient
    /// `da = dy b^T`, `db = a^T dy`, each one product over transposed views. Keeps each operand if the other needs a
    /// gradient.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let a = Var::new(Tensor::from([[1.0, 2.0], [3.0, 4.0]])).requires_grad_(true);
    /// let b = Var::new(Tensor::from([[1.0], [10.0]]));
    /// a.matmul(&b).sum().backward();
    /// assert_eq!(a.grad().unwrap().to_vec::<f64>(), [1.0, 10.0, 1.0, 10.0]);
    /// ```
    #[track_caller]
    pub fn matmul(&self, other: &Var) -> Var {
        let (a, b) = (self.keep_for(&[other]), other.keep_for(&[self]));
        let (rows, columns) = (self.ndim(), other.ndim());
        Var::record("matmul", self.tensor().matmul(&other.tensor()), [self, other], move |dy, need| {
            match (rows, columns) {
                // A dot product, and the two products of a matrix with a vector: outer products and their reverse.
                (1, 1) => [need.of(0, || dy * &*b), need.of(1, || dy * &*a)],
                (1, _) => [
                    need.of(0, || b.matmul(&dy.unsqueeze(-1)).squeeze(-1)),
                    need.of(1, || a.unsqueeze(-1).matmul(&dy.unsqueeze(-2))),
                ],
                (_, 1) => [
                    need.of(0, || dy.unsqueeze(-1).matmul(&b.unsqueeze(0))),
                    need.of(1, || {
                        let (a, dy) = (flat_rows(&a), dy.reshape([dy.numel()]));
                        a.t().matmul(&dy)
                    }),
                ],
                // Every batch shares `b`: one product over all rows instead of one per batch and a sum.
                (_, 2) => [need.of(0, || dy.matmul(&b.t())), need.of(1, || flat_rows(&a).t().matmul(&flat_rows(dy)))],
                _ => [need.of(0, || dy.matmul(&b.transpose(-1, -2))), need.of(1, || a.transpose(-1, -2).matmul(dy))],
            }
        })
    }

    /// `x w^T + b`.
    ///
    /// # Shape
    /// `x [.., in]`, `weight [out, in]`, `bias [out]` -> `[.., out]`; a weight `[in]` has one output, without a dimension.
    ///
    /// # Gradient
    /// `dx = dy w`, `dw = dy^T x` as one product over all rows, `db` the sum of the rows of `dy`. Keeps `x` if `w`
    /// needs a gradient, and `w` if `x` does.
    #[track_caller]
    pub fn linear(&self, weight: &Var, bias: Option<&Var>) -> Var {
        if weight.ndim() == 1 {
            let y = self.matmul(weight);
            return bias.map_or_else(|| y.clone(), |bias| &y + bias);
        }
        let (x, w) = (self.keep_for(&[weight]), weight.keep_for(&[self]));
        let value = match bias {
            Some(bias) => self.tensor().linear(&weight.tensor(), Some(&bias.tensor())),
            None => self.tensor().linear(&weight.tensor(), None),
        };
        let inputs: &[&Var] = match &bias {
            Some(bias) => &[self, weight, bias],
            None => &[self, weight],
        };
        let biased = bias.is_some();
        Var::record("linear", value, inputs, move |dy, need| {
            let mut grads = SmallVec::<[Option<Var>; 3]>::new();
            grads.push(need.of(0, || dy.matmul(&w)));
            grads.push(need.of(1, || flat_rows(dy).t().matmul(&flat_rows(&x))));
            if biased {
                grads.push(need.of(2, || flat_rows(dy).sum_dim(0, false)));
            }
            grads
        })
    }
}

/// All dimensions but the last as one: a matrix of rows.
fn flat_rows(x: &Var) -> Var {
    match x.ndim() {
        2 => x.clone(),
        n => {
            let shape = x.shape();
            x.reshape([shape[..n - 1].iter().product(), shape[n - 1]])
        }
    }
}

/// The plain reference of [`Var::linear`].
#[cfg(test)]
fn linear_reference(x: &Var, weight: &Var, bias: &Var) -> Var {
    x.matmul(&weight.t()) + bias
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("matmul", &[REAL, REAL], products, |v, _| v[0].matmul(&v[1]).into()),
        sample("linear", &[REAL, REAL, REAL], linear_shapes, |v, _| v[0].linear(&v[1], Some(&v[2])).into()),
        sample("linear", &[REAL, REAL, REAL], linear_shapes, |v, _| v[0].linear(&v[1], None).into()),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("matmul", &["matmul"], |a| done(a.var(0, "input")?.matmul(&a.var(1, "other")?))),
        torch("nn.functional.linear", &["linear"], |a| {
            done(a.var(0, "input")?.linear(&a.var(1, "weight")?, a.opt_var(2, "bias")?.as_ref()))
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{REAL, agrees_with_reference};

    #[test]
    fn linear_agrees_with_its_reference() {
        for x in [&[3][..], &[5, 3], &[2, 5, 3], &[0, 3]] {
            let shapes = &[x, &[4, 3], &[4]];
            agrees_with_reference(
                &[REAL; 3],
                shapes,
                |v| v[0].linear(&v[1], Some(&v[2])),
                |v| linear_reference(&v[0], &v[1], &v[2]),
            );
        }
    }
}
