//! `gpt generate`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{is_read, number, say, size, threads};
use crate::evaluate::check_ids;
use crate::generate::{
    Beam, BeamOptions, Completion, Finish, GenerateOptions, Piece, Sampling, TextGeneration, Token, beam_search,
    complete, prompt_ids, stream_after,
};
use crate::{Error, LanguageModel, Result, Storage, Tokenizer, checkpoint};

/// Options of `gpt generate`.
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  \
                  gpt generate --model runs/nano-cpu --prompt \"pub fn \" --max-new 300 --temperature 0.8 --top-k 40\n  \
                  gpt generate --model runs/mine --prompt Once --prompt Twice --top-p 0.9 --stop END --json\n  \
                  gpt generate --model runs/mine --prompt Once --beams 4 --max-new 40"
)]
pub(super) struct GenerateArgs {
    /// The model directory
    #[arg(long, value_name = "DIR")]
    pub(super) model: PathBuf,
    /// The text to go on from; several are written together [default: the beginning of a text]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) prompt: Vec<String>,
    /// Tokens to write
    #[arg(long, value_name = "N", default_value = "500", value_parser = size)]
    pub(super) max_new: usize,
    /// Below 1 prefers likely tokens, above 1 evens them out; 0 takes the likeliest
    #[arg(long, value_name = "T", default_value = "0.8", value_parser = number)]
    pub(super) temperature: f64,
    /// Always take the likeliest token: the same as --temperature 0
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p", "min_p", "seed"])]
    pub(super) greedy: bool,
    /// Choose among this many likeliest tokens only [default: all]
    #[arg(long, value_name = "K", value_parser = size)]
    pub(super) top_k: Option<usize>,
    /// Choose among the fewest likeliest tokens that are this probable together
    #[arg(long, value_name = "P", default_value = "1", value_parser = number)]
    pub(super) top_p: f64,
    /// Choose among tokens at least this many times as likely as the likeliest
    #[arg(long, value_name = "P", default_value = "0", value_parser = number)]
    pub(super) min_p: f64,
    /// Above 1 makes tokens that occurred less likely
    #[arg(long, value_name = "R", default_value = "1", value_parser = number)]
    pub(super) repetition_penalty: f64,
    /// Stop before this text; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) stop: Vec<String>,
    /// Search for the likeliest text, following this many at once
    #[arg(
        long,
        value_name = "N",
        value_parser = beams,
        conflicts_with_all = ["temperature", "greedy", "top_k", "top_p", "min_p", "stop", "stream", "seed"]
    )]
    pub(super) beams: Option<usize>,
    /// Write each piece as soon as it is there, as is done for one prompt anyway; with --json a line per token
    #[arg(long)]
    pub(super) stream: bool,
    /// Print a JSON object per prompt: text, tokens, logarithms of their probabilities
    #[arg(long)]
    pub(super) json: bool,
    /// How the weights are stored meanwhile: less memory, and less to read for each token [default: as in the file]
    #[arg(long, value_name = "DTYPE")]
    pub(super) dtype: Option<Storage>,
    /// The same seed gives the same text
    #[arg(long, value_name = "N", default_value = "1337")]
    pub(super) seed: u64,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(super) threads: Option<usize>,
}

/// A number of beams.
fn beams(text: &str) -> std::result::Result<usize, String> {
    match size(text)? {
        n @ ..=256 => Ok(n),
        _ => Err("more than 256 beams".into()),
    }
}

impl GenerateArgs {
    fn options(&self, end: Vec<i64>) -> GenerateOptions {
        let sampling = Sampling {
            temperature: if self.greedy { 0.0 } else { self.temperature },
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
        };
        GenerateOptions { sampling, seed: self.seed, max_new: self.max_new, end }
    }
}

/// Writes each prompt and what the model adds to it.
pub(super) fn run(args: &GenerateArgs) -> Result<()> {
    if let Some(threads) = args.threads {
        tensor::set_num_threads(threads);
    }
    let options = args.options(checkpoint::end_tokens(&args.model)?);
    options.sampling.check()?;
    let (model, tokenizer) = checkpoint::load_stored(&args.model, args.dtype)?;
    let prompts: Vec<&str> =
        if args.prompt.is_empty() { vec![""] } else { args.prompt.iter().map(String::as_str).collect() };
    let finite = match (args.beams, &prompts[..]) {
        (Some(beams), _) => search(args, beams, &*model, &tokenizer, &prompts, options.end)?,
        (None, [prompt]) if !args.json || args.stream => stream(args, &*model, &tokenizer, prompt, options)?,
        (None, _) if args.stream => {
            return Err(Error::invalid("--stream writes one text: give one --prompt"));
        }
        (None, _) => whole(args, &*model, &tokenizer, &prompts, options)?,
    };
    if finite { Ok(()) } else { Err(Error::in_file(&args.model, "the weights give logits that are not finite")) }
}

