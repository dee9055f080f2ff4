//! Strategies for property-based tests of modules with `proptest`: random configurations with inputs that fit. Cargo
//! feature `proptest`.
//!
//! A property-based gradient test of a layer of one's own takes five lines:
//!
//! ```
//! use nn::prelude::*;
//! use nn::strategy::{cases, sizes};
//! use proptest::prelude::*;
//!
//! #[derive(Module)]
//! struct Gate {
//!     value: Linear,
//!     gate: Linear,
//! }
//!
//! impl Forward for Gate {
//!     fn forward(&self, x: &Var) -> Var {
//!         self.value.forward(x) * self.gate.forward(x).sigmoid()
//!     }
//! }
//!
//! let gate = |&(n, m): &(usize, usize)| (Gate { value: Linear::new(n, m), gate: Linear::new(n, m) }, vec![n]);
//! proptest!(ProptestConfig::with_cases(20), |(case in cases((sizes(), sizes()), gate))| {
//!     case.check_gradients().unwrap();
//! });
//! ```
//!
//! That checks the gradients by every parameter and by the input, for batches of any shape, empty ones included, and in
//! every layout. A failure shrinks to small sizes and shows the module and its input.

mod activation;
mod arrange;
mod conv;
mod embedding;
mod linear;
mod losses;
mod norm;
mod pool;
mod position;
mod recurrent;
mod transformer;

pub use activation::*;
pub use arrange::*;
pub use conv::*;
pub use embedding::*;
pub use linear::*;
pub use losses::{LossCase, losses};
pub use norm::*;
pub use pool::*;
pub use position::*;
pub use recurrent::{grus, lstms, rnns};
pub use transformer::{attentions, decoder_layers, encoder_layers};

use std::error::Error;
use std::fmt;

use autograd::strategy::{Domain, dense_layouts};
use autograd::{GradcheckOptions, Var, gradcheck};
use proptest::prelude::*;
use tensor::{DType, Generator, Tensor, random};

use crate::{
    Forward, GELU, LayerNorm, LayerNormOptions, Linear, Module, Sequential, SiLU, Sigmoid, Softmax, Tanh,
    gradcheck_parameters,
};

/// Sizes of layers: 1 to 4.
pub fn sizes() -> impl Strategy<Value = usize> + Clone {
    1usize..5
}

/// The leading dimensions of a batch: none, one or two, of sizes 0 to 3.
pub fn batch_shapes() -> impl Strategy<Value = Vec<usize>> + Clone {
    prop::collection::vec(0usize..4, 0..3)
}

/// No dimension of a batch, or one of size 0 to 3.
pub fn maybe_batches() -> impl Strategy<Value = Vec<usize>> + Clone {
    prop::collection::vec(0usize..4, 0..2)
}

/// A batch of inputs: f64 leaves `[batch.., shape..]` that require gradients, in every layout but overlapping ones, with
/// elements in -2 to 2.
///
/// ```
/// use nn::prelude::*;
/// use nn::strategy::batches;
/// use proptest::prelude::*;
/// let layer = Linear::with(3, 2, LinearOptions { dtype: DType::F64, ..Default::default() });
/// proptest!(ProptestConfig::with_cases(16), |(x in batches([3]))| {
///     prop_assert_eq!(layer.forward(&x).dim(-1), 2);
/// });
/// ```
pub fn batches(shape: impl Into<Vec<usize>>) -> impl Strategy<Value = Var> {
    let shape = shape.into();
    let shapes = batch_shapes().prop_map(move |batch| [batch, shape.clone()].concat());
    autograd::strategy::leaves(shapes, Domain::Range(-2.0, 2.0))
}

/// A module and an input that fits, from [`cases`]. Shown as the module's tree and the input.
pub struct Case<M> {
    /// The module, in f64.
    pub module: M,
    /// A leaf in f64 that requires a gradient.
    pub input: Var,
}

impl<M: Module> fmt::Debug for Case<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.module.as_module())?;
        for (name, parameter) in self.module.named_parameters() {
            writeln!(f, "{name}: {:?}", parameter.value())?;
        }
        write!(f, "input with strides {:?}: {:?}", self.input.value().strides(), self.input.value())
    }
}

impl<M: Forward> Case<M> {
    /// Checks the gradients of the forward pass by the input and by every parameter; see [`gradcheck`].
    ///
    /// # Errors
    /// What is wrong with the first derivative that is.
    pub fn check_gradients(&self) -> Result<(), Box<dyn Error>> {
        self.check_gradients_of(|module, x| module.forward(x))
    }
}

