//! Activation checkpointing: computing a part of the forward pass again instead of keeping what its gradients need.
//!
//! The steps of the part stay in the graph, so a backward pass visits them, adds up and runs hooks just as without
//! checkpointing; only their pullbacks, and with them everything kept, are replaced by stand-ins. The first stand-in that
//! a pass reaches runs the function again and lends all others their pullbacks.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::rc::{Rc, Weak};

use tensor::{DType, Shape, random};

use crate::mode::{is_grad_enabled, next_seq, rerun};
use crate::step::{Grads, Need, Pullback, Scalar, Step};
use crate::var::{Leaf, Origin, Var};

/// `f(inputs)`, keeping only the inputs: a backward pass through it runs `f` again to get what the gradients need.
///
/// This trades time (one more forward pass of `f`) for memory. While the first run is going on, and again while the
/// backward pass is inside, what `f` keeps is alive; in between only `inputs` are. Cut a deep model into about as many
/// parts as each has layers.
///
/// `f` returns one [`Var`] or several (`Vec`, array) and may use anything else that it owns, such as a module behind an
/// `Rc`; leaves that it captures get their gradients like the inputs. Parts may be nested. When recording is off, this
/// only calls `f`.
///
/// # Gradient
/// Bit for bit that of `f(inputs)`: the graph is the same, and the thread's default random generator is put back for the
/// second run, so that dropout draws the same again. With `create_graph` the second run is recorded and kept; second
/// derivatives agree up to the order in which they are added. With `retain_graph` each pass runs `f` once more.
///
/// What else `f` changes it changes twice, the running averages of a batch norm for instance, and a generator of the
/// caller's own goes on.
///
/// # Panics
/// In the backward pass, when the second run records other operations than the first, or when a leaf that `f` captured
/// has changed in the meantime.
///
/// # Differs
/// This is `torch.utils.checkpoint.checkpoint` with `use_reentrant=False` and `preserve_rng_state=True`. PyTorch computes
/// with a changed parameter without saying so.
///
/// # Source
/// Chen, Xu, Zhang and Guestrin, *Training Deep Nets with Sublinear Memory Cost*, 2016.
///
/// ```
/// use autograd::{Var, checkpoint};
/// use tensor::{DType, Tensor};
/// let w = Var::new(Tensor::full([3, 3], 0.5, DType::F64)).requires_grad_(true);
/// let x = Var::new(Tensor::from([1.0, 2.0, 3.0])).requires_grad_(true);
/// let captured = w.clone();
/// let y = checkpoint(move |v| captured.matmul(&v[0]).tanh().dropout(0.5), &[&x]);
/// y.sum().backward();
/// assert!(x.grad().is_some() && w.grad().is_some());
/// ```
#[track_caller]
pub fn checkpoint<R>(f: impl Fn(&[Var]) -> R + 'static, inputs: &[&Var]) -> R
where
    R: Into<Vec<Var>> + Clone,
{
    let given: Vec<Var> = inputs.iter().map(|input| (*input).clone()).collect();
    if !is_grad_enabled() {
        return f(&given);
    }
    let inputs: Vec<Var> = given.iter().map(Var::snapshot).collect();
    let random_state = random::get_state();
    let begin = next_seq();
    let result = f(&given);
    let steps = steps_since(begin, &result.clone().into());
    let own: HashSet<u64> = inputs.iter().map(|input| input.0.origin.borrow().number().0).collect();
    let mut leaves: BTreeMap<u64, (Rc<Leaf>, u64)> = BTreeMap::new();
    for edge in steps.iter().flat_map(|step| &step.edges) {
        if let Origin::Leaf(leaf) = &edge.target
            && !own.contains(&leaf.seq)
        {
            leaves.insert(leaf.seq, (leaf.clone(), leaf.version.get()));
        }
    }
    let segment = Rc::new(Segment {
        f: Box::new(move |inputs| f(inputs).into()),
        inputs,
        random_state,
        outline: steps.iter().map(|step| Outline::of(step)).collect(),
        leaves: leaves.into_values().collect(),
        lent: RefCell::default(),
    });
    for (index, step) in steps.iter().enumerate() {
        let keeps = step.pullback.borrow().as_ref().is_some_and(|pullback| pullback.holds_values());
        if keeps {
            let scalar = step.pullback.borrow().as_ref().map_or(Scalar::None, |pullback| pullback.scalar());
            let old = step.pullback.replace(Some(Rc::new(StandIn { segment: segment.clone(), index, scalar })));
            drop(old);
        }
    }
    result
}

/// The steps that lead to `outputs` and are not older than `begin`, in the order of their creation.
fn steps_since(begin: u64, outputs: &[Var]) -> Vec<Rc<Step>> {
    let mut found: BTreeMap<u64, Rc<Step>> = BTreeMap::new();
    let mut stack: Vec<Rc<Step>> = Vec::new();
    let mut reach = |origin: &Origin, stack: &mut Vec<Rc<Step>>| {
        if let Origin::Step(step, _) = origin
            && step.seq >= begin
            && found.insert(step.seq, step.clone()).is_none()
        {
            stack.push(step.clone());
        }
    };
    outputs.iter().for_each(|output| reach(&output.0.origin.borrow(), &mut stack));
    while let Some(step) = stack.pop() {
        step.edges.iter().for_each(|edge| reach(&edge.target, &mut stack));
    }
    found.into_values().collect()
}

type Function = dyn Fn(&[Var]) -> Vec<Var>;

/// A checkpointed part of the graph: how to compute it again.
struct Segment {
    f: Box<Function>,
    inputs: Vec<Var>,
    random_state: (u64, u64),
    outline: Vec<Outline>,
    /// What `f` captured, and the version of its value in the first run.
    leaves: Vec<(Rc<Leaf>, u64)>,
    /// One pullback per step, from the time when a pass runs `f` again until the pass has used it.
    lent: RefCell<Vec<Option<Rc<dyn Pullback>>>>,
}

/// What must be the same about a step in both runs.
#[derive(PartialEq)]
struct Outline {
    name: &'static str,
    outputs: u32,
    inputs: Vec<(Shape, DType)>,
}

impl Outline {
    fn of(step: &Step) -> Outline {
        let inputs = step.edges.iter().map(|edge| (edge.shape.clone(), edge.dtype)).collect();
        Outline { name: step.name, outputs: step.outputs, inputs }
    }
}

impl Segment {
    /// The pullback of step `index`, which is then no longer kept here.
    fn pullback(self: &Rc<Segment>, index: usize) -> Rc<dyn Pullback> {
        let lent = self.take(index);
        lent.unwrap_or_else(|| {
            self.run_again();
            self.take(index).expect("the second run has a pullback wherever the first had one")
        })
    }

    fn take(&self, index: usize) -> Option<Rc<dyn Pullback>> {
        self.lent.borrow_mut().get_mut(index).and_then(Option::take)
    }

    fn run_again(self: &Rc<Segment>) {
        for (leaf, version) in &self.leaves {
            assert!(
                leaf.version.get() == *version,
                "checkpoint: a leaf that the function captured has changed since the forward pass, so the function \
                 cannot be run again; run backward before changing it"
            );
        }
        let begin = next_seq();
        let outputs = {
            let _state = RandomState::set(self.random_state);
            rerun(|| (self.f)(&self.inputs))
        };
        let steps = steps_since(begin, &outputs);
        for (i, step) in steps.iter().enumerate() {
            let first = self.outline.get(i);
            assert!(
                first.is_some_and(|first| *first == Outline::of(step)),
                "checkpoint: the function did not do the same when it ran again: step {i} was {} and is `{}` ({})",
                first.map_or("nothing".to_string(), |first| format!("`{}`", first.name)),
                step.name,
                step.place
            );
        }
        assert!(
            steps.len() == self.outline.len(),
            "checkpoint: the function did not do the same when it ran again: {} steps, then {}",
            self.outline.len(),
            steps.len()
        );
        let holding = |step: &Rc<Step>| step.pullback.borrow().clone().filter(|pullback| pullback.holds_values());
        let pullbacks = steps.iter().map(holding).collect();
        let _old = self.lent.replace(pullbacks);
        RECOMPUTED.with(|list| list.borrow_mut().push(Rc::downgrade(self)));
    }
}

/// Takes the place of the pullback of a step whose captures are not kept.
struct StandIn {
    segment: Rc<Segment>,
    index: usize,
    scalar: Scalar,
}

impl Pullback for StandIn {
    fn pull(&self, step: &Rc<Step>, dys: &[Option<Var>], need: Need<'_>) -> Grads {
        self.segment.pullback(self.index).pull(step, dys, need)
    }

    fn scalar(&self) -> Scalar {
        self.scalar
    }

    fn holds_values(&self) -> bool {
        true
    }
}

/// The thread's default generator in another state until this is dropped.
struct RandomState((u64, u64));

impl RandomState {
    fn set(state: (u64, u64)) -> RandomState {
        let before = random::get_state();
        random::set_state(state);
        RandomState(before)
    }
}

impl Drop for RandomState {
    fn drop(&mut self) {
        random::set_state(self.0);
    }
}

thread_local! {
    static RECOMPUTED: RefCell<Vec<Weak<Segment>>> = const { RefCell::new(Vec::new()) };
}

/// The segments that were computed again since this was made. Dropping it, at the end of a pass, drops what the pass did
/// not use.
pub(crate) struct Recomputed(usize);

impl Recomputed {
    pub fn during_this_pass() -> Recomputed {
        Recomputed(RECOMPUTED.with(|list| list.borrow().len()))
    }
}

impl Drop for Recomputed {
    fn drop(&mut self) {
        loop {
            // The borrow ends before anything is dropped.
            let last = RECOMPUTED.with(|list| {
                let mut list = list.borrow_mut();
                if list.len() > self.0 { list.pop() } else { None }
            });
            let Some(segment) = last else { return };
            if let Some(segment) = segment.upgrade() {
                let _unused = segment.lent.take();
            }
        }
    }
}
