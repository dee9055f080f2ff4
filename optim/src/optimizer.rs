//! What all optimizers have in common.

use autograd::Var;
use nn::{Parameter, StateDict};

use crate::state::StateError;

/// Changes parameters by their gradients.
pub trait Optimizer {
    /// One step of every parameter that has a gradient.
    ///
    /// # Panics
    /// When the optimizer must compute the loss more than once and needs a closure for it
    /// ([`step_with`](Optimizer::step_with)), or a parameter is neither f32 nor f64 or has another dtype or shape than at its
    /// first step: a model is converted before its optimizer is made.
    #[track_caller]
    fn step(&mut self) {
        self.step_scaled(1.0);
    }

    /// [`step`](Optimizer::step) with the gradients multiplied by `factor` as they are read; they stay as they are. To clip
    /// in this way saves a pass over the memory of all gradients, and gives the same bits as
    /// [`clip_grad_norm_`](crate::clip_grad_norm_) before a step.
    ///
    /// # Panics
    /// As [`step`](Optimizer::step).
    ///
    /// ```
    /// use nn::prelude::*;
    /// use optim::{Optimizer, SGD, clip_coefficient, get_total_norm};
    ///
    /// let w = Parameter::new(Tensor::from([1f64, 1.0]));
    /// let mut optimizer = SGD::with(vec![w.clone()], optim::SGDOptions { lr: 1.0, ..Default::default() });
    /// (&*w * &Var::new(Tensor::from([3f64, 4.0]))).sum().backward();
    /// let norm = get_total_norm(&[w.clone()], 2.0);
    /// optimizer.step_scaled(clip_coefficient(1.0, norm));
    /// assert!(w.value().allclose(&Tensor::from([0.4f64, 0.2]), 0.0, 1e-6));
    /// ```
    fn step_scaled(&mut self, factor: f64);

    /// Computes the loss by `closure`, which empties the gradients and runs the backward pass as well, makes a step, and
    /// returns the loss: PyTorch's `step(closure)`. Gradients are recorded inside `closure`, whatever the mode outside.
    ///
    /// # Panics
    /// When a parameter is neither f32 nor f64, or has another dtype or shape than at its first step.
    ///
    /// ```
    /// use nn::prelude::*;
    /// use optim::{Optimizer, SGD};
    ///
    /// let model = Linear::new(2, 1);
    /// let x = Var::new(Tensor::ones([4, 2], DType::F32));
    /// let mut optimizer = SGD::new(model.parameters());
    /// let mut closure = || {
    ///     model.zero_grad();
    ///     let loss = model.forward(&x).square().mean();
    ///     loss.backward();
    ///     loss
    /// };
    /// let first = optimizer.step_with(&mut closure).item::<f32>();
    /// assert!(optimizer.step_with(&mut closure).item::<f32>() < first);
    /// ```
    fn step_with(&mut self, closure: &mut dyn FnMut() -> Var) -> Var {
        let loss = autograd::enable_grad(closure);
        self.step();
        loss
    }

    /// Forgets the gradient of every parameter.
    fn zero_grad(&self);

    /// The learning rate of each group.
    fn learning_rates(&self) -> Vec<f64>;

    /// Sets the learning rate of each group.
    ///
    /// # Panics
    /// When their number is not that of the groups.
    fn set_learning_rates(&mut self, rates: &[f64]);

    /// The learning rates that the groups had when they were first asked for here, which the first schedule does:
    /// PyTorch's `initial_lr`.
    fn initial_learning_rates(&mut self) -> Vec<f64>;

    /// The momentum of each group: the option `momentum`, or the first of `betas`; none for an optimizer that has
    /// neither.
    fn momentums(&self) -> Vec<Option<f64>>;

    /// Sets the momentum of each group, see [`momentums`](Optimizer::momentums).
    ///
    /// # Panics
    /// When their number is not that of the groups, or the optimizer has no momentum.
    fn set_momentums(&mut self, momentums: &[f64]);

    /// The options of the groups and what is kept for each parameter, under names such as `param_groups.0.lr` and
    /// `state.3.exp_avg`: everything that an exact resume needs. Parameters count through all groups, as in PyTorch.
    ///
    /// Names and shapes are those of PyTorch's own `state_dict()`, laid out flat: numbers are f64 tensors, counts
    /// (`step` too) i64, names bytes. `tests/scripts/optimizer_state.py` converts both ways.
    fn state_dict(&self) -> StateDict;

    /// Takes over a state dict of the same optimizer with the same groups.
    ///
    /// # Errors
    /// Everything that does not fit at once; nothing is changed then.
    fn load_state_dict(&mut self, dict: &StateDict) -> Result<(), StateError>;
}

/// Parameters and the options they share.
#[derive(Debug, Clone)]
pub struct ParamGroup<R> {
    /// The parameters.
    pub params: Vec<Parameter>,
    /// Their options.
    pub options: R,
    /// The learning rate from before the first schedule, once there is one.
    pub initial_lr: Option<f64>,
}

impl<R> ParamGroup<R> {
    /// A group of these parameters.
    pub fn new(params: Vec<Parameter>, options: R) -> ParamGroup<R> {
        ParamGroup { params, options, initial_lr: None }
    }
}
