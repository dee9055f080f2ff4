//! What the cross-crate tests share: reading fixtures and comparing tensors. The tests are in `tests/tests`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tensor::{DType, Tensor, safetensors};

/// A file of golden numbers made by one of the scripts: tensors by `case/part`.
pub struct Fixture {
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
}

impl Fixture {
    /// The file `fixtures/<name>.safetensors`.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn load(name: &str) -> Fixture {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("{name}.safetensors"));
        let file = safetensors::load(path).expect("the fixture is in the tree");
        Fixture { tensors: file.tensors.into_iter().collect(), metadata: file.metadata.into_iter().collect() }
    }

    /// An entry of the file's metadata.
    ///
    /// # Panics
    /// If there is none.
    pub fn metadata(&self, name: &str) -> String {
        self.metadata.get(name).unwrap_or_else(|| panic!("the fixture has no metadata {name:?}")).clone()
    }

    /// The names before the slash, each once, without `shared`.
    pub fn cases(&self) -> Vec<String> {
        let mut cases: Vec<String> = self
            .tensors
            .keys()
            .filter_map(|k| k.split('/').next())
            .filter(|c| *c != "shared")
            .map(Into::into)
            .collect();
        cases.dedup();
        cases
    }

    /// The tensor `case/part`.
    ///
    /// # Panics
    /// If there is none.
    pub fn get(&self, case: &str, part: &str) -> Tensor {
        self.tensor(&format!("{case}/{part}"))
    }

    /// The tensor of this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn tensor(&self, name: &str) -> Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("the fixture has no {name}")).clone()
    }

    /// The tensors whose names start with `prefix`, without it.
    pub fn under(&self, prefix: &str) -> Vec<(String, Tensor)> {
        let named = self.tensors.iter().filter_map(|(k, t)| Some((k.strip_prefix(prefix)?.to_string(), t.clone())));
        named.collect()
    }

    /// The parts of `case` that start with `prefix`, without it, and their tensors.
    pub fn parts(&self, case: &str, prefix: &str) -> Vec<(String, Tensor)> {
        self.under(&format!("{case}/{prefix}"))
    }
}

/// The largest difference between two tensors, relative to the largest magnitude in `expected` (or 1, if that is
/// larger). Infinite when shapes differ or a NaN has no partner.
pub fn difference(actual: &Tensor, expected: &Tensor) -> f64 {
    if actual.shape() != expected.shape() {
        return f64::INFINITY;
    }
    let (a, b) = (actual.to_dtype(DType::F64).to_vec::<f64>(), expected.to_dtype(DType::F64).to_vec::<f64>());
    let scale = b.iter().filter(|x| x.is_finite()).fold(1.0f64, |m, x| m.max(x.abs()));
    let apart = |(x, y): (&f64, &f64)| match (x.is_nan(), y.is_nan()) {
        (true, true) => 0.0,
        (false, false) if x == y => 0.0,
        (false, false) => (x - y).abs() / scale,
        _ => f64::INFINITY,
    };
    a.iter().zip(&b).map(apart).fold(0.0, f64::max)
}

/// Asserts that [`difference`] is at most `tolerance`.
#[track_caller]
pub fn assert_close(what: &str, actual: &Tensor, expected: &Tensor, tolerance: f64) {
    let d = difference(actual, expected);
    assert!(d <= tolerance, "{what}: differs by {d:e}, at most {tolerance:e} is allowed\n{actual}\n{expected}");
}

/// The README's Rust runs, too.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
