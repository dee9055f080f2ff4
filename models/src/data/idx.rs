//! IDX files, the format of MNIST's images and labels; gzipped ones, too.
//!
//! A file is two zeros, a byte for the type of the elements, a byte for the number of dimensions, the sizes as big-endian
//! 32-bit numbers, and the elements, big-endian in row-major order.
//!
//! ```
//! use models::data::idx;
//! use tensor::Tensor;
//!
//! let images = Tensor::from([[[0u8, 255], [128, 0]]]);
//! let bytes = idx::to_bytes(&images)?;
//! assert_eq!(bytes[..8], [0, 0, 8, 3, 0, 0, 0, 1]);
//! assert!(idx::from_bytes(&bytes)?.bit_eq(&images));
//! # Ok::<(), models::Error>(())
//! ```

use std::path::Path;

use tensor::{DType, Tensor};

use super::bytes::{self, decode, encode};
use crate::{Error, Result};

/// Reads a file, which may be gzipped whatever it is called.
///
/// Signed bytes and 16-bit integers become i32; the other types (unsigned bytes, 32-bit integers, floats and doubles)
/// have dtypes of their own.
///
/// ```no_run
/// let images = models::data::idx::load("mnist/train-images-idx3-ubyte.gz")?;
/// assert_eq!(images.dims(), [60_000, 28, 28]);
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Errors
/// When the file cannot be read, or as [`from_bytes`].
pub fn load(path: impl AsRef<Path>) -> Result<Tensor> {
    bytes::load(path.as_ref(), claim, |bytes| parse(&bytes))
}

/// What the bytes of a file say; see [`load`].
///
/// # Errors
/// When they are no IDX file, or are more or fewer than its header claims.
pub fn from_bytes(bytes: &[u8]) -> Result<Tensor> {
    parse(&bytes::gunzip(bytes.to_vec(), claim)?)
}

/// The type of the elements, the shape, and the bytes after the header.
fn header(bytes: &[u8]) -> Result<(u8, Vec<usize>, &[u8])> {
    let Some((&[0, 0, kind, dims], rest)) = bytes.split_first_chunk::<4>() else {
        return Err(Error::invalid(
            "not an IDX file: it does not begin with two zeros, a type and a number of dimensions",
        ));
    };
    let Some((sizes, data)) = rest.split_at_checked(4 * dims as usize) else {
        return Err(Error::invalid(format!("the IDX file ends in the sizes of its {dims} dimensions")));
    };
    Ok((kind, sizes.as_chunks().0.iter().map(|&size| u32::from_be_bytes(size) as usize).collect(), data))
}

/// The length of the file that its header claims.
fn claim(bytes: &[u8]) -> Option<usize> {
    let (kind, shape, data) = header(bytes).ok()?;
    let size = match kind {
        0x08 | 0x09 => 1,
        0x0b => 2,
        0x0c | 0x0d => 4,
        _ => 8,
    };
    shape.iter().try_fold(size, |n: usize, &size| n.checked_mul(size))?.checked_add(bytes.len() - data.len())
}

fn parse(bytes: &[u8]) -> Result<Tensor> {
    let (kind, shape, data) = header(bytes)?;
    match kind {
        0x08 => decode(&shape, data, |[byte]| byte),
        0x09 => decode(&shape, data, |byte| i32::from(i8::from_be_bytes(byte))),
        0x0b => decode(&shape, data, |bytes| i32::from(i16::from_be_bytes(bytes))),
        0x0c => decode(&shape, data, i32::from_be_bytes),
        0x0d => decode(&shape, data, f32::from_be_bytes),
        0x0e => decode(&shape, data, f64::from_be_bytes),
        other => Err(Error::invalid(format!("IDX has no element type 0x{other:02x}"))),
    }
}

/// Writes `tensor`, gzipped if the path ends in `.gz`; a process killed while it writes leaves the old file.
///
/// # Errors
/// When the file cannot be written, or as [`to_bytes`].
pub fn save(path: impl AsRef<Path>, tensor: &Tensor) -> Result<()> {
    bytes::save(path.as_ref(), to_bytes(tensor))
}

