//! The layer that multiplies two inputs.

use autograd::Var;
use tensor::DType;

use crate::layers::printed;
use crate::{LinearOptions, Module, Parameter, functional, init};

/// `y[o] = x₁ᵀ W[o] x₂ + b[o]`.
///
/// Both parameters start uniform on ±1/√in1_features, as in PyTorch.
///
/// # Shape
/// `x₁ [.., in1_features]`, `x₂ [.., in2_features] -> [.., out_features]`; `weight` is
/// `[out_features, in1_features, in2_features]`, `bias` is `[out_features]`.
///
/// ```
/// use nn::prelude::*;
///
/// let layer = Bilinear::new(3, 4, 2);
/// let (x1, x2) = (Var::new(Tensor::ones([5, 3], DType::F32)), Var::new(Tensor::ones([5, 4], DType::F32)));
/// assert_eq!(layer.forward(&x1, &x2).value().dims(), [5, 2]);
/// assert_eq!(layer.to_string(), "Bilinear(in1_features=3, in2_features=4, out_features=2, bias=True)");
/// ```
#[derive(Debug, Module)]
#[module(repr = Bilinear::repr)]
pub struct Bilinear {
    /// `[out_features, in1_features, in2_features]`.
    pub weight: Parameter,
    /// `[out_features]`.
    pub bias: Option<Parameter>,
}

impl Bilinear {
    /// A layer with bias.
    ///
    /// # Panics
    /// When `in1_features` is 0.
    #[track_caller]
    pub fn new(in1_features: usize, in2_features: usize, out_features: usize) -> Bilinear {
        Bilinear::with(in1_features, in2_features, out_features, LinearOptions::default())
    }

    /// A layer with options, which are those of a linear one.
    ///
    /// # Panics
    /// When `in1_features` is 0.
    #[track_caller]
    pub fn with(in1_features: usize, in2_features: usize, out_features: usize, options: LinearOptions) -> Bilinear {
        assert!(in1_features > 0, "Bilinear: in1_features must be greater than 0");
        let bound = 1.0 / (in1_features as f64).sqrt();
        let uniform = |shape: &[usize], dtype: DType| {
            let parameter = init::empty_parameter(shape, dtype);
            init::uniform_(&parameter, -bound, bound);
            parameter
        };
        let weight = uniform(&[out_features, in1_features, in2_features], options.dtype);
        let bias = options.bias.then(|| uniform(&[out_features], options.dtype));
        Bilinear { weight, bias }
    }

    /// The size of the last dimension of the first input.
    pub fn in1_features(&self) -> usize {
        self.weight.dim(1)
    }

    /// The size of the last dimension of the second input.
    pub fn in2_features(&self) -> usize {
        self.weight.dim(2)
    }

    /// The size of the last dimension of the output.
    pub fn out_features(&self) -> usize {
        self.weight.dim(0)
    }

    /// The output for two inputs with the same leading dimensions.
    ///
    /// # Panics
    /// When the leading dimensions differ, or the last ones are not those of the layer.
    #[track_caller]
    pub fn forward(&self, input1: &Var, input2: &Var) -> Var {
        functional::bilinear(input1, input2, &self.weight, self.bias.as_deref())
    }

    fn repr(&self) -> String {
        format!(
            "in1_features={}, in2_features={}, out_features={}, bias={}",
            self.in1_features(),
            self.in2_features(),
            self.out_features(),
            printed::flag(self.bias.is_some())
        )
    }
}
