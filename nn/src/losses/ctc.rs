//! Connectionist temporal classification.

use autograd::Var;
use tensor::{Ctc, Tensor};

use super::with_defaults;
use crate::Module;
use crate::functional::ctc_loss;

/// `-log` of the probability of sequences of labels whose places in time are not known;
/// [`Var::ctc_loss`] as a module.
///
/// ```
/// use nn::prelude::*;
///
/// // 50 steps of 16 sequences over 20 classes, of which class 0 is the blank.
/// let log_probs = Var::new(Tensor::randn([50, 16, 20], DType::F32)).log_softmax(2);
/// let targets = Tensor::randint(1, 20, [16, 30]);
/// let (steps, lengths) = (Tensor::full([16], 50.0, DType::I64), Tensor::randint(10, 31, [16]));
/// let loss = CTCLoss::new().forward(&log_probs, &targets, &steps, &lengths);
/// assert!(loss.item::<f32>() > 0.0);
/// ```
#[derive(Debug, Module)]
pub struct CTCLoss {
    #[module(config)]
    options: Ctc,
}

with_defaults!(CTCLoss(Ctc));

impl CTCLoss {
    /// The loss with options.
    pub fn with(options: Ctc) -> CTCLoss {
        CTCLoss { options }
    }

    /// The loss of log-probabilities `[t, n, c]` for targets `[n, s]`, or one after the other, with the lengths of each.
    #[track_caller]
    pub fn forward(&self, log_probs: &Var, targets: &Tensor, input_lengths: &Tensor, target_lengths: &Tensor) -> Var {
        ctc_loss(log_probs, targets, input_lengths, target_lengths, &self.options)
    }
}
