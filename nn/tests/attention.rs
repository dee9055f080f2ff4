//! Multi-head attention against a reference written head by head, and the properties that the definition implies.
//!
//! Dimensions: `b` batch, `t` queries, `s` keys, `e` embedding, `h` heads, `d` = e / h.

use autograd::gradcheck;
use nn::gradcheck_parameters;
use nn::prelude::*;
use proptest::prelude::*;

const F64: DType = DType::F64;

fn attention(e: usize, h: usize, options: MultiheadAttentionOptions) -> MultiheadAttention {
    let attention = MultiheadAttention::with(e, h, MultiheadAttentionOptions { dtype: F64, ..options });
    // Biases start at zero, where their gradients would be tested at one point only.
    for (_, parameter) in attention.named_parameters().iter().filter(|(name, _)| name.ends_with("bias")) {
        init::normal_(parameter, 0.0, 0.5);
    }
    attention
}

fn randn(shape: &[usize]) -> Var {
    Var::new(Tensor::randn(shape, F64)).requires_grad_(true)
}

/// Batch-first attention by the textbook, one batch element and one head at a time. `blocked` is `[b, h, t, s]`.
fn reference(module: &MultiheadAttention, query: &Var, key: &Var, value: &Var, blocked: &Tensor) -> (Var, Var) {
    let (e, h) = (module.embed_dim(), module.num_heads());
    let d = e / h;
    let projected = |input: &Var, part: usize| {
        let separate = [&module.q_proj_weight, &module.k_proj_weight, &module.v_proj_weight][part].as_deref().cloned();
        let weight = separate.unwrap_or_else(|| module.in_proj_weight.as_ref().unwrap().narrow(0, part * e, e));
        let y = input.matmul(&weight.t());
        match &module.in_proj_bias {
            Some(bias) => y + bias.narrow(0, part * e, e),
            None => y,
        }
    };
    let (q, k, v) = (projected(query, 0), projected(key, 1), projected(value, 2));
    let (mut outputs, mut weights) = (Vec::new(), Vec::new());
    for batch in 0..query.dim(0) {
        let (mut heads, mut head_weights) = (Vec::new(), Vec::new());
        for head in 0..h {
            let part = |x: &Var| x.select(0, batch).narrow(1, head * d, d);
            let scores = part(&q).matmul(&part(&k).t()) / (d as f64).sqrt();
            let weight = scores.masked_fill(&blocked.select(0, batch).select(0, head), f64::NEG_INFINITY).softmax(-1);
            heads.push(weight.matmul(&part(&v)));
            head_weights.push(weight);
        }
        outputs.push(Var::cat(&heads, 1));
        weights.push(Var::stack(&head_weights, 0));
    }
    (module.out_proj.forward(&Var::stack(&outputs, 0)), Var::stack(&weights, 0))
}

/// The gradients of a fixed weighted sum of `output`, by every parameter and by the inputs, which are emptied again.
fn gradients(module: &MultiheadAttention, inputs: &[&Var], output: &Var) -> Vec<Option<Tensor>> {
    let weights = (0..output.numel()).map(|i| (i as f64 * 0.7).sin()).collect();
    (output * &Var::new(Tensor::from_vec(weights, output.shape()))).sum().backward();
    let parameters = module.parameters();
    let all = inputs.iter().copied().chain(parameters.iter().map(|parameter| &**parameter));
    all.map(|var| {
        let gradient = var.grad().map(|gradient| gradient.value());
        var.zero_grad();
        gradient
    })
    .collect()
}

