//! The directory of a training run, from which it goes on after whatever stopped it.
//!
//! ```text
//! runs/mine/
//!     config.json  tokenizer.json  model.safetensors   the last step that was saved: a whole model, as Python reads it
//!     best/                                            the model with the least validation loss so far
//!     loss.csv  loss.svg                               one row per step, and their picture
//!     events.out.tfevents.*                            on request: what TensorBoard draws, a file per process
//!     checkpoints/step-00000500/                       what an exact resume needs, for the newest few steps
//!         config.json  tokenizer.json  model.safetensors
//!         optimizer.safetensors                        the optimizer's state
//!         base.safetensors  adapters.safetensors       of a run with low-rank adapters: model.safetensors is the two merged
//!         state.json                                   step, generators, best loss, settings of the run
//!         checksums.json                               size and CRC-64 of the other files
//!     next/                                            a new run in a directory that had a model, until it has ended
//!     run.lock                                         locked while a process writes here
//! ```
//!
//! **A checkpoint becomes one by a rename.** It is written in a hidden directory, flushed to the disk and renamed; then
//! the files above, which are links to its files or copies, are replaced. So a process killed at any instant leaves the
//! old checkpoint or the new one, and a resume puts the rest in order from the newest that is whole. One that was
//! damaged later, which its checksums tell, is reported, and the one before it is taken. One that the system does not let
//! read may be whole: the resume is refused.
//!
//! **A reader finds a whole model or an error.** Within a run only the weights change, by one rename. Where another
//! model takes the place of an older one, the old weights go first and the new ones come last.
//!
//! **An older model stays until a new run has ended.** A run that is begun in a directory with a model works in `next/`,
//! from where it moves when all its steps are done; `next/` can be stopped and resumed like any other run.

mod files;
mod publish;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use nn::prelude::*;
use serde_json::{Map, Value};

use crate::checkpoint::SaveOptions;
use crate::curve::Point;
use crate::tensorboard::{EVENTS, EventWriter};
use crate::train::{Evaluated, Step, Trainer};
use crate::{Error, LanguageModel, Result, Tokenizer, checkpoint};

use files::{Act, carry_out, clean, discard, list, sync};
use snapshot::Flaw;
use table::Table;

pub use files::Fingerprint;
pub use snapshot::Snapshot;

/// The directory of the checkpoints.
const CHECKPOINTS: &str = "checkpoints";
/// The directory of the best model.
const BEST: &str = "best";
/// Where a new run works as long as an older model stands in its place.
const NEXT: &str = "next";
/// In `next/`: the run is finished and moves to its place.
const DONE: &str = "done";
/// The file that is locked.
const LOCK: &str = "run.lock";
/// The table of the losses.
pub const TABLE: &str = "loss.csv";
/// Their picture.
pub const PICTURE: &str = "loss.svg";

/// Something to do in a directory.
type InDirectory<'a> = Box<dyn FnOnce(&Path) -> Result<()> + 'a>;

/// The directory of a run, locked against other processes until it is dropped.
#[derive(Debug)]
pub struct RunDirectory {
    /// What the user named.
    root: PathBuf,
    /// Where the run works: there, or in `next/`.
    at: PathBuf,
    _lock: File,
}

impl RunDirectory {
    /// Whether a run was begun in `root` and has a checkpoint there.
    ///
    /// # Errors
    /// When a directory is there that cannot be read.
    pub fn has_run(root: &Path) -> Result<bool> {
        let next = root.join(NEXT);
        Ok(!steps(root)?.is_empty() || !steps(&next)?.is_empty() || is_done(&next)?)
    }

