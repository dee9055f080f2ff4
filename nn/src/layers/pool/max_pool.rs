//! The largest element of each window.

use autograd::Var;
use tensor::{MaxPool, PerDim, Tensor};

use super::{as_given, check};
use crate::layers::printed;
use crate::{Forward, Module};

/// The largest element of each window of a line; [`Var::max_pool1d`] as a module.
///
/// # Shape
/// `[n, c, l]` or `[c, l] -> [n, c, (l + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1]` or without `n`;
/// rounded down, or up with `ceil_mode`.
///
/// # Gradient
/// To the first largest element of each window.
///
/// # Panics
/// In the forward pass, when no window fits, or the padding exceeds half a window.
///
/// # Differs
/// PyTorch's `return_indices` is [`forward_with_indices`](MaxPool1d::forward_with_indices).
///
/// ```
/// use nn::prelude::*;
///
/// let pool = MaxPool1d::new(2);
/// assert_eq!(pool.forward(&Var::new(Tensor::from([[1f32, 3.0, 2.0, 0.0]]))).to_vec::<f32>(), [3.0, 2.0]);
/// let overlapping = MaxPool1d::with(3, MaxPool { stride: Some(1.into()), padding: 1.into(), ..Default::default() });
/// let (y, indices) = overlapping.forward_with_indices(&Var::new(Tensor::from([[1f32, 3.0, 2.0]])));
/// assert_eq!((y.to_vec::<f32>(), indices.to_vec::<i64>()), (vec![3.0; 3], vec![1; 3]));
/// ```
#[derive(Debug, Clone, Module)]
#[module(repr = MaxPool1d::repr)]
pub struct MaxPool1d {
    #[module(config)]
    kernel_size: PerDim,
    #[module(config)]
    options: MaxPool,
}

impl MaxPool1d {
    /// Windows of this size, one next to the other.
    ///
    /// # Panics
    /// When there is more than one number.
    #[track_caller]
    pub fn new(kernel_size: impl Into<PerDim>) -> MaxPool1d {
        MaxPool1d::with(kernel_size, MaxPool::default())
    }

    /// Windows of this size, with options.
    ///
    /// # Panics
    /// When there is more than one number in the size or an option.
    #[track_caller]
    pub fn with(kernel_size: impl Into<PerDim>, options: MaxPool) -> MaxPool1d {
        let kernel_size = kernel_size.into();
        check_all("MaxPool1d", 1, &kernel_size, &options);
        MaxPool1d { kernel_size, options }
    }

    /// The result, and where along its line each element was found (i64).
    #[track_caller]
    pub fn forward_with_indices(&self, input: &Var) -> (Var, Tensor) {
        input.max_pool1d_with_indices(&self.kernel_size, &self.options)
    }

    fn repr(&self) -> String {
        repr(&self.kernel_size, &self.options)
    }
}

impl Forward for MaxPool1d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.max_pool1d(&self.kernel_size, &self.options)
    }
}

/// The largest element of each window of an image; [`Var::max_pool2d`] as a module.
///
/// # Shape
/// `[n, c, h, w]` or `[c, h, w] -> [n, c, .., ..]` or without `n`, each size as in [`MaxPool1d`].
///
/// # Gradient
/// To the first largest element of each window.
///
/// # Panics
/// In the forward pass, when no window fits, or the padding exceeds half a window.
///
/// # Differs
/// PyTorch's `return_indices` is [`forward_with_indices`](MaxPool2d::forward_with_indices).
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[[1f32, 3.0], [2.0, 0.0]]]));
/// let (y, indices) = MaxPool2d::new(2).forward_with_indices(&x);
/// assert_eq!((y.to_vec::<f32>(), indices.to_vec::<i64>()), (vec![3.0], vec![1]));
/// let wide = MaxPool2d::with([1, 2], MaxPool { stride: Some(1.into()), ..Default::default() });
/// assert_eq!(wide.to_string(), "MaxPool2d(kernel_size=(1, 2), stride=1, padding=0, dilation=1, ceil_mode=False)");
/// ```
#[derive(Debug, Clone, Module)]
#[module(repr = MaxPool2d::repr)]
pub struct MaxPool2d {
    #[module(config)]
    kernel_size: PerDim,
    #[module(config)]
    options: MaxPool,
}

impl MaxPool2d {
    /// Windows of this size, one next to the other.
    ///
    /// # Panics
    /// When there are more than two numbers.
    #[track_caller]
    pub fn new(kernel_size: impl Into<PerDim>) -> MaxPool2d {
        MaxPool2d::with(kernel_size, MaxPool::default())
    }

    /// Windows of this size, with options.
    ///
    /// # Panics
    /// When there are more than two numbers in the size or an option.
    #[track_caller]
    pub fn with(kernel_size: impl Into<PerDim>, options: MaxPool) -> MaxPool2d {
        let kernel_size = kernel_size.into();
        check_all("MaxPool2d", 2, &kernel_size, &options);
        MaxPool2d { kernel_size, options }
    }

    /// The result, and where in its plane, counted row by row, each element was found (i64).
    #[track_caller]
    pub fn forward_with_indices(&self, input: &Var) -> (Var, Tensor) {
        input.max_pool2d_with_indices(&self.kernel_size, &self.options)
    }

    fn repr(&self) -> String {
        repr(&self.kernel_size, &self.options)
    }
}

impl Forward for MaxPool2d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.max_pool2d(&self.kernel_size, &self.options)
    }
}

#[track_caller]
fn check_all(layer: &str, dims: usize, kernel_size: &PerDim, options: &MaxPool) {
    let (stride, padding, dilation) = (options.stride.as_ref(), Some(&options.padding), Some(&options.dilation));
    let named = [("kernel_size", Some(kernel_size)), ("stride", stride), ("padding", padding), ("dilation", dilation)];
    check(layer, dims, &named);
}

fn repr(kernel_size: &PerDim, options: &MaxPool) -> String {
    let (kernel, stride) = (as_given(kernel_size), as_given(options.stride.as_ref().unwrap_or(kernel_size)));
    let (padding, dilation) = (as_given(&options.padding), as_given(&options.dilation));
    let ceil_mode = printed::flag(options.ceil_mode);
    format!("kernel_size={kernel}, stride={stride}, padding={padding}, dilation={dilation}, ceil_mode={ceil_mode}")
}
