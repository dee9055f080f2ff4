//! Double-precision functions of networks, for whole and far arguments alike.

use std::f64::consts::FRAC_1_SQRT_2;

pub(crate) fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

pub(crate) fn silu(x: f64) -> f64 {
    x * sigmoid(x)
}

pub(crate) fn softplus(x: f64) -> f64 {
    // Not max(x, 0), which would swallow NaN.
    (if x > 0.0 { x } else { 0.0 }) + (-x.abs()).exp().ln_1p()
}

pub(crate) fn mish(x: f64) -> f64 {
    // tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2) for e = e^x; for x > 0 both are divided by e^2x.
    let e = (-x.abs()).exp();
    if x < 0.0 {
        x * (e * (e + 2.0) / (e * (e + 2.0) + 2.0))
    } else {
        x * ((1.0 + 2.0 * e) / (1.0 + 2.0 * e * (1.0 + e)))
    }
}

pub(crate) fn gelu(x: f64) -> f64 {
    // At negative infinity this is NaN, as in PyTorch.
    x * (0.5 * libm::erfc(-x * FRAC_1_SQRT_2))
}

pub(crate) fn gelu_tanh(x: f64) -> f64 {
    /// `2 sqrt(2 / pi)`
    const LINEAR: f64 = 1.595_769_121_605_730_8;
    x * sigmoid(x * (0.044_715 * LINEAR * x * x + LINEAR))
}
