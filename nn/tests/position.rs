//! Positional encodings: their gradients, what they say about distances, and that attention is no longer blind to the order.
//!
//! Dimensions: `b` batch, `t` queries, `s` keys, `h` heads, `d` features.

mod common;

use common::refuses;
use nn::prelude::*;
use nn::strategy::{added_positions, check_batch_independence, relative_positions, rotary_positions, sizes};
use proptest::prelude::*;

const F64: DType = DType::F64;

fn randn(shape: &[usize]) -> Var {
    Var::new(Tensor::randn(shape, F64)).requires_grad_(true)
}

fn close(a: &Tensor, b: &Tensor) -> bool {
    a.dims() == b.dims() && a.allclose(b, 1e-9, 1e-9)
}

fn llama3(factor: f64, low_freq_factor: f64, high_freq_factor: f64, original_context: usize) -> RotaryScaling {
    RotaryScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context }
}

fn causal() -> Attention {
    Attention { is_causal: true, ..Default::default() }
}

fn learned(max_len: usize, d: usize) -> LearnedPositions {
    LearnedPositions::with(max_len, d, LearnedPositionsOptions { dtype: F64, ..Default::default() })
}

fn relative(max_distance: usize, d: usize, values: bool) -> RelativePositions {
    RelativePositions::with(max_distance, d, RelativePositionsOptions { values, dtype: F64 })
}

