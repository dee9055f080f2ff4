//! Training runs as a user has them: `gpt train` stopped, killed at any moment, resumed, refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use models::checkpoint;
use tensor::Generator;

/// A run with dropout and accumulation, of a model that is trained in a moment.
const TINY: &str = "train --data text --layers 1 --heads 2 --width 16 --context 8 --batch 2 --accumulate 2 --dropout 0.2 \
                    --warmup 5 --eval-every 7 --eval-batches 1 --threads 1";

fn gpt(dir: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpt"));
    command.current_dir(dir).args(args.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs `gpt`, which must end with `code`.
#[track_caller]
fn ends(dir: &Path, args: &str, code: i32) -> Output {
    let output = gpt(dir, args).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{args}: {}{}", text(&output.stdout), text(&output.stderr));
    output
}

/// Runs `gpt`, which must end with code 2 and one line that says `says`.
#[track_caller]
fn refuses(dir: &Path, args: &str, says: &str) {
    let output = ends(dir, args, 2);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(out.is_empty() && err.starts_with("error: ") && err.trim_end().lines().count() == 1, "{args}: {out}{err}");
    assert!(err.contains(says), "{args} should say {says:?}: {err}");
}

/// A directory with a text.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("text"), "the cat sat on the mat; the hat was flat.\n".repeat(40)).unwrap();
    dir
}

/// The last steps' rows of `loss.csv` in `run`, or none without one.
fn rows(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("loss.csv")).unwrap_or_default();
    text.lines().skip(1).map(str::to_owned).collect()
}

/// What must be the same in a run and in one that was interrupted.
fn decided(run: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    let checkpoints = run.join("checkpoints");
    let newest = fs::read_dir(&checkpoints).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let mut files = BTreeMap::from([("optimizer", fs::read(newest.join("optimizer.safetensors")).unwrap())]);
    let names =
        ["model.safetensors", "config.json", "tokenizer.json", "loss.csv", "loss.svg", "best/model.safetensors"];
    files.extend(names.map(|name| (name, fs::read(run.join(name)).unwrap())));
    files
}

/// Waits until `run` has more rows than `rows`, or the process has ended.
fn wait_for_rows(child: &mut Child, run: &Path, more_than: usize) {
    let begun = Instant::now();
    while rows(run).len() <= more_than && child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no step in a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The step of the newest checkpoint.
fn saved(run: &Path) -> usize {
    let entries = fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("step-")?.parse().ok()).max().unwrap_or(0)
}

#[test]
fn killed_twenty_times_at_random_moments_a_run_loses_only_the_steps_since_its_last_save() {
    let dir = place();
    let args = format!("{TINY} --steps 240 --save-every 2");
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    ends(dir.path(), &format!("{args} --out whole"), 0);

    let seed = 20_240_229;
    println!("seed {seed}");
    let mut rng = Generator::new(seed);
    let mut kills = 0;
    while kills < 20 {
        let before = saved(&killed);
        let mut child = gpt(dir.path(), &format!("{args} --resume --out killed")).spawn().unwrap();
        // A few steps, and then any moment within some more.
        wait_for_rows(&mut child, &killed, before + rng.below(8));
        std::thread::sleep(Duration::from_micros(rng.below(20_000) as u64));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            // The end came first: the moment is drawn once more.
            fs::remove_dir_all(&killed).unwrap();
            continue;
        }
        assert_eq!(output.status.code(), None, "{}", text(&output.stderr));
        kills += 1;

        let (now, done) = (saved(&killed), rows(&killed).len());
        assert!(now >= before, "kill {kills}: the checkpoint of step {before} is gone");
        // Every second step is saved: the row of a step is there before its checkpoint.
        assert!(done <= now + 3, "kill {kills}: {done} steps were done and {now} are saved");
        // The first save may not have come.
        if now > 0 && killed.join("model.safetensors").exists() {
            checkpoint::load(&killed).unwrap_or_else(|e| panic!("kill {kills}: {e}"));
        }
        println!("kill {kills}: {done} steps, {now} saved");
    }
    ends(dir.path(), &format!("{args} --resume --out killed"), 0);
    assert!(decided(&whole) == decided(&killed), "the bytes differ");
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_a_resume_ends_with_the_same_bytes() {
    let dir = place();
    let args = format!("{TINY} --steps 120");
    let (whole, stopped) = (dir.path().join("whole"), dir.path().join("stopped"));
    ends(dir.path(), &format!("{args} --out whole"), 0);
    for (stop, (signal, code)) in [("INT", 130), ("TERM", 143)].into_iter().enumerate() {
        let before = rows(&stopped).len();
        let mut child = gpt(dir.path(), &format!("{args} --resume --out stopped")).spawn().unwrap();
        wait_for_rows(&mut child, &stopped, before + 3);
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let out = text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{out}{}", text(&output.stderr));
        assert!(out.contains("stopped after step") && out.contains("train --resume --out stopped"), "{stop}: {out}");
        assert_eq!(saved(&stopped), rows(&stopped).len());
    }
    // The options need not be given again, and threads make no difference.
    ends(dir.path(), "train --resume --out stopped --threads 2", 0);
    assert!(decided(&whole) == decided(&stopped), "the bytes differ");
}

