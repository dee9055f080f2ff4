//! Attention and the transformer: masks of every kind, added keys, weights, the layers, the stacks, and the whole.

use crate::harness::*;

fn none() -> AttentionMasks {
    AttentionMasks::none()
}

fn attn_mask(mask: &Tensor) -> AttentionMasks {
    AttentionMasks { attn_mask: Some(mask.clone()), ..none() }
}

fn padding(mask: &Tensor) -> AttentionMasks {
    AttentionMasks { key_padding_mask: Some(mask.clone()), ..none() }
}

fn both(mask: &Tensor, padding: &Tensor) -> AttentionMasks {
    AttentionMasks { attn_mask: Some(mask.clone()), key_padding_mask: Some(padding.clone()), ..none() }
}

fn causal_mask() -> Tensor {
    Tensor::ones([4, 4], DType::Bool).triu(1)
}

fn batch_first() -> MultiheadAttentionOptions {
    MultiheadAttentionOptions { batch_first: true, ..Default::default() }
}

/// Attention of two heads in a width of 6.
fn mha<R: Outputs>(
    options: MultiheadAttentionOptions,
    forward: impl Fn(&MultiheadAttention, &Inputs) -> R + 'static,
) -> Case {
    module(MultiheadAttention::with(6, 2, options), forward)
}

/// Of the first input to itself, under masks made of the others.
fn to_itself(masks: impl Fn(&Inputs) -> AttentionMasks + 'static) -> impl Fn(&MultiheadAttention, &Inputs) -> Var {
    move |m, x| m.forward(x.var(0), x.var(0), x.var(0), &masks(x))
}

/// The same with the weights, averaged over the heads or not.
fn with_weights(
    average: bool,
    masks: impl Fn(&Inputs) -> AttentionMasks + 'static,
) -> impl Fn(&MultiheadAttention, &Inputs) -> (Var, Var) {
    move |m, x| m.forward_with_weights(x.var(0), x.var(0), x.var(0), &masks(x), average)
}

fn small() -> TransformerLayerOptions {
    TransformerLayerOptions { dim_feedforward: 7, dropout: 0.0, ..Default::default() }
}

fn small_batch_first() -> TransformerLayerOptions {
    TransformerLayerOptions { batch_first: true, ..small() }
}

fn encoder_layer(options: TransformerLayerOptions, masks: impl Fn(&Inputs) -> AttentionMasks + 'static) -> Case {
    module(TransformerEncoderLayer::with(6, 2, options), move |m, x| m.forward(x.var(0), &masks(x)))
}

fn decoder_layer(options: TransformerLayerOptions, masks: impl Fn(&Inputs) -> DecoderMasks + 'static) -> Case {
    module(TransformerDecoderLayer::with(6, 2, options), move |m, x| m.forward(x.var(0), x.var(1), &masks(x)))
}

fn encoder(options: TransformerLayerOptions) -> TransformerEncoder {
    TransformerEncoder::new(|| TransformerEncoderLayer::with(6, 2, options), 2)
}

fn decoder(options: TransformerLayerOptions) -> TransformerDecoder {
    TransformerDecoder::new(|| TransformerDecoderLayer::with(6, 2, options), 2)
}

fn whole() -> TransformerOptions {
    TransformerOptions {
        num_encoder_layers: 1,
        num_decoder_layers: 2,
        dim_feedforward: 7,
        dropout: 0.0,
        ..Default::default()
    }
}

fn transformer(options: TransformerOptions, masks: impl Fn(&Inputs) -> TransformerMasks + 'static) -> Case {
    module(Transformer::with(6, 2, options), move |m, x| m.forward(x.var(0), x.var(1), &masks(x)))
}

