//! Checkpoints written in another format, in another dtype, or in another number of files.
//!
//! ```
//! use models::convert::{Options, convert};
//! use tensor::{DType, Tensor, safetensors};
//! # let folder = tempfile::tempdir().unwrap();
//! # let (source, halves) = (folder.path().join("a.safetensors"), folder.path().join("b.safetensors"));
//!
//! safetensors::save(&source, &[("w".into(), Tensor::from([1.0f32, 1e6]))], &[]).unwrap();
//! let report = convert(&source, &halves, &Options { dtype: Some(DType::F16), ..Options::default() }, |_, _, _| ())?;
//! let (name, count) = report.overflow.unwrap(); // f16 ends at 65504
//! assert_eq!((name.as_str(), count, report.bytes), ("w", 1, 4));
//! # Ok::<(), models::Error>(())
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use tensor::{DType, Tensor, safetensors};

use crate::checkpoint::{CONFIG, GENERATION_CONFIG, TOKENIZER, TOKENIZER_CONFIG};
use crate::data::npz;
use crate::weights::{Info, Metadata, NAMES, Reader};
use crate::{Error, Result};

/// The files of a model directory that are taken along as they are.
const BESIDE: [&str; 12] = [
    GENERATION_CONFIG,
    TOKENIZER,
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "chat_template.json",
    "chat_template.jinja",
];

/// How a checkpoint is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What floats become; integers and bools stay. None: all stay. Default: none.
    pub dtype: Option<DType>,
    /// The size in bytes beyond which a directory gets several files of weights, of which one at a time is in memory; a
    /// tensor that is larger gets a file of its own. Default: 5 GB, which the Hugging Face hub and older programs like.
    pub max_shard_bytes: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { dtype: None, max_shard_bytes: 5_000_000_000 }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The files, those of the weights first.
    pub files: Vec<PathBuf>,
    /// The number of tensors.
    pub tensors: usize,
    /// The bytes of their elements.
    pub bytes: u64,
    /// The first tensor with numbers that were finite and became infinite in the dtype, and how many there are in all.
    pub overflow: Option<(String, u64)>,
}

/// Where a checkpoint is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Safetensors,
    Npz,
    Directory,
}

impl Target {
    /// What the name `path` stands for.
    fn of(path: &Path) -> Result<Target> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("safetensors") => Ok(Target::Safetensors),
            Some("npz") => Ok(Target::Npz),
            Some(other @ ("pth" | "pt" | "bin" | "ckpt" | "npy" | "json")) => {
                let what = "files are not written; end the name in .safetensors or .npz, or name a directory";
                Err(Error::in_file(path, format!(".{other} {what}")))
            }
            _ => Ok(Target::Directory),
        }
    }
}

/// Writes the checkpoint `source`, anything that [`find`](crate::weights::find) finds, as `target`: a `.safetensors` or
/// `.npz` file, which is replaced if it is there, or a model directory, which must be new or empty.
///
/// Names stay as they are, and so does the metadata of safetensors files, in which `format` becomes `pt` if it is not
/// there; NPZ files have none. Of a model directory, or the index in one, the directory also gets `config.json`, with the
/// dtype if one is asked for, the files of the tokenizer and `generation_config.json`.
///
/// A file is written under a temporary name and renamed, and so is the directory with all its files, so that whoever looks
/// at `target` finds nothing new or all of it. (A process that is killed leaves `.converting-..` beside it.) `source` is
/// not changed. A file is in memory as a whole, of a directory one file of weights at a time.
///
/// `progress` is told how many tensors of how many are converted, and the name of the next.
///
/// # Errors
/// When `source` cannot be read or has a tensor whose dtype does not exist here; when `target` is `source` or one of its
/// files, a directory with something in it, or of a format that is not written; when NPZ is to hold bf16; and when a file
/// cannot be written.
///
/// # Differs
/// Tensors that share their memory in a PyTorch file are written each; `save_model` of Python's `safetensors` writes one of
/// them. Models that tie them are read from either.
pub fn convert(
    source: &Path,
    target: &Path,
    options: &Options,
    mut progress: impl FnMut(usize, usize, &str),
) -> Result<Report> {
    let kind = Target::of(target)?;
    if !options.dtype.is_none_or(DType::is_floating_point) {
        return Err(Error::invalid("floats can become bf16, f16, f32 or f64"));
    }
    let reader = Reader::open(source)?;
    check_target(source, &reader, target, kind)?;
    let tensors = plan(&reader, options.dtype, kind)?;
    let mut casts = Casts { reader: &reader, dtype: options.dtype, count: tensors.len(), done: 0, overflow: None };
    let mut metadata = reader.metadata().to_vec();
    if !metadata.iter().any(|(key, _)| key == "format") {
        metadata.push(("format".into(), "pt".into()));
    }
    let files = match kind {
        Target::Directory => {
            let shards = split(&tensors, options.max_shard_bytes);
            directory(source, target, options.dtype, |at| {
                write_shards(at, &shards, &metadata, |names| casts.read(names, &mut progress))
            })?
        }
        Target::Safetensors | Target::Npz => {
            let tensors = casts.read(&tensors, &mut progress)?;
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent).map_err(|e| Error::write(target, e))?;
            }
            match kind {
                Target::Npz => npz::save(target, &tensors)?,
                _ => safetensors::save(target, &tensors, &metadata).map_err(|e| Error::write(target, e))?,
            }
            vec![target.to_path_buf()]
        }
    };
    let bytes = tensors.iter().map(|tensor| tensor.bytes).sum();
    Ok(Report { files, tensors: tensors.len(), bytes, overflow: casts.overflow })
}

