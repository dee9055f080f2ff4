//! Writing and adding at indices and where masks hold.

use tensor::{Indices, ScatterReduce, Tensor};

use crate::ops::parts::among_zeros;
use crate::var::Var;

impl Var {
    /// `x` with the elements of `source` at `ids` along `dim`; the reverse of [`Var::gather`].
    ///
    /// # Gradient
    /// `dx` is `dy` with zeros at `ids`, `dsource = dy` gathered at `ids` (also for an element over which another was
    /// written). Keeps `ids`.
    #[track_caller]
    pub fn scatter(&self, dim: isize, ids: &Tensor, source: &Var) -> Var {
        let (shape, kept) = (source.shape(), ids.clone());
        let value = self.tensor().scatter(dim, ids, &source.tensor());
        Var::record("scatter", value, [self, source], move |dy, need| {
            [need.of(0, || dy.scatter_value(dim, &kept, 0.0)), need.of(1, || gathered(dy, dim, &kept, &shape))]
        })
    }

    /// `x` with one number at `ids` along `dim`.
    ///
    /// # Gradient
    /// `dy` with zeros at `ids`. Keeps `ids`.
    #[track_caller]
    pub fn scatter_value(&self, dim: isize, ids: &Tensor, value: f64) -> Var {
        let kept = ids.clone();
        let value = self.tensor().scatter_value(dim, ids, value);
        Var::record_unary("scatter_value", value, self, move |dy| dy.scatter_value(dim, &kept, 0.0))
    }

    /// `x` with the elements of `source` added at `ids` along `dim`; the reverse of [`Var::gather`].
    ///
    /// # Gradient
    /// `dx = dy`, `dsource = dy` gathered at `ids`. Keeps `ids`.
    #[track_caller]
    pub fn scatter_add(&self, dim: isize, ids: &Tensor, source: &Var) -> Var {
        let (shape, kept) = (source.shape(), ids.clone());
        let value = self.tensor().scatter_add(dim, ids, &source.tensor());
        Var::record("scatter_add", value, [self, source], move |dy, need| {
            [need.of(0, || dy.clone()), need.of(1, || gathered(dy, dim, &kept, &shape))]
        })
    }

    /// `x` with each place to which `ids` sends elements of `source` reduced to one number with them.
    ///
    /// # Gradient
    /// Of a sum, a product and a mean the usual ones; of a product with one factor zero that factor gets the product of
    /// the others. Of an extremum `dy` shared evenly among all that equal it. The place's own element gets none unless
    /// `include_self`. Keeps `x`, `source`, `ids` and (for some) `y`.
    #[track_caller]
    pub fn scatter_reduce(
        &self,
        dim: isize,
        ids: &Tensor,
        source: &Var,
        reduce: ScatterReduce,
        include_self: bool,
    ) -> Var {
        let value = self.tensor().scatter_reduce(dim, ids, &source.tensor(), reduce, include_self);
        if ids.numel() == 0 {
            return Var::record_unary("scatter_reduce", value, self, |dy| dy.clone());
        }
        let (x, s, ids) = (self.keep_for(&[self, source]), source.keep_for(&[self, source]), ids.clone());
        Var::record_output("scatter_reduce", value, [self, source], move |y, dy, need| {
            let at = Places { dim, ids: &ids, include_self };
            let shape = s.shape();
            let own = |dx: Var| if include_self { dx } else { dx.scatter_value(dim, &ids, 0.0) };
            match reduce {
                ScatterReduce::Sum => [need.of(0, || own(dy.clone())), need.of(1, || gathered(dy, dim, &ids, &shape))],
                ScatterReduce::Mean => {
                    let each = dy / Var::new(at.arrivals(&x.tensor()));
                    [need.of(0, || own(each.clone())), need.of(1, || gathered(&each, dim, &ids, &shape))]
                }
                ScatterReduce::Amax | ScatterReduce::Amin => {
                    // Who equals the extremum: the element itself, and those that came.
                    let mut itself = x.tensor().eq(&y.tensor()).to_dtype(dy.dtype());
                    if !include_self {
                        itself = itself.scatter_value(dim, &ids, 0.0);
                    }
                    let came = used(&s.tensor(), &ids);
                    let came = came.eq(&y.tensor().gather(dim, &ids)).to_dtype(dy.dtype());
                    let each = dy / Var::new(itself.scatter_add(dim, &ids, &came).clamp(Some(1.0), None));
                    [
                        need.of(0, || &each * &Var::new(itself.clone())),
                        need.of(1, || filled(each.gather(dim, &ids) * Var::new(came.clone()), &shape)),
                    ]
                }
                ScatterReduce::Prod => [
                    need.of(0, || own(dy * at.product_of_others(&x, &s))),
                    need.of(1, || at.product_gradient(&x, &s, y, dy)),
                ],
            }
        })
    }

