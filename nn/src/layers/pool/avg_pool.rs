//! The mean of each window.

use autograd::Var;
use tensor::{AvgPool, PerDim};

use super::{as_given, check};
use crate::layers::printed;
use crate::{Forward, Module};

/// The mean of each window of a line; [`Var::avg_pool1d`] as a module.
///
/// # Shape
/// `[n, c, l]` or `[c, l] -> [n, c, (l + 2 padding - kernel_size) / stride + 1]` or without `n`; rounded down, or up with
/// `ceil_mode`.
///
/// # Panics
/// In the forward pass, when no window fits, the padding exceeds half a window, or `divisor_override` is 0.
///
/// # Differs
/// `divisor_override` works here too.
///
/// ```
/// use nn::prelude::*;
///
/// let pool = AvgPool1d::new(2);
/// assert_eq!(pool.forward(&Var::new(Tensor::from([[1f32, 3.0, 2.0, 0.0]]))).to_vec::<f32>(), [2.0, 1.0]);
/// assert_eq!(pool.to_string(), "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))");
/// ```
#[derive(Debug, Clone, Module)]
#[module(repr = AvgPool1d::repr)]
pub struct AvgPool1d {
    #[module(config)]
    kernel_size: PerDim,
    #[module(config)]
    options: AvgPool,
}

impl AvgPool1d {
    /// Windows of this size, one next to the other.
    ///
    /// # Panics
    /// When there is more than one number.
    #[track_caller]
    pub fn new(kernel_size: impl Into<PerDim>) -> AvgPool1d {
        AvgPool1d::with(kernel_size, AvgPool::default())
    }

    /// Windows of this size, with options.
    ///
    /// # Panics
    /// When there is more than one number in the size or an option.
    #[track_caller]
    pub fn with(kernel_size: impl Into<PerDim>, options: AvgPool) -> AvgPool1d {
        let kernel_size = kernel_size.into();
        check_all("AvgPool1d", 1, &kernel_size, &options);
        AvgPool1d { kernel_size, options }
    }

    fn repr(&self) -> String {
        let stride = self.options.stride.as_ref().unwrap_or(&self.kernel_size);
        let [kernel, stride, padding] =
            [&self.kernel_size, stride, &self.options.padding].map(|n| printed::tuple(n.numbers()));
        format!("kernel_size={kernel}, stride={stride}, padding={padding}")
    }
}

impl Forward for AvgPool1d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.avg_pool1d(&self.kernel_size, &self.options)
    }
}

/// The mean of each window of an image; [`Var::avg_pool2d`] as a module.
///
/// # Shape
/// `[n, c, h, w]` or `[c, h, w] -> [n, c, .., ..]` or without `n`, each size as in [`AvgPool1d`].
///
/// # Panics
/// In the forward pass, when no window fits, the padding exceeds half a window, or `divisor_override` is 0.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[[1f32, 3.0], [2.0, 0.0]]]));
/// assert_eq!(AvgPool2d::new(2).forward(&x).to_vec::<f32>(), [1.5]);
/// let sums = AvgPool2d::with([1, 2], AvgPool { divisor_override: Some(1), ..Default::default() });
/// assert_eq!(sums.forward(&x).to_vec::<f32>(), [4.0, 2.0]);
/// assert_eq!(sums.to_string(), "AvgPool2d(kernel_size=(1, 2), stride=(1, 2), padding=0)");
/// ```
#[derive(Debug, Clone, Module)]
#[module(repr = AvgPool2d::repr)]
pub struct AvgPool2d {
    #[module(config)]
    kernel_size: PerDim,
    #[module(config)]
    options: AvgPool,
}

impl AvgPool2d {
    /// Windows of this size, one next to the other.
    ///
    /// # Panics
    /// When there are more than two numbers.
    #[track_caller]
    pub fn new(kernel_size: impl Into<PerDim>) -> AvgPool2d {
        AvgPool2d::with(kernel_size, AvgPool::default())
    }

    /// Windows of this size, with options.
    ///
    /// # Panics
    /// When there are more than two numbers in the size or an option.
    #[track_caller]
    pub fn with(kernel_size: impl Into<PerDim>, options: AvgPool) -> AvgPool2d {
        let kernel_size = kernel_size.into();
        check_all("AvgPool2d", 2, &kernel_size, &options);
        AvgPool2d { kernel_size, options }
    }

    fn repr(&self) -> String {
        let stride = self.options.stride.as_ref().unwrap_or(&self.kernel_size);
        let [kernel, stride, padding] = [&self.kernel_size, stride, &self.options.padding].map(as_given);
        format!("kernel_size={kernel}, stride={stride}, padding={padding}")
    }
}

impl Forward for AvgPool2d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.avg_pool2d(&self.kernel_size, &self.options)
    }
}

#[track_caller]
fn check_all(layer: &str, dims: usize, kernel_size: &PerDim, options: &AvgPool) {
    let (stride, padding) = (options.stride.as_ref(), Some(&options.padding));
    check(layer, dims, &[("kernel_size", Some(kernel_size)), ("stride", stride), ("padding", padding)]);
}
