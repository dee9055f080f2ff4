//! Schedules made of several: one after another, and all at once.

use std::fmt;

use nn::StateDict;

use super::{Entry, Scheduler};
use crate::state::Reader;
use crate::{Optimizer, StateError};

/// One schedule after another: each runs until its milestone, and the next one begins anew there.
///
/// ```
/// use nn::prelude::*;
/// use optim::{ConstantLR, ExponentialLR, SGD, SGDOptions, Scheduler, SequentialLR};
///
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let warm: Box<dyn Scheduler> = Box::new(ConstantLR::new(&mut optimizer, 0.1, 2));
/// let decay: Box<dyn Scheduler> = Box::new(ExponentialLR::new(&mut optimizer, 0.5));
/// let mut schedule = SequentialLR::new(&mut optimizer, vec![warm, decay], &[2]);
/// let rates: Vec<f64> = (0..4).map(|_| { schedule.step(&mut optimizer); schedule.get_last_lr()[0] }).collect();
/// assert_eq!(rates, [0.1, 1.0, 0.5, 0.25]);
/// ```
pub struct SequentialLR {
    schedulers: Vec<Box<dyn Scheduler>>,
    milestones: Vec<u64>,
    last_epoch: u64,
}

/// Several schedules at once, each moving on from the rate that the one before has left.
///
/// ```
/// use nn::prelude::*;
/// use optim::{ChainedScheduler, ConstantLR, ExponentialLR, SGD, SGDOptions, Scheduler};
///
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let warm: Box<dyn Scheduler> = Box::new(ConstantLR::new(&mut optimizer, 0.5, 2));
/// let decay: Box<dyn Scheduler> = Box::new(ExponentialLR::new(&mut optimizer, 0.5));
/// let mut schedule = ChainedScheduler::new(vec![warm, decay]);
/// let rates: Vec<f64> = (0..3).map(|_| { schedule.step(&mut optimizer); schedule.get_last_lr()[0] }).collect();
/// assert_eq!(rates, [0.25, 0.25, 0.125]);
/// ```
pub struct ChainedScheduler {
    schedulers: Vec<Box<dyn Scheduler>>,
    last_epoch: u64,
}

impl SequentialLR {
    /// The schedules, and the epochs at which the second and each further one begin. The optimizer's rates are set to those
    /// that it started with, and the first schedule begins.
    ///
    /// # Panics
    /// When there is no schedule, or not one milestone less than schedules, or the milestones are not in order.
    #[track_caller]
    pub fn new(
        optimizer: &mut dyn Optimizer,
        schedulers: Vec<Box<dyn Scheduler>>,
        milestones: &[usize],
    ) -> SequentialLR {
        let (count, given) = (schedulers.len(), milestones.len());
        assert!(count > 0, "SequentialLR: there is no schedule");
        assert!(given == count - 1, "SequentialLR: {count} schedules need {} milestones, not {given}", count - 1);
        assert!(milestones.is_sorted(), "SequentialLR: the milestones {milestones:?} are not in order");
        let milestones = milestones.iter().map(|&epoch| epoch as u64).collect();
        let mut schedule = SequentialLR { schedulers, milestones, last_epoch: 0 };
        schedule.restart(optimizer);
        schedule
    }

    /// The number of the schedule that runs.
    fn running(&self) -> usize {
        self.milestones.partition_point(|&milestone| milestone <= self.last_epoch)
    }
}

impl ChainedScheduler {
    /// These schedules, in this order.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn new(schedulers: Vec<Box<dyn Scheduler>>) -> ChainedScheduler {
        assert!(!schedulers.is_empty(), "ChainedScheduler: there is no schedule");
        ChainedScheduler { schedulers, last_epoch: 0 }
    }
}

impl Scheduler for SequentialLR {
    #[track_caller]
    fn step(&mut self, optimizer: &mut dyn Optimizer) {
        self.last_epoch += 1;
        let running = self.running();
        if running > 0 && self.milestones[running - 1] == self.last_epoch {
            self.schedulers[running].restart(optimizer);
        } else {
            self.schedulers[running].step(optimizer);
        }
    }

    fn get_last_lr(&self) -> &[f64] {
        self.schedulers[self.running()].get_last_lr()
    }

    fn last_epoch(&self) -> u64 {
        self.last_epoch
    }

    #[track_caller]
    fn begin(&mut self, optimizer: &mut dyn Optimizer) {
        self.last_epoch = 0;
        let running = self.running();
        self.schedulers[running].begin(optimizer);
    }

    #[track_caller]
    fn restart(&mut self, optimizer: &mut dyn Optimizer) {
        let rates = optimizer.initial_learning_rates();
        optimizer.set_learning_rates(&rates);
        self.begin(optimizer);
    }

