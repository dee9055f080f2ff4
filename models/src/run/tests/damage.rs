//! What is damaged, renamed, unreadable or not understood, and what cannot be written.

use super::*;

#[test]
fn a_damaged_checkpoint_is_reported_and_the_one_before_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    part_of_a_run(&whole, false, 8, 9, 99).unwrap();
    let newest = |root: &Path| {
        let mut said = Vec::new();
        let found = RunDirectory::open(root).unwrap().newest(|problem| said.push(problem.to_owned()));
        (found.map(|snapshot| snapshot.map(|s| s.position().step)), said)
    };
    let cut = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let damages: [Damage; 8] = [
        (checkpoint::WEIGHTS, &cut),
        (checkpoint::WEIGHTS, &flip),
        (snapshot::OPTIMIZER, &flip),
        (snapshot::STATE, &cut),
        (snapshot::STATE, &flip),
        (snapshot::CHECKSUMS, &cut),
        (snapshot::CHECKSUMS, &|path| fs::write(path, r#"{"../state.json": {"bytes": 1, "crc64": "0"}}"#).unwrap()),
        (checkpoint::TOKENIZER, &|path| fs::remove_file(path).unwrap()),
    ];
    for (name, damage) in damages {
        let root = dir.path().join("damaged");
        part_of_a_run(&root, true, 8, 9, 6).unwrap();
        damage(&root.join(CHECKPOINTS).join("step-00000006").join(name));
        let (found, said) = newest(&root);
        assert_eq!(found.unwrap(), Some(4), "{name}");
        assert!(said[0].contains("step-00000006 is damaged") && said[1].contains("step-00000004"), "{said:?}");
        assert!(said.iter().all(|line| !line.contains('\n')));
        assert_eq!(part_of_a_run(&root, true, 8, 9, 99).unwrap(), Ended::Finished);
        assert_same(&root, &whole);

        for name in list(&root.join(CHECKPOINTS)).unwrap() {
            cut(&root.join(CHECKPOINTS).join(name).join(snapshot::OPTIMIZER));
        }
        let message = newest(&root).0.unwrap_err().to_string();
        assert!(message.contains("no checkpoint is whole") && !message.contains('\n'), "{message}");
        fs::remove_dir_all(&root).unwrap();
    }
}

/// The tests may run with all rights: what cannot be read is something else than it should be.
#[test]
fn what_cannot_be_read_is_not_taken_for_damaged_or_missing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("run");
    part_of_a_run(&root, true, 8, 9, 6).unwrap();
    let steps = root.join(CHECKPOINTS);
    let newest = steps.join("step-00000006");
    let refused = |path: &Path| {
        let before = contents(&root);
        let message = match RunDirectory::open(&root).and_then(|directory| directory.newest(|why| panic!("{why}"))) {
            Err(Error::Read { path: at, why }) => format!("{}: {why}", at.display()),
            other => panic!("{other:?}"),
        };
        assert!(message.starts_with(&path.display().to_string()) && !message.contains('\n'), "{message}");
        assert!(part_of_a_run(&root, true, 8, 9, 99).is_err());
        assert!(contents(&root) == before);
        message
    };
    for name in [checkpoint::WEIGHTS, snapshot::STATE, snapshot::CHECKSUMS] {
        let (path, aside) = (newest.join(name), dir.path().join("aside"));
        fs::rename(&path, &aside).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(refused(&path).contains("may be whole"), "{name}");
        fs::remove_dir(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    // The directory of a checkpoint, and that of all.
    for (path, says) in [(&newest, newest.join(snapshot::CHECKSUMS)), (&steps, steps.clone())] {
        let aside = dir.path().join("aside");
        fs::rename(path, &aside).unwrap();
        fs::write(path, "no directory").unwrap();
        refused(&says);
        assert_eq!(RunDirectory::has_run(&root).is_err(), *path == steps);
        fs::remove_file(path).unwrap();
        fs::rename(&aside, path).unwrap();
    }
    assert_eq!(part_of_a_run(&root, true, 8, 9, 99).unwrap(), Ended::Finished);
}

#[test]
fn a_run_that_cannot_see_the_older_one_begins_nothing() {
    let dir = tempfile::tempdir().unwrap();
    part_of_a_run(dir.path(), false, 8, 4, 99).unwrap();
    part_of_a_run(dir.path(), false, 12, 6, 2).unwrap();
    let mut directory = RunDirectory::open(dir.path()).unwrap();
    let checkpoints = dir.path().join(CHECKPOINTS);
    fs::rename(&checkpoints, dir.path().join("aside")).unwrap();
    fs::write(&checkpoints, "no directory").unwrap();
    let before = contents(dir.path());
    assert!(matches!(directory.begin(), Err(Error::Read { path, .. }) if path == checkpoints));
    assert!(contents(dir.path()) == before && before.keys().any(|name| name.starts_with("next/")));
}

#[test]
fn a_step_whose_table_or_picture_is_not_written_is_saved() {
    let refuse_picture = |root: &Path| fs::create_dir(root.join(PICTURE)).unwrap();
    let refuse_table = |root: &Path| {
        fs::remove_file(root.join(TABLE)).unwrap();
        fs::create_dir(root.join(TABLE)).unwrap();
    };
    let refusals: [Damage; 2] = [(PICTURE, &refuse_picture), (TABLE, &refuse_table)];
    for (name, refuse) in refusals {
        let dir = tempfile::tempdir().unwrap();
        let (tokenizer, data, model) = (tokenizer(), data(), model(8));
        let mut directory = RunDirectory::open(dir.path()).unwrap();
        directory.begin().unwrap();
        let mut trainer = Trainer::new(&model, &data, &options(9)).unwrap();
        let mut saved = Vec::new();
        let ended = record(
            &mut directory,
            &mut trainer,
            &keeping(&tokenizer),
            || false,
            |trainer, event| match event {
                Event::Step(step) if step.step == 3 => {
                    let _ = fs::remove_file(dir.path().join(PICTURE));
                    refuse(dir.path());
                }
                Event::Saved => saved.push(trainer.step_number()),
                _ => {}
            },
        );
        let message = ended.unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
        assert_eq!(saved, [2, 4], "{name}");
        assert_eq!(directory.newest(|why| panic!("{why}")).unwrap().unwrap().position().step, 4);
        // The weights above are those of the checkpoint, too.
        assert!(read_top(dir.path()).unwrap().iter().all(|(name, value)| value.bit_eq(&model.state_dict()[name])));
    }
}

/// It would be gone, and all others with it, if it were taken for what its name says.
#[test]
fn a_renamed_checkpoint_is_refused_and_nothing_removed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("run");
    part_of_a_run(&root, true, 8, 9, 6).unwrap();
    let [own, other] = ["step-00000006", "step-00000020"].map(|name| root.join(CHECKPOINTS).join(name));
    fs::rename(&own, &other).unwrap();
    let before = contents(&root);
    let newest = || RunDirectory::open(&root).and_then(|directory| directory.newest(|why| panic!("{why}")));
    let why = newest().unwrap_err().to_string();
    assert!(why.contains("this is step-00000006, which somebody renamed"), "{why}");
    assert!(part_of_a_run(&root, true, 8, 9, 99).is_err());
    assert!(contents(&root) == before);
    fs::rename(&other, &own).unwrap();
    assert_eq!(newest().unwrap().unwrap().position().step, 6);
}

/// Checksums that are right and contents that are not: nothing panics.
#[test]
fn a_checkpoint_that_fits_no_run_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    part_of_a_run(dir.path(), true, 8, 9, 4).unwrap();
    let step = dir.path().join(CHECKPOINTS).join("step-00000004");
    let path = step.join(snapshot::STATE);
    let good = fs::read_to_string(&path).unwrap();
    let read = |step: &Path| match Snapshot::read(step) {
        Ok(snapshot) => Ok(snapshot),
        Err(Flaw::Damaged(why) | Flaw::Unreadable(why)) => Err(why),
    };
    let changed = |text: &str| {
        fs::write(&path, text).unwrap();
        fs::remove_file(step.join(snapshot::CHECKSUMS)).unwrap();
        snapshot::write_checksums(&step).unwrap();
        let (data, fresh) = (data(), model(8));
        let mut trainer = Trainer::new(&fresh, &data, &options(9)).unwrap();
        let message = read(&step).and_then(|snapshot| snapshot.restore(&mut trainer)).unwrap_err().to_string();
        assert!(message.contains("step-00000004") && !message.contains('\n'), "{message}");
        message
    };
    assert!(changed(&good.replace("\"step\": 4", "\"step\": -4")).contains("invalid value"));
    assert!(
        changed(&good.replace("\"step\": 4", "\"step\": 5")).contains("this is step-00000005, which somebody renamed")
    );
    assert!(changed(&good.replace("\"format\": 1", "\"format\": 2")).contains("format is 2"));
    assert!(changed(&good.replace("\"total\": 9", "\"total\": 3")).contains("total"));
    assert!(changed(&good.replace("\"seconds\"", "\"minutes\"")).contains("missing field `seconds`"));
    assert!(changed(&format!("{{\"settings\": {{\"x\": {}", "[".repeat(100_000))).contains("recursion"));
    fs::write(step.join(snapshot::OPTIMIZER), "no tensors").unwrap();
    assert!(changed(&good).contains("optimizer.safetensors"));
}
