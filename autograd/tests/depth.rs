//! Depth costs no stack: graphs of a million nodes run backward and drop on a thread with 64 KiB.

use autograd::{GradOptions, Var, grad};
use tensor::Tensor;

const NODES: usize = 1_000_000;

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(64 * 1024).spawn(test).expect("a thread");
    thread.join().expect("no panic and no overflow");
}

fn leaf(value: f64) -> Var {
    Var::new(Tensor::scalar(value)).requires_grad_(true)
}

#[test]
fn steps_that_capture_nothing() {
    on_a_small_stack(|| {
        let x = leaf(1.0);
        let mut y = &x + 1.0;
        for _ in 1..NODES {
            y = y + 1.0;
        }
        y.backward();
        assert_eq!(x.grad().unwrap().item::<f64>(), 1.0);
        drop(y);
    });
}

#[test]
fn steps_that_capture_their_inputs() {
    on_a_small_stack(|| {
        let (x, w) = (leaf(1.0), leaf(1.0));
        let mut y = x.clone();
        for _ in 0..NODES {
            y = &y * &w;
        }
        y.backward();
        assert_eq!(x.grad().unwrap().item::<f64>(), 1.0);
        assert_eq!(w.grad().unwrap().item::<f64>(), NODES as f64);
        drop(y);
    });
}

#[test]
fn a_graph_that_never_ran_backward_drops() {
    on_a_small_stack(|| {
        let w = leaf(1.0);
        let mut y = leaf(1.0);
        for _ in 0..NODES {
            y = (&y * &w).tanh();
        }
        drop(w);
        drop(y);
    });
}

#[test]
fn wide_and_deep_graphs_drop() {
    on_a_small_stack(|| {
        let mut y = leaf(1.0);
        for _ in 0..NODES / 4 {
            // Every value is used twice, and captured twice.
            y = &y * &y - &y * 0.5;
        }
        let x = leaf(1.0);
        let z = &y * &x;
        z.backward();
        assert!(x.grad().is_some());
    });
}

#[test]
fn a_recorded_pass_is_as_deep() {
    on_a_small_stack(|| {
        let (x, w) = (leaf(1.0), leaf(1.0));
        let mut y = x.clone();
        for _ in 0..100_000 {
            y = &y * &w;
        }
        let create = GradOptions { create_graph: true, ..Default::default() };
        let dx = grad(&[&y], &[&x], create)[0].clone().expect("y depends on x");
        let dxdw = grad(&[&dx], &[&w], GradOptions::default())[0].clone().expect("dx depends on w");
        assert_eq!(dxdw.item::<f64>(), 100_000.0);
    });
}
