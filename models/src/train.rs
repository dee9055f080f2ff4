//! The trainer: AdamW with warm-up and cosine decay, clipping, evaluation.

use std::time::{Duration, Instant};

use autograd::no_grad;
use nn::prelude::*;
use optim::{AdamW, AdamWOptions, ClipOptions, Optimizer, ParamGroup, WarmupCosine, clip_grad_norm_};
use tensor::{Generator, Tensor};

use crate::curve::{Curve, Point};
use crate::pace::{Evaluation, Pace};
use crate::{Error, LanguageModel, Result, Split, TextDataset};

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// This many steps.
    Steps(usize),
    /// As many steps as end within this time, the evaluations included; the number is fixed after the first few, whose
    /// speed is measured, so that the learning rate still ends at its minimum.
    Within(Duration),
}

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// How long (default 2000 steps).
    pub length: Length,
    /// Windows per step (default 12).
    pub batch: usize,
    /// The largest learning rate, at the end of the warm-up (default 1e-3).
    pub lr: f64,
    /// The learning rate of the last step (default 1e-4, a tenth of the largest).
    pub min_lr: f64,
    /// Steps over which the learning rate rises from 0 (default 100).
    pub warmup: usize,
    /// The decoupled weight decay of matrices, embeddings included; biases and layer norms have none (default 0.1).
    pub weight_decay: f64,
    /// How slowly the means of the gradient and of its square change (default 0.9 and 0.99, nanoGPT's for small
    /// batches).
    pub betas: (f64, f64),
    /// The gradient's norm is cut to it; 0 cuts nothing (default 1).
    pub clip: f64,
    /// Steps between estimates of the validation loss (default 250).
    pub eval_every: usize,
    /// Batches of such an estimate (default 20).
    pub eval_batches: usize,
    /// Decides which batches are drawn (default 1337).
    pub seed: u64,
}

impl Default for TrainOptions {
    fn default() -> TrainOptions {
        TrainOptions {
            length: Length::Steps(2000),
            batch: 12,
            lr: 1e-3,
            min_lr: 1e-4,
            warmup: 100,
            weight_decay: 0.1,
            betas: (0.9, 0.99),
            clip: 1.0,
            eval_every: 250,
            eval_batches: 20,
            seed: 1337,
        }
    }
}

impl TrainOptions {
    /// Checks that a run with these options is possible.
    ///
    /// # Errors
    /// Names the option and its rule.
    pub fn check(&self) -> Result<()> {
        let sizes = [
            ("batch", self.batch),
            ("evaluation interval", self.eval_every),
            ("number of evaluation batches", self.eval_batches),
            ("number of steps", if let Length::Steps(steps) = self.length { steps } else { 1 }),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(Error::invalid(format!("the {name} must be at least 1")));
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return Err(Error::invalid(format!("the learning rate {} is not a positive number", self.lr)));
        }
        if !(0.0..=self.lr).contains(&self.min_lr) {
            let (min, lr) = (self.min_lr, self.lr);
            return Err(Error::invalid(format!("the minimal learning rate {min} is not between 0 and {lr}")));
        }
        for (name, x) in [("weight decay", self.weight_decay), ("clip", self.clip)] {
            if !(x >= 0.0 && x.is_finite()) {
                return Err(Error::invalid(format!("the {name} {x} is not 0 or a positive number")));
            }
        }
        if ![self.betas.0, self.betas.1].iter().all(|beta| (0.0..1.0).contains(beta)) {
            return Err(Error::invalid(format!("the betas {:?} are not in 0..1", self.betas)));
        }
        Ok(())
    }
}

/// What a run tells while it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step was done.
    Step {
        /// Its number, from 1.
        step: usize,
        /// The number of the last one.
        total: usize,
        /// The loss of its batch.
        loss: f64,
        /// Tokens per second of training so far, evaluations not counted.
        tokens_per_s: f64,
    },
    /// The validation loss was measured.
    Evaluated {
        /// After this step.
        step: usize,
        /// The number of the last one.
        total: usize,
        /// The mean loss of the steps since the evaluation before.
        train_loss: f64,
        /// The validation loss: an estimate, after the last step over the whole validation split.
        val_loss: f64,
        /// Everything so far.
        curve: &'a Curve,
    },
}

/// What a run led to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The number of steps.
    pub steps: usize,
    /// The mean loss of the steps since the last evaluation but one.
    pub train_loss: f64,
    /// The loss over the whole validation split after the last step.
    pub val_loss: f64,
    /// Tokens per second of training, evaluations not counted.
    pub tokens_per_s: f64,
    /// The whole time, evaluations included.
    pub time: Duration,
    /// The loss of every step.
    pub curve: Curve,
}

