//! Functions of parameters, computed weights, and averages of weights, beyond what is compared with PyTorch's numbers.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::refuses;
use nn::gradcheck_parameters;
use nn::prelude::*;
use nn::utils::{
    Average, AveragedModel, SpectralNormOptions, Weighted, parameters_to_vector, spectral_norm, vector_to_parameters,
    weight_norm,
};
use proptest::prelude::*;

fn f64_input(shape: &[usize]) -> Var {
    Var::new(Tensor::randn(shape, DType::F64))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_vector_of_parameters_goes_there_and_back(sizes in prop::collection::vec(0usize..5, 2..6), seed: u64) {
        manual_seed(seed);
        let model: Vec<Linear> = sizes.windows(2).map(|pair| Linear::new(pair[0], pair[1])).collect();
        let (parameters, before) = (model.parameters(), model.state_dict());
        let vector = parameters_to_vector(&parameters);
        prop_assert_eq!(vector.numel(), model.num_parameters());
        init::zeros_(&parameters[0]);
        vector_to_parameters(&vector.value(), &parameters);
        prop_assert!(model.state_dict().iter().all(|(name, value)| value.bit_eq(&before[name])));
        (vector.square().sum() * 0.5).backward();
        for parameter in parameters {
            let gradient = parameter.grad().map(|gradient| gradient.value());
            prop_assert!(gradient.is_some_and(|gradient| gradient.bit_eq(&parameter.value())));
        }
    }

    #[test]
    fn normalised_weights_have_right_gradients(inputs in 1usize..5, outputs in 1usize..5, choice in 0usize..4, seed: u64) {
        manual_seed(seed);
        let linear = Linear::with(inputs, outputs, LinearOptions { dtype: DType::F64, ..Default::default() });
        let x = f64_input(&[3, inputs]);
        // In evaluation the singular vectors rest, as central differences need; they are constants of the gradient only
        // where they have converged.
        let check = |module: &dyn Module, forward: &dyn Fn() -> Var| {
            gradcheck_parameters(module, || forward().tanh(), Default::default()).unwrap();
        };
        match choice {
            0 | 1 => {
                let layer = weight_norm(linear, [Some(0), Some(1)][choice]);
                check(&layer, &|| layer.forward(&x));
            }
            2 => {
                let layer = weight_norm(linear, None);
                check(&layer, &|| layer.forward(&x));
            }
            _ => {
                let layer = spectral_norm(linear, SpectralNormOptions { n_power_iterations: 5, ..Default::default() });
                layer.eval();
                check(&layer, &|| layer.forward(&x));
            }
        }
    }
}

#[test]
fn a_computed_weight_is_baked_in_again() {
    let plain = Conv2d::new(2, 3, 3);
    let x = Var::new(Tensor::randn([1, 2, 5, 5], DType::F32));
    let expected = plain.forward(&x).value();
    let layer = weight_norm(plain, Some(0));
    let again = layer.into_inner();
    assert!(again.forward(&x).value().allclose(&expected, 1e-5, 1e-6));
    assert_eq!(again.state_dict().keys().collect::<Vec<_>>(), ["weight", "bias"]);
}

#[test]
fn the_spectral_norm_becomes_one() {
    let layer = spectral_norm(
        Linear::with(6, 4, LinearOptions { dtype: DType::F64, ..Default::default() }),
        SpectralNormOptions { n_power_iterations: 300, ..Default::default() },
    );
    let x = f64_input(&[1, 6]);
    layer.forward(&x);
    let u = layer.get_buffer("parametrizations.weight.0._u").unwrap().value();
    layer.eval();
    layer.forward(&x);
    assert!(u.bit_eq(&layer.get_buffer("parametrizations.weight.0._u").unwrap().value()), "it rests in evaluation");
    let gram = layer.weight().value();
    let mut v = Tensor::ones([6], DType::F64);
    (0..500).for_each(|_| v = gram.t().mv(&gram.mv(&v)).normalize(2.0, 0, 0.0));
    let largest = gram.mv(&v).vector_norm(2.0, [], false).item::<f64>();
    assert!((largest - 1.0).abs() < 1e-6, "{largest}");
}

#[test]
fn weights_of_one_dimension_are_divided_by_their_length() {
    #[derive(Debug, Module)]
    struct Scale {
        weight: Parameter,
    }
    impl Forward for Scale {
        fn forward(&self, input: &Var) -> Var {
            self.forward_with_weight(&self.weight, input)
        }
    }
    impl Weighted for Scale {
        const PARAMETRIZED: &'static str = "ParametrizedScale";
        fn weight(&self) -> &Parameter {
            &self.weight
        }
        fn forward_with_weight(&self, weight: &Var, input: &Var) -> Var {
            input * weight
        }
    }
    let scale = || Scale { weight: Parameter::new(Tensor::from([3f64, -4.0])) };
    let x = Var::new(Tensor::ones([2], DType::F64));
    let spectral = spectral_norm(scale(), Default::default());
    assert_eq!(spectral.forward(&x).to_vec::<f64>(), [0.6, -0.8]);
    assert!(spectral.buffers().is_empty());
    let normed = weight_norm(scale(), Some(0));
    assert_eq!(normed.get_parameter("parametrizations.weight.original0").unwrap().to_vec::<f64>(), [3.0, 4.0]);
    assert_eq!(normed.forward(&x).to_vec::<f64>(), [3.0, -4.0]);
}

