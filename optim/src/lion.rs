//! The sign of a momentum.

use tensor::{ElementStep, Real, Tensor};

use crate::rule::{below_one, not_negative};
use crate::{Descent, Gradient, Rule, Setting};

/// Lion: with the gradient `g` (negated to maximize), learning rate γ, betas β₁ and β₂, weight decay λ
///
/// ```text
/// c  = β₁ m + (1 - β₁) g
/// p ← p - γ (sign(c) + λ p)
/// m ← β₂ m + (1 - β₂) g
/// ```
///
/// Kept is `exp_avg` m. A step has the size of the learning rate in every element, so that this is to be some three to
/// ten times smaller than [`AdamW`](crate::AdamW)'s, and the weight decay as much larger.
///
/// # Differs
/// PyTorch has no Lion; names and defaults are those of the authors' implementation. `maximize` is added.
///
/// # Source
/// Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, algorithm 2.
///
/// ```
/// use nn::prelude::*;
/// use optim::{Lion, LionOptions, Optimizer};
///
/// let w = Parameter::new(Tensor::from([1f64, 1.0, 1.0]));
/// let mut optimizer = Lion::with(vec![w.clone()], LionOptions { lr: 0.25, ..Default::default() });
/// (&*w * &Var::new(Tensor::from([5f64, -0.1, 0.0]))).sum().backward();
/// optimizer.step();
/// assert_eq!(w.to_vec::<f64>(), [0.75, 1.25, 1.0]);
/// ```
pub type Lion = Descent<LionOptions>;

/// Options of [`Lion`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LionOptions {
    /// Learning rate γ (default: 1e-4).
    pub lr: f64,
    /// β₁, with which the direction mixes in the gradient, and the decay rate β₂ of the momentum (default: 0.9 and 0.99).
    pub betas: (f64, f64),
    /// Weight decay λ, apart from the gradient (default: 0).
    pub weight_decay: f64,
    /// Goes up instead of down (default: false).
    pub maximize: bool,
}

impl Default for LionOptions {
    fn default() -> LionOptions {
        LionOptions { lr: 1e-4, betas: (0.9, 0.99), weight_decay: 0.0, maximize: false }
    }
}

impl ElementStep<1> for LionOptions {
    #[inline(always)]
    fn call<T: Real>(self, p: T, g: T, [m]: [T; 1]) -> (T, [T; 1]) {
        let LionOptions { lr, betas, weight_decay, maximize } = self;
        let g = if maximize { -g } else { g };
        let direction = T::of(betas.0) * m + T::of(1.0 - betas.0) * g;
        let p = p * T::of(1.0 - lr * weight_decay) - T::of(lr) * direction.sign();
        (p, [T::of(betas.1) * m + T::of(1.0 - betas.1) * g])
    }
}

impl Rule for LionOptions {
    const NAME: &'static str = "Lion";

    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        each("lr", Setting::Number(&mut self.lr));
        each("betas", Setting::Pair(&mut self.betas));
        each("weight_decay", Setting::Number(&mut self.weight_decay));
        each("maximize", Setting::Flag(&mut self.maximize));
    }

    fn kept(&self) -> &'static [&'static str] {
        &["exp_avg"]
    }

    fn update(&self, parameter: &mut Tensor, gradient: Gradient<'_>, kept: &mut [Tensor], _step: u64) {
        let [m] = kept else { unreachable!("Lion keeps one tensor") };
        gradient.step_(Self::NAME, parameter, [m], *self);
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("weight_decay", self.weight_decay)?;
        below_one(self.betas)
    }
}