/// Writes a text as it grows; whether the logits were finite.
fn stream(
    args: &GenerateArgs,
    model: &dyn LanguageModel,
    tokenizer: &Tokenizer,
    prompt: &str,
    options: GenerateOptions,
) -> Result<bool> {
    let mut pieces = TextGeneration::new(model, tokenizer, prompt, options, &args.stop)?;
    let mut out = io::stdout().lock();
    let mut show = |text: &str| write!(out, "{text}").and_then(|()| out.flush());
    let mut completion = Completion { text: String::new(), tokens: Vec::new(), finish: Finish::Length };
    // Whoever reads the text may stop reading at any point, as `head` does: then there is nobody left to write for.
    if !args.json && !is_read(show(prompt))? {
        return Ok(true);
    }
    for piece in pieces.by_ref() {
        let Piece { text, token } = piece?;
        completion.text += &text;
        completion.tokens.extend(token);
        let shown = match token {
            _ if !args.json => text,
            Some(token) => format!("{}\n", json!({"text": text, "id": token.id, "logprob": token.logprob})),
            None => format!("{}\n", json!({ "text": text })),
        };
        if !is_read(show(&shown))? {
            return Ok(true);
        }
    }
    completion.finish = pieces.finish().unwrap_or(Finish::Length);
    // The object has a line of its own, the plain text ends with a line break.
    let end = if args.json { report(tokenizer, prompt, &completion).to_string() } else { String::new() };
    is_read(show(&(end + "\n")))?;
    Ok(completion.finish != Finish::NotFinite)
}

/// Writes several texts, or one as an object; whether the logits were finite.
fn whole(
    args: &GenerateArgs,
    model: &dyn LanguageModel,
    tokenizer: &Tokenizer,
    prompts: &[&str],
    options: GenerateOptions,
) -> Result<bool> {
    let completions = complete(model, tokenizer, prompts, options, &args.stop)?;
    let texts = prompts.iter().zip(&completions);
    let texts: Vec<String> = texts
        .map(|(prompt, completion)| match args.json {
            true => report(tokenizer, prompt, completion).to_string(),
            false => format!("{prompt}{}", completion.text),
        })
        .collect();
    say(&texts.join(if args.json { "\n" } else { "\n----\n" }))?;
    Ok(completions.iter().all(|completion| completion.finish != Finish::NotFinite))
}

/// Writes the likeliest texts; whether the logits were finite.
fn search(
    args: &GenerateArgs,
    beams: usize,
    model: &dyn LanguageModel,
    tokenizer: &Tokenizer,
    prompts: &[&str],
    end: Vec<i64>,
) -> Result<bool> {
    let (repetition_penalty, max_new) = (args.repetition_penalty, args.max_new);
    let options = BeamOptions { beams, max_new, repetition_penalty, end, ..BeamOptions::default() };
    let mut texts = Vec::new();
    for prompt in prompts {
        let ids = prompt_ids(tokenizer, prompt)?;
        check_ids(&ids, model.vocab())?;
        let found = beam_search(model, &ids, &options);
        let decode = |beam: &Beam| -> Result<String> {
            let mut stream = stream_after(tokenizer, prompt, &ids)?;
            // An id for which the tokenizer has no token stands for no text.
            let pieces = beam.ids.iter().map(|&id| stream.push(id).unwrap_or_default().unwrap_or_default());
            let text: String = pieces.collect();
            Ok(text + &stream.finish()?.unwrap_or_default())
        };
        let decoded = found.iter().map(decode).collect::<Result<Vec<String>>>()?;
        let Some(best) = decoded.first() else { return Ok(false) };
        texts.push(if args.json {
            let beams = decoded.iter().zip(&found);
            let beams = beams.map(
                |(text, beam)| json!({"text": text, "score": beam.score, "finish": name(beam.finish), "ids": beam.ids}),
            );
            json!({"prompt": prompt, "text": best, "beams": beams.collect::<Vec<Value>>()}).to_string()
        } else {
            format!("{prompt}{best}")
        });
    }
    say(&texts.join(if args.json { "\n" } else { "\n----\n" }))?;
    Ok(true)
}

/// A finished text as an object.
fn report(tokenizer: &Tokenizer, prompt: &str, completion: &Completion) -> Value {
    let token =
        |token: &Token| json!({"id": token.id, "token": tokenizer.id_to_token(token.id), "logprob": token.logprob});
    json!({
        "prompt": prompt,
        "text": completion.text,
        "finish": name(completion.finish),
        "tokens": completion.tokens.iter().map(token).collect::<Vec<Value>>(),
    })
}

fn name(finish: Finish) -> &'static str {
    match finish {
        Finish::Length => "length",
        Finish::EndOfText => "end_of_text",
        Finish::Stop => "stop",
        Finish::NotFinite => "not_finite",
    }
}

/// A text of `length` tokens from a model that was just trained.
pub(super) fn sample(model: &dyn LanguageModel, tokenizer: &Tokenizer, length: usize, seed: u64) -> Result<String> {
    let sampling = Sampling { temperature: 0.8, ..Sampling::default() };
    let options = GenerateOptions { sampling, seed, max_new: length, end: Vec::new() };
    Ok(complete(model, tokenizer, &[""], options, &[])?.remove(0).text)
}
