//! An MLP learns to tell three intertwined spirals apart, on points that are drawn here, to over 97% on new points.
//!
//!     cargo run --release -p models --example mlp_spirals

use std::f64::consts::TAU;

use autograd::no_grad;
use models::Mlp;
use nn::prelude::*;
use optim::{AdamW, AdamWOptions, Optimizer, Scheduler, WarmupCosine};
use tensor::{DType, Generator, Tensor};

/// The number of spirals.
const CLASSES: usize = 3;

/// `n` random points of the spirals and the number of the spiral of each.
///
/// A point at the radius r lies at the angle `r + class / 3` in turns, plus noise.
///
/// # Shape
/// f32 `[n, 2]` and i64 `[n]`.
pub fn spirals(n: usize, rng: &mut Generator) -> (Tensor, Tensor) {
    let class = Tensor::randint_with(0, CLASSES as i64, [n], rng);
    let radius = Tensor::uniform_with(0.1, 1.0, [n], DType::F32, rng);
    let noise = Tensor::normal_with(0.0, 0.02, [n], DType::F32, rng);
    let angle = (&radius + class.to_dtype(DType::F32) / CLASSES as f64 + noise) * TAU;
    let points = Tensor::stack(&[&radius * angle.cos(), &radius * angle.sin()], -1);
    (points, class)
}

/// The part of the points that the model assigns to their spiral.
pub fn accuracy(model: &Mlp, points: &Tensor, class: &Tensor) -> f64 {
    let logits = no_grad(|| model.forward(&Var::new(points.clone())).value());
    let right = logits.argmax(-1, false).eq(class);
    right.to_dtype(DType::F64).mean().item::<f64>()
}

/// Trains a model and gives its accuracy on points that it has not seen; `show` is told the step and the loss.
pub fn train(seed: u64, mut show: impl FnMut(usize, f32)) -> f64 {
    const STEPS: usize = 1000;
    tensor::manual_seed(seed);
    let mut rng = Generator::new(seed);
    let (points, class) = spirals(3000, &mut rng);
    let (test_points, test_class) = spirals(3000, &mut rng);

    let model = Mlp::new(&[2, 64, 64, CLASSES]);
    let loss_fn = CrossEntropyLoss::new();
    let mut optimizer = AdamW::with(model.parameters(), AdamWOptions { lr: 1e-2, ..Default::default() });
    let mut schedule = WarmupCosine::new(&mut optimizer, 50, STEPS, 1e-4);
    for step in 0..STEPS {
        let batch = Tensor::randint_with(0, 3000, [128], &mut rng);
        let (x, y) = (points.index_select(0, &batch), class.index_select(0, &batch));
        let loss = loss_fn.forward(&model.forward(&Var::new(x)), &y);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
        schedule.step(&mut optimizer);
        show(step + 1, loss.value().item::<f32>());
    }
    accuracy(&model, &test_points, &test_class)
}

fn main() {
    let accuracy = train(0, |step, loss| {
        if step % 100 == 0 {
            println!("step {step:4}  loss {loss:.4}");
        }
    });
    println!("test accuracy {:.2}%", 100.0 * accuracy);
    assert!(accuracy > 0.97, "{accuracy}");
}
