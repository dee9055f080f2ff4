//! Order along one dimension: positions of extrema, sorting, the k greatest, the k-th.

use crate::dtype::{Number, dispatch};
use crate::kernels::lines::{self, Lines};
use crate::kernels::reduce::reduced_shape;
use crate::{DType, Error, Shape, Tensor};

/// One of the two searches of `kernels::lines`, for any number type.
trait Search {
    fn find<T: Number>(len: usize, x: &dyn Fn(usize) -> T) -> usize;
}
struct Greatest;
impl Search for Greatest {
    fn find<T: Number>(len: usize, x: &dyn Fn(usize) -> T) -> usize {
        lines::argmax(len, x)
    }
}
struct Least;
impl Search for Least {
    fn find<T: Number>(len: usize, x: &dyn Fn(usize) -> T) -> usize {
        lines::argmin(len, x)
    }
}

impl Tensor {
    /// A tensor that can be ordered: bools as u8, others in the dtype in which kernels compute, and at least one dimension.
    pub(crate) fn ordered(&self) -> Tensor {
        let x = if self.dtype() == DType::Bool { self.to_dtype(DType::U8) } else { self.widen() };
        if x.ndim() == 0 { x.reshape([1usize]) } else { x }
    }

    /// The shape without dimension `dim`, or with size 1 there.
    #[track_caller]
    pub(crate) fn line_shape(&self, op: &str, dim: isize, keepdim: bool) -> Shape {
        if self.ndim() == 0 {
            return Shape::default();
        }
        let dim = self.resolve(op, dim);
        if self.dims()[dim] == 0 {
            let what = format!("dimension {dim} has no element to choose from");
            panic!("{}", Error::shape(op, what, &[("tensor", self.shape())], "the dimension is not empty"));
        }
        reduced_shape(self.dims(), &[dim], keepdim)
    }

    #[track_caller]
    fn search<F: Search>(&self, op: &str, dim: isize, keepdim: bool) -> Tensor {
        let shape = self.line_shape(op, dim, keepdim);
        let x = self.ordered();
        let dim = x.resolve(op, dim);
        dispatch!(number x.dtype(), op, T => {
            let lines = Lines::new(x.elements::<T>(), dim);
            Tensor::build::<i64>(shape, |out| lines.fold(out, |line| F::find::<T>(lines.len, line) as i64))
        })
    }

    /// The position (i64) of the greatest element along `dim`, or among all in row-major order for `None`; the first among
    /// equals, NaN above all.
    ///
    /// # Panics
    /// If there is no element to choose from.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([[1.0, 5.0], [7.0, 2.0]]);
    /// assert_eq!(x.argmax(-1, false).to_vec::<i64>(), [1, 0]);
    /// assert_eq!(x.argmax(None, false).item::<i64>(), 2);
    /// ```
    #[track_caller]
    pub fn argmax(&self, dim: impl Into<Option<isize>>, keepdim: bool) -> Tensor {
        match dim.into() {
            Some(dim) => self.search::<Greatest>("argmax", dim, keepdim),
            None => self.flat().search::<Greatest>("argmax", 0, false).reshape(self.all_reduced(keepdim)),
        }
    }

    /// The position (i64) of the least element along `dim`, or among all in row-major order for `None`; the first among
    /// equals, NaN below all.
    ///
    /// # Panics
    /// If there is no element to choose from.
    #[track_caller]
    pub fn argmin(&self, dim: impl Into<Option<isize>>, keepdim: bool) -> Tensor {
        match dim.into() {
            Some(dim) => self.search::<Least>("argmin", dim, keepdim),
            None => self.flat().search::<Least>("argmin", 0, false).reshape(self.all_reduced(keepdim)),
        }
    }

    fn flat(&self) -> Tensor {
        self.reshape([self.numel()])
    }

    /// The shape that is left when all dimensions are reduced.
    fn all_reduced(&self, keepdim: bool) -> Shape {
        if keepdim { vec![1; self.ndim()].into() } else { Shape::default() }
    }

    /// The greatest elements along `dim` and their positions.
    #[track_caller]
    pub fn max_dim(&self, dim: isize, keepdim: bool) -> (Tensor, Tensor) {
        let indices = self.argmax(dim, true);
        self.taken_along(dim, indices, keepdim)
    }

    /// The least elements along `dim` and their positions.
    #[track_caller]
    pub fn min_dim(&self, dim: isize, keepdim: bool) -> (Tensor, Tensor) {
        let indices = self.argmin(dim, true);
        self.taken_along(dim, indices, keepdim)
    }

