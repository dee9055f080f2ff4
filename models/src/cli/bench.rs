//! `gpt bench`.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::json;
use tensor::limits::Stream;

use super::{engine, number, peak_rss_mb, say, size, threads, total_memory};
use crate::bench::kernels::{KernelOptions, KernelSpeed, Work};
use crate::{Error, Preset, Result, Storage, bench};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gpt bench train baby --threads 2 --seconds 15 --json\n  \
                        gpt bench decode gpt2 --dtype bf16 --json\n  gpt bench ops --json\n  \
                        gpt bench kernels --filter matmul")]
pub(super) struct BenchArgs {
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
    /// Time the writing of tokens one after the other, with random weights
    #[command(after_help = "Example:\n  gpt bench decode gpt2 --prompt 32 --new 128 --dtype bf16 --threads 2 --json")]
    Decode {
        /// The sizes of the model; its context is the prompt and the new tokens
        #[arg(default_value = "nano-cpu")]
        preset: Preset,
        /// Tokens that are given
        #[arg(long, value_name = "N", default_value = "32", value_parser = size)]
        prompt: usize,
        /// Tokens to write, at least 2
        #[arg(long, value_name = "N", default_value = "128", value_parser = size)]
        new: usize,
        /// How the weights are stored
        #[arg(long, value_name = "DTYPE", default_value = "f32")]
        dtype: Storage,
        /// Threads to compute with
        #[arg(long, value_name = "N", default_value = "2", value_parser = threads)]
        threads: usize,
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
    /// Time each kernel, and compare it with what the machine can do at most
    ///
    /// Matrix products, convolution and attention are compared with fused multiply-adds in registers; the others with a
    /// stream through memory that reads and writes as many arrays: a sum (read), y = a x (copy), z = x + a y (triad), or
    /// x = a x (update). Each kernel is measured in turn with its limit; of both the median counts.
    #[command(
        allow_negative_numbers = true,
        after_help = "Examples:\n  gpt bench kernels --threads 2\n  gpt bench kernels --filter \"gelu backward\" --json"
    )]
    Kernels {
        /// Only kernels whose names hold all words of this
        #[arg(long, value_name = "TEXT", default_value = "")]
        filter: String,
        /// Threads to compute with
        #[arg(long, value_name = "N", default_value = "2", value_parser = threads)]
        threads: usize,
        /// How long to measure each kernel and its limit; at least 3 rounds are done
        #[arg(long, value_name = "S", default_value = "0.5", value_parser = number)]
        seconds: f64,
        /// MiB of an array of those that memory limits, far more than the last-level cache
        #[arg(long, value_name = "N", default_value = "256", value_parser = size)]
        megabytes: usize,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Measures, and prints what was found; the program began when it `started`.
pub(super) fn run(args: &BenchArgs, started: Instant) -> Result<()> {
    match args.what {
        Bench::Train { preset, threads, seconds, json } => train(preset, threads, seconds, json, started),
        Bench::Decode { preset, prompt, new, dtype, threads, json } => {
            decode(preset, [prompt, new], dtype, threads, json)
        }
        Bench::Ops { threads, json } => ops(threads, json),
        Bench::Kernels { ref filter, threads, seconds, megabytes, json } => {
            kernels(filter, threads, seconds, megabytes, json)
        }
    }
}

/// The duration that `--seconds` gives.
fn duration(seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|e| Error::invalid(format!("--seconds {seconds}: {e}")))
}

fn train(preset: Preset, threads: usize, seconds: f64, json: bool, started: Instant) -> Result<()> {
    let time = duration(seconds)?;
    tensor::set_num_threads(threads);
    tensor::manual_seed(0);
    let speed = bench::train(preset, time)?;
    if json {
        let report = json!({
            "engine": engine(),
            "what": "train",
            "preset": preset.name(),
            "threads": threads,
            "steps": speed.steps,
            "median_ms": speed.median_ms,
            "min_ms": speed.min_ms,
            "tokens_per_s": speed.tokens_per_s,
            "peak_rss_mb": peak_rss_mb(),
            "last_loss": speed.last_loss,
            "first_step_ms": speed.first_step.duration_since(started).as_secs_f64() * 1e3,
        });
        say(&report.to_string())
    } else {
        say(&format!(
            "{preset}: {:.2} ms per step (median of {}, fastest {:.2}), {:.0} tokens/s with {threads} threads",
            speed.median_ms, speed.steps, speed.min_ms, speed.tokens_per_s
        ))
    }
}

