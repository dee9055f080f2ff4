//! PyTorch's own checkpoints: the `.pth`, `.pt` and `.bin` files that `torch.save` writes since version 1.6.
//!
//! Such a file is a ZIP archive of a *pickle*, a program that puts Python objects together, and of the memory of the
//! tensors. Python runs whatever the pickle says. Here it can make tensors, dictionaries, lists, tuples, numbers, texts,
//! truth values and `None`, and nothing else: a checkpoint that asks for more is refused, and the error says what it asked
//! for. So is one whose numbers claim more than the file holds, and nothing is allocated on the word of a number.
//!
//! | in Python | here |
//! | --- | --- |
//! | a tensor or `Parameter` (f32, f64, f16, bf16, i64, i32, u8, bool) | [`Value::Tensor`], a view if it is one there; those that share memory there share it here |
//! | `dict`, `OrderedDict` (its attributes, such as `_metadata`, are left out) | [`Value::Dict`], in its order |
//! | `list`, `tuple`, `torch.Size` | [`Value::List`] |
//! | `int` of 64 bits, `float`, `str`, `bool`, `None` | the value |
//! | `torch.float32` and its like, `torch.device` | [`Value::Str`] |
//!
//! ```no_run
//! use models::data::pth;
//!
//! for (name, tensor) in pth::load_state_dict("model.pth")? {
//!     println!("{name} {:?} {}", tensor.dims(), tensor.dtype());
//! }
//! # Ok::<(), models::Error>(())
//! ```

mod archive;
mod objects;
mod opcodes;
mod torch;
mod unpickle;
mod value;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use tensor::Tensor;

use super::zip::{OnDisk, Source};
use crate::{Error, Result};
use archive::{Checkpoint, Storages};

pub use torch::TensorInfo;
pub use value::{Key, Value};

/// Where checkpoints of a whole training run keep the state dict of the model, in the order in which they are tried.
const STATE_DICTS: [&str; 3] = ["state_dict", "model", "model_state_dict"];

/// Everything that the file `path` holds.
///
/// # Errors
/// When the file cannot be read, is damaged, was written before PyTorch 1.6 or by TorchScript, asks for anything but what
/// is listed [above](self), or has tensors without a dtype here (complex, quantised, sparse, other integers and floats).
pub fn load(path: impl AsRef<Path>) -> Result<Value> {
    let path = path.as_ref();
    open(path).and_then(|file| file.read(file.outline()?)).map_err(|e| in_file(path, e))
}

/// Everything that the bytes of a file hold.
///
/// # Errors
/// As [`load`].
pub fn from_bytes(bytes: &[u8]) -> Result<Value> {
    let file = Checkpoint::open(bytes)?;
    file.read(file.outline()?)
}

/// What the file `path` holds, without reading the elements of its tensors, which may be of any dtype.
///
/// # Errors
/// As [`load`], but for the dtypes.
pub fn outline(path: impl AsRef<Path>) -> Result<Value<TensorInfo>> {
    let path = path.as_ref();
    open(path).and_then(|file| file.outline()).map_err(|e| in_file(path, e))
}

/// The names and tensors of the state dict in the file `path`: the dictionary under `state_dict`, `model` or
/// `model_state_dict`, if there is one (the first of them), otherwise the whole file. Other tensors, such as those of an
/// optimizer, are not read, and entries named `.._extra_state` are left out.
///
/// ```
/// use models::data::pth;
/// let error = pth::load_state_dict("does/not/exist.pth").unwrap_err();
/// assert!(error.to_string().starts_with("cannot read does/not/exist.pth"));
/// ```
///
/// # Errors
/// As [`load`], and when the file holds no dictionary of names and tensors.
pub fn load_state_dict(path: impl AsRef<Path>) -> Result<Vec<(String, Tensor)>> {
    let path = path.as_ref();
    open(path).and_then(|file| state_dict_of(&file)).map_err(|e| in_file(path, e))
}

/// The names and tensors of the state dict in the bytes of a file; see [`load_state_dict`].
///
/// # Errors
/// As [`load_state_dict`].
pub fn state_dict_from_bytes(bytes: &[u8]) -> Result<Vec<(String, Tensor)>> {
    state_dict_of(&Checkpoint::open(bytes)?)
}

fn state_dict_of<S: Source>(file: &Checkpoint<S>) -> Result<Vec<(String, Tensor)>> {
    let tensors = state_dict(file.outline()?)?;
    let mut storages = file.storages(true);
    tensors.into_iter().map(|(name, info)| Ok((name, storages.tensor(file, &info)?))).collect()
}

/// The state dict of a file, as [`load_state_dict`] gives it, whose tensors are read one by one.
pub(crate) struct StateDict {
    path: PathBuf,
    file: Checkpoint<OnDisk>,
    tensors: Vec<(String, TensorInfo)>,
    /// The storage that was read last: the tensors of one follow each other.
    last: RefCell<Storages>,
}

impl StateDict {
    /// # Errors
    /// As [`load_state_dict`], but for the dtypes.
    pub fn open(path: &Path) -> Result<StateDict> {
        let open = || {
            let file = open(path)?;
            let (tensors, last) = (state_dict(file.outline()?)?, RefCell::new(file.storages(false)));
            Ok(StateDict { path: path.to_path_buf(), file, tensors, last })
        };
        open().map_err(|e| in_file(path, e))
    }

    /// What is known of the tensors without reading them.
    pub fn tensors(&self) -> &[(String, TensorInfo)] {
        &self.tensors
    }

    /// The tensor at a place in the list.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged there, or the tensor has a dtype that does not exist here.
    pub fn tensor(&self, at: usize) -> Result<Tensor> {
        let (name, info) = &self.tensors[at];
        let tensor = self.last.borrow_mut().tensor(&self.file, info);
        tensor.map_err(|e| in_file(&self.path, Error::invalid(format!("{name:?}: {e}"))))
    }
}

/// The state dict in a checkpoint; see [`load_state_dict`].
pub(crate) fn state_dict<T>(whole: Value<T>) -> Result<Vec<(String, T)>> {
    let Value::Dict(mut entries) = whole else {
        return Err(Error::invalid(format!("the checkpoint holds {}, no state dict", whole.kind())));
    };
    let is_dict = |value: &Value<T>| matches!(value, Value::Dict(_));
    let place = |name: &str| entries.iter().position(|(key, value)| *key == *name && is_dict(value));
    if let Some(at) = STATE_DICTS.into_iter().find_map(place)
        && let (_, Value::Dict(inner)) = entries.swap_remove(at)
    {
        entries = inner;
    }
    let mut tensors = Vec::new();
    for (key, value) in entries {
        match (key, value) {
            (Key::Str(name), Value::Tensor(tensor)) => tensors.push((name, tensor)),
            (Key::Str(name), _) if name.ends_with("_extra_state") => {}
            (key, other) => {
                let kind = other.kind();
                return Err(Error::invalid(format!("no state dict: {key:?} is {kind}, which should be a tensor")));
            }
        }
    }
    Ok(tensors)
}

fn open(path: &Path) -> Result<Checkpoint<OnDisk>> {
    Checkpoint::open(OnDisk::open(path)?)
}

/// `error` with the name of the file, unless it has it.
fn in_file(path: &Path, error: Error) -> Error {
    match error {
        Error::Invalid(what) => Error::in_file(path, what),
        other => other,
    }
}
