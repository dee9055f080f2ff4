//! Recording: how an operation, the library's or a user's, enters the graph together with its pullback.
//!
//! A pullback is written in [`Var`]s, so that it can itself be recorded and differentiated. It captures its inputs
//! through [`Var::keep_for`] and its output through [`Var::record_output`]; everything else it computes from the
//! incoming gradient.

use std::cell::RefCell;
use std::mem::needs_drop;
use std::ops::Deref;
use std::panic::Location;
use std::rc::Rc;

use smallvec::{SmallVec, smallvec};
use tensor::Tensor;

use crate::anomaly;
use crate::mode::{CHECK_FORWARD, Place, RECORD, is_grad_enabled, mode, next_seq, place_of};
use crate::step::{Edge, Grads, Need, Pullback, Scalar, Step};
use crate::var::{Origin, Var};

/// An input kept for a pullback: the tensor of that moment with its place in the graph. Dereferences to [`Var`].
///
/// Nothing is kept when the pullback cannot need it (see [`Var::keep_for`]).
pub struct Kept(Option<Var>);

impl Deref for Kept {
    type Target = Var;

    fn deref(&self) -> &Var {
        self.0.as_ref().expect("a pullback reads a value that was kept for inputs which need no gradient")
    }
}

impl Var {
    /// Keeps this value for the gradients of `inputs`: a snapshot if one of them requires a gradient and recording is
    /// on, else nothing.
    ///
    /// Reading it later dereferences to a [`Var`]; a pullback may do so only while computing the gradient of one of
    /// `inputs`.
    pub fn keep_for(&self, inputs: &[&Var]) -> Kept {
        if !is_recorded(inputs) {
            return Kept(None);
        }
        Kept(Some(self.unchanging()))
    }

    /// Keeps this value for its own gradient; see [`Var::keep_for`].
    pub fn keep(&self) -> Kept {
        self.keep_for(&[self])
    }

