//! Files that a kill at any moment leaves whole: acts in a row, replacing, moving out of the way, checksums.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crc::{CRC_64_XZ, Crc, Table};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What a temporary name begins with; whoever holds the lock of the directory may remove such a thing.
pub(super) const TEMPORARY: &str = ".tmp-";

static CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_XZ);

/// One of the acts that a change of a run directory is made of. A process may be killed before and after each of them,
/// and within each: a reader then finds a whole model or an error, and a resume finds a whole checkpoint.
pub(super) struct Act<'a>(Box<dyn FnOnce() -> Result<()> + 'a>);

impl<'a> Act<'a> {
    pub(super) fn new(act: impl FnOnce() -> Result<()> + 'a) -> Act<'a> {
        Act(Box::new(act))
    }

    pub(super) fn carry_out(self) -> Result<()> {
        self.0()
    }
}

/// Carries out acts until one fails.
pub(super) fn carry_out<'a>(acts: impl IntoIterator<Item = Act<'a>>) -> Result<()> {
    acts.into_iter().try_for_each(Act::carry_out)
}

/// Size and checksum of a file or a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many bytes there are.
    pub bytes: u64,
    /// Their CRC-64 (the one of XZ) in hexadecimal: it tells accidents, not attacks.
    pub crc64: String,
}

impl Fingerprint {
    /// That of `bytes`.
    ///
    /// ```
    /// let print = models::run::Fingerprint::of(b"123456789");
    /// assert_eq!((print.bytes, print.crc64.as_str()), (9, "995dc9bbdf1939fa"));
    /// ```
    pub fn of(bytes: &[u8]) -> Fingerprint {
        Fingerprint { bytes: bytes.len() as u64, crc64: format!("{:016x}", CRC.checksum(bytes)) }
    }

    /// That of a file.
    pub(super) fn of_file(path: &Path) -> io::Result<Fingerprint> {
        let (mut file, mut digest, mut bytes) = (fs::File::open(path)?, CRC.digest(), 0);
        let mut piece = vec![0; 1 << 16];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(Fingerprint { bytes, crc64: format!("{:016x}", digest.finalize()) }),
                n => {
                    digest.update(&piece[..n]);
                    bytes += n as u64;
                }
            }
        }
    }
}

/// The names in a directory, sorted; none when it is not there. One that cannot be read is an error, never empty: what
/// is not seen would be taken for gone.
pub(super) fn list(dir: &Path) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    };
    match read() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|e| Error::read(dir, e)),
    }
}

/// Whether two files have the same contents.
pub(super) fn same(a: &Path, b: &Path) -> bool {
    let (Ok(of_a), Ok(of_b)) = (fs::metadata(a), fs::metadata(b)) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if (of_a.dev(), of_a.ino()) == (of_b.dev(), of_b.ino()) {
            return true;
        }
    }
    of_a.len() == of_b.len()
        && Fingerprint::of_file(a).ok().zip(Fingerprint::of_file(b).ok()).is_some_and(|(a, b)| a == b)
}

/// Puts the file `from` in the place of `to` by one rename. With `link` the two are one file afterwards, where the file
/// system can do that: no bytes are copied.
pub(super) fn replace(from: &Path, to: &Path, link: bool) -> Result<()> {
    let (Some(dir), Some(name)) = (to.parent(), to.file_name()) else { return Err(Error::write(to, "not a file")) };
    let temporary = dir.join(format!("{TEMPORARY}{}", name.to_string_lossy()));
    let put = || -> io::Result<()> {
        ignore_missing(fs::remove_file(&temporary))?;
        if !(link && fs::hard_link(from, &temporary).is_ok()) {
            copy(from, &temporary)?;
        }
        fs::rename(&temporary, to)?;
        // Renaming one name of a file to another of its names leaves both.
        ignore_missing(fs::remove_file(&temporary))?;
        sync(dir)
    };
    put().map_err(|e| Error::write(to, e))
}

/// Copies a file with its permissions to a new one, which is on the disk after this.
///
/// Windows flushes only what is open for writing, and a copy of a read-only file cannot be opened so: its permissions
/// come last.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let (mut from, mut to) = (fs::File::open(from)?, fs::File::create_new(to)?);
    io::copy(&mut from, &mut to)?;
    to.set_permissions(from.metadata()?.permissions())?;
    to.sync_all()
}

