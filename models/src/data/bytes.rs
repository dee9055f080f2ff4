//! From bytes to elements and back, and compressed bytes, which are unpacked no further than is sensible.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::Path;

use tensor::{Element, Shape, Tensor};

use crate::{Error, Result};

/// A file may unpack to this much whatever its size, and beyond that to [`RATIO`] times its size: real data stay far
/// below, zeros that fill the memory do not.
const ALWAYS: usize = 1 << 28;
/// See [`ALWAYS`].
const RATIO: usize = 100;

/// The number of bytes to which `packed` bytes may unpack.
pub(super) fn limit(packed: usize) -> usize {
    ALWAYS.max(packed.saturating_mul(RATIO))
}

/// What `reader` gives, at most `limit` bytes of it. Memory is taken as the bytes come.
pub(super) fn read_within(reader: impl Read, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = reader.take(limit as u64).read_to_end(&mut bytes);
    match read {
        Ok(_) => Ok(bytes),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(Error::invalid("the compressed data end too early")),
        Err(e) => Err(Error::invalid(format!("the compressed data are damaged: {e}"))),
    }
}

/// The length that a file says it has, from its first bytes (all of them or more than [`HEAD`]), if they do say it.
pub(super) type Claim = fn(&[u8]) -> Option<usize>;

/// So many bytes of an unpacked file are enough for its [`Claim`].
const HEAD: usize = 1 << 17;

/// `bytes`, unpacked if they are those of a gzip file: all of them, but hardly more than their header claims there are.
pub(super) fn gunzip(bytes: Vec<u8>, claim: Claim) -> Result<Vec<u8>> {
    gunzip_within(bytes, claim, limit)
}

fn gunzip_within(bytes: Vec<u8>, claim: Claim, limit: impl Fn(usize) -> usize) -> Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let (packed, limit) = (bytes.len(), limit(bytes.len()));
    let mut reader = flate2::bufread::MultiGzDecoder::new(&bytes[..]);
    let mut unpacked = read_within(&mut reader, HEAD)?;
    if unpacked.len() == HEAD {
        // One byte more than there may be is enough to see that there are too many.
        let most = claim(&unpacked).unwrap_or(limit).clamp(HEAD, limit.max(HEAD));
        unpacked.extend(read_within(reader, most.saturating_add(1) - HEAD)?);
    }
    if unpacked.len() > limit {
        return Err(Error::invalid(format!(
            "{packed} compressed bytes unpack to more than {limit}: these are no data"
        )));
    }
    Ok(unpacked)
}

/// The file at `path`, unpacked if it is gzipped, as `parse` reads it; errors say which file it is.
pub(super) fn load<T>(path: &Path, claim: Claim, parse: impl FnOnce(Vec<u8>) -> Result<T>) -> Result<T> {
    let bytes = std::fs::read(path).map_err(|e| Error::read(path, e))?;
    gunzip(bytes, claim).and_then(parse).map_err(|e| Error::in_file(path, e))
}

/// For files that do not say how long they are.
pub(super) const NO_CLAIM: Claim = |_| None;

/// Writes `bytes` so that a reader sees the old file or the new one; gzipped if the path ends in `.gz`.
pub(super) fn save(path: &Path, bytes: Result<Vec<u8>>) -> Result<()> {
    let mut bytes = bytes.map_err(|e| Error::in_file(path, e))?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        bytes = pack(flate2::read::GzEncoder::new(&bytes[..], flate2::Compression::default()));
    }
    tensor::io::write_atomic(path, &bytes).map_err(|e| Error::write(path, e))
}

/// What an encoder makes of bytes in memory.
pub(super) fn pack(mut encoder: impl Read) -> Vec<u8> {
    let mut packed = Vec::new();
    encoder.read_to_end(&mut packed).expect("compressing memory into memory does not fail");
    packed
}

