//! What the layers of encoder and decoder share: their options, the feed-forward part, and the residual connection.

use autograd::Var;
use tensor::DType;

use super::MultiheadAttentionOptions;
use crate::{Dropout, Forward, LayerNorm, LayerNormOptions, Linear, LinearOptions};

/// The nonlinearity between the two linear layers of a transformer's layer.
///
/// # Differs
/// PyTorch takes a module as well, whose parameters (PReLU's) become the layer's; here it is a function without any.
#[derive(Debug, Clone, Copy, Default)]
pub enum Activation {
    /// `max(x, 0)`.
    #[default]
    ReLU,
    /// `x Φ(x)`.
    GELU,
    /// Any function.
    Function(
        /// The function.
        fn(&Var) -> Var,
    ),
}

impl Activation {
    fn apply(self, x: &Var) -> Var {
        match self {
            Activation::ReLU => x.relu(),
            Activation::GELU => x.gelu(),
            Activation::Function(f) => f(x),
        }
    }
}

/// Options of [`TransformerEncoderLayer`](crate::TransformerEncoderLayer) and
/// [`TransformerDecoderLayer`](crate::TransformerDecoderLayer).
#[derive(Debug, Clone, Copy)]
pub struct TransformerLayerOptions {
    /// The width between the two linear layers (default: 2048).
    pub dim_feedforward: usize,
    /// The probability of dropout, of attention weights as well (default: 0.1).
    pub dropout: f64,
    /// What lies between the two linear layers (default: ReLU).
    pub activation: Activation,
    /// Added to the variances of the layer norms (default: 1e-5).
    pub layer_norm_eps: f64,
    /// Whether the batch is the first dimension, `[b, t, d_model]`, and not the second (default: false).
    pub batch_first: bool,
    /// Whether the norms come before attention and feed-forward part, and not after the sums (default: false).
    pub norm_first: bool,
    /// Whether linear layers and norms have biases (default: true).
    pub bias: bool,
    /// The dtype of the parameters (default: f32).
    pub dtype: DType,
}

impl Default for TransformerLayerOptions {
    fn default() -> TransformerLayerOptions {
        TransformerLayerOptions {
            dim_feedforward: 2048,
            dropout: 0.1,
            activation: Activation::ReLU,
            layer_norm_eps: 1e-5,
            batch_first: false,
            norm_first: false,
            bias: true,
            dtype: DType::F32,
        }
    }
}

impl TransformerLayerOptions {
    pub(super) fn attention(&self) -> MultiheadAttentionOptions {
        let TransformerLayerOptions { dropout, batch_first, bias, dtype, .. } = *self;
        MultiheadAttentionOptions { dropout, bias, batch_first, dtype, ..Default::default() }
    }

    pub(super) fn linear(&self, inputs: usize, outputs: usize) -> Linear {
        Linear::with(inputs, outputs, LinearOptions { bias: self.bias, dtype: self.dtype })
    }

    pub(super) fn norm(&self, width: usize) -> LayerNorm {
        let TransformerLayerOptions { layer_norm_eps: eps, bias, dtype, .. } = *self;
        LayerNorm::with(width, LayerNormOptions { eps, bias, dtype, ..Default::default() })
    }
}

/// What a layer knows besides its modules.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub activation: Activation,
    pub norm_first: bool,
}

impl Shape {
    /// `x + dropout(f(norm(x)))`, or `norm(x + dropout(f(x)))`.
    pub fn residual(self, x: &Var, norm: &LayerNorm, dropout: &Dropout, f: impl FnOnce(&Var) -> Var) -> Var {
        if self.norm_first {
            x + dropout.forward(&f(&norm.forward(x)))
        } else {
            norm.forward(&(x + dropout.forward(&f(x))))
        }
    }

    /// `W₂ dropout(activation(W₁ x))`.
    pub fn feed_forward(self, x: &Var, linear1: &Linear, dropout: &Dropout, linear2: &Linear) -> Var {
        linear2.forward(&dropout.forward(&self.activation.apply(&linear1.forward(x))))
    }
}
