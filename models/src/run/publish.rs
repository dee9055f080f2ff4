//! Putting a model where readers look for it, so that they find a whole one or an error.

use std::fs;
use std::path::Path;

use super::files::{Act, discard, move_over, names, remove, replace, same, sync};
use super::snapshot::{ADAPTERS, BASE, CHECKSUMS, MASTERS, OPTIMIZER, STATE};
use super::{BEST, CHECKPOINTS, EVENTS, PICTURE, TABLE};
use crate::Error;
use crate::checkpoint::WEIGHTS;
use crate::train::Position;

/// The list of the files that hold the weights, where there are several.
const INDEX: &str = "model.safetensors.index.json";

/// Whether `dir` has a model.
pub(super) fn has_model(dir: &Path) -> bool {
    [WEIGHTS, INDEX].iter().any(|name| dir.join(name).exists())
}

/// Whether this is a file of weights, alone or one of several, or their list; not a copy that somebody made beside them.
fn is_weights(name: &str) -> bool {
    let shard = || {
        let (number, of) = name.strip_prefix("model-")?.strip_suffix(".safetensors")?.split_once("-of-")?;
        Some([number, of].iter().all(|part| part.len() >= 5 && part.bytes().all(|b| b.is_ascii_digit())))
    };
    name == WEIGHTS || name == INDEX || shard().unwrap_or(false)
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
    const OF_THE_RUN: [&str; 6] = [STATE, OPTIMIZER, MASTERS, BASE, ADAPTERS, CHECKSUMS];
    let (weights, small): (Vec<String>, Vec<String>) =
        names(from).into_iter().filter(|name| !OF_THE_RUN.contains(&name.as_str())).partition(|name| is_weights(name));
    let differs = |name: &String| !same(&from.join(name), &to.join(name));
    let stale: Vec<String> = names(to).into_iter().filter(|name| is_weights(name) && !weights.contains(name)).collect();
    let small: Vec<String> = small.into_iter().filter(differs).collect();
    let one = weights == [WEIGHTS] && stale.is_empty() && small.is_empty();
    let changed: Vec<String> = weights.into_iter().filter(differs).collect();
    if small.is_empty() && changed.is_empty() && stale.is_empty() {
        return Vec::new();
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
        return vec![put(WEIGHTS.into(), true)];
    }
    // Readers begin with one of these two.
    let is_entry = |name: &String| name == INDEX || name == WEIGHTS;
    let entries: Vec<String> = names(&from).into_iter().filter(is_entry).collect();
    let mut acts = vec![{
        let to = to.clone();
        Act::new(move || fs::create_dir_all(&to).map_err(|e| Error::write(&to, e)))
    }];
    acts.extend([INDEX, WEIGHTS].map(|name| gone(name.into())));
    acts.extend(stale.into_iter().map(gone));
    acts.extend(small.into_iter().map(|name| put(name, false)));
    acts.extend(changed.into_iter().filter(|name| !is_entry(name)).map(|name| put(name, true)));
    acts.extend(entries.into_iter().map(|name| put(name, true)));
    acts
}

/// The acts that move a finished run from `next` to `root`, in the place of an older model. They may be begun again at
/// any point: what was moved is no longer in `next`.
pub(super) fn promote(next: &Path, root: &Path) -> impl Iterator<Item = Act<'static>> + use<> {
    let moved = |name: &str| {
        let (from, to) = (next.join(name), root.join(name));
        Act::new(move || if from.exists() { move_over(&from, &to) } else { Ok(()) })
    };
    let mut first = Vec::new();
    if next.join(CHECKPOINTS).exists() {
        // Nothing was moved yet: these are the older run's.
        for name in names(root).into_iter().filter(|name| name.starts_with(EVENTS)) {
            let path = root.join(name);
            first.push(Act::new(move || remove(&path)));
        }
    }
    first.push(moved(CHECKPOINTS));
    // The newest checkpoint, which is in its place by then, holds the model that goes to the top.
    let model = {
        let root = root.to_path_buf();
        std::iter::once_with(move || {
            let newest = super::steps(&root).pop();
            newest.map(|(_, name)| model(&root.join(CHECKPOINTS).join(name), &root)).unwrap_or_default()
        })
    };
    let events = names(next).into_iter().filter(|name| name.starts_with(EVENTS));
    let mut last: Vec<Act> = events.map(|name| moved(&name)).collect();
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

    #[test]
    fn copies_that_somebody_made_are_no_weights_of_the_run() {
        for name in [WEIGHTS, INDEX, "model-00001-of-00002.safetensors"] {
            assert!(is_weights(name), "{name}");
        }
        for name in
            ["model-copy.safetensors", "model-1-of-2.safetensors", "model-step-of-500.safetensors", "my.safetensors"]
        {
            assert!(!is_weights(name), "{name}");
        }
    }
}
