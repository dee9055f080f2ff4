//! The index of a checkpoint in several files: a JSON object that says which tensor is in which.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::broken;
use super::header::MAX_HEADER;
use super::json::Entries;
use super::reader::in_file;
use super::source::{OpenFile, Source};
use crate::{Error, Result};

/// The file with all weights, in a directory of the Hugging Face layout.
pub const SINGLE: &str = "model.safetensors";
/// The index of the files with the weights, where they are several.
pub const INDEX: &str = "model.safetensors.index.json";

/// An index whose file names are plain.
pub(super) struct Index {
    /// Which tensor is in which file, sorted by tensor.
    pub(super) weight_map: Vec<(String, String)>,
    /// The text in its metadata, sorted by key; the sizes that stand there, too, are not needed.
    pub(super) metadata: Vec<(String, String)>,
}

impl Index {
    pub(super) fn read(path: &Path) -> Result<Index> {
        let file = OpenFile::open(path)?;
        if file.len() > MAX_HEADER {
            return Err(in_file(path, broken(format!("an index of {} bytes is too long", file.len()))));
        }
        let mut json = vec![0; file.len() as usize];
        file.read_at(&mut json, 0)?;
        Index::parse(&json).map_err(|e| in_file(path, e))
    }

    fn parse(json: &[u8]) -> Result<Index> {
        #[derive(Deserialize)]
        struct Contents {
            metadata: Option<Entries<Value>>,
            weight_map: Entries<String>,
        }
        let Contents { metadata, weight_map } =
            serde_json::from_slice(json).map_err(|e| broken(format!("the index is wrong: {e}")))?;
        if let Some((name, file)) = weight_map.0.iter().find(|(_, file)| !is_plain(file)) {
            let what = format!("the index puts {name:?} into {file:?}, which is not the name of a file beside it");
            return Err(broken(what));
        }
        let text = |(key, value)| match value {
            Value::String(text) => Some((key, text)),
            _ => None,
        };
        let metadata = metadata.map_or(Vec::new(), |metadata| metadata.0).into_iter().filter_map(text).collect();
        Ok(Index { weight_map: weight_map.0, metadata })
    }

    /// The names of the files, sorted.
    pub(super) fn files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = self.weight_map.iter().map(|(_, file)| file.as_str()).collect();
        files.sort_unstable();
        files.dedup();
        files
    }
}

/// Whether `name` names a file in a directory, on any system, and not some other place.
pub(super) fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) && !name.contains(['/', '\\', ':', '\0'])
}

/// The index as Python's `transformers` writes it: sorted, indented by two, the sizes in numbers.
pub(super) fn to_json(weight_map: &BTreeMap<&str, &str>, parameters: u64, bytes: u64) -> Result<String> {
    #[derive(Serialize)]
    struct Sizes {
        total_parameters: u64,
        total_size: u64,
    }
    #[derive(Serialize)]
    struct Contents<'a> {
        metadata: Sizes,
        weight_map: &'a BTreeMap<&'a str, &'a str>,
    }
    let metadata = Sizes { total_parameters: parameters, total_size: bytes };
    let json = serde_json::to_string_pretty(&Contents { metadata, weight_map }).map_err(Error::format)?;
    Ok(json + "\n")
}
