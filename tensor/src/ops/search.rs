//! Searching and counting: places in a sorted sequence, how often numbers occur, histograms.

use crate::dtype::dispatch;
use crate::ops::index::Negative;
use crate::{DType, Error, Tensor};

impl Tensor {
    /// Where each of `values` would go into this sequence, sorted along its last dimension, without breaking its order:
    /// before equal elements, or with `right` after them. NaN goes to the end.
    ///
    /// `sorter` gives the order of a sequence that is not sorted, as [`argsort`](Tensor::argsort) does.
    ///
    /// # Shape
    /// A sequence `[n]` takes values of any shape; `[.., n]` takes `[.., m]` with the same dimensions in front. The result
    /// (i64) has the shape of `values`.
    ///
    /// # Panics
    /// If the shapes do not fit, a dtype is bool, or `sorter` is not i64, has another shape, or is out of range.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let sorted = Tensor::from([1.0, 3.0, 5.0]);
    /// assert_eq!(sorted.searchsorted(&Tensor::from([3.0, 6.0]), false, None).to_vec::<i64>(), [1, 3]);
    /// assert_eq!(sorted.searchsorted(&Tensor::from([3.0, 6.0]), true, None).to_vec::<i64>(), [2, 3]);
    /// ```
    #[track_caller]
    pub fn searchsorted(&self, values: &Tensor, right: bool, sorter: Option<&Tensor>) -> Tensor {
        let fits = self.ndim() == 1
            || (self.ndim() > 1
                && self.ndim() == values.ndim()
                && self.dims()[..self.ndim() - 1] == values.dims()[..values.ndim() - 1]);
        if !fits {
            let shapes: [(&str, &[usize]); 2] = [("sequence", self.shape()), ("values", values.shape())];
            let rule = "sequence [n], or sequence [.., n] with values [.., m]";
            panic!("{}", Error::shape("searchsorted", "the shapes do not fit", &shapes, rule));
        }
        let n = self.dim(-1);
        let sequence = match sorter {
            None => self.clone(),
            Some(sorter) => {
                if sorter.shape() != self.shape() {
                    let shapes: [(&str, &[usize]); 2] = [("sequence", self.shape()), ("sorter", sorter.shape())];
                    panic!("{}", Error::shape("searchsorted", "the sorter does not fit", &shapes, "equal shapes"));
                }
                self.gather(-1, &Tensor::indices("searchsorted", sorter, n, Negative::Refused))
            }
        };
        let dtype = self.dtype().promote(values.dtype()).compute();
        let (sequence, given) = (sequence.to_dtype(dtype).contiguous(), values.to_dtype(dtype).contiguous());
        // One sequence serves all values; otherwise each serves the values beside it.
        let width = if self.ndim() == 1 { values.numel() } else { values.dim(-1) };
        dispatch!(number dtype, "searchsorted", T => Tensor::build::<i64>(values.shape(), |out| {
            let (sequence, given) = (sequence.as_slice::<T>().expect("contiguous"), given.as_slice::<T>().expect("contiguous"));
            // No comparison with NaN holds, so that it counts as passed: the halving goes on behind it.
            let reached = |x: T, value: T| if right { x > value } else { x >= value };
            for (i, (out, &value)) in out.iter_mut().zip(given).enumerate() {
                let row = &sequence[i / width * n..][..n];
                let (mut start, mut end) = (0, n);
                while start < end {
                    let middle = start + (end - start) / 2;
                    if reached(row[middle], value) { end = middle } else { start = middle + 1 }
                }
                *out = start as i64;
            }
        }))
    }

    /// The number of the interval that each element lies in, where `boundaries` (sorted, 1-d) separate the intervals: an
    /// element equal to a boundary belongs to the interval before it, or with `right` to the one after.
    ///
    /// # Panics
    /// If `boundaries` is not 1-d or a dtype is bool.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let boundaries = Tensor::from([1.0, 2.0]);
    /// assert_eq!(Tensor::from([0.5, 1.0, 9.0]).bucketize(&boundaries, false).to_vec::<i64>(), [0, 0, 2]);
    /// ```
    #[track_caller]
    pub fn bucketize(&self, boundaries: &Tensor, right: bool) -> Tensor {
        if boundaries.ndim() != 1 {
            let shapes: [(&str, &[usize]); 1] = [("boundaries", boundaries.shape())];
            panic!("{}", Error::shape("bucketize", "the boundaries are not 1-d", &shapes, "boundaries [n]"));
        }
        boundaries.searchsorted(self, right, None)
    }

