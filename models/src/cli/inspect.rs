//! `gpt inspect`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value as Json, json};

use super::say;
use crate::checkpoint::{CONFIG, TOKENIZER, VOCAB_AND_MERGES};
use crate::error::printable;
use crate::{Error, Result, weights};

/// Options of `gpt inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gpt inspect runs/mine\n  gpt inspect pytorch_model.bin --json")]
pub(super) struct InspectArgs {
    /// A .safetensors, .pth, .pt, .bin or .npz file, the index of a sharded one, or a model directory
    #[arg(value_name = "PATH")]
    pub(super) path: PathBuf,
    /// Print a JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Lists what a checkpoint holds, without reading its tensors (but for NPZ files, which say nothing about them before).
pub(super) fn run(args: &InspectArgs) -> Result<()> {
    let files = weights::find(&args.path)?;
    let (tensors, metadata) = weights::list(&files)?;
    let mut dtypes: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for info in &tensors {
        let sums = dtypes.entry(&info.dtype).or_default();
        for (sum, n) in sums.iter_mut().zip([1, info.numel(), info.bytes]) {
            *sum = sum.saturating_add(n);
        }
    }
    let total = |at: usize| dtypes.values().fold(0, |sum: u64, sums| sum.saturating_add(sums[at]));
    let beside = |name: &str| json_beside(&args.path, name);
    let config = beside(CONFIG)?;
    let (from, tokenizer) = match beside(TOKENIZER)? {
        Some(json) => (TOKENIZER.to_string(), Some(tokenizer(&json))),
        None => (VOCAB_AND_MERGES.join(", "), of_two_files(&args.path)?),
    };
    if args.json {
        let names: Vec<String> = files.files.iter().map(|file| file.display().to_string()).collect();
        let infos = tensors
            .iter()
            .map(|info| json!({ "name": info.name, "dtype": info.dtype, "shape": info.shape, "bytes": info.bytes }));
        let by_dtype = dtypes.iter().map(|(dtype, [tensors, parameters, bytes])| {
            (dtype.to_string(), json!({ "tensors": tensors, "parameters": parameters, "bytes": bytes }))
        });
        let report = json!({
            "path": args.path.display().to_string(),
            "format": files.format.name(),
            "files": names,
            "tensors": infos.collect::<Vec<_>>(),
            "parameters": total(1),
            "bytes": total(2),
            "dtypes": by_dtype.collect::<serde_json::Map<_, _>>(),
            "metadata": metadata.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect::<serde_json::Map<_, _>>(),
            "config": config,
            "tokenizer": tokenizer,
        });
        return say(&report.to_string());
    }
    let mut text = String::new();
    let rows = tensors.iter().map(|info| {
        [
            info.name.escape_debug().to_string(),
            info.dtype.escape_debug().to_string(),
            format!("{:?}", info.shape),
            human(info.bytes),
        ]
    });
    let head = ["name", "dtype", "shape", "size"].map(str::to_string);
    table(&mut text, std::iter::once(head).chain(rows).collect(), 3);
    let (count, n) = (files.files.len(), tensors.len());
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    text += &format!(
        "\n{n} tensor{}, {} parameters, {} in {count} {} file{}\n",
        plural(n),
        total(1),
        human(total(2)),
        files.format.name(),
        plural(count)
    );
    let rows = dtypes.iter().map(|(dtype, [tensors, parameters, bytes])| {
        [
            format!("  {}", dtype.escape_debug()),
            format!("{tensors} tensor{}", plural(*tensors as usize)),
            format!("{parameters} parameters"),
            human(*bytes),
        ]
    });
    table(&mut text, rows.collect(), 1);
    let section = |text: &mut String, title: &str, rows: Vec<[String; 2]>| {
        if !rows.is_empty() {
            *text += &format!("\n{title}\n");
            table(text, rows, 2);
        }
    };
    section(
        &mut text,
        "metadata",
        metadata.iter().map(|(k, v)| [format!("  {}", printable(k)), printable(v)]).collect(),
    );
    for (title, json) in [(CONFIG, &config), (&*from, &tokenizer)] {
        let entries = json.iter().filter_map(Json::as_object).flatten().filter(|(_, value)| !value.is_null());
        let shown = |value: &Json| printable(value.as_str().unwrap_or(&value.to_string()));
        section(&mut text, title, entries.map(|(k, v)| [format!("  {}", printable(k)), shown(v)]).collect());
    }
    say(&text)
}

/// The JSON of the file `name` in the directory `path`, if that is one and has it.
fn json_beside(path: &Path, name: &str) -> Result<Option<Json>> {
    let file = path.join(name);
    if !path.is_dir() || !file.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(&file).map_err(|e| Error::read(&file, e))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::in_file(&file, e))
}

/// What `tokenizer.json` says of itself: the kind of its model, and how many tokens it has.
fn tokenizer(json: &Json) -> Json {
    let entries = |json: &Json| json.as_object().map(|m| m.len()).or_else(|| json.as_array().map(Vec::len));
    json!({
        "model": json["model"]["type"],
        "vocabulary": entries(&json["model"]["vocab"]),
        "merges": entries(&json["model"]["merges"]),
        "added_tokens": entries(&json["added_tokens"]),
    })
}

/// The same of the two files of an older directory, if `path` is one.
fn of_two_files(path: &Path) -> Result<Option<Json>> {
    let [vocab, merges] = VOCAB_AND_MERGES;
    let merges = path.join(merges);
    let Some(vocab) = json_beside(path, vocab)?.filter(|_| merges.exists()) else { return Ok(None) };
    let text = std::fs::read_to_string(&merges).map_err(|e| Error::read(&merges, e))?;
    let version = |number: usize, line: &str| number == 0 && line.starts_with("#version");
    let lines = text.lines().enumerate().filter(|&(number, line)| !(line.is_empty() || version(number, line)));
    let vocabulary = vocab.as_object().map(serde_json::Map::len);
    Ok(Some(json!({ "model": "BPE", "vocabulary": vocabulary, "merges": lines.count(), "added_tokens": null })))
}

/// Bytes in powers of 1024.
fn human(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut size = bytes as f64 / 1024.0;
    if size < 1.0 {
        return format!("{bytes} B");
    }
    let mut at = 0;
    // What would round to 1024.0 is one of the next unit.
    while size >= 1023.95 && at + 1 < units.len() {
        size /= 1024.0;
        at += 1;
    }
    format!("{size:.1} {}", units[at])
}

/// Adds `rows` with aligned columns, those from `right` on at the right.
fn table<const N: usize>(text: &mut String, rows: Vec<[String; N]>, right: usize) {
    /// Longer cells stick out: one must not widen every row.
    const WIDEST: usize = 120;
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).filter(|&width| width <= WIDEST).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column < right {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        });
        *text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_unit() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(human(bytes), shown);
        }
    }
}
