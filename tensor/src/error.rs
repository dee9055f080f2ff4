//! What can go wrong, in one type whose message says it all.

use std::fmt;

/// The result of everything that can fail without being a programmer's mistake.
pub type Result<T> = std::result::Result<T, Error>;

/// The family of an [`Error`], for code that wants to react to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Shapes that the operation's rule does not allow.
    Shape,
    /// A dtype that the operation does not take.
    DType,
    /// A dimension or an index out of range.
    Index,
    /// An argument outside its domain.
    Value,
    /// The operating system refused to read or write.
    Io,
    /// Bytes that are not what their format demands.
    Format,
}

/// A failed operation: its family and a message that names the operation, the operands and the rule.
///
/// Methods and operators on tensors panic with this message when the mistake is the programmer's; the `try_` twins
/// and everything that reads files return it.
///
/// ```
/// use tensor::{DType, Tensor};
/// let (a, b) = (Tensor::zeros([2, 4], DType::F32), Tensor::zeros([3, 5], DType::F32));
/// let error = a.try_matmul(&b).unwrap_err();
/// assert!(error.to_string().starts_with("matmul: inner dimensions differ, 4 != 3"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// An error of family `kind` with the finished `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A broken shape rule: what is wrong, the operands by name, and the rule.
    ///
    /// ```
    /// let error = tensor::Error::shape("cat", "dimension 1 differs, 3 != 4", &[("0", &[2, 3]), ("1", &[2, 4])], "[.., n, ..]");
    /// assert_eq!(error.to_string(), "cat: dimension 1 differs, 3 != 4\n  0 [2, 3]   1 [2, 4]   rule [.., n, ..]");
    /// ```
    pub fn shape(op: &str, what: impl fmt::Display, operands: &[(&str, &[usize])], rule: &str) -> Self {
        let mut message = format!("{op}: {what}\n ");
        for (name, shape) in operands {
            message += &format!(" {name} {shape:?}  ");
        }
        if !rule.is_empty() {
            message += &format!(" rule {rule}");
        }
        Self::new(ErrorKind::Shape, message.trim_end())
    }

    /// A dtype that `op` does not take.
    pub fn dtype(op: &str, what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::DType, format!("{op}: {what}"))
    }

    /// A dimension or an index out of range.
    pub fn index(op: &str, what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Index, format!("{op}: {what}"))
    }

    /// An argument outside its domain.
    pub fn value(op: &str, what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Value, format!("{op}: {what}"))
    }

    /// The operating system's refusal, with the path that it concerns.
    pub fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("{}: {error}", path.display()))
    }

    /// Bytes that are not what their format demands.
    pub fn format(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Format, what.to_string())
    }

    /// The family of this error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Turns a shape rule's verdict into the panic of the method that asked for it.
pub(crate) trait OrPanic<T> {
    /// The value, or a panic with the error's message at the caller of the public method.
    fn or_panic(self) -> T;
}

impl<T> OrPanic<T> for Result<T> {
    #[inline]
    #[track_caller]
    fn or_panic(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }
}