    /// The elements at `indices` (of size 1 along `dim`), and the indices, without that dimension unless kept.
    pub(crate) fn taken_along(&self, dim: isize, indices: Tensor, keepdim: bool) -> (Tensor, Tensor) {
        let values = self.gather(dim, &indices);
        if keepdim { (values, indices) } else { (values.squeeze(dim), indices.squeeze(dim)) }
    }

    /// The elements along `dim` in order, and where each of them was. Equal elements keep their order; NaN is greatest.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (values, indices) = Tensor::from([3i64, 1, 2]).sort(0, false);
    /// assert_eq!((values.to_vec::<i64>(), indices.to_vec::<i64>()), (vec![1, 2, 3], vec![1, 2, 0]));
    /// ```
    #[track_caller]
    pub fn sort(&self, dim: isize, descending: bool) -> (Tensor, Tensor) {
        let indices = self.argsort(dim, descending);
        (self.gather(dim, &indices), indices)
    }

    /// The positions (i64) that bring the elements along `dim` into order: the indices of [`sort`](Tensor::sort).
    #[track_caller]
    pub fn argsort(&self, dim: isize, descending: bool) -> Tensor {
        self.first_in_order("sort", self.line_len("sort", dim), dim, descending)
    }

    /// The elements in ascending order along the first dimension.
    #[track_caller]
    pub fn msort(&self) -> Tensor {
        self.sort(0, false).0
    }

    /// The `k` greatest (or, if not `largest`, least) elements along `dim`, the most extreme first, and where they were.
    /// NaN is greatest; of equal elements the first come first.
    ///
    /// # Panics
    /// If there are fewer than `k`, or the tensor is bool.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (values, indices) = Tensor::from([3i64, 1, 2]).topk(2, 0, true);
    /// assert_eq!((values.to_vec::<i64>(), indices.to_vec::<i64>()), (vec![3, 2], vec![0, 2]));
    /// ```
    #[track_caller]
    pub fn topk(&self, k: usize, dim: isize, largest: bool) -> (Tensor, Tensor) {
        self.no_bool("topk");
        let n = self.line_len("topk", dim);
        if k > n {
            let what = format!("k = {k} exceeds the {n} elements of dimension {dim}");
            panic!("{}", Error::shape("topk", what, &[("tensor", self.shape())], "k <= size of the dimension"));
        }
        let indices = self.first_in_order("topk", k, dim, largest);
        (self.gather(dim, &indices), indices)
    }

    /// The `k`-th least element along `dim`, counted from 1, and where it was. NaN is greatest; of equal elements the
    /// first come first.
    ///
    /// # Panics
    /// If `k` is 0 or there are fewer than `k`, or the tensor is bool.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (values, indices) = Tensor::from([3i64, 1, 2]).kthvalue(2, 0, false);
    /// assert_eq!((values.item::<i64>(), indices.item::<i64>()), (2, 2));
    /// ```
    #[track_caller]
    pub fn kthvalue(&self, k: usize, dim: isize, keepdim: bool) -> (Tensor, Tensor) {
        self.no_bool("kthvalue");
        let n = self.line_len("kthvalue", dim);
        if k == 0 || k > n {
            let what = format!("k = {k} is not in 1..={n} for dimension {dim}");
            panic!(
                "{}",
                Error::shape("kthvalue", what, &[("tensor", self.shape())], "1 <= k <= size of the dimension")
            );
        }
        let indices = self.first_in_order("kthvalue", k, dim, false);
        let last = if self.ndim() == 0 { indices } else { indices.narrow(dim, k - 1, 1) };
        self.taken_along(dim, last, keepdim)
    }

    #[track_caller]
    fn no_bool(&self, op: &str) {
        if self.dtype() == DType::Bool {
            panic!("{}", Error::dtype(op, "not defined for bool; convert with to_dtype first"));
        }
    }

    /// The number of elements along `dim`; a scalar is a line of one.
    #[track_caller]
    fn line_len(&self, op: &str, dim: isize) -> usize {
        self.lined().dims()[self.lined().resolve(op, dim)]
    }

    #[track_caller]
    fn first_in_order(&self, op: &str, k: usize, dim: isize, descending: bool) -> Tensor {
        let x = self.ordered();
        let d = x.resolve(op, dim);
        // Lines are written one after the other; the dimension is moved back to its place as a view.
        let mut shape = x.layout().remove(d).shape.to_vec();
        shape.push(k);
        let indices = dispatch!(number x.dtype(), op, T => Tensor::build::<i64>(shape, |out| {
            Lines::new(x.elements::<T>(), d).map(k, out, |line, out| {
                for (out, i) in out.iter_mut().zip(lines::argsort(line, descending)) {
                    *out = i as i64;
                }
            });
        }));
        let indices = indices.movedim(-1, d as isize);
        if self.ndim() == 0 && k == 1 { indices.reshape(()) } else { indices }
    }
}
