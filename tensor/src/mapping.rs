//! A file seen as memory.

use std::fs::File;

/// The bytes of a file, mapped for reading. The system reads them when they are looked at, and may drop them again.
///
/// The mapping is private: nothing that this process does can reach the file through it.
pub(crate) struct Mapping(memmap2::Mmap);

impl Mapping {
    /// The first `len` bytes of `file`, which must have them.
    pub(crate) fn new(file: &File, len: usize) -> std::io::Result<Mapping> {
        // SAFETY: the file must not change under a mapping, and no operating system lets a program ensure that. It is
        // the documented condition of the one public way here, `safetensors::Reader::open_mapped`. What keeps a breach
        // of it from being more than wrong numbers or a killed process:
        // - A file that is replaced (renamed over, as everything in this library writes, or deleted) is not changed; the
        //   mapping keeps the old contents.
        // - A file that is shortened makes the next look at the lost part end the process (SIGBUS); no memory of
        //   anything else is read.
        // - A file that is overwritten in place may show its new bytes. `Storage::mapped` therefore maps only types
        //   that any bytes are a valid value of, and none from which a kernel takes an index that it has checked
        //   before: no bool and no i64. A float that changes between two looks is some other float.
        // - Nothing writes to the mapping: its pages are read-only, and tensors are copied before they are written.
        unsafe { memmap2::MmapOptions::new().len(len).map_copy_read_only(file) }.map(Mapping)
    }

    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