#[test]
fn averages_are_lent_and_given_back() {
    let model = sequential![Linear::new(2, 2), BatchNorm1d::new(2)];
    let mut average = AveragedModel::new(&model, Average::Equal);
    average.update(&model);
    init::ones_(&model.parameters()[0]);
    average.update(&model);
    let before = model.state_dict();
    let inside = average.with(&model, || model.state_dict());
    assert!(inside["0.weight"].bit_eq(&average.state_dict()["module.0.weight"]));
    let same = |a: &StateDict, b: &StateDict| a.iter().all(|(name, value)| value.bit_eq(&b[name]));
    assert!(same(&before, &model.state_dict()) && !same(&inside, &before));
    let panic = catch_unwind(AssertUnwindSafe(|| average.with(&model, || panic!("inside"))));
    assert!(panic.is_err() && same(&before, &model.state_dict()));

    let other = sequential![Linear::new(2, 2), BatchNorm1d::new(2)];
    average.copy_to(&other).unwrap();
    assert!(same(&inside, &other.state_dict()));
    // The copies are the model's own, so that training changes them in place.
    let weight = other.parameters()[0].value();
    assert!(!weight.shares_storage_with(&average.state_dict()["module.0.weight"]));
}

#[test]
fn averages_refuse_another_model() {
    let mut average = AveragedModel::new(&Linear::new(2, 1), Average::Equal);
    let other = Linear::new(3, 1);
    let before = other.state_dict();
    refuses! {
        average.update(&other) => "AveragedModel: the model is another one than the average was made for", "[1, 3]";
        average.with(&other, || ()) => "AveragedModel: the model is another one than the average was made for",
            "weight: [1, 2] in the state dict, [1, 3] in the module";
    }
    assert!(average.copy_to(&other).is_err() && average.n_averaged() == 0);
    assert!(before.iter().all(|(name, value)| value.bit_eq(&other.state_dict()[name])));
}

#[test]
fn averages_are_saved_and_resumed() {
    let model = Linear::new(2, 1);
    let mut average = AveragedModel::new(&model, Average::Exponential(0.5));
    average.update(&model);
    init::zeros_(&model.weight);
    average.update(&model);
    let state = average.state_dict();
    let mut resumed = AveragedModel::new(&Linear::new(2, 1), Average::Exponential(0.5));
    resumed.load_state_dict(&state).unwrap();
    assert_eq!(resumed.n_averaged(), 2);
    init::ones_(&model.weight);
    average.update(&model);
    resumed.update(&model);
    let (a, b) = (average.state_dict(), resumed.state_dict());
    assert!(a.iter().all(|(name, value)| value.bit_eq(&b[name])));

    let mut wrong = state.clone();
    wrong["n_averaged"] = Tensor::scalar(-1i64);
    wrong["module.weight"] = Tensor::zeros([3], DType::F32);
    wrong.shift_remove("module.bias");
    wrong.insert("module.extra".to_owned(), Tensor::scalar(0f32));
    let error = resumed.load_state_dict(&wrong).unwrap_err().to_string();
    let expected = [
        "n_averaged is no count",
        "mis-shaped  module.weight: [3]",
        "missing     module.bias",
        "unexpected  module.extra",
    ];
    assert!(expected.iter().all(|problem| error.contains(problem)), "{error}");
    assert_eq!(resumed.n_averaged(), 3);
}

#[test]
fn what_does_not_fit_is_refused() {
    let average = AveragedModel::new(&Linear::new(2, 1), Average::Equal);
    refuses! {
        parameters_to_vector(&[]) => "parameters_to_vector: there is no parameter";
        vector_to_parameters(&Tensor::zeros([4], DType::F32), &Linear::new(2, 1).parameters())
            => "vector_to_parameters: the vector does not fit the parameters", "vector [4]   rule [3]";
        weight_norm(Linear::new(2, 1), Some(2)) => "weight_norm: there is no such dimension", "dim 2   weight [1, 2]";
        spectral_norm(Linear::new(2, 1), SpectralNormOptions { dim: Some(-3), ..Default::default() })
            => "spectral_norm: there is no such dimension", "dim -3   weight [1, 2]";
        spectral_norm(Linear::new(2, 1), SpectralNormOptions { n_power_iterations: 0, ..Default::default() })
            => "spectral_norm: n_power_iterations is 0, must be at least 1";
        average.clone().update(&Linear::new(3, 1)) => "AveragedModel: the model is another one";
        average.with(&Linear::new(3, 1), || ()) => "AveragedModel: the model is another one", "mis-shaped";
    }
}
