//! Assignment: a part of a value, or what indices or a mask name, replaced by something else.

use std::rc::Rc;

use tensor::{Indices, Tensor, Whole};

use crate::ops::parts::{among_zeros, replaced};
use crate::var::Var;

impl Var {
    /// This value with `source` in the place of [`slice(dim, start, end, step)`](Var::slice).
    ///
    /// # Gradient
    /// `dx` is `dy` with zeros there, `dsource` that slice of `dy`.
    #[track_caller]
    pub fn slice_scatter(&self, source: &Var, dim: isize, start: impl Whole, end: impl Whole, step: usize) -> Var {
        let (start, end) = (start.signed(), end.signed());
        let value = self.tensor().slice_scatter(&source.tensor(), dim, start, end, step);
        replaced("slice_scatter", value, self, source, Rc::new(move |x| x.slice(dim, start, end, step)))
    }

    /// This value with `source` in the place of [`select(dim, index)`](Var::select).
    ///
    /// # Gradient
    /// `dx` is `dy` with zeros there, `dsource` that slice of `dy`.
    #[track_caller]
    pub fn select_scatter(&self, source: &Var, dim: isize, index: impl Whole) -> Var {
        let index = index.signed();
        let value = self.tensor().select_scatter(&source.tensor(), dim, index);
        replaced("select_scatter", value, self, source, Rc::new(move |x| x.select(dim, index)))
    }

    /// This value with `source` in the place of [`diagonal(offset, a, b)`](Var::diagonal).
    ///
    /// # Gradient
    /// `dx` is `dy` with zeros there, `dsource` that diagonal of `dy`.
    #[track_caller]
    pub fn diagonal_scatter(&self, source: &Var, offset: isize, a: isize, b: isize) -> Var {
        let value = self.tensor().diagonal_scatter(&source.tensor(), offset, a, b);
        replaced("diagonal_scatter", value, self, source, Rc::new(move |x| x.diagonal(offset, a, b)))
    }

    /// `x` with the slices of `source` in the place of those at `ids` (1-d) along `dim`.
    ///
    /// # Gradient
    /// `dx` is `dy` with zeros at `ids`, `dsource = dy` selected at `ids`. Keeps `ids`.
    #[track_caller]
    pub fn index_copy(&self, dim: isize, ids: &Tensor, source: &Var) -> Var {
        let kept = ids.clone();
        let value = self.tensor().index_copy(dim, ids, &source.tensor());
        let shape = source.shape();
        Var::record("index_copy", value, [self, source], move |dy, need| {
            [need.of(0, || dy.index_fill(dim, &kept, 0.0)), need.of(1, || dy.index_select(dim, &kept).reshape(&shape))]
        })
        .reads("ids", ids)
    }

    /// `x` with one number in the slices at `ids` (1-d) along `dim`.
    ///
    /// # Gradient
    /// `dy` with zeros there. Keeps `ids`.
    #[track_caller]
    pub fn index_fill(&self, dim: isize, ids: &Tensor, value: f64) -> Var {
        let kept = ids.clone();
        let value = self.tensor().index_fill(dim, ids, value);
        Var::record_unary("index_fill", value, self, move |dy| dy.index_fill(dim, &kept, 0.0)).reads("ids", ids)
    }

    /// [`Var::index_fill`] with a 0-d value.
    ///
    /// # Gradient
    /// `dx` is `dy` with zeros there, `dvalue` the sum of `dy` there. Keeps `ids`.
    #[track_caller]
    pub fn index_fill_tensor(&self, dim: isize, ids: &Tensor, value: &Var) -> Var {
        let kept = ids.clone();
        let filled = self.tensor().index_fill_tensor(dim, ids, &value.tensor());
        let n = self.shape().get(resolved_or_scalar(dim, self.ndim())).map_or(1.0, |&n| n as f64);
        Var::record("index_fill", filled, [self, value], move |dy, need| {
            // A slice that is named twice is filled once.
            let places = Tensor::where_(&kept.lt_scalar(0.0), &(&kept + n), &kept).unique(None).values;
            [need.of(0, || dy.index_fill(dim, &kept, 0.0)), need.of(1, || dy.index_select(dim, &places).sum())]
        })
        .reads("ids", ids)
    }

