//! Conformance: every operation on the samples of PyTorch's own database of operators.
//!
//! The fixture (`tests/fixtures/conformance`, written by `tests/scripts/conformance.py`) holds, per operator and sample: the
//! arguments, the results, and in float64 the first and second gradients; for other dtypes the results alone; and calls that
//! must be refused. An operation's file has, beside its `table()`, a function `torch()` with one adapter per operator: it
//! reads the arguments as PyTorch names them and makes our call.
//!
//! ```text
//! #[cfg(test)]
//! pub(crate) fn torch() -> Vec<Torch> {
//!     use crate::testing::conformance::*;
//!     vec![
//!         // name in PyTorch's database     rows of the property tests that it exercises
//!         torch("sum",                      &["sum", "sum_dim"],                                |a| {
//!             let (x, dims, keepdim) = (a.var(0, "input")?, a.dims(1, "dim")?, a.flag(2, "keepdim", false)?);
//!             done(x.sum_dim(dims, keepdim))
//!         }),
//!     ]
//! }
//! ```
//!
//! A sample passes when every argument was read, the results have PyTorch's number, shapes, dtypes and values, and so have
//! the gradients; a call to be refused passes when ours panics. What cannot be expressed here is skipped with a reason that
//! the table of operations shows (an accessor such as `a.size(..)` gives one by itself; `skip("why")` gives any other).
//! Nothing that can be expressed may be skipped.
//!
//! A family's file enters the list at `conforming!` below. `cargo test -p autograd --lib conformance::reduce` runs one family;
//! `GRADUS_OP=sum cargo test -p autograd --lib conformance::` one operator, printing every failure.

mod args;
mod fixture;
mod table;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use serde_json::Value;
use tensor::Tensor;

#[allow(unused_imports, reason = "what adapters use")]
pub(crate) use args::{Arg, Args, Skip, skip};

use crate::{GradOptions, Var, grad};

/// How one operator of PyTorch's is called here.
pub(crate) struct Torch {
    /// Its name in the database, with the variant after a colon.
    pub name: &'static str,
    /// The rows of the property tests that it exercises.
    pub rows: &'static [&'static str],
    call: fn(&Args) -> Outcome,
}

/// The results of a call, or why there is no such call here.
pub(crate) type Outcome = Result<Vec<Var>, Skip>;

