//! TensorBoard's event files: scalars of a run for its graphs.
//!
//! An event file is a row of records, each `length u64, crc(length) u32, event, crc(event) u32`, all little-endian. The
//! checksum is CRC-32C, rotated and shifted so that one over data with checksums in it stays a good one. An event is a
//! message of protocol buffers, of which these fields are written:
//!
//! ```text
//! Event   1 wall_time double   2 step int64   3 file_version string   5 summary Summary   7 session_log SessionLog
//! Summary 1 value Value (repeated)            SessionLog 1 status enum (1 is START)
//! Value   1 tag string   2 simple_value float
//! ```
//!
//! It is written by hand: the crates that do it depend on runtimes for protocol buffers and on images, or download
//! sources while they are built, for what are four kinds of field.
//!
//! # Source
//! The schema `event.proto` and the writer `record_writer.py` of TensorBoard 2.21.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};

use crate::{Error, Result};

/// What the names of event files begin with; TensorBoard reads those of a directory in the order of their names.
pub const EVENTS: &str = "events.out.tfevents";

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Writes an event file, which only ever grows: a process may be killed at any time, and TensorBoard may read meanwhile.
///
/// A run that goes on after a checkpoint begins another file, which makes TensorBoard forget what it had of the steps
/// after the checkpoint:
///
/// ```
/// use models::tensorboard::EventWriter;
///
/// let dir = tempfile::tempdir().unwrap();
/// let mut events = EventWriter::create(dir.path(), 1)?;
/// events.scalars(1, &[("loss/train", 4.2), ("learning_rate", 1e-3)])?;
/// events.scalars(2, &[("loss/train", 4.1)])?;
/// events.flush()?;
///
/// // Later, from the checkpoint after step 1: step 2 is written again.
/// let mut events = EventWriter::create(dir.path(), 2)?;
/// events.scalars(2, &[("loss/train", 4.1)])?;
/// assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
/// # Ok::<(), models::Error>(())
/// ```
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// A new file in `dir` for a run whose next step is `first_step`: 1 when it begins. Its name comes after those of the
    /// event files that are there, even when the clock was set back.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(dir: &Path, first_step: usize) -> Result<EventWriter> {
        let mut number = next_number(dir).map_err(|e| Error::read(dir, e))?;
        let (path, file) = loop {
            let path = dir.join(format!("{EVENTS}.{number:010}.gradus"));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => break (path, file),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(e) => return Err(Error::write(&path, e)),
            }
        };
        let mut writer = EventWriter { path, file };
        writer.event(first_step, |event| put_bytes(event, 3, b"brain.Event:2"))?;
        // TensorBoard drops the steps from this one on at each START but the first that it sees, so that the file of a
        // run that begins needs one too.
        writer.event(first_step, |event| put_bytes(event, 7, &[1 << 3, 1]))?;
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes values of `step` under their tags, in single precision. Other processes see them at once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn scalars(&mut self, step: usize, values: &[(&str, f64)]) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut entry = Vec::new();
            put_bytes(&mut entry, 1, tag.as_bytes());
            put_key(&mut entry, 2, FIXED_32);
            entry.extend((*value as f32).to_le_bytes());
            put_bytes(&mut summary, 1, &entry);
        }
        self.event(step, |event| put_bytes(event, 5, &summary))
    }

    /// What was written is on the disk after this, and survives a loss of power.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::write(&self.path, e))
    }

    /// Writes a record by one call, with an event of this moment that `rest` completes.
    fn event(&mut self, step: usize, rest: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut event = Vec::new();
        put_key(&mut event, 1, FIXED_64);
        event.extend(now().to_le_bytes());
        put_key(&mut event, 2, VARINT);
        put_varint(&mut event, step as u64);
        rest(&mut event);

        let length = (event.len() as u64).to_le_bytes();
        let record = [&length[..], &checksum(&length), &event, &checksum(&event)].concat();
        self.file.write_all(&record).map_err(|e| Error::write(&self.path, e))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// The second of this moment, or more when an event file in `dir` has that in its name or a later one.
fn next_number(dir: &Path) -> io::Result<u64> {
    let mut next = now() as u64;
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix(EVENTS)?.strip_prefix('.')?.get(..10)?.parse().ok());
        next = next.max(number.map_or(0, |number: u64| number + 1));
    }
    Ok(next)
}

/// The masked CRC-32C of a record.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    CRC.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// How the value of a field is written.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED_32: u64 = 5;

fn put_key(out: &mut Vec<u8>, field: u64, kind: u64) {
    put_varint(out, field << 3 | kind);
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn put_varint(out: &mut Vec<u8>, mut x: u64) {
    while x > 0x7f {
        out.push(x as u8 | 0x80);
        x >>= 7;
    }
    out.push(x as u8);
}

/// A text or a message.
fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_key(out, field, LENGTH);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}
