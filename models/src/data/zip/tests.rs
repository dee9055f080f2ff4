//! Archives that are whole, cut, huge and lying.

use super::*;

fn all(archive: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut entries = Vec::new();
    read(archive, |name, bytes| {
        entries.push((name.to_string(), bytes.to_vec()));
        Ok(())
    })?;
    Ok(entries)
}

fn archive(compress: bool) -> Vec<u8> {
    let mut writer = Writer::new(compress);
    writer.add("a", b"").unwrap();
    writer.add("b", &[7; 500]).unwrap();
    writer.finish().unwrap()
}

fn refused(archive: &[u8], says: &str) {
    let message = all(archive).unwrap_err().to_string();
    assert!(message.contains(says), "{message}");
}

/// Where the directory's record of the second entry begins.
fn second(archive: &[u8]) -> usize {
    let found = archive.windows(4).rposition(|bytes| bytes == CENTRAL.to_le_bytes());
    found.unwrap()
}

#[test]
fn entries_come_back() {
    for compress in [false, true] {
        let read = all(&archive(compress)).unwrap();
        assert_eq!(read, [("a".to_string(), vec![]), ("b".to_string(), vec![7; 500])]);
    }
    // A comment may follow, and what stands before the end may look like it.
    let mut commented = archive(false);
    let n = commented.len();
    commented[n - 2] = 5;
    commented.extend(b"PK\x05\x06!");
    assert_eq!(all(&commented).unwrap().len(), 2);
}

#[test]
fn the_64_bit_extension_is_read() {
    let small = archive(false);
    let (end, at) = (small.len() - 22, second(&small));
    let start = u32::from_le_bytes(small[end + 16..end + 20].try_into().unwrap());
    let local = u32::from_le_bytes(small[at + 42..at + 46].try_into().unwrap());
    // The numbers of the second entry move into its extra field, those of the end into a record of their own.
    let mut large = small[..end].to_vec();
    large[at + 20..at + 28].fill(0xff);
    large[at + 42..at + 46].fill(0xff);
    large[at + 30] = 28;
    large.extend([1, 0, 24, 0]);
    for number in [500, 500, u64::from(local)] {
        large.extend(number.to_le_bytes());
    }
    let place = large.len() as u64;
    large.extend([&END64.to_le_bytes()[..], &44u64.to_le_bytes(), &[45, 0, 45, 0], &[0; 8]].concat());
    for number in [2, 2, 0, u64::from(start)] {
        large.extend(number.to_le_bytes());
    }
    large.extend([&END64_PLACE.to_le_bytes()[..], &[0; 4], &place.to_le_bytes(), &[1, 0, 0, 0]].concat());
    large.extend([&END.to_le_bytes()[..], &[0; 4], &[0xff; 12], &[0; 2]].concat());
    assert_eq!(all(&large).unwrap(), all(&small).unwrap());
    let n = large.len();
    large[n - 34..n - 26].fill(0xff);
    refused(&large, "a record lies beyond its end");
}

#[test]
fn damaged_archives_are_refused() {
    refused(b"", "not a ZIP archive");
    refused(&[0; 100], "not a ZIP archive");
    let good = archive(true);
    for cut in 0..good.len() {
        assert!(all(&good[..cut]).is_err(), "cut at {cut}");
    }
    let (end, at) = (good.len() - 22, second(&good));
    let with = |place: usize, bytes: &[u8]| {
        let mut wrong = good.clone();
        wrong[place..place + bytes.len()].copy_from_slice(bytes);
        wrong
    };
    refused(&with(at + 16, &[1, 2, 3, 4]), "b has not the size or the checksum");
    refused(&with(at + 24, &[9, 0, 0, 0]), "b has not the size or the checksum");
    refused(&with(at + 24, &[0xfe, 0xff, 0xff, 0xff]), "claims 4294967294 bytes");
    refused(&with(at + 20, &[0xfe, 0xff, 0xff, 0xff]), "it ends too early");
    refused(&with(at + 8, &[1]), "b: the entry is encrypted");
    refused(&with(at + 10, &[12]), "b: compression method 12 is not known");
    refused(&with(at + 42, &[1]), "a record is not where it should be");
    refused(&with(end + 4, &[1]), "several parts");
    refused(&with(end + 8, &[9, 0, 9, 0]), "a record is not where it should be");
    refused(&with(end + 16, &[0xf0, 0xff, 0xff, 0xff]), "no directory");
}