cases! { "transformer":
    "mha_self" => mha(batch_first(), to_itself(|_| none())),
    "mha_causal" => mha(batch_first(), to_itself(|_| AttentionMasks::causal())),
    "mha_padding" => mha(batch_first(), to_itself(|x| padding(x.tensor(1)))),
    "mha_attn_mask" => mha(batch_first(), to_itself(|x| attn_mask(x.tensor(1)))),
    "mha_float_mask" => mha(batch_first(), to_itself(|x| attn_mask(x.tensor(1)))),
    "mha_mask_per_head" => mha(batch_first(), to_itself(|x| attn_mask(x.tensor(1)))),
    "mha_both_masks" => mha(batch_first(), to_itself(|x| both(x.tensor(1), x.tensor(2)))),
    "mha_float_and_bool_masks" => mha(batch_first(), to_itself(|x| both(x.tensor(1), x.tensor(2)))),
    "mha_no_bias" => {
        mha(MultiheadAttentionOptions { bias: false, ..batch_first() }, to_itself(|_| none()))
    },
    "mha_cross" => mha(batch_first(), |m, x| m.forward(x.var(0), x.var(1), x.var(2), &none())),
    "mha_keys_are_values" => mha(batch_first(), |m, x| m.forward(x.var(0), x.var(1), x.var(1), &none())),
    "mha_kdim_vdim" => {
        let options = MultiheadAttentionOptions { kdim: Some(5), vdim: Some(7), ..batch_first() };
        mha(options, |m, x| m.forward(x.var(0), x.var(1), x.var(2), &none()))
    },
    "mha_kdim_vdim_no_bias" => {
        let options = MultiheadAttentionOptions { kdim: Some(5), vdim: Some(7), bias: false, ..batch_first() };
        mha(options, |m, x| m.forward_with_weights(x.var(0), x.var(1), x.var(2), &none(), true))
    },
    "mha_kdim_vdim_padding" => {
        let options = MultiheadAttentionOptions { kdim: Some(5), vdim: Some(7), add_bias_kv: true, ..batch_first() };
        mha(options, |m, x| m.forward_with_weights(x.var(0), x.var(1), x.var(2), &padding(x.tensor(3)), false))
    },
    "mha_time_first" => {
        module(MultiheadAttention::new(6, 3), |m, x| m.forward(x.var(0), x.var(0), x.var(0), &none()))
    },
    "mha_unbatched" => mha(batch_first(), with_weights(true, |_| none())),
    "mha_unbatched_masks" => {
        let masks = |x: &Inputs| both(x.tensor(1), &(x.tensor(2).to_dtype(x.tensor(1).dtype()) * -1.5));
        mha(MultiheadAttentionOptions::default(), with_weights(true, masks))
    },
    "mha_weights" => mha(batch_first(), with_weights(true, |_| attn_mask(&causal_mask()))),
    "mha_weights_per_head" => mha(batch_first(), with_weights(false, |x| padding(x.tensor(1)))),
    "mha_dropout_eval" => {
        mha(MultiheadAttentionOptions { dropout: 0.5, ..batch_first() }, with_weights(true, |_| none()))
    },
    "mha_bias_kv" => {
        mha(MultiheadAttentionOptions { add_bias_kv: true, ..batch_first() }, with_weights(true, |_| none()))
    },
    "mha_bias_kv_masks" => {
        // The bool mask of the fixture is the causal one; both ways to say it are the same.
        let options = MultiheadAttentionOptions { add_bias_kv: true, ..batch_first() };
        mha(options, to_itself(|x| AttentionMasks { is_causal: true, ..padding(x.tensor(2)) }))
    },
    "mha_zero_attn" => {
        let options = MultiheadAttentionOptions { add_zero_attn: true, ..batch_first() };
        mha(options, to_itself(|x| padding(x.tensor(1))))
    },
    "mha_bias_and_zero" => {
        let options = MultiheadAttentionOptions { add_bias_kv: true, add_zero_attn: true, ..Default::default() };
        mha(options, with_weights(false, |x| attn_mask(x.tensor(1))))
    },
    "encoder_layer" => encoder_layer(small(), |_| none()),
    "encoder_layer_batch_first" => encoder_layer(small_batch_first(), |_| none()),
    "encoder_layer_norm_first" => {
        encoder_layer(TransformerLayerOptions { norm_first: true, ..small_batch_first() }, |_| none())
    },
    "encoder_layer_gelu" => {
        let options = TransformerLayerOptions { activation: Activation::GELU, layer_norm_eps: 1e-2, ..small() };
        encoder_layer(options, |_| none())
    },
    "encoder_layer_function" => {
        let options = TransformerLayerOptions { activation: Activation::Function(Var::tanh), ..small() };
        encoder_layer(options, |_| none())
    },
    "encoder_layer_no_bias" => encoder_layer(TransformerLayerOptions { bias: false, ..small() }, |_| none()),
    "encoder_layer_unbatched" => encoder_layer(small(), |_| none()),
    "encoder_layer_masks" => encoder_layer(small_batch_first(), |x| both(x.tensor(1), x.tensor(2))),
    "encoder_layer_dropout_eval" => {
        encoder_layer(TransformerLayerOptions { dropout: 0.3, ..small() }, |_| none())
    },
    "decoder_layer" => decoder_layer(small(), |_| DecoderMasks::default()),
    "decoder_layer_batch_first" => decoder_layer(small_batch_first(), |_| DecoderMasks::default()),
    "decoder_layer_norm_first" => {
        let options =
            TransformerLayerOptions { norm_first: true, activation: Activation::GELU, ..small_batch_first() };
        decoder_layer(options, |_| DecoderMasks::default())
    },
    "decoder_layer_no_bias" => {
        decoder_layer(TransformerLayerOptions { bias: false, ..small() }, |_| DecoderMasks::default())
    },
    "decoder_layer_unbatched" => decoder_layer(small(), |_| DecoderMasks::default()),
    "decoder_layer_masks" => decoder_layer(small_batch_first(), |x| DecoderMasks {
        tgt: both(x.tensor(2), x.tensor(3)),
        memory: both(x.tensor(4), x.tensor(5)),
    }),
    "encoder" => module(encoder(small()), |m, x| m.forward(x.var(0), &none())),
    "encoder_norm" => {
        let encoder = encoder(small_batch_first()).with_norm(LayerNorm::new(6));
        module(encoder, |m, x| m.forward(x.var(0), &padding(x.tensor(1))))
    },
    "decoder" => module(decoder(small()), |m, x| m.forward(x.var(0), x.var(1), &DecoderMasks::default())),
    "decoder_norm" => {
        let decoder = decoder(small_batch_first()).with_norm(LayerNorm::new(6));
        module(decoder, |m, x| m.forward(x.var(0), x.var(1), &DecoderMasks::causal()))
    },
    "transformer" => transformer(whole(), |_| TransformerMasks::default()),
    "transformer_causal" => {
        let options = TransformerOptions {
            batch_first: true, norm_first: true, activation: Activation::GELU, ..whole()
        };
        transformer(options, |x| TransformerMasks { tgt: attn_mask(x.tensor(2)), ..Default::default() })
    },
    "transformer_masks" => {
        let options = TransformerOptions { batch_first: true, bias: false, ..whole() };
        transformer(options, |x| TransformerMasks {
            src: padding(x.tensor(2)),
            tgt: both(x.tensor(3), x.tensor(4)),
            memory: both(x.tensor(5), x.tensor(2)),
        })
    },
    "transformer_unbatched" => transformer(whole(), |_| TransformerMasks::default()),
    "decoder_layer_dropout_eval" => {
        decoder_layer(TransformerLayerOptions { dropout: 0.3, ..small() }, |_| DecoderMasks::default())
    },
    "transformer_dropout_eval" => {
        transformer(TransformerOptions { dropout: 0.3, ..whole() }, |_| TransformerMasks::default())
    },
    "mha_float_mask_bool_padding" => mha(batch_first(), with_weights(true, |x| both(x.tensor(1), x.tensor(2)))),
}
