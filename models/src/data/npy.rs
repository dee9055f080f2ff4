//! NPY files, NumPy's format of one array; [`npz`](super::npz) holds several.
//!
//! Versions 1 to 3, either byte order, C and Fortran order.
//!
//! ```
//! use models::data::npy;
//! use tensor::Tensor;
//!
//! let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
//! let bytes = npy::to_bytes(&x)?; // the bytes that numpy.save writes
//! assert!(npy::from_bytes(&bytes)?.bit_eq(&x));
//! # Ok::<(), models::Error>(())
//! ```

use std::path::Path;

use tensor::{DType, Tensor, f16};

use super::bytes::{self, decode, encode};
use crate::{Error, Result};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads a file, which may be gzipped.
///
/// Integer types without a dtype here become the smallest one that holds them all: i1, i2 and u2 become i32, u4 becomes
/// i64; u8 (64 bits) becomes i64 if its numbers fit. An array in Fortran order is a view of its transposed elements.
///
/// # Errors
/// When the file cannot be read, or as [`from_bytes`].
pub fn load(path: impl AsRef<Path>) -> Result<Tensor> {
    bytes::load(path.as_ref(), bytes::NO_CLAIM, |bytes| parse(&bytes))
}

/// What the bytes of a file say; see [`load`].
///
/// # Errors
/// When they are no NPY file or of a later version, are more or fewer than the header claims, or the elements have no dtype
/// here: complex numbers, texts, records, and pickled objects, which are never run. An array in Fortran order may have 64
/// dimensions, as many as NumPy's arrays.
///
/// # Differs
/// NumPy does not mind bytes after the array.
pub fn from_bytes(bytes: &[u8]) -> Result<Tensor> {
    parse(&bytes::gunzip(bytes.to_vec(), bytes::NO_CLAIM)?)
}

/// Writes `tensor` as `numpy.save` does, gzipped if the path ends in `.gz`; a process killed while it writes leaves the old
/// file.
///
/// # Errors
/// When the file cannot be written, or as [`to_bytes`].
pub fn save(path: impl AsRef<Path>, tensor: &Tensor) -> Result<()> {
    bytes::save(path.as_ref(), to_bytes(tensor))
}

/// The bytes of the file of `tensor`: those that `numpy.save` writes.
///
/// # Errors
/// For bf16, which NumPy does not have.
pub fn to_bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let (descr, data) = match tensor.dtype() {
        DType::Bool => ("|b1", encode(tensor, |x: bool| [x as u8])),
        DType::U8 => ("|u1", tensor.to_vec::<u8>()),
        DType::I32 => ("<i4", encode(tensor, i32::to_le_bytes)),
        DType::I64 => ("<i8", encode(tensor, i64::to_le_bytes)),
        DType::F16 => ("<f2", encode(tensor, f16::to_le_bytes)),
        DType::F32 => ("<f4", encode(tensor, f32::to_le_bytes)),
        DType::F64 => ("<f8", encode(tensor, f64::to_le_bytes)),
        other => return Err(Error::invalid(format!("NumPy has no {other}; convert with to_dtype first"))),
    };
    let sizes: Vec<String> = tensor.dims().iter().map(usize::to_string).collect();
    let shape = if sizes.len() == 1 { format!("({},)", sizes[0]) } else { format!("({})", sizes.join(", ")) };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    // As NumPy does: room for the first size to grow to 21 digits, then spaces to a multiple of 64 bytes and a line break.
    if let Some(first) = sizes.first() {
        header.push_str(&" ".repeat(21 - first.len()));
    }
    // Version 2 has four bytes for the length of the header instead of two.
    let long = header.len() + 64 > usize::from(u16::MAX);
    let before = MAGIC.len() + if long { 6 } else { 4 };
    let padding = 63 - (before + header.len()) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    match long {
        false => bytes.extend([&[1, 0][..], &(header.len() as u16).to_le_bytes()].concat()),
        true => bytes.extend([&[2, 0][..], &(header.len() as u32).to_le_bytes()].concat()),
    }
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    Ok(bytes)
}

