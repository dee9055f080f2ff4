//! What anomaly mode looks for: NaN in the results of operations and in the gradients that pullbacks give.

use std::panic::Location;

use tensor::Tensor;

use crate::step::Step;
use crate::var::Var;

/// Refuses the result of an operation that has a NaN.
#[cold]
#[track_caller]
pub(crate) fn check_result(name: &str, inputs: &[&Var], value: &Tensor) {
    let Some(nan) = find_nan(value) else { return };
    let place = Location::caller();
    let given = inputs.iter().position(|input| find_nan(&input.tensor()).is_some());
    let blame = match given {
        Some(i) => format!("input {i} has NaN already"),
        None => "its inputs have none".to_string(),
    };
    panic!("anomaly: the result of `{name}` ({place}) is NaN {nan}\n  {blame}");
}

/// Refuses gradients of a step's inputs that have a NaN: `dys` are those of its outputs.
#[track_caller]
pub(crate) fn check_gradients(step: &Step, dys: &[Option<Var>], grads: &[Option<Var>], need: &[bool]) {
    let found = grads.iter().zip(need).enumerate().find_map(|(i, (grad, needed))| {
        let grad = grad.as_ref().filter(|_| *needed)?;
        Some((i, find_nan(&grad.tensor())?))
    });
    let Some((input, nan)) = found else { return };
    let blame = match dys.iter().flatten().any(|dy| find_nan(&dy.tensor()).is_some()) {
        true => "the gradient of its result has NaN already: it came with the seed or a hook",
        false => "the gradient of its result has none",
    };
    panic!("anomaly: the gradient of input {input} of `{}` ({}) is NaN {nan}\n  {blame}", step.name, step.place);
}

/// Where a tensor has NaN, in words.
fn find_nan(t: &Tensor) -> Option<String> {
    if !t.dtype().is_floating_point() || !t.ne(t).any().item::<bool>() {
        return None;
    }
    let is_nan = t.ne(t).to_vec::<bool>();
    let first = is_nan.iter().position(|nan| *nan).expect("there is one");
    let count = is_nan.iter().filter(|nan| **nan).count();
    Some(format!("at {:?} ({count} of {} elements)", index_of(t.dims(), first), t.numel()))
}

/// The index of a row-major position.
pub(crate) fn index_of(shape: &[usize], mut position: usize) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for d in (0..shape.len()).rev() {
        index[d] = position % shape[d];
        position /= shape[d];
    }
    index
}
