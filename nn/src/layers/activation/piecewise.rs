//! Activations made of straight pieces.

use autograd::Var;

use super::{plain, with_number};
use crate::layers::printed;
use crate::{Forward, Module};

plain! {
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
    ReLU = relu;

    /// `y = min(max(x, 0), 6)`.
    ///
    /// # Gradient
    /// `dx = dy [0 < x < 6]`, zero at the kinks.
    ///
    /// # Source
    /// Howard et al., "MobileNets", 2017.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = ReLU6::new().forward(&Var::new(Tensor::from([-1f32, 2.0, 7.0])));
    /// assert_eq!(y.value().to_vec::<f32>(), [0.0, 2.0, 6.0]);
    /// ```
    ReLU6 = relu6;

    /// `y = min(max(x + 3, 0), 6) / 6`: a sigmoid of three straight pieces.
    ///
    /// # Gradient
    /// `dx = dy / 6` where `-3 < x < 3`, else 0.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = Hardsigmoid::new().forward(&Var::new(Tensor::from([-4f32, 0.0, 4.0])));
    /// assert_eq!(y.value().to_vec::<f32>(), [0.0, 0.5, 1.0]);
    /// ```
    Hardsigmoid = hardsigmoid;

    /// `y = x min(max(x + 3, 0), 6) / 6`.
    ///
    /// # Gradient
    /// `dx = dy (x / 3 + 1 / 2)` where `-3 < x < 3`, 0 below and `dy` above.
    ///
    /// # Source
    /// Howard et al., "Searching for MobileNetV3", 2019, section 5.2.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = Hardswish::new().forward(&Var::new(Tensor::from([-4f64, 0.0, 3.0])));
    /// assert_eq!(y.value().to_vec::<f64>(), [0.0, 0.0, 3.0]);
    /// ```
    Hardswish = hardswish;
}

with_number! {
    /// `y = x` where `x > 0`, else `negative_slope x`.
    ///
    /// # Gradient
    /// `dx = dy` where `x > 0`, else `negative_slope dy`, also at 0.
    ///
    /// # Source
    /// Maas, Hannun, Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = LeakyReLU::with(0.5).forward(&Var::new(Tensor::from([-1f32, 2.0])));
    /// assert_eq!(y.value().to_vec::<f32>(), [-0.5, 2.0]);
    /// assert_eq!(LeakyReLU::new().to_string(), "LeakyReLU(negative_slope=0.01)");
    /// ```
    LeakyReLU(negative_slope = 0.01, "negative_slope={}") = leaky_relu;
}

/// `y = min(max(x, min_val), max_val)`, by default between -1 and 1.
///
/// # Gradient
/// `dx = dy` between the bounds, 0 at and beyond them.
///
/// ```
/// use nn::prelude::*;
///
/// let y = Hardtanh::with(-2.0, 0.5).forward(&Var::new(Tensor::from([-3f32, 0.25, 7.0])));
/// assert_eq!(y.value().to_vec::<f32>(), [-2.0, 0.25, 0.5]);
/// ```
#[derive(Debug, Clone, Copy, Module)]
#[module(repr = Hardtanh::repr)]
pub struct Hardtanh {
    #[module(config)]
    min_val: f64,
    #[module(config)]
    max_val: f64,
}

impl Hardtanh {
    /// The activation between -1 and 1, PyTorch's defaults.
    pub fn new() -> Hardtanh {
        Hardtanh::with(-1.0, 1.0)
    }

    /// The activation between these bounds.
    ///
    /// # Panics
    /// When `max_val` is not above `min_val`.
    #[track_caller]
    pub fn with(min_val: f64, max_val: f64) -> Hardtanh {
        assert!(
            max_val > min_val,
            "Hardtanh: the bounds are the wrong way round\n  min_val {min_val}   max_val {max_val}"
        );
        Hardtanh { min_val, max_val }
    }

    fn repr(&self) -> String {
        format!("min_val={}, max_val={}", printed::float(self.min_val), printed::float(self.max_val))
    }
}

impl Default for Hardtanh {
    fn default() -> Hardtanh {
        Hardtanh::new()
    }
}

impl Forward for Hardtanh {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.hardtanh(self.min_val, self.max_val)
    }
}

/// `y = x` where `x > threshold`, else `value`.
///
/// # Gradient
/// `dx = dy [x > threshold]`.
///
/// ```
/// use nn::prelude::*;
///
/// let y = Threshold::new(0.1, 20.0).forward(&Var::new(Tensor::from([0f32, 3.0])));
/// assert_eq!(y.value().to_vec::<f32>(), [20.0, 3.0]);
/// ```
#[derive(Debug, Clone, Copy, Module)]
#[module(repr = Threshold::repr)]
pub struct Threshold {
    #[module(config)]
    threshold: f64,
    #[module(config)]
    value: f64,
}

impl Threshold {
    /// The activation that puts `value` where the input is not above `threshold`.
    pub fn new(threshold: f64, value: f64) -> Threshold {
        Threshold { threshold, value }
    }

    fn repr(&self) -> String {
        format!("threshold={}, value={}", printed::float(self.threshold), printed::float(self.value))
    }
}

impl Forward for Threshold {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.threshold(self.threshold, self.value)
    }
}
