//! What a run begins with: a tokenizer and a model, new ones or those of a model directory.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use nn::lora::{LoraOptions, add_lora};
use nn::prelude::*;
use serde::{Deserialize, Serialize};

use super::Texts;
use super::settings::Settings;
use crate::progress::Progress;
use crate::run::Fingerprint;
use crate::{Error, LanguageModel, ModelConfig, Result, Tokenizer, checkpoint};

/// The dtype of the parameters in training and in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum FloatType {
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// The range of f32 with 8 bits of precision.
    Bf16,
    /// 11 bits of precision and a small range.
    F16,
}

impl From<FloatType> for DType {
    fn from(dtype: FloatType) -> DType {
        match dtype {
            FloatType::F32 => DType::F32,
            FloatType::F64 => DType::F64,
            FloatType::Bf16 => DType::BF16,
            FloatType::F16 => DType::F16,
        }
    }
}

/// Where a tokenizer is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) enum TokenizerSource {
    /// The characters of the text.
    Char,
    /// The 256 bytes.
    Byte,
    /// The vocabulary of GPT-2.
    Gpt2,
    /// Byte-level BPE with so many tokens, learnt from the text.
    Bpe(usize),
    /// A `tokenizer.json`, or a directory with one or with the two files of older ones.
    File(PathBuf),
}

impl FromStr for TokenizerSource {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<TokenizerSource, String> {
        match text {
            "" => Err("char, byte, gpt2, bpe:N or a path is missing".to_owned()),
            "char" => Ok(TokenizerSource::Char),
            "byte" => Ok(TokenizerSource::Byte),
            "gpt2" => Ok(TokenizerSource::Gpt2),
            _ => match text.strip_prefix("bpe:").map(str::parse) {
                None => Ok(TokenizerSource::File(text.into())),
                Some(Ok(size)) => Ok(TokenizerSource::Bpe(size)),
                Some(Err(_)) => Err("the number of tokens after bpe: is not a whole number".to_owned()),
            },
        }
    }
}

impl fmt::Display for TokenizerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenizerSource::Char => f.write_str("char"),
            TokenizerSource::Byte => f.write_str("byte"),
            TokenizerSource::Gpt2 => f.write_str("gpt2"),
            TokenizerSource::Bpe(size) => write!(f, "bpe:{size}"),
            TokenizerSource::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl TryFrom<String> for TokenizerSource {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<TokenizerSource, String> {
        text.parse()
    }
}

impl From<TokenizerSource> for String {
    fn from(source: TokenizerSource) -> String {
        source.to_string()
    }
}

/// Reads the tokenizer `path`: a `tokenizer.json`, or that of a directory.
pub(super) fn read_tokenizer(path: &Path) -> Result<Tokenizer> {
    if path.is_dir() { checkpoint::need_tokenizer(path) } else { Tokenizer::load(path) }
}

/// The vocabulary of GPT-2.
#[cfg(feature = "gpt2-vocabulary")]
fn gpt2() -> Result<Tokenizer> {
    Ok(Tokenizer::gpt2())
}

#[cfg(not(feature = "gpt2-vocabulary"))]
fn gpt2() -> Result<Tokenizer> {
    let what = "this program was built without the feature gpt2-vocabulary; give a directory of GPT-2 instead";
    Err(Error::invalid(format!("--tokenizer gpt2: {what}")))
}

/// The tokenizer of a new run.
pub(super) fn tokenizer(settings: &mut Settings, texts: &Texts) -> Result<Tokenizer> {
    let chars = || Tokenizer::chars(&texts.text).map_err(|e| Error::invalid(format!("{}: {e}", texts.name)));
    match &settings.tokenizer {
        None => match &settings.init_from {
            Some(dir) => checkpoint::need_tokenizer(Path::new(dir)),
            None => chars(),
        },
        Some(TokenizerSource::Char) => chars(),
        Some(TokenizerSource::Byte) => Ok(Tokenizer::bytes()),
        Some(TokenizerSource::Gpt2) => gpt2(),
        Some(TokenizerSource::Bpe(size)) => {
            let mut progress = Progress::new();
            let learnt = Tokenizer::train_bpe(texts.for_training(), *size, |done, total| {
                progress.update(done, total, "learning a vocabulary");
            });
            progress.finish();
            learnt.map_err(|e| Error::invalid(format!("--tokenizer bpe:{size}: {e}")))
        }
        Some(TokenizerSource::File(path)) => {
            let tokenizer = read_tokenizer(path)?;
            settings.tokenizer_file = Some(Fingerprint::of(tokenizer.to_json().as_bytes()));
            Ok(tokenizer)
        }
    }
}

