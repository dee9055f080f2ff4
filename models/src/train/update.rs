//! What changes the weights: AdamW, and exact copies of weights that are stored in half precision.

use nn::prelude::*;
use nn::utils::get_total_norm;
use optim::{AdamW, AdamWOptions, Optimizer, ParamGroup, StateError};
use tensor::DType;

/// AdamW over the parameters of `model` that require gradients, with weight decay on matrices only.
///
/// # Panics
/// When no parameter requires a gradient.
#[track_caller]
pub fn adamw(model: &dyn Module, lr: f64, betas: (f64, f64), weight_decay: f64) -> AdamW {
    over(trainable(model), lr, betas, weight_decay)
}

/// The parameters of `model` that are not frozen.
fn trainable(model: &dyn Module) -> Vec<Parameter> {
    model.parameters().into_iter().filter(|parameter| parameter.requires_grad()).collect()
}

fn over(parameters: Vec<Parameter>, lr: f64, betas: (f64, f64), weight_decay: f64) -> AdamW {
    let (matrices, vectors) = parameters.into_iter().partition(|p| p.value().ndim() >= 2);
    let group =
        |params, weight_decay| ParamGroup::new(params, AdamWOptions { lr, betas, weight_decay, ..Default::default() });
    AdamW::with_groups(vec![group(matrices, weight_decay), group(vectors, 0.0)])
}

/// AdamW over a model whose parameters may be f32, f64, bf16 or f16.
///
/// A step changes a weight by about a thousandth of itself, which bf16, with 8 bits, would round away. So each
/// parameter in half precision has a **master** in f32: gradients are added up there, the optimizer changes it, and the
/// parameter is its rounded value.
///
/// # Source
/// Micikevicius et al., "Mixed Precision Training", 2018, section 3.1.
pub(super) struct Update {
    pub(super) optimizer: AdamW,
    /// What the optimizer changes: parameters of the model, and masters in the place of halves.
    changed: Vec<Parameter>,
    halves: Vec<Half>,
}

/// A parameter in half precision.
struct Half {
    name: String,
    parameter: Parameter,
    master: Parameter,
}

impl Update {
    pub(super) fn new(model: &dyn Module, lr: f64, betas: (f64, f64), weight_decay: f64) -> Update {
        let mut halves: Vec<Half> = Vec::new();
        let mut changed = Vec::new();
        for (name, parameter) in model.named_parameters().into_iter().filter(|(_, p)| p.requires_grad()) {
            if matches!(parameter.dtype(), DType::BF16 | DType::F16) {
                let master = Parameter::new(parameter.value().to_dtype(DType::F32));
                changed.push(master.clone());
                halves.push(Half { name, parameter, master });
            } else {
                changed.push(parameter);
            }
        }
        Update { optimizer: over(changed.clone(), lr, betas, weight_decay), changed, halves }
    }

    /// Forgets the gradients.
    pub(super) fn zero_grad(&self) {
        self.changed.iter().for_each(|parameter| parameter.zero_grad());
        self.halves.iter().for_each(|half| half.parameter.zero_grad());
    }

    /// After a backward pass: adds the gradients in half precision to those of the masters.
    pub(super) fn collect(&self) {
        for Half { parameter, master, .. } in &self.halves {
            if let Some(gradient) = parameter.grad() {
                let gradient = gradient.value().to_dtype(DType::F32);
                let sum = match master.grad() {
                    Some(before) => before.value() + gradient,
                    None => gradient,
                };
                master.set_grad(Some(Var::new(sum)));
                parameter.zero_grad();
            }
        }
    }

    /// The norm of the gradient, all parameters together.
    pub(super) fn gradient_norm(&self) -> f64 {
        get_total_norm(&self.changed, 2.0)
    }

    /// One step at the learning rate `lr` with `factor` times the gradient.
    pub(super) fn step(&mut self, lr: f64, factor: f64) {
        self.set_rate(lr);
        self.optimizer.step_scaled(factor);
        for Half { parameter, master, .. } in &self.halves {
            parameter.set_value(master.value().to_dtype(parameter.dtype()));
        }
    }

    /// Sets the learning rate of all parameters.
    pub(super) fn set_rate(&mut self, lr: f64) {
        self.optimizer.set_learning_rates(&[lr, lr]);
    }

    /// The state of the optimizer.
    pub(super) fn optimizer_state(&self) -> StateDict {
        self.optimizer.state_dict()
    }

    /// The masters under the names of their parameters; empty when there are none.
    pub(super) fn masters(&self) -> StateDict {
        self.halves.iter().map(|half| (half.name.clone(), half.master.value())).collect()
    }