    /// `x` with the elements of `source` at `ids` of all elements in row-major order, or with `accumulate` added there.
    ///
    /// # Gradient
    /// `dx = dy`, with zeros at `ids` unless accumulated; `dsource = dy` at `ids`. Keeps `ids`.
    #[track_caller]
    pub fn put(&self, ids: &Tensor, source: &Var, accumulate: bool) -> Var {
        let value = self.tensor().put(ids, &source.tensor(), accumulate);
        let (shape, kept) = (source.shape(), ids.clone());
        Var::record("put", value, [self, source], move |dy, need| {
            let zeros = || Var::new(Tensor::zeros((), dy.dtype()).expand(kept.shape()));
            [
                need.of(0, || if accumulate { dy.clone() } else { dy.put(&kept, &zeros(), false) }),
                need.of(1, || dy.take(&kept).reshape(&shape)),
            ]
        })
        .reads("ids", ids)
    }

    /// `x` with `values` (broadcast) in the place of what [`Var::i`] reads with the same indices, or with `accumulate`
    /// added there.
    ///
    /// # Gradient
    /// `dx = dy`, with zeros there unless accumulated; `dvalues` is what the indices read of `dy`. Keeps the indices.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([1.0, 2.0, 3.0])).requires_grad_(true);
    /// let v = Var::scalar(10.0).requires_grad_(true);
    /// x.index_put(1.., &v, false).square().sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [2.0, 0.0, 0.0]);
    /// assert_eq!(v.grad().unwrap().item::<f64>(), 40.0);
    /// ```
    #[track_caller]
    pub fn index_put(&self, indices: impl Indices, values: &Var, accumulate: bool) -> Var {
        let indices = indices.indices();
        let value = self.tensor().index_put(&indices[..], &values.tensor(), accumulate);
        let (ndim, given) = (values.ndim(), indices.clone());
        let y = Var::record("index_put", value, [self, values], move |dy, need| {
            let zero = || Var::new(Tensor::zeros((), dy.dtype()));
            // Values may have had more dimensions (of size 1) than what they were put to.
            let padded = |dvalues: Var| (dvalues.ndim()..ndim).fold(dvalues, |dvalues, _| dvalues.unsqueeze(0));
            [
                need.of(0, || if accumulate { dy.clone() } else { dy.index_put(&indices[..], &zero(), false) }),
                need.of(1, || padded(dy.i(&indices[..]))),
            ]
        });
        y.reads_indices(&given)
    }

    /// `x` (broadcast with the mask) with the elements of `source`, one after the other, where `mask` holds.
    ///
    /// # Gradient
    /// `dx` is `dy` with zeros where `mask` holds, `dsource` has `dy` from there. Keeps `mask`.
    #[track_caller]
    pub fn masked_scatter(&self, mask: &Tensor, source: &Var) -> Var {
        let value = self.tensor().masked_scatter(mask, &source.tensor());
        let (shape, kept) = (source.shape(), mask.clone());
        Var::record("masked_scatter", value, [self, source], move |dy, need| {
            [
                need.of(0, || dy.masked_fill(&kept, 0.0)),
                need.of(1, || among_zeros(&dy.masked_select(&kept), 0, 0, shape.numel()).reshape(&shape)),
            ]
        })
        .reads("mask", mask)
    }
}

