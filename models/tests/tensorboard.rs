//! Event files for TensorBoard, read again: records, checksums, events, and what a resumed run leaves to be drawn.

mod binary;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use binary::{refuses, report, succeeds};
use models::tensorboard::{EVENTS, EventWriter};

/// CRC-32C bit by bit, masked.
fn checksum(bytes: &[u8]) -> u32 {
    let crc = !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    });
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A field of a message.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Varint(u64),
    Double(f64),
    Float(f32),
    Bytes(Vec<u8>),
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (head, tail) = rest.split_first_chunk().expect("too short");
    *rest = tail;
    *head
}

fn varint(rest: &mut &[u8]) -> u64 {
    let (mut x, mut shift) = (0, 0);
    loop {
        let [byte] = take(rest);
        x |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return x;
        }
    }
}

/// The fields of a message with their numbers.
fn fields(mut message: &[u8]) -> Vec<(u64, Field)> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let value = match key & 7 {
            0 => Field::Varint(varint(&mut message)),
            1 => Field::Double(f64::from_le_bytes(take(&mut message))),
            5 => Field::Float(f32::from_le_bytes(take(&mut message))),
            2 => {
                let length = varint(&mut message) as usize;
                let (bytes, rest) = message.split_at(length);
                message = rest;
                Field::Bytes(bytes.to_vec())
            }
            kind => panic!("wire type {kind}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

#[derive(Debug, PartialEq)]
enum What {
    Version(String),
    Start,
    Scalars(BTreeMap<String, f32>),
}

/// The events of a file, each with its step; the file ends with a whole record.
fn events(path: &Path) -> Vec<(u64, What)> {
    let bytes = fs::read(path).unwrap();
    let (mut rest, mut events) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let length = take::<8>(&mut rest);
        assert_eq!(u32::from_le_bytes(take(&mut rest)), checksum(&length));
        let (event, after) = rest.split_at(u64::from_le_bytes(length) as usize);
        rest = after;
        assert_eq!(u32::from_le_bytes(take(&mut rest)), checksum(event));
        events.push(match &fields(event)[..] {
            [(1, Field::Double(time)), (2, Field::Varint(step)), (number, Field::Bytes(bytes))] => {
                assert!((1.7e9..1e10).contains(time), "{time} is no time of now");
                (*step, what(*number, bytes))
            }
            other => panic!("{other:?}"),
        });
    }
    events
}

fn what(number: u64, bytes: &[u8]) -> What {
    match number {
        3 => What::Version(String::from_utf8(bytes.to_vec()).unwrap()),
        5 => What::Scalars(fields(bytes).into_iter().map(scalar).collect()),
        7 => {
            assert_eq!(fields(bytes), [(1, Field::Varint(1))]);
            What::Start
        }
        other => panic!("field {other}"),
    }
}

fn scalar(field: (u64, Field)) -> (String, f32) {
    let (1, Field::Bytes(value)) = field else { panic!("{field:?}") };
    match &fields(&value)[..] {
        [(1, Field::Bytes(tag)), (2, Field::Float(x))] => (String::from_utf8(tag.clone()).unwrap(), *x),
        other => panic!("{other:?}"),
    }
}

/// The event files of a directory in their order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let is_events = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(EVENTS);
    let mut files: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(is_events);
    files.sort();
    files
}

/// The scalars that TensorBoard shows of a directory: at each START it drops the steps from there on.
fn shown(dir: &Path) -> BTreeMap<u64, BTreeMap<String, f32>> {
    let mut shown: BTreeMap<u64, BTreeMap<String, f32>> = BTreeMap::new();
    for (step, what) in files(dir).iter().flat_map(|path| events(path)) {
        match what {
            What::Version(version) => assert_eq!(version, "brain.Event:2"),
            What::Start => drop(shown.split_off(&step)),
            What::Scalars(scalars) => assert!(shown.insert(step, scalars).is_none(), "step {step} is there twice"),
        }
    }
    shown
}

#[test]
fn the_checksum_is_that_of_crc_32c() {
    // The check value of CRC-32C is e3069283.
    assert_eq!(checksum(b"123456789"), 0xe306_9283u32.rotate_right(15).wrapping_add(0xa282_ead8));
}

#[test]
fn what_is_written_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path(), 1).unwrap();
    writer.scalars(1, &[("loss/train", 4.25), ("Größe", -1e-3)]).unwrap();
    writer.scalars(300, &[]).unwrap();
    let long = "x".repeat(200);
    // A length and a step of several bytes; numbers that are none; what single precision cannot hold.
    writer.scalars(usize::MAX >> 1, &[(&long, f64::NAN), ("", f64::INFINITY), ("big", 1e300)]).unwrap();
    writer.flush().unwrap();
    let events = events(writer.path());
    assert_eq!(events[0], (1, What::Version("brain.Event:2".into())));
    assert_eq!(events[1], (1, What::Start));
    let scalars = |pairs: &[(&str, f32)]| What::Scalars(pairs.iter().map(|&(tag, x)| (tag.to_owned(), x)).collect());
    assert_eq!(events[2], (1, scalars(&[("loss/train", 4.25), ("Größe", -1e-3)])));
    assert_eq!(events[3], (300, scalars(&[])));
    let (step, What::Scalars(last)) = &events[4] else { panic!("{:?}", events[4]) };
    assert_eq!((*step, last.len(), last[""], last["big"]), (u64::MAX >> 1, 3, f32::INFINITY, f32::INFINITY));
    assert!(last[&long].is_nan());
}