#[test]
fn a_finished_run_stays_and_other_options_are_refused_by_name() {
    let dir = place();
    let run = dir.path().join("run");
    let args = format!("{TINY} --steps 9 --out run");
    // With nothing there, a resume begins.
    ends(dir.path(), &format!("{args} --resume"), 0);
    let (before, lock) = (decided(&run), fs::metadata(run.join("loss.csv")).unwrap().modified().unwrap());
    let output = ends(dir.path(), &format!("{args} --resume --json"), 0);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(out.contains("the run is finished: 9 steps") && err.is_empty(), "{out}{err}");
    let report: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(report["steps"], 9);
    // Not even its text is needed.
    fs::rename(dir.path().join("text"), dir.path().join("moved")).unwrap();
    ends(dir.path(), "train --resume --out run", 0);
    assert!(decided(&run) == before && fs::metadata(run.join("loss.csv")).unwrap().modified().unwrap() == lock);

    fs::write(dir.path().join("text"), "another text, of about that length.\n".repeat(45)).unwrap();
    let resume = |more: &str| format!("train --resume --out run {more}");
    for (more, says) in [
        ("--layers 2", "--layers 2 instead of 1"),
        ("--width 32 --lr 0.1", "--width 32 instead of 16, --lr 0.1 instead of 0.001"),
        ("--steps 10", "--steps 10 instead of 9"),
        ("--accumulate 1", "--accumulate 1 instead of 2"),
        ("--dropout 0", "--dropout 0.0 instead of 0.2"),
        ("--data text", "the text of --data"),
        ("--data moved --val moved", "the text of --val"),
        ("--data missing", "cannot read"),
        ("--preset baby", "--layers 6 instead of 1"),
    ] {
        refuses(dir.path(), &resume(more), says);
    }
    // What changes no bit may change.
    ends(dir.path(), &resume("--data moved --save-every 3 --keep 1 --threads 2"), 0);
    for file in ["model.safetensors", "loss.csv"] {
        assert!(fs::read(run.join(file)).unwrap() == before[file], "{file}");
    }
}

#[test]
fn a_directory_in_use_or_damaged_is_refused() {
    let dir = place();
    let run = dir.path().join("run");
    ends(dir.path(), &format!("{TINY} --steps 9 --out run"), 0);
    let lock = fs::File::options().write(true).open(run.join("run.lock")).unwrap();
    lock.lock().unwrap();
    refuses(dir.path(), "train --resume --out run", "run: another process is training here");
    refuses(dir.path(), &format!("{TINY} --steps 9 --out run"), "run: another process is training here");
    drop(lock);
    for entry in fs::read_dir(run.join("checkpoints")).unwrap() {
        fs::write(entry.unwrap().path().join("state.json"), "{\"format\": 1, \"settings\": {").unwrap();
    }
    let output = ends(dir.path(), "train --resume --out run", 2);
    let err = text(&output.stderr);
    assert!(err.contains("error: ") && err.contains("no checkpoint is whole"), "{err}");
}

