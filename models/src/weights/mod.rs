//! The tensors of any checkpoint: where its files are, what they hold, and the tensors themselves.
//!
//! A checkpoint is a `.safetensors`, `.pth`, `.pt`, `.bin` or `.npz` file, the `.index.json` of one in several files, or a
//! model directory with one of these: `model.safetensors`, `model.safetensors.index.json`, `pytorch_model.bin`,
//! `pytorch_model.bin.index.json`, the first of them that is there.
//!
//! [`list`] says what is there, a [`Reader`] reads one tensor at a time, [`load`] all of them.
//!
//! ```
//! use models::weights::Reader;
//! # use tensor::{Tensor, safetensors};
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("model.safetensors");
//! # safetensors::save(&path, &[("w".into(), Tensor::from([1.0f32, 2.0]))], &[]).unwrap();
//!
//! let reader = Reader::open(&path)?;
//! for info in reader.tensors() {
//!     println!("{} {} {:?} {}", info.name, info.dtype, info.shape, reader.tensor(&info.name)?.sum());
//! }
//! # Ok::<(), models::Error>(())
//! ```

mod reader;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use tensor::{DType, Tensor, safetensors};

use crate::data::{npz, pth};
use crate::{Error, Result};

pub use reader::Reader;

/// What the weights of a model directory may be called, the first being preferred.
pub(crate) const NAMES: [&str; 4] =
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// The format of the files of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.safetensors`.
    Safetensors,
    /// `.pth`, `.pt`, `.bin`: see [`pth`].
    PyTorch,
    /// `.npz`: see [`npz`].
    Npz,
}

impl Format {
    fn of(path: &Path) -> Result<Format> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("safetensors") => Ok(Format::Safetensors),
            Some("pth" | "pt" | "bin" | "ckpt") => Ok(Format::PyTorch),
            Some("npz") => Ok(Format::Npz),
            _ => Err(Error::in_file(path, "no checkpoint: .safetensors, .pth, .pt, .bin and .npz files are read")),
        }
    }

    /// The name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Format::Safetensors => "safetensors",
            Format::PyTorch => "PyTorch",
            Format::Npz => "NPZ",
        }
    }
}

/// The files of a checkpoint; see [`find`].
#[derive(Debug, Clone)]
pub struct Files {
    /// Their format.
    pub format: Format,
    /// The files, in the order of their names.
    pub files: Vec<PathBuf>,
    /// The index and what it says: the name of each tensor with its file.
    index: Option<(PathBuf, BTreeMap<String, PathBuf>)>,
}

/// The files of the checkpoint `path`: itself, those that it names, or those of the directory.
///
/// # Errors
/// When there are none, or an index is damaged or names files outside its directory.
pub fn find(path: impl AsRef<Path>) -> Result<Files> {
    let path = path.as_ref();
    let meta = std::fs::metadata(path).map_err(|e| Error::read(path, e))?;
    let mut path = path.to_path_buf();
    if meta.is_dir() {
        let found = NAMES.map(|name| path.join(name)).into_iter().find(|path| path.is_file());
        path = found.ok_or_else(|| Error::read(&path, format!("the directory has none of {}", NAMES.join(", "))))?;
    }
    let Some(stem) = path.to_str().and_then(|path| path.strip_suffix(".index.json")) else {
        return Ok(Files { format: Format::of(&path)?, files: vec![path], index: None });
    };
    let format = Format::of(Path::new(stem))?;
    let text = std::fs::read(&path).map_err(|e| Error::read(&path, e))?;
    let json: Json = serde_json::from_slice(&text).map_err(|e| Error::in_file(&path, e))?;
    let map = json["weight_map"].as_object().filter(|map| !map.is_empty());
    let map = map.ok_or_else(|| Error::in_file(&path, "the index has no \"weight_map\""))?;
    let mut places = BTreeMap::new();
    for (name, file) in map {
        let file =
            file.as_str().filter(|file| !file.contains(['/', '\\', ':', '\0']) && ![".", "..", ""].contains(file));
        let file = file.ok_or_else(|| Error::in_file(&path, format!("{name:?} is in no file of the directory")))?;
        places.insert(name.clone(), path.with_file_name(file));
    }
    let mut files: Vec<PathBuf> = places.values().cloned().collect();
    files.sort();
    files.dedup();
    Ok(Files { format, files, index: Some((path, places)) })
}