/// The array in the bytes of a file that is not compressed.
pub(super) fn parse(bytes: &[u8]) -> Result<Tensor> {
    let cut = || Error::invalid("the NPY file ends in its header");
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| Error::invalid("not an NPY file: it does not begin with \\x93NUMPY"))?;
    let (&[major, _], rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (length, rest) = match major {
        1 => rest.split_first_chunk().map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest)),
        2 | 3 => rest.split_first_chunk().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest)),
        other => return Err(Error::invalid(format!("NPY version {other} is not known; 1 to 3 are"))),
    }
    .ok_or_else(cut)?;
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut)?;
    let Header { descr, fortran_order, shape } = Header::parse(header)?;
    if !fortran_order {
        return elements(&descr, &shape, data);
    }
    // A transposition takes time in the square of the dimensions, of which a hostile header claims millions.
    if shape.len() > 64 {
        return Err(Error::invalid(format!("{} dimensions in Fortran order, NumPy has at most 64", shape.len())));
    }
    let reversed: Vec<usize> = shape.iter().rev().copied().collect();
    let order: Vec<isize> = (0..shape.len() as isize).rev().collect();
    Ok(elements(&descr, &reversed, data)?.permute(&order))
}

/// The elements of `shape` in row-major order; `descr` is a byte order, a kind and a size.
fn elements(descr: &str, shape: &[usize], data: &[u8]) -> Result<Tensor> {
    let (order, kind) = match descr.as_bytes() {
        [order @ (b'<' | b'>' | b'|' | b'='), ..] => (*order, &descr[1..]),
        _ => (b'|', descr),
    };
    let big = order == b'>' || order == b'=' && cfg!(target_endian = "big");
    /// Reads numbers of one type in either order, converted by the last argument.
    macro_rules! numbers {
        ($t:ty) => {
            numbers!($t, |x| x)
        };
        ($t:ty, $convert:expr) => {
            match big {
                false => decode(shape, data, |bytes| ($convert)(<$t>::from_le_bytes(bytes))),
                true => decode(shape, data, |bytes| ($convert)(<$t>::from_be_bytes(bytes))),
            }
        };
    }
    match kind {
        "b1" => match data.iter().find(|&&byte| byte > 1) {
            Some(byte) => Err(Error::invalid(format!("the byte {byte} is no truth value"))),
            None => decode(shape, data, |[byte]| byte == 1),
        },
        "u1" => numbers!(u8),
        "i1" => numbers!(i8, i32::from),
        "i2" => numbers!(i16, i32::from),
        "u2" => numbers!(u16, i32::from),
        "i4" => numbers!(i32),
        "u4" => numbers!(u32, i64::from),
        "i8" => numbers!(i64),
        "u8" => {
            let numbers = numbers!(u64, |x| x as i64)?;
            match numbers.as_slice::<i64>().and_then(|numbers| numbers.iter().find(|&&x| x < 0)) {
                Some(&x) => Err(Error::invalid(format!("{} does not fit i64", x as u64))),
                None => Ok(numbers),
            }
        }
        "f2" => numbers!(f16),
        "f4" => numbers!(f32),
        "f8" => numbers!(f64),
        "O" => Err(Error::invalid("the array holds pickled Python objects, which are not read")),
        _ => Err(Error::invalid(format!("elements of type {descr:?} have no dtype here"))),
    }
}

/// What the header says, a Python dictionary.
#[derive(Debug, Default, PartialEq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &[u8]) -> Result<Header> {
        let mut text = Literal { rest: text };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        text.expect(b'{')?;
        while !text.eat(b'}') {
            let key = text.string()?;
            text.expect(b':')?;
            let again = match key.as_str() {
                "descr" if text.peek() == Some(b'[') => {
                    return Err(Error::invalid("the array holds records, which have no dtype here"));
                }
                "descr" => descr.replace(text.string()?).is_some(),
                "fortran_order" => fortran_order.replace(text.boolean()?).is_some(),
                "shape" => shape.replace(text.sizes()?).is_some(),
                other => return Err(Error::invalid(format!("the NPY header has an unknown key {other:?}"))),
            };
            if again {
                return Err(Error::invalid(format!("the NPY header has {key:?} twice")));
            }
            if !text.eat(b',') {
                text.expect(b'}')?;
                break;
            }
        }
        if text.peek().is_some() {
            return Err(text.wrong("the end"));
        }
        let missing = |key: &str| Error::invalid(format!("the NPY header lacks {key:?}"));
        Ok(Header {
            descr: descr.ok_or_else(|| missing("descr"))?,
            fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }
}

