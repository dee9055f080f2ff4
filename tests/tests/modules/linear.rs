//! Linear layers, and modules that only arrange.

use crate::harness::*;

cases! { "linear":
    "linear" => layer(Linear::new(4, 3)),
    "linear_no_bias" => layer(Linear::with(4, 3, LinearOptions { bias: false, ..Default::default() })),
    "identity" => layer(Identity::new()),
    "flatten" => layer(Flatten::new()),
    "flatten_dims" => layer(Flatten::with(FlattenOptions { start_dim: 0, end_dim: -2 })),
    "mlp" => layer(sequential![Linear::new(4, 5), Tanh::new(), Linear::new(5, 2)]),
}
