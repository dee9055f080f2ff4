//! The backward pass: visits steps in descending creation order, adds up gradients, and knows no operation.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use smallvec::SmallVec;
use tensor::Tensor;

use crate::mode::{is_anomaly_enabled, is_grad_enabled, pulling, with_pass_mode};
use crate::pending::{Gradients, Pending, Receiver, Waiting};
use crate::step::{Edge, Need, Step};
use crate::var::{Leaf, Origin, Var};
use crate::{anomaly, checkpoint};

/// How [`Var::backward_with`] runs; the default is PyTorch's.
#[derive(Clone, Default)]
pub struct BackwardOptions {
    /// The gradient of this value; a scalar's is 1 unless given.
    pub gradient: Option<Var>,
    /// Keep what the pullbacks captured, for another pass over the same graph; `None` means as `create_graph`.
    pub retain_graph: Option<bool>,
    /// Record the pass itself, so that the gradients can be differentiated. The gradients in the slots then own the graph,
    /// which owns the leaves with their slots: empty these in the end ([`Var::zero_grad`]), or the memory stays; or use
    /// [`grad`], which fills none.
    pub create_graph: bool,
    /// Only these get gradients, and only what they need is computed; `None` means every leaf.
    pub inputs: Option<Vec<Var>>,
}

/// How [`grad`] runs; the default is PyTorch's.
#[derive(Clone, Default)]
pub struct GradOptions {
    /// The gradients of the outputs, one each; a scalar's is 1 unless given.
    pub grad_outputs: Option<Vec<Var>>,
    /// Keep what the pullbacks captured, for another pass over the same graph; `None` means as `create_graph`.
    pub retain_graph: Option<bool>,
    /// Record the pass itself, so that the gradients can be differentiated.
    pub create_graph: bool,
    /// Give `None` for an input on which the outputs do not depend instead of refusing it; `None` means as
    /// `materialize_grads`.
    pub allow_unused: Option<bool>,
    /// Give zeros for an input on which the outputs do not depend.
    pub materialize_grads: bool,
}

impl Var {
    /// Adds the gradient of this scalar to every leaf it was computed from, and frees what the pullbacks captured.
    ///
    /// # Panics
    /// When this does not require a gradient, has more than one element, or an earlier pass freed a part of the graph.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([3.0])).requires_grad_(true);
    /// (&x * &x).sum().backward();
    /// assert_eq!(x.grad().unwrap().item::<f64>(), 6.0);
    /// ```
    #[track_caller]
    pub fn backward(&self) {
        self.backward_with(BackwardOptions::default());
    }

    /// [`Var::backward`] with options.
    ///
    /// # Panics
    /// As [`Var::backward`], and when `gradient` has another shape, `inputs` is an empty list, or one of them does not
    /// require a gradient.
    ///
    /// ```
    /// use autograd::{BackwardOptions, Var};
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([3.0, 4.0])).requires_grad_(true);
    /// let gradient = Some(Var::new(Tensor::from([1.0, 10.0])));
    /// (&x * &x).backward_with(BackwardOptions { gradient, ..Default::default() });
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [6.0, 80.0]);
    /// ```
    #[track_caller]
    pub fn backward_with(&self, options: BackwardOptions) {
        let root = root("backward", "this value", self, options.gradient.as_ref());
        let wanted = options.inputs.as_ref().map(|inputs| {
            let wanted = Wanted::new("backward", &[self], &inputs.iter().collect::<Vec<_>>());
            inputs.iter().for_each(Var::retain_grad);
            wanted
        });
        let retain = options.retain_graph.unwrap_or(options.create_graph);
        Pass::new(wanted, retain, Deposit::IntoLeaves).run([root], options.create_graph);
    }
}

