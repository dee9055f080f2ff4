//! Every mistake that the documentation names.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nn::prelude::*;
use optim::*;

/// Asserts that `f` panics with a message that has `part` in it.
#[track_caller]
fn panics(part: &str, f: impl FnOnce()) {
    let error = catch_unwind(AssertUnwindSafe(f)).expect_err("this must panic");
    let message =
        error.downcast_ref::<String>().cloned().or_else(|| error.downcast_ref::<&str>().map(|s| s.to_string()));
    let message = message.expect("a message");
    assert!(message.contains(part), "{part:?} is not in {message:?}");
}

fn matrix() -> Vec<Parameter> {
    vec![Parameter::new(Tensor::zeros([1, 1], DType::F32))]
}

/// Options are refused when the optimizer is made, with this message after its name.
#[track_caller]
fn refused<R: Rule + Default>(change: impl FnOnce(&mut R), problem: &str) {
    let mut options = R::default();
    change(&mut options);
    assert_eq!(options.check().unwrap_err(), problem, "{}", R::NAME);
    panics(&format!("{}: {problem}", R::NAME), || drop(Descent::with(matrix(), options)));
}

macro_rules! refuses {
    ($($options:ident { $($field:ident: $value:expr),* } => $problem:expr;)*) => {$(
        refused::<$options>(|options| { $(options.$field = $value;)* }, $problem);
    )*};
}

#[test]
fn options_out_of_range() {
    refuses! {
        SGDOptions { lr: -1.0 } => "lr is -1, must not be negative";
        SGDOptions { lr: f64::NAN } => "lr is NaN, must not be negative";
        SGDOptions { momentum: -0.5 } => "momentum is -0.5, must not be negative";
        SGDOptions { weight_decay: -1.0 } => "weight_decay is -1, must not be negative";
        SGDOptions { nesterov: true } => "nesterov needs momentum above zero and no dampening";
        SGDOptions { nesterov: true, momentum: 0.9, dampening: 0.1 }
            => "nesterov needs momentum above zero and no dampening";
        AdamOptions { lr: -1.0 } => "lr is -1, must not be negative";
        AdamOptions { eps: -1.0 } => "eps is -1, must not be negative";
        AdamOptions { betas: (0.9, 1.0) } => "a beta is 1, must be at least 0 and below 1";
        AdamOptions { betas: (-0.1, 0.9) } => "a beta is -0.1, must be at least 0 and below 1";
        AdamWOptions { lr: -1.0 } => "lr is -1, must not be negative";
        AdamWOptions { weight_decay: -1.0 } => "weight_decay is -1, must not be negative";
        NAdamOptions { lr: -1.0 } => "lr is -1, must not be negative";
        NAdamOptions { eps: -1.0 } => "eps is -1, must not be negative";
        NAdamOptions { weight_decay: -1.0 } => "weight_decay is -1, must not be negative";
        NAdamOptions { momentum_decay: -1.0 } => "momentum_decay is -1, must not be negative";
        NAdamOptions { betas: (1.5, 0.9) } => "a beta is 1.5, must be at least 0 and below 1";
        RAdamOptions { lr: -1.0 } => "lr is -1, must not be negative";
        RAdamOptions { eps: -1.0 } => "eps is -1, must not be negative";
        RAdamOptions { weight_decay: -1.0 } => "weight_decay is -1, must not be negative";
        RAdamOptions { betas: (0.9, f64::NAN) } => "a beta is NaN, must be at least 0 and below 1";
        AdamaxOptions { lr: -1.0 } => "lr is -1, must not be negative";
        AdamaxOptions { eps: -1.0 } => "eps is -1, must not be negative";
        AdamaxOptions { weight_decay: -1.0 } => "weight_decay is -1, must not be negative";
        AdamaxOptions { betas: (0.9, 1.0) } => "a beta is 1, must be at least 0 and below 1";
        AdagradOptions { lr: -1.0 } => "lr is -1, must not be negative";
        AdagradOptions { lr_decay: -1.0 } => "lr_decay is -1, must not be negative";
        AdagradOptions { weight_decay: -1.0 } => "weight_decay is -1, must not be negative";
        AdagradOptions { initial_accumulator_value: -1.0 } => "initial_accumulator_value is -1, must not be negative";
        AdagradOptions { eps: -1.0 } => "eps is -1, must not be negative";
        AdadeltaOptions { lr: -1.0 } => "lr is -1, must not be negative";
        AdadeltaOptions { rho: 1.5 } => "rho is 1.5, must be from 0 to 1";
        AdadeltaOptions { eps: -1.0 } => "eps is -1, must not be negative";
        AdadeltaOptions { weight_decay: -1.0 } => "weight_decay is -1, must not be negative";
        RMSpropOptions { lr: -1.0 } => "lr is -1, must not be negative";
        RMSpropOptions { alpha: -1.0 } => "alpha is -1, must not be negative";
        RMSpropOptions { eps: -1.0 } => "eps is -1, must not be negative";
        RMSpropOptions { momentum: -1.0 } => "momentum is -1, must not be negative";
        RMSpropOptions { weight_decay: -1.0 } => "weight_decay is -1, must not be negative";
        LionOptions { lr: -1.0 } => "lr is -1, must not be negative";
        LionOptions { weight_decay: -1.0 } => "weight_decay is -1, must not be negative";
        LionOptions { betas: (0.9, 1.0) } => "a beta is 1, must be at least 0 and below 1";
        MuonOptions { lr: -1.0 } => "lr is -1, must not be negative";
        MuonOptions { momentum: -1.0 } => "momentum is -1, must not be negative";
        MuonOptions { weight_decay: -1.0 } => "weight_decay is -1, must not be negative";
        MuonOptions { ns_steps: 100 } => "ns_steps is 100, must be below 100";
    }
}

