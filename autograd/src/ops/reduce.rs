//! Sums, means and their relatives over some or all dimensions.

use tensor::{Dims, Shape, Tensor};

use crate::var::Var;

impl Var {
    /// The sum of all elements, 0-d.
    ///
    /// # Gradient
    /// `dx = dy`, broadcast (no memory).
    #[track_caller]
    pub fn sum(&self) -> Var {
        let shape = self.shape();
        Var::record_unary("sum", self.tensor().sum(), self, move |dy| dy.expand(&shape))
    }

    /// The sum over `dims`; an empty list means all.
    ///
    /// # Gradient
    /// `dx = dy`, broadcast (no memory).
    #[track_caller]
    pub fn sum_dim(&self, dims: impl Into<Dims>, keepdim: bool) -> Var {
        let over = Over::new("sum_dim", self, &dims.into(), keepdim);
        let value = self.tensor().sum_dim(&over.dims, keepdim);
        Var::record_unary("sum_dim", value, self, move |dy| over.stretch(dy).expand(&over.shape))
    }

    /// The mean of all elements, 0-d.
    ///
    /// # Gradient
    /// `dx = dy / n`, broadcast (no memory).
    #[track_caller]
    pub fn mean(&self) -> Var {
        let shape = self.shape();
        Var::record_unary("mean", self.tensor().mean(), self, move |dy| (dy / shape.numel() as f64).expand(&shape))
    }

    /// The mean over `dims`; an empty list means all.
    ///
    /// # Gradient
    /// `dx = dy / n`, broadcast (no memory).
    #[track_caller]
    pub fn mean_dim(&self, dims: impl Into<Dims>, keepdim: bool) -> Var {
        let over = Over::new("mean_dim", self, &dims.into(), keepdim);
        let value = self.tensor().mean_dim(&over.dims, keepdim);
        Var::record_unary("mean_dim", value, self, move |dy| (over.stretch(dy) / over.count()).expand(&over.shape))
    }

    /// The product of all elements, 0-d.
    ///
    /// # Gradient
    /// `dx_i = dy prod_{j != i} x_j`, computed without a division, so that it holds at zeros. Keeps `x`.
    #[track_caller]
    pub fn prod(&self) -> Var {
        let x = self.keep();
        Var::record_unary("prod", self.tensor().prod(), self, move |dy| {
            (dy * products_of_others(&x.reshape([x.numel()]))).reshape(x.shape())
        })
    }

    /// The product over `dims`; an empty list means all.
    ///
    /// # Gradient
    /// As [`Var::prod`].
    #[track_caller]
    pub fn prod_dim(&self, dims: impl Into<Dims>, keepdim: bool) -> Var {
        let over = Over::new("prod_dim", self, &dims.into(), keepdim);
        let value = self.tensor().prod_dim(&over.dims, keepdim);
        let x = self.keep();
        Var::record_unary("prod_dim", value, self, move |dy| {
            // The reduced dimensions go last and become one.
            let others = (0..over.shape.len()).filter(|d| !over.reduced.contains(d));
            let order: Vec<isize> = others.chain(over.reduced.iter().copied()).map(|d| d as isize).collect();
            let mut back = vec![0; order.len()];
            order.iter().enumerate().for_each(|(to, &from)| back[from as usize] = to as isize);
            let last = x.permute(&order);
            let mut rows = last.shape()[..over.shape.len() - over.reduced.len()].to_vec();
            rows.push(over.reduced.iter().map(|&d| over.shape[d]).product());
            let products = products_of_others(&last.reshape(rows)).reshape(last.shape()).permute(&back);
            over.stretch(dy) * products
        })
    }

