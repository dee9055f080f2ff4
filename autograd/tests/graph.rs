//! The graph as its users see it: who gets gradients, what is computed, what passes free.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use autograd::{BackwardOptions, GradOptions, Var, enable_grad, grad, is_grad_enabled, no_grad};
use tensor::{DType, Tensor};

fn leaf(values: &[f64]) -> Var {
    Var::new(Tensor::from_slice(values, [values.len()])).requires_grad_(true)
}

fn gradient(x: &Var) -> Vec<f64> {
    x.grad().expect("a gradient").to_vec()
}

/// A product that counts for which of its operands a gradient was computed.
fn counted_mul(a: &Var, b: &Var, counts: &Rc<[Cell<usize>; 2]>) -> Var {
    let value = &a.value() * &b.value();
    let (x, y) = (a.keep_for(&[b]), b.keep_for(&[a]));
    let counts = counts.clone();
    Var::record("counted_mul", value, [a, b], move |dy, need| {
        let count = |i: usize, other: &Var| {
            counts[i].set(counts[i].get() + 1);
            dy * other
        };
        [need.of(0, || count(0, &y)), need.of(1, || count(1, &x))]
    })
}

#[test]
fn a_frozen_weight_or_a_batch_costs_nothing() {
    let counts = Rc::new([Cell::new(0), Cell::new(0)]);
    let (batch, frozen, w) = (Var::new(Tensor::from([1.0, 2.0])), leaf(&[3.0, 4.0]), leaf(&[5.0, 6.0]));
    frozen.requires_grad_(false);
    let hidden = counted_mul(&batch, &w, &counts);
    let y = counted_mul(&hidden, &frozen, &counts);
    y.sum().backward();
    // Once each: through the second product to `hidden`, through the first to `w`.
    assert_eq!((counts[0].get(), counts[1].get()), (1, 1));
    assert_eq!(gradient(&w), [3.0, 8.0]);
    assert!(frozen.grad().is_none() && batch.grad().is_none());
}

#[test]
fn a_weight_that_thaws_after_the_forward_pass_gets_no_gradient() {
    let (x, w) = (leaf(&[1.0, 2.0]), leaf(&[3.0, 4.0]));
    w.requires_grad_(false);
    let y = (&x * &w).sum();
    w.requires_grad_(true);
    y.backward();
    assert!(w.grad().is_none());
    assert_eq!(gradient(&x), [3.0, 4.0]);
}

#[test]
fn a_bias_alone_has_second_derivatives_too() {
    let (x, b) = (Var::new(Tensor::from([[1.0, 2.0, 4.0]])), leaf(&[1.0, 2.0, 3.0]));
    let y = x.layer_norm(1, None, Some(&b), 1e-5);
    let create = GradOptions { create_graph: true, ..Default::default() };
    let db = grad(&[&y.sum()], &[&b], create)[0].clone().unwrap();
    assert_eq!(db.to_vec::<f64>(), [1.0, 1.0, 1.0]);
}

#[test]
#[should_panic(expected = "a hook gave a gradient of f64 [3] for one of f64 [2]")]
fn a_hook_keeps_the_shape() {
    let x = leaf(&[1.0, 2.0]);
    x.register_hook(|_| Some(Var::new(Tensor::from([1.0, 2.0, 3.0]))));
    x.sum().backward();
}

#[test]
#[should_panic(expected = "backward: the list of inputs is empty")]
fn an_empty_list_of_inputs_is_refused() {
    let x = leaf(&[1.0]);
    (&x * &x).backward_with(BackwardOptions { inputs: Some(Vec::new()), ..Default::default() });
}

