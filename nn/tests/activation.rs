//! Activations: gradients away from the kinks, defaults, and what is refused.

mod common;

use autograd::gradcheck;
use common::refuses;
use nn::prelude::*;
use nn::strategy::{activations, check_batch_independence};
use proptest::prelude::*;

const F64: DType = DType::F64;

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_and_rows(case in activations()) {
        case.check_gradients().unwrap();
        if case.input.ndim() > 1 {
            check_batch_independence(|x| case.module.forward(x), &case.input).unwrap();
        }
    }

    #[test]
    fn slopes_of_channels(c in 1usize..4, shape in proptest::collection::vec(1usize..3, 0..2), seed: u64) {
        manual_seed(seed);
        let options = PReLUOptions { num_parameters: c, dtype: F64, ..Default::default() };
        let layer = PReLU::with(options);
        init::normal_(&layer.weight, 0.5, 0.5);
        let x = Tensor::randn([&[2, c], &shape[..]].concat(), F64);
        let x = Var::new(&x + &(x.sign() * 0.1)).requires_grad_(true);
        gradcheck(|v| layer.forward(&v[0]), std::slice::from_ref(&x), Default::default()).unwrap();
        nn::gradcheck_parameters(&layer, || layer.forward(&x), Default::default()).unwrap();
    }
}

#[test]
fn defaults_are_pytorchs() {
    let x = Var::new(Tensor::linspace(-3.0, 3.0, 40, F64).reshape([4, 10]));
    let same = |a: &dyn Forward, b: Var| assert!(a.forward(&x).value().bit_eq(&b.value()), "{}", a.type_name());
    same(&LeakyReLU::default(), x.leaky_relu(0.01));
    same(&ELU::default(), x.elu(1.0));
    same(&CELU::default(), x.celu(1.0));
    same(&Softplus::default(), x.softplus(1.0, 20.0));
    same(&Hardtanh::default(), x.hardtanh(-1.0, 1.0));
    same(&Softshrink::default(), x.softshrink(0.5));
    same(&Hardshrink::default(), x.hardshrink(0.5));
    same(&GLU::default(), x.glu(1));
    same(&GELU::default(), x.gelu());
    let slopes = PReLU::default();
    slopes.to_dtype(F64);
    same(&slopes, x.leaky_relu(0.25));
    assert_eq!(PReLU::new().weight.dtype(), DType::F32);
}

#[test]
fn gumbel_softmax_draws_the_classes_as_often_as_their_probabilities_say() {
    manual_seed(3);
    let probabilities = [0.1f64, 0.2, 0.7];
    let logits = Var::new(Tensor::from(probabilities.map(f64::ln))).expand([20_000, 3]);
    let hard = functional::gumbel_softmax(&logits, 0.5, true, -1).value();
    assert!(hard.sum_dim(1, false).bit_eq(&Tensor::ones([20_000], F64)));
    let often = hard.mean_dim(0, false);
    assert!(often.allclose(&Tensor::from(probabilities), 0.0, 0.015), "{often}");
    let soft = functional::gumbel_softmax(&logits, 0.5, false, 1).value();
    assert!(soft.sum_dim(1, false).allclose(&Tensor::ones([20_000], F64), 0.0, 1e-12));
    // The largest element is in each class as often as a hard sample.
    let largest = soft.argmax(1, false).one_hot(3).to_dtype(F64).mean_dim(0, false);
    assert!(largest.allclose(&Tensor::from(probabilities), 0.0, 0.015), "{largest}");
}

#[test]
fn a_hard_sample_has_the_gradient_of_the_soft_one() {
    let gradient = |hard: bool| {
        manual_seed(4);
        let x = Var::new(Tensor::from([[0.3f64, -0.2, 1.0], [0.0, 2.0, -1.0]])).requires_grad_(true);
        let y = functional::gumbel_softmax(&x, 0.7, hard, 1);
        (y * Var::new(Tensor::from([1.0f64, 2.0, 4.0]))).sum().backward();
        x.grad().unwrap().value()
    };
    let soft = gradient(false);
    assert!(gradient(true).bit_eq(&soft) && soft.abs().max().item::<f64>() > 0.01);
    // With the noise of one seed the sample is a function of the logits.
    let x = Var::new(Tensor::from([0.3f64, -0.2, 1.0])).requires_grad_(true);
    let sample = |v: &[Var]| {
        manual_seed(5);
        functional::gumbel_softmax(&v[0], 0.7, false, 0)
    };
    gradcheck(sample, &[x], Default::default()).unwrap();
}

#[test]
fn refusals() {
    let x = Var::new(Tensor::zeros([2, 3], DType::F32));
    refuses! {
        Hardtanh::with(1.0, 1.0) => "Hardtanh: the bounds are the wrong way round\n  min_val 1   max_val 1";
        Softshrink::with(-1.0).forward(&x) => "softshrink: lambd is a distance, got -1";
        CELU::with(0.0).forward(&x) => "celu: alpha must not be 0";
        GLU::new().forward(&x) => "glu: dimension 1 of odd size 3 has no halves";
        PReLU::with(PReLUOptions { num_parameters: 2, ..Default::default() }).forward(&x) => "prelu: the weight is neither one number nor one per channel";
        functional::gumbel_softmax(&x, 1.0, true, 2) => "dimension 2 is out of range";
    }
}
