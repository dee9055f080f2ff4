//! Scatters: elements sent to places that an index tensor names, to stay there, add up or be reduced.

use tensor::{DType, ScatterReduce, Tensor};

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
        .reads("ids", ids)
    }

    /// `x` with one number at `ids` along `dim`.
    ///
    /// # Gradient
    /// `dy` with zeros at `ids`. Keeps `ids`.
    #[track_caller]
    pub fn scatter_value(&self, dim: isize, ids: &Tensor, value: f64) -> Var {
        let kept = ids.clone();
        let value = self.tensor().scatter_value(dim, ids, value);
        Var::record_unary("scatter_value", value, self, move |dy| dy.scatter_value(dim, &kept, 0.0)).reads("ids", ids)
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
        .reads("ids", ids)
    }

    /// `x` with each place to which `ids` sends elements of `source` reduced to one number with them.
    ///
    /// # Gradient
    /// Of a sum, a product and a mean the usual ones; of a product with one factor zero that factor gets the product of
    /// the others. Of an extremum `dy` shared evenly among all that equal it. The place's own element gets none unless
    /// `include_self`. Keeps `ids`, and of an extremum and a product also `x`, `source` and `y`.
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
        let (given, ids, shape) = (ids, ids.clone(), source.shape());
        if ids.numel() == 0 {
            return Var::record("scatter_reduce", value, [self, source], move |dy, need| {
                [need.of(0, || dy.clone()), need.of(1, || Var::new(Tensor::zeros(&shape, dy.dtype())))]
            });
        }
        if let ScatterReduce::Sum | ScatterReduce::Mean = reduce {
            let y = Var::record("scatter_reduce", value, [self, source], move |dy, need| {
                let at = Places { dim, ids: &ids, include_self };
                let each = match reduce {
                    ScatterReduce::Mean => dy / Var::new(at.arrivals(&dy.tensor())),
                    _ => dy.clone(),
                };
                [need.of(0, || at.own(each.clone())), need.of(1, || gathered(&each, dim, &ids, &shape))]
            });
            return y.reads("ids", given);
        }
        let (x, s) = (self.keep_for(&[self, source]), source.keep_for(&[self, source]));
        let y = Var::record_output("scatter_reduce", value, [self, source], move |y, dy, need| {
            let at = Places { dim, ids: &ids, include_self };
            match reduce {
                ScatterReduce::Amax | ScatterReduce::Amin => {
                    // A half could not count many ties.
                    let counts = dy.dtype().promote(DType::F32);
                    // Who equals the extremum: the element itself, and those that came.
                    let mut itself = x.tensor().eq(&y.tensor()).to_dtype(counts);
                    if !include_self {
                        itself = itself.scatter_value(dim, &ids, 0.0);
                    }
                    let came = used(&s.detach(), &ids).value();
                    let came = came.eq(&y.tensor().gather(dim, &ids)).to_dtype(counts);
                    let each = dy / Var::new(itself.scatter_add(dim, &ids, &came).clamp(Some(1.0), None));
                    [
                        need.of(0, || &each * &Var::new(itself.clone())),
                        need.of(1, || filled(each.gather(dim, &ids) * Var::new(came.clone()), &shape)),
                    ]
                }
                _ => [
                    need.of(0, || at.own(dy * at.product_of_others(&x, &s))),
                    need.of(1, || at.product_gradient(&x, &s, y, dy)),
                ],
            }
        });
        y.reads("ids", given)
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
        .reads("ids", ids)
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
fn used(source: &Var, ids: &Tensor) -> Var {
    let dims = 0..ids.ndim().min(source.ndim());
    dims.fold(source.clone(), |s, d| s.narrow(d as isize, 0, ids.dims()[d])).reshape(ids.shape())
}

/// Where a reduction's elements meet.
struct Places<'a> {
    dim: isize,
    ids: &'a Tensor,
    include_self: bool,
}

