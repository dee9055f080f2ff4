//! Running the `gpt` binary: what succeeds, what is refused, and the JSON that it prints.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// `gpt` in the directory `dir`, which decides where relative paths lead.
pub fn gpt(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gpt")).current_dir(dir).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs `gpt`, which must succeed, and gives its stdout.
#[track_caller]
pub fn succeeds(dir: &Path, args: &[&str]) -> String {
    let output = gpt(dir, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs `gpt`, which must end with `code` and one line on stderr that contains `says`, and write nothing on stdout.
#[track_caller]
pub fn fails(dir: &Path, args: &[&str], code: i32, says: &str) {
    let output = gpt(dir, args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}: {err}");
    assert!(out.is_empty(), "{args:?}: {out}");
    assert!(err.starts_with("error: ") && err.trim_end().lines().count() == 1, "{args:?}: {err}");
    assert!(err.contains(says), "{args:?} should say {says:?}: {err}");
}

/// Runs `gpt`, which must refuse what it is given: code 2.
#[track_caller]
pub fn refuses(dir: &Path, args: &[&str], says: &str) {
    fails(dir, args, 2, says);
}

/// The JSON object in the last line of `stdout`, whose keys must be `keys` in this order.
#[track_caller]
pub fn report(stdout: &str, keys: &[&str]) -> Value {
    let report: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(report.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
    report
}