    /// `x` with the slices of `source` added at `ids` (1-d) along `dim`; the reverse of [`Var::index_select`].
    ///
    /// # Gradient
    /// `dx = dy`, `dsource = dy` selected at `ids`. Keeps `ids`.
    #[track_caller]
    pub fn index_add(&self, dim: isize, ids: &Tensor, source: &Var) -> Var {
        let kept = ids.clone();
        let value = self.tensor().index_add(dim, ids, &source.tensor());
        let shape = source.shape();
        Var::record("index_add", value, [self, source], move |dy, need| {
            [need.of(0, || dy.clone()), need.of(1, || dy.index_select(dim, &kept).reshape(&shape))]
        })
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
    }

    /// `x` with one number in the slices at `ids` (1-d) along `dim`.
    ///
    /// # Gradient
    /// `dy` with zeros there. Keeps `ids`.
    #[track_caller]
    pub fn index_fill(&self, dim: isize, ids: &Tensor, value: f64) -> Var {
        let kept = ids.clone();
        let value = self.tensor().index_fill(dim, ids, value);
        Var::record_unary("index_fill", value, self, move |dy| dy.index_fill(dim, &kept, 0.0))
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
        let ndim = values.ndim();
        Var::record("index_put", value, [self, values], move |dy, need| {
            let zero = || Var::new(Tensor::zeros((), dy.dtype()));
            // Values may have had more dimensions (of size 1) than what they were put to.
            let padded = |dvalues: Var| (dvalues.ndim()..ndim).fold(dvalues, |dvalues, _| dvalues.unsqueeze(0));
            [
                need.of(0, || if accumulate { dy.clone() } else { dy.index_put(&indices[..], &zero(), false) }),
                need.of(1, || padded(dy.i(&indices[..]))),
            ]
        })
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
    }
}

/// `dy` gathered for a source of `shape`, which may be larger than the indices: what lies beside them had no part.
fn gathered(dy: &Var, dim: isize, ids: &Tensor, shape: &[usize]) -> Var {
    if ids.numel() == 0 {
        return Var::new(Tensor::zeros(shape, dy.dtype()));
    }
    filled(dy.gather(dim, ids), shape)
}

fn filled(dsource: Var, shape: &[usize]) -> Var {
    (0..dsource.ndim()).fold(dsource, |dsource, d| among_zeros(&dsource, d as isize, 0, shape[d])).reshape(shape)
}

/// The part of a source that has indices beside it.
fn used(source: &Tensor, ids: &Tensor) -> Tensor {
    let source = (0..ids.ndim().min(source.ndim())).fold(source.clone(), |s, d| s.narrow(d as isize, 0, ids.dims()[d]));
    source.reshape(ids.shape())
}

/// Where a reduction's elements meet.
struct Places<'a> {
    dim: isize,
    ids: &'a Tensor,
    include_self: bool,
}

impl Places<'_> {
    /// How many elements meet at each place, at least 1.
    fn arrivals(&self, x: &Tensor) -> Tensor {
        let start = if self.include_self { x.ones_like() } else { x.zeros_like() };
        let ones = Tensor::ones((), x.dtype()).expand(self.ids.shape());
        start.scatter_add(self.dim, self.ids, &ones).clamp(Some(1.0), None)
    }

    fn product(&self, x: &Var, source: &Var, include_self: bool) -> Var {
        x.scatter_reduce(self.dim, self.ids, source, ScatterReduce::Prod, include_self)
    }

    /// For each element of `x` the product of those that came to its place.
    fn product_of_others(&self, x: &Var, source: &Var) -> Var {
        self.product(&Var::new(x.tensor().ones_like()), source, true)
    }

    /// The gradient of a product for the elements of `source`: `dy` times the product of the others. A single zero among
    /// them gets the product without itself; with more, or a zero in `x`, all others get none.
    fn product_gradient(&self, x: &Var, source: &Var, y: &Var, dy: &Var) -> Var {
        let (dim, ids) = (self.dim, self.ids);
        let came = used(&source.tensor(), ids);
        let zero = came.eq_scalar(0.0);
        let zeros = Tensor::zeros(x.shape(), dy.dtype());
        let zeros = zeros.scatter_add(dim, ids, &zero.to_dtype(dy.dtype())).gather(dim, ids);
        let single = zero.logical_and(&zeros.eq_scalar(1.0));
        let part = Var::new_used(source, ids);
        let without = self.product(x, &part.masked_fill(&single, 1.0), self.include_self);
        let others = (dy * y).gather(dim, ids) / part.masked_fill(&zero, 1.0);
        let alone = (dy * &without).gather(dim, ids);
        filled(Var::where_(&single, &alone, &others), &source.shape())
    }
}

