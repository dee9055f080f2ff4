//! The gradient check of a module's parameters.

use std::error::Error;
use std::fmt;

use autograd::{GradcheckOptions, Var, no_grad};
use tensor::{DType, Tensor};

use crate::Module;

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
/// any shape; a fixed weighted sum of it is differentiated. The gradients of the parameters are forgotten afterwards.
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
    for (name, parameter) in module.named_parameters() {
        assert_eq!(
            parameter.dtype(),
            DType::F64,
            "gradcheck_parameters: central differences need f64, {name} has less"
        );
        let value = parameter.value();
        let analytic = parameter.grad().map_or_else(|| vec![0.0; value.numel()], |gradient| gradient.to_vec::<f64>());
        for (position, &analytic) in analytic.iter().enumerate() {
            let moved = |by: f64| {
                let mut values = value.to_vec::<f64>();
                values[position] += by;
                parameter.set_value(Tensor::from_vec(values, value.shape()));
                no_grad(|| weigh(f())).item::<f64>()
            };
            let numeric = (moved(options.eps) - moved(-options.eps)) / (2.0 * options.eps);
            parameter.set_value(value.clone());
            let close = (analytic - numeric).abs() <= options.atol + options.rtol * numeric.abs();
            if !close {
                module.zero_grad();
                return Err(ParameterMismatch { name, position, analytic, numeric });
            }
        }
    }
    module.zero_grad();
    Ok(())
}
