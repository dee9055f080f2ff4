//! One cycle: a learning rate that rises and falls far below where it began, with a momentum that falls and rises.

use std::f64::consts::PI;

use super::groups::{check_momentum, for_groups};
use super::{At, Entry, Policy, Schedule};
use crate::Optimizer;

/// One rise of the learning rate from `max_lr / div_factor` to `max_lr` and one fall far below where it began, while the
/// momentum (or β₁) falls and rises.
///
/// Moves with every batch rather than every epoch. The rate rises for `pct_start total_steps - 1` steps. With
/// `three_phase` it falls to where it began in as many steps, and further in the rest; otherwise all the way in the rest.
///
/// # Differs
/// PyTorch makes `max_lr / div_factor` the rate that schedules made afterwards start from; here that is the optimizer's own.
///
/// # Source
/// Smith, Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates", 2017.
///
/// ```
/// use nn::prelude::*;
/// use optim::{OneCycleLR, SGD, SGDOptions, Scheduler};
///
/// let options = SGDOptions { momentum: 0.9, ..Default::default() };
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), options);
/// let mut schedule = OneCycleLR::new(&mut optimizer, 1.0, 10);
/// assert!((schedule.get_last_lr()[0] - 0.04).abs() < 1e-12);
/// assert_eq!(optimizer.param_groups()[0].options.momentum, 0.95);
/// schedule.step(&mut optimizer);
/// schedule.step(&mut optimizer);
/// assert!((schedule.get_last_lr()[0] - 1.0).abs() < 1e-12);
/// assert_eq!(optimizer.param_groups()[0].options.momentum, 0.85);
/// ```
pub type OneCycleLR = Schedule<OneCycle>;

/// The shape of [`OneCycleLR`]'s rises and falls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Anneal {
    /// Half a period of a cosine.
    #[default]
    Cos,
    /// A straight line.
    Linear,
}

/// Options of [`OneCycleLR`].
#[derive(Debug, Clone, PartialEq)]
pub struct OneCycleLROptions {
    /// The part of the steps in which the rate rises (default: 0.3).
    pub pct_start: f64,
    /// The shape of the rise and the fall (default: cosine).
    pub anneal_strategy: Anneal,
    /// Whether the momentum moves as well (default: true).
    pub cycle_momentum: bool,
    /// The momentum at the largest rate: one number, or one for each group (default: 0.85).
    pub base_momentum: Vec<f64>,
    /// The momentum at the beginning and the end: one number, or one for each group (default: 0.95).
    pub max_momentum: Vec<f64>,
    /// The first rate is the largest divided by this (default: 25).
    pub div_factor: f64,
    /// The last rate is the first divided by this (default: 1e4).
    pub final_div_factor: f64,
    /// Whether the fall stops by the first rate (default: false).
    pub three_phase: bool,
}

impl Default for OneCycleLROptions {
    fn default() -> OneCycleLROptions {
        OneCycleLROptions {
            pct_start: 0.3,
            anneal_strategy: Anneal::Cos,
            cycle_momentum: true,
            base_momentum: vec![0.85],
            max_momentum: vec![0.95],
            div_factor: 25.0,
            final_div_factor: 1e4,
            three_phase: false,
        }
    }
}

/// The policy of [`OneCycleLR`].
#[derive(Debug, Clone, PartialEq)]
pub struct OneCycle {
    /// The largest rate of each group.
    max_lrs: Vec<f64>,
    total_steps: u64,
    options: OneCycleLROptions,
}

impl OneCycleLR {
    /// A cycle of `total_steps` steps with the largest rate `max_lr`, and PyTorch's defaults for the rest.
    ///
    /// # Panics
    /// As [`with`](OneCycleLR::with).
    #[track_caller]
    pub fn new(optimizer: &mut dyn Optimizer, max_lr: f64, total_steps: usize) -> OneCycleLR {
        OneCycleLR::with(optimizer, &[max_lr], total_steps, OneCycleLROptions::default())
    }