    /// `log sum e^x` over `dims`, without overflow.
    ///
    /// # Gradient
    /// `dx = dy e^(x - y)`, the softmax. Keeps `x` and `y`.
    #[track_caller]
    pub fn logsumexp(&self, dims: impl Into<Dims>, keepdim: bool) -> Var {
        let over = Over::new("logsumexp", self, &dims.into(), keepdim);
        let value = self.tensor().logsumexp(&over.dims, keepdim);
        let x = self.keep();
        Var::record_output("logsumexp", value, [self], move |y, dy, _| {
            [Some(over.stretch(dy) * (&*x - over.stretch(y)).exp())]
        })
    }

    /// The sum over the dimensions in which `shape` was broadcast to this shape; undoes [`Var::expand`].
    ///
    /// # Gradient
    /// `dx = dy`, broadcast (no memory).
    #[track_caller]
    pub fn sum_to(&self, shape: impl Into<Shape>) -> Var {
        let from = self.shape();
        Var::record_unary("sum_to", self.tensor().sum_to(shape), self, move |dy| dy.expand(&from))
    }

    /// Whether any element differs from zero, 0-d: no gradient flows through it.
    #[track_caller]
    pub fn any(&self) -> Tensor {
        self.tensor().any()
    }

    /// Whether any element over `dims` differs from zero: no gradient flows through it.
    #[track_caller]
    pub fn any_dim(&self, dims: impl Into<Dims>, keepdim: bool) -> Tensor {
        self.tensor().any_dim(dims, keepdim)
    }

    /// Whether all elements over `dims` differ from zero: no gradient flows through it.
    #[track_caller]
    pub fn all_dim(&self, dims: impl Into<Dims>, keepdim: bool) -> Tensor {
        self.tensor().all_dim(dims, keepdim)
    }

    /// Whether all elements differ from zero, 0-d: no gradient flows through it.
    #[track_caller]
    pub fn all(&self) -> Tensor {
        self.tensor().all()
    }
}

/// A reduction's dimensions, and the way back from its result's shape to its input's.
#[derive(Clone)]
pub(crate) struct Over {
    pub dims: Dims,
    pub reduced: Vec<usize>,
    pub shape: Shape,
    keepdim: bool,
}

impl Over {
    #[track_caller]
    pub fn new(op: &str, x: &Var, dims: &Dims, keepdim: bool) -> Over {
        let shape = x.shape();
        let reduced = dims.resolve(op, shape.len()).unwrap_or_else(|error| panic!("{error}")).to_vec();
        Over { dims: dims.clone(), reduced, shape, keepdim }
    }

    /// How many elements make one of the result.
    pub fn count(&self) -> f64 {
        self.reduced.iter().map(|&d| self.shape[d] as f64).product()
    }

    /// Gives a tensor of the result's shape the reduced dimensions back, with size 1.
    pub fn stretch(&self, y: &Var) -> Var {
        if self.keepdim {
            return y.clone();
        }
        let kept: Shape =
            (0..self.shape.len()).map(|d| if self.reduced.contains(&d) { 1 } else { self.shape[d] }).collect();
        y.reshape(kept)
    }
}

