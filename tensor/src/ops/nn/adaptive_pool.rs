//! Pooling to a given size.

use crate::error::OrPanic;
use crate::kernels::pool::{Span, Windows};
use crate::ops::nn::pool::{largest, largest_with_indices, mean, mean_backward, nonempty_plane};
use crate::ops::nn::spatial::{PerDim, planes};
use crate::{DType, Error, Result, Shape, Tensor};

impl Tensor {
    /// The means of `output` windows that cover the last dimension: window `i` of `m` over `l` elements runs from `i l / m`,
    /// rounded down, to before `(i + 1) l / m`, rounded up.
    ///
    /// # Shape
    /// `[n, c, l]` or `[c, l]` -> `[n, c, output]` or without `n`.
    ///
    /// # Panics
    /// If the input is not 2-d or 3-d, `l` is 0, or the dtype is not floating.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([[1.0, 2.0, 3.0, 4.0, 5.0]]);
    /// assert_eq!(x.adaptive_avg_pool1d(2).to_vec::<f64>(), [2.0, 4.0]);
    /// ```
    #[track_caller]
    pub fn adaptive_avg_pool1d(&self, output: usize) -> Tensor {
        average("adaptive_avg_pool1d", self, &output.into(), 1)
    }

    /// [`adaptive_avg_pool1d`](Tensor::adaptive_avg_pool1d) in two spatial dimensions; 1 is global average pooling.
    ///
    /// # Shape
    /// `[n, c, h, w]` or `[c, h, w]` -> `[n, c, output..]` or without `n`.
    ///
    /// # Panics
    /// If the input is not 3-d or 4-d, `h` or `w` is 0, or the dtype is not floating.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let x = Tensor::ones([2, 3, 5, 7], DType::F32);
    /// assert_eq!(x.adaptive_avg_pool2d([2, 3]).dims(), [2, 3, 2, 3]);
    /// ```
    #[track_caller]
    pub fn adaptive_avg_pool2d(&self, output: impl Into<PerDim>) -> Tensor {
        average("adaptive_avg_pool2d", self, &output.into(), 2)
    }

    /// The largest elements of the windows of [`adaptive_avg_pool1d`](Tensor::adaptive_avg_pool1d).
    ///
    /// # Panics
    /// If the input is not 2-d or 3-d, has an empty dimension other than `n`, or the dtype is not floating.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([[1.0, 2.0, 3.0, 4.0, 5.0]]);
    /// assert_eq!(x.adaptive_max_pool1d(2).to_vec::<f64>(), [3.0, 5.0]);
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool1d(&self, output: usize) -> Tensor {
        largest("adaptive_max_pool1d", self, &max_windows("adaptive_max_pool1d", self, &output.into(), 1), 1)
    }

    /// The largest elements of the windows of [`adaptive_avg_pool2d`](Tensor::adaptive_avg_pool2d).
    ///
    /// # Panics
    /// If the input is not 3-d or 4-d, has an empty dimension other than `n`, or the dtype is not floating.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([[[1.0, 2.0], [3.0, 4.0]]]);
    /// assert_eq!(x.adaptive_max_pool2d([1, 2]).to_vec::<f64>(), [3.0, 4.0]);
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool2d(&self, output: impl Into<PerDim>) -> Tensor {
        largest("adaptive_max_pool2d", self, &max_windows("adaptive_max_pool2d", self, &output.into(), 2), 2)
    }

    /// [`adaptive_max_pool1d`](Tensor::adaptive_max_pool1d), and where along its line each element was found (i64).
    ///
    /// # Panics
    /// As [`adaptive_max_pool1d`](Tensor::adaptive_max_pool1d).
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([[3.0, 2.0, 1.0, 4.0]]);
    /// assert_eq!(x.adaptive_max_pool1d_with_indices(2).1.to_vec::<i64>(), [0, 3]);
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool1d_with_indices(&self, output: usize) -> (Tensor, Tensor) {
        let op = "adaptive_max_pool1d";
        largest_with_indices(op, self, &max_windows(op, self, &output.into(), 1), 1)
    }

