//! Checkpointing changes memory and time, nothing else.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::slice::from_ref;

use autograd::{BackwardOptions, GradOptions, Var, checkpoint, grad, gradcheck, gradgradcheck, no_grad};
use tensor::{DType, Generator, Tensor, manual_seed, random};

fn random(shape: &[usize], seed: u64) -> Var {
    Var::new(Tensor::randn_with(shape, DType::F32, &mut Generator::new(seed))).requires_grad_(true)
}

/// A block with a residual connection, two weights, dropout, and a value that is used three times.
#[derive(Clone)]
struct Block {
    a: Var,
    b: Var,
}

impl Block {
    fn new(seed: u64) -> Block {
        Block { a: random(&[6, 6], seed), b: random(&[6], seed + 1) }
    }

    fn run(&self, x: &Var) -> Var {
        let h = x.matmul(&self.a).tanh().dropout(0.3);
        let n = (&h * &h + &h.sigmoid() * &self.b + x).layer_norm(1, None, Some(&self.b), 1e-5);
        &n * x + n.exp()
    }
}

fn zero_grad(vars: &[&Var]) {
    vars.iter().for_each(|var| var.zero_grad());
}

fn bits(vars: &[&Var]) -> Vec<Tensor> {
    vars.iter().map(|v| v.grad().expect("a gradient").value()).collect()
}

#[track_caller]
fn assert_bit_equal(a: &[Tensor], b: &[Tensor]) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| a.bit_eq(b)), "{a:?} {b:?}");
}

/// Losses of three blocks, with parts checkpointed or not, and all gradients.
fn gradients(checkpointed: bool) -> (Vec<Tensor>, (u64, u64)) {
    manual_seed(11);
    let blocks: Vec<Block> = (0..3).map(|i| Block::new(10 * i)).collect();
    let x = random(&[4, 6], 99);
    let mut h = x.clone();
    for block in &blocks {
        h = match checkpointed {
            true => {
                let block = block.clone();
                checkpoint(move |v| block.run(&v[0]), &[&h])
            }
            false => block.run(&h),
        };
    }
    (&h * &h + &x).mean().backward();
    let leaves: Vec<&Var> = blocks.iter().flat_map(|b| [&b.a, &b.b]).chain([&x]).collect();
    (bits(&leaves), random::get_state())
}

#[test]
fn gradients_are_bit_equal_and_the_random_state_goes_on_as_without() {
    let (plain, state) = gradients(false);
    let (checkpointed, state_after) = gradients(true);
    assert_bit_equal(&plain, &checkpointed);
    assert_eq!(state, state_after);
}

#[test]
fn parts_nest() {
    let run = |depth: usize| {
        manual_seed(5);
        let blocks: Rc<Vec<Block>> = Rc::new((0..4).map(|i| Block::new(7 * i)).collect());
        let x = random(&[3, 6], 1);
        let two = |blocks: Rc<Vec<Block>>, at: usize, inner: bool| {
            move |v: &[Var]| {
                let one = |block: Block, x: &Var| match inner {
                    true => checkpoint(move |v| block.run(&v[0]), &[x]),
                    false => block.run(x),
                };
                one(blocks[at + 1].clone(), &one(blocks[at].clone(), &v[0]))
            }
        };
        let y = match depth {
            0 => two(blocks.clone(), 2, false)(&[two(blocks.clone(), 0, false)(from_ref(&x))]),
            _ => {
                let h = checkpoint(two(blocks.clone(), 0, depth == 2), &[&x]);
                checkpoint(two(blocks.clone(), 2, depth == 2), &[&h])
            }
        };
        y.sum().backward();
        bits(&blocks.iter().flat_map(|b| [&b.a, &b.b]).chain([&x]).collect::<Vec<_>>())
    };
    assert_bit_equal(&run(0), &run(1));
    assert_bit_equal(&run(0), &run(2));
}

#[test]
fn the_function_runs_once_more_per_pass_and_not_without_recording() {
    let calls = Rc::new(Cell::new(0));
    let counted = |calls: &Rc<Cell<usize>>| {
        let calls = calls.clone();
        move |v: &[Var]| {
            calls.set(calls.get() + 1);
            (v[0].exp() * &v[1]).tanh()
        }
    };
    let (x, w) = (random(&[3], 1), random(&[3], 2));
    let y = checkpoint(counted(&calls), &[&x, &w]).sum();
    assert_eq!(calls.get(), 1);
    y.backward_with(BackwardOptions { retain_graph: Some(true), ..Default::default() });
    assert_eq!(calls.get(), 2);
    let first = bits(&[&x, &w]);
    zero_grad(&[&x, &w]);
    y.backward();
    assert_eq!(calls.get(), 3);
    assert_bit_equal(&first, &bits(&[&x, &w]));

    let y = no_grad(|| checkpoint(counted(&calls), &[&x, &w]));
    assert!(!y.requires_grad());
    assert_eq!(calls.get(), 4);
    // Constants only: nothing is recorded, so nothing will run again.
    assert!(!checkpoint(counted(&calls), &[&x.detach(), &w.detach()]).requires_grad());
}

#[test]
#[should_panic(expected = "an earlier pass freed what `sum`")]
fn a_second_pass_needs_a_retained_graph() {
    let x = random(&[3], 1);
    let y = checkpoint(|v| v[0].exp().tanh().sum(), &[&x]);
    y.backward();
    y.backward();
}

