//! What a module owns besides other modules: parameters, buffers and the training flag.

use std::borrow::Borrow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use autograd::Var;
use tensor::Tensor;

/// A trainable leaf of the graph: a [`Var`] that a module owns and an optimizer changes.
///
/// It dereferences to its `Var`. A clone is another handle to the same parameter: that is how weights are tied and how
/// an optimizer built from `model.parameters()` updates the model.
///
/// ```
/// use nn::prelude::*;
///
/// let w = Parameter::new(Tensor::ones([2, 3], DType::F32));
/// let tied = w.clone();
/// w.set_value(Tensor::zeros([2, 3], DType::F32));
/// assert!(tied.requires_grad());
/// assert_eq!(tied.value().sum().item::<f32>(), 0.0);
/// ```
#[derive(Clone)]
pub struct Parameter(Var);

impl Parameter {
    /// A leaf with this value that requires a gradient.
    pub fn new(value: Tensor) -> Parameter {
        let var = Var::new(value);
        var.requires_grad_(true);
        Parameter(var)
    }
}

impl Deref for Parameter {
    type Target = Var;

    fn deref(&self) -> &Var {
        &self.0
    }
}

/// So that a list of parameters does where one of values is wanted.
impl Borrow<Var> for Parameter {
    fn borrow(&self) -> &Var {
        &self.0
    }
}

impl From<Tensor> for Parameter {
    fn from(value: Tensor) -> Parameter {
        Parameter::new(value)
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parameter containing:\n{}", self.value())
    }
}

/// State of a module that is no parameter: saved with it and changed by `forward`, never by an optimizer.
///
/// A clone is another handle to the same buffer.
///
/// ```
/// use nn::prelude::*;
///
/// let steps = Buffer::new(Tensor::scalar(0i64));
/// steps.set(Tensor::scalar(1i64));
/// assert_eq!(steps.value().item::<i64>(), 1);
/// ```
#[derive(Clone)]
pub struct Buffer(Rc<BufferState>);

struct BufferState {
    value: RefCell<Tensor>,
    persistent: bool,
}

impl Buffer {
    /// A buffer that stands in the state dict.
    pub fn new(value: Tensor) -> Buffer {
        Buffer(Rc::new(BufferState { value: RefCell::new(value), persistent: true }))
    }

    /// A buffer that the state dict leaves out, because the module can compute it again.
    pub fn non_persistent(value: Tensor) -> Buffer {
        Buffer(Rc::new(BufferState { value: RefCell::new(value), persistent: false }))
    }

    /// The present value.
    pub fn value(&self) -> Tensor {
        self.0.value.borrow().clone()
    }

    /// Replaces the value.
    pub fn set(&self, value: Tensor) {
        // The old value leaves the cell before it is dropped.
        drop(self.0.value.replace(value));
    }

    /// Changes the value in place.
    pub fn update(&self, change: impl FnOnce(&mut Tensor)) {
        change(&mut self.0.value.borrow_mut());
    }

    /// Whether the buffer stands in the state dict.
    pub fn is_persistent(&self) -> bool {
        self.0.persistent
    }

    /// Whether both are handles to one buffer.
    pub fn ptr_eq(&self, other: &Buffer) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer containing:\n{}", self.value())
    }
}

/// The mode of a module whose forward pass differs between training and evaluation; starts as training.
///
/// `Module::train` and `Module::eval` set every such flag of a tree. It says nothing about gradients: that is
/// `no_grad`.
#[derive(Debug, Clone)]
pub struct Training(Cell<bool>);

impl Training {
    /// A flag in training mode, as every module of PyTorch starts.
    pub fn new() -> Training {
        Training(Cell::new(true))
    }

    /// Whether the module is in training mode.
    pub fn get(&self) -> bool {
        self.0.get()
    }

    /// Sets the mode.
    pub fn set(&self, training: bool) {
        self.0.set(training);
    }
}

impl Default for Training {
    fn default() -> Training {
        Training::new()
    }
}
