//! Adam, and Adam with decoupled weight decay.

use tensor::{ElementStep, Real, Tensor};

use crate::rule::{below_one, decayed, mean_of_squares, not_negative};
use crate::{Descent, Gradient, Rule, Setting};

/// Adam: with the gradient `g` (negated to maximize) at step `t`, learning rate γ, betas β₁ and β₂, weight decay λ
///
/// ```text
/// g ← g + λ p              (decoupled: p ← p - γ λ p)
/// m ← β₁ m + (1 - β₁) g
/// v ← β₂ v + (1 - β₂) g²
/// w ← max(w, v)  (amsgrad)   or   w ← v
/// p ← p - γ / (1 - β₁ᵗ) · m / (√w / √(1 - β₂ᵗ) + ε)
/// ```
///
/// Kept are `exp_avg` m, `exp_avg_sq` v and with amsgrad `max_exp_avg_sq` w.
///
/// # Source
/// Kingma, Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1; amsgrad: Reddi, Kale, Kumar, "On the
/// Convergence of Adam and Beyond", 2018, algorithm 2; both in PyTorch's form.
///
/// ```
/// use nn::prelude::*;
/// use optim::{Adam, Optimizer};
///
/// let w = Parameter::new(Tensor::from([1f64, 1.0]));
/// let mut optimizer = Adam::new(vec![w.clone()]);
/// (&*w * &Var::new(Tensor::from([5f64, -0.1]))).sum().backward();
/// optimizer.step();
/// // The first step has the size of the learning rate, whatever the size of the gradient.
/// assert!(w.value().allclose(&Tensor::from([0.999, 1.001]), 0.0, 1e-8));
/// ```
pub type Adam = Descent<AdamOptions>;

/// Adam with weight decay apart from the gradient: [`Adam`] with `p ← p - γ λ p` in place of `g ← g + λ p`.
///
/// # Source
/// Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2, in PyTorch's form.
///
/// ```
/// use nn::prelude::*;
/// use optim::{AdamW, AdamWOptions, Optimizer};
///
/// let layer = Linear::new(3, 3);
/// let options = AdamWOptions { lr: 1e-3, betas: (0.9, 0.99), weight_decay: 0.1, ..Default::default() };
/// let mut optimizer = AdamW::with(layer.parameters(), options);
/// layer.forward(&Var::new(Tensor::ones([2, 3], DType::F32))).sum().backward();
/// optimizer.step();
/// assert_eq!(optimizer.state_dict()["state.0.step"].item::<i64>(), 1);
/// ```
pub type AdamW = Descent<AdamWOptions>;

/// Options of [`Adam`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamOptions {
    /// Learning rate γ (default: 1e-3).
    pub lr: f64,
    /// Decay rates β₁ and β₂ of the running means (default: 0.9 and 0.999).
    pub betas: (f64, f64),
    /// Added to the denominator (default: 1e-8).
    pub eps: f64,
    /// Weight decay λ (default: 0).
    pub weight_decay: f64,
    /// Divides by the largest mean of squares so far (default: false).
    pub amsgrad: bool,
    /// Goes up instead of down (default: false).
    pub maximize: bool,
    /// Takes the decay to the parameter instead of the gradient, as [`AdamW`] (default: false).
    pub decoupled_weight_decay: bool,
}

impl Default for AdamOptions {
    fn default() -> AdamOptions {
        AdamOptions {
            lr: 1e-3,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
            amsgrad: false,
            maximize: false,
            decoupled_weight_decay: false,
        }
    }
}

/// Options of [`AdamW`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWOptions {
    /// Learning rate γ (default: 1e-3).
    pub lr: f64,
    /// Decay rates β₁ and β₂ of the running means (default: 0.9 and 0.999).
    pub betas: (f64, f64),
    /// Added to the denominator (default: 1e-8).
    pub eps: f64,
    /// Weight decay λ, apart from the gradient (default: 1e-2).
    pub weight_decay: f64,
    /// Divides by the largest mean of squares so far (default: false).
    pub amsgrad: bool,
    /// Goes up instead of down (default: false).
    pub maximize: bool,
}

impl Default for AdamWOptions {
    fn default() -> AdamWOptions {
        let AdamOptions { lr, betas, eps, amsgrad, maximize, .. } = AdamOptions::default();
        AdamWOptions { lr, betas, eps, weight_decay: 1e-2, amsgrad, maximize }
    }
}

impl AdamWOptions {
    /// The options of Adam that say the same.
    fn adam(&self) -> AdamOptions {
        let AdamWOptions { lr, betas, eps, weight_decay, amsgrad, maximize } = *self;
        AdamOptions { lr, betas, eps, weight_decay, amsgrad, maximize, decoupled_weight_decay: true }
    }
}

