//! Parts: ranges, slices, windows, diagonals, the reverse order; all views.

use std::rc::Rc;

use tensor::{DType, Shape, Tensor, Whole, resolve_dim};

use crate::ops::index::added_at;
use crate::var::Var;

/// A way to look at a tensor in which every element shows at most once.
pub(crate) type View = Rc<dyn Fn(&Tensor) -> Tensor>;

/// What `view` shows of `x`.
///
/// Its gradient is [`among`], whose gradient this is.
#[track_caller]
pub(crate) fn seen(name: &'static str, x: &Var, view: View) -> Var {
    let (value, shape) = (view(&x.tensor()), x.shape());
    Var::record_unary(name, value, x, move |dy| among(dy, &shape, view.clone()))
}

/// Zeros of `shape` with `dy` where `view` shows them.
fn among(dy: &Var, shape: &Shape, view: View) -> Var {
    let mut value = Tensor::zeros(shape, dy.dtype());
    value.assign_(&*view, &dy.tensor());
    Var::record_unary("assign", value, dy, move |ddx| seen("view", ddx, view.clone()))
}

/// `dy` with zeros where `view` shows it.
fn without(dy: &Var, view: View) -> Var {
    let mut value = dy.tensor().copy();
    value.assign_(&*view, &Tensor::zeros((), dy.dtype()));
    Var::record_unary("assign", value, dy, move |ddx| without(ddx, view.clone()))
}

/// `value`, which is `x` with `source` in the place of what `view` shows.
#[track_caller]
pub(crate) fn replaced(name: &'static str, value: Tensor, x: &Var, source: &Var, view: View) -> Var {
    Var::record(name, value, [x, source], move |dy, need| {
        [need.of(0, || without(dy, view.clone())), need.of(1, || seen("view", dy, view.clone()))]
    })
}

impl Var {
    /// Elements `start .. start + len` along `dim`.
    ///
    /// # Gradient
    /// `dy` in its place among zeros; this copies.
    #[track_caller]
    pub fn narrow(&self, dim: isize, start: impl Whole, len: usize) -> Var {
        let value = self.tensor().narrow(dim, start, len);
        let (full, start) = (self.dim(dim), start.signed());
        let start = if start < 0 { start + full as isize } else { start } as usize;
        Var::record_unary("narrow", value, self, move |dy| among_zeros(dy, dim, start, full))
    }

    /// Element `index` along `dim`, which goes away.
    ///
    /// # Gradient
    /// `dy` in its place among zeros; this copies.
    #[track_caller]
    pub fn select(&self, dim: isize, index: impl Whole) -> Var {
        let value = self.tensor().select(dim, index);
        let dim = resolved("select", dim, self.ndim());
        let (full, index) = (self.dim(dim), index.signed());
        let index = if index < 0 { index + full as isize } else { index } as usize;
        Var::record_unary("select", value, self, move |dy| among_zeros(&dy.unsqueeze(dim), dim, index, full))
    }

