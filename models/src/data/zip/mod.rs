//! The part of the ZIP format that NPZ files and PyTorch's checkpoints need: stored and deflated entries, and reading the
//! 64-bit extension.
//!
//! The entries are found through the directory at the end of the archive, as the format wants it; PKWARE's APPNOTE.TXT
//! has the layout of its records in section 4.3.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::{Compression, Crc};

use super::bytes::{self, limit, pack};
use crate::{Error, Result};

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const END64_PLACE: u32 = 0x0706_4b50;
/// The directory of an archive may have so many bytes; one of 100 000 tensors has about ten million.
const DIRECTORY: u64 = 1 << 26;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

fn damaged(what: &str) -> Error {
    Error::invalid(format!("the ZIP archive is damaged: {what}"))
}

/// Where the bytes of an archive are: in memory or in a file.
pub(super) trait Source {
    /// How many there are.
    fn size(&self) -> u64;

    /// At most `n` bytes from `start` on, fewer where the archive ends.
    fn at(&self, start: u64, n: u64) -> Result<Cow<'_, [u8]>>;
}

impl Source for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn at(&self, start: u64, n: u64) -> Result<Cow<'_, [u8]>> {
        let rest = usize::try_from(start).ok().and_then(|start| self.get(start..));
        let rest = rest.ok_or_else(|| damaged("a record lies beyond its end"))?;
        Ok(Cow::Borrowed(&rest[..usize::try_from(n).map_or(rest.len(), |n| n.min(rest.len()))]))
    }
}

/// A file, of which only what is asked for is read.
pub(super) struct OnDisk {
    file: File,
    size: u64,
}

impl OnDisk {
    pub fn open(path: &Path) -> Result<OnDisk> {
        let open = || -> io::Result<OnDisk> {
            // Asked before it is opened: opening a pipe would wait for somebody to write to it.
            let kind = std::fs::metadata(path)?;
            if kind.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            if !kind.is_file() {
                return Err(io::Error::other("not a regular file"));
            }
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            Ok(OnDisk { file, size })
        };
        open().map_err(|e| Error::read(path, e))
    }
}

impl Source for OnDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn at(&self, start: u64, n: u64) -> Result<Cow<'_, [u8]>> {
        let rest = self.size.checked_sub(start).ok_or_else(|| damaged("a record lies beyond its end"))?;
        let mut bytes = Vec::new();
        let read = (&self.file).seek(SeekFrom::Start(start));
        let read = read.and_then(|_| (&self.file).take(n.min(rest)).read_to_end(&mut bytes));
        read.map_err(|e| Error::invalid(format!("the file cannot be read: {e}")))?;
        Ok(Cow::Owned(bytes))
    }
}

/// The bytes of a record, read from the front.
struct Record<'a>(&'a [u8]);

