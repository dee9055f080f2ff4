//! Stochastic gradient descent.

use tensor::{ElementStep, Real, Tensor};

use crate::rule::{decayed, not_negative};
use crate::{Descent, Gradient, Rule, Setting};

/// Stochastic gradient descent with momentum: with the gradient `g` (negated to maximize), learning rate γ, weight
/// decay λ, momentum μ and dampening τ
///
/// ```text
/// g ← g + λ p
/// b ← μ b + (1 - τ) g            (the first time b ← g)
/// g ← g + μ b  (nesterov)   or   g ← b
/// p ← p - γ g
/// ```
///
/// Kept is `momentum_buffer` b, if there is momentum.
///
/// # Differs
/// A buffer is forgotten when the momentum becomes 0; PyTorch takes it up again later.
///
/// # Source
/// Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, section 2, in PyTorch's
/// form.
///
/// ```
/// use nn::prelude::*;
/// use optim::{Optimizer, SGD, SGDOptions};
///
/// let w = Parameter::new(Tensor::from([1f64]));
/// let mut optimizer = SGD::with(vec![w.clone()], SGDOptions { lr: 0.1, momentum: 0.9, ..Default::default() });
/// for expected in [0.8, 0.42] {
///     optimizer.zero_grad();
///     (&*w * 2.0).sum().backward();
///     optimizer.step();
///     assert!((w.item::<f64>() - expected).abs() < 1e-12);
/// }
/// ```
pub type SGD = Descent<SGDOptions>;

/// Options of [`SGD`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SGDOptions {
    /// Learning rate γ (default: 1e-3).
    pub lr: f64,
    /// Momentum μ (default: 0, and nothing is kept then).
    pub momentum: f64,
    /// Dampening τ of the momentum (default: 0).
    pub dampening: f64,
    /// Weight decay λ, added to the gradient (default: 0).
    pub weight_decay: f64,
    /// Nesterov's momentum: looks one step ahead (default: false).
    pub nesterov: bool,
    /// Goes up instead of down (default: false).
    pub maximize: bool,
}

impl Default for SGDOptions {
    fn default() -> SGDOptions {
        SGDOptions { lr: 1e-3, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false, maximize: false }
    }
}

/// Without momentum.
impl ElementStep<0> for SGDOptions {
    #[inline(always)]
    fn call<T: Real>(self, p: T, g: T, []: [T; 0]) -> (T, [T; 0]) {
        (p - T::of(self.lr) * decayed(p, g, self.maximize, self.weight_decay), [])
    }
}

/// With momentum.
#[derive(Clone, Copy)]
struct MomentumStep {
    options: SGDOptions,
    /// The buffer becomes the gradient.
    first: bool,
}

impl ElementStep<1> for MomentumStep {
    #[inline(always)]
    fn call<T: Real>(self, p: T, g: T, [b]: [T; 1]) -> (T, [T; 1]) {
        let SGDOptions { lr, momentum, dampening, weight_decay, nesterov, maximize } = self.options;
        let g = decayed(p, g, maximize, weight_decay);
        let b = if self.first { g } else { b * T::of(momentum) + T::of(1.0 - dampening) * g };
        let direction = if nesterov { g + T::of(momentum) * b } else { b };
        (p - T::of(lr) * direction, [b])
    }
}

impl Rule for SGDOptions {
    const NAME: &'static str = "SGD";

    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        each("lr", Setting::Number(&mut self.lr));
        each("momentum", Setting::Number(&mut self.momentum));
        each("dampening", Setting::Number(&mut self.dampening));
        each("weight_decay", Setting::Number(&mut self.weight_decay));
        each("nesterov", Setting::Flag(&mut self.nesterov));
        each("maximize", Setting::Flag(&mut self.maximize));
    }

    fn kept(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum_buffer"] }
    }

    fn update(&self, parameter: &mut Tensor, gradient: Gradient<'_>, kept: &mut [Tensor], step: u64) {
        match kept {
            [] => gradient.step_(Self::NAME, parameter, [], *self),
            [b, ..] => {
                let step = MomentumStep { options: *self, first: step == 1 };
                gradient.step_(Self::NAME, parameter, [b], step);
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("momentum", self.momentum)?;
        not_negative("weight_decay", self.weight_decay)?;
        if self.nesterov && (self.momentum <= 0.0 || self.dampening != 0.0) {
            return Err("nesterov needs momentum above zero and no dampening".to_owned());
        }
        Ok(())
    }
}
