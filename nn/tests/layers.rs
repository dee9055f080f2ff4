//! Layers: initial distributions, gradients over random shapes, what dropout does.

use autograd::gradcheck;
use nn::gradcheck_parameters;
use nn::prelude::*;
use proptest::prelude::*;

const F64: DType = DType::F64;

fn input(shape: &[usize]) -> Var {
    Var::new(Tensor::randn(shape, F64)).requires_grad_(true)
}

/// The gradients of a layer by its input and by its parameters.
fn check(layer: &impl Forward, x: &Var) {
    gradcheck(|v| layer.forward(&v[0]), std::slice::from_ref(x), Default::default()).unwrap();
    gradcheck_parameters(layer, || layer.forward(x), Default::default()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sequential_is_composition(width in 1usize..4, seed: u64) {
        manual_seed(seed);
        let model = sequential![Flatten::new(), Linear::new(2 * width, 3), Tanh::new(), Linear::new(3, 2)];
        model.to_dtype(F64);
        let x = input(&[2, width, 2]);
        check(&model, &x);
        let by_hand = model.iter().fold(x.clone(), |x, layer| layer.forward(&x));
        prop_assert!(model.forward(&x).value().bit_eq(&by_hand.value()));
    }
}

#[test]
fn linear_starts_uniform_within_its_bound() {
    manual_seed(1);
    let layer = Linear::with(64, 500, LinearOptions { dtype: F64, ..Default::default() });
    for parameter in layer.parameters() {
        let value = parameter.value();
        let largest = value.abs().max().item::<f64>();
        assert!(largest <= 0.125 && largest > 0.124, "{largest}");
        assert!(value.mean().item::<f64>().abs() < 0.01);
        assert!((value.var().item::<f64>() - 0.125f64.powi(2) / 3.0).abs() < 5e-4);
    }
    assert_eq!(Linear::new(0, 2).weight.numel(), 0);
}

#[test]
fn embedding_starts_standard_normal() {
    manual_seed(2);
    let table = Embedding::with(400, 50, EmbeddingOptions { dtype: F64, ..Default::default() }).weight.value();
    assert!(table.mean().item::<f64>().abs() < 0.03 && (table.var().item::<f64>() - 1.0).abs() < 0.05);
}

#[test]
fn the_same_seed_gives_the_same_model() {
    let made = |seed| {
        manual_seed(seed);
        MultiheadAttention::new(8, 2).state_dict()
    };
    let (a, b, c) = (made(3), made(3), made(4));
    assert!(a.iter().all(|(name, value)| value.bit_eq(&b[name])));
    assert!(!a["in_proj_weight"].bit_eq(&c["in_proj_weight"]));
}
