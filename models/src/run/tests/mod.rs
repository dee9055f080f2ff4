//! Runs that are stopped, killed between any two acts, damaged, and go on.

mod damage;

use std::cell::Cell;
use std::collections::BTreeMap;

use super::*;
use crate::train::{Length, TrainOptions};
use crate::{Gpt, GptConfig, TextDataset};
use serde_json::json;

const LETTERS: &str = "abcdefg";

/// The name of a file, and what is done to it or to its directory.
type Damage<'a> = (&'a str, &'a dyn Fn(&Path));

fn data() -> TextDataset {
    TextDataset::from_ids((0..300).map(|i| i * i % 7).collect(), 8).unwrap()
}

fn options(steps: usize) -> TrainOptions {
    TrainOptions {
        length: Length::Steps(steps),
        batch: 2,
        accumulate: 2,
        lr: 1e-2,
        min_lr: 1e-3,
        warmup: 3,
        eval_every: 4,
        eval_batches: 1,
        ..TrainOptions::default()
    }
}

/// Dropout, so that every generator counts.
fn model(width: usize) -> Gpt {
    tensor::manual_seed(5);
    Gpt::new(GptConfig { heads: 2, dropout: 0.2, ..GptConfig::new(7, 8, width) }).unwrap()
}

fn tokenizer() -> Tokenizer {
    Tokenizer::chars(LETTERS).unwrap()
}

fn keeping(tokenizer: &Tokenizer) -> Keeping<'_> {
    let settings = json!({ "lr": 0.1, "layers": 1 });
    Keeping {
        tokenizer,
        end: None,
        settings: settings.as_object().unwrap().clone(),
        save_every: 2,
        keep: 2,
        title: "a run".into(),
        tensorboard: false,
    }
}

/// Begins or goes on with a run of `steps` steps in `root`; stops after `part` of them.
fn part_of_a_run(root: &Path, resume: bool, width: usize, steps: usize, part: usize) -> Result<Ended> {
    let (tokenizer, data) = (tokenizer(), data());
    let mut directory = RunDirectory::open(root)?;
    let found = if resume { directory.newest(|_| {})? } else { None };
    let fresh = model(width);
    let (mut trainer, read);
    if let Some(snapshot) = &found {
        directory.go_back(snapshot, 2)?;
        read = snapshot.load_model()?;
        trainer = Trainer::new(&*read, &data, &options(steps))?;
        snapshot.restore(&mut trainer)?;
    } else {
        directory.begin()?;
        trainer = Trainer::new(&fresh, &data, &options(steps))?;
    }
    let done = Cell::new(0);
    record(
        &mut directory,
        &mut trainer,
        &keeping(&tokenizer),
        || done.get() >= part,
        |_, event| {
            if let Event::Step(_) = event {
                done.set(done.get() + 1);
            }
        },
    )
}

/// The bytes of all files below `dir` that a run decides: all but the time it took and what contains it.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for name in list(dir).unwrap() {
        let path = dir.join(&name);
        if path.is_dir() {
            all.extend(contents(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else if name != snapshot::CHECKSUMS {
            let bytes = fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let timeless = || text.lines().filter(|line| !line.contains("\"seconds\"")).collect::<String>();
            all.insert(name.clone(), if name == snapshot::STATE { timeless().into_bytes() } else { bytes.clone() });
        }
    }
    all
}

#[track_caller]
fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (contents(a), contents(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{name} differs");
    }
}

/// Whether a reader finds the model of a checkpoint at the top.
fn read_top(dir: &Path) -> Result<StateDict> {
    checkpoint::load(dir).map(|(model, _)| model.state_dict())
}

#[test]
fn an_uninterrupted_run_and_one_stopped_and_resumed_end_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    assert_eq!(part_of_a_run(&whole, false, 8, 21, 99).unwrap(), Ended::Finished);
    // At a step with neither checkpoint nor evaluation, at one with both, after a single one.
    for part in [7, 1, 4, 1] {
        assert_eq!(part_of_a_run(&parts, true, 8, 21, part).unwrap(), Ended::Stopped);
    }
    assert_eq!(part_of_a_run(&parts, true, 8, 21, 99).unwrap(), Ended::Finished);
    assert_same(&whole, &parts);

    let files = contents(&whole);
    for name in ["model.safetensors", "config.json", "tokenizer.json", "loss.csv", "loss.svg", "best/model.safetensors"]
    {
        assert!(files.contains_key(name), "{name}");
    }
    let kept: Vec<String> = list(&whole.join(CHECKPOINTS)).unwrap();
    assert_eq!(kept, ["step-00000020", "step-00000021"]);
    assert_eq!(files["model.safetensors"], files["checkpoints/step-00000021/model.safetensors"]);
    assert_eq!(String::from_utf8(files["loss.csv"].clone()).unwrap().lines().count(), 22);
    // The best model is the one with the least loss in the table.
    let curve = table::curve(&whole.join(TABLE)).unwrap();
    let least = curve.points.iter().filter(|p| p.val_loss.is_some()).min_by(|a, b| {
        let loss = |p: &Point| p.val_loss.unwrap();
        loss(a).total_cmp(&loss(b))
    });
    let (best, _) = checkpoint::load(&whole.join(BEST)).unwrap();
    let measured = crate::train::evaluate(&*best, data().validation(2));
    assert!((measured - least.unwrap().val_loss.unwrap()).abs() < 0.1, "{measured} {least:?}");
}

