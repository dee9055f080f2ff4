//! Learning rates by a function of the user's.

use std::fmt;
use std::rc::Rc;

use super::{At, Entry, Policy, Schedule};
use crate::Optimizer;

/// `lr = base_lr f(epoch)` with a function of the user's.
///
/// # Differs
/// The function is not saved; PyTorch leaves functions out, too, and saves the attributes of callable objects.
///
/// ```
/// use nn::prelude::*;
/// use optim::{LambdaLR, SGD, SGDOptions, Scheduler};
///
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let mut schedule = LambdaLR::new(&mut optimizer, |epoch| 1.0 / (1 + epoch) as f64);
/// schedule.step(&mut optimizer);
/// assert_eq!(schedule.get_last_lr(), [0.5]);
/// ```
pub type LambdaLR = Schedule<Lambda>;

/// `lr ← lr f(epoch)` at every epoch but the first, with a function of the user's.
///
/// # Differs
/// As [`LambdaLR`].
///
/// ```
/// use nn::prelude::*;
/// use optim::{MultiplicativeLR, SGD, SGDOptions, Scheduler};
///
/// let mut optimizer = SGD::with(Linear::new(1, 1).parameters(), SGDOptions { lr: 1.0, ..Default::default() });
/// let mut schedule = MultiplicativeLR::new(&mut optimizer, |epoch| if epoch < 3 { 0.5 } else { 1.0 });
/// (0..5).for_each(|_| schedule.step(&mut optimizer));
/// assert_eq!(schedule.get_last_lr(), [0.25]);
/// ```
pub type MultiplicativeLR = Schedule<Multiplicative>;

type Function = Rc<dyn Fn(u64) -> f64>;

/// The policy of [`LambdaLR`]: one function for all groups, or one for each.
#[derive(Clone)]
pub struct Lambda(Vec<Function>);

/// The policy of [`MultiplicativeLR`]: one function for all groups, or one for each.
#[derive(Clone)]
pub struct Multiplicative(Vec<Function>);

/// The functions for all groups; `None` when there is not one for each.
#[track_caller]
fn for_groups(name: &str, optimizer: &dyn Optimizer, functions: Vec<Box<dyn Fn(u64) -> f64>>) -> Vec<Function> {
    let (groups, given) = (optimizer.learning_rates().len(), functions.len());
    assert!(given == groups, "{name}: there are {given} functions for {groups} groups");
    functions.into_iter().map(Function::from).collect()
}

impl LambdaLR {
    /// One function for all groups.
    pub fn new(optimizer: &mut dyn Optimizer, f: impl Fn(u64) -> f64 + 'static) -> LambdaLR {
        Schedule::of(optimizer, Lambda(vec![Rc::new(f)]))
    }

    /// A function for each group.
    ///
    /// # Panics
    /// When their number is not that of the groups.
    #[track_caller]
    pub fn with_groups(optimizer: &mut dyn Optimizer, functions: Vec<Box<dyn Fn(u64) -> f64>>) -> LambdaLR {
        let functions = for_groups("LambdaLR", optimizer, functions);
        Schedule::of(optimizer, Lambda(functions))
    }
}

impl MultiplicativeLR {
    /// One function for all groups.
    pub fn new(optimizer: &mut dyn Optimizer, f: impl Fn(u64) -> f64 + 'static) -> MultiplicativeLR {
        Schedule::of(optimizer, Multiplicative(vec![Rc::new(f)]))
    }

    /// A function for each group.
    ///
    /// # Panics
    /// When their number is not that of the groups.
    #[track_caller]
    pub fn with_groups(optimizer: &mut dyn Optimizer, functions: Vec<Box<dyn Fn(u64) -> f64>>) -> MultiplicativeLR {
        let functions = for_groups("MultiplicativeLR", optimizer, functions);
        Schedule::of(optimizer, Multiplicative(functions))
    }
}

/// The value of the group's function, or of the only one.
fn value(functions: &[Function], at: At) -> f64 {
    functions[at.group.min(functions.len() - 1)](at.epoch)
}

impl Policy for Lambda {
    const NAME: &'static str = "LambdaLR";

    fn start(&self, at: At) -> f64 {
        self.next(at)
    }

    fn next(&self, at: At) -> f64 {
        at.base * value(&self.0, at)
    }

    fn entries(&mut self, _each: &mut dyn FnMut(&'static str, Entry<'_>)) {}
}

impl Policy for Multiplicative {
    const NAME: &'static str = "MultiplicativeLR";

    fn next(&self, at: At) -> f64 {
        at.lr * value(&self.0, at)
    }

    // There is no other form, so the present rate counts after all, as in PyTorch.
    fn restart(&self, at: At) -> f64 {
        self.next(at)
    }

    fn entries(&mut self, _each: &mut dyn FnMut(&'static str, Entry<'_>)) {}
}

impl fmt::Debug for Lambda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lambda({} functions)", self.0.len())
    }
}

impl fmt::Debug for Multiplicative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Multiplicative({} functions)", self.0.len())
    }
}
