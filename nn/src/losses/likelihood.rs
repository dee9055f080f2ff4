//! Losses of distributions: a divergence, and negative log-likelihoods of numbers.

use autograd::Var;

use super::with_defaults;
use crate::functional::{gaussian_nll_loss, kl_div, poisson_nll_loss};
use crate::{Module, Reduction};

with_defaults!(
    KLDivLoss(KLDivLossOptions),
    PoissonNLLLoss(PoissonNLLLossOptions),
    GaussianNLLLoss(GaussianNLLLossOptions),
);

/// Options of [`KLDivLoss`].
#[derive(Debug, Clone, Copy, Default)]
pub struct KLDivLossOptions {
    /// What becomes of the losses (default: their mean over all elements; [`Reduction::BatchMean`] is the divergence, averaged
    /// over the batch).
    pub reduction: Reduction,
    /// Whether the target holds logarithms of probabilities too (default: false).
    pub log_target: bool,
}

/// `t (log t - x)` of log-probabilities `x` and probabilities `t`, averaged over all elements; [`Var::kl_div`] as a module.
///
/// # Differs
/// The gradient to a target probability of 0 is `-inf`, its limit; PyTorch has NaN.
///
/// ```
/// use nn::prelude::*;
///
/// let loss = KLDivLoss::with(KLDivLossOptions { reduction: Reduction::BatchMean, ..Default::default() });
/// let (x, t) = (Var::new(Tensor::from([[0.5f32.ln(), 0.5f32.ln()]])), Var::new(Tensor::from([[1f32, 0.0]])));
/// assert!((loss.forward(&x, &t).item::<f32>() - 2f32.ln()).abs() < 1e-6);
/// ```
#[derive(Debug, Module)]
pub struct KLDivLoss {
    #[module(config)]
    options: KLDivLossOptions,
}

impl KLDivLoss {
    /// The loss with options.
    pub fn with(options: KLDivLossOptions) -> KLDivLoss {
        KLDivLoss { options }
    }

    /// The loss of these log-probabilities for target probabilities, or their logarithms.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Var) -> Var {
        kl_div(input, target, self.options.reduction, self.options.log_target)
    }
}

/// Options of [`PoissonNLLLoss`].
#[derive(Debug, Clone, Copy)]
pub struct PoissonNLLLossOptions {
    /// Whether the input is the logarithm of the rate (default: true).
    pub log_input: bool,
    /// Whether Stirling's approximation of the constant `log t!` is added (default: false).
    pub full: bool,
    /// Added to a rate before its logarithm is taken (default: 1e-8).
    pub eps: f64,
    /// What becomes of the losses (default: their mean).
    pub reduction: Reduction,
}

impl Default for PoissonNLLLossOptions {
    fn default() -> PoissonNLLLossOptions {
        PoissonNLLLossOptions { log_input: true, full: false, eps: 1e-8, reduction: Reduction::Mean }
    }
}

/// `e^x - t x` for the logarithm `x` of a Poisson rate, averaged;
/// [`functional::poisson_nll_loss`](crate::functional::poisson_nll_loss) as a module.
///
/// ```
/// use nn::prelude::*;
///
/// let loss = PoissonNLLLoss::new().forward(&Var::new(Tensor::from([0f32])), &Var::new(Tensor::from([3f32])));
/// assert_eq!(loss.item::<f32>(), 1.0);
/// ```
#[derive(Debug, Module)]
pub struct PoissonNLLLoss {
    #[module(config)]
    options: PoissonNLLLossOptions,
}

impl PoissonNLLLoss {
    /// The loss with options.
    pub fn with(options: PoissonNLLLossOptions) -> PoissonNLLLoss {
        PoissonNLLLoss { options }
    }

    /// The loss of these rates, or their logarithms, for counts.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Var) -> Var {
        poisson_nll_loss(input, target, self.options)
    }
}

/// Options of [`GaussianNLLLoss`].
#[derive(Debug, Clone, Copy)]
pub struct GaussianNLLLossOptions {
    /// Whether the constant `log(2 π) / 2` is added (default: false).
    pub full: bool,
    /// The least variance (default: 1e-6).
    pub eps: f64,
    /// What becomes of the losses (default: their mean).
    pub reduction: Reduction,
}

impl Default for GaussianNLLLossOptions {
    fn default() -> GaussianNLLLossOptions {
        GaussianNLLLossOptions { full: false, eps: 1e-6, reduction: Reduction::Mean }
    }
}

/// `(log v + (x - t)² / v) / 2` for the mean and the variance of a normal distribution, averaged;
/// [`functional::gaussian_nll_loss`](crate::functional::gaussian_nll_loss) as a module.
///
/// ```
/// use nn::prelude::*;
///
/// let [x, t, v] = [[1f32], [3.0], [1.0]].map(|value| Var::new(Tensor::from(value)));
/// assert_eq!(GaussianNLLLoss::new().forward(&x, &t, &v).item::<f32>(), 2.0);
/// ```
#[derive(Debug, Module)]
pub struct GaussianNLLLoss {
    #[module(config)]
    options: GaussianNLLLossOptions,
}

impl GaussianNLLLoss {
    /// The loss with options.
    pub fn with(options: GaussianNLLLossOptions) -> GaussianNLLLoss {
        GaussianNLLLoss { options }
    }

    /// The loss of means and variances for observed numbers.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Var, var: &Var) -> Var {
        gaussian_nll_loss(input, target, var, self.options)
    }
}
