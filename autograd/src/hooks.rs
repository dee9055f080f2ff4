//! Functions of the user's that see, and may replace, a gradient as it passes.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use crate::step::{Step, Watch};
use crate::var::{Leaf, Origin, Var};

type HookFn = Rc<dyn Fn(&Var) -> Option<Var>>;

/// The hooks of one gradient, in the order of registration.
#[derive(Default)]
pub(crate) struct Hooks(RefCell<Vec<(u64, HookFn)>>);

thread_local! {
    static NEXT_HOOK: Cell<u64> = const { Cell::new(0) };
}

impl Hooks {
    fn add(&self, hook: HookFn) -> u64 {
        let id = NEXT_HOOK.get();
        NEXT_HOOK.set(id + 1);
        self.0.borrow_mut().push((id, hook));
        id
    }

    fn remove(&self, id: u64) {
        self.0.borrow_mut().retain(|(i, _)| *i != id);
    }

    /// Passes a gradient through all hooks. The list is copied first, because a hook may register or remove hooks.
    #[track_caller]
    pub fn run(&self, grad: Var) -> Var {
        if self.0.borrow().is_empty() {
            return grad;
        }
        let hooks: Vec<HookFn> = self.0.borrow().iter().map(|(_, f)| f.clone()).collect();
        hooks.into_iter().fold(grad, |grad, hook| {
            let Some(new) = hook(&grad) else { return grad };
            assert!(
                new.shape() == grad.shape() && new.dtype() == grad.dtype(),
                "backward: a hook gave a gradient of {} {} for one of {} {}",
                new.dtype(),
                new.shape(),
                grad.dtype(),
                grad.shape()
            );
            new
        })
    }
}

enum Owner {
    Leaf(Weak<Leaf>),
    Step(Weak<Step>, u32),
}

/// The registration of a hook. Dropping it leaves the hook in place; [`HookHandle::remove`] takes it away.
pub struct HookHandle {
    owner: Owner,
    id: u64,
}

impl HookHandle {
    /// Takes the hook away; later backward passes do not run it.
    pub fn remove(self) {
        match &self.owner {
            Owner::Leaf(leaf) => {
                if let Some(leaf) = leaf.upgrade() {
                    leaf.hooks.remove(self.id);
                }
            }
            Owner::Step(step, output) => {
                if let Some(step) = step.upgrade()
                    && let Some(watch) = &*step.watch.borrow()
                {
                    watch.hooks.iter().filter(|(o, _)| o == output).for_each(|(_, hooks)| hooks.remove(self.id));
                }
            }
        }
    }
}

impl Var {
    /// Calls `hook` with this value's gradient in every later backward pass, once all contributions are summed up; what
    /// it returns, if anything, takes the gradient's place.
    ///
    /// # Panics
    /// When this value does not require a gradient. The backward pass panics when `hook` returns another shape or
    /// dtype.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([1.0, 2.0])).requires_grad_(true);
    /// let handle = x.register_hook(|dx| Some(dx * 10.0));
    /// (&x * 3.0).sum().backward();
    /// assert_eq!(x.grad().unwrap().value().to_vec::<f64>(), [30.0, 30.0]);
    /// handle.remove();
    /// ```
    #[track_caller]
    pub fn register_hook(&self, hook: impl Fn(&Var) -> Option<Var> + 'static) -> HookHandle {
        assert!(self.requires_grad(), "register_hook: this value does not require a gradient");
        let hook: HookFn = Rc::new(hook);
        match &*self.0.origin.borrow() {
            Origin::Constant(_) => unreachable!("a constant does not require a gradient"),
            Origin::Leaf(leaf) => HookHandle { id: leaf.hooks.add(hook), owner: Owner::Leaf(Rc::downgrade(leaf)) },
            Origin::Step(step, output) => {
                let mut watch = step.watch.borrow_mut();
                let hooks = &mut watch.get_or_insert_with(|| Box::new(Watch::default())).hooks;
                let place = hooks.iter().position(|(o, _)| o == output).unwrap_or_else(|| {
                    hooks.push((*output, Rc::default()));
                    hooks.len() - 1
                });
                HookHandle { id: hooks[place].1.add(hook), owner: Owner::Step(Rc::downgrade(step), *output) }
            }
        }
    }

    /// Keeps the gradient of a value that is no leaf, so that [`Var::grad`] gives it after a backward pass. A leaf's is
    /// kept anyway.
    ///
    /// # Panics
    /// When this value does not require a gradient.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([1.0, 2.0])).requires_grad_(true);
    /// let y = &x * &x;
    /// y.retain_grad();
    /// (&y * 3.0).sum().backward();
    /// assert_eq!(y.grad().unwrap().value().to_vec::<f64>(), [3.0, 3.0]);
    /// ```
    #[track_caller]
    pub fn retain_grad(&self) {
        assert!(self.requires_grad(), "retain_grad: this value does not require a gradient");
        if let Origin::Step(step, output) = &*self.0.origin.borrow() {
            let mut watch = step.watch.borrow_mut();
            let grads = &mut watch.get_or_insert_with(|| Box::new(Watch::default())).grads;
            if grads.iter().all(|(o, _)| o != output) {
                grads.push((*output, None));
            }
        }
    }
}
