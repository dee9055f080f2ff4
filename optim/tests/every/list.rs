//! Every optimizer, in the forms that keep the most.

use autograd::Var;
use nn::Parameter;
use optim::*;
use tensor::Tensor;

/// Makes an optimizer of some matrices.
pub type Make = fn(Vec<Parameter>) -> Box<dyn Optimizer>;

/// Name and maker of each.
pub const EVERY: &[(&str, Make)] = &[
    ("SGD", |p| Box::new(SGD::with(p, SGDOptions { lr: 0.05, ..Default::default() }))),
    ("SGD with momentum", |p| {
        Box::new(SGD::with(p, SGDOptions { lr: 0.02, momentum: 0.9, nesterov: true, ..Default::default() }))
    }),
    ("Adam", |p| Box::new(Adam::with(p, AdamOptions { lr: 0.1, weight_decay: 1e-3, ..Default::default() }))),
    ("Adam with amsgrad", |p| Box::new(Adam::with(p, AdamOptions { lr: 0.1, amsgrad: true, ..Default::default() }))),
    ("AdamW", |p| Box::new(AdamW::with(p, AdamWOptions { lr: 0.1, ..Default::default() }))),
    ("NAdam", |p| Box::new(NAdam::with(p, NAdamOptions { lr: 0.1, ..Default::default() }))),
    ("RAdam", |p| Box::new(RAdam::with(p, RAdamOptions { lr: 0.05, ..Default::default() }))),
    ("Adamax", |p| Box::new(Adamax::with(p, AdamaxOptions { lr: 0.1, ..Default::default() }))),
    ("Adagrad", |p| {
        let options = AdagradOptions { lr: 0.5, initial_accumulator_value: 0.1, ..Default::default() };
        Box::new(Adagrad::with(p, options))
    }),
    ("Adadelta", |p| Box::new(Adadelta::with(p, AdadeltaOptions { lr: 0.5, eps: 1e-3, ..Default::default() }))),
    ("RMSprop", |p| Box::new(RMSprop::with(p, RMSpropOptions { lr: 0.02, ..Default::default() }))),
    ("RMSprop, centered", |p| {
        Box::new(RMSprop::with(p, RMSpropOptions { lr: 0.01, eps: 1e-2, centered: true, ..Default::default() }))
    }),
    ("RMSprop with momentum", |p| {
        Box::new(RMSprop::with(p, RMSpropOptions { lr: 0.005, momentum: 0.5, ..Default::default() }))
    }),
    ("RMSprop with both", |p| {
        let options = RMSpropOptions { lr: 0.005, eps: 1e-2, momentum: 0.5, centered: true, ..Default::default() };
        Box::new(RMSprop::with(p, options))
    }),
    ("Lion", |p| Box::new(Lion::with(p, LionOptions { lr: 0.02, ..Default::default() }))),
    ("Muon", |p| Box::new(Muon::with(p, MuonOptions { lr: 0.05, weight_decay: 0.0, ..Default::default() }))),
    ("LBFGS", |p| {
        Box::new(LBFGS::with(p, LBFGSOptions { lr: 0.1, max_iter: 2, history_size: 3, ..Default::default() }))
    }),
    ("LBFGS with a line search", |p| {
        let line_search_fn = Some(LineSearch::StrongWolfe);
        Box::new(LBFGS::with(p, LBFGSOptions { max_iter: 2, line_search_fn, ..Default::default() }))
    }),
];

/// One step down `Σ wᵢ (pᵢ - target)²` over all parameters, with weights from 1 to 2; the loss before it.
pub fn step(optimizer: &mut dyn Optimizer, parameters: &[Parameter], target: f64) -> f64 {
    let mut closure = || {
        parameters.iter().for_each(|parameter| parameter.zero_grad());
        let loss = parameters.iter().map(|parameter| {
            let n = parameter.numel();
            let weights = Tensor::linspace(1.0, 2.0, n, parameter.dtype()).reshape(parameter.shape());
            ((&**parameter - target).square() * Var::new(weights)).sum()
        });
        let loss = loss.reduce(|a, b| a + b).expect("a parameter");
        loss.backward();
        loss
    };
    optimizer.step_with(&mut closure).item()
}