impl<M: Module> Case<M> {
    /// [`check_gradients`](Case::check_gradients) of `f`, for modules that are no [`Forward`].
    ///
    /// # Errors
    /// What is wrong with the first derivative that is.
    pub fn check_gradients_of(&self, f: impl Fn(&M, &Var) -> Var) -> Result<(), Box<dyn Error>> {
        let options = GradcheckOptions::default();
        gradcheck(|x| f(&self.module, &x[0]), std::slice::from_ref(&self.input), options)?;
        gradcheck_parameters(self.module.as_module(), || f(&self.module, &self.input), options)?;
        Ok(())
    }
}

/// Checks that no row of a batch, the first dimension of `input`, changes what another becomes: `forward` of each row alone
/// gives what it gives among the others, to rounding.
///
/// ```
/// use nn::prelude::*;
/// use nn::strategy::check_batch_independence;
/// let x = Var::new(Tensor::randn([4, 3], DType::F64));
/// assert!(check_batch_independence(|x| Softmax::new(1).forward(x), &x).is_ok());
/// assert!(check_batch_independence(|x| Softmax::new(0).forward(x), &x).is_err());
/// ```
///
/// # Errors
/// The first row that differs.
pub fn check_batch_independence(forward: impl Fn(&Var) -> Var, input: &Var) -> Result<(), Box<dyn Error>> {
    let together = forward(input).value();
    for row in 0..input.dim(0) {
        let (alone, expected) = (forward(&input.narrow(0, row, 1)).value(), together.narrow(0, row, 1));
        if !alone.allclose(&expected, 1e-12, 1e-12) {
            return Err(format!("row {row} alone gives {alone:?}, among the others {expected:?}").into());
        }
    }
    Ok(())
}

/// What `draw` gives from this seed; the thread's generator stays as it was.
fn seeded<T>(seed: u64, draw: impl FnOnce() -> T) -> T {
    let before = random::get_state();
    random::manual_seed(seed);
    let drawn = draw();
    random::set_state(before);
    drawn
}

/// Modules with inputs: `build` makes a module from a random configuration and says what shape one input has, without
/// the dimensions of the batch.
///
/// Initial values are drawn from a seed that belongs to the case; the thread's generator stays as it was. The module is
/// converted to f64. The elements of the input lie in -2 to 2 and are all different, so that no two tie for a maximum.
pub fn cases<C, M: Module>(
    configurations: impl Strategy<Value = C>,
    build: impl Fn(&C) -> (M, Vec<usize>),
) -> impl Strategy<Value = Case<M>> {
    cases_in(batch_shapes(), configurations, build)
}

/// [`cases`] with dimensions of the batch from a strategy of one's own, such as [`maybe_batches`].
pub fn cases_in<C, M: Module>(
    batches: impl Strategy<Value = Vec<usize>>,
    configurations: impl Strategy<Value = C>,
    build: impl Fn(&C) -> (M, Vec<usize>),
) -> impl Strategy<Value = Case<M>> {
    (configurations, batches, dense_layouts(), any::<u64>()).prop_map(move |(configuration, batch, layout, seed)| {
        let (module, shape) = seeded(seed, || build(&configuration));
        module.to_dtype(DType::F64);
        let x = distinct([batch, shape].concat(), &mut Generator::new(!seed));
        Case { module, input: Var::new(layout.of(&x)).requires_grad_(true) }
    })
}

/// Numbers in -2 to 2: one from the middle of each of as many intervals, in any order.
fn distinct(shape: Vec<usize>, generator: &mut Generator) -> Tensor {
    let count: usize = shape.iter().product();
    let drawn = Tensor::uniform_with(0.0, 1.0, [count], DType::F64, generator);
    let within = Tensor::uniform_with(0.2, 0.8, [count], DType::F64, generator);
    let interval = drawn.argsort(0, false).to_dtype(DType::F64);
    ((interval + within) * (4.0 / count.max(1) as f64) - 2.0).reshape(shape)
}

/// Whole networks: one to three blocks of a linear layer, perhaps a layer norm, and a smooth activation.
pub fn networks() -> impl Strategy<Value = Case<Sequential>> {
    let block = (2usize..5, any::<bool>(), 0usize..5);
    cases((sizes(), prop::collection::vec(block, 1..4)), |(inputs, blocks)| {
        let mut layers = Sequential::new();
        let mut features = *inputs;
        for &(outputs, norm, activation) in blocks {
            layers = layers.push(Linear::new(features, outputs));
            features = outputs;
            if norm {
                // A large eps: the variance of two or three numbers comes close to zero, where derivatives are huge.
                let options = LayerNormOptions { eps: 0.1, ..Default::default() };
                layers = layers.push(LayerNorm::with([features], options));
            }
            layers = match activation {
                0 => layers.push(Sigmoid::new()),
                1 => layers.push(Tanh::new()),
                2 => layers.push(SiLU::new()),
                3 => layers.push(GELU::new()),
                _ => layers.push(Softmax::new(-1)),
            };
        }
        (layers, vec![*inputs])
    })
}
