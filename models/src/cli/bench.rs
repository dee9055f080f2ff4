//! `gpt bench`.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{engine, number, peak_rss_mb, say, threads};
use crate::{Error, Preset, Result, bench};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gpt bench train baby --threads 2 --seconds 15 --json\n  gpt bench ops --json")]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    pub(super) what: Bench,
}

#[derive(Debug, Subcommand)]
pub(super) enum Bench {
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

/// `gpt bench train`.
pub(super) fn train(preset: Preset, threads: usize, seconds: f64, json: bool) -> Result<()> {
    let time = Duration::try_from_secs_f64(seconds).map_err(|e| Error::invalid(format!("--seconds {seconds}: {e}")))?;
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
        });
        say(&report.to_string());
    } else {
        say(&format!(
            "{preset}: {:.2} ms per step (median of {}, fastest {:.2}), {:.0} tokens/s with {threads} threads",
            speed.median_ms, speed.steps, speed.min_ms, speed.tokens_per_s
        ));
    }
    Ok(())
}

/// `gpt bench ops`.
pub(super) fn ops(threads: usize, json: bool) -> Result<()> {
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
        say(&report.to_string());
    } else {
        say(&format!(
            "{:.0} ns to add two 2 x 2 matrices, {:.0} ns per node of a chain, forward and backward",
            speed.add_2x2_ns, speed.chain_node_ns
        ));
    }
    Ok(())
}
