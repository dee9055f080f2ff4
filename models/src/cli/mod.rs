//! The `gpt` command line.
//!
//! Whatever a user gives that cannot be used ends in one line on stderr and the exit code 2.

mod bench;
mod generate;
mod train;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::progress::to_stderr;
use crate::{Error, Preset};

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
    Train(TrainArgs),
    /// Write text with a trained model
    Generate(GenerateArgs),
    /// Measure the speed of training steps or of small operations
    Bench(BenchArgs),
}

/// Options of `gpt train`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Example:\n  gpt train --data input.txt --preset nano-cpu --steps 2000 --out runs/mine --json"
)]
struct TrainArgs {
    /// The text to learn from [default: this program's own sources]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// The directory for the model and the loss curve [default: runs/<preset>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The sizes that the next five options change
    #[arg(long, default_value = "nano-cpu")]
    preset: Preset,
    /// Transformer blocks
    #[arg(long, value_name = "N", value_parser = size)]
    layers: Option<usize>,
    /// Attention heads; they divide the width
    #[arg(long, value_name = "N", value_parser = size)]
    heads: Option<usize>,
    /// Numbers per token
    #[arg(long, value_name = "N", value_parser = size)]
    width: Option<usize>,
    /// Tokens that the model sees at once
    #[arg(long, value_name = "N", value_parser = size)]
    context: Option<usize>,
    /// Windows of text per step
    #[arg(long, value_name = "N", value_parser = size)]
    batch: Option<usize>,
    /// Training steps
    #[arg(long, value_name = "N", default_value = "2000", value_parser = size)]
    steps: usize,
    /// The largest learning rate of AdamW
    #[arg(long, value_name = "X", default_value = "1e-3", value_parser = number)]
    lr: f64,
    /// The learning rate of the last step [default: 1e-4, or a tenth of --lr where that is less]
    #[arg(long, value_name = "X", value_parser = number)]
    min_lr: Option<f64>,
    /// Steps over which the learning rate rises
    #[arg(long, value_name = "N", default_value = "100")]
    warmup: usize,
    /// Weight decay of the matrices
    #[arg(long, value_name = "X", default_value = "0.1", value_parser = number)]
    weight_decay: f64,
    /// The gradient's norm is cut to it; 0 cuts nothing
    #[arg(long, value_name = "X", default_value = "1", value_parser = number)]
    clip: f64,
    /// The probability that a number is dropped in training
    #[arg(long, value_name = "P", default_value = "0", value_parser = number)]
    dropout: f64,
    /// Steps between estimates of the validation loss
    #[arg(long, value_name = "N", default_value = "250", value_parser = size)]
    eval_every: usize,
    /// Batches of such an estimate
    #[arg(long, value_name = "N", default_value = "20", value_parser = size)]
    eval_batches: usize,
    /// Decides the first weights and the batches
    #[arg(long, value_name = "N", default_value = "1337")]
    seed: u64,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
    /// Print a JSON object as the last line
    #[arg(long)]
    json: bool,
}

/// Options of `gpt generate`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Example:\n  gpt generate --model runs/nano-cpu --prompt \"pub fn \" --max-new 300 --temperature 0.8 --top-k 40"
)]
struct GenerateArgs {
    /// The model directory
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The text to go on from [default: a line break]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// Tokens to write
    #[arg(long, value_name = "N", default_value = "500", value_parser = size)]
    max_new: usize,
    /// Below 1 prefers likely tokens, above 1 evens them out; 0 takes the likeliest
    #[arg(long, value_name = "T", default_value = "0.8", value_parser = number)]
    temperature: f64,
    /// Choose among this many likeliest tokens only [default: all]
    #[arg(long, value_name = "K", value_parser = size)]
    top_k: Option<usize>,
    /// The same seed gives the same text
    #[arg(long, value_name = "N", default_value = "1337")]
    seed: u64,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gpt bench train baby --threads 2 --seconds 15 --json\n  gpt bench ops --json")]
struct BenchArgs {
    #[command(subcommand)]
    what: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Time training steps on random data
    #[command(
        allow_negative_numbers = true,
        after_help = "Example:\n  gpt bench train nano-cpu --threads 2 --seconds 15 --json"
    )]
    Train {
        /// The sizes of the model
        #[arg(default_value = "nano-cpu")]
        preset: Preset,
        /// Threads to compute with
        #[arg(long, value_name = "N", default_value = "2", value_parser = threads)]
        threads: usize,
        /// How long to measure; at least 11 steps are done
        #[arg(long, value_name = "S", default_value = "15", value_parser = number)]
        seconds: f64,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Time operations so small that only their overhead counts
    #[command(after_help = "Example:\n  gpt bench ops --threads 2 --json")]
    Ops {
        /// Threads to compute with
        #[arg(long, value_name = "N", default_value = "2", value_parser = threads)]
        threads: usize,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
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

/// Runs the command line `args` (the first is the program) and gives the exit code: 0, 1 when something cannot be
/// written, 2 when what the user gave cannot be used.
pub fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let program = args.first().map_or("gpt".into(), |name| name.to_string_lossy().into_owned());
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) if e.use_stderr() => {
            to_stderr(&one_line(&e));
            return ExitCode::from(2);
        }
        Err(help) => {
            say(&help.render().to_string());
            return ExitCode::SUCCESS;
        }
    };
    let done = match cli.command {
        None => train::two_minutes(&program),
        Some(Command::Train(args)) => train::run(&args, &program),
        Some(Command::Generate(args)) => generate::run(&args),
        Some(Command::Bench(BenchArgs { what: Bench::Train { preset, threads, seconds, json } })) => {
            bench::train(preset, threads, seconds, json)
        }
        Some(Command::Bench(BenchArgs { what: Bench::Ops { threads, json } })) => bench::ops(threads, json),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
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
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
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
                // Quoted prompts in the examples hold at most one space, at their end.
                parse(&line.replace("\"pub fn \"", "pub")).unwrap_or_else(|e| panic!("{line}: {e}"));
                found += 1;
            }
        }
        assert!(found >= 7, "{found}");
    }

    #[test]
    fn defaults_are_those_of_the_specification() {
        let Some(Command::Train(args)) = parse("gpt train").unwrap().command else { panic!("train") };
        assert_eq!((args.preset, args.steps, args.seed), (Preset::NanoCpu, 2000, 1337));
        assert_eq!((args.lr, args.min_lr, args.warmup), (1e-3, None, 100));
        assert_eq!((args.weight_decay, args.clip, args.dropout), (0.1, 1.0, 0.0));
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
        assert_eq!((args.prompt.as_deref(), args.top_k), (Some("-- x"), Some(3)));
    }
}