impl Files {
    /// The file that stands for all: the index or the only one.
    pub fn path(&self) -> &Path {
        self.index.as_ref().map_or(&self.files[0], |(index, _)| index)
    }

    fn safetensors(&self, mapped: bool) -> Result<safetensors::Reader> {
        let path = self.path();
        let opened = if mapped { safetensors::Reader::open_mapped(path) } else { safetensors::Reader::open(path) };
        opened.map_err(Error::invalid)
    }

    /// Checks that `found`, names with the files that they are in, is what the index says, and has no name twice.
    fn check<'a>(&self, found: impl Iterator<Item = (&'a str, &'a Path)>) -> Result<()> {
        let mut places = BTreeMap::new();
        for (name, file) in found {
            // The keys of a PyTorch file that are joined by dots may meet in one name.
            let joined = self.format == Format::PyTorch && self.index.is_none();
            if places.insert(name, file).is_some() && !joined {
                return Err(Error::in_file(file, format!("there is a second tensor named {name:?}")));
            }
        }
        let Some((index, expected)) = &self.index else { return Ok(()) };
        for (name, file) in expected {
            if places.get(name.as_str()) != Some(&file.as_path()) {
                return Err(Error::in_file(index, format!("{name:?} is not in {}", file.display())));
            }
        }
        Ok(())
    }
}

/// Free text by keys.
pub type Metadata = Vec<(String, String)>;

/// What a file says of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Its name; of a PyTorch file the keys that lead to it, joined by dots.
    pub name: String,
    /// The dtype as it is called here, or, if it does not exist here, as the file calls it.
    pub dtype: String,
    /// The sizes of the dimensions.
    pub shape: Vec<usize>,
    /// The bytes of its elements.
    pub bytes: u64,
}

impl Info {
    /// The dtype, if it exists here.
    pub fn known_dtype(&self) -> Option<DType> {
        use DType::{BF16, Bool, F16, F32, F64, I32, I64, U8};
        [Bool, U8, I32, I64, F16, BF16, F32, F64].into_iter().find(|dtype| dtype.to_string() == self.dtype)
    }

    /// The number of elements.
    pub fn numel(&self) -> u64 {
        self.shape.iter().fold(1, |numel: u64, &size| numel.saturating_mul(size as u64))
    }
}

impl Info {
    fn in_safetensors(info: &safetensors::TensorInfo) -> Info {
        Info {
            name: info.name().to_string(),
            dtype: info.dtype().map_or_else(|| info.dtype_name(), |dtype| dtype.to_string()),
            shape: info.shape().to_vec(),
            bytes: info.bytes(),
        }
    }

    fn in_pytorch(name: String, info: &pth::TensorInfo) -> Info {
        Info {
            name,
            dtype: info.dtype().map_or_else(|| info.dtype_name().to_string(), |dtype| dtype.to_string()),
            shape: info.shape().to_vec(),
            bytes: info.bytes() as u64,
        }
    }

    fn of(name: &str, tensor: &Tensor) -> Info {
        Info {
            name: name.to_string(),
            dtype: tensor.dtype().to_string(),
            shape: tensor.dims().to_vec(),
            bytes: (tensor.numel() * tensor.dtype().size_in_bytes()) as u64,
        }
    }
}

