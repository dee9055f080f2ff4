//! `gpt train`, and what `gpt` does without a command.

mod args;
mod memory;
mod settings;
mod signals;
mod start;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{generate, peak_rss_mb, read_text, say};
use crate::generate::{GenerateOptions, Sampling, TextGeneration};
use crate::progress::{Progress, to_stderr};
use crate::run::{self, Ended, Event, Fingerprint, Keeping, PICTURE, RunDirectory, Snapshot, TABLE};
use crate::train::Trainer;
use crate::{Error, LanguageModel, Preset, Result, TextDataset, Tokenizer, checkpoint, corpus};

use settings::Settings;
use signals::Signals;

pub(super) use args::TrainArgs;

/// The length of the sample after a training run.
const SAMPLE: usize = 500;
/// The most tokens and about the most characters of one within it.
const SHORT_SAMPLE: usize = 200;

/// How long `gpt` without a command takes on two cores, the start, the sample and the saving included.
const TWO_MINUTES: Duration = Duration::from_secs(120);

/// What is asked for beside the settings of the run: it may differ when a run goes on.
struct Plan {
    out: PathBuf,
    save_every: Option<usize>,
    keep: usize,
    sample_every: Option<usize>,
    tensorboard: bool,
    threads: Option<usize>,
    json: bool,
}

/// `gpt train`.
pub(super) fn run(args: &TrainArgs, program: &str) -> Result<ExitCode> {
    args.check_paths()?;
    let plan = Plan {
        out: args.out.clone().unwrap_or_else(|| default_out(args.preset.unwrap_or(Preset::NanoCpu))),
        save_every: args.save_every,
        keep: args.keep,
        sample_every: args.sample_every,
        tensorboard: args.tensorboard,
        threads: args.threads,
        json: args.json,
    };
    if args.resume && RunDirectory::has_run(&plan.out)? {
        let mut directory = RunDirectory::open(&plan.out)?;
        let snapshot = directory.newest(|problem| to_stderr(&format!("{}: {problem}", plan.out.display())))?;
        if let Some(snapshot) = snapshot {
            let settings = same_run(&snapshot, args).map_err(|e| Error::in_file(directory.path(), e))?;
            return go_on(&mut directory, &snapshot, &settings, &plan, program);
        }
    }
    begin(Settings::new(args), &plan, program)
}

/// `gpt` alone: as many steps on the built-in corpus as end within two minutes.
pub(super) fn two_minutes(program: &str) -> Result<ExitCode> {
    // The sample and the saving take a few seconds.
    let seconds = Some(TWO_MINUTES.mul_f64(0.95).as_secs_f64());
    let settings = Settings { steps: None, seconds, ..Settings::default() };
    let out = default_out(Preset::NanoCpu);
    let plan =
        Plan { out, save_every: None, keep: 2, sample_every: None, tensorboard: false, threads: None, json: false };
    begin(settings, &plan, program)
}

fn default_out(preset: Preset) -> PathBuf {
    Path::new("runs").join(preset.name())
}

/// The texts of a run.
struct Texts {
    /// Where the text is from, for the reader.
    name: String,
    text: String,
    validation: Option<String>,
}

impl Texts {
    fn read(settings: &Settings) -> Result<Texts> {
        let (name, text) = match &settings.data {
            Some(path) => (path.clone(), read_text(Path::new(path))?),
            None => ("this program's own sources".to_string(), corpus::TEXT.to_string()),
        };
        let validation = settings.val.as_ref().map(|path| read_text(Path::new(path))).transpose()?;
        Ok(Texts { name, text, validation })
    }

    /// What a tokenizer may learn from: all but the end of a text that validates itself.
    fn for_training(&self) -> &str {
        let cut = match &self.validation {
            None => self.text.len() - self.text.len().div_ceil(10),
            Some(_) => self.text.len(),
        };
        let cut = (0..=cut).rev().find(|&at| self.text.is_char_boundary(at)).unwrap_or(0);
        &self.text[..cut]
    }

