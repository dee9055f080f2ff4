//! A training run as a value: it makes a step, evaluates, and gives and takes its whole state.

use std::time::{Duration, Instant};

use autograd::no_grad;
use nn::prelude::*;
use optim::{WarmupCosine, clip_coefficient};
use serde::{Deserialize, Serialize};
use tensor::{Generator, Tensor};

use super::update::{Mean, Update, share};
use super::{TrainOptions, diverged};
use crate::pace::{Evaluation, Pace};
use crate::train::Length;
use crate::{Error, LanguageModel, Result, Split, TextDataset};

/// A training run between two steps.
///
/// [`train`](super::train) drives one to its end. Whoever wants the loop for himself writes it, and may stop and go on
/// later, in another process, as if nothing had been:
///
/// ```
/// use models::train::{Length, TrainOptions, Trainer};
/// use models::{Gpt, GptConfig, TextDataset};
/// use nn::prelude::*;
///
/// let data = TextDataset::from_ids((0..400).map(|i| i % 7).collect(), 8)?;
/// let options = TrainOptions { length: Length::Steps(4), batch: 2, eval_every: 2, ..Default::default() };
/// let model = || {
///     tensor::manual_seed(1);
///     Gpt::new(GptConfig { heads: 2, dropout: 0.1, ..GptConfig::new(7, 8, 16) })
/// };
/// let run = |trainer: &mut Trainer, steps: usize| {
///     for _ in 0..steps {
///         trainer.step()?;
///         trainer.evaluate_if_due()?;
///     }
///     Ok::<_, models::Error>(())
/// };
///
/// let whole = model()?;
/// run(&mut Trainer::new(&whole, &data, &options)?, 4)?;
///
/// let first = model()?;
/// let mut trainer = Trainer::new(&first, &data, &options)?;
/// run(&mut trainer, 3)?;
/// let (weights, state) = (first.state_dict(), trainer.state()); // both go into files
///
/// let second = model()?;
/// second.load_state_dict(&weights).expect("the same model");
/// let mut trainer = Trainer::new(&second, &data, &options)?;
/// trainer.load_state(&state)?;
/// run(&mut trainer, 1)?;
/// assert!(trainer.is_finished());
/// assert!(second.state_dict().iter().all(|(name, weight)| weight.bit_eq(&whole.state_dict()[name])));
/// # Ok::<(), models::Error>(())
/// ```
pub struct Trainer<'a> {
    model: &'a dyn LanguageModel,
    data: &'a TextDataset,
    options: TrainOptions,
    /// The batches of an estimate of the validation loss.
    sample: Vec<(Tensor, Tensor)>,
    update: Update,
    rng: Generator,
    pace: Pace,
    schedule: WarmupCosine,
    /// The number of steps that `schedule` was made for.
    planned: usize,
    step: usize,
    /// Of the steps since the last evaluation.
    since: Mean,
    evaluated: Option<Evaluated>,
    best: Option<Evaluated>,
}

/// What a step was like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Its number, from 1.
    pub step: usize,
    /// The mean loss of its batches.
    pub loss: f64,
    /// Its learning rate.
    pub lr: f64,
    /// The norm of its gradient before it was cut.
    pub gradient_norm: f64,
    /// Tokens per second of training since this process began, evaluations not counted.
    pub tokens_per_s: f64,
}

/// What an evaluation led to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// After this step.
    pub step: usize,
    /// The mean loss of the steps since the evaluation before.
    pub train_loss: f64,
    /// The validation loss: an estimate, after the last step over the whole validation split.
    pub val_loss: f64,
}

/// Where a run is: all that its future depends on but for the weights and the optimizer's tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Steps done.
    pub step: usize,
    /// The number of the last step, on which the learning rates depend; none while the speed of a run within a time is
    /// still measured.
    pub total: Option<usize>,
    /// Seed and draws of the generator of the batches: the place of the sampler.
    pub generator: (u64, u64),
    /// Seed and draws of the thread's default generator: dropout.
    pub default_generator: (u64, u64),
    /// The losses since the last evaluation.
    pub(super) since: Mean,
    /// The last evaluation.
    pub evaluated: Option<Evaluated>,
    /// The evaluation with the least validation loss.
    pub best: Option<Evaluated>,
    /// The time that the run has taken.
    pub seconds: f64,
}

/// What [`Trainer::state`] gives: with the weights of the model, the whole of a run.
#[derive(Debug, Clone)]
pub struct State {
    /// The place in the run, with its generators.
    pub position: Position,
    /// The state of the optimizer, as [`Optimizer::state_dict`](optim::Optimizer::state_dict) gives it.
    pub optimizer: StateDict,
    /// The exact values in f32 of parameters that are stored in half precision; empty where there are none.
    pub masters: StateDict,
}

