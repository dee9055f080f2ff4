//! Positional encodings: learned, sinusoidal, rotary, ALiBi and relative.

use crate::harness::*;

/// A layer without state, which is a function in the script.
fn layerless(layer: impl Forward) -> Case {
    function(move |x| layer.forward(x.var(0)))
}

fn learned(seq_dim: isize, offset: usize) -> Case {
    let layer = LearnedPositions::with(6, 4, LearnedPositionsOptions { seq_dim, ..Default::default() });
    module(layer, move |m, x| m.forward_at(x.var(0), offset))
}

fn sinusoidal(d: usize, base: f64, seq_dim: isize, offset: usize) -> Case {
    let layer = SinusoidalPositions::with(d, SinusoidalPositionsOptions { base, seq_dim });
    function(move |x| layer.forward_at(x.var(0), offset))
}

fn rotary(d: usize, options: RotaryPositionsOptions, offset: usize) -> Case {
    let layer = RotaryPositions::with(d, options);
    function(move |x| layer.forward_at(x.var(0), offset))
}

fn half() -> RotaryPositionsOptions {
    RotaryPositionsOptions { interleaved: false, ..Default::default() }
}

fn alibi(heads: usize) -> Case {
    function(move |x| ALiBi::new(heads).bias(3, 4, x.dtype()))
}

fn relative(max_distance: usize, d: usize, values: bool, options: Attention, offset: usize) -> Case {
    let layer = RelativePositions::with(max_distance, d, RelativePositionsOptions { values, ..Default::default() });
    module(layer, move |m, x| m.forward_at(x.var(0), x.var(1), x.var(2), &options, offset))
}

fn causal() -> Attention {
    Attention { is_causal: true, ..Default::default() }
}

cases! { "position":
    "learned" => learned(-2, 0),
    "learned_offset" => learned(-2, 3),
    "learned_first" => learned(0, 0),
    "sinusoidal" => layerless(SinusoidalPositions::new(6)),
    "sinusoidal_odd" => layerless(SinusoidalPositions::new(5)),
    "sinusoidal_base_offset" => sinusoidal(6, 50.0, -2, 90),
    "sinusoidal_first" => sinusoidal(4, 10000.0, 0, 0),
    "rotary" => layerless(RotaryPositions::new(6)),
    "rotary_half" => rotary(6, half(), 0),
    "rotary_partial" => rotary(7, RotaryPositionsOptions { rotary_dim: Some(4), ..Default::default() }, 0),
    "rotary_half_partial" => rotary(8, RotaryPositionsOptions { rotary_dim: Some(6), ..half() }, 0),
    "rotary_base_offset" => rotary(4, RotaryPositionsOptions { base: 500.0, ..Default::default() }, 70),
    "rotary_attention" => function(|x| {
        let rotary = RotaryPositions::new(4);
        let (q, k) = (rotary.forward(x.var(0)), rotary.forward(x.var(1)));
        q.scaled_dot_product_attention(&k, x.var(2), &causal())
    }),
    "alibi_1" => alibi(1),
    "alibi_2" => alibi(2),
    "alibi_3" => alibi(3),
    "alibi_8" => alibi(8),
    "alibi_12" => alibi(12),
    "alibi_offset" => function(|x| ALiBi::new(4).bias_at(3, 2, 5, x.dtype())),
    "alibi_attention" => function(|x| {
        let mask = Some(ALiBi::new(3).bias(4, 5, x.dtype()));
        x.var(0).scaled_dot_product_attention(x.var(1), x.var(2), &Attention { mask, ..Default::default() })
    }),
    "alibi_multihead" => {
        let options = MultiheadAttentionOptions { batch_first: true, ..Default::default() };
        module(MultiheadAttention::with(4, 2, options), |m, x| {
            let attn_mask = Some(ALiBi::new(2).attn_mask(3, 5, 5, x.dtype()));
            let masks = AttentionMasks { attn_mask, is_causal: true, ..Default::default() };
            m.forward(x.var(0), x.var(0), x.var(0), &masks)
        })
    },
    "relative" => relative(2, 4, true, Attention::default(), 0),
    "relative_keys" => relative(2, 4, false, Attention::default(), 0),
    "relative_causal" => relative(1, 4, true, causal(), 0),
    "relative_zero" => relative(0, 3, true, Attention::default(), 0),
    "relative_masks" => module(RelativePositions::new(3, 4), |m, x| {
        let options = Attention { mask: Some(x.tensor(3).clone()), scale: Some(0.3), ..causal() };
        m.forward(x.var(0), x.var(1), x.var(2), &options)
    }),
    "relative_offset" => module(RelativePositions::new(2, 4), |m, x| {
        let options = Attention { mask: Some(x.tensor(3).clone()), ..causal() };
        m.forward_at(x.var(0), x.var(1), x.var(2), &options, 2)
    }),
}
