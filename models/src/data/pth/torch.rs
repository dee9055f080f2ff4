//! What a pickle of PyTorch may name, and what a tensor's description in it means.

use std::sync::Arc;

use tensor::{DType, Shape};

use super::objects::{Id, Object, Objects, refused};
use crate::{Error, Result};

/// The elements of a storage: PyTorch's name of the dtype, that of its storage class (if it has one), the bytes of an
/// element, and the dtype here (if there is one).
#[derive(Debug)]
pub(super) struct Elements {
    pub name: &'static str,
    storage: &'static str,
    pub size: usize,
    pub dtype: Option<DType>,
}

const fn elements(name: &'static str, storage: &'static str, size: usize, dtype: Option<DType>) -> Elements {
    Elements { name, storage, size, dtype }
}

static ELEMENTS: [Elements; 20] = [
    elements("float32", "FloatStorage", 4, Some(DType::F32)),
    elements("float64", "DoubleStorage", 8, Some(DType::F64)),
    elements("float16", "HalfStorage", 2, Some(DType::F16)),
    elements("bfloat16", "BFloat16Storage", 2, Some(DType::BF16)),
    elements("int64", "LongStorage", 8, Some(DType::I64)),
    elements("int32", "IntStorage", 4, Some(DType::I32)),
    elements("int16", "ShortStorage", 2, None),
    elements("int8", "CharStorage", 1, None),
    elements("uint8", "ByteStorage", 1, Some(DType::U8)),
    elements("bool", "BoolStorage", 1, Some(DType::Bool)),
    elements("complex64", "ComplexFloatStorage", 8, None),
    elements("complex128", "ComplexDoubleStorage", 16, None),
    elements("complex32", "", 4, None),
    elements("uint16", "", 2, None),
    elements("uint32", "", 4, None),
    elements("uint64", "", 8, None),
    elements("float8_e4m3fn", "", 1, None),
    elements("float8_e4m3fnuz", "", 1, None),
    elements("float8_e5m2", "", 1, None),
    elements("float8_e5m2fnuz", "", 1, None),
];

