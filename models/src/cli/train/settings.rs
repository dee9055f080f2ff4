//! Everything that the bits of a training run depend on.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::args::TrainArgs;
use super::start::{FloatType, TokenizerSource, read_tokenizer};
use crate::run::Fingerprint;
use crate::train::{Length, TrainOptions};
use crate::{Error, GptConfig, Preset, Result};

/// The options of a run under their names on the command line, as a checkpoint keeps them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Settings {
    /// The file of the text; the program's own sources where there is none.
    pub data: Option<String>,
    /// The text in it.
    pub text: Option<Fingerprint>,
    /// The file of the text for validation.
    pub val: Option<String>,
    /// The text in it.
    pub val_text: Option<Fingerprint>,
    /// What the tokens are; without it those of `init_from`, or characters.
    pub tokenizer: Option<TokenizerSource>,
    /// The `tokenizer.json`, where it is one that was given.
    pub tokenizer_file: Option<Fingerprint>,
    /// The dtype of the parameters.
    pub dtype: FloatType,
    /// The directory of the model that the run began with.
    pub init_from: Option<String>,
    /// The rank of the adapters that are trained in place of that model's weights.
    pub lora: Option<usize>,
    /// The preset and its sizes; none with `init_from`.
    pub preset: Option<String>,
    pub layers: Option<usize>,
    pub heads: Option<usize>,
    pub width: Option<usize>,
    /// Tokens of a window of text.
    pub context: Option<usize>,
    pub dropout: Option<f64>,
    pub batch: usize,
    pub accumulate: usize,
    /// How many steps, or none for as many as end within `seconds`.
    pub steps: Option<usize>,
    pub seconds: Option<f64>,
    pub lr: f64,
    pub min_lr: f64,
    pub warmup: usize,
    pub weight_decay: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub clip: f64,
    pub eval_every: usize,
    pub eval_batches: usize,
    pub seed: u64,
}

/// Files may be moved: what counts is the text in them.
const PLACES: [&str; 2] = ["data", "val"];
/// What `--init-from` decides.
const SIZES: [&str; 3] = ["layers", "heads", "width"];
/// The texts, and whose they are.
const TEXTS: [(&str, &str); 2] = [("text", "data"), ("val-text", "val")];

impl Settings {
    /// Those of a new run.
    pub(super) fn new(args: &TrainArgs) -> Settings {
        Settings::default().with(args, None)
    }

    /// Those of a run that goes on, with what is given in their place; [`Settings::differences`] tells what that
    /// changes.
    pub(super) fn resumed(&self, args: &TrainArgs) -> Settings {
        self.clone().with(args, Some(self))
    }

    fn with(mut self, args: &TrainArgs, run: Option<&Settings>) -> Settings {
        fn take<T: Clone>(slot: &mut T, given: &Option<T>) {
            if let Some(value) = given {
                *slot = value.clone();
            }
        }
        fn or<T>(slot: &mut Option<T>, given: Option<T>) {
            *slot = given.or(slot.take());
        }
        if let Some(preset) = args.preset {
            let sizes = preset.sizes();
            self.preset = Some(preset.name().to_owned());
            (self.layers, self.heads) = (Some(sizes.layers), Some(sizes.heads));
            (self.width, self.context, self.batch) = (Some(sizes.width), Some(sizes.context), sizes.batch);
        }
        let place = |path: &Path| path.display().to_string();
        if let Some(dir) = &args.init_from {
            self.init_from = Some(place(dir));
            if run.is_none() {
                (self.preset, self.layers, self.heads, self.width) = (None, None, None, None);
                (self.context, self.dropout) = (None, None);
            }
        }
        if args.tokenizer.is_some() {
            self.tokenizer.clone_from(&args.tokenizer);
        }
        if let Some(path) = &args.data {
            self.data = Some(place(path));
        }
        if let Some(path) = &args.val {
            self.val = Some(place(path));
        }
        or(&mut self.layers, args.layers);
        or(&mut self.heads, args.heads);
        or(&mut self.width, args.width);
        or(&mut self.context, args.context);
        or(&mut self.dropout, args.dropout);
        take(&mut self.dtype, &args.dtype);
        or(&mut self.lora, args.lora);
        take(&mut self.batch, &args.batch);
        take(&mut self.accumulate, &args.accumulate);
        if args.steps.is_some() {
            (self.steps, self.seconds) = (args.steps, None);
        }
        take(&mut self.lr, &args.lr);
        // The default follows the rate.
        if run.is_none() {
            self.min_lr = f64::min(1e-4, self.lr / 10.0);
        }
        take(&mut self.min_lr, &args.min_lr);
        take(&mut self.warmup, &args.warmup);
        take(&mut self.weight_decay, &args.weight_decay);
        take(&mut self.clip, &args.clip);
        take(&mut self.eval_every, &args.eval_every);
        take(&mut self.eval_batches, &args.eval_batches);
        take(&mut self.seed, &args.seed);
        self
    }

