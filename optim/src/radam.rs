//! Adam that waits until its denominator can be trusted.

use tensor::{ElementStep, Real, Tensor};

use crate::rule::{below_one, decayed, mean_of_squares, not_negative};
use crate::{Descent, Gradient, Rule, Setting};

/// Rectified Adam: with the gradient `g` (negated to maximize) at step `t`, learning rate γ, betas β₁ and β₂, weight
/// decay λ
///
/// ```text
/// g ← g + λ p              (decoupled: p ← p - γ λ p)
/// m ← β₁ m + (1 - β₁) g
/// v ← β₂ v + (1 - β₂) g²
/// ρ∞ = 2 / (1 - β₂) - 1
/// ρ  = ρ∞ - 2 t β₂ᵗ / (1 - β₂ᵗ)
/// r  = √((ρ - 4) (ρ - 2) ρ∞ / ((ρ∞ - 4) (ρ∞ - 2) ρ))
/// p ← p - γ m / (1 - β₁ᵗ) · r √(1 - β₂ᵗ) / (√v + ε)    if ρ > 5
/// p ← p - γ m / (1 - β₁ᵗ)                              otherwise
/// ```
///
/// Kept are `exp_avg` m and `exp_avg_sq` v.
///
/// # Source
/// Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", 2020, algorithm 2, in PyTorch's form.
///
/// ```
/// use nn::prelude::*;
/// use optim::{Optimizer, RAdam, RAdamOptions};
///
/// let w = Parameter::new(Tensor::from([1f64]));
/// let mut optimizer = RAdam::with(vec![w.clone()], RAdamOptions { lr: 0.1, ..Default::default() });
/// (&*w * 2.0).sum().backward();
/// optimizer.step();
/// // The first steps are those of momentum alone.
/// assert!((w.item::<f64>() - 0.8).abs() < 1e-12);
/// ```
pub type RAdam = Descent<RAdamOptions>;

/// Options of [`RAdam`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RAdamOptions {
    /// Learning rate γ (default: 1e-3).
    pub lr: f64,
    /// Decay rates β₁ and β₂ of the running means (default: 0.9 and 0.999).
    pub betas: (f64, f64),
    /// Added to the denominator (default: 1e-8).
    pub eps: f64,
    /// Weight decay λ (default: 0).
    pub weight_decay: f64,
    /// Takes the decay to the parameter instead of the gradient (default: false).
    pub decoupled_weight_decay: bool,
    /// Goes up instead of down (default: false).
    pub maximize: bool,
}

impl Default for RAdamOptions {
    fn default() -> RAdamOptions {
        RAdamOptions {
            lr: 1e-3,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
            decoupled_weight_decay: false,
            maximize: false,
        }
    }
}

/// One step, with what does not depend on the element worked out.
#[derive(Clone, Copy)]
struct RAdamStep {
    options: RAdamOptions,
    /// `1 - β₁ᵗ`.
    correction: f64,
    /// `√(1 - β₂ᵗ)` and r, when the denominator is in use.
    rectified: Option<(f64, f64)>,
}

impl ElementStep<2> for RAdamStep {
    #[inline(always)]
    fn call<T: Real>(self, p: T, g: T, [m, v]: [T; 2]) -> (T, [T; 2]) {
        let RAdamOptions { lr, betas, eps, weight_decay, decoupled_weight_decay, maximize } = self.options;
        let g = decayed(p, g, maximize, if decoupled_weight_decay { 0.0 } else { weight_decay });
        let p = if decoupled_weight_decay { p * T::of(1.0 - lr * weight_decay) } else { p };
        let m = m.lerp(g, 1.0 - betas.0);
        let v = mean_of_squares(v, g, betas.1);
        let change = m / T::of(self.correction) * T::of(lr);
        let change = match self.rectified {
            Some((correction, r)) => change * (T::of(correction) / (v.sqrt() + T::of(eps))) * T::of(r),
            None => change,
        };
        (p - change, [m, v])
    }
}

impl Rule for RAdamOptions {
    const NAME: &'static str = "RAdam";

    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        each("lr", Setting::Number(&mut self.lr));
        each("betas", Setting::Pair(&mut self.betas));
        each("eps", Setting::Number(&mut self.eps));
        each("weight_decay", Setting::Number(&mut self.weight_decay));
        each("decoupled_weight_decay", Setting::Flag(&mut self.decoupled_weight_decay));
        each("maximize", Setting::Flag(&mut self.maximize));
    }

    fn kept(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_avg_sq"]
    }

    fn update(&self, parameter: &mut Tensor, gradient: Gradient<'_>, kept: &mut [Tensor], step: u64) {
        let [m, v] = kept else { unreachable!("RAdam keeps two tensors") };
        let ((beta1, beta2), t) = (self.betas, step as f64);
        let correction2 = 1.0 - beta2.powf(t);
        let limit = 2.0 / (1.0 - beta2) - 1.0;
        let rho = limit - 2.0 * t * beta2.powf(t) / correction2;
        let rectification = || ((rho - 4.0) * (rho - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * rho)).sqrt();
        let step = RAdamStep {
            options: *self,
            correction: 1.0 - beta1.powf(t),
            rectified: (rho > 5.0).then(|| (correction2.sqrt(), rectification())),
        };
        gradient.step_(Self::NAME, parameter, [m, v], step);
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("eps", self.eps)?;
        not_negative("weight_decay", self.weight_decay)?;
        below_one(self.betas)
    }
}
