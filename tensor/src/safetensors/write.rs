//! Writing a file as a stream: the header, then one tensor after the other, a piece at a time.

use std::collections::BTreeMap;
use std::io::Write;

use ::safetensors::tensor::TensorInfo as Entry;
use serde::ser::{SerializeMap, Serializer};

use super::broken;
use super::header::{MAX_HEADER, METADATA, PREFIX, file_dtype};
use crate::{Result, Tensor};

/// Elements that do not lie in order, or not in the file's byte order, are put in order in pieces of this many bytes.
const PIECE: usize = 1 << 20;

/// A file that is ready to be written: its header, and its tensors in the order of their bytes.
pub(super) struct Plan<'a> {
    header: Vec<u8>,
    tensors: Vec<&'a Tensor>,
}

impl<'a> Plan<'a> {
    /// The order and the header are those of the `safetensors` crate: large dtypes first, so that every tensor is
    /// aligned, then by name; metadata, which the crate writes in any order, by key.
    pub(super) fn new(tensors: &[(&str, &'a Tensor)], metadata: &[(String, String)]) -> Result<Plan<'a>> {
        let mut order = tensors.to_vec();
        order.sort_by(|(a, x), (b, y)| file_dtype(y.dtype()).cmp(&file_dtype(x.dtype())).then(a.cmp(b)));
        let header = header(&order, &free_text(metadata)?)?;
        Ok(Plan { header, tensors: order.into_iter().map(|(_, tensor)| tensor).collect() })
    }

    /// The length of the file.
    pub(super) fn len(&self) -> usize {
        self.header.len() + self.tensors.iter().map(|t| size(t)).sum::<usize>()
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        out.write_all(&self.header)?;
        self.tensors.iter().try_for_each(|tensor| write_tensor(out, tensor))
    }
}

/// Checks that names and keys can stand in one file.
pub(super) fn check_names(tensors: &[(String, Tensor)], metadata: &[(String, String)]) -> Result<()> {
    let mut names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(broken(format!("two tensors are named {:?}", pair[0])));
    }
    if names.binary_search(&METADATA).is_ok() {
        return Err(broken(format!("no tensor can be named {METADATA:?}, the format has that for its metadata")));
    }
    free_text(metadata).map(|_| ())
}

fn free_text(metadata: &[(String, String)]) -> Result<BTreeMap<&str, &str>> {
    let mut sorted = BTreeMap::new();
    for (key, value) in metadata {
        if sorted.insert(key.as_str(), value.as_str()).is_some() {
            return Err(broken(format!("two entries of the metadata are named {key:?}")));
        }
    }
    Ok(sorted)
}

/// The bytes before the data: the length of the JSON, and the JSON, padded with spaces so that the data is aligned.
fn header(tensors: &[(&str, &Tensor)], metadata: &BTreeMap<&str, &str>) -> Result<Vec<u8>> {
    let mut bytes = vec![0; PREFIX as usize];
    let mut write = || -> serde_json::Result<()> {
        let mut json = serde_json::Serializer::new(&mut bytes);
        let mut map = json.serialize_map(None)?;
        if !metadata.is_empty() {
            map.serialize_entry(METADATA, metadata)?;
        }
        let mut begin = 0usize;
        for (name, tensor) in tensors {
            let too_many = || serde::ser::Error::custom("the tensors have more bytes than a file can have");
            let end = begin.checked_add(size(tensor)).ok_or_else(too_many)?;
            let (dtype, shape) = (file_dtype(tensor.dtype()), tensor.dims().to_vec());
            map.serialize_entry(name, &Entry { dtype, shape, data_offsets: (begin, end) })?;
            begin = end;
        }
        map.end()
    };
    write().map_err(broken)?;
    bytes.resize(bytes.len().next_multiple_of(PREFIX as usize), b' ');
    let len = bytes.len() as u64 - PREFIX;
    if len > MAX_HEADER {
        return Err(broken(format!("the header takes {len} bytes, the format allows {MAX_HEADER}: use shorter names")));
    }
    bytes[..PREFIX as usize].copy_from_slice(&len.to_le_bytes());
    Ok(bytes)
}

/// The bytes of the tensor's elements.
pub(super) fn size(tensor: &Tensor) -> usize {
    tensor.numel() * tensor.dtype().size_in_bytes()
}

fn write_tensor(out: &mut dyn Write, tensor: &Tensor) -> std::io::Result<()> {
    match tensor.as_bytes() {
        Some(bytes) => write_elements(out, bytes, tensor.dtype().size_in_bytes()),
        None if size(tensor) <= PIECE => write_tensor(out, &tensor.copy()),
        // Not contiguous, so there is a dimension, and none of size 0.
        None => {
            let rows = tensor.dim(0);
            let each = size(tensor) / rows;
            if each > PIECE {
                return (0..rows).try_for_each(|row| write_tensor(out, &tensor.select(0, row as isize)));
            }
            let step = PIECE / each;
            (0..rows)
                .step_by(step)
                .try_for_each(|row| write_tensor(out, &tensor.narrow(0, row, step.min(rows - row)).contiguous()))
        }
    }
}

/// Elements of `size` bytes in this machine's order, written in the file's order.
fn write_elements(out: &mut dyn Write, bytes: &[u8], size: usize) -> std::io::Result<()> {
    if cfg!(target_endian = "little") {
        return out.write_all(bytes);
    }
    bytes.chunks(PIECE).try_for_each(|piece| {
        let mut piece = piece.to_vec();
        reverse_each(&mut piece, size);
        out.write_all(&piece)
    })
}

/// Turns the order of the bytes of each element around.
pub(super) fn reverse_each(bytes: &mut [u8], size: usize) {
    bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
}
