//! Writing files so that a reader sees the old contents or the new, never a part.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// How much a writer gathers before it goes to the file; longer pieces go there at once.
const BUFFER: usize = 1 << 18;

/// Replaces the file at `path` by `bytes`: a temporary file in the same directory is written, flushed to the disk and
/// renamed. A process killed at any moment leaves the old file or the new one.
///
/// # Errors
/// If the directory does not exist or cannot be written.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("notes.txt");
/// tensor::io::write_atomic(&path, b"old")?;
/// tensor::io::write_atomic(&path, b"new")?;
/// assert_eq!(tensor::io::read(&path)?, b"new");
/// # Ok::<(), tensor::Error>(())
/// ```
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    write_atomic_with(path, |file| file.write_all(bytes))
}

/// Replaces the file at `path` by what `write` writes, as [`write_atomic`] does, without the whole of it in memory.
///
/// What is written is buffered, so many small pieces cost little. When `write` fails, the old file stays and nothing of
/// the new one is left.
///
/// # Errors
/// As [`write_atomic`], and whatever `write` returns.
///
/// ```
/// use std::io::Write;
/// # let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("squares.csv");
/// tensor::io::write_atomic_with(&path, |file| {
///     writeln!(file, "n,square")?;
///     (1..4).try_for_each(|n| writeln!(file, "{n},{}", n * n))
/// })?;
/// assert_eq!(tensor::io::read(&path)?, b"n,square\n1,1\n2,4\n3,9\n");
/// # Ok::<(), tensor::Error>(())
/// ```
pub fn write_atomic_with(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    Staged::write(path, write)?.commit()?;
    sync_directory(directory_of(path))
}

/// The contents of the file at `path`.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    std::fs::read(path.as_ref()).map_err(|e| Error::io(path.as_ref(), &e))
}

/// A file that is on the disk in full, under a temporary name beside its own. Dropped, it is removed.
pub(crate) struct Staged {
    temporary: tempfile::TempPath,
    path: PathBuf,
}

impl Staged {
    /// Writes the file that [`commit`](Staged::commit) will put at `path`.
    pub(crate) fn write(path: &Path, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<Staged> {
        let stage = || -> std::io::Result<tempfile::TempPath> {
            let mut builder = tempfile::Builder::new();
            builder.prefix(".tmp-");
            // Temporary files are private by default; this one becomes an ordinary file, subject to the umask.
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            let file = builder.tempfile_in(directory_of(path))?;
            let mut buffered = BufWriter::with_capacity(BUFFER, file.as_file());
            write(&mut buffered)?;
            buffered.flush()?;
            drop(buffered);
            file.as_file().sync_all()?;
            // The name alone is kept: many files may be staged at once, and open ones are limited.
            Ok(file.into_temp_path())
        };
        Ok(Staged { temporary: stage().map_err(|e| Error::io(path, &e))?, path: path.to_path_buf() })
    }

    /// Puts the file in its place. The rename is on the disk once the directory is, see [`sync_directory`].
    pub(crate) fn commit(self) -> Result<()> {
        self.temporary.persist(&self.path).map_err(|e| Error::io(&self.path, &e.error))
    }
}

/// The directory in which the file at `path` lies.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Waits until the names in `directory` are on the disk as they are now.
pub(crate) fn sync_directory(directory: &Path) -> Result<()> {
    // Elsewhere a directory cannot be opened as a file, and renames are not delayed.
    #[cfg(unix)]
    std::fs::File::open(directory).and_then(|d| d.sync_all()).map_err(|e| Error::io(directory, &e))?;
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_writer_that_fails_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        write_atomic(&path, b"old").unwrap();
        let failed = write_atomic_with(&path, |file| {
            file.write_all(b"half of the new")?;
            Err(std::io::Error::other("no more paper"))
        });
        assert_eq!(failed.unwrap_err().to_string(), format!("{}: no more paper", path.display()));
        assert_eq!(read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["x"]);
    }

    #[test]
    fn long_and_short_pieces_arrive_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let long = vec![7u8; 3 * BUFFER + 1];
        write_atomic_with(&path, |file| {
            file.write_all(b"a")?;
            file.write_all(&long)?;
            file.write_all(b"z")
        })
        .unwrap();
        assert_eq!(read(&path).unwrap(), [b"a", &long[..], b"z"].concat());
    }

    #[test]
    fn missing_directories_are_errors_that_name_the_file() {
        let error = write_atomic("/no such directory/x", b"").unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Io);
        assert!(error.to_string().starts_with("/no such directory/x: "), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn files_are_readable_by_others_as_the_umask_allows() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let [ours, plain] = ["ours", "plain"].map(|name| directory.path().join(name));
        write_atomic(&ours, b"").unwrap();
        std::fs::write(&plain, b"").unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
