//! The transformer: gradients of random configurations, the order of its inputs, what it must not look at, and how it starts.

mod common;

use common::refuses;
use nn::prelude::*;
use nn::strategy::{attentions, check_batch_independence, decoder_layers, encoder_layers};
use proptest::prelude::*;

const WIDTH: usize = 6;

fn randn(shape: &[usize]) -> Var {
    Var::new(Tensor::randn(shape, DType::F64))
}

fn options(norm_first: bool) -> TransformerLayerOptions {
    TransformerLayerOptions {
        dim_feedforward: 8,
        dropout: 0.0,
        norm_first,
        batch_first: true,
        dtype: DType::F64,
        ..Default::default()
    }
}

fn encoder(norm_first: bool) -> TransformerEncoder {
    TransformerEncoder::new(|| TransformerEncoderLayer::with(WIDTH, 2, options(norm_first)), 2)
}

fn decoder(norm_first: bool) -> TransformerDecoder {
    TransformerDecoder::new(|| TransformerDecoderLayer::with(WIDTH, 2, options(norm_first)), 2)
}

fn whole(norm_first: bool) -> Transformer {
    let options = TransformerOptions {
        num_encoder_layers: 1,
        num_decoder_layers: 1,
        dim_feedforward: 8,
        dropout: 0.0,
        activation: Activation::GELU,
        // A large eps keeps derivatives small.
        layer_norm_eps: 0.1,
        batch_first: true,
        norm_first,
        dtype: DType::F64,
        ..Default::default()
    };
    Transformer::with(WIDTH, 2, options)
}

fn close(a: &Tensor, b: &Tensor) -> bool {
    a.allclose(b, 1e-9, 1e-10)
}

