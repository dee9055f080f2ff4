//! Checks of gradients against central differences, for the library's operations and for users' functions.

mod error;
mod fast;
mod slow;

pub use error::GradcheckError;

use std::collections::HashSet;

use tensor::{DType, Generator, Tensor};

use crate::anomaly::index_of;
use crate::engine::{GradOptions, grad};
use crate::mode::enable_grad;
use crate::var::Var;

/// The step, the tolerances and the kind of a [`gradcheck`]; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug)]
pub struct GradcheckOptions {
    /// How far an input element is moved to either side (1e-6).
    pub eps: f64,
    /// The absolute part of the tolerance (1e-5).
    pub atol: f64,
    /// The part of the tolerance relative to the numeric derivative (1e-3).
    pub rtol: f64,
    /// How far two backward passes over the same graph may differ (0).
    pub nondet_tol: f64,
    /// Whether an output without a gradient must count as one whose gradient is zero (true).
    pub check_undefined_grad: bool,
    /// Compare in one random direction instead of element by element (false): two evaluations per input and one pass
    /// per output, whatever the sizes.
    pub fast_mode: bool,
}

impl Default for GradcheckOptions {
    fn default() -> Self {
        GradcheckOptions {
            eps: 1e-6,
            atol: 1e-5,
            rtol: 1e-3,
            nondet_tol: 0.0,
            check_undefined_grad: true,
            fast_mode: false,
        }
    }
}

impl GradcheckOptions {
    fn close(&self, analytic: f64, numeric: f64) -> bool {
        (analytic - numeric).abs() <= self.atol + self.rtol * numeric.abs()
    }
}

/// So that a function with one result can be checked like one with several.
impl From<Var> for Vec<Var> {
    fn from(var: Var) -> Vec<Var> {
        vec![var]
    }
}

/// Checks the gradients of `f` at `inputs` against central differences: every element of every output by every element
/// of every input that requires a gradient.
///
/// `f` returns one [`Var`] or several (`Vec`, array); results that are not floating point are left out. Besides: two
/// passes give the same, zero gradients of the outputs give zeros, and an output without a gradient counts as one whose
/// gradient is zero.
///
/// In `fast_mode`, all elements of an input move at once, each by `eps` times a random number in -1.5 to -0.5 or 0.5 to
/// 1.5, and a sum of the outputs with such weights is compared. An error in one of `n` derivatives shows when it exceeds
/// about `rtol sqrt(n)` of their usual size. The elements that a failed check names are then found by halving.
///
/// # Errors
/// The first derivative with `|analytic - numeric| > atol + rtol * |numeric|`, a failure of one of the other checks, an
/// input that is not f64 or whose elements share memory, or nothing to check.
///
/// # Differs
/// An input that is not f64 is refused, PyTorch warns. An output that does not require a gradient must not depend on the
/// inputs, PyTorch leaves it out beside others that do. Fast mode draws numbers of either sign and does not normalise
/// them. There is no `check_batched_grad`, which needs `vmap`, and no check of forward mode.
///
/// ```
/// use autograd::{GradcheckOptions, Var, gradcheck};
/// use tensor::Tensor;
/// let x = Var::new(Tensor::from([0.5, 1.5])).requires_grad_(true);
/// gradcheck(|v| (&v[0] * &v[0]).sum(), &[x.clone()], Default::default()).unwrap();
///
/// let wrong = |v: &[Var]| Var::record_unary("wrong", v[0].value().exp(), &v[0], |dy| dy * 2.0);
/// let error = gradcheck(wrong, &[x.clone()], Default::default()).unwrap_err();
/// assert!(error.to_string().contains("output 0 at [0] by input 0 at [0] is 2 analytically, 1.648"));
/// let fast = GradcheckOptions { fast_mode: true, ..Default::default() };
/// assert!(gradcheck(wrong, &[x], fast).is_err());
/// ```
pub fn gradcheck<R: Into<Vec<Var>>>(
    f: impl Fn(&[Var]) -> R,
    inputs: &[Var],
    options: GradcheckOptions,
) -> Result<(), GradcheckError> {
    refuse_overlaps(inputs)?;
    check(f, inputs, options)
}

