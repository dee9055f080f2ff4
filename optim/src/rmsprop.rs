//! Gradients divided by their recent size.

use tensor::{ElementStep, Real, Tensor};

use crate::rule::{decayed, mean_of_squares, not_negative};
use crate::{Descent, Gradient, Rule, Setting};

/// RMSprop: with the gradient `g` (negated to maximize), learning rate γ, smoothing α, momentum μ, weight decay λ
///
/// ```text
/// g ← g + λ p
/// v ← α v + (1 - α) g²
/// a ← α a + (1 - α) g,  w = v - a²  (centered)   or   w = v
/// b ← μ b + g / (√w + ε)            (without momentum: μ = 0)
/// p ← p - γ b
/// ```
///
/// Kept are `square_avg` v, with momentum `momentum_buffer` b, if centered `grad_avg` a.
///
/// # Source
/// Hinton, "Neural Networks for Machine Learning", 2012, lecture 6e; centered: Graves, "Generating Sequences With
/// Recurrent Neural Networks", 2013, equations 38 to 45; both in PyTorch's form.
///
/// ```
/// use nn::prelude::*;
/// use optim::{Optimizer, RMSprop};
///
/// let w = Parameter::new(Tensor::from([1f64, 1.0]));
/// let mut optimizer = RMSprop::new(vec![w.clone()]);
/// (&*w * &Var::new(Tensor::from([5f64, -0.1]))).sum().backward();
/// optimizer.step();
/// // γ / √(1 - α)
/// assert!(w.value().allclose(&Tensor::from([0.9, 1.1]), 0.0, 1e-6));
/// ```
pub type RMSprop = Descent<RMSpropOptions>;

/// Options of [`RMSprop`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RMSpropOptions {
    /// Learning rate γ (default: 1e-2).
    pub lr: f64,
    /// Smoothing α of the running means (default: 0.99).
    pub alpha: f64,
    /// Added to the denominator (default: 1e-8).
    pub eps: f64,
    /// Weight decay λ, added to the gradient (default: 0).
    pub weight_decay: f64,
    /// Momentum μ (default: 0).
    pub momentum: f64,
    /// Divides by an estimate of the deviation from the mean instead (default: false).
    pub centered: bool,
    /// Goes up instead of down (default: false).
    pub maximize: bool,
}

impl Default for RMSpropOptions {
    fn default() -> RMSpropOptions {
        RMSpropOptions {
            lr: 1e-2,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            centered: false,
            maximize: false,
        }
    }
}

impl RMSpropOptions {
    /// The gradient with its decay, and the mean of squares.
    #[inline(always)]
    fn squared<T: Real>(self, p: T, g: T, v: T) -> (T, T) {
        let g = decayed(p, g, self.maximize, self.weight_decay);
        (g, mean_of_squares(v, g, self.alpha))
    }

    /// The mean of gradients, and the variance.
    #[inline(always)]
    fn centred<T: Real>(self, g: T, v: T, a: T) -> (T, T) {
        let a = a.lerp(g, 1.0 - self.alpha);
        (a, v - a * a)
    }

    /// The parameter, for `w` in the denominator.
    #[inline(always)]
    fn plain<T: Real>(self, p: T, g: T, w: T) -> T {
        p - T::of(self.lr) * g / (w.sqrt() + T::of(self.eps))
    }

    /// The parameter and the momentum.
    #[inline(always)]
    fn pushed<T: Real>(self, p: T, g: T, w: T, b: T) -> (T, T) {
        let b = b * T::of(self.momentum) + g / (w.sqrt() + T::of(self.eps));
        (p - T::of(self.lr) * b, b)
    }
}

impl ElementStep<1> for RMSpropOptions {
    #[inline(always)]
    fn call<T: Real>(self, p: T, g: T, [v]: [T; 1]) -> (T, [T; 1]) {
        let (g, v) = self.squared(p, g, v);
        (self.plain(p, g, v), [v])
    }
}

/// Either centered or with momentum.
impl ElementStep<2> for RMSpropOptions {
    #[inline(always)]
    fn call<T: Real>(self, p: T, g: T, [v, other]: [T; 2]) -> (T, [T; 2]) {
        let (g, v) = self.squared(p, g, v);
        let (p, other) = if self.centered {
            let (a, w) = self.centred(g, v, other);
            (self.plain(p, g, w), a)
        } else {
            self.pushed(p, g, v, other)
        };
        (p, [v, other])
    }
}

/// Both.
impl ElementStep<3> for RMSpropOptions {
    #[inline(always)]
    fn call<T: Real>(self, p: T, g: T, [v, b, a]: [T; 3]) -> (T, [T; 3]) {
        let (g, v) = self.squared(p, g, v);
        let (a, w) = self.centred(g, v, a);
        let (p, b) = self.pushed(p, g, w, b);
        (p, [v, b, a])
    }
}

impl Rule for RMSpropOptions {
    const NAME: &'static str = "RMSprop";

    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        each("lr", Setting::Number(&mut self.lr));
        each("alpha", Setting::Number(&mut self.alpha));
        each("eps", Setting::Number(&mut self.eps));
        each("weight_decay", Setting::Number(&mut self.weight_decay));
        each("momentum", Setting::Number(&mut self.momentum));
        each("centered", Setting::Flag(&mut self.centered));
        each("maximize", Setting::Flag(&mut self.maximize));
    }

    fn kept(&self) -> &'static [&'static str] {
        match (self.momentum > 0.0, self.centered) {
            (false, false) => &["square_avg"],
            (true, false) => &["square_avg", "momentum_buffer"],
            (false, true) => &["square_avg", "grad_avg"],
            (true, true) => &["square_avg", "momentum_buffer", "grad_avg"],
        }
    }

    fn update(&self, parameter: &mut Tensor, gradient: Gradient<'_>, kept: &mut [Tensor], _step: u64) {
        match kept {
            [v] => gradient.step_(Self::NAME, parameter, [v], *self),
            [v, other] => gradient.step_(Self::NAME, parameter, [v, other], *self),
            [v, b, a] => gradient.step_(Self::NAME, parameter, [v, b, a], *self),
            _ => unreachable!("RMSprop keeps one to three tensors"),
        }
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("eps", self.eps)?;
        not_negative("momentum", self.momentum)?;
        not_negative("weight_decay", self.weight_decay)?;
        not_negative("alpha", self.alpha)
    }
}