/// Along the last dimension, for each element the product of all the others.
///
/// Halves: the product of the others is that of the other pairs times that of the neighbour. No division, so zeros are
/// as good as any number, also in higher derivatives.
fn products_of_others(x: &Var) -> Var {
    let n = x.dim(-1);
    let rows = x.shape()[..x.ndim() - 1].to_vec();
    let with = |rows: &[usize], last: &[usize]| [rows, last].concat();
    if n <= 1 {
        return Var::new(Tensor::ones_like(&x.tensor()));
    }
    let even = match n % 2 {
        0 => x.clone(),
        _ => Var::cat(&[x.clone(), Var::new(Tensor::ones(with(&rows, &[1]), x.dtype()))], -1),
    };
    let pairs = even.reshape(with(&rows, &[n.div_ceil(2), 2]));
    let products = &pairs.select(-1, 0) * &pairs.select(-1, 1);
    let others = products_of_others(&products).unsqueeze(-1) * pairs.flip(&[-1]);
    others.reshape(with(&rows, &[n.div_ceil(2) * 2])).narrow(-1, 0, n)
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        unary("sum", REAL, Var::sum),
        sample("sum_dim", &[REAL], same, |v, p| v[0].sum_dim(p.dims(v[0].ndim()), p.coin()).into()),
        sample("mean", &[REAL], nonempty, |v, _| v[0].mean().into()),
        sample("mean_dim", &[REAL], nonempty, |v, p| v[0].mean_dim(p.dims(v[0].ndim()), p.coin()).into()),
        unary("prod", REAL, Var::prod),
        sample("prod_dim", &[REAL], same, |v, p| v[0].prod_dim(p.dims(v[0].ndim()), p.coin()).into()),
        sample("logsumexp", &[REAL], nonempty, |v, p| v[0].logsumexp(p.dims(v[0].ndim()), p.coin()).into()),
        sample("sum_to", &[REAL], same, |v, p| v[0].sum_to(p.unbroadcast(&v[0].shape())).into()),
        sample("any", &[REAL], same, |v, _| mask(v[0].any())),
        sample("all", &[REAL], same, |v, _| mask(v[0].all())),
        sample("any_dim", &[REAL], same, |v, p| mask(v[0].floor().any_dim(p.dims(v[0].ndim()), p.coin()))),
        sample("all_dim", &[REAL], same, |v, p| mask(v[0].floor().all_dim(p.dims(v[0].ndim()), p.coin()))),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    fn converted(a: &Args) -> Result<Var, Skip> {
        let x = a.var(0, "input")?;
        Ok(a.opt_dtype(9, "dtype")?.map_or_else(|| x.clone(), |dtype| x.to_dtype(dtype)))
    }
    vec![
        torch("sum", &["sum", "sum_dim"], |a| {
            let (x, keepdim) = (converted(a)?, a.flag(2, "keepdim", false)?);
            done(if a.raw(1, "dim").is_none() { x.sum() } else { x.sum_dim(a.dims(1, "dim")?, keepdim) })
        }),
        torch("mean", &["mean", "mean_dim"], |a| {
            let (x, keepdim) = (converted(a)?, a.flag(2, "keepdim", false)?);
            done(if a.raw(1, "dim").is_none() { x.mean() } else { x.mean_dim(a.dims(1, "dim")?, keepdim) })
        }),
        torch("prod", &["prod", "prod_dim"], |a| {
            let (x, keepdim) = (converted(a)?, a.flag(2, "keepdim", false)?);
            done(if a.raw(1, "dim").is_none() { x.prod() } else { x.prod_dim(a.dims(1, "dim")?, keepdim) })
        }),
        torch("logsumexp", &["logsumexp"], |a| {
            done(a.var(0, "input")?.logsumexp(a.dims(1, "dim")?, a.flag(2, "keepdim", false)?))
        }),
        torch("any", &["any", "any_dim"], |a| {
            let (x, keepdim) = (a.var(0, "input")?, a.flag(2, "keepdim", false)?);
            done(if a.raw(1, "dim").is_none() { x.any() } else { x.any_dim(a.dims(1, "dim")?, keepdim) })
        }),
        torch("all", &["all", "all_dim"], |a| {
            let (x, keepdim) = (a.var(0, "input")?, a.flag(2, "keepdim", false)?);
            done(if a.raw(1, "dim").is_none() { x.all() } else { x.all_dim(a.dims(1, "dim")?, keepdim) })
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;

    #[test]
    fn products_with_zeros() {
        assert_eq!(gradient_at(&[2.0, 3.0, 0.0, 4.0, 5.0], Var::prod), [0.0, 0.0, 120.0, 0.0, 0.0]);
        assert_eq!(gradient_at(&[2.0, 0.0, 0.0], Var::prod), [0.0, 0.0, 0.0]);
        let x = Var::new(Tensor::from([2.0, 0.0, 3.0, 0.0])).requires_grad_(true);
        crate::gradgradcheck(|v| v[0].prod(), &[x], Default::default()).unwrap();
    }
}
