//! Reading at indices. Indices are plain integer [`Tensor`]s.

use std::rc::Rc;

use tensor::{DType, Index, Indices, Shape, Tensor, broadcast_shapes};

use crate::ops::parts::{resolved, seen};
use crate::var::Var;

impl Var {
    /// The elements that indices name, as Python's `x[..]` reads them.
    ///
    /// # Gradient
    /// `dy` among zeros, added up where an element was read several times; this copies. Keeps the indices.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([[1.0, 2.0], [3.0, 4.0]])).requires_grad_(true);
    /// x.i((.., &Tensor::from([1i64, 1]))).sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.0, 2.0, 0.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn i(&self, indices: impl Indices) -> Var {
        let indices = indices.indices();
        if !indices.iter().any(|index| matches!(index, Index::Tensor(_) | Index::Flag(_))) {
            return seen("i", self, Rc::new(move |x| x.i(&indices[..])));
        }
        let (shape, kept) = (self.shape(), indices.clone());
        let read = Var::record_unary("i", self.tensor().i(&indices[..]), self, move |dy| {
            Var::new(Tensor::zeros(&shape, dy.dtype())).index_put(&kept[..], dy, true)
        });
        read.reads_indices(&indices)
    }

    /// [`Var::reads`] of those indices that are tensors.
    pub(crate) fn reads_indices(self, indices: &[Index]) -> Var {
        indices.iter().fold(self, |y, index| match index {
            Index::Tensor(ids) => y.reads("ids", ids),
            _ => y,
        })
    }

    /// The slices at `ids` (1-d) along `dim`.
    ///
    /// # Gradient
    /// `dy` added up at `ids`. Keeps `ids`.
    #[track_caller]
    pub fn index_select(&self, dim: isize, ids: &Tensor) -> Var {
        let (shape, kept) = (self.shape(), ids.reshape([ids.numel()]));
        Var::record_unary("index_select", self.tensor().index_select(dim, ids), self, move |dy| {
            if shape.is_empty() { dy.clone() } else { added_at(dy, &shape, dim, &kept) }
        })
        .reads("ids", ids)
    }

    /// `y[i][j] = x[ids[i][j]][j]` (for `dim = 0`): for each place of `ids` the element at that index along `dim`.
    ///
    /// # Gradient
    /// `dy` added up at `ids`. Keeps `ids`.
    #[track_caller]
    pub fn gather(&self, dim: isize, ids: &Tensor) -> Var {
        let (shape, kept) = (self.shape(), ids.clone());
        Var::record_unary("gather", self.tensor().gather(dim, ids), self, move |dy| {
            Var::new(Tensor::zeros(&shape, dy.dtype())).scatter_add(dim, &kept, dy)
        })
        .reads("ids", ids)
    }

    /// [`Var::gather`] in which value and indices are broadcast to each other in every dimension but `dim`, and negative
    /// indices count from the end. Without `dim`, both are seen as vectors.
    ///
    /// # Gradient
    /// `dy` added up at `ids`, and summed over what was broadcast. Keeps `ids`.
    #[track_caller]
    pub fn take_along_dim(&self, ids: &Tensor, dim: impl Into<Option<isize>>) -> Var {
        let (dim, given) = (dim.into(), ids);
        // Checked by the tensor's method; what follows only finds the same operands again.
        let value = self.tensor().take_along_dim(ids, dim);
        let (shape, dim, ids) = match dim {
            None => (Shape::from([self.numel()]), 0, ids.ravel()),
            Some(dim) => {
                let d = resolved("take_along_dim", dim, self.ndim()) as usize;
                let (mut x, mut to) = (self.shape().to_vec(), ids.shape().to_vec());
                (x[d], to[d]) = (1, 1);
                let mut shape = broadcast_shapes("take_along_dim", &x, &to).expect("checked before").to_vec();
                shape[d] = ids.dims()[d];
                let ids = ids.expand(&shape[..]);
                shape[d] = self.dim(dim);
                (Shape::from(shape), d as isize, ids)
            }
        };
        let n = shape[dim as usize];
        let ids = ids.to_dtype(DType::I64);
        let ids = Tensor::where_(&ids.lt_scalar(0.0), &(&ids + n as f64), &ids);
        let from = self.shape();
        let flat = from.len() != shape.len();
        Var::record_unary("take_along_dim", value, self, move |dy| {
            let dx = Var::new(Tensor::zeros(&shape, dy.dtype())).scatter_add(dim, &ids, dy);
            if flat || dx.numel() == from.numel() { dx.reshape(&from) } else { dx }
        })
        .reads("ids", given)
    }

    /// The elements at `ids` of all elements in row-major order; negative indices count from the end.
    ///
    /// # Gradient
    /// `dy` added up at `ids`. Keeps `ids`.
    #[track_caller]
    pub fn take(&self, ids: &Tensor) -> Var {
        let (shape, kept) = (self.shape(), ids.clone());
        Var::record_unary("take", self.tensor().take(ids), self, move |dy| {
            Var::new(Tensor::zeros(&shape, dy.dtype())).put(&kept, dy, true)
        })
        .reads("ids", ids)
    }

    /// The elements where `mask` holds, as a vector; value and mask are broadcast to each other.
    ///
    /// # Gradient
    /// `dy` where `mask` holds, 0 elsewhere. Keeps `mask`.
    #[track_caller]
    pub fn masked_select(&self, mask: &Tensor) -> Var {
        let value = self.tensor().masked_select(mask);
        let shape = broadcast_shapes("masked_select", &self.shape(), mask.shape()).expect("checked before");
        let kept = mask.clone();
        Var::record_unary("masked_select", value, self, move |dy| {
            Var::new(Tensor::zeros(&shape, dy.dtype())).masked_scatter(&kept, dy)
        })
        .reads("mask", mask)
    }

    /// The lower triangle of the last two dimensions, zeros above the `k`-th diagonal.
    ///
    /// # Gradient
    /// The same triangle of `dy`.
    #[track_caller]
    pub fn tril(&self, k: isize) -> Var {
        Var::record_unary("tril", self.tensor().tril(k), self, move |dy| dy.tril(k))
    }

    /// The upper triangle of the last two dimensions, zeros below the `k`-th diagonal.
    ///
    /// # Gradient
    /// The same triangle of `dy`.
    #[track_caller]
    pub fn triu(&self, k: isize) -> Var {
        Var::record_unary("triu", self.tensor().triu(k), self, move |dy| dy.triu(k))
    }
}

