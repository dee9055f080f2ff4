//! Schedules of the learning rate: what one is, and the part that all share.

mod combine;
mod cosine;
mod cyclic;
mod entries;
mod function;
mod groups;
mod one_cycle;
mod plateau;
mod ramp;
mod steps;

pub use combine::{ChainedScheduler, SequentialLR};
pub use cosine::{
    CosineAnnealing, CosineAnnealingLR, CosineAnnealingWarmRestarts, WarmRestarts, WarmupCosine, WarmupThenCosine,
};
pub use cyclic::{Cyclic, CyclicLR, CyclicLROptions, CyclicScale};
pub use entries::Entry;
pub use function::{Lambda, LambdaLR, Multiplicative, MultiplicativeLR};
pub use one_cycle::{Anneal, OneCycle, OneCycleLR, OneCycleLROptions};
pub use plateau::{Goal, ReduceLROnPlateau, ReduceLROnPlateauOptions, Threshold};
pub use ramp::{Constant, ConstantLR, LinearLR, Polynomial, PolynomialLR, Ramp};
pub use steps::{Exponential, ExponentialLR, MultiStep, MultiStepLR, Step, StepLR};

use nn::StateDict;

use crate::state::Reader;
use crate::{Optimizer, StateError};

/// Sets the learning rates of an optimizer as training goes on.
///
/// A schedule is made from the optimizer: the rates that its groups had when the first schedule was made are the ones
/// that all schedules start from, as in PyTorch. Call `step` after each step (or epoch) of the optimizer.
///
/// # Differs
/// A schedule does not hold the optimizer; `step` is given it. The count of steps starts at 0; a run is resumed with
/// [`load_state_dict`](Scheduler::load_state_dict), not with `last_epoch`.
pub trait Scheduler {
    /// Moves on by one and sets the learning rate of each group.
    ///
    /// # Panics
    /// When the optimizer has not as many groups as when the schedule was made.
    fn step(&mut self, optimizer: &mut dyn Optimizer);

    /// The learning rates that were set last, one for each group.
    fn get_last_lr(&self) -> &[f64];

    /// How often the schedule has moved on.
    fn last_epoch(&self) -> u64;

    /// Sets the learning rates of the beginning; those that follow from the ones before follow from the optimizer's
    /// present ones.
    fn begin(&mut self, optimizer: &mut dyn Optimizer);

    /// Sets the learning rates of the beginning, whatever the optimizer's present ones are.
    fn restart(&mut self, optimizer: &mut dyn Optimizer);

    /// Everything that a resume needs.
    fn state_dict(&self) -> StateDict;

    /// Takes over the state of a schedule of the same kind. The optimizer's own state holds its learning rates.
    ///
    /// # Errors
    /// Everything that does not fit at once; nothing is changed then.
    fn load_state_dict(&mut self, dict: &StateDict) -> Result<(), StateError>;
}

/// Where a schedule stands, for one group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct At {
    /// The number of the group.
    pub group: usize,
    /// How often the schedule has moved on; 0 at the beginning.
    pub epoch: u64,
    /// The learning rate that the group started from.
    pub base: f64,
    /// The learning rate that the group has now.
    pub lr: f64,
}

/// One kind of schedule: the learning rate of the next epoch. [`Schedule`] makes a [`Scheduler`] of it.
///
/// ```
/// use nn::prelude::*;
/// use optim::{At, Entry, Policy, SGD, Schedule, Scheduler};
///
/// /// Halves the rate with every epoch.
/// #[derive(Clone)]
/// struct Halving;
///
/// impl Policy for Halving {
///     const NAME: &'static str = "Halving";
///
///     fn next(&self, at: At) -> f64 {
///         at.lr / 2.0
///     }
///
///     fn entries(&mut self, _each: &mut dyn FnMut(&'static str, Entry<'_>)) {}
/// }
///
/// let mut optimizer = SGD::new(Linear::new(1, 1).parameters());
/// let mut schedule = Schedule::of(&mut optimizer, Halving);
/// schedule.step(&mut optimizer);
/// assert_eq!(schedule.get_last_lr(), [5e-4]);
/// ```
pub trait Policy: Clone {
    /// The name of the schedule, for errors.
    const NAME: &'static str;

    /// The learning rate of a group at the beginning.
    fn start(&self, at: At) -> f64 {
        at.lr
    }

    /// The learning rate of a group at an epoch after the beginning. Where it follows from the one before, it follows
    /// from the group's present rate: so schedules can be chained.
    fn next(&self, at: At) -> f64;

    /// The learning rate at the beginning when the present one does not count.
    fn restart(&self, at: At) -> f64 {
        self.start(At { lr: at.base, ..at })
    }

    /// The momentum of a group, for schedules that move it.
    fn momentum(&self, _at: At) -> Option<f64> {
        None
    }

    /// Changes what is counted besides the epochs, before the rates of the next epoch are computed.
    fn advance(&mut self) {}

