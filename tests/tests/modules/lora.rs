//! Linear layers with low-rank adapters.

use crate::harness::*;
use nn::lora::{LoraOptions, add_lora};

fn adapted(rank: usize, alpha: f64, target: Option<&str>, model: impl Forward) -> Case {
    let targets = target.into_iter().map(str::to_owned).collect();
    add_lora(&model, &LoraOptions { rank, alpha, targets, ..Default::default() });
    layer(model)
}

cases! { "lora":
    "adapted" => adapted(2, 16.0, None, Linear::new(4, 3)),
    "adapted_no_bias" =>
        adapted(1, 0.5, None, Linear::with(4, 3, LinearOptions { bias: false, ..Default::default() })),
    "adapted_mlp" => adapted(8, 8.0, Some("2"), sequential![Linear::new(4, 5), Tanh::new(), Linear::new(5, 2)]),
}