/// Equations 3 and 4 of Shaw et al. word for word: a vector for each pair of a query and a key.
fn shaw(layer: &RelativePositions, q: &Var, k: &Var, v: &Var, mask: Option<&Tensor>, offset: usize) -> Var {
    let (t, s, most) = (q.dim(-2), k.dim(-2), layer.max_distance() as i64);
    let pairs = (0..t).flat_map(|i| (0..s).map(move |j| (i + offset, j)));
    let rows: Vec<i64> = pairs.map(|(i, j)| (j as i64 - i as i64).clamp(-most, most) + most).collect();
    let rows = Tensor::from_vec(rows, [t, s]);
    let sum = k.unsqueeze(-3) + layer.key_weight.embedding(&rows);
    let scores = (q.unsqueeze(-2) * sum).sum_dim(-1, false) / (q.dim(-1) as f64).sqrt();
    let scores = match mask {
        Some(allowed) => scores.masked_fill(&allowed.logical_not(), f64::NEG_INFINITY),
        None => scores,
    };
    let values = match &layer.value_weight {
        Some(weight) => v.unsqueeze(-3) + weight.embedding(&rows),
        None => v.unsqueeze(-3),
    };
    (scores.softmax(-1).unsqueeze(-1) * values).sum_dim(-2, false)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rotations_have_right_gradients_keep_norms_and_go_on_from_an_offset(case in rotary_positions()) {
        case.check_gradients().unwrap();
        let (rotary, x) = (&case.module, &case.input);
        let y = rotary.forward(x);
        let norms = |x: &Var| x.square().sum_dim(-1, false).value();
        prop_assert!(close(&norms(&y), &norms(x)));
        let t = x.dim(-2);
        let later = rotary.forward_at(&x.narrow(-2, 1, t - 1), 1).value();
        prop_assert!(close(&later, &y.value().narrow(-2, 1, t - 1)));
        if x.ndim() > 2 {
            prop_assert!(check_batch_independence(|x| rotary.forward(x), x).is_ok());
        }
    }

    #[test]
    fn rotated_products_depend_on_the_distance_only(
        pairs in 1usize..4, interleaved: bool, (i, j, shift) in (0usize..50, 0usize..50, 0usize..1000), seed: u64,
    ) {
        manual_seed(seed);
        let options = RotaryPositionsOptions { interleaved, ..Default::default() };
        let rotary = RotaryPositions::with(2 * pairs, options);
        let (q, k) = (randn(&[1, 2 * pairs]), randn(&[1, 2 * pairs]));
        let product = |i: usize, j: usize| (rotary.forward_at(&q, i) * rotary.forward_at(&k, j)).sum().item::<f64>();
        prop_assert!((product(i, j) - product(i + shift, j + shift)).abs() < 1e-9);
    }

    #[test]
    fn added_positions_have_right_gradients_and_do_not_mix_the_batch(case in added_positions()) {
        case.check_gradients().unwrap();
        if case.input.ndim() > 2 {
            prop_assert!(check_batch_independence(|x| case.module.forward(x), &case.input).is_ok());
        }
    }

    #[test]
    fn a_shift_of_sinusoidal_positions_is_one_linear_map(d in 1usize..5, base in 2.0..20000.0f64, k in 0usize..50) {
        let positions = SinusoidalPositions::with(2 * d, SinusoidalPositionsOptions { base, ..Default::default() });
        let mut map = vec![0.0; 4 * d * d];
        for pair in 0..d {
            let (sin, cos) = (k as f64 * base.powf(-(pair as f64) / d as f64)).sin_cos();
            let at = 2 * pair;
            for (row, column, value) in [(0, 0, cos), (0, 1, sin), (1, 0, -sin), (1, 1, cos)] {
                map[(at + row) * 2 * d + at + column] = value;
            }
        }
        let map = Tensor::from_vec(map, [2 * d, 2 * d]);
        let (here, there) = (positions.table(0, 30, F64), positions.table(k, 30, F64));
        prop_assert!(close(&here.matmul(&map.t()), &there));
    }

    #[test]
    fn alibi_is_a_slope_times_the_distance((h, offset) in (1usize..20, 0usize..5), (t, s) in (0usize..5, 0usize..5)) {
        let alibi = ALiBi::new(h);
        let slopes = alibi.slopes(F64).to_vec::<f64>();
        let bias = alibi.bias_at(offset, t, s, F64);
        for (head, i, j) in (0..h).flat_map(|h| (0..t).flat_map(move |i| (0..s).map(move |j| (h, i, j)))) {
            let distance = (offset + i).abs_diff(j) as f64;
            prop_assert_eq!(bias.get::<f64>(&[head, i, j]), -slopes[head] * distance);
        }
    }

    #[test]
    fn relative_positions_have_right_gradients(case in relative_positions(), is_causal: bool) {
        let options = Attention { is_causal, ..Default::default() };
        case.check_gradients_of(|relative, x| relative.forward(x, &(x * 0.5), &x.sin(), &options)).unwrap();
        if case.input.ndim() > 2 {
            prop_assert!(check_batch_independence(|x| case.module.forward(x, x, x, &options), &case.input).is_ok());
        }
    }

    #[test]
    fn relative_positions_are_the_equations(
        (b, t, s, d) in (1usize..3, 1usize..5, 1usize..5, sizes()), (most, offset) in (0usize..4, 0usize..4),
        values: bool, mask in 0..4u8, seed: u64,
    ) {
        manual_seed(seed);
        let layer = relative(most, d, values);
        let (q, k, v) = (randn(&[b, 2, t, d]), randn(&[b, 2, s, d]), randn(&[b, 2, s, d]));
        let order: Vec<bool> = (0..t).flat_map(|i| (0..s).map(move |j| j <= i + offset)).collect();
        let order = Tensor::from_vec(order, [t, s]);
        let first = Tensor::arange(0.0, s as f64, 1.0, DType::I64).eq_scalar(0.0);
        let random = Tensor::rand([t, s], F64).lt_scalar(0.5).logical_or(&first);
        let additive = Tensor::zeros([t, s], F64).masked_fill(&random.logical_not(), f64::NEG_INFINITY);
        let (options, allowed) = match mask {
            0 => (Attention::default(), None),
            1 => (causal(), Some(order)),
            2 => (Attention { mask: Some(random.clone()), ..causal() }, Some(random.logical_and(&order))),
            _ => (Attention { mask: Some(additive), ..Default::default() }, Some(random)),
        };
        let results = [layer.forward_at(&q, &k, &v, &options, offset), shaw(&layer, &q, &k, &v, allowed.as_ref(), offset)];
        let whole = results[0].value();
        prop_assert!(close(&whole, &results[1].value()));
        let parameters = layer.parameters();
        let leaves: Vec<&Var> = [&q, &k, &v].into_iter().chain(parameters.iter().map(|p| &**p)).collect();
        let gradients = results.map(|y| {
            y.sin().sum().backward();
            leaves.iter().map(|leaf| {
                let gradient = leaf.grad().unwrap().value();
                leaf.zero_grad();
                gradient
            }).collect::<Vec<_>>()
        });
        prop_assert!(gradients[0].iter().zip(&gradients[1]).all(|(a, b)| close(a, b)));

        // The same for all pairs of one distance, as far as the queries are the same.
        let one = Var::new(Tensor::ones([t, d], F64));
        let bias = layer.bias_at(&one, s, offset).value();
        for (i, j) in (1..t).flat_map(|i| (1..s).map(move |j| (i, j))) {
            prop_assert_eq!(bias.get::<f64>(&[i, j]), bias.get::<f64>(&[i - 1, j - 1]));
        }
        if !values && mask == 0 {
            let scaled = layer.bias_at(&q, s, offset) / (d as f64).sqrt();
            let fused = q.scaled_dot_product_attention_with_mask(&k, &v, &scaled, &options);
            prop_assert!(close(&fused.value(), &whole));
        }
    }

    #[test]
    fn decoding_step_by_step_with_a_cache_is_the_whole_pass(t in 1usize..6, interleaved: bool, most in 0usize..4, seed: u64) {
        manual_seed(seed);
        let rotary = RotaryPositions::with(4, RotaryPositionsOptions { interleaved, ..Default::default() });
        let (alibi, relative) = (ALiBi::new(3), relative(most, 4, true));
        let [q, k, v] = [0; 3].map(|_| randn(&[2, 3, t, 4]));
        let with_bias = |bias: Tensor| Attention { mask: Some(bias), ..causal() };
        let whole = [
            rotary.forward(&q).scaled_dot_product_attention(&rotary.forward(&k), &v, &causal()),
            q.scaled_dot_product_attention(&k, &v, &with_bias(alibi.bias(t, t, F64))),
            relative.forward(&q, &k, &v, &causal()),
        ];
        for i in 0..t {
            let (one, keys, values) = (q.narrow(-2, i, 1), k.narrow(-2, 0, i + 1), v.narrow(-2, 0, i + 1));
            let cached: Vec<Var> = (0..=i).map(|j| rotary.forward_at(&k.narrow(-2, j, 1), j)).collect();
            let bias = Attention { mask: Some(alibi.bias_at(i, 1, i + 1, F64)), ..Default::default() };
            let steps = [
                rotary.forward_at(&one, i).scaled_dot_product_attention(&Var::cat(&cached, -2), &values, &Attention::default()),
                one.scaled_dot_product_attention(&keys, &values, &bias),
                relative.forward_at(&one, &keys, &values, &causal(), i),
            ];
            for (step, whole) in steps.iter().zip(&whole) {
                prop_assert!(close(&step.value(), &whole.value().narrow(-2, i, 1)));
            }
        }
    }

    #[test]
    fn attention_sees_the_order_once_there_are_positions(t in 2usize..6, pick in any::<[prop::sample::Index; 2]>(), seed: u64) {
        manual_seed(seed);
        let (i, j) = (pick[0].index(t), pick[1].index(t));
        prop_assume!(i != j);
        let mut order: Vec<i64> = (0..t as i64).collect();
        order.swap(i, j);
        let order = Tensor::from_vec(order, [t]);
        let options = MultiheadAttentionOptions { batch_first: true, dtype: F64, ..Default::default() };
        let attention = MultiheadAttention::with(4, 2, options);
        let attend = |x: &Var, masks: &AttentionMasks| attention.forward(x, x, x, masks);
        let none = AttentionMasks::none();
        let biased = AttentionMasks { attn_mask: Some(ALiBi::new(2).attn_mask(2, t, t, F64)), ..Default::default() };
        let (learned, sinusoidal) = (learned(t, 4), SinusoidalPositions::new(4));
        let (rotary, relative) = (RotaryPositions::new(4), relative(2, 4, true));
        let plain = Attention::default();
        // Whether the outputs are swapped as the inputs were, and are no others.
        let equivariant = |f: &dyn Fn(&Var) -> Var| {
            let x = randn(&[2, t, 4]);
            close(&f(&x.index_select(1, &order)).value(), &f(&x).value().index_select(1, &order))
        };
        prop_assert!(equivariant(&|x| attend(x, &none)));
        prop_assert!(equivariant(&|x| x.scaled_dot_product_attention(x, x, &plain)));
        prop_assert!(!equivariant(&|x| attend(&learned.forward(x), &none)), "learned");
        prop_assert!(!equivariant(&|x| attend(&sinusoidal.forward(x), &none)), "sinusoidal");
        let rotated = |x: &Var| rotary.forward(x).scaled_dot_product_attention(&rotary.forward(x), x, &plain);
        prop_assert!(!equivariant(&rotated), "rotary");
        // A sequence and its mirror image have the same distances, so that a swap that is the mirror image does not show.
        let mirrored = t == 2 || (t == 3 && i + j == 2);
        prop_assert_eq!(equivariant(&|x| attend(x, &biased)), mirrored, "ALiBi");
        prop_assert!(!equivariant(&|x| relative.forward(x, x, x, &plain)), "relative");
    }
}

