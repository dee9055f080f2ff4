//! The table of a run's losses, which grows row by row and is cut when the run goes back to a checkpoint.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::curve::{Curve, HEADER, Point};
use crate::{Error, Result};

/// `loss.csv`, open at its end.
pub(super) struct Table {
    path: PathBuf,
    file: File,
    last: usize,
}

impl Table {
    /// The table of a run that goes on after `step` steps: the rows up to there stay, whatever follows is cut off.
    pub(super) fn open(path: &Path, step: usize) -> Result<Table> {
        let text = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::read(path, e)),
        };
        let (length, last) = whole_rows(&text, step);
        let open = || -> io::Result<File> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
            if length < text.len() {
                file.set_len(length as u64)?;
            }
            file.seek(SeekFrom::End(0))?;
            if length == 0 {
                file.write_all(HEADER.as_bytes())?;
            }
            Ok(file)
        };
        let file = open().map_err(|e| Error::write(path, e))?;
        Ok(Table { path: path.to_path_buf(), file, last })
    }

    /// The step of the last row; 0 without rows.
    pub(super) fn last(&self) -> usize {
        self.last
    }

    /// Adds a row, which other processes see at once.
    pub(super) fn add(&mut self, point: &Point) -> Result<()> {
        self.last = point.step;
        self.file.write_all(point.to_csv().as_bytes()).map_err(|e| Error::write(&self.path, e))
    }

    /// The rows are on the disk after this.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::write(&self.path, e))
    }
}

/// The length of the header and the rows up to `step`, and the step of the last of them. What is no whole row in its
/// order ends the table.
fn whole_rows(text: &[u8], step: usize) -> (usize, usize) {
    let Some(mut rest) = text.strip_prefix(HEADER.as_bytes()) else { return (0, 0) };
    let mut last = 0;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let row = std::str::from_utf8(&rest[..end]).ok().and_then(Point::from_csv);
        match row {
            Some(point) if point.step > last && point.step <= step => last = point.step,
            _ => break,
        }
        rest = &rest[end + 1..];
    }
    (text.len() - rest.len(), last)
}

/// The curve in the table at `path`.
pub(super) fn curve(path: &Path) -> Result<Curve> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::read(path, e))?;
    Curve::from_csv(&text).map_err(|e| Error::in_file(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(step: usize) -> Point {
        Point { step, loss: 1.0 / step as f64, lr: 1e-3, val_loss: step.is_multiple_of(2).then_some(0.5) }
    }

    #[test]
    fn rows_past_the_checkpoint_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("loss.csv");
        let write = |table: &mut Table, steps: std::ops::RangeInclusive<usize>| {
            steps.for_each(|step| table.add(&point(step)).unwrap());
            table.sync().unwrap();
        };
        write(&mut Table::open(&path, 0).unwrap(), 1..=5);
        let five = std::fs::read(&path).unwrap();
        write(&mut Table::open(&path, 5).unwrap(), 6..=9);
        let nine = std::fs::read(&path).unwrap();
        for torn in [&nine[..], &nine[..nine.len() - 3], &[&five[..], b"6,"].concat(), &[&five[..], b"\xff\n"].concat()]
        {
            std::fs::write(&path, torn).unwrap();
            let mut table = Table::open(&path, 5).unwrap();
            assert_eq!(table.last(), 5);
            assert_eq!(std::fs::read(&path).unwrap(), five);
            write(&mut table, 6..=9);
            assert_eq!(std::fs::read(&path).unwrap(), nine);
        }
        assert_eq!(curve(&path).unwrap().points.len(), 9);
        // A new run begins a new table.
        assert_eq!(Table::open(&path, 0).unwrap().last(), 0);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), HEADER);
    }

    #[test]
    fn a_table_that_was_lost_or_replaced_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("loss.csv");
        let mut table = Table::open(&path, 7).unwrap();
        assert_eq!(table.last(), 0);
        table.add(&point(8)).unwrap();
        // The gap stays a gap.
        assert_eq!(Table::open(&path, 8).unwrap().last(), 8);
        for other in ["", "step,loss\n1,2\n", "no table"] {
            std::fs::write(&path, other).unwrap();
            assert_eq!(Table::open(&path, 3).unwrap().last(), 0);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), HEADER);
        }
        assert!(Table::open(dir.path(), 0).is_err());
    }
}
