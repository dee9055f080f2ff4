//! Every operation on leaves of f16 and bf16: the results and the gradients are halves, near those of f32 leaves.

use tensor::{DType, Tensor};

use super::conformance::quietly;
use super::{Sample, trial_inputs};
use crate::{GradOptions, Var, grad};

/// Results and gradients of a sample whose leaves have a dtype.
fn run(sample: &Sample, inputs: &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>) {
    let leaves: Vec<Var> = inputs.iter().map(|t| Var::new(t.clone()).requires_grad_(true)).collect();
    let outputs = sample.run(&leaves, 1);
    let differentiable: Vec<&Var> = outputs.iter().filter(|output| output.requires_grad()).collect();
    let dys = differentiable.iter().map(|output| Var::new(output.value().ones_like()));
    let options = GradOptions { grad_outputs: Some(dys.collect()), materialize_grads: true, ..Default::default() };
    let gradients = grad(&differentiable, &leaves.iter().collect::<Vec<_>>(), options);
    let value = |v: Var| v.value();
    (differentiable.into_iter().map(Var::value).collect(), gradients.into_iter().flatten().map(value).collect())
}

fn near(got: &Tensor, expected: &Tensor, tolerance: f64) -> bool {
    let (got, expected) = (got.to_dtype(DType::F64), expected.to_dtype(DType::F64));
    let largest = if expected.numel() == 0 { 1.0 } else { expected.abs().max().item::<f64>().max(1.0) };
    got.shape() == expected.shape() && got.isclose(&expected, tolerance, tolerance * largest, true).all().item()
}

#[test]
fn leaves_of_a_half_get_gradients_of_that_half() {
    let (mut wrong, mut checked) = (vec![], 0);
    for (family, samples) in super::tables() {
        for sample in samples {
            for (dtype, tolerance) in [(DType::F16, 2e-2), (DType::BF16, 1e-1)] {
                let halves: Vec<Tensor> = trial_inputs(&sample).iter().map(|t| t.to_dtype(dtype)).collect();
                let singles: Vec<Tensor> = halves.iter().map(|t| t.to_dtype(DType::F32)).collect();
                // A few samples bring operands of f64 that must have the input's dtype.
                let Ok(wide) = quietly(|| run(&sample, &singles)) else { continue };
                let (results, gradients) = match quietly(|| run(&sample, &halves)) {
                    Ok(both) => both,
                    // Decompositions and solvers refuse low precision by name, as PyTorch's do.
                    Err(panic) if panic.contains("needs f32 or f64, got") => continue,
                    Err(panic) => {
                        wrong.push(format!("{family}: `{}` of {dtype} panics: {panic}", sample.op));
                        continue;
                    }
                };
                checked += 1;
                for (what, got, expected) in [("result", results, wide.0), ("gradient", gradients, wide.1)] {
                    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                        if what == "gradient" && got.dtype() != dtype || !near(got, expected, tolerance) {
                            let op = sample.op;
                            wrong.push(format!(
                                "{family}: {what} {i} of `{op}` of {dtype}: {got}\ninstead of {expected}"
                            ));
                        }
                    }
                }
            }
        }
    }
    assert!(checked > 200, "only {checked} samples ran");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn conversions_between_floats_are_differentiable() {
    let x = Var::new(Tensor::from([1.0, 2.0]).to_dtype(DType::BF16)).requires_grad_(true);
    let y = x.to_dtype(DType::F32).to_dtype(DType::F64).to_dtype(DType::F16).square().to_dtype(DType::F32);
    y.sum().backward();
    let gradient = x.grad().expect("a leaf");
    assert_eq!((gradient.dtype(), gradient.to_dtype(DType::F64).to_vec::<f64>()), (DType::BF16, vec![2.0, 4.0]));
    assert!(!x.to_dtype(DType::I32).requires_grad());
}

#[test]
fn an_operand_gets_its_gradient_in_its_own_dtype() {
    let (half, single) = (Tensor::from([0.5]).to_dtype(DType::F16), Tensor::from([2.0f32]));
    let (a, b) = (Var::new(half).requires_grad_(true), Var::new(single).requires_grad_(true));
    (&a * &b).sum().backward();
    let (da, db) = (a.grad().expect("a leaf"), b.grad().expect("a leaf"));
    assert_eq!((da.dtype(), da.item::<f64>(), db.dtype(), db.item::<f64>()), (DType::F16, 2.0, DType::F32, 0.5));
}