#[test]
fn added_positions_go_on_from_an_offset_and_may_come_first() {
    let (learned, sinusoidal) = (learned(7, 4), SinusoidalPositions::new(4));
    let x = randn(&[2, 5, 4]);
    let whole = [learned.forward(&x), sinusoidal.forward(&x)].map(|y| y.value());
    let late = x.narrow(1, 3, 2);
    assert!(close(&learned.forward_at(&late, 3).value(), &whole[0].narrow(1, 3, 2)));
    assert!(close(&sinusoidal.forward_at(&late, 3).value(), &whole[1].narrow(1, 3, 2)));

    let first = LearnedPositions::with(7, 4, LearnedPositionsOptions { seq_dim: 0, dtype: F64, ..Default::default() });
    first.load_state_dict(&learned.state_dict()).unwrap();
    assert!(close(&first.forward(&x.transpose(0, 1)).value().transpose(0, 1), &whole[0]));
    let first = SinusoidalPositions::with(4, SinusoidalPositionsOptions { seq_dim: 0, ..Default::default() });
    assert!(close(&first.forward(&x.transpose(0, 1)).value().transpose(0, 1), &whole[1]));
}

#[test]
fn the_slopes_are_the_papers() {
    let slopes = |h: usize| ALiBi::new(h).slopes(F64).to_vec::<f64>();
    let powers = |exponents: &[f64]| exponents.iter().map(|e| (-e).exp2()).collect::<Vec<f64>>();
    assert_eq!(slopes(8), powers(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]));
    assert_eq!(slopes(16)[..3], powers(&[0.5, 1.0, 1.5]));
    assert_eq!(slopes(12), powers(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 0.5, 1.5, 2.5, 3.5]));
    assert_eq!(slopes(3), powers(&[4.0, 8.0, 2.0]));
    assert_eq!(slopes(1), powers(&[8.0]));
}

