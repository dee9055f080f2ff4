//! The trainer: AdamW with warm-up and cosine decay, accumulation, clipping, evaluation.

mod options;
mod trainer;
mod update;

use std::time::Duration;

use crate::curve::{Curve, Point};
use crate::{Error, LanguageModel, Result, TextDataset};

pub use options::{Length, TrainOptions};
pub use trainer::{Evaluated, Position, State, Step, Trainer, evaluate};
pub use update::adamw;

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

/// Why a run cannot go on after `step`.
fn diverged(step: usize, why: impl std::fmt::Display) -> Error {
    Error::invalid(format!("training diverged at step {step}: {why}; a lower learning rate may help"))
}

/// Trains `model` on `data` and tells `watch` how it goes.
///
/// ```
/// use models::train::{Event, Length, TrainOptions, train};
/// use models::{Gpt, GptConfig, TextDataset};
///
/// let data = TextDataset::from_ids((0..400).map(|i| i % 7).collect(), 8)?;
/// let model = Gpt::new(GptConfig { heads: 2, ..GptConfig::new(7, 8, 16) })?;
/// let options = TrainOptions { length: Length::Steps(20), batch: 4, warmup: 5, lr: 1e-2, ..Default::default() };
/// let outcome = train(&model, &data, &options, |event| {
///     if let Event::Evaluated { step, val_loss, .. } = event {
///         println!("step {step}: validation loss {val_loss:.3}");
///     }
/// })?;
/// assert!(outcome.val_loss < 1.9); // below ln 7, that of a guess
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Errors
/// When an option is invalid, or the loss stops being finite.
pub fn train(
    model: &dyn LanguageModel,
    data: &TextDataset,
    options: &TrainOptions,
    mut watch: impl FnMut(Event),
) -> Result<Outcome> {
    let mut trainer = Trainer::new(model, data, options)?;
    let mut curve = Curve::default();
    while !trainer.is_finished() {
        let Step { step, loss, lr, tokens_per_s, .. } = trainer.step()?;
        curve.points.push(Point { step, loss, lr, val_loss: None });
        watch(Event::Step { step, total: trainer.total(), loss, tokens_per_s });
        if let Some(Evaluated { step, train_loss, val_loss }) = trainer.evaluate_if_due()? {
            curve.points[step - 1].val_loss = Some(val_loss);
            watch(Event::Evaluated { step, total: trainer.total(), train_loss, val_loss, curve: &curve });
        }
    }
    let (steps, tokens_per_s, time) = (trainer.step_number(), trainer.tokens_per_s(), trainer.time());
    let (train_loss, val_loss) = trainer.evaluated().map_or((f64::NAN, f64::NAN), |e| (e.train_loss, e.val_loss));
    Ok(Outcome { steps, train_loss, val_loss, tokens_per_s, time, curve })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Gpt, GptConfig};
    use nn::prelude::*;

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
        refused(|o| o.accumulate = 0, "accumulated");
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

    #[test]
    fn accumulated_batches_are_one_large_batch() {
        // The same 8 windows for each step: 4 x 2 draws are not those of one draw of 8, so the text has one window only.
        let data = TextDataset::from_parts((0..9).collect(), (0..9).collect(), 8).unwrap();
        let weights = |batch, accumulate| {
            tensor::manual_seed(6);
            let model = Gpt::new(GptConfig { layers: 1, heads: 2, ..GptConfig::new(9, 8, 16) }).unwrap();
            model.to_dtype(tensor::DType::F64);
            let outcome = train(&model, &data, &TrainOptions { batch, accumulate, ..options(20) }, |_| {}).unwrap();
            (model.state_dict(), outcome.curve)
        };
        let ((a, one), (b, four)) = (weights(8, 1), weights(2, 4));
        for (name, a) in &a {
            assert!(a.allclose(&b[name], 1e-9, 1e-9), "{name}");
        }
        for (one, four) in one.points.iter().zip(&four.points) {
            assert!((one.loss - four.loss).abs() < 1e-9, "{one:?} {four:?}");
        }
    }

    /// Options that use every generator: dropout, accumulation, evaluations.
    fn eventful() -> (TrainOptions, impl Fn() -> Gpt) {
        let model = || {
            tensor::manual_seed(6);
            Gpt::new(GptConfig { layers: 1, heads: 2, dropout: 0.2, ..GptConfig::new(7, 8, 16) }).unwrap()
        };
        (TrainOptions { batch: 2, accumulate: 3, eval_every: 5, ..options(23) }, model)
    }

    /// What is left of a run after `load_state`: weights, state of the optimizer, place.
    fn remains(model: &Gpt, trainer: &Trainer) -> (nn::StateDict, State) {
        (model.state_dict(), trainer.state())
    }

    #[test]
    fn a_run_in_pieces_is_the_run_in_one() {
        for dtype in [tensor::DType::F32, tensor::DType::F64] {
            let (options, model) = eventful();
            let (data, cuts) = (data(), [1, 5, 14, 23]);
            let begin = || {
                let model = model();
                model.to_dtype(dtype);
                model
            };
            let run = |trainer: &mut Trainer, to: usize| {
                while trainer.step_number() < to {
                    trainer.step().unwrap();
                    trainer.evaluate_if_due().unwrap();
                }
            };
            let whole = begin();
            let mut trainer = Trainer::new(&whole, &data, &options).unwrap();
            run(&mut trainer, 23);
            let (weights, state) = remains(&whole, &trainer);

            let mut left: Option<(nn::StateDict, State)> = None;
            for to in cuts {
                let piece = begin();
                let mut trainer = Trainer::new(&piece, &data, &options).unwrap();
                if let Some((weights, state)) = &left {
                    piece.load_state_dict(weights).unwrap();
                    tensor::manual_seed(999); // another process
                    trainer.load_state(state).unwrap();
                }
                run(&mut trainer, to);
                left = Some(remains(&piece, &trainer));
            }
            let (got, got_state) = left.unwrap();
            for (name, weight) in &weights {
                assert!(weight.bit_eq(&got[name]), "{dtype} {name}");
            }
            for (name, tensor) in &state.optimizer {
                assert!(tensor.bit_eq(&got_state.optimizer[name]), "{dtype} {name}");
            }
            let at = |state: &State| Position { seconds: 0.0, ..state.position.clone() };
            assert_eq!(at(&state), at(&got_state));
        }
    }

    #[test]
    fn a_state_that_is_none_of_this_run_is_refused_and_changes_nothing() {
        let (options, model) = eventful();
        let (data, model) = (data(), model());
        let mut trainer = Trainer::new(&model, &data, &options).unwrap();
        for _ in 0..6 {
            trainer.step().unwrap();
            trainer.evaluate_if_due().unwrap();
        }
        let good = trainer.state();
        let refused = |change: &dyn Fn(&mut State), says: &str| {
            let mut state = good.clone();
            change(&mut state);
            let mut trainer = Trainer::new(&model, &data, &options).unwrap();
            let message = trainer.load_state(&state).unwrap_err().to_string();
            assert!(message.contains(says) && !message.contains('\n'), "{says}: {message}");
            assert_eq!(trainer.step_number(), 0);
            assert!(!trainer.state().optimizer.contains_key("state.0.exp_avg"));
        };
        let scalar = |x: i64| tensor::Tensor::scalar(x);
        refused(&|s| s.position.total = Some(24), "24");
        refused(&|s| s.position.total = None, "None");
        refused(&|s| s.position.step = 24, "beyond");
        refused(&|s| s.position.step = 7, "is not 7");
        refused(&|s| s.position.generator.0 += 1, "seed");
        refused(&|s| s.position.seconds = -1.0, "-1 seconds");
        refused(&|s| s.position.seconds = f64::NAN, "NaN");
        refused(&|s| s.position.best = Some(Evaluated { step: 7, train_loss: 1.0, val_loss: 1.0 }), "ahead");
        refused(&|s| drop(s.optimizer.insert("state.0.step".into(), scalar(-3))), "state.0.step");
        refused(&|s| drop(s.optimizer.insert("state.1.exp_avg".into(), scalar(0))), "state.1.exp_avg");
        refused(&|s| drop(s.optimizer.shift_remove("param_groups.0.lr")), "param_groups.0.lr");
        refused(&|s| drop(s.masters.insert("norm.bias".into(), scalar(0))), "masters");
        Trainer::new(&model, &data, &options).unwrap().load_state(&good).unwrap();
    }

    #[test]
    fn the_largest_numbers_are_numbers() {
        let (_, model) = eventful();
        let (data, model) = (data(), model());
        let most = usize::MAX;
        let options = TrainOptions { warmup: most, eval_every: most, eval_batches: most, ..options(most) };
        let mut trainer = Trainer::new(&model, &data, &options).unwrap();
        let step = trainer.step().unwrap();
        assert!(step.lr > 0.0 && step.lr < 1e-20 && trainer.evaluate_if_due().unwrap().is_none());
        let good = trainer.state();
        assert_eq!(good.position.total, Some(most));
        let resumed = |state: &State| Trainer::new(&model, &data, &options).unwrap().load_state(state);
        resumed(&good).unwrap();
        // What files may say: nothing overflows afterwards.
        let mut state = good.clone();
        state.position.generator.1 = u64::MAX;
        state.position.default_generator.1 = u64::MAX;
        state.position.since = serde_json::from_value(serde_json::json!({ "sum": 1e308, "count": u64::MAX })).unwrap();
        state.position.seconds = 1e19;
        let mut trainer = Trainer::new(&model, &data, &options).unwrap();
        trainer.load_state(&state).unwrap();
        trainer.step().unwrap();
        assert!(trainer.time() > Duration::from_secs(1 << 62));
        state.position.step = most;
        state.optimizer.retain(|name, _| !name.ends_with(".step"));
        assert!(resumed(&state).unwrap_err().to_string().contains("no step after"));
        // As many batches as nobody waits for have a speed, too.
        let options = TrainOptions { batch: most, accumulate: most, ..options };
        let text = data.validation(most).collect::<Vec<_>>().len();
        assert!(text > 0 && Trainer::new(&model, &data, &options).is_ok());
    }

    #[test]
    fn frozen_parameters_stay() {
        let (options, model) = eventful();
        let (data, model) = (data(), model());
        let before = model.state_dict();
        model.named_parameters().into_iter().for_each(|(name, p)| drop(p.requires_grad_(name.ends_with("bias"))));
        train(&model, &data, &options, |_| {}).unwrap();
        for (name, after) in model.state_dict() {
            assert_eq!(after.bit_eq(&before[&name]), !name.ends_with("bias"), "{name}");
        }
    }
}
