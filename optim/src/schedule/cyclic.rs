//! Cycle after cycle: a learning rate that rises and falls on straight lines, with a momentum that falls and rises.

use std::fmt;
use std::rc::Rc;

use super::groups::{check_momentum, for_groups};
use super::{At, Entry, Policy, Schedule};
use crate::Optimizer;

/// The learning rate between `base_lr` and `max_lr`, to and fro on straight lines; the momentum (or β₁) the other way.
///
/// Cycle `c` (from 1) of `step_size_up + step_size_down` steps goes up to `base_lr + (max_lr - base_lr) s`, with the scale
/// `s` of [`CyclicScale`]. Moves with every batch rather than every epoch.
///
/// # Source
/// Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, section 3.
///
/// ```
/// use nn::prelude::*;
/// use optim::{CyclicLR, CyclicLROptions, SGD, Scheduler};
///
/// let mut optimizer = SGD::new(Linear::new(1, 1).parameters());
/// let options = CyclicLROptions { step_size_up: 2, cycle_momentum: false, ..Default::default() };
/// let mut schedule = CyclicLR::with(&mut optimizer, 1.0, 2.0, options);
/// let rates: Vec<f64> = (0..4).map(|_| { schedule.step(&mut optimizer); schedule.get_last_lr()[0] }).collect();
/// assert_eq!(rates, [1.5, 2.0, 1.5, 1.0]);
/// ```
pub type CyclicLR = Schedule<Cyclic>;

/// How high the cycles of [`CyclicLR`] go.
#[derive(Clone, Default)]
pub enum CyclicScale {
    /// All to `max_lr`: the scale 1.
    #[default]
    Triangular,
    /// Each half as high as the one before: `1 / 2^(cycle - 1)`.
    Triangular2,
    /// Lower with every step: `gamma^step`.
    ExpRange(
        /// `gamma`, the factor of a step.
        f64,
    ),
    /// A function of the cycle (from 1), which is not saved.
    OfCycle(Rc<dyn Fn(f64) -> f64>),
    /// A function of the step (from 0), which is not saved.
    OfStep(Rc<dyn Fn(f64) -> f64>),
}

impl fmt::Debug for CyclicScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CyclicScale::Triangular => f.write_str("Triangular"),
            CyclicScale::Triangular2 => f.write_str("Triangular2"),
            CyclicScale::ExpRange(gamma) => write!(f, "ExpRange({gamma})"),
            CyclicScale::OfCycle(_) => f.write_str("OfCycle(function)"),
            CyclicScale::OfStep(_) => f.write_str("OfStep(function)"),
        }
    }
}

/// Options of [`CyclicLR`].
#[derive(Debug, Clone)]
pub struct CyclicLROptions {
    /// Steps from the smallest rate to the largest (default: 2000).
    pub step_size_up: usize,
    /// Steps back (default: as many).
    pub step_size_down: Option<usize>,
    /// How high the cycles go (default: all equally).
    pub scale: CyclicScale,
    /// Whether the momentum moves as well (default: true).
    pub cycle_momentum: bool,
    /// The momentum at the largest rate: one number, or one for each group (default: 0.8).
    pub base_momentum: Vec<f64>,
    /// The momentum at the smallest rate: one number, or one for each group (default: 0.9).
    pub max_momentum: Vec<f64>,
}

impl Default for CyclicLROptions {
    fn default() -> CyclicLROptions {
        CyclicLROptions {
            step_size_up: 2000,
            step_size_down: None,
            scale: CyclicScale::default(),
            cycle_momentum: true,
            base_momentum: vec![0.8],
            max_momentum: vec![0.9],
        }
    }
}

/// The policy of [`CyclicLR`].
#[derive(Debug, Clone)]
pub struct Cyclic {
    /// The largest rate of each group.
    max_lrs: Vec<f64>,
    step_size_up: f64,
    step_size_down: f64,
    scale: CyclicScale,
    cycle_momentum: bool,
    base_momentum: Vec<f64>,
    max_momentum: Vec<f64>,
}

impl CyclicLR {
    /// Cycles between `base_lr` and `max_lr` with PyTorch's defaults for the rest.
    ///
    /// # Panics
    /// As [`with`](CyclicLR::with).
    #[track_caller]
    pub fn new(optimizer: &mut dyn Optimizer, base_lr: f64, max_lr: f64) -> CyclicLR {
        CyclicLR::with(optimizer, base_lr, max_lr, CyclicLROptions::default())
    }