#[test]
fn a_finished_run_changes_no_byte() {
    let dir = tempfile::tempdir().unwrap();
    part_of_a_run(dir.path(), true, 8, 6, 99).unwrap();
    let of = |path: &Path| {
        let of = fs::metadata(path).unwrap();
        (of.modified().unwrap(), fs::read(path).unwrap())
    };
    let files = [TABLE, PICTURE, checkpoint::WEIGHTS, checkpoint::CONFIG, "best/model.safetensors", LOCK];
    let before = files.map(|name| of(&dir.path().join(name)));
    let mut directory = RunDirectory::open(dir.path()).unwrap();
    let snapshot = directory.newest(|problem| panic!("{problem}")).unwrap().unwrap();
    assert!(snapshot.is_finished());
    directory.go_back(&snapshot, 2).unwrap();
    assert!(files.map(|name| of(&dir.path().join(name))) == before);
}

/// Saves are cut after each of their acts, and the run goes on in what is left.
#[test]
fn a_kill_between_any_two_acts_of_a_save_leaves_whole_models_and_a_whole_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    part_of_a_run(&whole, false, 8, 8, 99).unwrap();
    let (tokenizer, data) = (tokenizer(), data());
    let mut acts = 0;
    for before in [0, 4] {
        for cut in 0.. {
            let root = dir.path().join(format!("cut-{before}-{cut}"));
            let old = if before > 0 {
                part_of_a_run(&root, true, 8, 8, before).unwrap();
                Some(read_top(&root).unwrap())
            } else {
                None
            };
            let last = {
                let mut directory = RunDirectory::open(&root).unwrap();
                let fresh = model(8);
                let mut trainer = Trainer::new(&fresh, &data, &options(8)).unwrap();
                match directory.newest(|_| {}).unwrap() {
                    Some(snapshot) => {
                        fresh.load_state_dict(&snapshot.load_model().unwrap().state_dict()).unwrap();
                        snapshot.restore(&mut trainer).unwrap();
                    }
                    None => directory.begin().unwrap(),
                }
                for _ in 0..if before == 0 { 4 } else { 2 } {
                    trainer.step().unwrap();
                    trainer.evaluate_if_due().unwrap();
                }
                let keeping = keeping(&tokenizer);
                let mut saving = directory.saving(&trainer, &keeping);
                carry_out(saving.by_ref().take(cut)).unwrap();
                acts = acts.max(cut);
                let last = saving.next().is_none();
                // What a reader finds is the model of before, that of now, or none.
                match read_top(&root) {
                    Ok(found) => {
                        let is = |weights: &StateDict| found.iter().all(|(name, value)| value.bit_eq(&weights[name]));
                        assert!(is(&fresh.state_dict()) || old.as_ref().is_some_and(is), "{before} {cut}");
                    }
                    Err(e) => assert!(old.is_none(), "{before} {cut}: {e}"),
                }
                last
            };
            assert_eq!(part_of_a_run(&root, true, 8, 8, 99).unwrap(), Ended::Finished);
            let (mut got, mut want) = (contents(&root), contents(&whole));
            // The table of these parts was not written.
            for files in [&mut got, &mut want] {
                files.retain(|name, _| name != TABLE && name != PICTURE);
            }
            assert!(got == want, "{before} {cut}");
            fs::remove_dir_all(&root).unwrap();
            if last {
                break;
            }
        }
    }
    assert!(acts >= 10, "{acts}");
}