/// `x [b, t, ..]` with the places `i` and `j` exchanged.
fn swapped(x: &Var, i: usize, j: usize) -> Var {
    let mut order: Vec<i64> = (0..x.dim(1) as i64).collect();
    order.swap(i, j);
    x.index_select(1, &Tensor::from_slice(&order, [order.len()]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_of_attention(case in attentions(), is_causal: bool) {
        let masks = AttentionMasks { is_causal, ..AttentionMasks::none() };
        case.check_gradients_of(|attention, x| attention.forward(x, x, x, &masks)).unwrap();
        case.check_gradients_of(|attention, x| attention.forward_with_weights(x, x, x, &masks, false).1).unwrap();
    }

    #[test]
    fn gradients_of_encoder_layers(case in encoder_layers(), is_causal: bool) {
        let masks = AttentionMasks { is_causal, ..AttentionMasks::none() };
        case.check_gradients_of(|layer, x| layer.forward(x, &masks)).unwrap();
    }

    #[test]
    fn gradients_of_decoder_layers(case in decoder_layers(), steps in 1usize..4, is_causal: bool) {
        let (batch, e) = (case.input.dim(0), case.input.dim(2));
        let memory = randn(&[batch, steps, e]).requires_grad_(true);
        let tgt = AttentionMasks { is_causal, ..AttentionMasks::none() };
        let masks = DecoderMasks { tgt, memory: AttentionMasks::none() };
        case.check_gradients_of(|layer, x| layer.forward(x, &memory, &masks)).unwrap();
        // And by the memory.
        let input = &case.input;
        autograd::gradcheck(
            |memory| case.module.forward(input, &memory[0], &masks),
            std::slice::from_ref(&memory),
            Default::default(),
        ).unwrap();
    }

    #[test]
    fn gradients_of_the_whole((s, t) in (1usize..4, 1usize..4), norm_first: bool, causal: bool, seed: u64) {
        manual_seed(seed);
        let transformer = whole(norm_first);
        let masks = if causal { TransformerMasks::causal() } else { TransformerMasks::default() };
        let inputs = [s, t].map(|steps| randn(&[1, steps, WIDTH]).requires_grad_(true));
        autograd::gradcheck(|x| transformer.forward(&x[0], &x[1], &masks), &inputs, Default::default()).unwrap();
    }

    /// The source of a whole transformer may be padded, its target does not look ahead, and each pair is by itself.
    #[test]
    fn the_whole_keeps_what_its_parts_promise(
        norm_first: bool, (s, t) in (1usize..4, 2usize..5), padding in 1usize..3, seed: u64,
    ) {
        manual_seed(seed);
        let transformer = whole(norm_first);
        let (src, tgt) = (randn(&[2, s, WIDTH]), randn(&[2, t, WIDTH]));
        let expected = transformer.forward(&src, &tgt, &TransformerMasks::causal()).value();

        let padded = Var::cat(&[src.clone(), randn(&[2, padding, WIDTH])], 1);
        let blocked = Tensor::cat(&[Tensor::zeros([2, s], DType::Bool), Tensor::ones([2, padding], DType::Bool)], 1);
        let hidden = AttentionMasks { key_padding_mask: Some(blocked), ..AttentionMasks::none() };
        let masks = TransformerMasks { src: hidden.clone(), memory: hidden, ..TransformerMasks::causal() };
        prop_assert!(close(&transformer.forward(&padded, &tgt, &masks).value(), &expected));
        // Without the masks it would matter.
        prop_assert!(!close(&transformer.forward(&padded, &tgt, &TransformerMasks::causal()).value(), &expected));

        let other = Var::cat(&[tgt.narrow(1, 0, t - 1), randn(&[2, 1, WIDTH])], 1);
        let changed = transformer.forward(&src, &other, &TransformerMasks::causal()).value();
        prop_assert!(changed.narrow(1, 0, t - 1).bit_eq(&expected.narrow(1, 0, t - 1)));

        let both = |x: &Var| {
            transformer.forward(&x.narrow(1, 0, s), &x.narrow(1, s, t), &TransformerMasks::causal())
        };
        check_batch_independence(both, &Var::cat(&[src, tgt], 1)).unwrap();
    }

    /// Keys that are added stand behind the input's in the weights, are never masked, and do not bring order in.
    #[test]
    fn added_keys_are_always_seen(t in 2usize..5, bias_kv: bool, seed: u64) {
        manual_seed(seed);
        let options = MultiheadAttentionOptions {
            add_bias_kv: bias_kv, add_zero_attn: true, batch_first: true, dtype: DType::F64, ..Default::default()
        };
        let attention = MultiheadAttention::with(WIDTH, 2, options);
        let x = randn(&[1, t, WIDTH]);
        let blocked = Tensor::ones([t, t], DType::Bool);
        let masks = AttentionMasks { attn_mask: Some(blocked), ..AttentionMasks::none() };
        let (output, weights) = attention.forward_with_weights(&x, &x, &x, &masks, true);
        let added = 1 + bias_kv as usize;
        prop_assert_eq!(weights.shape().to_vec(), [1, t, t + added]);
        prop_assert_eq!(weights.value().narrow(2, 0, t).abs().max().item::<f64>(), 0.0);
        prop_assert!(close(&weights.value().sum_dim(-1, false), &Tensor::ones([1, t], DType::F64)));
        prop_assert!(close(&attention.forward(&x, &x, &x, &masks).value(), &output.value()));

        let run = |x: &Var| attention.forward(x, x, x, &AttentionMasks::none());
        prop_assert!(close(&run(&swapped(&x, 0, t - 1)).value(), &swapped(&run(&x), 0, t - 1).value()));
    }

    #[test]
    fn rows_of_a_batch_are_independent(norm_first: bool, batch in 2usize..4, t in 1usize..5, seed: u64) {
        manual_seed(seed);
        let (encoder, decoder) = (encoder(norm_first), decoder(norm_first));
        check_batch_independence(|x| encoder.forward(x, &AttentionMasks::causal()), &randn(&[batch, t, WIDTH])).unwrap();
        // Target and memory side by side, so that a row has both.
        let both = |x: &Var| {
            decoder.forward(&x.narrow(1, 0, t), &x.narrow(1, t, 2), &DecoderMasks::causal())
        };
        check_batch_independence(both, &randn(&[batch, t + 2, WIDTH])).unwrap();
    }

    /// The lecture's poll: without positions, a swap of two embeddings swaps two outputs and leaves the others, the last
    /// one for instance, as they were. A learned position added to each input ends that.
    #[test]
    fn order_counts_only_with_positions(norm_first: bool, t in 3usize..6, i in 0usize..5, seed: u64) {
        manual_seed(seed);
        // Two places before the last one.
        let (i, j) = (i % (t - 2), t - 2);
        let encoder = encoder(norm_first);
        let (x, positions) = (randn(&[2, t, WIDTH]), randn(&[t, WIDTH]));
        let run = |x: &Var| encoder.forward(x, &AttentionMasks::none());
        let (plain, exchanged) = (run(&x), run(&swapped(&x, i, j)));
        prop_assert!(close(&exchanged.value(), &swapped(&plain, i, j).value()));
        let last = |y: &Var| y.value().select(1, -1);
        prop_assert!(close(&last(&exchanged), &last(&plain)));
        let (placed, exchanged) = (run(&(&x + &positions)), run(&(swapped(&x, i, j) + &positions)));
        prop_assert!(!last(&exchanged).allclose(&last(&placed), 1e-6, 1e-6));
    }

    #[test]
    fn the_order_of_the_memory_does_not_count(norm_first: bool, s in 2usize..6, seed: u64) {
        manual_seed(seed);
        let decoder = decoder(norm_first);
        let (tgt, memory) = (randn(&[1, 3, WIDTH]), randn(&[1, s, WIDTH]));
        let run = |memory: &Var| decoder.forward(&tgt, memory, &DecoderMasks::causal()).value();
        prop_assert!(close(&run(&swapped(&memory, 0, s - 1)), &run(&memory)));
    }

    #[test]
    fn causal_models_never_look_ahead(norm_first: bool, t in 2usize..7, change in 1usize..7, seed: u64) {
        manual_seed(seed);
        let change = change.min(t - 1);
        let (encoder, decoder) = (encoder(norm_first), decoder(norm_first));
        let (x, memory) = (randn(&[2, t, WIDTH]), randn(&[2, 3, WIDTH]));
        let other = Var::cat(&[x.narrow(1, 0, change), randn(&[2, t - change, WIDTH])], 1);
        let encode = |x: &Var| encoder.forward(x, &AttentionMasks::causal()).value();
        let decode = |x: &Var| decoder.forward(x, &memory, &DecoderMasks::causal()).value();
        for (a, b) in [(encode(&x), encode(&other)), (decode(&x), decode(&other))] {
            prop_assert!(a.narrow(1, 0, change).bit_eq(&b.narrow(1, 0, change)));
            prop_assert!(!a.narrow(1, change, t - change).allclose(&b.narrow(1, change, t - change), 1e-6, 1e-6));
        }
        // A mask says the same as the flag.
        let mask = Transformer::generate_square_subsequent_mask(t);
        let masked = encoder.forward(&x, &AttentionMasks { attn_mask: Some(mask), ..AttentionMasks::none() });
        prop_assert!(close(&masked.value(), &encode(&x)));
    }

    #[test]
    fn padding_does_not_matter(norm_first: bool, t in 1usize..5, padding in 1usize..4, seed: u64) {
        manual_seed(seed);
        let (encoder, decoder) = (encoder(norm_first), decoder(norm_first));
        let (x, tgt) = (randn(&[2, t, WIDTH]), randn(&[2, 3, WIDTH]));
        let padded = Var::cat(&[x.clone(), randn(&[2, padding, WIDTH])], 1);
        let blocked = Tensor::cat(&[Tensor::zeros([2, t], DType::Bool), Tensor::ones([2, padding], DType::Bool)], 1);
        let masks = AttentionMasks { key_padding_mask: Some(blocked), ..AttentionMasks::none() };
        let encoded = encoder.forward(&padded, &masks);
        prop_assert!(close(&encoded.value().narrow(1, 0, t), &encoder.forward(&x, &AttentionMasks::none()).value()));
        let with_memory = |memory: &Var, masks: AttentionMasks| {
            decoder.forward(&tgt, memory, &DecoderMasks { tgt: AttentionMasks::causal(), memory: masks }).value()
        };
        prop_assert!(close(&with_memory(&padded, masks), &with_memory(&x, AttentionMasks::none())));
    }
}

#[test]
fn layers_of_a_stack_start_apart_and_matrices_xavier_uniform() {
    manual_seed(3);
    let options = TransformerOptions { num_encoder_layers: 2, num_decoder_layers: 1, ..Default::default() };
    let transformer = Transformer::with(64, 4, options);
    let state = transformer.state_dict();
    let [first, second] = [0, 1].map(|i| &state[&format!("encoder.layers.{i}.linear1.weight")]);
    assert!(!first.bit_eq(second));
    for (name, value) in &state {
        if value.ndim() > 1 {
            let bound = (6.0 / (value.dim(0) + value.dim(1)) as f64).sqrt();
            let largest = value.abs().max().item::<f64>();
            assert!(largest <= bound && largest > 0.95 * bound, "{name}: {largest}, {bound}");
        } else if name.contains("norm") && name.ends_with("weight") {
            assert!(value.bit_eq(&value.ones_like()), "{name}");
        }
    }
}

#[test]
fn dropout_acts_in_training_only() {
    manual_seed(4);
    let options =
        TransformerOptions { num_encoder_layers: 1, num_decoder_layers: 1, dropout: 0.3, ..Default::default() };
    let transformer = Transformer::with(8, 2, options);
    let [src, tgt] = [4, 3].map(|t| Var::new(Tensor::randn([t, 2, 8], DType::F32)));
    let run = || transformer.forward(&src, &tgt, &TransformerMasks::causal()).value();
    assert!(!run().bit_eq(&run()));
    transformer.eval();
    assert!(run().bit_eq(&run()));
}

#[test]
fn what_does_not_fit_is_refused() {
    let var = |shape: &[usize]| Var::new(Tensor::zeros(shape, DType::F64));
    let (encoder, decoder) = (encoder(false), decoder(false));
    let good = var(&[2, 3, WIDTH]);
    let masks = AttentionMasks { attn_mask: Some(Tensor::ones([2, 2], DType::Bool)), ..AttentionMasks::none() };
    refuses! {
        TransformerEncoderLayer::new(6, 4) => "the heads do not divide the width", "embed_dim 6   num_heads 4";
        Transformer::with(6, 2, TransformerOptions { dropout: 2.0, ..Default::default() }) => "not between 0 and 1, p = 2";
        encoder.forward(&var(&[2, 3, 5]), &AttentionMasks::none()) => "MultiheadAttention: the inputs do not fit";
        encoder.forward(&good, &masks) => "attn_mask does not fit", "rule [3, 3] or [4, 3, 3]";
        decoder.forward(&good, &var(&[1, 3, WIDTH]), &DecoderMasks::default()) => "the inputs do not fit";
    }
}