fn assert_same_gradients(a: &[Option<Tensor>], b: &[Option<Tensor>]) {
    for (a, b) in a.iter().zip(b) {
        assert!(a.as_ref().unwrap().allclose(b.as_ref().unwrap(), 1e-8, 1e-9), "{a:?}\n{b:?}");
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Inputs {
    SelfAttention,
    KeysAreValues,
    AllDiffer,
}

fn inputs() -> impl Strategy<Value = Inputs> {
    prop_oneof![Just(Inputs::SelfAttention), Just(Inputs::KeysAreValues), Just(Inputs::AllDiffer)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_paths_agree_with_the_reference(
        (b, t, s, h, d) in (1usize..4, 1usize..6, 1usize..6, 1usize..4, 1usize..4),
        inputs in inputs(), bias: bool, causal: bool, padded: bool, masked in 0..4u8, own_sizes: bool, seed: u64,
    ) {
        manual_seed(seed);
        let e = h * d;
        let s = if inputs == Inputs::SelfAttention { t } else { s };
        let (kdim, vdim) = match inputs {
            Inputs::AllDiffer if own_sizes => (e + 1, e + 2),
            _ => (e, e),
        };
        let options = MultiheadAttentionOptions {
            bias, batch_first: true, kdim: Some(kdim), vdim: Some(vdim), ..Default::default()
        };
        let module = attention(e, h, options);
        let query = randn(&[b, t, e]);
        let key = if inputs == Inputs::SelfAttention { query.clone() } else { randn(&[b, s, kdim]) };
        let value = if inputs == Inputs::AllDiffer { randn(&[b, s, vdim]) } else { key.clone() };

        // The first key stays visible, so that no row is all blocked.
        let visible = Tensor::arange(0.0, s as f64, 1.0, DType::I64).eq_scalar(0.0).logical_not();
        let random = |shape: &[usize]| Tensor::rand(shape, F64).lt_scalar(0.4).logical_and(&visible);
        let (padding, shared, each) = (random(&[b, s]), random(&[t, s]), random(&[b * h, t, s]));
        let additive = |mask: &Tensor| Tensor::zeros(mask.shape().clone(), F64).masked_fill(mask, f64::NEG_INFINITY);
        let masks = AttentionMasks {
            attn_mask: match masked {
                0 => None,
                1 => Some(shared.clone()),
                2 => Some(each.clone()),
                _ => Some(additive(&shared)),
            },
            key_padding_mask: padded.then(|| padding.clone()),
            is_causal: causal,
        };
        let mut blocked = Tensor::zeros([b, h, t, s], DType::Bool);
        if padded {
            blocked = blocked.logical_or(&padding.reshape([b, 1, 1, s]));
        }
        match masked {
            0 => {}
            2 => blocked = blocked.logical_or(&each.reshape([b, h, t, s])),
            _ => blocked = blocked.logical_or(&shared),
        }
        if causal {
            blocked = blocked.logical_or(&Tensor::ones([t, s], DType::Bool).triu(1));
        }

        let distinct: Vec<&Var> = match inputs {
            Inputs::SelfAttention => vec![&query],
            Inputs::KeysAreValues => vec![&query, &key],
            Inputs::AllDiffer => vec![&query, &key, &value],
        };
        let (expected, expected_weights) = reference(&module, &query, &key, &value, &blocked);
        let expected_gradients = gradients(&module, &distinct, &expected);

        let fused = module.forward(&query, &key, &value, &masks);
        prop_assert!(fused.value().allclose(&expected.value(), 1e-9, 1e-9));
        assert_same_gradients(&gradients(&module, &distinct, &fused), &expected_gradients);

        let (plain, weights) = module.forward_with_weights(&query, &key, &value, &masks, false);
        prop_assert!(plain.value().allclose(&expected.value(), 1e-9, 1e-9));
        prop_assert!(weights.value().allclose(&expected_weights.value(), 1e-9, 1e-9));
        assert_same_gradients(&gradients(&module, &distinct, &plain), &expected_gradients);

        let (_, averaged) = module.forward_with_weights(&query, &key, &value, &masks, true);
        prop_assert_eq!(averaged.shape().to_vec(), [b, t, s]);
        prop_assert!(averaged.value().allclose(&expected_weights.value().mean_dim(1, false), 1e-9, 1e-9));
    }

    #[test]
    fn gradients_agree_with_finite_differences(
        (b, t, h, d) in (1usize..3, 1usize..4, 1usize..3, 1usize..3), causal: bool, seed: u64,
    ) {
        manual_seed(seed);
        let module = attention(h * d, h, MultiheadAttentionOptions { batch_first: true, ..Default::default() });
        let masks = AttentionMasks { is_causal: causal, ..Default::default() };
        let x = randn(&[b, t, h * d]);
        let run = |x: &Var| module.forward(x, x, x, &masks);
        gradcheck(|v| run(&v[0]), std::slice::from_ref(&x), Default::default()).unwrap();
        gradcheck_parameters(&module, || run(&x), Default::default()).unwrap();
    }

    /// Swapping two embeddings swaps their outputs and leaves all others as they were.
    #[test]
    fn without_positions_order_does_not_matter(t in 2usize..6, seed: u64) {
        manual_seed(seed);
        let module = attention(6, 2, MultiheadAttentionOptions { batch_first: true, ..Default::default() });
        let (x, order) = (randn(&[2, t, 6]), Tensor::randperm(t));
        let run = |x: &Var| module.forward(x, x, x, &AttentionMasks::none()).value();
        let permuted_first = run(&x.index_select(1, &order));
        prop_assert!(permuted_first.allclose(&run(&x).index_select(1, &order), 1e-9, 1e-10));
    }

    #[test]
    fn causal_attention_never_looks_ahead(t in 2usize..7, seed: u64) {
        manual_seed(seed);
        let module = attention(4, 2, MultiheadAttentionOptions { batch_first: true, ..Default::default() });
        let x = randn(&[1, t, 4]);
        for position in 0..t - 1 {
            let y = module.forward(&x, &x, &x, &AttentionMasks::causal());
            y.narrow(1, 0, position + 1).sum().backward();
            let gradient = x.grad().unwrap().value();
            x.zero_grad();
            prop_assert_eq!(gradient.narrow(1, position + 1, t - position - 1).abs().max().item::<f64>(), 0.0);
            prop_assert!(gradient.narrow(1, 0, position + 1).abs().max().item::<f64>() > 0.0);
        }
    }

    #[test]
    fn the_layouts_agree((b, t, s) in (1usize..4, 1usize..4, 1usize..4), seed: u64) {
        manual_seed(seed);
        let (first, second) = (
            attention(4, 2, MultiheadAttentionOptions { batch_first: true, ..Default::default() }),
            attention(4, 2, MultiheadAttentionOptions::default()),
        );
        second.load_state_dict(&first.state_dict()).unwrap();
        let (query, key) = (randn(&[b, t, 4]), randn(&[b, s, 4]));
        let swapped = |x: &Var| x.transpose(0, 1);
        let none = AttentionMasks::none();
        let expected = first.forward(&query, &key, &key, &none);
        let turned = swapped(&key);
        let y = second.forward(&swapped(&query), &turned, &turned, &none);
        prop_assert!(swapped(&y).value().allclose(&expected.value(), 1e-12, 1e-12));

        for module in [&first, &second] {
            let (query, key) = (query.select(0, 0), key.select(0, 0));
            let (y, weights) = module.forward_with_weights(&query, &key, &key, &none, true);
            prop_assert!(y.value().allclose(&expected.value().select(0, 0), 1e-9, 1e-12));
            prop_assert_eq!(weights.shape().to_vec(), [t, s]);
            let fused = module.forward(&query, &key, &key, &none);
            prop_assert!(fused.value().allclose(&y.value(), 1e-9, 1e-12));
        }
    }
}

#[test]
fn parameters_start_as_in_pytorch() {
    manual_seed(1);
    let module = MultiheadAttention::new(64, 4);
    let weight = module.in_proj_weight.as_ref().unwrap().value();
    assert_eq!(weight.dims(), [192, 64]);
    let bound = (6.0f32 / 256.0).sqrt();
    let largest = weight.abs().max().item::<f32>();
    assert!(largest <= bound && largest > 0.98 * bound);
    assert_eq!(module.in_proj_bias.as_ref().unwrap().value().abs().max().item::<f32>(), 0.0);
    assert_eq!(module.out_proj.bias.as_ref().unwrap().value().abs().max().item::<f32>(), 0.0);
    assert!(module.out_proj.weight.value().abs().max().item::<f32>() <= 0.125);
    assert_eq!(
        module.to_string(),
        "MultiheadAttention(
  (out_proj): Linear(in_features=64, out_features=64, bias=True)
)"
    );

    let sizes = MultiheadAttentionOptions { kdim: Some(3), vdim: Some(5), bias: false, ..Default::default() };
    let shapes: Vec<(String, Vec<usize>)> = MultiheadAttention::with(4, 2, sizes)
        .state_dict()
        .into_iter()
        .map(|(name, value)| (name, value.dims().to_vec()))
        .collect();
    let expected = [
        ("q_proj_weight", vec![4, 4]),
        ("k_proj_weight", vec![4, 3]),
        ("v_proj_weight", vec![4, 5]),
        ("out_proj.weight", vec![4, 4]),
    ];
    assert_eq!(shapes, expected.map(|(name, shape)| (name.to_owned(), shape)));
}

#[test]
fn dropout_acts_on_the_weights_in_training_only() {
    manual_seed(2);
    let module = attention(4, 2, MultiheadAttentionOptions { dropout: 0.5, batch_first: true, ..Default::default() });
    let (x, none) = (randn(&[1, 16, 4]), AttentionMasks::none());
    let (_, weights) = module.forward_with_weights(&x, &x, &x, &none, false);
    let dropped = weights.to_vec::<f64>().iter().filter(|&&w| w == 0.0).count();
    assert!((180..330).contains(&dropped), "{dropped} of 512");
    assert!(!module.forward(&x, &x, &x, &none).value().bit_eq(&module.forward(&x, &x, &x, &none).value()));

    module.eval();
    let (plain, weights) = module.forward_with_weights(&x, &x, &x, &none, false);
    assert!(weights.to_vec::<f64>().iter().all(|&w| w > 0.0));
    assert!(weights.value().sum_dim(-1, false).allclose(&Tensor::ones([1, 2, 16], F64), 0.0, 1e-12));
    assert!(module.forward(&x, &x, &x, &none).value().allclose(&plain.value(), 1e-9, 1e-12));
}

#[test]
#[should_panic(expected = "MultiheadAttention: the heads do not divide the width\n  embed_dim 6   num_heads 4")]
fn heads_must_divide_the_width() {
    MultiheadAttention::new(6, 4);
}

#[test]
#[should_panic(expected = "MultiheadAttention: the probability of dropout is not between 0 and 1, p = 1.5")]
fn dropout_must_be_a_probability() {
    MultiheadAttention::with(4, 2, MultiheadAttentionOptions { dropout: 1.5, ..Default::default() });
}

#[test]
#[should_panic(
    expected = "MultiheadAttention: the inputs do not fit\n  query [2, 3, 4]   key [2, 3, 5]   value [2, 3, 5]   \
                           rule query [t, b, 4], key [s, b, 4], value [s, b, 4]"
)]
fn inputs_must_fit() {
    let (x, y) = (Var::new(Tensor::zeros([2, 3, 4], DType::F32)), Var::new(Tensor::zeros([2, 3, 5], DType::F32)));
    MultiheadAttention::new(4, 2).forward(&x, &y, &y, &AttentionMasks::none());
}