/// The reverse of [`Var::index_select`]: a tensor of `shape` with the slices of `dy` added to zeros at `ids` along
/// `dim`.
pub(crate) fn added_at(dy: &Var, shape: &Shape, dim: isize, ids: &Tensor) -> Var {
    let at = dim.rem_euclid(shape.len() as isize) as usize;
    // The kernel adds to rows, so the dimension goes first and comes back as a view.
    let rows = Tensor::embedding_backward(&dy.tensor().movedim(dim, 0), ids, shape[at]);
    let kept = ids.clone();
    Var::record_unary("index_add", rows.movedim(0, dim), dy, move |ddx| ddx.index_select(dim, &kept))
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use tensor::{Ellipsis, NewAxis};

    use crate::testing::*;
    vec![
        sample("i", &[REAL], rows, |v, p| {
            let last = p.dim(v[0].dim(-1));
            v[0].i((Ellipsis, NewAxis, last)).into()
        }),
        sample("i", &[REAL], at_least_2d, |v, _| v[0].i((.., tensor::slice(-2.., 2))).into()),
        sample("i", &[REAL], rows, |v, p| {
            let ids = p.ids(&[2, 3], v[0].dim(0));
            v[0].i(&ids).into()
        }),
        sample("i", &[REAL], rows, |v, p| {
            let (a, b) = (p.ids(&[2, 1], v[0].dim(0)), p.ids(&[3], v[0].dim(-1)));
            if v[0].ndim() == 1 { v[0].i((NewAxis, &b)).into() } else { v[0].i((&a, Ellipsis, &b)).into() }
        }),
        sample("i", &[REAL], same, |v, p| v[0].i(p.mask(&v[0].shape())).into()),
        sample("index_select", &[REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].index_select(dim, &p.ids(&[4], v[0].dim(dim))).into()
        }),
        sample("gather", &[REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].gather(dim, &p.ids(&v[0].shape(), v[0].dim(dim))).into()
        }),
        sample("take_along_dim", &[REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            let ids = p.ids(&v[0].shape(), v[0].dim(dim)).narrow(p.dim(v[0].ndim()), 0, 1);
            v[0].take_along_dim(&(ids - v[0].dim(dim) as f64), dim).into()
        }),
        sample("take_along_dim", &[REAL], rows, |v, p| {
            let (dim, mut shape) = (p.dim(v[0].ndim()), v[0].shape().to_vec());
            shape[0] = 3;
            let x = v[0].narrow(0, 0, 1);
            let n = x.dim(dim);
            x.take_along_dim(&p.ids(&shape, n), dim).into()
        }),
        sample("take_along_dim", &[REAL], rows, |v, p| v[0].take_along_dim(&p.ids(&[2, 2], v[0].numel()), None).into()),
        sample("take", &[REAL], nonempty, |v, p| {
            v[0].take(&(p.ids(&[2, 3], v[0].numel()) - p.below(2) as f64 * v[0].numel() as f64)).into()
        }),
        sample("masked_select", &[REAL], same, |v, p| {
            let shape = v[0].shape();
            let mask = if p.coin() { p.unbroadcast(&shape) } else { [&[2], &shape[..]].concat() };
            v[0].masked_select(&p.mask(&mask)).into()
        }),
        sample("tril", &[REAL], at_least_2d, |v, p| v[0].tril(p.below(3) as isize - 1).into()),
        sample("triu", &[REAL], at_least_2d, |v, p| v[0].triu(p.below(3) as isize - 1).into()),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    fn index(arg: &Arg) -> Result<Index, Skip> {
        Ok(match arg {
            Arg::Int(at) => (*at).into(),
            Arg::Bool(flag) => (*flag).into(),
            Arg::Slice([start, end, step]) => {
                Index::Slice { start: *start, end: *end, step: step.unwrap_or(1) as usize }
            }
            Arg::Ellipsis => Index::Ellipsis,
            Arg::None => Index::NewAxis,
            Arg::Tensor(ids) => Index::Tensor(ids.value()),
            Arg::List(ids) => {
                let ids: Option<Vec<i64>> =
                    ids.iter().map(|i| if let Arg::Int(i) = i { Some(*i) } else { None }).collect();
                match ids {
                    Some(ids) => Index::Tensor(Tensor::from_slice(&ids, [ids.len()])),
                    None => return skip("a list that is none of integers"),
                }
            }
            _ => return skip("an index of another kind"),
        })
    }
    vec![
        torch("__getitem__", &["i"], |a| {
            let x = a.var(0, "input")?;
            let indices: Result<Vec<Index>, Skip> = match a.raw(1, "index") {
                // Several integers are a list of them; other lists have been tuples.
                Some(list @ Arg::List(items)) if items.iter().all(|item| matches!(item, Arg::Int(_))) => {
                    index(list).map(|ids| vec![ids])
                }
                Some(Arg::List(items)) => items.iter().map(index).collect(),
                Some(one) => index(one).map(|one| vec![one]),
                None => Ok(vec![Index::NewAxis]),
            };
            done(x.i(indices?))
        }),
        torch("index_select", &["index_select"], |a| {
            done(a.var(0, "input")?.index_select(a.int(1, "dim")?, &a.tensor(2, "index")?))
        }),
        torch("gather", &["gather"], |a| done(a.var(0, "input")?.gather(a.int(1, "dim")?, &a.tensor(2, "index")?))),
        torch("take_along_dim", &["take_along_dim"], |a| {
            done(a.var(0, "input")?.take_along_dim(&a.tensor(1, "indices")?, a.opt_int(2, "dim")?))
        }),
        torch("take", &["take"], |a| done(a.var(0, "input")?.take(&a.tensor(1, "index")?))),
        torch("masked_select", &["masked_select"], |a| done(a.var(0, "input")?.masked_select(&a.tensor(1, "mask")?))),
        torch("tril", &["tril"], |a| done(a.var(0, "input")?.tril(a.int_or(1, "diagonal", 0)?))),
        torch("triu", &["triu"], |a| done(a.var(0, "input")?.triu(a.int_or(1, "diagonal", 0)?))),
    ]
}
