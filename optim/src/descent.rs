//! Descent by a rule: parameter groups, kept tensors, the walk of a step.

use std::collections::HashSet;

use nn::{Parameter, StateDict};
use tensor::Tensor;

use crate::rule::{Rule, learning_rate, momentum, set_learning_rate, set_momentum};
use crate::state::{Reader, StateError, load_options, save_options};
use crate::{Gradient, Optimizer, ParamGroup};

/// What is kept for one parameter between steps.
#[derive(Debug, Clone)]
struct Kept {
    step: u64,
    names: &'static [&'static str],
    tensors: Vec<Tensor>,
}

impl Kept {
    /// What the rule keeps for a parameter like this one before its first step.
    fn new<R: Rule>(rule: &R, parameter: &Tensor) -> Kept {
        Kept { step: 0, names: &[], tensors: Vec::new() }.under(rule, parameter)
    }

    /// The same under options that may keep more or less.
    fn under<R: Rule>(mut self, rule: &R, parameter: &Tensor) -> Kept {
        let names = rule.kept();
        if self.names != names {
            if !names.iter().any(|name| self.names.contains(name)) {
                self.step = 0;
            }
            let place = |name: &&'static str| self.names.iter().position(|old| old == name);
            let of = |name| place(name).map_or_else(|| rule.initial(name, parameter), |at| self.tensors[at].clone());
            self.tensors = names.iter().map(of).collect();
            self.names = names;
        }
        self
    }
}

/// Descent by a rule over groups of parameters: the type behind [`SGD`](crate::SGD), [`Adam`](crate::Adam) and all
/// others but [`LBFGS`](crate::LBFGS).
///
/// ```
/// use nn::prelude::*;
/// use optim::{AdamW, AdamWOptions, ParamGroup};
///
/// let model = sequential![Linear::new(4, 8), LayerNorm::new(8)];
/// let (matrices, rest) = model.parameters().into_iter().partition(|parameter| parameter.ndim() >= 2);
/// let mut optimizer = AdamW::with_groups(vec![
///     ParamGroup::new(matrices, AdamWOptions { weight_decay: 0.1, ..Default::default() }),
///     ParamGroup::new(rest, AdamWOptions { weight_decay: 0.0, ..Default::default() }),
/// ]);
/// optimizer.param_groups_mut()[1].options.lr = 1e-4;
/// assert_eq!(optimizer.param_groups()[0].params.len(), 1);
/// ```
#[derive(Debug, Clone)]
pub struct Descent<R> {
    groups: Vec<ParamGroup<R>>,
    /// By the number of the parameter through all groups; `None` until its first step.
    kept: Vec<Option<Kept>>,
}

impl<R: Rule + Default> Descent<R> {
    /// All parameters in one group with the default options.
    ///
    /// # Panics
    /// As [`with_groups`](Descent::with_groups).
    #[track_caller]
    pub fn new(params: Vec<Parameter>) -> Descent<R> {
        Descent::with(params, R::default())
    }
}

impl<R: Rule> Descent<R> {
    /// All parameters in one group with these options.
    ///
    /// # Panics
    /// As [`with_groups`](Descent::with_groups).
    #[track_caller]
    pub fn with(params: Vec<Parameter>, options: R) -> Descent<R> {
        Descent::with_groups(vec![ParamGroup::new(params, options)])
    }

    /// Groups with options of their own.
    ///
    /// # Panics
    /// When there is no parameter, a parameter stands twice, options break their rule, or the optimizer does not take
    /// such a parameter.
    #[track_caller]
    pub fn with_groups(groups: Vec<ParamGroup<R>>) -> Descent<R> {
        let mut optimizer = Descent { groups: Vec::new(), kept: Vec::new() };
        for group in groups {
            optimizer.add_param_group(group);
        }
        assert!(!optimizer.kept.is_empty(), "{}: there is no parameter to optimize", R::NAME);
        optimizer
    }

    /// Adds a group at the end.
    ///
    /// # Panics
    /// When a parameter stands in a group already, options break their rule, or the optimizer does not take such a
    /// parameter.
    #[track_caller]
    pub fn add_param_group(&mut self, group: ParamGroup<R>) {
        if let Err(problem) = group.options.check() {
            panic!("{}: {problem}", R::NAME);
        }
        let mut known: HashSet<usize> = self.groups.iter().flat_map(|group| &group.params).map(|p| p.id()).collect();
        for (position, parameter) in group.params.iter().enumerate() {
            let refuse = |problem: &str| -> ! {
                let (number, shape) = (self.groups.len(), parameter.shape());
                panic!("{}: {problem}\n  group {number}   position {position}   shape {shape}", R::NAME)
            };
            if !known.insert(parameter.id()) {
                refuse("a parameter stands twice");
            }
            if let Err(problem) = group.options.accepts(&parameter.value()) {
                refuse(&problem);
            }
        }
        self.kept.resize_with(self.kept.len() + group.params.len(), || None);
        self.groups.push(group);
    }

