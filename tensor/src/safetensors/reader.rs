//! Checkpoints opened without reading them: what they hold is listed, and tensors are read one by one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::header::{Header, TensorInfo, unreadable};
use super::index::{INDEX, Index, SINGLE};
use super::source::{OpenFile, Source};
use super::write::reverse_each;
use super::{File, broken};
use crate::mapping::Mapping;
use crate::storage::Storage;
use crate::{Error, ErrorKind, Result, Tensor};

/// An open checkpoint, of one file or of several: lists what is there and reads the tensors that are asked for.
///
/// Opening reads and checks the header alone, so it takes no longer for a large file than for a small one, and no more
/// memory than the header has bytes. Several threads may read from one `Reader` at the same time.
///
/// ```
/// use tensor::{DType, Tensor, safetensors};
/// # let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("model.safetensors");
/// let tensors = [("w".into(), Tensor::ones([2, 3], DType::F32)), ("b".into(), Tensor::zeros([2], DType::F32))];
/// safetensors::save(&path, &tensors, &[("format".into(), "pt".into())])?;
///
/// let reader = safetensors::Reader::open(&path)?;
/// for info in reader.tensors() {
///     println!("{} {} {:?} {} bytes", info.name(), info.dtype_name(), info.shape(), info.bytes());
/// }
/// assert_eq!(reader.tensor("w")?.dims(), [2, 3]);
/// assert_eq!(reader.metadata(), [("format".into(), "pt".into())]);
/// # Ok::<(), tensor::Error>(())
/// ```
pub struct Reader {
    parts: Vec<Part>,
    tensors: Vec<TensorInfo>,
    metadata: Vec<(String, String)>,
}

/// One open file.
struct Part {
    file: OpenFile,
    mapping: Option<Arc<Mapping>>,
}

impl Reader {
    /// Opens a checkpoint to read its tensors from the disk.
    ///
    /// `path` is a `.safetensors` file; or the `.json` index of a checkpoint in several files (shards), which lie beside
    /// it; or a directory, in which `model.safetensors` is opened if it is there, or else
    /// `model.safetensors.index.json`, as `transformers` does.
    ///
    /// Whatever happens to a file while it is open, reading gives tensors or errors. (When it is overwritten in place, by
    /// a program that does not replace it by a rename, a tensor may be half old and half new.)
    ///
    /// # Errors
    /// If a file cannot be read or its header is not valid: claims more than the file has, leaves gaps, lets tensors
    /// overlap, names one twice. For an index also if it names a file outside its directory, a shard that is not there,
    /// or a tensor that its shard lacks or that is in two shards.
    pub fn open(path: impl AsRef<Path>) -> Result<Reader> {
        Reader::open_as(path.as_ref(), false)
    }

    /// Opens a checkpoint as [`open`](Reader::open) does, and maps its files into memory: [`tensor`](Reader::tensor)
    /// then costs nothing until the elements are looked at, and memory that the system can take back at any time.
    ///
    /// **For files that you trust to stay as they are**, until the last tensor of them is dropped: no operating system
    /// can promise that of a mapped file. One that is replaced by a rename or deleted stays as it was for those who have
    /// mapped it; everything here, and Python's `safetensors`, writes in that way. But when another program
    /// overwrites it in place, tensors may change while they are used; when it is cut short, or lies on a disk or a
    /// network that goes away, the system ends this process (SIGBUS) at the next look at what is gone.
    ///
    /// A mapped tensor is a value like any other: a write copies it into memory first, and the file does not change.
    /// Copied when they are read, as by [`open`](Reader::open): tensors that are not aligned to their element's size
    /// in the file (older writers do that), those of bools, which are checked, those of i64, which serve as indices and
    /// must not change under the checks, and all of them where the CPU has another byte order.
    /// [`memory::stats`](crate::memory::stats) does not count mapped bytes.
    ///
    /// # Errors
    /// As [`open`](Reader::open), and if the system cannot map files.
    ///
    /// ```
    /// use tensor::{Tensor, safetensors};
    /// # let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("model.safetensors");
    /// safetensors::save(&path, &[("w".into(), Tensor::from([1.0f32, 2.0]))], &[])?;
    ///
    /// let mut w = safetensors::Reader::open_mapped(&path)?.tensor("w")?;
    /// w.mul_scalar_(10.0);
    /// assert_eq!(w.to_vec::<f32>(), [10.0, 20.0]);
    /// assert_eq!(safetensors::load(&path)?.tensors[0].1.to_vec::<f32>(), [1.0, 2.0]);
    /// # Ok::<(), tensor::Error>(())
    /// ```
    pub fn open_mapped(path: impl AsRef<Path>) -> Result<Reader> {
        Reader::open_as(path.as_ref(), true)
    }

