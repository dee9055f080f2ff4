//! The committed samples of PyTorch's operators; see `tests/scripts/conformance.py`, which wrote them.

use std::sync::OnceLock;

use serde_json::Value;
use tensor::{DType, Tensor, safetensors};

/// The sizes and formulas of `probe` in the script.
const FULL: usize = 24;
const PROBES: usize = 12;
const SUMS: usize = 2;

struct Fixture {
    samples: Vec<Value>,
    inputs: Vec<f32>,
    outputs: Vec<f64>,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/conformance/");
        let text = std::fs::read_to_string(format!("{folder}samples.jsonl")).expect("the samples");
        let samples = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let file = safetensors::load(format!("{folder}values.safetensors")).expect("the numbers");
        let named = |name: &str| &file.tensors.iter().find(|(n, _)| n == name).expect("both tensors").1;
        Fixture { samples, inputs: named("inputs").to_vec(), outputs: named("outputs").to_vec() }
    })
}

/// What the script says of its run: the torch version, and samples that it could not write.
pub(crate) fn header() -> &'static Value {
    &fixture().samples[0]
}

/// All samples, in the order of the operators.
pub(crate) fn samples() -> &'static [Value] {
    &fixture().samples[1..]
}

/// Ours among the names of dtypes.
pub(crate) fn dtype_named(name: &str) -> Option<DType> {
    use DType::*;
    [Bool, U8, I32, I64, F16, BF16, F32, F64].into_iter().find(|dtype| dtype.to_string() == name)
}

fn shape_of(value: &Value) -> Vec<usize> {
    value["s"].as_array().expect("a shape").iter().map(|n| n.as_u64().expect("a size") as usize).collect()
}

fn dtype_of(value: &Value) -> DType {
    dtype_named(value["d"].as_str().expect("a name")).expect("one of our dtypes")
}

/// The input tensor that `value` points to.
pub(crate) fn input(value: &Value) -> Tensor {
    let (shape, at) = (shape_of(value), value["t"].as_u64().expect("an offset") as usize);
    let numbers = &fixture().inputs[at..at + shape.iter().product::<usize>()];
    Tensor::from_slice(numbers, &shape[..]).to_dtype(dtype_of(value))
}

/// `cos(rate j + phase)` for each element, in the shape of `like`.
pub(crate) fn wave(like: &Tensor, rate: f64, phase: f64) -> Tensor {
    Tensor::from_vec((0..like.numel()).map(|j| (rate * j as f64 + phase).cos()).collect(), like.shape())
}

/// How far a result may lie from PyTorch's: relative, and absolute in units of the largest element (at least 1).
fn tolerance(dtype: DType) -> (f64, f64) {
    match dtype {
        DType::F64 => (1e-8, 1e-10),
        DType::F32 => (1e-5, 2e-6),
        DType::F16 => (2e-3, 1e-3),
        DType::BF16 => (1.6e-2, 8e-3),
        _ => (0.0, 0.0),
    }
}

/// Compares a result with the one that PyTorch gave.
pub(crate) fn compare(what: &str, got: &Tensor, expected: &Value) -> Result<(), String> {
    let (shape, dtype) = (shape_of(expected), dtype_of(expected));
    if got.dims() != shape || got.dtype() != dtype {
        return Err(format!("{what} is {} {:?}, PyTorch's {dtype} {shape:?}", got.dtype(), got.dims()));
    }
    let got = got.to_dtype(DType::F64).to_vec::<f64>();
    let (n, at) = (got.len(), expected["t"].as_u64().expect("an offset") as usize);
    let expected = &fixture().outputs[at..];
    let (relative, absolute) = tolerance(dtype);
    let kept: Vec<usize> = if n <= FULL { (0..n).collect() } else { (0..PROBES).map(|i| i * n / PROBES).collect() };
    let finite = expected[..kept.len()].iter().copied().filter(|x| x.is_finite());
    let largest = finite.fold(1.0f64, |largest, x| largest.max(x.abs()));
    let near = |a: f64, b: f64| {
        a == b || a.is_nan() && b.is_nan() || b.is_finite() && (a - b).abs() <= relative * b.abs() + absolute * largest
    };
    for (&i, &b) in kept.iter().zip(expected) {
        if !near(got[i], b) {
            return Err(format!("{what}: element {i} of {shape:?} is {}, PyTorch's {b}", got[i]));
        }
    }
    if n > FULL {
        let tame = |x: f64| {
            if x.is_nan() {
                3.0
            } else if x.is_finite() {
                x
            } else {
                5f64.copysign(x)
            }
        };
        let scale = expected[PROBES + SUMS];
        for (k, &b) in expected[PROBES..PROBES + SUMS].iter().enumerate() {
            let weight = |j: usize| (0.7390851 * (k + 1) as f64 * j as f64 + k as f64).cos();
            let a: f64 = got.iter().enumerate().map(|(j, &x)| tame(x) * weight(j)).sum();
            if (a - b).abs() > (relative + absolute + 1e-13) * scale.max(1.0) {
                return Err(format!("{what}: weighted sum {k} over {shape:?} is {a}, PyTorch's {b}"));
            }
        }
    }
    Ok(())
}

/// Compares a gradient, where none at all is a gradient of zeros.
pub(crate) fn compare_gradient(what: &str, got: Option<&Tensor>, expected: &Value) -> Result<(), String> {
    match (got, expected.is_null()) {
        (None, true) => Ok(()),
        (Some(got), true) if got.eq_scalar(0.0).all().item::<bool>() => Ok(()),
        (Some(_), true) => Err(format!("{what} is not zero, PyTorch has none")),
        (Some(got), false) => compare(what, got, expected),
        (None, false) => {
            let zeros = Tensor::zeros(shape_of(expected), dtype_of(expected));
            compare(&format!("{what} (there is none)"), &zeros, expected)
        }
    }
}
