//! The table of operations in `autograd/OPERATIONS.md`: made from the registrations, compared with the committed file.

use std::collections::BTreeMap;
use std::fmt::Write;

use tensor::DType;

use super::{Tally, adapters, fixture, quietly, tally};
use crate::testing::{Sample, trial_inputs};
use crate::{Var, testing};

const DTYPES: [DType; 8] =
    [DType::Bool, DType::U8, DType::I32, DType::I64, DType::F16, DType::BF16, DType::F32, DType::F64];

/// The dtypes of inputs that an operation takes, found by calling it.
fn dtypes(sample: &Sample) -> String {
    let takes = |dtype: DType| {
        let inputs: Vec<Var> = trial_inputs(sample).iter().map(|t| Var::new(t.to_dtype(dtype))).collect();
        quietly(|| sample.run(&inputs, 1)).is_ok()
    };
    let taken: Vec<DType> = DTYPES.into_iter().filter(|&dtype| takes(dtype)).collect();
    let groups: [(&str, &[DType]); 5] = [
        ("all", &DTYPES),
        ("numbers", &DTYPES[1..]),
        ("bool, integers", &DTYPES[..4]),
        ("integers", &DTYPES[1..4]),
        ("floats", &DTYPES[4..]),
    ];
    match groups.iter().find(|(_, group)| *group == taken) {
        Some((name, _)) => name.to_string(),
        None => taken.iter().map(DType::to_string).collect::<Vec<_>>().join(" "),
    }
}

/// Whether the property tests check derivatives of this sample.
fn derivatives(sample: &Sample) -> &'static str {
    let inputs: Vec<Var> = trial_inputs(sample).into_iter().map(|t| Var::new(t).requires_grad_(true)).collect();
    match quietly(|| sample.run(&inputs, 1)) {
        Ok(outputs) if !outputs.iter().any(Var::requires_grad) => "none",
        _ if sample.is_loose() => "layouts",
        _ => "proved",
    }
}

#[derive(Default)]
struct Row {
    family: &'static str,
    dtypes: String,
    derivative: &'static str,
    passed: usize,
    refused: usize,
    operators: Vec<&'static str>,
}

fn table() -> String {
    let mut rows: BTreeMap<&'static str, Row> = BTreeMap::new();
    for (family, samples) in testing::tables() {
        for sample in samples {
            let row = rows.entry(sample.op).or_default();
            if row.family.is_empty() || row.derivative == "none" {
                (row.family, row.derivative) = (family, derivatives(&sample));
            }
            let dtypes = dtypes(&sample);
            if dtypes.len() > row.dtypes.len() || row.dtypes.is_empty() {
                row.dtypes = dtypes;
            }
        }
    }
    let adapters = adapters();
    let tallies: Vec<Tally> = adapters.iter().map(tally).collect();
    for (adapter, tally) in adapters.iter().zip(&tallies) {
        for name in adapter.rows {
            let row = rows
                .get_mut(name)
                .unwrap_or_else(|| panic!("`{}` names the row {name}, which no table has", adapter.name));
            row.passed += tally.passed;
            row.refused += tally.refused;
            row.operators.push(adapter.name);
        }
    }
    let (passed, refused) = tallies.iter().fold((0, 0), |(p, r), t| (p + t.passed, r + t.refused));
    let torch = fixture::header()["torch"].as_str().expect("a version");
    let mut text = format!(
        "# Operations\n\n\
         Made from the registrations that drive the tests, by\n\
         `GRADUS_WRITE_TABLE=1 cargo test -p autograd --lib conformance::table`; a test compares.\n\n\
         * **dtypes**: what the inputs may be. `numbers` is everything but bool.\n\
         * **derivatives**: `proved` means that the first and the second derivative agree with central differences in f64, and\n\
         \x20 that every layout of inputs and gradients gives the same, in property-based tests; `layouts` that only the latter can\n\
         \x20 be checked; `none` that the result is no float.\n\
         * **samples**: calls of PyTorch {torch}'s own database of operators whose results, first and second gradients agree\n\
         \x20 (to 1e-8 in f64), and after the plus those that PyTorch refuses and this library too.\n\n\
         In all {passed} samples of {} operators pass, and {refused} calls are refused as they must be.\n\n\
         | operation | family | dtypes | derivatives | samples | as PyTorch's |\n| --- | --- | --- | --- | --- | --- |\n",
        adapters.len(),
    );
    for (name, row) in &rows {
        let samples = match (row.passed, row.refused) {
            (0, 0) => String::new(),
            (passed, 0) => passed.to_string(),
            (passed, refused) => format!("{passed} + {refused}"),
        };
        let operators: Vec<String> = row.operators.iter().map(|o| format!("`{o}`")).collect();
        let (family, dtypes, derivative) = (row.family, &row.dtypes, row.derivative);
        writeln!(text, "| `{name}` | {family} | {dtypes} | {derivative} | {samples} | {} |", operators.join(" "))
            .unwrap();
    }
    text += "\n## What the samples ask and this library does not have\n\n| operator | samples | reason |\n| --- | --- | --- |\n";
    for (adapter, tally) in adapters.iter().zip(&tallies) {
        for (why, n) in &tally.skipped {
            writeln!(text, "| `{}` | {n} | {why} |", adapter.name).unwrap();
        }
    }
    for skipped in fixture::header()["not_written"].as_array().expect("a list") {
        let word = |i: usize| skipped[i].as_str().expect("a word");
        writeln!(text, "| `{}` | {} | {} |", word(0), skipped[2], word(1)).unwrap();
    }
    text
}

#[test]
fn the_table_of_operations_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/OPERATIONS.md");
    let made = table();
    if std::env::var_os("GRADUS_WRITE_TABLE").is_some() {
        std::fs::write(path, &made).expect("the table can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let differs = made.lines().zip(committed.lines()).find(|(made, committed)| made != committed);
    // Without the decompositions there are fewer rows.
    let complete = cfg!(feature = "linalg");
    assert!(
        made == committed || !complete,
        "OPERATIONS.md is not what the registrations give; first difference: {differs:#?}"
    );
}

/// Every operator of the fixture has an adapter, and every adapter has samples.
#[test]
fn every_operator_has_an_adapter() {
    let adapters: Vec<&str> = adapters().iter().map(|a| a.name).collect();
    let operators: std::collections::BTreeSet<&str> =
        fixture::samples().iter().map(|sample| sample["op"].as_str().expect("a name")).collect();
    let missing: Vec<_> = operators.iter().filter(|name| !adapters.contains(name)).collect();
    let unknown: Vec<_> = adapters.iter().filter(|name| !operators.contains(*name)).collect();
    let complete = cfg!(feature = "linalg");
    assert!(
        (missing.is_empty() || !complete) && unknown.is_empty(),
        "without an adapter: {missing:?}; without samples: {unknown:?}"
    );
}
