//! Pooling over windows of given sizes.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::pool::{self, Span, Windows};
use crate::ops::nn::spatial::{PerDim, planes, read, with_spatial};
use crate::{DType, Error, Result, Tensor};

/// The options of max pooling, PyTorch's names and defaults, for one spatial dimension and for two.
///
/// ```
/// use tensor::MaxPool;
/// let overlapping = MaxPool { stride: Some(2.into()), padding: 1.into(), ..Default::default() };
/// assert_eq!((overlapping.dilation, overlapping.ceil_mode), (1.into(), false));
/// ```
#[derive(Clone, Debug)]
pub struct MaxPool {
    /// How far apart neighbouring windows start; `None`, the default, is the size of the window.
    pub stride: Option<PerDim>,
    /// Negative infinities around the input, at most half a window; 0.
    pub padding: PerDim,
    /// How far apart a window's elements lie; 1.
    pub dilation: PerDim,
    /// Whether windows may leave the padded input at the end, as long as they start inside; false.
    pub ceil_mode: bool,
}

impl Default for MaxPool {
    fn default() -> MaxPool {
        MaxPool { stride: None, padding: 0.into(), dilation: 1.into(), ceil_mode: false }
    }
}

/// The options of average pooling, PyTorch's names and defaults, for one spatial dimension and for two.
///
/// ```
/// use tensor::AvgPool;
/// let sums = AvgPool { divisor_override: Some(1), ..Default::default() };
/// assert!(sums.count_include_pad);
/// ```
#[derive(Clone, Debug)]
pub struct AvgPool {
    /// How far apart neighbouring windows start; `None`, the default, is the size of the window.
    pub stride: Option<PerDim>,
    /// Zeros around the input, at most half a window; 0.
    pub padding: PerDim,
    /// Whether windows may leave the padded input at the end, as long as they start inside; false.
    pub ceil_mode: bool,
    /// Whether the zeros around the input count as elements; true.
    pub count_include_pad: bool,
    /// What the sum of each window is divided by instead of its number of elements.
    pub divisor_override: Option<i64>,
}

impl Default for AvgPool {
    fn default() -> AvgPool {
        AvgPool { stride: None, padding: 0.into(), ceil_mode: false, count_include_pad: true, divisor_override: None }
    }
}

