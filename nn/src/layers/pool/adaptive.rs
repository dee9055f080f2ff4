//! Pooling to a given size.

use autograd::Var;
use tensor::Tensor;

use crate::{Forward, Module};

/// The size that an image is pooled to: one number for height and width (`7.into()`), or one each (`[5, 7].into()`), of
/// which `None` keeps what the input has (`[None, Some(7)].into()`).
///
/// ```
/// use nn::prelude::*;
///
/// let pool = AdaptiveAvgPool2d::new([None, Some(7)]);
/// assert_eq!(pool.forward(&Var::new(Tensor::ones([2, 3, 10, 9], DType::F32))).value().dims(), [2, 3, 10, 7]);
/// assert_eq!(pool.to_string(), "AdaptiveAvgPool2d(output_size=(None, 7))");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveSize {
    sizes: [Option<usize>; 2],
    /// Whether one number was given for both, which PyTorch prints as one.
    single: bool,
}

impl From<usize> for AdaptiveSize {
    fn from(n: usize) -> AdaptiveSize {
        AdaptiveSize { sizes: [Some(n); 2], single: true }
    }
}

impl From<[usize; 2]> for AdaptiveSize {
    fn from(sizes: [usize; 2]) -> AdaptiveSize {
        AdaptiveSize { sizes: sizes.map(Some), single: false }
    }
}

impl From<[Option<usize>; 2]> for AdaptiveSize {
    fn from(sizes: [Option<usize>; 2]) -> AdaptiveSize {
        AdaptiveSize { sizes, single: false }
    }
}

impl AdaptiveSize {
    /// Height and width for this input. One that is no image is left to the operation to refuse.
    pub(crate) fn of(&self, input: &Var) -> [usize; 2] {
        let shape = input.shape();
        let own = |d: usize| shape.len().checked_sub(2 - d).map_or(1, |at| shape[at]);
        [self.sizes[0].unwrap_or_else(|| own(0)), self.sizes[1].unwrap_or_else(|| own(1))]
    }

    fn repr(&self) -> String {
        let [height, width] = self.sizes.map(|size| size.map_or_else(|| "None".to_owned(), |n| n.to_string()));
        if self.single { format!("output_size={height}") } else { format!("output_size=({height}, {width})") }
    }
}

/// The means of windows that cover a line, overlapping where they must; [`Var::adaptive_avg_pool1d`] as a module.
///
/// # Shape
/// `[n, c, l]` or `[c, l] -> [n, c, output_size]` or without `n`.
///
/// # Panics
/// In the forward pass, when the shape does not fit or the line is empty.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[1f32, 2.0, 3.0, 4.0, 5.0]]));
/// assert_eq!(AdaptiveAvgPool1d::new(2).forward(&x).to_vec::<f32>(), [2.0, 4.0]);
/// ```
#[derive(Debug, Clone, Copy, Module)]
#[module(repr = AdaptiveAvgPool1d::repr)]
pub struct AdaptiveAvgPool1d {
    #[module(config)]
    output_size: usize,
}

impl AdaptiveAvgPool1d {
    /// Pooling to this size.
    pub fn new(output_size: usize) -> AdaptiveAvgPool1d {
        AdaptiveAvgPool1d { output_size }
    }

    fn repr(&self) -> String {
        format!("output_size={}", self.output_size)
    }
}

impl Forward for AdaptiveAvgPool1d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.adaptive_avg_pool1d(self.output_size)
    }
}

/// The means of windows that cover an image, overlapping where they must; [`Var::adaptive_avg_pool2d`] as a module. Size 1
/// is global average pooling.
///
/// # Shape
/// `[n, c, h, w]` or `[c, h, w] -> [n, c, output_size..]` or without `n`.
///
/// # Panics
/// In the forward pass, when the shape does not fit or the image is empty.
///
/// ```
/// use nn::prelude::*;
///
/// let head = sequential![AdaptiveAvgPool2d::new(1), Flatten::new(), Linear::new(8, 10)];
/// assert_eq!(head.forward(&Var::new(Tensor::ones([2, 8, 5, 7], DType::F32))).value().dims(), [2, 10]);
/// ```
#[derive(Debug, Clone, Copy, Module)]
#[module(repr = AdaptiveAvgPool2d::repr)]
pub struct AdaptiveAvgPool2d {
    #[module(config)]
    output_size: AdaptiveSize,
}

