//! The tensors of any checkpoint: where its files are, what they hold, and the tensors themselves.
//!
//! A checkpoint is a `.safetensors`, `.pth`, `.pt`, `.bin` or `.npz` file, the `.index.json` of one in several files, or a
//! model directory with one of these: `model.safetensors`, `model.safetensors.index.json`, `pytorch_model.bin`,
//! `pytorch_model.bin.index.json`, the first of them that is there.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use tensor::Tensor;

use crate::data::{npz, pth};
use crate::{Error, Result};

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
        let file = file.as_str().filter(|file| !file.contains(['/', '\\']) && ![".", "..", ""].contains(file));
        let file = file.ok_or_else(|| Error::in_file(&path, format!("{name:?} is in no file of the directory")))?;
        places.insert(name.clone(), path.with_file_name(file));
    }
    let mut files: Vec<PathBuf> = places.values().cloned().collect();
    files.sort();
    files.dedup();
    Ok(Files { format, files, index: Some((path, places)) })
}

impl Files {
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
    /// The number of elements.
    pub fn numel(&self) -> u64 {
        self.shape.iter().fold(1, |numel: u64, &size| numel.saturating_mul(size as u64))
    }
}

/// The tensors of a checkpoint, in the order of their names (PyTorch: of the file), and its metadata: of a PyTorch file
/// the plain values beside the tensors. Elements are read of NPZ files only.
///
/// # Errors
/// When a file cannot be read or is damaged.
pub fn list(files: &Files) -> Result<(Vec<Info>, Metadata)> {
    let (mut infos, mut metadata, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for file in &files.files {
        let before = infos.len();
        match files.format {
            Format::Safetensors => list_safetensors(file, &mut infos, &mut metadata)?,
            Format::PyTorch => walk(&pth::outline(file)?, String::new(), &mut infos, &mut metadata),
            Format::Npz => infos.extend(npz::load(file)?.into_iter().map(|(name, tensor)| Info {
                name,
                dtype: tensor.dtype().to_string(),
                shape: tensor.dims().to_vec(),
                bytes: (tensor.numel() * tensor.dtype().size_in_bytes()) as u64,
            })),
        }
        places.extend((before..infos.len()).map(|_| file.as_path()));
    }
    files.check(infos.iter().map(|info| info.name.as_str()).zip(places))?;
    if files.format == Format::Safetensors {
        infos.sort_by(|a, b| a.name.cmp(&b.name));
    }
    metadata.sort();
    metadata.dedup();
    Ok((infos, metadata))
}

/// Reads the header of a safetensors file, and no more of it.
fn list_safetensors(path: &Path, infos: &mut Vec<Info>, metadata: &mut Vec<(String, String)>) -> Result<()> {
    let mut file = std::fs::File::open(path).map_err(|e| Error::read(path, e))?;
    let size = file.metadata().map_err(|e| Error::read(path, e))?.len();
    let damaged = |what: &str| Error::in_file(path, format!("not a safetensors file, or damaged: {what}"));
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| damaged("it has no header"))?;
    let length = u64::from_le_bytes(length);
    // The format allows headers of 100 MB.
    if length > 100_000_000 || length > size - 8 {
        return Err(damaged("its header claims more bytes than there are"));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(|e| Error::read(path, e))?;
    let header: Json = serde_json::from_slice(&header).map_err(|e| damaged(&e.to_string()))?;
    let entries = header.as_object().ok_or_else(|| damaged("its header is no JSON object"))?;
    for (name, entry) in entries {
        if name == "__metadata__" {
            let texts = entry.as_object().into_iter().flatten();
            metadata.extend(
                texts.map(|(key, value)| {
                    (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_string))
                }),
            );
            continue;
        }
        let whole = |json: &Json| json.as_u64();
        let shape: Option<Vec<usize>> =
            entry["shape"].as_array().and_then(|shape| shape.iter().map(|n| whole(n)?.try_into().ok()).collect());
        let (from, to) = (whole(&entry["data_offsets"][0]), whole(&entry["data_offsets"][1]));
        let (Some(dtype), Some(shape), Some(from), Some(to)) = (entry["dtype"].as_str(), shape, from, to) else {
            return Err(damaged(&format!("its header does not say what {name:?} is")));
        };
        let bytes = to.checked_sub(from).filter(|_| to <= size - 8 - length);
        let bytes = bytes.ok_or_else(|| damaged(&format!("{name:?} lies outside of it")))?;
        let here = ["bool", "u8", "i32", "i64", "f16", "bf16", "f32", "f64"];
        let dtype = here.into_iter().find(|here| here.eq_ignore_ascii_case(dtype)).unwrap_or(dtype).to_string();
        let info = Info { name: name.clone(), dtype, shape, bytes };
        let sizes: &[(&str, u64)] =
            &[("bool", 1), ("u8", 1), ("i32", 4), ("i64", 8), ("f16", 2), ("bf16", 2), ("f32", 4), ("f64", 8)];
        let known = sizes.iter().find(|(name, _)| *name == info.dtype);
        if known.is_some_and(|(_, size)| info.numel().saturating_mul(*size) != bytes) {
            return Err(damaged(&format!("{name:?} of shape {:?} has {bytes} bytes", info.shape)));
        }
        infos.push(info);
    }
    Ok(())
}

/// Lists the tensors and the plain values of a PyTorch checkpoint.
fn walk(
    value: &pth::Value<pth::TensorInfo>,
    path: String,
    infos: &mut Vec<Info>,
    metadata: &mut Vec<(String, String)>,
) {
    use pth::Value;
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
        Value::Tensor(info) => infos.push(Info {
            name: path,
            dtype: info.dtype().map_or_else(|| info.dtype_name().to_string(), |dtype| dtype.to_string()),
            shape: info.shape().to_vec(),
            bytes: info.bytes() as u64,
        }),
        Value::Dict(entries) => {
            entries.iter().for_each(|(key, value)| walk(value, below(key.to_string()), infos, metadata))
        }
        Value::List(items) => match items.iter().map(plain).collect::<Option<Vec<String>>>() {
            Some(plain) if plain.len() <= 8 => metadata.push((path, format!("[{}]", plain.join(", ")))),
            Some(plain) => metadata.push((path, format!("a list of {} values", plain.len()))),
            None => {
                let items = items.iter().enumerate();
                items.for_each(|(at, value)| walk(value, below(at.to_string()), infos, metadata))
            }
        },
        other => metadata.extend(plain(other).map(|text| (path, text))),
    }
}

/// The tensors of the checkpoint `path` with their names, and the metadata of safetensors files. Of PyTorch's files it is
/// the state dict; see [`pth::load_state_dict`].
///
/// # Errors
/// When a file cannot be read or is damaged, or a tensor has a dtype that does not exist here.
pub fn load(path: impl AsRef<Path>) -> Result<(Vec<(String, Tensor)>, Metadata)> {
    let files = find(path)?;
    let (mut tensors, mut metadata, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for file in &files.files {
        let before = tensors.len();
        match files.format {
            Format::Safetensors => {
                let read = tensor::safetensors::load(file).map_err(Error::invalid)?;
                tensors.extend(read.tensors);
                metadata.extend(read.metadata);
            }
            Format::PyTorch => tensors.extend(pth::load_state_dict(file)?),
            Format::Npz => tensors.extend(npz::load(file)?),
        }
        places.extend((before..tensors.len()).map(|_| file.as_path()));
    }
    files.check(tensors.iter().map(|(name, _)| name.as_str()).zip(places))?;
    metadata.sort();
    metadata.dedup();
    Ok((tensors, metadata))
}