    /// The sizes of a new model with this vocabulary.
    pub(super) fn model(&self, vocab: usize) -> GptConfig {
        let sizes = Preset::NanoCpu.sizes();
        let context = self.context.unwrap_or(sizes.context);
        GptConfig {
            layers: self.layers.unwrap_or(sizes.layers),
            heads: self.heads.unwrap_or(sizes.heads),
            dropout: self.dropout.unwrap_or(0.0),
            ..GptConfig::new(vocab, context, self.width.unwrap_or(sizes.width))
        }
    }

    /// What the model is called: its preset, or the directory that it is from.
    pub(super) fn name(&self) -> &str {
        self.init_from.as_ref().or(self.preset.as_ref()).map_or("a model", |name| name)
    }

    /// Reads the tokenizer that `given` names, where it is a file: what counts is what is in it.
    pub(super) fn compare_tokenizer(&mut self, given: Option<&TokenizerSource>) -> Result<()> {
        if let Some(TokenizerSource::File(path)) = given {
            self.tokenizer_file = Some(Fingerprint::of(read_tokenizer(path)?.to_json().as_bytes()));
        }
        Ok(())
    }

    /// How to train.
    pub(super) fn train(&self) -> Result<TrainOptions> {
        let length = match (self.steps, self.seconds) {
            (Some(steps), _) => Length::Steps(steps),
            (None, seconds) => Length::Within(
                Duration::try_from_secs_f64(seconds.unwrap_or(f64::NAN))
                    .map_err(|e| Error::invalid(format!("there is neither a number of steps nor a time: {e}")))?,
            ),
        };
        Ok(TrainOptions {
            length,
            batch: self.batch,
            accumulate: self.accumulate,
            lr: self.lr,
            min_lr: self.min_lr,
            warmup: self.warmup,
            weight_decay: self.weight_decay,
            betas: (self.beta1, self.beta2),
            clip: self.clip,
            eval_every: self.eval_every,
            eval_batches: self.eval_batches,
            seed: self.seed,
        })
    }

    /// As a checkpoint keeps them.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map,
            // A struct of numbers and strings is an object.
            other => unreachable!("{other:?}"),
        }
    }

    /// From a checkpoint.
    pub(super) fn from_json(map: &Map<String, Value>) -> Result<Settings> {
        let settings = serde_json::from_value(Value::Object(map.clone()));
        settings.map_err(|e| Error::invalid(format!("the settings of the run cannot be read: {e}")))
    }

    /// What of `now` would change the bits of this run.
    pub(super) fn differences(&self, now: &Settings) -> Vec<String> {
        let file = |settings: &Settings| matches!(settings.tokenizer, Some(TokenizerSource::File(_)));
        let both_files = file(self) && file(now);
        let (was, now) = (self.to_json(), now.to_json());
        let mut differences = Vec::new();
        for (name, old) in was.iter().filter(|(name, _)| !PLACES.contains(&name.as_str())) {
            let new = &now[name];
            if old == new {
            } else if name == "tokenizer" && self.tokenizer_file.is_some() && both_files {
                // Their contents are compared.
            } else if name == "tokenizer-file" {
                if both_files {
                    differences.push("the file of --tokenizer".to_owned());
                }
            } else if let Some((_, option)) = TEXTS.iter().find(|(text, _)| text == name) {
                differences.push(format!("the text of --{option}"));
            } else if name == "preset" {
                // Its sizes are compared one by one.
            } else {
                let say = |value: &Value| match value {
                    Value::Null if self.init_from.is_some() && SIZES.contains(&name.as_str()) => {
                        "that of the model".to_owned()
                    }
                    Value::Null if name == "tokenizer" => "the default".to_owned(),
                    Value::Null => "none".to_owned(),
                    Value::String(text) => text.clone(),
                    value => value.to_string(),
                };
                differences.push(format!("--{name} {} instead of {}", say(new), say(old)));
            }
        }
        differences
    }
}

