//! Views: the same elements seen through another shape. None copies, in either direction, unless it says so.

use tensor::{DType, ReshapeTarget, Shape, Tensor, resolve_dim};

use crate::ops::index::added_at;
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

    /// Dimensions `start ..= end` as one.
    ///
    /// # Gradient
    /// `dy` in the shape of `x`.
    #[track_caller]
    pub fn flatten(&self, start: isize, end: isize) -> Var {
        let from = self.shape();
        Var::record_unary("flatten", self.tensor().flatten(start, end), self, move |dy| dy.reshape(&from))
    }

    /// Dimensions `a` and `b` exchanged.
    ///
    /// # Gradient
    /// `dy` with the same dimensions exchanged.
    #[track_caller]
    pub fn transpose(&self, a: isize, b: isize) -> Var {
        Var::record_unary("transpose", self.tensor().transpose(a, b), self, move |dy| dy.transpose(a, b))
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

    /// Dimension `from` moved to position `to`.
    ///
    /// # Gradient
    /// `dy` with the dimension moved back.
    #[track_caller]
    pub fn movedim(&self, from: isize, to: isize) -> Var {
        Var::record_unary("movedim", self.tensor().movedim(from, to), self, move |dy| dy.movedim(to, from))
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

    /// Dimension `dim` taken out if its size is 1.
    ///
    /// # Gradient
    /// `dy` in the shape of `x`.
    #[track_caller]
    pub fn squeeze(&self, dim: isize) -> Var {
        let from = self.shape();
        Var::record_unary("squeeze", self.tensor().squeeze(dim), self, move |dy| dy.reshape(&from))
    }

    /// Broadcast to `shape`.
    ///
    /// # Gradient
    /// `dy` summed over what was broadcast.
    #[track_caller]
    pub fn expand(&self, shape: impl Into<Shape>) -> Var {
        // The engine undoes the broadcast, as after any operation.
        Var::record_unary("expand", self.tensor().expand(shape), self, |dy| dy.clone())
    }

    /// Broadcast to `shape`; the same as [`Var::expand`].
    ///
    /// # Gradient
    /// `dy` summed over what was broadcast.
    #[track_caller]
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Var {
        self.expand(shape)
    }

    /// Elements `start .. start + len` along `dim`.
    ///
    /// # Gradient
    /// `dy` in its place among zeros; this copies.
    #[track_caller]
    pub fn narrow(&self, dim: isize, start: usize, len: usize) -> Var {
        let full = self.dim(dim);
        Var::record_unary("narrow", self.tensor().narrow(dim, start, len), self, move |dy| {
            among_zeros(dy, dim, start, full)
        })
    }

    /// Element `index` along `dim`, which goes away.
    ///
    /// # Gradient
    /// `dy` in its place among zeros; this copies.
    #[track_caller]
    pub fn select(&self, dim: isize, index: usize) -> Var {
        let value = self.tensor().select(dim, index);
        let dim = resolved("select", dim, self.ndim());
        let full = self.dim(dim);
        Var::record_unary("select", value, self, move |dy| among_zeros(&dy.unsqueeze(dim), dim, index, full))
    }

    /// Every `step`-th of the elements `start .. end` along `dim`.
    ///
    /// # Gradient
    /// `dy` in its places among zeros; this copies.
    #[track_caller]
    pub fn slice(&self, dim: isize, start: usize, end: usize, step: usize) -> Var {
        let value = self.tensor().slice(dim, start, end, step);
        let (shape, taken) = (self.shape(), value.dim(dim));
        Var::record_unary("slice", value, self, move |dy| {
            let ids = Tensor::arange(0.0, taken as f64, 1.0, DType::I64) * step as f64 + start as f64;
            added_at(dy, &shape, dim, &ids)
        })
    }

    /// The order of the elements reversed along `dims`.
    ///
    /// # Gradient
    /// `dy` reversed likewise.
    #[track_caller]
    pub fn flip(&self, dims: &[isize]) -> Var {
        let value = self.tensor().flip(dims);
        let dims = dims.to_vec();
        Var::record_unary("flip", value, self, move |dy| dy.flip(&dims))
    }

    /// The diagonal of dimensions `a` and `b`, shifted by `offset`, as the last dimension.
    ///
    /// # Gradient
    /// `dy` in its places among zeros; this copies.
    #[track_caller]
    pub fn diagonal(&self, offset: isize, a: isize, b: isize) -> Var {
        let shape = self.shape();
        Var::record_unary("diagonal", self.tensor().diagonal(offset, a, b), self, move |dy| {
            through_positions(dy, &shape, |positions| positions.diagonal(offset, a, b))
        })
    }

    /// Windows of `size` elements, `step` apart, along `dim`; the elements of a window become the last dimension.
    ///
    /// # Gradient
    /// `dy` added up where windows overlap; this copies.
    #[track_caller]
    pub fn unfold(&self, dim: isize, size: usize, step: usize) -> Var {
        let shape = self.shape();
        Var::record_unary("unfold", self.tensor().unfold(dim, size, step), self, move |dy| {
            through_positions(dy, &shape, |positions| positions.unfold(dim, size, step))
        })
    }
}

#[track_caller]
fn resolved(op: &str, dim: isize, ndim: usize) -> isize {
    resolve_dim(op, dim, ndim).unwrap_or_else(|error| panic!("{error}")) as isize
}

/// `dy` from `start` on along `dim` of a tensor of zeros that is `full` long there.
pub(crate) fn among_zeros(dy: &Var, dim: isize, start: usize, full: usize) -> Var {
    let len = dy.dim(dim);
    if len == full {
        return dy.clone();
    }
    let zeros = |n: usize| {
        let mut shape = dy.shape().to_vec();
        let dim = resolved("narrow", dim, shape.len()) as usize;
        shape[dim] = n;
        Var::new(Tensor::zeros((), dy.dtype()).expand(shape))
    };
    Var::cat(&[zeros(start), dy.clone(), zeros(full - start - len)], dim)
}

/// The gradient of a view that may skip or repeat elements: each element of `dy` is added where the view had read it.
fn through_positions(dy: &Var, shape: &Shape, view: impl FnOnce(&Tensor) -> Tensor) -> Var {
    let n = shape.numel();
    let positions = view(&Tensor::arange(0.0, n as f64, 1.0, DType::I64).reshape(shape));
    let (ids, flat) = (positions.reshape([positions.numel()]), dy.reshape([dy.numel()]));
    added_at(&flat, &Shape::from([n]), 0, &ids).reshape(shape)
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        unary("reshape", REAL, |x| x.reshape([x.numel(), 1])),
        sample("flatten", &[REAL], at_least_2d, |v, _| v[0].flatten(-2, -1).into()),
        sample("transpose", &[REAL], at_least_2d, |v, p| v[0].transpose(p.dim(v[0].ndim()), p.dim(v[0].ndim())).into()),
        sample("t", &[REAL], matrix, |v, _| v[0].t().into()),
        sample("permute", &[REAL], same, |v, p| v[0].permute(&p.order(v[0].ndim())).into()),
        sample("movedim", &[REAL], at_least_2d, |v, p| v[0].movedim(p.dim(v[0].ndim()), p.dim(v[0].ndim())).into()),
        sample("unsqueeze", &[REAL], same, |v, p| v[0].unsqueeze(p.dim(v[0].ndim() + 1)).into()),
        sample("squeeze", &[REAL], at_least_1d, |v, p| v[0].squeeze(p.dim(v[0].ndim())).into()),
        sample("expand", &[REAL], same, |v, _| v[0].unsqueeze(0).expand([&[3], &v[0].shape()[..]].concat()).into()),
        sample("broadcast_to", &[REAL], same, |v, _| v[0].broadcast_to([&[2], &v[0].shape()[..]].concat()).into()),
        sample("narrow", &[REAL], at_least_1d, |v, p| {
            let dim = p.dim(v[0].ndim());
            let start = p.below(v[0].dim(dim) + 1);
            v[0].narrow(dim, start, p.below(v[0].dim(dim) - start + 1)).into()
        }),
        sample("select", &[REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].select(dim, p.below(v[0].dim(dim))).into()
        }),
        sample("slice", &[REAL], at_least_1d, |v, p| {
            let dim = p.dim(v[0].ndim());
            let start = p.below(v[0].dim(dim) + 1);
            v[0].slice(dim, start, v[0].dim(dim), 1 + p.below(3)).into()
        }),
        sample("flip", &[REAL], at_least_1d, |v, p| v[0].flip(&[p.dim(v[0].ndim())]).into()),
        sample("diagonal", &[REAL], at_least_2d, |v, p| v[0].diagonal(p.below(3) as isize - 1, -1, 0).into()),
        sample("unfold", &[REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].unfold(dim, 1 + p.below(v[0].dim(dim)), 1 + p.below(2)).into()
        }),
    ]
}
