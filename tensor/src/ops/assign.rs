//! Assignment to a part: in place, and as a new tensor with the part replaced.

use crate::dtype::dispatch;
use crate::{Error, Tensor, Whole};

impl Tensor {
    /// Sets the part of this tensor that `view` shows to `source` (broadcast), copying first if the memory is shared.
    ///
    /// `view` gets this tensor and must return a view of it; if that shows an element twice, the last write counts.
    ///
    /// # Panics
    /// If `view` returns something else, the dtypes differ, or `source` cannot be stretched to the view.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let mut t = Tensor::zeros([2, 3], DType::F64);
    /// t.assign_(|t| t.narrow(1, 0, 2).t(), &Tensor::from([1.0, 2.0]));
    /// assert_eq!(t.to_vec::<f64>(), [1.0, 1.0, 0.0, 2.0, 2.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn assign_(&mut self, view: impl FnOnce(&Tensor) -> Tensor, source: &Tensor) {
        if source.dtype() != self.dtype() {
            let what = format!("the source is {}, the tensor {}", source.dtype(), self.dtype());
            panic!("{}", Error::dtype("assign_", what));
        }
        self.own();
        let (whole, mut layout) = (self.layout().offset, {
            let part = view(self);
            if !part.shares_storage_with(self) {
                panic!("{}", Error::value("assign_", "the view is none of this tensor"));
            }
            part.layout().clone()
        });
        layout.offset -= whole;
        let source = source.expand(&layout.shape);
        dispatch!(all self.dtype(), T => {
            crate::kernels::index::assign(self.as_slice_mut::<T>(), &layout, source.elements::<T>())
        });
    }

    /// This tensor with `source` in the place of what `view` shows, which must have its shape.
    #[track_caller]
    fn scattered(&self, op: &str, view: impl Fn(&Tensor) -> Tensor, source: &Tensor) -> Tensor {
        let shape = view(self).shape().clone();
        if *source.shape() != shape {
            let what = "the source differs from the part that it replaces";
            let shapes: [(&str, &[usize]); 2] = [("source", source.shape()), ("part", &shape)];
            panic!("{}", Error::shape(op, what, &shapes, "equal shapes"));
        }
        let mut out = self.copy();
        out.assign_(view, &source.to_dtype(self.dtype()));
        out
    }

    /// This tensor with `source` in the place of [`slice(dim, start, end, step)`](Tensor::slice).
    ///
    /// # Panics
    /// If `source` does not have the shape of that slice.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let t = Tensor::zeros([4], DType::F64);
    /// assert_eq!(t.slice_scatter(&Tensor::from([1.0, 2.0]), 0, 1, 4, 2).to_vec::<f64>(), [0.0, 1.0, 0.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn slice_scatter(
        &self,
        source: &Tensor,
        dim: isize,
        start: impl Whole,
        end: impl Whole,
        step: usize,
    ) -> Tensor {
        self.scattered("slice_scatter", |x| x.slice(dim, start, end, step), source)
    }

    /// This tensor with `source` in the place of [`select(dim, index)`](Tensor::select).
    ///
    /// # Panics
    /// If `source` does not have the shape of that slice.
    #[track_caller]
    pub fn select_scatter(&self, source: &Tensor, dim: isize, index: impl Whole) -> Tensor {
        self.scattered("select_scatter", |x| x.select(dim, index), source)
    }

    /// This tensor with `source` in the place of [`diagonal(offset, a, b)`](Tensor::diagonal).
    ///
    /// # Panics
    /// If `source` does not have the shape of that diagonal.
    #[track_caller]
    pub fn diagonal_scatter(&self, source: &Tensor, offset: isize, a: isize, b: isize) -> Tensor {
        self.scattered("diagonal_scatter", |x| x.diagonal(offset, a, b), source)
    }
}