#[test]
fn what_was_computed_before_is_right_for_other_positions_and_dtypes() {
    let (sinusoidal, rotary) = (SinusoidalPositions::new(4), RotaryPositions::new(4));
    for (offset, t, dtype) in [(0, 3, F64), (0, 3, F64), (1, 3, F64), (1, 2, F64), (1, 2, DType::F32), (0, 3, F64)] {
        let x = Var::new(Tensor::ones([t, 4], dtype));
        let fresh =
            [SinusoidalPositions::new(4).forward_at(&x, offset), RotaryPositions::new(4).forward_at(&x, offset)];
        let known = [sinusoidal.forward_at(&x, offset), rotary.forward_at(&x, offset)];
        assert!(fresh.iter().zip(&known).all(|(a, b)| a.value().bit_eq(&b.value())));
    }
}

#[test]
fn initial_values() {
    manual_seed(1);
    let weight =
        LearnedPositions::with(100, 40, LearnedPositionsOptions { std: 0.5, ..Default::default() }).weight.value();
    let (mean, std) = (weight.mean().item::<f32>(), weight.std().item::<f32>());
    assert!(mean.abs() < 0.05 && (std - 0.5).abs() < 0.03, "{mean} {std}");
    let relative = RelativePositions::new(30, 39);
    for weight in relative.parameters() {
        let (bound, std) = ((6.0f32 / 100.0).sqrt(), weight.value().std().item::<f32>());
        assert!(weight.to_vec::<f32>().iter().all(|x| x.abs() <= bound));
        assert!((std - bound / 3f32.sqrt()).abs() < 0.05 * bound, "{std}");
    }
}

