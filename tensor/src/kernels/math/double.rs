//! The double-precision functions of networks.

use std::f64::consts::FRAC_1_SQRT_2;

pub(crate) fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

/// `x` times a factor that vanishes to the left faster than `x` grows: 0 at negative infinity, where PyTorch gives NaN.
fn gated(x: f64, gate: f64) -> f64 {
    if x == f64::NEG_INFINITY { -0.0 } else { x * gate }
}

pub(crate) fn silu(x: f64) -> f64 {
    gated(x, sigmoid(x))
}

pub(crate) fn softplus(x: f64) -> f64 {
    // Not max(x, 0), which would swallow NaN.
    (if x > 0.0 { x } else { 0.0 }) + (-x.abs()).exp().ln_1p()
}

pub(crate) fn mish(x: f64) -> f64 {
    // tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2) for e = e^x; for x > 0 both are divided by e^2x.
    let e = (-x.abs()).exp();
    let tanh =
        if x < 0.0 { e * (e + 2.0) / (e * (e + 2.0) + 2.0) } else { (1.0 + 2.0 * e) / (1.0 + 2.0 * e * (1.0 + e)) };
    gated(x, tanh)
}

pub(crate) fn gelu(x: f64) -> f64 {
    gated(x, 0.5 * libm::erfc(-x * FRAC_1_SQRT_2))
}

pub(crate) fn gelu_tanh(x: f64) -> f64 {
    /// `2 sqrt(2 / pi)`
    const LINEAR: f64 = 1.595_769_121_605_730_8;
    gated(x, sigmoid(x * (0.044_715 * LINEAR * x * x + LINEAR)))
}
