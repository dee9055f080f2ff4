//! An open checkpoint, of which one tensor is read at a time.

use std::collections::HashMap;
use std::path::Path;

use tensor::{Tensor, safetensors};

use super::{Files, Format, Info, Metadata, find};
use crate::data::{npz, pth};
use crate::{Error, Result};

/// An open checkpoint of any format, whose tensors are read one at a time: no more than the one that is asked for is in
/// memory, but of NPZ files, which are compressed, all are from the beginning.
///
/// Of PyTorch's files it has the state dict; see [`pth::load_state_dict`].
pub struct Reader {
    files: Files,
    infos: Vec<Info>,
    places: HashMap<String, usize>,
    metadata: Metadata,
    contents: Contents,
}

/// Where the tensors of a [`Reader`] come from; in the order of its list.
enum Contents {
    Safetensors(safetensors::Reader),
    /// The files, and the file and the place in it of each tensor.
    PyTorch(Vec<pth::StateDict>, Vec<(usize, usize)>),
    Npz(Vec<Tensor>),
}

impl Reader {
    /// Opens the checkpoint `path`; see [`find`].
    ///
    /// # Errors
    /// When a file cannot be read or is damaged, or two have a tensor of one name.
    pub fn open(path: impl AsRef<Path>) -> Result<Reader> {
        Reader::open_as(path.as_ref(), false)
    }

    /// Opens the checkpoint `path` as [`open`](Reader::open) does, and maps safetensors files into memory: a
    /// [`tensor`](Reader::tensor) then is what stands in the file, which is read where and when the elements are looked at.
    /// Files of PyTorch and NPZ are read as by [`open`](Reader::open).
    ///
    /// **For local files that you trust to stay as they are**, until the last tensor of them is dropped: when another program
    /// overwrites one in place, tensors change while they are used; when one is cut short, or its disk goes away, the system
    /// ends this process. Files that are replaced by a rename, as everything here does it, or deleted are no danger. See
    /// [`safetensors::Reader::open_mapped`], also for the tensors that are copied all the same.
    ///
    /// # Errors
    /// As [`open`](Reader::open), and when the system cannot map files.
    ///
    /// ```
    /// use models::weights::Reader;
    /// # use tensor::{Tensor, safetensors};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("model.safetensors");
    /// # safetensors::save(&path, &[("w".into(), Tensor::from([1.0f32, 2.0]))], &[]).unwrap();
    ///
    /// let mut w = Reader::open_mapped(&path)?.tensor("w")?;
    /// w.mul_scalar_(10.0); // a write copies first
    /// assert_eq!(w.to_vec::<f32>(), [10.0, 20.0]);
    /// assert_eq!(Reader::open(&path)?.tensor("w")?.to_vec::<f32>(), [1.0, 2.0]);
    /// # Ok::<(), models::Error>(())
    /// ```
    pub fn open_mapped(path: impl AsRef<Path>) -> Result<Reader> {
        Reader::open_as(path.as_ref(), true)
    }

    fn open_as(path: &Path, mapped: bool) -> Result<Reader> {
        let files = find(path)?;
        let (mut infos, mut metadata, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let contents = match files.format {
            Format::Safetensors => {
                let reader = files.safetensors(mapped)?;
                infos.extend(reader.tensors().iter().map(Info::in_safetensors));
                metadata = reader.metadata().to_vec();
                Contents::Safetensors(reader)
            }
            Format::PyTorch => {
                let (mut parts, mut at) = (Vec::new(), Vec::new());
                for file in &files.files {
                    let part = pth::StateDict::open(file)?;
                    at.extend((0..part.tensors().len()).map(|tensor| (parts.len(), tensor)));
                    infos.extend(part.tensors().iter().map(|(name, info)| Info::in_pytorch(name.clone(), info)));
                    places.resize(infos.len(), file.as_path());
                    parts.push(part);
                }
                Contents::PyTorch(parts, at)
            }
            Format::Npz => {
                let mut tensors = Vec::new();
                for file in &files.files {
                    for (name, tensor) in npz::load(file)? {
                        infos.push(Info::of(&name, &tensor));
                        tensors.push(tensor);
                    }
                    places.resize(infos.len(), file.as_path());
                }
                Contents::Npz(tensors)
            }
        };
        if files.format != Format::Safetensors {
            files.check(infos.iter().map(|info| info.name.as_str()).zip(places))?;
        }
        let places = infos.iter().enumerate().map(|(at, info)| (info.name.clone(), at)).collect();
        Ok(Reader { files, infos, places, metadata, contents })
    }

    /// The files that it reads.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// What is known of the tensors, in the order of their names (PyTorch, NPZ: of the files).
    pub fn tensors(&self) -> &[Info] {
        &self.infos
    }

    /// The metadata of safetensors files.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// When there is none, the file cannot be read or is damaged there, or the tensor has a dtype that does not exist here.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let at = self.places.get(name);
        let at = *at.ok_or_else(|| Error::in_file(self.files.path(), format!("there is no tensor {name:?}")))?;
        match &self.contents {
            Contents::Safetensors(reader) => reader.tensor(name).map_err(Error::invalid),
            Contents::PyTorch(parts, places) => {
                let (part, tensor) = places[at];
                parts[part].tensor(tensor)
            }
            Contents::Npz(tensors) => Ok(tensors[at].clone()),
        }
    }
}
