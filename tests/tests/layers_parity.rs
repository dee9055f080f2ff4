//! Every layer and loss gives PyTorch's output and PyTorch's gradients, to 1e-9 in f64 and 1e-5 in f32, from state dicts
//! that PyTorch saved. The numbers are made by `scripts/make_fixtures.py`.

use nn::prelude::*;
use tests::{Fixture, assert_close};

/// What a case computes from its float inputs.
type Function = Box<dyn Fn(&[Var]) -> Var>;

/// How a case computes its output from its float inputs, and the module whose state it loads.
struct Case {
    module: Option<Box<dyn Module>>,
    forward: Function,
}

fn attention(
    options: MultiheadAttentionOptions,
    heads: usize,
    forward: impl Fn(&MultiheadAttention, &[Var]) -> Var + 'static,
) -> Case {
    let module = std::rc::Rc::new(MultiheadAttention::with(6, heads, options));
    let shared = module.clone();
    Case { module: Some(Box::new(module)), forward: Box::new(move |x| forward(&shared, x)) }
}

fn self_attention(masks: AttentionMasks) -> impl Fn(&MultiheadAttention, &[Var]) -> Var {
    move |m, x| m.forward(&x[0], &x[0], &x[0], &masks)
}

fn case(name: &str, f: &Fixture, dtype: DType) -> Case {
    let shared = |part: &str| f.get("shared", part);
    let batch_first = MultiheadAttentionOptions { batch_first: true, ..Default::default() };
    let none = AttentionMasks::none;
    match name {
        "mha_self" => attention(batch_first, 2, self_attention(none())),
        "mha_causal" => attention(batch_first, 2, self_attention(AttentionMasks::causal())),
        "mha_padding" => {
            let masks = AttentionMasks { key_padding_mask: Some(shared("padding")), ..none() };
            attention(batch_first, 2, self_attention(masks))
        }
        "mha_float_mask" => {
            let masks = AttentionMasks { attn_mask: Some(shared("added").to_dtype(dtype)), ..none() };
            attention(batch_first, 2, self_attention(masks))
        }
        "mha_no_bias" => attention(MultiheadAttentionOptions { bias: false, ..batch_first }, 2, self_attention(none())),
        "mha_cross" => attention(batch_first, 2, |m, x| m.forward(&x[0], &x[1], &x[2], &AttentionMasks::none())),
        "mha_weights" => {
            let masks = AttentionMasks { attn_mask: Some(shared("causal")), ..none() };
            attention(batch_first, 2, move |m, x| m.forward_with_weights(&x[0], &x[0], &x[0], &masks, true).1)
        }
        "mha_weights_per_head" => attention(batch_first, 2, |m, x| {
            m.forward_with_weights(&x[0], &x[0], &x[0], &AttentionMasks::none(), false).1
        }),
        "mha_time_first" => attention(MultiheadAttentionOptions::default(), 3, self_attention(none())),
        unknown => panic!("the fixture has a case {unknown:?} that this test does not know"),
    }
}

fn check(dtype: DType, tolerance: f64) {
    let f = Fixture::load("layers");
    let cases = f.cases();
    assert!(cases.len() >= 8, "the fixture lost cases: {cases:?}");
    for name in cases {
        let Case { module, forward } = case(&name, &f, dtype);
        if let Some(module) = &module {
            module.to_dtype(dtype);
            let state = f.parts(&name, "state.").into_iter().map(|(k, t)| (k, t.to_dtype(dtype))).collect();
            module.load_state_dict(&state).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        let inputs: Vec<Var> =
            f.parts(&name, "in.").into_iter().map(|(_, t)| Var::new(t.to_dtype(dtype)).requires_grad_(true)).collect();
        let out = forward(&inputs);
        assert_eq!(out.dtype(), dtype, "{name}");
        assert_close(&name, &out.value(), &f.get(&name, "out"), tolerance);
        (&out * &Var::new(f.get(&name, "seed").to_dtype(dtype))).sum().backward();
        for (i, x) in inputs.iter().enumerate() {
            let grad = x.grad().unwrap_or_else(|| panic!("{name}: input {i} has no gradient"));
            assert_close(&format!("{name} d in.{i}"), &grad.value(), &f.get(&name, &format!("grad.in.{i}")), tolerance);
        }
        for (key, expected) in f.parts(&name, "grad.state.") {
            let parameters = module.as_ref().expect("a case with parameters has a module").named_parameters();
            let (_, parameter) =
                parameters.iter().find(|(n, _)| *n == key).unwrap_or_else(|| panic!("{name}: no {key}"));
            let grad = parameter.grad().unwrap_or_else(|| panic!("{name}: {key} has no gradient"));
            assert_close(&format!("{name} d {key}"), &grad.value(), &expected, tolerance);
        }
    }
}

#[test]
fn layers_agree_with_pytorch_in_f64() {
    check(DType::F64, 1e-9);
}

#[test]
fn layers_agree_with_pytorch_in_f32() {
    check(DType::F32, 1e-5);
}
