//! The bytes behind tensors, seen as slices of an element type.

use crate::memory::Buffer;
use crate::{DType, Element};

/// A buffer with a dtype. Shared between tensors by `Arc`; written only by a sole owner.
pub(crate) struct Storage {
    buffer: Buffer,
    dtype: DType,
    len: usize,
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
        Storage { buffer, dtype, len }
    }

    #[inline]
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// All elements. Panics if `T` is not the storage's type.
    #[inline]
    pub(crate) fn as_slice<T: Element>(&self) -> &[T] {
        assert_eq!(T::DTYPE, self.dtype, "the element type asked for is not the tensor's dtype");
        // SAFETY: the buffer holds len elements of T (checked above), is aligned to 64 bytes and initialised; every bit
        // pattern is a number, and bool storage is cleared when made and then only written as bool.
        unsafe { std::slice::from_raw_parts(self.buffer.as_ptr().cast::<T>(), self.len) }
    }

    /// All elements, for writing. Panics if `T` is not the storage's type.
    #[inline]
    pub(crate) fn as_slice_mut<T: Element>(&mut self) -> &mut [T] {
        assert_eq!(T::DTYPE, self.dtype, "the element type asked for is not the tensor's dtype");
        // SAFETY: as for as_slice, and `&mut self` makes this the only access.
        unsafe { std::slice::from_raw_parts_mut(self.buffer.as_ptr().cast::<T>(), self.len) }
    }
}
