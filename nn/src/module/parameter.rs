//! What a module owns besides other modules: parameters, buffers and the training flag.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::{Deref, Range};
use std::rc::Rc;

use autograd::Var;
use tensor::{DType, Error, Precision, QuantizedMatrix, Shape, Tensor};

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
///
/// # Quantised parameters
/// A matrix can be held in 8 or 4 bits instead of its floats, see [`quantize`](mod@crate::quantize). Layers then compute with
/// [`linear`](Parameter::linear) and [`rows`](Parameter::rows), which read either form. Shape, dtype (f32) and identity are
/// what they were, [`value`](Parameter::value) is the matrix in f32 again, and whoever sets a value makes an ordinary parameter
/// of it, which needs no gradient. There is no `Var` then: to dereference it panics.
#[derive(Clone)]
pub struct Parameter {
    var: Var,
    quantized: Rc<RefCell<Option<QuantizedMatrix>>>,
}

impl Parameter {
    /// A leaf with this value that requires a gradient.
    pub fn new(value: Tensor) -> Parameter {
        let var = Var::new(value);
        var.requires_grad_(true);
        Parameter { var, quantized: Rc::default() }
    }

    // Either form ---------------------------------------------------------------------------------------------------

    /// The value; of a quantised parameter the matrix in f32, which is not kept.
    pub fn value(&self) -> Tensor {
        match &*self.quantized.borrow() {
            Some(matrix) => matrix.dequantize(),
            None => self.var.value(),
        }
    }

    /// Replaces the value, as [`Var::set_value`] does; a quantised parameter holds these floats from now on.
    ///
    /// # Panics
    /// As [`Var::set_value`].
    #[track_caller]
    pub fn set_value(&self, value: Tensor) {
        self.var.set_value(value);
        drop(self.quantized.take());
    }

    /// Changes the value in place, as [`Var::update`] does; a quantised parameter becomes one of floats first.
    ///
    /// # Panics
    /// As [`Var::update`].
    #[track_caller]
    pub fn update<R>(&self, change: impl FnOnce(&mut Tensor) -> R) -> R {
        self.dequantize();
        self.var.update(change)
    }

    /// A constant with the present value.
    pub fn detach(&self) -> Var {
        Var::new(self.value())
    }

    /// Whether gradients are wanted; never of a quantised parameter.
    pub fn requires_grad(&self) -> bool {
        self.var.requires_grad()
    }

    /// Says whether gradients are wanted, and returns a handle to this same parameter.
    ///
    /// # Panics
    /// When turned on for a quantised parameter, or as [`Var::requires_grad_`].
    #[track_caller]
    pub fn requires_grad_(&self, requires_grad: bool) -> Parameter {
        if let (true, Some(matrix)) = (requires_grad, &*self.quantized.borrow()) {
            panic!("requires_grad_: a quantised parameter has no gradient; dequantize() comes first\n  {matrix:?}");
        }
        self.var.requires_grad_(requires_grad);
        self.clone()
    }

    /// The gradient that backward passes have added up here.
    pub fn grad(&self) -> Option<Var> {
        self.var.grad()
    }

    /// Forgets the gradient.
    pub fn zero_grad(&self) {
        self.var.zero_grad();
    }

    /// Whether both are handles to one parameter.
    pub fn ptr_eq(&self, other: &Parameter) -> bool {
        self.var.ptr_eq(&other.var)
    }

    /// A number that handles to the same parameter share, and no other parameter alive.
    pub fn id(&self) -> usize {
        self.var.id()
    }

    /// The shape of the value.
    pub fn shape(&self) -> Shape {
        self.var.shape()
    }

    /// The size of dimension `dim`; negative ones count from the end.
    #[track_caller]
    pub fn dim(&self, dim: isize) -> usize {
        self.var.dim(dim)
    }

    /// The number of dimensions.
    pub fn ndim(&self) -> usize {
        self.var.ndim()
    }

    /// The number of elements.
    pub fn numel(&self) -> usize {
        self.var.numel()
    }

    /// The element type of the value: f32 of a quantised parameter.
    pub fn dtype(&self) -> DType {
        self.var.dtype()
    }

    /// The bytes that the value takes in memory, in the form that it has.
    pub fn nbytes(&self) -> usize {
        match &*self.quantized.borrow() {
            Some(matrix) => matrix.nbytes(),
            None => self.numel() * self.dtype().size_in_bytes(),
        }
    }

    // What layers compute -------------------------------------------------------------------------------------------

