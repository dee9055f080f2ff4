//! `gpt bench`.

use std::time::Duration;

use serde_json::json;

use super::{engine, peak_rss_mb, say};
use crate::{Error, Preset, Result, bench};

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