    /// Every `step`-th of the elements `start .. end` along `dim`, bounds as Python reads them.
    ///
    /// # Gradient
    /// `dy` in its places among zeros; this copies.
    #[track_caller]
    pub fn slice(&self, dim: isize, start: impl Whole, end: impl Whole, step: usize) -> Var {
        let (start, end) = (start.signed(), end.signed());
        seen("slice", self, Rc::new(move |x| x.slice(dim, start, end, step)))
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

    /// The order of the elements reversed along the second dimension.
    ///
    /// # Gradient
    /// `dy` reversed likewise.
    #[track_caller]
    pub fn fliplr(&self) -> Var {
        Var::record_unary("fliplr", self.tensor().fliplr(), self, Var::fliplr)
    }

    /// The order of the elements reversed along the first dimension.
    ///
    /// # Gradient
    /// `dy` reversed likewise.
    #[track_caller]
    pub fn flipud(&self) -> Var {
        Var::record_unary("flipud", self.tensor().flipud(), self, Var::flipud)
    }

    /// Turned by `k` quarters in the plane of two dimensions.
    ///
    /// # Gradient
    /// `dy` turned back.
    #[track_caller]
    pub fn rot90(&self, k: isize, dims: [isize; 2]) -> Var {
        // Four quarters are none, so the remainder can be turned back without overflow.
        let k = k.rem_euclid(4);
        Var::record_unary("rot90", self.tensor().rot90(k, dims), self, move |dy| dy.rot90(-k, dims))
    }

    /// The diagonal of dimensions `a` and `b`, shifted by `offset`, as the last dimension.
    ///
    /// # Gradient
    /// `dy` in its places among zeros; this copies.
    #[track_caller]
    pub fn diagonal(&self, offset: isize, a: isize, b: isize) -> Var {
        seen("diagonal", self, Rc::new(move |x| x.diagonal(offset, a, b)))
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
pub(crate) fn resolved(op: &str, dim: isize, ndim: usize) -> isize {
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

/// Bounds of a slice as Python takes them, and a step.
#[cfg(test)]
pub(crate) fn bounds(p: &mut crate::testing::Pick) -> (isize, isize, usize) {
    (p.below(8) as isize - 4, p.below(8) as isize - 3, 1 + p.below(3))
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("narrow", &[REAL], at_least_1d, |v, p| {
            let dim = p.dim(v[0].ndim());
            let start = p.below(v[0].dim(dim) + 1);
            v[0].narrow(dim, start, p.below(v[0].dim(dim) - start + 1)).into()
        }),
        sample("narrow", &[REAL], rows, |v, p| v[0].narrow(p.dim(v[0].ndim()), -1, 1).into()),
        sample("select", &[REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].select(dim, p.dim(v[0].dim(dim))).into()
        }),
        sample("slice", &[REAL], at_least_1d, |v, p| {
            let (start, end, step) = bounds(p);
            v[0].slice(p.dim(v[0].ndim()), start, end, step).into()
        }),
        sample("flip", &[REAL], at_least_1d, |v, p| v[0].flip(&[p.dim(v[0].ndim())]).into()),
        sample("fliplr", &[REAL], at_least_2d, |v, _| v[0].fliplr().into()),
        sample("flipud", &[REAL], at_least_1d, |v, _| v[0].flipud().into()),
        sample("rot90", &[REAL], at_least_2d, |v, p| v[0].rot90(p.below(9) as isize - 4, [0, -1]).into()),
        sample("diagonal", &[REAL], at_least_2d, |v, p| v[0].diagonal(p.below(3) as isize - 1, -1, 0).into()),
        sample("unfold", &[REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].unfold(dim, 1 + p.below(v[0].dim(dim)), 1 + p.below(2)).into()
        }),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("narrow", &["narrow"], |a| {
            let (x, dim) = (a.var(0, "input")?, a.int(1, "dim")?);
            let start = match a.is_tensor(2, "start") {
                true if a.tensor(2, "start")?.dtype() == tensor::DType::Bool => return skip("a bool as a position"),
                true => a.tensor(2, "start")?.item::<i64>() as isize,
                false => a.int(2, "start")?,
            };
            done(x.narrow(dim, start, a.size(3, "length")?))
        }),
        torch("select", &["select"], |a| done(a.var(0, "input")?.select(a.int(1, "dim")?, a.int(2, "index")?))),
        torch("slice", &["slice"], |a| {
            let (start, end) = (a.int_or(2, "start", 0)?, a.int_or(3, "end", isize::MAX)?);
            done(a.var(0, "input")?.slice(a.int_or(1, "dim", 0)?, start, end, a.size_or(4, "step", 1)?))
        }),
        torch("flip", &["flip"], |a| done(a.var(0, "input")?.flip(&a.rest(1, "dims")?))),
        torch("fliplr", &["fliplr"], |a| done(a.var(0, "input")?.fliplr())),
        torch("flipud", &["flipud"], |a| done(a.var(0, "input")?.flipud())),
        torch("rot90", &["rot90"], |a| {
            let dims = a.opt_ints(2, "dims")?.unwrap_or(vec![0, 1]);
            let Ok(dims) = dims.try_into() else { return skip("other than two dimensions, which the type excludes") };
            done(a.var(0, "input")?.rot90(a.int_or(1, "k", 1)?, dims))
        }),
        torch("diagonal", &["diagonal"], |a| {
            let (offset, dim1, dim2) = (a.int_or(1, "offset", 0)?, a.int_or(2, "dim1", 0)?, a.int_or(3, "dim2", 1)?);
            done(a.var(0, "input")?.diagonal(offset, dim1, dim2))
        }),
        torch("unfold", &["unfold"], |a| {
            done(a.var(0, "input")?.unfold(a.int(1, "dimension")?, a.size(2, "size")?, a.size(3, "step")?))
        }),
    ]
}
