//! Optimizers against their formulas, composed of plain tensor operations, over many steps.

use nn::prelude::*;
use optim::{Adam, AdamOptions, AdamW, AdamWOptions, Optimizer, ParamGroup, SGD, SGDOptions};
use proptest::prelude::*;

/// What a formula keeps between the steps of one parameter.
#[derive(Default)]
struct Memory {
    step: i32,
    first: Option<Tensor>,
    second: Option<Tensor>,
}

fn sgd(p: &Tensor, g: &Tensor, o: &SGDOptions, memory: &mut Memory) -> Tensor {
    let g = if o.maximize { -g } else { g.clone() };
    let g = &g + &(p * o.weight_decay);
    if o.momentum == 0.0 {
        return p - &(g * o.lr);
    }
    let buffer = match memory.first.take() {
        None => g.clone(),
        Some(buffer) => buffer * o.momentum + &g * (1.0 - o.dampening),
    };
    let direction = if o.nesterov { &g + &(&buffer * o.momentum) } else { buffer.clone() };
    memory.first = Some(buffer);
    p - &(direction * o.lr)
}

fn adam(p: &Tensor, g: &Tensor, o: &AdamOptions, decoupled: bool, memory: &mut Memory) -> Tensor {
    memory.step += 1;
    let g = if o.maximize { -g } else { g.clone() };
    let (p, g) = match decoupled {
        true => (p * (1.0 - o.lr * o.weight_decay), g),
        false => (p.clone(), &g + &(p * o.weight_decay)),
    };
    let (b1, b2) = o.betas;
    let m = memory.first.take().unwrap_or(p.zeros_like()) * b1 + &g * (1.0 - b1);
    let v = memory.second.take().unwrap_or(p.zeros_like()) * b2 + g.square() * (1.0 - b2);
    let (c1, c2) = (1.0 - b1.powi(memory.step), 1.0 - b2.powi(memory.step));
    let denominator = v.sqrt() / c2.sqrt() + o.eps;
    let next = p - (&m / &denominator) * (o.lr / c1);
    (memory.first, memory.second) = (Some(m), Some(v));
    next
}

/// Runs 60 steps of optimizer and formula on gradients that depend on the parameters, and compares after each.
fn compare(
    shapes: &[Vec<usize>],
    dtype: DType,
    tolerance: f64,
    make: impl Fn(Vec<Parameter>) -> Box<dyn Optimizer>,
    formula: impl Fn(&Tensor, &Tensor, &mut Memory) -> Tensor,
) {
    let parameters: Vec<Parameter> =
        shapes.iter().map(|shape| Parameter::new(Tensor::randn(shape.clone(), dtype))).collect();
    let mut plain: Vec<(Tensor, Memory)> = parameters.iter().map(|p| (p.value(), Memory::default())).collect();
    let mut optimizer = make(parameters.clone());
    for step in 0..60 {
        optimizer.zero_grad();
        for (position, (parameter, (value, memory))) in parameters.iter().zip(&mut plain).enumerate() {
            // Every other parameter has no gradient in every third step, and must rest then.
            if position % 2 == 1 && step % 3 == 2 {
                continue;
            }
            let target = Var::new(parameter.value().full_like(0.3));
            (&**parameter - &target).square().mul(&Var::new(parameter.value().full_like(0.5))).sum().backward();
            let gradient = &*value - 0.3;
            *value = formula(value, &gradient, memory);
        }
        optimizer.step();
        for (parameter, (value, _)) in parameters.iter().zip(&plain) {
            assert!(parameter.value().allclose(value, tolerance, tolerance), "step {step}\n{parameter:?}\n{value}");
        }
    }
}

