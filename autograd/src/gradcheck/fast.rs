//! The comparison in one random direction: `w (J u)` by central differences against `(w J) u` by a pass back, with
//! random `u` on the side of the input and `w` on that of the output.

use tensor::{Generator, Tensor};

use super::{Check, Forward, GradcheckError, index_of};

/// Compares each output by each input, in one direction.
pub(super) fn compare(check: &Check<'_>) -> Result<(), GradcheckError> {
    let forward = check.forward();
    // Always the same numbers, so that a check gives the same answer each time.
    let mut generator = Generator::new(0x5eed);
    let mut direction = |n: usize| -> Vec<f64> {
        let draws = Tensor::uniform_with(-1.0, 1.0, [n], tensor::DType::F64, &mut generator).to_vec::<f64>();
        draws.into_iter().map(|x| x + 0.5f64.copysign(x)).collect()
    };
    let us: Vec<Vec<f64>> = check.checked.iter().map(|&i| direction(check.inputs[i].numel())).collect();
    let ws: Vec<Vec<f64>> = forward.outputs.iter().map(|output| direction(output.numel())).collect();
    let mut pulled = Vec::new();
    for (output, w) in ws.iter().enumerate() {
        pulled.push(check.pull_twice(&forward, output, &seed(&forward, output, w))?);
    }
    for ((k, &input), u) in check.checked.iter().enumerate().zip(&us) {
        let numeric = check.difference(input, u.iter().copied().enumerate());
        for (output, w) in ws.iter().enumerate() {
            let (analytic, numeric) = (dot(&pulled[output][k], u), dot(w, &numeric[output]));
            if !check.options.close(analytic, numeric) {
                let place = Place { check, forward: &forward, k, input, output, u, w };
                return Err(place.find(&pulled[output][k], analytic, numeric));
            }
        }
    }
    Ok(())
}

fn seed(forward: &Forward, output: usize, w: &[f64]) -> Tensor {
    let value = forward.outputs[output].tensor();
    Tensor::from_vec(w.to_vec(), value.shape()).to_dtype(value.dtype())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Where a comparison has failed.
struct Place<'a> {
    check: &'a Check<'a>,
    forward: &'a Forward,
    k: usize,
    input: usize,
    output: usize,
    u: &'a [f64],
    w: &'a [f64],
}

impl Place<'_> {
    /// Halves the input, then the output, each time going on with the half in which the values differ more.
    fn find(&self, pulled: &[f64], analytic: f64, numeric: f64) -> GradcheckError {
        let (mut low, mut high) = (0, self.u.len());
        let gap = |low: usize, high: usize| {
            let part = (low..high).map(|i| (i, self.u[i]));
            let numeric = dot(self.w, &self.check.difference(self.input, part)[self.output]);
            error(dot(&pulled[low..high], &self.u[low..high]), numeric)
        };
        while high - low > 1 {
            let middle = (low + high) / 2;
            if gap(low, middle) >= gap(middle, high) { high = middle } else { low = middle }
        }
        let element = low;
        let column = &self.check.difference(self.input, [(element, 1.0)])[self.output];
        let row = |low: usize, high: usize| -> f64 {
            let part: Vec<f64> =
                (0..self.w.len()).map(|i| if (low..high).contains(&i) { self.w[i] } else { 0.0 }).collect();
            let seeds = [(self.output, seed(self.forward, self.output, &part))];
            self.check.pull(self.forward, &seeds)[self.k][element]
        };
        let gap = |low: usize, high: usize| error(row(low, high), dot(&self.w[low..high], &column[low..high]));
        let (mut low, mut high) = (0, self.w.len());
        while high - low > 1 {
            let middle = (low + high) / 2;
            if gap(low, middle) >= gap(middle, high) { high = middle } else { low = middle }
        }
        let (at, exact) = (low, (row(low, low + 1) / self.w[low], column[low]));
        let input = self.check.element(self.input, element);
        let output = (self.output, index_of(self.forward.outputs[self.output].tensor().dims(), at));
        // Many small errors may only show together: then the values in the whole direction say more.
        let (analytic, numeric) = if self.check.options.close(exact.0, exact.1) { (analytic, numeric) } else { exact };
        GradcheckError::Mismatch { input, output, analytic, numeric }
    }
}

/// How far apart two values are; NaN is farthest.
fn error(a: f64, b: f64) -> f64 {
    let error = (a - b).abs();
    if error.is_nan() { f64::INFINITY } else { error }
}