#[test]
fn parameters_that_do_not_fit() {
    panics("SGD: there is no parameter to optimize", || drop(SGD::new(Vec::new())));
    let p = matrix().remove(0);
    panics("Adam: a parameter stands twice\n  group 0   position 1   shape [1, 1]", || {
        drop(Adam::new(vec![p.clone(), p.clone()]));
    });
    panics("SGD: a parameter stands twice\n  group 1   position 0   shape [1, 1]", || {
        SGD::new(vec![p.clone()]).add_param_group(ParamGroup::new(vec![p.clone()], SGDOptions::default()));
    });
    panics("SGD: lr is -2, must not be negative", || {
        let options = SGDOptions { lr: -2.0, ..Default::default() };
        SGD::new(vec![p.clone()]).add_param_group(ParamGroup::new(matrix(), options));
    });
    panics("Muon: a parameter is no matrix\n  group 0   position 1   shape [3]", || {
        drop(Muon::new(vec![p.clone(), Parameter::new(Tensor::zeros([3], DType::F32))]));
    });
    let half = Parameter::new(Tensor::zeros([1, 1], DType::BF16));
    half.set_grad(Some(Var::new(Tensor::ones([1, 1], DType::BF16))));
    panics("Lion: an update is lost in the rounding of bf16; keep the parameter in f32", || {
        Lion::new(vec![half.clone()]).step();
    });
}

#[test]
fn rates_and_momentums_of_the_wrong_number() {
    panics("SGD: one learning rate for each group", || SGD::new(matrix()).set_learning_rates(&[0.1, 0.2]));
    panics("Adam: one momentum for each group", || Adam::new(matrix()).set_momentums(&[]));
    panics("Adagrad: there is no momentum to set", || Adagrad::new(matrix()).set_momentums(&[0.9]));
    assert_eq!(Adagrad::new(matrix()).momentums(), [None]);
}

#[test]
fn lbfgs_is_used_differently() {
    let lbfgs = || LBFGS::new(matrix());
    panics("LBFGS: a step computes the loss several times; call step_with and give it a closure", || lbfgs().step());
    panics("LBFGS: there is no momentum to set", || lbfgs().set_momentums(&[0.9]));
    panics("LBFGS: one learning rate for each group", || lbfgs().set_learning_rates(&[]));
    panics("LBFGS: there is no parameter to optimize", || drop(LBFGS::new(Vec::new())));
    panics("LBFGS: lr is -1, must not be negative", || {
        drop(LBFGS::with(matrix(), LBFGSOptions { lr: -1.0, ..Default::default() }));
    });
    let p = matrix().remove(0);
    panics("LBFGS: a parameter stands twice\n  position 1   shape [1, 1]", || {
        drop(LBFGS::new(vec![p.clone(), p.clone()]));
    });
    panics("LBFGS: the first parameter is f32, another f64\n  position 1   shape [2]", || {
        drop(LBFGS::new(vec![p.clone(), Parameter::new(Tensor::zeros([2], DType::F64))]));
    });
    panics("item: needs exactly one element, got 2", || {
        drop(lbfgs().step_with(&mut || Var::new(Tensor::zeros([2], DType::F32))));
    });
    assert_eq!(lbfgs().momentums(), [None]);
    let mut lbfgs = lbfgs();
    lbfgs.set_learning_rates(&[0.5]);
    lbfgs.param_groups_mut()[0].options.max_iter = 3;
    assert_eq!((lbfgs.learning_rates(), lbfgs.param_groups()[0].options.max_iter), (vec![0.5], 3));
}