impl Tensor {
    /// The largest element of each window of `kernel` elements in one spatial dimension.
    ///
    /// # Shape
    /// `[n, c, l]` or `[c, l]` -> `[n, c, (l + 2 padding - dilation (kernel - 1) - 1) / stride + 1]` or without `n`; rounded
    /// down, or up with `ceil_mode` (then without a last window that starts in the padding at the end).
    ///
    /// # Numerics
    /// A NaN in a window is its largest element.
    ///
    /// # Panics
    /// If the input is not 2-d or 3-d or has an empty dimension other than `n`, there is no window, the padding exceeds
    /// half a window, an option is out of its range, or the dtype is bool.
    ///
    /// ```
    /// use tensor::{MaxPool, Tensor};
    /// let x = Tensor::from([[1.0, 3.0, 2.0, 0.0, 5.0]]);
    /// assert_eq!(x.max_pool1d(2, &MaxPool::default()).to_vec::<f64>(), [3.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn max_pool1d(&self, kernel: impl Into<PerDim>, options: &MaxPool) -> Tensor {
        let windows = max_windows("max_pool1d", self.dims(), &kernel.into(), options, 1).or_panic();
        largest("max_pool1d", self, &windows, 1)
    }

    /// [`max_pool1d`](Tensor::max_pool1d) in two spatial dimensions.
    ///
    /// # Shape
    /// `[n, c, h, w]` or `[c, h, w]` -> `[n, c, .., ..]` or without `n`, sizes as there.
    ///
    /// # Panics
    /// As [`max_pool1d`](Tensor::max_pool1d), for 3-d and 4-d inputs.
    ///
    /// ```
    /// use tensor::{MaxPool, Tensor};
    /// let x = Tensor::from([[[1.0, 3.0], [2.0, 0.0]]]);
    /// assert_eq!(x.max_pool2d(2, &MaxPool::default()).to_vec::<f64>(), [3.0]);
    /// ```
    #[track_caller]
    pub fn max_pool2d(&self, kernel: impl Into<PerDim>, options: &MaxPool) -> Tensor {
        let windows = max_windows("max_pool2d", self.dims(), &kernel.into(), options, 2).or_panic();
        largest("max_pool2d", self, &windows, 2)
    }

    /// [`max_pool1d`](Tensor::max_pool1d), and where along its line each element was found (i64): the first of equals,
    /// the last NaN.
    ///
    /// # Panics
    /// As [`max_pool1d`](Tensor::max_pool1d).
    ///
    /// # Differs
    /// A dilated window of which no element lies inside the input has the index -1.
    ///
    /// ```
    /// use tensor::{MaxPool, Tensor};
    /// let x = Tensor::from([[1.0, 3.0, 2.0, 2.0]]);
    /// let (y, indices) = x.max_pool1d_with_indices(2, &MaxPool::default());
    /// assert_eq!((y.to_vec::<f64>(), indices.to_vec::<i64>()), (vec![3.0, 2.0], vec![1, 2]));
    /// ```
    #[track_caller]
    pub fn max_pool1d_with_indices(&self, kernel: impl Into<PerDim>, options: &MaxPool) -> (Tensor, Tensor) {
        let windows = max_windows("max_pool1d", self.dims(), &kernel.into(), options, 1).or_panic();
        largest_with_indices("max_pool1d", self, &windows, 1)
    }

    /// [`max_pool2d`](Tensor::max_pool2d), and where in its plane, counted row by row, each element was found (i64): the
    /// first of equals, the last NaN.
    ///
    /// # Panics
    /// As [`max_pool1d`](Tensor::max_pool1d).
    ///
    /// # Differs
    /// A dilated window of which no element lies inside the input has the index -1.
    ///
    /// ```
    /// use tensor::{MaxPool, Tensor};
    /// let x = Tensor::from([[[1.0, 2.0], [3.0, 0.0]]]);
    /// assert_eq!(x.max_pool2d_with_indices(2, &MaxPool::default()).1.to_vec::<i64>(), [2]);
    /// ```
    #[track_caller]
    pub fn max_pool2d_with_indices(&self, kernel: impl Into<PerDim>, options: &MaxPool) -> (Tensor, Tensor) {
        let windows = max_windows("max_pool2d", self.dims(), &kernel.into(), options, 2).or_panic();
        largest_with_indices("max_pool2d", self, &windows, 2)
    }

    /// The gradient of max pooling over `dims` spatial dimensions by its input of shape `input_size`: each element of `dy`
    /// is added where `indices` say that the largest element was found; -1 is nowhere.
    ///
    /// # Panics
    /// If the shapes do not fit, an index lies outside its plane, or the dtype is bool.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let dx = Tensor::max_pool_backward(&Tensor::from([[1.0, 2.0]]), &Tensor::from([[1i64, 1]]), &[1, 3], 1);
    /// assert_eq!(dx.to_vec::<f64>(), [0.0, 3.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn max_pool_backward(dy: &Tensor, indices: &Tensor, input_size: &[usize], dims: usize) -> Tensor {
        let op = "max_pool_backward";
        let sizes = check_indices(op, input_size, dy.dims(), indices, dims).or_panic();
        let (wide, indices) = (dy.widen().contiguous(), indices.contiguous());
        let dx = dispatch!(number wide.dtype(), op, T => Tensor::build::<T>(input_size, |dx| {
            pool::scatter(read::<T>(&wide), read::<i64>(&indices), sizes, dx)
        }));
        dx.to_dtype(dy.dtype())
    }

    /// The elements of this tensor's planes (of `dims` spatial dimensions) at `indices` as max pooling returns them, zero
    /// at -1: the gradient of [`max_pool_backward`](Tensor::max_pool_backward) by `dy`.
    ///
    /// # Panics
    /// If the shapes do not fit, an index lies outside its plane, or the dtype is bool.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([[1.0, 2.0, 3.0]]);
    /// assert_eq!(x.max_pool_gather(&Tensor::from([[1i64, -1]]), 1).to_vec::<f64>(), [2.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn max_pool_gather(&self, indices: &Tensor, dims: usize) -> Tensor {
        let op = "max_pool_gather";
        let sizes = check_indices(op, self.dims(), indices.dims(), indices, dims).or_panic();
        let (x, indices) = (self.widen().contiguous(), indices.contiguous());
        let y = dispatch!(number x.dtype(), op, T => Tensor::build::<T>(indices.shape(), |y| {
            pool::gather(read::<T>(&x), read::<i64>(&indices), sizes, y)
        }));
        y.to_dtype(self.dtype())
    }

    /// The mean of each window of `kernel` elements in one spatial dimension.
    ///
    /// # Shape
    /// `[n, c, l]` or `[c, l]` -> `[n, c, (l + 2 padding - kernel) / stride + 1]` or without `n`; rounded down, or up with
    /// `ceil_mode` (then without a last window that starts in the padding at the end).
    ///
    /// # Numerics
    /// What a window has beyond the padded input never counts. Means of integers are cut off to integers.
    ///
    /// # Panics
    /// If the input is not 2-d or 3-d or has an empty dimension other than `n`, there is no window, the padding exceeds
    /// half a window, an option is out of its range (`divisor_override` must not be 0), or the dtype is bool.
    ///
    /// # Differs
    /// `divisor_override` works here too.
    ///
    /// ```
    /// use tensor::{AvgPool, Tensor};
    /// let x = Tensor::from([[1.0, 3.0, 2.0, 0.0]]);
    /// assert_eq!(x.avg_pool1d(2, &AvgPool::default()).to_vec::<f64>(), [2.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn avg_pool1d(&self, kernel: impl Into<PerDim>, options: &AvgPool) -> Tensor {
        let windows = avg_windows("avg_pool1d", self.dims(), &kernel.into(), options, 1).or_panic();
        mean("avg_pool1d", self, &windows, options.divisor_override, 1)
    }

    /// [`avg_pool1d`](Tensor::avg_pool1d) in two spatial dimensions.
    ///
    /// # Shape
    /// `[n, c, h, w]` or `[c, h, w]` -> `[n, c, .., ..]` or without `n`, sizes as there.
    ///
    /// # Panics
    /// As [`avg_pool1d`](Tensor::avg_pool1d), for 3-d and 4-d inputs.
    ///
    /// ```
    /// use tensor::{AvgPool, Tensor};
    /// let x = Tensor::from([[[1.0, 3.0], [2.0, 0.0]]]);
    /// assert_eq!(x.avg_pool2d(2, &AvgPool::default()).to_vec::<f64>(), [1.5]);
    /// ```
    #[track_caller]
    pub fn avg_pool2d(&self, kernel: impl Into<PerDim>, options: &AvgPool) -> Tensor {
        let windows = avg_windows("avg_pool2d", self.dims(), &kernel.into(), options, 2).or_panic();
        mean("avg_pool2d", self, &windows, options.divisor_override, 2)
    }

    /// The gradient of [`avg_pool1d`](Tensor::avg_pool1d) by its input of shape `input_size`.
    ///
    /// # Panics
    /// As the pooling itself, if `dy` does not have the shape of its result, or if the dtype is not floating.
    ///
    /// ```
    /// use tensor::{AvgPool, Tensor};
    /// let dx = Tensor::avg_pool1d_backward(&Tensor::from([[1.0, 4.0]]), &[1, 4], 2, &AvgPool::default());
    /// assert_eq!(dx.to_vec::<f64>(), [0.5, 0.5, 2.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn avg_pool1d_backward(
        dy: &Tensor,
        input_size: &[usize],
        kernel: impl Into<PerDim>,
        options: &AvgPool,
    ) -> Tensor {
        let op = "avg_pool1d_backward";
        let windows = avg_windows(op, input_size, &kernel.into(), options, 1).or_panic();
        mean_backward(op, dy, input_size, &windows, options.divisor_override, 1)
    }

    /// The gradient of [`avg_pool2d`](Tensor::avg_pool2d) by its input of shape `input_size`.
    ///
    /// # Panics
    /// As the pooling itself, if `dy` does not have the shape of its result, or if the dtype is not floating.
    ///
    /// ```
    /// use tensor::{AvgPool, Tensor};
    /// let dx = Tensor::avg_pool2d_backward(&Tensor::from([[[4.0]]]), &[1, 2, 2], 2, &AvgPool::default());
    /// assert_eq!(dx.to_vec::<f64>(), [1.0; 4]);
    /// ```
    #[track_caller]
    pub fn avg_pool2d_backward(
        dy: &Tensor,
        input_size: &[usize],
        kernel: impl Into<PerDim>,
        options: &AvgPool,
    ) -> Tensor {
        let op = "avg_pool2d_backward";
        let windows = avg_windows(op, input_size, &kernel.into(), options, 2).or_panic();
        mean_backward(op, dy, input_size, &windows, options.divisor_override, 2)
    }
}

