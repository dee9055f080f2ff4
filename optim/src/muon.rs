//! Steps whose matrix has singular values near 1.

use tensor::{ElementStep, Real, Tensor};

use crate::rule::not_negative;
use crate::{Descent, Gradient, Rule, Setting};

/// Muon, for matrices: with the gradient `g`, learning rate γ, momentum μ, weight decay λ
///
/// ```text
/// b ← μ b + (1 - μ) g
/// u  = (1 - μ) g + μ b  (nesterov)   or   u = b
/// x  = u / max(‖u‖, ε)                               (transposed if it is higher than wide)
/// x ← a x + (b (x xᵀ) + c (x xᵀ)²) x                 ns_steps times, with ns_coefficients (a, b, c)
/// p ← p - γ λ p - γ s x                              s by adjust_lr_fn
/// ```
///
/// The iteration of Newton and Schulz draws the singular values of the step towards 1: to about 0.7 to 1.2 with the
/// default coefficients. Kept is `momentum_buffer` b.
///
/// Meant for the weights of hidden layers; the other parameters go to an optimizer of their own, such as
/// [`AdamW`](crate::AdamW).
///
/// # Numerics
/// The iteration runs in the dtype of the parameter.
///
/// # Differs
/// PyTorch runs the iteration in bf16, whose rounding error of some percent goes into its steps. `adjust_lr_fn` has no
/// `None`, which means `original` there.
///
/// # Source
/// Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; Liu et al., "Muon is Scalable for LLM
/// Training", 2025, section 2; in PyTorch's form.
///
/// ```
/// use nn::prelude::*;
/// use optim::{Muon, MuonOptions, Optimizer};
///
/// let w = Parameter::new(Tensor::zeros([2, 2], DType::F32));
/// let mut optimizer = Muon::with(vec![w.clone()], MuonOptions { lr: 1.0, ..Default::default() });
/// (&*w * &Var::new(Tensor::from([[100f32, 0.0], [0.0, 1.0]]))).sum().backward();
/// optimizer.step();
/// // Directions of large and small gradients get steps of similar size.
/// assert!((w.value().get::<f32>(&[0, 0]) + 1.0).abs() < 0.4 && (w.value().get::<f32>(&[1, 1]) + 1.0).abs() < 0.4);
/// ```
pub type Muon = Descent<MuonOptions>;

/// How [`Muon`] fits its learning rate to the height `A` and width `B` of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdjustLr {
    /// `√max(1, A / B)`.
    Original,
    /// `0.2 √max(A, B)`, so that steps are as large as those of AdamW and its learning rate and weight decay can be used.
    MatchRmsAdamw,
    /// `√(A / B)`.
    SpectralUnclamped,
}

const ADJUST_LR: [AdjustLr; 3] = [AdjustLr::Original, AdjustLr::MatchRmsAdamw, AdjustLr::SpectralUnclamped];

/// Options of [`Muon`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MuonOptions {
    /// Learning rate γ (default: 1e-3).
    pub lr: f64,
    /// Weight decay λ, apart from the gradient (default: 0.1).
    pub weight_decay: f64,
    /// Momentum μ (default: 0.95).
    pub momentum: f64,
    /// Nesterov's momentum: looks one step ahead (default: true).
    pub nesterov: bool,
    /// Coefficients of the iteration (default: 3.4445, -4.775 and 2.0315).
    pub ns_coefficients: (f64, f64, f64),
    /// The least norm that is divided by (default: 1e-7).
    pub eps: f64,
    /// Number of iterations, below 100 (default: 5).
    pub ns_steps: usize,
    /// The learning rate for a matrix (default: [`AdjustLr::Original`]).
    pub adjust_lr_fn: AdjustLr,
}

impl Default for MuonOptions {
    fn default() -> MuonOptions {
        MuonOptions {
            lr: 1e-3,
            weight_decay: 0.1,
            momentum: 0.95,
            nesterov: true,
            ns_coefficients: (3.4445, -4.7750, 2.0315),
            eps: 1e-7,
            ns_steps: 5,
            adjust_lr_fn: AdjustLr::Original,
        }
    }
}

