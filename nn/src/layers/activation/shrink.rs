//! Activations that shrink small values to zero.

use autograd::Var;

use super::{plain, with_number};
use crate::{Forward, Module};

with_number! {
    /// `y = x - lambd` where `x > lambd`, `x + lambd` where `x < -lambd`, else 0.
    ///
    /// # Gradient
    /// `dx = dy`, but 0 where `-lambd <= x <= lambd`.
    ///
    /// # Panics
    /// The forward pass, when `lambd` is negative.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = Softshrink::new().forward(&Var::new(Tensor::from([-2f32, 0.25, 1.0])));
    /// assert_eq!(y.value().to_vec::<f32>(), [-1.5, 0.0, 0.5]);
    /// ```
    Softshrink(lambd = 0.5, "{}") = softshrink;

    /// `y = x`, but 0 where `-lambd <= x <= lambd`.
    ///
    /// # Gradient
    /// `dx = dy`, but 0 where `-lambd <= x <= lambd`.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = Hardshrink::new().forward(&Var::new(Tensor::from([-2f32, 0.25, 1.0])));
    /// assert_eq!(y.value().to_vec::<f32>(), [-2.0, 0.0, 1.0]);
    /// ```
    Hardshrink(lambd = 0.5, "{}") = hardshrink;
}

plain! {
    /// `y = x - tanh(x)`.
    ///
    /// # Gradient
    /// `dx = dy tanh(x)²`.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = Tanhshrink::new().forward(&Var::new(Tensor::from([0f64, 50.0])));
    /// assert_eq!(y.value().to_vec::<f64>(), [0.0, 49.0]);
    /// ```
    Tanhshrink = tanhshrink;
}
