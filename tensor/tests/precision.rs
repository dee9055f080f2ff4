//! The accuracy of the elementary functions, measured over their whole domains and at every vector level.
//!
//! The unit is that of the last place (ulp) of the exact result; below the normal range it is that of the smallest normal
//! number, in which subnormal numbers are counted too.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use tensor::{DType, Tensor};

/// Of so many bit patterns of f32 one is tried: a quarter of a million numbers of all exponents and both signs.
const STRIDE: usize = 16411;

/// Runs this test again in a process of its own for each vector level, since the level is read once.
fn at_every_level(test: &str, run: fn()) {
    const MARK: &str = "GRADUS_PRECISION_CHILD";
    if std::env::var_os(MARK).is_some() {
        return run();
    }
    let program = std::env::current_exe().expect("a test knows its own file");
    let children: Vec<_> = ["portable", "avx2", "avx512"]
        .map(|level| {
            let mut child = std::process::Command::new(&program);
            child.args([test, "--exact", "--nocapture", "--test-threads=1"]).env("GRADUS_SIMD", level).env(MARK, level);
            child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            (level, child.spawn().expect("a test can start itself"))
        })
        .into_iter()
        .collect();
    for (level, child) in children {
        let output = child.wait_with_output().expect("the child ends");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{level}: {text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("1 passed"), "{level} ran nothing: {text}");
        println!("{level}\n{}", text.lines().filter(|line| line.contains(" ulp")).collect::<Vec<_>>().join("\n"));
    }
}

/// The distance of `got` from `want` in units in the last place.
fn ulps(got: f32, want: f64) -> f64 {
    let nearest = want as f32;
    if !nearest.is_finite() || !got.is_finite() {
        return if nearest == got || (nearest.is_nan() && got.is_nan()) { 0.0 } else { f64::INFINITY };
    }
    let (_, exponent) = frexp(nearest.abs().max(f32::MIN_POSITIVE) as f64);
    (got as f64 - want).abs() / 2f64.powi(exponent - 24)
}

/// `x = m 2^e` with `m` in `1/2 .. 1`, for positive normal `x`.
fn frexp(x: f64) -> (f64, i32) {
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1022;
    (x / 2f64.powi(exponent), exponent)
}

fn arguments() -> Vec<f32> {
    let special = [0.0f32, 1.0, f32::INFINITY, f32::MAX, f32::MIN_POSITIVE, 1e-45, 0.5, 2.0, 1e30, 1e22, f32::NAN];
    // The neighbourhoods of zeros and poles: multiples of pi / 2, and 1.
    let near =
        (1..400).map(|k| k as f64 * std::f64::consts::FRAC_PI_2).chain([1.0, 0.5, 1e7, 88.7, 103.97, 13.2, 10.05]);
    let near = near.flat_map(|x| (-3i32..=3).map(move |d| f32::from_bits((x as f32).to_bits().wrapping_add_signed(d))));
    (0..=u32::MAX)
        .step_by(STRIDE)
        .map(f32::from_bits)
        .chain(special.into_iter().chain(near).flat_map(|x| [x, -x]))
        .collect()
}

struct Function {
    name: &'static str,
    of: fn(&Tensor) -> Tensor,
    exact: fn(f64) -> f64,
    /// The greatest error that is allowed at `x`, in ulp.
    limit: fn(f64) -> f64,
}

fn f(name: &'static str, of: fn(&Tensor) -> Tensor, exact: fn(f64) -> f64) -> Function {
    Function { name, of, exact, limit: |_| 2.0 }
}

fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

fn softplus(x: f64) -> f64 {
    (if x > 0.0 { x } else { 0.0 }) + (-x.abs()).exp().ln_1p()
}

/// `tanh(log(1 + e^x))`
fn mish_slope(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x < 0.0 { e * (e + 2.0) / (e * (e + 2.0) + 2.0) } else { (1.0 + 2.0 * e) / (1.0 + 2.0 * e * (1.0 + e)) }
}

/// `x` times a factor in `0..=1` which is 0 long before -700.
fn gated(x: f64, gate: f64) -> f64 {
    if x < -700.0 { -0.0 } else { x * gate }
}

