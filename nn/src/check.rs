//! The gradient check of a module's parameters.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use autograd::{GradcheckOptions, Var, no_grad};
use tensor::{DType, Generator, Tensor};

use crate::{Module, Parameter};

/// A derivative by a parameter that differs from the one that central differences show.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterMismatch {
    /// The name of the parameter.
    pub name: String,
    /// The row-major position of the element that was moved.
    pub position: usize,
    /// The derivative by the backward pass; zero when the parameter got no gradient.
    pub analytic: f64,
    /// The derivative by central differences.
    pub numeric: f64,
}

impl fmt::Display for ParameterMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ParameterMismatch { name, position, analytic, numeric } = self;
        write!(
            f,
            "gradcheck_parameters: the derivative by element {position} of {name} is {analytic} analytically, \
             {numeric} numerically"
        )
    }
}

impl Error for ParameterMismatch {}

/// Checks the gradients of `f`, which runs `module`, by every parameter of the module against central differences.
///
/// This is the part that [`autograd::gradcheck`] cannot see: it checks gradients by inputs. The result of `f` may have
/// any shape; a fixed weighted sum of it is differentiated. Frozen parameters are left out. The gradients of the
/// parameters are forgotten afterwards.
///
/// With `fast_mode`, all elements move at once in a random direction, which takes two evaluations whatever the number of
/// parameters; the element that a failed check names is then found by halving. Of the options, `eps`, `atol`, `rtol` and
/// `fast_mode` count.
///
/// # Errors
/// The first derivative with `|analytic - numeric| > atol + rtol |numeric|`.
///
/// # Panics
/// When a parameter is not f64.
///
/// ```
/// use nn::prelude::*;
///
/// let layer = Linear::with(3, 2, LinearOptions { dtype: DType::F64, ..Default::default() });
/// let x = Var::new(Tensor::randn([4, 3], DType::F64));
/// nn::gradcheck_parameters(&layer, || layer.forward(&x).tanh(), Default::default()).unwrap();
/// ```
#[track_caller]
pub fn gradcheck_parameters(
    module: &dyn Module,
    f: impl Fn() -> Var,
    options: GradcheckOptions,
) -> Result<(), ParameterMismatch> {
    let weigh = |output: Var| {
        // Neither constant nor symmetric, so that errors do not cancel.
        let weights = (0..output.numel()).map(|i| 2.0 * (0.31 + 0.618_034 * i as f64).fract() - 0.9).collect();
        (output.clone() * Var::new(Tensor::from_vec(weights, output.shape()))).sum()
    };
    module.zero_grad();
    weigh(f()).backward();
    let named = module.named_parameters();
    let named: Vec<_> = named.into_iter().filter(|(_, parameter)| parameter.requires_grad()).collect();
    for (name, parameter) in &named {
        let dtype = parameter.dtype();
        assert_eq!(dtype, DType::F64, "gradcheck_parameters: central differences need f64, {name} has less");
    }
    let gradients = named.iter().map(|(_, parameter)| {
        parameter.grad().map_or_else(|| vec![0.0; parameter.numel()], |gradient| gradient.to_vec::<f64>())
    });
    let check = Check {
        weights: Direction::new(&named),
        gradients: gradients.collect::<Vec<_>>().concat(),
        loss: &|| no_grad(|| weigh(f())).item::<f64>(),
        named: &named,
        options,
    };
    module.zero_grad();
    let wrong = if options.fast_mode { check.along_a_direction() } else { check.each_element() };
    match wrong {
        None => Ok(()),
        Some(at) => Err(check.mismatch(at)),
    }
}

/// The elements of all parameters in a row, as a function's arguments.
struct Check<'a> {
    named: &'a [(String, Parameter)],
    gradients: Vec<f64>,
    /// By how much each element moves in the fast mode.
    weights: Direction,
    loss: &'a dyn Fn() -> f64,
    options: GradcheckOptions,
}

/// Random numbers of either sign and about the size of 1.
struct Direction(Vec<f64>);

impl Direction {
    fn new(named: &[(String, Parameter)]) -> Direction {
        let n = named.iter().map(|(_, parameter)| parameter.numel()).sum::<usize>();
        let draws = Tensor::uniform_with(-1.0, 1.0, [n], DType::F64, &mut Generator::new(0x5eed)).to_vec::<f64>();
        Direction(draws.into_iter().map(|x| x + 0.5f64.copysign(x)).collect())
    }
}

impl Check<'_> {
    /// The derivative by central differences when the elements of a range move, each by its weight.
    fn difference(&self, range: Range<usize>, weight: impl Fn(usize) -> f64) -> f64 {
        let at = |sign: f64| {
            let before: Vec<Tensor> = self.named.iter().map(|(_, parameter)| parameter.value()).collect();
            let mut start = 0;
            for ((_, parameter), value) in self.named.iter().zip(&before) {
                let end = start + value.numel();
                let (low, high) = (range.start.max(start), range.end.min(end));
                if low < high {
                    let mut values = value.to_vec::<f64>();
                    (low..high).for_each(|i| values[i - start] += sign * self.options.eps * weight(i));
                    parameter.set_value(Tensor::from_vec(values, value.shape()));
                }
                start = end;
            }
            let loss = (self.loss)();
            self.named.iter().zip(before).for_each(|((_, parameter), value)| parameter.set_value(value));
            loss
        };
        (at(1.0) - at(-1.0)) / (2.0 * self.options.eps)
    }

    fn close(&self, analytic: f64, numeric: f64) -> bool {
        (analytic - numeric).abs() <= self.options.atol + self.options.rtol * numeric.abs()
    }

    /// The first element with a wrong derivative.
    fn each_element(&self) -> Option<usize> {
        (0..self.gradients.len()).find(|&i| !self.close(self.gradients[i], self.difference(i..i + 1, |_| 1.0)))
    }

    /// An element with a wrong derivative, if the derivative along the direction is wrong.
    fn along_a_direction(&self) -> Option<usize> {
        let both = |range: Range<usize>| {
            let analytic: f64 = range.clone().map(|i| self.gradients[i] * self.weights.0[i]).sum();
            (analytic, self.difference(range, |i| self.weights.0[i]))
        };
        let (mut low, mut high) = (0, self.gradients.len());
        let (analytic, numeric) = both(low..high);
        if self.close(analytic, numeric) {
            return None;
        }
        let gap = |range: Range<usize>| {
            let (analytic, numeric) = both(range);
            let gap = (analytic - numeric).abs();
            if gap.is_nan() { f64::INFINITY } else { gap }
        };
        while high - low > 1 {
            let middle = (low + high) / 2;
            if gap(low..middle) >= gap(middle..high) { high = middle } else { low = middle }
        }
        Some(low)
    }

    fn mismatch(&self, at: usize) -> ParameterMismatch {
        let (analytic, numeric) = (self.gradients[at], self.difference(at..at + 1, |_| 1.0));
        let mut start = 0;
        for (name, parameter) in self.named {
            if at < start + parameter.numel() {
                return ParameterMismatch { name: name.clone(), position: at - start, analytic, numeric };
            }
            start += parameter.numel();
        }
        unreachable!("the position of an element lies in a parameter")
    }
}
