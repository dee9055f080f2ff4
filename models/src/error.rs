//! What can go wrong with what a user gives: files, options, prompts.

use std::fmt;
use std::path::{Path, PathBuf};

/// A result whose error is one line for the user.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a request cannot be served, in one line that names the file or the option and the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// An option, a text, a prompt or the contents of a file cannot be used.
    Invalid(String),
    /// A file or directory cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A file or directory cannot be written.
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

impl Error {
    /// An [`Error::Invalid`] that says `what` in one line.
    pub fn invalid(what: impl fmt::Display) -> Error {
        Error::Invalid(one_line(&what.to_string()))
    }

    /// An [`Error::Invalid`] about the contents of the file `path`.
    pub fn in_file(path: &Path, what: impl fmt::Display) -> Error {
        Error::invalid(format!("{}: {what}", path.display()))
    }

    /// An [`Error::Read`] of `path`.
    pub fn read(path: &Path, why: impl fmt::Display) -> Error {
        Error::Read { path: path.to_path_buf(), why: one_line(&why.to_string()) }
    }

    /// An [`Error::Write`] of `path`.
    pub fn write(path: &Path, why: impl fmt::Display) -> Error {
        Error::Write { path: path.to_path_buf(), why: one_line(&why.to_string()) }
    }
}

/// `text` with its line breaks and the spaces around them made one space.
fn one_line(text: &str) -> String {
    printable(&text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" "))
}

/// `text` with its control characters escaped: names in files and of files may have some, which a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() && c != '\t' {
            true => shown.extend(c.escape_debug()),
            false => shown.push(c),
        }
    }
    shown
}

/// `path` as it is shown.
fn place(path: &Path) -> String {
    printable(&path.display().to_string())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid(what) => f.write_str(what),
            Error::Read { path, why } => write!(f, "cannot read {}: {why}", place(path)),
            Error::Write { path, why } => write!(f, "cannot write {}: {why}", place(path)),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line() {
        let error = Error::in_file(Path::new("a/b.json"), "first\n  second\n");
        assert_eq!(error.to_string(), "a/b.json: first second");
        let error = Error::read(Path::new("x"), "gone");
        assert_eq!(error.to_string(), "cannot read x: gone");
        assert_eq!(Error::write(Path::new("x"), "full").to_string(), "cannot write x: full");
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let name = "a\u{1b}[2Jb\u{7f}c\u{9b}d\te\u{e9}";
        let shown = "a\\u{1b}[2Jb\\u{7f}c\\u{9b}d\te\u{e9}";
        assert_eq!(Error::invalid(name).to_string(), shown);
        assert_eq!(Error::in_file(Path::new(name), name).to_string(), format!("{shown}: {shown}"));
        assert_eq!(Error::read(Path::new(name), name).to_string(), format!("cannot read {shown}: {shown}"));
        assert_eq!(Error::write(Path::new(name), name).to_string(), format!("cannot write {shown}: {shown}"));
    }
}
