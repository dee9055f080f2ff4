//! The gradient check finds what is wrong, in both modes, and says where.

use std::cell::Cell;
use std::slice::from_ref;

use autograd::{GradcheckError, GradcheckOptions, Var, gradcheck, gradgradcheck};
use tensor::{DType, Generator, Tensor};

const SLOW: GradcheckOptions = GradcheckOptions {
    eps: 1e-6,
    atol: 1e-5,
    rtol: 1e-3,
    nondet_tol: 0.0,
    check_undefined_grad: true,
    fast_mode: false,
};
const FAST: GradcheckOptions = GradcheckOptions { fast_mode: true, ..SLOW };

fn normal(shape: &[usize], seed: u64) -> Var {
    Var::new(Tensor::randn_with(shape, DType::F64, &mut Generator::new(seed))).requires_grad_(true)
}

fn leaf(values: &[f64]) -> Var {
    Var::new(Tensor::from_slice(values, [values.len()])).requires_grad_(true)
}

/// `a b` whose pullback is what `wrong` makes of `dy`, `a` and `b`.
fn product(v: &[Var], wrong: impl Fn(&Var, &Var, &Var) -> [Var; 2] + 'static) -> Var {
    let (a, b) = (v[0].clone(), v[1].clone());
    let (x, y) = (a.value(), b.value());
    Var::record("product", &x * &y, [&a, &b], move |dy, _| {
        wrong(dy, &Var::new(x.clone()), &Var::new(y.clone())).map(Some)
    })
}

#[test]
fn the_defaults_are_pytorchs() {
    let o = GradcheckOptions::default();
    assert_eq!((o.eps, o.atol, o.rtol, o.nondet_tol), (1e-6, 1e-5, 1e-3, 0.0));
    assert!(o.check_undefined_grad && !o.fast_mode);
}

#[test]
fn right_gradients_pass() {
    let inputs = [normal(&[3, 4], 1), normal(&[4], 2)];
    let f =
        |v: &[Var]| vec![v[0].matmul(&v[1]).tanh(), (&v[0] * &v[1]).exp(), Var::new(v[1].value().to_dtype(DType::I64))];
    for options in [SLOW, FAST] {
        gradcheck(f, &inputs, options).unwrap();
        gradgradcheck(f, &inputs, options).unwrap();
        // Shapes with nothing in them, and without dimensions.
        gradcheck(|v| v[0].exp(), &[normal(&[0, 3], 1)], options).unwrap();
        gradcheck(|v| v[0].exp(), &[normal(&[], 1)], options).unwrap();
    }
}

#[test]
fn a_factor_of_two_is_found() {
    let inputs = [normal(&[2, 3], 1), normal(&[2, 3], 2)];
    for options in [SLOW, FAST] {
        let error = gradcheck(|v| product(v, |dy, x, y| [dy * y * 2.0, dy * x]), &inputs, options).unwrap_err();
        let GradcheckError::Mismatch { input, output, analytic, numeric } = &error else { panic!("{error}") };
        assert_eq!((input.0, output.0), (0, 0));
        assert_eq!(input.1, output.1);
        assert!((analytic / numeric - 2.0).abs() < 1e-6, "{error}");
        assert!((numeric - inputs[1].value().get::<f64>(&[input.1[0], input.1[1]])).abs() < 1e-6, "{error}");
    }
}

#[test]
fn swapped_inputs_are_found() {
    let inputs = [normal(&[4], 1), normal(&[4], 2)];
    for options in [SLOW, FAST] {
        let error = gradcheck(|v| product(v, |dy, x, y| [dy * x, dy * y]), &inputs, options).unwrap_err();
        assert!(matches!(error, GradcheckError::Mismatch { .. }), "{error}");
    }
}

#[test]
fn a_missing_term_is_found() {
    // d(x tanh x) without the derivative of tanh.
    let f = |v: &[Var]| {
        let x = v[0].value();
        let tanh = x.tanh();
        Var::record_unary("x tanh x", &x * &tanh, &v[0], move |dy| dy * Var::new(tanh.clone()))
    };
    for options in [SLOW, FAST] {
        assert!(gradcheck(f, &[normal(&[5], 1)], options).is_err());
    }
    // A lost gradient is one too.
    for options in [SLOW, FAST] {
        let error = gradcheck(|v| vec![v[0].exp(), v[0].detach().exp()], &[normal(&[5], 1)], options).unwrap_err();
        assert!(matches!(&error, GradcheckError::Mismatch { output: (1, _), analytic: 0.0, .. }), "{error}");
    }
}