/// The sizes of the model of `--init-from` with the dropout of the settings, which take from it what they leave open;
/// `tokenizer` must fit it. No weight is read.
pub(super) fn pretrained_config(dir: &Path, settings: &mut Settings, tokenizer: &Tokenizer) -> Result<ModelConfig> {
    let config = checkpoint::load_config(dir)?;
    let (has, takes) = (tokenizer.vocab_size(), config.vocab());
    if has > takes {
        return Err(Error::in_file(
            dir,
            format!("the tokenizer has {has} tokens, the model knows only {takes}: give the model's own tokenizer"),
        ));
    }
    let (context, most) = (settings.context.unwrap_or(config.context()), config.context());
    if context > most {
        return Err(Error::invalid(format!("--context {context} is more than the {most} of {}", dir.display())));
    }
    settings.context = Some(context);
    let dropout = *settings.dropout.get_or_insert(config.dropout());
    Ok(config.with_dropout(dropout))
}

/// The model of `--init-from` with its weights and the dropout of `config`, which is that of [`pretrained_config`].
pub(super) fn pretrained(dir: &Path, config: &ModelConfig, settings: &Settings) -> Result<Box<dyn LanguageModel>> {
    let mut model = checkpoint::load_model_as(dir, DType::from(settings.dtype))?;
    if model.config().dropout() != config.dropout() {
        let weights = model.state_dict();
        // But for the dropout it is what was read: a head may have turned out to be no embedding.
        let config = model.config().with_dropout(config.dropout());
        model = nn::init::skip_init(|| config.build())?;
        model.to_dtype(settings.dtype.into());
        model.load_state_dict(&weights).map_err(|e| Error::in_file(dir, e))?;
    }
    Ok(model)
}

/// Gives `model` the adapters of `--lora`.
pub(super) fn adapt(model: &dyn LanguageModel, settings: &Settings) {
    if let Some(rank) = settings.lora {
        add_lora(model, &LoraOptions { rank, alpha: 2.0 * rank as f64, ..Default::default() });
    }
}

/// Refuses adapters that make no sense.
pub(super) fn check_lora(settings: &Settings, config: &ModelConfig) -> Result<()> {
    match settings.lora {
        Some(_) if settings.init_from.is_none() => Err(Error::invalid(
            "--lora leaves the weights as they are: it needs a model to begin with, --init-from DIR",
        )),
        Some(rank) if rank > config.width() => {
            Err(Error::invalid(format!("--lora {rank} is more than the width of the model, {}", config.width())))
        }
        _ => Ok(()),
    }
}

/// One line about a model.
pub(super) fn describe(name: &str, config: &ModelConfig) -> String {
    format!(
        "{name}: {} layers, width {}, context {}: {} parameters",
        config.layers(),
        config.width(),
        config.context(),
        config.num_parameters().unwrap_or(u64::MAX)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of the program would spend a minute on the sample of so large a vocabulary.
    #[cfg(feature = "gpt2-vocabulary")]
    #[test]
    fn gpt2_is_built_in_and_no_other_run_goes_on_with_it() {
        let of = |source: &str| Settings { tokenizer: Some(source.parse().unwrap()), ..Settings::default() };
        let texts = Texts { name: "a text".into(), text: "to be".into(), validation: None };
        let mut settings = of("gpt2");
        assert_eq!(tokenizer(&mut settings, &texts).unwrap(), Tokenizer::gpt2());
        assert_eq!(Settings::from_json(&settings.to_json()).unwrap(), settings);
        assert_eq!(of("byte").differences(&settings), ["--tokenizer gpt2 instead of byte"]);
        assert_eq!(settings.differences(&of("./gpt2")), ["--tokenizer ./gpt2 instead of gpt2"]);
    }

    #[test]
    fn a_source_is_read_and_written() {
        for text in ["char", "byte", "gpt2", "bpe:300", "some/tokenizer.json", "./char", "./gpt2"] {
            let source: TokenizerSource = text.parse().unwrap();
            assert_eq!(source.to_string(), text);
            assert_eq!(matches!(source, TokenizerSource::File(_)), text.contains('/'));
        }
        for bad in ["", "bpe:", "bpe:x", "bpe:-1", "bpe:1.5"] {
            assert!(bad.parse::<TokenizerSource>().is_err(), "{bad}");
        }
    }
}
