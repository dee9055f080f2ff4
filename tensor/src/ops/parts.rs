//! Parts of a tensor, all of them views: ranges, single slices, windows, diagonals, pieces, and the reverse order.

use crate::error::OrPanic;
use crate::shape::resolve_dim;
use crate::{Dims, Error, Tensor, Whole};

/// The bounds `start..end` of a dimension of `size` elements as Python reads them: negative ones count from the end, and
/// what lies outside is cut off.
pub(crate) fn clamped(start: isize, end: isize, size: usize) -> (usize, usize) {
    let n = size as isize;
    let bound = |b: isize| if b < 0 { b.saturating_add(n).max(0) } else { b.min(n) };
    let (start, end) = (bound(start), bound(end));
    (start as usize, end.max(start) as usize)
}

impl Tensor {
    /// Elements `start .. start + len` of dimension `dim`; a negative start counts from the end.
    ///
    /// # Panics
    /// If the range leaves the dimension.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([1i64, 2, 3, 4]).narrow(0, 1, 2).to_vec::<i64>(), [2, 3]);
    /// ```
    #[track_caller]
    pub fn narrow(&self, dim: isize, start: impl Whole, len: usize) -> Tensor {
        let (given, n) = (start.signed(), self.dims()[self.resolve("narrow", dim)]);
        let start = if given < 0 { given.saturating_add(n as isize) } else { given };
        if start < 0 {
            let what = format!("start {given} is out of range for dimension {dim} of size {n}");
            panic!("{}", Error::index("narrow", what));
        }
        self.with_layout(self.layout().slice("narrow", dim, start as usize, len, 1).or_panic())
    }

    /// Elements `start, start + step, ..` before `end` of dimension `dim`, as Python's `start:end:step`: negative
    /// bounds count from the end, and what lies outside is cut off.
    ///
    /// # Panics
    /// If `step` is 0.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([0i64, 1, 2, 3, 4]);
    /// assert_eq!(t.slice(0, 1, -1, 2).to_vec::<i64>(), [1, 3]);
    /// assert_eq!(t.slice(0, -2, 99, 1).to_vec::<i64>(), [3, 4]);
    /// ```
    #[track_caller]
    pub fn slice(&self, dim: isize, start: impl Whole, end: impl Whole, step: usize) -> Tensor {
        if step == 0 {
            panic!("{}", Error::value("slice", "the step must be positive"));
        }
        let d = self.resolve("slice", dim);
        let (start, end) = clamped(start.signed(), end.signed(), self.dims()[d]);
        let len = (end - start).div_ceil(step);
        self.with_layout(self.layout().slice("slice", dim, start, len, step).or_panic())
    }

