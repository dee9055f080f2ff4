//! `gpt plan`.

use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{number, say, size, threads, total_memory};
use crate::checkpoint;
use crate::plan::{Rate, measure, plan};
use crate::{Error, GptConfig, ModelConfig, Preset, Result, published};

/// Options of `gpt plan`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gpt plan --config gpt2 --tokens 10e9\n  \
                        gpt plan --config runs/mine --tokens 1000000 --batch 12 --json")]
pub(super) struct PlanArgs {
    /// The name of a model, or a directory with a config.json
    #[arg(long, value_name = "NAME|DIR")]
    pub(super) config: String,
    /// Tokens to train on, such as 300e9
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) tokens: f64,
    /// Windows of text per step, for the activations
    #[arg(long, value_name = "N", default_value = "1", value_parser = size)]
    pub(super) batch: usize,
    /// Take this for the speed in Gflop/s, and measure nothing
    #[arg(long, value_name = "X", value_parser = number)]
    pub(super) gflops: Option<f64>,
    /// Threads to measure with [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(super) threads: Option<usize>,
    /// Print a JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// A whole number from 1, also with an exponent.
fn count(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n >= 1.0 && n.is_finite() && n.fract() == 0.0 => Ok(n),
        _ => Err("not a whole number from 1".into()),
    }
}

/// Prints what training takes: parameters, memory, arithmetic, time.
pub(super) fn run(args: &PlanArgs) -> Result<()> {
    let config = named(&args.config)?;
    let plan = plan(&config, args.tokens, args.batch)?;
    if args.gflops == Some(0.0) {
        return Err(Error::invalid("--gflops 0: the speed must be positive"));
    }
    if let Some(threads) = args.threads {
        tensor::set_num_threads(threads);
    }
    let rate = match args.gflops {
        Some(gflops) => Rate { flop_per_s: gflops * 1e9, what: "as given".into() },
        None => measure(&config)?,
    };
    let days = plan.days(rate.flop_per_s);
    // A count without a decimal point, as long as a double holds every whole number.
    let tokens = if args.tokens < 2f64.powi(53) { json!(args.tokens as u64) } else { json!(args.tokens) };
    if args.json {
        let report = json!({
            "parameters": plan.parameters,
            "non_embedding_parameters": plan.non_embedding_parameters,
            "weights_bytes": plan.weights_bytes,
            "gradients_bytes": plan.gradients_bytes,
            "optimizer_bytes": plan.optimizer_bytes,
            "activations_bytes": plan.activations_bytes,
            "total_bytes": plan.total_bytes(),
            "batch": args.batch,
            "context": config.context(),
            "tokens": tokens,
            "flops": plan.flops,
            "petaflop_s_days": plan.petaflop_s_days(),
            "gflops": rate.flop_per_s / 1e9,
            "measured": rate.what,
            "days": days,
        });
        return say(&report.to_string());
    }
    let has = total_memory().map_or(String::new(), |has| format!(" (this machine has {})", bytes(has)));
    say(&format!(
        "{}: {} parameters, {} of them outside the embeddings\n\n\
         memory  weights      {:>10}\n        gradients    {:>10}\n        optimizer    {:>10}  AdamW: two means\n        \
         activations  {:>10}  {} x {} tokens\n        total        {:>10}{has}\n\n\
         training on {:e} tokens  {:.3e} flop = {} petaflop/s-days\n\
         this machine            {:.1} Gflop/s: {}\n\
         it would take           {}",
        args.config,
        plan.parameters,
        plan.non_embedding_parameters,
        bytes(plan.weights_bytes),
        bytes(plan.gradients_bytes),
        bytes(plan.optimizer_bytes),
        bytes(plan.activations_bytes),
        args.batch,
        config.context(),
        bytes(plan.total_bytes()),
        args.tokens,
        plan.flops,
        digits(plan.petaflop_s_days()),
        rate.flop_per_s / 1e9,
        rate.what,
        time(days),
    ))
}

/// The sizes that a preset or a directory stands for.
fn named(name: &str) -> Result<ModelConfig> {
    // The published model goes before the preset of its name, which has a short context.
    if let Some(config) = published::config(name) {
        return Ok(config);
    }
    if let Ok(preset) = Preset::from_str(name, false) {
        let sizes = preset.sizes();
        let config = GptConfig::new(preset.bench_vocab(), sizes.context, sizes.width);
        return Ok(GptConfig { layers: sizes.layers, heads: sizes.heads, ..config }.into());
    }
    let dir = Path::new(name);
    if !dir.is_dir() {
        let presets = Preset::value_variants().iter().map(|preset| preset.name());
        let names: Vec<&str> = presets.chain(published::names()).collect();
        return Err(Error::invalid(format!(
            "--config {name}: no directory, and none of the names {}",
            names.join(", ")
        )));
    }
    checkpoint::load_config(dir)
}

/// Three digits, with an exponent where that is shorter.
fn digits(x: f64) -> String {
    match x {
        0.01..100.0 => format!("{x:.2}"),
        100.0..1e6 => format!("{x:.0}"),
        _ => format!("{x:.2e}"),
    }
}

/// Bytes as people say them, in powers of 1000.
fn bytes(n: u64) -> String {
    let n = n as f64;
    match n {
        ..1e6 => format!("{:.1} kB", n / 1e3),
        ..1e9 => format!("{:.1} MB", n / 1e6),
        ..1e12 => format!("{:.1} GB", n / 1e9),
        _ => format!("{:.1} TB", n / 1e12),
    }
}

/// A time as people say it.
fn time(days: f64) -> String {
    match days {
        ..0.042 => format!("{} minutes", digits(days * 1440.0)),
        ..2.0 => format!("{} hours", digits(days * 24.0)),
        ..1000.0 => format!("{} days", digits(days)),
        _ => format!("{} days, {} years", digits(days), digits(days / 365.25)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.001, 0.5, 99.0, 3637.5, 2e7].map(digits), ["1.00e-3", "0.50", "99.00", "3638", "2.00e7"]);
        assert_eq!(
            [500, 2_500_000, 698_400_000_000, 2_793_600_000_000].map(bytes),
            ["0.5 kB", "2.5 MB", "698.4 GB", "2.8 TB"]
        );
        assert_eq!(
            [0.01, 1.5, 30.0, 36525.0].map(time),
            ["14.40 minutes", "36.00 hours", "30.00 days", "36525 days, 100 years"]
        );
        assert_eq!(count("300e9"), Ok(3e11));
        assert!(["0", "1.5", "-3", "many", "inf", "nan"].iter().all(|text| count(text).is_err()));
    }
}