impl Default for Settings {
    fn default() -> Settings {
        let (preset, train) = (Preset::NanoCpu, TrainOptions::default());
        let sizes = preset.sizes();
        Settings {
            data: None,
            text: None,
            val: None,
            val_text: None,
            tokenizer: None,
            tokenizer_file: None,
            dtype: FloatType::F32,
            init_from: None,
            lora: None,
            preset: Some(preset.name().to_owned()),
            layers: Some(sizes.layers),
            heads: Some(sizes.heads),
            width: Some(sizes.width),
            context: Some(sizes.context),
            dropout: Some(0.0),
            batch: sizes.batch,
            accumulate: train.accumulate,
            steps: Some(2000),
            seconds: None,
            lr: train.lr,
            min_lr: train.min_lr,
            warmup: train.warmup,
            weight_decay: train.weight_decay,
            beta1: train.betas.0,
            beta2: train.betas.1,
            clip: train.clip,
            eval_every: train.eval_every,
            eval_batches: train.eval_batches,
            seed: train.seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: TrainArgs,
    }

    fn args(line: &str) -> TrainArgs {
        Line::try_parse_from(format!("gpt {line}").split_whitespace()).unwrap().args
    }

    #[test]
    fn defaults_are_those_of_the_specification() {
        let settings = Settings::new(&args(""));
        assert_eq!(settings, Settings::default());
        assert_eq!((settings.name(), settings.steps, settings.seed), ("nano-cpu", Some(2000), 1337));
        assert_eq!((settings.lr, settings.min_lr, settings.warmup), (1e-3, 1e-4, 100));
        assert_eq!((settings.weight_decay, settings.clip, settings.dropout), (0.1, 1.0, Some(0.0)));
        let model = settings.model(5);
        assert_eq!((model.layers, model.heads, model.width, model.context), (4, 4, 128, 64));
        assert_eq!(Settings::new(&args("--lr 1e-4")).min_lr, 1e-5);
        let baby = Settings::new(&args("--preset baby --heads 3"));
        assert_eq!((baby.layers, baby.heads, baby.width, baby.batch), (Some(6), Some(3), Some(384), 16));
    }

    #[test]
    fn a_resume_takes_what_is_not_given_and_names_what_differs() {
        let run = Settings::new(&args("--layers 2 --lr 0.01 --steps 50 --data a.txt --dropout 0.1"));
        assert_eq!(Settings::from_json(&run.to_json()).unwrap(), run);
        for same in ["", "--layers 2", "--lr 1e-2 --min-lr 1e-4 --steps 50", "--data b.txt --keep 5 --threads 1"] {
            assert_eq!(run.differences(&run.resumed(&args(same))), [""; 0], "{same}");
        }
        for (other, says) in [
            ("--layers 3", "--layers 3 instead of 2"),
            ("--steps 60", "--steps 60 instead of 50"),
            ("--preset baby", "--layers 6 instead of 2"),
            ("--lr 0.1", "--lr 0.1 instead of 0.01"),
            ("--dropout 0", "--dropout 0.0 instead of 0.1"),
            ("--seed 18446744073709551615", "--seed 18446744073709551615 instead of 1337"),
        ] {
            let differences = run.differences(&run.resumed(&args(other)));
            assert_eq!(differences[0], says);
        }
        let mut other = run.clone();
        other.text = Some(Fingerprint::of(b"x"));
        assert_eq!(run.differences(&other), ["the text of --data"]);
    }

    #[test]
    fn settings_that_cannot_be_read_are_an_error() {
        let mut map = Settings::default().to_json();
        map.insert("steps".into(), Value::from(-5));
        assert!(Settings::from_json(&map).unwrap_err().to_string().contains("cannot be read"));
        assert!(Settings::from_json(&Map::new()).is_err());
        for seconds in [None, Some(-1.0), Some(f64::NAN)] {
            assert!(Settings { steps: None, seconds, ..Settings::default() }.train().is_err());
        }
    }
}