#[test]
#[should_panic(expected = "MultiheadAttention: attn_mask does not fit\n  mask [3, 2]   rule [2, 2] or [6, 2, 2]")]
fn the_mask_must_fit() {
    let x = Var::new(Tensor::zeros([2, 3, 4], DType::F32));
    let masks = AttentionMasks { attn_mask: Some(Tensor::zeros([3, 2], DType::Bool)), ..Default::default() };
    MultiheadAttention::new(4, 2).forward(&x, &x, &x, &masks);
}

#[test]
#[should_panic(expected = "MultiheadAttention: key_padding_mask does not fit\n  mask [2, 3]   rule [3, 2]")]
fn the_padding_must_fit() {
    let x = Var::new(Tensor::zeros([2, 3, 4], DType::F32));
    let masks = AttentionMasks { key_padding_mask: Some(Tensor::zeros([2, 3], DType::Bool)), ..Default::default() };
    MultiheadAttention::new(4, 2).forward(&x, &x, &x, &masks);
}

#[test]
#[should_panic(expected = "MultiheadAttention: attn_mask is u8, must be bool or floating")]
fn the_mask_must_be_bool_or_floating() {
    let x = Var::new(Tensor::zeros([2, 3, 4], DType::F32));
    let masks = AttentionMasks { attn_mask: Some(Tensor::zeros([2, 2], DType::U8)), ..Default::default() };
    MultiheadAttention::new(4, 2).forward(&x, &x, &x, &masks);
}

