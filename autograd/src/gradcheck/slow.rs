//! The comparison of every derivative, element by element.

use tensor::Tensor;

use super::{Check, GradcheckError, index_of};

/// Compares the Jacobian of each output by each input, all entries.
pub(super) fn compare(check: &Check<'_>) -> Result<(), GradcheckError> {
    let forward = check.forward();
    // Per output, per element of it, per checked input: a row of the Jacobian.
    let mut analytic: Vec<Vec<Vec<Vec<f64>>>> = Vec::new();
    for (output, value) in forward.outputs.iter().enumerate() {
        let n = value.numel();
        let mut rows = Vec::with_capacity(n);
        for element in 0..n {
            let mut seed = vec![0.0; n];
            seed[element] = 1.0;
            let seed = Tensor::from_vec(seed, value.shape()).to_dtype(value.dtype());
            rows.push(check.pull_twice(&forward, output, &seed)?);
        }
        analytic.push(rows);
    }
    for (k, &input) in check.checked.iter().enumerate() {
        for element in 0..check.inputs[input].numel() {
            let numeric = check.difference(input, [(element, 1.0)]);
            for (output, numeric) in numeric.iter().enumerate() {
                for (at, &numeric) in numeric.iter().enumerate() {
                    let analytic = analytic[output][at][k][element];
                    if !check.options.close(analytic, numeric) {
                        let input = check.element(input, element);
                        let output = (output, index_of(forward.outputs[output].tensor().dims(), at));
                        return Err(GradcheckError::Mismatch { input, output, analytic, numeric });
                    }
                }
            }
        }
    }
    Ok(())
}
