//! Steps that shrink with all the squared gradients seen so far.

use tensor::{ElementStep, Real, Tensor};

use crate::rule::{decayed, not_negative};
use crate::{Descent, Gradient, Rule, Setting};

/// Adagrad: with the gradient `g` (negated to maximize) at step `t`, learning rate γ, its decay η, weight decay λ
///
/// ```text
/// g ← g + λ p
/// s ← s + g²
/// p ← p - γ / (1 + (t - 1) η) · g / (√s + ε)
/// ```
///
/// Kept is `sum` s, which starts from `initial_accumulator_value`.
///
/// # Differs
/// The sum is there from a parameter's first step on, not before it, and starts from the value of the parameter's group;
/// PyTorch overlooks a group's own.
///
/// # Source
/// Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", 2011, figure 1,
/// in PyTorch's form.
///
/// ```
/// use nn::prelude::*;
/// use optim::{Adagrad, Optimizer};
///
/// let w = Parameter::new(Tensor::from([1f64, 1.0]));
/// let mut optimizer = Adagrad::new(vec![w.clone()]);
/// (&*w * &Var::new(Tensor::from([5f64, 0.0]))).sum().backward();
/// optimizer.step();
/// assert!(w.value().allclose(&Tensor::from([0.99, 1.0]), 0.0, 1e-8));
/// ```
pub type Adagrad = Descent<AdagradOptions>;

/// Options of [`Adagrad`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdagradOptions {
    /// Learning rate γ (default: 1e-2).
    pub lr: f64,
    /// Decay η of the learning rate (default: 0).
    pub lr_decay: f64,
    /// Weight decay λ, added to the gradient (default: 0).
    pub weight_decay: f64,
    /// What the sum of squares starts from (default: 0).
    pub initial_accumulator_value: f64,
    /// Added to the denominator (default: 1e-10).
    pub eps: f64,
    /// Goes up instead of down (default: false).
    pub maximize: bool,
}

impl Default for AdagradOptions {
    fn default() -> AdagradOptions {
        AdagradOptions {
            lr: 1e-2,
            lr_decay: 0.0,
            weight_decay: 0.0,
            initial_accumulator_value: 0.0,
            eps: 1e-10,
            maximize: false,
        }
    }
}

/// One step, with what does not depend on the element worked out.
#[derive(Clone, Copy)]
struct AdagradStep {
    options: AdagradOptions,
    /// `γ / (1 + (t - 1) η)`.
    step_size: f64,
}

impl ElementStep<1> for AdagradStep {
    #[inline(always)]
    fn call<T: Real>(self, p: T, g: T, [s]: [T; 1]) -> (T, [T; 1]) {
        let g = decayed(p, g, self.options.maximize, self.options.weight_decay);
        let s = s + g * g;
        (p - T::of(self.step_size) * g / (s.sqrt() + T::of(self.options.eps)), [s])
    }
}

impl Rule for AdagradOptions {
    const NAME: &'static str = "Adagrad";

    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        each("lr", Setting::Number(&mut self.lr));
        each("lr_decay", Setting::Number(&mut self.lr_decay));
        each("weight_decay", Setting::Number(&mut self.weight_decay));
        each("initial_accumulator_value", Setting::Number(&mut self.initial_accumulator_value));
        each("eps", Setting::Number(&mut self.eps));
        each("maximize", Setting::Flag(&mut self.maximize));
    }

    fn kept(&self) -> &'static [&'static str] {
        &["sum"]
    }

    fn initial(&self, _name: &str, parameter: &Tensor) -> Tensor {
        parameter.full_like(self.initial_accumulator_value)
    }

    fn update(&self, parameter: &mut Tensor, gradient: Gradient<'_>, kept: &mut [Tensor], step: u64) {
        let [sum] = kept else { unreachable!("Adagrad keeps one tensor") };
        let step_size = self.lr / (1.0 + (step - 1) as f64 * self.lr_decay);
        gradient.step_(Self::NAME, parameter, [sum], AdagradStep { options: *self, step_size });
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("lr_decay", self.lr_decay)?;
        not_negative("weight_decay", self.weight_decay)?;
        not_negative("initial_accumulator_value", self.initial_accumulator_value)?;
        not_negative("eps", self.eps)
    }
}