/// One step, with what does not depend on the element worked out.
#[derive(Clone, Copy)]
struct AdamStep {
    options: AdamOptions,
    /// `γ / (1 - β₁ᵗ)`.
    step_size: f64,
    /// `√(1 - β₂ᵗ)`.
    correction: f64,
}

impl AdamStep {
    /// The step but for the mean of squares that divides, which `largest` gives for that of this step.
    #[inline(always)]
    fn with<T: Real>(self, p: T, g: T, m: T, v: T, largest: impl Fn(T) -> T) -> (T, T, T, T) {
        let AdamOptions { lr, betas, eps, weight_decay, maximize, decoupled_weight_decay, .. } = self.options;
        let g = decayed(p, g, maximize, if decoupled_weight_decay { 0.0 } else { weight_decay });
        let p = if decoupled_weight_decay { p * T::of(1.0 - lr * weight_decay) } else { p };
        let m = m.lerp(g, 1.0 - betas.0);
        let v = mean_of_squares(v, g, betas.1);
        let w = largest(v);
        let denominator = w.sqrt() / T::of(self.correction) + T::of(eps);
        (p - T::of(self.step_size) * m / denominator, m, v, w)
    }
}

impl ElementStep<2> for AdamStep {
    #[inline(always)]
    fn call<T: Real>(self, p: T, g: T, [m, v]: [T; 2]) -> (T, [T; 2]) {
        let (p, m, v, _) = self.with(p, g, m, v, |v| v);
        (p, [m, v])
    }
}

/// Amsgrad.
impl ElementStep<3> for AdamStep {
    #[inline(always)]
    fn call<T: Real>(self, p: T, g: T, [m, v, w]: [T; 3]) -> (T, [T; 3]) {
        let (p, m, v, w) = self.with(p, g, m, v, |v| w.maximum(v));
        (p, [m, v, w])
    }
}

impl AdamOptions {
    fn step(self, name: &str, parameter: &mut Tensor, gradient: Gradient<'_>, kept: &mut [Tensor], step: u64) {
        let step_size = self.lr / (1.0 - self.betas.0.powf(step as f64));
        let correction = (1.0 - self.betas.1.powf(step as f64)).sqrt();
        let step = AdamStep { options: self, step_size, correction };
        match kept {
            [m, v] => gradient.step_(name, parameter, [m, v], step),
            [m, v, w] => gradient.step_(name, parameter, [m, v, w], step),
            _ => unreachable!("Adam keeps two tensors or three"),
        }
    }
}

impl Rule for AdamOptions {
    const NAME: &'static str = "Adam";

    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        each("lr", Setting::Number(&mut self.lr));
        each("betas", Setting::Pair(&mut self.betas));
        each("eps", Setting::Number(&mut self.eps));
        each("weight_decay", Setting::Number(&mut self.weight_decay));
        each("amsgrad", Setting::Flag(&mut self.amsgrad));
        each("maximize", Setting::Flag(&mut self.maximize));
        each("decoupled_weight_decay", Setting::Flag(&mut self.decoupled_weight_decay));
    }

    fn kept(&self) -> &'static [&'static str] {
        if self.amsgrad { &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"] } else { &["exp_avg", "exp_avg_sq"] }
    }

    fn update(&self, parameter: &mut Tensor, gradient: Gradient<'_>, kept: &mut [Tensor], step: u64) {
        self.step(Self::NAME, parameter, gradient, kept, step);
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("eps", self.eps)?;
        not_negative("weight_decay", self.weight_decay)?;
        below_one(self.betas)
    }
}

impl Rule for AdamWOptions {
    const NAME: &'static str = "AdamW";

    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        each("lr", Setting::Number(&mut self.lr));
        each("betas", Setting::Pair(&mut self.betas));
        each("eps", Setting::Number(&mut self.eps));
        each("weight_decay", Setting::Number(&mut self.weight_decay));
        each("amsgrad", Setting::Flag(&mut self.amsgrad));
        each("maximize", Setting::Flag(&mut self.maximize));
    }

    fn kept(&self) -> &'static [&'static str] {
        self.adam().kept()
    }

    fn update(&self, parameter: &mut Tensor, gradient: Gradient<'_>, kept: &mut [Tensor], step: u64) {
        self.adam().step(Self::NAME, parameter, gradient, kept, step);
    }

    fn check(&self) -> Result<(), String> {
        self.adam().check()
    }
}
