//! Indexing by tensors of indices, and masks by position.

use crate::dtype::dispatch;
use crate::kernels::index;
use crate::{DType, Element, Error, Tensor};

impl Tensor {
    /// The indices of `ids` after checking that they are i64 and in `0..size`.
    #[track_caller]
    fn indices(op: &str, ids: &Tensor, size: usize) -> Tensor {
        if ids.dtype() != DType::I64 {
            panic!("{}", Error::dtype(op, format!("indices must be i64, got {}", ids.dtype())));
        }
        let ids = ids.contiguous();
        let slice = ids.as_slice::<i64>().expect("contiguous");
        if let Some(bad) = slice.iter().find(|&&i| i < 0 || i as usize >= size) {
            panic!("{}", Error::index(op, format!("index {bad} is out of range 0..{size}")));
        }
        ids
    }

    /// The slices of `dim` that the 1-d `ids` name, in that order.
    ///
    /// # Panics
    /// If `ids` is not i64 or an index is out of range.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([[1i64, 2], [3, 4], [5, 6]]);
    /// assert_eq!(t.index_select(0, &Tensor::from([2i64, 0])).to_vec::<i64>(), [5, 6, 1, 2]);
    /// ```
    #[track_caller]
    pub fn index_select(&self, dim: isize, ids: &Tensor) -> Tensor {
        if ids.ndim() > 1 {
            panic!("{}", Error::shape("index_select", "indices are not 1-d", &[("ids", ids.shape())], "ids [n]"));
        }
        let dim = self.resolve("index_select", dim) as isize;
        let front = self.movedim(dim, 0);
        front.take_rows("index_select", &ids.reshape([-1])).movedim(0, dim)
    }

    /// Row `ids[..]` of this matrix for every index: a table lookup.
    ///
    /// # Shape
    /// `[v, c]` with ids `[..]` `-> [.., c]`
    /// # Panics
    /// If this is not a matrix, `ids` is not i64, or an index is out of range.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let table = Tensor::from([[0.0, 0.1], [1.0, 1.1]]);
    /// assert_eq!(table.embedding(&Tensor::from([[1i64, 0]])).shape(), &[1, 2, 2]);
    /// ```
    #[track_caller]
    pub fn embedding(&self, ids: &Tensor) -> Tensor {
        if self.ndim() != 2 {
            panic!("{}", Error::shape("embedding", "the table is not a matrix", &[("table", self.shape())], "[v, c]"));
        }
        let rows = self.take_rows("embedding", &ids.reshape([-1]));
        let mut shape = ids.dims().to_vec();
        shape.push(self.dims()[1]);
        rows.reshape(shape)
    }

    /// Rows of the first dimension.
    #[track_caller]
    fn take_rows(&self, op: &str, ids: &Tensor) -> Tensor {
        let ids = Tensor::indices(op, ids, self.dims()[0]);
        let mut shape = self.dims().to_vec();
        shape[0] = ids.numel();
        dispatch!(all self.dtype(), T => Tensor::build::<T>(shape, |out| {
            index::select_rows(self.view::<T>(), ids.as_slice::<i64>().expect("contiguous"), out)
        }))
    }

    /// This tensor with `source`'s slices of `dim` added to the slices that the 1-d `ids` name; repeated ones add up.
    #[track_caller]
    pub fn index_add(&self, dim: isize, ids: &Tensor, source: &Tensor) -> Tensor {
        let dim = self.resolve("index_add", dim) as isize;
        let mut front = self.movedim(dim, 0);
        front.index_add_(ids, &source.to_dtype(self.dtype()).movedim(dim, 0));
        front.movedim(0, dim)
    }

    /// Adds row `i` of `source` to row `ids[i]`, in place; repeated indices add up.
    ///
    /// # Shape
    /// self `[v, ..]`, ids `[n]`, source `[n, ..]`
    /// # Panics
    /// If the shapes do not fit, the dtypes differ, `ids` is not i64, or an index is out of range.
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
        if source.dtype() != self.dtype() {
            let what = format!("the source is {}, the tensor {}", source.dtype(), self.dtype());
            panic!("{}", Error::dtype("index_add_", what));
        }
        let ids = Tensor::indices("index_add_", ids, self.dims()[0]);
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

