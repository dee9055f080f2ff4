//! Gathers the corpus that `gpt train` learns from when no `--data` is given: this workspace's own tracked Rust
//! sources and documents, those of this crate first, tests last and each part in sorted order, as plain ASCII of at most one
//! megabyte.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The corpus ends after the last whole line within this many bytes.
const MOST: usize = 1_000_000;

fn main() -> io::Result<()> {
    let models = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let root = models.parent().expect("the crate lies in the workspace").to_path_buf();
    let mut files = Vec::new();
    for path in entries(&root)? {
        // The crates and the documents beside them; a build folder or a virtual environment has no Cargo.toml.
        if path.join("Cargo.toml").is_file() {
            gather(&path, &mut files)?;
        } else if is_source(&path) {
            files.push(path);
        }
    }
    // Sorted by their names with `/`, so that every platform builds the same corpus; this crate first and tests last, so that
    // what is cut off in the end is none of its sources.
    let mut named: Vec<(String, PathBuf)> = files.into_iter().map(|path| (name(&root, &path), path)).collect();
    named.sort_by_cached_key(|(name, _)| (name.contains("/tests/"), !name.starts_with("models/"), name.clone()));
    if let Some(tracked) = tracked(&root) {
        named.retain(|(name, _)| tracked.contains(name));
    }
    let mut corpus = String::new();
    for (name, path) in named {
        println!("cargo::rerun-if-changed={}", path.display());
        corpus.push_str(&format!("// {name}\n\n"));
        for c in String::from_utf8_lossy(&fs::read(&path)?).chars() {
            plain(c, &mut corpus);
        }
        corpus.push('\n');
    }
    if corpus.len() > MOST {
        let end = corpus[..MOST].rfind('\n').map_or(MOST, |at| at + 1);
        corpus.truncate(end);
    }
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR")).join("corpus.txt");
    // An unchanged file keeps its date, so that nothing else is built again.
    if fs::read_to_string(&out).is_ok_and(|old| old == corpus) { Ok(()) } else { fs::write(out, corpus) }
}

/// The files that git tracks, by their names with `/`; `None` where there is no git or no repository, as in an archive
/// of the sources, which holds nothing else.
fn tracked(root: &Path) -> Option<HashSet<String>> {
    let index = root.join(".git/index");
    if index.is_file() {
        println!("cargo::rerun-if-changed={}", index.display());
    }
    let output = Command::new("git").arg("-C").arg(root).args(["ls-files", "-z"]).output().ok()?;
    let list = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(list.split('\0').map(str::to_string).collect())
}

/// The sources under `folder`, and a wish to be run again when one is added.
fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for path in entries(folder)? {
        if path.is_dir() {
            gather(&path, files)?;
        } else if is_source(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// What lies in `folder`, except what is hidden, built or left by a training run.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') && name != "target" && name != "runs" && !entry.file_type()?.is_symlink() {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

fn is_source(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|e| e == "rs" || e == "md")
}

fn name(root: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap_or(path).components();
    parts.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>().join("/")
}

/// Appends `c` as plain ASCII: common typographic characters are spelled out, others are left out.
fn plain(c: char, text: &mut String) {
    match c {
        '\n' | '\t' | ' '..='~' => text.push(c),
        '\u{2018}' | '\u{2019}' => text.push('\''),
        '\u{201c}' | '\u{201d}' => text.push('"'),
        '\u{2013}' | '\u{2014}' | '\u{2212}' => text.push('-'),
        '\u{2026}' => text.push_str("..."),
        '\u{2192}' => text.push_str("->"),
        '\u{00d7}' => text.push('x'),
        '\u{00b7}' => text.push('*'),
        '\u{2264}' => text.push_str("<="),
        '\u{2265}' => text.push_str(">="),
        _ => {}
    }
}