/// The tests may run with all rights: a file that cannot be read is a directory here.
#[test]
fn a_checkpoint_that_cannot_be_read_is_not_passed_over() {
    let dir = place();
    let run = dir.path().join("run");
    let mut child = gpt(dir.path(), &format!("{TINY} --steps 1000000 --save-every 2 --out run")).spawn().unwrap();
    wait_for_rows(&mut child, &run, 9);
    child.kill().unwrap();
    child.wait().unwrap();
    let newest = run.join(format!("checkpoints/step-{:08}", saved(&run)));
    let (state, aside) = (newest.join("state.json"), dir.path().join("state.json"));
    fs::rename(&state, &aside).unwrap();
    fs::create_dir(&state).unwrap();
    refuses(dir.path(), "train --resume --out run", "state.json");
    assert!(newest.is_dir());
    // So it is with what lists them, and an older run is not taken for none.
    let (checkpoints, elsewhere) = (run.join("checkpoints"), dir.path().join("elsewhere"));
    fs::rename(&checkpoints, &elsewhere).unwrap();
    fs::write(&checkpoints, "").unwrap();
    for args in ["train --resume --out run", "train --data text --steps 1 --out run"] {
        refuses(dir.path(), args, "cannot read run/checkpoints");
    }
    fs::remove_file(&checkpoints).unwrap();
    fs::rename(&elsewhere, &checkpoints).unwrap();
    assert!(newest.is_dir());
}

/// More steps than anybody does: the run is stopped and goes on.
#[cfg(unix)]
#[test]
fn the_largest_numbers_are_numbers() {
    let dir = place();
    let most = u64::MAX;
    let args = format!(
        "train --data text --layers 1 --heads 2 --width 16 --context 8 --batch 2 --threads 1 --steps {most} \
         --warmup {most} --eval-every {most} --eval-batches {most} --keep {most} --sample-every {most} --save-every 3 \
         --out run"
    );
    for _ in 0..2 {
        let before = rows(&dir.path().join("run")).len();
        let mut child = gpt(dir.path(), &format!("{args} --resume")).spawn().unwrap();
        wait_for_rows(&mut child, &dir.path().join("run"), before + 3);
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
        let done = rows(&dir.path().join("run"));
        assert!(done.len() > before, "{done:?}");
    }
    refuses(dir.path(), &format!("{TINY} --batch {most} --out other").replace("--batch 2 ", ""), "GB");
}

/// The settings of a run are text.
#[cfg(target_os = "linux")]
#[test]
fn a_path_that_the_settings_cannot_hold_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let dir = place();
    let odd = std::ffi::OsStr::from_bytes(b"te\xffxt");
    fs::copy(dir.path().join("text"), dir.path().join(odd)).unwrap();
    for (option, others) in [("--data", ""), ("--val", "--data text"), ("--init-from", "--data text")] {
        let output = gpt(dir.path(), &format!("train {others} --out run")).arg(option).arg(odd).output().unwrap();
        let err = text(&output.stderr);
        assert_eq!((output.status.code(), err.lines().count()), (Some(2), 1), "{err}");
        assert!(err.contains(&format!("{option} te\u{fffd}xt: the path is not UTF-8")), "{err}");
    }
    // What is not kept may be called anything.
    let out = std::ffi::OsStr::from_bytes(b"o\xffut");
    let output = gpt(dir.path(), &format!("{TINY} --steps 1 --out")).arg(out).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_text_of_its_own_validates() {
    let dir = place();
    fs::write(dir.path().join("val"), "the cat sat.\n".repeat(5)).unwrap();
    let args = TINY.replace("--data text", "--data text --val val");
    ends(dir.path(), &format!("{args} --steps 9 --out run"), 0);
    let (model, tokenizer) = checkpoint::load(&dir.path().join("run")).unwrap();
    let ids = tokenizer.encode(&"the cat sat.\n".repeat(5)).unwrap();
    let data = models::TextDataset::from_parts(vec![0; 9], ids, 8).unwrap();
    let loss = models::train::evaluate(&*model, data.validation(2));
    assert!(rows(&dir.path().join("run"))[8].ends_with(&format!(",{loss:.6}")), "{loss}");
    fs::write(dir.path().join("val"), "a dog").unwrap();
    refuses(dir.path(), &format!("{args} --out other"), "--val");
    assert!(!dir.path().join("other").exists());
}
