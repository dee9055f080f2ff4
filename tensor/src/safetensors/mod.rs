//! Reading and writing `.safetensors` files, the format that Python's frameworks share.
//!
//! [`save`] and [`load`] are for everyday use. A [`Reader`] opens a checkpoint without reading it, however large it is and
//! in however many files; [`save_sharded`] writes one in several files. Whatever a file claims, it is read safely: nothing
//! is believed, and no memory taken, before it fits the bytes that are there.
//!
//! ```
//! use tensor::{Tensor, safetensors};
//! let bytes = safetensors::to_bytes(&[("w".into(), Tensor::from([1.0f32, 2.0]))], &[])?;
//! let file = safetensors::from_bytes(&bytes)?;
//! assert_eq!(file.tensors[0].1.to_vec::<f32>(), [1.0, 2.0]);
//! # Ok::<(), tensor::Error>(())
//! ```

mod header;
mod index;
mod json;
mod reader;
mod sharded;
mod source;
#[cfg(test)]
mod tests;
mod write;

use std::path::Path;

use self::header::Header;
use self::write::{Plan, check_names};
use crate::{Error, Result, Tensor, io};

pub use self::header::TensorInfo;
pub use self::index::{INDEX, SINGLE};
pub use self::reader::Reader;
pub use self::sharded::{MAX_SHARD_BYTES, save_sharded};

/// What a file holds: tensors in order of their names, and free text.
#[derive(Debug, Clone)]
pub struct File {
    /// The tensors, sorted by name.
    pub tensors: Vec<(String, Tensor)>,
    /// The metadata, sorted by key.
    pub metadata: Vec<(String, String)>,
}

/// The bytes of a file with these tensors and this metadata. The same input, in any order, gives the same bytes.
///
/// # Errors
/// If two tensors or two metadata entries have one name, or a tensor is called `__metadata__`.
///
/// ```
/// use tensor::{Tensor, safetensors};
/// let (a, b) = (("a".into(), Tensor::scalar(1.0)), ("b".into(), Tensor::scalar(2.0)));
/// let bytes = safetensors::to_bytes(&[a.clone(), b.clone()], &[])?;
/// assert_eq!(bytes, safetensors::to_bytes(&[b, a], &[])?);
/// # Ok::<(), tensor::Error>(())
/// ```
pub fn to_bytes(tensors: &[(String, Tensor)], metadata: &[(String, String)]) -> Result<Vec<u8>> {
    let plan = plan(tensors, metadata)?;
    let mut bytes = Vec::with_capacity(plan.len());
    plan.write(&mut bytes).map_err(broken)?;
    Ok(bytes)
}

/// Writes a file, atomically (see [`io::write_atomic`]) and as a stream: a tensor that is not contiguous is put in order
/// piece by piece, so that writing takes next to no memory. The bytes are those of [`to_bytes`].
///
/// # Errors
/// As [`to_bytes`], or if the file cannot be written.
///
/// ```
/// use tensor::{Tensor, safetensors};
/// # let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("x.safetensors");
/// let metadata = [("format".into(), "pt".into()), ("step".into(), "12".into())];
/// safetensors::save(&path, &[("w".into(), Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]).t())], &metadata)?;
/// assert_eq!(safetensors::load(&path)?.metadata, metadata);
/// # Ok::<(), tensor::Error>(())
/// ```
pub fn save(path: impl AsRef<Path>, tensors: &[(String, Tensor)], metadata: &[(String, String)]) -> Result<()> {
    let plan = plan(tensors, metadata)?;
    io::write_atomic_with(path, |file| plan.write(file))
}

fn plan<'a>(tensors: &'a [(String, Tensor)], metadata: &[(String, String)]) -> Result<Plan<'a>> {
    check_names(tensors, metadata)?;
    let tensors: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    Plan::new(&tensors, metadata)
}

/// The tensors and the metadata in the bytes of a file.
///
/// # Errors
/// If the bytes are not a valid file, or a tensor has a dtype that does not exist here.
pub fn from_bytes(bytes: &[u8]) -> Result<File> {
    let header = Header::read(bytes)?;
    let read = |info: &TensorInfo| Ok((info.name().to_string(), reader::read_tensor(bytes, info)?));
    Ok(File { tensors: header.tensors.iter().map(read).collect::<Result<_>>()?, metadata: header.metadata })
}

/// Reads all of a checkpoint: a file, or what else [`Reader::open`] opens.
///
/// # Errors
/// As [`Reader::open`], or if a tensor has a dtype that does not exist here.
///
/// ```
/// let missing = tensor::safetensors::load("no/such/file").unwrap_err();
/// assert!(missing.to_string().starts_with("no/such/file: "));
/// ```
pub fn load(path: impl AsRef<Path>) -> Result<File> {
    Reader::open(path)?.read_all()
}

/// An error about the format.
fn broken(what: impl std::fmt::Display) -> Error {
    Error::format(format!("safetensors: {what}"))
}