#[test]
#[should_panic(expected = "MultiheadAttention: key_padding_mask is i64, must be bool or floating")]
fn the_padding_must_be_bool_or_floating() {
    let x = Var::new(Tensor::zeros([2, 3, 4], DType::F32));
    let masks = AttentionMasks { key_padding_mask: Some(Tensor::zeros([3, 2], DType::I64)), ..Default::default() };
    MultiheadAttention::new(4, 2).forward(&x, &x, &x, &masks);
}

#[test]
fn a_query_that_may_look_at_nothing_gives_zeros_on_both_paths() {
    let (options, x) =
        (MultiheadAttentionOptions { batch_first: true, dropout: 0.5, ..Default::default() }, randn(&[1, 3, 4]));
    let module = attention(4, 2, options);
    init::zeros_(module.out_proj.bias.as_ref().unwrap());
    let blocked = Tensor::from([[false, false, false], [true, true, true], [false, true, false]]);
    let masks = AttentionMasks { attn_mask: Some(blocked), ..Default::default() };
    for training in [true, false] {
        // With dropout, training takes the plain path.
        module.set_training(training);
        let y = module.forward(&x, &x, &x, &masks);
        assert_eq!(y.value().select(1, 1).abs().max().item::<f64>(), 0.0);
        y.sum().backward();
        assert!(x.grad().unwrap().value().isfinite().all().item::<bool>());
        x.zero_grad();
    }
}
