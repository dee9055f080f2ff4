//! The optimizers' common part: parameter groups, kept tensors, the walk of a step.

use std::collections::HashSet;

use nn::{Parameter, StateDict};
use tensor::Tensor;

use crate::rule::{Rule, learning_rate, momentum, set_learning_rate, set_momentum};
use crate::state::{self, StateError};

/// Changes parameters by their gradients.
pub trait Optimizer {
    /// One step of every parameter that has a gradient.
    fn step(&mut self);

    /// Forgets the gradient of every parameter.
    fn zero_grad(&self);

    /// The learning rate of each group.
    fn learning_rates(&self) -> Vec<f64>;

    /// Sets the learning rate of each group.
    ///
    /// # Panics
    /// When their number is not that of the groups.
    fn set_learning_rates(&mut self, rates: &[f64]);

    /// The momentum of each group: the option `momentum`, or the first of `betas`; none for an optimizer that has
    /// neither.
    fn momentums(&self) -> Vec<Option<f64>>;

    /// Sets the momentum of each group, see [`momentums`](Optimizer::momentums).
    ///
    /// # Panics
    /// When their number is not that of the groups, or the optimizer has no momentum.
    fn set_momentums(&mut self, momentums: &[f64]);

    /// The options of the groups and the tensors kept for each parameter, under names such as `param_groups.0.lr` and
    /// `state.3.exp_avg`: everything that an exact resume needs. Parameters count through all groups, as in PyTorch.
    fn state_dict(&self) -> StateDict;

    /// Takes over a state dict of the same optimizer with the same groups.
    ///
    /// # Errors
    /// Everything that does not fit at once; nothing is changed then.
    fn load_state_dict(&mut self, dict: &StateDict) -> Result<(), StateError>;
}

/// Parameters and the options they share.
#[derive(Debug, Clone)]
pub struct ParamGroup<R> {
    /// The parameters.
    pub params: Vec<Parameter>,
    /// Their options.
    pub options: R,
}

impl<R> ParamGroup<R> {
    /// A group of these parameters.
    pub fn new(params: Vec<Parameter>, options: R) -> ParamGroup<R> {
        ParamGroup { params, options }
    }
}

/// What is kept for one parameter between steps.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub step: u64,
    pub tensors: Vec<Tensor>,
}

/// Descent by a rule over groups of parameters: the type behind [`SGD`](crate::SGD), [`Adam`](crate::Adam) and
/// [`AdamW`](crate::AdamW).
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
    pub(crate) groups: Vec<ParamGroup<R>>,
    /// By the number of the parameter through all groups; `None` until its first step.
    pub(crate) kept: Vec<Option<Kept>>,
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
    /// When there is no parameter, a parameter stands twice, or options break their rule.
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
    /// When a parameter stands in a group already, or options break their rule.
    #[track_caller]
    pub fn add_param_group(&mut self, group: ParamGroup<R>) {
        if let Err(problem) = group.options.check() {
            panic!("{}: {problem}", R::NAME);
        }
        let mut known: HashSet<usize> = self.groups.iter().flat_map(|group| &group.params).map(|p| p.id()).collect();
        for (position, parameter) in group.params.iter().enumerate() {
            assert!(
                known.insert(parameter.id()),
                "{}: a parameter stands twice\n  group {}   position {position}   shape {}",
                R::NAME,
                self.groups.len(),
                parameter.shape()
            );
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
}

impl<R: Rule> Optimizer for Descent<R> {
    fn step(&mut self) {
        let members =
            self.groups.iter().flat_map(|group| group.params.iter().map(|parameter| (parameter, &group.options)));
        for ((parameter, rule), kept) in members.zip(&mut self.kept) {
            let Some(gradient) = parameter.grad() else { continue };
            let gradient = gradient.value();
            let kept = match kept {
                Some(kept) if kept.tensors.len() == rule.kept().len() => kept,
                // The first step, or the first one that keeps anything: momentum may be turned on later.
                slot => {
                    // One by one: clones would share their memory and be copied by the first write.
                    let tensors = rule.kept().iter().map(|_| gradient.zeros_like()).collect();
                    slot.insert(Kept { step: 0, tensors })
                }
            };
            kept.step += 1;
            parameter.update(|value| rule.update(value, &gradient, &mut kept.tensors, kept.step));
        }
    }

    fn zero_grad(&self) {
        for parameter in self.groups.iter().flat_map(|group| &group.params) {
            parameter.zero_grad();
        }
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
        state::save(self)
    }

    fn load_state_dict(&mut self, dict: &StateDict) -> Result<(), StateError> {
        state::load(self, dict)
    }
}