#[test]
fn a_query_that_may_look_at_nothing_gives_zeros_and_dropout_drops_weights() {
    let layer = relative(2, 3, true);
    let q = randn(&[2, 3]);
    let nothing = Attention { mask: Some(Tensor::zeros([2, 2], DType::Bool)), ..Default::default() };
    let y = layer.forward(&q, &q, &q, &nothing);
    assert!(y.value().bit_eq(&Tensor::zeros([2, 3], F64)));
    y.sum().backward();
    assert!(q.grad().unwrap().to_vec::<f64>().iter().all(|dq| *dq == 0.0));
    let all = Attention { dropout_p: 1.0, ..Default::default() };
    assert!(layer.forward(&q, &q, &q, &all).to_vec::<f64>().iter().all(|y| *y == 0.0));
    let none = layer.forward(&q, &q, &q, &Attention::default());
    assert!(none.to_vec::<f64>().iter().all(|y| *y != 0.0));
}

#[test]
fn printed_forms() {
    let rotary = RotaryPositionsOptions { rotary_dim: Some(4), interleaved: false, ..Default::default() };
    assert_eq!(
        RotaryPositions::with(8, rotary).to_string(),
        "RotaryPositions(8, base=10000.0, rotary_dim=4, interleaved=False)"
    );
    let scaled = |scaling| {
        let text = RotaryPositions::with(2, RotaryPositionsOptions { scaling, ..Default::default() }).to_string();
        text.split_once("interleaved=True").unwrap().1.to_string()
    };
    assert_eq!(scaled(RotaryScaling::Linear { factor: 2.5 }), ", scaling=linear(factor=2.5))");
    let dynamic = RotaryScaling::Dynamic { factor: 2.0, original_context: 8 };
    assert_eq!(scaled(dynamic), ", scaling=dynamic(factor=2.0, original_context=8))");
    assert_eq!(
        scaled(llama3(8.0, 1.0, 4.0, 8192)),
        ", scaling=llama3(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_context=8192))"
    );
    assert_eq!(ALiBi::new(8).to_string(), "ALiBi(8)");
    assert_eq!(relative(2, 3, false).to_string(), "RelativePositions(max_distance=2, head_dim=3, values=False)");
}

#[test]
fn refusals() {
    let x = |shape: &[usize]| Var::new(Tensor::zeros(shape, F64));
    let scaled = |scaling| RotaryPositions::with(4, RotaryPositionsOptions { scaling, ..Default::default() });
    let rotary = |head_dim: usize, rotary_dim: usize, base: f64| {
        let options = RotaryPositionsOptions { rotary_dim: Some(rotary_dim), base, ..Default::default() };
        RotaryPositions::with(head_dim, options)
    };
    let waves = |base: f64| SinusoidalPositions::with(2, SinusoidalPositionsOptions { base, ..Default::default() });
    let layer = relative(2, 3, true);
    let (q, grouped) = (x(&[4, 3]), Attention { enable_gqa: true, ..Default::default() });
    let plain = Attention::default();
    refuses! {
        learned(4, 2).forward(&x(&[3])) => "LearnedPositions: the input does not fit\n  input [3]   rule [.., 2] with positions in dimension -2";
        learned(4, 2).forward(&x(&[3, 3])) => "LearnedPositions: the input does not fit\n  input [3, 3]";
        learned(4, 2).forward(&x(&[5, 2])) => "LearnedPositions: the input reaches beyond the last position\n  input [5, 2]   offset 0   rule offset + 5 <= 4";
        learned(4, 2).forward_at(&x(&[2, 2]), usize::MAX) => "rule offset + 2 <= 4";
        SinusoidalPositions::new(2).forward(&x(&[5])) => "SinusoidalPositions: the input does not fit\n  input [5]   rule [.., 2]";
        SinusoidalPositions::new(2).forward(&x(&[5, 3])) => "SinusoidalPositions: the input does not fit";
        waves(0.0) => "SinusoidalPositions: the base is not a positive number, 0";
        rotary(4, 3, 10.0) => "RotaryPositions: the features that rotate are no pairs of the head's\n  rotary_dim 3   head_dim 4";
        rotary(4, 6, 10.0) => "rotary_dim 6   head_dim 4";
        RotaryPositions::new(3) => "rotary_dim 3   head_dim 3";
        scaled(RotaryScaling::Linear { factor: 0.0 }) => "RotaryPositions: the factor of the rotary scaling is not a positive number, 0";
        scaled(RotaryScaling::Dynamic { factor: 0.5, original_context: 8 }) => "not a number from 1 on, 0.5";
        scaled(RotaryScaling::Dynamic { factor: 2.0, original_context: 0 }) => "an original context of 0";
        scaled(llama3(f64::INFINITY, 1.0, 4.0, 8)) => "the factor of the rotary scaling";
        scaled(llama3(8.0, -1.0, 4.0, 8)) => "the low_freq_factor";
        scaled(llama3(8.0, 1.0, f64::NAN, 8)) => "the high_freq_factor";
        scaled(llama3(8.0, 4.0, 4.0, 8)) => "low_freq_factor is not below high_freq_factor, 4 and 4";
        scaled(llama3(8.0, 1.0, 4.0, 0)) => "an original context of 0";
        rotary(4, 4, f64::NAN) => "RotaryPositions: the base is not a positive number, NaN";
        RotaryPositions::new(4).forward(&x(&[2, 6])) => "RotaryPositions: the input does not fit\n  input [2, 6]   rule [.., 4]";
        RotaryPositions::new(4).forward(&x(&[4])) => "RotaryPositions: the input does not fit\n  input [4]";
        ALiBi::new(0) => "ALiBi: there is no head";
        layer.bias(&x(&[4, 2]), 4) => "RelativePositions: the queries do not fit\n  query [4, 2]   rule [.., t, 3]";
        layer.bias_at(&x(&[3]), 4, 1) => "RelativePositions: the queries do not fit\n  query [3]";
        layer.forward(&q, &q, &q, &grouped) => "RelativePositions: keys and values need as many heads as queries, enable_gqa is set";
        layer.forward(&q, &x(&[4, 2]), &q, &plain) => "RelativePositions: the inputs do not fit\n  query [4, 3]   key [4, 2]   value [4, 3]   rule query [.., t, 3], key [.., s, 3], value [.., s, 3]";
        layer.forward_at(&q, &q, &x(&[5, 3]), &plain, 1) => "RelativePositions: the inputs do not fit\n  query [4, 3]   key [4, 3]   value [5, 3]";
        layer.forward(&q, &q, &x(&[4, 2]), &plain) => "value [4, 2]";
        relative(2, 3, false).forward(&q, &q, &x(&[2]), &plain) => "value [2]   rule query [.., t, 3], key [.., s, 3], value [.., s, dv]";
    }
}

