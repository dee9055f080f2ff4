//! Views: other shapes, orders and parts of the same memory. None of these copies, but for a `reshape` that strides
//! cannot express.

use crate::error::OrPanic;
use crate::shape::resolve_dim;
use crate::{Dims, Error, ReshapeTarget, Result, Shape, Tensor};

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
        let shape = shape.into().resolve(self.shape())?;
        if let Some(layout) = self.layout().reshape(&shape) {
            return Ok(self.with_layout(layout));
        }
        let copy = self.copy();
        let layout = copy.layout().reshape(&shape).expect("a contiguous tensor takes any shape of as many elements");
        Ok(copy.with_layout(layout))
    }

    /// Dimensions `start` to `end` (inclusive) merged into one.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// assert_eq!(Tensor::zeros([2, 3, 4], DType::F32).flatten(1, -1).shape(), &[2, 12]);
    /// ```
    #[track_caller]
    pub fn flatten(&self, start: isize, end: isize) -> Tensor {
        if self.ndim() == 0 {
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

    /// Dimensions `a` and `b` exchanged.
    #[track_caller]
    pub fn transpose(&self, a: isize, b: isize) -> Tensor {
        if self.ndim() == 0 && [a, b].iter().all(|d| [0, -1].contains(d)) {
            return self.clone();
        }
        self.with_layout(self.layout().transpose(self.resolve("transpose", a), self.resolve("transpose", b)))
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

    /// Dimension `from` moved to place `to`, the others in their order.
    #[track_caller]
    pub fn movedim(&self, from: isize, to: isize) -> Tensor {
        let (from, to) = (self.resolve("movedim", from), self.resolve("movedim", to));
        let mut order: Vec<usize> = (0..self.ndim()).filter(|&d| d != from).collect();
        order.insert(to, from);
        self.with_layout(self.layout().permute(&order))
    }

    /// A dimension of size 1 inserted before dimension `dim` (or at the end).
    #[track_caller]
    pub fn unsqueeze(&self, dim: isize) -> Tensor {
        let dim = resolve_dim("unsqueeze", dim, self.ndim() + 1).or_panic();
        self.with_layout(self.layout().unsqueeze(dim))
    }

    /// Without dimension `dim` if its size is 1, unchanged otherwise.
    #[track_caller]
    pub fn squeeze(&self, dim: isize) -> Tensor {
        if self.ndim() == 0 && [0, -1].contains(&dim) {
            return self.clone();
        }
        let dim = self.resolve("squeeze", dim);
        if self.dims()[dim] == 1 { self.with_layout(self.layout().remove(dim)) } else { self.clone() }
    }

    /// Stretched to `shape`: dimensions of size 1 repeat, new ones are added in front. No element is copied.
    ///
    /// # Panics
    /// If a size other than 1 would change.
    #[track_caller]
    pub fn expand(&self, shape: impl Into<Shape>) -> Tensor {
        self.with_layout(self.layout().expand("expand", &shape.into()).or_panic())
    }

    /// The same as [`expand`](Tensor::expand).
    #[track_caller]
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Tensor {
        self.with_layout(self.layout().expand("broadcast_to", &shape.into()).or_panic())
    }

    /// Elements `start .. start + len` of dimension `dim`.
    ///
    /// # Panics
    /// If the range leaves the dimension.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([1i64, 2, 3, 4]).narrow(0, 1, 2).to_vec::<i64>(), [2, 3]);
    /// ```
    #[track_caller]
    pub fn narrow(&self, dim: isize, start: usize, len: usize) -> Tensor {
        self.with_layout(self.layout().slice("narrow", dim, start, len, 1).or_panic())
    }

    /// Elements `start, start + step, ..` before `end` of dimension `dim`, as Python's `start:end:step`.
    ///
    /// `end` may lie beyond the dimension.
    ///
    /// # Panics
    /// If `step` is 0 or `start` leaves the dimension.
    #[track_caller]
    pub fn slice(&self, dim: isize, start: usize, end: usize, step: usize) -> Tensor {
        if step == 0 {
            panic!("{}", Error::value("slice", "the step must be positive"));
        }
        let end = end.min(self.dim(dim));
        let len = end.saturating_sub(start).div_ceil(step);
        self.with_layout(self.layout().slice("slice", dim, start, len, step).or_panic())
    }

    /// Element `index` of dimension `dim`, without that dimension.
    #[track_caller]
    pub fn select(&self, dim: isize, index: usize) -> Tensor {
        let resolved = self.resolve("select", dim);
        let size = self.dims()[resolved];
        if index >= size {
            let what = format!("index {index} is out of range for dimension {dim} of size {size}");
            panic!("{}", Error::index("select", what));
        }
        let row = self.layout().slice("select", dim, index, 1, 1).or_panic();
        self.with_layout(row.remove(resolved))
    }

    /// The dimensions `dims` in reverse order of their elements. An empty list names none.
    #[track_caller]
    pub fn flip(&self, dims: &[isize]) -> Tensor {
        if dims.is_empty() {
            return self.clone();
        }
        let dims = Dims::from(dims).resolve("flip", self.ndim()).or_panic();
        self.with_layout(self.layout().flip(&dims))
    }

    /// The elements with equal index (shifted by `offset`) in dimensions `a` and `b`, as a new last dimension.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let m = Tensor::from([[1i64, 2], [3, 4]]);
    /// assert_eq!(m.diagonal(0, 0, 1).to_vec::<i64>(), [1, 4]);
    /// assert_eq!(m.diagonal(1, 0, 1).to_vec::<i64>(), [2]);
    /// ```
    #[track_caller]
    pub fn diagonal(&self, offset: isize, a: isize, b: isize) -> Tensor {
        let (a, b) = (self.resolve("diagonal", a), self.resolve("diagonal", b));
        if a == b {
            panic!("{}", Error::shape("diagonal", "the two dimensions are the same", &[("tensor", self.shape())], ""));
        }
        let layout = self.layout();
        let (skip_a, skip_b) = if offset >= 0 { (0, offset as usize) } else { (offset.unsigned_abs(), 0) };
        let len = layout.shape[a].saturating_sub(skip_a).min(layout.shape[b].saturating_sub(skip_b));
        let stride = layout.strides[a] + layout.strides[b];
        let skip = if len * self.numel() == 0 {
            0
        } else {
            skip_a as isize * layout.strides[a] + skip_b as isize * layout.strides[b]
        };
        let mut view = layout.remove(a.max(b)).remove(a.min(b));
        view.shape.inner_mut().push(len);
        view.strides.push(stride);
        view.offset = (view.offset as isize + skip) as usize;
        self.with_layout(view)
    }

    /// Windows of `size` elements, `step` apart, along `dim`; a new last dimension runs over the window.
    ///
    /// # Shape
    /// `[.., n, ..] -> [.., (n - size) / step + 1, .., size]`
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([1i64, 2, 3]).unfold(0, 2, 1).to_vec::<i64>(), [1, 2, 2, 3]);
    /// ```
    #[track_caller]
    pub fn unfold(&self, dim: isize, size: usize, step: usize) -> Tensor {
        let d = self.resolve("unfold", dim);
        let n = self.dims()[d];
        if step == 0 || size > n {
            let what = format!("windows of {size} every {step} do not fit dimension {dim} of size {n}");
            panic!("{}", Error::shape("unfold", what, &[("tensor", self.shape())], "size <= n, step > 0"));
        }
        let mut view = self.layout().clone();
        view.shape.inner_mut()[d] = (n - size) / step + 1;
        view.shape.inner_mut().push(size);
        let stride = view.strides[d];
        view.strides[d] = stride.wrapping_mul(step as isize);
        view.strides.push(stride);
        // Windows overlap, so there may be more elements than memory could hold.
        view.shape.checked_numel().or_panic();
        self.with_layout(view)
    }

    /// Pieces of `size` elements along `dim`; the last may be smaller.
    #[track_caller]
    pub fn split(&self, size: usize, dim: isize) -> Vec<Tensor> {
        if size == 0 {
            panic!("{}", Error::value("split", "the size of a piece must be positive"));
        }
        let n = self.dim(dim);
        // An empty dimension gives one empty piece, as in PyTorch.
        let pieces = n.div_ceil(size).max(1);
        (0..pieces).map(|i| self.narrow(dim, i * size, size.min(n - i * size))).collect()
    }

    /// At most `n` pieces of equal size along `dim` (the last may be smaller).
    #[track_caller]
    pub fn chunk(&self, n: usize, dim: isize) -> Vec<Tensor> {
        if n == 0 {
            panic!("{}", Error::value("chunk", "the number of pieces must be positive"));
        }
        self.split(self.dim(dim).div_ceil(n).max(1), dim)
    }

    /// The slices along `dim`, each without that dimension.
    #[track_caller]
    pub fn unbind(&self, dim: isize) -> Vec<Tensor> {
        (0..self.dim(dim)).map(|i| self.select(dim, i)).collect()
    }

    #[track_caller]
    pub(crate) fn resolve(&self, op: &str, dim: isize) -> usize {
        resolve_dim(op, dim, self.ndim()).or_panic()
    }
}
