//! Reading at positions that another tensor names.

use std::borrow::Cow;

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::index;
use crate::{DType, Error, Tensor, broadcast_shapes};

/// What an operation makes of a negative index.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Negative {
    /// It is out of range.
    Refused,
    /// It counts from the end.
    FromEnd,
}

impl Tensor {
    /// The indices of `ids` as contiguous i64 in `0..size`, after checking that they are integers and in range. Of an
    /// empty tensor any integer dtype will do.
    #[track_caller]
    pub(crate) fn indices(op: &str, ids: &Tensor, size: usize, negative: Negative) -> Tensor {
        let dtype = ids.dtype();
        let integer = matches!(dtype, DType::I64 | DType::I32) || (dtype == DType::U8 && ids.numel() == 0);
        if !integer {
            panic!("{}", Error::dtype(op, format!("indices must be i64 or i32, got {dtype}")));
        }
        let ids = ids.to_dtype(DType::I64).contiguous();
        let low = if negative == Negative::FromEnd { -(size as i64) } else { 0 };
        let slice = ids.as_slice::<i64>().expect("contiguous");
        if let Some(bad) = slice.iter().find(|&&i| i < low || i >= size as i64) {
            panic!("{}", Error::index(op, format!("index {bad} is out of range {low}..{size}")));
        }
        match slice.iter().any(|&i| i < 0) {
            true => {
                let wrap = |&i: &i64| if i < 0 { i + size as i64 } else { i };
                Tensor::from_vec(slice.iter().map(wrap).collect(), ids.shape())
            }
            false => ids,
        }
    }

