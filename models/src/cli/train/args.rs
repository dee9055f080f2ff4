//! The options of `gpt train`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{number, size, threads};

use super::start::{FloatType, TokenizerSource};
use crate::{Error, Preset, Result};

/// Options of `gpt train`. What decides the bits of a run is optional here, because `--resume` takes what is not given
/// from the run; the defaults are in [`Settings`](super::settings::Settings).
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  gpt train --data input.txt --preset nano-cpu --steps 2000 --out runs/mine --json\n  \
                  gpt train --resume --out runs/mine\n  \
                  gpt train --data input.txt --init-from runs/mine --lr 1e-4 --steps 200 --out runs/tuned"
)]
pub(in crate::cli) struct TrainArgs {
    /// The text to learn from [default: this program's own sources]
    #[arg(long, value_name = "FILE")]
    pub(super) data: Option<PathBuf>,
    /// A text to validate on; then all of --data is for training [default: the last tenth of --data]
    #[arg(long, value_name = "FILE")]
    pub(super) val: Option<PathBuf>,
    /// The directory for the model, the loss curve and the checkpoints [default: runs/<preset>]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Go on with the run in --out, whose options hold where none are given; begin it where there is none
    #[arg(long)]
    pub(super) resume: bool,
    /// What the tokens are: char (those of the text), byte, gpt2 (the 50257 of GPT-2), bpe:N (N tokens, learnt from the text
    /// for training), or a tokenizer.json or a directory with one, or with vocab.json and merges.txt
    /// [default: that of --init-from, or else char]
    #[arg(long, value_name = "char|byte|gpt2|bpe:N|PATH")]
    pub(super) tokenizer: Option<TokenizerSource>,
    /// Begin with the model in this directory instead of a new one: fine-tuning. Its sizes stay, but --context may be less
    #[arg(long, value_name = "DIR", conflicts_with_all = ["preset", "layers", "heads", "width"])]
    pub(super) init_from: Option<PathBuf>,
    /// Train low-rank adapters of this rank (LoRA, alpha twice the rank) on all linear layers of the model of --init-from, whose
    /// weights stay; the projections into GPT-2's attention heads have none. The files hold the merged model
    #[arg(long, value_name = "RANK", value_parser = size)]
    pub(super) lora: Option<usize>,
    /// The dtype of the parameters, in training and in the files [default: f32]. f64 takes twice the memory; bf16 and f16 halve
    /// the model's files but not the memory: arithmetic and the sums of small steps are f32, the weights that the model
    /// computes with lose all but 8 or 11 of 24 bits, and f16 has none beyond 65504
    #[arg(long)]
    pub(super) dtype: Option<FloatType>,
    /// The sizes that the next five options change [default: nano-cpu]
    #[arg(long)]
    pub(super) preset: Option<Preset>,
    /// Transformer blocks
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) layers: Option<usize>,
    /// Attention heads; they divide the width
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) heads: Option<usize>,
    /// Numbers per token
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) width: Option<usize>,
    /// Tokens that the model sees at once; with --init-from in training only, and at most as many as the model can see
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) context: Option<usize>,
    /// Windows of text per backward pass
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) batch: Option<usize>,
    /// Backward passes per step, each with a batch of its own, for the gradient of a larger batch in the same memory
    /// [default: 1]
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) accumulate: Option<usize>,
    /// Training steps [default: 2000]
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) steps: Option<usize>,
    /// The largest learning rate of AdamW [default: 1e-3]
    #[arg(long, value_name = "X", value_parser = number)]
    pub(super) lr: Option<f64>,
    /// The learning rate of the last step [default: 1e-4, or a tenth of --lr where that is less]
    #[arg(long, value_name = "X", value_parser = number)]
    pub(super) min_lr: Option<f64>,
    /// Steps over which the learning rate rises [default: 100]
    #[arg(long, value_name = "N")]
    pub(super) warmup: Option<usize>,
    /// Weight decay of the matrices [default: 0.1]
    #[arg(long, value_name = "X", value_parser = number)]
    pub(super) weight_decay: Option<f64>,
    /// The gradient's norm is cut to it; 0 cuts nothing [default: 1]
    #[arg(long, value_name = "X", value_parser = number)]
    pub(super) clip: Option<f64>,
    /// The probability that a number is dropped in training [default: that of the model of --init-from, or else 0]
    #[arg(long, value_name = "P", value_parser = number)]
    pub(super) dropout: Option<f64>,
    /// Steps between estimates of the validation loss [default: 250]
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) eval_every: Option<usize>,
    /// Batches of such an estimate [default: 20]
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) eval_batches: Option<usize>,
    /// Decides the first weights and the batches [default: 1337]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Steps between checkpoints, from which --resume goes on [default: as --eval-every]
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) save_every: Option<usize>,
    /// How many checkpoints are kept, each three times as large as the model
    #[arg(long, value_name = "N", default_value = "2", value_parser = size)]
    pub(super) keep: usize,
    /// Print a sample of the model's writing after every so many steps; it changes nothing in the run
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) sample_every: Option<usize>,
    /// Write event files for TensorBoard into --out: losses, learning rate, norm of the gradient, speed
    #[arg(long)]
    pub(super) tensorboard: bool,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(super) threads: Option<usize>,
    /// Print a JSON object as the last line
    #[arg(long)]
    pub(super) json: bool,
}

impl TrainArgs {
    /// Refuses a path that the settings of the run, which are text, could not hold: with replacement characters in it, it
    /// would name another file, and two that differ would be taken for one.
    ///
    /// # Errors
    /// Names the option and the path.
    pub(super) fn check_paths(&self) -> Result<()> {
        let paths = [("data", &self.data), ("val", &self.val), ("init-from", &self.init_from)];
        for (option, path) in paths.into_iter().filter_map(|(option, path)| Some((option, path.as_deref()?))) {
            let path: &Path = path;
            if path.to_str().is_none() {
                let what = "the path is not UTF-8, as which the run keeps it: rename it";
                return Err(Error::invalid(format!("--{option} {}: {what}", path.display())));
            }
        }
        Ok(())
    }
}
