//! What the optimizers are set to do, the same as in `scripts/optimizers.py`.

use nn::prelude::*;
use optim::Optimizer;
use serde_json::{Map, Value};
use tests::Fixture;

/// The steps after which the fixture holds the parameters.
pub const STEPS: [usize; 5] = [1, 2, 5, 10, 60];

/// A case as the fixture tells of it.
pub struct Case {
    pub name: String,
    pub optimizer: String,
    mode: String,
    /// The options of each group.
    pub groups: Vec<Map<String, Value>>,
    /// How many parameters each group has.
    pub split: Vec<usize>,
    shapes: Vec<Vec<usize>>,
}

/// All cases of the fixture.
pub fn cases(fixture: &Fixture) -> Vec<Case> {
    let about: Value = serde_json::from_str(&fixture.metadata("about")).expect("JSON");
    let about = about["cases"].as_object().expect("the cases by name").clone();
    let case = |(name, about): (String, Value)| {
        let sizes = |list: &Value| -> Vec<usize> {
            list.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
        };
        let text = |name: &str| about[name].as_str().unwrap().to_owned();
        Case {
            name,
            optimizer: text("optimizer"),
            mode: text("mode"),
            groups: about["groups"]
                .as_array()
                .unwrap()
                .iter()
                .map(|group| group.as_object().unwrap().clone())
                .collect(),
            split: sizes(&about["split"]),
            shapes: about["shapes"].as_array().unwrap().iter().map(sizes).collect(),
        }
    };
    about.into_iter().map(case).collect()
}

impl Case {
    /// The parameters of the case out of one vector.
    pub fn parameters(&self, values: &Tensor, dtype: DType) -> Vec<Parameter> {
        let mut at = 0;
        let mut next = |shape: &Vec<usize>| {
            let n: usize = shape.iter().product();
            at += n;
            Parameter::new(values.narrow(0, at - n, n).reshape(shape.as_slice()).to_dtype(dtype).copy())
        };
        self.shapes.iter().map(&mut next).collect()
    }

    /// Step `n`, from 1.
    pub fn step(&self, optimizer: &mut dyn Optimizer, parameters: &[Parameter], n: usize) {
        if self.optimizer == "LBFGS" {
            optimizer.step_with(&mut || {
                parameters.iter().for_each(|parameter| parameter.zero_grad());
                let loss = loss(&self.mode, parameters);
                loss.backward();
                loss
            });
            return;
        }
        for (number, parameter) in parameters.iter().enumerate() {
            parameter.set_grad(gradient(&self.mode, number, &parameter.value(), n).map(Var::new));
        }
        optimizer.step();
    }
}

/// The parameters as one vector.
pub fn flat(parameters: &[Parameter]) -> Tensor {
    Tensor::cat(&parameters.iter().map(|p| p.value().reshape([p.numel()])).collect::<Vec<_>>(), 0)
}

/// The gradient of parameter `number` at step `n`.
fn gradient(mode: &str, number: usize, p: &Tensor, n: usize) -> Option<Tensor> {
    if mode == "rests" && number % 2 == 1 && n % 3 != 1 {
        return None;
    }
    let g = p * 2.0 + &(p + 0.3 * n as f64).cos();
    let zero = match mode {
        "zeros" => p.full_like(if n.is_multiple_of(4) || (number % 2 == 1 && n <= 3) { 0.0 } else { 1.0 }),
        "sparse" => {
            let kept = (0..p.numel()).map(|i| if (i + n).is_multiple_of(3) { 1.0 } else { 0.0 });
            Tensor::from_vec(kept.collect::<Vec<f64>>(), [p.numel()]).reshape(p.shape()).to_dtype(p.dtype())
        }
        _ => p.ones_like(),
    };
    Some(g * &zero)
}

/// What LBFGS brings down (or up).
fn loss(mode: &str, parameters: &[Parameter]) -> Var {
    let q = Var::cat(&parameters.iter().map(|p| p.reshape([p.numel()])).collect::<Vec<_>>(), 0);
    let n = q.numel();
    if mode == "valley" {
        let (a, b) = (q.narrow(0, 0, n - 1), q.narrow(0, 1, n - 1));
        return ((1.0 - &a).square() + (b - a.square()).square() * 10.0).sum();
    }
    let weights = Var::new(Tensor::arange(1.0, n as f64 + 1.0, 1.0, q.dtype()));
    let bowl = (weights * (&q - 0.3).square() + q.square().square()).sum();
    if mode == "bowl" { bowl } else { -bowl }
}