    /// Locks the directory `root`, which is made when it is not there, and removes what a killed process left unfinished.
    ///
    /// # Errors
    /// When another process has it, or it cannot be read or written.
    pub fn open(root: &Path) -> Result<RunDirectory> {
        fs::create_dir_all(root).map_err(|e| Error::write(root, e))?;
        let path = root.join(LOCK);
        let lock = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(|e| Error::write(&path, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::in_file(root, "another process is training here"));
            }
            // A file system without locks must do without.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(Error::write(&path, e)),
        }
        let mut directory = RunDirectory { root: root.to_path_buf(), at: root.to_path_buf(), _lock: lock };
        let next = root.join(NEXT);
        if is_done(&next)? {
            carry_out(publish::promote(&next, root))?;
        }
        for dir in [root.to_path_buf(), next.clone()] {
            for dir in [dir.join(CHECKPOINTS), dir.join(BEST), dir] {
                clean(&dir)?;
            }
        }
        if !steps(&next)?.is_empty() {
            directory.at = next;
        }
        Ok(directory)
    }

    /// Where the run works: the directory itself, or `next/` in it as long as an older model stands there.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// The newest whole checkpoint; `report` is told of newer ones that are damaged. None where no run has saved one.
    ///
    /// # Errors
    /// When there are checkpoints and none of them is whole, or when one that may be the newest whole one cannot be read.
    pub fn newest(&self, mut report: impl FnMut(&str)) -> Result<Option<Snapshot>> {
        let mut damaged = None;
        for (_, name) in steps(&self.at)?.into_iter().rev() {
            match Snapshot::read(&self.at.join(CHECKPOINTS).join(&name)) {
                Ok(snapshot) => {
                    if damaged.is_some() {
                        report(&format!("going on from the checkpoint {name}"));
                    }
                    return Ok(Some(snapshot));
                }
                Err(Flaw::Unreadable(Error::Read { path, why })) => {
                    let what = "it may be whole: make it readable, or remove the checkpoint to go on from an older one";
                    return Err(Error::read(&path, format!("{why}; {what}")));
                }
                Err(Flaw::Unreadable(why)) => return Err(why),
                Err(Flaw::Damaged(why)) => {
                    report(&format!("the checkpoint {name} is damaged: {why}"));
                    damaged.get_or_insert(why);
                }
            }
        }
        match damaged {
            None => Ok(None),
            Some(why) => {
                let dir = self.at.join(CHECKPOINTS);
                Err(Error::in_file(
                    &dir,
                    format!("no checkpoint is whole, remove them to begin again; the newest: {why}"),
                ))
            }
        }
    }

    /// Begins a run: in the directory itself when it holds no model, else in `next/`, where an unfinished one gives way.
    ///
    /// # Errors
    /// When the directory cannot be read, before anything is changed, or something cannot be removed or written.
    pub fn begin(&mut self) -> Result<()> {
        let occupied = !steps(&self.root)?.is_empty() || publish::has_model(&self.root)?;
        discard(&self.root.join(NEXT))?;
        self.at = if occupied { self.root.join(NEXT) } else { self.root.clone() };
        fs::create_dir_all(&self.at).map_err(|e| Error::write(&self.at, e))?;
        // Of a run that did not come to its first checkpoint.
        let old = list(&self.at)?.into_iter().filter(|name| name.starts_with(EVENTS));
        old.into_iter().try_for_each(|name| files::remove(&self.at.join(name)))
    }

    /// Goes back to `snapshot`: newer checkpoints are removed, as are all but the newest `keep`, and the files above them
    /// put in order. A finished run moves from `next/` to its place.
    ///
    /// # Errors
    /// When something cannot be removed or written.
    pub fn go_back(&mut self, snapshot: &Snapshot, keep: usize) -> Result<()> {
        for (step, name) in steps(&self.at)? {
            if step > snapshot.position().step {
                discard(&self.at.join(CHECKPOINTS).join(name))?;
            }
        }
        carry_out(publish::all(snapshot.path(), &self.at, snapshot.position()))?;
        self.prune(keep)?;
        if snapshot.is_finished() { self.finish() } else { Ok(()) }
    }

    /// What a save is made of, in its order.
    fn saving<'a>(&'a self, trainer: &'a Trainer, keeping: &'a Keeping) -> impl Iterator<Item = Act<'a>> {
        let state = trainer.state();
        let checkpoints = self.at.join(CHECKPOINTS);
        let new = checkpoints.join(format!("{}new", files::TEMPORARY));
        let whole = checkpoints.join(step_name(state.position.step));
        let position = state.position.clone();
        let in_new = |act: InDirectory<'a>| {
            let new = new.clone();
            Act::new(move || act(&new))
        };
        let acts = vec![
            in_new(Box::new(|new| {
                discard(new)?;
                fs::create_dir_all(new).map_err(|e| Error::write(new, e))
            })),
            in_new(Box::new(move |new| keeping.save_model(new, trainer.model()))),
            in_new(Box::new(move |new| save_tensors(&new.join(snapshot::OPTIMIZER), &state.optimizer))),
            in_new(Box::new(move |new| match &state.masters {
                none if none.is_empty() => Ok(()),
                masters => save_tensors(&new.join(snapshot::MASTERS), masters),
            })),
            in_new(Box::new(move |new| save_adapters(new, trainer.model()))),
            in_new(Box::new(move |new| snapshot::write_state(new, &keeping.settings, &state.position))),
            in_new(Box::new(snapshot::write_checksums)),
            {
                let (new, whole) = (new.clone(), whole.clone());
                // A checkpoint of this step is there already when it was damaged, or when nothing was done since.
                Act::new(move || {
                    discard(&whole)?;
                    sync(&new).and_then(|()| fs::rename(&new, &whole)).map_err(|e| Error::write(&whole, e))?;
                    sync(&checkpoints).map_err(|e| Error::write(&checkpoints, e))
                })
            },
        ];
        // What is left to do is seen when the checkpoint is there.
        let at = self.at.clone();
        let publishing = std::iter::once_with(move || publish::all(&whole, &at, &position)).flatten();
        acts.into_iter().chain(publishing).chain([Act::new(move || self.prune(keeping.keep))])
    }

    /// Removes all but the newest `keep` checkpoints.
    fn prune(&self, keep: usize) -> Result<()> {
        let steps = steps(&self.at)?;
        let old = steps.len().saturating_sub(keep.max(1));
        steps[..old].iter().try_for_each(|(_, name)| discard(&self.at.join(CHECKPOINTS).join(name)))
    }

    /// Puts the model of `trainer`, which has just been evaluated as the best, into `best/`, without a checkpoint.
    fn save_best(&self, trainer: &Trainer, keeping: &Keeping) -> Result<()> {
        let new = self.at.join(format!("{}best", files::TEMPORARY));
        discard(&new)?;
        keeping.save_model(&new, trainer.model())?;
        carry_out(publish::model(&new, &self.at.join(BEST)))?;
        discard(&new)
    }

    /// Moves a finished run from `next/` to its place.
    fn finish(&mut self) -> Result<()> {
        if self.at != self.root {
            let done = self.at.join(DONE);
            tensor::io::write_atomic(&done, b"").map_err(|e| Error::write(&done, e))?;
            carry_out(publish::promote(&self.at, &self.root))?;
            self.at.clone_from(&self.root);
        }
        Ok(())
    }
}