/// The bytes of the file of `tensor`.
///
/// # Errors
/// When the format has no such elements (it has u8, i32, f32 and f64; bools are written as u8), more than 255 dimensions,
/// or sizes beyond 32 bits.
pub fn to_bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let (kind, data) = match tensor.dtype() {
        DType::U8 => (0x08, tensor.to_vec::<u8>()),
        DType::Bool => (0x08, encode(tensor, |x: bool| [x as u8])),
        DType::I32 => (0x0c, encode(tensor, i32::to_be_bytes)),
        DType::F32 => (0x0d, encode(tensor, f32::to_be_bytes)),
        DType::F64 => (0x0e, encode(tensor, f64::to_be_bytes)),
        other => return Err(Error::invalid(format!("IDX has no {other}; convert with to_dtype first"))),
    };
    let (shape, too_large) = (tensor.dims(), |_| Error::invalid("IDX has at most 255 dimensions of 32-bit sizes"));
    let mut bytes = vec![0, 0, kind, u8::try_from(shape.len()).map_err(too_large)?];
    for &size in shape {
        bytes.extend(u32::try_from(size).map_err(too_large)?.to_be_bytes());
    }
    bytes.extend(data);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8], says: &str) {
        let message = from_bytes(bytes).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let tensors = [
            Tensor::from([[0u8, 1], [254, 255]]),
            Tensor::from([i32::MIN, -1, i32::MAX]),
            Tensor::from([[[1.5f32, f32::NAN]]]),
            Tensor::from([[-0.0, f64::INFINITY], [1e300, 2.0]]).t(),
            Tensor::scalar(7u8),
            Tensor::zeros([0, 28, 28], DType::U8),
        ];
        for tensor in tensors {
            for name in ["x", "x.gz"] {
                let path = dir.path().join(name);
                save(&path, &tensor).unwrap();
                assert!(load(&path).unwrap().bit_eq(&tensor), "{name}: {tensor}");
            }
        }
        assert_eq!(std::fs::read(dir.path().join("x.gz")).unwrap()[..2], [0x1f, 0x8b]);
        let flags = from_bytes(&to_bytes(&Tensor::from([true, false])).unwrap()).unwrap();
        assert_eq!(flags.to_vec::<u8>(), [1, 0]);
    }

    #[test]
    fn other_bytes_are_refused() {
        refused(b"", "not an IDX file");
        refused(b"\x00\x00\x08", "not an IDX file");
        refused(b"\x00\x01\x08\x01\x00\x00\x00\x00", "not an IDX file");
        refused(b"\x00\x00\x08\x02\x00\x00\x00\x01\x00", "ends in the sizes of its 2 dimensions");
        refused(b"\x00\x00\x0a\x01\x00\x00\x00\x01\x00", "no element type 0x0a");
        refused(b"\x00\x00\x0d\x01\x00\x00\x00\x02\x00\x00\x00\x00", "claims 8 bytes for shape [2]");
        refused(b"\x00\x00\x08\x01\x00\x00\x00\x02\x00\x00\x00", "claims 2 bytes for shape [2]");
        refused(&[&b"\x00\x00\x0e\x03"[..], &[255; 12]].concat(), "more bytes than any memory has");
        refused(&[&b"\x00\x00\x0e\x02\x00\x00\xff\xff\xff\xff\xff\xff"[..], &[0; 100]].concat(), "the file has 100");
    }

    #[test]
    fn no_more_is_unpacked_than_the_header_claims() {
        for tensor in [Tensor::zeros([2, 3], DType::U8), Tensor::zeros([5], DType::I32), Tensor::scalar(1.0)] {
            let bytes = to_bytes(&tensor).unwrap();
            assert_eq!(claim(&bytes), Some(bytes.len()));
        }
        // A few images before 64 MiB of zeros: an error that has read little of them.
        let dir = tempfile::tempdir().unwrap();
        let bomb = [to_bytes(&Tensor::zeros([2, 28, 28], DType::U8)).unwrap(), vec![0; 64 << 20]].concat();
        let path = dir.path().join("bomb.gz");
        bytes::save(&path, Ok(bomb)).unwrap();
        let message = load(&path).unwrap_err().to_string();
        assert!(
            message.contains("claims 1568 bytes for shape [2, 28, 28] with 1 per element, the file has 131"),
            "{message}"
        );
    }

    #[test]
    fn what_the_format_lacks_is_refused() {
        for (tensor, says) in [
            (Tensor::from([1i64]), "IDX has no i64"),
            (Tensor::zeros([1], DType::BF16), "IDX has no bf16"),
            (Tensor::zeros(&[1; 256][..], DType::U8), "at most 255 dimensions"),
            (Tensor::zeros([1 << 32, 0], DType::U8), "32-bit sizes"),
        ] {
            let message = to_bytes(&tensor).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
        let dir = tempfile::tempdir().unwrap();
        let message = save(dir.path().join("x"), &Tensor::from([1i64])).unwrap_err().to_string();
        assert!(message.contains("x: IDX has no i64"), "{message}");
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
        let message = load(dir.path().join("missing")).unwrap_err().to_string();
        assert!(message.starts_with("cannot read") && message.contains("missing"), "{message}");
    }
}
