//! Learning rates that reach their value after some epochs: constant before, on a line, on a power of it.

use super::{At, Entry, Policy, Schedule};
use crate::Optimizer;

/// `lr = base_lr factor` for `total_iters` epochs, `base_lr` afterwards.
///
/// # Differs
/// A factor of 0 ends with `base_lr`, too; PyTorch divides by it.
///
/// ```
/// use nn::prelude::*;
/// use optim::{ConstantLR, SGD, SGDOptions, Scheduler};
///
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let mut schedule = ConstantLR::new(&mut optimizer, 0.5, 2);
/// let rates: Vec<f64> = (0..3).map(|_| { schedule.step(&mut optimizer); schedule.get_last_lr()[0] }).collect();
/// assert_eq!(rates, [0.5, 1.0, 1.0]);
/// ```
pub type ConstantLR = Schedule<Constant>;

/// `lr = base_lr (start_factor + (end_factor - start_factor) min(1, epoch / total_iters))`; with `total_iters` 0 the rate stays
/// where it starts.
///
/// ```
/// use nn::prelude::*;
/// use optim::{LinearLR, SGD, SGDOptions, Scheduler};
///
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let mut schedule = LinearLR::new(&mut optimizer, 0.5, 1.0, 2);
/// let rates: Vec<f64> = (0..3).map(|_| { schedule.step(&mut optimizer); schedule.get_last_lr()[0] }).collect();
/// assert_eq!(rates, [0.75, 1.0, 1.0]);
/// ```
pub type LinearLR = Schedule<Ramp>;

/// `lr = base_lr (1 - min(1, epoch / total_iters))^power`.
///
/// ```
/// use nn::prelude::*;
/// use optim::{PolynomialLR, SGD, SGDOptions, Scheduler};
///
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let mut schedule = PolynomialLR::new(&mut optimizer, 4, 2.0);
/// let rates: Vec<f64> = (0..4).map(|_| { schedule.step(&mut optimizer); schedule.get_last_lr()[0] }).collect();
/// assert_eq!(rates, [0.5625, 0.25, 0.0625, 0.0]);
/// ```
pub type PolynomialLR = Schedule<Polynomial>;

/// The policy of [`ConstantLR`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constant {
    /// The factor of the first epochs, from 0 to 1.
    pub factor: f64,
    /// The number of those epochs.
    pub total_iters: u64,
}

/// The policy of [`LinearLR`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ramp {
    /// The factor of the beginning, above 0 and at most 1.
    pub start_factor: f64,
    /// The factor of the end, from 0 to 1.
    pub end_factor: f64,
    /// The number of epochs between them.
    pub total_iters: u64,
}

/// The policy of [`PolynomialLR`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Polynomial {
    /// The number of epochs until 0.
    pub total_iters: u64,
    /// The exponent.
    pub power: f64,
}

impl ConstantLR {
    /// The factor `factor` (PyTorch's default is 1/3) for `total_iters` epochs (5).
    ///
    /// # Panics
    /// When the factor is not between 0 and 1.
    #[track_caller]
    pub fn new(optimizer: &mut dyn Optimizer, factor: f64, total_iters: usize) -> ConstantLR {
        Schedule::of(optimizer, Constant { factor, total_iters: total_iters as u64 })
    }
}

impl LinearLR {
    /// From `start_factor` (PyTorch's default is 1/3) to `end_factor` (1) in `total_iters` epochs (5).
    ///
    /// # Panics
    /// When a factor is not between 0 and 1, or the first one is 0.
    #[track_caller]
    pub fn new(optimizer: &mut dyn Optimizer, start_factor: f64, end_factor: f64, total_iters: usize) -> LinearLR {
        Schedule::of(optimizer, Ramp { start_factor, end_factor, total_iters: total_iters as u64 })
    }
}

impl PolynomialLR {
    /// To 0 in `total_iters` epochs (PyTorch's default is 5) with the exponent `power` (1).
    pub fn new(optimizer: &mut dyn Optimizer, total_iters: usize, power: f64) -> PolynomialLR {
        Schedule::of(optimizer, Polynomial { total_iters: total_iters as u64, power })
    }
}

impl Policy for Constant {
    const NAME: &'static str = "ConstantLR";

    fn start(&self, at: At) -> f64 {
        at.lr * self.factor
    }

    fn next(&self, at: At) -> f64 {
        match at.epoch == self.total_iters {
            // What was multiplied by 0 does not come back by a division.
            true if self.factor == 0.0 => at.base,
            true => at.lr * (1.0 / self.factor),
            false => at.lr,
        }
    }

    fn restart(&self, at: At) -> f64 {
        if self.total_iters == 0 { at.base } else { at.base * self.factor }
    }

    fn entries(&mut self, each: &mut dyn FnMut(&'static str, Entry<'_>)) {
        each("factor", Entry::Number(&mut self.factor));
        each("total_iters", Entry::Count(&mut self.total_iters));
    }

    fn check(&self) -> Result<(), String> {
        between("factor", self.factor)
    }
}

impl Policy for Ramp {
    const NAME: &'static str = "LinearLR";

    fn start(&self, at: At) -> f64 {
        at.lr * self.start_factor
    }

    fn next(&self, at: At) -> f64 {
        if at.epoch > self.total_iters {
            return at.lr;
        }
        let (total, rise) = (self.total_iters as f64, self.end_factor - self.start_factor);
        at.lr * (1.0 + rise / (total * self.start_factor + (at.epoch - 1) as f64 * rise))
    }

    fn entries(&mut self, each: &mut dyn FnMut(&'static str, Entry<'_>)) {
        each("start_factor", Entry::Number(&mut self.start_factor));
        each("end_factor", Entry::Number(&mut self.end_factor));
        each("total_iters", Entry::Count(&mut self.total_iters));
    }

    fn check(&self) -> Result<(), String> {
        between("start_factor", self.start_factor)?;
        between("end_factor", self.end_factor)?;
        if self.start_factor > 0.0 { Ok(()) } else { Err("start_factor is 0, must be above".to_owned()) }
    }
}

impl Policy for Polynomial {
    const NAME: &'static str = "PolynomialLR";

    fn next(&self, at: At) -> f64 {
        if at.epoch > self.total_iters {
            return at.lr;
        }
        let left = |epoch: u64| 1.0 - epoch as f64 / self.total_iters as f64;
        at.lr * (left(at.epoch) / left(at.epoch - 1)).powf(self.power)
    }

    fn entries(&mut self, each: &mut dyn FnMut(&'static str, Entry<'_>)) {
        each("total_iters", Entry::Count(&mut self.total_iters));
        each("power", Entry::Number(&mut self.power));
    }
}

fn between(name: &str, factor: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&factor) { Ok(()) } else { Err(format!("{name} is {factor}, must be between 0 and 1")) }
}
