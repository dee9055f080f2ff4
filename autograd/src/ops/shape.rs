//! Views: the same elements seen through another shape. None copies, in either direction, unless it says so.

use tensor::{Dims, ReshapeTarget, Shape, broadcast_shapes};

use crate::var::Var;

impl Var {
    /// The same elements, in row-major order, in another shape; one size may be -1.
    ///
    /// # Gradient
    /// `dy` in the shape of `x`.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<ReshapeTarget>) -> Var {
        let from = self.shape();
        Var::record_unary("reshape", self.tensor().reshape(shape), self, move |dy| dy.reshape(&from))
    }

    /// [`Var::reshape`] that never copies.
    ///
    /// # Gradient
    /// `dy` in the shape of `x`.
    ///
    /// # Panics
    /// If strides cannot express the shape.
    #[track_caller]
    pub fn view(&self, shape: impl Into<ReshapeTarget>) -> Var {
        let from = self.shape();
        Var::record_unary("view", self.tensor().view(shape), self, move |dy| dy.reshape(&from))
    }

    /// [`Var::reshape`] to the shape of `other`.
    ///
    /// # Gradient
    /// `dy` in the shape of `x`.
    #[track_caller]
    pub fn reshape_as(&self, other: &Var) -> Var {
        self.reshape(other.shape())
    }

    /// [`Var::view`] in the shape of `other`.
    ///
    /// # Gradient
    /// `dy` in the shape of `x`.
    #[track_caller]
    pub fn view_as(&self, other: &Var) -> Var {
        self.view(other.shape())
    }

    /// Dimensions `start ..= end` as one.
    ///
    /// # Gradient
    /// `dy` in the shape of `x`.
    #[track_caller]
    pub fn flatten(&self, start: isize, end: isize) -> Var {
        let from = self.shape();
        Var::record_unary("flatten", self.tensor().flatten(start, end), self, move |dy| dy.reshape(&from))
    }

    /// Dimension `dim` as several of `sizes`, one of which may be -1.
    ///
    /// # Gradient
    /// `dy` in the shape of `x`.
    #[track_caller]
    pub fn unflatten(&self, dim: isize, sizes: impl Into<ReshapeTarget>) -> Var {
        let from = self.shape();
        Var::record_unary("unflatten", self.tensor().unflatten(dim, sizes), self, move |dy| dy.reshape(&from))
    }

    /// All elements along one dimension.
    ///
    /// # Gradient
    /// `dy` in the shape of `x`.
    #[track_caller]
    pub fn ravel(&self) -> Var {
        let from = self.shape();
        Var::record_unary("ravel", self.tensor().ravel(), self, move |dy| dy.reshape(&from))
    }

    /// Dimensions `a` and `b` exchanged.
    ///
    /// # Gradient
    /// `dy` with the same dimensions exchanged.
    #[track_caller]
    pub fn transpose(&self, a: isize, b: isize) -> Var {
        Var::record_unary("transpose", self.tensor().transpose(a, b), self, move |dy| dy.transpose(a, b))
    }

    /// The same as [`Var::transpose`].
    ///
    /// # Gradient
    /// `dy` with the same dimensions exchanged.
    #[track_caller]
    pub fn swapaxes(&self, a: isize, b: isize) -> Var {
        self.transpose(a, b)
    }

    /// The transpose of a matrix.
    ///
    /// # Gradient
    /// The transpose of `dy`.
    #[track_caller]
    pub fn t(&self) -> Var {
        Var::record_unary("t", self.tensor().t(), self, |dy| dy.t())
    }

    /// The dimensions in another order.
    ///
    /// # Gradient
    /// `dy` with its dimensions put back.
    #[track_caller]
    pub fn permute(&self, order: &[isize]) -> Var {
        let value = self.tensor().permute(order);
        let n = order.len() as isize;
        let mut back = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, &from)| back[from.rem_euclid(n) as usize] = to as isize);
        Var::record_unary("permute", value, self, move |dy| dy.permute(&back))
    }

    /// Each dimension of `from` moved to its position in `to`.
    ///
    /// # Gradient
    /// `dy` with the dimensions moved back.
    #[track_caller]
    pub fn movedim(&self, from: impl Into<Dims>, to: impl Into<Dims>) -> Var {
        let (from, to) = (from.into(), to.into());
        let value = self.tensor().movedim(&from, &to);
        Var::record_unary("movedim", value, self, move |dy| dy.movedim(&to, &from))
    }

    /// A dimension of size 1 put in at `dim`.
    ///
    /// # Gradient
    /// `dy` in the shape of `x`.
    #[track_caller]
    pub fn unsqueeze(&self, dim: isize) -> Var {
        let from = self.shape();
        Var::record_unary("unsqueeze", self.tensor().unsqueeze(dim), self, move |dy| dy.reshape(&from))
    }

    /// Those of the dimensions `dims` (an empty list means all) taken out whose size is 1.
    ///
    /// # Gradient
    /// `dy` in the shape of `x`.
    #[track_caller]
    pub fn squeeze(&self, dims: impl Into<Dims>) -> Var {
        let from = self.shape();
        Var::record_unary("squeeze", self.tensor().squeeze(dims), self, move |dy| dy.reshape(&from))
    }

    /// Broadcast to `shape`; -1 leaves a size as it is.
    ///
    /// # Gradient
    /// `dy` summed over what was broadcast.
    #[track_caller]
    pub fn expand(&self, shape: impl Into<ReshapeTarget>) -> Var {
        // The engine undoes the broadcast, as after any operation.
        Var::record_unary("expand", self.tensor().expand(shape), self, |dy| dy.clone())
    }

    /// [`Var::expand`] to the shape of `other`.
    ///
    /// # Gradient
    /// `dy` summed over what was broadcast.
    #[track_caller]
    pub fn expand_as(&self, other: &Var) -> Var {
        self.expand(other.shape())
    }

    /// Broadcast to `shape`; the same as [`Var::expand`].
    ///
    /// # Gradient
    /// `dy` summed over what was broadcast.
    #[track_caller]
    pub fn broadcast_to(&self, shape: impl Into<ReshapeTarget>) -> Var {
        self.expand(shape)
    }

    /// The values broadcast to their common shape.
    ///
    /// # Gradient
    /// To each its `dy`, summed over what was broadcast.
    #[track_caller]
    pub fn broadcast_tensors(vars: &[Var]) -> Vec<Var> {
        let common = |shape: Shape, var: &Var| broadcast_shapes("broadcast_tensors", &shape, &var.shape());
        let shape = vars.iter().try_fold(Shape::default(), common).unwrap_or_else(|error| panic!("{error}"));
        vars.iter().map(|var| var.expand(&shape)).collect()
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        unary("reshape", REAL, |x| x.reshape([x.numel(), 1])),
        unary("reshape_as", REAL, |x| x.reshape_as(&Var::new(x.value().unsqueeze(0)))),
        unary("view", REAL, |x| x.view(x.value().unsqueeze(-1).shape())),
        unary("view_as", REAL, |x| x.view_as(&Var::new(x.value().unsqueeze(0)))),
        sample("flatten", &[REAL], at_least_2d, |v, _| v[0].flatten(-2, -1).into()),
        sample("unflatten", &[REAL], rows, |v, p| v[0].unflatten(p.dim(v[0].ndim()), [1, -1]).into()),
        unary("ravel", REAL, Var::ravel),
        sample("transpose", &[REAL], at_least_2d, |v, p| v[0].transpose(p.dim(v[0].ndim()), p.dim(v[0].ndim())).into()),
        sample("swapaxes", &[REAL], at_least_2d, |v, p| v[0].swapaxes(0, p.dim(v[0].ndim())).into()),
        sample("t", &[REAL], matrix, |v, _| v[0].t().into()),
        sample("permute", &[REAL], same, |v, p| v[0].permute(&p.order(v[0].ndim())).into()),
        sample("movedim", &[REAL], at_least_2d, |v, p| v[0].movedim(p.dim(v[0].ndim()), p.dim(v[0].ndim())).into()),
        sample("movedim", &[REAL], same, |v, p| v[0].movedim(p.order(v[0].ndim()), p.order(v[0].ndim())).into()),
        sample("unsqueeze", &[REAL], same, |v, p| v[0].unsqueeze(p.dim(v[0].ndim() + 1)).into()),
        sample("squeeze", &[REAL], at_least_1d, |v, p| v[0].squeeze(p.dim(v[0].ndim())).into()),
        sample("squeeze", &[REAL], same, |v, p| v[0].squeeze(p.dims(v[0].ndim())).into()),
        sample("expand", &[REAL], same, |v, _| v[0].unsqueeze(0).expand([&[3], &v[0].shape()[..]].concat()).into()),
        sample("expand_as", &[REAL, REAL], same, |v, _| v[0].expand_as(&v[1].unsqueeze(0)).into()),
        sample("broadcast_to", &[REAL], same, |v, _| v[0].broadcast_to([&[2], &v[0].shape()[..]].concat()).into()),
        sample("broadcast_tensors", &[REAL, REAL], broadcast, |v, _| Var::broadcast_tensors(v)),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("reshape", &["reshape"], |a| done(a.var(0, "input")?.reshape(a.rest(1, "shape")?))),
        torch("view", &["view"], |a| done(a.var(0, "input")?.view(a.rest(1, "shape")?))),
        torch("flatten", &["flatten"], |a| {
            done(a.var(0, "input")?.flatten(a.int_or(1, "start_dim", 0)?, a.int_or(2, "end_dim", -1)?))
        }),
        torch("unflatten", &["unflatten"], |a| {
            done(a.var(0, "input")?.unflatten(a.int(1, "dim")?, a.ints(2, "sizes")?))
        }),
        torch("ravel", &["ravel"], |a| done(a.var(0, "input")?.ravel())),
        torch("squeeze", &["squeeze"], |a| done(a.var(0, "input")?.squeeze(a.dims(1, "dim")?))),
        torch("squeeze:multiple", &["squeeze"], |a| {
            let (x, dims) = (a.var(0, "input")?, a.ints(1, "dim")?);
            // PyTorch's empty list names no dimension, ours all.
            done(if dims.is_empty() { x.reshape_as(&x) } else { x.squeeze(dims) })
        }),
        torch("unsqueeze", &["unsqueeze"], |a| done(a.var(0, "input")?.unsqueeze(a.int(1, "dim")?))),
        torch("transpose", &["transpose"], |a| {
            done(a.var(0, "input")?.transpose(a.int(1, "dim0")?, a.int(2, "dim1")?))
        }),
        torch("permute", &["permute"], |a| done(a.var(0, "input")?.permute(&a.rest(1, "dims")?))),
        torch("movedim", &["movedim"], |a| {
            done(a.var(0, "input")?.movedim(a.ints(1, "source")?, a.ints(2, "destination")?))
        }),
        torch("t", &["t"], |a| done(a.var(0, "input")?.t())),
        torch("reshape_as", &["reshape_as"], |a| done(a.var(0, "input")?.reshape_as(&a.var(1, "other")?))),
        torch("view_as", &["view_as"], |a| done(a.var(0, "input")?.view_as(&a.var(1, "other")?))),
        torch("expand_as", &["expand_as"], |a| done(a.var(0, "input")?.expand_as(&a.var(1, "other")?))),
        torch("broadcast_tensors", &["broadcast_tensors"], |a| {
            let vars: Result<Vec<Var>, Skip> = (0..a.len()).map(|i| a.var(i, "tensors")).collect();
            done(Var::broadcast_tensors(&vars?))
        }),
        torch("expand", &["expand"], |a| done(a.var(0, "input")?.expand(a.rest(1, "size")?))),
        torch("broadcast_to", &["broadcast_to"], |a| done(a.var(0, "input")?.broadcast_to(a.ints(1, "size")?))),
    ]
}

#[cfg(test)]
mod tests {
    use tensor::Tensor;

    use super::*;

    #[test]
    #[should_panic(expected = "view: strides [1, 2] need a copy; use reshape")]
    fn a_view_never_copies() {
        Var::new(Tensor::from([[1.0, 2.0], [3.0, 4.0]]).t()).view([4]);
    }
}