impl Var {
    /// [`used`] with its gradient.
    fn new_used(source: &Var, ids: &Tensor) -> Var {
        let all = 0..ids.ndim().min(source.ndim());
        all.fold(source.clone(), |s, d| s.narrow(d as isize, 0, ids.dims()[d])).reshape(ids.shape())
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    /// Indices along `dim` into the first of two values of one shape, each different from the others on its line.
    fn places(v: &[Var], p: &mut Pick) -> (isize, Tensor) {
        let dim = p.dim(v[0].ndim());
        let order: Vec<i64> = p.order(v[0].dim(dim)).into_iter().map(|i| i as i64).collect();
        let mut shape = vec![1; v[0].ndim()];
        shape[resolve(dim, v[0].ndim())] = order.len();
        (dim, Tensor::from_vec(order, shape).expand(v[0].shape()))
    }
    fn resolve(dim: isize, ndim: usize) -> usize {
        dim.rem_euclid(ndim as isize) as usize
    }
    fn reduced(v: &[Var], p: &mut Pick, reduce: ScatterReduce) -> Vec<Var> {
        let dim = p.dim(v[0].ndim());
        let ids = p.ids(&v[1].shape(), v[0].dim(dim));
        v[0].scatter_reduce(dim, &ids, &v[1], reduce, p.coin()).into()
    }
    vec![
        sample("scatter", &[REAL, REAL], rows, |v, p| {
            let (dim, ids) = places(v, p);
            v[0].scatter(dim, &ids.narrow(p.dim(ids.ndim()), 0, 1), &v[1]).into()
        }),
        sample("scatter_value", &[REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].scatter_value(dim, &p.ids(&v[0].shape(), v[0].dim(dim)), 1.5).into()
        }),
        sample("scatter_add", &[REAL, REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].scatter_add(dim, &p.ids(&v[1].shape(), v[0].dim(dim)), &v[1]).into()
        }),
        sample("scatter_add", &[REAL, REAL], rows, |v, p| {
            let ids = p.ids(&v[0].shape(), v[0].dim(0)).narrow(0, 0, 1);
            v[0].scatter_add(0, &ids, &v[1]).into()
        }),
        sample("scatter_reduce", &[REAL, REAL], rows, |v, p| reduced(v, p, ScatterReduce::Sum)),
        sample("scatter_reduce", &[REAL, REAL], rows, |v, p| reduced(v, p, ScatterReduce::Mean)),
        sample("scatter_reduce", &[DISTINCT, DISTINCT], rows, |v, p| reduced(v, p, ScatterReduce::Amax)),
        sample("scatter_reduce", &[DISTINCT, DISTINCT], rows, |v, p| reduced(v, p, ScatterReduce::Amin)),
        sample("scatter_reduce", &[NONZERO, NONZERO], rows, |v, p| reduced(v, p, ScatterReduce::Prod)),
        sample("index_add", &[REAL, REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].index_add(dim, &p.ids(&[v[1].dim(dim)], v[0].dim(dim)), &v[1]).into()
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
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;

    #[test]
    fn products_with_zeros() {
        let ids = Tensor::from([0i64, 0, 0]);
        let product = |x: &Var| Var::new(Tensor::from([2.0])).scatter_reduce(0, &ids, x, ScatterReduce::Prod, true);
        assert_eq!(gradient_at(&[3.0, 0.0, 5.0], product), [0.0, 30.0, 0.0]);
        assert_eq!(gradient_at(&[3.0, 0.0, 0.0], product), [0.0, 0.0, 0.0]);
    }

    #[test]
    fn an_extremum_is_shared_among_ties() {
        let ids = Tensor::from([0i64, 0, 0]);
        let x = Var::new(Tensor::from([5.0])).requires_grad_(true);
        let greatest = |source: &Var| x.scatter_reduce(0, &ids, source, ScatterReduce::Amax, true);
        assert_eq!(gradient_at(&[5.0, 1.0, 5.0], greatest), [1.0 / 3.0, 0.0, 1.0 / 3.0]);
        assert_eq!(x.grad().unwrap().to_vec::<f64>(), [1.0 / 3.0]);
    }
}
