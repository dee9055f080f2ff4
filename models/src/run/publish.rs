//! Putting a model where readers look for it, so that they find a whole one or an error.

use std::fs;
use std::path::Path;

use super::files::{Act, discard, list, move_over, remove, replace, same, sync};
use super::snapshot::{ADAPTERS, BASE, CHECKSUMS, MASTERS, OPTIMIZER, STATE};
use super::{BEST, CHECKPOINTS, EVENTS, PICTURE, TABLE};
use crate::checkpoint::WEIGHTS;
use crate::train::Position;
use crate::weights::NAMES;
use crate::{Error, Result};

/// Whether `dir` has a model.
///
/// # Errors
/// When that cannot be seen.
pub(super) fn has_model(dir: &Path) -> Result<bool> {
    Ok(list(dir)?.iter().any(|name| is_weights(name)))
}

/// Whether readers begin with a file of this name.
fn is_entry(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Whether this is a file of weights, alone or one of several, or their list; not a copy that somebody made beside them.
fn is_weights(name: &str) -> bool {
    let shard_of = |whole: &str| {
        let (stem, extension) = whole.split_once('.')?;
        let (number, of) = name.strip_suffix(extension)?.strip_suffix('.')?.split_once("-of-")?;
        let number = number.strip_prefix(stem)?.strip_prefix('-')?;
        Some([number, of].iter().all(|part| part.len() >= 5 && part.bytes().all(|b| b.is_ascii_digit())))
    };
    is_entry(name) || NAMES.iter().any(|whole| shard_of(whole) == Some(true))
}

/// `acts`, or one that fails as the making of them did.
fn or_fail(acts: Result<Vec<Act<'static>>>) -> Vec<Act<'static>> {
    acts.unwrap_or_else(|why| vec![Act::new(move || Err(why))])
}

/// The acts after a checkpoint: the model of the run's directory, and the best one when it is this.
pub(super) fn all(checkpoint: &Path, at: &Path, position: &Position) -> Vec<Act<'static>> {
    let mut acts = Vec::new();
    if position.best.is_some_and(|best| best.step == position.step) {
        acts.extend(model(checkpoint, &at.join(BEST)));
    }
    acts.extend(model(checkpoint, at));
    acts
}

/// The acts that make the model in `to` the one in `from`.
///
/// The weights come last, and when anything else changes, the old ones go first: until the new ones are there, a reader
/// finds no weights. Weights are links, the small files copies, which somebody may edit.
pub(super) fn model(from: &Path, to: &Path) -> Vec<Act<'static>> {
    or_fail(replacing(from, to))
}

fn replacing(from: &Path, to: &Path) -> Result<Vec<Act<'static>>> {
    const OF_THE_RUN: [&str; 6] = [STATE, OPTIMIZER, MASTERS, BASE, ADAPTERS, CHECKSUMS];
    let (weights, small): (Vec<String>, Vec<String>) =
        list(from)?.into_iter().filter(|name| !OF_THE_RUN.contains(&name.as_str())).partition(|name| is_weights(name));
    if !weights.iter().any(|name| is_entry(name)) {
        return Err(Error::read(from, "there is no model to be put in the place of another"));
    }
    let differs = |name: &String| !same(&from.join(name), &to.join(name));
    let old: Vec<String> = list(to)?.into_iter().filter(|name| is_weights(name)).collect();
    let stale: Vec<String> = old.iter().filter(|name| !weights.contains(name)).cloned().collect();
    let small: Vec<String> = small.into_iter().filter(differs).collect();
    let one = weights == [WEIGHTS] && stale.is_empty() && small.is_empty();
    let changed: Vec<String> = weights.into_iter().filter(differs).collect();
    if small.is_empty() && changed.is_empty() && stale.is_empty() {
        return Ok(Vec::new());
    }

    let (from, to) = (from.to_path_buf(), to.to_path_buf());
    let put = |name: String, link: bool| {
        let (from, to) = (from.join(&name), to.join(&name));
        Act::new(move || replace(&from, &to, link))
    };
    let gone = |name: String| {
        let path = to.join(name);
        Act::new(move || remove(&path))
    };
    if one {
        return Ok(vec![put(WEIGHTS.into(), true)]);
    }
    let entries: Vec<String> = list(&from)?.into_iter().filter(|name| is_entry(name)).collect();
    let mut acts = vec![{
        let to = to.clone();
        Act::new(move || fs::create_dir_all(&to).map_err(|e| Error::write(&to, e)))
    }];
    // The one that readers prefer goes last: until then they find that model.
    acts.extend(NAMES.iter().rev().filter(|name| old.iter().any(|old| old == *name)).map(|name| gone((*name).into())));
    acts.extend(stale.into_iter().filter(|name| !is_entry(name)).map(gone));
    acts.extend(small.into_iter().map(|name| put(name, false)));
    acts.extend(changed.into_iter().filter(|name| !is_entry(name)).map(|name| put(name, true)));
    acts.extend(entries.into_iter().map(|name| put(name, true)));
    Ok(acts)
}

