//! The PyTorch example of CMU 10-301's lecture 28, line for line.
//!
//! ```python
//! # Define model
//! class NeuralNetwork(nn.Module):
//!     def __init__(self):
//!         super(NeuralNetwork, self).__init__()
//!         self.flatten = nn.Flatten()
//!         self.linear1 = nn.Linear(28*28, 512)
//!         self.sigmoid = nn.Sigmoid()
//!         self.linear2 = nn.Linear(512, 512)
//!
//!     def forward(self, x):
//!         x = self.flatten(x)
//!         a = self.linear1(x)
//!         z = self.sigmoid(a)
//!         b = self.linear2(z)
//!         return b
//!
//! # Take one step of SGD
//! def one_step_of_sgd(X, y):
//!     loss_fn = nn.CrossEntropyLoss()
//!     optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
//!
//!     # Compute prediction and loss
//!     pred = model(X)
//!     loss = loss_fn(pred, y)
//!
//!     # Backpropagation
//!     optimizer.zero_grad()
//!     loss.backward()
//!     optimizer.step()
//! ```
//!
//!     cargo run --release -p models --example lecture_pytorch

use nn::prelude::*;
use optim::{Optimizer, SGD, SGDOptions};

/// Flatten, Linear(28*28, 512), Sigmoid, Linear(512, 512).
#[derive(Module)]
pub(crate) struct NeuralNetwork {
    flatten: Flatten,
    linear1: Linear,
    sigmoid: Sigmoid,
    linear2: Linear,
}

impl NeuralNetwork {
    /// A network with PyTorch's first weights.
    pub(crate) fn new() -> NeuralNetwork {
        NeuralNetwork {
            flatten: Flatten::new(),
            linear1: Linear::new(28 * 28, 512),
            sigmoid: Sigmoid::new(),
            linear2: Linear::new(512, 512),
        }
    }
}

impl Forward for NeuralNetwork {
    fn forward(&self, x: &Var) -> Var {
        let x = self.flatten.forward(x);
        let a = self.linear1.forward(&x);
        let z = self.sigmoid.forward(&a);
        self.linear2.forward(&z) // b
    }
}

/// Takes one step of SGD; returns the loss before it
pub(crate) fn one_step_of_sgd(model: &NeuralNetwork, x: &Var, y: &Tensor) -> f32 {
    let loss_fn = CrossEntropyLoss::new();
    let mut optimizer = SGD::with(model.parameters(), SGDOptions { lr: 1e-3, ..Default::default() });

    // Compute prediction and loss
    let pred = model.forward(x);
    let loss = loss_fn.forward(&pred, y);

    // Backpropagation
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    loss.value().item::<f32>()
}

fn main() {
    manual_seed(0);
    let model = NeuralNetwork::new();
    println!("{model}\n{} parameters", model.num_parameters());

    // The lecture's images have 28 x 28 pixels; here they are random.
    let x = Var::new(Tensor::rand([64, 28, 28], DType::F32));
    let y = Tensor::randint(0, 512, [64]);
    let losses: Vec<f32> = (0..10).map(|_| one_step_of_sgd(&model, &x, &y)).collect();
    println!("losses of ten steps on one batch: {losses:.4?}");
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "each step lowers the loss");
}