fn shapes() -> impl Strategy<Value = Vec<Vec<usize>>> {
    proptest::collection::vec(proptest::collection::vec(0usize..9, 0..3), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sgd_follows_its_formula(
        shapes in shapes(), lr in 0.001f64..0.2, momentum in prop_oneof![Just(0.0), 0.1f64..0.95],
        dampening in prop_oneof![Just(0.0), 0.1f64..0.9], weight_decay in prop_oneof![Just(0.0), 0.01f64..0.2],
        nesterov: bool, maximize: bool, double: bool, seed: u64,
    ) {
        manual_seed(seed);
        let nesterov = nesterov && momentum > 0.0;
        let dampening = if nesterov { 0.0 } else { dampening };
        // Going up, the values grow without end.
        let lr = if maximize { lr / 100.0 } else { lr };
        let options = SGDOptions { lr, momentum, dampening, weight_decay, nesterov, maximize };
        let (dtype, tolerance) = if double { (DType::F64, 1e-12) } else { (DType::F32, 1e-4) };
        let make = |parameters| -> Box<dyn Optimizer> { Box::new(SGD::with(parameters, options)) };
        compare(&shapes, dtype, tolerance, make, |p, g, memory| sgd(p, g, &options, memory));
    }

    #[test]
    fn adam_follows_its_formula(
        shapes in shapes(), lr in 0.001f64..0.02, b1 in 0.0f64..0.95, b2 in 0.9f64..0.999, eps in 1e-8f64..1e-3,
        weight_decay in prop_oneof![Just(0.0), 0.01f64..0.2], maximize: bool, decoupled: bool, double: bool, seed: u64,
    ) {
        manual_seed(seed);
        let betas = (b1, b2);
        let options = AdamOptions { lr, betas, eps, weight_decay, maximize, ..Default::default() };
        let (dtype, tolerance) = if double { (DType::F64, 1e-11) } else { (DType::F32, 2e-2) };
        let make = |parameters| -> Box<dyn Optimizer> {
            if decoupled {
                let options = AdamWOptions { lr, betas, eps, weight_decay, maximize, ..Default::default() };
                Box::new(AdamW::with(parameters, options))
            } else {
                Box::new(Adam::with(parameters, options))
            }
        };
        compare(&shapes, dtype, tolerance, make, |p, g, memory| adam(p, g, &options, decoupled, memory));
    }
}

#[test]
fn groups_have_options_of_their_own() {
    let (a, b) = (Parameter::new(Tensor::from([1f64])), Parameter::new(Tensor::from([1f64])));
    let group =
        |parameter: &Parameter, lr| ParamGroup::new(vec![parameter.clone()], SGDOptions { lr, ..Default::default() });
    let mut optimizer = SGD::with_groups(vec![group(&a, 0.1), group(&b, 0.5)]);
    let step = |optimizer: &mut SGD| {
        optimizer.zero_grad();
        (&*a + &*b).sum().backward();
        optimizer.step();
        [a.item::<f64>(), b.item::<f64>()]
    };
    assert_eq!(step(&mut optimizer), [0.9, 0.5]);
    optimizer.param_groups_mut()[0].options.lr = 0.4;
    assert_eq!(step(&mut optimizer), [0.5, 0.0]);
    optimizer.set_learning_rates(&[0.0, 1.0]);
    assert_eq!(optimizer.learning_rates(), [0.0, 1.0]);
    assert_eq!(step(&mut optimizer), [0.5, -1.0]);
}

#[test]
fn momentum_is_read_and_set_by_group() {
    let parameters = || Linear::new(1, 1).parameters();
    let mut sgd = SGD::with(parameters(), SGDOptions { momentum: 0.5, ..Default::default() });
    assert_eq!(sgd.momentums(), [Some(0.5)]);
    sgd.set_momentums(&[0.25]);
    assert_eq!(sgd.param_groups()[0].options.momentum, 0.25);
    let mut adam = Adam::new(parameters());
    adam.add_param_group(ParamGroup::new(parameters(), AdamOptions { betas: (0.7, 0.8), ..Default::default() }));
    assert_eq!(adam.momentums(), [Some(0.9), Some(0.7)]);
    adam.set_momentums(&[0.1, 0.2]);
    assert_eq!(adam.param_groups()[1].options.betas, (0.2, 0.8));
    assert_eq!(adam.momentums(), [Some(0.1), Some(0.2)]);
}

#[test]
fn a_parameter_without_gradient_rests() {
    let layer = Linear::new(2, 2);
    let before = layer.state_dict();
    let mut optimizer = AdamW::new(layer.parameters());
    optimizer.step();
    assert!(layer.state_dict().iter().all(|(name, value)| value.bit_eq(&before[name])));
    assert!(!optimizer.state_dict().contains_key("state.0.step"));
    layer.requires_grad_(false);
    layer.forward(&Var::new(Tensor::ones([1, 2], DType::F32)));
    optimizer.step();
    assert!(layer.state_dict().iter().all(|(name, value)| value.bit_eq(&before[name])));
}

#[test]
fn momentum_may_be_turned_on_later() {
    let w = Parameter::new(Tensor::from([1f64]));
    let mut optimizer = SGD::with(vec![w.clone()], SGDOptions { lr: 0.1, ..Default::default() });
    for momentum in [0.0, 0.5, 0.5] {
        optimizer.param_groups_mut()[0].options.momentum = momentum;
        optimizer.zero_grad();
        w.sum().backward();
        optimizer.step();
    }
    // Steps of 0.1, 0.1 and 0.15.
    assert!((w.item::<f64>() - 0.65).abs() < 1e-12);
}

#[test]
fn amsgrad_may_be_turned_on_later() {
    let w = Parameter::new(Tensor::from([1f64]));
    let mut optimizer = Adam::with(vec![w.clone()], AdamOptions { lr: 0.1, ..Default::default() });
    for amsgrad in [false, true, true] {
        optimizer.param_groups_mut()[0].options.amsgrad = amsgrad;
        optimizer.zero_grad();
        w.sum().backward();
        optimizer.step();
    }
    // The means went on, so that the steps of a constant gradient all have the size of the learning rate.
    assert!((w.item::<f64>() - 0.7).abs() < 1e-7);
    let dict = optimizer.state_dict();
    assert_eq!(dict["state.0.step"].item::<i64>(), 3);
    assert!(dict["state.0.max_exp_avg_sq"].bit_eq(&dict["state.0.exp_avg_sq"]));
    // What is saved fits the options, which may have changed since the step.
    optimizer.param_groups_mut()[0].options.amsgrad = false;
    let dict = optimizer.state_dict();
    assert!(!dict.contains_key("state.0.max_exp_avg_sq"));
    optimizer.load_state_dict(&dict).unwrap();
}
