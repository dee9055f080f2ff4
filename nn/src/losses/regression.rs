//! Losses of the difference between two numbers.

use autograd::Var;

use super::with_defaults;
use crate::functional::{huber_loss, l1_loss, mse_loss, smooth_l1_loss};
use crate::{Module, Reduction};

with_defaults!(MSELoss(Reduction), L1Loss(Reduction), SmoothL1Loss(SmoothL1LossOptions), HuberLoss(HuberLossOptions),);

/// `(x - t)²`, averaged; [`Var::mse_loss`] as a module.
///
/// # Differs
/// Input and target of different shapes broadcast without a warning.
///
/// ```
/// use nn::prelude::*;
///
/// let loss = MSELoss::new().forward(&Var::new(Tensor::from([1f32, 2.0])), &Var::new(Tensor::from([1f32, 4.0])));
/// assert_eq!(loss.item::<f32>(), 2.0);
/// ```
#[derive(Debug, Module)]
pub struct MSELoss {
    #[module(config)]
    reduction: Reduction,
}

impl MSELoss {
    /// The loss with this reduction.
    pub fn with(reduction: Reduction) -> MSELoss {
        MSELoss { reduction }
    }

    /// The loss of this prediction for this target.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Var) -> Var {
        mse_loss(input, target, self.reduction)
    }
}

/// `|x - t|`, averaged; [`Var::l1_loss`] as a module.
///
/// # Differs
/// Input and target of different shapes broadcast without a warning.
///
/// ```
/// use nn::prelude::*;
///
/// let loss = L1Loss::new().forward(&Var::new(Tensor::from([1f32, 2.0])), &Var::new(Tensor::from([1f32, 4.0])));
/// assert_eq!(loss.item::<f32>(), 1.0);
/// ```
#[derive(Debug, Module)]
pub struct L1Loss {
    #[module(config)]
    reduction: Reduction,
}

impl L1Loss {
    /// The loss with this reduction.
    pub fn with(reduction: Reduction) -> L1Loss {
        L1Loss { reduction }
    }

    /// The loss of this prediction for this target.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Var) -> Var {
        l1_loss(input, target, self.reduction)
    }
}

/// Options of [`SmoothL1Loss`].
#[derive(Debug, Clone, Copy)]
pub struct SmoothL1LossOptions {
    /// What becomes of the losses (default: their mean).
    pub reduction: Reduction,
    /// The distance at which the parabola ends and the line begins, not negative (default: 1).
    pub beta: f64,
}

impl Default for SmoothL1LossOptions {
    fn default() -> SmoothL1LossOptions {
        SmoothL1LossOptions { reduction: Reduction::Mean, beta: 1.0 }
    }
}

/// `(x - t)² / (2 beta)` near 0 and `|x - t| - beta / 2` beyond `beta`, averaged; [`Var::smooth_l1_loss`] as a module.
///
/// # Differs
/// Input and target of different shapes broadcast without a warning.
///
/// ```
/// use nn::prelude::*;
///
/// let loss = SmoothL1Loss::new().forward(&Var::new(Tensor::from([1f32, 2.0])), &Var::new(Tensor::from([1.5f32, 4.0])));
/// assert_eq!(loss.item::<f32>(), (0.125 + 1.5) / 2.0);
/// ```
#[derive(Debug, Module)]
pub struct SmoothL1Loss {
    #[module(config)]
    options: SmoothL1LossOptions,
}

impl SmoothL1Loss {
    /// The loss with options.
    pub fn with(options: SmoothL1LossOptions) -> SmoothL1Loss {
        SmoothL1Loss { options }
    }

    /// The loss of this prediction for this target.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Var) -> Var {
        smooth_l1_loss(input, target, self.options.reduction, self.options.beta)
    }
}

/// Options of [`HuberLoss`].
#[derive(Debug, Clone, Copy)]
pub struct HuberLossOptions {
    /// What becomes of the losses (default: their mean).
    pub reduction: Reduction,
    /// The distance at which the parabola ends and the line begins, positive (default: 1).
    pub delta: f64,
}

impl Default for HuberLossOptions {
    fn default() -> HuberLossOptions {
        HuberLossOptions { reduction: Reduction::Mean, delta: 1.0 }
    }
}

/// `(x - t)² / 2` near 0 and `delta (|x - t| - delta / 2)` beyond `delta`, averaged; [`Var::huber_loss`] as a module.
///
/// # Differs
/// Input and target of different shapes broadcast without a warning.
///
/// ```
/// use nn::prelude::*;
///
/// let loss = HuberLoss::new().forward(&Var::new(Tensor::from([1f32, 2.0])), &Var::new(Tensor::from([1.5f32, 4.0])));
/// assert_eq!(loss.item::<f32>(), (0.125 + 1.5) / 2.0);
/// ```
#[derive(Debug, Module)]
pub struct HuberLoss {
    #[module(config)]
    options: HuberLossOptions,
}

impl HuberLoss {
    /// The loss with options.
    pub fn with(options: HuberLossOptions) -> HuberLoss {
        HuberLoss { options }
    }

    /// The loss of this prediction for this target.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Var) -> Var {
        huber_loss(input, target, self.options.reduction, self.options.delta)
    }
}