#[test]
fn a_later_file_has_a_later_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    // Of a clock that was ahead, and of no number.
    fs::write(dir.path().join(format!("{EVENTS}.9000000000.host.1.0")), "").unwrap();
    fs::write(dir.path().join(format!("{EVENTS}.x")), "").unwrap();
    for step in 1..4 {
        names.push(EventWriter::create(dir.path(), step).unwrap().path().to_path_buf());
    }
    assert!(names.is_sorted() && names[0].to_str().unwrap().contains(".9000000001."), "{names:?}");
    let missing = EventWriter::create(&dir.path().join("missing"), 1).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read ") && missing.contains("missing"), "{missing}");
}

const TINY: &str = "train --data text --layers 1 --heads 2 --width 16 --context 8 --batch 2 --warmup 5 --eval-every 7 \
                    --eval-batches 1 --threads 1 --steps 30";

fn gpt(dir: &Path, args: &str) -> String {
    succeeds(dir, &args.split_whitespace().collect::<Vec<_>>())
}

/// What TensorBoard shows of `run` is its table.
#[track_caller]
fn assert_shows_the_table(run: &Path, steps: std::ops::RangeInclusive<u64>) {
    let shown = shown(run);
    assert_eq!(shown.keys().copied().collect::<Vec<_>>(), steps.clone().collect::<Vec<_>>());
    let table = fs::read_to_string(run.join("loss.csv")).unwrap();
    let mut evaluations = 0;
    for row in table.lines().skip(*steps.start() as usize) {
        let columns: Vec<f32> = row.split(',').map(|column| column.parse().unwrap_or(f32::NAN)).collect();
        let scalars = &shown[&(columns[0] as u64)];
        assert!((scalars["loss/train"] - columns[1]).abs() < 1e-6, "{row} {scalars:?}");
        assert!((scalars["learning_rate"] - columns[2]).abs() < 1e-9, "{row} {scalars:?}");
        assert!(scalars["gradient_norm"] > 0.0 && scalars["tokens_per_s"] > 0.0, "{scalars:?}");
        match scalars.get("loss/validation") {
            Some(loss) => assert!((loss - columns[3]).abs() < 1e-6, "{row} {scalars:?}"),
            None => assert!(columns[3].is_nan(), "{row} {scalars:?}"),
        }
        evaluations += usize::from(scalars.contains_key("loss/validation"));
    }
    assert!(evaluations >= 2);
}

#[test]
fn a_run_and_its_resume_are_shown_as_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("text"), "the cat sat on the mat; the hat was flat.\n".repeat(40)).unwrap();
    let run = dir.path().join("run");
    let out = gpt(dir.path(), &format!("{TINY} --out run --save-every 10 --tensorboard --json"));
    let keys = ["steps", "train_loss", "val_loss", "tokens_per_s", "seconds", "peak_rss_mb", "parameters"];
    let loss = report(&out, &keys)["val_loss"].as_f64().unwrap();
    assert_eq!(shown(&run)[&30]["loss/validation"], loss as f32);
    assert_shows_the_table(&run, 1..=30);
    assert_eq!(files(&run).len(), 1);
    let weights = fs::read(run.join("model.safetensors")).unwrap();

    // As a kill between steps 20 and 30 leaves it: the last checkpoint is gone, the events are there.
    fs::remove_dir_all(run.join("checkpoints/step-00000030")).unwrap();
    gpt(dir.path(), "train --resume --out run --tensorboard");
    let [first, second] = &files(&run)[..] else { panic!("{:?}", files(&run)) };
    assert_eq!((events(first).last().unwrap().0, events(second)[1].0), (30, 21));
    assert_shows_the_table(&run, 1..=30);
    assert!(fs::read(run.join("model.safetensors")).unwrap() == weights);

    // A finished run writes none, nor one that is refused.
    gpt(dir.path(), "train --resume --out run --tensorboard");
    let other = ["train", "--resume", "--out", "run", "--tensorboard", "--steps", "31"];
    refuses(dir.path(), &other, "--steps 31 instead of 30");
    assert_eq!(files(&run).len(), 2);
    // The events are no part of what a resume compares: they may begin and end with any process.
    gpt(dir.path(), &format!("{TINY} --out other --save-every 10"));
    assert!(files(&dir.path().join("other")).is_empty());
    fs::remove_dir_all(dir.path().join("other/checkpoints/step-00000030")).unwrap();
    gpt(dir.path(), "train --resume --out other --tensorboard");
    assert_shows_the_table(&dir.path().join("other"), 21..=30);

    // Another run in the place of this one leaves only its own.
    gpt(dir.path(), &format!("{TINY} --out run --seed 2 --tensorboard"));
    assert_eq!(files(&run).len(), 1);
    assert_shows_the_table(&run, 1..=30);
    gpt(dir.path(), &format!("{TINY} --out run --seed 3"));
    assert!(files(&run).is_empty());
}
