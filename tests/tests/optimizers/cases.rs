//! The optimizers of the cases, by name.

use nn::prelude::*;
use optim::*;

/// Something with defaults of which a case changes a few.
macro_rules! with {
    ($options:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $options { $($field: $value,)* ..Default::default() }
    };
}

/// One group.
fn one<R: Rule + 'static>(parameters: Vec<Parameter>, options: R) -> Box<dyn Optimizer> {
    Box::new(Descent::with(parameters, options))
}

/// Two groups, with two parameters in the first.
fn two<R: Rule + 'static>(mut parameters: Vec<Parameter>, first: R, second: R) -> Box<dyn Optimizer> {
    let rest = parameters.split_off(2);
    let mut optimizer = Descent::with(parameters, first);
    optimizer.add_param_group(ParamGroup::new(rest, second));
    Box::new(optimizer)
}

/// The optimizer of a case.
pub fn optimizer(name: &str, p: Vec<Parameter>) -> Box<dyn Optimizer> {
    // Three cases with the same options differ in their gradients.
    let modes = ["_rests", "_zeros", "_sparse"];
    let name =
        modes.iter().find_map(|mode| name.strip_suffix(mode)).map_or(name.to_owned(), |name| format!("{name}_modes"));
    let family = name.split('_').next().expect("a name");
    match family {
        "sgd" => sgd(&name, p),
        "adam" | "adamw" => adam(&name, p),
        "nadam" | "radam" | "adamax" => adaptive(&name, p),
        "lbfgs" => lbfgs(&name, p),
        _ => other(&name, p),
    }
}

fn unknown(name: &str) -> ! {
    panic!("the fixture has a case {name:?} that this test does not know")
}

fn sgd(name: &str, p: Vec<Parameter>) -> Box<dyn Optimizer> {
    let options = match name {
        "sgd" => with!(SGDOptions {}),
        "sgd_lr" => with!(SGDOptions { lr: 0.1 }),
        "sgd_momentum" => with!(SGDOptions { lr: 0.1, momentum: 0.9 }),
        "sgd_nesterov" => with!(SGDOptions { lr: 0.1, momentum: 0.9, nesterov: true }),
        "sgd_dampening" => with!(SGDOptions { lr: 0.1, momentum: 0.9, dampening: 0.3, weight_decay: 0.01 }),
        "sgd_maximize" => with!(SGDOptions { lr: 0.1, weight_decay: 0.05, maximize: true }),
        "sgd_modes" => with!(SGDOptions { lr: 0.1, momentum: 0.9, dampening: 0.1, weight_decay: 0.01 }),
        "sgd_groups" => {
            let second = with!(SGDOptions { lr: 0.02, momentum: 0.8 });
            return two(p, with!(SGDOptions { lr: 0.1, weight_decay: 0.1 }), second);
        }
        _ => unknown(name),
    };
    one(p, options)
}

fn adam(name: &str, p: Vec<Parameter>) -> Box<dyn Optimizer> {
    macro_rules! both {
        ({ $($field:tt)* }) => {
            match name.starts_with("adamw") {
                true => one(p, with!(AdamWOptions { $($field)* })),
                false => one(p, with!(AdamOptions { $($field)* })),
            }
        };
        ({ $($field:tt)* } { $($second:tt)* }) => {
            match name.starts_with("adamw") {
                true => two(p, with!(AdamWOptions { $($field)* }), with!(AdamWOptions { $($second)* })),
                false => two(p, with!(AdamOptions { $($field)* }), with!(AdamOptions { $($second)* })),
            }
        };
    }
    match name.split_once('_').map_or("", |(_, variant)| variant) {
        "" => both!({}),
        "options" => both!({ lr: 0.02, betas: (0.8, 0.95), eps: 1e-6, weight_decay: 0.3 }),
        "low_betas" => both!({ lr: 0.01, betas: (0.3, 0.4) }),
        "amsgrad" => both!({ lr: 0.05, betas: (0.9, 0.9), weight_decay: 0.1, amsgrad: true }),
        "maximize" => both!({ lr: 0.01, weight_decay: 0.1, maximize: true }),
        "groups" => both!({ lr: 0.01, amsgrad: true } { lr: 0.03, betas: (0.7, 0.99) }),
        "modes" => both!({ lr: 0.02, weight_decay: 0.02, amsgrad: true }),
        "decoupled" => one(p, with!(AdamOptions { lr: 0.02, weight_decay: 0.3, decoupled_weight_decay: true })),
        _ => unknown(name),
    }
}

