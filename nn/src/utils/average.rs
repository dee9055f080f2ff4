//! Averages of a model's weights over training.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tensor::{DType, Tensor};

use crate::{LoadError, Module, StateDict};

/// How weights are averaged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Average {
    /// Exponentially: `a ← decay a + (1 - decay) w` (PyTorch's `get_ema_multi_avg_fn`, default 0.999).
    Exponential(
        /// The decay.
        f64,
    ),
    /// Each equally: `a ← a + (w - a) / (n + 1)` (stochastic weight averaging).
    Equal,
}

/// A running average of the parameters of a model, to evaluate with: PyTorch's `AveragedModel`.
///
/// The first [`update`](AveragedModel::update) takes the model's parameters as they are. Buffers are taken as they are
/// every time, or averaged too when [`use_buffers`](AveragedModel::use_buffers) asks for it.
///
/// # Differs
/// It holds the averaged values, not a second model: [`with`](AveragedModel::with) lends them to the model, and
/// [`copy_to`](AveragedModel::copy_to) puts them in it (or in another one of the same kind). Buffers of integers are never
/// averaged.
///
/// # Source
/// Polyak, Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; Izmailov et al., "Averaging Weights
/// Leads to Wider Optima and Better Generalization", 2018, algorithm 1.
///
/// ```
/// use nn::prelude::*;
/// use nn::utils::{Average, AveragedModel};
///
/// let model = Linear::new(1, 1);
/// let mut average = AveragedModel::new(&model, Average::Exponential(0.9));
/// for value in [1.0, 2.0] {
///     init::constant_(&model.weight, value); // a step of training
///     average.update(&model);
/// }
/// let x = Var::new(Tensor::ones([1, 1], DType::F32));
/// init::zeros_(model.bias.as_ref().unwrap());
/// average.update(&model);
/// average.with(&model, || assert!((model.weight.item::<f32>() - 1.19).abs() < 1e-6));
/// assert_eq!(model.weight.item::<f32>(), 2.0);
/// ```
#[derive(Debug, Clone)]
pub struct AveragedModel {
    average: Average,
    use_buffers: bool,
    n_averaged: u64,
    parameters: StateDict,
    buffers: StateDict,
}

fn parameters(model: &dyn Module) -> StateDict {
    model.named_parameters().into_iter().map(|(name, parameter)| (name, parameter.value())).collect()
}

fn buffers(model: &dyn Module) -> StateDict {
    model.named_buffers().into_iter().map(|(name, buffer)| (name, buffer.value())).collect()
}

impl AveragedModel {
    /// An average that starts from the model's present values.
    pub fn new(model: &dyn Module, average: Average) -> AveragedModel {
        let (parameters, buffers) = (parameters(model), buffers(model));
        AveragedModel { average, use_buffers: false, n_averaged: 0, parameters, buffers }
    }

    /// Whether buffers are averaged too (default: false).
    pub fn use_buffers(mut self, use_buffers: bool) -> AveragedModel {
        self.use_buffers = use_buffers;
        self
    }

    /// The number of updates.
    pub fn n_averaged(&self) -> u64 {
        self.n_averaged
    }

    /// Takes in the model's present values.
    ///
    /// # Panics
    /// When the model's parameters or buffers are not those of the model that the average was made for, by name and shape.
    #[track_caller]
    pub fn update(&mut self, model: &dyn Module) {
        let weight = match self.average {
            _ if self.n_averaged == 0 => 1.0,
            Average::Exponential(decay) => 1.0 - decay,
            Average::Equal => 1.0 / (self.n_averaged + 1) as f64,
        };
        self.take(&parameters(model), |average| &mut average.parameters, weight);
        let buffer_weight = if self.use_buffers { weight } else { 1.0 };
        self.take(&buffers(model), |average| &mut average.buffers, buffer_weight);
        self.n_averaged += 1;
    }

    #[track_caller]
    fn take(&mut self, present: &StateDict, of: impl Fn(&mut AveragedModel) -> &mut StateDict, weight: f64) {
        let averaged = of(self);
        let shapes = |dict: &StateDict| dict.iter().map(|(n, t)| (n.clone(), t.dims().to_vec())).collect::<Vec<_>>();
        assert!(
            shapes(averaged) == shapes(present),
            "AveragedModel: the model is another one than the average was made for\n  average {:?}\n  model {:?}",
            shapes(averaged),
            shapes(present)
        );
        for (name, average) in averaged.iter_mut() {
            let value = &present[name];
            let mixes = weight != 1.0 && value.dtype().is_floating_point();
            *average = if mixes { average.lerp(value, weight) } else { value.clone() };
        }
    }

    /// Puts the average into a model.
    ///
    /// # Errors
    /// When its parameters or buffers are others, by name and shape; it is as before then.
    pub fn copy_to(&self, model: &dyn Module) -> Result<(), LoadError> {
        // Buffers that a state dict leaves out are none of its keys; tied parameters stand under their first name.
        let own = model.state_dict();
        let buffers = self.buffers.iter().filter(|(name, _)| own.contains_key(*name));
        let values = self.parameters.iter().chain(buffers).map(|(name, value)| (name.clone(), value.copy()));
        model.load_state_dict(&values.collect())
    }

    /// Runs `f` while the model has the average's values, which it gives back afterwards, also when `f` panics.
    ///
    /// # Panics
    /// When the model's parameters or buffers are others, by name and shape.
    #[track_caller]
    pub fn with<R>(&self, model: &dyn Module, f: impl FnOnce() -> R) -> R {
        let before = model.state_dict();
        if let Err(error) = self.copy_to(model) {
            panic!("AveragedModel: the model is another one than the average was made for\n{error}");
        }
        let result = catch_unwind(AssertUnwindSafe(f));
        model.load_state_dict(&before).expect("a model takes its own state");
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The number of updates as `n_averaged`, and the values under `module.` and their names, as PyTorch has them.
    pub fn state_dict(&self) -> StateDict {
        let values = self.parameters.iter().chain(&self.buffers);
        let values = values.map(|(name, value)| (format!("module.{name}"), value.clone()));
        std::iter::once(("n_averaged".to_owned(), Tensor::scalar(self.n_averaged as i64))).chain(values).collect()
    }

    /// Takes over the state of an average of the same kind of model.
    ///
    /// # Errors
    /// Everything that does not fit; nothing is changed then.
    pub fn load_state_dict(&mut self, dict: &StateDict) -> Result<(), Box<dyn Error>> {
        let mut loaded = self.clone();
        let mut problems = Vec::new();
        match dict.get("n_averaged") {
            Some(count) if count.dims().is_empty() && count.dtype() == DType::I64 && count.item::<i64>() >= 0 => {
                loaded.n_averaged = count.item::<i64>() as u64;
            }
            _ => problems.push("n_averaged is no count".to_owned()),
        }
        for (name, value) in loaded.parameters.iter_mut().chain(loaded.buffers.iter_mut()) {
            match dict.get(&format!("module.{name}")) {
                Some(found) if found.dims() == value.dims() => *value = found.to_dtype(value.dtype()),
                Some(found) => problems.push(format!("mis-shaped  module.{name}: {:?}", found.dims())),
                None => problems.push(format!("missing     module.{name}")),
            }
        }
        let known = self.state_dict();
        problems
            .extend(dict.keys().filter(|name| !known.contains_key(*name)).map(|name| format!("unexpected  {name}")));
        if problems.is_empty() {
            *self = loaded;
            Ok(())
        } else {
            Err(format!("load_state_dict: the state does not fit AveragedModel\n  {}", problems.join("\n  ")).into())
        }
    }
}