fn decode(preset: Preset, [prompt, new]: [usize; 2], storage: Storage, threads: usize, json: bool) -> Result<()> {
    let needs = bench::decode_memory(preset, prompt, new, storage);
    if total_memory().is_some_and(|has| needs > u128::from(has)) {
        let context = prompt as u128 + new as u128;
        return Err(Error::invalid(format!(
            "a context of {context} takes at least {:.1} GB of memory",
            needs as f64 / 1e9
        )));
    }
    tensor::set_num_threads(threads);
    tensor::manual_seed(0);
    let speed = bench::decode(preset, prompt, new, storage)?;
    if json {
        let report = json!({
            "engine": engine(),
            "what": "decode",
            "preset": preset.name(),
            "threads": threads,
            "tokens_per_s": speed.tokens_per_s,
            "prefill_ms": speed.prefill_ms,
            "peak_rss_mb": peak_rss_mb(),
        });
        say(&report.to_string())
    } else {
        say(&format!(
            "{preset}: {:.1} tokens/s after a prompt of {prompt} tokens, which takes {:.2} ms, with {threads} threads",
            speed.tokens_per_s, speed.prefill_ms
        ))
    }
}

fn ops(threads: usize, json: bool) -> Result<()> {
    tensor::set_num_threads(threads);
    tensor::manual_seed(0);
    let speed = bench::ops();
    if json {
        let report = json!({
            "engine": engine(),
            "what": "ops",
            "threads": threads,
            "add_2x2_ns": speed.add_2x2_ns,
            "chain_node_ns": speed.chain_node_ns,
        });
        say(&report.to_string())
    } else {
        say(&format!(
            "{:.0} ns to add two 2 x 2 matrices, {:.0} ns per node of a chain, forward and backward",
            speed.add_2x2_ns, speed.chain_node_ns
        ))
    }
}

fn kernels(filter: &str, threads: usize, seconds: f64, megabytes: usize, json: bool) -> Result<()> {
    let time = duration(seconds)?;
    // The streams have three arrays and AdamW four; while these are made there is another.
    let needs = (8 * megabytes as u128) << 20;
    // No machine has more than this.
    if needs > u128::from(total_memory().unwrap_or(1 << 50)) {
        let what = format!("--megabytes {megabytes}: eight such arrays take {:.1} GB of memory", needs as f64 / 1e9);
        return Err(Error::invalid(what));
    }
    tensor::set_num_threads(threads);
    tensor::manual_seed(0);
    let speed =
        bench::kernels(&KernelOptions { filter: filter.to_string(), time, bytes: megabytes.saturating_mul(1 << 20) })?;
    let limits = &speed.limits;
    let rates = || Stream::ALL.iter().zip(limits.streams);
    if json {
        let mut report = json!({
            "engine": engine(),
            "what": "kernels",
            "threads": threads,
            "fma_gflops": limits.fma / 1e9,
        });
        rates().for_each(|(stream, rate)| report[format!("{}_gb_s", stream.name())] = (rate / 1e9).into());
        report["kernels"] = speed.kernels.iter().map(object).collect();
        say(&report.to_string())
    } else {
        let streams: Vec<String> =
            rates().map(|(stream, rate)| format!("{} {:.1}", stream.name(), rate / 1e9)).collect();
        let mut table = format!(
            "limits with {threads} threads: fma {:.1} GFLOP/s; {} GB/s\n",
            limits.fma / 1e9,
            streams.join(", ")
        );
        table += &format!("{:<36} {:>10} {:>9} {:<7} {:>13} {:>6}\n", "kernel", "ms", "rate", "", "limit", "share");
        for kernel in &speed.kernels {
            let unit = if matches!(kernel.work, Work::Flops(_)) { "GFLOP/s" } else { "GB/s" };
            table += &format!(
                "{:<36} {:>10.3} {:>9.1} {unit:<7} {:>6} {:>6.1} {:>5.1}%\n",
                kernel.name,
                kernel.seconds * 1e3,
                kernel.rate() / 1e9,
                kernel.work.limit(),
                kernel.limit / 1e9,
                kernel.share() * 100.0
            );
        }
        say(&table)
    }
}

/// A kernel as a JSON object.
fn object(kernel: &KernelSpeed) -> serde_json::Value {
    let unit = if matches!(kernel.work, Work::Flops(_)) { "gflops" } else { "gb_s" };
    let mut object = json!({
        "name": kernel.name,
        unit: kernel.rate() / 1e9,
        "limit": kernel.work.limit(),
        "limit_rate": kernel.limit / 1e9,
        "share": kernel.share(),
        "ms": kernel.seconds * 1e3,
    });
    if let Some(product) = kernel.product {
        // So that another program can measure the same product.
        for (name, size) in [("m", product.m), ("k", product.k), ("n", product.n)] {
            object[name] = size.into();
        }
        object["form"] = product.form.name().into();
    }
    object
}
