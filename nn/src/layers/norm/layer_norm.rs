//! Normalisation over the last dimensions.

use autograd::Var;
use tensor::{DType, Shape, Tensor};

use crate::layers::printed;
use crate::{Forward, Module, Parameter, functional};

/// Options of [`LayerNorm`].
#[derive(Debug, Clone, Copy)]
pub struct LayerNormOptions {
    /// Added to the variance (default: 1e-5, PyTorch's).
    pub eps: f64,
    /// Whether there is a weight, and a bias with it (default: true).
    pub elementwise_affine: bool,
    /// Whether there is a bias; without `elementwise_affine` there is none (default: true).
    pub bias: bool,
    /// The dtype of the parameters (default: f32).
    pub dtype: DType,
}

impl Default for LayerNormOptions {
    fn default() -> LayerNormOptions {
        LayerNormOptions { eps: 1e-5, elementwise_affine: true, bias: true, dtype: DType::F32 }
    }
}

/// `y = (x - mean) / √(var + eps) * weight + bias` over the last dimensions, with the biased variance.
///
/// The weight starts at one, the bias at zero.
///
/// # Shape
/// `[.., normalized_shape] -> [.., normalized_shape]`.
///
/// # Panics
/// In the forward pass, when the last dimensions are not `normalized_shape`.
///
/// # Source
/// Ba, Kiros, Hinton, "Layer Normalization", 2016, equation 4.
///
/// ```
/// use nn::prelude::*;
///
/// let norm = LayerNorm::new(4);
/// let y = norm.forward(&Var::new(Tensor::from([[1f32, 2.0, 3.0, 4.0]]))).value();
/// assert!(y.mean().item::<f32>().abs() < 1e-6);
/// assert_eq!(norm.to_string(), "LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)");
/// ```
#[derive(Debug, Module)]
#[module(repr = LayerNorm::repr)]
pub struct LayerNorm {
    /// `normalized_shape`, starts at one.
    pub weight: Option<Parameter>,
    /// `normalized_shape`, starts at zero.
    pub bias: Option<Parameter>,
    #[module(config)]
    normalized_shape: Shape,
    #[module(config)]
    eps: f64,
}

impl LayerNorm {
    /// A normalisation over the last dimensions, which have this shape (a single size will do for one dimension).
    pub fn new(normalized_shape: impl Into<Shape>) -> LayerNorm {
        LayerNorm::with(normalized_shape, LayerNormOptions::default())
    }

    /// A normalisation with options.
    pub fn with(normalized_shape: impl Into<Shape>, options: LayerNormOptions) -> LayerNorm {
        let shape = normalized_shape.into();
        let LayerNormOptions { eps, elementwise_affine, bias, dtype } = options;
        LayerNorm {
            weight: elementwise_affine.then(|| Parameter::new(Tensor::ones(&shape, dtype))),
            bias: (elementwise_affine && bias).then(|| Parameter::new(Tensor::zeros(&shape, dtype))),
            normalized_shape: shape,
            eps,
        }
    }

    /// The shape of the dimensions that are normalised.
    pub fn normalized_shape(&self) -> &[usize] {
        &self.normalized_shape
    }

    fn repr(&self) -> String {
        let (shape, eps) = (printed::tuple(&self.normalized_shape), printed::float(self.eps));
        let (affine, bias) = (printed::flag(self.weight.is_some()), printed::flag(self.bias.is_some()));
        format!("{shape}, eps={eps}, elementwise_affine={affine}, bias={bias}")
    }
}

impl Forward for LayerNorm {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        let (weight, bias) = (self.weight.as_deref(), self.bias.as_deref());
        functional::layer_norm(input, &self.normalized_shape, weight, bias, self.eps)
    }
}
