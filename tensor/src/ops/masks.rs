//! Masks: choosing and writing where a condition holds, the places where it does, and triangles.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::ops::compare::require_bool;
use crate::ops::scatter::require_dtype;
use crate::{DType, Element, Error, Tensor, broadcast_shapes};

impl Tensor {
    /// The elements where `mask` holds, as a vector; tensor and mask are broadcast to each other.
    ///
    /// # Panics
    /// If `mask` is not bool or does not broadcast.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([[1.0, -2.0], [-3.0, 4.0]]);
    /// assert_eq!(x.masked_select(&x.gt_scalar(0.0)).to_vec::<f64>(), [1.0, 4.0]);
    /// ```
    #[track_caller]
    pub fn masked_select(&self, mask: &Tensor) -> Tensor {
        require_bool("masked_select", "mask", mask);
        let shape = broadcast_shapes("masked_select", self.shape(), mask.shape()).or_panic();
        self.expand(&shape).i(mask.expand(&shape)).ravel()
    }

    /// This tensor (broadcast with the mask) with the elements of `source`, one after the other, where `mask` holds.
    ///
    /// # Panics
    /// If `mask` is not bool or does not broadcast, the dtypes differ, or `source` has too few elements.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (x, mask) = (Tensor::from([0.0, 0.0, 0.0]), Tensor::from([true, false, true]));
    /// assert_eq!(x.masked_scatter(&mask, &Tensor::from([1.0, 2.0])).to_vec::<f64>(), [1.0, 0.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn masked_scatter(&self, mask: &Tensor, source: &Tensor) -> Tensor {
        require_bool("masked_scatter", "mask", mask);
        require_dtype("masked_scatter", self, source);
        let shape = broadcast_shapes("masked_scatter", self.shape(), mask.shape()).or_panic();
        let mask = mask.expand(&shape);
        let wanted = mask.count();
        if wanted > source.numel() {
            let what = format!("the source has {} elements, the mask holds {wanted} times", source.numel());
            panic!("{}", Error::value("masked_scatter", what));
        }
        self.expand(&shape).index_put(&mask, &source.ravel().narrow(0, 0, wanted), false)
    }

    /// How often this mask holds.
    fn count(&self) -> usize {
        self.to_dtype(DType::I64).sum().item::<i64>() as usize
    }

    /// The indices of the elements that are not zero, a row for each, in row-major order.
    ///
    /// # Shape
    /// `[a, b, ..] -> [n, number of dimensions]` (i64)
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([[0.0, 2.0], [3.0, 0.0]]).nonzero().to_vec::<i64>(), [0, 1, 1, 0]);
    /// ```
    pub fn nonzero(&self) -> Tensor {
        let mask = self.truth().contiguous();
        let mask = mask.as_slice::<bool>().expect("contiguous");
        let mut indices = Vec::new();
        for (i, _) in mask.iter().enumerate().filter(|(_, holds)| **holds) {
            let (row, mut rest) = (indices.len(), i);
            indices.resize(row + self.ndim(), 0);
            for d in (0..self.ndim()).rev() {
                indices[row + d] = (rest % self.dims()[d]) as i64;
                rest /= self.dims()[d];
            }
        }
        let found = mask.iter().filter(|holds| **holds).count();
        Tensor::from_vec(indices, [found, self.ndim()])
    }

    /// The same as [`nonzero`](Tensor::nonzero).
    pub fn argwhere(&self) -> Tensor {
        self.nonzero()
    }

    /// The lower triangle of the last two dimensions, up to diagonal `k`; zero above.
    ///
    /// # Panics
    /// If there are fewer than two dimensions.
    #[track_caller]
    pub fn tril(&self, k: isize) -> Tensor {
        self.at_least("tril", 2).triangle(|row, column| column <= row.saturating_add(k))
    }

    /// The upper triangle of the last two dimensions, from diagonal `k` on; zero below.
    ///
    /// # Panics
    /// If there are fewer than two dimensions.
    #[track_caller]
    pub fn triu(&self, k: isize) -> Tensor {
        self.at_least("triu", 2).triangle(|row, column| column >= row.saturating_add(k))
    }

    fn triangle(&self, keep: impl Fn(isize, isize) -> bool) -> Tensor {
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

    /// The row and column indices (i64) of the lower triangle of a matrix, up to diagonal `k`, row by row.
    ///
    /// # Shape
    /// `[2, n]`
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::tril_indices(2, 2, 0).to_vec::<i64>(), [0, 1, 1, 0, 0, 1]);
    /// ```
    pub fn tril_indices(rows: usize, columns: usize, k: isize) -> Tensor {
        triangle_indices(rows, columns, |row, column| column <= row.saturating_add(k))
    }

    /// The row and column indices (i64) of the upper triangle of a matrix, from diagonal `k` on, row by row.
    ///
    /// # Shape
    /// `[2, n]`
    pub fn triu_indices(rows: usize, columns: usize, k: isize) -> Tensor {
        triangle_indices(rows, columns, |row, column| column >= row.saturating_add(k))
    }
}

fn triangle_indices(rows: usize, columns: usize, keep: impl Fn(isize, isize) -> bool) -> Tensor {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for row in 0..rows {
        for column in (0..columns).filter(|&column| keep(row as isize, column as isize)) {
            first.push(row as i64);
            second.push(column as i64);
        }
    }
    let n = first.len();
    first.extend(second);
    Tensor::from_vec(first, [2, n])
}
