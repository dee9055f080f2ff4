//! Initial values, PyTorch's distributions: each function replaces the value of a parameter in place.
//!
//! They draw from the default generator ([`tensor::manual_seed`]) and record nothing.
//!
//! ```
//! use nn::prelude::*;
//!
//! let layer = Linear::new(100, 50);
//! let before_relu = init::KaimingOptions { nonlinearity: init::Nonlinearity::ReLU, ..Default::default() };
//! init::kaiming_normal_(&layer.weight, before_relu);
//! init::zeros_(layer.bias.as_ref().unwrap());
//! ```

use std::cell::Cell;

use autograd::{Var, no_grad};
use tensor::{DType, Shape, Tensor};

use crate::Parameter;

thread_local! {
    static SKIPPED: Cell<bool> = const { Cell::new(false) };
}

/// Builds a model without initial values, for weights that are about to be loaded: its large parameters are zeros that take no
/// memory, whatever their shape, and the functions of this module do nothing and draw nothing.
///
/// What stands in for a value is one zero seen at every index; [`Var::set_value`] replaces it by a tensor of its own.
///
/// ```
/// use nn::prelude::*;
///
/// let huge = init::skip_init(|| Linear::new(1 << 20, 1 << 20)); // 4 TiB, if it had a value
/// assert_eq!(huge.num_parameters(), (1 << 40) + (1 << 20));
/// ```
pub fn skip_init<T>(build: impl FnOnce() -> T) -> T {
    /// Also after a panic, the next model has values again.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            SKIPPED.set(self.0);
        }
    }
    let _restore = Restore(SKIPPED.replace(true));
    build()
}

/// A parameter whose value is about to be drawn.
pub(crate) fn empty_parameter(shape: impl Into<Shape>, dtype: DType) -> Parameter {
    let shape = shape.into();
    Parameter::new(if SKIPPED.get() { Tensor::zeros([], dtype).expand(shape) } else { Tensor::zeros(shape, dtype) })
}

fn replace(var: &Var, value: impl FnOnce(&Shape, DType) -> Tensor) {
    if SKIPPED.get() {
        return;
    }
    let present = var.value();
    no_grad(|| var.set_value(value(present.shape(), present.dtype())));
}

/// `U(low, high)`.
pub fn uniform_(var: &Var, low: f64, high: f64) {
    replace(var, |shape, dtype| Tensor::uniform(low, high, shape, dtype));
}

/// `N(mean, std²)`.
pub fn normal_(var: &Var, mean: f64, std: f64) {
    replace(var, |shape, dtype| Tensor::normal(mean, std, shape, dtype));
}

/// `N(mean, std²)` within `low..=high`: whatever falls outside is drawn again.
///
/// # Panics
/// When `low` is not below `high`, or so little of the distribution lies between that drawing does not get there.
///
/// # Differs
/// PyTorch also takes an interval of one point, and one however far out.
#[track_caller]
pub fn trunc_normal_(var: &Var, mean: f64, std: f64, low: f64, high: f64) {
    assert!(low < high, "trunc_normal_: the interval is empty\n  low {low}   high {high}");
    replace(var, |shape, dtype| {
        let mut values: Vec<f64> = Vec::with_capacity(shape.numel());
        for _round in 0..10_000 {
            let rest = shape.numel() - values.len();
            if rest == 0 {
                return Tensor::from_vec(values, shape).to_dtype(dtype);
            }
            let drawn = Tensor::normal(mean, std, [rest.max(64)], DType::F64).to_vec::<f64>();
            values.extend(drawn.into_iter().filter(|x| (low..=high).contains(x)).take(rest));
        }
        panic!(
            "trunc_normal_: hardly any of the distribution lies in the interval\n  \
             mean {mean}   std {std}   low {low}   high {high}"
        )
    });
}

/// The same number everywhere.
pub fn constant_(var: &Var, value: f64) {
    replace(var, |shape, dtype| Tensor::full(shape, value, dtype));
}

/// One everywhere.
pub fn ones_(var: &Var) {
    constant_(var, 1.0);
}

/// Zero everywhere.
pub fn zeros_(var: &Var) {
    constant_(var, 0.0);
}

/// One on the diagonal of a matrix, zero elsewhere.
///
/// # Panics
/// When the parameter is no matrix.
#[track_caller]
pub fn eye_(var: &Var) {
    let present = var.value();
    let &[rows, columns] = present.dims() else {
        panic!("eye_: the parameter is no matrix\n  shape {:?}   rule [m, n]", present.dims());
    };
    replace(var, |_, dtype| {
        let side = Tensor::eye(rows.max(columns), dtype);
        side.narrow(0, 0, rows).narrow(1, 0, columns).contiguous()
    });
}

