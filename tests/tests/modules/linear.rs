//! Linear layers, and modules that only give their input another shape.

use crate::harness::*;

fn bilinear(layer: Bilinear) -> Case {
    module(layer, |m, x| m.forward(x.var(0), x.var(1)))
}

cases! { "linear":
    "linear" => layer(Linear::new(4, 3)),
    "linear_no_bias" => layer(Linear::with(4, 3, LinearOptions { bias: false, ..Default::default() })),
    "linear_function" => function(|x| functional::linear(x.var(0), x.var(1), Some(x.var(2)))),
    "bilinear" => bilinear(Bilinear::new(3, 4, 2)),
    "bilinear_no_bias" => bilinear(Bilinear::with(3, 4, 2, LinearOptions { bias: false, ..Default::default() })),
    "bilinear_vectors" => bilinear(Bilinear::new(3, 4, 2)),
    "bilinear_function" => function(|x| functional::bilinear(x.var(0), x.var(1), x.var(2), Some(x.var(3)))),
    "identity" => layer(Identity::new()),
    "flatten" => layer(Flatten::new()),
    "flatten_dims" => layer(Flatten::with(FlattenOptions { start_dim: 0, end_dim: -2 })),
    "unflatten" => layer(Unflatten::new(1, [2, 3])),
    "unflatten_rest" => layer(Unflatten::new(-2, [2, -1, 1])),
    "mlp" => layer(sequential![Linear::new(4, 5), Tanh::new(), Linear::new(5, 2)]),
}
