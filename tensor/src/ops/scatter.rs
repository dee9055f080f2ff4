//! Writing and adding at positions that another tensor names.

use crate::dtype::{Number, dispatch};
use crate::kernels::index;
use crate::ops::index::Negative;
use crate::{DType, Element, Error, Tensor};

/// How [`Tensor::scatter_reduce`] puts together what arrives at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScatterReduce {
    /// The sum.
    Sum,
    /// The product.
    Prod,
    /// The mean; of integers, rounded down.
    Mean,
    /// The greatest; NaN if there is one.
    Amax,
    /// The least; NaN if there is one.
    Amin,
}

/// A function that merges an element of the source into one of the result.
trait Merge {
    fn merge<T: Number>(to: &mut T, x: T);
}
struct Add;
impl Merge for Add {
    fn merge<T: Number>(to: &mut T, x: T) {
        *to = to.plus(x);
    }
}
struct Multiply;
impl Merge for Multiply {
    fn merge<T: Number>(to: &mut T, x: T) {
        *to = to.times(x);
    }
}
struct Greater;
impl Merge for Greater {
    fn merge<T: Number>(to: &mut T, x: T) {
        if x > *to || x.is_nan() {
            *to = x;
        }
    }
}
struct Less;
impl Merge for Less {
    fn merge<T: Number>(to: &mut T, x: T) {
        if x < *to || x.is_nan() {
            *to = x;
        }
    }
}

impl Tensor {
    /// The checks of all scatters; `None` when there is nothing to do.
    #[track_caller]
    fn scatter_operands(&self, op: &str, dim: isize, ids: &Tensor, source: &Tensor) -> Option<(usize, Tensor)> {
        let dim = self.resolve(op, dim);
        require_dtype(op, self, source);
        if ids.numel() == 0 {
            return None;
        }
        self.check_gather(op, dim, ids);
        if source.ndim() != ids.ndim() || source.dims().iter().zip(ids.dims()).any(|(s, i)| s < i) {
            let shapes: [(&str, &[usize]); 2] = [("ids", ids.shape()), ("source", source.shape())];
            panic!("{}", Error::shape(op, "the source is smaller than the indices", &shapes, ""));
        }
        Some((dim, Tensor::indices(op, ids, self.dims()[dim], Negative::Refused)))
    }

    /// A scatter of scalars as one of vectors.
    #[track_caller]
    fn scatter_lined(
        &self,
        ids: &Tensor,
        source: &Tensor,
        f: impl FnOnce(&Tensor, &Tensor, &Tensor) -> Tensor,
    ) -> Tensor {
        f(&self.lined(), &ids.lined(), &source.lined()).reshape(self.shape())
    }

    #[track_caller]
    fn scatter_merge<M: Merge>(&self, op: &str, dim: isize, ids: &Tensor, source: &Tensor) -> Tensor {
        if self.ndim() == 0 {
            return self.scatter_lined(ids, source, |x, ids, source| x.scatter_merge::<M>(op, dim, ids, source));
        }
        let Some((dim, ids)) = self.scatter_operands(op, dim, ids, source) else { return self.clone() };
        if self.dtype() == DType::Bool {
            let (x, source) = (self.to_dtype(DType::I64), source.to_dtype(DType::I64));
            return x.scatter_merge::<M>(op, dim as isize, &ids, &source).to_dtype(DType::Bool);
        }
        let source = source.widen();
        let mut out = self.widen().copy();
        let layout = out.layout().clone();
        dispatch!(number out.dtype(), op, T => {
            index::scatter(out.as_slice_mut::<T>(), &layout, dim, ids.elements::<i64>(), source.elements::<T>(), M::merge::<T>)
        });
        out.to_dtype(self.dtype())
    }

    /// The reverse of [`gather`](Tensor::gather): this tensor with `source[i][j]` put at `[ids[i][j]][j]` for `dim` 0, and
    /// so on. Of several that go to one place the last in row-major order stays.
    ///
    /// # Panics
    /// If the shapes do not fit, the dtypes differ, `ids` is not i64 or i32, or an index is out of range.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let t = Tensor::zeros([2, 2], DType::I64).scatter(1, &Tensor::from([[1i64], [0]]), &Tensor::from([[5i64], [6]]));
    /// assert_eq!(t.to_vec::<i64>(), [0, 5, 6, 0]);
    /// ```
    #[track_caller]
    pub fn scatter(&self, dim: isize, ids: &Tensor, source: &Tensor) -> Tensor {
        if self.ndim() == 0 {
            return self.scatter_lined(ids, source, |x, ids, source| x.scatter(dim, ids, source));
        }
        let Some((dim, ids)) = self.scatter_operands("scatter", dim, ids, source) else { return self.clone() };
        let mut out = self.copy();
        let layout = out.layout().clone();
        dispatch!(all self.dtype(), T => {
            let put = |to: &mut T, x: T| *to = x;
            index::scatter(out.as_slice_mut::<T>(), &layout, dim, ids.elements::<i64>(), source.elements::<T>(), put)
        });
        out
    }

