//! What a gradient check can find.

use std::fmt;

use tensor::DType;

/// Why a gradient check failed. Inputs and outputs are numbered from 0; an element is named by its index.
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
    /// Elements of an input share memory, so that moving one would mean moving others.
    Overlap {
        /// The number of the input.
        input: usize,
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
    /// Two backward passes over the same graph differ.
    Nondeterministic {
        /// The number of the input, and the index of the element.
        input: (usize, Vec<usize>),
        /// The number of the output whose gradient was passed back.
        output: usize,
        /// The gradient in the first pass.
        first: f64,
        /// The gradient in the second pass.
        second: f64,
    },
    /// A pullback whose result has the gradient zero gives something else, so it does not multiply by that gradient.
    NotScaled {
        /// The number of the input, and the index of the element.
        input: (usize, Vec<usize>),
        /// The gradient that should be zero.
        gradient: f64,
    },
    /// An output without a gradient does not count as one whose gradient is zero.
    UndefinedGradient {
        /// The number of the output that was left out.
        output: usize,
        /// The number of the input, and the index of the element.
        input: (usize, Vec<usize>),
        /// The gradient without that output.
        left_out: f64,
        /// The gradient when that output's gradient is zero.
        zero: f64,
    },
}

impl fmt::Display for GradcheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use GradcheckError::*;
        write!(f, "gradcheck: ")?;
        match self {
            NothingToCheck => write!(f, "no input requires a gradient"),
            Precision { input, dtype } => write!(f, "input {input} is {dtype}; central differences need f64"),
            Overlap { input } => {
                write!(f, "elements of input {input} share memory, as after expand(); call contiguous() on it first")
            }
            Mismatch { input, output, analytic, numeric } => write!(
                f,
                "the derivative of output {} at {:?} by input {} at {:?} is {analytic} analytically, {numeric} \
                 numerically",
                output.0, output.1, input.0, input.1
            ),
            Nondeterministic { input, output, first, second } => write!(
                f,
                "two passes from output {output} to input {} at {:?} give {first} and {second}",
                input.0, input.1
            ),
            NotScaled { input, gradient } => write!(
                f,
                "with zero gradients of the outputs, the gradient of input {} at {:?} is {gradient}",
                input.0, input.1
            ),
            UndefinedGradient { output, input, left_out, zero } => write!(
                f,
                "the gradient of input {} at {:?} is {left_out} without output {output}, {zero} with a zero gradient of it",
                input.0, input.1
            ),
        }
    }
}

impl std::error::Error for GradcheckError {}
