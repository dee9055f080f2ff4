//! The affine layer.

use autograd::Var;
use tensor::DType;

use crate::layers::printed;
use crate::utils::Weighted;
use crate::{Forward, Module, Parameter, init};

/// Options of [`Linear`].
#[derive(Debug, Clone, Copy)]
pub struct LinearOptions {
    /// Whether a bias is added (default: true).
    pub bias: bool,
    /// The dtype of the parameters (default: f32).
    pub dtype: DType,
}

impl Default for LinearOptions {
    fn default() -> LinearOptions {
        LinearOptions { bias: true, dtype: DType::F32 }
    }
}

/// `y = x Wᵀ + b`.
///
/// Both parameters start uniform on ±1/√in_features, as in PyTorch.
///
/// # Shape
/// `[.., in_features] -> [.., out_features]`; `weight` is `[out_features, in_features]`, `bias` is `[out_features]`.
///
/// ```
/// use nn::prelude::*;
///
/// let layer = Linear::new(3, 2);
/// let x = Var::new(Tensor::ones([5, 3], DType::F32));
/// assert_eq!(layer.forward(&x).value().dims(), [5, 2]);
/// assert_eq!(layer.to_string(), "Linear(in_features=3, out_features=2, bias=True)");
/// ```
#[derive(Debug, Module)]
#[module(repr = Linear::repr)]
pub struct Linear {
    /// `[out_features, in_features]`.
    pub weight: Parameter,
    /// `[out_features]`.
    pub bias: Option<Parameter>,
}

impl Linear {
    /// A layer with bias.
    pub fn new(in_features: usize, out_features: usize) -> Linear {
        Linear::with(in_features, out_features, LinearOptions::default())
    }

    /// A layer with options.
    pub fn with(in_features: usize, out_features: usize, options: LinearOptions) -> Linear {
        let bound = if in_features > 0 { 1.0 / (in_features as f64).sqrt() } else { 0.0 };
        let weight = init::empty_parameter([out_features, in_features], options.dtype);
        // Kaiming uniform with the negative slope √5 is just this bound.
        init::uniform_(&weight, -bound, bound);
        let bias = options.bias.then(|| {
            let bias = init::empty_parameter([out_features], options.dtype);
            init::uniform_(&bias, -bound, bound);
            bias
        });
        Linear { weight, bias }
    }

    /// The size of the last dimension of the input.
    pub fn in_features(&self) -> usize {
        self.weight.dim(1)
    }

    /// The size of the last dimension of the output.
    pub fn out_features(&self) -> usize {
        self.weight.dim(0)
    }

    fn repr(&self) -> String {
        let bias = printed::flag(self.bias.is_some());
        format!("in_features={}, out_features={}, bias={bias}", self.in_features(), self.out_features())
    }
}

impl Forward for Linear {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        self.forward_with_weight(&self.weight, input)
    }
}

impl Weighted for Linear {
    const PARAMETRIZED: &'static str = "ParametrizedLinear";

    fn weight(&self) -> &Parameter {
        &self.weight
    }

    #[track_caller]
    fn forward_with_weight(&self, weight: &Var, input: &Var) -> Var {
        input.linear(weight, self.bias.as_deref())
    }
}