/// The buffer takes in the gradient, and the direction comes to stand in the place of the other tensor.
#[derive(Clone, Copy)]
struct Momentum {
    momentum: f64,
    nesterov: bool,
}

impl ElementStep<1> for Momentum {
    #[inline(always)]
    fn call<T: Real>(self, _: T, g: T, [b]: [T; 1]) -> (T, [T; 1]) {
        let b = b.lerp(g, 1.0 - self.momentum);
        (if self.nesterov { g.lerp(b, self.momentum) } else { b }, [b])
    }
}

/// `p ← keep p - rate x`.
#[derive(Clone, Copy)]
struct Apply {
    keep: f64,
    rate: f64,
}

impl ElementStep<0> for Apply {
    #[inline(always)]
    fn call<T: Real>(self, p: T, x: T, []: [T; 0]) -> (T, [T; 0]) {
        (p * T::of(self.keep) - T::of(self.rate) * x, [])
    }
}

impl MuonOptions {
    /// The iteration of Newton and Schulz.
    fn orthogonalized(&self, mut x: Tensor) -> Tensor {
        let (a, b, c) = self.ns_coefficients;
        let high = x.dim(0) > x.dim(1);
        x.mul_scalar_(1.0 / x.sum_of_squares().sqrt().max(self.eps));
        if high {
            x = x.t();
        }
        for _ in 0..self.ns_steps {
            let gram = x.matmul(&x.t());
            let change = gram.addmm(&gram, &gram, b, c);
            x = x.addmm(&change, &x, a, 1.0);
        }
        if high { x.t() } else { x }
    }

    fn adjusted(&self, shape: &[usize]) -> f64 {
        let (a, b) = (shape[0] as f64, shape[1] as f64);
        self.lr
            * match self.adjust_lr_fn {
                AdjustLr::Original => (a / b).max(1.0).sqrt(),
                AdjustLr::MatchRmsAdamw => 0.2 * a.max(b).sqrt(),
                AdjustLr::SpectralUnclamped => (a / b).sqrt(),
            }
    }
}

impl Rule for MuonOptions {
    const NAME: &'static str = "Muon";

    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        each("lr", Setting::Number(&mut self.lr));
        each("weight_decay", Setting::Number(&mut self.weight_decay));
        each("momentum", Setting::Number(&mut self.momentum));
        each("nesterov", Setting::Flag(&mut self.nesterov));
        each("ns_coefficients", Setting::Triple(&mut self.ns_coefficients));
        each("eps", Setting::Number(&mut self.eps));
        each("ns_steps", Setting::Count(&mut self.ns_steps));
        let mut chosen = self.adjust_lr_fn as usize;
        each("adjust_lr_fn", Setting::Choice(&mut chosen, &["original", "match_rms_adamw", "spectral_unclamped"]));
        self.adjust_lr_fn = ADJUST_LR[chosen];
    }

    fn kept(&self) -> &'static [&'static str] {
        &["momentum_buffer"]
    }

    fn update(&self, parameter: &mut Tensor, gradient: Gradient<'_>, kept: &mut [Tensor], _step: u64) {
        let [buffer] = kept else { unreachable!("Muon keeps one tensor") };
        let mut direction = gradient.unscaled().zeros_like();
        let momentum = Momentum { momentum: self.momentum, nesterov: self.nesterov };
        gradient.step_(Self::NAME, &mut direction, [buffer], momentum);
        let apply = Apply { keep: 1.0 - self.lr * self.weight_decay, rate: self.adjusted(parameter.dims()) };
        Tensor::step_(Self::NAME, parameter, &self.orthogonalized(direction), [], apply);
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("momentum", self.momentum)?;
        not_negative("weight_decay", self.weight_decay)?;
        if self.ns_steps >= 100 {
            return Err(format!("ns_steps is {}, must be below 100", self.ns_steps));
        }
        Ok(())
    }

    fn accepts(&self, parameter: &Tensor) -> Result<(), String> {
        if parameter.ndim() == 2 { Ok(()) } else { Err("a parameter is no matrix".to_owned()) }
    }
}