    /// [`scatter`](Tensor::scatter) of one number, converted to this dtype (for integers its whole part, as in PyTorch).
    ///
    /// # Panics
    /// As [`scatter`](Tensor::scatter).
    #[track_caller]
    pub fn scatter_value(&self, dim: isize, ids: &Tensor, value: f64) -> Tensor {
        self.scatter(dim, ids, &Tensor::scalar(value).to_dtype(self.dtype()).expand(ids.shape()))
    }

    /// The reverse of [`gather`](Tensor::gather): this tensor with `source[i][j]` added at `[ids[i][j]][j]` for `dim` 0,
    /// and so on; repeated places add up.
    ///
    /// # Panics
    /// As [`scatter`](Tensor::scatter).
    #[track_caller]
    pub fn scatter_add(&self, dim: isize, ids: &Tensor, source: &Tensor) -> Tensor {
        self.scatter_merge::<Add>("scatter_add", dim, ids, source)
    }

    /// This tensor with each place to which `ids` sends elements of `source` (as [`scatter`](Tensor::scatter) does)
    /// reduced to one number with them; `include_self` says whether the element that was there takes part.
    ///
    /// # Panics
    /// As [`scatter`](Tensor::scatter).
    ///
    /// ```
    /// use tensor::{ScatterReduce, Tensor};
    /// let (x, ids) = (Tensor::from([1.0, 9.0]), Tensor::from([0i64, 0]));
    /// let source = Tensor::from([3.0, 5.0]);
    /// assert_eq!(x.scatter_reduce(0, &ids, &source, ScatterReduce::Mean, true).to_vec::<f64>(), [3.0, 9.0]);
    /// assert_eq!(x.scatter_reduce(0, &ids, &source, ScatterReduce::Amin, false).to_vec::<f64>(), [3.0, 9.0]);
    /// ```
    #[track_caller]
    pub fn scatter_reduce(
        &self,
        dim: isize,
        ids: &Tensor,
        source: &Tensor,
        reduce: ScatterReduce,
        include_self: bool,
    ) -> Tensor {
        let op = "scatter_reduce";
        if self.ndim() == 0 {
            return self
                .scatter_lined(ids, source, |x, ids, source| x.scatter_reduce(dim, ids, source, reduce, include_self));
        }
        let Some((d, ids)) = self.scatter_operands(op, dim, ids, source) else { return self.clone() };
        let x = if include_self {
            self.clone()
        } else {
            let neutral = match reduce {
                ScatterReduce::Sum | ScatterReduce::Mean => Tensor::zeros((), self.dtype()),
                ScatterReduce::Prod => Tensor::ones((), self.dtype()),
                ScatterReduce::Amax => Tensor::extreme(self.dtype(), false),
                ScatterReduce::Amin => Tensor::extreme(self.dtype(), true),
            };
            self.scatter(dim, &ids, &neutral.expand(ids.shape()))
        };
        match reduce {
            ScatterReduce::Sum => x.scatter_merge::<Add>(op, dim, &ids, source),
            ScatterReduce::Prod => x.scatter_merge::<Multiply>(op, dim, &ids, source),
            ScatterReduce::Amax => x.scatter_merge::<Greater>(op, dim, &ids, source),
            ScatterReduce::Amin => x.scatter_merge::<Less>(op, dim, &ids, source),
            ScatterReduce::Mean => {
                let counts = self.arrivals(d, &ids, include_self);
                let sums = x.widen().scatter_merge::<Add>(op, dim, &ids, &source.widen());
                fn divide<T: Element>(sums: &mut [T], counts: &[i64]) {
                    for (sum, &n) in sums.iter_mut().zip(counts) {
                        *sum = match T::DTYPE.is_floating_point() {
                            true => T::from_f64(sum.to_f64() / n as f64),
                            false => T::from_i64(sum.to_i64().div_euclid(n)),
                        };
                    }
                }
                let mut means = sums.contiguous();
                let counts = counts.as_slice::<i64>().expect("fresh");
                dispatch!(all means.dtype(), T => divide(means.as_slice_mut::<T>(), counts));
                means.to_dtype(self.dtype())
            }
        }
    }