fn adaptive(name: &str, p: Vec<Parameter>) -> Box<dyn Optimizer> {
    match name {
        "nadam" => one(p, with!(NAdamOptions {})),
        "nadam_options" => one(p, with!(NAdamOptions { lr: 0.02, betas: (0.8, 0.95), eps: 1e-6, weight_decay: 0.3 })),
        "nadam_decoupled" => one(p, with!(NAdamOptions { lr: 0.02, weight_decay: 0.3, decoupled_weight_decay: true })),
        "nadam_maximize" => one(p, with!(NAdamOptions { lr: 0.01, weight_decay: 0.1, maximize: true })),
        "nadam_momentum_decay" => one(p, with!(NAdamOptions { lr: 0.01, momentum_decay: 0.1 })),
        "nadam_modes" => one(p, with!(NAdamOptions { lr: 0.02, weight_decay: 0.02 })),
        "nadam_groups" => {
            let second = with!(NAdamOptions { lr: 0.03, betas: (0.7, 0.99) });
            two(p, with!(NAdamOptions { lr: 0.01, eps: 1e-4 }), second)
        }
        "radam" => one(p, with!(RAdamOptions {})),
        "radam_options" => one(p, with!(RAdamOptions { lr: 0.02, betas: (0.8, 0.95), eps: 1e-6, weight_decay: 0.3 })),
        "radam_decoupled" => one(p, with!(RAdamOptions { lr: 0.02, weight_decay: 0.3, decoupled_weight_decay: true })),
        "radam_maximize" => one(p, with!(RAdamOptions { lr: 0.01, weight_decay: 0.1, maximize: true })),
        "radam_modes" => one(p, with!(RAdamOptions { lr: 0.02, weight_decay: 0.02 })),
        "radam_groups" => {
            let second = with!(RAdamOptions { lr: 0.03, betas: (0.7, 0.99) });
            two(p, with!(RAdamOptions { lr: 0.01, eps: 1e-4 }), second)
        }
        "adamax" => one(p, with!(AdamaxOptions {})),
        "adamax_options" => one(p, with!(AdamaxOptions { lr: 0.02, betas: (0.8, 0.95), eps: 1e-4, weight_decay: 0.3 })),
        "adamax_maximize" => one(p, with!(AdamaxOptions { lr: 0.01, maximize: true })),
        "adamax_modes" => one(p, with!(AdamaxOptions { lr: 0.02, weight_decay: 0.02 })),
        "adamax_groups" => {
            let second = with!(AdamaxOptions { lr: 0.03, betas: (0.7, 0.9) });
            two(p, with!(AdamaxOptions { lr: 0.01, weight_decay: 0.1 }), second)
        }
        _ => unknown(name),
    }
}

