//! Everything that the bits of a training run depend on.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::args::TrainArgs;
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
    pub preset: String,
    pub layers: usize,
    pub heads: usize,
    pub width: usize,
    pub context: usize,
    pub dropout: f64,
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
        if let Some(preset) = args.preset {
            let sizes = preset.sizes();
            self.preset = preset.name().to_owned();
            (self.layers, self.heads) = (sizes.layers, sizes.heads);
            (self.width, self.context, self.batch) = (sizes.width, sizes.context, sizes.batch);
        }
        let place = |path: &Path| path.display().to_string();
        if let Some(path) = &args.data {
            self.data = Some(place(path));
        }
        if let Some(path) = &args.val {
            self.val = Some(place(path));
        }
        take(&mut self.layers, &args.layers);
        take(&mut self.heads, &args.heads);
        take(&mut self.width, &args.width);
        take(&mut self.context, &args.context);
        take(&mut self.dropout, &args.dropout);
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

    /// The sizes of the model with this vocabulary.
    pub(super) fn model(&self, vocab: usize) -> GptConfig {
        let Settings { layers, heads, dropout, .. } = *self;
        GptConfig { layers, heads, dropout, ..GptConfig::new(vocab, self.context, self.width) }
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
        let (was, now) = (self.to_json(), now.to_json());
        let mut differences = Vec::new();
        for (name, old) in was.iter().filter(|(name, _)| !PLACES.contains(&name.as_str())) {
            let new = &now[name];
            if old == new {
            } else if let Some((_, option)) = TEXTS.iter().find(|(text, _)| text == name) {
                differences.push(format!("the text of --{option}"));
            } else if name == "preset" {
                // Its sizes are compared one by one.
            } else {
                let say = |value: &Value| if value.is_null() { "none".to_owned() } else { value.to_string() };
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
            preset: preset.name().to_owned(),
            layers: sizes.layers,
            heads: sizes.heads,
            width: sizes.width,
            context: sizes.context,
            dropout: 0.0,
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
        assert_eq!((settings.preset.as_str(), settings.steps, settings.seed), ("nano-cpu", Some(2000), 1337));
        assert_eq!((settings.lr, settings.min_lr, settings.warmup), (1e-3, 1e-4, 100));
        assert_eq!((settings.weight_decay, settings.clip, settings.dropout), (0.1, 1.0, 0.0));
        assert_eq!((settings.layers, settings.heads, settings.width, settings.context), (4, 4, 128, 64));
        assert_eq!(Settings::new(&args("--lr 1e-4")).min_lr, 1e-5);
        let baby = Settings::new(&args("--preset baby --heads 3"));
        assert_eq!((baby.layers, baby.heads, baby.width, baby.batch), (6, 3, 384, 16));
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
