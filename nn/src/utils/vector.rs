//! Parameters as one vector, and back.

use autograd::Var;
use tensor::Tensor;

use crate::Parameter;

/// The elements of all parameters in one vector, in order.
///
/// # Gradient
/// Each parameter gets its piece of the vector's.
///
/// # Panics
/// When there is no parameter.
///
/// ```
/// use nn::prelude::*;
/// use nn::utils::{parameters_to_vector, vector_to_parameters};
///
/// let layer = Linear::new(2, 3);
/// let vector = parameters_to_vector(&layer.parameters());
/// assert_eq!(vector.shape(), [2 * 3 + 3]);
/// vector_to_parameters(&(vector.value() * 2.0), &layer.parameters());
/// assert!(layer.bias.unwrap().value().bit_eq(&(vector.value().narrow(0, 6, 3) * 2.0)));
/// ```
#[track_caller]
pub fn parameters_to_vector(params: &[Parameter]) -> Var {
    assert!(!params.is_empty(), "parameters_to_vector: there is no parameter");
    let flat: Vec<Var> = params.iter().map(|parameter| parameter.flatten(0, -1)).collect();
    Var::cat(&flat.iter().collect::<Vec<_>>(), 0)
}

/// Sets the parameters to the pieces of a vector, in order: the inverse of [`parameters_to_vector`].
///
/// # Panics
/// When the vector has not as many elements as the parameters have together.
#[track_caller]
pub fn vector_to_parameters(vector: &Tensor, params: &[Parameter]) {
    let total: usize = params.iter().map(|parameter| parameter.numel()).sum();
    assert!(
        vector.dims() == [total],
        "vector_to_parameters: the vector does not fit the parameters\n  vector {}   rule [{total}]",
        vector.shape()
    );
    let mut start = 0;
    for parameter in params {
        let (count, dtype) = (parameter.numel(), parameter.dtype());
        let piece = vector.narrow(0, start, count).reshape(parameter.shape().to_vec());
        // A copy: the parameters are changed in place later on, and share no memory.
        parameter.set_value(piece.to_dtype(dtype).copy());
        start += count;
    }
}