#[test]
fn only_what_the_wanted_inputs_need_is_computed() {
    let counts = Rc::new([Cell::new(0), Cell::new(0)]);
    let (a, b, c) = (leaf(&[2.0]), leaf(&[3.0]), leaf(&[4.0]));
    let ab = counted_mul(&a, &b, &counts);
    let y = counted_mul(&ab, &c, &counts);
    let dc = grad(&[&y], &[&c], GradOptions { retain_graph: Some(true), ..Default::default() });
    assert_eq!(dc[0].as_ref().unwrap().item::<f64>(), 6.0);
    assert_eq!((counts[0].get(), counts[1].get()), (0, 1));
    y.backward_with(BackwardOptions { inputs: Some(vec![a.clone()]), ..Default::default() });
    assert_eq!((counts[0].get(), counts[1].get()), (2, 1));
    assert_eq!(gradient(&a), [12.0]);
    assert!(b.grad().is_none() && c.grad().is_none());
}

#[test]
fn keep_for_keeps_nothing_that_no_pullback_reads() {
    let (x, constant) = (leaf(&[1.0]), Var::new(Tensor::from([2.0])));
    let y = &x * &constant;
    // Only the constant was kept, so nobody shares the leaf's memory and it changes in place.
    let place = |x: &Var| x.value().as_slice::<f64>().expect("contiguous").as_ptr();
    let before = place(&x);
    x.update(|t| t.mul_scalar_(2.0));
    assert_eq!(place(&x), before);
    y.backward();
    assert_eq!(gradient(&x), [2.0]);
}

#[test]
fn gradients_add_up_over_uses_and_passes() {
    let x = leaf(&[3.0]);
    (&x * &x + &x).backward();
    assert_eq!(gradient(&x), [7.0]);
    (&x * 2.0).backward();
    assert_eq!(gradient(&x), [9.0]);
    x.zero_grad();
    assert!(x.grad().is_none());
}

#[test]
fn a_gradient_that_somebody_holds_does_not_change() {
    let x = leaf(&[3.0]);
    (&x * 2.0).backward();
    let held = x.grad().unwrap();
    let tensor = held.value();
    (&x * 5.0).backward();
    assert_eq!((held.item::<f64>(), tensor.item::<f64>()), (2.0, 2.0));
    assert_eq!(gradient(&x), [7.0]);
}

#[test]
fn two_leaves_never_share_a_gradient_cell() {
    let (a, b) = (leaf(&[1.0]), leaf(&[1.0]));
    (&a + &b).backward();
    a.grad().unwrap().update(|t| t.mul_scalar_(10.0));
    assert_eq!((gradient(&a), gradient(&b)), (vec![10.0], vec![1.0]));
    let grads = grad(&[&(&a + &b)], &[&a, &b], GradOptions::default());
    grads[0].as_ref().unwrap().update(|t| t.mul_scalar_(10.0));
    assert_eq!(grads[1].as_ref().unwrap().item::<f64>(), 1.0);
}

#[test]
#[should_panic(expected = "an earlier pass freed what `mul`")]
fn a_second_pass_is_refused() {
    let x = leaf(&[3.0]);
    let y = &x * &x;
    y.backward();
    y.backward();
}

#[test]
fn a_retained_graph_passes_again_and_so_does_one_that_kept_nothing() {
    let x = leaf(&[3.0]);
    let y = &x * &x;
    y.backward_with(BackwardOptions { retain_graph: Some(true), ..Default::default() });
    y.backward();
    assert_eq!(gradient(&x), [12.0]);
    x.zero_grad();
    // As in PyTorch: an addition has nothing to free.
    let y = &x + 1.0;
    y.backward();
    y.backward();
    assert_eq!(gradient(&x), [2.0]);
}

#[test]
fn an_operand_used_twice_and_a_diamond() {
    let x = leaf(&[2.0]);
    let a = &x * &x;
    let (b, c) = (&a * 3.0, a.exp());
    (&b + &c).backward();
    let expected = 4.0 * 3.0 + 4.0 * 4f64.exp();
    assert!((gradient(&x)[0] - expected).abs() < 1e-10);
}

