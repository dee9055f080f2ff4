//! Softmax, its logarithm, logsumexp and cross-entropy on rows with huge, infinite and NaN entries: PyTorch's values and
//! gradients, written by `tests/scripts/extreme_rows.py`.

use autograd::{BackwardOptions, Var};
use tensor::{CrossEntropy, DType, Tensor};

fn numbers(text: &str) -> Vec<f64> {
    text.split(',').map(|x| x.parse().expect("a number")).collect()
}

/// Equal up to `tolerance`, NaN and infinities at the same places.
fn close(got: &[f64], want: &[f64], tolerance: f64) -> bool {
    let near = |got: f64, want: f64| match want.is_finite() {
        true => (got - want).abs() <= tolerance * want.abs().max(1.0),
        false => got == want || (got.is_nan() && want.is_nan()),
    };
    got.len() == want.len() && got.iter().zip(want).all(|(&got, &want)| near(got, want))
}

/// The function of a row that lies alone, between ordinary rows, or as a column between ordinary columns.
fn run(name: &str, row: &[f64], dtype: DType, place: usize) -> (Vec<f64>, Vec<f64>) {
    let row = Tensor::from_slice(row, [1, 3]);
    let ordinary = Tensor::from([[0.5, -1.0, 2.0], [3.0, 0.0, -0.25]]);
    let (rows, at, dim) = match place {
        0 => (row, 0, 1),
        1 => (Tensor::cat(&[ordinary.clone(), row, ordinary], 0), 2, 1),
        _ => (Tensor::cat(&[ordinary.clone(), row, ordinary], 0).t().contiguous(), 2, 0),
    };
    let x = Var::new(rows.to_dtype(dtype)).requires_grad_(true);
    let taken = |t: Tensor| t.select(1 - dim, at).to_dtype(DType::F64).to_vec::<f64>();
    let (value, gradient) = match name {
        "softmax" => (x.softmax(dim), Some([1.0, 2.0, -0.5])),
        "log_softmax" => (x.log_softmax(dim), Some([1.0, 2.0, -0.5])),
        "logsumexp" => (x.logsumexp(dim, true), None),
        _ => {
            let class: i64 = name.strip_prefix("cross_entropy_").and_then(|t| t.parse().ok()).expect("a class");
            let x = if dim == 1 { x.clone() } else { x.transpose(0, 1) };
            let n = x.dim(0);
            let options = CrossEntropy { reduction: tensor::Reduction::None, ..Default::default() };
            let loss = x.cross_entropy(&Tensor::full([n], class as f64, DType::I64), &options);
            (if dim == 1 { loss.unsqueeze(1) } else { loss.unsqueeze(0) }, None)
        }
    };
    let gradient = match gradient {
        Some(dy) if dim == 1 => Tensor::from(dy).expand(value.shape()),
        Some(dy) => Tensor::from(dy).unsqueeze(1).expand(value.shape()),
        None => Tensor::ones(value.shape(), DType::F64),
    };
    let gradient = Some(Var::new(gradient.to_dtype(dtype)));
    value.backward_with(BackwardOptions { gradient, ..Default::default() });
    (taken(value.value()), taken(x.grad().expect("a leaf's gradient").value()))
}

#[test]
fn huge_infinite_and_nan_entries_give_pytorchs_results() {
    let text = include_str!("../../tests/fixtures/extreme_rows.txt");
    let mut count = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (name, row, value, gradient) = (fields[0], numbers(fields[1]), numbers(fields[2]), numbers(fields[3]));
        for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-6)] {
            for place in 0..3 {
                let (got, slope) = run(name, &row, dtype, place);
                assert!(close(&got, &value, tolerance), "{name} {row:?} in {dtype}, {place}: {got:?}, not {value:?}");
                // e^(x - y) of a y near 1e4 has the digits that a float of that size leaves, here and in PyTorch.
                let tolerance = if name == "logsumexp" { tolerance * 1e3 } else { tolerance };
                assert!(
                    close(&slope, &gradient, tolerance),
                    "{name} {row:?} in {dtype}, {place}: gradient {slope:?}, not {gradient:?}"
                );
            }
        }
        count += 1;
    }
    assert!(count > 100);
}