impl<'a> Record<'a> {
    /// The record that begins `bytes`, with `signature`.
    fn begin(bytes: &'a [u8], signature: u32) -> Result<Record<'a>> {
        let mut record = Record(bytes);
        match record.u32()? == signature {
            true => Ok(record),
            false => Err(damaged("a record is not where it should be")),
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n).ok_or_else(|| damaged("it ends too early"))?;
        self.0 = rest;
        Ok(head)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as many bytes as were taken"))
    }

    fn u16(&mut self) -> Result<u16> {
        self.number().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.number().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.number().map(u64::from_le_bytes)
    }
}

/// Calls `each` with the name and the contents of every entry, in the order of the directory.
///
/// # Errors
/// When the archive is damaged, has entries that cannot be read here, or unpacks to absurdly much; and those of `each`.
pub(super) fn read(archive: &[u8], each: impl FnMut(&str, &[u8]) -> Result<()>) -> Result<()> {
    read_within(archive, limit(archive.len()), each)
}

/// [`read`], when the entries have at most `left` bytes all together, each counted packed or unpacked, whichever is more:
/// many may share their compressed bytes, and many compressed bytes may unpack to none.
fn read_within(archive: &[u8], mut left: usize, mut each: impl FnMut(&str, &[u8]) -> Result<()>) -> Result<()> {
    let (entries, directory) = directory(&archive)?;
    let mut rest = &directory[..];
    for _ in 0..entries {
        let entry = Entry::parse(&mut rest)?;
        let contents = entry.contents(&archive, left)?;
        left -= contents.len().max(entry.compressed as usize);
        each(&entry.name, &contents)?;
    }
    Ok(())
}

/// An archive whose entries are read one at a time, by name.
pub(super) struct Archive<S> {
    source: S,
    entries: HashMap<String, Entry>,
    /// The name of the first entry.
    first: String,
}

impl<S: Source> Archive<S> {
    /// Reads the directory.
    ///
    /// # Errors
    /// When it is damaged, empty, or has a name twice.
    pub fn open(source: S) -> Result<Archive<S>> {
        let (count, directory) = directory(&source)?;
        let (mut entries, mut first) = (HashMap::new(), None);
        let mut rest = &directory[..];
        for _ in 0..count {
            let entry = Entry::parse(&mut rest)?;
            first.get_or_insert_with(|| entry.name.clone());
            if let Some(twice) = entries.insert(entry.name.clone(), entry) {
                return Err(damaged(&format!("it has two entries named {}", twice.name)));
            }
        }
        drop(directory);
        let first = first.ok_or_else(|| Error::invalid("the ZIP archive is empty"))?;
        Ok(Archive { source, entries, first })
    }

    /// The name of the first entry.
    pub fn first(&self) -> &str {
        &self.first
    }

    /// The number of bytes of the archive.
    pub fn size(&self) -> u64 {
        self.source.size()
    }

    /// The number of bytes that the entry `name` claims to unpack to, if there is one.
    pub fn claimed(&self, name: &str) -> Option<u64> {
        self.entries.get(name).map(|entry| entry.size)
    }

    /// The contents of the entry `name`, if there is one: at most `limit` bytes, packed or unpacked.
    ///
    /// The checksum 0 of an entry that is not compressed stands for none: PyTorch leaves checksums out on request.
    pub fn contents(&self, name: &str, limit: usize) -> Option<Result<Cow<'_, [u8]>>> {
        self.entries.get(name).map(|entry| entry.contents_unless(entry.crc == 0, &self.source, limit))
    }

    /// The bytes that reading the entry `name` costs: packed or unpacked, whichever is more.
    pub fn cost(&self, name: &str) -> usize {
        let cost = |entry: &Entry| usize::try_from(entry.size.max(entry.compressed)).unwrap_or(usize::MAX);
        self.entries.get(name).map_or(0, cost)
    }
}

/// The number of entries and the directory, with what follows it up to the signature of the last record.
fn directory(archive: &impl Source) -> Result<(u64, Cow<'_, [u8]>)> {
    let (entries, start, end) = place(archive)?;
    let length = end.saturating_sub(start);
    if length > DIRECTORY {
        return Err(damaged(&format!("its directory claims {length} bytes, {DIRECTORY} are plausible")));
    }
    Ok((entries, archive.at(start, length)?))
}