    /// Element `index` of dimension `dim`, without that dimension; a negative index counts from the end.
    ///
    /// # Panics
    /// If the index is out of range.
    #[track_caller]
    pub fn select(&self, dim: isize, index: impl Whole) -> Tensor {
        let (given, resolved) = (index.signed(), self.resolve("select", dim));
        let size = self.dims()[resolved];
        let index = if given < 0 { given.saturating_add(size as isize) } else { given };
        if index < 0 || index as usize >= size {
            let what = format!("index {given} is out of range for dimension {dim} of size {size}");
            panic!("{}", Error::index("select", what));
        }
        let row = self.layout().slice("select", dim, index as usize, 1, 1).or_panic();
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

    /// The second dimension in reverse order: a matrix seen from left to right and right to left exchanged.
    ///
    /// # Panics
    /// If there are fewer than two dimensions.
    #[track_caller]
    pub fn fliplr(&self) -> Tensor {
        self.at_least("fliplr", 2).flip(&[1])
    }

    /// The first dimension in reverse order.
    ///
    /// # Panics
    /// For a scalar.
    #[track_caller]
    pub fn flipud(&self) -> Tensor {
        self.at_least("flipud", 1).flip(&[0])
    }

    /// Turned by `k` quarters of a circle in the plane of the two `dims`, from the first towards the second.
    ///
    /// # Panics
    /// If the dimensions are the same.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let m = Tensor::from([[1i64, 2], [3, 4]]);
    /// assert_eq!(m.rot90(1, [0, 1]).to_vec::<i64>(), [2, 4, 1, 3]);
    /// ```
    #[track_caller]
    pub fn rot90(&self, k: isize, dims: [isize; 2]) -> Tensor {
        let [a, b] = dims.map(|d| self.resolve("rot90", d) as isize);
        if a == b {
            panic!("{}", Error::shape("rot90", "the two dimensions are the same", &[("tensor", self.shape())], ""));
        }
        match k.rem_euclid(4) {
            1 => self.flip(&[b]).transpose(a, b),
            2 => self.flip(&[a, b]),
            3 => self.flip(&[a]).transpose(a, b),
            _ => self.clone(),
        }
    }

    #[track_caller]
    pub(crate) fn at_least(&self, op: &str, ndim: usize) -> &Tensor {
        if self.ndim() < ndim {
            let what = format!("needs at least {ndim} dimension{}", if ndim == 1 { "" } else { "s" });
            panic!("{}", Error::shape(op, what, &[("tensor", self.shape())], ""));
        }
        self
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

    /// Windows of `size` elements, `step` apart, along `dim`; a new last dimension runs over the window. A scalar counts
    /// as a dimension of one element, which the window takes the place of.
    ///
    /// # Shape
    /// `[.., n, ..] -> [.., (n - size) / step + 1, .., size]`
    ///
    /// # Panics
    /// If `size` exceeds the dimension or `step` is 0.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([1i64, 2, 3]).unfold(0, 2, 1).to_vec::<i64>(), [1, 2, 2, 3]);
    /// ```
    #[track_caller]
    pub fn unfold(&self, dim: isize, size: usize, step: usize) -> Tensor {
        let d = Dims::from(dim).resolve("unfold", self.ndim()).or_panic().first().copied();
        let n = d.map_or(1, |d| self.dims()[d]);
        if step == 0 || size > n {
            let what = format!("windows of {size} every {step} do not fit dimension {dim} of size {n}");
            panic!("{}", Error::shape("unfold", what, &[("tensor", self.shape())], "size <= n, step > 0"));
        }
        let Some(d) = d else { return self.reshape([1usize]).narrow(0, 0, size) };
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

    /// Pieces along `dim`: of `size` elements each (the last may be smaller), or of each size in a list.
    ///
    /// # Panics
    /// If the size is 0 and the dimension is not, or the sizes of a list do not add up to the dimension.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([1i64, 2, 3, 4, 5]);
    /// assert_eq!(t.split(2, 0)[2].to_vec::<i64>(), [5]);
    /// assert_eq!(t.split([1, 4], 0)[1].to_vec::<i64>(), [2, 3, 4, 5]);
    /// ```
    #[track_caller]
    pub fn split(&self, sizes: impl Into<Sizes>, dim: isize) -> Vec<Tensor> {
        let d = self.resolve("split", dim);
        let n = self.dims()[d];
        let sizes = match sizes.into() {
            Sizes::Each(0) if n > 0 => panic!("{}", Error::value("split", "the size of a piece must be positive")),
            // An empty dimension gives one empty piece, as in PyTorch.
            Sizes::Each(size) => {
                (0..n.div_ceil(size.max(1)).max(1)).map(|i| size.min(n - i * size)).collect::<Vec<_>>()
            }
            Sizes::List(sizes) => sizes,
        };
        if sizes.iter().fold(0usize, |sum, &size| sum.saturating_add(size)) != n {
            let what = format!("sizes {sizes:?} do not add up to {n}, the size of dimension {dim}");
            panic!("{}", Error::shape("split", what, &[("tensor", self.shape())], ""));
        }
        let mut start = 0;
        let piece = |&size: &usize| {
            start += size;
            self.narrow(d as isize, start - size, size)
        };
        sizes.iter().map(piece).collect()
    }

    /// At most `n` pieces of equal size along `dim` (the last may be smaller).
    ///
    /// # Panics
    /// If `n` is 0.
    #[track_caller]
    pub fn chunk(&self, n: usize, dim: isize) -> Vec<Tensor> {
        if n == 0 {
            panic!("{}", Error::value("chunk", "the number of pieces must be positive"));
        }
        match self.dims()[self.resolve("chunk", dim)] {
            0 => self.split(vec![0; n], dim),
            size => self.split(size.div_ceil(n), dim),
        }
    }

    /// Pieces along `dim`: `n` of nearly equal size (the first ones take one element more), or cut before each position
    /// of a list, which is read as Python reads bounds.
    ///
    /// # Panics
    /// If the number of pieces is 0.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([1i64, 2, 3, 4, 5]);
    /// assert_eq!(t.tensor_split(2, 0)[0].to_vec::<i64>(), [1, 2, 3]);
    /// assert_eq!(t.tensor_split([1, -1], 0)[1].to_vec::<i64>(), [2, 3, 4]);
    /// ```
    #[track_caller]
    pub fn tensor_split(&self, cuts: impl Into<Cuts>, dim: isize) -> Vec<Tensor> {
        let d = self.resolve("tensor_split", dim);
        let size = self.dims()[d];
        let bounds: Vec<(isize, isize)> = match cuts.into() {
            Cuts::Pieces(0) => panic!("{}", Error::value("tensor_split", "the number of pieces must be positive")),
            Cuts::Pieces(n) => {
                let at = |i: usize| (i * (size / n) + i.min(size % n)) as isize;
                (0..n).map(|i| (at(i), at(i + 1))).collect()
            }
            Cuts::Before(cuts) => {
                let starts = std::iter::once(0).chain(cuts.iter().copied());
                starts.zip(cuts.iter().copied().chain([isize::MAX])).collect()
            }
        };
        bounds.into_iter().map(|(start, end)| self.slice(d as isize, start, end, 1)).collect()
    }

    /// The slices along `dim`, each without that dimension.
    #[track_caller]
    pub fn unbind(&self, dim: isize) -> Vec<Tensor> {
        let d = resolve_dim("unbind", dim, self.ndim()).or_panic();
        (0..self.dims()[d]).map(|i| self.select(d as isize, i)).collect()
    }
}

/// How [`Tensor::split`] cuts.
#[derive(Debug, Clone)]
pub enum Sizes {
    /// Pieces of one size.
    Each(usize),
    /// The size of every piece.
    List(Vec<usize>),
}
impl From<usize> for Sizes {
    fn from(size: usize) -> Sizes {
        Sizes::Each(size)
    }
}
impl<const N: usize> From<[usize; N]> for Sizes {
    fn from(sizes: [usize; N]) -> Sizes {
        Sizes::List(sizes.to_vec())
    }
}
impl From<&[usize]> for Sizes {
    fn from(sizes: &[usize]) -> Sizes {
        Sizes::List(sizes.to_vec())
    }
}
impl From<Vec<usize>> for Sizes {
    fn from(sizes: Vec<usize>) -> Sizes {
        Sizes::List(sizes)
    }
}

/// How [`Tensor::tensor_split`] cuts.
#[derive(Debug, Clone)]
pub enum Cuts {
    /// Into so many pieces.
    Pieces(usize),
    /// Before each of these positions.
    Before(Vec<isize>),
}
impl From<usize> for Cuts {
    fn from(pieces: usize) -> Cuts {
        Cuts::Pieces(pieces)
    }
}
impl<const N: usize> From<[isize; N]> for Cuts {
    fn from(cuts: [isize; N]) -> Cuts {
        Cuts::Before(cuts.to_vec())
    }
}
impl From<&[isize]> for Cuts {
    fn from(cuts: &[isize]) -> Cuts {
        Cuts::Before(cuts.to_vec())
    }
}
impl From<Vec<isize>> for Cuts {
    fn from(cuts: Vec<isize>) -> Cuts {
        Cuts::Before(cuts)
    }
}