    fn state_dict(&self) -> StateDict {
        let mut dict = save_all(&self.schedulers);
        dict.insert("milestones".to_owned(), Entry::Counts(&mut self.milestones.clone()).value());
        dict.insert("last_epoch".to_owned(), Entry::Count(&mut self.last_epoch.clone()).value());
        dict
    }

    fn load_state_dict(&mut self, dict: &StateDict) -> Result<(), StateError> {
        let own = own_entries(dict);
        let mut reader = Reader::new(&own);
        let (mut milestones, mut last_epoch) = (self.milestones.clone(), self.last_epoch);
        Entry::Counts(&mut milestones).read("milestones", &mut reader);
        Entry::Count(&mut last_epoch).read("last_epoch", &mut reader);
        if !milestones.is_sorted() {
            reader.problem(format!("unusable    the milestones {milestones:?} are not in order"));
        }
        load_all("SequentialLR", &mut self.schedulers, dict, reader)?;
        (self.milestones, self.last_epoch) = (milestones, last_epoch);
        Ok(())
    }
}

impl Scheduler for ChainedScheduler {
    #[track_caller]
    fn step(&mut self, optimizer: &mut dyn Optimizer) {
        self.last_epoch += 1;
        self.schedulers.iter_mut().for_each(|scheduler| scheduler.step(optimizer));
    }

    fn get_last_lr(&self) -> &[f64] {
        self.schedulers.last().expect("at least one schedule").get_last_lr()
    }

    fn last_epoch(&self) -> u64 {
        self.last_epoch
    }

    #[track_caller]
    fn begin(&mut self, optimizer: &mut dyn Optimizer) {
        self.last_epoch = 0;
        self.schedulers.iter_mut().for_each(|scheduler| scheduler.begin(optimizer));
    }

    #[track_caller]
    fn restart(&mut self, optimizer: &mut dyn Optimizer) {
        let rates = optimizer.initial_learning_rates();
        optimizer.set_learning_rates(&rates);
        self.begin(optimizer);
    }

    fn state_dict(&self) -> StateDict {
        let mut dict = save_all(&self.schedulers);
        dict.insert("last_epoch".to_owned(), Entry::Count(&mut self.last_epoch.clone()).value());
        dict
    }

    fn load_state_dict(&mut self, dict: &StateDict) -> Result<(), StateError> {
        let own = own_entries(dict);
        let mut reader = Reader::new(&own);
        let mut last_epoch = self.last_epoch;
        Entry::Count(&mut last_epoch).read("last_epoch", &mut reader);
        load_all("ChainedScheduler", &mut self.schedulers, dict, reader)?;
        self.last_epoch = last_epoch;
        Ok(())
    }
}

impl fmt::Debug for SequentialLR {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, milestones) = (self.schedulers.len(), &self.milestones);
        write!(f, "SequentialLR({count} schedules, milestones {milestones:?}, epoch {})", self.last_epoch)
    }
}

impl fmt::Debug for ChainedScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainedScheduler({} schedules, epoch {})", self.schedulers.len(), self.last_epoch)
    }
}

const PART: &str = "schedulers.";

fn save_all(schedulers: &[Box<dyn Scheduler>]) -> StateDict {
    let states = schedulers.iter().enumerate().flat_map(|(number, scheduler)| {
        scheduler.state_dict().into_iter().map(move |(name, value)| (format!("{PART}{number}.{name}"), value))
    });
    states.collect()
}

/// The entries that belong to no part.
fn own_entries(dict: &StateDict) -> StateDict {
    dict.iter().filter(|(name, _)| !name.starts_with(PART)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Loads every part, or none if any of them, or what the reader has read, does not fit.
fn load_all(
    name: &'static str,
    schedulers: &mut [Box<dyn Scheduler>],
    dict: &StateDict,
    mut reader: Reader,
) -> Result<(), StateError> {
    let before: Vec<StateDict> = schedulers.iter().map(|scheduler| scheduler.state_dict()).collect();
    let mut known = 0;
    for (number, scheduler) in schedulers.iter_mut().enumerate() {
        let prefix = format!("{PART}{number}.");
        let part =
            dict.iter().filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?.to_owned(), value.clone())));
        let part: StateDict = part.collect();
        known += part.len();
        if let Err(error) = scheduler.load_state_dict(&part) {
            error.problems().iter().for_each(|problem| reader.problem(format!("{problem} (in {PART}{number})")));
        }
    }
    let parts = dict.keys().filter(|name| name.starts_with(PART)).count();
    if parts != known {
        reader.problem(format!("unexpected  the state holds more than {} schedules", schedulers.len()));
    }
    let outcome = reader.finish(name);
    if outcome.is_err() {
        for (scheduler, state) in schedulers.iter_mut().zip(before) {
            scheduler.load_state_dict(&state).expect("a schedule takes its own state");
        }
    }
    outcome
}
