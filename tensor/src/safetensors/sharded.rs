//! Checkpoints in several files, for those who cannot or will not have a file beyond a size.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::broken;
use super::index::{Index, is_plain, to_json};
use super::write::{Plan, check_names, size};
use crate::io::{Staged, sync_directory, write_atomic};
use crate::{Error, Result, Tensor};

/// The size beyond which `save_pretrained` of Python's `transformers` 5 begins another file; version 4 did at 5 GB.
pub const MAX_SHARD_BYTES: u64 = 50_000_000_000;

/// Writes a checkpoint into the directory `dir`, which is made if it is not there, in the Hugging Face layout: as
/// `STEM.safetensors` if its tensors have at most `max_shard_bytes` together, and otherwise as shards
/// `STEM-00001-of-0000N.safetensors` with the index `STEM.safetensors.index.json`. Returns the files that it now
/// consists of, the index last.
///
/// Tensors go to the shards in the order in which they are given, and a new shard begins when one more would make it too
/// large; a tensor that is too large by itself gets a shard of its own. Each file has all of the metadata. The former
/// checkpoint of this stem is replaced, its files that are not needed any more are removed, others are left alone.
///
/// A process that is killed at any moment leaves the former checkpoint or the new one, whole, for whoever opens the
/// directory as [`Reader::open`](super::Reader::open) and `transformers` do (the single file if there is one, else the
/// index), and perhaps files that the next call removes, or temporary ones (`.tmp-*`) that it does not know. For that:
/// 1. All new files are written to the disk under temporary names, which takes the time. Until here nothing has changed.
/// 2. Where a shard of the former checkpoint has the name of a new one, it gets a second name (`STEM-previous-..`), and
///    the former index one renaming later names that.
/// 3. The shards get their names, and then the index: the moment at which the new checkpoint replaces the former one,
///    unless that is a single file. It counts until it is removed, and a new single file from its renaming on.
/// 4. What is left of the former checkpoint is removed.
///
/// A program that opens the checkpoint while it is replaced may find the index of one and a shard of the other. If that
/// can happen, or other files have to change together with the weights, give each checkpoint a directory of its own.
///
/// # Errors
/// As [`to_bytes`](super::to_bytes), if `stem` is not a plain file name, or if a file cannot be written; then the former
/// checkpoint is still there.
///
/// ```
/// use tensor::{DType, Tensor, safetensors};
/// # let folder = tempfile::tempdir().unwrap();
/// # let dir = folder.path();
/// let tensors: Vec<_> = (0..3).map(|i| (format!("w{i}"), Tensor::zeros([100], DType::F32))).collect();
/// let files = safetensors::save_sharded(dir, "model", &tensors, &[], 1000)?;
/// let names: Vec<_> = files.iter().map(|path| path.file_name().unwrap()).collect();
/// let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
/// assert_eq!(names, [shards[0], shards[1], "model.safetensors.index.json"]);
///
/// let reader = safetensors::Reader::open(dir)?;
/// assert_eq!(reader.names().collect::<Vec<_>>(), ["w0", "w1", "w2"]);
/// # Ok::<(), tensor::Error>(())
/// ```
pub fn save_sharded(
    dir: impl AsRef<Path>,
    stem: &str,
    tensors: &[(String, Tensor)],
    metadata: &[(String, String)],
    max_shard_bytes: u64,
) -> Result<Vec<PathBuf>> {
    let dir = dir.as_ref();
    let new = New::stage(dir, stem, tensors, metadata, max_shard_bytes)?;
    let files = new.files();
    new.steps(dir, stem)?.into_iter().try_for_each(|step| step())?;
    Ok(files)
}

/// A new checkpoint under temporary names.
pub(super) struct New {
    /// Their names, and the files.
    shards: Vec<(String, Staged)>,
    index: Option<Staged>,
    single: PathBuf,
    index_path: PathBuf,
}

/// One change of the directory. What is there is a whole checkpoint before it and after it.
pub(super) type Step<'a> = Box<dyn FnOnce() -> Result<()> + 'a>;

impl New {
    pub(super) fn stage(
        dir: &Path,
        stem: &str,
        tensors: &[(String, Tensor)],
        metadata: &[(String, String)],
        max_shard_bytes: u64,
    ) -> Result<New> {
        if !is_plain(stem) {
            return Err(Error::value("save_sharded", format!("{stem:?} is not a plain file name to begin names with")));
        }
        check_names(tensors, metadata)?;
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, &e))?;
        let single = dir.join(format!("{stem}.safetensors"));
        let index_path = dir.join(format!("{stem}.safetensors.index.json"));
        let groups = split(tensors, max_shard_bytes);
        let name = |shard: usize| match groups.len() {
            1 => format!("{stem}.safetensors"),
            count => format!("{stem}-{:05}-of-{count:05}.safetensors", shard + 1),
        };
        let mut shards = Vec::new();
        let mut weight_map = BTreeMap::new();
        let names: Vec<String> = (0..groups.len()).map(name).collect();
        for (name, group) in names.iter().zip(&groups) {
            let plan = Plan::new(group, metadata)?;
            shards.push((name.clone(), Staged::write(&dir.join(name), |file| plan.write(file))?));
            weight_map.extend(group.iter().map(|&(tensor, _)| (tensor, name.as_str())));
        }
        let index = match groups.len() {
            1 => None,
            _ => {
                let total = |count: fn(&Tensor) -> usize| tensors.iter().map(|(_, t)| count(t) as u64).sum();
                let json = to_json(&weight_map, total(Tensor::numel), total(size))?;
                Some(Staged::write(&index_path, |file| file.write_all(json.as_bytes()))?)
            }
        };
        Ok(New { shards, index, single, index_path })
    }

    fn files(&self) -> Vec<PathBuf> {
        let dir = self.single.parent().unwrap_or(Path::new(""));
        let shards = self.shards.iter().map(|(name, _)| dir.join(name));
        shards.chain(self.index.is_some().then(|| self.index_path.clone())).collect()
    }

    /// What has to be done, in this order, to put the checkpoint in the place of the former one.
    pub(super) fn steps<'a>(self, dir: &'a Path, stem: &'a str) -> Result<Vec<Step<'a>>> {
        let New { shards, index, single, index_path } = self;
        let names: Vec<String> = shards.iter().map(|(name, _)| name.clone()).collect();
        let mut steps: Vec<Step> = Vec::new();
        let sharded = index.is_some();
        // While there is a single file nobody looks at an index.
        if sharded && !single.is_file() {
            keep_reachable(dir, stem, &index_path, &names, &mut steps)?;
        }
        for (_, shard) in shards {
            steps.push(Box::new(move || shard.commit()));
        }
        // Before an index names the shards, or the former files go, the names must be on the disk.
        steps.push(Box::new(move || sync_directory(dir)));
        if let Some(index) = index {
            steps.push(Box::new(move || index.commit()));
            steps.push(Box::new(move || sync_directory(dir)));
        }
        // Which of the two is old: the single file counts as long as it is there, so the index may go at any time after.
        let former = if sharded { single } else { index_path };
        steps.push(Box::new(move || remove(&former)));
        steps.push(Box::new(move || sync_directory(dir)));
        steps.push(Box::new(move || remove_shards(dir, stem, &names)));
        Ok(steps)
    }
}

