//! How to train: the options of a run and their rules.

use std::time::Duration;

use crate::{Error, Result};

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// This many steps.
    Steps(usize),
    /// As many steps as end within this time, the evaluations included; the number is fixed after the first few, whose
    /// speed is measured, so that the learning rate still ends at its minimum.
    Within(Duration),
}

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// How long (default 2000 steps).
    pub length: Length,
    /// Windows per backward pass (default 12).
    pub batch: usize,
    /// Backward passes per step, each with a batch of its own (default 1): the step's loss and gradient are their means,
    /// as those of one batch that is so many times as large.
    pub accumulate: usize,
    /// The largest learning rate, at the end of the warm-up (default 1e-3).
    pub lr: f64,
    /// The learning rate of the last step (default 1e-4, a tenth of the largest).
    pub min_lr: f64,
    /// Steps over which the learning rate rises from 0 (default 100).
    pub warmup: usize,
    /// The decoupled weight decay of matrices, embeddings included; biases and layer norms have none (default 0.1).
    pub weight_decay: f64,
    /// How slowly the means of the gradient and of its square change (default 0.9 and 0.99, nanoGPT's for small
    /// batches).
    pub betas: (f64, f64),
    /// The gradient's norm is cut to it; 0 cuts nothing (default 1).
    pub clip: f64,
    /// Steps between estimates of the validation loss (default 250).
    pub eval_every: usize,
    /// Batches of such an estimate (default 20).
    pub eval_batches: usize,
    /// Decides which batches are drawn (default 1337).
    pub seed: u64,
}

impl Default for TrainOptions {
    fn default() -> TrainOptions {
        TrainOptions {
            length: Length::Steps(2000),
            batch: 12,
            accumulate: 1,
            lr: 1e-3,
            min_lr: 1e-4,
            warmup: 100,
            weight_decay: 0.1,
            betas: (0.9, 0.99),
            clip: 1.0,
            eval_every: 250,
            eval_batches: 20,
            seed: 1337,
        }
    }
}

impl TrainOptions {
    /// Checks that a run with these options is possible.
    ///
    /// # Errors
    /// Names the option and its rule.
    pub fn check(&self) -> Result<()> {
        let sizes = [
            ("batch", self.batch),
            ("number of accumulated batches", self.accumulate),
            ("evaluation interval", self.eval_every),
            ("number of evaluation batches", self.eval_batches),
            ("number of steps", if let Length::Steps(steps) = self.length { steps } else { 1 }),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(Error::invalid(format!("the {name} must be at least 1")));
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return Err(Error::invalid(format!("the learning rate {} is not a positive number", self.lr)));
        }
        if !(0.0..=self.lr).contains(&self.min_lr) {
            let (min, lr) = (self.min_lr, self.lr);
            return Err(Error::invalid(format!("the minimal learning rate {min} is not between 0 and {lr}")));
        }
        for (name, x) in [("weight decay", self.weight_decay), ("clip", self.clip)] {
            if !(x >= 0.0 && x.is_finite()) {
                return Err(Error::invalid(format!("the {name} {x} is not 0 or a positive number")));
            }
        }
        if ![self.betas.0, self.betas.1].iter().all(|beta| (0.0..1.0).contains(beta)) {
            return Err(Error::invalid(format!("the betas {:?} are not in 0..1", self.betas)));
        }
        Ok(())
    }
}