/// The gradients of `outputs`, summed over them, with respect to `inputs`, without touching any gradient slot.
///
/// Only what the inputs need is computed. Every gradient is there, except that with `allow_unused` `None` stands for an
/// input on which the outputs do not depend. The slots of [`Var::retain_grad`] on the way are filled, those of leaves
/// are not.
///
/// # Panics
/// When there is no input, an output or input does not require a gradient, an output without a given gradient has more
/// than one element, a given gradient has another shape, the outputs do not depend on an input (unless `allow_unused`),
/// or an earlier pass freed a part of the graph.
///
/// # Differs
/// There is no `is_grads_batched`, which needs operations that batch themselves (`vmap`): call `grad` once per gradient,
/// with `retain_graph`. The gradients of the outputs are given for all of them or for none.
///
/// ```
/// use autograd::{GradOptions, Var, grad};
/// use tensor::Tensor;
/// let x = Var::new(Tensor::from([2.0])).requires_grad_(true);
/// let y = &x * &x * &x;
/// let create = GradOptions { create_graph: true, ..Default::default() };
/// let dx = grad(&[&y], &[&x], create)[0].clone().unwrap();
/// assert_eq!(dx.item::<f64>(), 12.0);
/// let ddx = grad(&[&dx], &[&x], GradOptions::default())[0].clone().unwrap();
/// assert_eq!(ddx.item::<f64>(), 12.0);
/// ```
#[track_caller]
pub fn grad(outputs: &[&Var], inputs: &[&Var], options: GradOptions) -> Vec<Option<Var>> {
    if let Some(given) = &options.grad_outputs {
        let (got, expected) = (given.len(), outputs.len());
        assert!(got == expected, "grad: {got} grad_outputs for {expected} outputs");
    }
    let allow_unused = options.allow_unused.unwrap_or(options.materialize_grads);
    assert!(
        allow_unused || !options.materialize_grads,
        "grad: materialize_grads gives zeros for unused inputs, so allow_unused cannot be Some(false)"
    );
    let given = |i: usize| options.grad_outputs.as_ref().map(|given| &given[i]);
    let name = |i: usize| format!("output {i}");
    let roots = outputs.iter().enumerate().map(|(i, output)| root("grad", &name(i), output, given(i)));
    let roots: Vec<_> = roots.collect();
    let wanted = Wanted::new("grad", outputs, inputs);
    let retain = options.retain_graph.unwrap_or(options.create_graph);
    let pass = Pass::new(Some(wanted), retain, Deposit::Capture(vec![None; inputs.len()]));
    let Deposit::Capture(mut grads) = pass.run(roots, options.create_graph) else {
        unreachable!("a pass keeps its kind of deposit");
    };
    if !allow_unused && let Some(unused) = grads.iter().position(Option::is_none) {
        panic!(
            "grad: the outputs do not depend on input {unused}; allow_unused gives None for it, materialize_grads zeros"
        );
    }
    if options.materialize_grads {
        for (grad, input) in grads.iter_mut().zip(inputs) {
            grad.get_or_insert_with(|| Var::new(Tensor::zeros_like(&input.tensor())));
        }
    }
    grads
}

/// Where a pass starts: the origin of `output` and its gradient.
#[track_caller]
fn root(caller: &str, name: &str, output: &Var, gradient: Option<&Var>) -> (Origin, Var) {
    assert!(
        output.requires_grad(),
        "{caller}: {name} does not require a gradient and was not computed from one that does"
    );
    let value = output.tensor();
    let gradient = match gradient {
        Some(gradient) => {
            let (got, expected) = (gradient.shape(), value.shape());
            assert!(got == *expected, "{caller}: the gradient of {name} has shape {got}, the value {expected}");
            if gradient.dtype() == value.dtype() { gradient.clone() } else { gradient.to_dtype(value.dtype()) }
        }
        None => {
            let shape = value.shape();
            assert!(
                shape.numel() == 1,
                "{caller}: a gradient can be created only for a scalar, {name} has shape {shape}"
            );
            Var::new(Tensor::ones_like(&value))
        }
    };
    (output.0.origin.borrow().clone(), gradient)
}

/// The inputs of a pass that does not serve every leaf.
struct Wanted {
    /// Per input: its leaf or step, and the output of that step.
    inputs: Vec<(u64, u32)>,
    /// The leaves and steps from which a wanted input can be reached, and the inputs themselves.
    needed: HashSet<u64>,
    /// The steps that lie after a wanted input; only their pullbacks run.
    after: HashSet<u64>,
}

impl Wanted {
    #[track_caller]
    fn new(caller: &str, outputs: &[&Var], inputs: &[&Var]) -> Wanted {
        assert!(!inputs.is_empty(), "{caller}: the list of inputs is empty");
        let inputs: Vec<(u64, u32)> = inputs
            .iter()
            .enumerate()
            .map(|(i, input)| match &*input.0.origin.borrow() {
                origin if !origin.requires_grad() => panic!("{caller}: input {i} does not require a gradient"),
                origin => origin.number(),
            })
            .collect();
        let mut needed: HashSet<u64> = inputs.iter().map(|&(seq, _)| seq).collect();
        // Nothing older than the oldest input can lead to one, so the search stops there.
        let oldest = needed.iter().copied().min().expect("there is an input");
        let mut reached: BTreeMap<u64, Rc<Step>> = BTreeMap::new();
        let mut stack: Vec<Rc<Step>> = Vec::new();
        let mut reach = |origin: &Origin, stack: &mut Vec<Rc<Step>>| {
            if let Origin::Step(step, _) = origin
                && step.seq >= oldest
                && reached.insert(step.seq, step.clone()).is_none()
            {
                stack.push(step.clone());
            }
        };
        for output in outputs {
            reach(&output.0.origin.borrow(), &mut stack);
        }
        while let Some(step) = stack.pop() {
            step.edges.iter().for_each(|edge| reach(&edge.target, &mut stack));
        }
        // Ascending creation order: when a step's turn comes, its inputs are decided.
        let mut after = HashSet::new();
        for (seq, step) in reached {
            let leads = step.edges.iter().any(|edge| match &edge.target {
                Origin::Constant(_) => false,
                Origin::Leaf(leaf) => needed.contains(&leaf.seq),
                Origin::Step(step, _) => needed.contains(&step.seq),
            });
            if leads {
                needed.insert(seq);
                after.insert(seq);
            }
        }
        Wanted { inputs, needed, after }
    }

