//! Schedules of the learning rate.

use std::f64::consts::PI;

use nn::StateDict;
use tensor::{DType, Tensor};

use crate::state::Reader;
use crate::{Optimizer, StateError};

/// Sets the learning rates of an optimizer as training goes on.
///
/// A schedule is made from the optimizer, whose learning rates of that moment are the ones it starts from. Call `step`
/// after each step of the optimizer.
pub trait Scheduler {
    /// Moves on by one and sets the learning rate of each group.
    fn step(&mut self, optimizer: &mut dyn Optimizer);

    /// The learning rates that were set last, one for each group.
    fn get_last_lr(&self) -> &[f64];

    /// Everything that a resume needs.
    fn state_dict(&self) -> StateDict;

    /// Takes over the state of a schedule of the same kind. The optimizer's own state holds its learning rates.
    ///
    /// # Errors
    /// Everything that does not fit at once; nothing is changed then.
    fn load_state_dict(&mut self, dict: &StateDict) -> Result<(), StateError>;
}

/// Linear warm-up, then a cosine down to `min_lr`.
///
/// Step `i` of `steps` (from 0) has, with the starting rate `lr` of its group,
///
/// ```text
/// lr (i + 1) / (warmup + 1)                                            for i < warmup
/// min_lr + (lr - min_lr) (1 + cos(π (i - warmup) / (steps - 1 - warmup))) / 2    afterwards
/// ```
///
/// so that step `warmup` has `lr`, and the last step and any beyond it have `min_lr`.
///
/// # Source
/// Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5, without restarts.
///
/// ```
/// use nn::prelude::*;
/// use optim::{Scheduler, SGD, SGDOptions, WarmupCosine};
///
/// let layer = Linear::new(1, 1);
/// let mut optimizer = SGD::with(layer.parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let mut schedule = WarmupCosine::new(&mut optimizer, 1, 4, 0.2);
/// let mut rates = Vec::new();
/// for _ in 0..4 {
///     rates.push((schedule.get_last_lr()[0] * 1e6).round() / 1e6);
///     schedule.step(&mut optimizer);
/// }
/// assert_eq!(rates, [0.5, 1.0, 0.6, 0.2]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct WarmupCosine {
    warmup: u64,
    steps: u64,
    min_lr: f64,
    base_lrs: Vec<f64>,
    last_epoch: u64,
    last_lr: Vec<f64>,
}

impl WarmupCosine {
    /// A schedule of `steps` steps for the learning rates that the optimizer has now; sets those of the first step.
    pub fn new(optimizer: &mut dyn Optimizer, warmup: usize, steps: usize, min_lr: f64) -> WarmupCosine {
        let base_lrs = optimizer.learning_rates();
        let (warmup, steps) = (warmup as u64, steps as u64);
        let mut schedule = WarmupCosine { warmup, steps, min_lr, last_lr: base_lrs.clone(), base_lrs, last_epoch: 0 };
        schedule.set(optimizer);
        schedule
    }

    /// The learning rate of step `i` (from 0) for a group that starts from `lr`.
    pub fn rate(&self, lr: f64, i: usize) -> f64 {
        let i = i as u64;
        if i < self.warmup {
            return lr * (i + 1) as f64 / (self.warmup + 1) as f64;
        }
        let (done, all) = (i - self.warmup, self.steps.saturating_sub(1 + self.warmup));
        if done >= all {
            return self.min_lr;
        }
        self.min_lr + (lr - self.min_lr) * (1.0 + (PI * done as f64 / all as f64).cos()) / 2.0
    }

    fn set(&mut self, optimizer: &mut dyn Optimizer) {
        self.last_lr = self.base_lrs.iter().map(|&lr| self.rate(lr, self.last_epoch as usize)).collect();
        optimizer.set_learning_rates(&self.last_lr);
    }
}

impl Scheduler for WarmupCosine {
    fn step(&mut self, optimizer: &mut dyn Optimizer) {
        self.last_epoch += 1;
        self.set(optimizer);
    }

    fn get_last_lr(&self) -> &[f64] {
        &self.last_lr
    }

    fn state_dict(&self) -> StateDict {
        let groups = self.base_lrs.len();
        let entries = [
            ("warmup", Tensor::scalar(self.warmup as i64)),
            ("steps", Tensor::scalar(self.steps as i64)),
            ("min_lr", Tensor::scalar(self.min_lr)),
            ("base_lrs", Tensor::from_slice(&self.base_lrs, [groups])),
            ("last_epoch", Tensor::scalar(self.last_epoch as i64)),
            ("last_lr", Tensor::from_slice(&self.last_lr, [groups])),
        ];
        entries.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect()
    }

    fn load_state_dict(&mut self, dict: &StateDict) -> Result<(), StateError> {
        let mut reader = Reader::new(dict);
        let groups = [self.base_lrs.len()];
        let loaded = (
            reader.count("warmup"),
            reader.count("steps"),
            reader.number("min_lr"),
            reader.tensor("base_lrs", &groups, DType::F64),
            reader.count("last_epoch"),
            reader.tensor("last_lr", &groups, DType::F64),
        );
        reader.finish("WarmupCosine")?;
        if let (Some(warmup), Some(steps), Some(min_lr), Some(base_lrs), Some(last_epoch), Some(last_lr)) = loaded {
            let (base_lrs, last_lr) = (base_lrs.to_vec::<f64>(), last_lr.to_vec::<f64>());
            *self = WarmupCosine { warmup, steps, min_lr, base_lrs, last_epoch, last_lr };
        }
        Ok(())
    }
}