#[test]
fn intermediate_values_can_be_asked_for() {
    let x = leaf(&[2.0]);
    let a = &x * &x;
    let y = &a * &x;
    let grads = grad(&[&y], &[&a, &x, &y], GradOptions::default());
    let values: Vec<f64> = grads.iter().map(|g| g.as_ref().unwrap().item()).collect();
    assert_eq!(values, [2.0, 12.0, 1.0]);
    assert!(x.grad().is_none());

    let a = &x * &x;
    (&a * &x).backward_with(BackwardOptions { inputs: Some(vec![a.clone()]), ..Default::default() });
    assert_eq!(gradient(&a), [2.0]);
    assert!(x.grad().is_none());
}

#[test]
fn several_outputs_with_their_gradients() {
    let x = leaf(&[1.0, 2.0]);
    let (a, b) = (&x * 2.0, x.square());
    let dys = vec![Var::new(Tensor::from([1.0, 0.0])), Var::new(Tensor::from([10.0, 10.0]))];
    let options = GradOptions { grad_outputs: Some(dys), ..Default::default() };
    let dx = grad(&[&a, &b], &[&x], options)[0].clone().unwrap();
    assert_eq!(dx.to_vec::<f64>(), [22.0, 40.0]);
}

#[test]
fn derivatives_of_derivatives() {
    let x = leaf(&[0.7]);
    let create = || GradOptions { create_graph: true, ..Default::default() };
    let mut y = x.sin();
    let (s, c) = (0.7f64.sin(), 0.7f64.cos());
    for expected in [c, -s, -c, s] {
        y = grad(&[&y], &[&x], create())[0].clone().unwrap();
        assert!((y.item::<f64>() - expected).abs() < 1e-12);
    }
}

#[test]
fn backward_with_create_graph_reaches_the_gradient_slot() {
    let x = leaf(&[3.0]);
    (&x * &x * &x).backward_with(BackwardOptions { create_graph: true, ..Default::default() });
    let dx = x.grad().unwrap();
    assert_eq!((dx.item::<f64>(), dx.requires_grad()), (27.0, true));
    x.zero_grad();
    dx.backward();
    assert_eq!(gradient(&x), [18.0]);
    // The one cycle there is: the slot holds a graph that leads to the leaf.
    x.zero_grad();
}

#[test]
fn recording_is_off_inside_a_plain_pass_and_on_inside_a_recorded_one() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let x = leaf(&[1.0]);
    let spy = |seen: Rc<RefCell<Vec<bool>>>| {
        Var::record_unary("spy", x.value(), &x, move |dy| {
            seen.borrow_mut().push(is_grad_enabled());
            dy.clone()
        })
    };
    spy(seen.clone()).backward();
    no_grad(|| spy(seen.clone()));
    enable_grad(|| spy(seen.clone()).backward_with(BackwardOptions { create_graph: true, ..Default::default() }));
    assert_eq!(*seen.borrow(), [false, true]);
}

#[test]
fn a_pullback_may_run_a_pass_of_its_own() {
    // Checkpointing: the inner values are computed again when the gradient comes.
    let f = |x: &Var| (x * x).tanh();
    let x = leaf(&[0.5, -1.0]);
    let value = no_grad(|| f(&x)).value();
    let kept = x.keep();
    let y = Var::record_unary("checkpoint", value, &x, move |dy| {
        let inner = kept.detach().requires_grad_(true);
        let y = enable_grad(|| f(&inner));
        let options = GradOptions { grad_outputs: Some(vec![dy.clone()]), ..Default::default() };
        grad(&[&y], &[&inner], options)[0].clone().unwrap()
    });
    y.sum().backward();
    let checkpointed = gradient(&x);
    x.zero_grad();
    f(&x).sum().backward();
    assert_eq!(checkpointed, gradient(&x));
}