impl Places<'_> {
    /// The gradient of the places' own elements.
    fn own(&self, dx: Var) -> Var {
        if self.include_self { dx } else { dx.scatter_value(self.dim, self.ids, 0.0) }
    }

    /// How many elements meet at each place of `y`, at least 1.
    fn arrivals(&self, y: &Tensor) -> Tensor {
        // A half could not count many.
        let dtype = y.dtype().promote(DType::F32);
        let start = Tensor::full(y.shape(), self.include_self as u8 as f64, dtype);
        let ones = Tensor::ones((), dtype).expand(self.ids.shape());
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
        let came = used(source, ids);
        let zero = came.tensor().eq_scalar(0.0);
        let zeros = Tensor::zeros(x.shape(), dy.dtype());
        let zeros = zeros.scatter_add(dim, ids, &zero.to_dtype(dy.dtype())).gather(dim, ids);
        let single = zero.logical_and(&zeros.eq_scalar(1.0));
        let without = self.product(x, &came.masked_fill(&single, 1.0), self.include_self);
        let others = (dy * y).gather(dim, ids) / came.masked_fill(&zero, 1.0);
        let alone = (dy * &without).gather(dim, ids);
        filled(Var::where_(&single, &alone, &others), &source.shape())
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
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    fn reduced(a: &Args) -> Outcome {
        let (x, dim, ids, source) = (a.var(0, "input")?, a.int(1, "dim")?, a.tensor(2, "index")?, a.var(3, "src")?);
        let reduce = match &*a.text(4, "reduce", "")? {
            "sum" => ScatterReduce::Sum,
            "prod" => ScatterReduce::Prod,
            "mean" => ScatterReduce::Mean,
            "amax" => ScatterReduce::Amax,
            "amin" => ScatterReduce::Amin,
            other => return skip(format!("the reduction {other}")),
        };
        done(x.scatter_reduce(dim, &ids, &source, reduce, a.flag(5, "include_self", true)?))
    }
    vec![
        torch("scatter", &["scatter", "scatter_value"], |a| {
            let (x, dim, ids) = (a.var(0, "input")?, a.int(1, "dim")?, a.tensor(2, "index")?);
            let reduce = a.text(4, "reduce", "")?;
            if !a.is_tensor(3, "src") && reduce.is_empty() {
                return done(x.scatter_value(dim, &ids, a.number(3, "value")?));
            }
            let source = match a.is_tensor(3, "src") {
                true => a.var(3, "src")?,
                false => Var::new(Tensor::full(ids.shape(), a.number(3, "value")?, x.dtype())),
            };
            done(match &*reduce {
                "add" => x.scatter_add(dim, &ids, &source),
                "multiply" => x.scatter_reduce(dim, &ids, &source, ScatterReduce::Prod, true),
                _ => x.scatter(dim, &ids, &source),
            })
        }),
        torch("scatter_add", &["scatter_add"], |a| {
            done(a.var(0, "input")?.scatter_add(a.int(1, "dim")?, &a.tensor(2, "index")?, &a.var(3, "src")?))
        }),
        torch("scatter_reduce:sum", &["scatter_reduce"], reduced),
        torch("scatter_reduce:prod", &["scatter_reduce"], reduced),
        torch("scatter_reduce:mean", &["scatter_reduce"], reduced),
        torch("scatter_reduce:amin", &["scatter_reduce"], reduced),
        torch("scatter_reduce:amax", &["scatter_reduce"], reduced),
        torch("index_add", &["index_add"], |a| {
            let (x, dim, ids) = (a.var(0, "input")?, a.int(1, "dim")?, a.tensor(2, "index")?);
            let (source, alpha) = (a.var(3, "source")?, a.number_or(4, "alpha", 1.0)?);
            let bools = source.dtype() == tensor::DType::Bool;
            done(x.index_add(
                dim,
                &ids,
                &match alpha {
                    1.0 => source,
                    0.0 if bools => Var::new(source.value().zeros_like()),
                    _ => &source * alpha,
                },
            ))
        }),
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
    fn nothing_sent_is_a_gradient_of_zeros() {
        let ids = Tensor::zeros([0], DType::I64);
        let none =
            |source: &Var| Var::new(Tensor::from([2.0])).scatter_reduce(0, &ids, source, ScatterReduce::Sum, true);
        assert_eq!(gradient_at(&[3.0], none), [0.0]);
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