#[test]
fn one_wrong_element_is_found_and_named() {
    let spoil = |shape: &[usize], at: usize| {
        let mut factors = vec![1.0; shape.iter().product()];
        factors[at] = 1.5;
        Var::new(Tensor::from_vec(factors, shape))
    };
    // Small in the slow mode, large in the fast one.
    for (options, shape, at, index) in
        [(SLOW, [3, 4], 7, vec![1, 3]), (FAST, [3, 4], 7, vec![1, 3]), (FAST, [20, 50], 777, vec![15, 27])]
    {
        let factors = spoil(&shape, at);
        let f = move |v: &[Var]| {
            let (y, factors) = (v[1].value().exp(), factors.clone());
            let slope = Var::new(y.clone()) * factors;
            vec![v[0].sum(), Var::record_unary("spoiled", y, &v[1], move |dy| dy * &slope)]
        };
        let inputs = [normal(&[2], 3), normal(&shape, 4)];
        let error = gradcheck(f, &inputs, options).unwrap_err();
        let GradcheckError::Mismatch { input, output, analytic, numeric } = &error else { panic!("{error}") };
        assert_eq!((input, output), (&(1, index.clone()), &(1, index)));
        assert!((analytic / numeric - 1.5).abs() < 1e-5, "{error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("gradcheck: the derivative of output 1 at {:?}", output.1)), "{text}");
        assert!(text.contains(&format!("by input 1 at {:?}", input.1)), "{text}");
        assert!(text.contains("analytically") && text.contains("numerically"), "{text}");
    }
}

#[test]
fn fast_mode_costs_a_few_evaluations_whatever_the_size() {
    for n in [10, 20_000] {
        let calls = Cell::new(0);
        let f = |v: &[Var]| {
            calls.set(calls.get() + 1);
            (&v[0] * &v[1]).sin()
        };
        gradcheck(f, &[normal(&[n], 1), normal(&[n], 2)], FAST).unwrap();
        assert_eq!(calls.get(), 2 + 2 * 2);
    }
}

#[test]
fn a_wrong_second_derivative_is_found_in_both_modes() {
    let f = |v: &[Var]| {
        let x = v[0].detach();
        Var::record_unary("square", v[0].value().square(), &v[0], move |dy| dy * 2.0 * &x)
    };
    for options in [SLOW, FAST] {
        gradcheck(f, &[normal(&[3], 1)], options).unwrap();
        let error = gradgradcheck(f, &[normal(&[3], 1)], options).unwrap_err();
        assert!(matches!(error, GradcheckError::Mismatch { .. }), "{error}");
    }
}

#[test]
fn passes_that_differ_are_found() {
    let noisy = |size: f64| {
        let calls = Cell::new(0.0);
        move |v: &[Var]| {
            let (y, calls) = (v[0].value().exp(), calls.clone());
            let slope = Var::new(y.clone());
            Var::record_unary("noisy", y, &v[0], move |dy| {
                calls.set(calls.get() + size);
                dy * &slope + calls.get()
            })
        }
    };
    for options in [SLOW, FAST] {
        let error = gradcheck(noisy(1e-8), &[leaf(&[1.0, 2.0])], options).unwrap_err();
        assert!(matches!(&error, GradcheckError::Nondeterministic { input: (0, _), output: 0, .. }), "{error}");
        assert!(
            error.to_string().starts_with("gradcheck: two passes from output 0 to input 0 at [0] give "),
            "{error}"
        );
    }
    let tolerant = GradcheckOptions { nondet_tol: 1e-7, check_undefined_grad: false, ..SLOW };
    let error = gradcheck(noisy(1e-8), &[leaf(&[1.0, 2.0])], tolerant).unwrap_err();
    assert!(matches!(error, GradcheckError::NotScaled { .. }), "{error}");
}

#[test]
fn a_pullback_that_ignores_its_gradient_is_found() {
    // With the gradient 1 of a single scalar it is right.
    let f = |v: &[Var]| {
        let slope = Var::new(v[0].value().mul_scalar(2.0));
        Var::record_unary("sum of squares", v[0].value().square().sum(), &v[0], move |_| slope.clone())
    };
    let error = gradcheck(f, &[leaf(&[1.0, 2.0])], SLOW).unwrap_err();
    assert_eq!(error, GradcheckError::NotScaled { input: (0, vec![0]), gradient: 2.0 });
    let expected = "gradcheck: with zero gradients of the outputs, the gradient of input 0 at [0] is 2";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn an_output_without_a_gradient_must_count_as_zero() {
    // Two results; a missing gradient of the second is taken for one.
    let f = |v: &[Var]| {
        let x = v[0].value();
        let y = vec![&x * 2.0, &x * 3.0];
        Var::record_many("two", y, [&v[0]], |dys, _| {
            let first = dys[0].as_ref().map(|dy| dy * 2.0);
            let second = dys[1].as_ref().map(|dy| dy * 3.0);
            // Only where both are asked for, so that one output at a time looks right.
            let guess = first.is_some().then(|| Var::new(Tensor::from([1e-7, 1e-7])));
            [first.into_iter().chain(second.or(guess)).reduce(|a, b| a + b)]
        })
    };
    let error = gradcheck(f, &[leaf(&[1.0, 2.0])], SLOW).unwrap_err();
    assert!(matches!(&error, GradcheckError::UndefinedGradient { output: 1, input: (0, _), .. }), "{error}");
    assert!(error.to_string().contains("without output 1"), "{error}");
    gradcheck(f, &[leaf(&[1.0, 2.0])], GradcheckOptions { check_undefined_grad: false, ..SLOW }).unwrap();
}

#[test]
fn what_cannot_be_checked_is_refused() {
    let single = Var::new(Tensor::from([1.0f32])).requires_grad_(true);
    let error = gradcheck(|v| v[0].exp(), &[leaf(&[1.0]), single], SLOW).unwrap_err();
    assert_eq!(error.to_string(), "gradcheck: input 1 is f32; central differences need f64");
    let error = gradcheck(|v| v[0].exp(), &[Var::scalar(1.0f64)], SLOW).unwrap_err();
    assert_eq!(error, GradcheckError::NothingToCheck);
    assert_eq!(error.to_string(), "gradcheck: no input requires a gradient");
    let overlapping = Var::new(Tensor::from([1.0]).expand([3])).requires_grad_(true);
    let overlap = "gradcheck: elements of input 1 share memory, as after expand(); call contiguous() on it first";
    let inputs = [leaf(&[1.0]), overlapping];
    for options in [SLOW, FAST] {
        assert_eq!(gradcheck(|v| &v[0] * &v[1], &inputs, options).unwrap_err().to_string(), overlap);
        assert_eq!(gradgradcheck(|v| &v[0] * &v[1], &inputs, options).unwrap_err().to_string(), overlap);
    }
    // Other layouts are fine, and so is overlapping data that needs no gradient.
    let t = Tensor::randn_with([3, 4], DType::F64, &mut Generator::new(1));
    let transposed = Var::new(t.transpose(0, 1).flip(&[0]).narrow(1, 1, 2)).requires_grad_(true);
    gradcheck(|v| v[0].exp(), &[transposed], SLOW).unwrap();
    let data = Var::new(Tensor::from([1.0]).expand([3]));
    gradcheck(|v| &v[0] * &v[1], &[leaf(&[1.0, 2.0, 3.0]), data], SLOW).unwrap();
}

#[test]
fn a_gradient_that_is_nan_is_a_mismatch() {
    let f = |v: &[Var]| Var::record_unary("nan", v[0].value().exp(), &v[0], |dy| dy * f64::NAN);
    for options in [SLOW, FAST] {
        let error = gradcheck(f, &[leaf(&[1.0, 2.0, 3.0])], GradcheckOptions { nondet_tol: f64::NAN, ..options });
        assert!(error.is_err());
        let error = gradcheck(f, &[leaf(&[1.0, 2.0, 3.0])], options).unwrap_err();
        assert!(matches!(&error, GradcheckError::Mismatch { analytic, .. } if analytic.is_nan()), "{error}");
    }
}

#[test]
fn the_callers_inputs_stay_as_they_were() {
    let x = leaf(&[1.0, 2.0]);
    x.set_grad(Some(Var::new(Tensor::from([5.0, 5.0]))));
    gradcheck(|v| v[0].exp(), from_ref(&x), SLOW).unwrap();
    gradcheck(|v| v[0].exp(), from_ref(&x), FAST).unwrap();
    assert_eq!((x.to_vec::<f64>(), x.grad().unwrap().to_vec::<f64>()), (vec![1.0, 2.0], vec![5.0, 5.0]));
}
