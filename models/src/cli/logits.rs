//! `gpt logits`.

use std::path::PathBuf;

use autograd::no_grad;
use clap::Args;
use tensor::{DType, Tensor};

use super::{say, threads, token_id, total_memory};
use crate::evaluate::check_ids;
use crate::{Error, Result, checkpoint};

/// Options of `gpt logits`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gpt logits --model runs/mine --ids 5,3,17,9 --out logits.safetensors")]
pub(super) struct LogitsArgs {
    /// The model directory; it needs no tokenizer
    #[arg(long, value_name = "DIR")]
    pub(super) model: PathBuf,
    /// The tokens, at most as many as the context
    #[arg(long, value_name = "1,2,..", value_delimiter = ',', allow_hyphen_values = true, required = true)]
    #[arg(value_parser = token_id)]
    pub(super) ids: Vec<i64>,
    /// The file to write: one tensor `logits` [t, v], f32
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(super) threads: Option<usize>,
}

/// Writes the logits of the token that follows each of the given ones.
pub(super) fn run(args: &LogitsArgs) -> Result<()> {
    if let Some(threads) = args.threads {
        tensor::set_num_threads(threads);
    }
    let model = checkpoint::load_model(&args.model)?;
    let (t, v) = (args.ids.len(), model.vocab());
    check_ids(&args.ids, v)?;
    if t > model.context() {
        return Err(Error::invalid(format!("{t} tokens do not fit the model's context of {}", model.context())));
    }
    // They are held once as they are computed and once as the file's bytes.
    let needs = 8 * t as u128 * v as u128;
    if total_memory().is_some_and(|has| needs > u128::from(has)) {
        return Err(Error::invalid(format!("{t} x {v} logits take {:.1} GB of memory", needs as f64 / 1e9)));
    }
    model.eval();
    let ids = Tensor::from_slice(&args.ids, [1, t]);
    let logits = no_grad(|| model.forward(&ids).value()).select(0, 0).to_dtype(DType::F32);
    tensor::safetensors::save(&args.out, &[("logits".to_string(), logits)], &[])
        .map_err(|e| Error::write(&args.out, e))?;
    say(&format!("{}: logits [{t}, {v}]", args.out.display()))
}
