//! Sums of products written as an equation of subscripts.

use tensor::einsum::{Operand, einsum, tensordot};
use tensor::{Dims, ReshapeTarget, Shape};

use crate::var::Var;

impl Operand for Var {
    fn sizes(&self) -> Shape {
        self.shape()
    }
    fn take_diagonal(&self, a: isize, b: isize) -> Self {
        self.diagonal(0, a, b)
    }
    fn reorder(&self, order: &[isize]) -> Self {
        self.permute(order)
    }
    fn regroup(&self, shape: ReshapeTarget) -> Self {
        self.reshape(shape)
    }
    fn stretch(&self, shape: Shape) -> Self {
        self.broadcast_to(shape)
    }
    fn add_up(&self, dims: Dims) -> Self {
        self.sum_dim(dims, false)
    }
    fn times(&self, other: &Self) -> Self {
        self.mul(other)
    }
    fn multiply(&self, other: &Self) -> Self {
        self.matmul(other)
    }
}

impl Var {
    /// The sum of products that `equation` describes; see [`tensor::Tensor::einsum`].
    ///
    /// # Gradient
    /// That of the views, sums and products of which it is put together.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let a = Var::new(Tensor::from([[1.0, 2.0], [3.0, 4.0]])).requires_grad_(true);
    /// Var::einsum("ij,ij->", &[&a, &a]).backward();
    /// assert_eq!(a.grad().unwrap().to_vec::<f64>(), [2.0, 4.0, 6.0, 8.0]);
    /// ```
    #[track_caller]
    pub fn einsum(equation: &str, operands: &[&Var]) -> Var {
        einsum(equation, operands).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The sum of products over pairs of dimensions; see [`tensor::Tensor::tensordot`].
    ///
    /// # Gradient
    /// That of the views and the product of which it is put together.
    #[track_caller]
    pub fn tensordot(&self, other: &Var, dims: &[isize], other_dims: &[isize]) -> Var {
        tensordot(self, other, dims, other_dims).unwrap_or_else(|error| panic!("{error}"))
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    static REALS: [Domain; 3] = [REAL; 3];
    /// An equation, and of which of four random sizes its operands are made.
    macro_rules! equation {
        ($equation:literal, $($dims:expr),+) => {
            sample(
                "einsum",
                &REALS[..[$(&$dims[..]),+].len()],
                |_, p, _| {
                    let sizes: [usize; 4] = std::array::from_fn(|_| p.below(4));
                    vec![$($dims.iter().map(|&d: &usize| sizes[d]).collect()),+]
                },
                |v, _| Var::einsum($equation, &v.iter().collect::<Vec<_>>()).into(),
            )
        };
    }
    vec![
        equation!("ii", [0, 0]),
        equation!("ij->ji", [0, 1]),
        equation!("ij,jk->ik", [0, 1], [1, 2]),
        equation!("bij,bjk", [3, 0, 1], [3, 1, 2]),
        equation!("iij,jk->ki", [0, 0, 1], [1, 2]),
        equation!("...i,i...->...", [1, 2, 0], [0, 1, 2]),
        equation!("i,j,k->jik", [0], [1], [2]),
        equation!("ij,jk,ki", [0, 1], [1, 2], [2, 0]),
        equation!("ij,ij,kj->i", [0, 1], [0, 1], [2, 1]),
        sample(
            "tensordot",
            &[REAL, REAL],
            |shape, p, _| {
                let (m, n) = (p.below(4), p.below(4));
                vec![[shape, &[m, n]].concat(), vec![n, 2, m]]
            },
            |v, _| v[0].tensordot(&v[1], &[-1, -2], &[0, 2]).into(),
        ),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("einsum", &["einsum"], |a| {
            let operands = a.vars(0, "operands")?;
            done(Var::einsum(&a.text(1, "equation", "")?, &operands.iter().collect::<Vec<_>>()))
        }),
        torch("tensordot", &["tensordot"], |a| {
            let (x, y) = (a.var(0, "a")?, a.var(1, "b")?);
            let (dims, other) = match a.raw(2, "dims") {
                Some(&Arg::Int(n)) => ((-n as isize..0).collect(), (0..n as isize).collect()),
                Some(Arg::List(lists)) if lists.len() == 2 => {
                    let dims = |list: &Arg| list.ints().map_or_else(|| skip("dims that are no numbers"), Ok);
                    (dims(&lists[0])?, dims(&lists[1])?)
                }
                _ => return skip("dims that are neither a number nor two lists"),
            };
            let (dims, other): (Vec<isize>, Vec<isize>) = (dims, other);
            done(x.tensordot(&y, &dims, &other))
        }),
    ]
}