/// The number of elements of `shape`, which a file claims, if there are `bytes` bytes of `size` each for them.
pub(super) fn counted(shape: &[usize], size: usize, bytes: &[u8]) -> Result<usize> {
    let claimed = Shape::from(shape).checked_numel().ok().and_then(|n| n.checked_mul(size));
    if claimed == Some(bytes.len()) {
        return Ok(bytes.len() / size);
    }
    let claimed = claimed.map_or("more bytes than any memory has".to_string(), |n| format!("{n} bytes"));
    Err(Error::invalid(format!(
        "the header claims {claimed} for shape {shape:?} with {size} per element, the file has {}",
        bytes.len()
    )))
}

/// The elements of `shape` that `bytes` hold, each read by `element` from its N bytes.
pub(super) fn decode<T: Element, const N: usize>(
    shape: &[usize],
    bytes: &[u8],
    element: impl Fn([u8; N]) -> T,
) -> Result<Tensor> {
    counted(shape, N, bytes)?;
    let elements = bytes.as_chunks::<N>().0.iter().map(|&bytes| element(bytes)).collect();
    Tensor::try_from_vec::<T>(elements, shape).map_err(Error::invalid)
}

/// The bytes of all elements in row-major order.
pub(super) fn encode<T: Element, const N: usize>(tensor: &Tensor, bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    tensor.to_vec::<T>().into_iter().flat_map(bytes).collect()
}

/// `bytes` as text.
pub(super) fn utf8(bytes: Cow<'_, [u8]>) -> Result<String> {
    let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => rest.to_vec(),
        None => bytes.into_owned(),
    };
    String::from_utf8(bytes).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|&&b| b == b'\n').count();
        Error::invalid(format!("line {line}: the text is not UTF-8 (byte {})", good.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        pack(flate2::read::GzEncoder::new(bytes, flate2::Compression::best()))
    }

    #[test]
    fn gzip_is_detected_by_its_content() {
        assert_eq!(gunzip(b"plain".to_vec(), NO_CLAIM).unwrap(), b"plain");
        assert_eq!(gunzip(gzip(b"packed"), NO_CLAIM).unwrap(), b"packed");
        // Several members one after the other are one file, as `cat a.gz b.gz` makes it.
        assert_eq!(gunzip([gzip(b"one "), gzip(b"two")].concat(), NO_CLAIM).unwrap(), b"one two");
        assert_eq!(gunzip(vec![], NO_CLAIM).unwrap(), b"");
    }

    #[test]
    fn damaged_gzip_is_an_error() {
        let good = gzip(&(0..200).collect::<Vec<u8>>());
        for end in 2..good.len() {
            assert!(gunzip(good[..end].to_vec(), NO_CLAIM).is_err(), "cut at {end}");
        }
        let mut wrong = good.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert!(gunzip(wrong, NO_CLAIM).unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn zeros_without_end_are_refused() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert!(bomb.len() < 4000);
        let message = gunzip_within(bomb.clone(), NO_CLAIM, |packed| 100 * packed).unwrap_err().to_string();
        assert!(message.contains("unpack to more than"), "{message}");
        assert_eq!(gunzip_within(bomb.clone(), NO_CLAIM, |_| 1 << 20).unwrap().len(), 1 << 20);
        assert_eq!((limit(10), limit(1 << 30)), (1 << 28, 100 << 30));
        // No more is unpacked than the header claims, and one byte.
        let read = gunzip_within(bomb.clone(), |_| Some(200_000), |_| 1 << 20).unwrap();
        assert_eq!(read.len(), 200_001);
        assert_eq!(gunzip_within(bomb, |_| Some(usize::MAX), |_| 1 << 20).unwrap().len(), 1 << 20);
    }

    #[test]
    fn a_claim_is_checked_before_it_is_believed() {
        assert_eq!(counted(&[2, 3], 4, &[0; 24]).unwrap(), 6);
        for shape in [&[2, 2][..], &[usize::MAX], &[0, usize::MAX, 3], &[usize::MAX, usize::MAX]] {
            let message = counted(shape, 8, &[0; 24]).unwrap_err().to_string();
            assert!(message.contains("the file has 24"), "{message}");
        }
    }
}
