//! Activations as modules. Each is the `Var` method of its name.

use autograd::Var;

use crate::{Forward, Module};

/// `y = max(x, 0)`.
///
/// # Gradient
/// `dx = dy [x > 0]`, zero at the kink.
///
/// ```
/// use nn::prelude::*;
///
/// let y = ReLU::new().forward(&Var::new(Tensor::from([-1f32, 2.0])));
/// assert_eq!(y.value().to_vec::<f32>(), [0.0, 2.0]);
/// ```
#[derive(Debug, Clone, Copy, Default, Module)]
pub struct ReLU;

impl ReLU {
    /// The activation.
    pub fn new() -> ReLU {
        ReLU
    }
}

impl Forward for ReLU {
    fn forward(&self, input: &Var) -> Var {
        input.relu()
    }
}

/// `y = 1 / (1 + exp(-x))`.
///
/// ```
/// use nn::prelude::*;
///
/// let y = Sigmoid::new().forward(&Var::new(Tensor::from([0f32])));
/// assert_eq!(y.value().to_vec::<f32>(), [0.5]);
/// ```
#[derive(Debug, Clone, Copy, Default, Module)]
pub struct Sigmoid;

impl Sigmoid {
    /// The activation.
    pub fn new() -> Sigmoid {
        Sigmoid
    }
}

impl Forward for Sigmoid {
    fn forward(&self, input: &Var) -> Var {
        input.sigmoid()
    }
}

/// `y = tanh(x)`.
///
/// ```
/// use nn::prelude::*;
///
/// let y = Tanh::new().forward(&Var::new(Tensor::from([0f32, 100.0])));
/// assert_eq!(y.value().to_vec::<f32>(), [0.0, 1.0]);
/// ```
#[derive(Debug, Clone, Copy, Default, Module)]
pub struct Tanh;

impl Tanh {
    /// The activation.
    pub fn new() -> Tanh {
        Tanh
    }
}

impl Forward for Tanh {
    fn forward(&self, input: &Var) -> Var {
        input.tanh()
    }
}

/// `y = x sigmoid(x)`, also called swish.
///
/// ```
/// use nn::prelude::*;
///
/// let y = SiLU::new().forward(&Var::new(Tensor::from([0f32])));
/// assert_eq!(y.value().to_vec::<f32>(), [0.0]);
/// ```
#[derive(Debug, Clone, Copy, Default, Module)]
pub struct SiLU;

impl SiLU {
    /// The activation.
    pub fn new() -> SiLU {
        SiLU
    }
}

impl Forward for SiLU {
    fn forward(&self, input: &Var) -> Var {
        input.silu()
    }
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
    fn forward(&self, input: &Var) -> Var {
        match self.approximate {
            Approximate::None => input.gelu(),
            Approximate::Tanh => input.gelu_tanh(),
        }
    }
}

/// `y = exp(x) / sum(exp(x))` along a dimension.
///
/// ```
/// use nn::prelude::*;
///
/// let y = Softmax::new(-1).forward(&Var::new(Tensor::from([[1f32, 1.0]])));
/// assert_eq!(y.value().to_vec::<f32>(), [0.5, 0.5]);
/// ```
#[derive(Debug, Clone, Copy, Module)]
#[module(repr = Softmax::repr)]
pub struct Softmax {
    #[module(config)]
    dim: isize,
}

impl Softmax {
    /// Softmax along `dim`, which may be negative.
    pub fn new(dim: isize) -> Softmax {
        Softmax { dim }
    }

    fn repr(&self) -> String {
        format!("dim={}", self.dim)
    }
}

impl Forward for Softmax {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.softmax(self.dim)
    }
}

/// `y = x - log(sum(exp(x)))` along a dimension.
///
/// ```
/// use nn::prelude::*;
///
/// let y = LogSoftmax::new(-1).forward(&Var::new(Tensor::from([[3f64, 3.0]])));
/// assert!((y.value().get::<f64>(&[0, 0]) + 2f64.ln()).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, Module)]
#[module(repr = LogSoftmax::repr)]
pub struct LogSoftmax {
    #[module(config)]
    dim: isize,
}

impl LogSoftmax {
    /// Log-softmax along `dim`, which may be negative.
    pub fn new(dim: isize) -> LogSoftmax {
        LogSoftmax { dim }
    }

    fn repr(&self) -> String {
        format!("dim={}", self.dim)
    }
}

impl Forward for LogSoftmax {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.log_softmax(self.dim)
    }
}
