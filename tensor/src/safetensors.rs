//! Reading and writing `.safetensors` files, the format that Python's frameworks share.
//!
//! ```
//! use tensor::{Tensor, safetensors};
//! let bytes = safetensors::to_bytes(&[("w".into(), Tensor::from([1.0f32, 2.0]))], &[])?;
//! let file = safetensors::from_bytes(&bytes)?;
//! assert_eq!(file.tensors[0].1.to_vec::<f32>(), [1.0, 2.0]);
//! # Ok::<(), tensor::Error>(())
//! ```

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use half::{bf16, f16};

use ::safetensors::tensor::{Dtype as FileDtype, SafeTensors, View, serialize};

use crate::dtype::dispatch;
use crate::{DType, Element, Error, Result, Tensor, io};

/// What a file holds: tensors in order of their names, and free text.
#[derive(Debug, Clone)]
pub struct File {
    /// The tensors, sorted by name.
    pub tensors: Vec<(String, Tensor)>,
    /// The metadata, sorted by key.
    pub metadata: Vec<(String, String)>,
}

/// Element types as the format names them.
fn file_dtype(dtype: DType) -> FileDtype {
    match dtype {
        DType::Bool => FileDtype::BOOL,
        DType::U8 => FileDtype::U8,
        DType::I32 => FileDtype::I32,
        DType::I64 => FileDtype::I64,
        DType::F16 => FileDtype::F16,
        DType::BF16 => FileDtype::BF16,
        DType::F32 => FileDtype::F32,
        DType::F64 => FileDtype::F64,
    }
}

/// The little-endian bytes of a tensor, for the writer.
struct Bytes {
    dtype: FileDtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl View for &Bytes {
    fn dtype(&self) -> FileDtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }
    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// The numbers of one element type and their little-endian bytes.
trait LittleEndian: Element {
    fn to_bytes(x: &[Self]) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Result<Vec<Self>>;
}

macro_rules! little_endian {
    ($($t:ty),*) => {$(
        impl LittleEndian for $t {
            fn to_bytes(x: &[Self]) -> Vec<u8> {
                x.iter().flat_map(|x| x.to_le_bytes()).collect()
            }
            fn from_bytes(bytes: &[u8]) -> Result<Vec<Self>> {
                Ok(bytes.as_chunks().0.iter().map(|&b| <$t>::from_le_bytes(b)).collect())
            }
        }
    )*};
}
little_endian!(f32, f64, f16, bf16, i64, i32, u8);

impl LittleEndian for bool {
    fn to_bytes(x: &[bool]) -> Vec<u8> {
        x.iter().map(|&x| x as u8).collect()
    }
    fn from_bytes(bytes: &[u8]) -> Result<Vec<bool>> {
        match bytes.iter().find(|&&b| b > 1) {
            Some(bad) => Err(Error::format(format!("safetensors: the byte {bad} is not a bool"))),
            None => Ok(bytes.iter().map(|&b| b == 1).collect()),
        }
    }
}

/// The bytes of a file with these tensors and this metadata. The same input gives the same bytes.
///
/// # Errors
/// If two tensors have one name, or more than one metadata entry is given (their order in the file would be arbitrary).
pub fn to_bytes(tensors: &[(String, Tensor)], metadata: &[(String, String)]) -> Result<Vec<u8>> {
    let mut names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::format(format!("safetensors: two tensors are named {:?}", pair[0])));
    }
    if metadata.len() > 1 {
        return Err(Error::format("safetensors: at most one metadata entry keeps the bytes reproducible"));
    }
    let bytes: Vec<Bytes> = tensors
        .iter()
        .map(|(_, t)| Bytes {
            dtype: file_dtype(t.dtype()),
            shape: t.shape().to_vec(),
            data: dispatch!(all t.dtype(), T => T::to_bytes(t.contiguous().as_slice::<T>().expect("contiguous"))),
        })
        .collect();
    let metadata: Option<HashMap<String, String>> = (!metadata.is_empty()).then(|| metadata.iter().cloned().collect());
    serialize(tensors.iter().map(|(name, _)| name.as_str()).zip(&bytes), metadata)
        .map_err(|e| Error::format(format!("safetensors: {e}")))
}