fn erfinv(x: f64) -> f64 {
    if x.is_nan() || x.abs() >= 1.0 {
        return if x.abs() == 1.0 { x * f64::INFINITY } else { f64::NAN };
    }
    // Bisection: slow, and independent of the method under test.
    let (a, mut low, mut high) = (x.abs(), 0.0, 7.0);
    if a < 1e-5 {
        return x / FRAC_2_SQRT_PI;
    }
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        let below = if a < 0.5 { libm_erf(middle) < a } else { libm_erfc(middle) > 1.0 - a };
        (low, high) = if below { (middle, high) } else { (low, middle) };
    }
    low.copysign(x)
}

/// The double-precision functions that std lacks come from this crate; `double_precision_functions` compares them with
/// reference values.
fn libm_erf(x: f64) -> f64 {
    Tensor::scalar(x).erf().item()
}
fn libm_erfc(x: f64) -> f64 {
    Tensor::scalar(x).erfc().item()
}

fn functions() -> Vec<Function> {
    vec![
        f("exp", Tensor::exp, f64::exp),
        f("exp2", Tensor::exp2, f64::exp2),
        f("expm1", Tensor::expm1, f64::exp_m1),
        f("log", Tensor::log, f64::ln),
        f("log1p", Tensor::log1p, f64::ln_1p),
        f("log2", Tensor::log2, f64::log2),
        f("log10", Tensor::log10, f64::log10),
        f("sqrt", Tensor::sqrt, f64::sqrt),
        f("rsqrt", Tensor::rsqrt, |x| 1.0 / x.sqrt()),
        f("reciprocal", Tensor::reciprocal, |x| 1.0 / x),
        f("sin", Tensor::sin, f64::sin),
        f("cos", Tensor::cos, f64::cos),
        f("tan", Tensor::tan, f64::tan),
        f("asin", Tensor::asin, f64::asin),
        f("acos", Tensor::acos, f64::acos),
        f("atan", Tensor::atan, f64::atan),
        f("sinh", Tensor::sinh, f64::sinh),
        f("cosh", Tensor::cosh, f64::cosh),
        f("tanh", Tensor::tanh, f64::tanh),
        f("asinh", Tensor::asinh, f64::asinh),
        f("acosh", Tensor::acosh, f64::acosh),
        f("atanh", Tensor::atanh, f64::atanh),
        f("sigmoid", Tensor::sigmoid, sigmoid),
        f("silu", Tensor::silu, |x| gated(x, sigmoid(x))),
        f("softplus", |x| x.softplus(1.0, f64::INFINITY), softplus),
        f("logsigmoid", Tensor::logsigmoid, |x| -softplus(-x)),
        f("mish", Tensor::mish, |x| gated(x, mish_slope(x))),
        f("erf", Tensor::erf, libm_erf),
        f("erfc", Tensor::erfc, libm_erfc),
        f("erfinv", Tensor::erfinv, erfinv),
        Function {
            // Left of 0 the errors of a division, a long polynomial and an exponential add up: one result in ten thousand
            // is off by more than 2 ulp, the worst by 3.1.
            limit: |x| if x < 0.0 { 3.5 } else { 2.0 },
            ..f("gelu", Tensor::gelu, |x| gated(x, 0.5 * libm_erfc(-x * FRAC_1_SQRT_2)))
        },
        f("gelu_tanh", Tensor::gelu_tanh, |x| {
            gated(x, sigmoid(2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)))
        }),
        f("x^2.3", |x| x.powf(2.3), |x| x.powf(2.3f32 as f64)),
        f("x^-0.37", |x| x.powf(-0.37), |x| x.powf(-0.37f32 as f64)),
        f("x^7", |x| x.powf(7.0), |x| x.powf(7.0)),
        f("x^-5", |x| x.powf(-5.0), |x| x.powf(-5.0)),
        f("1.0001^x", |x| Tensor::scalar(1.0001f32).pow(x), |x| (1.0001f32 as f64).powf(x)),
        f("(-3)^x", |x| Tensor::scalar(-3f32).pow(x), |x| (-3f64).powf(x)),
        f("0^x", |x| Tensor::scalar(0f32).pow(x), |x| 0f64.powf(x)),
        f("(-0)^x", |x| Tensor::scalar(-0f32).pow(x), |x| (-0f64).powf(x)),
        f("inf^x", |x| Tensor::scalar(f32::INFINITY).pow(x), |x| f64::INFINITY.powf(x)),
        f("(-inf)^x", |x| Tensor::scalar(f32::NEG_INFINITY).pow(x), |x| f64::NEG_INFINITY.powf(x)),
        f("nan^x", |x| Tensor::scalar(f32::NAN).pow(x), |x| f64::NAN.powf(x)),
        f("x^x", |x| x.pow(x), |x| x.powf(x)),
    ]
}

