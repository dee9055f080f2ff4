//! The `gpt` command line.
//!
//! Whatever a user gives that cannot be used ends in one line on stderr and the exit code 2.

mod bench;
mod convert;
mod eval;
mod generate;
mod inspect;
mod logits;
mod plan;
mod train;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

use bench::BenchArgs;
use convert::ConvertArgs;
use eval::EvalArgs;
use generate::GenerateArgs;
use inspect::InspectArgs;
use logits::LogitsArgs;
use plan::PlanArgs;
use train::TrainArgs;

use crate::Error;
use crate::progress::to_stderr;

#[derive(Debug, Parser)]
#[command(
    name = "gpt",
    version,
    about = "Train a small GPT, let it write, and measure how fast it learns",
    long_about = "Train a small GPT, let it write, and measure how fast it learns.\n\n\
                  Without a command: train for two minutes on this program's own sources and print a sample.",
    after_help = "Examples:\n  gpt\n  gpt train --data input.txt --out runs/mine\n  gpt generate --model runs/mine --prompt \"Once\"",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a GPT on a text and save it as a Hugging Face model directory
    Train(Box<TrainArgs>),
    /// Write text with a trained model
    Generate(GenerateArgs),
    /// Measure how well a model predicts a text
    Eval(EvalArgs),
    /// Write the logits of given tokens into a safetensors file
    Logits(LogitsArgs),
    /// List what a checkpoint holds: names, dtypes, shapes, sizes, metadata
    Inspect(InspectArgs),
    /// Write a checkpoint in another format, dtype, or number of files
    Convert(ConvertArgs),
    /// Compute what training a model takes: memory, arithmetic, time
    Plan(PlanArgs),
    /// Measure the speed of training steps, of writing, of small operations, or of each kernel
    Bench(BenchArgs),
}

/// A size or a count: at least 1.
fn size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(n) => Ok(n),
        Err(_) => Err("not a whole number from 1".into()),
    }
}

/// A number of threads.
fn threads(text: &str) -> Result<usize, String> {
    match size(text)? {
        n @ ..=1024 => Ok(n),
        _ => Err("more than 1024 threads".into()),
    }
}

/// A finite number that is not negative.
fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() && x >= 0.0 => Ok(x),
        _ => Err("not 0 or a positive number".into()),
    }
}

/// The id of a token; whether it is in the vocabulary is for the model to say.
fn token_id(text: &str) -> Result<i64, String> {
    text.trim().parse().map_err(|_| "not the number of a token".into())
}

/// Reads a text file.
fn read_text(path: &Path) -> crate::Result<String> {
    let bytes = std::fs::read(path).map_err(|e| Error::read(path, e))?;
    let text = String::from_utf8(bytes).map_err(|e| Error::in_file(path, format!("not a UTF-8 text: {e}")))?;
    if text.is_empty() { Err(Error::in_file(path, "the file is empty")) } else { Ok(text) }
}

/// The memory of this machine in bytes, as Linux tells it.
fn total_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Runs the command line `args` (the first is the program) and gives the exit code: 0, 1 when something cannot be
/// written, 2 when what the user gave cannot be used.
pub fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    // The first thing that the program does.
    let started = Instant::now();
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let program = args.first().map_or("gpt".into(), |name| name.to_string_lossy().into_owned());
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) if e.use_stderr() => {
            to_stderr(&one_line(&e));
            return ExitCode::from(2);
        }
        Err(help) => {
            return ended(say(&help.render().to_string()).map(|()| ExitCode::SUCCESS));
        }
    };
    let done = match cli.command {
        None => return ended(train::two_minutes(&program)),
        Some(Command::Train(args)) => return ended(train::run(&args, &program)),
        Some(Command::Generate(args)) => generate::run(&args),
        Some(Command::Eval(args)) => eval::run(&args),
        Some(Command::Logits(args)) => logits::run(&args),
        Some(Command::Inspect(args)) => inspect::run(&args),
        Some(Command::Convert(args)) => convert::run(&args),
        Some(Command::Plan(args)) => plan::run(&args),
        Some(Command::Bench(args)) => bench::run(&args, started),
    };
    ended(done.map(|()| ExitCode::SUCCESS))
}

