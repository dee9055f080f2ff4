//! Checkpoints of several files: what is in them, what is refused, and what a killed writer leaves.

use std::path::PathBuf;

use super::*;
use crate::safetensors::sharded::{New, copy};

/// Tensors of these sizes in bytes, filled with `value`.
fn tensors(sizes: &[usize], value: f32) -> Vec<(String, Tensor)> {
    let one = |(i, &bytes): (usize, &usize)| (format!("t{i}"), Tensor::full([bytes / 4], value.into(), DType::F32));
    sizes.iter().enumerate().map(one).collect()
}

fn shard(number: usize, count: usize) -> String {
    format!("model-{number:05}-of-{count:05}.safetensors")
}

fn index(directory: &Path) -> PathBuf {
    directory.join(INDEX)
}

#[test]
fn shards_are_filled_in_order_as_by_hugging_face() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().join("made/for/it");
    // The names that huggingface_hub 1.x gives: a tensor beyond the limit goes to a file of its own at once, the one
    // that is being filled gets its number when it is full.
    let sizes = [40, 80, 12, 400, 8];
    let tensors = tensors(&sizes, 1.0);
    let metadata = text(&[("format", "pt"), ("b", "2")]);
    let files = save_sharded(&dir, "model", &tensors, &metadata, 100).unwrap();
    let names = [shard(1, 3), shard(2, 3), shard(3, 3), INDEX.to_string()];
    assert_eq!(files, names.clone().map(|name| dir.join(name)));
    assert_eq!(listing(&dir), names);
    let expected = "{\n  \"metadata\": {\n    \"total_parameters\": 135,\n    \"total_size\": 540\n  },\n  \"weight_map\": {\n    \"t0\": \"model-00001-of-00003.safetensors\",\n    \"t1\": \"model-00003-of-00003.safetensors\",\n    \"t2\": \"model-00003-of-00003.safetensors\",\n    \"t3\": \"model-00002-of-00003.safetensors\",\n    \"t4\": \"model-00003-of-00003.safetensors\"\n  }\n}\n";
    assert_eq!(std::fs::read_to_string(index(&dir)).unwrap(), expected);
    for path in [dir.clone(), index(&dir)] {
        for reader in [Reader::open(&path).unwrap(), Reader::open_mapped(&path).unwrap()] {
            assert_same(&reader.read_all().unwrap().tensors, &tensors);
            assert_eq!(reader.metadata(), text(&[("b", "2"), ("format", "pt")]));
            assert_eq!(reader.bytes(), 540);
            assert_eq!(reader.files().collect::<Vec<_>>(), names[..3].iter().map(|n| dir.join(n)).collect::<Vec<_>>());
            assert_eq!(reader.file_of(reader.info("t3").unwrap()), dir.join(shard(2, 3)));
        }
    }
    assert_same(&load(dir.join(shard(3, 3))).unwrap().tensors, &[&tensors[1..3], &tensors[4..]].concat());
    assert!(refused(save_sharded(&dir, "a/b", &tensors, &metadata, 100)).contains("not a plain file name"));
    let twice = [tensors[0].clone(), tensors[0].clone()];
    assert!(refused(save_sharded(&dir, "model", &twice, &[], 1)).contains("two tensors are named"));
}

#[test]
fn what_fits_is_one_file_and_replaces_the_shards() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let save = |sizes: &[usize], limit| save_sharded(dir, "model", &tensors(sizes, 1.0), &[], limit).unwrap();
    for name in ["config.json", "model-x-of-y.safetensors", "other-00001-of-00002.safetensors", "model.bin"] {
        std::fs::write(dir.join(name), "").unwrap();
    }
    let others = listing(dir);
    let left = || listing(dir).into_iter().filter(|name| !others.contains(name)).collect::<Vec<_>>();
    save(&[40, 40, 40], 40);
    assert_eq!(left(), [shard(1, 3), shard(2, 3), shard(3, 3), INDEX.to_string()]);
    save(&[40, 40, 40], 80);
    assert_eq!(left(), [shard(1, 2), shard(2, 2), INDEX.to_string()]);
    assert_eq!(save(&[40, 40, 40], 120), [dir.join(SINGLE)]);
    assert_eq!(left(), [SINGLE]);
    save(&[40, 40, 40], 80);
    assert_eq!(left(), [shard(1, 2), shard(2, 2), INDEX.to_string()]);
    save(&[], 0);
    assert_eq!(left(), [SINGLE]);
    // A stem of its own is another checkpoint.
    save_sharded(dir, "adapter", &tensors(&[40, 40], 2.0), &[], 40).unwrap();
    let reader = Reader::open(dir.join("adapter.safetensors.index.json")).unwrap();
    assert_same(&reader.read_all().unwrap().tensors, &tensors(&[40, 40], 2.0));
    assert!(dir.join(SINGLE).is_file());
}

