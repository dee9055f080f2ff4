//! Activations that make a distribution of a dimension.

use autograd::Var;

use super::along_dim;
use crate::{Forward, Module, functional};

along_dim! {
    /// `y = exp(x) / sum(exp(x))` along a dimension.
    ///
    /// # Differs
    /// The dimension must be given; PyTorch guesses one, with a warning.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = Softmax::new(-1).forward(&Var::new(Tensor::from([[1f32, 1.0]])));
    /// assert_eq!(y.value().to_vec::<f32>(), [0.5, 0.5]);
    /// ```
    Softmax = |input, dim| input.softmax(dim);

    /// `y = exp(-x) / sum(exp(-x))` along a dimension.
    ///
    /// # Differs
    /// The dimension must be given; PyTorch guesses one, with a warning.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let x = Var::new(Tensor::from([[0f64, 3f64.ln()]]));
    /// let y = Softmin::new(-1).forward(&x).value();
    /// assert!(y.allclose(&Tensor::from([[0.75, 0.25]]), 0.0, 1e-12));
    /// ```
    Softmin = |input, dim| functional::softmin(input, dim);

    /// `y = x - log(sum(exp(x)))` along a dimension.
    ///
    /// # Differs
    /// The dimension must be given; PyTorch guesses one, with a warning.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = LogSoftmax::new(-1).forward(&Var::new(Tensor::from([[3f64, 3.0]])));
    /// assert!((y.value().get::<f64>(&[0, 0]) + 2f64.ln()).abs() < 1e-12);
    /// ```
    LogSoftmax = |input, dim| input.log_softmax(dim);
}
