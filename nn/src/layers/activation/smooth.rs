//! Smooth activations.

use autograd::Var;

use super::plain;
use crate::layers::printed;
use crate::{Forward, Module, functional};

plain! {
    /// `y = 1 / (1 + exp(-x))`.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = Sigmoid::new().forward(&Var::new(Tensor::from([0f32])));
    /// assert_eq!(y.value().to_vec::<f32>(), [0.5]);
    /// ```
    Sigmoid = sigmoid;

    /// `y = log(1 / (1 + exp(-x)))`.
    ///
    /// # Numerics
    /// Without overflow: `x` far below zero.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = LogSigmoid::new().forward(&Var::new(Tensor::from([-1000f64, 1000.0])));
    /// assert_eq!(y.value().to_vec::<f64>(), [-1000.0, 0.0]);
    /// ```
    LogSigmoid = logsigmoid;

    /// `y = tanh(x)`.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = Tanh::new().forward(&Var::new(Tensor::from([0f32, 100.0])));
    /// assert_eq!(y.value().to_vec::<f32>(), [0.0, 1.0]);
    /// ```
    Tanh = tanh;

    /// `y = x / (1 + |x|)`.
    ///
    /// # Gradient
    /// `dx = dy / (1 + |x|)²`.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = Softsign::new().forward(&Var::new(Tensor::from([-1f32, 3.0])));
    /// assert_eq!(y.value().to_vec::<f32>(), [-0.5, 0.75]);
    /// ```
    Softsign = softsign;

    /// `y = x sigmoid(x)`, also called swish.
    ///
    /// # Source
    /// Hendrycks, Gimpel, "Gaussian Error Linear Units", 2016, section 2.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = SiLU::new().forward(&Var::new(Tensor::from([0f32])));
    /// assert_eq!(y.value().to_vec::<f32>(), [0.0]);
    /// ```
    SiLU = silu;

    /// `y = x tanh(log(1 + exp(x)))`.
    ///
    /// # Source
    /// Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2020, equation 1.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = Mish::new().forward(&Var::new(Tensor::from([0f64, 100.0])));
    /// assert_eq!(y.value().to_vec::<f64>(), [0.0, 100.0]);
    /// ```
    Mish = mish;
}

/// How [`GELU`] computes the normal distribution function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Approximate {
    /// Exactly, by the error function.
    #[default]
    None,
    /// By tanh, as GPT-2 does.
    Tanh,
}

/// `y = x Φ(x)` with the standard normal distribution function Φ, or its approximation
/// `Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`.
///
/// # Source
/// Hendrycks, Gimpel, "Gaussian Error Linear Units", 2016, section 2.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([1f64]));
/// let exact = GELU::new().forward(&x).value().item::<f64>();
/// let tanh = GELU::with(Approximate::Tanh).forward(&x).value().item::<f64>();
/// assert!((exact - 0.8413447).abs() < 1e-7 && (tanh - 0.8411920).abs() < 1e-7);
/// ```
#[derive(Debug, Clone, Copy, Default, Module)]
#[module(repr = GELU::repr)]
pub struct GELU {
    #[module(config)]
    approximate: Approximate,
}

impl GELU {
    /// The exact activation.
    pub fn new() -> GELU {
        GELU::with(Approximate::None)
    }

    /// The activation in one of its two forms.
    pub fn with(approximate: Approximate) -> GELU {
        GELU { approximate }
    }

    fn repr(&self) -> String {
        match self.approximate {
            Approximate::None => "approximate='none'".to_owned(),
            Approximate::Tanh => "approximate='tanh'".to_owned(),
        }
    }
}

impl Forward for GELU {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        functional::gelu(input, self.approximate)
    }
}

/// `y = log(1 + exp(beta x)) / beta`, a smooth ReLU; and `x` itself where `beta x > threshold`.
///
/// # Gradient
/// `dx = dy sigmoid(beta x)`, and `dy` above the threshold.
///
/// ```
/// use nn::prelude::*;
///
/// let y = Softplus::with(2.0, 20.0).forward(&Var::new(Tensor::from([0f64, 30.0])));
/// assert_eq!(y.value().to_vec::<f64>(), [2f64.ln() / 2.0, 30.0]);
/// ```
#[derive(Debug, Clone, Copy, Module)]
#[module(repr = Softplus::repr)]
pub struct Softplus {
    #[module(config)]
    beta: f64,
    #[module(config)]
    threshold: f64,
}

impl Softplus {
    /// The activation with `beta` 1 and `threshold` 20, PyTorch's defaults.
    pub fn new() -> Softplus {
        Softplus::with(1.0, 20.0)
    }

    /// The activation with this sharpness, straight above this threshold.
    pub fn with(beta: f64, threshold: f64) -> Softplus {
        Softplus { beta, threshold }
    }

    fn repr(&self) -> String {
        format!("beta={}, threshold={}", printed::float(self.beta), printed::float(self.threshold))
    }
}

impl Default for Softplus {
    fn default() -> Softplus {
        Softplus::new()
    }
}

impl Forward for Softplus {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.softplus(self.beta, self.threshold)
    }
}