    /// `out[i][j] = self[ids[i][j]][j]` for `dim` 0, `self[i][ids[i][j]]` for `dim` 1, and so on.
    ///
    /// # Shape
    /// The result has the shape of `ids`, which is at most as large as this tensor in every other dimension.
    /// # Panics
    /// If the shapes do not fit, `ids` is not i64, or an index is out of range.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([[1i64, 2], [3, 4]]);
    /// assert_eq!(t.gather(1, &Tensor::from([[1i64], [0]])).to_vec::<i64>(), [2, 3]);
    /// ```
    #[track_caller]
    pub fn gather(&self, dim: isize, ids: &Tensor) -> Tensor {
        if self.ndim() == 0 {
            return self.reshape([1usize]).gather(dim, &ids.reshape([-1])).reshape(ids.shape());
        }
        let dim = self.check_gather("gather", dim, ids);
        let ids = Tensor::indices("gather", ids, self.dims()[dim]);
        dispatch!(all self.dtype(), T => Tensor::build::<T>(ids.shape(), |out| {
            index::gather(self.view::<T>(), dim, ids.view::<i64>(), out)
        }))
    }

    /// The reverse of [`gather`](Tensor::gather): this tensor with `source[i][j]` added at `[ids[i][j]][j]` for `dim` 0,
    /// and so on; repeated places add up.
    #[track_caller]
    pub fn scatter_add(&self, dim: isize, ids: &Tensor, source: &Tensor) -> Tensor {
        if self.ndim() == 0 {
            let (ids, source) = (ids.reshape([-1]), source.reshape([-1]));
            return self.reshape([1usize]).scatter_add(dim, &ids, &source).reshape(self.shape());
        }
        let dim = self.check_gather("scatter_add", dim, ids);
        if source.ndim() != ids.ndim() || source.dims().iter().zip(ids.dims()).any(|(s, i)| s < i) {
            let shapes: [(&str, &[usize]); 2] = [("ids", ids.shape()), ("source", source.shape())];
            panic!("{}", Error::shape("scatter_add", "the source is smaller than the indices", &shapes, ""));
        }
        let ids = Tensor::indices("scatter_add", ids, self.dims()[dim]);
        let source = source.to_dtype(self.dtype()).widen();
        let mut out = self.widen().copy();
        let layout = out.layout().clone();
        dispatch!(number out.dtype(), "scatter_add", T => {
            index::scatter_add(out.as_slice_mut::<T>(), &layout, dim, ids.view::<i64>(), source.view::<T>())
        });
        out.to_dtype(self.dtype())
    }

    #[track_caller]
    fn check_gather(&self, op: &str, dim: isize, ids: &Tensor) -> usize {
        let dim = self.resolve(op, dim);
        let fits = ids.ndim() == self.ndim() && (0..self.ndim()).all(|d| d == dim || ids.dims()[d] <= self.dims()[d]);
        if !fits {
            let shapes: [(&str, &[usize]); 2] = [("tensor", self.shape()), ("ids", ids.shape())];
            let rule = "as many dimensions, none but dim larger than the tensor's";
            panic!("{}", Error::shape(op, "the indices do not fit", &shapes, rule));
        }
        dim
    }

    /// 1 at the position that each index names, 0 elsewhere, over `classes` positions.
    ///
    /// # Shape
    /// `[..] -> [.., classes]` (i64)
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([1i64, 0]).one_hot(3).to_vec::<i64>(), [0, 1, 0, 1, 0, 0]);
    /// ```
    #[track_caller]
    pub fn one_hot(&self, classes: usize) -> Tensor {
        let ids = Tensor::indices("one_hot", self, classes);
        let mut shape = self.dims().to_vec();
        shape.push(classes);
        Tensor::build::<i64>(shape, |out| {
            out.fill(0);
            for (row, &id) in out.chunks_mut(classes.max(1)).zip(ids.as_slice::<i64>().expect("contiguous")) {
                row[id as usize] = 1;
            }
        })
    }

    /// The lower triangle of the last two dimensions, up to diagonal `k`; zero above.
    #[track_caller]
    pub fn tril(&self, k: isize) -> Tensor {
        self.triangle("tril", |row, column| column <= row.saturating_add(k))
    }

    /// The upper triangle of the last two dimensions, from diagonal `k` on; zero below.
    #[track_caller]
    pub fn triu(&self, k: isize) -> Tensor {
        self.triangle("triu", |row, column| column >= row.saturating_add(k))
    }

    #[track_caller]
    fn triangle(&self, op: &str, keep: impl Fn(isize, isize) -> bool) -> Tensor {
        if self.ndim() < 2 {
            panic!("{}", Error::shape(op, "needs at least 2 dimensions", &[("tensor", self.shape())], "[.., m, n]"));
        }
        let (rows, columns) = (self.dim(-2), self.dim(-1));
        let mut out = self.copy();
        fn clear<T: Element>(out: &mut [T], rows: usize, columns: usize, keep: impl Fn(isize, isize) -> bool) {
            for (i, x) in out.iter_mut().enumerate() {
                if !keep((i / columns % rows) as isize, (i % columns) as isize) {
                    *x = T::default();
                }
            }
        }
        dispatch!(all self.dtype(), T => clear(out.as_slice_mut::<T>(), rows, columns, keep));
        out
    }
}