/// What a run keeps beside its weights, and how much of it.
#[derive(Debug)]
pub struct Keeping<'a> {
    /// Goes into every model directory.
    pub tokenizer: &'a Tokenizer,
    /// The tokens that end a text, for the configs of those directories; none where the tokenizer's own is meant.
    pub end: Option<Vec<i64>>,
    /// Everything that the bits of the run depend on; a resume compares it.
    pub settings: Map<String, Value>,
    /// Steps between checkpoints; there is one at the end and when the run is stopped, too.
    pub save_every: usize,
    /// How many checkpoints are kept.
    pub keep: usize,
    /// Over the picture of the losses.
    pub title: String,
    /// Whether event files for TensorBoard are written.
    pub tensorboard: bool,
}

impl Keeping<'_> {
    fn save_model(&self, dir: &Path, model: &dyn LanguageModel) -> Result<()> {
        let options = SaveOptions { eos_token_ids: self.end.clone(), ..SaveOptions::default() };
        checkpoint::save_with(dir, model, Some(self.tokenizer), &options)
    }
}

/// What a recorded run tells while it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step was done.
    Step(&'a Step),
    /// The validation loss was measured.
    Evaluated(&'a Evaluated),
    /// A checkpoint was saved.
    Saved,
    /// The table of the losses lacks rows that a run which goes on had written.
    TableLost {
        /// The last step that it has.
        last: usize,
    },
}

/// How a process ended its part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With the last step.
    Finished,
    /// When it was asked to.
    Stopped,
}