/// The exit code of a command, whose error is printed.
fn ended(done: crate::Result<ExitCode>) -> ExitCode {
    match done {
        Ok(code) => code,
        Err(error) => {
            to_stderr(&format!("error: {error}"));
            ExitCode::from(if matches!(error, Error::Write { .. }) { 1 } else { 2 })
        }
    }
}

/// A usage error of clap as one line.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("Usage:") && !line.starts_with("For more information"));
    let line = lines.collect::<Vec<_>>().join(" ");
    // A missing command is answered with the whole help.
    let line = if line.starts_with("error:") { line } else { "error: a command is missing".into() };
    format!("{line} (try --help)")
}

/// Prints `text` on stdout; a reader that has gone is no reason to panic or to stop.
///
/// # Errors
/// When it cannot be written for another reason, such as a full disk.
fn say(text: &str) -> crate::Result<()> {
    let mut out = io::stdout().lock();
    is_read(writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush())).map(drop)
}

/// Whether somebody still reads stdout, after writing there ended with `written`.
fn is_read(written: io::Result<()>) -> crate::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Error::write(Path::new("stdout"), e)),
    }
}

/// The peak resident memory in megabytes of 2^20 bytes, where the system tells it.
fn peak_rss_mb() -> Option<f64> {
    tensor::memory::peak_rss_bytes().map(|bytes| bytes as f64 / (1 << 20) as f64)
}

/// The name and version that the benchmarks report.
fn engine() -> String {
    format!("gradus {}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, String> {
        Cli::try_parse_from(line.split_whitespace()).map_err(|e| one_line(&e))
    }

    #[test]
    fn the_definition_is_consistent_and_every_command_shows_an_example() {
        let mut cli = Cli::command();
        cli.build();
        cli.clone().debug_assert();
        fn check(command: &clap::Command) {
            let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(example.contains("gpt"), "{} has no example", command.get_name());
            command.get_subcommands().filter(|c| c.get_name() != "help").for_each(check);
        }
        check(&cli);
    }

    #[test]
    fn examples_in_the_help_are_valid() {
        let mut found = 0;
        let mut texts = vec![Cli::command()];
        while let Some(command) = texts.pop() {
            texts.extend(command.get_subcommands().cloned());
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().filter(|line| line.starts_with("  gpt")) {
                // Every second piece stands between quotes: one word, whatever is in it.
                let words = line.split('"').enumerate().flat_map(|(at, piece)| match at % 2 {
                    0 => piece.split_whitespace().collect(),
                    _ => vec![piece],
                });
                Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {}", one_line(&e)));
                found += 1;
            }
        }
        assert!(found >= 7, "{found}");
    }

    #[test]
    fn a_bare_command_line_is_a_run() {
        assert!(parse("gpt").unwrap().command.is_none());
    }

    #[test]
    fn usage_errors_are_one_line() {
        for (line, says) in [
            ("gpt train --preset tiny", "tiny"),
            ("gpt train --steps 0", "at least 1"),
            ("gpt train --steps -5", "-5"),
            ("gpt train --steps 1.5", "1.5"),
            ("gpt train --lr nan", "nan"),
            ("gpt train --lr -1", "-1"),
            ("gpt train --clip inf", "inf"),
            ("gpt train --width 99999999999999999999999", "whole number"),
            ("gpt train --threads 0", "at least 1"),
            ("gpt train --threads 5000", "1024"),
            ("gpt train --dat x", "--data"),
            ("gpt generate", "--model"),
            ("gpt generate --model m --temperature -0.5", "-0.5"),
            ("gpt generate --model m --top-k 0", "at least 1"),
            ("gpt bench", "missing"),
            ("gpt bench train nano", "nano"),
            ("gpt bench ops extra", "extra"),
            ("gpt fly", "fly"),
        ] {
            let message = parse(line).unwrap_err();
            assert!(message.starts_with("error: ") && message.contains(says), "{line}: {message}");
            assert!(!message.contains('\n'), "{line}: {message}");
        }
    }

    #[test]
    fn a_prompt_may_begin_with_a_hyphen() {
        let cli = Cli::try_parse_from(["gpt", "generate", "--model", "m", "--prompt", "-- x", "--top-k", "3"]).unwrap();
        let Some(Command::Generate(args)) = cli.command else { panic!("generate") };
        assert_eq!((&args.prompt[..], args.top_k), (&["-- x".to_string()][..], Some(3)));
    }
}
