//! Learning rates that rise and fall again, with a momentum that falls and rises: one cycle, and cycle after cycle.

use std::f64::consts::PI;
use std::fmt;
use std::rc::Rc;

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

/// The policy of [`OneCycleLR`].
#[derive(Debug, Clone, PartialEq)]
pub struct OneCycle {
    /// The largest rate of each group.
    max_lrs: Vec<f64>,
    total_steps: u64,
    options: OneCycleLROptions,
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

/// One number for each group, from one for all or one for each.
#[track_caller]
fn for_groups(what: &str, numbers: &[f64], groups: usize) -> Vec<f64> {
    match numbers {
        [number] => vec![*number; groups],
        _ => {
            let given = numbers.len();
            assert!(given == groups, "{what}: there are {given} numbers for {groups} groups");
            numbers.to_vec()
        }
    }
}

/// Refuses to move a momentum that does not exist.
#[track_caller]
fn check_momentum(name: &str, optimizer: &dyn Optimizer) {
    let all = optimizer.momentums().iter().all(Option::is_some);
    assert!(all, "{name}: the optimizer has neither momentum nor betas; set cycle_momentum to false");
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
