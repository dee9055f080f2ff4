//! Learning rates on a cosine: once or to and fro, with warm restarts, after a warm-up.

use std::f64::consts::PI;

use super::{At, Entry, Policy, Schedule};
use crate::Optimizer;

/// `lr = eta_min + (base_lr - eta_min) (1 + cos(π epoch / t_max)) / 2`: down in `t_max` epochs, up again in as many, and so
/// on.
///
/// # Numerics
/// Each rate follows from the one before, as in PyTorch, so that the schedule can be chained with others.
///
/// # Source
/// Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5, without restarts.
///
/// ```
/// use nn::prelude::*;
/// use optim::{CosineAnnealingLR, SGD, SGDOptions, Scheduler};
///
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let mut schedule = CosineAnnealingLR::new(&mut optimizer, 2, 0.0);
/// schedule.step(&mut optimizer);
/// assert!((schedule.get_last_lr()[0] - 0.5).abs() < 1e-15);
/// ```
pub type CosineAnnealingLR = Schedule<CosineAnnealing>;

/// `lr = eta_min + (base_lr - eta_min) (1 + cos(π t / t_i)) / 2` where `t` epochs have passed since the last restart and
/// `t_i` lie between it and the next: `t_0` at first, `t_mult` times as many after each restart.
///
/// # Source
/// Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5.
///
/// ```
/// use nn::prelude::*;
/// use optim::{CosineAnnealingWarmRestarts, SGD, SGDOptions, Scheduler};
///
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let mut schedule = CosineAnnealingWarmRestarts::new(&mut optimizer, 2, 2, 0.0);
/// let rates = (0..6).map(|_| { schedule.step(&mut optimizer); schedule.get_last_lr()[0] });
/// let rounded: Vec<f64> = rates.map(|lr| (lr * 100.0).round() / 100.0).collect();
/// assert_eq!(rounded, [0.5, 1.0, 0.85, 0.5, 0.15, 1.0]);
/// ```
pub type CosineAnnealingWarmRestarts = Schedule<WarmRestarts>;

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
pub type WarmupCosine = Schedule<WarmupThenCosine>;

/// The policy of [`CosineAnnealingLR`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CosineAnnealing {
    /// Epochs from the largest rate to the smallest.
    pub t_max: u64,
    /// The smallest rate.
    pub eta_min: f64,
}

/// The policy of [`CosineAnnealingWarmRestarts`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WarmRestarts {
    /// Epochs until the first restart.
    pub t_0: u64,
    /// How many times longer each stretch is than the one before.
    pub t_mult: u64,
    /// The smallest rate.
    pub eta_min: f64,
    t_cur: f64,
    t_i: f64,
}

/// The policy of [`WarmupCosine`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WarmupThenCosine {
    /// The steps of the warm-up.
    pub warmup: u64,
    /// All steps.
    pub steps: u64,
    /// The rate of the last one.
    pub min_lr: f64,
}

impl CosineAnnealingLR {
    /// Down to `eta_min` (PyTorch's default is 0) in `t_max` epochs.
    ///
    /// # Panics
    /// When `t_max` is 0.
    #[track_caller]
    pub fn new(optimizer: &mut dyn Optimizer, t_max: usize, eta_min: f64) -> CosineAnnealingLR {
        Schedule::of(optimizer, CosineAnnealing { t_max: t_max as u64, eta_min })
    }
}

impl CosineAnnealingWarmRestarts {
    /// A first stretch of `t_0` epochs, each further one `t_mult` times as long (PyTorch's default is 1), each down to
    /// `eta_min` (0).
    ///
    /// # Panics
    /// When `t_0` or `t_mult` is 0.
    #[track_caller]
    pub fn new(optimizer: &mut dyn Optimizer, t_0: usize, t_mult: usize, eta_min: f64) -> CosineAnnealingWarmRestarts {
        let (t_0, t_mult) = (t_0 as u64, t_mult as u64);
        Schedule::of(optimizer, WarmRestarts { t_0, t_mult, eta_min, t_cur: 0.0, t_i: t_0 as f64 })
    }

    /// Goes to this epoch, which may lie between two: `epoch + batch / batches` moves the rate with every batch.
    ///
    /// # Panics
    /// When `epoch` is negative or not finite.
    #[track_caller]
    pub fn step_to(&mut self, optimizer: &mut dyn Optimizer, epoch: f64) {
        let usable = epoch >= 0.0 && epoch.is_finite();
        assert!(usable, "CosineAnnealingWarmRestarts: the epoch is {epoch}, must be finite and not negative");
        self.policy.go_to(epoch);
        self.last_epoch = epoch as u64;
        self.set(optimizer, WarmRestarts::next);
    }
}

