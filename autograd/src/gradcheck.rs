//! Checks of gradients against central differences, for the library's operations and for users' functions.

use std::fmt;

use tensor::{DType, Tensor};

use crate::engine::{GradOptions, grad};
use crate::mode::enable_grad;
use crate::var::Var;

/// The step and the tolerances of [`gradcheck`]; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug)]
pub struct GradcheckOptions {
    /// How far an input element is moved to either side (1e-6).
    pub eps: f64,
    /// The absolute part of the tolerance (1e-5).
    pub atol: f64,
    /// The part of the tolerance relative to the numeric derivative (1e-3).
    pub rtol: f64,
}

impl Default for GradcheckOptions {
    fn default() -> Self {
        GradcheckOptions { eps: 1e-6, atol: 1e-5, rtol: 1e-3 }
    }
}

/// Why a gradient check failed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GradcheckError {
    /// No input requires a gradient, so there is nothing to check.
    NothingToCheck,
    /// Central differences need f64.
    Precision {
        /// The number of the input.
        input: usize,
        /// Its dtype.
        dtype: DType,
    },
    /// A derivative that pullbacks compute differs from the one that central differences show.
    Mismatch {
        /// The number of the input, and the index of the element that was moved.
        input: (usize, Vec<usize>),
        /// The number of the output, and the index of the element whose derivative it is.
        output: (usize, Vec<usize>),
        /// The derivative by the pullbacks.
        analytic: f64,
        /// The derivative by central differences.
        numeric: f64,
    },
}

impl fmt::Display for GradcheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GradcheckError::NothingToCheck => write!(f, "gradcheck: no input requires a gradient"),
            GradcheckError::Precision { input, dtype } => {
                write!(f, "gradcheck: input {input} is {dtype}; central differences need f64")
            }
            GradcheckError::Mismatch { input, output, analytic, numeric } => write!(
                f,
                "gradcheck: the derivative of output {} at {:?} by input {} at {:?} is {analytic} analytically, \
                 {numeric} numerically",
                output.0, output.1, input.0, input.1
            ),
        }
    }
}

impl std::error::Error for GradcheckError {}

/// So that a function with one result can be checked like one with several.
impl From<Var> for Vec<Var> {
    fn from(var: Var) -> Vec<Var> {
        vec![var]
    }
}

/// Checks the gradients of `f` at `inputs` against central differences: every element of every output by every element
/// of every input that requires a gradient.
///
/// `f` returns one [`Var`] or several (`Vec`, array); results that are not floating point are left out.
///
/// # Errors
/// The first derivative with `|analytic - numeric| > atol + rtol * |numeric|`, an input that is not f64, or nothing to
/// check.
///
/// ```
/// use autograd::{Var, gradcheck};
/// use tensor::Tensor;
/// let x = Var::new(Tensor::from([0.5, 1.5])).requires_grad_(true);
/// gradcheck(|v| (&v[0] * &v[0]).sum(), &[x.clone()], Default::default()).unwrap();
///
/// let wrong = |v: &[Var]| Var::record_unary("wrong", v[0].value().exp(), &v[0], |dy| dy * 2.0);
/// let error = gradcheck(wrong, &[x], Default::default()).unwrap_err();
/// assert!(error.to_string().contains("output 0 at [0] by input 0 at [0] is 2 analytically, 1.648"));
/// ```
pub fn gradcheck<R: Into<Vec<Var>>>(
    f: impl Fn(&[Var]) -> R,
    inputs: &[Var],
    options: GradcheckOptions,
) -> Result<(), GradcheckError> {
    let checked: Vec<usize> = (0..inputs.len()).filter(|&i| inputs[i].requires_grad()).collect();
    if checked.is_empty() {
        return Err(GradcheckError::NothingToCheck);
    }
    if let Some(&input) = checked.iter().find(|&&i| inputs[i].dtype() != DType::F64) {
        return Err(GradcheckError::Precision { input, dtype: inputs[input].dtype() });
    }
    let f = |inputs: &[Var]| -> Vec<Var> {
        let outputs: Vec<Var> = enable_grad(|| f(inputs)).into();
        outputs.into_iter().filter(|output| output.dtype().is_floating_point()).collect()
    };
    let analytic = analytic(&f, inputs, &checked);
    for (&input, analytic) in checked.iter().zip(analytic) {
        let value = inputs[input].value();
        for element in 0..value.numel() {
            let moved = |by: f64| -> Vec<Vec<f64>> {
                let fresh = fresh(inputs);
                fresh[input].set_value(with_element_moved(&value, element, by));
                f(&fresh).iter().map(|output| output.tensor().to_dtype(DType::F64).to_vec()).collect()
            };
            let (up, down) = (moved(options.eps), moved(-options.eps));
            for (output, (up, down)) in up.iter().zip(&down).enumerate() {
                for (at, (up, down)) in up.iter().zip(down).enumerate() {
                    let numeric = (up - down) / (2.0 * options.eps);
                    let analytic = analytic[output].0[at][element];
                    let close = (analytic - numeric).abs() <= options.atol + options.rtol * numeric.abs();
                    if !close {
                        let input = (input, index_of(value.dims(), element));
                        let output = (output, index_of(&analytic_shape(&f, inputs, output), at));
                        return Err(GradcheckError::Mismatch { input, output, analytic, numeric });
                    }
                }
            }
        }
    }
    Ok(())
}