/// Removes a file; nothing when it is not there.
pub(super) fn remove(path: &Path) -> Result<()> {
    ignore_missing(fs::remove_file(path)).map_err(|e| Error::write(path, e))
}

/// Removes a file or a directory with all that is in it, which is gone at once for everybody else; nothing when it is not
/// there.
pub(super) fn discard(path: &Path) -> Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::write(path, "not a file"));
    };
    let aside = dir.join(format!("{TEMPORARY}old-{}", name.to_string_lossy()));
    let go = || -> io::Result<()> {
        erase(&aside)?;
        ignore_missing(fs::rename(path, &aside))?;
        erase(&aside)
    };
    go().map_err(|e| Error::write(path, e))
}

/// Moves a file or a directory into the place of another within one file system.
pub(super) fn move_over(from: &Path, to: &Path) -> Result<()> {
    if to.is_dir() {
        discard(to)?;
    }
    fs::rename(from, to).map_err(|e| Error::write(to, e))
}

/// Removes what a killed process left in `dir` under a temporary name.
pub(super) fn clean(dir: &Path) -> Result<()> {
    for name in list(dir)?.iter().filter(|name| name.starts_with(TEMPORARY)) {
        erase(&dir.join(name)).map_err(|e| Error::write(&dir.join(name), e))?;
    }
    Ok(())
}

fn erase(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(of) if of.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => ignore_missing(Err(e)),
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Renames in `dir` are on the disk after this.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::File::open(dir)?.sync_all()?;
    let _ = dir;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_the_place_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for link in [false, true] {
            fs::write(at("a"), "new").unwrap();
            fs::write(at("b"), "old").unwrap();
            fs::write(at(".tmp-b"), "of a killed process").unwrap();
            assert!(!same(&at("a"), &at("b")));
            for _ in 0..2 {
                replace(&at("a"), &at("b"), link).unwrap();
                assert!(same(&at("a"), &at("b")));
                assert_eq!(list(dir.path()).unwrap(), ["a", "b"]);
            }
            assert_eq!(fs::read(at("b")).unwrap(), b"new");
        }
        assert!(replace(&at("missing"), &at("b"), true).is_err());
        assert_eq!(fs::read(at("b")).unwrap(), b"new");
    }

    #[test]
    fn a_copy_has_the_permissions_and_a_read_only_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        for text in ["first", "second"] {
            fs::write(&a, text).unwrap();
            let writable = fs::metadata(&a).unwrap().permissions();
            let mut read_only = writable.clone();
            read_only.set_readonly(true);
            fs::set_permissions(&a, read_only.clone()).unwrap();
            replace(&a, &b, false).unwrap();
            assert_eq!(fs::read_to_string(&b).unwrap(), text);
            assert_eq!(fs::metadata(&b).unwrap().permissions(), read_only);
            fs::set_permissions(&a, writable).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_listed_is_not_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(list(&dir.path().join("nowhere")).unwrap(), [""; 0]);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(list(&file), Err(Error::Read { path, .. }) if path == file));
        assert!(clean(&file).is_err());
    }

    #[test]
    fn what_is_discarded_is_gone_and_leftovers_are_cleaned() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        discard(&at("nothing")).unwrap();
        remove(&at("nothing")).unwrap();
        fs::create_dir_all(at("full/deep")).unwrap();
        fs::write(at("full/deep/x"), "x").unwrap();
        fs::create_dir_all(at(".tmp-old-full")).unwrap();
        discard(&at("full")).unwrap();
        fs::create_dir_all(at(".tmp-new/deep")).unwrap();
        fs::write(at(".tmp-file"), "x").unwrap();
        fs::write(at("kept"), "x").unwrap();
        clean(dir.path()).unwrap();
        assert_eq!(list(dir.path()).unwrap(), ["kept"]);
        clean(&at("no directory")).unwrap();
    }

    #[test]
    fn a_fingerprint_tells_files_apart() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
        let path = dir.path().join("x");
        fs::write(&path, &bytes).unwrap();
        let whole = Fingerprint::of_file(&path).unwrap();
        assert_eq!(whole, Fingerprint::of(&bytes));
        let mut changed = bytes.clone();
        changed[150_000] ^= 1;
        assert_ne!(whole, Fingerprint::of(&changed));
        assert_ne!(whole, Fingerprint::of(&bytes[..199_999]));
        assert!(Fingerprint::of_file(&dir.path().join("missing")).is_err());
    }
}