/// The number of entries, where the directory begins, and the end of the signature that at the latest follows it.
fn place(archive: &impl Source) -> Result<(u64, u64, u64)> {
    // The last record has 22 bytes and a comment of at most 65535.
    let first = archive.size().saturating_sub(22 + u64::from(u16::MAX));
    let tail = archive.at(first, archive.size() - first)?;
    let found = |&at: &usize| tail[at..].starts_with(&END.to_le_bytes());
    let end = (0..tail.len().saturating_sub(21)).rev().find(found);
    let end = end.ok_or_else(|| Error::invalid("not a ZIP archive: it has no directory"))?;
    let mut record = Record::begin(&tail[end..], END)?;
    let (end, after) = (first + end as u64, first + end as u64 + 4);
    let [disk, directory_disk, here] = [record.u16()?, record.u16()?, record.u16()?];
    let (entries, _, start) = (record.u16()?, record.u32()?, record.u32()?);
    if entries == u16::MAX || start == u32::MAX {
        // The numbers are in a 64-bit record, whose place another one before this tells.
        if let Some(at) = end.checked_sub(20)
            && let Ok(mut place) = Record::begin(&archive.at(at, 20)?, END64_PLACE)
        {
            place.take(4)?;
            let record = archive.at(place.u64()?, 56)?;
            let mut record = Record::begin(&record, END64)?;
            record.take(8 + 2 + 2 + 4 + 4 + 8)?;
            let entries = record.u64()?;
            record.take(8)?;
            return Ok((entries, record.u64()?, after));
        }
    }
    match (disk, directory_disk, here == entries) {
        (0, 0, true) if u64::from(start) > archive.size() => Err(damaged("no directory")),
        (0, 0, true) => Ok((entries.into(), start.into(), after)),
        _ => Err(Error::invalid("the ZIP archive has several parts")),
    }
}

/// An entry of the directory.
struct Entry {
    name: String,
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u64,
    size: u64,
    local: u64,
}

impl Entry {
    /// Reads the record at the beginning of `rest`, which becomes what follows it.
    fn parse(rest: &mut &[u8]) -> Result<Entry> {
        let mut record = Record::begin(rest, CENTRAL)?;
        record.take(4)?;
        let [flags, method] = [record.u16()?, record.u16()?];
        record.take(4)?;
        let [crc, compressed, size] = [record.u32()?, record.u32()?, record.u32()?];
        let [name, extra, comment] = [record.u16()?, record.u16()?, record.u16()?];
        record.take(8)?;
        let local = record.u32()?;
        let name = String::from_utf8_lossy(record.take(name.into())?).into_owned();
        let mut extra = Record(record.take(extra.into())?);
        record.take(comment.into())?;
        *rest = record.0;
        let mut entry =
            Entry { name, flags, method, crc, compressed: compressed.into(), size: size.into(), local: local.into() };
        // The 64-bit extension holds those of the three numbers that did not fit.
        while let (Ok(kind), Ok(length)) = (extra.u16(), extra.u16()) {
            let mut field = Record(extra.take(length.into())?);
            if kind == 1 {
                for number in [&mut entry.size, &mut entry.compressed, &mut entry.local] {
                    if *number == u64::from(u32::MAX) {
                        *number = field.u64()?;
                    }
                }
            }
        }
        Ok(entry)
    }

    /// The unpacked contents, if they and the packed ones are at most `limit` bytes.
    fn contents<'a>(&self, archive: &'a impl Source, limit: usize) -> Result<Cow<'a, [u8]>> {
        self.contents_unless(false, archive, limit)
    }

    /// [`contents`](Entry::contents), which if they are stored may have `no_checksum`.
    fn contents_unless<'a>(&self, no_checksum: bool, archive: &'a impl Source, limit: usize) -> Result<Cow<'a, [u8]>> {
        let name = &self.name;
        if self.flags & 1 != 0 {
            return Err(Error::invalid(format!("{name}: the entry is encrypted")));
        }
        let local = archive.at(self.local, 30)?;
        let mut local = Record::begin(&local, LOCAL)?;
        local.take(22)?;
        let [name_length, extra] = [local.u16()?, local.u16()?];
        let start = self.local + 30 + u64::from(name_length) + u64::from(extra);
        if archive.size().saturating_sub(start) < self.compressed {
            return Err(damaged("it ends too early"));
        }
        // Before anything is read: what is not plausible takes no memory.
        let claimed = self.size.max(self.compressed);
        let size = usize::try_from(claimed).ok().filter(|&claimed| claimed <= limit).map(|_| self.size as usize);
        let size = size.ok_or_else(|| {
            Error::invalid(format!("{name}: the entry claims {claimed} bytes, {limit} are plausible"))
        })?;
        let packed = archive.at(start, self.compressed)?;
        if (packed.len() as u64) < self.compressed {
            return Err(damaged("it ends too early"));
        }
        let contents = match self.method {
            STORED => packed,
            DEFLATED => {
                let decoder = flate2::bufread::DeflateDecoder::new(&packed[..]);
                Cow::Owned(bytes::read_within(decoder, size.saturating_add(1))?)
            }
            other => return Err(Error::invalid(format!("{name}: compression method {other} is not known"))),
        };
        let mut crc = Crc::new();
        let checked = !(no_checksum && self.method == STORED);
        if checked {
            crc.update(&contents);
        }
        if contents.len() != size || checked && crc.sum() != self.crc {
            return Err(damaged(&format!("{name} has not the size or the checksum that its directory claims")));
        }
        Ok(contents)
    }
}

