//! The layers of a transformer.

use proptest::prelude::*;

use super::{Case, cases_in};
use crate::{
    Activation, MultiheadAttention, MultiheadAttentionOptions, TransformerDecoderLayer, TransformerEncoderLayer,
    TransformerLayerOptions,
};

/// Attention with any biases and added keys, `[b, t, e]` first.
pub fn attentions() -> impl Strategy<Value = Case<MultiheadAttention>> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    cases_in(
        Just(vec![]),
        (sizes(), flags),
        |&((heads, per_head, batch, steps), (bias, add_bias_kv, add_zero_attn))| {
            let e = heads * per_head;
            let options =
                MultiheadAttentionOptions { bias, add_bias_kv, add_zero_attn, batch_first: true, ..Default::default() };
            (MultiheadAttention::with(e, heads, options), vec![batch, steps, e])
        },
    )
}

/// Encoder layers with smooth activations and no dropout, `[b, t, e]` first.
pub fn encoder_layers() -> impl Strategy<Value = Case<TransformerEncoderLayer>> {
    cases_in(Just(vec![]), (sizes(), options()), |&((heads, per_head, batch, steps), options)| {
        let e = heads * per_head;
        (TransformerEncoderLayer::with(e, heads, options), vec![batch, steps, e])
    })
}

/// Decoder layers with smooth activations and no dropout, `[b, t, e]` first; the input is the target, and the memory is for
/// the test to choose.
pub fn decoder_layers() -> impl Strategy<Value = Case<TransformerDecoderLayer>> {
    cases_in(Just(vec![]), (sizes(), options()), |&((heads, per_head, batch, steps), options)| {
        let e = heads * per_head;
        (TransformerDecoderLayer::with(e, heads, options), vec![batch, steps, e])
    })
}

/// Heads, width of a head, batch and steps.
fn sizes() -> impl Strategy<Value = (usize, usize, usize, usize)> {
    // Two numbers or more in a norm: one is always its own mean.
    (1usize..3, 2usize..4, 1usize..3, 1usize..4)
}

fn options() -> impl Strategy<Value = TransformerLayerOptions> {
    (1usize..5, any::<bool>(), any::<bool>()).prop_map(|(dim_feedforward, norm_first, bias)| TransformerLayerOptions {
        dim_feedforward,
        norm_first,
        bias,
        dropout: 0.0,
        activation: Activation::GELU,
        batch_first: true,
        // A large eps keeps derivatives small.
        layer_norm_eps: 0.1,
        ..Default::default()
    })
}
