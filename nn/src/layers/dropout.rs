//! Random zeros in training.

use autograd::Var;

use crate::layers::printed;
use crate::{Forward, Module, Training};

/// In training `y = x * m / (1 - p)` where each `m` is 0 with probability `p`, else 1; in evaluation `y = x`.
///
/// # Gradient
/// The same mask and scale; the mask is drawn again rather than kept.
///
/// # Source
/// Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014, section 4.
///
/// ```
/// use nn::prelude::*;
///
/// let dropout = Dropout::new(0.5);
/// let x = Var::new(Tensor::ones([8], DType::F32));
/// assert!(dropout.forward(&x).value().to_vec::<f32>().iter().all(|&y| y == 0.0 || y == 2.0));
/// dropout.eval();
/// assert!(dropout.forward(&x).value().bit_eq(&x.value()));
/// ```
#[derive(Debug, Module)]
#[module(repr = Dropout::repr)]
pub struct Dropout {
    #[module(config)]
    p: f64,
    training: Training,
}

impl Dropout {
    /// Dropout with probability `p` (PyTorch's default is 0.5).
    ///
    /// # Panics
    /// When `p` is not in `0..=1`.
    #[track_caller]
    pub fn new(p: f64) -> Dropout {
        assert!((0.0..=1.0).contains(&p), "Dropout: the probability is not between 0 and 1, p = {p}");
        Dropout { p, training: Training::new() }
    }

    /// The probability of a zero.
    pub fn p(&self) -> f64 {
        self.p
    }

    /// Whether a forward pass draws a mask: in training, with `p` above zero.
    pub fn is_active(&self) -> bool {
        self.training.get() && self.p > 0.0
    }

    fn repr(&self) -> String {
        format!("p={}, inplace=False", printed::float(self.p))
    }
}

impl Forward for Dropout {
    fn forward(&self, input: &Var) -> Var {
        if self.is_active() { input.dropout(self.p) } else { input.clone() }
    }
}