impl<'a> Trainer<'a> {
    /// A run that has not begun.
    ///
    /// Parameters that do not require gradients stay as they are; those in bf16 or f16 get masters in f32, from which
    /// they are rounded after each step.
    ///
    /// # Errors
    /// When an option is invalid, or `model` and `data` do not fit each other.
    ///
    /// # Panics
    /// When no parameter of the model requires a gradient.
    pub fn new(model: &'a dyn LanguageModel, data: &'a TextDataset, options: &TrainOptions) -> Result<Trainer<'a>> {
        options.check()?;
        if data.context() > model.context() {
            let (has, takes) = (data.context(), model.context());
            return Err(Error::invalid(format!("windows of {has} tokens do not fit the model's context of {takes}")));
        }
        let mut rng = Generator::new(options.seed);
        let sample = data.validation_sample(options.batch, options.eval_batches, &mut rng);
        let window = options.batch as f64 * data.context() as f64;
        let validation = data.tokens(Split::Validation).len() as f64;
        let evaluation = Evaluation {
            every: options.eval_every,
            // In units of a step, which computes so many batches.
            batches: sample.len() as f64 / options.accumulate as f64,
            whole: (validation / (window * sample.len() as f64)).max(1.0),
        };
        let mut update = Update::new(model, options.lr, options.betas, options.weight_decay);
        let pace = Pace::new(options.length, evaluation, Instant::now());
        let planned = pace.total();
        let schedule = WarmupCosine::new(&mut update.optimizer, options.warmup, planned, options.min_lr);
        model.train();
        let (since, evaluated, best) = (Mean::default(), None, None);
        let options = options.clone();
        Ok(Trainer {
            model,
            data,
            options,
            sample,
            update,
            rng,
            pace,
            schedule,
            planned,
            step: 0,
            since,
            evaluated,
            best,
        })
    }

    /// The model.
    pub fn model(&self) -> &'a dyn LanguageModel {
        self.model
    }

    /// The number of steps done.
    pub fn step_number(&self) -> usize {
        self.step
    }

    /// The number of the last step; without limit while the speed of a run within a time is being measured.
    pub fn total(&self) -> usize {
        self.pace.total()
    }

    /// Whether all steps are done.
    pub fn is_finished(&self) -> bool {
        self.step >= self.pace.total()
    }

    /// The last evaluation.
    pub fn evaluated(&self) -> Option<Evaluated> {
        self.evaluated
    }

    /// The evaluation with the least validation loss, the earliest of equal ones.
    pub fn best(&self) -> Option<Evaluated> {
        self.best
    }

    /// Tokens per second of training since this process began, evaluations not counted.
    pub fn tokens_per_s(&self) -> f64 {
        let TrainOptions { batch, accumulate, .. } = self.options;
        let tokens = batch as f64 * accumulate as f64 * self.data.context() as f64;
        tokens / self.pace.step_time().as_secs_f64()
    }

    /// The time that the run has taken, in all processes.
    pub fn time(&self) -> Duration {
        self.pace.elapsed()
    }

    /// Makes one step.
    ///
    /// # Errors
    /// When the loss or, where it is cut, the norm of the gradient is not finite; the model is of no use then.
    pub fn step(&mut self) -> Result<Step> {
        let begun = Instant::now();
        // Made anew when the number of steps is fixed: the warm-up, during which that happens, is the same.
        if self.pace.total() != self.planned {
            self.planned = self.pace.total();
            let TrainOptions { lr, warmup, min_lr, .. } = self.options;
            self.update.set_rate(lr);
            self.schedule = WarmupCosine::new(&mut self.update.optimizer, warmup, self.planned, min_lr);
        }
        let lr = self.schedule.rate(self.options.lr, self.step);

        self.update.zero_grad();
        let mut sum = 0.0;
        for _ in 0..self.options.accumulate {
            let (x, y) = self.data.random_batch(Split::Train, self.options.batch, &mut self.rng);
            let loss = self.model.loss(&x, &y);
            share(&loss, self.options.accumulate).backward();
            self.update.collect();
            sum += loss.item::<f64>();
        }
        let loss = sum / self.options.accumulate as f64;
        let gradient_norm = self.update.gradient_norm();
        let step = self.step + 1;
        if !loss.is_finite() {
            return Err(diverged(step, format!("the loss is {loss}")));
        }
        let mut factor = 1.0;
        if self.options.clip > 0.0 {
            if !gradient_norm.is_finite() {
                return Err(diverged(step, format!("the norm of the gradient is {gradient_norm}")));
            }
            factor = clip_coefficient(self.options.clip, gradient_norm);
        }
        self.update.step(lr, factor);

        self.step = step;
        self.since.add(loss);
        self.pace.after_step(begun.elapsed());
        Ok(Step { step, loss, lr, gradient_norm, tokens_per_s: self.tokens_per_s() })
    }

    /// Measures the validation loss when this is the step for it: every so many, and the last.
    ///
    /// # Errors
    /// When it is not finite.
    pub fn evaluate_if_due(&mut self) -> Result<Option<Evaluated>> {
        let step = self.step;
        let last = self.is_finished();
        let due = step > 0 && (last || step.is_multiple_of(self.options.eval_every));
        if !due || self.evaluated.is_some_and(|evaluated| evaluated.step == step) {
            return Ok(None);
        }
        let begun = Instant::now();
        let val_loss = if last {
            evaluate(self.model, self.data.validation(self.options.batch))
        } else {
            evaluate(self.model, self.sample.iter().cloned())
        };
        if !val_loss.is_finite() {
            return Err(diverged(step, format!("the validation loss is {val_loss}")));
        }
        if !last {
            self.pace.after_evaluation(begun.elapsed());
        }
        let evaluated = Evaluated { step, train_loss: self.since.value(), val_loss };
        self.since = Mean::default();
        self.evaluated = Some(evaluated);
        if self.best.is_none_or(|best| val_loss < best.val_loss) {
            self.best = Some(evaluated);
        }
        Ok(Some(evaluated))
    }

    /// All that the future of the run depends on, but for the weights of the model; taken after
    /// [`evaluate_if_due`](Trainer::evaluate_if_due).
    pub fn state(&self) -> State {
        let position = Position {
            step: self.step,
            total: self.pace.fixed(),
            generator: self.rng.state(),
            default_generator: tensor::random::get_state(),
            since: self.since,
            evaluated: self.evaluated,
            best: self.best,
            seconds: self.pace.elapsed().as_secs_f64(),
        };
        State { position, optimizer: self.update.optimizer_state(), masters: self.update.masters() }
    }

    /// Goes to the place of `state`, the thread's default generator included. The model must have the weights of that
    /// place already, and the options, the data and the frozen parameters must be the same.
    ///
    /// # Errors
    /// When the state cannot be one of this run; nothing is changed then.
    pub fn load_state(&mut self, state: &State) -> Result<()> {
        let at = &state.position;
        let refuse = |what: String| Err(Error::invalid(format!("this is no state of the run: {what}")));
        if let (Length::Steps(steps), total) = (self.options.length, at.total)
            && total != Some(steps)
        {
            return refuse(format!("its total is {total:?}, the run has {steps} steps"));
        }
        if at.total.is_some_and(|total| at.step > total) {
            return refuse(format!("step {} is beyond the last, {:?}", at.step, at.total));
        }
        if at.step == usize::MAX {
            return refuse(format!("there is no step after {}", at.step));
        }
        if at.generator.0 != self.options.seed {
            return refuse(format!("its seed is {}, that of the run {}", at.generator.0, self.options.seed));
        }
        let Ok(time) = Duration::try_from_secs_f64(at.seconds) else {
            return refuse(format!("it has taken {} seconds", at.seconds));
        };
        if [at.evaluated, at.best].iter().flatten().any(|evaluated| evaluated.step > at.step) {
            return refuse("an evaluation lies ahead".to_owned());
        }
        self.update.load(&state.optimizer, &state.masters, at.step).or_else(refuse)?;
        self.step = at.step;
        self.rng = Generator::from_state(at.generator);
        tensor::random::set_state(at.default_generator);
        (self.since, self.evaluated, self.best) = (at.since, at.evaluated, at.best);
        self.pace.resume(at.step, at.total, time);
        Ok(())
    }
}

/// The mean loss per target over `batches`, in evaluation mode and without a graph.
pub fn evaluate(model: &dyn LanguageModel, batches: impl IntoIterator<Item = (Tensor, Tensor)>) -> f64 {
    let training = model.is_training();
    model.eval();
    let (mut sum, mut targets) = (0.0, 0.0);
    no_grad(|| {
        for (x, y) in batches {
            let n = y.numel() as f64;
            sum += n * model.loss(&x, &y).item::<f64>();
            targets += n;
        }
    });
    model.set_training(training);
    sum / targets
}