impl AdaptiveAvgPool2d {
    /// Pooling to this size.
    pub fn new(output_size: impl Into<AdaptiveSize>) -> AdaptiveAvgPool2d {
        AdaptiveAvgPool2d { output_size: output_size.into() }
    }

    fn repr(&self) -> String {
        self.output_size.repr()
    }
}

impl Forward for AdaptiveAvgPool2d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.adaptive_avg_pool2d(self.output_size.of(input))
    }
}

/// The largest elements of the windows of [`AdaptiveAvgPool1d`]; [`Var::adaptive_max_pool1d`] as a module.
///
/// # Shape
/// `[n, c, l]` or `[c, l] -> [n, c, output_size]` or without `n`.
///
/// # Panics
/// In the forward pass, when the shape does not fit or a dimension other than `n` is empty.
///
/// # Differs
/// PyTorch's `return_indices` is [`forward_with_indices`](AdaptiveMaxPool1d::forward_with_indices).
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[3f32, 2.0, 1.0, 4.0]]));
/// let (y, indices) = AdaptiveMaxPool1d::new(2).forward_with_indices(&x);
/// assert_eq!((y.to_vec::<f32>(), indices.to_vec::<i64>()), (vec![3.0, 4.0], vec![0, 3]));
/// ```
#[derive(Debug, Clone, Copy, Module)]
#[module(repr = AdaptiveMaxPool1d::repr)]
pub struct AdaptiveMaxPool1d {
    #[module(config)]
    output_size: usize,
}

impl AdaptiveMaxPool1d {
    /// Pooling to this size.
    pub fn new(output_size: usize) -> AdaptiveMaxPool1d {
        AdaptiveMaxPool1d { output_size }
    }

    /// The result, and where along its line each element was found (i64).
    #[track_caller]
    pub fn forward_with_indices(&self, input: &Var) -> (Var, Tensor) {
        input.adaptive_max_pool1d_with_indices(self.output_size)
    }

    fn repr(&self) -> String {
        format!("output_size={}", self.output_size)
    }
}

impl Forward for AdaptiveMaxPool1d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.adaptive_max_pool1d(self.output_size)
    }
}

/// The largest elements of the windows of [`AdaptiveAvgPool2d`]; [`Var::adaptive_max_pool2d`] as a module.
///
/// # Shape
/// `[n, c, h, w]` or `[c, h, w] -> [n, c, output_size..]` or without `n`.
///
/// # Panics
/// In the forward pass, when the shape does not fit or a dimension other than `n` is empty.
///
/// # Differs
/// PyTorch's `return_indices` is [`forward_with_indices`](AdaptiveMaxPool2d::forward_with_indices).
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[[1f32, 2.0], [3.0, 4.0]]]));
/// let (y, indices) = AdaptiveMaxPool2d::new([1, 2]).forward_with_indices(&x);
/// assert_eq!((y.to_vec::<f32>(), indices.to_vec::<i64>()), (vec![3.0, 4.0], vec![2, 3]));
/// ```
#[derive(Debug, Clone, Copy, Module)]
#[module(repr = AdaptiveMaxPool2d::repr)]
pub struct AdaptiveMaxPool2d {
    #[module(config)]
    output_size: AdaptiveSize,
}

impl AdaptiveMaxPool2d {
    /// Pooling to this size.
    pub fn new(output_size: impl Into<AdaptiveSize>) -> AdaptiveMaxPool2d {
        AdaptiveMaxPool2d { output_size: output_size.into() }
    }

    /// The result, and where in its plane, counted row by row, each element was found (i64).
    #[track_caller]
    pub fn forward_with_indices(&self, input: &Var) -> (Var, Tensor) {
        input.adaptive_max_pool2d_with_indices(self.output_size.of(input))
    }

    fn repr(&self) -> String {
        self.output_size.repr()
    }
}

impl Forward for AdaptiveMaxPool2d {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.adaptive_max_pool2d(self.output_size.of(input))
    }
}