    /// How many elements meet at each place of a scatter, at least 1.
    #[track_caller]
    fn arrivals(&self, dim: usize, ids: &Tensor, include_self: bool) -> Tensor {
        let one = Tensor::ones((), DType::I64);
        let counts = Tensor::full(self.shape(), f64::from(include_self), DType::I64);
        let counts = counts.scatter_add(dim as isize, ids, &one.expand(ids.shape()));
        counts.clamp(Some(1.0), None)
    }

    /// The greatest or the least value of a dtype.
    fn extreme(dtype: DType, greatest: bool) -> Tensor {
        match dtype {
            DType::Bool => Tensor::scalar(greatest),
            DType::I32 => Tensor::scalar(if greatest { i32::MAX } else { i32::MIN }),
            _ if dtype.is_floating_point() => {
                Tensor::full((), if greatest { f64::INFINITY } else { f64::NEG_INFINITY }, dtype)
            }
            _ => dispatch!(number dtype, "scatter_reduce", T => {
                Tensor::scalar(if greatest { <T as Number>::HIGHEST } else { <T as Number>::LOWEST })
            }),
        }
    }

    /// This tensor with `source`'s slices of `dim` added to the slices that the 1-d `ids` name; repeated ones add up.
    ///
    /// # Panics
    /// If the shapes do not fit, the dtypes differ, `ids` is not i64 or i32, or an index is out of range.
    #[track_caller]
    pub fn index_add(&self, dim: isize, ids: &Tensor, source: &Tensor) -> Tensor {
        if self.ndim() == 0 {
            return self.lined().index_add(dim, &ids.lined(), &source.lined()).reshape(());
        }
        let dim = self.resolve("index_add", dim) as isize;
        if source.ndim() != self.ndim() {
            let shapes: [(&str, &[usize]); 2] = [("self", self.shape()), ("source", source.shape())];
            panic!("{}", Error::shape("index_add", "the shapes do not fit", &shapes, "as many dimensions"));
        }
        if self.dtype() == DType::Bool && source.dtype() == DType::Bool {
            let (x, source) = (self.to_dtype(DType::I64), source.to_dtype(DType::I64));
            return x.index_add(dim, ids, &source).to_dtype(DType::Bool);
        }
        let mut front = self.movedim(dim, 0).copy();
        front.index_add_(&Tensor::index_vector("index_add", ids), &source.movedim(dim, 0));
        front.movedim(0, dim)
    }

    /// Adds row `i` of `source` to row `ids[i]`, in place; repeated indices add up.
    ///
    /// # Shape
    /// self `[v, ..]`, ids `[n]`, source `[n, ..]`
    /// # Panics
    /// If the shapes do not fit, the dtypes differ, `ids` is not i64 or i32, or an index is out of range.
    #[track_caller]
    pub fn index_add_(&mut self, ids: &Tensor, source: &Tensor) {
        let fits = ids.ndim() == 1
            && self.ndim() >= 1
            && source.ndim() == self.ndim()
            && source.dims()[0] == ids.numel()
            && source.dims()[1..] == self.dims()[1..];
        if !fits {
            let shapes: [(&str, &[usize]); 3] =
                [("self", self.shape()), ("ids", ids.shape()), ("source", source.shape())];
            let rule = "self [v, ..], ids [n], source [n, ..]";
            panic!("{}", Error::shape("index_add_", "the shapes do not fit", &shapes, rule));
        }
        require_dtype("index_add_", self, source);
        let ids = Tensor::indices("index_add_", ids, self.dims()[0], Negative::Refused);
        if self.dtype().compute() != self.dtype() {
            return self.assign(|x| x.index_add_(&ids, &source.widen()));
        }
        let width = self.dims()[1..].iter().product();
        let source = source.contiguous();
        dispatch!(number self.dtype(), "index_add_", T => index::add_rows(
            self.as_slice_mut::<T>(),
            width,
            ids.as_slice::<i64>().expect("contiguous"),
            source.as_slice::<T>().expect("contiguous"),
        ));
    }

    /// This tensor with `source`'s slices of `dim` in the place of those that the 1-d `ids` name.
    ///
    /// # Panics
    /// If the shapes do not fit, the dtypes differ, `ids` is not i64 or i32, or an index is out of range.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([[1i64, 2], [3, 4]]);
    /// assert_eq!(t.index_copy(0, &Tensor::from([1i64]), &Tensor::from([[7i64, 8]])).to_vec::<i64>(), [1, 2, 7, 8]);
    /// ```
    #[track_caller]
    pub fn index_copy(&self, dim: isize, ids: &Tensor, source: &Tensor) -> Tensor {
        if self.ndim() == 0 {
            return self.lined().index_copy(dim, &ids.lined(), &source.lined()).reshape(());
        }
        let d = self.resolve("index_copy", dim);
        let ids = Tensor::index_vector("index_copy", ids);
        require_dtype("index_copy", self, source);
        let ids = Tensor::indices("index_copy", &ids, self.dims()[d], Negative::Refused);
        self.put_slices("index_copy", d, &ids, source)
    }