    /// In tokens, for a model that sees `context` of them.
    fn dataset(&self, tokenizer: &Tokenizer, context: usize) -> Result<TextDataset> {
        let named = |e: Error| Error::invalid(format!("{}: {e}", self.name));
        match &self.validation {
            None => TextDataset::new(&self.text, tokenizer, context).map_err(named),
            Some(validation) => {
                let ids = tokenizer.encode(&self.text).map_err(named)?;
                let validation = tokenizer.encode(validation).map_err(|e| Error::invalid(format!("--val: {e}")))?;
                TextDataset::from_parts(ids, validation, context).map_err(named)
            }
        }
    }
}

/// The settings of the run in `snapshot`, when those of `args` say nothing else.
fn same_run(snapshot: &Snapshot, args: &TrainArgs) -> Result<Settings> {
    let run = Settings::from_json(snapshot.settings())?;
    let mut now = run.resumed(args);
    // A finished run needs its text no more; one that was given all the same is compared.
    if !snapshot.is_finished() || args.data.is_some() || args.val.is_some() {
        let texts = Texts::read(&now)?;
        fingerprint(&mut now, &texts);
    }
    now.compare_tokenizer(args.tokenizer.as_ref())?;
    match run.differences(&now) {
        none if none.is_empty() => Ok(now),
        some => Err(Error::invalid(format!(
            "the run here was begun with other options: {}; without --resume a new run begins",
            some.join(", ")
        ))),
    }
}

fn fingerprint(settings: &mut Settings, texts: &Texts) {
    settings.text = Some(Fingerprint::of(texts.text.as_bytes()));
    settings.val_text = texts.validation.as_ref().map(|text| Fingerprint::of(text.as_bytes()));
}

/// Begins a run: all that can be wrong is looked at before anything is written.
fn begin(mut settings: Settings, plan: &Plan, program: &str) -> Result<ExitCode> {
    let started = Instant::now();
    let options = settings.train()?;
    options.check()?;
    let texts = Texts::read(&settings)?;
    fingerprint(&mut settings, &texts);
    let tokenizer = start::tokenizer(&mut settings, &texts)?;
    let init_from = settings.init_from.clone().map(PathBuf::from);
    let config = match &init_from {
        Some(dir) => start::pretrained_config(dir, &mut settings, &tokenizer)?,
        None => settings.model(tokenizer.vocab_size()).into(),
    };
    config.check()?;
    start::check_lora(&settings, &config)?;
    let context = settings.context.unwrap_or(config.context());
    let data = texts.dataset(&tokenizer, context)?;
    memory::check(&config, &settings, context)?;
    let pretrained = init_from.as_deref().map(|dir| start::pretrained(dir, &config, &settings)).transpose()?;
    // With another tokenizer than the model's, the model's tokens mean nothing.
    let end = match (&init_from, &settings.tokenizer) {
        (Some(dir), None) => Some(checkpoint::end_tokens(dir)?),
        _ => None,
    };
    let mut directory = RunDirectory::open(&plan.out).map_err(|e| match e {
        Error::Write { why, .. } => Error::invalid(format!("--out {}: {why}", plan.out.display())),
        other => other,
    })?;
    use_threads(plan);
    tensor::manual_seed(settings.seed);
    let model = match pretrained {
        Some(model) => model,
        None => {
            // The first weights are those of f32, rounded.
            let model = config.build()?;
            model.to_dtype(settings.dtype.into());
            model
        }
    };
    start::adapt(&*model, &settings);
    let characters = texts.text.chars().count();
    say(&format!(
        "{}\ntext: {}, {characters} characters, a vocabulary of {} tokens",
        start::describe(settings.name(), &model.config()),
        texts.name,
        tokenizer.vocab_size(),
    ))?;
    let trainer = Trainer::new(&*model, &data, &options)?;
    directory.begin()?;
    let job = Job { settings: &settings, plan, program, tokenizer: &tokenizer, end, started };
    job.carry_out(&mut directory, trainer, &texts.name)
}

