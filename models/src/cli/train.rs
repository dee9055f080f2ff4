//! `gpt train`, and what `gpt` does without a command.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::{generate, number, peak_rss_mb, read_text, say, size, threads, total_memory};
use crate::curve::Curve;
use crate::progress::Progress;
use crate::train::{Event, Length, Outcome, TrainOptions};
use crate::{Error, Gpt, GptConfig, LanguageModel, Preset, Result, TextDataset, Tokenizer, checkpoint, corpus};

/// Options of `gpt train`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Example:\n  gpt train --data input.txt --preset nano-cpu --steps 2000 --out runs/mine --json"
)]
pub(super) struct TrainArgs {
    /// The text to learn from [default: this program's own sources]
    #[arg(long, value_name = "FILE")]
    pub(super) data: Option<PathBuf>,
    /// The directory for the model and the loss curve [default: runs/<preset>]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// The sizes that the next five options change
    #[arg(long, default_value = "nano-cpu")]
    pub(super) preset: Preset,
    /// Transformer blocks
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) layers: Option<usize>,
    /// Attention heads; they divide the width
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) heads: Option<usize>,
    /// Numbers per token
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) width: Option<usize>,
    /// Tokens that the model sees at once
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) context: Option<usize>,
    /// Windows of text per step
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) batch: Option<usize>,
    /// Training steps
    #[arg(long, value_name = "N", default_value = "2000", value_parser = size)]
    pub(super) steps: usize,
    /// The largest learning rate of AdamW
    #[arg(long, value_name = "X", default_value = "1e-3", value_parser = number)]
    pub(super) lr: f64,
    /// The learning rate of the last step [default: 1e-4, or a tenth of --lr where that is less]
    #[arg(long, value_name = "X", value_parser = number)]
    pub(super) min_lr: Option<f64>,
    /// Steps over which the learning rate rises
    #[arg(long, value_name = "N", default_value = "100")]
    pub(super) warmup: usize,
    /// Weight decay of the matrices
    #[arg(long, value_name = "X", default_value = "0.1", value_parser = number)]
    pub(super) weight_decay: f64,
    /// The gradient's norm is cut to it; 0 cuts nothing
    #[arg(long, value_name = "X", default_value = "1", value_parser = number)]
    pub(super) clip: f64,
    /// The probability that a number is dropped in training
    #[arg(long, value_name = "P", default_value = "0", value_parser = number)]
    pub(super) dropout: f64,
    /// Steps between estimates of the validation loss
    #[arg(long, value_name = "N", default_value = "250", value_parser = size)]
    pub(super) eval_every: usize,
    /// Batches of such an estimate
    #[arg(long, value_name = "N", default_value = "20", value_parser = size)]
    pub(super) eval_batches: usize,
    /// Decides the first weights and the batches
    #[arg(long, value_name = "N", default_value = "1337")]
    pub(super) seed: u64,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(super) threads: Option<usize>,
    /// Print a JSON object as the last line
    #[arg(long)]
    pub(super) json: bool,
}

/// The length of the sample after a training run.
const SAMPLE: usize = 500;

/// How long `gpt` without a command takes on two cores, the start, the sample and the saving included.
const TWO_MINUTES: Duration = Duration::from_secs(120);

/// Everything about a run that is decided before it starts.
struct Plan {
    data: Option<PathBuf>,
    out: PathBuf,
    preset: Preset,
    /// The sizes of the model, except for the vocabulary, which the text decides.
    model: GptConfig,
    train: TrainOptions,
    threads: Option<usize>,
    json: bool,
}

/// `gpt train`.
pub(super) fn run(args: &TrainArgs, program: &str) -> Result<()> {
    let sizes = args.preset.sizes();
    let plan = Plan {
        data: args.data.clone(),
        out: args.out.clone().unwrap_or_else(|| default_out(args.preset)),
        preset: args.preset,
        model: GptConfig {
            layers: args.layers.unwrap_or(sizes.layers),
            heads: args.heads.unwrap_or(sizes.heads),
            dropout: args.dropout,
            ..GptConfig::new(0, args.context.unwrap_or(sizes.context), args.width.unwrap_or(sizes.width))
        },
        train: TrainOptions {
            length: Length::Steps(args.steps),
            batch: args.batch.unwrap_or(sizes.batch),
            lr: args.lr,
            min_lr: args.min_lr.unwrap_or_else(|| f64::min(1e-4, args.lr / 10.0)),
            warmup: args.warmup,
            weight_decay: args.weight_decay,
            clip: args.clip,
            eval_every: args.eval_every,
            eval_batches: args.eval_batches,
            seed: args.seed,
            ..TrainOptions::default()
        },
        threads: args.threads,
        json: args.json,
    };
    carry_out(&plan, program)
}

/// `gpt` alone: as many steps on the built-in corpus as end within two minutes.
pub(super) fn two_minutes(program: &str) -> Result<()> {
    let preset = Preset::NanoCpu;
    let sizes = preset.sizes();
    let plan = Plan {
        data: None,
        out: default_out(preset),
        preset,
        model: GptConfig { layers: sizes.layers, heads: sizes.heads, ..GptConfig::new(0, sizes.context, sizes.width) },
        // The sample and the saving take a few seconds.
        train: TrainOptions { length: Length::Within(TWO_MINUTES.mul_f64(0.95)), ..TrainOptions::default() },
        threads: None,
        json: false,
    };
    carry_out(&plan, program)
}

fn default_out(preset: Preset) -> PathBuf {
    Path::new("runs").join(preset.name())
}

