//! The gradient that a rule is given.

use tensor::{ElementStep, Real, Steps, Tensor};

/// The gradient of a parameter: a tensor and what its elements are multiplied by as they are read.
#[derive(Debug, Clone, Copy)]
pub struct Gradient<'a> {
    tensor: &'a Tensor,
    factor: f64,
}

impl<'a> Gradient<'a> {
    /// `factor * tensor`.
    pub fn new(tensor: &'a Tensor, factor: f64) -> Gradient<'a> {
        Gradient { tensor, factor }
    }

    /// The tensor before it is multiplied, for its shape and dtype.
    pub fn unscaled(&self) -> &'a Tensor {
        self.tensor
    }

    /// [`Tensor::step_`] with this gradient: `f` gets each element multiplied.
    ///
    /// # Panics
    /// As [`Tensor::step_`].
    #[track_caller]
    pub fn step_<F: Steps<N>, const N: usize>(self, name: &str, parameter: &mut Tensor, kept: [&mut Tensor; N], f: F)
    where
        Scaled<F>: Steps<N>,
    {
        Tensor::step_(name, parameter, self.tensor, kept, Scaled { f, factor: self.factor });
    }
}

/// A step by `factor g` for the gradient g.
#[derive(Debug, Clone, Copy)]
pub struct Scaled<F> {
    f: F,
    factor: f64,
}

impl<F: ElementStep<N>, const N: usize> ElementStep<N> for Scaled<F> {
    #[inline(always)]
    fn call<T: Real>(self, parameter: T, gradient: T, kept: [T; N]) -> (T, [T; N]) {
        self.f.call(parameter, gradient * T::of(self.factor), kept)
    }
}