    /// Sets what is counted besides the epochs back to the beginning.
    fn reset(&mut self) {}

    /// Hands out everything that the state dict holds, under PyTorch's names.
    fn entries(&mut self, each: &mut dyn FnMut(&'static str, Entry<'_>));

    /// What makes these numbers unusable, if anything does.
    ///
    /// # Errors
    /// The number and the rule that it breaks.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A schedule by a policy: the type behind [`StepLR`], [`CosineAnnealingLR`], [`OneCycleLR`] and most others.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule<P> {
    policy: P,
    base_lrs: Vec<f64>,
    last_epoch: u64,
    last_lr: Vec<f64>,
}

impl<P: Policy> Schedule<P> {
    /// A schedule for the groups of the optimizer; sets their learning rates of the beginning.
    ///
    /// # Panics
    /// When the policy's numbers break their rule, or it moves the momentum of an optimizer that has none.
    #[track_caller]
    pub fn of(optimizer: &mut dyn Optimizer, policy: P) -> Schedule<P> {
        let base_lrs = optimizer.initial_learning_rates();
        Schedule::from_rates(optimizer, policy, base_lrs)
    }

    /// [`of`](Schedule::of) with other rates to start from than the optimizer's.
    #[track_caller]
    fn from_rates(optimizer: &mut dyn Optimizer, policy: P, base_lrs: Vec<f64>) -> Schedule<P> {
        if let Err(problem) = policy.check() {
            panic!("{}: {problem}", P::NAME);
        }
        let mut schedule = Schedule { policy, last_lr: base_lrs.clone(), base_lrs, last_epoch: 0 };
        schedule.begin(optimizer);
        schedule
    }

    /// The policy with its numbers.
    pub fn policy(&self) -> &P {
        &self.policy
    }

    /// Sets the rates and momenta that the policy gives.
    #[track_caller]
    fn set(&mut self, optimizer: &mut dyn Optimizer, rate: impl Fn(&P, At) -> f64) {
        let present = optimizer.learning_rates();
        let (groups, before) = (present.len(), self.base_lrs.len());
        assert!(groups == before, "{}: the optimizer has {groups} groups, the schedule was made for {before}", P::NAME);
        let bases = present.into_iter().zip(&self.base_lrs).enumerate();
        let places: Vec<At> =
            bases.map(|(group, (lr, &base))| At { group, epoch: self.last_epoch, base, lr }).collect();
        self.last_lr = places.iter().map(|&at| rate(&self.policy, at)).collect();
        optimizer.set_learning_rates(&self.last_lr);
        let momentums: Vec<f64> = places.iter().filter_map(|&at| self.policy.momentum(at)).collect();
        if !momentums.is_empty() {
            optimizer.set_momentums(&momentums);
        }
    }
}

impl<P: Policy> Scheduler for Schedule<P> {
    #[track_caller]
    fn step(&mut self, optimizer: &mut dyn Optimizer) {
        self.last_epoch += 1;
        self.policy.advance();
        self.set(optimizer, P::next);
    }

    fn get_last_lr(&self) -> &[f64] {
        &self.last_lr
    }

    fn last_epoch(&self) -> u64 {
        self.last_epoch
    }

    #[track_caller]
    fn begin(&mut self, optimizer: &mut dyn Optimizer) {
        self.last_epoch = 0;
        self.policy.reset();
        self.set(optimizer, P::start);
    }

    #[track_caller]
    fn restart(&mut self, optimizer: &mut dyn Optimizer) {
        self.last_epoch = 0;
        self.policy.reset();
        self.set(optimizer, P::restart);
    }

    fn state_dict(&self) -> StateDict {
        let mut copy = self.clone();
        let mut dict = StateDict::new();
        copy.policy.entries(&mut |name, entry| drop(dict.insert(name.to_owned(), entry.value())));
        dict.insert("base_lrs".to_owned(), Entry::Numbers(&mut copy.base_lrs).value());
        dict.insert("last_epoch".to_owned(), Entry::Count(&mut copy.last_epoch).value());
        dict.insert("last_lr".to_owned(), Entry::Numbers(&mut copy.last_lr).value());
        dict
    }

    fn load_state_dict(&mut self, dict: &StateDict) -> Result<(), StateError> {
        let mut reader = Reader::new(dict);
        let mut loaded = self.clone();
        loaded.policy.entries(&mut |name, mut entry| entry.read(name, &mut reader));
        Entry::Numbers(&mut loaded.base_lrs).read("base_lrs", &mut reader);
        Entry::Count(&mut loaded.last_epoch).read("last_epoch", &mut reader);
        Entry::Numbers(&mut loaded.last_lr).read("last_lr", &mut reader);
        if let Err(problem) = loaded.policy.check() {
            reader.problem(format!("unusable    {problem}"));
        }
        reader.finish(P::NAME)?;
        *self = loaded;
        Ok(())
    }
}
