//! Files as NumPy writes them: NPY, NPZ and IDX, read to the bit and written to the byte.

use std::io::Write;

use models::data::{idx, npy, npz};
use tensor::Tensor;
use tests::Fixture;

fn fixture() -> Fixture {
    let fixture = Fixture::load("data_files");
    assert!(fixture.metadata("versions").contains("numpy"));
    fixture
}

/// The cases whose names contain `kind`, and the bytes of their files.
fn files(fixture: &Fixture, kind: &str) -> Vec<(String, Vec<u8>)> {
    let cases = fixture.cases().into_iter().filter(|case| case.contains(kind));
    let files = cases.map(|case| (case.clone(), fixture.get(&case, "file").to_vec::<u8>()));
    files.collect()
}

/// Reads every file of a kind, and writes those again that this side writes to the byte.
fn single_arrays(kind: &str, read: fn(&[u8]) -> models::Result<Tensor>, write: fn(&Tensor) -> models::Result<Vec<u8>>) {
    let fixture = fixture();
    let files = files(&fixture, kind);
    assert!(files.len() > 10);
    for (case, bytes) in files {
        let array = read(&bytes);
        if case.starts_with("refused_") {
            let message = array.unwrap_err().to_string();
            assert!(!message.is_empty() && !message.contains('\n'), "{case}: {message}");
            continue;
        }
        let (array, expected) = (array.unwrap_or_else(|e| panic!("{case}: {e}")), fixture.get(&case, "array"));
        assert!(array.bit_eq(&expected), "{case}:\n{array}\n{expected}");
        if case.starts_with("exact_") {
            assert!(write(&expected).unwrap() == bytes, "{case} is written in another way");
        }
    }
}

#[test]
fn npy_files() {
    single_arrays("npy_", npy::from_bytes, npy::to_bytes);
}

#[test]
fn idx_files() {
    single_arrays("idx_", idx::from_bytes, idx::to_bytes);
}

#[test]
fn npz_files() {
    let fixture = fixture();
    let files = files(&fixture, "npz_");
    assert!(files.len() > 4);
    for (case, bytes) in files {
        let arrays = npz::from_bytes(&bytes);
        if case.starts_with("refused_") {
            assert!(arrays.unwrap_err().to_string().contains("compression method 12"), "{case}");
            continue;
        }
        let arrays = arrays.unwrap_or_else(|e| panic!("{case}: {e}"));
        let mut expected = fixture.parts(&case, "array.");
        assert_eq!(arrays.len(), expected.len(), "{case}");
        for (name, array) in &arrays {
            let (_, expected) =
                expected.iter().find(|(other, _)| other == name).unwrap_or_else(|| panic!("{case} {name}"));
            assert!(array.bit_eq(expected), "{case} {name}:\n{array}\n{expected}");
        }
        // What is written from them is the same arrays, stored or compressed.
        expected.reverse();
        for compress in [false, true] {
            let again = npz::from_bytes(&npz::to_bytes(&expected, compress).unwrap()).unwrap();
            assert!(again.iter().zip(&expected).all(|(a, b)| a.0 == b.0 && a.1.bit_eq(&b.1)), "{case}");
        }
    }
}

#[test]
fn python_reads_what_is_written_where_numpy_is_installed() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    let arrays =
        [("x".to_string(), Tensor::from([[1.5f32, -2.0]]).t()), ("größe".to_string(), Tensor::from([true, false]))];
    npz::save(path("a.npz"), &arrays).unwrap();
    npz::save_compressed(path("b.npz"), &arrays).unwrap();
    npy::save(path("c.npy"), &arrays[0].1).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/data_files.py");
    let files = ["a.npz", "b.npz", "c.npy"].map(path);
    let Ok(output) = std::process::Command::new("python3").arg(script).arg("check").args(&files).output() else {
        return say_skipped("there is no python3");
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("ModuleNotFoundError") {
        return say_skipped(errors.lines().last().unwrap_or(""));
    }
    assert!(output.status.success(), "{errors}");
    let [a, b, c] = files;
    let mut expected = String::new();
    for file in [a, b] {
        expected += &format!("{file} x float32 (2, 1) [[1.5], [-2.0]]\n{file} größe bool (2,) [True, False]\n");
    }
    expected += &format!("{c}  float32 (2, 1) [[1.5], [-2.0]]\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

fn say_skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "NumPy was not asked: {why}");
}
