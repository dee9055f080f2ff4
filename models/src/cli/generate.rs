//! `gpt generate`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::{number, size, threads};
use crate::generate::{Generation, Sampling};
use crate::{Error, LanguageModel, Result, Tokenizer, checkpoint};

/// Options of `gpt generate`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Example:\n  gpt generate --model runs/nano-cpu --prompt \"pub fn \" --max-new 300 --temperature 0.8 --top-k 40"
)]
pub(super) struct GenerateArgs {
    /// The model directory
    #[arg(long, value_name = "DIR")]
    pub(super) model: PathBuf,
    /// The text to go on from [default: a line break]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) prompt: Option<String>,
    /// Tokens to write
    #[arg(long, value_name = "N", default_value = "500", value_parser = size)]
    pub(super) max_new: usize,
    /// Below 1 prefers likely tokens, above 1 evens them out; 0 takes the likeliest
    #[arg(long, value_name = "T", default_value = "0.8", value_parser = number)]
    pub(super) temperature: f64,
    /// Choose among this many likeliest tokens only [default: all]
    #[arg(long, value_name = "K", value_parser = size)]
    pub(super) top_k: Option<usize>,
    /// The same seed gives the same text
    #[arg(long, value_name = "N", default_value = "1337")]
    pub(super) seed: u64,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(super) threads: Option<usize>,
}

/// Writes the prompt and what the model adds to it on stdout, token by token.
pub(super) fn run(args: &GenerateArgs) -> Result<()> {
    if let Some(threads) = args.threads {
        tensor::set_num_threads(threads);
    }
    let (model, tokenizer) = checkpoint::load(&args.model)?;
    let ids = match &args.prompt {
        Some(text) if !text.is_empty() => {
            tokenizer.encode_with_special_tokens(text).map_err(|e| Error::invalid(format!("the prompt has {e}")))?
        }
        _ => tokenizer.beginning(),
    };
    let sampling = Sampling { temperature: args.temperature, top_k: args.top_k, ..Sampling::default() };
    let tokens = Generation::new(&*model, &ids, sampling, args.seed).take(args.max_new);
    let mut out = io::stdout().lock();
    let mut written = 0;
    // Whoever reads the text may stop reading at any point, as `head` does: then there is nobody left to write for.
    let shown = args.prompt.as_deref().unwrap_or_default();
    if write!(out, "{shown}").and_then(|()| out.flush()).is_err() {
        return Ok(());
    }
    let mut stream = tokenizer.stream();
    for token in tokens {
        let text = stream.push(token.id)?.unwrap_or_default();
        if write!(out, "{text}").and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
        written += 1;
    }
    let rest = stream.finish()?.unwrap_or_default();
    let _ = writeln!(out, "{rest}").and_then(|()| out.flush());
    if written < args.max_new {
        return Err(Error::in_file(&args.model, "the weights give logits that are not finite"));
    }
    Ok(())
}

/// A text of `length` tokens from a model that was just trained.
pub(super) fn sample(model: &dyn LanguageModel, tokenizer: &Tokenizer, length: usize, seed: u64) -> Result<String> {
    let ids = tokenizer.beginning();
    let sampling = Sampling { temperature: 0.8, ..Sampling::default() };
    let ids: Vec<i64> = Generation::new(model, &ids, sampling, seed).take(length).map(|token| token.id).collect();
    tokenizer.decode(&ids)
}