    fn open_as(path: &Path, mapped: bool) -> Result<Reader> {
        let path = if path.is_dir() { checkpoint_in(path)? } else { path.to_path_buf() };
        if path.extension().is_some_and(|extension| extension == "json") {
            return Reader::open_sharded(&path, mapped);
        }
        let (part, header) = Part::open(&path, mapped)?;
        Ok(Reader { parts: vec![part], tensors: header.tensors, metadata: header.metadata })
    }

    fn open_sharded(path: &Path, mapped: bool) -> Result<Reader> {
        let mut index = Index::read(path)?;
        let metadata = std::mem::take(&mut index.metadata);
        let directory = path.parent().unwrap_or(Path::new(""));
        let files = index.files();
        let mut reader = Reader { parts: Vec::new(), tensors: Vec::new(), metadata };
        for (at, file) in files.iter().enumerate() {
            let shard = directory.join(file);
            if !shard.exists() {
                let what = format!("is not there, and {} names it", path.display());
                return Err(Error::new(ErrorKind::Io, format!("{}: {what}", shard.display())));
            }
            let (part, header) = Part::open(&shard, mapped)?;
            reader.parts.push(part);
            let before = reader.tensors.len();
            reader.tensors.extend(header.tensors);
            reader.tensors[before..].iter_mut().for_each(|info| info.file = at);
            reader.metadata.extend(header.metadata);
        }
        reader.tensors.sort_by(|a, b| a.name().cmp(b.name()));
        if let Some(pair) = reader.tensors.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
            let (a, b) = (&pair[0], &pair[1]);
            let what = format!("{:?} is in both {} and {}", a.name(), files[a.file], files[b.file]);
            return Err(in_file(path, broken(what)));
        }
        for (name, file) in &index.weight_map {
            let found = reader.info(name).map(|info| files[info.file]);
            if found != Some(file.as_str()) {
                let instead = found.map_or("nowhere".to_string(), |other| format!("in {other}"));
                return Err(in_file(path, broken(format!("{name:?} should be in {file} and is {instead}"))));
            }
        }
        // Stable: where files differ, what the index says counts, then the first file.
        reader.metadata.sort_by(|a, b| a.0.cmp(&b.0));
        reader.metadata.dedup_by(|later, first| later.0 == first.0);
        Ok(reader)
    }

    /// What is known of the tensors without reading them, sorted by name.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The names of the tensors, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.iter().map(TensorInfo::name)
    }

    /// What is known of the tensor called `name`, if there is one.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.binary_search_by(|info| info.name().cmp(name)).ok().map(|at| &self.tensors[at])
    }

    /// The free text, sorted by key. Of several files: all that theirs and the index have together; where they differ, the
    /// index counts, then the first file. (What an index says of sizes, in numbers, is not part of it.)
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// The files with the tensors, in the order of their names.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.parts.iter().map(|part| part.file.path())
    }

    /// The file in which the tensor of `info`, from this reader, lies.
    pub fn file_of(&self, info: &TensorInfo) -> &Path {
        self.parts[info.file].file.path()
    }

    /// How many bytes the elements of all tensors take.
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(TensorInfo::bytes).sum()
    }

    /// The tensor called `name`, read straight into its own memory, or seen in the mapped file.
    ///
    /// # Errors
    /// If there is none of that name, its dtype does not exist here, a bool is neither 0 nor 1, or the file cannot be
    /// read.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let info = self.info(name).ok_or_else(|| {
            let what = format!("there is no tensor {name:?} among the {}", self.tensors.len());
            in_file(self.parts.first().map_or(Path::new(""), |part| part.file.path()), broken(what))
        })?;
        self.read(info)
    }

    /// All tensors, sorted by name, and the metadata.
    ///
    /// # Errors
    /// As [`tensor`](Reader::tensor).
    pub fn read_all(&self) -> Result<File> {
        let read = |info: &TensorInfo| Ok((info.name().to_string(), self.read(info)?));
        Ok(File { tensors: self.tensors.iter().map(read).collect::<Result<_>>()?, metadata: self.metadata.clone() })
    }

    fn read(&self, info: &TensorInfo) -> Result<Tensor> {
        let part = &self.parts[info.file];
        part.mapped(info).map_or_else(|| read_tensor(&part.file, info), Ok).map_err(|e| in_file(part.file.path(), e))
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let files: Vec<&Path> = self.files().collect();
        f.debug_struct("Reader").field("files", &files).field("tensors", &self.tensors.len()).finish_non_exhaustive()
    }
}