/// A tensor that is to be written.
struct Planned<'a> {
    name: &'a str,
    numel: u64,
    bytes: u64,
}

/// What is to be written, if all of it can be.
fn plan(reader: &Reader, dtype: Option<DType>, kind: Target) -> Result<Vec<Planned<'_>>> {
    let path = reader.files().path();
    let planned = |info: &'_ Info| {
        let known = info.known_dtype().ok_or_else(|| {
            Error::in_file(path, format!("{:?} is {}, a dtype that is not supported here", info.name, info.dtype))
        })?;
        let becomes = if known.is_floating_point() { dtype.unwrap_or(known) } else { known };
        if kind == Target::Npz && becomes == DType::BF16 {
            let what = format!("NPZ files have no bf16, which {:?} would be; convert to f32 (--dtype f32)", info.name);
            return Err(Error::in_file(path, what));
        }
        Ok(info.numel().saturating_mul(becomes.size_in_bytes() as u64))
    };
    let tensors = reader.tensors().iter();
    tensors.map(|info| Ok(Planned { name: &info.name, numel: info.numel(), bytes: planned(info)? })).collect()
}

/// Reads tensors and casts them.
struct Casts<'a> {
    reader: &'a Reader,
    dtype: Option<DType>,
    count: usize,
    done: usize,
    overflow: Option<(String, u64)>,
}

impl Casts<'_> {
    fn read(
        &mut self,
        tensors: &[Planned],
        progress: &mut impl FnMut(usize, usize, &str),
    ) -> Result<Vec<(String, Tensor)>> {
        let mut read = Vec::with_capacity(tensors.len());
        for &Planned { name, .. } in tensors {
            progress(self.done, self.count, name);
            read.push((name.to_string(), self.cast(name, self.reader.tensor(name)?)));
            self.done += 1;
        }
        Ok(read)
    }

    fn cast(&mut self, name: &str, from: Tensor) -> Tensor {
        let Some(dtype) = self.dtype.filter(|&dtype| from.dtype().is_floating_point() && from.dtype() != dtype) else {
            return from;
        };
        let to = from.to_dtype(dtype);
        let infinite = to.isinf();
        if infinite.any().item::<bool>() {
            let lost = from.isfinite().logical_and(&infinite).to_dtype(DType::I64).sum().item::<i64>();
            if lost > 0 {
                self.overflow.get_or_insert_with(|| (name.to_string(), 0)).1 += lost as u64;
            }
        }
        to
    }
}

/// The tensors of each file, at least one file; as `transformers` fills them, in their order.
fn split<'a>(tensors: &'a [Planned<'a>], max: u64) -> Vec<&'a [Planned<'a>]> {
    let (mut shards, mut begin, mut bytes) = (Vec::new(), 0, 0u64);
    for (at, tensor) in tensors.iter().enumerate() {
        if at > begin && bytes.saturating_add(tensor.bytes) > max {
            shards.push(&tensors[begin..at]);
            (begin, bytes) = (at, 0);
        }
        bytes = bytes.saturating_add(tensor.bytes);
    }
    shards.push(&tensors[begin..]);
    shards
}

/// Writes the files of weights into the directory `at` and gives their names.
fn write_shards<'a>(
    at: &Path,
    shards: &[&'a [Planned<'a>]],
    metadata: &Metadata,
    mut read: impl FnMut(&'a [Planned<'a>]) -> Result<Vec<(String, Tensor)>>,
) -> Result<Vec<String>> {
    let [single, index, ..] = NAMES;
    let (mut names, mut places) = (Vec::new(), serde_json::Map::new());
    for (i, shard) in shards.iter().enumerate() {
        let name = match shards.len() {
            1 => single.to_string(),
            n => format!("model-{:05}-of-{n:05}.safetensors", i + 1),
        };
        let tensors = read(shard)?;
        safetensors::save(at.join(&name), &tensors, metadata).map_err(|e| Error::write(&at.join(&name), e))?;
        places.extend(shard.iter().map(|tensor| (tensor.name.to_string(), Json::from(name.as_str()))));
        names.push(name);
    }
    if shards.len() > 1 {
        let sum = |f: fn(&Planned) -> u64| shards.iter().flat_map(|shard| shard.iter()).map(f).sum::<u64>();
        let sizes = json!({ "total_parameters": sum(|t| t.numel), "total_size": sum(|t| t.bytes) });
        places.sort_keys();
        write(&at.join(index), format!("{:#}\n", json!({ "metadata": sizes, "weight_map": places })).as_bytes())?;
        names.push(index.into());
    }
    Ok(names)
}

