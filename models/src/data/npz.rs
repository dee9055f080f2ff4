//! NPZ files, NumPy's format of several arrays with names: a ZIP archive of NPY files, compressed or not.
//!
//! ```
//! use models::data::npz;
//! use tensor::Tensor;
//!
//! let arrays = [("x".to_string(), Tensor::from([1.0, 2.0])), ("y".to_string(), Tensor::from([0i64, 1]))];
//! let bytes = npz::to_bytes(&arrays, true)?; // as numpy.savez_compressed(file, x=x, y=y)
//! let read = npz::from_bytes(&bytes)?;
//! assert!(read[0].0 == "x" && read[1].1.bit_eq(&arrays[1].1));
//! # Ok::<(), models::Error>(())
//! ```

use std::path::Path;

use tensor::Tensor;

use super::{npy, zip};
use crate::{Error, Result};

/// The arrays of a file, in its order.
///
/// # Errors
/// When the file cannot be read, or as [`from_bytes`].
pub fn load(path: impl AsRef<Path>) -> Result<Vec<(String, Tensor)>> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|e| Error::read(path, e))?;
    from_bytes(&bytes).map_err(|e| Error::in_file(path, e))
}

/// The arrays that the bytes of a file hold, in its order.
///
/// # Errors
/// When they are no ZIP archive, it is encrypted, damaged or compressed in another way than NumPy's (stored, deflate),
/// two arrays have one name, or one of them is refused (see [`npy::from_bytes`]).
pub fn from_bytes(bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    let mut arrays: Vec<(String, Tensor)> = Vec::new();
    let mut names = std::collections::HashSet::new();
    zip::read(bytes, |name, bytes| {
        let in_entry = |what: &dyn std::fmt::Display| Error::invalid(format!("{name}: {what}"));
        let array = name.strip_suffix(".npy").ok_or_else(|| in_entry(&"the entry is no .npy file"))?;
        if !names.insert(array.to_string()) {
            return Err(in_entry(&"there are two entries of this name"));
        }
        arrays.push((array.to_string(), npy::parse(bytes).map_err(|e| in_entry(&e))?));
        Ok(())
    })?;
    Ok(arrays)
}

/// Writes `arrays` as `numpy.savez` does; a process killed while it writes leaves the old file.
///
/// # Errors
/// When the file cannot be written, or as [`to_bytes`].
pub fn save(path: impl AsRef<Path>, arrays: &[(String, Tensor)]) -> Result<()> {
    write(path.as_ref(), arrays, false)
}

/// Writes `arrays` as `numpy.savez_compressed` does; a process killed while it writes leaves the old file.
///
/// # Errors
/// As [`save`].
pub fn save_compressed(path: impl AsRef<Path>, arrays: &[(String, Tensor)]) -> Result<()> {
    write(path.as_ref(), arrays, true)
}

fn write(path: &Path, arrays: &[(String, Tensor)], compress: bool) -> Result<()> {
    let bytes = to_bytes(arrays, compress).map_err(|e| Error::in_file(path, e))?;
    tensor::io::write_atomic(path, &bytes).map_err(|e| Error::write(path, e))
}

/// The bytes of a file with these arrays. The same input gives the same bytes.
///
/// # Errors
/// When two arrays have one name, one is bf16 (which NumPy does not have), or the file would be larger than 4 GiB.
///
/// # Differs
/// NumPy writes larger files in the format's 64-bit extension, which is read here, too; `safetensors` suits them better.
pub fn to_bytes(arrays: &[(String, Tensor)], compress: bool) -> Result<Vec<u8>> {
    let mut names = std::collections::HashSet::new();
    let mut writer = zip::Writer::new(compress);
    for (name, tensor) in arrays {
        if !names.insert(name) {
            return Err(Error::invalid(format!("two arrays are named {name:?}")));
        }
        writer.add(&format!("{name}.npy"), &npy::to_bytes(tensor)?)?;
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::DType;

    fn arrays() -> Vec<(String, Tensor)> {
        vec![
            ("z".into(), Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]).t()),
            ("naïve/ü".into(), Tensor::zeros([100], DType::F64)),
            ("arr_0".into(), Tensor::scalar(true)),
        ]
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let (stored, compressed) = (dir.path().join("a.npz"), dir.path().join("b.npz"));
        save(&stored, &arrays()).unwrap();
        save_compressed(&compressed, &arrays()).unwrap();
        for path in [&stored, &compressed] {
            let read = load(path).unwrap();
            assert_eq!(read.len(), 3);
            assert!(read.iter().zip(arrays()).all(|(a, b)| a.0 == b.0 && a.1.bit_eq(&b.1)));
        }
        let size = |path: &Path| std::fs::metadata(path).unwrap().len();
        assert!(size(&compressed) + 700 < size(&stored));
        assert!(from_bytes(&to_bytes(&[], false).unwrap()).unwrap().is_empty());
    }

    #[test]
    fn what_does_not_fit_is_refused_and_named() {
        let twice = [("a".to_string(), Tensor::scalar(1.0)), ("a".to_string(), Tensor::scalar(2.0))];
        assert!(to_bytes(&twice, false).unwrap_err().to_string().contains("two arrays are named \"a\""));
        let archive = |entries: &[(&str, &[u8])]| {
            let mut writer = zip::Writer::new(false);
            entries.iter().for_each(|(name, bytes)| writer.add(name, bytes).unwrap());
            writer.finish().unwrap()
        };
        let good = npy::to_bytes(&Tensor::scalar(1.0)).unwrap();
        for (entries, says) in [
            (&[("a.npy", &good[..]), ("a.npy", &good)][..], "a.npy: there are two entries of this name"),
            (&[("readme", b"x")], "readme: the entry is no .npy file"),
            (&[("a.npy", b"x")], "a.npy: not an NPY file"),
        ] {
            let message = from_bytes(&archive(entries)).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
        assert!(load("does/not/exist.npz").unwrap_err().to_string().starts_with("cannot read"));
    }
}
