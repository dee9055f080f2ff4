//! Adam with Nesterov's momentum.

use tensor::{ElementStep, Real, Tensor};

use crate::rule::{below_one, decayed, mean_of_squares, not_negative};
use crate::{Descent, Gradient, Rule, Setting};

/// Adam with Nesterov's momentum: with the gradient `g` (negated to maximize) at step `t`, learning rate γ, betas β₁ and
/// β₂, weight decay λ, momentum decay ψ
///
/// ```text
/// g ← g + λ p              (decoupled: p ← p - γ λ p)
/// μ  = β₁ (1 - 0.96^(t ψ) / 2)
/// μ' = β₁ (1 - 0.96^((t + 1) ψ) / 2)
/// Π ← Π μ
/// m ← β₁ m + (1 - β₁) g
/// v ← β₂ v + (1 - β₂) g²
/// p ← p - γ ((1 - μ) / (1 - Π) g + μ' / (1 - Π μ') m) / (√(v / (1 - β₂ᵗ)) + ε)
/// ```
///
/// Kept are `mu_product` Π (from 1), `exp_avg` m and `exp_avg_sq` v.
///
/// # Differs
/// Π is kept in f64; PyTorch keeps it in f32 unless f64 is its default.
///
/// # Source
/// Dozat, "Incorporating Nesterov Momentum into Adam", 2016, algorithm 2, in PyTorch's form.
///
/// ```
/// use nn::prelude::*;
/// use optim::{NAdam, Optimizer};
///
/// let w = Parameter::new(Tensor::from([1f64]));
/// let mut optimizer = NAdam::new(vec![w.clone()]);
/// for _ in 0..200 {
///     optimizer.zero_grad();
///     w.square().sum().backward();
///     optimizer.step();
/// }
/// assert!(w.item::<f64>() < 0.7);
/// ```
pub type NAdam = Descent<NAdamOptions>;

/// Options of [`NAdam`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NAdamOptions {
    /// Learning rate γ (default: 2e-3).
    pub lr: f64,
    /// Decay rates β₁ and β₂ of the running means (default: 0.9 and 0.999).
    pub betas: (f64, f64),
    /// Added to the denominator (default: 1e-8).
    pub eps: f64,
    /// Weight decay λ (default: 0).
    pub weight_decay: f64,
    /// Decay ψ of the momentum's warm-up (default: 4e-3).
    pub momentum_decay: f64,
    /// Takes the decay to the parameter instead of the gradient (default: false).
    pub decoupled_weight_decay: bool,
    /// Goes up instead of down (default: false).
    pub maximize: bool,
}

impl Default for NAdamOptions {
    fn default() -> NAdamOptions {
        NAdamOptions {
            lr: 2e-3,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
            momentum_decay: 4e-3,
            decoupled_weight_decay: false,
            maximize: false,
        }
    }
}

/// One step, with what does not depend on the element worked out.
#[derive(Clone, Copy)]
struct NAdamStep {
    options: NAdamOptions,
    /// `1 - β₂ᵗ`.
    correction: f64,
    /// `-γ (1 - μ) / (1 - Π)`.
    of_gradient: f64,
    /// `-γ μ' / (1 - Π μ')`.
    of_mean: f64,
}

impl ElementStep<2> for NAdamStep {
    #[inline(always)]
    fn call<T: Real>(self, p: T, g: T, [m, v]: [T; 2]) -> (T, [T; 2]) {
        let NAdamOptions { lr, betas, eps, weight_decay, decoupled_weight_decay, maximize, .. } = self.options;
        let g = decayed(p, g, maximize, if decoupled_weight_decay { 0.0 } else { weight_decay });
        let p = if decoupled_weight_decay { p * T::of(1.0 - lr * weight_decay) } else { p };
        let m = m.lerp(g, 1.0 - betas.0);
        let v = mean_of_squares(v, g, betas.1);
        let denominator = (v / T::of(self.correction)).sqrt() + T::of(eps);
        let p = p + T::of(self.of_gradient) * g / denominator;
        (p + T::of(self.of_mean) * m / denominator, [m, v])
    }
}

impl Rule for NAdamOptions {
    const NAME: &'static str = "NAdam";

    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        each("lr", Setting::Number(&mut self.lr));
        each("betas", Setting::Pair(&mut self.betas));
        each("eps", Setting::Number(&mut self.eps));
        each("weight_decay", Setting::Number(&mut self.weight_decay));
        each("momentum_decay", Setting::Number(&mut self.momentum_decay));
        each("decoupled_weight_decay", Setting::Flag(&mut self.decoupled_weight_decay));
        each("maximize", Setting::Flag(&mut self.maximize));
    }

    fn kept(&self) -> &'static [&'static str] {
        &["mu_product", "exp_avg", "exp_avg_sq"]
    }

    fn initial(&self, name: &str, parameter: &Tensor) -> Tensor {
        if name == "mu_product" { Tensor::scalar(1f64) } else { parameter.zeros_like() }
    }

    fn update(&self, parameter: &mut Tensor, gradient: Gradient<'_>, kept: &mut [Tensor], step: u64) {
        let [product, m, v] = kept else { unreachable!("NAdam keeps three tensors") };
        let (lr, t) = (self.lr, step as f64);
        let momentum = |t: f64| self.betas.0 * (1.0 - 0.5 * 0.96f64.powf(t * self.momentum_decay));
        let (mu, next) = (momentum(t), momentum(t + 1.0));
        let product = &mut product.as_slice_mut::<f64>()[0];
        *product *= mu;
        let step = NAdamStep {
            options: *self,
            correction: 1.0 - self.betas.1.powf(t),
            of_gradient: -lr * (1.0 - mu) / (1.0 - *product),
            of_mean: -lr * next / (1.0 - *product * next),
        };
        gradient.step_(Self::NAME, parameter, [m, v], step);
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("eps", self.eps)?;
        not_negative("weight_decay", self.weight_decay)?;
        not_negative("momentum_decay", self.momentum_decay)?;
        below_one(self.betas)
    }
}