/// Checks the second derivatives of `f`: [`gradcheck`] of its gradients, as a function of the inputs and of the
/// outputs' gradients.
///
/// # Errors
/// As [`gradcheck`]. In a mismatch the outputs are the gradients of the inputs, and the inputs are followed by the
/// outputs' gradients.
///
/// # Differs
/// The outputs' gradients are not given: fixed numbers in -0.9 to 1.1 are taken.
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
    refuse_overlaps(inputs)?;
    check_second(f, inputs, options)
}

/// [`gradcheck`] of inputs in any layout: they are checked at their values, moved in contiguous copies.
pub(crate) fn check<R: Into<Vec<Var>>>(
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
    let check = Check { f: &f, inputs, checked, options };
    match options.fast_mode {
        true => fast::compare(&check)?,
        false => slow::compare(&check)?,
    }
    check.passes_without_some_gradients()
}

/// [`gradgradcheck`] of inputs in any layout.
pub(crate) fn check_second<R: Into<Vec<Var>>>(
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
    check(gradients, &all, options)
}

fn refuse_overlaps(inputs: &[Var]) -> Result<(), GradcheckError> {
    let overlaps = |input: &Var| {
        let t = input.tensor();
        // The storage position of each element, relative to the first.
        let mut positions = vec![0isize];
        for (&size, &stride) in t.dims().iter().zip(t.strides()) {
            positions = positions.iter().flat_map(|p| (0..size as isize).map(move |i| p + i * stride)).collect();
        }
        let all = positions.len();
        !t.is_contiguous() && positions.into_iter().collect::<HashSet<_>>().len() < all
    };
    match inputs.iter().position(|input| input.requires_grad() && overlaps(input)) {
        Some(input) => Err(GradcheckError::Overlap { input }),
        None => Ok(()),
    }
}

/// A function whose derivatives are checked, and where.
struct Check<'a> {
    f: &'a dyn Fn(&[Var]) -> Vec<Var>,
    inputs: &'a [Var],
    /// The numbers of the inputs that require gradients.
    checked: Vec<usize>,
    options: GradcheckOptions,
}

/// One evaluation of the function, for passes back.
struct Forward {
    inputs: Vec<Var>,
    outputs: Vec<Var>,
}

