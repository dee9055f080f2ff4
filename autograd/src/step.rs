//! A step: one recorded operation, and how a graph of any depth is dropped without recursion.

use std::cell::RefCell;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use smallvec::SmallVec;
use tensor::{DType, Shape};

use crate::hooks::Hooks;
use crate::var::{Origin, Var};

/// The gradients that a pullback gives, one per input; `None` where none was asked for or the gradient is zero.
pub(crate) type Grads = SmallVec<[Option<Var>; 3]>;

/// Which inputs of a step need a gradient; a pullback computes no others.
#[derive(Clone, Copy)]
pub struct Need<'a> {
    inputs: &'a [bool],
    /// Hands over what has come so far for an input, if it may be changed.
    so_far: &'a dyn Fn(usize) -> Option<Var>,
}

impl<'a> Need<'a> {
    pub(crate) fn new(inputs: &'a [bool], so_far: &'a dyn Fn(usize) -> Option<Var>) -> Need<'a> {
        Need { inputs, so_far }
    }

    /// True when input `i` needs a gradient.
    pub fn is(&self, i: usize) -> bool {
        self.inputs[i]
    }

    /// The gradient of input `i`: `compute()` when it is needed, otherwise `None` and no work at all.
    pub fn of(&self, i: usize, compute: impl FnOnce() -> Var) -> Option<Var> {
        self.inputs[i].then(compute)
    }

    /// The sum of the gradients that other steps have given for the needed input `i` by now. The pullback takes it over and
    /// gives it back with its own part added: for a part that is zero almost everywhere, that is less than to make it whole.
    /// `None` if nothing has come yet, or the pass is recorded.
    pub(crate) fn take_so_far(&self, i: usize) -> Option<Var> {
        (self.so_far)(i)
    }
}

impl fmt::Debug for Need<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Need").field(&self.inputs).finish()
    }
}

/// Maps the gradients of a step's outputs to those of its inputs.
pub(crate) trait Pullback {
    fn pull(&self, step: &Rc<Step>, dys: &[Option<Var>], need: Need<'_>) -> Grads;

    /// False when nothing is captured that a pass could free; such a step may be passed any number of times.
    fn holds_values(&self) -> bool;

    /// The number that is an operand, for drawings. It lives here because a field would make every step larger.
    fn scalar(&self) -> Scalar {
        Scalar::None
    }
}

/// Where the gradient of one input goes, and what shape and dtype it has there. Never the input's value.
pub(crate) struct Edge {
    pub target: Origin,
    pub shape: Shape,
    pub dtype: DType,
}

/// What a step does besides its pullback, for the few steps that are watched.
#[derive(Default)]
pub(crate) struct Watch {
    /// Per output: its hooks.
    pub hooks: Vec<(u32, Rc<Hooks>)>,
    /// Per output with `retain_grad`: its gradient.
    pub grads: Vec<(u32, Option<Var>)>,
    /// The tensors that are operands without being in the graph, such as a loss's targets, for whoever draws it.
    pub reads: Vec<(&'static str, Shape, DType)>,
}

/// The number that is an operand of a step, and its side.
#[derive(Clone, Copy)]
pub(crate) enum Scalar {
    None,
    /// As in `2.0 - x`.
    Left(f64),
    /// As in `x - 2.0`.
    Right(f64),
}

/// One recorded operation.
pub(crate) struct Step {
    /// Creation order: larger than that of every input, so descending order is a topological order.
    pub seq: u64,
    pub name: &'static str,
    /// The line of the user's program that ran the operation; of a step in a recorded backward pass, the line of the
    /// operation whose gradient it is a part of.
    pub place: &'static Location<'static>,
    pub edges: SmallVec<[Edge; 2]>,
    pub outputs: u32,
    /// Empty once a pass has freed it.
    pub pullback: RefCell<Option<Rc<dyn Pullback>>>,
    pub watch: RefCell<Option<Box<Watch>>>,
}

impl Step {
    /// The pullback for one pass: left in place when the graph is retained or nothing would be freed.
    pub fn pullback(&self, retain: bool) -> Option<Rc<dyn Pullback>> {
        let mut slot = self.pullback.borrow_mut();
        match &*slot {
            Some(pullback) if retain || !pullback.holds_values() => Some(pullback.clone()),
            _ => slot.take(),
        }
    }
}

/// What a dropped step owned and what may in turn be the last owner of other steps.
#[allow(dead_code, reason = "held only to be dropped")]
enum Garbage {
    Origin(Origin),
    Pullback(Rc<dyn Pullback>),
    Watch(Box<Watch>),
}

#[derive(Default)]
struct Queue {
    draining: bool,
    garbage: Vec<Garbage>,
}

thread_local! {
    static QUEUE: RefCell<Queue> = const { RefCell::new(Queue { draining: false, garbage: Vec::new() }) };
}

impl Drop for Step {
    /// Hands everything that could own another step to a queue which the outermost drop empties: the stack stays flat
    /// however deep the graph is, because every path from a step to another ends in this function.
    fn drop(&mut self) {
        let mut added = false;
        // When the thread is ending and its queue is gone, the closure is dropped unrun and the item with it.
        let mut discard = |item: Garbage| {
            added |= QUEUE.try_with(|queue| queue.borrow_mut().garbage.push(item)).is_ok();
        };
        for edge in &mut self.edges {
            // Taken out even when others own it too: they may be garbage of this same step, which would leave the field
            // the last.
            let target = std::mem::replace(&mut edge.target, Origin::Constant(0));
            let last = match &target {
                Origin::Constant(_) => false,
                Origin::Leaf(leaf) => Rc::strong_count(leaf) == 1,
                Origin::Step(step, _) => Rc::strong_count(step) == 1,
            };
            if last {
                discard(Garbage::Origin(target));
            }
        }
        if let Some(pullback) = self.pullback.get_mut().take().filter(|p| p.holds_values()) {
            discard(Garbage::Pullback(pullback));
        }
        if let Some(watch) = self.watch.get_mut().take() {
            discard(Garbage::Watch(watch));
        }
        if added && !QUEUE.with(|queue| std::mem::replace(&mut queue.borrow_mut().draining, true)) {
            drain();
        }
    }
}

/// Drops queued items until none are left. A captured value's own panicking drop must not leave the queue marked busy.
fn drain() {
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            let _ = QUEUE.try_with(|queue| queue.borrow_mut().draining = false);
        }
    }
    let _done = Done;
    // The borrow ends with the pop: dropping an item pushes to the same queue.
    while let Some(item) = QUEUE.with(|queue| queue.borrow_mut().garbage.pop()) {
        drop(item);
    }
}