/// Dimension `dim` as a position; of a scalar, 0.
fn resolved_or_scalar(dim: isize, ndim: usize) -> usize {
    dim.rem_euclid(ndim.max(1) as isize) as usize
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::ops::parts::bounds;
    use crate::testing::*;
    vec![
        sample("slice_scatter", &[REAL, REAL], at_least_1d, |v, p| {
            let (start, end, step) = bounds(p);
            let dim = p.dim(v[0].ndim());
            let source = v[1].slice(dim, start, end, step);
            v[0].slice_scatter(&source, dim, start, end, step).into()
        }),
        sample("select_scatter", &[REAL, REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            let index = p.dim(v[0].dim(dim));
            v[0].select_scatter(&v[1].select(dim, 0), dim, index).into()
        }),
        sample("diagonal_scatter", &[REAL, REAL], at_least_2d, |v, p| {
            let offset = p.below(3) as isize - 1;
            v[0].diagonal_scatter(&v[1].diagonal(offset, -1, 0), offset, -1, 0).into()
        }),
        sample("index_copy", &[REAL, REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            let ids = p.ids(&[1], v[0].dim(dim));
            v[0].index_copy(dim, &ids, &v[1].narrow(dim, 0, 1)).into()
        }),
        sample("index_fill", &[REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].index_fill(dim, &(p.ids(&[2], v[0].dim(dim)) - v[0].dim(dim) as f64), 1.5).into()
        }),
        sample("put", &[REAL, REAL], nonempty, |v, p| {
            let ids = p.ids(&v[1].shape(), v[0].numel());
            v[0].put(&ids, &v[1], true).into()
        }),
        sample("put", &[REAL, REAL], nonempty, |v, p| {
            v[0].put(&(p.ids(&[1], v[0].numel()) - v[0].numel() as f64), &v[1].ravel().narrow(0, 0, 1), false).into()
        }),
        sample("index_put", &[REAL, REAL], rows, |v, p| {
            let ids = p.ids(&[3], v[0].dim(0));
            v[0].index_put(&ids, &v[1].i(0), true).into()
        }),
        sample("index_put", &[REAL, REAL], rows, |v, p| {
            let mask = p.mask(&v[0].shape());
            v[0].index_put(&mask, &v[1].sum(), false).into()
        }),
        sample("index_put", &[REAL, REAL], at_least_2d, |v, _| {
            v[0].index_put((.., 1..), &v[1].i((.., 1..)), false).into()
        }),
        sample("masked_scatter", &[REAL, REAL], same, |v, p| v[0].masked_scatter(&p.mask(&v[0].shape()), &v[1]).into()),
        sample("index_fill_tensor", &[REAL, REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].index_fill_tensor(dim, &p.ids(&[3], v[0].dim(dim)), &v[1].sum()).into()
        }),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use tensor::Index;

    use crate::testing::conformance::*;
    vec![
        torch("slice_scatter", &["slice_scatter"], |a| {
            let (start, end) = (a.int_or(3, "start", 0)?, a.int_or(4, "end", isize::MAX)?);
            let (dim, step) = (a.int_or(2, "dim", 0)?, a.size_or(5, "step", 1)?);
            done(a.var(0, "input")?.slice_scatter(&a.var(1, "src")?, dim, start, end, step))
        }),
        torch("select_scatter", &["select_scatter"], |a| {
            done(a.var(0, "input")?.select_scatter(&a.var(1, "src")?, a.int(2, "dim")?, a.int(3, "index")?))
        }),
        torch("index_copy", &["index_copy"], |a| {
            done(a.var(0, "input")?.index_copy(a.int(1, "dim")?, &a.tensor(2, "index")?, &a.var(3, "source")?))
        }),
        torch("index_fill", &["index_fill", "index_fill_tensor"], |a| {
            let (x, dim, ids) = (a.var(0, "input")?, a.int(1, "dim")?, a.tensor(2, "index")?);
            done(match a.is_tensor(3, "value") {
                true => x.index_fill_tensor(dim, &ids, &a.var(3, "value")?),
                false => x.index_fill(dim, &ids, a.number(3, "value")?),
            })
        }),
        torch("index_put", &["index_put"], |a| {
            let (x, values) = (a.var(0, "input")?, a.var(2, "values")?);
            let indices: Vec<Index> = a.vars(1, "indices")?.iter().map(|ids| Index::Tensor(ids.value())).collect();
            done(x.index_put(indices, &values, a.flag(3, "accumulate", false)?))
        }),
        torch("diagonal_scatter", &["diagonal_scatter"], |a| {
            let (offset, dim1, dim2) = (a.int_or(2, "offset", 0)?, a.int_or(3, "dim1", 0)?, a.int_or(4, "dim2", 1)?);
            done(a.var(0, "input")?.diagonal_scatter(&a.var(1, "src")?, offset, dim1, dim2))
        }),
        torch("put", &["put"], |a| {
            let (x, ids, source) = (a.var(0, "input")?, a.tensor(1, "index")?, a.var(2, "source")?);
            done(x.put(&ids, &source, a.flag(3, "accumulate", false)?))
        }),
        torch("masked_scatter", &["masked_scatter"], |a| {
            done(a.var(0, "input")?.masked_scatter(&a.tensor(1, "mask")?, &a.var(2, "source")?))
        }),
    ]
}