/// Whether something is there; what cannot be looked at is neither there nor gone.
fn exists(path: &Path) -> Result<bool> {
    fs::exists(path).map_err(|e| Error::read(path, e))
}

/// The acts that move a finished run from `next` to `root`, in the place of an older model. They may be begun again at
/// any point: what was moved is no longer in `next`.
pub(super) fn promote(next: &Path, root: &Path) -> impl Iterator<Item = Act<'static>> + use<> {
    let moved = |name: &str| {
        let (from, to) = (next.join(name), root.join(name));
        Act::new(move || if exists(&from)? { move_over(&from, &to) } else { Ok(()) })
    };
    let events = |dir: &Path| -> Result<Vec<String>> {
        Ok(list(dir)?.into_iter().filter(|name| name.starts_with(EVENTS)).collect())
    };
    let remove_events = || -> Result<Vec<Act<'static>>> {
        let gone = |name: String| {
            let path = root.join(name);
            Act::new(move || remove(&path))
        };
        // Where nothing was moved yet, these are the older run's.
        match exists(&next.join(CHECKPOINTS))? {
            true => Ok(events(root)?.into_iter().map(gone).collect()),
            false => Ok(Vec::new()),
        }
    };
    let mut first = or_fail(remove_events());
    first.push(moved(CHECKPOINTS));
    // The newest checkpoint, which is in its place by then, holds the model that goes to the top.
    let model = {
        let root = root.to_path_buf();
        std::iter::once_with(move || {
            let acts = |(_, name): (usize, String)| model(&root.join(CHECKPOINTS).join(name), &root);
            or_fail(super::steps(&root).map(|mut steps| steps.pop().map(acts).unwrap_or_default()))
        })
    };
    let mut last = or_fail(events(next).map(|names| names.iter().map(|name| moved(name)).collect()));
    last.extend([BEST, TABLE, PICTURE].map(moved));
    let (next, root) = (next.to_path_buf(), root.to_path_buf());
    last.push(Act::new(move || {
        sync(&root).map_err(|e| Error::write(&root, e))?;
        // With its mark, by one rename.
        discard(&next)
    }));
    first.into_iter().chain(model.flatten()).chain(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::files::carry_out;

    #[test]
    fn copies_that_somebody_made_are_no_weights_of_the_run() {
        let shards = ["model-00001-of-00002.safetensors", "pytorch_model-00001-of-00002.bin"];
        for name in NAMES.into_iter().chain(shards) {
            assert!(is_weights(name), "{name}");
        }
        for name in [
            "model-copy.safetensors",
            "model-1-of-2.safetensors",
            "model-step-of-500.safetensors",
            "my.safetensors",
            "pytorch_model-copy.bin",
            "pytorch_model-00001-of-00002.safetensors",
            "model-00001-of-00002.bin",
            "model-00001-of-00002",
            "training_args.bin",
        ] {
            assert!(!is_weights(name), "{name}");
        }
    }

    #[test]
    fn older_weights_of_every_name_occupy_a_directory_and_give_way() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
        fs::create_dir(&from).unwrap();
        fs::write(from.join(WEIGHTS), "new").unwrap();
        fs::write(from.join("config.json"), "{}").unwrap();
        assert!(!has_model(&to).unwrap());
        let shards = ["model-00001-of-00002.safetensors", "pytorch_model-00001-of-00002.bin"];
        for old in NAMES.into_iter().chain(shards) {
            fs::create_dir(&to).unwrap();
            fs::write(to.join("training_args.bin"), "kept").unwrap();
            assert!(!has_model(&to).unwrap());
            fs::write(to.join(old), "old").unwrap();
            assert!(has_model(&to).unwrap(), "{old}");
            carry_out(model(&from, &to)).unwrap();
            assert_eq!(list(&to).unwrap(), ["config.json", WEIGHTS, "training_args.bin"], "{old}");
            assert_eq!(fs::read(to.join(WEIGHTS)).unwrap(), b"new");
            // Once more it is nothing to do.
            assert!(model(&from, &to).is_empty());
            fs::remove_dir_all(&to).unwrap();
        }
        // What cannot be seen is not taken for empty.
        fs::write(&to, "").unwrap();
        assert!(has_model(&to).is_err());
        assert!(carry_out(model(&from, &to)).is_err());
    }

    #[test]
    fn weights_go_in_the_order_that_shows_no_older_ones() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
        [&from, &to].into_iter().for_each(|dir| fs::create_dir(dir).unwrap());
        fs::write(from.join(WEIGHTS), "new").unwrap();
        fs::write(from.join("config.json"), "new").unwrap();
        for name in NAMES {
            fs::write(to.join(name), "old").unwrap();
        }
        for act in model(&from, &to) {
            act.carry_out().unwrap();
            let found = NAMES.iter().find(|name| to.join(name).exists());
            assert!(found.is_none_or(|name| *name == WEIGHTS), "{found:?}");
        }
        assert_eq!(fs::read(to.join(WEIGHTS)).unwrap(), b"new");
    }
}