/// Max pooling over `windows`.
#[track_caller]
pub(crate) fn largest(op: &str, x: &Tensor, windows: &Windows, dims: usize) -> Tensor {
    let shape = result_shape(x.dims(), windows, dims);
    x.through_compute(|x| {
        let x = x.contiguous();
        dispatch!(number x.dtype(), op, T => {
            Tensor::build::<T>(shape, |y| pool::max(windows, read::<T>(&x), y, None))
        })
    })
}

/// Max pooling over `windows`, and where the elements were found.
#[track_caller]
pub(crate) fn largest_with_indices(op: &str, x: &Tensor, windows: &Windows, dims: usize) -> (Tensor, Tensor) {
    let shape = result_shape(x.dims(), windows, dims);
    let mut indices = Tensor::zeros(&shape[..], DType::I64);
    let y = x.through_compute(|x| {
        let x = x.contiguous();
        dispatch!(number x.dtype(), op, T => Tensor::build::<T>(shape, |y| {
            pool::max(windows, read::<T>(&x), y, Some(indices.as_slice_mut::<i64>()))
        }))
    });
    (y, indices)
}

/// Average pooling over `windows`.
#[track_caller]
pub(crate) fn mean(op: &str, x: &Tensor, windows: &Windows, divisor: Option<i64>, dims: usize) -> Tensor {
    let shape = result_shape(x.dims(), windows, dims);
    x.through_compute(|x| {
        let x = x.contiguous();
        dispatch!(number x.dtype(), op, T => {
            Tensor::build::<T>(shape, |y| pool::mean(windows, divisor, read::<T>(&x), y))
        })
    })
}

