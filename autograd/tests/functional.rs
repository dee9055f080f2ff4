//! Products with Jacobians and Hessians against closed forms, against each other and against central differences.

use autograd::{FunctionalOptions, GradOptions, Var, grad, gradcheck, hessian, hvp, jacobian, jvp, vhp, vjp};
use std::slice::from_ref;
use tensor::{DType, Generator, Tensor};

fn vector(values: &[f64]) -> Var {
    Var::new(Tensor::from_slice(values, [values.len()]))
}

fn normal(shape: &[usize], seed: u64) -> Var {
    Var::new(Tensor::randn_with(shape, DType::F64, &mut Generator::new(seed)))
}

#[track_caller]
fn assert_close(got: &Var, expected: &Tensor, tolerance: f64) {
    assert_eq!(got.shape(), *expected.shape());
    assert!(got.value().allclose(expected, tolerance, tolerance), "{got} instead of {expected}");
}

fn message(f: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).expect_err("a panic");
    payload.downcast_ref::<String>().expect("a message").clone()
}

const CREATE: FunctionalOptions = FunctionalOptions { create_graph: true, strict: false };
const STRICT: FunctionalOptions = FunctionalOptions { create_graph: false, strict: true };

/// Two inputs of different shapes, two outputs, of which the second does not depend on the second input.
fn two(v: &[Var]) -> Vec<Var> {
    vec![v[0].matmul(&v[1]).tanh(), v[0].square().sum_dim([0], false)]
}

#[test]
fn the_jacobian_of_softmax() {
    let x = vector(&[0.5, -1.0, 2.0]);
    let s = x.softmax(0).value();
    let j = jacobian(|v| v[0].softmax(0), &[x], Default::default());
    let diagonal = &Tensor::eye(3, DType::F64) * &s;
    let outer = s.unsqueeze(1).matmul(&s.unsqueeze(0));
    assert_close(&j[0][0], &(diagonal - outer), 1e-14);
}

#[test]
fn the_hessian_of_a_quadratic_form() {
    // x A x has the Hessian A + A^T.
    let (a, x, v) = (normal(&[4, 4], 1), normal(&[4], 2), normal(&[4], 3));
    let form = |v: &[Var]| v[0].matmul(&a).matmul(&v[0]);
    let expected = &a.value() + &a.value().transpose(0, 1);
    let h = hessian(form, from_ref(&x), Default::default());
    assert_close(&h[0][0], &expected, 1e-13);
    let (y, product) = hvp(form, from_ref(&x), Some(from_ref(&v)), Default::default());
    assert_close(&y, &form(from_ref(&x)).value(), 1e-13);
    assert_close(&product[0], &expected.matmul(&v.value()), 1e-13);
    let (_, product) = vhp(form, from_ref(&x), Some(from_ref(&v)), Default::default());
    assert_close(&product[0], &v.value().matmul(&expected), 1e-13);
    assert!(!product[0].requires_grad());
}

#[test]
fn jacobians_have_the_shape_of_output_and_input_and_the_right_entries() {
    let (a, b) = (normal(&[2, 3], 1), normal(&[3], 2));
    let inputs = [a, b];
    let j = jacobian(two, &inputs, Default::default());
    let shapes: Vec<Vec<usize>> = j.iter().flatten().map(|j| j.shape().to_vec()).collect();
    assert_eq!(shapes, [vec![2, 2, 3], vec![2, 3], vec![3, 2, 3], vec![3, 3]]);
    assert_close(&j[1][1], &Tensor::zeros([3, 3], DType::F64), 0.0);
    // Central differences.
    for (i, input) in inputs.iter().enumerate() {
        for element in 0..input.numel() {
            let at = |by: f64| {
                let mut values = input.to_vec::<f64>();
                values[element] += by;
                let moved = Var::new(Tensor::from_vec(values, input.shape()));
                let inputs: Vec<Var> = (0..2).map(|k| if k == i { moved.clone() } else { inputs[k].clone() }).collect();
                two(&inputs)
            };
            for (output, (up, down)) in at(1e-6).iter().zip(&at(-1e-6)).enumerate() {
                let expected = (up - down).value().div_scalar(2e-6);
                let rows = j[output][i].value().reshape([expected.numel(), input.numel()]);
                let column = rows.select(1, element).reshape(expected.shape());
                assert!(column.allclose(&expected, 1e-8, 1e-8), "output {output} by input {i}");
            }
        }
    }
}

