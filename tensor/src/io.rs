//! Writing files so that a reader sees the old contents or the new, never a part.

use std::io::Write;
use std::path::Path;

use crate::{Error, Result};

/// Replaces the file at `path` by `bytes`: a temporary file in the same directory is written, flushed to the disk and
/// renamed. A process killed at any moment leaves the old file or the new one.
///
/// # Errors
/// If the directory does not exist or cannot be written.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    let write = || -> std::io::Result<()> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".tmp-");
        // Temporary files are private by default; this one becomes an ordinary file, subject to the umask.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        // The rename itself is on the disk once the directory is.
        #[cfg(unix)]
        std::fs::File::open(directory)?.sync_all()?;
        Ok(())
    };
    write().map_err(|e| Error::io(path, &e))
}

/// The contents of the file at `path`.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    std::fs::read(path.as_ref()).map_err(|e| Error::io(path.as_ref(), &e))
}