/// The identity as a convolution: in each of the `groups` (PyTorch's default is 1), channel `i` of the outputs has a one in the
/// middle of its kernel for input `i`, as far as there are both; the rest is zero.
///
/// # Shape
/// `[out, in / groups, k..]` with one to three dimensions of the kernel.
///
/// # Panics
/// When the parameter has other dimensions, or the groups do not divide the outputs.
///
/// ```
/// use nn::prelude::*;
///
/// let kernel = Parameter::new(Tensor::ones([2, 2, 3], DType::F32));
/// init::dirac_(&kernel, 1);
/// assert_eq!(kernel.to_vec::<f32>(), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
/// ```
#[track_caller]
pub fn dirac_(var: &Var, groups: usize) {
    let present = var.value();
    let (outputs, inputs, kernel) = match present.dims() {
        [outputs, inputs, kernel @ ..] if (1..=3).contains(&kernel.len()) => (*outputs, *inputs, kernel),
        dims => {
            panic!("dirac_: the parameter is no kernel\n  shape {dims:?}   rule [out, in, k..] with one to three k")
        }
    };
    assert!(
        groups > 0 && outputs.is_multiple_of(groups),
        "dirac_: the groups do not divide the outputs\n  shape {:?}   groups {groups}",
        present.dims()
    );
    let per_group = outputs / groups;
    let (size, middle) = kernel.iter().fold((1, 0), |(size, middle), &k| (size * k, middle * k + k / 2));
    let mut values = vec![0f64; present.numel()];
    // An empty kernel has no middle.
    let ones = if size > 0 { per_group.min(inputs) } else { 0 };
    for (group, i) in (0..groups).flat_map(|group| (0..ones).map(move |i| (group, i))) {
        values[((group * per_group + i) * inputs + i) * size + middle] = 1.0;
    }
    replace(var, |shape, dtype| Tensor::from_vec(values, shape.to_vec()).to_dtype(dtype));
}

/// `N(0, std²)`, but zero in the fraction `sparsity` of each column of a matrix, rounded up, at random places. PyTorch's
/// default `std` is 0.01.
///
/// # Panics
/// When the parameter is no matrix, or `sparsity` is not in `0..=1`.
///
/// # Source
/// Martens, "Deep learning via Hessian-free optimization", 2010, section 5.
///
/// ```
/// use nn::prelude::*;
///
/// let weight = Parameter::new(Tensor::ones([10, 3], DType::F32));
/// init::sparse_(&weight, 0.25, 0.01);
/// assert_eq!(weight.value().count_nonzero([]).item::<i64>(), 3 * 7);
/// ```
#[track_caller]
pub fn sparse_(var: &Var, sparsity: f64, std: f64) {
    let present = var.value();
    let &[rows, columns] = present.dims() else {
        panic!("sparse_: the parameter is no matrix\n  shape {:?}   rule [m, n]", present.dims());
    };
    assert!((0.0..=1.0).contains(&sparsity), "sparse_: the sparsity is not between 0 and 1, sparsity = {sparsity}");
    let zeros = (sparsity * rows as f64).ceil() as usize;
    // The order of random numbers in each column is a random order of its rows.
    let order = Tensor::uniform(0.0, 1.0, [rows, columns], DType::F64).argsort(0, false).narrow(0, 0, zeros);
    replace(var, |shape, dtype| Tensor::normal(0.0, std, shape, dtype).scatter_value(0, &order, 0.0));
}

/// `U(-a, a)` with `a = gain √(6 / (fan_in + fan_out))`; PyTorch's default gain is 1.
///
/// # Panics
/// When the parameter has fewer than two dimensions.
///
/// # Source
/// Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010, equation 16.
#[track_caller]
pub fn xavier_uniform_(var: &Var, gain: f64) {
    let (fan_in, fan_out) = fans(var);
    let bound = gain * (6.0 / (fan_in + fan_out)).sqrt();
    uniform_(var, -bound, bound);
}

/// `N(0, s²)` with `s = gain √(2 / (fan_in + fan_out))`; PyTorch's default gain is 1.
///
/// # Panics
/// When the parameter has fewer than two dimensions.
///
/// # Source
/// Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010, equation 12.
#[track_caller]
pub fn xavier_normal_(var: &Var, gain: f64) {
    let (fan_in, fan_out) = fans(var);
    normal_(var, 0.0, gain * (2.0 / (fan_in + fan_out)).sqrt());
}

/// The side of a weight whose size the Kaiming functions divide by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FanMode {
    /// Inputs: keeps the variance of the forward pass.
    #[default]
    FanIn,
    /// Outputs: keeps the variance of the backward pass.
    FanOut,
}

/// The nonlinearity after a weight, for [`calculate_gain`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nonlinearity {
    /// None; convolutions count as linear too.
    Linear,
    /// The logistic function.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`.
    ReLU,
    /// ReLU with this slope below zero.
    LeakyReLU(f64),
    /// The self-normalising exponential unit.
    SELU,
}