/// The little of Python's syntax that headers are written in.
struct Literal<'a> {
    rest: &'a [u8],
}

impl Literal<'_> {
    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.rest = &self.rest[usize::from(there)..];
        there
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.eat(byte) { Ok(()) } else { Err(self.wrong(&format!("'{}'", byte as char))) }
    }

    fn wrong(&self, expected: &str) -> Error {
        let start = String::from_utf8_lossy(&self.rest[..self.rest.len().min(20)]);
        Error::invalid(format!("the NPY header is damaged: {expected} expected at {start:?}"))
    }

    /// `'..'` or `".."`, without escapes, which NumPy does not write for the types that are read here.
    fn string(&mut self) -> Result<String> {
        let Some(quote @ (b'\'' | b'"')) = self.peek() else {
            return Err(self.wrong("a string"));
        };
        let Some(end) = self.rest[1..].iter().position(|&b| b == quote) else {
            return Err(self.wrong("a closed string"));
        };
        let text = String::from_utf8_lossy(&self.rest[1..=end]).into_owned();
        self.rest = &self.rest[end + 2..];
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool> {
        self.peek();
        for (word, value) in [(&b"True"[..], true), (b"False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err(self.wrong("True or False"))
    }

    /// `(2, 3)`, `(2,)`, `()`; Python 2 wrote `(2L, 3L)`.
    fn sizes(&mut self) -> Result<Vec<usize>> {
        let mut sizes = Vec::new();
        self.expect(b'(')?;
        while !self.eat(b')') {
            self.peek();
            let digits = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let number = str::from_utf8(&self.rest[..digits]).ok().and_then(|digits| digits.parse().ok());
            sizes.push(number.ok_or_else(|| self.wrong("a size"))?);
            self.rest = &self.rest[digits..];
            self.eat(b'L');
            if !self.eat(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let length = header.len() as u32;
        let length = if version == 1 { &length.to_le_bytes()[..2] } else { &length.to_le_bytes()[..] };
        [MAGIC, &[version, 0], length, header.as_bytes(), data].concat()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        for tensor in [
            Tensor::from([[1.5f32, f32::NAN], [-0.0, 4.0]]).t(),
            Tensor::from([true, false]),
            Tensor::from([f16::from_f32(0.1)]),
            Tensor::scalar(i64::MIN),
            Tensor::zeros([0, 3], DType::F64),
            Tensor::zeros(&[1; 300][..], DType::U8),
        ] {
            for name in ["x.npy", "x.npy.gz"] {
                let path = dir.path().join(name);
                save(&path, &tensor).unwrap();
                assert!(load(&path).unwrap().bit_eq(&tensor), "{:?}", tensor.dims());
            }
        }
        // A header beyond 64 KiB is of version 2.
        let long = Tensor::zeros(&[1; 30_000][..], DType::U8);
        let bytes = to_bytes(&long).unwrap();
        assert_eq!((bytes[6], bytes.len() % 64), (2, 1));
        assert_eq!(from_bytes(&bytes).unwrap().ndim(), 30_000);
        let message = to_bytes(&Tensor::zeros([1], DType::BF16)).unwrap_err().to_string();
        assert!(message.contains("NumPy has no bf16"), "{message}");
    }

    #[test]
    fn headers_may_be_written_in_other_ways() {
        for header in [
            "{'descr': '<i2', 'fortran_order': False, 'shape': (2L, 1L), }\n",
            "{\"shape\":(2,1,),\"descr\":\"<i2\",\"fortran_order\":False}",
            " { 'fortran_order' : False , 'descr' : '<i2' , 'shape' : ( 2 , 1 ) } \n",
        ] {
            for version in 1..=3 {
                let read = from_bytes(&file(version, header, &[1, 0, 255, 255])).unwrap();
                assert!(read.bit_eq(&Tensor::from([[1i32], [-1]])), "{header}");
            }
        }
    }

    #[test]
    fn damaged_headers_are_refused() {
        let of = |header: &str| file(1, header, &[0; 4]);
        for (bytes, says) in [
            (b"".to_vec(), "not an NPY file"),
            (b"\x93NUMP".to_vec(), "not an NPY file"),
            (b"\x93NUMPY\x01".to_vec(), "ends in its header"),
            (b"\x93NUMPY\x01\x00\x40\x00{".to_vec(), "ends in its header"),
            (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{".to_vec(), "ends in its header"),
            (file(4, "{}", &[]), "version 4 is not known"),
            (of(""), "'{' expected"),
            (of("{}"), "lacks \"descr\""),
            (of("{'descr': '<f4', 'shape': (1,)}"), "lacks \"fortran_order\""),
            (of("{'descr': '<f4', 'fortran_order': False}"), "lacks \"shape\""),
            (of("{'descr': '<f4', 'descr': '<f4'}"), "\"descr\" twice"),
            (of("{'order': 1}"), "unknown key \"order\""),
            (of("{descr: 1}"), "a string expected"),
            (of("{'descr"), "a closed string expected"),
            (of("{'descr' '<f4'}"), "':' expected"),
            (of("{'descr': '<f4' 'shape': ()}"), "'}' expected"),
            (of("{'fortran_order': 0}"), "True or False expected"),
            (of("{'shape': 3}"), "'(' expected"),
            (of("{'shape': (-1,)}"), "a size expected"),
            (of("{'shape': (99999999999999999999999,)}"), "a size expected"),
            (of("{'shape': (1 2)}"), "')' expected"),
            (of("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x"), "the end expected"),
        ] {
            let message = from_bytes(&bytes).unwrap_err().to_string();
            assert!(message.contains(says), "{message} should say {says}");
        }
    }

    #[test]
    fn arrays_in_fortran_order_have_no_more_dimensions_than_those_of_numpy() {
        let of = |n: usize, order: &str| {
            let shape = "1,".repeat(n);
            file(2, &format!("{{'descr': '|u1', 'fortran_order': {order}, 'shape': ({shape})}}"), &[7])
        };
        assert_eq!(from_bytes(&of(64, "True")).unwrap().ndim(), 64);
        assert_eq!(from_bytes(&of(65, "False")).unwrap().ndim(), 65);
        for n in [65, 1_000_000] {
            let message = from_bytes(&of(n, "True")).unwrap_err().to_string();
            assert!(message.contains(&format!("{n} dimensions in Fortran order, NumPy has at most 64")), "{message}");
        }
    }

    #[test]
    fn what_has_no_dtype_or_does_not_fit_is_refused() {
        let of = |descr: &str, shape: &str| {
            file(1, &format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"), &[255; 8])
        };
        for (bytes, says) in [
            (of("'|O'", "(1,)"), "pickled Python objects"),
            (of("'<c8'", "(1,)"), "\"<c8\" have no dtype here"),
            (of("'<U2'", "(1,)"), "have no dtype here"),
            (of("''", "(1,)"), "have no dtype here"),
            (of("'>'", "(1,)"), "have no dtype here"),
            (of("'é8'", "(1,)"), "have no dtype here"),
            (of("[('a', '<f4')]", "(2,)"), "the array holds records"),
            (of("'<f4'", "(3,)"), "claims 12 bytes for shape [3] with 4 per element, the file has 8"),
            (of("'<f4'", "(1,)"), "claims 4 bytes"),
            (of("'<f8'", "(1099511627776,)"), "the file has 8"),
            (of("'<f8'", "(18446744073709551615, 18446744073709551615)"), "more bytes than any memory has"),
            (of("'|b1'", "(8,)"), "the byte 255 is no truth value"),
            (of("'<u8'", "(1,)"), "18446744073709551615 does not fit i64"),
        ] {
            let message = from_bytes(&bytes).unwrap_err().to_string();
            assert!(message.contains(says), "{message} should say {says}");
        }
    }
}
