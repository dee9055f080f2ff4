//! `gpt convert`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use tensor::DType;

use super::say;
use crate::convert::{Options, convert};
use crate::progress::{Progress, to_stderr};
use crate::{Error, Result};

/// Options of `gpt convert`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gpt convert runs/mine runs/mine-bf16 --dtype bf16\n  \
                        gpt convert pytorch_model.bin model.safetensors\n  \
                        gpt convert llama llama-sharded --max-shard-size 2GB\n\n\
                        A DST that ends in .safetensors or .npz is a file, which is replaced; any other a directory, \
                        which must be new or empty. SRC is not changed.")]
pub(super) struct ConvertArgs {
    /// A .safetensors, .pth, .pt, .bin or .npz file, the index of a sharded one, or a model directory
    #[arg(value_name = "SRC")]
    pub(super) source: PathBuf,
    /// The file or the directory to write
    #[arg(value_name = "DST")]
    pub(super) target: PathBuf,
    /// What floats become; integers stay [default: all stay]
    #[arg(long)]
    pub(super) dtype: Option<Floats>,
    /// The size beyond which a directory gets several files of weights, as 500MB or 2GiB [default: 5GB]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(super) max_shard_size: Option<u64>,
}

/// A floating dtype.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Floats {
    F32,
    Bf16,
    F16,
    F64,
}

impl From<Floats> for DType {
    fn from(floats: Floats) -> DType {
        match floats {
            Floats::F32 => DType::F32,
            Floats::Bf16 => DType::BF16,
            Floats::F16 => DType::F16,
            Floats::F64 => DType::F64,
        }
    }
}

/// A number of bytes, in the units of Hugging Face: `KB`, `MB`, `GB`, `TB` in powers of 1000, `KiB` and so on of 1024.
fn bytes(text: &str) -> std::result::Result<u64, String> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| "not a size such as 500MB, 2GiB or 1000000")?;
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err("the units are KB, MB, GB, TB, KiB, MiB, GiB and TiB".into()),
    };
    match number.checked_mul(unit) {
        Some(0) => Err("must be at least 1".into()),
        Some(bytes) => Ok(bytes),
        None => Err("more bytes than there are".into()),
    }
}

/// What takes longer is shown.
const LONG: Duration = Duration::from_secs(1);

/// Writes a checkpoint in another format, dtype, or number of files.
pub(super) fn run(args: &ConvertArgs) -> Result<()> {
    let is_file = args.target.extension().is_some_and(|extension| extension == "safetensors" || extension == "npz");
    if is_file && args.max_shard_size.is_some() {
        let what = "one file has no shards; name a directory, or leave out --max-shard-size";
        return Err(Error::in_file(&args.target, what));
    }
    let default = Options::default();
    let options = Options {
        dtype: args.dtype.map(DType::from),
        max_shard_bytes: args.max_shard_size.unwrap_or(default.max_shard_bytes),
    };
    let (started, mut progress) = (Instant::now(), None);
    let report = convert(&args.source, &args.target, &options, |done, count, name| {
        if started.elapsed() >= LONG {
            // A name is what a file says: a terminal would obey control characters in it.
            progress.get_or_insert_with(Progress::new).update(done, count, &name.escape_debug().to_string());
        }
    });
    if let Some(progress) = progress {
        progress.finish();
    }
    let report = report?;
    if let (Some((name, count)), Some(dtype)) = (&report.overflow, options.dtype) {
        let numbers = if *count == 1 { "number is" } else { "numbers are" };
        to_stderr(&format!("warning: {count} {numbers} too large for {dtype} and became infinite, first in {name:?}"));
    }
    let (tensors, files) = (report.tensors, report.files.len());
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    say(&format!(
        "{}: {tensors} tensor{}, {} bytes, in {files} file{}",
        args.target.display(),
        plural(tensors),
        report.bytes,
        plural(files)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_units_of_hugging_face() {
        for (text, size) in
            [("7", 7), ("500MB", 500_000_000), ("5gb", 5_000_000_000), ("2 GiB", 2 << 30), ("1kb", 1000), ("3 B", 3)]
        {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for (text, says) in [
            ("", "not a size"),
            ("MB", "not a size"),
            ("-1", "not a size"),
            ("1.5GB", "units"),
            ("1 parsec", "units"),
            ("0MB", "at least 1"),
            ("18446744073709551615KB", "more bytes"),
            ("99999999999999999999", "not a size"),
        ] {
            assert!(bytes(text).unwrap_err().contains(says), "{text}");
        }
    }
}