/// AdamW over the parameters of `model`, with weight decay on matrices only.
pub fn adamw(model: &dyn Module, lr: f64, betas: (f64, f64), weight_decay: f64) -> AdamW {
    let (matrices, vectors) = model.parameters().into_iter().partition(|p| p.value().ndim() >= 2);
    let group =
        |params, weight_decay| ParamGroup::new(params, AdamWOptions { lr, betas, weight_decay, ..Default::default() });
    AdamW::with_groups(vec![group(matrices, weight_decay), group(vectors, 0.0)])
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

/// Why a run cannot go on after `step`.
fn diverged(step: usize, why: impl std::fmt::Display) -> Error {
    Error::invalid(format!("training diverged at step {step}: {why}; a lower learning rate may help"))
}

/// Trains `model` on `data` and tells `watch` how it goes.
///
/// # Errors
/// When an option is invalid, or the loss stops being finite.
pub fn train(
    model: &dyn LanguageModel,
    data: &TextDataset,
    options: &TrainOptions,
    mut watch: impl FnMut(Event),
) -> Result<Outcome> {
    options.check()?;
    let started = Instant::now();
    let mut rng = Generator::new(options.seed);
    let sample = data.validation_sample(options.batch, options.eval_batches, &mut rng);
    let mut optimizer = adamw(model, options.lr, options.betas, options.weight_decay);
    let window = (options.batch * data.context()) as f64;
    let validation = data.tokens(Split::Validation).len() as f64;
    let evaluation = Evaluation {
        every: options.eval_every,
        batches: sample.len(),
        whole: (validation / (window * sample.len() as f64)).max(1.0),
    };
    let mut pace = Pace::new(options.length, evaluation, started);
    // Made anew when the number of steps is fixed: the warm-up, during which that happens, is the same.
    let planned = |optimizer: &mut AdamW, total| {
        optimizer.set_learning_rates(&[options.lr, options.lr]);
        WarmupCosine::new(optimizer, options.warmup, total, options.min_lr)
    };
    let mut total = pace.total();
    let mut schedule = planned(&mut optimizer, total);
    let parameters = model.parameters();
    let mut curve = Curve::default();
    let (mut step, mut train_loss, mut val_loss) = (0, f64::NAN, f64::NAN);
    model.train();

    while step < pace.total() {
        let begun = Instant::now();
        if pace.total() != total {
            total = pace.total();
            schedule = planned(&mut optimizer, total);
        }
        let lr = schedule.rate(options.lr, step);
        optimizer.set_learning_rates(&[lr, lr]);

        let (x, y) = data.random_batch(Split::Train, options.batch, &mut rng);
        let loss = model.loss(&x, &y);
        optimizer.zero_grad();
        loss.backward();
        if options.clip > 0.0 {
            let check = ClipOptions { error_if_nonfinite: true, ..Default::default() };
            clip_grad_norm_(&parameters, options.clip, check).map_err(|e| diverged(step + 1, e))?;
        }
        optimizer.step();

        step += 1;
        let loss = loss.item::<f64>();
        if !loss.is_finite() {
            return Err(diverged(step, format!("the loss is {loss}")));
        }
        curve.points.push(Point { step, loss, lr, val_loss: None });
        pace.after_step(begun.elapsed());
        let tokens_per_s = window / pace.step_time().as_secs_f64();
        watch(Event::Step { step, total: pace.total(), loss, tokens_per_s });

        let last = step == pace.total();
        if last || step % options.eval_every == 0 {
            let begun = Instant::now();
            val_loss =
                if last { evaluate(model, data.validation(options.batch)) } else { evaluate(model, sample.clone()) };
            if !last {
                pace.after_evaluation(begun.elapsed());
            }
            // The last stretch may be a short one, even a single step.
            train_loss = curve.mean_of_last((step - 1) % options.eval_every + 1);
            curve.points[step - 1].val_loss = Some(val_loss);
            let total = pace.total();
            watch(Event::Evaluated { step, total, train_loss, val_loss, curve: &curve });
        }
    }
    let tokens_per_s = window / pace.step_time().as_secs_f64();
    Ok(Outcome { steps: step, train_loss, val_loss, tokens_per_s, time: started.elapsed(), curve })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Gpt, GptConfig};

    /// A text in which each token decides the next.
    fn data() -> TextDataset {
        TextDataset::from_ids((0..600).map(|i| i % 7).collect(), 8).unwrap()
    }

    fn model() -> Gpt {
        tensor::manual_seed(6);
        Gpt::new(GptConfig { layers: 1, heads: 2, ..GptConfig::new(7, 8, 16) }).unwrap()
    }

    fn options(steps: usize) -> TrainOptions {
        TrainOptions {
            length: Length::Steps(steps),
            batch: 8,
            lr: 1e-2,
            min_lr: 1e-3,
            warmup: 10,
            eval_every: 40,
            eval_batches: 1,
            ..TrainOptions::default()
        }
    }

    #[test]
    fn a_pattern_is_learnt_and_the_run_is_told() {
        let (mut steps, mut evaluations) = (Vec::new(), Vec::new());
        let (model, data) = (model(), data());
        let outcome = train(&model, &data, &options(150), |event| match event {
            Event::Step { step, total, loss, tokens_per_s } => {
                assert!(total == 150 && loss.is_finite() && tokens_per_s > 0.0);
                steps.push(step);
            }
            Event::Evaluated { step, curve, .. } => {
                assert_eq!(curve.points.len(), step);
                evaluations.push(step);
            }
        })
        .unwrap();
        assert_eq!(steps, (1..=150).collect::<Vec<_>>());
        assert_eq!(evaluations, [40, 80, 120, 150]);
        assert!(outcome.val_loss < 0.1, "{}", outcome.val_loss);
        assert_eq!(outcome.steps, 150);
        // The last stretch has 30 steps, and the last loss is that of the whole validation split.
        assert_eq!(outcome.train_loss, outcome.curve.mean_of_last(30));
        assert_eq!(outcome.val_loss, evaluate(&model, data.validation(8)));
        assert_eq!(outcome.curve.points[149].val_loss, Some(outcome.val_loss));
        assert!(model.is_training());
    }

    #[test]
    fn the_learning_rate_rises_and_falls_to_its_minimum() {
        let outcome = train(&model(), &data(), &options(60), |_| {}).unwrap();
        let lr: Vec<f64> = outcome.curve.points.iter().map(|p| p.lr).collect();
        assert!(lr[..10].windows(2).all(|w| w[0] < w[1]) && lr[10..].windows(2).all(|w| w[0] > w[1]));
        assert!((lr[10] - 1e-2).abs() < 1e-12 && (lr[59] - 1e-3).abs() < 1e-12, "{lr:?}");
    }

    #[test]
    fn the_seed_decides_everything() {
        let weights = |seed| {
            let model = model();
            train(&model, &data(), &TrainOptions { seed, ..options(12) }, |_| {}).unwrap();
            model.state_dict()
        };
        let (a, b, c) = (weights(1), weights(1), weights(2));
        assert!(a.iter().all(|(name, tensor)| tensor.bit_eq(&b[name])));
        assert!(!a.iter().all(|(name, tensor)| tensor.bit_eq(&c[name])));
    }

    #[test]
    fn a_run_within_a_time_ends_in_time_at_the_least_rate() {
        let time = Duration::from_secs(2);
        let options = TrainOptions { length: Length::Within(time), eval_every: 100, ..options(1) };
        let mut last_total = 0;
        let outcome = train(&model(), &data(), &options, |event| {
            if let Event::Step { total, .. } = event {
                last_total = total;
            }
        })
        .unwrap();
        assert_eq!(outcome.steps, last_total);
        assert!(outcome.time < time.mul_f64(1.25), "{:?}", outcome.time);
        let last = outcome.curve.points.last().unwrap();
        assert!((last.lr - 1e-3).abs() < 1e-12, "{}", last.lr);
    }

    #[test]
    fn only_matrices_decay() {
        let model = model();
        let optimizer = adamw(&model, 1e-3, (0.9, 0.99), 0.1);
        let groups = optimizer.param_groups();
        assert!(groups[0].params.iter().all(|p| p.value().ndim() == 2) && groups[0].options.weight_decay == 0.1);
        assert!(groups[1].params.iter().all(|p| p.value().ndim() == 1) && groups[1].options.weight_decay == 0.0);
        assert_eq!(groups[0].params.len() + groups[1].params.len(), model.parameters().len());
    }

    #[test]
    fn every_target_of_the_evaluation_counts_once() {
        let (model, data) = (model(), data());
        let whole = evaluate(&model, data.validation(3));
        let singly: Vec<f64> = data.validation(1).map(|pair| evaluate(&model, [pair])).collect();
        // 59 targets: seven windows of 8 and one of 3.
        assert_eq!(singly.len(), 8);
        let by_hand = (singly[..7].iter().sum::<f64>() * 8.0 + singly[7] * 3.0) / 59.0;
        assert!((whole - by_hand).abs() < 1e-6);
        assert!(evaluate(&model, []).is_nan());
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let refused = |change: fn(&mut TrainOptions), says: &str| {
            let mut options = options(3);
            change(&mut options);
            let message = train(&model(), &data(), &options, |_| {}).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        };
        refused(|o| o.batch = 0, "batch");
        refused(|o| o.length = Length::Steps(0), "steps");
        refused(|o| o.eval_every = 0, "interval");
        refused(|o| o.eval_batches = 0, "evaluation batches");
        refused(|o| o.lr = f64::NAN, "learning rate NaN");
        refused(|o| o.lr = 0.0, "learning rate 0");
        refused(|o| o.min_lr = 1.0, "minimal");
        refused(|o| o.clip = -1.0, "clip");
        refused(|o| o.weight_decay = f64::INFINITY, "weight decay");
        refused(|o| o.betas = (0.9, 1.0), "betas");
    }

    #[test]
    fn a_run_that_diverges_says_so() {
        let options = TrainOptions { lr: 1e30, min_lr: 0.0, warmup: 0, clip: 0.0, ..options(50) };
        let message = train(&model(), &data(), &options, |_| {}).unwrap_err().to_string();
        assert!(message.contains("diverged at step") && message.contains("learning rate"), "{message}");
    }
}
