//! What a graph keeps alive, in bytes. One test, because the counter belongs to the process.

use autograd::{BackwardOptions, Var};
use tensor::{DType, Tensor, memory};

const N: usize = 100_000;
const BUFFER: u64 = (N * 4) as u64;

/// How many buffers of `N` floats are alive beyond those of `base`.
fn buffers(base: u64) -> f64 {
    (memory::stats().live_bytes as u64 - base) as f64 / BUFFER as f64
}

fn assert_buffers(base: u64, expected: usize) {
    // Size classes round up, and small values live besides.
    let got = buffers(base);
    assert!((expected as f64 - 0.1..expected as f64 * 1.4 + 0.5).contains(&got), "{got} buffers instead of {expected}");
}

fn large() -> Tensor {
    Tensor::full([N], 0.5, DType::F32)
}

#[test]
fn a_graph_keeps_what_its_pullbacks_captured() {
    let base = memory::stats().live_bytes as u64;
    let x = Var::new(large()).requires_grad_(true);
    assert_buffers(base, 1);

    // Sums keep nothing, whatever the intermediate results were.
    let y = ((&x + 1.0) + 2.0 - 3.0).sum();
    assert_buffers(base, 1);
    drop(y);

    // tanh keeps its result and exp keeps its own; the sums between them are gone.
    let y = ((&x + 1.0).tanh() + 1.0).exp().sum();
    assert_buffers(base, 3);
    y.backward();
    // The captures are free, the gradient has come.
    assert_buffers(base, 2);
    x.zero_grad();
    drop(y);
    assert_buffers(base, 1);

    // An operation that keeps its output is no cycle: dropping the handle without a backward pass frees it.
    let y = x.exp();
    assert_buffers(base, 2);
    drop(y);
    assert_buffers(base, 1);

    // A product with a constant keeps the constant (shared with its owner), not the variable.
    let scale = Var::new(large());
    let y = &(&x + 1.0) * &scale;
    assert_buffers(base, 3);
    drop(y);
    assert_buffers(base, 2);
    drop(scale);

    // Without recording nothing is kept.
    let y = autograd::no_grad(|| x.tanh().exp().sum());
    assert_buffers(base, 1);
    drop(y);

    // A retained graph keeps the old value of a leaf that changed; the leaf has its own.
    let loss = (&x * &x).sum();
    loss.backward_with(BackwardOptions { retain_graph: Some(true), ..Default::default() });
    x.zero_grad();
    x.update(|t| t.mul_scalar_(2.0));
    assert_buffers(base, 2);
    loss.backward();
    assert_eq!(x.grad().unwrap().value().get::<f32>(&[0]), 1.0);
    x.zero_grad();
    assert_buffers(base, 1);
    drop(loss);

    // A training step: after its backward pass the leaf is the only owner, so an update copies nothing.
    for _ in 0..3 {
        (&x * &x).tanh().sum().backward();
        let before = memory::stats().copies_on_write;
        let gradient = x.grad().unwrap().value();
        x.update(|t| t.add_scaled_(&gradient, -0.1));
        drop(gradient);
        x.zero_grad();
        assert_eq!(memory::stats().copies_on_write, before);
        assert_buffers(base, 1);
    }
    drop(x);
    assert_buffers(base, 0);
}
