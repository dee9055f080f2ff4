//! The cost of small operations.

use std::time::Instant;

use nn::prelude::*;
use tensor::{DType, Tensor};

use super::median;

/// What [`ops`] measured, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpsSpeed {
    /// Adding two 2 x 2 matrices that require gradients.
    pub add_2x2_ns: f64,
    /// One node of a chain of 1000, recorded and differentiated.
    pub chain_node_ns: f64,
}

/// The cost of operations that are too small for arithmetic to matter.
pub fn ops() -> OpsSpeed {
    let leaf = || Var::new(Tensor::rand([2, 2], DType::F32)).requires_grad_(true);
    let (x, y) = (leaf(), leaf());
    let adds = || {
        for _ in 0..1000 {
            std::hint::black_box(&x + &y);
        }
    };
    let chain = || {
        let mut z = x.clone();
        for _ in 0..500 {
            z = (&z + &y) * &y;
        }
        z.sum().backward();
        x.zero_grad();
        y.zero_grad();
    };
    OpsSpeed { add_2x2_ns: nanoseconds(adds, 1000), chain_node_ns: nanoseconds(chain, 1000) }
}

/// The median time of 30 calls after a first, divided by `n`.
fn nanoseconds(mut f: impl FnMut(), n: usize) -> f64 {
    f();
    let mut times: Vec<f64> = (0..30)
        .map(|_| {
            let begun = Instant::now();
            f();
            begun.elapsed().as_secs_f64() / n as f64 * 1e9
        })
        .collect();
    median(&mut times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_operations_take_some_time() {
        let speed = ops();
        assert!(speed.add_2x2_ns > 0.0 && speed.chain_node_ns > 0.0);
    }
}