#[test]
fn single_precision_functions_are_within_2_ulp() {
    at_every_level("single_precision_functions_are_within_2_ulp", || {
        let arguments = arguments();
        let x = Tensor::from_vec(arguments.clone(), [arguments.len()]);
        for function in functions() {
            let results = (function.of)(&x).to_vec::<f32>();
            let mut worst = (0.0, f32::NAN);
            for (&x, &got) in arguments.iter().zip(&results) {
                let want = (function.exact)(x as f64);
                let error = ulps(got, want);
                assert!(
                    error <= (function.limit)(x as f64),
                    "{}({x:e}) = {got:e}, not {want:e}: {error} ulp",
                    function.name
                );
                // Also the sign of a zero.
                assert!(
                    x != 0.0 || want != 0.0 || got.is_sign_negative() == want.is_sign_negative(),
                    "{} at {x}",
                    function.name
                );
                if error > worst.0 {
                    worst = (error, x);
                }
            }
            println!("{:>12} {:.3} ulp at {:e}", function.name, worst.0, worst.1);
        }
    });
}

/// Results do not depend on where an element stands: whole vectors, their remainders, and strided views agree.
#[test]
fn every_position_gets_the_same_bits() {
    let x = Tensor::from_vec((0..1009).map(|i| (i as f32 - 500.0) * 0.37).chain([1e30, 3e7, -1e22]).collect(), [1012]);
    for function in functions() {
        let whole = (function.of)(&x);
        for len in [1, 3, 17, 50] {
            let part = (function.of)(&x.narrow(0, 1012 - len, len));
            assert!(part.bit_eq(&whole.narrow(0, 1012 - len, len)), "{}", function.name);
        }
        assert!((function.of)(&x.flip(&[0])).bit_eq(&whole.flip(&[0]).contiguous()), "{}", function.name);
    }
}

/// Reference values of 50 digits, rounded to doubles: `tests/scripts/double_reference.py`.
#[test]
fn double_precision_functions() {
    let text = include_str!("../../tests/fixtures/double_reference.txt");
    let mut worst = std::collections::BTreeMap::<&str, f64>::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |k: usize| f64::from_bits(u64::from_str_radix(fields[k], 16).expect("a bit pattern"));
        let (name, x, want) = (fields[0], Tensor::scalar(number(1)), number(2));
        let function = functions().into_iter().find(|f| f.name == name).expect("a known function");
        let got = (function.of)(&x).item::<f64>();
        let error = if got == want {
            0.0
        } else {
            let (_, exponent) = frexp(want.abs().max(f64::MIN_POSITIVE));
            (got - want).abs() / 2f64.powi(exponent - 53)
        };
        let slot = worst.entry(name).or_default();
        *slot = slot.max(error);
        // Compositions add up the errors of their parts, and GELU's parts amplify that of their argument.
        let limit = match name {
            "sigmoid" | "silu" | "softplus" | "logsigmoid" | "mish" => 4.0,
            "gelu" | "gelu_tanh" => 4.0 + 2.0 * number(1) * number(1),
            _ => 2.0,
        };
        assert!(error <= limit, "{name}({:e}) = {got:e}, not {want:e}: {error} ulp", number(1));
        assert_eq!((function.of)(&x).dtype(), DType::F64);
    }
    assert!(worst.len() > 25);
    worst.iter().for_each(|(name, error)| println!("{name:>12} {error:.2} ulp"));
}