    /// A cycle with options; `max_lr` is one number, or one for each group.
    ///
    /// `total_steps` is PyTorch's, or `epochs * steps_per_epoch`. Moving on beyond it panics.
    ///
    /// # Panics
    /// When `total_steps` is 0, `pct_start` is not between 0 and 1, there are neither one nor as many numbers as groups,
    /// or the optimizer has no momentum to move.
    #[track_caller]
    pub fn with(
        optimizer: &mut dyn Optimizer,
        max_lr: &[f64],
        total_steps: usize,
        mut options: OneCycleLROptions,
    ) -> OneCycleLR {
        let groups = optimizer.initial_learning_rates().len();
        let max_lrs = for_groups("OneCycleLR: max_lr", max_lr, groups);
        if options.cycle_momentum {
            check_momentum("OneCycleLR", optimizer);
        }
        options.base_momentum = for_groups("OneCycleLR: base_momentum", &options.base_momentum, groups);
        options.max_momentum = for_groups("OneCycleLR: max_momentum", &options.max_momentum, groups);
        let first = max_lrs.iter().map(|max_lr| max_lr / options.div_factor).collect();
        Schedule::from_rates(optimizer, OneCycle { max_lrs, total_steps: total_steps as u64, options }, first)
    }
}

impl OneCycle {
    /// What moves between `first`, `top` and `last` at this epoch.
    #[track_caller]
    fn anneal(&self, epoch: u64, first: f64, top: f64, last: f64) -> f64 {
        let total = self.total_steps;
        assert!(epoch <= total, "OneCycleLR: step {epoch} is beyond the {total} steps of the cycle");
        let OneCycleLROptions { pct_start, three_phase, anneal_strategy, .. } = self.options;
        let (step, all) = (epoch as f64, total as f64);
        let mut phases = vec![(pct_start * all - 1.0, first, top)];
        if three_phase {
            phases.push((2.0 * pct_start * all - 2.0, top, first));
            phases.push((all - 1.0, first, last));
        } else {
            phases.push((all - 1.0, top, last));
        }
        let at = phases.iter().position(|(end, ..)| step <= *end).unwrap_or(phases.len() - 1);
        let begin = if at == 0 { 0.0 } else { phases[at - 1].0 };
        let (end, from, to) = phases[at];
        // A phase without steps is over at once.
        let part = if end == begin { 1.0 } else { (step - begin) / (end - begin) };
        match anneal_strategy {
            Anneal::Cos => to + (from - to) / 2.0 * ((PI * part).cos() + 1.0),
            Anneal::Linear => (to - from) * part + from,
        }
    }
}

impl Policy for OneCycle {
    const NAME: &'static str = "OneCycleLR";

    fn start(&self, at: At) -> f64 {
        self.next(at)
    }

    #[track_caller]
    fn next(&self, at: At) -> f64 {
        self.anneal(at.epoch, at.base, self.max_lrs[at.group], at.base / self.options.final_div_factor)
    }

    fn momentum(&self, at: At) -> Option<f64> {
        let OneCycleLROptions { base_momentum, max_momentum, cycle_momentum, .. } = &self.options;
        let (low, high) = (base_momentum[at.group], max_momentum[at.group]);
        cycle_momentum.then(|| self.anneal(at.epoch, high, low, high))
    }

    fn entries(&mut self, each: &mut dyn FnMut(&'static str, Entry<'_>)) {
        let options = &mut self.options;
        let mut linear = options.anneal_strategy == Anneal::Linear;
        each("total_steps", Entry::Count(&mut self.total_steps));
        each("max_lrs", Entry::Numbers(&mut self.max_lrs));
        each("pct_start", Entry::Number(&mut options.pct_start));
        each("linear", Entry::Flag(&mut linear));
        each("cycle_momentum", Entry::Flag(&mut options.cycle_momentum));
        each("base_momentums", Entry::Numbers(&mut options.base_momentum));
        each("max_momentums", Entry::Numbers(&mut options.max_momentum));
        each("final_div_factor", Entry::Number(&mut options.final_div_factor));
        each("three_phase", Entry::Flag(&mut options.three_phase));
        options.anneal_strategy = if linear { Anneal::Linear } else { Anneal::Cos };
    }

    fn check(&self) -> Result<(), String> {
        if self.total_steps == 0 {
            return Err("total_steps is 0, must be at least 1".to_owned());
        }
        let pct_start = self.options.pct_start;
        if !(0.0..=1.0).contains(&pct_start) {
            return Err(format!("pct_start is {pct_start}, must be between 0 and 1"));
        }
        Ok(())
    }
}