#[test]
fn several_outputs_and_values_from_outside() {
    let (x, w) = (random(&[4], 3), random(&[4], 4));
    let run = |checkpointed: bool| {
        zero_grad(&[&x, &w]);
        // A value computed outside, captured by the function, and used again after it.
        let outside = &w * &w;
        let captured = outside.clone();
        let f = move |v: &[Var]| -> Vec<Var> {
            let h = v[0].exp() * &captured;
            vec![h.tanh(), h.sin(), Var::new(h.value())]
        };
        let y = if checkpointed { checkpoint(f, &[&x]) } else { f(from_ref(&x)) };
        assert!(!y[2].requires_grad());
        (&y[0] * &y[1] + &outside).sum().backward();
        let both = bits(&[&x, &w]);
        // One output alone.
        zero_grad(&[&x, &w]);
        let f = |v: &[Var]| -> [Var; 2] { [v[0].exp(), v[0].tanh()] };
        let y = if checkpointed { checkpoint(f, &[&x]) } else { f(from_ref(&x)) };
        y[1].sum().backward();
        [both, bits(&[&x])].concat()
    };
    assert_bit_equal(&run(false), &run(true));
}

#[test]
fn frozen_inputs_and_chosen_inputs() {
    let (x, w) = (random(&[4], 3), random(&[4], 4));
    let frozen = x.detach();
    let f = |v: &[Var]| (&v[0] * &v[1]).exp() * &v[1];
    let y = checkpoint(f, &[&frozen, &w]).sum();
    let expected = grad(&[&f(&[frozen.clone(), w.clone()]).sum()], &[&w], GradOptions::default());
    let got = grad(&[&y], &[&w], GradOptions::default());
    assert!(got[0].as_ref().unwrap().value().bit_eq(&expected[0].as_ref().unwrap().value()));
    assert!(x.grad().is_none() && frozen.grad().is_none());
}

#[test]
fn hooks_and_retained_gradients_inside_work() {
    let x = random(&[3], 1);
    let seen: Rc<RefCell<Vec<Tensor>>> = Rc::default();
    let inner = seen.clone();
    let y = checkpoint(
        move |v| {
            let h = v[0].exp();
            let seen = inner.clone();
            h.register_hook(move |dh| {
                seen.borrow_mut().push(dh.value());
                None
            });
            h.square()
        },
        &[&x],
    );
    y.sum().backward();
    assert_eq!(seen.borrow().len(), 1);
    assert!(seen.borrow()[0].bit_eq(&(x.value().exp() * 2.0)));
}

#[test]
fn a_checkpointed_function_is_twice_differentiable() {
    let x = Var::new(Tensor::from([0.3, -0.7])).requires_grad_(true);
    let w = Var::new(Tensor::from([1.3, 0.4])).requires_grad_(true);
    let f = |v: &[Var]| checkpoint(|v| (&v[0] * &v[1]).tanh() * v[0].exp(), &[&v[0], &v[1]]);
    gradcheck(f, &[x.clone(), w.clone()], Default::default()).unwrap();
    gradgradcheck(f, &[x.clone(), w.clone()], Default::default()).unwrap();
    // A captured leaf has second derivatives too.
    let captured = w.clone();
    let y = checkpoint(move |v| (&v[0] * &captured).tanh(), &[&x]).sum();
    let create = GradOptions { create_graph: true, ..Default::default() };
    let dw = grad(&[&y], &[&w], create)[0].clone().unwrap();
    let got = grad(&[&dw.sum()], &[&x, &w], GradOptions::default());
    let plain = (&x * &w).tanh().sum();
    let create = GradOptions { create_graph: true, ..Default::default() };
    let dw = grad(&[&plain], &[&w], create)[0].clone().unwrap();
    let expected = grad(&[&dw.sum()], &[&x, &w], GradOptions::default());
    for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
        assert!(got.value().allclose(&expected.value(), 1e-12, 1e-12));
    }
}

#[test]
#[should_panic(expected = "checkpoint: a leaf that the function captured has changed since the forward pass")]
fn a_captured_leaf_that_changed_is_refused() {
    let (x, w) = (random(&[3], 1), random(&[3], 2));
    let captured = w.clone();
    let y = checkpoint(move |v| (&v[0] * &captured).tanh(), &[&x]).sum();
    w.update(|w| w.mul_scalar_(2.0));
    y.backward();
}

#[test]
fn an_input_that_changed_counts_as_it_was() {
    let x = random(&[3], 1);
    let expected = x.value().exp();
    let y = checkpoint(|v| v[0].exp(), &[&x]).sum();
    x.update(|x| x.mul_scalar_(2.0));
    y.backward();
    assert!(x.grad().unwrap().value().bit_eq(&expected));
}

#[test]
#[should_panic(expected = "the function did not do the same when it ran again: step 0 was `exp` and is `tanh`")]
fn another_computation_is_refused() {
    let (x, first) = (random(&[3], 1), Cell::new(true));
    let y = checkpoint(move |v| if first.replace(false) { v[0].exp() } else { v[0].tanh() }, &[&x]);
    y.sum().backward();
}

#[test]
#[should_panic(expected = "the function did not do the same when it ran again: 2 steps, then 1")]
fn a_shorter_computation_is_refused() {
    let (x, first) = (random(&[3], 1), Cell::new(true));
    let y = checkpoint(move |v| if first.replace(false) { v[0].exp().tanh() } else { v[0].exp() }, &[&x]);
    y.sum().backward();
}

#[test]
fn a_panic_in_the_second_run_leaves_modes_and_random_state_as_they_were() {
    let (x, first) = (random(&[3], 1), Cell::new(true));
    let y = checkpoint(
        move |v| {
            let y = v[0].dropout(0.5).exp();
            assert!(first.replace(false), "the second time");
            y
        },
        &[&x],
    );
    let before = random::get_state();
    let y = std::panic::AssertUnwindSafe(y.sum());
    assert!(std::panic::catch_unwind(|| y.backward()).is_err());
    assert_eq!(random::get_state(), before);
    assert!(autograd::is_grad_enabled());
}