    /// `x w^T + bias` with this parameter as the weight: [`Var::linear`], or [`QuantizedMatrix::linear`].
    ///
    /// # Shape
    /// `x [.., in]`, this `[out, in]`, `bias [out]` -> `[.., out]`
    ///
    /// # Gradient
    /// That of [`Var::linear`]; a quantised parameter gets none, and `dx = dy w` with the matrix in f32, which is made for the
    /// product alone.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn linear(&self, x: &Var, bias: Option<&Var>) -> Var {
        match &*self.quantized.borrow() {
            Some(matrix) => quantized_linear(matrix, x, bias),
            None => x.linear(&self.var, bias),
        }
    }

    /// [`linear`](Parameter::linear) with some of the rows of this parameter.
    #[track_caller]
    pub(crate) fn linear_of_rows(&self, rows: Range<usize>, x: &Var, bias: Option<&Var>) -> Var {
        match &*self.quantized.borrow() {
            Some(matrix) => quantized_linear(&matrix.narrow(rows.start, rows.len()), x, bias),
            None if rows == (0..self.dim(0)) => x.linear(&self.var, bias),
            None => x.linear(&self.var.narrow(0, rows.start, rows.len()), bias),
        }
    }

    /// Rows `ids[..]`: [`Var::embedding`], or [`QuantizedMatrix::rows`], of which there is no gradient.
    ///
    /// # Shape
    /// this `[v, c]` with ids `[..]` -> `[.., c]`
    ///
    /// # Panics
    /// When this is no matrix, or an index is not one of its rows.
    #[track_caller]
    pub fn rows(&self, ids: &Tensor) -> Var {
        match &*self.quantized.borrow() {
            Some(matrix) => Var::new(matrix.rows(ids)),
            None => self.var.embedding(ids),
        }
    }

    // Quantising ----------------------------------------------------------------------------------------------------

    /// The matrix that the parameter is held as, if it is quantised.
    pub fn quantized(&self) -> Option<QuantizedMatrix> {
        self.quantized.borrow().clone()
    }

    /// Holds the parameter in few bits from now on, frozen and without a gradient, and lets go of its floats. One that is
    /// quantised already is quantised from what it holds.
    ///
    /// # Errors
    /// As [`QuantizedMatrix::quantize`]; the parameter is as it was then.
    ///
    /// ```
    /// use nn::prelude::*;
    /// use nn::quantize::Precision;
    ///
    /// let w = Parameter::new(Tensor::from([[127f32, 1.2]]));
    /// w.quantize(Precision::Int8)?;
    /// assert_eq!(w.value().to_vec::<f32>(), [127.0, 1.0]);
    /// assert!(!w.requires_grad());
    /// let x = Var::new(Tensor::from([1f32, 2.0]));
    /// assert_eq!(w.linear(&x, None).item::<f32>(), 129.0);
    /// # Ok::<(), tensor::Error>(())
    /// ```
    pub fn quantize(&self, precision: Precision) -> Result<(), Error> {
        let matrix = QuantizedMatrix::quantize(&self.value(), precision)?;
        self.var.requires_grad_(false);
        self.var.zero_grad();
        // One number, seen as a matrix of the same shape: that still says what shape and dtype the parameter has.
        self.var.set_value(Tensor::full([1, 1], f64::NAN, DType::F32).expand(self.shape().to_vec()));
        drop(self.quantized.replace(Some(matrix)));
        Ok(())
    }

    /// Makes a quantised parameter one of f32 again, with the values that it has; it stays frozen.
    pub fn dequantize(&self) {
        if let Some(matrix) = self.quantized.take() {
            self.var.set_value(matrix.dequantize());
        }
    }

    /// The parameter as a `Var`, which it is only while it is not quantised.
    #[track_caller]
    fn floats(&self) -> &Var {
        if let Some(matrix) = &*self.quantized.borrow() {
            panic!(
                "Parameter: this operation does not read a quantised parameter\n  {matrix:?}   \
                 rule linear, rows and value do; dequantize() makes it one of floats"
            );
        }
        &self.var
    }
}

/// [`QuantizedMatrix::linear`], recorded.
#[track_caller]
fn quantized_linear(matrix: &QuantizedMatrix, x: &Var, bias: Option<&Var>) -> Var {
    let value = matrix.linear(&x.value(), bias.map(Var::value).as_ref());
    let inputs: Vec<&Var> = [x].into_iter().chain(bias).collect();
    let (matrix, biased) = (matrix.clone(), bias.is_some());
    Var::record("quantized_linear", value, inputs, move |dy, need| {
        let dx = need.of(0, || dy.matmul(&Var::new(matrix.dequantize())));
        let leading: Vec<isize> = (0..dy.ndim() as isize - 1).collect();
        let dbias = biased
            .then(|| need.of(1, || if leading.is_empty() { dy.clone() } else { dy.sum_dim(&leading[..], false) }));
        [Some(dx), dbias].into_iter().flatten().collect::<Vec<_>>()
    })
}

impl Deref for Parameter {
    type Target = Var;

    /// # Panics
    /// When the parameter is quantised.
    #[track_caller]
    fn deref(&self) -> &Var {
        self.floats()
    }
}

/// So that a list of parameters does where one of values is wanted.
impl std::borrow::Borrow<Var> for Parameter {
    /// # Panics
    /// When the parameter is quantised.
    #[track_caller]
    fn borrow(&self) -> &Var {
        self.floats()
    }
}

impl From<Tensor> for Parameter {
    fn from(value: Tensor) -> Parameter {
        Parameter::new(value)
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = self.quantized().map_or(String::new(), |matrix| format!(" ({})", matrix.precision()));
        write!(f, "Parameter containing{form}:\n{}", self.value())
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