/// A directory with two shards, `a` in the first and `b` in the second, and an index of this text.
fn written(index_text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    for (name, file) in [("a", "1.safetensors"), ("b", "2.safetensors")] {
        save(directory.path().join(file), &[(name.into(), Tensor::scalar(1.0))], &text(&[("format", "pt")])).unwrap();
    }
    let path = index(directory.path());
    std::fs::write(&path, index_text).unwrap();
    (directory, path)
}

#[track_caller]
fn assert_refused(index_text: &str, what: &str) {
    let (directory, path) = written(index_text);
    let message = refused(Reader::open(directory.path()));
    assert!(message.contains(what), "{message}");
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert_eq!(refused(Reader::open_mapped(&path)), message);
}

#[test]
fn indexes_are_checked() {
    let good = r#"{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#;
    assert_eq!(Reader::open(written(good).0.path()).unwrap().names().collect::<Vec<_>>(), ["a", "b"]);
    // Sizes are not needed, whatever they are; text is.
    let more = r#"{"metadata":{"total_size":1.5e9,"made by":"hand","format":"np"},"weight_map":{"a":"1.safetensors","b":"2.safetensors"},"x":[]}"#;
    let reader = Reader::open(written(more).0.path()).unwrap();
    assert_eq!(reader.metadata(), text(&[("format", "np"), ("made by", "hand")]));
    for outside in
        ["../1.safetensors", "/1.safetensors", "x/1.safetensors", "x\\\\1", "C:1", "..", ".", "", "a\\u0000b", "./1"]
    {
        let text = format!(r#"{{"weight_map":{{"a":"{outside}","b":"2.safetensors"}}}}"#);
        assert_refused(&text, r#"the index puts "a" into "#);
    }
    assert_refused(r#"{"weight_map":{"a":"1.safetensors","b":"3.safetensors"}}"#, "3.safetensors: is not there");
    let lacks = r#""c" should be in 2.safetensors and is nowhere"#;
    assert_refused(r#"{"weight_map":{"a":"1.safetensors","b":"2.safetensors","c":"2.safetensors"}}"#, lacks);
    let swapped = r#""a" should be in 2.safetensors and is in 1.safetensors"#;
    assert_refused(r#"{"weight_map":{"a":"2.safetensors","b":"1.safetensors"}}"#, swapped);
    assert_refused(r#"{"weight_map":{"a":"1.safetensors","a":"1.safetensors"}}"#, r#""a" stands there twice"#);
    assert_refused(r#"{"weight_map":{},"weight_map":{}}"#, "duplicate field `weight_map`");
    assert_refused(r#"{"metadata":{}}"#, "missing field `weight_map`");
    assert_refused(r#"{"weight_map":{"a":1}}"#, r#""a": invalid type"#);
    assert_refused(r#"{"weight_map":["a"]}"#, "invalid type");
    assert_refused("", "the index is wrong");
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_refused(&format!(r#"{{"metadata":{{"x":{deep}}},"weight_map":{{}}}}"#), "recursion limit exceeded");
    assert_refused(&format!(r#"{{"weight_map":{{"a":{deep}}}}}"#), r#""a": invalid type"#);
}

#[test]
fn a_tensor_in_two_shards_is_refused() {
    let (directory, _) = written(r#"{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#);
    let both: Vec<_> = ["a", "b"].map(|name| (name.to_string(), Tensor::scalar(1.0))).into();
    save(directory.path().join("2.safetensors"), &both, &[]).unwrap();
    let message = refused(Reader::open(directory.path()));
    assert!(message.contains(r#""a" is in both 1.safetensors and 2.safetensors"#), "{message}");
    // A tensor that the index forgets is there nevertheless.
    let forgotten = [("b".to_string(), Tensor::scalar(1.0)), ("c".to_string(), Tensor::scalar(2.0))];
    save(directory.path().join("2.safetensors"), &forgotten, &[]).unwrap();
    assert_eq!(Reader::open(directory.path()).unwrap().names().collect::<Vec<_>>(), ["a", "b", "c"]);
    // A shard that is broken says which.
    std::fs::write(directory.path().join("2.safetensors"), "x").unwrap();
    assert!(refused(Reader::open(directory.path())).contains("2.safetensors: safetensors: 1 bytes"));
}

/// What stands in for a second name where the file system has none.
#[test]
fn a_copied_shard_is_whole_or_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let [from, to] = ["a", "b"].map(|name| directory.path().join(name));
    // Longer than what a writer gathers, and not a multiple of it.
    let bytes: Vec<u8> = (0..1_000_003u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(&from, &bytes).unwrap();
    copy(&from, &to).unwrap();
    assert!(std::fs::read(&to).unwrap() == bytes);
    assert_eq!(listing(directory.path()), ["a", "b"]);
    // A directory can be opened as a file, but not read: the copy fails after it has begun.
    std::fs::remove_file(&to).unwrap();
    let inside = directory.path().join("c");
    std::fs::create_dir(&inside).unwrap();
    for unreadable in [inside, directory.path().join("missing")] {
        assert!(copy(&unreadable, &to).is_err());
        assert_eq!(listing(directory.path()), ["a", "c"]);
    }
}

/// A writer that is killed after any of its steps leaves the former checkpoint or the new one, and the next writer
/// leaves nothing of it.
#[test]
fn a_writer_killed_at_any_step_leaves_a_whole_checkpoint() {
    // As many shards, more, fewer, one instead of several, and several instead of one.
    let three = [40, 40, 40];
    let changes: [(&[usize], u64, &[usize], u64); 6] = [
        (&three, 40, &[20, 40, 40], 40),
        (&three, 40, &[40, 40, 40, 40], 40),
        (&three, 40, &[40, 40], 40),
        (&three, 40, &three, 1000),
        (&three, 1000, &three, 40),
        (&three, 1000, &[40], 1000),
    ];
    for (old_sizes, old_limit, new_sizes, new_limit) in changes {
        let (old, new) = (tensors(old_sizes, 1.0), tensors(new_sizes, 2.0));
        let mut after = 0;
        let mut seen_new = false;
        loop {
            let directory = tempfile::tempdir().unwrap();
            let dir = directory.path();
            save_sharded(dir, "model", &old, &[], old_limit).unwrap();
            let staged = New::stage(dir, "model", &new, &[], new_limit).unwrap();
            let mut steps = staged.steps(dir, "model").unwrap().into_iter();
            let done = steps.by_ref().take(after).map(|step| step().unwrap()).count();
            // The rest is forgotten, as a killed process does: its temporary files stay.
            steps.for_each(std::mem::forget);

            let read = load(dir).unwrap().tensors;
            let is_new = read.len() == new.len() && read[0].1.bit_eq(&new[0].1);
            assert_same(&read, if is_new { &new } else { &old });
            assert!(is_new || !seen_new, "the new checkpoint went away again after step {done}");
            seen_new |= is_new;

            // The next writer finds its way from there.
            let files = save_sharded(dir, "model", &old, &[], old_limit).unwrap();
            assert_same(&load(dir).unwrap().tensors, &old);
            let mut left = listing(dir);
            left.retain(|name| !name.starts_with(".tmp-"));
            assert_eq!(left.len(), files.len(), "{left:?}");
            if done < after {
                break;
            }
            after += 1;
        }
        assert!(seen_new && after > 3);
    }
}

/// Killed while it writes over what another killed writer left.
#[test]
fn writers_killed_one_after_the_other_leave_a_whole_checkpoint() {
    let versions: Vec<_> = (0..4).map(|i| tensors(&[40, 40], i as f32)).collect();
    // Of one of these, after the second name of a shard, the index that names it, the shards, the index, the removals.
    for first in [1, 4, 5, 6, 8] {
        for second in [2, 4, 6, 8] {
            let directory = tempfile::tempdir().unwrap();
            let dir = directory.path();
            save_sharded(dir, "model", &versions[0], &[], 40).unwrap();
            for (version, after) in [(1, first), (2, second)] {
                let staged = New::stage(dir, "model", &versions[version], &[], 40).unwrap();
                let mut steps = staged.steps(dir, "model").unwrap().into_iter();
                steps.by_ref().take(after).for_each(|step| step().unwrap());
                steps.for_each(std::mem::forget);
                let read = load(dir).unwrap().tensors;
                let at = read[0].1.get::<f32>(&[0]) as usize;
                assert!(at <= version);
                assert_same(&read, &versions[at]);
            }
            save_sharded(dir, "model", &versions[3], &[], 40).unwrap();
            assert_same(&load(dir).unwrap().tensors, &versions[3]);
        }
    }
}
