//! Losses and what they are made of stay finite, in values and gradients of both orders, for scores of any size and with
//! scores of minus infinity.

use autograd::{GradOptions, Var, grad};
use tensor::{CrossEntropy, DType, Reduction, Tensor};

const FAR: [f64; 4] = [1e4, -1e4, f64::NEG_INFINITY, 1e4 - 1.0];

/// The value, the gradient, and the gradient of the gradient's weighted sum.
fn orders(f: impl Fn(&Var) -> Var, dtype: DType) -> [Vec<f64>; 3] {
    let x = Var::new(Tensor::from(FAR).to_dtype(dtype)).requires_grad_(true);
    let y = f(&x);
    let options = GradOptions { create_graph: true, ..Default::default() };
    let dx = grad(&[&y.sum()], &[&x], options)[0].clone().expect("a gradient");
    let weights = Var::new(Tensor::from([1.0, 2.0, 3.0, 4.0]).to_dtype(dtype));
    let ddx = match dx.requires_grad() {
        true => grad(&[&(&dx * weights).sum()], &[&x], GradOptions { allow_unused: Some(true), ..Default::default() })
            [0]
        .clone(),
        false => None,
    };
    let numbers = |var: &Var| var.value().to_dtype(DType::F64).to_vec::<f64>();
    [numbers(&y), numbers(&dx), ddx.map_or(vec![0.0; 4], |ddx| numbers(&ddx))]
}

fn agree(got: &[f64], expected: &[f64], tolerance: f64) -> bool {
    let near = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= tolerance * b.abs().max(1e-2);
    got.len() == expected.len() && got.iter().zip(expected).all(near)
}

#[test]
fn scores_of_any_size() {
    // The softmax of 0 and -1.
    let (p, q) = (1.0 / (1.0 + (-1f64).exp()), 1.0 / (1.0 + 1f64.exp()));
    let log = (1.0 + (-1f64).exp()).ln();
    // The second derivatives of log-sum-exp against the weights 1 and 4.
    let bend = p * q * 3.0;
    // At 1e4 neighbours in f32 are 1e-3 apart, which the gradient of a stored log-sum-exp inherits.
    for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, 2e-3)] {
        let close = |got: &[f64], expected: &[f64]| agree(got, expected, tolerance);
        let [y, dx, ddx] = orders(|x| x.logsumexp(0, false), dtype);
        assert!(close(&y, &[1e4 + log]), "{y:?}");
        assert!(close(&dx, &[p, 0.0, 0.0, q]) && close(&ddx, &[-bend, 0.0, 0.0, bend]), "{dx:?} {ddx:?}");

        let [y, dx, ddx] = orders(|x| x.softmax(0).select(0, 0), dtype);
        assert!(close(&y, &[p]) && close(&dx, &[p * q, 0.0, 0.0, -p * q]), "{y:?} {dx:?}");
        assert!(ddx.iter().all(|x| x.is_finite()), "{ddx:?}");

        let [y, dx, ddx] = orders(|x| x.log_softmax(0).select(0, 1), dtype);
        assert!(close(&y, &[-2e4 - log]) && close(&dx, &[-p, 1.0, 0.0, -q]), "{y:?} {dx:?}");
        assert!(close(&ddx, &[bend, 0.0, 0.0, -bend]), "{ddx:?}");

        let loss = |x: &Var| x.unsqueeze(0).cross_entropy(&Tensor::from([1i64]), &CrossEntropy::default());
        let [y, dx, ddx] = orders(loss, dtype);
        assert!(close(&y, &[2e4 + log]) && close(&dx, &[p, -1.0, 0.0, q]), "{y:?} {dx:?}");
        assert!(close(&ddx, &[-bend, 0.0, 0.0, bend]), "{ddx:?}");

        let target = Var::new(Tensor::from([0.0, 1.0, 0.0, 0.5]).to_dtype(dtype));
        let loss = |x: &Var| {
            let finite = x.masked_fill(&x.isinf(), -1e4);
            finite.binary_cross_entropy_with_logits(&target, None, None, Reduction::None)
        };
        let [y, dx, ddx] = orders(loss, dtype);
        assert!(close(&y, &[1e4, 1e4, 0.0, (1e4 - 1.0) / 2.0]) && close(&dx, &[1.0, -1.0, 0.0, 0.5]), "{y:?} {dx:?}");
        assert!(close(&ddx, &[0.0; 4]), "{ddx:?}");
    }
}