/// Checks the second derivatives of `f`: [`gradcheck`] of its gradients, as a function of the inputs and of the
/// outputs' gradients.
///
/// # Errors
/// As [`gradcheck`]. In a mismatch the outputs are the gradients of the inputs, and the inputs are followed by the
/// outputs' gradients.
///
/// ```
/// use autograd::{Var, gradgradcheck};
/// use tensor::Tensor;
/// let x = Var::new(Tensor::from([0.5, 1.5])).requires_grad_(true);
/// gradgradcheck(|v| v[0].tanh(), &[x], Default::default()).unwrap();
/// ```
pub fn gradgradcheck<R: Into<Vec<Var>>>(
    f: impl Fn(&[Var]) -> R,
    inputs: &[Var],
    options: GradcheckOptions,
) -> Result<(), GradcheckError> {
    let f = |inputs: &[Var]| -> Vec<Var> {
        let outputs: Vec<Var> = f(inputs).into();
        outputs.into_iter().filter(Var::requires_grad).collect()
    };
    let checked: Vec<usize> = (0..inputs.len()).filter(|&i| inputs[i].requires_grad()).collect();
    let dys = enable_grad(|| f(&fresh(inputs))).into_iter().map(|output| {
        // Any gradient will do that is neither constant nor symmetric.
        let values = (0..output.numel()).map(|i| 2.0 * (0.31 + 0.618_034 * i as f64).fract() - 0.9).collect();
        Var::new(Tensor::from_vec(values, output.shape())).requires_grad_(true)
    });
    let all: Vec<Var> = inputs.iter().cloned().chain(dys).collect();
    let gradients = |all: &[Var]| -> Vec<Var> {
        let (inputs, dys) = all.split_at(inputs.len());
        let outputs = f(inputs);
        let wanted: Vec<&Var> = checked.iter().map(|&i| &inputs[i]).collect();
        let options = GradOptions {
            grad_outputs: Some(dys.to_vec()),
            create_graph: true,
            materialize_grads: true,
            ..Default::default()
        };
        grad(&outputs.iter().collect::<Vec<_>>(), &wanted, options).into_iter().flatten().collect()
    };
    gradcheck(gradients, &all, options)
}

/// The inputs as new leaves, so that a check leaves the caller's alone.
fn fresh(inputs: &[Var]) -> Vec<Var> {
    inputs.iter().map(|input| Var::new(input.value()).requires_grad_(input.requires_grad())).collect()
}

/// The derivatives of one output by one input: a row per output element, a column per input element.
struct Jacobian(Vec<Vec<f64>>);

