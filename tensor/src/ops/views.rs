//! Views: other shapes and orders of the same memory. None of these copies, but for a `reshape` that strides cannot
//! express.

use crate::error::OrPanic;
use crate::shape::resolve_dim;
use crate::{Dims, Error, ReshapeTarget, Result, Shape, Tensor, broadcast_shapes};

impl Tensor {
    /// The same elements in row-major order under another shape. One size may be -1: whatever is left.
    ///
    /// A view when the strides allow it, a copy otherwise.
    ///
    /// # Panics
    /// If the number of elements would change.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let t = Tensor::arange(0.0, 6.0, 1.0, DType::I64);
    /// assert_eq!(t.reshape([2, -1]).shape(), &[2, 3]);
    /// ```
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<ReshapeTarget>) -> Tensor {
        self.try_reshape(shape).or_panic()
    }

    /// [`reshape`](Tensor::reshape) that returns its error.
    ///
    /// # Errors
    /// If the number of elements would change.
    pub fn try_reshape(&self, shape: impl Into<ReshapeTarget>) -> Result<Tensor> {
        let shape = shape.into().resolve("reshape", self.shape())?;
        if let Some(layout) = self.layout().reshape(&shape) {
            return Ok(self.with_layout(layout));
        }
        let copy = self.copy();
        let layout = copy.layout().reshape(&shape).expect("a contiguous tensor takes any shape of as many elements");
        Ok(copy.with_layout(layout))
    }

    /// [`reshape`](Tensor::reshape) that never copies.
    ///
    /// # Panics
    /// If the number of elements would change, or strides cannot express the shape.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let t = Tensor::zeros([4, 6], DType::F32).narrow(1, 0, 3);
    /// assert_eq!(t.view([2, 2, 3]).shape(), &[2, 2, 3]);
    /// ```
    #[track_caller]
    pub fn view(&self, shape: impl Into<ReshapeTarget>) -> Tensor {
        self.try_view(shape).or_panic()
    }

    /// [`view`](Tensor::view) that returns its error.
    ///
    /// # Errors
    /// If the number of elements would change, or strides cannot express the shape.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let t = Tensor::zeros([4, 6], DType::F32).narrow(1, 0, 3);
    /// assert!(t.try_view([2, 2, 3]).is_ok() && t.try_view([12]).is_err());
    /// ```
    pub fn try_view(&self, shape: impl Into<ReshapeTarget>) -> Result<Tensor> {
        let shape = shape.into().resolve("view", self.shape())?;
        match self.layout().reshape(&shape) {
            Some(layout) => Ok(self.with_layout(layout)),
            None => {
                let what = format!("strides {:?} need a copy; use reshape", self.strides());
                let shapes: [(&str, &[usize]); 2] = [("from", self.shape()), ("to", &shape)];
                Err(Error::shape("view", what, &shapes, "dimensions that merge are contiguous in each other"))
            }
        }
    }

    /// [`reshape`](Tensor::reshape) to the shape of `other`.
    #[track_caller]
    pub fn reshape_as(&self, other: &Tensor) -> Tensor {
        self.reshape(other.shape())
    }

    /// [`view`](Tensor::view) in the shape of `other`.
    #[track_caller]
    pub fn view_as(&self, other: &Tensor) -> Tensor {
        self.view(other.shape())
    }

    /// Dimensions `start` to `end` (inclusive) merged into one.
    ///
    /// # Panics
    /// If `start` comes after `end`.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// assert_eq!(Tensor::zeros([2, 3, 4], DType::F32).flatten(1, -1).shape(), &[2, 12]);
    /// ```
    #[track_caller]
    pub fn flatten(&self, start: isize, end: isize) -> Tensor {
        if self.ndim() == 0 {
            Dims::from(start).resolve("flatten", 0).or_panic();
            Dims::from(end).resolve("flatten", 0).or_panic();
            return self.reshape([1usize]);
        }
        let (start, end) = (self.resolve("flatten", start), self.resolve("flatten", end));
        if start > end {
            let what = format!("start {start} comes after end {end}");
            panic!("{}", Error::shape("flatten", what, &[("tensor", self.shape())], "start <= end"));
        }
        let mut shape = self.dims()[..start].to_vec();
        shape.push(self.dims()[start..=end].iter().product());
        shape.extend(&self.dims()[end + 1..]);
        self.reshape(shape)
    }

    /// Dimension `dim` split into dimensions of `sizes`, one of which may be -1; the reverse of
    /// [`flatten`](Tensor::flatten).
    ///
    /// # Panics
    /// If `sizes` is empty or does not multiply to the size of the dimension.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// assert_eq!(Tensor::zeros([2, 12], DType::F32).unflatten(1, [3, -1]).shape(), &[2, 3, 4]);
    /// ```
    #[track_caller]
    pub fn unflatten(&self, dim: isize, sizes: impl Into<ReshapeTarget>) -> Tensor {
        let dim = self.resolve("unflatten", dim);
        let sizes = sizes.into().resolve("unflatten", &Shape::from([self.dims()[dim]])).or_panic();
        if sizes.is_empty() {
            panic!("{}", Error::shape("unflatten", "there are no sizes", &[("tensor", self.shape())], "one or more"));
        }
        self.reshape([&self.dims()[..dim], &sizes, &self.dims()[dim + 1..]].concat())
    }

    /// All elements along one dimension.
    pub fn ravel(&self) -> Tensor {
        self.reshape([self.numel()])
    }

    /// Dimensions `a` and `b` exchanged.
    #[track_caller]
    pub fn transpose(&self, a: isize, b: isize) -> Tensor {
        if self.ndim() == 0 && [a, b].iter().all(|d| [0, -1].contains(d)) {
            return self.clone();
        }
        self.with_layout(self.layout().transpose(self.resolve("transpose", a), self.resolve("transpose", b)))
    }

    /// The same as [`transpose`](Tensor::transpose).
    #[track_caller]
    pub fn swapaxes(&self, a: isize, b: isize) -> Tensor {
        self.transpose(a, b)
    }

    /// The transpose of a matrix; tensors of fewer dimensions stay as they are.
    ///
    /// # Panics
    /// If there are more than two dimensions.
    #[track_caller]
    pub fn t(&self) -> Tensor {
        match self.ndim() {
            0 | 1 => self.clone(),
            2 => self.with_layout(self.layout().transpose(0, 1)),
            _ => panic!("{}", Error::shape("t", "more than 2 dimensions", &[("tensor", self.shape())], "[m, n]")),
        }
    }

    /// The dimensions in another order: dimension `i` of the result is dimension `order[i]` of this tensor.
    ///
    /// # Panics
    /// If `order` does not name each dimension once.
    #[track_caller]
    pub fn permute(&self, order: &[isize]) -> Tensor {
        let resolved = if order.is_empty() {
            Default::default()
        } else {
            Dims::from(order).resolve("permute", self.ndim()).or_panic()
        };
        if resolved.len() != self.ndim() {
            let what = format!("{order:?} does not name each of the {} dimensions once", self.ndim());
            panic!("{}", Error::shape("permute", what, &[("tensor", self.shape())], ""));
        }
        self.with_layout(self.layout().permute(&resolved))
    }

    /// Each dimension of `from` moved to its place in `to`, the others in their order.
    ///
    /// # Panics
    /// If the lists differ in length, or name a dimension twice.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let t = Tensor::zeros([2, 3, 4], DType::F32);
    /// assert_eq!(t.movedim(0, -1).shape(), &[3, 4, 2]);
    /// assert_eq!(t.movedim([0, 1], [2, 0]).shape(), &[3, 4, 2]);
    /// ```
    #[track_caller]
    pub fn movedim(&self, from: impl Into<Dims>, to: impl Into<Dims>) -> Tensor {
        let from = from.into().resolve("movedim", self.ndim()).or_panic();
        let to = to.into().resolve("movedim", self.ndim()).or_panic();
        if from.len() != to.len() {
            let what = format!("{} dimensions go to {} places", from.len(), to.len());
            panic!("{}", Error::shape("movedim", what, &[("tensor", self.shape())], "a place for each dimension"));
        }
        let mut rest = (0..self.ndim()).filter(|d| !from.contains(d));
        let place = |at| match to.iter().position(|&t| t == at) {
            Some(k) => from[k],
            None => rest.next().expect("as many places as dimensions"),
        };
        let order: Vec<usize> = (0..self.ndim()).map(place).collect();
        self.with_layout(self.layout().permute(&order))
    }

    /// A dimension of size 1 inserted before dimension `dim` (or at the end).
    #[track_caller]
    pub fn unsqueeze(&self, dim: isize) -> Tensor {
        let dim = resolve_dim("unsqueeze", dim, self.ndim() + 1).or_panic();
        self.with_layout(self.layout().unsqueeze(dim))
    }

    /// Without those of the dimensions `dims` (an empty list names all) whose size is 1.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let t = Tensor::zeros([1, 2, 1], DType::F32);
    /// assert_eq!(t.squeeze(0).shape(), &[2, 1]);
    /// assert_eq!(t.squeeze([0, 1]).shape(), &[2, 1]);
    /// assert_eq!(t.squeeze([]).shape(), &[2]);
    /// ```
    #[track_caller]
    pub fn squeeze(&self, dims: impl Into<Dims>) -> Tensor {
        let dims = dims.into().resolve("squeeze", self.ndim()).or_panic();
        let mut layout = self.layout().clone();
        for d in (0..self.ndim()).rev().filter(|d| dims.contains(d) && self.dims()[*d] == 1) {
            layout = layout.remove(d);
        }
        self.with_layout(layout)
    }

    /// Stretched to `shape`: dimensions of size 1 repeat, new ones are added in front, -1 leaves a size as it is. No
    /// element is copied.
    ///
    /// # Panics
    /// If a size other than 1 would change.
    #[track_caller]
    pub fn expand(&self, shape: impl Into<ReshapeTarget>) -> Tensor {
        let shape = shape.into().stretched("expand", self.shape()).or_panic();
        self.with_layout(self.layout().expand("expand", &shape).or_panic())
    }

    /// [`expand`](Tensor::expand) to the shape of `other`.
    #[track_caller]
    pub fn expand_as(&self, other: &Tensor) -> Tensor {
        self.expand(other.shape())
    }

    /// The same as [`expand`](Tensor::expand).
    #[track_caller]
    pub fn broadcast_to(&self, shape: impl Into<ReshapeTarget>) -> Tensor {
        let shape = shape.into().stretched("broadcast_to", self.shape()).or_panic();
        self.with_layout(self.layout().expand("broadcast_to", &shape).or_panic())
    }

    /// The tensors stretched to their common shape.
    ///
    /// # Panics
    /// If there is none.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let both = Tensor::broadcast_tensors(&[Tensor::from([1.0, 2.0]), Tensor::from([[0.0], [1.0], [2.0]])]);
    /// assert_eq!(both[0].shape(), &[3, 2]);
    /// assert_eq!(both[1].shape(), &[3, 2]);
    /// ```
    #[track_caller]
    pub fn broadcast_tensors(tensors: &[Tensor]) -> Vec<Tensor> {
        let common = |shape: Shape, t: &Tensor| broadcast_shapes("broadcast_tensors", &shape, t.shape());
        let shape = tensors.iter().try_fold(Shape::default(), common).or_panic();
        tensors.iter().map(|t| t.expand(&shape)).collect()
    }

    /// The elements at `offset + i0 * strides[0] + i1 * strides[1] + ..`, where positions count the elements of this tensor
    /// in row-major order: a view of any layout, as files of tensors describe them.
    ///
    /// # Errors
    /// If there are not as many strides as dimensions, or an element lies outside this tensor.
    ///
    /// # Differs
    /// PyTorch counts positions in the memory behind the tensor, of which nobody here knows anything, and has no negative
    /// strides. Where this tensor is not contiguous, the result is a view of a copy.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([0.0, 1.0, 2.0, 3.0, 4.0]);
    /// let windows = t.try_as_strided([3, 2], &[1, 2], 0)?;
    /// assert_eq!(windows.to_vec::<f64>(), [0.0, 2.0, 1.0, 3.0, 2.0, 4.0]);
    /// assert!(windows.shares_storage_with(&t));
    /// assert!(t.try_as_strided([3, 2], &[1, 3], 0).is_err());
    /// # Ok::<(), tensor::Error>(())
    /// ```
    pub fn try_as_strided(&self, shape: impl Into<Shape>, strides: &[isize], offset: usize) -> Result<Tensor> {
        let whole = self.contiguous();
        let layout = whole.layout().as_strided(shape.into(), strides, offset)?;
        Ok(whole.with_layout(layout))
    }

    #[track_caller]
    pub(crate) fn resolve(&self, op: &str, dim: isize) -> usize {
        resolve_dim(op, dim, self.ndim()).or_panic()
    }
}
