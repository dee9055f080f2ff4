//! Steps in the units of the steps before.

use tensor::{ElementStep, Real, Tensor};

use crate::rule::{decayed, mean_of_squares, not_negative};
use crate::{Descent, Gradient, Rule, Setting};

/// Adadelta: with the gradient `g` (negated to maximize), learning rate γ, decay ρ, weight decay λ
///
/// ```text
/// g ← g + λ p
/// v ← ρ v + (1 - ρ) g²
/// d  = √(u + ε) / √(v + ε) · g
/// u ← ρ u + (1 - ρ) d²
/// p ← p - γ d
/// ```
///
/// Kept are `square_avg` v and `acc_delta` u.
///
/// # Source
/// Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1, with PyTorch's learning rate.
///
/// ```
/// use nn::prelude::*;
/// use optim::{Adadelta, Optimizer};
///
/// let w = Parameter::new(Tensor::from([1f64]));
/// let mut optimizer = Adadelta::new(vec![w.clone()]);
/// w.square().sum().backward();
/// optimizer.step();
/// // √ε / √(0.1 · 2²) · 2
/// assert!((w.item::<f64>() - (1.0 - 0.0031623)).abs() < 1e-6);
/// ```
pub type Adadelta = Descent<AdadeltaOptions>;

/// Options of [`Adadelta`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdadeltaOptions {
    /// Learning rate γ (default: 1).
    pub lr: f64,
    /// Decay ρ of both running means (default: 0.9).
    pub rho: f64,
    /// Added under both roots (default: 1e-6).
    pub eps: f64,
    /// Weight decay λ, added to the gradient (default: 0).
    pub weight_decay: f64,
    /// Goes up instead of down (default: false).
    pub maximize: bool,
}

impl Default for AdadeltaOptions {
    fn default() -> AdadeltaOptions {
        AdadeltaOptions { lr: 1.0, rho: 0.9, eps: 1e-6, weight_decay: 0.0, maximize: false }
    }
}

impl ElementStep<2> for AdadeltaOptions {
    #[inline(always)]
    fn call<T: Real>(self, p: T, g: T, [v, u]: [T; 2]) -> (T, [T; 2]) {
        let g = decayed(p, g, self.maximize, self.weight_decay);
        let eps = T::of(self.eps);
        let v = mean_of_squares(v, g, self.rho);
        let change = (u + eps).sqrt() / (v + eps).sqrt() * g;
        let u = mean_of_squares(u, change, self.rho);
        (p - T::of(self.lr) * change, [v, u])
    }
}

impl Rule for AdadeltaOptions {
    const NAME: &'static str = "Adadelta";

    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        each("lr", Setting::Number(&mut self.lr));
        each("rho", Setting::Number(&mut self.rho));
        each("eps", Setting::Number(&mut self.eps));
        each("weight_decay", Setting::Number(&mut self.weight_decay));
        each("maximize", Setting::Flag(&mut self.maximize));
    }

    fn kept(&self) -> &'static [&'static str] {
        &["square_avg", "acc_delta"]
    }

    fn update(&self, parameter: &mut Tensor, gradient: Gradient<'_>, kept: &mut [Tensor], _step: u64) {
        let [v, u] = kept else { unreachable!("Adadelta keeps two tensors") };
        gradient.step_(Self::NAME, parameter, [v, u], *self);
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("eps", self.eps)?;
        not_negative("weight_decay", self.weight_decay)?;
        if !(0.0..=1.0).contains(&self.rho) {
            return Err(format!("rho is {}, must be from 0 to 1", self.rho));
        }
        Ok(())
    }
}