    /// [`adaptive_max_pool2d`](Tensor::adaptive_max_pool2d), and where in its plane, counted row by row, each element was
    /// found (i64).
    ///
    /// # Panics
    /// As [`adaptive_max_pool2d`](Tensor::adaptive_max_pool2d).
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([[[1.0, 2.0], [3.0, 4.0]]]);
    /// assert_eq!(x.adaptive_max_pool2d_with_indices([1, 2]).1.to_vec::<i64>(), [2, 3]);
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool2d_with_indices(&self, output: impl Into<PerDim>) -> (Tensor, Tensor) {
        let op = "adaptive_max_pool2d";
        largest_with_indices(op, self, &max_windows(op, self, &output.into(), 2), 2)
    }

    /// The gradient of [`adaptive_avg_pool1d`](Tensor::adaptive_avg_pool1d) by its input of shape `input_size`.
    ///
    /// # Panics
    /// If the shapes do not fit or the dtype is not floating.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let dx = Tensor::adaptive_avg_pool1d_backward(&Tensor::from([[2.0, 3.0]]), &[1, 4]);
    /// assert_eq!(dx.to_vec::<f64>(), [1.0, 1.0, 1.5, 1.5]);
    /// ```
    #[track_caller]
    pub fn adaptive_avg_pool1d_backward(dy: &Tensor, input_size: &[usize]) -> Tensor {
        average_backward("adaptive_avg_pool1d_backward", dy, input_size, 1)
    }

    /// The gradient of [`adaptive_avg_pool2d`](Tensor::adaptive_avg_pool2d) by its input of shape `input_size`.
    ///
    /// # Panics
    /// If the shapes do not fit or the dtype is not floating.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let dx = Tensor::adaptive_avg_pool2d_backward(&Tensor::from([[[4.0]]]), &[1, 2, 2]);
    /// assert_eq!(dx.to_vec::<f64>(), [1.0; 4]);
    /// ```
    #[track_caller]
    pub fn adaptive_avg_pool2d_backward(dy: &Tensor, input_size: &[usize]) -> Tensor {
        average_backward("adaptive_avg_pool2d_backward", dy, input_size, 2)
    }
}

#[track_caller]
fn average(op: &str, x: &Tensor, output: &PerDim, dims: usize) -> Tensor {
    check_float(op, x.dtype()).or_panic();
    let output = output.resolve(op, "output size", dims, 1).or_panic();
    Shape::from(output).checked_numel().or_panic();
    mean(op, x, &windows(plane(op, x.dims(), dims).or_panic(), output), None, dims)
}

#[track_caller]
fn average_backward(op: &str, dy: &Tensor, input_size: &[usize], dims: usize) -> Tensor {
    let [_, _, height, width] = planes(op, dy.dims(), dims).or_panic();
    let windows = windows(plane(op, input_size, dims).or_panic(), [height, width]);
    mean_backward(op, dy, input_size, &windows, None, dims)
}

#[track_caller]
fn max_windows(op: &str, x: &Tensor, output: &PerDim, dims: usize) -> Windows {
    check_float(op, x.dtype()).or_panic();
    let output = output.resolve(op, "output size", dims, 1).or_panic();
    Shape::from(output).checked_numel().or_panic();
    windows(nonempty_plane(op, x.dims(), dims).or_panic(), output)
}

/// Height and width, which must not be 0; unlike the largest elements of no channels, their means are no mistake.
fn plane(op: &str, input: &[usize], dims: usize) -> Result<[usize; 2]> {
    let [_, _, height, width] = planes(op, input, dims)?;
    match [height, width].contains(&0) {
        true => Err(Error::shape(op, "a spatial dimension is empty", &[("input", input)], "")),
        false => Ok([height, width]),
    }
}

fn check_float(op: &str, dtype: DType) -> Result<()> {
    match dtype.is_floating_point() {
        true => Ok(()),
        false => Err(Error::dtype(op, format!("needs a floating-point tensor, got {dtype}"))),
    }
}

/// Windows that cover a plane of `size` in `output` steps.
fn windows(size: [usize; 2], output: [usize; 2]) -> Windows {
    let along = |n: usize, m: usize| -> Vec<Span> {
        let span = |i: usize| {
            let (start, end) = (i * n / m, ((i + 1) * n).div_ceil(m));
            Span { start, end, count: end - start }
        };
        (0..m).map(span).collect()
    };
    Windows { size, spans: [along(size[0], output[0]), along(size[1], output[1])], step: [1, 1] }
}