    /// This tensor with `value` in the slices of `dim` that the 1-d `ids` name; negative indices count from the end.
    ///
    /// # Panics
    /// If `ids` is not i64 or i32, or an index is out of range.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([[1i64, 2], [3, 4]]);
    /// assert_eq!(t.index_fill(1, &Tensor::from([-1i64]), 0.0).to_vec::<i64>(), [1, 0, 3, 0]);
    /// ```
    #[track_caller]
    pub fn index_fill(&self, dim: isize, ids: &Tensor, value: f64) -> Tensor {
        self.index_fill_tensor(dim, ids, &self.filling("index_fill", value))
    }

    /// [`index_fill`](Tensor::index_fill) with the value of a scalar tensor.
    ///
    /// # Panics
    /// As [`index_fill`](Tensor::index_fill), and if `value` has dimensions or another dtype.
    #[track_caller]
    pub fn index_fill_tensor(&self, dim: isize, ids: &Tensor, value: &Tensor) -> Tensor {
        require_dtype("index_fill_tensor", self, value);
        if value.ndim() > 0 {
            panic!("{}", Error::shape("index_fill_tensor", "not a scalar", &[("value", value.shape())], "value []"));
        }
        if self.ndim() == 0 {
            return self.lined().index_fill_tensor(dim, ids, value).reshape(());
        }
        let d = self.resolve("index_fill", dim);
        let ids = Tensor::index_vector("index_fill", ids);
        let ids = Tensor::indices("index_fill", &ids, self.dims()[d], Negative::FromEnd);
        let mut shape = self.dims().to_vec();
        shape[d] = ids.numel();
        self.put_slices("index_fill", d, &ids, &value.expand(&shape[..]))
    }

    /// The slices of `source` in the place of those at the checked `ids`.
    #[track_caller]
    fn put_slices(&self, op: &str, d: usize, ids: &Tensor, source: &Tensor) -> Tensor {
        let mut shape = self.dims().to_vec();
        shape[d] = ids.numel();
        if source.dims() != shape {
            let shapes: [(&str, &[usize]); 3] =
                [("self", self.shape()), ("ids", ids.shape()), ("source", source.shape())];
            panic!("{}", Error::shape(op, "the shapes do not fit", &shapes, "as many slices as indices"));
        }
        let mut out = self.copy();
        let block = out.layout().remove(d);
        let along = out.strides()[d];
        let ids = ids.as_slice::<i64>().expect("contiguous");
        let starts: Vec<usize> = ids.iter().map(|&id| (id as isize * along) as usize).collect();
        let source = source.movedim(d as isize, 0);
        dispatch!(all self.dtype(), T => {
            let put = |to: &mut T, x: T| *to = x;
            index::combine_blocks(out.as_slice_mut::<T>(), &block, &starts, source.elements::<T>(), put)
        });
        out
    }

    /// This tensor with the elements of `source` put at `ids` of all elements in row-major order, or with `accumulate`
    /// added there; negative indices count from the end.
    ///
    /// # Panics
    /// If `ids` and `source` differ in number, the dtypes differ, `ids` is not i64 or i32, or an index is out of range.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([[1i64, 2], [3, 4]]);
    /// assert_eq!(t.put(&Tensor::from([-1i64]), &Tensor::from([9i64]), false).to_vec::<i64>(), [1, 2, 3, 9]);
    /// ```
    #[track_caller]
    pub fn put(&self, ids: &Tensor, source: &Tensor, accumulate: bool) -> Tensor {
        require_dtype("put", self, source);
        if ids.numel() != source.numel() {
            let shapes: [(&str, &[usize]); 2] = [("ids", ids.shape()), ("source", source.shape())];
            panic!("{}", Error::shape("put", "the numbers of elements differ", &shapes, "an element per index"));
        }
        let ids = Tensor::indices("put", &ids.ravel(), self.numel(), Negative::FromEnd);
        let (x, source) = (self.ravel(), source.ravel());
        let out = if accumulate { x.index_add(0, &ids, &source) } else { x.index_copy(0, &ids, &source) };
        out.reshape(self.shape())
    }
}

#[track_caller]
pub(crate) fn require_dtype(op: &str, x: &Tensor, source: &Tensor) {
    if source.dtype() != x.dtype() {
        let what = format!("the source is {}, the tensor {}", source.dtype(), x.dtype());
        panic!("{}", Error::dtype(op, what));
    }
}