/// What a pickle may name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Global {
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: from a storage with a dtype.
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`: from bytes and a dtype.
    RebuildTensorOfDtype,
    /// `torch._utils._rebuild_parameter` and the one with attributes.
    RebuildParameter,
    /// `torch._tensor._rebuild_from_type_v2`: a tensor with attributes.
    RebuildFromType,
    /// `torch.Tensor` or `torch.nn.Parameter`, for the above.
    Type,
    Size,
    Device,
    Dtype(&'static Elements),
    /// A storage class; of bytes if it has no dtype.
    Storage(Option<&'static Elements>),
}

impl Global {
    /// What `module.name` stands for.
    ///
    /// # Errors
    /// Unless it is harmless and known.
    pub fn find(module: &str, name: &str) -> Result<Global> {
        let element = |is: &dyn Fn(&Elements) -> bool| ELEMENTS.iter().find(|elements| is(elements));
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v3") => Global::RebuildTensorOfDtype,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Global::RebuildParameter,
            ("torch._tensor", "_rebuild_from_type_v2") => Global::RebuildFromType,
            ("torch", "Tensor") | ("torch.nn.parameter", "Parameter") => Global::Type,
            ("torch", "Size") => Global::Size,
            ("torch", "device") => Global::Device,
            ("torch.storage" | "torch", "UntypedStorage") => Global::Storage(None),
            ("torch", name) if name.ends_with("Storage") => match element(&|elements| elements.storage == name) {
                Some(elements) => Global::Storage(Some(elements)),
                None => return Err(would_run(module, name)),
            },
            ("torch", name) => match element(&|elements| elements.name == name) {
                Some(elements) => Global::Dtype(elements),
                None => return Err(would_run(module, name)),
            },
            _ => return Err(would_run(module, name)),
        })
    }

    /// The object that calling this with `args` makes.
    pub fn call(self, args: Id, objects: &mut Objects) -> Result<Id> {
        let args = objects.tuple(args).ok_or_else(|| refused("arguments are no tuple"))?.to_vec();
        match (self, &args[..]) {
            (Global::OrderedDict, []) => objects.add(Object::Dict(Vec::new())),
            (Global::RebuildTensor, &[storage, offset, size, strides, ref rest @ ..]) if rest.len() <= 3 => {
                let Object::Storage(storage) = objects.get(storage) else {
                    return Err(refused("a tensor is made of something else than a storage"));
                };
                let Some(elements) = storage.elements else {
                    return Err(refused("a tensor has no dtype"));
                };
                let storage = storage.clone();
                tensor(objects, storage, elements, [offset, size, strides], rest.get(2))
            }
            (Global::RebuildTensorOfDtype, &[storage, offset, size, strides, _, _, dtype, ref rest @ ..])
                if rest.len() <= 1 =>
            {
                let (Object::Storage(storage), Object::Global(Global::Dtype(elements))) =
                    (objects.get(storage), objects.get(dtype))
                else {
                    return Err(refused("a tensor is made of something else than a storage and a dtype"));
                };
                let (storage, elements) = (storage.clone(), *elements);
                if storage.elements.is_some() || storage.len % elements.size as u64 != 0 {
                    return Err(refused("a tensor's storage does not fit its dtype"));
                }
                let len = storage.len / elements.size as u64;
                tensor(objects, Storage { len, ..storage }, elements, [offset, size, strides], rest.first())
            }
            (Global::RebuildParameter, &[data, ref rest @ ..]) if (2..=3).contains(&rest.len()) => {
                match objects.get(data) {
                    Object::Tensor(_) => Ok(data),
                    _ => Err(refused("a parameter is made of something else than a tensor")),
                }
            }
            (Global::RebuildFromType, &[function, class, args, _]) => match (objects.get(function), objects.get(class))
            {
                // Only these two: this very function again would recurse.
                (
                    &Object::Global(function @ (Global::RebuildTensor | Global::RebuildTensorOfDtype)),
                    Object::Global(Global::Type),
                ) => function.call(args, objects),
                _ => Err(refused("a tensor with attributes is made in an unknown way")),
            },
            (Global::Size, &[sizes]) => match objects.tuple(sizes) {
                Some(_) => Ok(sizes),
                None => Err(refused("a torch.Size is made of something else than a tuple")),
            },
            (Global::Device, &[kind, ref rest @ ..]) if rest.len() <= 1 => {
                let Object::Str(kind) = objects.get(kind) else {
                    return Err(refused("a torch.device has no name"));
                };
                let kind = short(kind)?;
                let index = rest.first().and_then(|&index| objects.int(index));
                let name = index.map_or(kind.to_string(), |index| format!("{kind}:{index}"));
                objects.add(Object::Str(name.into()))
            }
            _ => Err(refused(format!("{self:?} is called with {} arguments", args.len()))),
        }
    }
}

/// `text`, which is copied for each object that has it, if it is no longer than names are.
fn short(text: &str) -> Result<&str> {
    match text.len() {
        ..=128 => Ok(text),
        n => Err(refused(format!("a name of {n} bytes"))),
    }
}

/// `text` as a message may show it.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    short.escape_debug().to_string()
}

/// The refusal of a name outside [`Global`].
pub(super) fn would_run(module: &str, name: &str) -> Error {
    Error::invalid(format!("the checkpoint would run {}.{}; only tensors are read", shown(module), shown(name)))
}

/// The memory of tensors.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    /// The name of the entry with its bytes.
    pub key: Arc<str>,
    /// The type of its elements; none for bytes.
    pub elements: Option<&'static Elements>,
    /// Its elements, or its bytes.
    pub len: u64,
}

impl Storage {
    /// The storage that the pickle names by `id`: a tuple `("storage", class, key, device, number of elements)`.
    pub fn find(id: Id, objects: &Objects) -> Result<Storage> {
        let wrong = || refused("a reference to something else than a storage");
        let &[what, class, key, _, len] = objects.tuple(id).ok_or_else(wrong)? else { return Err(wrong()) };
        match [what, class, key, len].map(|id| objects.get(id)) {
            [Object::Str(what), &Object::Global(Global::Storage(elements)), Object::Str(key), &Object::Int(len)]
                if what == "storage" =>
            {
                let len = u64::try_from(len).map_err(|_| refused(format!("a storage of {len} elements")))?;
                Ok(Storage { key: Arc::from(short(key)?), elements, len })
            }
            _ => Err(wrong()),
        }
    }
}

/// What a checkpoint says of a tensor.
#[derive(Debug, Clone)]
pub struct TensorInfo {
    pub(super) elements: &'static Elements,
    pub(super) shape: Arc<[usize]>,
    pub(super) strides: Arc<[isize]>,
    pub(super) offset: usize,
    pub(super) storage: Arc<str>,
    pub(super) storage_len: u64,
}

impl TensorInfo {
    /// PyTorch's name of the dtype, as `float32`, which may have none here.
    pub fn dtype_name(&self) -> &'static str {
        self.elements.name
    }

    /// The dtype, if it exists here.
    pub fn dtype(&self) -> Option<DType> {
        self.elements.dtype
    }

    /// The sizes of the dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements.
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// The bytes of the elements, each counted once.
    pub fn bytes(&self) -> usize {
        self.numel() * self.elements.size
    }

    /// The name of the tensor's memory in the file, the same for tensors that share it.
    pub fn storage(&self) -> &str {
        &self.storage
    }
}

/// Adds the tensor that a description means.
fn tensor(
    objects: &mut Objects,
    storage: Storage,
    elements: &'static Elements,
    [offset, size, strides]: [Id; 3],
    metadata: Option<&Id>,
) -> Result<Id> {
    // Tensors that are conjugated or negated when they are looked at.
    if let Some(&metadata) = metadata
        && !matches!(objects.get(metadata), Object::None)
        && !matches!(objects.get(metadata), Object::Dict(entries) if entries.is_empty())
    {
        return Err(refused("a tensor with flags (conjugated or negated); save a copy of it made with resolve_neg()"));
    }
    let numbers = |id: Id, what: &str| -> Result<Vec<u64>> {
        let wrong = || refused(format!("the {what} of a tensor are not whole numbers from 0"));
        let ids = objects.tuple(id).ok_or_else(wrong)?;
        ids.iter().map(|&id| objects.int(id).and_then(|n| n.try_into().ok()).ok_or_else(wrong)).collect()
    };
    let (shape, strides) = (numbers(size, "sizes")?, numbers(strides, "strides")?);
    // Views of very many dimensions take more time than their few bytes should.
    if shape.len() > 64 || shape.len() != strides.len() {
        let (dims, strides) = (shape.len(), strides.len());
        return Err(refused(format!("a tensor of {dims} dimensions, at most 64, with {strides} strides")));
    }
    let misfit = || refused(format!("a tensor of shape {shape:?} does not fit into memory"));
    let sizes: Option<Vec<usize>> = shape.iter().map(|&n| n.try_into().ok()).collect();
    let sizes = sizes.ok_or_else(misfit)?;
    let bytes = Shape::from(&sizes[..]).checked_numel().ok().and_then(|n| n.checked_mul(elements.size));
    let steps: Option<Vec<isize>> = strides.iter().map(|&n| n.try_into().ok()).collect();
    let Some((steps, _)) = steps.zip(bytes.filter(|&n| n <= isize::MAX as usize)) else { return Err(misfit()) };
    let offset = objects.int(offset).and_then(|n| usize::try_from(n).ok());
    let offset = offset.ok_or_else(|| refused("a tensor begins before its storage"))?;
    // The last element of all.
    let reach = |(&n, &stride): (&usize, &isize)| (n as i128 - 1).checked_mul(stride as i128);
    let last = sizes.iter().zip(&steps).try_fold(offset as i128, |last, dim| last.checked_add(reach(dim)?));
    if !sizes.contains(&0) && last.is_none_or(|last| last >= i128::from(storage.len)) {
        let len = storage.len;
        return Err(refused(format!(
            "a tensor of shape {sizes:?}, strides {steps:?} and offset {offset} leaves its storage of {len} elements"
        )));
    }
    objects.add(Object::Tensor(TensorInfo {
        elements,
        shape: sizes.into(),
        strides: steps.into(),
        offset,
        storage: storage.key,
        storage_len: storage.len,
    }))
}
