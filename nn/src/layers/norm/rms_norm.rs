//! Normalisation over the last dimensions by the root of the mean square.

use autograd::Var;
use tensor::{DType, Shape, Tensor};

use crate::layers::printed;
use crate::{Forward, Module, Parameter, functional};

/// Options of [`RMSNorm`].
#[derive(Debug, Clone, Copy)]
pub struct RMSNormOptions {
    /// Added to the mean square (default: `None`, the machine epsilon of the input's dtype).
    pub eps: Option<f64>,
    /// Whether there is a weight (default: true).
    pub elementwise_affine: bool,
    /// The dtype of the weight (default: f32).
    pub dtype: DType,
}

impl Default for RMSNormOptions {
    fn default() -> RMSNormOptions {
        RMSNormOptions { eps: None, elementwise_affine: true, dtype: DType::F32 }
    }
}

/// `y = x / √(mean(x²) + eps) * weight` over the last dimensions.
///
/// The weight starts at one.
///
/// # Shape
/// `[.., normalized_shape] -> [.., normalized_shape]`.
///
/// # Panics
/// In the forward pass, when the last dimensions are not `normalized_shape`.
///
/// # Source
/// Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019, equation 4.
///
/// ```
/// use nn::prelude::*;
///
/// let norm = RMSNorm::new(2);
/// let y = norm.forward(&Var::new(Tensor::from([[3f32, -3.0]]))).value();
/// assert!(y.allclose(&Tensor::from([[1f32, -1.0]]), 1e-6, 0.0));
/// assert_eq!(norm.to_string(), "RMSNorm((2,), eps=None, elementwise_affine=True)");
/// ```
#[derive(Debug, Module)]
#[module(repr = RMSNorm::repr)]
pub struct RMSNorm {
    /// `normalized_shape`, starts at one.
    pub weight: Option<Parameter>,
    #[module(config)]
    normalized_shape: Shape,
    #[module(config)]
    eps: Option<f64>,
}

impl RMSNorm {
    /// A normalisation over the last dimensions, which have this shape (a single size will do for one dimension).
    pub fn new(normalized_shape: impl Into<Shape>) -> RMSNorm {
        RMSNorm::with(normalized_shape, RMSNormOptions::default())
    }

    /// A normalisation with options.
    pub fn with(normalized_shape: impl Into<Shape>, options: RMSNormOptions) -> RMSNorm {
        let shape = normalized_shape.into();
        let RMSNormOptions { eps, elementwise_affine, dtype } = options;
        let weight = elementwise_affine.then(|| Parameter::new(Tensor::ones(&shape, dtype)));
        RMSNorm { weight, normalized_shape: shape, eps }
    }

    /// The shape of the dimensions that are normalised.
    pub fn normalized_shape(&self) -> &[usize] {
        &self.normalized_shape
    }

    fn repr(&self) -> String {
        let (shape, eps) = (printed::tuple(&self.normalized_shape), self.eps.map_or("None".into(), printed::float));
        format!("{shape}, eps={eps}, elementwise_affine={}", printed::flag(self.weight.is_some()))
    }
}

impl Forward for RMSNorm {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        functional::rms_norm(input, &self.normalized_shape, self.weight.as_deref(), self.eps)
    }
}