fn other(name: &str, p: Vec<Parameter>) -> Box<dyn Optimizer> {
    match name {
        "adagrad" => one(p, with!(AdagradOptions {})),
        "adagrad_options" => {
            let options = with!(AdagradOptions { lr: 0.1, lr_decay: 0.02, weight_decay: 0.2, eps: 1e-5 });
            one(p, AdagradOptions { initial_accumulator_value: 0.5, ..options })
        }
        "adagrad_maximize" => one(p, with!(AdagradOptions { lr: 0.1, maximize: true })),
        "adagrad_modes" => one(p, with!(AdagradOptions { lr: 0.1, weight_decay: 0.02 })),
        "adagrad_groups" => {
            let second = with!(AdagradOptions { lr: 0.2, eps: 1e-4 });
            two(p, with!(AdagradOptions { lr: 0.1, lr_decay: 0.1 }), second)
        }
        "adadelta" => one(p, with!(AdadeltaOptions {})),
        "adadelta_options" => one(p, with!(AdadeltaOptions { lr: 2.0, rho: 0.8, eps: 1e-4, weight_decay: 0.2 })),
        "adadelta_maximize" => one(p, with!(AdadeltaOptions { maximize: true })),
        "adadelta_modes" => one(p, with!(AdadeltaOptions { eps: 1e-4, weight_decay: 0.02 })),
        "adadelta_groups" => {
            two(p, with!(AdadeltaOptions { lr: 0.5 }), with!(AdadeltaOptions { rho: 0.95, weight_decay: 0.1 }))
        }
        "rmsprop" => one(p, with!(RMSpropOptions {})),
        "rmsprop_options" => one(p, with!(RMSpropOptions { lr: 0.005, alpha: 0.9, eps: 1e-5, weight_decay: 0.2 })),
        "rmsprop_momentum" => one(p, with!(RMSpropOptions { lr: 0.002, momentum: 0.8 })),
        "rmsprop_centered" => one(p, with!(RMSpropOptions { lr: 0.005, alpha: 0.9, eps: 1e-3, centered: true })),
        "rmsprop_both" => {
            let options = with!(RMSpropOptions { lr: 0.002, alpha: 0.9, eps: 1e-3, momentum: 0.7, centered: true });
            one(p, RMSpropOptions { weight_decay: 0.1, ..options })
        }
        "rmsprop_maximize" => one(p, with!(RMSpropOptions { maximize: true })),
        "rmsprop_modes" => {
            let options = with!(RMSpropOptions { lr: 0.005, momentum: 0.5, centered: true, eps: 1e-3 });
            one(p, RMSpropOptions { weight_decay: 0.02, ..options })
        }
        "rmsprop_groups" => {
            let second = with!(RMSpropOptions { centered: true, eps: 1e-3 });
            two(p, with!(RMSpropOptions { momentum: 0.5, lr: 0.003 }), second)
        }
        "lion" => one(p, with!(LionOptions {})),
        "lion_options" => one(p, with!(LionOptions { lr: 0.01, betas: (0.8, 0.95), weight_decay: 0.3 })),
        "lion_maximize" => one(p, with!(LionOptions { lr: 0.01, maximize: true })),
        "lion_modes" => one(p, with!(LionOptions { lr: 0.01, weight_decay: 0.1 })),
        "lion_groups" => two(p, with!(LionOptions { lr: 0.01 }), with!(LionOptions { lr: 0.003, weight_decay: 0.1 })),
        "muon" => one(p, with!(MuonOptions {})),
        "muon_options" => {
            let options = with!(MuonOptions { lr: 0.02, momentum: 0.8, nesterov: false, weight_decay: 0.3 });
            one(p, MuonOptions { eps: 1e-5, ..options })
        }
        "muon_match" => one(p, with!(MuonOptions { lr: 0.02, adjust_lr_fn: AdjustLr::MatchRmsAdamw })),
        "muon_unclamped" => one(p, with!(MuonOptions { lr: 0.02, adjust_lr_fn: AdjustLr::SpectralUnclamped })),
        "muon_iteration" => one(p, with!(MuonOptions { lr: 0.02, ns_coefficients: (2.0, -1.5, 0.5), ns_steps: 3 })),
        "muon_modes" => one(p, with!(MuonOptions { lr: 0.02 })),
        "muon_groups" => {
            let second = with!(MuonOptions { lr: 0.01, momentum: 0.3, weight_decay: 0.0 });
            two(p, with!(MuonOptions { lr: 0.02 }), second)
        }
        _ => unknown(name),
    }
}

fn lbfgs(name: &str, p: Vec<Parameter>) -> Box<dyn Optimizer> {
    let line_search_fn = Some(LineSearch::StrongWolfe);
    let options = match name {
        "lbfgs" => with!(LBFGSOptions { lr: 0.1 }),
        "lbfgs_short" => with!(LBFGSOptions { lr: 0.3, max_iter: 3, history_size: 2 }),
        "lbfgs_max_eval" => with!(LBFGSOptions { lr: 0.3, max_iter: 8, max_eval: Some(4) }),
        "lbfgs_tolerances" => {
            with!(LBFGSOptions { lr: 0.3, max_iter: 5, tolerance_grad: 1e-2, tolerance_change: 1e-3 })
        }
        "lbfgs_maximize" => with!(LBFGSOptions { lr: 0.3, max_iter: 3, maximize: true }),
        "lbfgs_wolfe" => with!(LBFGSOptions { max_iter: 4, line_search_fn: line_search_fn }),
        "lbfgs_wolfe_bowl" => with!(LBFGSOptions { max_iter: 2, lr: 30.0, line_search_fn: line_search_fn }),
        "lbfgs_wolfe_few" => {
            let options = with!(LBFGSOptions { max_iter: 3, max_eval: Some(4), history_size: 3 });
            LBFGSOptions { line_search_fn, ..options }
        }
        "lbfgs_wolfe_maximize" => {
            with!(LBFGSOptions { max_iter: 2, line_search_fn: line_search_fn, maximize: true })
        }
        _ => unknown(name),
    };
    Box::new(LBFGS::with(p, options))
}
