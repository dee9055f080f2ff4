//! Learning rates that fall when a metric no longer improves.

use nn::StateDict;

use super::Entry;
use crate::state::Reader;
use crate::{Optimizer, StateError};

/// Whether a metric is to go down or up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Goal {
    /// Down, as a loss.
    #[default]
    Min,
    /// Up, as an accuracy.
    Max,
}

/// By how much a metric must improve to count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// By this part of the best value: below `best (1 - t)`, or above `best (1 + t)`.
    Rel(f64),
    /// By this much: below `best - t`, or above `best + t`.
    Abs(f64),
}

/// Options of [`ReduceLROnPlateau`].
#[derive(Debug, Clone, PartialEq)]
pub struct ReduceLROnPlateauOptions {
    /// Where the metric is to go (default: down).
    pub mode: Goal,
    /// The factor of a fall, below 1 (default: 0.1).
    pub factor: f64,
    /// So many epochs may pass without an improvement; the next one brings a fall (default: 10).
    pub patience: usize,
    /// What counts as an improvement (default: relative, 1e-4).
    pub threshold: Threshold,
    /// Epochs after a fall that do not count (default: 0).
    pub cooldown: usize,
    /// The smallest rate: one number, or one for each group (default: 0).
    pub min_lr: Vec<f64>,
    /// A fall by no more than this is left out (default: 1e-8).
    pub eps: f64,
}

impl Default for ReduceLROnPlateauOptions {
    fn default() -> ReduceLROnPlateauOptions {
        ReduceLROnPlateauOptions {
            mode: Goal::Min,
            factor: 0.1,
            patience: 10,
            threshold: Threshold::Rel(1e-4),
            cooldown: 0,
            min_lr: vec![0.0],
            eps: 1e-8,
        }
    }
}

/// `lr ← max(lr factor, min_lr)` when a metric has not improved for `patience` epochs.
///
/// Its [`step`](ReduceLROnPlateau::step) takes the metric, so that it is no [`Scheduler`](crate::Scheduler) and stands in
/// none that are made of several, as in PyTorch.
///
/// ```
/// use nn::prelude::*;
/// use optim::{ReduceLROnPlateau, ReduceLROnPlateauOptions, SGD, SGDOptions};
///
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let options = ReduceLROnPlateauOptions { patience: 1, ..Default::default() };
/// let mut schedule = ReduceLROnPlateau::with(&mut optimizer, options);
/// for loss in [3.0, 2.0, 2.0, 2.0] {
///     schedule.step(&mut optimizer, loss);
/// }
/// assert_eq!(schedule.get_last_lr(), [0.1]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ReduceLROnPlateau {
    options: ReduceLROnPlateauOptions,
    best: f64,
    num_bad_epochs: u64,
    cooldown_counter: u64,
    last_epoch: u64,
    last_lr: Vec<f64>,
}

impl ReduceLROnPlateau {
    /// With PyTorch's defaults, for a metric that is to go down.
    pub fn new(optimizer: &mut dyn Optimizer) -> ReduceLROnPlateau {
        ReduceLROnPlateau::with(optimizer, ReduceLROnPlateauOptions::default())
    }

    /// With options.
    ///
    /// # Panics
    /// When `factor` is not below 1, or `min_lr` has neither one number nor one for each group.
    #[track_caller]
    pub fn with(optimizer: &mut dyn Optimizer, mut options: ReduceLROnPlateauOptions) -> ReduceLROnPlateau {
        let factor = options.factor;
        assert!(factor < 1.0, "ReduceLROnPlateau: factor is {factor}, must be below 1");
        let last_lr = optimizer.learning_rates();
        let (groups, given) = (last_lr.len(), options.min_lr.len());
        if given == 1 {
            options.min_lr = vec![options.min_lr[0]; groups];
        } else {
            assert!(given == groups, "ReduceLROnPlateau: min_lr: there are {given} numbers for {groups} groups");
        }
        let best = match options.mode {
            Goal::Min => f64::INFINITY,
            Goal::Max => f64::NEG_INFINITY,
        };
        ReduceLROnPlateau { options, best, num_bad_epochs: 0, cooldown_counter: 0, last_epoch: 0, last_lr }
    }

    /// Takes the metric of an epoch, and sets the learning rates if it is time. NaN is no improvement.
    ///
    /// # Panics
    /// When the optimizer has not as many groups as when the schedule was made.
    #[track_caller]
    pub fn step(&mut self, optimizer: &mut dyn Optimizer, metric: f64) {
        let mut rates = optimizer.learning_rates();
        let (groups, before) = (rates.len(), self.last_lr.len());
        assert!(
            groups == before,
            "ReduceLROnPlateau: the optimizer has {groups} groups, the schedule was made for {before}"
        );
        self.last_epoch += 1;
        if self.is_better(metric) {
            self.best = metric;
            self.num_bad_epochs = 0;
        } else {
            self.num_bad_epochs += 1;
        }
        if self.cooldown_counter > 0 {
            self.cooldown_counter -= 1;
            self.num_bad_epochs = 0;
        }
        if self.num_bad_epochs > self.options.patience as u64 {
            for (rate, &min_lr) in rates.iter_mut().zip(&self.options.min_lr) {
                let reduced = (*rate * self.options.factor).max(min_lr);
                if *rate - reduced > self.options.eps {
                    *rate = reduced;
                }
            }
            optimizer.set_learning_rates(&rates);
            self.cooldown_counter = self.options.cooldown as u64;
            self.num_bad_epochs = 0;
        }
        self.last_lr = rates;
    }

    /// The learning rates after the last step, one for each group.
    pub fn get_last_lr(&self) -> &[f64] {
        &self.last_lr
    }

    /// The number of metrics taken so far.
    pub fn last_epoch(&self) -> u64 {
        self.last_epoch
    }

    /// The best metric so far.
    pub fn best(&self) -> f64 {
        self.best
    }

    fn is_better(&self, metric: f64) -> bool {
        match (self.options.mode, self.options.threshold) {
            (Goal::Min, Threshold::Rel(t)) => metric < self.best * (1.0 - t),
            (Goal::Min, Threshold::Abs(t)) => metric < self.best - t,
            (Goal::Max, Threshold::Rel(t)) => metric > self.best * (t + 1.0),
            (Goal::Max, Threshold::Abs(t)) => metric > self.best + t,
        }
    }

    fn entries(&mut self, each: &mut dyn FnMut(&'static str, Entry<'_>)) {
        each("best", Entry::Number(&mut self.best));
        each("num_bad_epochs", Entry::Count(&mut self.num_bad_epochs));
        each("cooldown_counter", Entry::Count(&mut self.cooldown_counter));
        each("last_epoch", Entry::Count(&mut self.last_epoch));
        each("last_lr", Entry::Numbers(&mut self.last_lr));
    }

    /// What has been counted so far; the options are not part of it.
    pub fn state_dict(&self) -> StateDict {
        let mut dict = StateDict::new();
        self.clone().entries(&mut |name, entry| drop(dict.insert(name.to_owned(), entry.value())));
        dict
    }

    /// Takes over what another one has counted. The optimizer's own state holds its learning rates.
    ///
    /// # Errors
    /// Everything that does not fit at once; nothing is changed then.
    pub fn load_state_dict(&mut self, dict: &StateDict) -> Result<(), StateError> {
        let mut reader = Reader::new(dict);
        let mut loaded = self.clone();
        loaded.entries(&mut |name, mut entry| entry.read(name, &mut reader));
        reader.finish("ReduceLROnPlateau")?;
        *self = loaded;
        Ok(())
    }
}
