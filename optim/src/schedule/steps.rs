//! Learning rates that fall by a factor: now and then, at milestones, with every epoch.

use super::{At, Entry, Policy, Schedule};
use crate::Optimizer;

/// `lr ← lr gamma` every `step_size` epochs.
///
/// ```
/// use nn::prelude::*;
/// use optim::{SGD, SGDOptions, Scheduler, StepLR};
///
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let mut schedule = StepLR::new(&mut optimizer, 2, 0.5);
/// let rates: Vec<f64> = (0..5).map(|_| { schedule.step(&mut optimizer); schedule.get_last_lr()[0] }).collect();
/// assert_eq!(rates, [1.0, 0.5, 0.5, 0.25, 0.25]);
/// ```
pub type StepLR = Schedule<Step>;

/// `lr ← lr gamma` at each of the milestones; a milestone that stands twice counts twice.
///
/// ```
/// use nn::prelude::*;
/// use optim::{MultiStepLR, SGD, SGDOptions, Scheduler};
///
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let mut schedule = MultiStepLR::new(&mut optimizer, &[1, 3], 0.5);
/// let rates: Vec<f64> = (0..4).map(|_| { schedule.step(&mut optimizer); schedule.get_last_lr()[0] }).collect();
/// assert_eq!(rates, [0.5, 0.5, 0.25, 0.25]);
/// ```
pub type MultiStepLR = Schedule<MultiStep>;

/// `lr ← lr gamma` with every epoch.
///
/// ```
/// use nn::prelude::*;
/// use optim::{ExponentialLR, SGD, SGDOptions, Scheduler};
///
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let mut schedule = ExponentialLR::new(&mut optimizer, 0.5);
/// (0..3).for_each(|_| schedule.step(&mut optimizer));
/// assert_eq!(schedule.get_last_lr(), [0.125]);
/// ```
pub type ExponentialLR = Schedule<Exponential>;

/// The policy of [`StepLR`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Epochs between two falls.
    pub step_size: u64,
    /// The factor.
    pub gamma: f64,
}

/// The policy of [`MultiStepLR`].
#[derive(Debug, Clone, PartialEq)]
pub struct MultiStep {
    /// The epochs of the falls.
    pub milestones: Vec<u64>,
    /// The factor.
    pub gamma: f64,
}

/// The policy of [`ExponentialLR`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponential {
    /// The factor.
    pub gamma: f64,
}

impl StepLR {
    /// Falls every `step_size` epochs by the factor `gamma` (PyTorch's default is 0.1).
    ///
    /// # Panics
    /// When `step_size` is 0.
    #[track_caller]
    pub fn new(optimizer: &mut dyn Optimizer, step_size: usize, gamma: f64) -> StepLR {
        Schedule::of(optimizer, Step { step_size: step_size as u64, gamma })
    }
}

impl MultiStepLR {
    /// Falls at the milestones by the factor `gamma` (PyTorch's default is 0.1).
    pub fn new(optimizer: &mut dyn Optimizer, milestones: &[usize], gamma: f64) -> MultiStepLR {
        let milestones = milestones.iter().map(|&epoch| epoch as u64).collect();
        Schedule::of(optimizer, MultiStep { milestones, gamma })
    }
}

impl ExponentialLR {
    /// Falls with every epoch by the factor `gamma`.
    pub fn new(optimizer: &mut dyn Optimizer, gamma: f64) -> ExponentialLR {
        Schedule::of(optimizer, Exponential { gamma })
    }
}

impl Policy for Step {
    const NAME: &'static str = "StepLR";

    fn next(&self, at: At) -> f64 {
        if at.epoch.is_multiple_of(self.step_size) { at.lr * self.gamma } else { at.lr }
    }

    fn entries(&mut self, each: &mut dyn FnMut(&'static str, Entry<'_>)) {
        each("step_size", Entry::Count(&mut self.step_size));
        each("gamma", Entry::Number(&mut self.gamma));
    }

    fn check(&self) -> Result<(), String> {
        if self.step_size > 0 { Ok(()) } else { Err("step_size is 0, must be at least 1".to_owned()) }
    }
}

impl Policy for MultiStep {
    const NAME: &'static str = "MultiStepLR";

    fn start(&self, at: At) -> f64 {
        self.next(at)
    }

    fn next(&self, at: At) -> f64 {
        let falls = self.milestones.iter().filter(|&&milestone| milestone == at.epoch).count();
        at.lr * self.gamma.powi(falls as i32)
    }

    fn entries(&mut self, each: &mut dyn FnMut(&'static str, Entry<'_>)) {
        each("milestones", Entry::Counts(&mut self.milestones));
        each("gamma", Entry::Number(&mut self.gamma));
    }
}

impl Policy for Exponential {
    const NAME: &'static str = "ExponentialLR";

    fn next(&self, at: At) -> f64 {
        at.lr * self.gamma
    }

    fn entries(&mut self, each: &mut dyn FnMut(&'static str, Entry<'_>)) {
        each("gamma", Entry::Number(&mut self.gamma));
    }
}
