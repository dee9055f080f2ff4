//! The bytes behind tensors, seen as slices of an element type.

use std::sync::Arc;

use crate::mapping::Mapping;
use crate::memory::Buffer;
use crate::{DType, Element, Error, Result};

/// Elements of one dtype. Shared between tensors by `Arc`; written only by a sole owner, and never in a mapped file.
pub(crate) struct Storage {
    bytes: Bytes,
    dtype: DType,
    len: usize,
}

/// Where the elements lie.
enum Bytes {
    /// In memory of the pool, aligned to 64 bytes.
    Pooled(Buffer),
    /// In a mapped file, `offset` bytes after its beginning, where `Storage::mapped` has found them inside and aligned.
    Mapped { file: Arc<Mapping>, offset: usize },
}

impl Storage {
    /// Room for `len` elements with unspecified contents.
    #[inline]
    pub(crate) fn new(dtype: DType, len: usize) -> Storage {
        let bytes = len.checked_mul(dtype.size_in_bytes()).expect("a tensor's size fits the address space");
        let buffer = Buffer::new(bytes);
        if dtype == DType::Bool {
            // Recycled bytes may be anything, and a bool may not: clear them.
            // SAFETY: the buffer has at least `bytes` bytes, and nobody else has it yet.
            unsafe { buffer.as_ptr().write_bytes(0, bytes) };
        }
        Storage { bytes: Bytes::Pooled(buffer), dtype, len }
    }

    /// `len` elements whose bytes, in this machine's order, `fill` writes. `None` if a byte is no bool but should be.
    ///
    /// # Errors
    /// What `fill` returns, and when there is no memory of that size.
    pub(crate) fn from_bytes(
        dtype: DType,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<Option<Storage>> {
        let mut room = Vec::<u8>::new();
        let fits = len.checked_mul(dtype.size_in_bytes()).is_some_and(|size| room.try_reserve_exact(size).is_ok());
        if !fits {
            return Err(Error::format(format!("{len} elements of {dtype} do not fit into memory")));
        }
        // Kept from the optimiser, which may take an allocation that nobody uses for one that succeeds.
        drop(std::hint::black_box(room));
        let storage = Storage::new(dtype, len);
        let Bytes::Pooled(buffer) = &storage.bytes else { unreachable!("new storage is of the pool") };
        // SAFETY: the buffer holds len elements (checked by new) and is initialised; the storage is in nobody else's
        // hands, and is looked at as elements only after the bytes have been found to be some.
        let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.as_ptr(), len * dtype.size_in_bytes()) };
        fill(bytes)?;
        // Every bit pattern is a number; bools are 0 or 1.
        let valid = dtype != DType::Bool || bytes.iter().fold(0, |all, &byte| all | byte) <= 1;
        Ok(valid.then_some(storage))
    }

    /// `len` elements in a mapped file from `offset` on. `None` if they cannot be used where they are: they are not
    /// inside or not aligned, this machine has another byte order, or their dtype is one of those that are read more
    /// than once and must stay the same then (see [`Mapping::new`]).
    pub(crate) fn mapped(file: &Arc<Mapping>, offset: usize, dtype: DType, len: usize) -> Option<Storage> {
        let size = dtype.size_in_bytes();
        let end = len.checked_mul(size)?.checked_add(offset)?;
        let aligned = (file.as_ptr() as usize).wrapping_add(offset).is_multiple_of(size);
        let fixed = matches!(dtype, DType::Bool | DType::I64);
        (cfg!(target_endian = "little") && end <= file.len() && aligned && !fixed).then(|| Storage {
            bytes: Bytes::Mapped { file: file.clone(), offset },
            dtype,
            len,
        })
    }

    #[inline]
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Whether a sole owner may write.
    #[inline]
    pub(crate) fn is_writable(&self) -> bool {
        matches!(self.bytes, Bytes::Pooled(_))
    }

    #[inline]
    fn as_ptr(&self) -> *const u8 {
        match &self.bytes {
            Bytes::Pooled(buffer) => buffer.as_ptr(),
            Bytes::Mapped { file, offset } => file.as_ptr().wrapping_add(*offset),
        }
    }

    /// All elements. Panics if `T` is not the storage's type.
    #[inline]
    pub(crate) fn as_slice<T: Element>(&self) -> &[T] {
        assert_eq!(T::DTYPE, self.dtype, "the element type asked for is not the tensor's dtype");
        // SAFETY: a buffer holds len elements of T (checked above), is aligned to 64 bytes and initialised; every bit
        // pattern is a number, and bool storage is cleared when made and then only written as bool. A mapped file holds
        // len elements of T at this place, aligned, and none of them bools (`mapped`); it lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast::<T>(), self.len) }
    }

    /// The bytes of all elements, in this machine's order.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        // SAFETY: as for as_slice; elements have no padding, and any byte is a u8.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len * self.dtype.size_in_bytes()) }
    }

    /// All elements, for writing. Panics if `T` is not the storage's type, or the storage is not writable.
    #[inline]
    pub(crate) fn as_slice_mut<T: Element>(&mut self) -> &mut [T] {
        assert_eq!(T::DTYPE, self.dtype, "the element type asked for is not the tensor's dtype");
        let Bytes::Pooled(buffer) = &self.bytes else { panic!("a mapped tensor is copied before it is written") };
        // SAFETY: as for as_slice, and `&mut self` makes this the only access.
        unsafe { std::slice::from_raw_parts_mut(buffer.as_ptr().cast::<T>(), self.len) }
    }
}
