//! Second derivatives of fused operations, by way of their plain references.

use crate::engine::{GradOptions, grad};
use crate::mode::is_grad_enabled;
use crate::step::Need;
use crate::var::Var;

/// The gradients of `reference(inputs)` with the output's gradient `dy`, recorded so that they can be differentiated
/// again.
///
/// This is what a fused pullback gives when it runs with recording on: `reference` computes the same function from
/// simple operations.
///
/// # Panics
/// When recording is off: then the fused pullback itself is the one to run.
///
/// ```
/// use autograd::{GradOptions, Var, grad, is_grad_enabled, reference_vjp};
/// use tensor::Tensor;
/// fn square(x: &Var) -> Var {
///     let kept = x.keep();
///     Var::record("square", x.value().square(), [x], move |dy, need| match is_grad_enabled() {
///         true => reference_vjp(|x| &x[0] * &x[0], &[&kept], dy, need),
///         false => vec![Some(Var::new(&dy.value() * &(2.0 * &kept.value())))],
///     })
/// }
/// let x = Var::new(Tensor::from([3.0])).requires_grad_(true);
/// let create = GradOptions { create_graph: true, ..Default::default() };
/// let dx = grad(&[&square(&x)], &[&x], create)[0].clone().unwrap();
/// dx.backward();
/// assert_eq!(x.grad().unwrap().item::<f64>(), 2.0);
/// ```
pub fn reference_vjp(
    reference: impl FnOnce(&[Var]) -> Var,
    inputs: &[&Var],
    dy: &Var,
    need: Need<'_>,
) -> Vec<Option<Var>> {
    assert!(is_grad_enabled(), "reference_vjp: recording is off");
    if !(0..inputs.len()).any(|i| need.is(i)) {
        return vec![None; inputs.len()];
    }
    // An alias is a step of its own, so that the inner pass stops at it and tells apart two inputs that are one value.
    let aliases: Vec<Var> =
        inputs.iter().map(|input| Var::record_unary("alias", input.value(), input, |dy| dy.clone())).collect();
    let y = reference(&aliases);
    let wanted: Vec<&Var> = aliases.iter().enumerate().filter(|(i, _)| need.is(*i)).map(|(_, alias)| alias).collect();
    let options = GradOptions {
        grad_outputs: Some(vec![dy.clone()]),
        create_graph: true,
        allow_unused: Some(true),
        ..Default::default()
    };
    let mut grads = grad(&[&y], &wanted, options).into_iter();
    (0..inputs.len()).map(|i| if need.is(i) { grads.next().flatten() } else { None }).collect()
}
