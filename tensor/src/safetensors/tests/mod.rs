//! Tests of checkpoints: what is written is read in every way, what is broken is refused.

mod broken_files;
mod mapped;
mod round_trip;
mod sharding;

use std::path::Path;

use super::*;
use crate::DType;

/// One tensor of every dtype, in several layouts and shapes.
fn sample() -> Vec<(String, Tensor)> {
    let halves = Tensor::from([[1.5f32, -2.0], [f32::NAN, f32::INFINITY]]);
    vec![
        ("z".into(), Tensor::from([[1.5f32, -2.0], [f32::NAN, f32::INFINITY]]).t()),
        ("a".into(), Tensor::from([true, false, true])),
        ("empty".into(), Tensor::zeros([0, 3], DType::F64)),
        ("scalar".into(), Tensor::scalar(i64::MIN)),
        ("bytes".into(), Tensor::from([0u8, 255])),
        ("half".into(), halves.to_dtype(DType::F16)),
        ("bfloat \"quoted\" é\n".into(), halves.to_dtype(DType::BF16).flip(&[1])),
        ("int".into(), Tensor::from([[i32::MAX, i32::MIN, 3]]).expand([2, 3])),
        ("double".into(), Tensor::from([[-0.0, f64::MIN_POSITIVE, f64::NAN], [1.0, 2.0, 3.0]]).narrow(1, 1, 2)),
    ]
}

fn text(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    entries.iter().map(|&(key, value)| (key.to_string(), value.to_string())).collect()
}

/// Whether `read` has the tensors of `written`, bit for bit, in the order of their names.
fn assert_same(read: &[(String, Tensor)], written: &[(String, Tensor)]) {
    let mut written: Vec<_> = written.iter().collect();
    written.sort_by(|a, b| a.0.cmp(&b.0));
    let names = |tensors: &[&(String, Tensor)]| tensors.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&read.iter().collect::<Vec<_>>()), names(&written));
    for ((name, read), (_, written)) in read.iter().zip(written) {
        assert_eq!((read.dtype(), read.shape()), (written.dtype(), written.shape()), "{name}");
        assert!(read.bit_eq(written), "{name}: {read} is not {written}");
    }
}

/// A file with this header, honestly measured, and so many bytes of data.
fn file(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![1; data]].concat()
}

/// The names of what is in a directory, sorted.
fn listing(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The message of an error, which must be one line.
#[track_caller]
fn refused<T>(result: Result<T>) -> String {
    let message = result.err().expect("must be refused").to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}
