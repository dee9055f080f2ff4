//! `gpt eval`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::{read_text, say, size, threads, token_id};
use crate::evaluate::{Windows, perplexity};
use crate::progress::Progress;
use crate::{Error, Result, Tokenizer, checkpoint};

/// Options of `gpt eval`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gpt eval --model runs/mine --data held_out.txt --json\n  \
                        gpt eval --model runs/mine --data held_out.txt --context 64 --stride 32\n  \
                        gpt eval --model runs/mine --ids 5,3,17,9 --json\n\n\
                        Every token but the first, which nothing precedes, is predicted once. Windows of --context tokens \
                        begin at every --stride-th token; a token is predicted by the first window that reaches it, from the \
                        tokens of that window before it: all of them up to --context tokens into the text, and after that at \
                        least --context - --stride + 1 and at most --context. No token that begins a text is put before it.")]
pub(super) struct EvalArgs {
    /// The model directory
    #[arg(long, value_name = "DIR")]
    pub(super) model: PathBuf,
    /// The text to predict
    #[arg(long, value_name = "FILE", required_unless_present = "ids", conflicts_with = "ids")]
    pub(super) data: Option<PathBuf>,
    /// The tokens to predict; no tokenizer is needed for them
    #[arg(long, value_name = "1,2,..", value_delimiter = ',', allow_hyphen_values = true, value_parser = token_id)]
    pub(super) ids: Option<Vec<i64>>,
    /// Tokens that the model sees at once, at most as many as it can [default: as many as it can]
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) context: Option<usize>,
    /// Tokens by which a window begins after the one before, and which it alone predicts; fewer let each token see more, and take
    /// --context / --stride times as long [default: --context, so that windows do not overlap]
    #[arg(long, value_name = "N", value_parser = size)]
    pub(super) stride: Option<usize>,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(super) threads: Option<usize>,
    /// Print a JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// So long nothing is shown on stderr: what is done by then needs no progress.
const QUIET: Duration = Duration::from_secs(2);

/// Prints the loss per token, the perplexity and the bits per byte of a text.
pub(super) fn run(args: &EvalArgs) -> Result<()> {
    if let Some(threads) = args.threads {
        tensor::set_num_threads(threads);
    }
    let (model, ids, bytes) = match &args.data {
        Some(path) => {
            let text = read_text(path)?;
            let (model, tokenizer) = checkpoint::load(&args.model)?;
            let ids = tokenizer.encode(&text).map_err(|e| Error::in_file(path, e))?;
            let bytes = predicted_bytes(&tokenizer, &ids, &text);
            (model, ids, bytes)
        }
        None => {
            let ids = args.ids.clone().unwrap_or_default();
            let model = checkpoint::load_model(&args.model)?;
            (model, ids.clone(), decoded_bytes(&args.model, &ids))
        }
    };
    let mut progress = Progress::new();
    let started = Instant::now();
    let context = args.context.unwrap_or(model.context());
    let windows = Windows { context, stride: args.stride.unwrap_or(context) };
    let found = perplexity(&*model, &ids, windows, |done, total| {
        if started.elapsed() >= QUIET {
            let speed = done as f64 / started.elapsed().as_secs_f64();
            progress.update(done, total, &format!("tokens  {speed:.0} tokens/s"));
        }
    });
    progress.finish();
    let place = |e| args.data.as_deref().map_or_else(|| Error::invalid(&e), |path| Error::in_file(path, &e));
    let found = found.map_err(place)?;
    let bits_per_byte = bytes.filter(|&bytes| bytes > 0).map(|bytes| found.bits_per_byte(bytes));
    if args.json {
        let report = json!({
            "loss": found.loss,
            "perplexity": found.perplexity(),
            "bits_per_byte": bits_per_byte,
            "tokens": found.tokens,
        });
        say(&report.to_string())
    } else {
        let bits = bits_per_byte.map_or(String::new(), |bits| format!(", {bits:.4} bits per byte"));
        say(&format!(
            "loss {:.4} nats per token, perplexity {:.3}{bits} over {} tokens",
            found.loss,
            found.perplexity(),
            found.tokens
        ))
    }
}

/// The bytes of the text of `ids` without the first, where the directory has a tokenizer that tells.
fn decoded_bytes(dir: &Path, ids: &[i64]) -> Option<usize> {
    let tokenizer = checkpoint::load_tokenizer(dir).ok()??;
    let text = tokenizer.decode(ids).ok()?;
    // A replacement character stands for bytes that are no whole character; nobody knows how many.
    if text.contains(char::REPLACEMENT_CHARACTER) { None } else { predicted_bytes(&tokenizer, ids, &text) }
}

/// The bytes of `text`, whose tokens are `ids`, without those of the first token, which is not predicted.
///
/// A token that does not stand for text, like one that begins every text, has no bytes. `None` when the first token is a
/// part of a character and it cannot be told which.
fn predicted_bytes(tokenizer: &Tokenizer, ids: &[i64], text: &str) -> Option<usize> {
    for k in 1..=ids.len().min(4) {
        let beginning = tokenizer.decode(&ids[..k]).ok()?;
        if !text.starts_with(&beginning) {
            // The bytes of half a character are decoded as a replacement: more tokens make it whole.
            continue;
        }
        return match k {
            1 => Some(text.len() - beginning.len()),
            // Each is one byte of the character.
            _ => (beginning.len() == k).then(|| text.len() - 1),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_is_not_predicted() {
        let text = "\u{e9}t\u{e9}";
        let tokenizer = Tokenizer::chars(text).unwrap();
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(predicted_bytes(&tokenizer, &ids, text), Some(3));
        assert_eq!(predicted_bytes(&tokenizer, &ids[..1], "\u{e9}"), Some(0));
        assert_eq!(predicted_bytes(&tokenizer, &[], ""), None);
    }
}