    fn positions(&self, seq: u64, output: u32) -> impl Iterator<Item = usize> {
        self.inputs.iter().enumerate().filter(move |(_, input)| **input == (seq, output)).map(|(i, _)| i)
    }
}

enum Deposit {
    IntoLeaves,
    /// One gradient per wanted input.
    Capture(Vec<Option<Var>>),
}

/// One pass. Its state is its own: a pullback or hook may run another pass, even over the same graph.
struct Pass {
    wanted: Option<Wanted>,
    retain: bool,
    deposit: Deposit,
    pending: Pending,
    /// Whether every gradient is searched for NaN.
    anomaly: bool,
}

impl Pass {
    fn new(wanted: Option<Wanted>, retain: bool, deposit: Deposit) -> Pass {
        Pass { wanted, retain, deposit, pending: Pending::default(), anomaly: is_anomaly_enabled() }
    }

    #[track_caller]
    fn run(mut self, roots: impl IntoIterator<Item = (Origin, Var)>, create_graph: bool) -> Deposit {
        let _recomputed = checkpoint::Recomputed::during_this_pass();
        with_pass_mode(create_graph, || {
            for (origin, gradient) in roots {
                self.send(&origin, gradient);
            }
            while let Some(Waiting { receiver, gradients, .. }) = self.pending.pop() {
                match receiver {
                    Receiver::Leaf(leaf) => self.arrive_at_leaf(&leaf, gradients),
                    Receiver::Step(step) => self.arrive_at_step(&step, gradients),
                }
            }
            self.deposit
        })
    }

    /// Puts a gradient with those that already wait for the same step output or leaf.
    fn send(&mut self, target: &Origin, gradient: Var) {
        if let Origin::Constant(_) = target {
            return;
        }
        let output = target.number().1 as usize;
        add_to(&mut self.pending.gradients(target)[output], gradient);
    }

    fn arrive_at_leaf(&mut self, leaf: &Leaf, mut gradients: Gradients) {
        let Some(gradient) = gradients[0].take().filter(|_| leaf.requires_grad.get()) else { return };
        let gradient = leaf.hooks.run(gradient);
        match &mut self.deposit {
            Deposit::IntoLeaves => {
                // Taken out first: adding may drop a graph, and that must not find the slot borrowed.
                let mut slot = leaf.grad.take();
                add_to(&mut slot, gradient);
                leaf.grad.replace(slot.map(owned));
            }
            Deposit::Capture(slots) => {
                let wanted = self.wanted.as_ref().expect("a capturing pass has inputs");
                wanted.positions(leaf.seq, 0).for_each(|i| slots[i] = Some(gradient.snapshot()));
            }
        }
    }