    /// This tensor with at least one dimension, for operations to which a scalar is a vector of one element.
    pub(crate) fn lined(&self) -> Cow<'_, Tensor> {
        if self.ndim() == 0 { Cow::Owned(self.reshape([1usize])) } else { Cow::Borrowed(self) }
    }

    /// Indices that must be a vector; a scalar counts as one.
    #[track_caller]
    pub(crate) fn index_vector(op: &str, ids: &Tensor) -> Tensor {
        if ids.ndim() > 1 {
            panic!("{}", Error::shape(op, "indices are not 1-d", &[("ids", ids.shape())], "ids [n]"));
        }
        ids.reshape([ids.numel()])
    }

    /// The slices of `dim` that the 1-d `ids` name, in that order.
    ///
    /// # Panics
    /// If `ids` is not i64 or i32, an index is out of range, or a scalar is asked for more than one element.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([[1i64, 2], [3, 4], [5, 6]]);
    /// assert_eq!(t.index_select(0, &Tensor::from([2i64, 0])).to_vec::<i64>(), [5, 6, 1, 2]);
    /// ```
    #[track_caller]
    pub fn index_select(&self, dim: isize, ids: &Tensor) -> Tensor {
        let ids = Tensor::index_vector("index_select", ids);
        if self.ndim() == 0 {
            if ids.numel() != 1 {
                let shapes: [(&str, &[usize]); 2] = [("tensor", self.shape()), ("ids", ids.shape())];
                panic!("{}", Error::shape("index_select", "a scalar has one element", &shapes, "ids [1]"));
            }
            return self.lined().index_select(dim, &ids).reshape(());
        }
        let dim = self.resolve("index_select", dim) as isize;
        self.movedim(dim, 0).take_rows("index_select", &ids).movedim(0, dim)
    }

    /// Row `ids[..]` of this matrix for every index: a table lookup.
    ///
    /// # Shape
    /// `[v, c]` with ids `[..]` `-> [.., c]`
    /// # Panics
    /// If this is not a matrix, `ids` is not i64 or i32, or an index is out of range.
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
        let rows = self.take_rows("embedding", &ids.ravel());
        let mut shape = ids.dims().to_vec();
        shape.push(self.dims()[1]);
        rows.reshape(shape)
    }

    /// The gradient of a table of `rows` rows from that of the rows that [`embedding`](Tensor::embedding) or
    /// [`index_select`](Tensor::index_select) read, both flattened to a list of rows.
    ///
    /// Row `r` is the sum of the `dy[i]` with `ids[i] = r`, zeros where there is none. It is `index_add_` to zeros (but for the
    /// sign of sums that are 0), and writes each row once.
    ///
    /// # Shape
    /// dy `[n, ..]`, ids `[n] -> [rows, ..]`
    /// # Panics
    /// If the shapes do not fit, `dy` is of bools, `ids` is not i64 or i32, or an index is out of range.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (dy, ids) = (Tensor::from([[1.0], [2.0], [3.0]]), Tensor::from([2i64, 0, 2]));
    /// assert_eq!(Tensor::embedding_backward(&dy, &ids, 3).to_vec::<f64>(), [2.0, 0.0, 4.0]);
    /// ```
    #[track_caller]
    pub fn embedding_backward(dy: &Tensor, ids: &Tensor, rows: usize) -> Tensor {
        if ids.ndim() != 1 || dy.ndim() == 0 || dy.dims()[0] != ids.numel() {
            let shapes: [(&str, &[usize]); 2] = [("dy", dy.shape()), ("ids", ids.shape())];
            panic!("{}", Error::shape("embedding_backward", "the shapes do not fit", &shapes, "dy [n, ..], ids [n]"));
        }
        let ids = Tensor::indices("embedding_backward", ids, rows, Negative::Refused);
        let mut shape = dy.dims().to_vec();
        shape[0] = rows;
        let (width, source) = (shape[1..].iter().product(), dy.widen().contiguous());
        let sums = dispatch!(number source.dtype(), "embedding_backward", T => Tensor::build::<T>(shape, |out| {
            let ids = ids.as_slice::<i64>().expect("contiguous");
            index::sum_rows(out, width, ids, source.as_slice::<T>().expect("contiguous"));
        }));
        sums.to_dtype(dy.dtype())
    }

    /// Rows of the first dimension.
    #[track_caller]
    fn take_rows(&self, op: &str, ids: &Tensor) -> Tensor {
        let ids = Tensor::indices(op, ids, self.dims()[0], Negative::Refused);
        let mut shape = self.dims().to_vec();
        shape[0] = ids.numel();
        dispatch!(all self.dtype(), T => Tensor::build::<T>(shape, |out| {
            index::select_rows(self.elements::<T>(), ids.as_slice::<i64>().expect("contiguous"), out)
        }))
    }

    /// `out[i][j] = self[ids[i][j]][j]` for `dim` 0, `self[i][ids[i][j]]` for `dim` 1, and so on.
    ///
    /// # Shape
    /// The result has the shape of `ids`, which is at most as large as this tensor in every other dimension.
    /// # Panics
    /// If the shapes do not fit, `ids` is not i64 or i32, or an index is out of range.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([[1i64, 2], [3, 4]]);
    /// assert_eq!(t.gather(1, &Tensor::from([[1i64], [0]])).to_vec::<i64>(), [2, 3]);
    /// ```
    #[track_caller]
    pub fn gather(&self, dim: isize, ids: &Tensor) -> Tensor {
        if self.ndim() == 0 || (ids.ndim() == 0 && self.ndim() == 1) {
            Tensor::index_vector("gather", ids);
            return self.lined().gather(dim, &ids.ravel()).reshape(ids.shape());
        }
        let d = self.resolve("gather", dim);
        let ids = Tensor::indices("gather", ids, self.dims()[d], Negative::Refused);
        if ids.numel() == 0 {
            return Tensor::zeros(ids.shape(), self.dtype());
        }
        self.check_gather("gather", d, &ids);
        dispatch!(all self.dtype(), T => Tensor::build::<T>(ids.shape(), |out| {
            index::gather(self.elements::<T>(), d, ids.elements::<i64>(), out)
        }))
    }

    /// That `ids` can name a position along `dim` for each of its own places.
    #[track_caller]
    pub(crate) fn check_gather(&self, op: &str, dim: usize, ids: &Tensor) {
        let fits = ids.ndim() == self.ndim() && (0..self.ndim()).all(|d| d == dim || ids.dims()[d] <= self.dims()[d]);
        if !fits {
            let shapes: [(&str, &[usize]); 2] = [("tensor", self.shape()), ("ids", ids.shape())];
            let rule = "as many dimensions, none but dim larger than the tensor's";
            panic!("{}", Error::shape(op, "the indices do not fit", &shapes, rule));
        }
    }

    /// [`gather`](Tensor::gather) in which this tensor and `ids` are broadcast to each other in every dimension but
    /// `dim`, and negative indices count from the end. Without `dim`, both are seen as vectors.
    ///
    /// # Panics
    /// If the shapes do not fit, `ids` is not i64 or i32, or an index is out of range.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([[1i64, 2], [3, 4]]);
    /// assert_eq!(t.take_along_dim(&Tensor::from([[-1i64]]), 1).to_vec::<i64>(), [2, 4]);
    /// ```
    #[track_caller]
    pub fn take_along_dim(&self, ids: &Tensor, dim: impl Into<Option<isize>>) -> Tensor {
        let (x, dim, ids) = Tensor::along("take_along_dim", self, ids, dim.into());
        x.gather(dim, &ids)
    }

    /// The operands of a [`take_along_dim`](Tensor::take_along_dim) as a `gather` takes them: the shape to which the
    /// tensor is broadcast, the dimension, the indices.
    #[track_caller]
    pub(crate) fn along(op: &str, x: &Tensor, ids: &Tensor, dim: Option<isize>) -> (Tensor, isize, Tensor) {
        let Some(dim) = dim else {
            return (x.ravel(), 0, Tensor::indices(op, &ids.ravel(), x.numel(), Negative::FromEnd));
        };
        if x.ndim() != ids.ndim() {
            let shapes: [(&str, &[usize]); 2] = [("tensor", x.shape()), ("ids", ids.shape())];
            panic!("{}", Error::shape(op, "the numbers of dimensions differ", &shapes, "as many dimensions"));
        }
        let d = x.resolve(op, dim);
        let ids = Tensor::indices(op, ids, x.dims()[d], Negative::FromEnd);
        let (mut with_one, mut wide) = (x.dims().to_vec(), ids.dims().to_vec());
        (with_one[d], wide[d]) = (1, 1);
        let mut shape = broadcast_shapes(op, &with_one, &wide).or_panic().to_vec();
        shape[d] = ids.dims()[d];
        let ids = ids.expand(&shape[..]);
        shape[d] = x.dims()[d];
        (x.expand(&shape[..]), d as isize, ids)
    }

    /// The elements at `ids` of all elements in row-major order; negative indices count from the end.
    ///
    /// # Panics
    /// If `ids` is not i64 or i32, or an index is out of range.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([[1i64, 2], [3, 4]]);
    /// assert_eq!(t.take(&Tensor::from([0i64, -1])).to_vec::<i64>(), [1, 4]);
    /// ```
    #[track_caller]
    pub fn take(&self, ids: &Tensor) -> Tensor {
        let positions = Tensor::indices("take", ids, self.numel(), Negative::FromEnd);
        self.ravel().index_select(0, &positions.ravel()).reshape(ids.shape())
    }

    /// 1 at the position that each index names, 0 elsewhere, over `classes` positions: a number, or `None` for one more
    /// than the greatest index.
    ///
    /// # Shape
    /// `[..] -> [.., classes]` (i64)
    ///
    /// # Panics
    /// If an index is out of range, or there is no index to count the classes by.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([1i64, 0]).one_hot(3).to_vec::<i64>(), [0, 1, 0, 1, 0, 0]);
    /// assert_eq!(Tensor::from([1i64, 0]).one_hot(None).shape(), &[2, 2]);
    /// ```
    #[track_caller]
    pub fn one_hot(&self, classes: impl Into<Option<usize>>) -> Tensor {
        let classes = classes.into().unwrap_or_else(|| {
            if self.numel() == 0 {
                panic!("{}", Error::value("one_hot", "no index tells the number of classes"));
            }
            self.max().item::<i64>().saturating_add(1).max(0) as usize
        });
        let ids = Tensor::indices("one_hot", self, classes, Negative::Refused);
        let mut shape = self.dims().to_vec();
        shape.push(classes);
        Tensor::build::<i64>(shape, |out| {
            out.fill(0);
            for (row, &id) in out.chunks_mut(classes.max(1)).zip(ids.as_slice::<i64>().expect("contiguous")) {
                row[id as usize] = 1;
            }
        })
    }
}