/// The gradient of [`mean`]'s input.
#[track_caller]
pub(crate) fn mean_backward(
    op: &str,
    dy: &Tensor,
    input_size: &[usize],
    windows: &Windows,
    divisor: Option<i64>,
    dims: usize,
) -> Tensor {
    let expected = result_shape(input_size, windows, dims);
    if dy.dims() != expected {
        let what = format!("the gradient does not have the shape {expected:?} of the pooling's result");
        panic!("{}", Error::shape(op, what, &[("input", input_size), ("dy", dy.dims())], ""));
    }
    dy.require_float(op);
    dy.through_compute(|dy| {
        let dy = dy.contiguous();
        dispatch!(float dy.dtype(), op, T => {
            Tensor::build::<T>(input_size, |dx| pool::mean_backward(windows, divisor, read::<T>(&dy), dx))
        })
    })
}

fn result_shape(input: &[usize], windows: &Windows, dims: usize) -> Vec<usize> {
    with_spatial(input, dims, None, [windows.spans[0].len(), windows.spans[1].len()])
}

/// Height and width of an input whose dimensions, other than the batch, must have elements.
pub(crate) fn nonempty_plane(op: &str, input: &[usize], dims: usize) -> Result<[usize; 2]> {
    let [_, channels, height, width] = planes(op, input, dims)?;
    if [channels, height, width].contains(&0) {
        let what = "a dimension is empty, only the batch may be";
        return Err(Error::shape(op, what, &[("input", input)], ""));
    }
    Ok([height, width])
}

/// The placement of windows along one dimension, by PyTorch's rules.
struct Placement {
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    ceil_mode: bool,
}

impl Placement {
    /// Where the windows start, which may be in the padding, and how far they extend.
    fn starts(&self, op: &str) -> Result<(Vec<i128>, i128)> {
        // Wide enough for any options.
        let [size, kernel, stride, padding, dilation] =
            [self.size, self.kernel, self.stride, self.padding, self.dilation].map(|n| n as i128);
        if padding > kernel / 2 {
            let what = format!("padding {padding} is more than half of the window of {kernel}");
            return Err(Error::value(op, what));
        }
        let extent = dilation * (kernel - 1) + 1;
        let room = size + 2 * padding - extent;
        let up = if self.ceil_mode { stride - 1 } else { 0 };
        let mut out = (room + up).div_euclid(stride) + 1;
        if self.ceil_mode && (out - 1) * stride >= size + padding {
            out -= 1;
        }
        if out < 1 {
            let what = format!("a window of {extent} does not fit the size {size} with padding {padding}");
            return Err(Error::value(op, what));
        }
        Ok(((0..out).map(|o| o * stride - padding).collect(), extent))
    }
}

