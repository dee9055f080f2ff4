//! Pooling: the largest or the mean element of windows.

mod adaptive;
mod avg_pool;
mod max_pool;

pub use adaptive::*;
pub use avg_pool::*;
pub use max_pool::*;
pub use tensor::{AvgPool, MaxPool};

use tensor::PerDim;

use crate::layers::printed;

/// Numbers as PyTorch prints what it was given: one number, or a tuple.
fn as_given(numbers: &PerDim) -> String {
    match numbers.numbers() {
        [n] => n.to_string(),
        several => printed::tuple(several),
    }
}

/// Refuses numbers that are neither one nor one per dimension.
#[track_caller]
fn check(layer: &str, dims: usize, named: &[(&str, Option<&PerDim>)]) {
    for (name, numbers) in named {
        let count = numbers.map_or(1, |numbers| numbers.numbers().len());
        assert!(
            count == 1 || count == dims,
            "{layer}: {name} does not have one number, or {dims}\n  {name} {:?}",
            numbers.map(PerDim::numbers).unwrap_or_default()
        );
    }
}
