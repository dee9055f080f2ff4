//! The report of gradients.

use autograd::{GradientState, Var, gradient_report};
use tensor::{DType, Tensor};

fn with_gradient(values: &[f64]) -> Var {
    let x = Var::new(Tensor::ones([values.len()], DType::F64)).requires_grad_(true);
    x.set_grad(Some(Var::new(Tensor::from_slice(values, [values.len()]))));
    x
}

#[test]
fn each_kind_of_problem_is_told() {
    let frozen = Var::new(Tensor::ones([2, 3], DType::F32));
    let named = [
        ("healthy", with_gradient(&[3.0, -4.0])),
        ("frozen", frozen),
        ("missing", Var::new(Tensor::ones([2, 2], DType::F32)).requires_grad_(true)),
        ("zero", with_gradient(&[0.0, -0.0])),
        ("nan", with_gradient(&[f64::NAN, 1.0, f64::NAN])),
        ("infinite", with_gradient(&[f64::NEG_INFINITY, 1.0])),
        ("both", with_gradient(&[f64::INFINITY, f64::NAN])),
        ("empty", Var::new(Tensor::zeros([0], DType::F32)).requires_grad_(true)),
        ("tiny", with_gradient(&[1e-200, 1e-200])),
    ];
    let report = gradient_report(named);
    let state = |name: &str| report.get(name).unwrap().state;
    assert_eq!(state("healthy"), GradientState::Healthy);
    assert_eq!(report.get("healthy").unwrap().norm, Some(5.0));
    assert_eq!(state("frozen"), GradientState::Frozen);
    assert_eq!(state("missing"), GradientState::Missing);
    assert_eq!(state("zero"), GradientState::Zero);
    assert_eq!(state("nan"), GradientState::NotFinite { nan: 2, infinite: 0 });
    assert_eq!(state("infinite"), GradientState::NotFinite { nan: 0, infinite: 1 });
    assert_eq!(state("both"), GradientState::NotFinite { nan: 1, infinite: 1 });
    assert_eq!(state("empty"), GradientState::Healthy);
    assert_eq!(state("tiny"), GradientState::Healthy);
    assert!((report.get("tiny").unwrap().norm.unwrap() - 2f64.sqrt() * 1e-200).abs() < 1e-210);
    let problems: Vec<&str> = report.problems().map(|entry| entry.name.as_str()).collect();
    assert_eq!(problems, ["missing", "zero", "nan", "infinite", "both"]);
    assert!(!report.is_healthy() && report.total_norm().is_nan());
    assert!(report.get("nobody").is_none());
    assert_eq!(
        report.to_string(),
        "5 of 9 parameters have a problem:
  name      shape   gradient           norm
  missing   [2, 2]  no gradient        -
  zero      [2]     zero               0
  nan       [3]     2 NaN              NaN
  infinite  [2]     1 infinite         inf
  both      [2]     1 NaN, 1 infinite  NaN
"
    );
}

#[test]
fn a_healthy_model_is_one_line() {
    let report =
        gradient_report(vec![("w".to_string(), with_gradient(&[3.0])), ("b".to_string(), with_gradient(&[4.0]))]);
    assert!(report.is_healthy());
    assert_eq!(report.to_string(), "all 2 parameters are healthy; the norm of their gradients is 5\n");
    let one = gradient_report([("w", Var::scalar(1.0f32).requires_grad_(true))]);
    assert!(one.to_string().starts_with("1 of 1 parameters has a problem:"));
}
