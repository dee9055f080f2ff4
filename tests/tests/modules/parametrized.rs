//! Layers whose weight is computed: weight normalisation and spectral normalisation.

use nn::utils::{SpectralNormOptions, spectral_norm, weight_norm};

use crate::harness::*;

/// Power iteration goes on with every forward pass in training.
fn several<M: Forward>(layer: M) -> Case {
    module(layer, |m, x| {
        let x = x.var(0);
        vec![m.forward(x), m.forward(&(x * 2.0)), m.forward(&(x - 1.0))]
    })
}

fn no_bias() -> LinearOptions {
    LinearOptions { bias: false, ..Default::default() }
}

cases! { "parametrized":
    "weight_norm" => layer(weight_norm(Linear::new(4, 3), Some(0))),
    "weight_norm_dim_1" => layer(weight_norm(Linear::with(4, 3, no_bias()), Some(1))),
    "weight_norm_last_dim" => layer(weight_norm(Conv2d::new(2, 3, 3), Some(-2))),
    "weight_norm_whole" => layer(weight_norm(Linear::new(4, 3), None)),
    "weight_norm_conv1d" => {
        let options = ConvOptions { padding: 1.into(), ..Default::default() };
        layer(weight_norm(Conv1d::with(2, 3, 3, options), Some(0)))
    },
    "weight_norm_conv_transpose" => layer(weight_norm(ConvTranspose2d::new(2, 3, 2), Some(0))),
    "spectral_norm" => several(spectral_norm(Linear::new(4, 3), SpectralNormOptions::default())),
    "spectral_norm_eval" => several(spectral_norm(Linear::new(4, 3), SpectralNormOptions::default())),
    "spectral_norm_options" => {
        let options = SpectralNormOptions { n_power_iterations: 3, eps: 1e-3, dim: Some(1) };
        layer(spectral_norm(Linear::new(4, 3), options))
    },
    "spectral_norm_conv" => several(spectral_norm(Conv2d::new(2, 3, 3), SpectralNormOptions::default())),
    "spectral_norm_conv_transpose" => {
        several(spectral_norm(ConvTranspose1d::new(2, 3, 3), SpectralNormOptions::default()))
    },
}