/// Writes a file atomically; see [`to_bytes`] and [`io::write_atomic`].
///
/// # Errors
/// As [`to_bytes`], or if the file cannot be written.
pub fn save(path: impl AsRef<Path>, tensors: &[(String, Tensor)], metadata: &[(String, String)]) -> Result<()> {
    io::write_atomic(path, &to_bytes(tensors, metadata)?)
}

/// The tensors and the metadata in the bytes of a file.
///
/// # Errors
/// If the bytes are not a valid file, or a tensor has a dtype that does not exist here.
pub fn from_bytes(bytes: &[u8]) -> Result<File> {
    let broken = |e| Error::format(format!("safetensors: {e}"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let mut tensors = Vec::with_capacity(file.len());
    for (name, view) in file.iter() {
        let tensor = match view.dtype() {
            FileDtype::BOOL => decode::<bool>(view.data(), view.shape()),
            FileDtype::U8 => decode::<u8>(view.data(), view.shape()),
            FileDtype::I32 => decode::<i32>(view.data(), view.shape()),
            FileDtype::I64 => decode::<i64>(view.data(), view.shape()),
            FileDtype::F16 => decode::<f16>(view.data(), view.shape()),
            FileDtype::BF16 => decode::<bf16>(view.data(), view.shape()),
            FileDtype::F32 => decode::<f32>(view.data(), view.shape()),
            FileDtype::F64 => decode::<f64>(view.data(), view.shape()),
            other => Err(Error::format(format!("safetensors: dtype {other:?} of {name:?} is not supported"))),
        };
        tensors.push((name.to_string(), tensor?));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let mut metadata: Vec<(String, String)> = header.metadata().clone().unwrap_or_default().into_iter().collect();
    metadata.sort();
    Ok(File { tensors, metadata })
}

fn decode<T: LittleEndian>(bytes: &[u8], shape: &[usize]) -> Result<Tensor> {
    Tensor::try_from_vec(T::from_bytes(bytes)?, shape)
}

/// Reads a file.
///
/// # Errors
/// If the file cannot be read, or as [`from_bytes`].
pub fn load(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    from_bytes(&io::read(path)?).map_err(|e| Error::format(format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<(String, Tensor)> {
        vec![
            ("z".into(), Tensor::from([[1.5f32, -2.0], [f32::NAN, f32::INFINITY]]).t()),
            ("a".into(), Tensor::from([true, false])),
            ("empty".into(), Tensor::zeros([0, 3], DType::F64)),
            ("scalar".into(), Tensor::scalar(i64::MIN)),
            ("bytes".into(), Tensor::from([0u8, 255])),
        ]
    }

    #[test]
    fn what_is_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.safetensors");
        save(&path, &sample(), &[("format".into(), "pt".into())]).unwrap();
        let file = load(&path).unwrap();
        assert_eq!(file.metadata, [("format".to_string(), "pt".to_string())]);
        assert_eq!(file.tensors.len(), 5);
        for (name, tensor) in sample() {
            let (_, read) = file.tensors.iter().find(|(n, _)| *n == name).unwrap();
            assert!(read.bit_eq(&tensor), "{name}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn broken_files_are_errors() {
        let good = to_bytes(&sample(), &[]).unwrap();
        for end in 0..good.len() {
            assert!(from_bytes(&good[..end]).is_err(), "cut at {end}");
        }
        let mut huge = good.clone();
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(from_bytes(&huge).is_err());
        // Offsets near the end of the number range: their sum with the header's length overflows.
        let far = format!(r#"{{"x":{{"dtype":"U8","shape":[{0}],"data_offsets":[0,{0}]}}}}"#, u64::MAX - 3);
        let mut wrapping = (far.len() as u64).to_le_bytes().to_vec();
        wrapping.extend(far.as_bytes());
        assert!(from_bytes(&wrapping).is_err());
        let header = br#"{"x":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}"#;
        let mut other = (header.len() as u64).to_le_bytes().to_vec();
        other.extend(header);
        other.push(0);
        assert!(from_bytes(&other).unwrap_err().to_string().contains("not supported"));
        let missing = load("does/not/exist").unwrap_err();
        assert_eq!(missing.kind(), crate::ErrorKind::Io);
        let twice = [("a".to_string(), Tensor::scalar(1.0)), ("a".to_string(), Tensor::scalar(2.0))];
        assert!(to_bytes(&twice, &[]).is_err());
    }
}