    /// Cycles with options, the same rates for all groups.
    ///
    /// # Panics
    /// As [`with_groups`](CyclicLR::with_groups).
    #[track_caller]
    pub fn with(optimizer: &mut dyn Optimizer, base_lr: f64, max_lr: f64, options: CyclicLROptions) -> CyclicLR {
        CyclicLR::with_groups(optimizer, &[base_lr], &[max_lr], options)
    }

    /// Cycles with options; `base_lr` and `max_lr` are one number, or one for each group.
    ///
    /// # Panics
    /// When a cycle goes up in no step, there are neither one nor as many numbers as groups, or the optimizer has no momentum to
    /// move.
    #[track_caller]
    pub fn with_groups(
        optimizer: &mut dyn Optimizer,
        base_lr: &[f64],
        max_lr: &[f64],
        options: CyclicLROptions,
    ) -> CyclicLR {
        let groups = optimizer.initial_learning_rates().len();
        let CyclicLROptions { step_size_up, step_size_down, scale, cycle_momentum, .. } = options;
        if cycle_momentum {
            check_momentum("CyclicLR", optimizer);
        }
        let policy = Cyclic {
            max_lrs: for_groups("CyclicLR: max_lr", max_lr, groups),
            step_size_up: step_size_up as f64,
            step_size_down: step_size_down.unwrap_or(step_size_up) as f64,
            scale,
            cycle_momentum,
            base_momentum: for_groups("CyclicLR: base_momentum", &options.base_momentum, groups),
            max_momentum: for_groups("CyclicLR: max_momentum", &options.max_momentum, groups),
        };
        let base_lrs = for_groups("CyclicLR: base_lr", base_lr, groups);
        Schedule::from_rates(optimizer, policy, base_lrs)
    }
}

impl Cyclic {
    /// What goes from 0 to the scale of the cycle and back at this epoch.
    fn height(&self, epoch: u64) -> f64 {
        let total = self.step_size_up + self.step_size_down;
        let (step, ratio) = (epoch as f64, self.step_size_up / total);
        let cycle = (1.0 + step / total).floor();
        let x = 1.0 + step / total - cycle;
        let part = if x <= ratio { x / ratio } else { (x - 1.0) / (ratio - 1.0) };
        let scale = match &self.scale {
            CyclicScale::Triangular => 1.0,
            CyclicScale::Triangular2 => 1.0 / 2f64.powf(cycle - 1.0),
            CyclicScale::ExpRange(gamma) => gamma.powf(step),
            CyclicScale::OfCycle(f) => f(cycle),
            CyclicScale::OfStep(f) => f(step),
        };
        part * scale
    }
}

impl Policy for Cyclic {
    const NAME: &'static str = "CyclicLR";

    fn start(&self, at: At) -> f64 {
        self.next(at)
    }

    fn next(&self, at: At) -> f64 {
        at.base + (self.max_lrs[at.group] - at.base) * self.height(at.epoch)
    }

    fn momentum(&self, at: At) -> Option<f64> {
        let (low, high) = (self.base_momentum[at.group], self.max_momentum[at.group]);
        self.cycle_momentum.then(|| high - (high - low) * self.height(at.epoch))
    }

    fn entries(&mut self, each: &mut dyn FnMut(&'static str, Entry<'_>)) {
        each("max_lrs", Entry::Numbers(&mut self.max_lrs));
        each("step_size_up", Entry::Number(&mut self.step_size_up));
        each("step_size_down", Entry::Number(&mut self.step_size_down));
        if let CyclicScale::ExpRange(gamma) = &mut self.scale {
            each("gamma", Entry::Number(gamma));
        }
        each("cycle_momentum", Entry::Flag(&mut self.cycle_momentum));
        each("base_momentums", Entry::Numbers(&mut self.base_momentum));
        each("max_momentums", Entry::Numbers(&mut self.max_momentum));
    }

    fn check(&self) -> Result<(), String> {
        let sizes = [self.step_size_up, self.step_size_down];
        let usable = sizes.iter().all(|&size| size >= 0.0 && size.is_finite()) && sizes[0] > 0.0;
        if usable {
            Ok(())
        } else {
            Err(format!("the cycle goes up in {} steps and down in {}, must go up in at least 1", sizes[0], sizes[1]))
        }
    }
}
