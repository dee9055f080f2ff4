//! Every operation on leaves of f16 and bf16: the results and the gradients are halves, near those of f32 leaves.

use tensor::{DType, ScatterReduce, Tensor};

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

/// The first element of the gradient of `f` at `n` zeros of a half.
fn first_gradient(n: usize, dtype: DType, f: impl Fn(&Var) -> Var) -> f64 {
    let x = Var::new(Tensor::zeros([n], dtype)).requires_grad_(true);
    f(&x).sum().backward();
    x.grad().expect("a leaf's gradient").value().narrow(0, 0, 1).to_dtype(DType::F64).to_vec::<f64>()[0]
}

/// Gradients that divide by a count that a half cannot hold: f16 ends at 65504, and bf16 stays at 256 when 1 is added.
#[test]
fn counts_are_not_halves() {
    let n = 70_000;
    for dtype in [DType::F16, DType::BF16] {
        let near = |got: f64, expected: f64, what: &str| {
            assert!((got / expected - 1.0).abs() < 0.01, "{what} of {dtype}: {got} instead of {expected}");
        };
        near(first_gradient(n, dtype, Var::max), 1.0 / n as f64, "max");
        near(first_gradient(n, dtype, |x| x.amin([], false)), 1.0 / n as f64, "amin");
        near(first_gradient(n, dtype, |x| x.nanmean([], false)), 1.0 / n as f64, "nanmean");
        let ones = |x: &Var| (x + 1.0).vector_norm(f64::INFINITY, [], false);
        near(first_gradient(n, dtype, ones), 1.0 / n as f64, "vector_norm");
        let (ids, place) = (Tensor::zeros([n], DType::I64), Var::new(Tensor::zeros([1], dtype)));
        for reduce in [ScatterReduce::Mean, ScatterReduce::Amax] {
            let sent = |x: &Var| place.scatter_reduce(0, &ids, x, reduce, false);
            near(first_gradient(n, dtype, sent), 1.0 / n as f64, "scatter_reduce");
        }
        let rows = |x: &Var| x.unsqueeze(1).embedding_with(&Tensor::zeros([1000], DType::I64), None, true);
        near(first_gradient(2, dtype, rows), 1.0, "embedding_with");
        let read = |x: &Var| x.index_select(0, &Tensor::zeros([1000], DType::I64));
        near(first_gradient(2, dtype, read), 1000.0, "index_select");
    }
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
