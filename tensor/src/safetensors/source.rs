//! Where the bytes of a file come from: an open file, read at any offset, or memory.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::broken;
use crate::{Error, Result};

/// Bytes that can be read at any offset, by several threads at once.
pub(super) trait Source {
    /// How many bytes there are.
    fn len(&self) -> u64;
    /// Fills `into` with the bytes from `offset` on.
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<()>;
}

impl Source for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<()> {
        let from = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)?.get(..into.len()));
        into.copy_from_slice(from.ok_or_else(|| broken("the bytes end too early"))?);
        Ok(())
    }
}

/// A regular file, opened for reading, and its length at that time.
pub(super) struct OpenFile {
    path: PathBuf,
    len: u64,
    #[cfg(unix)]
    file: File,
    /// Where files have one position only, readers take turns.
    #[cfg(not(unix))]
    file: std::sync::Mutex<File>,
}

impl OpenFile {
    pub(super) fn open(path: &Path) -> Result<OpenFile> {
        let open = || -> std::io::Result<(File, u64)> {
            // Asked before it is opened: opening a pipe would wait for somebody to write to it.
            if !std::fs::metadata(path)?.is_file() {
                return Err(std::io::Error::other("is not a regular file"));
            }
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Ok((file, len))
        };
        let (file, len) = open().map_err(|e| Error::io(path, &e))?;
        #[cfg(not(unix))]
        let file = std::sync::Mutex::new(file);
        Ok(OpenFile { path: path.to_path_buf(), len, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file as memory, all of it.
    pub(super) fn map(&self) -> Result<crate::mapping::Mapping> {
        #[cfg(unix)]
        let file = &self.file;
        #[cfg(not(unix))]
        let file = &*self.file.lock().unwrap_or_else(|e| e.into_inner());
        usize::try_from(self.len)
            .map_err(std::io::Error::other)
            .and_then(|len| crate::mapping::Mapping::new(file, len))
            .map_err(|e| Error::io(&self.path, &e))
    }
}

impl Source for OpenFile {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<()> {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_exact_at(&self.file, into, offset);
        #[cfg(not(unix))]
        let read = {
            use std::io::{Read, Seek, SeekFrom};
            let mut file = self.file.lock().unwrap_or_else(|e| e.into_inner());
            file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(into))
        };
        read.map_err(|e| Error::io(&self.path, &e))
    }
}