/// The steps after which the former index names no file that is called like one of the `new` shards.
fn keep_reachable<'a>(
    dir: &'a Path,
    stem: &str,
    index_path: &Path,
    new: &[String],
    steps: &mut Vec<Step<'a>>,
) -> Result<()> {
    // An index that cannot be read leads to nothing that could be lost.
    let Ok(index) = Index::read(index_path) else { return Ok(()) };
    let files = index.files();
    let mut second = BTreeMap::new();
    for &file in files.iter().filter(|file| new.iter().any(|name| name == *file)) {
        let rest = file.strip_prefix(stem).unwrap_or(file);
        let mut name = format!("{stem}-previous{rest}");
        while files.contains(&name.as_str()) {
            name.insert_str(stem.len(), "-previous");
        }
        let (from, to) = (dir.join(file), dir.join(&name));
        second.insert(file.to_string(), name);
        steps.push(Box::new(move || {
            remove(&to)?;
            match std::fs::hard_link(&from, &to) {
                Ok(()) => Ok(()),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
                // Not every file system can give a file two names.
                Err(_) => copy(&from, &to),
            }
        }));
    }
    if second.is_empty() {
        return Ok(());
    }
    let text = crate::io::read(index_path)?;
    let mut json: serde_json::Value = serde_json::from_slice(&text).map_err(broken)?;
    for file in json["weight_map"].as_object_mut().into_iter().flat_map(|map| map.values_mut()) {
        if let Some(name) = file.as_str().and_then(|file| second.get(file)) {
            *file = name.as_str().into();
        }
    }
    let index_path = index_path.to_path_buf();
    steps.push(Box::new(move || sync_directory(dir)));
    steps.push(Box::new(move || write_atomic(&index_path, json.to_string().as_bytes())));
    Ok(())
}

/// The tensors of each shard; at least one shard.
fn split(tensors: &[(String, Tensor)], max_shard_bytes: u64) -> Vec<Vec<(&str, &Tensor)>> {
    let mut shards = Vec::new();
    let (mut current, mut bytes) = (Vec::new(), 0);
    for (name, tensor) in tensors {
        let more = size(tensor) as u64;
        if more > max_shard_bytes {
            shards.push(vec![(name.as_str(), tensor)]);
            continue;
        }
        if bytes + more > max_shard_bytes {
            shards.push(std::mem::take(&mut current));
            bytes = 0;
        }
        current.push((name.as_str(), tensor));
        bytes += more;
    }
    if !current.is_empty() || shards.is_empty() {
        shards.push(current);
    }
    shards
}

/// Copies a file so that under the name `to` there is nothing or all of it, on the disk: the index will soon name it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut file = std::fs::File::open(from).map_err(|e| Error::io(from, &e))?;
    Staged::write(to, |out| std::io::copy(&mut file, out).map(|_| ()))?.commit()
}

/// Removes the file at `path` if there is one.
fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, &e)),
        _ => Ok(()),
    }
}

/// Removes the shards of former checkpoints: all files that are called like one and are not in `keep`.
fn remove_shards(dir: &Path, stem: &str, keep: &[String]) -> Result<()> {
    for entry in std::fs::read_dir(dir).map_err(|e| Error::io(dir, &e))? {
        let name = entry.map_err(|e| Error::io(dir, &e))?.file_name();
        let Some(name) = name.to_str() else { continue };
        if is_shard(name, stem) && !keep.iter().any(|kept| kept == name) {
            remove(&dir.join(name))?;
        }
    }
    sync_directory(dir)
}

/// Whether `name` is `STEM-00001-of-00002.safetensors`, or that with `-previous` after the stem.
fn is_shard(name: &str, stem: &str) -> bool {
    let number = |digits: &str| digits.len() >= 5 && digits.bytes().all(|b| b.is_ascii_digit());
    let parse = || {
        let mut rest = name.strip_prefix(stem)?.strip_suffix(".safetensors")?;
        while let Some(less) = rest.strip_prefix("-previous") {
            rest = less;
        }
        let (shard, count) = rest.strip_prefix('-')?.split_once("-of-")?;
        (number(shard) && number(count)).then_some(())
    };
    parse().is_some()
}
