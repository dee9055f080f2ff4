//! Texts: a whole file, or its lines.

use std::borrow::Cow;
use std::path::Path;

use super::bytes;
use crate::Result;

/// The text of a UTF-8 file, which may be gzipped; a byte order mark at its beginning is left out.
///
/// # Errors
/// When the file cannot be read or is not UTF-8.
pub fn load(path: impl AsRef<Path>) -> Result<String> {
    bytes::load(path.as_ref(), bytes::NO_CLAIM, |bytes| bytes::utf8(Cow::Owned(bytes)))
}

/// The lines of a UTF-8 file, which may be gzipped, without their ends (`\n` or `\r\n`).
///
/// ```
/// use models::data::{VecDataset, text};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("lines.txt");
/// std::fs::write(&path, "first\r\nsecond\n").unwrap();
/// let lines = text::lines(&path)?;
/// assert_eq!(lines, ["first", "second"]);
/// let data = VecDataset::new(lines);
/// # let _ = data;
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Errors
/// As [`load`].
pub fn lines(path: impl AsRef<Path>) -> Result<Vec<String>> {
    Ok(load(path)?.lines().map(str::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_and_a_bad_one_located() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        let write = |bytes: &[u8]| std::fs::write(&path, bytes).unwrap();
        write(b"\xef\xbb\xbfone\n\ntwo");
        assert_eq!(load(&path).unwrap(), "one\n\ntwo");
        assert_eq!(lines(&path).unwrap(), ["one", "", "two"]);
        write(b"good\nb\xffd\n");
        let message = load(&path).unwrap_err().to_string();
        assert!(message.ends_with("text: line 2: the text is not UTF-8 (byte 6)"), "{message}");
        write(&bytes::pack(flate2::read::GzEncoder::new(&b"packed"[..], flate2::Compression::fast())));
        assert_eq!(load(&path).unwrap(), "packed");
        assert!(load(dir.path().join("none")).unwrap_err().to_string().starts_with("cannot read"));
    }
}
