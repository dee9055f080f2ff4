//! The activation that learns its slope.

use autograd::Var;
use tensor::{DType, Tensor};

use crate::{Forward, Module, Parameter};

/// Options of [`PReLU`].
#[derive(Debug, Clone, Copy)]
pub struct PReLUOptions {
    /// The number of slopes: 1 for all channels together, or one for each channel (default: 1).
    pub num_parameters: usize,
    /// What the slopes start as (default: 0.25).
    pub init: f64,
    /// The dtype of the slopes (default: f32).
    pub dtype: DType,
}

impl Default for PReLUOptions {
    fn default() -> PReLUOptions {
        PReLUOptions { num_parameters: 1, init: 0.25, dtype: DType::F32 }
    }
}

/// `y = x` where `x > 0`, else `weight x`, with one learned weight or one for each channel.
///
/// # Shape
/// `[n, c, ..] -> [n, c, ..]`, weight `[1]` or `[c]`; an input of one dimension has one channel.
///
/// # Gradient
/// Where `x > 0`: `dx = dy`, `dweight = 0`; elsewhere, also at 0: `dx = weight dy`, `dweight = sum x dy`.
///
/// # Panics
/// When there are several weights, but not one for each channel.
///
/// # Source
/// He et al., "Delving Deep into Rectifiers", 2015, equation 1.
///
/// ```
/// use nn::prelude::*;
///
/// let layer = PReLU::new();
/// let y = layer.forward(&Var::new(Tensor::from([[-1f32, 2.0]])));
/// assert_eq!(y.value().to_vec::<f32>(), [-0.25, 2.0]);
/// assert_eq!(layer.to_string(), "PReLU(num_parameters=1)");
/// ```
#[derive(Debug, Module)]
#[module(repr = PReLU::repr)]
pub struct PReLU {
    /// `[num_parameters]`, starts at 0.25.
    pub weight: Parameter,
}

impl PReLU {
    /// The activation with one slope.
    pub fn new() -> PReLU {
        PReLU::with(PReLUOptions::default())
    }

    /// The activation with options.
    pub fn with(options: PReLUOptions) -> PReLU {
        let PReLUOptions { num_parameters, init, dtype } = options;
        PReLU { weight: Parameter::new(Tensor::full([num_parameters], init, dtype)) }
    }

    fn repr(&self) -> String {
        format!("num_parameters={}", self.weight.numel())
    }
}

impl Default for PReLU {
    fn default() -> PReLU {
        PReLU::new()
    }
}

impl Forward for PReLU {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.prelu(&self.weight)
    }
}
