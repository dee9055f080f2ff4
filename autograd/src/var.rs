//! [`Var`]: a tensor that remembers where it came from.

use std::cell::{Cell, Ref, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};

use tensor::{DType, Element, Shape, Tensor};

use crate::hooks::Hooks;
use crate::mode::next_seq;
use crate::step::Step;

/// A handle to a value in the graph: a tensor, and what gradients need to know about where it came from.
///
/// Cloning gives another handle to the same value, as in PyTorch. The methods have the names of [`Tensor`]'s; their
/// documentation here says what the gradient adds.
///
/// ```
/// use autograd::Var;
/// use tensor::Tensor;
/// let x = Var::new(Tensor::from([1.0, 2.0, 3.0])).requires_grad_(true);
/// let y = (&x * &x).sum();
/// y.backward();
/// assert_eq!(x.grad().unwrap().value().to_vec::<f64>(), [2.0, 4.0, 6.0]);
/// ```
#[derive(Clone)]
pub struct Var(pub(crate) Rc<Node>);

pub(crate) struct Node {
    pub value: RefCell<Tensor>,
    pub origin: RefCell<Origin>,
}

/// Where a value came from, and so where its gradient goes.
#[derive(Clone)]
pub(crate) enum Origin {
    /// A value that nothing is known about but its number, in the creation order of the steps.
    Constant(u64),
    Leaf(Rc<Leaf>),
    /// An output, by number, of a step.
    Step(Rc<Step>, u32),
}

/// The identity to which the gradients of a leaf flow, apart from its value: the value may change, this stays.
pub(crate) struct Leaf {
    /// In the creation order of the steps, so that a pass reaches a leaf after every step that used it.
    pub seq: u64,
    pub requires_grad: Cell<bool>,
    pub grad: RefCell<Option<Var>>,
    pub hooks: Hooks,
    /// Counts the changes of the value, for those who compute with it again and must have the same one.
    pub version: Cell<u64>,
    /// The last value that was kept for a pullback, as long as a graph keeps it: a weight used many times is kept once.
    kept: RefCell<Weak<Node>>,
}

impl Leaf {
    /// The leaf that a constant with this number becomes: steps that use it are younger.
    fn new(seq: u64, requires_grad: bool) -> Rc<Leaf> {
        Rc::new(Leaf {
            seq,
            requires_grad: Cell::new(requires_grad),
            grad: RefCell::new(None),
            hooks: Hooks::default(),
            version: Cell::new(0),
            kept: RefCell::new(Weak::new()),
        })
    }
}

impl Origin {
    pub fn requires_grad(&self) -> bool {
        match self {
            Origin::Constant(_) => false,
            Origin::Leaf(leaf) => leaf.requires_grad.get(),
            Origin::Step(..) => true,
        }
    }

    /// The place in the creation order, and which output of a step this is.
    pub fn number(&self) -> (u64, u32) {
        match self {
            Origin::Constant(seq) => (*seq, 0),
            Origin::Leaf(leaf) => (leaf.seq, 0),
            Origin::Step(step, output) => (step.seq, *output),
        }
    }
}

impl Var {
    /// A value without history that does not require a gradient; see [`Var::requires_grad_`].
    pub fn new(value: Tensor) -> Var {
        Var::with_origin(value, Origin::Constant(next_seq()))
    }

    pub(crate) fn with_origin(value: Tensor, origin: Origin) -> Var {
        Var(Rc::new(Node { value: RefCell::new(value), origin: RefCell::new(origin) }))
    }

    /// A constant 0-d value.
    ///
    /// ```
    /// use autograd::Var;
    /// assert_eq!(Var::scalar(2.5f64).value().item::<f64>(), 2.5);
    /// ```
    pub fn scalar<T: Element>(value: T) -> Var {
        Var::new(Tensor::scalar(value))
    }

    /// The tensor. Cheap: the elements are shared until somebody writes.
    pub fn value(&self) -> Tensor {
        self.tensor().clone()
    }