#[test]
fn hooks_see_the_whole_gradient_once_and_may_replace_it() {
    let x = leaf(&[2.0]);
    let calls = Rc::new(RefCell::new(Vec::new()));
    let log = calls.clone();
    let handle = x.register_hook(move |dx| {
        log.borrow_mut().push(dx.item::<f64>());
        None
    });
    let a = &x * 3.0;
    a.retain_grad();
    a.register_hook(|da| Some(da * 2.0));
    (&a * &a + &a).backward();
    assert_eq!(gradient(&a), [26.0]);
    assert_eq!(*calls.borrow(), [78.0]);
    handle.remove();
    (&x * 1.0).backward();
    assert_eq!(calls.borrow().len(), 1);
}

#[test]
fn an_output_with_several_results_waits_for_all_of_them() {
    let x = leaf(&[1.0, 2.0, 3.0]);
    let parts = x.unbind(0);
    (&parts[0] * &parts[1]).backward();
    assert_eq!(gradient(&x), [2.0, 1.0, 0.0]);
}

#[test]
fn integer_results_are_constants() {
    let x = leaf(&[1.5]);
    assert!(!x.to_dtype(DType::I64).requires_grad());
    let values = vec![x.value(), x.value().to_dtype(DType::I64)];
    let both = Var::record_many("pair", values, [&x], |dys, _| [dys[0].clone()]);
    assert!(both[0].requires_grad() && !both[1].requires_grad());
    both[0].backward();
    assert_eq!(gradient(&x), [1.0]);
}

#[test]
fn a_detached_value_passes_nothing_on() {
    let x = leaf(&[2.0]);
    (&x * &x.detach()).backward();
    assert_eq!(gradient(&x), [2.0]);
}

#[test]
fn a_gradient_of_its_own_for_the_start() {
    let x = leaf(&[1.0, 2.0]);
    let gradient_of_y = Var::new(Tensor::from([3.0f32, 4.0]));
    (&x * 2.0).backward_with(BackwardOptions { gradient: Some(gradient_of_y), ..Default::default() });
    assert_eq!(gradient(&x), [6.0, 8.0]);
}

#[test]
#[should_panic(expected = "this value does not require a gradient")]
fn a_constant_has_no_backward() {
    Var::scalar(1.0f64).backward();
}

#[test]
#[should_panic(expected = "a gradient can be created only for a scalar, this value has shape [2]")]
fn a_vector_needs_a_gradient() {
    (leaf(&[1.0, 2.0]) * 2.0).backward();
}

#[test]
#[should_panic(expected = "the gradient of this value has shape [3], the value [2]")]
fn the_gradient_has_the_shape_of_the_value() {
    let gradient = Some(Var::new(Tensor::from([1.0, 2.0, 3.0])));
    (leaf(&[1.0, 2.0]) * 2.0).backward_with(BackwardOptions { gradient, ..Default::default() });
}

#[test]
#[should_panic(expected = "grad: input 1 does not require a gradient")]
fn an_input_requires_a_gradient() {
    let x = leaf(&[1.0]);
    grad(&[&(&x * 2.0)], &[&x, &Var::scalar(1.0f64)], GradOptions::default());
}

#[test]
#[should_panic(expected = "`lgamma` has no derivative")]
fn an_operation_without_a_derivative_refuses_by_name() {
    let x = leaf(&[1.0]);
    (Var::record_refusing("lgamma", x.value(), [&x]) * 2.0).backward();
}

#[test]
#[should_panic(expected = "the pullback of `odd` gave 1 gradients for 2 inputs")]
fn a_pullback_answers_for_all_inputs() {
    let x = leaf(&[1.0]);
    Var::record("odd", x.value(), [&x, &x], |dy, _| [Some(dy.clone())]).backward();
}

#[test]
#[should_panic(expected = "gave input 0 of shape [2] a gradient of shape [3]")]
fn a_gradient_must_fit_its_input() {
    let x = leaf(&[1.0, 2.0]);
    let wrong = Var::new(Tensor::from([1.0, 2.0, 3.0]));
    Var::record_unary("wrong", x.value(), &x, move |_| wrong.clone()).sum().backward();
}