/// Goes on with a run from its newest checkpoint.
fn go_on(
    directory: &mut RunDirectory,
    snapshot: &Snapshot,
    settings: &Settings,
    plan: &Plan,
    program: &str,
) -> Result<ExitCode> {
    let started = Instant::now();
    directory.go_back(snapshot, plan.keep)?;
    if snapshot.is_finished() {
        return finished(directory.path(), snapshot, plan);
    }
    let at = |e: Error| Error::in_file(snapshot.path(), e);
    let options = settings.train().map_err(at)?;
    let texts = Texts::read(settings)?;
    let tokenizer = snapshot.load_tokenizer()?;
    let model = snapshot.load_model()?;
    start::adapt(&*model, settings);
    if settings.lora.is_some() {
        snapshot.load_adapters(&*model)?;
    }
    let data = texts.dataset(&tokenizer, settings.context.unwrap_or(model.context())).map_err(at)?;
    use_threads(plan);
    let mut trainer = Trainer::new(&*model, &data, &options).map_err(at)?;
    snapshot.restore(&mut trainer)?;
    say(&format!("{}: going on after step {}", directory.path().display(), trainer.step_number()))?;
    let end = Some(checkpoint::end_tokens(snapshot.path())?);
    let job = Job { settings, plan, program, tokenizer: &tokenizer, end, started };
    job.carry_out(directory, trainer, &texts.name)
}

