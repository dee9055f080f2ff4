//! The transformer: an encoder and a decoder that looks at its output.

use autograd::Var;
use tensor::{DType, Tensor};

use super::block::{Activation, TransformerLayerOptions};
use super::{
    AttentionMasks, DecoderMasks, TransformerDecoder, TransformerDecoderLayer, TransformerEncoder,
    TransformerEncoderLayer,
};
use crate::{Module, init};

/// Options of [`Transformer`].
#[derive(Debug, Clone, Copy)]
pub struct TransformerOptions {
    /// Layers of the encoder (default: 6).
    pub num_encoder_layers: usize,
    /// Layers of the decoder (default: 6).
    pub num_decoder_layers: usize,
    /// The width between the two linear layers of a layer (default: 2048).
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

impl Default for TransformerOptions {
    fn default() -> TransformerOptions {
        let TransformerLayerOptions {
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            dtype,
        } = TransformerLayerOptions::default();
        TransformerOptions {
            num_encoder_layers: 6,
            num_decoder_layers: 6,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            dtype,
        }
    }
}

/// What a transformer must not look at.
#[derive(Debug, Clone, Default)]
pub struct TransformerMasks {
    /// The encoder in its own sequence.
    pub src: AttentionMasks,
    /// The decoder in its own sequence.
    pub tgt: AttentionMasks,
    /// The decoder in the encoder's output.
    pub memory: AttentionMasks,
}

impl TransformerMasks {
    /// The decoder does not look ahead, as in training; the encoder sees everything.
    pub fn causal() -> TransformerMasks {
        TransformerMasks { tgt: AttentionMasks::causal(), ..TransformerMasks::default() }
    }
}

/// An encoder, and a decoder that looks at its output; both end with a layer norm.
///
/// Embeddings, positions and the head that makes logits of the output stand outside. All matrices start Xavier-uniform.
///
/// # Shape
/// src `[s, b, d_model]`, tgt `[t, b, d_model] -> [t, b, d_model]`; with `batch_first` the batch comes first; all without
/// `b` for one sequence.
///
/// # Panics
/// In the forward pass, when the sizes of inputs or masks do not fit.
///
/// # Differs
/// There are no `custom_encoder` and `custom_decoder`: a struct of one's own with the two does that.
///
/// # Source
/// Vaswani et al., "Attention Is All You Need", 2017.
///
/// ```
/// use nn::prelude::*;
///
/// let options = TransformerOptions { num_encoder_layers: 1, num_decoder_layers: 2, ..Default::default() };
/// let transformer = Transformer::with(8, 2, options);
/// let (src, tgt) = (Var::new(Tensor::randn([5, 3, 8], DType::F32)), Var::new(Tensor::randn([4, 3, 8], DType::F32)));
/// let y = transformer.forward(&src, &tgt, &TransformerMasks::causal());
/// assert_eq!(y.shape(), [4, 3, 8]);
/// // In steps: the source is encoded once.
/// let memory = transformer.encoder.forward(&src, &AttentionMasks::none());
/// assert_eq!(transformer.decoder.forward(&tgt, &memory, &DecoderMasks::causal()).shape(), [4, 3, 8]);
/// ```
#[derive(Debug, Module)]
pub struct Transformer {
    /// Reads the source.
    pub encoder: TransformerEncoder,
    /// Reads the target and looks at the encoder's output.
    pub decoder: TransformerDecoder,
}

impl Transformer {
    /// A transformer of width `d_model` (PyTorch's default is 512) with `nhead` heads (8) and PyTorch's defaults.
    ///
    /// # Panics
    /// As [`with`](Transformer::with).
    #[track_caller]
    pub fn new(d_model: usize, nhead: usize) -> Transformer {
        Transformer::with(d_model, nhead, TransformerOptions::default())
    }

    /// A transformer with options.
    ///
    /// # Panics
    /// When the heads do not divide the width, or the probability of dropout is not in `0..=1`.
    #[track_caller]
    pub fn with(d_model: usize, nhead: usize, options: TransformerOptions) -> Transformer {
        let TransformerOptions {
            num_encoder_layers,
            num_decoder_layers,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            dtype,
        } = options;
        let layer = TransformerLayerOptions {
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            dtype,
        };
        let encoder =
            TransformerEncoder::new(|| TransformerEncoderLayer::with(d_model, nhead, layer), num_encoder_layers);
        let decoder =
            TransformerDecoder::new(|| TransformerDecoderLayer::with(d_model, nhead, layer), num_decoder_layers);
        let transformer = Transformer {
            encoder: encoder.with_norm(layer.norm(d_model)),
            decoder: decoder.with_norm(layer.norm(d_model)),
        };
        for parameter in transformer.parameters().iter().filter(|parameter| parameter.ndim() > 1) {
            init::xavier_uniform_(parameter, 1.0);
        }
        transformer
    }

    /// The decoder's output for this target, given the source.
    #[track_caller]
    pub fn forward(&self, src: &Var, tgt: &Var, masks: &TransformerMasks) -> Var {
        let TransformerMasks { src: of_src, tgt: of_tgt, memory: of_memory } = masks;
        let memory = self.encoder.forward(src, of_src);
        let masks = DecoderMasks { tgt: of_tgt.clone(), memory: of_memory.clone() };
        self.decoder.forward(tgt, &memory, &masks)
    }

    /// `[size, size]`: minus infinity above the diagonal, zero elsewhere. As a floating mask it does what `is_causal` does.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let mask = Transformer::generate_square_subsequent_mask(2);
    /// assert_eq!(mask.to_vec::<f32>(), [0.0, f32::NEG_INFINITY, 0.0, 0.0]);
    /// ```
    pub fn generate_square_subsequent_mask(size: usize) -> Tensor {
        Tensor::full([size, size], f64::NEG_INFINITY, DType::F32).triu(1)
    }
}
