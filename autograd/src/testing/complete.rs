//! What every operation must have: a line in the property tests, and a word about its gradient.

use super::tables;

/// Every public method in `ops/` is in its family's table, and every file there is a family.
#[test]
fn every_operation_is_sampled() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ops");
    let tables = tables();
    let mut missing = Vec::new();
    let mut methods = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of operations") {
        let path = entry.expect("an entry").path();
        let family = path.file_stem().expect("a name").to_str().expect("UTF-8").to_string();
        // What this build leaves out.
        let off = !cfg!(feature = "linalg") && ["decompose", "invariants", "solve"].contains(&&*family);
        if family == "mod" || off {
            continue;
        }
        let Some((_, table)) = tables.iter().find(|(name, _)| *name == family) else {
            missing.push(format!("the family {family}"));
            continue;
        };
        let source = std::fs::read_to_string(&path).expect("a source file");
        let operations = source.split("#[cfg(test)]").next().expect("what comes before the tests");
        for line in operations.lines().filter_map(|line| line.strip_prefix("    pub fn ")) {
            let name: String = line.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !table.iter().any(|sample| sample.op == name) && !HELPERS.contains(&&*name) && !name.is_empty() {
                missing.push(format!("{family}::{name}"));
            }
            methods += 1;
        }
    }
    assert!(missing.is_empty(), "not in the property tests: {missing:?}");
    assert!(methods > 80, "only {methods} methods were found; does the search still see them?");
}

/// Every method in `ops/` that gives a `Var`, or several, says what its gradient is.
#[test]
fn every_gradient_is_documented() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ops");
    let (mut silent, mut found) = (Vec::new(), 0);
    for entry in std::fs::read_dir(folder).expect("the folder of operations") {
        let path = entry.expect("an entry").path();
        let source = std::fs::read_to_string(&path).expect("a source file");
        let operations = source.split("#[cfg(test)]").next().expect("what comes before the tests");
        // The documentation since the last line of code, and a signature that may go over several lines.
        let (mut docs, mut signature) = (String::new(), String::new());
        for line in operations.lines().map(str::trim) {
            // What a macro defines: `mse_loss(): PairLoss::Mse;`.
            let defined = !docs.is_empty() && line.contains("): ") && line.ends_with(';') && !line.starts_with("///");
            match line.strip_prefix("///") {
                Some(doc) => docs.push_str(doc),
                None if line.starts_with("pub fn ") || !signature.is_empty() => signature.push_str(line),
                None if line.starts_with("#[") => {}
                None if defined => signature = format!("pub fn {line} -> Var {{"),
                None => docs.clear(),
            }
            if !signature.contains('{') {
                continue;
            }
            let name = signature["pub fn ".len()..].split(['(', '<']).next().expect("a name");
            let gives = signature.split_once("-> ").is_some_and(|(_, result)| result.contains("Var"));
            // What stands in a macro has its name and documentation where the macro is used.
            if gives && !HELPERS.contains(&name) && !name.starts_with('$') {
                found += 1;
                if !docs.contains("# Gradient") {
                    silent.push(format!("{}: {name}", path.display()));
                }
            }
            docs.clear();
            signature.clear();
        }
    }
    assert!(silent.is_empty(), "no word about the gradient: {silent:#?}");
    assert!(found > 250, "only {found} methods were found; does the search still see them?");
}

/// Methods of helper types in `ops/` that are no operations.
const HELPERS: [&str; 3] = ["new", "count", "stretch"];