#[test]
fn a_new_run_leaves_the_older_model_until_it_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    part_of_a_run(dir.path(), false, 8, 4, 99).unwrap();
    let old = contents(dir.path());
    // Another model, stopped, begun anew, stopped, resumed to its end.
    assert_eq!(part_of_a_run(dir.path(), false, 12, 6, 2).unwrap(), Ended::Stopped);
    assert_eq!(part_of_a_run(dir.path(), false, 16, 6, 3).unwrap(), Ended::Stopped);
    let mut now = contents(dir.path());
    now.retain(|name, _| !name.starts_with("next/"));
    assert!(now == old);
    assert!(RunDirectory::has_run(dir.path()).unwrap());
    assert_eq!(part_of_a_run(dir.path(), true, 16, 6, 99).unwrap(), Ended::Finished);
    let whole = tempfile::tempdir().unwrap();
    part_of_a_run(whole.path(), false, 16, 6, 99).unwrap();
    assert_same(dir.path(), whole.path());
    // A model that no run here has made is left in the same way.
    let dir = tempfile::tempdir().unwrap();
    checkpoint::save(dir.path(), &model(12), &tokenizer()).unwrap();
    let old = read_top(dir.path()).unwrap();
    assert_eq!(part_of_a_run(dir.path(), true, 16, 6, 3).unwrap(), Ended::Stopped);
    assert!(read_top(dir.path()).unwrap()["tokens.weight"].bit_eq(&old["tokens.weight"]));
    assert_eq!(part_of_a_run(dir.path(), true, 16, 6, 99).unwrap(), Ended::Finished);
    assert!(!dir.path().join(NEXT).exists());
    assert_eq!(read_top(dir.path()).unwrap()["tokens.weight"].dims(), [7, 16]);
}

#[test]
fn a_kill_between_any_two_acts_of_the_move_from_next_is_made_good() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    part_of_a_run(&whole, false, 16, 6, 99).unwrap();
    let make = |root: &Path| {
        part_of_a_run(root, false, 8, 4, 99).unwrap();
        fs::write(root.join("events.out.tfevents.1.old"), "old").unwrap();
        part_of_a_run(root, false, 16, 6, 4).unwrap();
        let next = root.join(NEXT);
        // The last step without the move: as a run in a directory of its own.
        part_of_a_run(&next, true, 16, 6, 99).unwrap();
        fs::remove_file(next.join(LOCK)).unwrap();
        fs::write(next.join("events.out.tfevents.2.new"), "new").unwrap();
        fs::write(next.join(DONE), "").unwrap();
        next
    };
    let mut acts = 0;
    for cut in 0.. {
        let root = dir.path().join(format!("cut-{cut}"));
        let next = make(&root);
        let [old, new] = [&root, &next].map(|dir| read_top(dir).unwrap());
        let mut promoting = publish::promote(&next, &root);
        carry_out(promoting.by_ref().take(cut)).unwrap();
        let last = promoting.next().is_none();
        if let Ok(found) = read_top(&root) {
            let is = |weights: &StateDict| found.iter().all(|(name, value)| value.bit_eq(&weights[name]));
            assert!(is(&old) || is(&new), "{cut}");
        }
        acts = cut;
        drop(promoting);
        drop(RunDirectory::open(&root).unwrap());
        let mut got = contents(&root);
        assert!(got.remove("events.out.tfevents.2.new").is_some(), "{cut}");
        assert!(got == contents(&whole), "{cut}: {:?}", got.keys());
        if last {
            break;
        }
    }
    assert!(acts >= 10, "{acts}");
}

#[test]
fn two_processes_do_not_train_in_one_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = RunDirectory::open(dir.path()).unwrap();
    let message = RunDirectory::open(dir.path()).unwrap_err().to_string();
    assert!(message.contains("another process is training here"), "{message}");
    drop(first);
    RunDirectory::open(dir.path()).unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(RunDirectory::open(&file), Err(Error::Write { .. })));
}

#[test]
fn only_checkpoints_count_and_old_ones_go() {
    let dir = tempfile::tempdir().unwrap();
    part_of_a_run(dir.path(), true, 8, 9, 6).unwrap();
    let checkpoints = dir.path().join(CHECKPOINTS);
    for other in ["step-7", "step-0000000x", "other", "step-99999999999999999999999"] {
        fs::create_dir(checkpoints.join(other)).unwrap();
    }
    assert_eq!(steps(dir.path()).unwrap().iter().map(|(step, _)| *step).collect::<Vec<_>>(), [4, 6]);
    assert_eq!(steps(&dir.path().join("nowhere")).unwrap(), []);
    // A process that was killed left these.
    fs::create_dir(checkpoints.join(".tmp-new")).unwrap();
    fs::write(dir.path().join(".tmp-model.safetensors"), "").unwrap();
    drop(RunDirectory::open(dir.path()).unwrap());
    let left = [&checkpoints, dir.path()].map(|dir| list(dir).unwrap()).concat();
    assert!(!left.iter().any(|name| name.starts_with(".tmp-")), "{left:?}");
}