impl WarmupCosine {
    /// A schedule of `steps` steps for the learning rates that the optimizer started with; sets those of the first step.
    pub fn new(optimizer: &mut dyn Optimizer, warmup: usize, steps: usize, min_lr: f64) -> WarmupCosine {
        Schedule::of(optimizer, WarmupThenCosine { warmup: warmup as u64, steps: steps as u64, min_lr })
    }

    /// The learning rate of step `i` (from 0) for a group that starts from `lr`.
    pub fn rate(&self, lr: f64, i: usize) -> f64 {
        self.policy.rate(lr, i as u64)
    }
}

/// `low + (high - low) (1 + cos(π part)) / 2`.
fn cosine(low: f64, high: f64, part: f64) -> f64 {
    low + (high - low) * (1.0 + (PI * part).cos()) / 2.0
}

impl Policy for CosineAnnealing {
    const NAME: &'static str = "CosineAnnealingLR";

    fn next(&self, at: At) -> f64 {
        let CosineAnnealing { t_max, eta_min } = *self;
        let period = 2 * i128::from(t_max);
        // From the bottom, where the rate says nothing of the top, the first step up is computed from the base.
        if (i128::from(at.epoch) - 1 - i128::from(t_max)).rem_euclid(period) == 0 {
            return at.lr + (at.base - eta_min) * (1.0 - (PI / t_max as f64).cos()) / 2.0;
        }
        let height = |epoch: u64| 1.0 + (PI * epoch as f64 / t_max as f64).cos();
        height(at.epoch) / height(at.epoch - 1) * (at.lr - eta_min) + eta_min
    }

    fn entries(&mut self, each: &mut dyn FnMut(&'static str, Entry<'_>)) {
        each("T_max", Entry::Count(&mut self.t_max));
        each("eta_min", Entry::Number(&mut self.eta_min));
    }

    fn check(&self) -> Result<(), String> {
        if self.t_max > 0 { Ok(()) } else { Err("t_max is 0, must be at least 1".to_owned()) }
    }
}

impl WarmRestarts {
    fn go_to(&mut self, epoch: f64) {
        let (t_0, t_mult) = (self.t_0 as f64, self.t_mult as f64);
        (self.t_cur, self.t_i) = if epoch < t_0 {
            (epoch, t_0)
        } else if self.t_mult == 1 {
            (epoch % t_0, self.t_i)
        } else {
            let restarts = ((epoch / t_0 * (t_mult - 1.0) + 1.0).ln() / t_mult.ln()).trunc();
            let longer = t_mult.powf(restarts);
            (epoch - t_0 * (longer - 1.0) / (t_mult - 1.0), t_0 * longer)
        };
    }
}

impl Policy for WarmRestarts {
    const NAME: &'static str = "CosineAnnealingWarmRestarts";

    fn start(&self, at: At) -> f64 {
        self.next(at)
    }

    fn next(&self, at: At) -> f64 {
        cosine(self.eta_min, at.base, self.t_cur / self.t_i)
    }

    fn advance(&mut self) {
        self.t_cur += 1.0;
        if self.t_cur >= self.t_i {
            self.t_cur %= self.t_i;
            self.t_i *= self.t_mult as f64;
        }
    }

    fn reset(&mut self) {
        (self.t_cur, self.t_i) = (0.0, self.t_0 as f64);
    }

    fn entries(&mut self, each: &mut dyn FnMut(&'static str, Entry<'_>)) {
        each("T_0", Entry::Count(&mut self.t_0));
        each("T_mult", Entry::Count(&mut self.t_mult));
        each("eta_min", Entry::Number(&mut self.eta_min));
        each("T_cur", Entry::Number(&mut self.t_cur));
        each("T_i", Entry::Number(&mut self.t_i));
    }

    fn check(&self) -> Result<(), String> {
        for (name, value) in [("t_0", self.t_0), ("t_mult", self.t_mult)] {
            if value == 0 {
                return Err(format!("{name} is 0, must be at least 1"));
            }
        }
        Ok(())
    }
}

impl WarmupThenCosine {
    fn rate(&self, lr: f64, i: u64) -> f64 {
        if i < self.warmup {
            return lr * (i as f64 + 1.0) / (self.warmup as f64 + 1.0);
        }
        let (done, all) = (i - self.warmup, self.steps.saturating_sub(1).saturating_sub(self.warmup));
        if done >= all { self.min_lr } else { cosine(self.min_lr, lr, done as f64 / all as f64) }
    }
}

impl Policy for WarmupThenCosine {
    const NAME: &'static str = "WarmupCosine";

    fn start(&self, at: At) -> f64 {
        self.next(at)
    }

    fn next(&self, at: At) -> f64 {
        self.rate(at.base, at.epoch)
    }

    fn entries(&mut self, each: &mut dyn FnMut(&'static str, Entry<'_>)) {
        each("warmup", Entry::Count(&mut self.warmup));
        each("steps", Entry::Count(&mut self.steps));
        each("min_lr", Entry::Number(&mut self.min_lr));
    }
}