    /// Records an operation of one input: `value` is its result and `pullback` maps the gradient of the result to that
    /// of the input.
    ///
    /// This and its siblings are also how a program adds its own differentiable functions.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// fn cube(x: &Var) -> Var {
    ///     let value = x.value().powf(3.0);
    ///     let kept = x.keep();
    ///     Var::record_unary("cube", value, x, move |dy| dy * 3.0 * &*kept * &*kept)
    /// }
    /// let x = Var::new(Tensor::from([2.0])).requires_grad_(true);
    /// cube(&x).backward();
    /// assert_eq!(x.grad().unwrap().item::<f64>(), 12.0);
    /// ```
    #[track_caller]
    pub fn record_unary<F>(name: &'static str, value: Tensor, input: &Var, pullback: F) -> Var
    where
        F: Fn(&Var) -> Var + 'static,
    {
        let Some(place) = recorded(name, &[input], &value) else { return Var::new(value) };
        push(name, place, value, &[input], Rc::new(Unary(pullback)))
    }

    /// [`Var::record_unary`] of an operation between a value and a number, which then shows in drawings of the graph.
    #[track_caller]
    pub(crate) fn record_scalar<F>(name: &'static str, value: Tensor, input: &Var, scalar: Scalar, pullback: F) -> Var
    where
        F: Fn(&Var) -> Var + 'static,
    {
        let Some(place) = recorded(name, &[input], &value) else { return Var::new(value) };
        push(name, place, value, &[input], Rc::new(WithScalar(scalar, Unary(pullback))))
    }

    /// This value, with a note that its operation also read `tensor`, which is not in the graph, so that drawings show
    /// it. Keeps its name, shape and dtype.
    pub(crate) fn reads(self, name: &'static str, tensor: &Tensor) -> Var {
        if let Origin::Step(step, _) = &*self.0.origin.borrow() {
            let read = (name, tensor.shape().clone(), tensor.dtype());
            step.watch.borrow_mut().get_or_insert_with(Default::default).reads.push(read);
        }
        self
    }

    /// [`Var::reads`] of a tensor that may be missing.
    pub(crate) fn reads_if(self, name: &'static str, tensor: Option<&Tensor>) -> Var {
        match tensor {
            Some(tensor) => self.reads(name, tensor),
            None => self,
        }
    }

    /// Records an operation: `pullback` maps the gradient of the result to one gradient per input, of which it computes
    /// those in `need`.
    ///
    /// A gradient may have the shape to which its input was broadcast and the dtype to which it was promoted: the
    /// engine undoes both. The result does not require a gradient, and the pullback is dropped at once, when no input
    /// requires one, when recording is off, or when `value` is not floating point.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// fn mul(a: &Var, b: &Var) -> Var {
    ///     let value = &a.value() * &b.value();
    ///     let (x, y) = (a.keep_for(&[b]), b.keep_for(&[a]));
    ///     Var::record("my_mul", value, [a, b], move |dy, need| [need.of(0, || dy * &*y), need.of(1, || dy * &*x)])
    /// }
    /// let a = Var::new(Tensor::from([[2.0], [3.0]])).requires_grad_(true);
    /// let b = Var::new(Tensor::from([1.0, 10.0]));
    /// mul(&a, &b).sum().backward();
    /// assert_eq!(a.grad().unwrap().to_vec::<f64>(), [11.0, 11.0]);
    /// ```
    #[track_caller]
    pub fn record<'a, F, G>(name: &'static str, value: Tensor, inputs: impl AsRef<[&'a Var]>, pullback: F) -> Var
    where
        F: Fn(&Var, Need<'_>) -> G + 'static,
        G: IntoIterator<Item = Option<Var>>,
    {
        struct Plain<F>(F);
        impl<F: Fn(&Var, Need<'_>) -> G, G: IntoIterator<Item = Option<Var>>> Pullback for Plain<F> {
            fn pull(&self, _: &Rc<Step>, dys: &[Option<Var>], need: Need<'_>) -> Grads {
                dys[0].as_ref().map(|dy| (self.0)(dy, need).into_iter().collect()).unwrap_or_default()
            }
            fn holds_values(&self) -> bool {
                needs_drop::<F>()
            }
        }
        let inputs = inputs.as_ref();
        let Some(place) = recorded(name, inputs, &value) else { return Var::new(value) };
        push(name, place, value, inputs, Rc::new(Plain(pullback)))
    }

    /// Records an operation whose pullback needs its own result `y`: `pullback(y, dy, need)`.
    ///
    /// The result must not be captured: it owns the step, so that would be a cycle. Here its tensor is kept, and the
    /// engine puts `y` together when it runs the pullback.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// fn exp(x: &Var) -> Var {
    ///     Var::record_output("my_exp", x.value().exp(), [x], |y, dy, _| [Some(dy * y)])
    /// }
    /// let x = Var::new(Tensor::from([0.0])).requires_grad_(true);
    /// exp(&x).backward();
    /// assert_eq!(x.grad().unwrap().item::<f64>(), 1.0);
    /// ```
    #[track_caller]
    pub fn record_output<'a, F, G>(name: &'static str, value: Tensor, inputs: impl AsRef<[&'a Var]>, pullback: F) -> Var
    where
        F: Fn(&Var, &Var, Need<'_>) -> G + 'static,
        G: IntoIterator<Item = Option<Var>>,
    {
        struct WithOutput<F>(Tensor, F);
        impl<F: Fn(&Var, &Var, Need<'_>) -> G, G: IntoIterator<Item = Option<Var>>> Pullback for WithOutput<F> {
            fn pull(&self, step: &Rc<Step>, dys: &[Option<Var>], need: Need<'_>) -> Grads {
                let Some(dy) = &dys[0] else { return Grads::new() };
                let y = Var::with_origin(self.0.clone(), Origin::Step(step.clone(), 0));
                (self.1)(&y, dy, need).into_iter().collect()
            }
            fn holds_values(&self) -> bool {
                true
            }
        }
        let inputs = inputs.as_ref();
        let Some(place) = recorded(name, inputs, &value) else { return Var::new(value) };
        let kept = value.clone();
        push(name, place, value, inputs, Rc::new(WithOutput(kept, pullback)))
    }

    /// Records an operation with several results; `pullback` gets one gradient per result, `None` for a result that had
    /// no part.
    ///
    /// Results that are not floating point are constants.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([3.0])).requires_grad_(true);
    /// let (t, kept) = (x.value(), x.keep());
    /// let both = Var::record_many("square_and_double", vec![&t * &t, &t * 2.0], [&x], move |dys, _| {
    ///     let square = dys[0].as_ref().map(|dy| dy * 2.0 * &*kept);
    ///     let double = dys[1].as_ref().map(|dy| dy * 2.0);
    ///     [square.into_iter().chain(double).reduce(|a, b| a + b)]
    /// });
    /// (&both[0] + &both[1]).backward();
    /// assert_eq!(x.grad().unwrap().item::<f64>(), 8.0);
    /// ```
    #[track_caller]
    pub fn record_many<'a, F, G>(
        name: &'static str,
        values: Vec<Tensor>,
        inputs: impl AsRef<[&'a Var]>,
        pullback: F,
    ) -> Vec<Var>
    where
        F: Fn(&[Option<Var>], Need<'_>) -> G + 'static,
        G: IntoIterator<Item = Option<Var>>,
    {
        struct Many<F>(F);
        impl<F: Fn(&[Option<Var>], Need<'_>) -> G, G: IntoIterator<Item = Option<Var>>> Pullback for Many<F> {
            fn pull(&self, _: &Rc<Step>, dys: &[Option<Var>], need: Need<'_>) -> Grads {
                (self.0)(dys, need).into_iter().collect()
            }
            fn holds_values(&self) -> bool {
                needs_drop::<F>()
            }
        }
        let inputs = inputs.as_ref();
        let Some(place) = any_recorded(name, inputs, &values) else {
            return values.into_iter().map(Var::new).collect();
        };
        let step = step(name, place, values.len(), inputs, Rc::new(Many(pullback)));
        values.into_iter().enumerate().map(|(i, value)| output_of(&step, value, i)).collect()
    }

    /// Records an operation with several results whose pullback needs them: `pullback(ys, dys, need)`.
    ///
    /// The results must not be captured, as with [`Var::record_output`]; gradients are as with [`Var::record_many`].
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// fn exponentials(x: &Var) -> Vec<Var> {
    ///     let values = vec![x.value().exp(), x.value().neg().exp()];
    ///     Var::record_many_outputs("exponentials", values, [x], |ys, dys, _| {
    ///         let up = dys[0].as_ref().map(|dy| dy * &ys[0]);
    ///         let down = dys[1].as_ref().map(|dy| -(dy * &ys[1]));
    ///         [up.into_iter().chain(down).reduce(|a, b| a + b)]
    ///     })
    /// }
    /// let x = Var::new(Tensor::from([0.0])).requires_grad_(true);
    /// exponentials(&x)[1].backward();
    /// assert_eq!(x.grad().unwrap().item::<f64>(), -1.0);
    /// ```
    #[track_caller]
    pub fn record_many_outputs<'a, F, G>(
        name: &'static str,
        values: Vec<Tensor>,
        inputs: impl AsRef<[&'a Var]>,
        pullback: F,
    ) -> Vec<Var>
    where
        F: Fn(&[Var], &[Option<Var>], Need<'_>) -> G + 'static,
        G: IntoIterator<Item = Option<Var>>,
    {
        struct WithOutputs<F>(Vec<Tensor>, F);
        impl<F: Fn(&[Var], &[Option<Var>], Need<'_>) -> G, G: IntoIterator<Item = Option<Var>>> Pullback for WithOutputs<F> {
            fn pull(&self, step: &Rc<Step>, dys: &[Option<Var>], need: Need<'_>) -> Grads {
                let outputs = self.0.iter().enumerate();
                let ys: Vec<Var> = outputs.map(|(i, y)| output_of(step, y.clone(), i)).collect();
                (self.1)(&ys, dys, need).into_iter().collect()
            }
            fn holds_values(&self) -> bool {
                true
            }
        }
        let inputs = inputs.as_ref();
        let Some(place) = any_recorded(name, inputs, &values) else {
            return values.into_iter().map(Var::new).collect();
        };
        let step = step(name, place, values.len(), inputs, Rc::new(WithOutputs(values.clone(), pullback)));
        values.into_iter().enumerate().map(|(i, value)| output_of(&step, value, i)).collect()
    }

    /// Records an operation that has no derivative: the result requires a gradient like any other, and a backward pass
    /// through it panics with the operation's name instead of losing the gradient.
    ///
    /// ```should_panic
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([3.0])).requires_grad_(true);
    /// Var::record_refusing("lgamma", x.value(), [&x]).backward(); // lgamma has no derivative here
    /// ```
    #[track_caller]
    pub fn record_refusing<'a>(name: &'static str, value: Tensor, inputs: impl AsRef<[&'a Var]>) -> Var {
        Var::record(name, value, inputs, move |_, _| -> [Option<Var>; 1] {
            panic!("backward: `{name}` has no derivative; detach() its inputs if none is wanted")
        })
    }
}

/// Whether an operation of these inputs will ask for a gradient: what only its pullback reads need not be computed
/// otherwise.
pub(crate) fn is_recorded(inputs: &[&Var]) -> bool {
    is_grad_enabled() && inputs.iter().any(|input| input.requires_grad())
}

/// The pullback of an operation of one input and one result.
struct Unary<F>(F);

impl<F: Fn(&Var) -> Var> Pullback for Unary<F> {
    fn pull(&self, _: &Rc<Step>, dys: &[Option<Var>], _: Need<'_>) -> Grads {
        smallvec![dys[0].as_ref().map(&self.0)]
    }
    fn holds_values(&self) -> bool {
        needs_drop::<F>()
    }
}

/// A [`Unary`] with a number as its other operand.
struct WithScalar<F>(Scalar, Unary<F>);

impl<F: Fn(&Var) -> Var> Pullback for WithScalar<F> {
    fn pull(&self, step: &Rc<Step>, dys: &[Option<Var>], need: Need<'_>) -> Grads {
        self.1.pull(step, dys, need)
    }
    fn holds_values(&self) -> bool {
        self.1.holds_values()
    }
    fn scalar(&self) -> Scalar {
        self.0
    }
}

/// Output `i` of a step; a result that is not floating point is a constant.
fn output_of(step: &Rc<Step>, value: Tensor, i: usize) -> Var {
    let origin = match value.dtype().is_floating_point() {
        true => Origin::Step(step.clone(), i as u32),
        false => Origin::Constant(next_seq()),
    };
    Var::with_origin(value, origin)
}

/// The line of the user's program to which an operation with this result belongs, if it enters the graph.
#[track_caller]
fn recorded(name: &str, inputs: &[&Var], value: &Tensor) -> Option<Place> {
    let mode = mode();
    if mode & CHECK_FORWARD != 0 {
        anomaly::check_result(name, inputs, value);
    }
    let place = place_of(mode, Location::caller());
    let enters = mode & RECORD != 0 && inputs.iter().any(|input| input.requires_grad());
    (enters && value.dtype().is_floating_point()).then_some(place)
}

/// [`recorded`] for an operation with several results. All of them are looked at, for anomaly mode.
#[track_caller]
fn any_recorded(name: &str, inputs: &[&Var], values: &[Tensor]) -> Option<Place> {
    let mut place = None;
    for value in values {
        place = recorded(name, inputs, value).or(place);
    }
    place
}

fn push(name: &'static str, place: Place, value: Tensor, inputs: &[&Var], pullback: Rc<dyn Pullback>) -> Var {
    Var::with_origin(value, Origin::Step(step(name, place, 1, inputs, pullback), 0))
}

fn step(name: &'static str, place: Place, outputs: usize, inputs: &[&Var], pullback: Rc<dyn Pullback>) -> Rc<Step> {
    let mut edges: SmallVec<[Edge; 2]> = SmallVec::with_capacity(inputs.len());
    for input in inputs {
        let (value, origin) = (input.tensor(), input.0.origin.borrow());
        // What needs no gradient now gets none later either: nothing was kept for it.
        let target = if origin.requires_grad() { origin.clone() } else { Origin::Constant(origin.number().0) };
        edges.push(Edge { target, shape: value.shape().clone(), dtype: value.dtype() });
    }
    Rc::new(Step {
        seq: next_seq(),
        name,
        place,
        edges,
        outputs: outputs as u32,
        pullback: RefCell::new(Some(pullback)),
        watch: RefCell::new(None),
    })
}
