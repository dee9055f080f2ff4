//! Adam, and Adam with decoupled weight decay.

use tensor::{AdamStep, Tensor};

use crate::rule::not_negative;
use crate::{Descent, Rule, Setting};

/// Adam: with the gradient `g` (negated to maximize) at step `t`, learning rate γ, betas β₁ and β₂, weight decay λ
///
/// ```text
/// g ← g + λ p
/// m ← β₁ m + (1 - β₁) g
/// v ← β₂ v + (1 - β₂) g²
/// p ← p - γ / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)
/// ```
///
/// # Differs
/// There is no `amsgrad`, here and in [`AdamW`].
///
/// # Source
/// Kingma, Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1, in PyTorch's form.
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

/// Adam with weight decay apart from the gradient: as [`Adam`] with `p ← p - γ λ p` in place of `g ← g + λ p`.
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
    /// Weight decay λ, added to the gradient (default: 0).
    pub weight_decay: f64,
    /// Goes up instead of down (default: false).
    pub maximize: bool,
}

impl Default for AdamOptions {
    fn default() -> AdamOptions {
        AdamOptions { lr: 1e-3, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0, maximize: false }
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
    /// Goes up instead of down (default: false).
    pub maximize: bool,
}

impl Default for AdamWOptions {
    fn default() -> AdamWOptions {
        AdamWOptions { lr: 1e-3, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 1e-2, maximize: false }
    }
}

impl AdamWOptions {
    /// The same fields as options of Adam, which the two have in common.
    fn common(&self) -> AdamOptions {
        let AdamWOptions { lr, betas, eps, weight_decay, maximize } = *self;
        AdamOptions { lr, betas, eps, weight_decay, maximize }
    }
}

const KEPT: &[&str] = &["exp_avg", "exp_avg_sq"];

impl AdamOptions {
    fn step(&self, decoupled: bool, parameter: &mut Tensor, gradient: &Tensor, kept: &mut [Tensor], step: u64) {
        let AdamOptions { lr, betas, eps, weight_decay, maximize } = *self;
        let [m, v] = kept else { unreachable!("Adam keeps two tensors") };
        let step = AdamStep { lr, betas, eps, weight_decay, decoupled, maximize, step };
        Tensor::adam_step_(parameter, gradient, m, v, &step);
    }
}

impl Rule for AdamOptions {
    const NAME: &'static str = "Adam";

    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        each("lr", Setting::Number(&mut self.lr));
        each("betas", Setting::Pair(&mut self.betas));
        each("eps", Setting::Number(&mut self.eps));
        each("weight_decay", Setting::Number(&mut self.weight_decay));
        each("maximize", Setting::Flag(&mut self.maximize));
    }

    fn kept(&self) -> &'static [&'static str] {
        KEPT
    }

    fn update(&self, parameter: &mut Tensor, gradient: &Tensor, kept: &mut [Tensor], step: u64) {
        self.step(false, parameter, gradient, kept, step);
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("eps", self.eps)?;
        not_negative("weight_decay", self.weight_decay)?;
        for beta in [self.betas.0, self.betas.1] {
            if !(0.0..1.0).contains(&beta) {
                return Err(format!("a beta is {beta}, must be at least 0 and below 1"));
            }
        }
        Ok(())
    }
}

impl Rule for AdamWOptions {
    const NAME: &'static str = "AdamW";

    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        let mut common = self.common();
        common.settings(each);
        let AdamOptions { lr, betas, eps, weight_decay, maximize } = common;
        *self = AdamWOptions { lr, betas, eps, weight_decay, maximize };
    }

    fn kept(&self) -> &'static [&'static str] {
        KEPT
    }

    fn update(&self, parameter: &mut Tensor, gradient: &Tensor, kept: &mut [Tensor], step: u64) {
        self.common().step(true, parameter, gradient, kept, step);
    }

    fn check(&self) -> Result<(), String> {
        self.common().check()
    }
}
