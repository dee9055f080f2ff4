//! A checkpoint of a run: a model directory with all that the run's future depends on beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nn::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::files::{Fingerprint, list};
use super::step_name;
use crate::train::{Position, State, Trainer};
use crate::{Error, LanguageModel, Result, Tokenizer, checkpoint};

/// The place in the run and its settings.
pub(super) const STATE: &str = "state.json";
/// The state of the optimizer.
pub(super) const OPTIMIZER: &str = "optimizer.safetensors";
/// The exact values of parameters that are stored in half precision.
pub(super) const MASTERS: &str = "masters.safetensors";
/// The weights below low-rank adapters, under the names of the model here.
pub(super) const BASE: &str = "base.safetensors";
/// The low-rank adapters.
pub(super) const ADAPTERS: &str = "adapters.safetensors";
/// Size and checksum of every other file, written last: what makes the checkpoint whole.
pub(super) const CHECKSUMS: &str = "checksums.json";

/// The version of the layout.
const FORMAT: u32 = 1;

/// `state.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    settings: Map<String, Value>,
    position: Position,
}

/// A checkpoint whose files are all there and have their checksums.
#[derive(Debug)]
pub struct Snapshot {
    dir: PathBuf,
    settings: Map<String, Value>,
    position: Position,
}

/// Why a checkpoint is not taken.
#[derive(Debug)]
pub(super) enum Flaw {
    /// It is not as it was written: the one before it is taken.
    Damaged(Error),
    /// The system does not give what is in it, or this program does not understand it. It may be whole, so that none is taken
    /// in its place and nothing removed.
    Unreadable(Error),
}

impl Flaw {
    /// What it means that the file `path` of a checkpoint was not read.
    fn of(path: &Path, why: &io::Error) -> Flaw {
        match why.kind() {
            io::ErrorKind::NotFound => Flaw::Damaged(Error::read(path, why)),
            _ => Flaw::Unreadable(Error::read(path, why)),
        }
    }
}

impl From<Error> for Flaw {
    fn from(why: Error) -> Flaw {
        Flaw::Damaged(why)
    }
}

impl Snapshot {
    /// Reads the checkpoint `dir` and looks at every byte of it.
    pub(super) fn read(dir: &Path) -> std::result::Result<Snapshot, Flaw> {
        let sums: BTreeMap<String, Fingerprint> = read_json(&dir.join(CHECKSUMS))?;
        if !sums.contains_key(STATE) {
            return Err(Error::in_file(&dir.join(CHECKSUMS), format!("{STATE} is missing")).into());
        }
        for (name, sum) in &sums {
            // A name is no path that leads elsewhere.
            if Path::new(name).file_name() != Some(name.as_ref()) {
                return Err(Error::in_file(&dir.join(CHECKSUMS), format!("{name:?} is no file name")).into());
            }
            let path = dir.join(name);
            if Fingerprint::of_file(&path).map_err(|e| Flaw::of(&path, &e))? != *sum {
                return Err(Error::in_file(&path, "the contents are not those that were written").into());
            }
        }
        // All is there as it was written: what is not understood now is no damage, and nothing to be thrown away.
        let whole = |flaw| match flaw {
            Flaw::Damaged(why) | Flaw::Unreadable(why) => Flaw::Unreadable(why),
        };
        let path = dir.join(STATE);
        let Manifest { format, settings, position } = read_json(&path).map_err(whole)?;
        let refused = |what: String| Err(Flaw::Unreadable(Error::in_file(&path, what)));
        if format != FORMAT {
            return refused(format!("the format is {format}, this program reads {FORMAT}"));
        }
        let name = step_name(position.step);
        if dir.file_name() != Some(name.as_ref()) {
            return refused(format!("this is {name}, which somebody renamed: name it so, or move it away"));
        }
        Ok(Snapshot { dir: dir.to_path_buf(), settings, position })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The settings that the run was begun with.
    pub fn settings(&self) -> &Map<String, Value> {
        &self.settings
    }

    /// Where the run was.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Whether the run was at its end.
    pub fn is_finished(&self) -> bool {
        self.position.total.is_some_and(|total| self.position.step >= total)
    }

    /// The model with its weights; of a run that trains low-rank adapters, with the weights below them.
    ///
    /// # Errors
    /// As [`checkpoint::load_model`].
    pub fn load_model(&self) -> Result<Box<dyn LanguageModel>> {
        let model = checkpoint::load_model(&self.dir)?;
        let path = self.dir.join(BASE);
        if path.exists() {
            let base = nn::load_file(&path).map_err(Error::invalid)?;
            model.load_state_dict(&base).map_err(|e| Error::in_file(&path, e))?;
        }
        Ok(model)
    }

    /// Gives the low-rank adapters of `model`, which has them already, the values of this checkpoint.
    ///
    /// # Errors
    /// When they are missing or others.
    pub fn load_adapters(&self, model: &dyn LanguageModel) -> Result<()> {
        let path = self.dir.join(ADAPTERS);
        let adapters = nn::load_file(&path).map_err(Error::invalid)?;
        nn::lora::load_lora_state_dict(model, &adapters).map_err(|e| Error::in_file(&path, e))
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// As [`Tokenizer::load`].
    pub fn load_tokenizer(&self) -> Result<Tokenizer> {
        Tokenizer::load(self.dir.join(checkpoint::TOKENIZER))
    }

    /// Puts a trainer, whose model has its weights from [`load_model`](Snapshot::load_model), at the place of this
    /// checkpoint.
    ///
    /// # Errors
    /// When the checkpoint is none of the trainer's run; see [`Trainer::load_state`].
    pub fn restore(&self, trainer: &mut Trainer) -> Result<()> {
        let read = |name: &str| -> Result<StateDict> { nn::load_file(self.dir.join(name)).map_err(Error::invalid) };
        let masters = if self.dir.join(MASTERS).exists() { read(MASTERS)? } else { StateDict::new() };
        let state = State { position: self.position.clone(), optimizer: read(OPTIMIZER)?, masters };
        trainer.load_state(&state).map_err(|e| Error::in_file(&self.dir, e))
    }
}

/// Writes [`STATE`].
pub(super) fn write_state(dir: &Path, settings: &Map<String, Value>, position: &Position) -> Result<()> {
    write_json(&dir.join(STATE), &Manifest { format: FORMAT, settings: settings.clone(), position: position.clone() })
}

/// Writes [`CHECKSUMS`] of all files in `dir`.
pub(super) fn write_checksums(dir: &Path) -> Result<()> {
    let sum = |name: String| {
        let path = dir.join(&name);
        Fingerprint::of_file(&path).map(|sum| (name, sum)).map_err(|e| Error::read(&path, e))
    };
    let sums: BTreeMap<String, Fingerprint> = list(dir)?.into_iter().map(sum).collect::<Result<_>>()?;
    write_json(&dir.join(CHECKSUMS), &sums)
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> std::result::Result<T, Flaw> {
    let text = fs::read(path).map_err(|e| Flaw::of(path, &e))?;
    serde_json::from_slice(&text).map_err(|e| Error::in_file(path, e).into())
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::write(path, e))? + "\n";
    tensor::io::write_atomic(path, text.as_bytes()).map_err(|e| Error::write(path, e))
}