    /// The groups.
    pub fn param_groups(&self) -> &[ParamGroup<R>] {
        &self.groups
    }

    /// The groups, to change their options.
    ///
    /// The parameters stay as they are: [`add_param_group`](Descent::add_param_group) brings more.
    pub fn param_groups_mut(&mut self) -> &mut [ParamGroup<R>] {
        &mut self.groups
    }

    /// The parameters through all groups, each with the options of its group.
    fn members(&self) -> impl Iterator<Item = (&Parameter, &R)> {
        self.groups.iter().flat_map(|group| group.params.iter().map(|parameter| (parameter, &group.options)))
    }
}

impl<R: Rule> Optimizer for Descent<R> {
    fn step_scaled(&mut self, factor: f64) {
        let members =
            self.groups.iter().flat_map(|group| group.params.iter().map(|parameter| (parameter, &group.options)));
        for ((parameter, rule), kept) in members.zip(&mut self.kept) {
            let Some(gradient) = parameter.grad() else { continue };
            let gradient = gradient.value();
            let kept = match kept {
                Some(kept) if kept.names == rule.kept() => kept,
                // The first step, or the first one with options that keep more or less.
                slot => {
                    let kept = slot.take().map_or_else(|| Kept::new(rule, &gradient), |old| old.under(rule, &gradient));
                    slot.insert(kept)
                }
            };
            kept.step += 1;
            parameter
                .update(|value| rule.update(value, Gradient::new(&gradient, factor), &mut kept.tensors, kept.step));
        }
    }

    fn zero_grad(&self) {
        self.members().for_each(|(parameter, _)| parameter.zero_grad());
    }

    fn learning_rates(&self) -> Vec<f64> {
        self.groups.iter().map(|group| learning_rate(&group.options)).collect()
    }

    #[track_caller]
    fn set_learning_rates(&mut self, rates: &[f64]) {
        assert_eq!(rates.len(), self.groups.len(), "{}: one learning rate for each group", R::NAME);
        for (group, &lr) in self.groups.iter_mut().zip(rates) {
            set_learning_rate(&mut group.options, lr);
        }
    }

    fn initial_learning_rates(&mut self) -> Vec<f64> {
        let groups = self.groups.iter_mut();
        groups.map(|group| *group.initial_lr.get_or_insert_with(|| learning_rate(&group.options))).collect()
    }

    fn momentums(&self) -> Vec<Option<f64>> {
        self.groups.iter().map(|group| momentum(&group.options)).collect()
    }

    #[track_caller]
    fn set_momentums(&mut self, momentums: &[f64]) {
        assert_eq!(momentums.len(), self.groups.len(), "{}: one momentum for each group", R::NAME);
        for (group, &value) in self.groups.iter_mut().zip(momentums) {
            assert!(momentum(&group.options).is_some(), "{}: there is no momentum to set", R::NAME);
            set_momentum(&mut group.options, value);
        }
    }

    fn state_dict(&self) -> StateDict {
        let mut dict = StateDict::new();
        for (number, (kept, (parameter, rule))) in self.kept.iter().zip(self.members()).enumerate() {
            let Some(kept) = kept else { continue };
            let kept = kept.clone().under(rule, &parameter.value());
            dict.insert(format!("state.{number}.step"), Tensor::scalar(kept.step as i64));
            for (name, tensor) in kept.names.iter().zip(kept.tensors) {
                dict.insert(format!("state.{number}.{name}"), tensor);
            }
        }
        let mut first = 0;
        for (position, group) in self.groups.iter().enumerate() {
            let mut options = group.options.clone();
            save_options(&mut dict, position, first, group.params.len(), |each| options.settings(each));
            first += group.params.len();
        }
        dict
    }

    fn load_state_dict(&mut self, dict: &StateDict) -> Result<(), StateError> {
        let mut reader = Reader::new(dict);
        let mut loaded = self.clone();
        let mut first = 0;
        for (position, group) in loaded.groups.iter_mut().enumerate() {
            load_options(&mut reader, position, first, group.params.len(), |each| group.options.settings(each));
            first += group.params.len();
            if let Err(problem) = group.options.check() {
                reader.problem(format!("unusable    param_groups.{position}: {problem}"));
            }
        }
        let mut all = Vec::new();
        for (number, (parameter, rule)) in loaded.members().enumerate() {
            // A parameter that never had a gradient has no state.
            let step_name = format!("state.{number}.step");
            if !reader.has(&step_name) {
                all.push(None);
                continue;
            }
            let step = reader.count(&step_name).unwrap_or(0);
            let start = Kept::new(rule, &parameter.value());
            let mut read = |(name, like): (&&str, Tensor)| {
                reader.tensor(&format!("state.{number}.{name}"), like.dims(), like.dtype()).unwrap_or(like)
            };
            let tensors = start.names.iter().zip(start.tensors).map(&mut read).collect();
            all.push(Some(Kept { step, names: start.names, tensors }));
        }
        reader.finish(R::NAME)?;
        loaded.kept = all;
        *self = loaded;
        Ok(())
    }
}
