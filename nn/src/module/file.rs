//! State dicts in safetensors files, under the names of Python's `safetensors.torch`.

use std::path::Path;

use tensor::{Result, safetensors};

use super::StateDict;

/// Writes a state dict, of a module or of an optimizer, as a `.safetensors` file: atomically, so that a process that is
/// killed leaves the old file or the new one.
///
/// A tied parameter is written under each of its names, as PyTorch's strict loading wants it.
///
/// # Errors
/// When the file cannot be written.
///
/// ```
/// use nn::prelude::*;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("net.safetensors");
///
/// let (net, same) = (Linear::new(3, 2), Linear::new(3, 2));
/// save_file(&net.state_dict(), &path)?;
/// same.load_state_dict(&load_file(&path)?)?;
/// assert!(net.weight.value().bit_eq(&same.weight.value()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save_file(dict: &StateDict, path: impl AsRef<Path>) -> Result<()> {
    let tensors: Vec<_> = dict.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    safetensors::save(path, &tensors, &[])
}

/// Reads a `.safetensors` file, such as PyTorch's `safetensors.torch.save_file(model.state_dict(), path)` writes it.
///
/// # Errors
/// When the file cannot be read, is no valid safetensors file, or holds a dtype that does not exist here.
pub fn load_file(path: impl AsRef<Path>) -> Result<StateDict> {
    Ok(safetensors::load(path)?.tensors.into_iter().collect())
}