#[test]
fn products_agree_with_the_jacobian() {
    let inputs = [normal(&[2, 3], 1), normal(&[3], 2)];
    let j = jacobian(two, &inputs, Default::default());
    let flat = |j: &Var, rows: usize| j.value().reshape([rows, j.numel() / rows]);
    let ws = [normal(&[2], 3), normal(&[3], 4)];
    let (y, product) = vjp(two, &inputs, Some(&ws), Default::default());
    assert!(y[0].value().bit_eq(&two(&inputs)[0].value()) && !y[0].requires_grad());
    for (i, product) in product.iter().enumerate() {
        let expected = ws[0].value().matmul(&flat(&j[0][i], 2)) + ws[1].value().matmul(&flat(&j[1][i], 3));
        assert_close(product, &expected.reshape(inputs[i].shape()), 1e-13);
    }
    let vs = [normal(&[2, 3], 5), normal(&[3], 6)];
    let (_, product) = jvp(two, &inputs, Some(&vs), Default::default());
    for (o, product) in product.iter().enumerate() {
        let rows = product.numel();
        let part = |i: usize| flat(&j[o][i], rows).matmul(&vs[i].value().flatten(0, -1));
        assert_close(product, &(part(0) + part(1)), 1e-13);
    }
}

#[test]
fn hessians_have_blocks_and_are_symmetric() {
    let inputs = [normal(&[2, 2], 1), normal(&[2], 2)];
    let f = |v: &[Var]| v[0].matmul(&v[1]).sin().sum() * v[1].exp().sum();
    let h = hessian(f, &inputs, Default::default());
    let shapes: Vec<Vec<usize>> = h.iter().flatten().map(|h| h.shape().to_vec()).collect();
    assert_eq!(shapes, [vec![2, 2, 2, 2], vec![2, 2, 2], vec![2, 2, 2], vec![2, 2]]);
    assert_close(&h[0][1], &h[1][0].value().permute(&[1, 2, 0]), 1e-12);
    assert_close(&h[1][1], &h[1][1].value().transpose(0, 1), 1e-12);
    // The product with a Hessian is the row of blocks times the vectors.
    let vs = [normal(&[2, 2], 3), normal(&[2], 4)];
    let (_, product) = hvp(f, &inputs, Some(&vs), Default::default());
    for (i, product) in product.iter().enumerate() {
        let rows = product.numel();
        let part = |k: usize| h[i][k].value().reshape([rows, vs[k].numel()]).matmul(&vs[k].value().flatten(0, -1));
        assert_close(product, &(part(0) + part(1)).reshape(product.shape()), 1e-12);
    }
    // A function that is linear in an input has a zero block.
    let h = hessian(|v| (&v[0] * &v[1].sum()).sum(), &inputs, Default::default());
    assert_close(&h[0][0], &Tensor::zeros([2, 2, 2, 2], DType::F64), 0.0);
}

#[test]
fn results_are_differentiable_with_create_graph() {
    let x = vector(&[0.3, 1.2]).requires_grad_(true);
    let v = vector(&[1.0, -2.0]).requires_grad_(true);
    let inputs = [x.clone(), v.clone()];
    let f = |x: &[Var]| x[0].sin() * x[0].exp();
    gradcheck(|i| vjp(f, &i[..1], Some(&i[1..]), CREATE).1, &inputs, Default::default()).unwrap();
    gradcheck(|i| jvp(f, &i[..1], Some(&i[1..]), CREATE).1, &inputs, Default::default()).unwrap();
    let s = |x: &[Var]| (x[0].sin() * x[0].exp()).sum();
    gradcheck(|i| hvp(s, &i[..1], Some(&i[1..]), CREATE).1, &inputs, Default::default()).unwrap();
    gradcheck(|i| jacobian(f, &i[..1], CREATE).concat(), &inputs[..1], Default::default()).unwrap();
    gradcheck(|i| hessian(s, &i[..1], CREATE).concat(), &inputs[..1], Default::default()).unwrap();
    // Without it the results are constants, and the slots stay empty either way.
    let (y, dx) = vjp(f, from_ref(&x), Some(from_ref(&v)), Default::default());
    assert!(!y[0].requires_grad() && !dx[0].requires_grad());
    assert!(x.grad().is_none() && v.grad().is_none());
    // A penalty on the gradient reaches what the function captured.
    let w = vector(&[2.0, 3.0]).requires_grad_(true);
    let (_, dx) = vjp(|x| (x[0].square() * &w).sum(), from_ref(&x), None, CREATE);
    let dw = grad(&[&dx[0].sum()], &[&w], GradOptions::default())[0].clone().unwrap();
    assert_close(&dw, &x.value().mul_scalar(2.0), 1e-14);
}