/// Says that there is nothing to do.
fn finished(dir: &Path, snapshot: &Snapshot, plan: &Plan) -> Result<ExitCode> {
    let position = snapshot.position();
    let (train_loss, val_loss) = position.evaluated.map_or((f64::NAN, f64::NAN), |e| (e.train_loss, e.val_loss));
    let out = plan.out.display();
    say(&format!("{out}: the run is finished: {} steps, validation loss {val_loss:.4}", position.step))?;
    if plan.json {
        let parameters = checkpoint::load_model(dir)?.num_parameters();
        say(&report(position.step, [train_loss, val_loss], None, position.seconds, parameters as u64))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The last line for programs.
fn report(
    steps: usize,
    [train_loss, val_loss]: [f64; 2],
    tokens_per_s: Option<f64>,
    seconds: f64,
    parameters: u64,
) -> String {
    let report = json!({
        "steps": steps,
        "train_loss": train_loss,
        "val_loss": val_loss,
        "tokens_per_s": tokens_per_s,
        "seconds": seconds,
        "peak_rss_mb": peak_rss_mb(),
        "parameters": parameters,
    });
    report.to_string()
}

fn use_threads(plan: &Plan) {
    if let Some(threads) = plan.threads {
        tensor::set_num_threads(threads);
    }
}

/// A run that is about to go.
struct Job<'a> {
    settings: &'a Settings,
    plan: &'a Plan,
    program: &'a str,
    tokenizer: &'a Tokenizer,
    /// The tokens that end a text, where they are not the tokenizer's.
    end: Option<Vec<i64>>,
    started: Instant,
}

impl Job<'_> {
    /// Trains, shows, saves, samples.
    fn carry_out(&self, directory: &mut RunDirectory, mut trainer: Trainer, text: &str) -> Result<ExitCode> {
        let out = self.plan.out.display();
        let signals = Signals::listen().map_err(|e| Error::invalid(format!("no signal can be caught: {e}")))?;
        let keeping = Keeping {
            tokenizer: self.tokenizer,
            end: self.end.clone(),
            settings: self.settings.to_json(),
            save_every: self.plan.save_every.unwrap_or(self.settings.eval_every),
            keep: self.plan.keep,
            title: format!("{} on {text}", self.settings.name()),
            tensorboard: self.plan.tensorboard,
        };
        let mut progress = Progress::after(trainer.step_number());
        let ended = run::record(
            directory,
            &mut trainer,
            &keeping,
            || signals.came(),
            |trainer, event| match event {
                Event::Step(step) => {
                    progress.step(step.step, trainer.total(), step.loss, step.tokens_per_s);
                    if self.plan.sample_every.is_some_and(|every| step.step.is_multiple_of(every)) {
                        progress.line(&format!("step {}  a sample: {}", step.step, self.short_sample(trainer.model())));
                    }
                }
                Event::Evaluated(evaluated) => progress.line(&format!(
                    "step {}/{}  training loss {:.4}  validation loss {:.4}",
                    evaluated.step,
                    trainer.total(),
                    evaluated.train_loss,
                    evaluated.val_loss
                )),
                Event::Saved => {}
                Event::TableLost { last } => {
                    progress.line(&format!("{TABLE} has no rows after step {last}: it goes on with a gap"));
                }
            },
        );
        progress.finish();
        let steps = trainer.step_number();
        if ended? == Ended::Stopped {
            let (program, total) = (self.program, trainer.total());
            let of = if total == usize::MAX { String::new() } else { format!(" of {total}") };
            say(&format!("stopped after step {steps}{of}\nnext:  {program} train --resume --out {out}"))?;
            return Ok(ExitCode::from(signals.exit_code()));
        }
        let seconds = self.started.elapsed().as_secs_f64();

        let model = trainer.model();
        let sample = generate::sample(model, self.tokenizer, SAMPLE, self.settings.seed)?;
        let [train_loss, val_loss] = trainer.evaluated().map_or([f64::NAN; 2], |e| [e.train_loss, e.val_loss]);
        say(&format!(
            "\n--- a sample ---\n{}\n----------------\n\n\
             {steps} steps, {:.0} tokens/s, validation loss {val_loss:.4}{}\n\
             saved: {out}/{} {} {}, the loss curve: {out}/{TABLE} {out}/{PICTURE}\n\
             next:  {program} generate --model {out} --max-new 1000\n       \
             {program} train --data FILE --out runs/mine",
            printable(&sample),
            trainer.tokens_per_s(),
            match trainer.best() {
                Some(best) if best.step != steps => {
                    format!("\nbest:  {out}/best, validation loss {:.4} at step {}", best.val_loss, best.step)
                }
                _ => String::new(),
            },
            checkpoint::WEIGHTS,
            checkpoint::CONFIG,
            checkpoint::TOKENIZER,
            program = self.program,
        ))?;
        if self.plan.json {
            let parameters = model.config().num_parameters().unwrap_or(u64::MAX);
            say(&report(steps, [train_loss, val_loss], Some(trainer.tokens_per_s()), seconds, parameters))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Job<'_> {
    /// A few words of the model, which is left as it was; nothing is drawn from the generators of the run.
    fn short_sample(&self, model: &dyn LanguageModel) -> String {
        let training = model.is_training();
        let sampling = Sampling { temperature: 0.8, ..Sampling::default() };
        let options = GenerateOptions { sampling, seed: self.settings.seed, max_new: SHORT_SAMPLE, end: Vec::new() };
        let mut text = String::new();
        match TextGeneration::new(model, self.tokenizer, "", options, &[]) {
            Ok(pieces) => {
                for piece in pieces.map_while(Result::ok) {
                    text += &piece.text;
                    if text.chars().count() >= SHORT_SAMPLE {
                        break;
                    }
                }
            }
            Err(why) => text = format!("none: {why}"),
        }
        model.set_training(training);
        printable(&text)
    }
}

/// A text of the model to be shown: one of bytes writes control characters, which a terminal would obey.
fn printable(text: &str) -> String {
    text.trim_matches('\n').replace(|c: char| c.is_control() && c != '\n' && c != '\t', "\u{fffd}")
}
