//! The exponential linear units: straight above zero, exponential below.

use autograd::Var;

use super::{plain, with_number};
use crate::{Forward, Module};

with_number! {
    /// `y = x` where `x > 0`, else `alpha (exp(x) - 1)`.
    ///
    /// # Gradient
    /// `dx = dy` where `x > 0`, else `dy alpha exp(x)`, also at 0.
    ///
    /// # Source
    /// Clevert, Unterthiner, Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear Units", 2016.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = ELU::with(2.0).forward(&Var::new(Tensor::from([-100f64, 3.0])));
    /// assert_eq!(y.value().to_vec::<f64>(), [-2.0, 3.0]);
    /// ```
    ELU(alpha = 1.0, "alpha={}") = elu;

    /// `y = x` where `x > 0`, else `alpha (exp(x / alpha) - 1)`, whose slope is continuous for every `alpha`.
    ///
    /// # Gradient
    /// `dx = dy` where `x > 0`, else `dy exp(x / alpha)`.
    ///
    /// # Panics
    /// The forward pass, when `alpha` is 0.
    ///
    /// # Source
    /// Barron, "Continuously Differentiable Exponential Linear Units", 2017, equation 2.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = CELU::with(2.0).forward(&Var::new(Tensor::from([-1000f64, 3.0])));
    /// assert_eq!(y.value().to_vec::<f64>(), [-2.0, 3.0]);
    /// ```
    CELU(alpha = 1.0, "alpha={}") = celu;
}

plain! {
    /// `y = s x` where `x > 0`, else `s a (exp(x) - 1)`, with `s ≈ 1.0507` and `a ≈ 1.6733`, which draw the mean of a layer
    /// to 0 and its variance to 1.
    ///
    /// Weights before it start as [`Nonlinearity::Linear`](crate::init::Nonlinearity::Linear) asks for that to hold, and
    /// [`AlphaDropout`](crate::AlphaDropout) keeps it so.
    ///
    /// # Gradient
    /// `dx = dy s` where `x > 0`, else `dy s a exp(x)`, also at 0.
    ///
    /// # Source
    /// Klambauer et al., "Self-Normalizing Neural Networks", 2017, equation 2.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = SELU::new().forward(&Var::new(Tensor::from([1f64, -100.0]))).value();
    /// assert!(y.allclose(&Tensor::from([1.0507009873554805, -1.7580993408473766]), 0.0, 1e-12));
    /// ```
    SELU = selu;
}