    /// The tensor for the length of one expression, without touching its reference count.
    pub(crate) fn tensor(&self) -> Ref<'_, Tensor> {
        self.0.value.borrow()
    }

    /// Replaces the value; graphs recorded before keep the old one.
    ///
    /// A gradient slot whose shape or dtype no longer fits is emptied.
    ///
    /// # Panics
    /// When this is the result of an operation, or requires a gradient and `value` is not floating point.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let w = Var::new(Tensor::from([2.0])).requires_grad_(true);
    /// let loss = (&w * &w).sum();
    /// w.set_value(Tensor::from([100.0]));
    /// loss.backward();
    /// assert_eq!(w.grad().unwrap().value().to_vec::<f64>(), [4.0]);
    /// ```
    #[track_caller]
    pub fn set_value(&self, value: Tensor) {
        self.update(|slot| *slot = value);
    }

    /// Changes the value in place: without a copy when no graph or other tensor shares it. Graphs recorded before keep
    /// the old one.
    ///
    /// # Panics
    /// As [`Var::set_value`], and when `change` reads this same variable.
    #[track_caller]
    pub fn update<R>(&self, change: impl FnOnce(&mut Tensor) -> R) -> R {
        let origin = self.0.origin.borrow();
        if let Origin::Step(step, _) = &*origin {
            panic!("set_value: this is the result of `{}` ({}); only a leaf's value can change", step.name, step.place);
        }
        let mut value = match self.0.value.try_borrow_mut() {
            Ok(value) => value,
            Err(_) => panic!("update: this value is being read"),
        };
        let result = change(&mut value);
        if let Origin::Leaf(leaf) = &*origin {
            leaf.version.set(leaf.version.get() + 1);
            let float = value.dtype().is_floating_point();
            assert!(
                float || !leaf.requires_grad.get(),
                "set_value: this leaf requires a gradient, {} has none",
                value.dtype()
            );
            let mut grad = leaf.grad.borrow_mut();
            if grad.as_ref().is_some_and(|g| g.tensor().shape() != value.shape() || g.dtype() != value.dtype()) {
                *grad = None;
            }
        }
        result
    }

    /// Says whether gradients are wanted, and returns a handle to this same value.
    ///
    /// # Panics
    /// When turned on for a dtype that is not floating point, or off for the result of an operation (use
    /// [`Var::detach`]).
    #[track_caller]
    pub fn requires_grad_(&self, requires_grad: bool) -> Var {
        let dtype = self.dtype();
        assert!(
            !requires_grad || dtype.is_floating_point(),
            "requires_grad_: only floating-point values can require gradients, this is {dtype}"
        );
        let mut origin = self.0.origin.borrow_mut();
        match &*origin {
            Origin::Constant(seq) if requires_grad => *origin = Origin::Leaf(Leaf::new(*seq, true)),
            Origin::Constant(_) => {}
            Origin::Leaf(leaf) => leaf.requires_grad.set(requires_grad),
            Origin::Step(step, _) => assert!(
                requires_grad,
                "requires_grad_: this is the result of `{}` ({}); only a leaf can stop requiring gradients, \
                 use detach()",
                step.name, step.place
            ),
        }
        drop(origin);
        self.clone()
    }

    /// True for a leaf of which gradients are wanted and for everything computed from one.
    pub fn requires_grad(&self) -> bool {
        self.0.origin.borrow().requires_grad()
    }

    /// True when no recorded operation made this value.
    pub fn is_leaf(&self) -> bool {
        !matches!(&*self.0.origin.borrow(), Origin::Step(..))
    }

    /// The gradient that backward passes have added up here: of a leaf, or of a value with [`Var::retain_grad`].
    pub fn grad(&self) -> Option<Var> {
        match &*self.0.origin.borrow() {
            Origin::Constant(_) => None,
            Origin::Leaf(leaf) => leaf.grad.borrow().clone(),
            Origin::Step(step, output) => {
                let watch = step.watch.borrow();
                watch.as_ref()?.grads.iter().find(|(o, _)| o == output)?.1.clone()
            }
        }
    }

    /// Puts `grad` in the place of the gradient; `None` empties it.
    ///
    /// # Panics
    /// When shape or dtype differ from the value's, or on a value that is no leaf and does not retain its gradient.
    #[track_caller]
    pub fn set_grad(&self, grad: Option<Var>) {
        if let Some(grad) = &grad {
            let (g, v) = (grad.tensor(), self.tensor());
            assert!(
                g.shape() == v.shape() && g.dtype() == v.dtype(),
                "set_grad: the gradient is {} {}, the value {} {}",
                g.dtype(),
                g.shape(),
                v.dtype(),
                v.shape()
            );
        }
        let mut origin = self.0.origin.borrow_mut();
        if let Origin::Constant(seq) = *origin {
            if grad.is_none() {
                return;
            }
            *origin = Origin::Leaf(Leaf::new(seq, false));
        }
        // The old gradient drops after the borrow: it may own a graph.
        let _old = match &*origin {
            Origin::Constant(_) => unreachable!("made a leaf above"),
            Origin::Leaf(leaf) => leaf.grad.replace(grad),
            Origin::Step(step, output) => {
                let mut watch = step.watch.borrow_mut();
                let slot = watch.as_mut().and_then(|w| w.grads.iter_mut().find(|(o, _)| o == output));
                match slot {
                    Some((_, slot)) => std::mem::replace(slot, grad),
                    None if grad.is_none() => None,
                    None => {
                        panic!("set_grad: the result of `{}` has no gradient slot; call retain_grad() first", step.name)
                    }
                }
            }
        };
    }

    /// Empties the gradient slot.
    #[track_caller]
    pub fn zero_grad(&self) {
        self.set_grad(None);
    }

    /// The same tensor without its history: a constant.
    pub fn detach(&self) -> Var {
        Var::new(self.value())
    }

    /// True when both are handles to the same value.
    pub fn ptr_eq(&self, other: &Var) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// A number that differs between any two values alive at the same time.
    pub fn id(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }

    /// The name of the operation that made this value, `None` for a leaf.
    pub fn op_name(&self) -> Option<&'static str> {
        match &*self.0.origin.borrow() {
            Origin::Step(step, _) => Some(step.name),
            _ => None,
        }
    }

    /// The tensor of this moment with the same place in the graph: later changes of the value do not reach it.
    pub(crate) fn snapshot(&self) -> Var {
        Var::with_origin(self.value(), self.0.origin.borrow().clone())
    }

    /// A value with this tensor and place in the graph that never changes, as pullbacks keep it.
    pub(crate) fn unchanging(&self) -> Var {
        match &*self.0.origin.borrow() {
            Origin::Constant(_) => self.snapshot(),
            Origin::Leaf(leaf) => {
                let kept = leaf.kept.borrow().upgrade().filter(|kept| kept.value.borrow().is_set_to(&self.tensor()));
                kept.map(Var).unwrap_or_else(|| {
                    let kept = self.snapshot();
                    leaf.kept.replace(Rc::downgrade(&kept.0));
                    kept
                })
            }
            // The result of an operation never changes, so the same node will do.
            Origin::Step(..) => self.clone(),
        }
    }

    /// The shape of the value.
    pub fn shape(&self) -> Shape {
        self.tensor().shape().clone()
    }

    /// The size of dimension `dim`; negative ones count from the end.
    #[track_caller]
    pub fn dim(&self, dim: isize) -> usize {
        self.tensor().dim(dim)
    }

    /// The number of dimensions.
    pub fn ndim(&self) -> usize {
        self.tensor().ndim()
    }

    /// The number of elements.
    pub fn numel(&self) -> usize {
        self.tensor().numel()
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.tensor().dtype()
    }

    /// The only element, converted to `T`.
    ///
    /// # Panics
    /// When there is not exactly one element.
    #[track_caller]
    pub fn item<T: Element>(&self) -> T {
        self.tensor().item()
    }

    /// The elements in row-major order, copied out.
    #[track_caller]
    pub fn to_vec<T: Element>(&self) -> Vec<T> {
        self.tensor().to_vec()
    }
}