/// The placements along both dimensions.
#[allow(clippy::too_many_arguments, reason = "the options of two kinds of pooling, in the order of their checks")]
fn placements(
    op: &str,
    input: &[usize],
    dims: usize,
    kernel: &PerDim,
    stride: Option<&PerDim>,
    padding: &PerDim,
    dilation: Option<&PerDim>,
    ceil_mode: bool,
) -> Result<[Placement; 2]> {
    let size = nonempty_plane(op, input, dims)?;
    let kernel = kernel.positive(op, "kernel", dims)?;
    let stride = stride.map_or(Ok(kernel), |stride| stride.positive(op, "stride", dims))?;
    let padding = padding.resolve(op, "padding", dims, 0)?;
    let dilation = dilation.map_or(Ok([1, 1]), |dilation| dilation.positive(op, "dilation", dims))?;
    Ok([0, 1].map(|d| Placement {
        size: size[d],
        kernel: kernel[d],
        stride: stride[d],
        padding: padding[d],
        dilation: dilation[d],
        ceil_mode,
    }))
}

fn max_windows(op: &str, input: &[usize], kernel: &PerDim, options: &MaxPool, dims: usize) -> Result<Windows> {
    let MaxPool { stride, padding, dilation, ceil_mode } = options;
    let along = placements(op, input, dims, kernel, stride.as_ref(), padding, Some(dilation), *ceil_mode)?;
    let spans = |p: &Placement| -> Result<Vec<Span>> {
        let (starts, extent) = p.starts(op)?;
        let dilation = p.dilation as i128;
        let span = |start: i128| {
            // The first element that is not in the padding.
            let first = if start < 0 { start + (-start + dilation - 1) / dilation * dilation } else { start };
            let (first, end) = (first.min(p.size as i128), (start + extent).min(p.size as i128));
            Span { start: first as usize, end: end.max(first) as usize, count: p.kernel }
        };
        Ok(starts.into_iter().map(span).collect())
    };
    let [down, across] = &along;
    Ok(Windows {
        size: [down.size, across.size],
        spans: [spans(down)?, spans(across)?],
        step: [down.dilation, across.dilation],
    })
}

fn avg_windows(op: &str, input: &[usize], kernel: &PerDim, options: &AvgPool, dims: usize) -> Result<Windows> {
    let AvgPool { stride, padding, ceil_mode, count_include_pad, divisor_override } = options;
    if *divisor_override == Some(0) {
        return Err(Error::value(op, "divisor_override must not be 0"));
    }
    let along = placements(op, input, dims, kernel, stride.as_ref(), padding, None, *ceil_mode)?;
    let spans = |p: &Placement| -> Result<Vec<Span>> {
        let (starts, extent) = p.starts(op)?;
        let (size, padding) = (p.size as i128, p.padding as i128);
        let span = |start: i128| {
            let padded = (start + extent).min(size + padding) - start;
            let (first, end) = (start.max(0), (start + extent).min(size));
            let count = if *count_include_pad { padded } else { end - first };
            Span { start: first.min(end) as usize, end: end as usize, count: count.max(0) as usize }
        };
        Ok(starts.into_iter().map(span).collect())
    };
    let [down, across] = &along;
    Ok(Windows { size: [down.size, across.size], spans: [spans(down)?, spans(across)?], step: [1, 1] })
}

/// Checks the indices of a max pooling from `input` to `output`, and gives the elements of a plane of each.
fn check_indices(op: &str, input: &[usize], output: &[usize], indices: &Tensor, dims: usize) -> Result<[usize; 2]> {
    if indices.dtype() != DType::I64 {
        return Err(Error::dtype(op, format!("indices must be i64, got {}", indices.dtype())));
    }
    let fits = input.len() == output.len()
        && (1..=2).contains(&dims)
        && input.len() >= dims
        && input[..input.len() - dims] == output[..output.len() - dims]
        && indices.dims() == output;
    if !fits {
        let shapes: [(&str, &[usize]); 3] = [("input", input), ("output", output), ("indices", indices.dims())];
        return Err(Error::shape(op, format!("no max pooling over {dims} dimensions has these shapes"), &shapes, ""));
    }
    let plane = |shape: &[usize]| shape[shape.len() - dims..].iter().product::<usize>();
    let inside = -1..plane(input) as i64;
    let indices = indices.contiguous();
    if let Some(index) = read::<i64>(&indices).iter().find(|index| !inside.contains(index)) {
        return Err(Error::index(op, format!("index {index} is out of range {inside:?}")));
    }
    Ok([plane(input), plane(output)])
}