#[test]
fn scaled_rotations_are_the_plain_ones_of_other_positions_or_bases() {
    let with = |base, scaling| RotaryPositions::with(6, RotaryPositionsOptions { base, scaling, ..Default::default() });
    let x = randn(&[2, 5, 6]);
    let plain = with(100.0, RotaryScaling::None);
    // Position 4 with a factor of 2 is position 2.
    let linear = with(100.0, RotaryScaling::Linear { factor: 2.0 }).forward(&x).value();
    let at_two = plain.forward_at(&x.narrow(-2, 4, 1), 2).value();
    assert!(close(&linear.narrow(-2, 4, 1), &at_two));
    // Up to its original context the dynamic one is plain; beyond, all positions of the call have the larger base.
    let dynamic = with(100.0, RotaryScaling::Dynamic { factor: 3.0, original_context: 4 });
    let short = x.narrow(-2, 0, 4);
    assert!(close(&dynamic.forward(&short).value(), &plain.forward(&short).value()));
    let longer = with(100.0 * (3.0 * 5.0 / 4.0 - 2.0f64).powf(6.0 / 4.0), RotaryScaling::None);
    assert!(close(&dynamic.forward(&x).value(), &longer.forward(&x).value()));
    assert!(close(&dynamic.forward_at(&x.narrow(-2, 4, 1), 4).value(), &longer.forward(&x).value().narrow(-2, 4, 1)));
    // Rates 1, 0.1 and 0.01 turn 10, 1 and 0.1 times in 20 pi positions: kept, in the middle, slowed down.
    let rates = with(1000.0, llama3(4.0, 0.5, 1.5, 63)).rates(1);
    let turns = 6.3 / std::f64::consts::TAU;
    let middle = (turns - 0.5) * 0.1 + (1.5 - turns) * 0.025;
    assert!(close(&Tensor::from_slice(&rates, [3]), &Tensor::from([1.0, middle, 0.0025])), "{rates:?}");
    assert_eq!(
        RotaryPositions::with(
            2,
            RotaryPositionsOptions {
                scaling: RotaryScaling::Dynamic { factor: 2.0, original_context: 1 },
                ..Default::default()
            }
        )
        .rates(9),
        [1.0]
    );
}
