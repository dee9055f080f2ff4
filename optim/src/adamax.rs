//! Adam with the largest gradient in the denominator.

use tensor::{ElementStep, Real, Tensor};

use crate::rule::{below_one, decayed, not_negative};
use crate::{Descent, Gradient, Rule, Setting};

/// Adam with the infinity norm: with the gradient `g` (negated to maximize) at step `t`, learning rate γ, betas β₁ and
/// β₂, weight decay λ
///
/// ```text
/// g ← g + λ p
/// m ← β₁ m + (1 - β₁) g
/// u ← max(β₂ u, |g| + ε)
/// p ← p - γ / (1 - β₁ᵗ) · m / u
/// ```
///
/// Kept are `exp_avg` m and `exp_inf` u.
///
/// # Source
/// Kingma, Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 2, in PyTorch's form.
///
/// ```
/// use nn::prelude::*;
/// use optim::{Adamax, Optimizer};
///
/// let w = Parameter::new(Tensor::from([1f64, 1.0]));
/// let mut optimizer = Adamax::new(vec![w.clone()]);
/// (&*w * &Var::new(Tensor::from([5f64, -0.1]))).sum().backward();
/// optimizer.step();
/// assert!(w.value().allclose(&Tensor::from([0.998, 1.002]), 0.0, 1e-8));
/// ```
pub type Adamax = Descent<AdamaxOptions>;

/// Options of [`Adamax`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamaxOptions {
    /// Learning rate γ (default: 2e-3).
    pub lr: f64,
    /// Decay rates β₁ of the running mean and β₂ of the norm (default: 0.9 and 0.999).
    pub betas: (f64, f64),
    /// Added to the absolute value of the gradient (default: 1e-8).
    pub eps: f64,
    /// Weight decay λ, added to the gradient (default: 0).
    pub weight_decay: f64,
    /// Goes up instead of down (default: false).
    pub maximize: bool,
}

impl Default for AdamaxOptions {
    fn default() -> AdamaxOptions {
        AdamaxOptions { lr: 2e-3, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0, maximize: false }
    }
}

/// One step, with what does not depend on the element worked out.
#[derive(Clone, Copy)]
struct AdamaxStep {
    options: AdamaxOptions,
    /// `γ / (1 - β₁ᵗ)`.
    step_size: f64,
}

impl ElementStep<2> for AdamaxStep {
    #[inline(always)]
    fn call<T: Real>(self, p: T, g: T, [m, u]: [T; 2]) -> (T, [T; 2]) {
        let AdamaxOptions { betas, eps, weight_decay, maximize, .. } = self.options;
        let g = decayed(p, g, maximize, weight_decay);
        let m = m.lerp(g, 1.0 - betas.0);
        let u = (u * T::of(betas.1)).maximum(g.abs() + T::of(eps));
        (p - T::of(self.step_size) * m / u, [m, u])
    }
}

impl Rule for AdamaxOptions {
    const NAME: &'static str = "Adamax";

    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        each("lr", Setting::Number(&mut self.lr));
        each("betas", Setting::Pair(&mut self.betas));
        each("eps", Setting::Number(&mut self.eps));
        each("weight_decay", Setting::Number(&mut self.weight_decay));
        each("maximize", Setting::Flag(&mut self.maximize));
    }

    fn kept(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_inf"]
    }

    fn update(&self, parameter: &mut Tensor, gradient: Gradient<'_>, kept: &mut [Tensor], step: u64) {
        let [m, u] = kept else { unreachable!("Adamax keeps two tensors") };
        let step = AdamaxStep { options: *self, step_size: self.lr / (1.0 - self.betas.0.powf(step as f64)) };
        gradient.step_(Self::NAME, parameter, [m, u], step);
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("eps", self.eps)?;
        not_negative("weight_decay", self.weight_decay)?;
        below_one(self.betas)
    }
}