/// Makes an archive, entry by entry.
pub(super) struct Writer {
    compress: bool,
    archive: Vec<u8>,
    directory: Vec<u8>,
    entries: u16,
}

impl Writer {
    pub fn new(compress: bool) -> Writer {
        Writer { compress, archive: Vec::new(), directory: Vec::new(), entries: 0 }
    }

    /// Adds an entry, dated 1 January 1980, so that the same contents give the same bytes.
    ///
    /// # Errors
    /// When the archive becomes larger than the format's 32-bit numbers allow.
    pub fn add(&mut self, name: &str, contents: &[u8]) -> Result<()> {
        let packed = match self.compress {
            true => Cow::Owned(pack(flate2::bufread::DeflateEncoder::new(contents, Compression::default()))),
            false => Cow::Borrowed(contents),
        };
        let mut crc = Crc::new();
        crc.update(contents);
        let [packed_size, size, at] = [packed.len(), contents.len(), self.archive.len()];
        let [packed_size, size, at] = [small(packed_size)?, small(size)?, small(at)?];
        let name_length = u16::try_from(name.len()).map_err(|_| Error::invalid("the name of an array is too long"))?;
        // Version 2.0; names are UTF-8, which a flag says where it matters.
        let flags: u16 = if name.is_ascii() { 0 } else { 1 << 11 };
        let method = if self.compress { DEFLATED } else { STORED };
        let mut common = Vec::new();
        for number in [20, flags, method, 0, 0x21] {
            common.extend(number.to_le_bytes());
        }
        for number in [crc.sum(), packed_size, size] {
            common.extend(number.to_le_bytes());
        }
        common.extend(name_length.to_le_bytes());
        common.extend([0, 0]);
        self.archive.extend([&LOCAL.to_le_bytes()[..], &common, name.as_bytes(), &packed].concat());
        // No comment, first disk, no attributes.
        let place = [&[0; 10][..], &at.to_le_bytes()].concat();
        self.directory.extend([&CENTRAL.to_le_bytes()[..], &[20, 0], &common, &place, name.as_bytes()].concat());
        self.entries = self.entries.checked_add(1).filter(|&n| n < u16::MAX).ok_or_else(too_large)?;
        Ok(())
    }

    /// The bytes of the archive.
    ///
    /// # Errors
    /// As [`add`](Writer::add).
    pub fn finish(self) -> Result<Vec<u8>> {
        let [at, length] = [small(self.archive.len())?, small(self.directory.len())?];
        let mut archive = self.archive;
        archive.extend(self.directory);
        archive.extend([&END.to_le_bytes()[..], &[0; 4]].concat());
        archive.extend([self.entries.to_le_bytes(), self.entries.to_le_bytes()].concat());
        archive.extend([&length.to_le_bytes()[..], &at.to_le_bytes(), &[0; 2]].concat());
        Ok(archive)
    }
}

/// A number in 32 bits, of which the largest has a meaning of its own.
fn small(n: usize) -> Result<u32> {
    u32::try_from(n).ok().filter(|&n| n < u32::MAX).ok_or_else(too_large)
}

fn too_large() -> Error {
    Error::invalid("the arrays are too large or too many for an NPZ file without 64-bit extension: 4 GiB, 65534 arrays")
}

#[cfg(test)]
mod tests;