    /// Takes over a state after `step` steps; the parameters of the model have their values already.
    ///
    /// # Errors
    /// What does not fit, in one line; nothing is changed then.
    pub(super) fn load(&mut self, optimizer: &StateDict, masters: &StateDict, step: usize) -> Result<(), String> {
        let names: Vec<&String> = self.halves.iter().map(|half| &half.name).collect();
        if !masters.keys().eq(names.iter().copied()) && {
            // Files hold their tensors in the order of their names.
            let (mut have, mut need) = (masters.keys().collect::<Vec<_>>(), names);
            have.sort_unstable();
            need.sort_unstable();
            have != need
        } {
            return Err("the f32 masters are not those of the parameters in half precision".to_owned());
        }
        for Half { name, parameter, .. } in &self.halves {
            let (master, value) = (&masters[name], parameter.value());
            if master.dtype() != DType::F32 || !master.to_dtype(value.dtype()).bit_eq(&value) {
                return Err(format!("the f32 master of {name} does not round to the parameter"));
            }
        }
        for number in 0..self.changed.len() {
            if let Some(found) = optimizer.get(&format!("state.{number}.step"))
                && !(found.dtype() == DType::I64 && found.numel() == 1 && found.item::<i64>() == step as i64)
            {
                return Err(format!("the optimizer's state.{number}.step is not {step}"));
            }
        }
        let options: Vec<AdamWOptions> = self.optimizer.param_groups().iter().map(|group| group.options).collect();
        self.optimizer.load_state_dict(optimizer).map_err(|e: StateError| e.to_string())?;
        // The options are those of this run; the rate is set at each step.
        for (group, options) in self.optimizer.param_groups_mut().iter_mut().zip(options) {
            group.options = options;
        }
        for Half { name, master, .. } in &self.halves {
            master.set_value(masters[name].clone());
        }
        Ok(())
    }
}

/// The mean of losses, kept as their sum.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    pub(super) fn add(&mut self, x: f64) {
        self.sum += x;
        // The one in a file may be any.
        self.count = self.count.saturating_add(1);
    }

    /// NaN without numbers.
    pub(super) fn value(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// A tensor scaled for a mean of `n`, bit for bit the same for `n = 1`.
pub(super) fn share(loss: &Var, n: usize) -> Var {
    if n == 1 { loss.clone() } else { loss.mul_scalar(1.0 / n as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::Tensor;

    use crate::{Gpt, GptConfig};

    #[test]
    fn only_matrices_decay_and_frozen_parameters_are_left_out() {
        let model = Gpt::new(GptConfig { layers: 1, heads: 2, ..GptConfig::new(7, 8, 16) }).unwrap();
        let optimizer = adamw(&model, 1e-3, (0.9, 0.99), 0.1);
        let groups = optimizer.param_groups();
        assert!(groups[0].params.iter().all(|p| p.value().ndim() == 2) && groups[0].options.weight_decay == 0.1);
        assert!(groups[1].params.iter().all(|p| p.value().ndim() == 1) && groups[1].options.weight_decay == 0.0);
        assert_eq!(groups[0].params.len() + groups[1].params.len(), model.parameters().len());
        for (name, parameter) in model.named_parameters() {
            parameter.requires_grad_(name == "norm.bias");
        }
        let groups = adamw(&model, 1e-3, (0.9, 0.99), 0.1);
        assert_eq!(groups.param_groups().iter().map(|group| group.params.len()).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_half_is_its_master_rounded_and_small_steps_add_up() {
        let weight = Parameter::new(Tensor::ones([4], DType::BF16));
        #[derive(Module)]
        struct One {
            weight: Parameter,
        }
        let model = One { weight: weight.clone() };
        let mut update = Update::new(&model, 1e-3, (0.9, 0.99), 0.0);
        for _ in 0..20 {
            update.zero_grad();
            weight.set_grad(Some(Var::new(Tensor::ones([4], DType::BF16))));
            update.collect();
            update.step(1e-3, 1.0);
        }
        // One step is less than half of bf16's spacing below 1, 2^-8; twenty steps of 1e-3 are five times as much.
        let (got, master) = (weight.value(), update.masters()["weight"].clone());
        assert_eq!(got.dtype(), DType::BF16);
        assert!((master.to_vec::<f32>()[0] - 0.98).abs() < 1e-5, "{master}");
        assert!(got.bit_eq(&master.to_dtype(DType::BF16)));
    }

    #[test]
    fn gradients_in_half_precision_are_added_up_in_single() {
        let weight = Parameter::new(Tensor::ones([1], DType::F16));
        #[derive(Module)]
        struct One {
            weight: Parameter,
        }
        let model = One { weight: weight.clone() };
        let update = Update::new(&model, 1e-3, (0.9, 0.99), 0.0);
        for x in [2048.0f64, 1.0, 1.0] {
            weight.set_grad(Some(Var::new(Tensor::full([1], x, DType::F16))));
            update.collect();
        }
        // In f16, 2048 + 1 is 2048.
        assert_eq!(update.gradient_norm(), 2050.0);
    }
}
