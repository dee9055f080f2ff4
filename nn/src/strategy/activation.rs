//! Activations.

use autograd::strategy::{Domain, leaves};
use proptest::prelude::*;

use super::{Case, batch_shapes, sizes};
use crate::{
    Approximate, CELU, ELU, Forward, GELU, GLU, Hardshrink, Hardsigmoid, Hardswish, Hardtanh, LeakyReLU, LogSigmoid,
    LogSoftmax, Mish, Module, PReLU, ReLU, ReLU6, SELU, Sequential, SiLU, Sigmoid, Softmax, Softmin, Softplus,
    Softshrink, Softsign, Tanh, Tanhshrink, Threshold, sequential,
};
use tensor::DType;

/// Every activation, with inputs `[batch.., 2 n]` that keep away from their kinks.
///
/// ```
/// use nn::strategy::activations;
/// use proptest::prelude::*;
/// proptest!(ProptestConfig::with_cases(16), |(case in activations())| {
///     case.check_gradients().unwrap();
/// });
/// ```
pub fn activations() -> impl Strategy<Value = Case<Sequential>> {
    (prop::sample::select(ALL), batch_shapes(), sizes()).prop_flat_map(|(activation, batch, n)| {
        let shape = [batch, vec![2 * n]].concat();
        // A learned slope starts in f32.
        leaves(Just(shape), Domain::Away(KINKS)).prop_map(move |input| {
            let module = activation();
            module.to_dtype(DType::F64);
            Case { module, input }
        })
    })
}

/// The kinks of all of them within the domain.
const KINKS: &[f64] = &[-1.0, -0.5, 0.0, 0.5, 1.0];

const ALL: &[fn() -> Sequential] = &[
    || one(ReLU::new()),
    || one(ReLU6::new()),
    || one(LeakyReLU::with(0.2)),
    || one(PReLU::new()),
    || one(ELU::with(1.5)),
    || one(SELU::new()),
    || one(CELU::with(0.75)),
    || one(GELU::new()),
    || one(GELU::with(Approximate::Tanh)),
    || one(SiLU::new()),
    || one(Mish::new()),
    || one(Softplus::with(2.0, 2.0)),
    || one(Softsign::new()),
    || one(Hardtanh::with(-1.0, 0.5)),
    || one(Hardswish::new()),
    || one(Hardsigmoid::new()),
    || one(Sigmoid::new()),
    || one(Tanh::new()),
    || one(LogSigmoid::new()),
    || one(Tanhshrink::new()),
    || one(Softshrink::new()),
    || one(Hardshrink::with(1.0)),
    || one(Threshold::new(0.5, 3.0)),
    || one(Softmax::new(-1)),
    || one(Softmin::new(-1)),
    || one(LogSoftmax::new(-1)),
    || one(GLU::new()),
];

fn one(activation: impl Forward + 'static) -> Sequential {
    sequential![activation]
}
