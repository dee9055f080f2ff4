//! The decoder of a transformer.

use autograd::Var;

use super::block::{Shape, TransformerLayerOptions};
use super::{AttentionMasks, MultiheadAttention};
use crate::{Dropout, Forward, LayerNorm, Linear, Module};

/// What a decoder must not look at.
#[derive(Debug, Clone, Default)]
pub struct DecoderMasks {
    /// In its own sequence: PyTorch's `tgt_mask`, `tgt_key_padding_mask`, `tgt_is_causal`.
    pub tgt: AttentionMasks,
    /// In the encoder's output: PyTorch's `memory_mask`, `memory_key_padding_mask`, `memory_is_causal`.
    pub memory: AttentionMasks,
}

impl DecoderMasks {
    /// Nothing looks ahead in its own sequence; everything sees the whole memory.
    pub fn causal() -> DecoderMasks {
        DecoderMasks { tgt: AttentionMasks::causal(), memory: AttentionMasks::none() }
    }
}

/// Self-attention, attention to the memory (the encoder's output) and a feed-forward part, each with a residual connection
/// and a layer norm, as in [`TransformerEncoderLayer`](crate::TransformerEncoderLayer).
///
/// # Shape
/// tgt `[t, b, d_model]`, memory `[s, b, d_model] -> [t, b, d_model]`; with `batch_first` the batch comes first; all without
/// `b` for one sequence.
///
/// # Panics
/// In the forward pass, when the sizes of inputs or masks do not fit.
///
/// # Source
/// Vaswani et al., "Attention Is All You Need", 2017, section 3.1.
///
/// ```
/// use nn::prelude::*;
///
/// let layer = TransformerDecoderLayer::new(8, 2);
/// let (tgt, memory) = (Var::new(Tensor::randn([4, 3, 8], DType::F32)), Var::new(Tensor::randn([5, 3, 8], DType::F32)));
/// assert_eq!(layer.forward(&tgt, &memory, &DecoderMasks::causal()).shape(), [4, 3, 8]);
/// ```
#[derive(Debug, Module)]
pub struct TransformerDecoderLayer {
    /// The attention of the sequence to itself.
    pub self_attn: MultiheadAttention,
    /// The attention of the sequence to the memory.
    pub multihead_attn: MultiheadAttention,
    /// Into the feed-forward part.
    pub linear1: Linear,
    /// Inside the feed-forward part.
    pub dropout: Dropout,
    /// Out of the feed-forward part.
    pub linear2: Linear,
    /// The norm of the self-attention.
    pub norm1: LayerNorm,
    /// The norm of the attention to the memory.
    pub norm2: LayerNorm,
    /// The norm of the feed-forward part.
    pub norm3: LayerNorm,
    /// After the self-attention.
    pub dropout1: Dropout,
    /// After the attention to the memory.
    pub dropout2: Dropout,
    /// After the feed-forward part.
    pub dropout3: Dropout,
    #[module(config)]
    shape: Shape,
}

impl TransformerDecoderLayer {
    /// A layer of width `d_model` with `nhead` heads and PyTorch's defaults.
    ///
    /// # Panics
    /// As [`with`](TransformerDecoderLayer::with).
    #[track_caller]
    pub fn new(d_model: usize, nhead: usize) -> TransformerDecoderLayer {
        TransformerDecoderLayer::with(d_model, nhead, TransformerLayerOptions::default())
    }

    /// A layer with options.
    ///
    /// # Panics
    /// When the heads do not divide the width, or the probability of dropout is not in `0..=1`.
    #[track_caller]
    pub fn with(d_model: usize, nhead: usize, options: TransformerLayerOptions) -> TransformerDecoderLayer {
        let TransformerLayerOptions { dim_feedforward, dropout, activation, norm_first, .. } = options;
        TransformerDecoderLayer {
            self_attn: MultiheadAttention::with(d_model, nhead, options.attention()),
            multihead_attn: MultiheadAttention::with(d_model, nhead, options.attention()),
            linear1: options.linear(d_model, dim_feedforward),
            dropout: Dropout::new(dropout),
            linear2: options.linear(dim_feedforward, d_model),
            norm1: options.norm(d_model),
            norm2: options.norm(d_model),
            norm3: options.norm(d_model),
            dropout1: Dropout::new(dropout),
            dropout2: Dropout::new(dropout),
            dropout3: Dropout::new(dropout),
            shape: Shape { activation, norm_first },
        }
    }

    /// The output of the layer.
    #[track_caller]
    pub fn forward(&self, tgt: &Var, memory: &Var, masks: &DecoderMasks) -> Var {
        let attend = |x: &Var| self.self_attn.forward(x, x, x, &masks.tgt);
        let x = self.shape.residual(tgt, &self.norm1, &self.dropout1, attend);
        let look_back = |x: &Var| self.multihead_attn.forward(x, memory, memory, &masks.memory);
        let x = self.shape.residual(&x, &self.norm2, &self.dropout2, look_back);
        let feed = |x: &Var| self.shape.feed_forward(x, &self.linear1, &self.dropout, &self.linear2);
        self.shape.residual(&x, &self.norm3, &self.dropout3, feed)
    }
}

/// Decoder layers one after another, and perhaps a norm at the end.
///
/// # Differs
/// As [`TransformerEncoder`](crate::TransformerEncoder): each layer is made by itself.
///
/// ```
/// use nn::prelude::*;
///
/// let decoder = TransformerDecoder::new(|| TransformerDecoderLayer::new(8, 2), 2);
/// let (tgt, memory) = (Var::new(Tensor::randn([4, 3, 8], DType::F32)), Var::new(Tensor::randn([5, 3, 8], DType::F32)));
/// assert_eq!(decoder.forward(&tgt, &memory, &DecoderMasks::default()).shape(), [4, 3, 8]);
/// ```
#[derive(Debug, Module)]
pub struct TransformerDecoder {
    /// The layers in order.
    pub layers: Vec<TransformerDecoderLayer>,
    /// The norm of the last layer's output.
    pub norm: Option<LayerNorm>,
}

impl TransformerDecoder {
    /// `num_layers` layers, each made by `layer`, without a norm at the end.
    pub fn new(layer: impl Fn() -> TransformerDecoderLayer, num_layers: usize) -> TransformerDecoder {
        TransformerDecoder { layers: (0..num_layers).map(|_| layer()).collect(), norm: None }
    }

    /// The same with a norm at the end.
    pub fn with_norm(self, norm: LayerNorm) -> TransformerDecoder {
        TransformerDecoder { norm: Some(norm), ..self }
    }

    /// The output of the last layer; every layer sees this memory under these masks.
    #[track_caller]
    pub fn forward(&self, tgt: &Var, memory: &Var, masks: &DecoderMasks) -> Var {
        let x = self.layers.iter().fold(tgt.clone(), |x, layer| layer.forward(&x, memory, masks));
        self.norm.iter().fold(x, |x, norm| norm.forward(&x))
    }
}
