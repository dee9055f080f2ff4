//! The archive of a checkpoint: where its pickle and the memory of its tensors are.

use std::collections::HashMap;
use std::sync::Arc;

use tensor::{DType, Tensor, bf16, f16};

use super::super::bytes::{decode, limit};
use super::super::zip::{Archive, Source};
use super::Value;
use super::objects::refused;
use super::torch::TensorInfo;
use super::unpickle::unpickle;
use crate::{Error, Result};

/// A pickle says where tensors are, not what they hold: real ones are much smaller.
const PICKLE: usize = 1 << 26;

/// An open checkpoint.
pub(super) struct Checkpoint<S> {
    archive: Archive<S>,
    /// What the names of all entries begin with.
    root: String,
    big_endian: bool,
}

impl<S: Source> Checkpoint<S> {
    /// # Errors
    /// When there is no archive as `torch.save` writes it.
    pub fn open(source: S) -> Result<Checkpoint<S>> {
        old_format(&source)?;
        let no_checkpoint = |e| Error::invalid(format!("no PyTorch checkpoint: {e}"));
        let archive = Archive::open(source).map_err(no_checkpoint)?;
        let root = archive.first().split_once('/').map_or(String::new(), |(root, _)| format!("{root}/"));
        let mut file = Checkpoint { archive, root, big_endian: false };
        if file.archive.claimed(&file.name("constants.pkl")).is_some() {
            return Err(Error::invalid("a TorchScript model; save the state_dict() of the module with torch.save"));
        }
        if let Some(order) = file.archive.contents(&file.name("byteorder"), 64) {
            file.big_endian = match &*order? {
                b"little" => false,
                b"big" => true,
                _ => return Err(refused("its byte order is neither little nor big")),
            };
        }
        Ok(file)
    }

    fn name(&self, entry: &str) -> String {
        format!("{}{entry}", self.root)
    }

    /// What the pickle says.
    pub fn outline(&self) -> Result<Value<TensorInfo>> {
        let pickle = self.archive.contents(&self.name("data.pkl"), PICKLE);
        let pickle = pickle.ok_or_else(|| Error::invalid("no PyTorch checkpoint: the archive has no data.pkl"))??;
        let (objects, top) = unpickle(&pickle)?;
        objects.value(top)?.try_map(&mut |info| self.check(info))
    }

    /// `info`, if the memory that it wants is there, and no more of it.
    fn check(&self, info: TensorInfo) -> Result<TensorInfo> {
        let name = self.name(&format!("data/{}", info.storage));
        let has = self.archive.claimed(&name).ok_or_else(|| refused(format!("it has no entry {name:?}")))?;
        let wants = info.storage_len.checked_mul(info.elements.size as u64);
        match wants == Some(has) {
            true => Ok(info),
            false => {
                let (len, dtype) = (info.storage_len, info.dtype_name());
                Err(refused(format!("{name} has {has} bytes, which are not {len} elements of {dtype}")))
            }
        }
    }

    /// The same with the tensors.
    pub fn read(&self, outline: Value<TensorInfo>) -> Result<Value> {
        let mut storages = self.storages(true);
        outline.try_map(&mut |info| storages.tensor(self, &info))
    }

    /// For the reading of tensors: all storages are kept, so that those that share memory in the file share it here, or only
    /// the last one.
    pub fn storages(&self, keep: bool) -> Storages {
        let plausible = limit(usize::try_from(self.archive.size()).unwrap_or(usize::MAX));
        Storages { keep, read: HashMap::new(), packed: plausible, elements: plausible }
    }
}

/// Refuses what older versions wrote, and says what to do.
fn old_format(source: &impl Source) -> Result<()> {
    let head = source.at(0, 512)?;
    // A pickle of the number that such files begin with, or a tar archive.
    let pickle = head.starts_with(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
    let tar = head.get(257..).is_some_and(|rest| rest.starts_with(b"ustar"));
    match pickle || tar {
        true => Err(Error::invalid(
            "a checkpoint in the format of PyTorch before 1.6; load it in Python and save it again with torch.save",
        )),
        false => Ok(()),
    }
}

/// The memory of the tensors of one file that were read.
pub(super) struct Storages {
    keep: bool,
    read: HashMap<(Arc<str>, DType), Tensor>,
    /// How many more bytes of storages are plausible.
    packed: usize,
    /// How many more bytes of elements are plausible, those that views repeat counted each time.
    elements: usize,
}

impl Storages {
    /// The tensor of `info`, of `file`.
    pub fn tensor(&mut self, file: &Checkpoint<impl Source>, info: &TensorInfo) -> Result<Tensor> {
        let Some(dtype) = info.dtype() else {
            return Err(Error::invalid(format!("a tensor of dtype torch.{} has no dtype here", info.dtype_name())));
        };
        let left = self.elements.checked_sub(info.bytes());
        self.elements = left.ok_or_else(|| {
            let shape = info.shape();
            Error::invalid(format!("a tensor of shape {shape:?} repeats its elements more often than is plausible"))
        })?;
        let key = (info.storage.clone(), dtype);
        if !self.read.contains_key(&key) {
            if !self.keep {
                self.read.clear();
            }
            let storage = self.storage(file, info, dtype)?;
            self.read.insert(key.clone(), storage);
        }
        let storage = &self.read[&key];
        storage.try_as_strided(info.shape(), &info.strides, info.offset).map_err(Error::invalid)
    }

    fn storage(&mut self, file: &Checkpoint<impl Source>, info: &TensorInfo, dtype: DType) -> Result<Tensor> {
        let name = file.name(&format!("data/{}", info.storage));
        let bytes = file.archive.contents(&name, self.packed);
        let bytes = bytes.ok_or_else(|| refused(format!("it has no entry {name:?}")))??;
        // No more than was left, as `contents` has seen. Many entries may share packed bytes that unpack to nearly none.
        self.packed = self.packed.saturating_sub(file.archive.cost(&name));
        let shape = [usize::try_from(info.storage_len).unwrap_or(usize::MAX)];
        /// Reads numbers of one type in the order of the file.
        macro_rules! numbers {
            ($t:ty) => {
                match file.big_endian {
                    false => decode(&shape, &bytes, <$t>::from_le_bytes),
                    true => decode(&shape, &bytes, <$t>::from_be_bytes),
                }
            };
        }
        let storage = match dtype {
            DType::F32 => numbers!(f32),
            DType::F64 => numbers!(f64),
            DType::F16 => numbers!(f16),
            DType::BF16 => numbers!(bf16),
            DType::I64 => numbers!(i64),
            DType::I32 => numbers!(i32),
            DType::U8 => decode(&shape, &bytes, |[byte]: [u8; 1]| byte),
            // PyTorch takes any byte but 0 for true.
            DType::Bool => decode(&shape, &bytes, |[byte]: [u8; 1]| byte != 0),
            other => return Err(Error::invalid(format!("tensors of {other} are not read from checkpoints"))),
        };
        storage.map_err(|e| Error::invalid(format!("{name}: {e}")))
    }
}