/// Trains, shows, saves, samples.
fn carry_out(plan: &Plan, program: &str) -> Result<()> {
    let started = Instant::now();
    // All that can be wrong is looked at before anything is written.
    plan.train.check()?;
    let (name, text) = match &plan.data {
        Some(path) => (path.display().to_string(), read_text(path)?),
        None => ("this program's own sources".to_string(), corpus::TEXT.to_string()),
    };
    let tokenizer = Tokenizer::chars(&text).map_err(|e| Error::invalid(format!("{name}: {e}")))?;
    let config = GptConfig { vocab: tokenizer.vocab_size(), ..plan.model.clone() };
    config.check()?;
    let data =
        TextDataset::new(&text, &tokenizer, config.context).map_err(|e| Error::invalid(format!("{name}: {e}")))?;
    let parameters = config.num_parameters().unwrap_or(u64::MAX);
    check_memory(&config, plan.train.batch)?;
    check_out(&plan.out)?;

    if let Some(threads) = plan.threads {
        tensor::set_num_threads(threads);
    }
    tensor::manual_seed(plan.train.seed);
    let model = Gpt::new(config.clone())?;
    say(&format!(
        "{}: {} layers, {} heads, width {}, context {}: {parameters} parameters\n\
         text: {name}, {} characters, {} different",
        plan.preset,
        config.layers,
        config.heads,
        config.width,
        config.context,
        text.chars().count(),
        tokenizer.vocab_size(),
    ));

    let csv = plan.out.join("loss.csv");
    let svg = plan.out.join("loss.svg");
    let outcome = watch(plan, &model, &data, &csv)?;
    checkpoint::save(&plan.out, &model, &tokenizer)?;
    write(&csv, &outcome.curve.to_csv())?;
    write(&svg, &outcome.curve.to_svg(&format!("{} on {name}", plan.preset))?)?;
    let seconds = started.elapsed().as_secs_f64();

    let sample = generate::sample(&model, &tokenizer, SAMPLE, plan.train.seed)?;
    let out = plan.out.display();
    say(&format!(
        "\n--- a sample ---\n{}\n----------------\n\n\
         {} steps, {:.0} tokens/s, validation loss {:.4}\n\
         saved: {out}/{} {} {}, the loss curve: {} {}\n\
         next:  {program} generate --model {out} --max-new 1000\n       \
         {program} train --data FILE --out runs/mine",
        sample.trim_matches('\n'),
        outcome.steps,
        outcome.tokens_per_s,
        outcome.val_loss,
        checkpoint::WEIGHTS,
        checkpoint::CONFIG,
        checkpoint::TOKENIZER,
        csv.display(),
        svg.display(),
    ));
    if plan.json {
        let report = json!({
            "steps": outcome.steps,
            "train_loss": outcome.train_loss,
            "val_loss": outcome.val_loss,
            "tokens_per_s": outcome.tokens_per_s,
            "seconds": seconds,
            "peak_rss_mb": peak_rss_mb(),
            "parameters": parameters,
        });
        say(&report.to_string());
    }
    Ok(())
}

/// Trains with a progress display. In a new directory the table of the losses so far is there from the first evaluation
/// on; that of an older model stays until this run has succeeded.
fn watch(plan: &Plan, model: &dyn LanguageModel, data: &TextDataset, csv: &Path) -> Result<Outcome> {
    let mut progress = Progress::new();
    let mut problem = None;
    let replaces = plan.out.join(checkpoint::WEIGHTS).exists();
    let save = |curve: &Curve| if replaces { None } else { write(csv, &curve.to_csv()).err() };
    let outcome = crate::train::train(model, data, &plan.train, |event| match event {
        Event::Step { step, total, loss, tokens_per_s } => progress.step(step, total, loss, tokens_per_s),
        Event::Evaluated { step, total, train_loss, val_loss, curve } => {
            progress
                .line(&format!("step {step}/{total}  training loss {train_loss:.4}  validation loss {val_loss:.4}"));
            problem = problem.take().or_else(|| save(curve));
        }
    });
    progress.finish();
    problem.map_or(outcome, Err)
}

/// Refuses a run that cannot fit the memory of this machine, where the system tells how much there is.
///
/// AdamW needs four numbers per parameter (the weight, its gradient and two means), and a token of the batch at least
/// ten times its width in each block and its logits.
fn check_memory(config: &GptConfig, batch: usize) -> Result<()> {
    let [layers, width, vocab, context, batch] =
        [config.layers, config.width, config.vocab, config.context, batch].map(|size| size as u128);
    let parameters = u128::from(config.num_parameters().unwrap_or(u64::MAX));
    // `check` has bounded the sizes of the model, so that only the batch can overflow.
    let token = 10 * layers * width + vocab;
    let needs = batch.saturating_mul(context).saturating_mul(token).saturating_mul(4).saturating_add(16 * parameters);
    match total_memory() {
        Some(has) if needs > u128::from(has) => Err(Error::invalid(format!(
            "training {parameters} parameters with a batch of {batch} takes at least {:.1} GB, this machine has {:.1} GB",
            needs as f64 / 1e9,
            has as f64 / 1e9
        ))),
        _ => Ok(()),
    }
}

/// Makes the directory `out` and makes sure that files can be written there: it would be late to learn it afterwards.
fn check_out(out: &Path) -> Result<()> {
    let refused = |e: std::io::Error| Error::invalid(format!("--out {}: {e}", out.display()));
    std::fs::create_dir_all(out).map_err(refused)?;
    tempfile::tempfile_in(out).map_err(refused)?;
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    tensor::io::write_atomic(path, text.as_bytes()).map_err(|e| Error::write(path, e))
}
