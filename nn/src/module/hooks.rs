//! Forward hooks: functions of the user's that see, and may replace, what goes into a module and what comes out.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Deref;
use std::rc::{Rc, Weak};

use autograd::Var;

use super::{AsModule, Forward, Member, Module};

type Before<M> = Rc<dyn Fn(&M, &Var) -> Option<Var>>;
type After<M> = Rc<dyn Fn(&M, &Var, &Var) -> Option<Var>>;

/// A module with forward hooks; for everything else it is the module itself, its names and its printed tree included.
///
/// Where a model's field (or a layer of a [`Sequential`](crate::Sequential)) may be watched, its type is `Hooked<Layer>`
/// and its value `layer.into()`; the forward passes of everything else pay nothing for hooks.
///
/// ```
/// use std::{cell::RefCell, rc::Rc};
/// use nn::prelude::*;
///
/// let layer = Rc::new(Hooked::from(Linear::new(4, 3)));
/// let model = sequential![layer.clone(), ReLU::new()];
/// let seen = Rc::new(RefCell::new(Vec::new()));
/// let log = seen.clone();
/// let hook = layer.register_forward_hook(move |module, input, output| {
///     log.borrow_mut().push((module.out_features(), input.shape(), output.shape()));
///     None // or Some(value), which replaces the output
/// });
/// let x = Var::new(Tensor::ones([2, 4], DType::F32));
/// model.forward(&x);
/// hook.remove();
/// model.forward(&x);
/// assert_eq!(seen.borrow().len(), 1);
/// assert_eq!(model.named_parameters()[0].0, "0.weight");
/// ```
///
/// # Differs
/// PyTorch keeps a table of hooks in every module. Here the wrapper has it, and there are hooks for modules with one
/// input and one output; a hook on the gradient is one on the value: `Var::register_hook`.
pub struct Hooked<M> {
    module: M,
    before: Rc<Hooks<Before<M>>>,
    after: Rc<Hooks<After<M>>>,
}

impl<M: Forward> Hooked<M> {
    /// The module, without hooks yet.
    pub fn new(module: M) -> Hooked<M> {
        Hooked { module, before: Rc::default(), after: Rc::default() }
    }

    /// Calls `hook` with the module and its input before each forward pass; `Some` replaces the input.
    ///
    /// Hooks are called in the order in which they were registered. They stay until [`Hook::remove`], whether the `Hook`
    /// is kept or not.
    pub fn register_forward_pre_hook(&self, hook: impl Fn(&M, &Var) -> Option<Var> + 'static) -> Hook {
        self.before.add(Rc::new(hook))
    }

    /// Calls `hook` with the module, its input and its output after each forward pass; `Some` replaces the output.
    pub fn register_forward_hook(&self, hook: impl Fn(&M, &Var, &Var) -> Option<Var> + 'static) -> Hook {
        self.after.add(Rc::new(hook))
    }

    /// The module without its hooks.
    pub fn into_inner(self) -> M {
        self.module
    }
}

impl<M: Forward> From<M> for Hooked<M> {
    fn from(module: M) -> Hooked<M> {
        Hooked::new(module)
    }
}

/// The module's own methods. A `forward` called through `&**hooked` passes by the hooks.
impl<M> Deref for Hooked<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.module
    }
}

impl<M: Forward> Forward for Hooked<M> {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        let mut input = input.clone();
        for hook in self.before.list() {
            input = hook(&self.module, &input).unwrap_or(input);
        }
        let mut output = self.module.forward(&input);
        for hook in self.after.list() {
            output = hook(&self.module, &input, &output).unwrap_or(output);
        }
        output
    }
}

impl<M: Forward> Module for Hooked<M> {
    fn type_name(&self) -> &'static str {
        self.module.type_name()
    }

    fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>)) {
        self.module.visit(each);
    }

    fn extra_repr(&self) -> String {
        self.module.extra_repr()
    }

    fn target(&self) -> Option<&dyn Module> {
        Some(self.module.as_module())
    }
}

impl<M: Forward> fmt::Display for Hooked<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_module().fmt(f)
    }
}

impl<M: fmt::Debug> fmt::Debug for Hooked<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.module.fmt(f)
    }
}

/// The handle of a registered hook.
#[derive(Debug)]
pub struct Hook {
    owner: Weak<dyn Remove>,
    number: u64,
}

impl Hook {
    /// Takes the hook away; does nothing when it, or its module, is gone already.
    pub fn remove(self) {
        if let Some(owner) = self.owner.upgrade() {
            owner.remove(self.number);
        }
    }
}

trait Remove: fmt::Debug {
    fn remove(&self, number: u64);
}

/// Numbered functions.
struct Hooks<F> {
    next: Cell<u64>,
    functions: RefCell<Vec<(u64, F)>>,
}

impl<F> Default for Hooks<F> {
    fn default() -> Hooks<F> {
        Hooks { next: Cell::new(0), functions: RefCell::default() }
    }
}

impl<F: Clone + 'static> Hooks<F> {
    fn add(self: &Rc<Self>, function: F) -> Hook {
        let number = self.next.replace(self.next.get() + 1);
        self.functions.borrow_mut().push((number, function));
        let owner: Rc<dyn Remove> = self.clone();
        Hook { owner: Rc::downgrade(&owner), number }
    }

    /// A copy, so that a hook may register and remove hooks.
    fn list(&self) -> Vec<F> {
        self.functions.borrow().iter().map(|(_, function)| function.clone()).collect()
    }
}

impl<F> Remove for Hooks<F> {
    fn remove(&self, number: u64) {
        // What a hook captured may own hooks in turn: it is dropped after the list is free again.
        let removed: Vec<_> = self.functions.borrow_mut().extract_if(.., |(n, _)| *n == number).collect();
        drop(removed);
    }
}

impl<F> fmt::Debug for Hooks<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hooks", self.functions.borrow().len())
    }
}