/// A terabyte of zeros between the beginning and the end of an archive, of which nobody may read much.
struct Huge {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Source for Huge {
    fn size(&self) -> u64 {
        1 << 40
    }

    fn at(&self, start: u64, n: u64) -> Result<Cow<'_, [u8]>> {
        assert!(n <= DIRECTORY, "{n} bytes are read");
        let (first, rest) = (self.size() - self.tail.len() as u64, self.size().saturating_sub(start));
        let byte = |at: u64| match at.checked_sub(first) {
            Some(at) => self.tail[at as usize],
            None => self.head.get(at as usize).copied().unwrap_or(0),
        };
        Ok(Cow::Owned((start..start + n.min(rest)).map(byte).collect()))
    }
}

#[test]
fn a_record_does_not_decide_how_much_is_read() {
    // The directory begins at 0 and ends a terabyte later.
    let mut end = [&END.to_le_bytes()[..], &[0; 18]].concat();
    end[8..12].copy_from_slice(&[1, 0, 1, 0]);
    let message = Archive::open(Huge { head: Vec::new(), tail: end }).err().unwrap().to_string();
    assert!(message.contains("its directory claims") && message.contains("67108864 are plausible"), "{message}");

    // An entry whose packed bytes are half of it, of which a reader wants few.
    let compressed = 1 << 39;
    let entry = Entry { name: "few".into(), flags: 0, method: STORED, crc: 0, compressed, size: 64, local: 0 };
    let local = [&LOCAL.to_le_bytes()[..], &[0; 26]].concat();
    let message = entry.contents(&Huge { head: local, tail: Vec::new() }, 64).unwrap_err().to_string();
    assert!(message.contains("few: the entry claims 549755813888 bytes, 64 are plausible"), "{message}");
}

#[test]
fn entries_that_share_their_bytes_are_counted_each() {
    // 2000 entries of 1 MiB each, all at the same few compressed bytes.
    let mut writer = Writer::new(true);
    writer.add("a", &vec![0; 1 << 20]).unwrap();
    let record = writer.directory.clone();
    (1..2000).for_each(|_| writer.directory.extend(&record));
    writer.entries = 2000;
    let (mut total, bomb) = (0, writer.finish().unwrap());
    let stopped = read_within(&bomb, 10 << 20, |_, bytes| {
        total += bytes.len();
        Ok(())
    });
    assert!(stopped.unwrap_err().to_string().contains("the entry claims 1048576 bytes, 0 are plausible"));
    assert_eq!(total, 10 << 20);
}

#[test]
fn compressed_bytes_that_unpack_to_nothing_are_counted() {
    // Before the last block of the only entry, 100 KiB of empty ones, which are read for each record that shares them.
    let mut writer = Writer::new(true);
    writer.add("a", b"x").unwrap();
    let (packed, empty) = (writer.archive.split_off(31), [0, 0, 0, 0xff, 0xff].repeat(20_000));
    writer.archive.extend_from_slice(&empty);
    writer.archive.extend_from_slice(&packed);
    let size = (empty.len() + packed.len()) as u32;
    writer.directory[20..24].copy_from_slice(&size.to_le_bytes());
    let record = writer.directory.clone();
    (1..50).for_each(|_| writer.directory.extend(&record));
    writer.entries = 50;
    let (mut entries, bomb) = (0, writer.finish().unwrap());
    let stopped = read_within(&bomb, 10 * size as usize, |_, bytes| {
        assert_eq!(bytes, b"x");
        entries += 1;
        Ok(())
    });
    assert!(stopped.unwrap_err().to_string().contains("bytes, 0 are plausible"));
    assert_eq!(entries, 10);
}