/// The tensors of a checkpoint, in the order of their names (PyTorch: of the file), and its metadata: of a PyTorch file
/// the plain values beside the tensors, which then are all in the file, those of an optimizer too. Elements are read of
/// NPZ files only.
///
/// # Errors
/// When a file cannot be read or is damaged.
pub fn list(files: &Files) -> Result<(Vec<Info>, Metadata)> {
    if files.format == Format::Safetensors {
        let reader = files.safetensors(false)?;
        return Ok((reader.tensors().iter().map(Info::in_safetensors).collect(), reader.metadata().to_vec()));
    }
    let (mut infos, mut metadata, mut places) = (Vec::new(), Vec::new(), Vec::new());
    let mut left = NAMES_OF_VALUES;
    for file in &files.files {
        let before = infos.len();
        match files.format {
            Format::Npz => infos.extend(npz::load(file)?.iter().map(|(name, tensor)| Info::of(name, tensor))),
            _ => walk(&pth::outline(file)?, String::new(), &mut left, &mut infos, &mut metadata)
                .map_err(|e| Error::in_file(file, e))?,
        }
        places.extend((before..infos.len()).map(|_| file.as_path()));
    }
    files.check(infos.iter().map(|info| info.name.as_str()).zip(places))?;
    metadata.sort();
    metadata.dedup();
    Ok((infos, metadata))
}

/// So many bytes the names of all values in a PyTorch checkpoint may have together: each has those of the dictionaries around
/// it in it.
const NAMES_OF_VALUES: usize = 1 << 28;

/// Lists the tensors and the plain values of a PyTorch checkpoint, whose names have at most `left` bytes.
fn walk(
    value: &pth::Value<pth::TensorInfo>,
    path: String,
    left: &mut usize,
    infos: &mut Vec<Info>,
    metadata: &mut Vec<(String, String)>,
) -> Result<()> {
    use pth::Value;
    let rest = left.checked_sub(path.len());
    *left = rest.ok_or_else(|| Error::invalid("the names of the values in the checkpoint are too long"))?;
    let below = |key: String| if path.is_empty() { key } else { format!("{path}.{key}") };
    let plain = |value: &Value<pth::TensorInfo>| match value {
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Str(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::None => Some("None".to_string()),
        _ => None,
    };
    match value {
        Value::Tensor(info) => infos.push(Info::in_pytorch(path, info)),
        Value::Dict(entries) => {
            for (key, value) in entries {
                walk(value, below(key.to_string()), left, infos, metadata)?;
            }
        }
        Value::List(items) => match items.iter().map(plain).collect::<Option<Vec<String>>>() {
            Some(plain) if plain.len() <= 8 => metadata.push((path, format!("[{}]", plain.join(", ")))),
            Some(plain) => metadata.push((path, format!("a list of {} values", plain.len()))),
            None => {
                for (at, value) in items.iter().enumerate() {
                    walk(value, below(at.to_string()), left, infos, metadata)?;
                }
            }
        },
        other => metadata.extend(plain(other).map(|text| (path, text))),
    }
    Ok(())
}

/// The tensors of the checkpoint `path` with their names, and the metadata of safetensors files. Of PyTorch's files it is
/// the state dict, tensors that share memory there sharing it here; see [`pth::load_state_dict`].
///
/// # Errors
/// When a file cannot be read or is damaged, or a tensor has a dtype that does not exist here.
pub fn load(path: impl AsRef<Path>) -> Result<(Vec<(String, Tensor)>, Metadata)> {
    let files = find(path)?;
    if files.format == Format::Safetensors {
        let read = files.safetensors(false)?.read_all().map_err(Error::invalid)?;
        return Ok((read.tensors, read.metadata));
    }
    let (mut tensors, mut places) = (Vec::new(), Vec::new());
    for file in &files.files {
        tensors.extend(if files.format == Format::Npz { npz::load(file)? } else { pth::load_state_dict(file)? });
        places.resize(tensors.len(), file.as_path());
    }
    files.check(tensors.iter().map(|(name, _)| name.as_str()).zip(places))?;
    Ok((tensors, Metadata::new()))
}
