//! The header of a file: a JSON object that says of each tensor its dtype, its shape and where its bytes are.
//!
//! A header is believed when everything in it fits together and fits the file: then the sizes that it claims are there.

use std::fmt;

use ::safetensors::tensor::{Dtype as FileDtype, TensorInfo as Entry};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::broken;
use super::json::{Entries, sorted};
use super::source::Source;
use crate::{DType, Error, Result, Shape};

/// The longest header that the format allows, in bytes.
pub(super) const MAX_HEADER: u64 = 100_000_000;
/// The length of the number that says how long the header is.
pub(super) const PREFIX: u64 = 8;
/// The key of the free text, which no tensor can have as its name.
pub(super) const METADATA: &str = "__metadata__";
/// More dimensions than anybody's tensors have (PyTorch allows 64), few enough to work with.
const MAX_DIMS: usize = 64;

/// What a file says of one tensor, known without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    name: String,
    format: FileDtype,
    shape: Shape,
    bytes: u64,
    /// Where in its file the bytes begin.
    pub(super) offset: u64,
    /// In which of the reader's files.
    pub(super) file: usize,
}

impl TensorInfo {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The element type, or `None` for those that the format has and this library has not; such tensors can be listed,
    /// but not read.
    pub fn dtype(&self) -> Option<DType> {
        Some(match self.format {
            FileDtype::BOOL => DType::Bool,
            FileDtype::U8 => DType::U8,
            FileDtype::I32 => DType::I32,
            FileDtype::I64 => DType::I64,
            FileDtype::F16 => DType::F16,
            FileDtype::BF16 => DType::BF16,
            FileDtype::F32 => DType::F32,
            FileDtype::F64 => DType::F64,
            _ => return None,
        })
    }

    /// The element type as the format names it, such as `"F32"` or `"F8_E4M3"`.
    pub fn dtype_name(&self) -> String {
        self.format.to_string()
    }

    /// The sizes of the dimensions.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The number of elements.
    pub fn numel(&self) -> u64 {
        // The header was checked: this product does not overflow.
        self.shape.iter().map(|&n| n as u64).product()
    }

    /// How many bytes the elements take in the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// An element type as the format names it.
pub(super) fn file_dtype(dtype: DType) -> FileDtype {
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

/// A header that fits its file.
pub(super) struct Header {
    /// Sorted by name.
    pub(super) tensors: Vec<TensorInfo>,
    /// Sorted by key.
    pub(super) metadata: Vec<(String, String)>,
}

impl Header {
    /// Reads and checks the header of `source`, and nothing else of it.
    pub(super) fn read(source: &(impl Source + ?Sized)) -> Result<Header> {
        let Some(after_prefix) = source.len().checked_sub(PREFIX) else {
            return Err(broken(format!("{} bytes are too few to be a file", source.len())));
        };
        let mut prefix = [0; PREFIX as usize];
        source.read_at(&mut prefix, 0)?;
        if &prefix == b"version " {
            let what = "is a pointer of Git LFS and not the file itself, which `git lfs pull` fetches";
            return Err(broken(what));
        }
        let len = u64::from_le_bytes(prefix);
        if len > MAX_HEADER {
            let what = format!("the header claims {len} bytes, more than the {MAX_HEADER} that the format allows");
            return Err(broken(what));
        }
        if len > after_prefix {
            return Err(broken(format!("the header claims {len} bytes, {after_prefix} are left of the file")));
        }
        let mut json = vec![0; len as usize];
        source.read_at(&mut json, PREFIX)?;
        if json.first() != Some(&b'{') {
            return Err(broken("the header does not begin with {"));
        }
        let Parsed { tensors, metadata } =
            serde_json::from_slice(&json).map_err(|e| broken(format!("the header is wrong: {e}")))?;
        let tensors = placed(tensors, PREFIX + len, after_prefix - len)?;
        Ok(Header { tensors, metadata })
    }
}

/// The tensors of a header that lie in the `len` bytes of data from `begin` on, each behind the other, without gaps.
fn placed(tensors: Vec<(String, Entry)>, begin: u64, len: u64) -> Result<Vec<TensorInfo>> {
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(|&i| tensors[i].1.data_offsets);
    let mut end = 0;
    let mut last = "";
    for i in order {
        let (name, entry) = &tensors[i];
        let (from, to) = entry.data_offsets;
        if from > end {
            return Err(broken(format!("the bytes {end} to {from} of the data, before {name:?}, belong to no tensor")));
        }
        if from < end {
            return Err(broken(format!("the bytes of {name:?} overlap those of {last:?}")));
        }
        let needs = size(entry).ok_or_else(|| {
            let what = format!("{name:?} cannot be {} {:?}", entry.dtype, entry.shape);
            broken(format!("{what}: no machine has that many bytes, or its last byte is not full"))
        })?;
        if to.checked_sub(from) != Some(needs) {
            let what = format!("{name:?}, {} {:?}, takes {needs} bytes", entry.dtype, entry.shape);
            return Err(broken(format!("{what}, its offsets are {from} and {to}")));
        }
        (end, last) = (to, name);
    }
    if end as u64 != len {
        let what = format!("the header describes {end} bytes of data, the file has {len}");
        return Err(broken(format!("{what}: it was cut off, or something was appended")));
    }
    let info = |(name, entry): (String, Entry)| TensorInfo {
        name,
        format: entry.dtype,
        offset: begin + entry.data_offsets.0 as u64,
        bytes: (entry.data_offsets.1 - entry.data_offsets.0) as u64,
        shape: entry.shape.into(),
        file: 0,
    };
    Ok(tensors.into_iter().map(info).collect())
}

/// The bytes that a tensor's elements take, or `None` when they are no whole number or too large a one.
fn size(entry: &Entry) -> Option<usize> {
    let numel = entry.shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n))?;
    let bits = numel.checked_mul(entry.dtype.bitsize())?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

/// The contents of a header as they are written there.
struct Parsed {
    tensors: Vec<(String, Entry)>,
    metadata: Vec<(String, String)>,
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Parsed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with an entry for each tensor")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Parsed, A::Error> {
                let mut tensors = Vec::new();
                let mut metadata = None;
                while let Some(key) = map.next_key::<String>()? {
                    let named = |e: A::Error| A::Error::custom(format_args!("{key:?}: {e}"));
                    if key == METADATA {
                        let text = map.next_value::<Option<Entries<String>>>().map_err(named)?;
                        if metadata.replace(text.map_or(Vec::new(), |entries| entries.0)).is_some() {
                            return Err(A::Error::custom(format_args!("{METADATA:?} stands there twice")));
                        }
                        continue;
                    }
                    let entry = map.next_value::<Entry>().map_err(named)?;
                    if entry.shape.len() > MAX_DIMS {
                        let what = format!("{key:?} has {} dimensions, more than {MAX_DIMS}", entry.shape.len());
                        return Err(A::Error::custom(what));
                    }
                    tensors.push((key, entry));
                }
                let twice = |name| A::Error::custom(format_args!("two tensors are named {name:?}"));
                Ok(Parsed { tensors: sorted(tensors).map_err(twice)?, metadata: metadata.unwrap_or_default() })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// What to say of a tensor whose dtype does not exist here.
pub(super) fn unreadable(info: &TensorInfo) -> Error {
    let what = format!("{:?} is {}, a dtype that is not supported here", info.name, info.format);
    Error::dtype("safetensors", format!("{what}; convert it to one of F64, F32, F16, BF16, I64, I32, U8 and BOOL"))
}