/// Makes the directory `target`: `weights` writes its files into a directory beside it and gives their names, the small
/// ones are copied from `source`, and then it is renamed. Gives the files.
fn directory(
    source: &Path,
    target: &Path,
    dtype: Option<DType>,
    weights: impl FnOnce(&Path) -> Result<Vec<String>>,
) -> Result<Vec<PathBuf>> {
    // A link is followed, and stays.
    let place = fs::canonicalize(target).unwrap_or_else(|_| target.to_path_buf());
    let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|e| Error::write(target, e))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".converting-");
    // Temporary directories are private by default; this one becomes an ordinary one, subject to the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let staged = builder.tempdir_in(parent).map_err(|e| Error::write(target, e))?;

    let mut names = copy_small(source, staged.path(), dtype)?;
    let mut files = weights(staged.path())?;
    files.append(&mut names);
    // An empty directory is replaced by the renaming itself, but not everywhere.
    #[cfg(not(unix))]
    let _ = fs::remove_dir(&place);
    fs::rename(staged.path(), &place).map_err(|e| Error::write(target, e))?;
    let _ = staged.keep();
    #[cfg(unix)]
    fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(|e| Error::write(target, e))?;
    Ok(files.into_iter().map(|name| target.join(name)).collect())
}

/// Copies the small files of a model into the directory `to` and gives their names.
fn copy_small(source: &Path, to: &Path, dtype: Option<DType>) -> Result<Vec<String>> {
    let is_index = source.to_str().is_some_and(|path| path.ends_with(".index.json"));
    let from = match source.parent() {
        _ if source.is_dir() => source,
        Some(parent) if is_index => parent,
        _ => return Ok(Vec::new()),
    };
    let mut names = Vec::new();
    for name in std::iter::once(CONFIG).chain(BESIDE) {
        let path = from.join(name);
        let mut bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::read(&path, e)),
        };
        if let Some(dtype) = dtype.filter(|_| name == CONFIG) {
            bytes = with_dtype(&bytes, dtype).map_err(|e| Error::in_file(&path, e))?;
        }
        write(&to.join(name), &bytes)?;
        names.push(name.to_string());
    }
    Ok(names)
}

/// The contents of `config.json` with this dtype: as `dtype`, or in older ones `torch_dtype`, whichever is there.
fn with_dtype(config: &[u8], dtype: DType) -> Result<Vec<u8>> {
    let mut config: Json = serde_json::from_slice(config).map_err(Error::invalid)?;
    let entries = config.as_object_mut().ok_or_else(|| Error::invalid("it should be a JSON object"))?;
    let name = match dtype {
        DType::BF16 => "bfloat16",
        DType::F16 => "float16",
        DType::F64 => "float64",
        _ => "float32",
    };
    for key in ["dtype", "torch_dtype"] {
        if let Some(value) = entries.get_mut(key) {
            *value = name.into();
        }
    }
    if !entries.contains_key("torch_dtype") {
        entries.insert("dtype".into(), name.into());
    }
    Ok(format!("{config:#}\n").into_bytes())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    tensor::io::write_atomic(path, bytes).map_err(|e| Error::write(path, e))
}

/// Refuses to write onto what is read, or into a directory that somebody uses.
fn check_target(source: &Path, reader: &Reader, target: &Path, kind: Target) -> Result<()> {
    let files = reader.files();
    let sources = [source, files.path()].into_iter().chain(files.files.iter().map(PathBuf::as_path));
    let there = match fs::canonicalize(target) {
        Ok(there) => there,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::write(target, e)),
    };
    for path in sources {
        if fs::canonicalize(path).is_ok_and(|path| path == there) {
            return Err(Error::in_file(
                target,
                format!("this is what is read, {}; name another place", path.display()),
            ));
        }
    }
    let is_dir = there.is_dir();
    match kind {
        Target::Directory if !is_dir => {
            Err(Error::in_file(target, "there is a file; name a directory, or end the name in .safetensors or .npz"))
        }
        Target::Directory => {
            let mut entries = fs::read_dir(&there).map_err(|e| Error::read(target, e))?;
            match entries.next() {
                None => Ok(()),
                Some(_) => Err(Error::in_file(target, "the directory is not empty; name a new one")),
            }
        }
        _ if is_dir => Err(Error::in_file(target, "there is a directory of this name; a file would be written")),
        _ => Ok(()),
    }
}