impl From<Tensor> for Var {
    fn from(value: Tensor) -> Var {
        Var::new(value)
    }
}

impl From<&Tensor> for Var {
    fn from(value: &Tensor) -> Var {
        Var::new(value.clone())
    }
}

impl fmt::Display for Var {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.tensor(), f)
    }
}

impl fmt::Debug for Var {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.tensor(), f)?;
        match &*self.0.origin.borrow() {
            Origin::Constant(_) => Ok(()),
            Origin::Leaf(leaf) => write!(f, " requires_grad={}", leaf.requires_grad.get()),
            Origin::Step(step, _) => write!(f, " from `{}` at {}", step.name, step.place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(values: &[f64]) -> Var {
        Var::new(Tensor::from_slice(values, [values.len()])).requires_grad_(true)
    }

    #[test]
    fn a_changed_value_does_not_reach_an_older_graph() {
        let w = leaf(&[2.0, 3.0]);
        let loss = (&w * &w).sum();
        loss.backward_with(crate::BackwardOptions { retain_graph: Some(true), ..Default::default() });
        let first = w.grad().unwrap().to_vec::<f64>();
        w.zero_grad();
        w.update(|t| t.mul_scalar_(100.0));
        loss.backward();
        assert_eq!(w.grad().unwrap().to_vec::<f64>(), first);
        assert_eq!(w.to_vec::<f64>(), [200.0, 300.0]);
    }

    #[test]
    fn a_leaf_is_kept_once_per_value() {
        let w = leaf(&[2.0]);
        let kept = w.unchanging();
        assert!(kept.ptr_eq(&w.unchanging()) && !kept.ptr_eq(&w));
        w.update(|t| t.mul_scalar_(100.0));
        let later = w.unchanging();
        assert_eq!((kept.item::<f64>(), later.item::<f64>()), (2.0, 200.0));
        // What was kept is kept again in a recorded backward pass: not the value of today.
        assert_eq!(kept.unchanging().item::<f64>(), 2.0);
    }

    #[test]
    fn handles_share_and_detach_does_not() {
        let w = leaf(&[1.0]);
        let other = w.clone();
        other.set_value(Tensor::from([5.0]));
        assert_eq!(w.item::<f64>(), 5.0);
        assert!(w.ptr_eq(&other) && w.id() == other.id());
        let d = w.detach();
        assert!(!d.requires_grad() && !d.ptr_eq(&w));
        d.set_value(Tensor::from([7.0]));
        assert_eq!(w.item::<f64>(), 5.0);
    }

    #[test]
    fn a_value_of_another_shape_empties_the_gradient() {
        let w = leaf(&[1.0, 2.0]);
        w.sum().backward();
        w.set_value(Tensor::from([1.0]));
        assert!(w.grad().is_none());
    }

    #[test]
    fn turning_gradients_off_and_on() {
        let w = leaf(&[1.0]);
        let y = &w * 2.0;
        w.requires_grad_(false);
        assert!(!(&w * 2.0).requires_grad());
        y.backward();
        assert!(w.grad().is_none());
        w.requires_grad_(true);
        (&w * 2.0).backward();
        assert_eq!(w.grad().unwrap().item::<f64>(), 2.0);
    }

    #[test]
    #[should_panic(expected = "only floating-point values can require gradients, this is i64")]
    fn integers_require_no_gradient() {
        Var::new(Tensor::from([1i64])).requires_grad_(true);
    }

    #[test]
    #[should_panic(expected = "only a leaf can stop requiring gradients")]
    fn a_result_cannot_stop_requiring() {
        (leaf(&[1.0]) * 2.0).requires_grad_(false);
    }

    #[test]
    #[should_panic(expected = "only a leaf's value can change")]
    fn a_result_cannot_change() {
        (leaf(&[1.0]) * 2.0).set_value(Tensor::from([1.0]));
    }

    #[test]
    #[should_panic(expected = "set_grad: the gradient is f64 [2], the value f64 [1]")]
    fn a_gradient_fits() {
        leaf(&[1.0]).set_grad(Some(Var::new(Tensor::from([1.0, 2.0]))));
    }

    #[test]
    fn debug_names_the_operation() {
        let y = leaf(&[1.0]) * 2.0;
        let text = format!("{y:?}");
        assert!(text.contains("from `mul` at") && text.contains("var.rs"), "{text}");
    }
}
