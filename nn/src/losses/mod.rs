//! Losses: a prediction and a target in, a number out.

use autograd::Var;
use tensor::{CrossEntropy, Tensor};

use crate::functional::{cross_entropy, mse_loss};
use crate::{Buffer, Module, Reduction};

/// `-log softmax(x)[target]`, averaged; [`functional::cross_entropy`](crate::functional::cross_entropy) as a module,
/// which documents shapes and weights.
///
/// ```
/// use nn::prelude::*;
///
/// let logits = Var::new(Tensor::from([[0f32, 0.0], [0.0, 0.0]]));
/// let loss = CrossEntropyLoss::new().forward(&logits, &Tensor::from([0i64, 1]));
/// assert!((loss.item::<f32>() - 2f32.ln()).abs() < 1e-6);
///
/// let smooth = CrossEntropyLoss::with(CrossEntropy { label_smoothing: 0.1, ..Default::default() });
/// assert!((smooth.forward(&logits, &Tensor::from([0i64, 1])).item::<f32>() - 2f32.ln()).abs() < 1e-6);
/// ```
#[derive(Debug, Module)]
pub struct CrossEntropyLoss {
    weight: Option<Buffer>,
    /// The weight is in the buffer.
    #[module(config)]
    options: CrossEntropy,
}

impl CrossEntropyLoss {
    /// The mean over all targets.
    pub fn new() -> CrossEntropyLoss {
        CrossEntropyLoss::with(CrossEntropy::default())
    }

    /// The loss with options.
    pub fn with(mut options: CrossEntropy) -> CrossEntropyLoss {
        CrossEntropyLoss { weight: options.weight.take().map(Buffer::new), options }
    }

    /// The loss of these logits for class indices (i64) or class probabilities (a floating dtype).
    #[track_caller]
    pub fn forward(&self, logits: &Var, target: &Tensor) -> Var {
        let options = CrossEntropy { weight: self.weight.as_ref().map(Buffer::value), ..self.options.clone() };
        cross_entropy(logits, target, &options)
    }
}

impl Default for CrossEntropyLoss {
    fn default() -> CrossEntropyLoss {
        CrossEntropyLoss::new()
    }
}

/// `(x - target)²`, averaged; [`functional::mse_loss`](crate::functional::mse_loss) as a module.
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
    /// The mean over all elements.
    pub fn new() -> MSELoss {
        MSELoss::with(Reduction::Mean)
    }

    /// The loss with this reduction.
    pub fn with(reduction: Reduction) -> MSELoss {
        MSELoss { reduction }
    }

    /// The loss of this prediction, which has the shape of the target.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Var) -> Var {
        mse_loss(input, target, self.reduction)
    }
}

impl Default for MSELoss {
    fn default() -> MSELoss {
        MSELoss::new()
    }
}
