//! The shape of the tree: arrows between crates point left, `unsafe` stays in `tensor`, no test is switched off, and the
//! README's map shows the files that there are.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

const CRATES: [&str; 7] = ["tensor", "autograd", "nn/derive", "nn", "optim", "models", "tests"];

/// Every `.rs` file of the workspace's crates, relative to the root, sorted.
fn sources() -> Vec<String> {
    fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
        let mut entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    for name in CRATES.iter().filter(|c| **c != "nn/derive") {
        collect(&root().join(name), &mut files);
    }
    let relative = files.iter().map(|f| f.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/"));
    let mut relative: Vec<String> = relative.collect();
    relative.sort();
    assert!(relative.len() > 60, "the walk found only {} files", relative.len());
    relative
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The part of a manifest under `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[dependencies]").nth(1).unwrap_or("");
    let section = section.split("\n[").next().unwrap_or("");
    section
        .lines()
        .filter_map(|l| l.split(['.', ' ', '=']).next())
        .map(str::to_string)
        .filter(|l| !l.is_empty())
        .collect()
}

#[test]
fn arrows_between_crates_point_left() {
    let order = ["tensor", "autograd", "nn-derive", "nn", "optim", "models"];
    for (directory, name) in CRATES.iter().zip(["tensor", "autograd", "nn-derive", "nn", "optim", "models"]) {
        let own = order.iter().position(|n| *n == name).unwrap();
        for dependency in dependencies(&read(&format!("{directory}/Cargo.toml"))) {
            if let Some(other) = order.iter().position(|n| *n == dependency) {
                assert!(other < own, "{name} depends on {dependency}, which stands right of it");
            }
        }
    }
    assert!(dependencies(&read("optim/Cargo.toml")).contains(&"nn".to_string()), "the manifests are read as expected");
}

#[test]
fn unsafe_stays_in_tensor_and_tests_stay_on() {
    // Put together here so that this file does not contain what it looks for.
    let word = ["un", "safe"].concat();
    let off = ["#[ig", "nore"].concat();
    let unfinished = [["to", "do!("].concat(), ["unimpl", "emented!("].concat()];
    for file in sources() {
        let text = read(&file);
        let is_code = |line: &&str| !line.trim_start().starts_with("//") && !line.contains(&format!("{word}_code"));
        let uses = text
            .lines()
            .filter(is_code)
            .any(|l| l.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word));
        assert!(file.starts_with("tensor/src/") || !uses || file == "tests/tests/tidy.rs", "{file} has {word} code");
        assert!(!text.contains(&off), "{file} switches a test off");
        assert!(unfinished.iter().all(|u| !text.contains(u.as_str())), "{file} is unfinished");
    }
}

#[test]
fn every_dependency_says_why() {
    let manifest = read("Cargo.toml");
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let own = ["tensor", "autograd", "nn", "nn-derive", "optim", "models"];
    let mut explained = false;
    for line in section.lines() {
        match line.split([' ', '=']).next().unwrap_or("") {
            "" => explained = false,
            "#" => explained = true,
            name if own.contains(&name) => {}
            name => assert!(explained, "{name} has no line saying why it is there"),
        }
    }
}

/// The map of the README: one line per file of the crates' sources, with the first sentence of its documentation.
fn map() -> String {
    let mut map = String::new();
    for file in sources().iter().filter(|f| f.contains("/src/") && !f.starts_with("tests/")) {
        let text = read(file);
        let words = text.lines().take_while(|l| l.starts_with("//!") && *l != "//!").map(|l| l[3..].trim());
        let sentence = words.collect::<Vec<_>>().join(" ").replace("[`", "`").replace("`]", "`");
        let end = sentence.find(". ").map_or(sentence.len(), |i| i + 1);
        assert!(!sentence.is_empty(), "{file} does not begin with what it is for");
        map += &format!("{file:<38} {}\n", &sentence[..end]);
    }
    map
}

#[test]
fn the_map_of_the_readme_is_the_tree() {
    let readme = read("README.md");
    let shown = readme.split("<!-- map -->\n```text\n").nth(1).and_then(|r| r.split("```").next()).unwrap_or_default();
    let map = map();
    if shown != map {
        let fresh = root().join("target").join("map.txt");
        fs::create_dir_all(fresh.parent().unwrap()).unwrap();
        fs::write(&fresh, &map).unwrap();
        let missing: Vec<&str> = map.lines().filter(|l| !shown.contains(l)).collect();
        let stale: Vec<&str> = shown.lines().filter(|l| !map.contains(l)).collect();
        panic!(
            "README.md's map differs from the tree; target/map.txt has the right one\nmissing {missing:#?}\nstale {stale:#?}"
        );
    }
}