#[test]
fn sizes_zero_and_one() {
    let (empty, one) = (Var::new(Tensor::zeros([0], DType::F64)), Var::scalar(3.0f64));
    let j = jacobian(|v| vec![v[0].exp(), v[1].square()], &[empty.clone(), one.clone()], Default::default());
    let shapes: Vec<Vec<usize>> = j.iter().flatten().map(|j| j.shape().to_vec()).collect();
    assert_eq!(shapes, [vec![0, 0], vec![0], vec![0], vec![]]);
    assert_eq!(j[1][1].item::<f64>(), 6.0);
    assert_eq!(jvp(|v| v[0].square(), from_ref(&one), None, Default::default()).1[0].item::<f64>(), 6.0);
    assert_eq!(hvp(|v| v[0].powf(3.0), &[one], None, Default::default()).1[0].item::<f64>(), 18.0);
    assert_eq!(hessian(|v| v[0].sum(), &[empty], Default::default())[0][0].shape(), [0, 0]);
    // An output without gradients has zeros.
    let x = vector(&[1.5, 2.5]);
    let j = jacobian(|v| Var::new(v[0].value().to_dtype(DType::I64)), &[x], Default::default());
    assert_eq!(j[0][0].to_vec::<f64>(), [0.0; 4]);
}

#[test]
fn every_refusal() {
    let (x, y) = (vector(&[1.0, 2.0]), vector(&[1.0, 2.0, 3.0]));
    let both = [x.clone(), y.clone()];
    let default = FunctionalOptions::default;
    let double = |v: &[Var]| &v[0] * 2.0;
    let total = |v: &[Var]| v[0].sum();
    let cases: Vec<(String, &str)> = vec![
        (
            message(|| drop(vjp(double, from_ref(&x), None, default()))),
            "vjp: v can be left out only for a single output with a single element",
        ),
        (
            message(|| drop(jvp(double, from_ref(&x), None, default()))),
            "jvp: v can be left out only for a single input with a single element",
        ),
        (
            message(|| drop(vjp(double, from_ref(&x), Some(from_ref(&y)), default()))),
            "vjp: v[0] has shape [3], output 0 has [2]",
        ),
        (message(|| drop(jvp(double, &both, Some(from_ref(&x)), default()))), "jvp: 1 vectors for 2 inputs"),
        (
            message(|| drop(hvp(double, from_ref(&x), Some(from_ref(&x)), default()))),
            "hvp: the function gives shape [2], only a single element has a Hessian",
        ),
        (
            message(|| drop(vhp(|v| [v[0].sum(), v[0].sum()], from_ref(&x), Some(from_ref(&x)), default()))),
            "vhp: the function gives 2 outputs, only one has a Hessian",
        ),
        (message(|| drop(hessian(double, from_ref(&x), default()))), "hessian: the function gives shape [2]"),
        (
            message(|| drop(jacobian(double, &[Var::new(Tensor::from([1i64]))], default()))),
            "jacobian: input 0 is i64; only floating-point values have derivatives",
        ),
        (message(|| drop(vjp(total, &both, None, STRICT))), "vjp: what is differentiated does not depend on input 1"),
        (
            message(|| drop(jacobian(double, &both, STRICT))),
            "jacobian: what is differentiated does not depend on input 1",
        ),
        (message(|| drop(hessian(total, from_ref(&x), STRICT))), "hessian: what is differentiated does not depend"),
        (
            message(|| drop(hvp(total, from_ref(&x), Some(from_ref(&x)), STRICT))),
            "hvp: what is differentiated does not depend on input 0",
        ),
    ];
    for (got, expected) in cases {
        assert!(got.contains(expected), "{got}");
    }
}

#[test]
fn a_strict_product_names_the_output_that_is_constant() {
    let x = vector(&[1.0, 2.0]);
    let f = |x: &[Var]| vec![x[0].sum(), Var::scalar(1.0)];
    let text = message(|| drop(jvp(f, from_ref(&x), Some(from_ref(&x)), STRICT)));
    assert!(text.contains("jvp: output 1 does not depend on the inputs (strict)"), "{text}");
    let (_, products) = jvp(f, from_ref(&x), Some(from_ref(&x)), Default::default());
    assert_eq!((products[0].item::<f64>(), products[1].item::<f64>()), (3.0, 0.0));
}
