//! What checkpointing keeps alive, in bytes. One test, because the counter belongs to the process.

use autograd::{Var, checkpoint};
use tensor::{DType, Tensor, memory};

const N: usize = 100_000;
const DEPTH: usize = 8;

fn buffers(base: usize) -> f64 {
    (memory::stats().live_bytes as f64 - base as f64) / (N * 4) as f64
}

/// Eight operations, each of which keeps its result.
fn part(x: &Var) -> Var {
    (0..DEPTH).fold(x.clone(), |x, _| x.tanh())
}

#[test]
fn only_the_inputs_of_checkpointed_parts_stay_alive() {
    let x = Var::new(Tensor::full([N], 0.5, DType::F32)).requires_grad_(true);
    let base = memory::stats().live_bytes;
    let plain = (0..DEPTH).fold(x.clone(), |x, _| part(&x)).sum();
    assert!(buffers(base) >= (DEPTH * DEPTH) as f64, "{}", buffers(base));
    plain.backward();
    let gradient = x.grad().unwrap().value();
    x.zero_grad();
    drop(plain);

    // The inputs of all parts but the first, which is `x` itself.
    let base = memory::stats().live_bytes;
    let y = (0..DEPTH).fold(x.clone(), |x, _| checkpoint(|v| part(&v[0]), &[&x])).sum();
    let kept = buffers(base);
    assert!(kept < DEPTH as f64 * 1.3, "{kept} buffers");
    y.backward();
    assert!(x.grad().unwrap().value().bit_eq(&gradient));
    x.zero_grad();
    assert!(buffers(base) < 0.1, "{} buffers are left", buffers(base));

    // Nested: only the outermost inputs stay.
    let half = |v: &[Var]| (0..DEPTH / 2).fold(v[0].clone(), |x, _| checkpoint(|v| part(&v[0]), &[&x]));
    let y = checkpoint(half, &[&checkpoint(half, &[&x])]).sum();
    let kept = buffers(base);
    assert!(kept < 2.0, "{kept} buffers");
    y.backward();
    assert!(x.grad().unwrap().value().bit_eq(&gradient));
    x.zero_grad();
    drop(y);

    // A part that a pass did not use in full, and one that no pass used, leave nothing behind either.
    let y = checkpoint(|v| vec![part(&v[0]), part(&(&v[0] + 1.0))], &[&x]);
    y[0].sum().backward();
    drop(y);
    x.zero_grad();
    drop(checkpoint(|v| part(&v[0]), &[&x]));
    assert!(buffers(base) < 0.1, "{} buffers are left", buffers(base));
}