/// Options of the Kaiming functions.
///
/// # Differs
/// PyTorch's `a` is the slope inside [`Nonlinearity::LeakyReLU`]; the default is a slope of 0, as there.
#[derive(Debug, Clone, Copy)]
pub struct KaimingOptions {
    /// What the variance is divided by (default: the inputs).
    pub mode: FanMode,
    /// What follows the weight (default: leaky ReLU with slope 0).
    pub nonlinearity: Nonlinearity,
}

impl Default for KaimingOptions {
    fn default() -> KaimingOptions {
        KaimingOptions { mode: FanMode::FanIn, nonlinearity: Nonlinearity::LeakyReLU(0.0) }
    }
}

/// `U(-a, a)` with `a = gain √(3 / fan)`.
///
/// # Panics
/// When the parameter has fewer than two dimensions.
///
/// # Source
/// He et al., "Delving Deep into Rectifiers", 2015, equation 10.
#[track_caller]
pub fn kaiming_uniform_(var: &Var, options: KaimingOptions) {
    let bound = 3f64.sqrt() * kaiming_std(var, options);
    uniform_(var, -bound, bound);
}

/// `N(0, s²)` with `s = gain / √fan`.
///
/// # Panics
/// When the parameter has fewer than two dimensions.
///
/// # Source
/// He et al., "Delving Deep into Rectifiers", 2015, equation 10.
#[track_caller]
pub fn kaiming_normal_(var: &Var, options: KaimingOptions) {
    normal_(var, 0.0, kaiming_std(var, options));
}

#[track_caller]
fn kaiming_std(var: &Var, options: KaimingOptions) -> f64 {
    let (fan_in, fan_out) = fans(var);
    let fan = match options.mode {
        FanMode::FanIn => fan_in,
        FanMode::FanOut => fan_out,
    };
    calculate_gain(options.nonlinearity) / fan.sqrt()
}

/// The factor by which weights before a nonlinearity are widened: tanh 5/3, ReLU √2, leaky ReLU √(2 / (1 + slope²)),
/// SELU 3/4, otherwise 1.
pub fn calculate_gain(nonlinearity: Nonlinearity) -> f64 {
    match nonlinearity {
        Nonlinearity::Linear | Nonlinearity::Sigmoid => 1.0,
        Nonlinearity::Tanh => 5.0 / 3.0,
        Nonlinearity::ReLU => 2f64.sqrt(),
        Nonlinearity::LeakyReLU(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
        Nonlinearity::SELU => 0.75,
    }
}

/// Inputs and outputs of one unit: sizes 1 and 0, each times the receptive field (the remaining sizes).
#[track_caller]
fn fans(var: &Var) -> (f64, f64) {
    let value = var.value();
    let [outputs, inputs, field @ ..] = value.dims() else {
        panic!("init: fan in and fan out need two dimensions\n  shape {:?}   rule [out, in, ..]", value.dims());
    };
    let field: usize = field.iter().product();
    // Without elements there is nothing to draw, and nothing to divide by.
    ((inputs * field).max(1) as f64, (outputs * field).max(1) as f64)
}

/// A random matrix with orthonormal rows (or columns, if there are fewer of them) times `gain`; further dimensions
/// count as columns. PyTorch's default gain is 1.
///
/// # Numerics
/// Gram-Schmidt twice in f64: orthonormal to rounding.
///
/// # Panics
/// When the parameter has fewer than two dimensions.
///
/// # Source
/// Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear networks", 2013.
#[track_caller]
pub fn orthogonal_(var: &Var, gain: f64) {
    let present = var.value();
    let [rows, columns @ ..] = present.dims() else {
        panic!("orthogonal_: the parameter has fewer than two dimensions\n  shape []   rule [m, n, ..]");
    };
    assert!(
        !columns.is_empty(),
        "orthogonal_: the parameter has fewer than two dimensions\n  shape {:?}   rule [m, n, ..]",
        present.dims()
    );
    let (rows, columns) = (*rows, columns.iter().product::<usize>());
    let (count, length) = (rows.min(columns), rows.max(columns));
    if count == 0 {
        return;
    }
    let drawn = Tensor::normal(0.0, 1.0, [count, length], DType::F64).to_vec::<f64>();
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    for row in drawn.chunks_exact(length) {
        let mut vector = row.to_vec();
        // Once leaves errors that grow with the number of vectors; twice does not.
        for _ in 0..2 {
            for known in &basis {
                let along: f64 = known.iter().zip(&vector).map(|(a, b)| a * b).sum();
                vector.iter_mut().zip(known).for_each(|(x, k)| *x -= along * k);
            }
        }
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
        basis.push(vector);
    }
    let matrix = Tensor::from_vec(basis.concat(), [count, length]);
    let matrix = if rows <= columns { matrix } else { matrix.t().contiguous() };
    replace(var, |shape, dtype| matrix.reshape(shape.to_vec()).mul_scalar(gain).to_dtype(dtype));
}