    /// How often each of the numbers `0, 1, ..` occurs among these non-negative integers (1-d), or the sum of its
    /// weights; at least `minlength` numbers long.
    ///
    /// The counts are i64, sums of f32 weights f32, of all others f64.
    ///
    /// # Panics
    /// If the tensor is not 1-d or not of integers, one is negative, or `weights` has another shape.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([0i64, 2, 2]);
    /// assert_eq!(x.bincount(None, 0).to_vec::<i64>(), [1, 0, 2]);
    /// assert_eq!(x.bincount(Some(&Tensor::from([0.5, 1.0, 1.0])), 4).to_vec::<f64>(), [0.5, 0.0, 2.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn bincount(&self, weights: Option<&Tensor>, minlength: usize) -> Tensor {
        if self.dtype().is_floating_point() || self.dtype() == DType::Bool {
            panic!("{}", Error::dtype("bincount", format!("counts integers, got {}", self.dtype())));
        }
        if self.ndim() != 1 || weights.is_some_and(|weights| weights.shape() != self.shape()) {
            let weights = weights.map(|w| w.shape().to_vec());
            let shapes: [(&str, &[usize]); 2] =
                [("tensor", self.shape()), ("weights", weights.as_deref().unwrap_or(self.shape()))];
            panic!("{}", Error::shape("bincount", "the shapes do not fit", &shapes, "[n] and weights [n]"));
        }
        let ids = self.to_dtype(DType::I64);
        if self.numel() == 0 {
            return Tensor::zeros([minlength], DType::I64);
        }
        if let (least, true) = (ids.min().item::<i64>(), ids.min().item::<i64>() < 0) {
            panic!("{}", Error::value("bincount", format!("a number is negative: {least}")));
        }
        let len = minlength.max(ids.max().item::<i64>() as usize + 1);
        let (dtype, weights) = match weights {
            None => (DType::I64, Tensor::ones((), DType::I64).expand([self.numel()])),
            Some(weights) if weights.dtype() == DType::F32 => (DType::F32, weights.clone()),
            Some(weights) => (DType::F64, weights.to_dtype(DType::F64)),
        };
        Tensor::zeros([len], dtype).index_add(0, &ids, &weights)
    }

    /// How many elements lie in each of `bins` intervals of equal width from `min` to `max` (which belongs to the last);
    /// those outside are left out. If `min` equals `max`, the range is that of the elements.
    ///
    /// # Panics
    /// If the tensor is not of floats, there is no bin, or the range is not finite or runs backwards.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([1.0, 2.0, 1.0, 5.0]).histc(4, 0.0, 3.0).to_vec::<f64>(), [0.0, 2.0, 1.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn histc(&self, bins: usize, min: f64, max: f64) -> Tensor {
        if !self.dtype().is_floating_point() {
            panic!("{}", Error::dtype("histc", format!("needs a floating-point tensor, got {}", self.dtype())));
        }
        // In the dtype's precision: there a number lies on an edge or it does not.
        let single = self.dtype() != DType::F64;
        let rounded = |x: f64| if single { x as f32 as f64 } else { x };
        let x = self.to_dtype(DType::F64).to_vec::<f64>();
        let (mut low, mut high) = (min, max);
        if low == high && !x.is_empty() {
            // A NaN among the elements must show.
            let pick = |f: fn(f64, f64) -> f64| {
                x.iter().copied().reduce(|a, b| {
                    if a.is_nan() {
                        a
                    } else if b.is_nan() {
                        b
                    } else {
                        f(a, b)
                    }
                })
            };
            (low, high) = (pick(f64::min).unwrap_or(low), pick(f64::max).unwrap_or(high));
        }
        if low == high {
            (low, high) = (low - 1.0, high + 1.0);
        }
        if bins == 0 || !(low.is_finite() && high.is_finite() && low < high) {
            panic!("{}", Error::value("histc", format!("no {bins} bins lie between {low} and {high}")));
        }
        let (low, high) = (rounded(low), rounded(high));
        let width = rounded(high - low);
        let mut counts = vec![0.0; bins];
        for x in x.into_iter().filter(|x| (low..=high).contains(x)) {
            // Each step rounded, as PyTorch does it.
            let place = rounded(rounded(rounded(x - low) * bins as f64) / width);
            counts[(place as usize).min(bins - 1)] += 1.0;
        }
        Tensor::from_vec(counts, [bins]).to_dtype(self.dtype())
    }
}
