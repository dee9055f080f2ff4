//! The encoder of a transformer.

use autograd::Var;

use super::block::{Shape, TransformerLayerOptions};
use super::{AttentionMasks, MultiheadAttention};
use crate::{Dropout, Forward, LayerNorm, Linear, Module};

/// Self-attention and a feed-forward part, each with a residual connection and a layer norm:
///
/// ```text
/// x ← norm1(x + dropout1(self_attn(x)))                     norm_first:  x ← x + dropout1(self_attn(norm1(x)))
/// x ← norm2(x + dropout2(linear2(dropout(act(linear1(x))))))             x ← x + dropout2(linear2(..norm2(x)..))
/// ```
///
/// # Shape
/// `[t, b, d_model] -> [t, b, d_model]`; with `batch_first` the batch comes first; `[t, d_model]` without a batch.
///
/// # Panics
/// In the forward pass, when the sizes of input or masks do not fit.
///
/// # Source
/// Vaswani et al., "Attention Is All You Need", 2017, section 3.1; the norms first as in Xiong et al., "On Layer
/// Normalization in the Transformer Architecture", 2020.
///
/// ```
/// use nn::prelude::*;
///
/// let options = TransformerLayerOptions { dim_feedforward: 32, batch_first: true, ..Default::default() };
/// let layer = TransformerEncoderLayer::with(8, 2, options);
/// let x = Var::new(Tensor::randn([3, 5, 8], DType::F32));
/// assert_eq!(layer.forward(&x, &AttentionMasks::none()).shape(), [3, 5, 8]);
/// ```
#[derive(Debug, Module)]
pub struct TransformerEncoderLayer {
    /// The attention of the sequence to itself.
    pub self_attn: MultiheadAttention,
    /// Into the feed-forward part.
    pub linear1: Linear,
    /// Inside the feed-forward part.
    pub dropout: Dropout,
    /// Out of the feed-forward part.
    pub linear2: Linear,
    /// The norm of the attention.
    pub norm1: LayerNorm,
    /// The norm of the feed-forward part.
    pub norm2: LayerNorm,
    /// After the attention.
    pub dropout1: Dropout,
    /// After the feed-forward part.
    pub dropout2: Dropout,
    #[module(config)]
    shape: Shape,
}

impl TransformerEncoderLayer {
    /// A layer of width `d_model` with `nhead` heads and PyTorch's defaults.
    ///
    /// # Panics
    /// As [`with`](TransformerEncoderLayer::with).
    #[track_caller]
    pub fn new(d_model: usize, nhead: usize) -> TransformerEncoderLayer {
        TransformerEncoderLayer::with(d_model, nhead, TransformerLayerOptions::default())
    }

    /// A layer with options.
    ///
    /// # Panics
    /// When the heads do not divide the width, or the probability of dropout is not in `0..=1`.
    #[track_caller]
    pub fn with(d_model: usize, nhead: usize, options: TransformerLayerOptions) -> TransformerEncoderLayer {
        let TransformerLayerOptions { dim_feedforward, dropout, activation, norm_first, .. } = options;
        TransformerEncoderLayer {
            self_attn: MultiheadAttention::with(d_model, nhead, options.attention()),
            linear1: options.linear(d_model, dim_feedforward),
            dropout: Dropout::new(dropout),
            linear2: options.linear(dim_feedforward, d_model),
            norm1: options.norm(d_model),
            norm2: options.norm(d_model),
            dropout1: Dropout::new(dropout),
            dropout2: Dropout::new(dropout),
            shape: Shape { activation, norm_first },
        }
    }

    /// The output of the layer. `masks` are PyTorch's `src_mask`, `src_key_padding_mask` and `is_causal`, which masks by
    /// itself here.
    #[track_caller]
    pub fn forward(&self, src: &Var, masks: &AttentionMasks) -> Var {
        let attend = |x: &Var| self.self_attn.forward(x, x, x, masks);
        let x = self.shape.residual(src, &self.norm1, &self.dropout1, attend);
        let feed = |x: &Var| self.shape.feed_forward(x, &self.linear1, &self.dropout, &self.linear2);
        self.shape.residual(&x, &self.norm2, &self.dropout2, feed)
    }
}

/// Encoder layers one after another, and perhaps a norm at the end.
///
/// # Differs
/// PyTorch takes one layer and copies it, so that all start with equal weights; here each layer is made by itself, with
/// weights of its own. There are no `enable_nested_tensor` and `mask_check`: padded places have values in evaluation as well.
///
/// ```
/// use nn::prelude::*;
///
/// let encoder = TransformerEncoder::new(|| TransformerEncoderLayer::new(8, 2), 3).with_norm(LayerNorm::new(8));
/// let x = Var::new(Tensor::randn([5, 3, 8], DType::F32));
/// assert_eq!(encoder.forward(&x, &AttentionMasks::causal()).shape(), [5, 3, 8]);
/// assert!(encoder.state_dict().contains_key("layers.2.self_attn.in_proj_weight"));
/// ```
#[derive(Debug, Module)]
pub struct TransformerEncoder {
    /// The layers in order.
    pub layers: Vec<TransformerEncoderLayer>,
    /// The norm of the last layer's output.
    pub norm: Option<LayerNorm>,
}

impl TransformerEncoder {
    /// `num_layers` layers, each made by `layer`, without a norm at the end.
    pub fn new(layer: impl Fn() -> TransformerEncoderLayer, num_layers: usize) -> TransformerEncoder {
        TransformerEncoder { layers: (0..num_layers).map(|_| layer()).collect(), norm: None }
    }

    /// The same with a norm at the end.
    pub fn with_norm(self, norm: LayerNorm) -> TransformerEncoder {
        TransformerEncoder { norm: Some(norm), ..self }
    }

    /// The output of the last layer; every layer has these masks.
    #[track_caller]
    pub fn forward(&self, src: &Var, masks: &AttentionMasks) -> Var {
        let x = self.layers.iter().fold(src.clone(), |x, layer| layer.forward(&x, masks));
        self.norm.iter().fold(x, |x, norm| norm.forward(&x))
    }
}