/// Per checked input, per output, the Jacobian by one backward pass per output element.
fn analytic(f: &impl Fn(&[Var]) -> Vec<Var>, inputs: &[Var], checked: &[usize]) -> Vec<Vec<Jacobian>> {
    let fresh = fresh(inputs);
    let wanted: Vec<&Var> = checked.iter().map(|&i| &fresh[i]).collect();
    let mut jacobians: Vec<Vec<Jacobian>> = checked.iter().map(|_| Vec::new()).collect();
    for output in f(&fresh) {
        let n = output.numel();
        jacobians.iter_mut().for_each(|j| j.push(Jacobian(Vec::with_capacity(n))));
        for element in 0..n {
            let mut dy = vec![0.0; n];
            dy[element] = 1.0;
            let grads = match output.requires_grad() {
                false => vec![None; wanted.len()],
                true => {
                    let dy = Var::new(Tensor::from_vec(dy, output.shape()).to_dtype(output.dtype()));
                    let grad_outputs = Some(vec![dy]);
                    grad(&[&output], &wanted, GradOptions { grad_outputs, retain_graph: true, ..Default::default() })
                }
            };
            for ((jacobians, grad), input) in jacobians.iter_mut().zip(grads).zip(&wanted) {
                let row = grad.map_or_else(|| vec![0.0; input.numel()], |grad| grad.to_vec());
                jacobians.last_mut().expect("pushed above").0.push(row);
            }
        }
    }
    jacobians
}

/// A contiguous copy with one element, by its row-major position, moved.
fn with_element_moved(value: &Tensor, element: usize, by: f64) -> Tensor {
    let mut values = value.to_vec::<f64>();
    values[element] += by;
    Tensor::from_vec(values, value.shape())
}

fn analytic_shape(f: &impl Fn(&[Var]) -> Vec<Var>, inputs: &[Var], output: usize) -> Vec<usize> {
    f(&fresh(inputs))[output].shape().to_vec()
}

/// The index of the element at a row-major position.
fn index_of(shape: &[usize], mut position: usize) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for d in (0..shape.len()).rev() {
        index[d] = position % shape[d];
        position /= shape[d];
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(values: &[f64]) -> Var {
        Var::new(Tensor::from_slice(values, [values.len()])).requires_grad_(true)
    }

    #[test]
    fn a_wrong_second_derivative_is_found() {
        // The first derivative is right, but treats x as a constant.
        let f = |v: &[Var]| {
            let x = v[0].detach();
            Var::record_unary("square", v[0].value().square(), &v[0], move |dy| dy * 2.0 * &x)
        };
        gradcheck(f, &[leaf(&[1.0, 2.0])], Default::default()).unwrap();
        let error = gradgradcheck(f, &[leaf(&[1.0, 2.0])], Default::default()).unwrap_err();
        assert!(matches!(error, GradcheckError::Mismatch { .. }), "{error}");
    }

    #[test]
    fn the_place_of_a_mismatch_is_named() {
        let f = |v: &[Var]| {
            let wrong = Var::new(Tensor::from([[1.0, 1.0], [1.0, 3.0]]));
            Var::record_unary("identity", v[1].value(), &v[1], move |dy| dy * &wrong)
        };
        let matrix = Var::new(Tensor::from([[1.0, 2.0], [3.0, 4.0]])).requires_grad_(true);
        let error = gradcheck(f, &[leaf(&[1.0]), matrix], Default::default()).unwrap_err();
        match error {
            GradcheckError::Mismatch { input, output, analytic, .. } => {
                assert_eq!((input, output, analytic), ((1, vec![1, 1]), (0, vec![1, 1]), 3.0));
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        let single = Var::new(Tensor::from([1.0f32])).requires_grad_(true);
        let error = gradcheck(|v| v[0].exp(), &[single], Default::default()).unwrap_err();
        assert_eq!(error.to_string(), "gradcheck: input 0 is f32; central differences need f64");
        let error = gradcheck(|v| v[0].exp(), &[Var::scalar(1.0f64)], Default::default()).unwrap_err();
        assert_eq!(error, GradcheckError::NothingToCheck);
    }

    #[test]
    fn a_lost_gradient_is_found() {
        let f = |v: &[Var]| v[0].detach() * 2.0;
        assert!(gradcheck(f, &[leaf(&[1.0])], Default::default()).is_err());
    }
}