impl Check<'_> {
    fn forward(&self) -> Forward {
        let inputs = fresh(self.inputs);
        let outputs = (self.f)(&inputs);
        Forward { inputs, outputs }
    }

    /// The gradients of the checked inputs from gradients of some outputs, one list of f64 per input.
    fn pull(&self, forward: &Forward, seeds: &[(usize, Tensor)]) -> Vec<Vec<f64>> {
        let wanted: Vec<&Var> = self.checked.iter().map(|&i| &forward.inputs[i]).collect();
        let seeds: Vec<_> = seeds.iter().filter(|(i, _)| forward.outputs[*i].requires_grad()).collect();
        let outputs: Vec<&Var> = seeds.iter().map(|(i, _)| &forward.outputs[*i]).collect();
        let options = GradOptions {
            grad_outputs: Some(seeds.iter().map(|(_, seed)| Var::new(seed.clone())).collect()),
            retain_graph: Some(true),
            materialize_grads: true,
            ..Default::default()
        };
        let grads = grad(&outputs, &wanted, options).into_iter().flatten();
        grads.map(|grad| grad.to_vec()).collect()
    }

    /// [`Check::pull`] from one output, twice: both passes must give the same.
    fn pull_twice(&self, forward: &Forward, output: usize, seed: &Tensor) -> Result<Vec<Vec<f64>>, GradcheckError> {
        let seeds = [(output, seed.clone())];
        let (first, second) = (self.pull(forward, &seeds), self.pull(forward, &seeds));
        match self.apart(&first, &second, |a, b| (a - b).abs() <= self.options.nondet_tol || a.to_bits() == b.to_bits())
        {
            None => Ok(first),
            Some((input, first, second)) => Err(GradcheckError::Nondeterministic { input, output, first, second }),
        }
    }

    /// The outputs' values, with `value` in the place of input `input`.
    fn outputs_at(&self, input: usize, value: Tensor) -> Vec<Vec<f64>> {
        let fresh = fresh(self.inputs);
        fresh[input].set_value(value);
        (self.f)(&fresh).iter().map(|output| output.tensor().to_dtype(DType::F64).to_vec()).collect()
    }

    /// Per output and element, the derivative along a direction of input `input` by central differences. Only the
    /// elements for which the direction is given move.
    fn difference(&self, input: usize, direction: impl IntoIterator<Item = (usize, f64)>) -> Vec<Vec<f64>> {
        let (value, eps) = (self.inputs[input].value(), self.options.eps);
        let (mut up, mut down) = (value.to_vec::<f64>(), value.to_vec::<f64>());
        for (element, by) in direction {
            up[element] += eps * by;
            down[element] -= eps * by;
        }
        let at = |values: Vec<f64>| self.outputs_at(input, Tensor::from_vec(values, value.shape()));
        let slope = |(up, down): (&f64, &f64)| (up - down) / (2.0 * eps);
        at(up).iter().zip(&at(down)).map(|(up, down)| up.iter().zip(down).map(slope).collect()).collect()
    }

    fn element(&self, input: usize, element: usize) -> (usize, Vec<usize>) {
        (input, index_of(self.inputs[input].tensor().dims(), element))
    }

    /// The first place where two lists of gradients of the checked inputs are not `close`, and both values.
    fn apart(
        &self,
        a: &[Vec<f64>],
        b: &[Vec<f64>],
        close: impl Fn(f64, f64) -> bool,
    ) -> Option<((usize, Vec<usize>), f64, f64)> {
        a.iter().zip(b).zip(&self.checked).find_map(|((a, b), &input)| {
            let at = a.iter().zip(b).position(|(a, b)| !close(*a, *b))?;
            Some((self.element(input, at), a[at], b[at]))
        })
    }

    /// Gradients that are zero give zeros, and an output that has none is like one whose gradient is zero.
    fn passes_without_some_gradients(&self) -> Result<(), GradcheckError> {
        let forward = self.forward();
        let differentiable: Vec<usize> =
            (0..forward.outputs.len()).filter(|&i| forward.outputs[i].requires_grad()).collect();
        let zero = |i: usize| (i, Tensor::zeros_like(&forward.outputs[i].tensor()));
        let zeros = self.pull(&forward, &differentiable.iter().map(|&i| zero(i)).collect::<Vec<_>>());
        if let Some((input, gradient, _)) = self.apart(&zeros, &zeros, |gradient, _| gradient == 0.0) {
            return Err(GradcheckError::NotScaled { input, gradient });
        }
        if !self.options.check_undefined_grad || differentiable.len() < 2 {
            return Ok(());
        }
        let mut generator = Generator::new(0);
        let mut seed = |i: usize| {
            let output = forward.outputs[i].tensor();
            (i, Tensor::randn_with(output.shape(), output.dtype(), &mut generator))
        };
        let seeds: Vec<(usize, Tensor)> = differentiable.iter().map(|&i| seed(i)).collect();
        for &output in &differentiable {
            let others: Vec<_> = seeds.iter().filter(|(i, _)| *i != output).cloned().collect();
            let left_out = self.pull(&forward, &others);
            let with_zero = self.pull(&forward, &[&others[..], &[zero(output)]].concat());
            // Nothing is added, but perhaps in another order.
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + a.abs());
            if let Some((input, left_out, zero)) = self.apart(&left_out, &with_zero, close) {
                return Err(GradcheckError::UndefinedGradient { output, input, left_out, zero });
            }
        }
        Ok(())
    }
}

/// The inputs as new leaves, so that a check leaves the caller's alone.
fn fresh(inputs: &[Var]) -> Vec<Var> {
    inputs.iter().map(|input| Var::new(input.value()).requires_grad_(input.requires_grad())).collect()
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