    #[track_caller]
    fn arrive_at_step(&mut self, step: &Rc<Step>, mut gradients: Gradients) {
        Self::show_to_watchers(step, &mut gradients);
        if let Some(wanted) = &self.wanted {
            for (output, gradient) in gradients.iter().enumerate() {
                let Some(gradient) = gradient else { continue };
                for i in wanted.positions(step.seq, output as u32) {
                    if let Deposit::Capture(slots) = &mut self.deposit {
                        slots[i] = Some(gradient.snapshot());
                    }
                }
            }
            if !wanted.after.contains(&step.seq) {
                return;
            }
        }
        let wanted = |seq: u64| self.wanted.as_ref().is_none_or(|wanted| wanted.needed.contains(&seq));
        let mut need: SmallVec<[bool; 8]> = SmallVec::with_capacity(step.edges.len());
        for edge in &step.edges {
            need.push(match &edge.target {
                Origin::Constant(_) => false,
                Origin::Leaf(leaf) => leaf.requires_grad.get() && wanted(leaf.seq),
                Origin::Step(step, _) => wanted(step.seq),
            });
        }
        if !need.contains(&true) {
            return;
        }
        let Some(pullback) = step.pullback(self.retain) else {
            panic!(
                "backward: an earlier pass freed what `{}` ({}) kept for its gradient; to pass through a graph a \
                 second time, pass the first time with retain_graph",
                step.name, step.place
            );
        };
        let pending = RefCell::new(&mut self.pending);
        let so_far = |i: usize| match is_grad_enabled() {
            true => None,
            false => pending.borrow_mut().take(&step.edges[i].target),
        };
        let grads = pulling(step.place, || pullback.pull(step, &gradients, Need::new(&need, &so_far)));
        if self.anomaly {
            anomaly::check_gradients(step, &gradients, &grads, &need);
        }
        // Freed before the gradients travel on, so that the memory can be used again at once.
        drop(pullback);
        drop(gradients);
        assert!(
            grads.len() == step.edges.len(),
            "backward: the pullback of `{}` gave {} gradients for {} inputs",
            step.name,
            grads.len(),
            step.edges.len()
        );
        for (i, gradient) in grads.into_iter().enumerate() {
            if let Some(gradient) = gradient.filter(|_| need[i]) {
                let gradient = fit(step, i, gradient);
                self.send(&step.edges[i].target, gradient);
            }
        }
    }

    /// Runs the hooks of a step's outputs, then fills the slots of `retain_grad`.
    fn show_to_watchers(step: &Step, gradients: &mut [Option<Var>]) {
        if step.watch.borrow().is_none() {
            return;
        }
        for (output, slot) in gradients.iter_mut().enumerate() {
            let Some(mut gradient) = slot.take() else { continue };
            // Cloned out of the borrow: a hook may watch or stop watching this same step.
            let hooks = step.watch.borrow().as_ref().and_then(|watch| {
                watch.hooks.iter().find(|(o, _)| *o as usize == output).map(|(_, hooks)| hooks.clone())
            });
            if let Some(hooks) = hooks {
                gradient = hooks.run(gradient);
            }
            retain(step, output as u32, &gradient);
            *slot = Some(gradient);
        }
    }
}

/// Adds a gradient to the slot of `retain_grad`, if this output has one.
fn retain(step: &Step, output: u32, gradient: &Var) {
    let mut watch = step.watch.borrow_mut();
    if let Some((_, slot)) = watch.as_mut().and_then(|watch| watch.grads.iter_mut().find(|(o, _)| *o == output)) {
        add_to(slot, gradient.snapshot());
    }
}

/// Undoes the broadcasting and the dtype promotion of an input: the one place where either happens.
fn fit(step: &Step, input: usize, gradient: Var) -> Var {
    let Edge { shape, dtype, .. } = &step.edges[input];
    let got = gradient.tensor();
    let (reshaped, converted) = (got.shape() != shape, got.dtype() != *dtype);
    if reshaped {
        let aligned = got.ndim().checked_sub(shape.len()).map(|extra| &got.dims()[extra..]);
        let reducible = aligned.is_some_and(|g| g.iter().zip(shape.iter()).all(|(g, s)| g == s || *s == 1));
        assert!(
            reducible,
            "backward: the pullback of `{}` ({}) gave input {input} of shape {shape} a gradient of shape {}",
            step.name,
            step.place,
            got.shape()
        );
    }
    drop(got);
    let gradient = if reshaped { gradient.sum_to(shape) } else { gradient };
    if converted { gradient.to_dtype(*dtype) } else { gradient }
}

/// Adds `gradient` to what waits in a slot, in place when recording is off and one of the two tensors has no other
/// owner.
fn add_to(slot: &mut Option<Var>, gradient: Var) {
    *slot = Some(match slot.take() {
        None => gradient,
        Some(waiting) if is_grad_enabled() => &waiting + &gradient,
        // The sum of two tensors given away takes the memory of either, if nobody else holds it.
        Some(waiting) => Var::new(into_tensor(waiting) + into_tensor(gradient)),
    });
}

/// The tensor of a handle given away: without another owner if the handle was the last.
pub(crate) fn into_tensor(var: Var) -> Tensor {
    match Rc::try_unwrap(var.0) {
        Ok(node) => node.value.into_inner(),
        Err(shared) => shared.value.borrow().clone(),
    }
}

/// A gradient as a leaf takes it: contiguous, and in a node of its own, because the owner of a leaf may change its
/// gradient in place.
fn owned(gradient: Var) -> Var {
    match gradient.tensor().is_contiguous() {
        true if Rc::strong_count(&gradient.0) == 1 => gradient.clone(),
        true => gradient.snapshot(),
        false => gradient.contiguous(),
    }
}