/// Drives `trainer` to its end, or until `stop` says so after a step, and keeps everything in `directory`.
///
/// A table, a picture or an event file that cannot be written ends the run, but not before a checkpoint of that step is
/// saved.
///
/// # Errors
/// When the run diverges, or something cannot be written.
pub fn record(
    directory: &mut RunDirectory,
    trainer: &mut Trainer,
    keeping: &Keeping,
    stop: impl Fn() -> bool,
    mut watch: impl FnMut(&Trainer, Event),
) -> Result<Ended> {
    let mut table = Table::open(&directory.at.join(TABLE), trainer.step_number())?;
    if table.last() < trainer.step_number() {
        watch(trainer, Event::TableLost { last: table.last() });
    }
    let next = trainer.step_number().saturating_add(1);
    let mut events = keeping.tensorboard.then(|| EventWriter::create(&directory.at, next)).transpose()?;
    while !trainer.is_finished() {
        let step = trainer.step()?;
        watch(trainer, Event::Step(&step));
        let evaluated = trainer.evaluate_if_due()?;
        let mut shown = match &mut events {
            Some(events) => put_events(events, &step, evaluated.as_ref()),
            None => Ok(()),
        };
        let Step { step, loss, lr, .. } = step;
        let row = Point { step, loss, lr, val_loss: evaluated.map(|evaluated| evaluated.val_loss) };
        shown = shown.and(table.add(&row));
        if let Some(evaluated) = &evaluated {
            watch(trainer, Event::Evaluated(evaluated));
        }
        let (last, stopped) = (trainer.is_finished(), stop());
        let saves = last || stopped || step.is_multiple_of(keeping.save_every.max(1));
        if let Some(events) = &mut events
            && (saves || evaluated.is_some())
        {
            shown = shown.and(events.flush());
        }
        if saves || shown.is_err() {
            shown = shown.and_then(|()| table.sync()).and_then(|()| draw(&directory.at, &keeping.title));
            carry_out(directory.saving(trainer, keeping))?;
            watch(trainer, Event::Saved);
            shown?;
        } else if evaluated.is_some() && trainer.best() == evaluated {
            directory.save_best(trainer, keeping)?;
        }
        if stopped && !last {
            return Ok(Ended::Stopped);
        }
    }
    drop((table, events));
    directory.finish()?;
    Ok(Ended::Finished)
}

/// What TensorBoard draws of a step.
fn put_events(events: &mut EventWriter, step: &Step, evaluated: Option<&Evaluated>) -> Result<()> {
    let mut scalars = vec![
        ("loss/train", step.loss),
        ("learning_rate", step.lr),
        ("gradient_norm", step.gradient_norm),
        ("tokens_per_s", step.tokens_per_s),
    ];
    scalars.extend(evaluated.map(|evaluated| ("loss/validation", evaluated.val_loss)));
    events.scalars(step.step, &scalars)
}

/// Draws the table of `dir`.
fn draw(dir: &Path, title: &str) -> Result<()> {
    let path = dir.join(PICTURE);
    let picture = table::curve(&dir.join(TABLE))?.to_svg(title)?;
    tensor::io::write_atomic(&path, picture.as_bytes()).map_err(|e| Error::write(&path, e))
}

fn save_tensors(path: &Path, dict: &StateDict) -> Result<()> {
    nn::save_file(dict, path).map_err(|e| Error::write(path, e))
}

/// Writes low-rank adapters and what is below them, exactly: the model in the directory is the two together, rounded.
fn save_adapters(dir: &Path, model: &dyn LanguageModel) -> Result<()> {
    let adapters = nn::lora::lora_state_dict(model);
    if adapters.is_empty() {
        return Ok(());
    }
    let mut base = model.state_dict();
    base.retain(|name, _| !adapters.contains_key(name));
    save_tensors(&dir.join(snapshot::BASE), &base)?;
    save_tensors(&dir.join(snapshot::ADAPTERS), &adapters)
}

/// The name of the checkpoint after `step` steps.
fn step_name(step: usize) -> String {
    format!("step-{step:08}")
}

/// The checkpoints of a run in the order of their steps.
fn steps(dir: &Path) -> Result<Vec<(usize, String)>> {
    let step = |name: &String| name.strip_prefix("step-")?.parse().ok().filter(|&step| step_name(step) == *name);
    let names = list(&dir.join(CHECKPOINTS))?;
    let mut steps: Vec<(usize, String)> = names.into_iter().filter_map(|name| Some((step(&name)?, name))).collect();
    steps.sort();
    Ok(steps)
}

/// Whether the run in `next` has ended.
fn is_done(next: &Path) -> Result<bool> {
    let mark = next.join(DONE);
    fs::exists(&mark).map_err(|e| Error::read(&mark, e))
}