impl Part {
    fn open(path: &Path, mapped: bool) -> Result<(Part, Header)> {
        let file = OpenFile::open(path)?;
        let header = Header::read(&file).map_err(|e| in_file(path, e))?;
        let mapping = mapped.then(|| file.map()).transpose()?.map(Arc::new);
        Ok((Part { file, mapping }, header))
    }

    /// The tensor where it lies in the mapped file, if it can be used there.
    fn mapped(&self, info: &TensorInfo) -> Option<Tensor> {
        let offset = usize::try_from(info.offset).ok()?;
        let len = info.shape().checked_numel().ok().filter(|&len| len > 0)?;
        let storage = Storage::mapped(self.mapping.as_ref()?, offset, info.dtype()?, len)?;
        Some(Tensor::from_storage(storage, info.shape()))
    }
}

/// Reads one tensor of a file whose header was checked.
pub(super) fn read_tensor(source: &(impl Source + ?Sized), info: &TensorInfo) -> Result<Tensor> {
    let dtype = info.dtype().ok_or_else(|| unreadable(info))?;
    let too_many = |_| broken(format!("{:?} is {:?}: too many elements for this machine", info.name(), info.shape()));
    let numel = info.shape().checked_numel().map_err(too_many)?;
    let storage = Storage::from_bytes(dtype, numel, |bytes| {
        source.read_at(bytes, info.offset)?;
        if cfg!(target_endian = "big") {
            reverse_each(bytes, dtype.size_in_bytes());
        }
        Ok(())
    })?;
    let not_bool = || broken(format!("{:?} is BOOL, and a byte of it is neither 0 nor 1", info.name()));
    Ok(Tensor::from_storage(storage.ok_or_else(not_bool)?, info.shape()))
}

/// The file to open in a directory.
fn checkpoint_in(directory: &Path) -> Result<PathBuf> {
    let found = [SINGLE, INDEX].map(|name| directory.join(name)).into_iter().find(|path| path.is_file());
    found.ok_or_else(|| {
        let what = format!("there is neither {SINGLE} nor {INDEX} in this directory");
        Error::io(directory, &std::io::Error::new(std::io::ErrorKind::NotFound, what))
    })
}

/// The error with the file that it concerns; the system's refusals name it already.
pub(super) fn in_file(path: &Path, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Io => error,
        kind => Error::new(kind, format!("{}: {error}", path.display())),
    }
}