/// An adapter.
pub(crate) fn torch(name: &'static str, rows: &'static [&'static str], call: fn(&Args) -> Outcome) -> Torch {
    Torch { name, rows, call }
}

/// What an operation can return.
pub(crate) trait Results {
    fn vars(self) -> Vec<Var>;
}

impl Results for Var {
    fn vars(self) -> Vec<Var> {
        vec![self]
    }
}
impl Results for Tensor {
    fn vars(self) -> Vec<Var> {
        vec![Var::new(self)]
    }
}
impl Results for bool {
    fn vars(self) -> Vec<Var> {
        vec![Var::scalar(self)]
    }
}
impl<R: Results> Results for Vec<R> {
    fn vars(self) -> Vec<Var> {
        self.into_iter().flat_map(Results::vars).collect()
    }
}
impl<A: Results, B: Results> Results for (A, B) {
    fn vars(self) -> Vec<Var> {
        [self.0.vars(), self.1.vars()].concat()
    }
}
impl<A: Results, B: Results, C: Results> Results for (A, B, C) {
    fn vars(self) -> Vec<Var> {
        [self.0.vars(), self.1.vars(), self.2.vars()].concat()
    }
}

/// The results of an adapter.
pub(crate) fn done(results: impl Results) -> Outcome {
    Ok(results.vars())
}

/// What became of the samples of one operator.
#[derive(Default)]
pub(crate) struct Tally {
    pub passed: usize,
    /// Calls that PyTorch refuses and we refuse too.
    pub refused: usize,
    /// Reasons and how often.
    pub skipped: BTreeMap<String, usize>,
    pub failures: Vec<String>,
}

/// Runs every sample of an operator.
pub(crate) fn tally(adapter: &Torch) -> Tally {
    let mut tally = Tally::default();
    for sample in fixture::samples().iter().filter(|sample| sample["op"] == adapter.name) {
        let must_fail = sample.get("error").is_some();
        let run = || if must_fail { call(adapter, sample).map(|_| ()) } else { check(adapter, sample) };
        match (quietly(run), must_fail) {
            (Ok(Ok(())), false) => tally.passed += 1,
            (Err(_), true) => tally.refused += 1,
            (Ok(Err(Problem::Skipped(why))), _) => *tally.skipped.entry(why).or_default() += 1,
            (Ok(Ok(())), true) => tally.failures.push(format!("accepts what PyTorch refuses: {}", sample)),
            (Ok(Err(Problem::Wrong(what))), _) => tally.failures.push(format!("{what}\n    {}", brief(sample))),
            (Err(panic), false) => tally.failures.push(format!("panics: {panic}\n    {}", brief(sample))),
        }
    }
    tally
}

/// A sample's arguments without its results.
fn brief(sample: &Value) -> String {
    let kwargs = sample.get("kwargs").map_or(String::new(), |kwargs| format!(" {kwargs}"));
    let dtype = sample.get("dtype").map_or(String::new(), |dtype| format!("{dtype} "));
    format!("{dtype}{}{kwargs}", sample["args"])
}

enum Problem {
    Skipped(String),
    Wrong(String),
}

fn call(adapter: &Torch, sample: &Value) -> Result<(Args, Vec<Var>), Problem> {
    let args = Args::parse(sample);
    if args.raw(usize::MAX, "out").is_some() {
        return Err(Problem::Skipped("a tensor to write the result to".into()));
    }
    let results = (adapter.call)(&args).map_err(|Skip(why)| Problem::Skipped(why))?;
    Ok((args, results))
}

fn check(adapter: &Torch, sample: &Value) -> Result<(), Problem> {
    let (args, results) = call(adapter, sample)?;
    compare_all(&args, &results, sample).map_err(Problem::Wrong)
}

fn compare_all(args: &Args, results: &[Var], sample: &Value) -> Result<(), String> {
    let unread = args.unread();
    if !unread.is_empty() {
        return Err(format!("the adapter did not read {unread:?}"));
    }
    let expected = sample["out"].as_array().expect("results");
    if results.len() != expected.len() {
        return Err(format!("{} results, PyTorch has {}", results.len(), expected.len()));
    }
    for (k, (got, expected)) in results.iter().zip(expected).enumerate() {
        fixture::compare(&format!("result {k}"), &got.value(), expected)?;
    }
    let Some(first) = sample.get("first").and_then(Value::as_array) else { return Ok(()) };
    let (leaves, outputs) = (args.leaves(), results.iter().filter(|y| y.requires_grad()).collect::<Vec<_>>());
    if outputs.is_empty() {
        return Err("no result requires a gradient, PyTorch's do".into());
    }
    let cotangents: Vec<Var> = outputs
        .iter()
        .enumerate()
        .map(|(k, y)| Var::new(fixture::wave(&y.value(), 1.3, 0.5 + k as f64)).requires_grad_(true))
        .collect();
    let options = |grad_outputs: Option<Vec<Var>>, create_graph: bool| GradOptions {
        grad_outputs,
        create_graph,
        allow_unused: Some(true),
        ..Default::default()
    };
    let gradients = grad(&outputs, &leaves, options(Some(cotangents.clone()), true));
    for (i, (got, expected)) in gradients.iter().zip(first).enumerate() {
        let got = got.as_ref().map(Var::value);
        fixture::compare_gradient(&format!("gradient {i}"), got.as_ref(), expected)?;
    }
    // The pass that keeps no graph runs the fused pullbacks.
    let again =
        grad(&outputs, &leaves, GradOptions { retain_graph: Some(true), ..options(Some(cotangents.clone()), false) });
    for (i, (got, expected)) in again.iter().zip(first).enumerate() {
        let got = got.as_ref().map(Var::value);
        fixture::compare_gradient(&format!("gradient {i} without a graph"), got.as_ref(), expected)?;
    }
    let Some(second) = sample.get("second").and_then(Value::as_array) else { return Ok(()) };
    let parts = gradients.iter().enumerate().filter_map(|(i, g)| g.as_ref().map(|g| (i, g)));
    let weighted = parts
        .filter(|(i, g)| g.requires_grad() && !first[*i].is_null())
        .map(|(i, g)| (g * Var::new(fixture::wave(&g.value(), 0.9, 1.1 + i as f64))).sum());
    let inputs: Vec<&Var> = leaves.into_iter().chain(&cotangents).collect();
    let seconds = match weighted.reduce(|a, b| a + b) {
        Some(total) => grad(&[&total], &inputs, options(None, false)),
        None => vec![None; inputs.len()],
    };
    for (i, (got, expected)) in seconds.iter().zip(second).enumerate() {
        let got = got.as_ref().map(Var::value);
        fixture::compare_gradient(&format!("second gradient {i}"), got.as_ref(), expected)?;
    }
    Ok(())
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`; a panic becomes its message, and nothing is printed.
pub(crate) fn quietly<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                others(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    QUIET.set(false);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        text.or_else(|| payload.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default()
    })
}

/// Runs a family's adapters, prints how many samples passed per operator, and fails with what did not.
fn conform(family: &str, adapters: Vec<Torch>) {
    let only = std::env::var("GRADUS_OP").ok();
    let (mut report, mut failures) = (String::new(), String::new());
    for adapter in adapters.iter().filter(|a| only.as_ref().is_none_or(|only| only == a.name)) {
        let tally = tally(adapter);
        let skipped: usize = tally.skipped.values().sum();
        report += &format!("  {}: {} passed, {} refused, {skipped} skipped", adapter.name, tally.passed, tally.refused);
        report += &if only.is_some() { format!(" {:?}\n", tally.skipped) } else { "\n".into() };
        let shown = if only.is_some() { usize::MAX } else { 3 };
        let count = tally.failures.len();
        for failure in tally.failures.iter().take(shown) {
            failures += &format!("`{}` ({count} of its samples fail): {failure}\n", adapter.name);
        }
    }
    // Past the capture of the test runner, which hides the output of tests that pass.
    let _ = write!(std::io::stderr(), "conformance with PyTorch, {family}:\n{report}");
    assert!(failures.is_empty(), "{failures}");
}

/// The families with adapters, each with a test.
macro_rules! conforming {
    ($($(#[$when:meta])? $family:ident),* $(,)?) => {
        fn adapters() -> Vec<Torch> {
            [$($(#[$when])? crate::ops::$family::torch()),*].into_iter().flatten().collect()
        }

        $($(#[$when])? #[test]
        fn $family() {
            conform(stringify!($family), crate::ops::$family::torch());
        })*
    };
}

conforming! {
    activation,
    arithmetic,
    assign,
    attention,
    binary,
    channel_norm,
    compare,
    conv,
    create,
    #[cfg(feature = "linalg")]
    decompose,
    diagonal,
    division,
    einsum,
    embedding,
    extremum,
    index,
    interpolate,
    #[cfg(feature = "linalg")]
    invariants,
    join,
    logic,
    loss,
    matmul,
    norm,
    order,
    pair_loss,
    parts,
    piecewise,
    pool,
    products,
    reduce,
    repeat,
    scan,
    scatter,
    search,
    shape,
    similarity,
    smooth,
    softmax,
    #[cfg(feature = "linalg")]
    solve,
    special,
    statistics,
    ternary,
    trigonometry,
    unary,
    vector_norm,
}
