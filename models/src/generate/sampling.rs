//! How the next token is chosen from its logits.

use std::collections::HashSet;

use tensor::{DType, Generator, Tensor};

use crate::{Error, Result};

/// How the next token is chosen from its logits.
///
/// In this order, each on what the one before has left, as in Hugging Face's `generate`:
///
/// | field | what it does to the logits `l` |
/// | --- | --- |
/// | `repetition_penalty` `r` | of tokens that occurred: `l / r` where `l > 0`, otherwise `l r` |
/// | `temperature` `t` | `l / t`; 0 takes the likeliest token and ends here |
/// | `top_k` | only those not below the `k`-th largest |
/// | `top_p` | only the likeliest that reach the probability `p` together |
/// | `min_p` | only those with at least `min_p` times the probability of the likeliest |
///
/// The token is then drawn from `softmax(l)`.
///
/// # Source
/// Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020, section 3.1 (top-p); Keskar et al., "CTRL", 2019,
/// section 4.1 (the penalty); Nguyen et al., "Turning Up the Heat: Min-p Sampling", 2024, section 3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it: below 1 prefers likely tokens, above 1 evens them out; 0 takes the likeliest
    /// (default 1).
    pub temperature: f64,
    /// Choose among this many likeliest tokens only, and those as likely as the last of them (default: all).
    pub top_k: Option<usize>,
    /// Choose among the fewest likeliest tokens whose probabilities add up to it (default 1: all).
    pub top_p: f64,
    /// Choose among the tokens that are at least this many times as likely as the likeliest (default 0: all).
    pub min_p: f64,
    /// Above 1 makes tokens that stand in the prompt or were written less likely (default 1: nothing).
    pub repetition_penalty: f64,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling { temperature: 1.0, top_k: None, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 }
    }
}

/// A token that was chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Token {
    /// Its number in the vocabulary.
    pub id: i64,
    /// The logarithm of the probability that the model gave it: of `softmax(l)`, before anything changed the logits.
    pub logprob: f64,
}

impl Sampling {
    /// The likeliest token, always.
    pub fn greedy() -> Sampling {
        Sampling { temperature: 0.0, ..Sampling::default() }
    }

    /// Checks that one can choose like this.
    ///
    /// # Errors
    /// When the temperature is negative, `top_k` is 0, `top_p` is not in `(0, 1]`, `min_p` not in `[0, 1]`, or the penalty
    /// is not positive.
    pub fn check(&self) -> Result<()> {
        let Sampling { temperature, top_k, top_p, min_p, repetition_penalty } = *self;
        let refused = |what: String| Err(Error::invalid(what));
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return refused(format!("the temperature {temperature} is not 0 or a positive number"));
        }
        if top_k == Some(0) {
            return refused("top-k must be at least 1".into());
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return refused(format!("top-p {top_p} is not above 0 and at most 1"));
        }
        if !(0.0..=1.0).contains(&min_p) {
            return refused(format!("min-p {min_p} is not between 0 and 1"));
        }
        if !(repetition_penalty > 0.0 && repetition_penalty.is_finite()) {
            return refused(format!("the repetition penalty {repetition_penalty} is not a positive number"));
        }
        Ok(())
    }

    /// Chooses a token, where `seen` are those that occurred. `None` when a logit is not finite, which a damaged or
    /// diverged model causes.
    ///
    /// # Shape
    /// `[v] -> a number in 0..v`.
    ///
    /// # Numerics
    /// In f64; the largest logit is subtracted before the division, so that no temperature overflows.
    ///
    /// ```
    /// use models::generate::Sampling;
    /// use tensor::{Generator, Tensor};
    ///
    /// let logits = Tensor::from([0.5_f32, 3.0, -1.0, 2.0]);
    /// let (mut rng, none) = (Generator::new(1), Default::default());
    /// let token = Sampling::greedy().choose(&logits, &none, &mut rng).unwrap();
    /// assert_eq!(token.id, 1);
    /// assert!((token.logprob.exp() - 0.681).abs() < 1e-3);
    /// let sampling = Sampling { temperature: 5.0, top_k: Some(2), ..Sampling::default() };
    /// assert!([1, 3].contains(&sampling.choose(&logits, &none, &mut rng).unwrap().id));
    /// ```
    pub fn choose(&self, logits: &Tensor, seen: &HashSet<i64>, rng: &mut Generator) -> Option<Token> {
        let raw = finite(logits)?;
        let id = self.pick(&self.penalised(raw.clone(), seen), rng);
        Some(Token { id: id as i64, logprob: raw[id] - log_sum_exp(&raw) })
    }

    /// The probability of each token after everything that changes it: what [`choose`](Sampling::choose) draws from.
    /// `None` when a logit is not finite.
    ///
    /// # Shape
    /// `[v]` -> f64 `[v]`.
    pub fn probabilities(&self, logits: &Tensor, seen: &HashSet<i64>) -> Option<Tensor> {
        let scores = self.penalised(finite(logits)?, seen);
        let mut all = vec![0.0; scores.len()];
        if self.temperature == 0.0 {
            all[likeliest(&scores)] = 1.0;
        } else {
            let left = self.left(&scores);
            let total: f64 = left.iter().map(|&(_, weight)| weight).sum();
            left.iter().for_each(|&(id, weight)| all[id] = weight / total);
        }
        Some(Tensor::from_vec(all, [scores.len()]))
    }

    /// Logits or their logarithms of probabilities after the penalty.
    pub(super) fn penalised(&self, mut scores: Vec<f64>, seen: &HashSet<i64>) -> Vec<f64> {
        if self.repetition_penalty != 1.0 {
            for &id in seen {
                if let Some(score) = usize::try_from(id).ok().and_then(|id| scores.get_mut(id)) {
                    let r = self.repetition_penalty;
                    let penalised = if *score > 0.0 { *score / r } else { *score * r };
                    *score = penalised.clamp(f64::MIN, f64::MAX);
                }
            }
        }
        scores
    }

    fn pick(&self, scores: &[f64], rng: &mut Generator) -> usize {
        if self.temperature == 0.0 {
            return likeliest(scores);
        }
        let left = self.left(scores);
        let total: f64 = left.iter().map(|&(_, weight)| weight).sum();
        let mut at = rng.uniform() * total;
        for &(id, weight) in &left {
            at -= weight;
            if at < 0.0 {
                return id;
            }
        }
        // Rounding may leave a little: the last that can be drawn.
        left.iter().rev().find(|&&(_, weight)| weight > 0.0).map_or_else(|| likeliest(scores), |&(id, _)| id)
    }

    /// The tokens among which one is drawn, in the order of their numbers, and their probabilities up to a factor.
    fn left(&self, scores: &[f64]) -> Vec<(usize, f64)> {
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = match self.top_k {
            Some(k) if k < scores.len() => {
                let mut scores = scores.to_vec();
                *scores.select_nth_unstable_by(k.max(1) - 1, |a, b| b.total_cmp(a)).1
            }
            _ => f64::NEG_INFINITY,
        };
        let weight = |score: f64| ((score - max) / self.temperature).exp();
        let mut left: Vec<(usize, f64)> =
            scores.iter().enumerate().filter(|(_, score)| **score >= least).map(|(id, &s)| (id, weight(s))).collect();
        if self.top_p < 1.0 {
            left = nucleus(left, self.top_p);
        }
        // The likeliest has the weight 1.
        left.retain(|&(_, weight)| weight >= self.min_p);
        left
    }
}

/// The likeliest of `weights` that reach the part `p` of their sum together, at least one.
fn nucleus(mut weights: Vec<(usize, f64)>, p: f64) -> Vec<(usize, f64)> {
    let total: f64 = weights.iter().map(|&(_, weight)| weight).sum();
    let rest = (1.0 - p) * total;
    // Those that are too unlikely even if all were as likely as they need no sorting.
    let negligible = rest / weights.len() as f64;
    let mut passed: f64 = weights.iter().map(|&(_, w)| w).filter(|&w| w < negligible).sum();
    weights.retain(|&(_, w)| w >= negligible);
    // From the least likely on, all whose probability together with those before is no more than what is left out; of equal
    // ones those with larger numbers go first.
    weights.sort_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
    let kept = weights.iter().take(weights.len() - 1).take_while(|&&(_, w)| {
        passed += w;
        passed <= rest
    });
    let out = kept.count();
    weights.drain(..out);
    weights.sort_by_key(|&(id, _)| id);
    weights
}

/// The logits in f64, unless one is not finite.
pub(super) fn finite(logits: &Tensor) -> Option<Vec<f64>> {
    let logits = logits.to_dtype(DType::F64).to_vec::<f64>();
    (!logits.is_empty() && logits.iter().all(|logit| logit.is_finite())).then_some(logits)
}

/// `ln sum exp(x)`.
pub(super) fn log_sum_exp(x: &[f64]) -> f64 {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + x.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
}

/// The first of the largest.
fn likeliest(scores: &[f64]) -> usize {
    let mut best = 0;
    for (id, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = id;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits() -> Tensor {
        Tensor::from([0.0_f32, 2.0_f32.ln(), 5.0_f32.ln(), -60.0])
    }

    #[test]
    fn tokens_come_as_often_as_they_are_likely() {
        let mut rng = Generator::new(11);
        let mut count = |sampling: Sampling| {
            let mut count = [0_usize; 4];
            for _ in 0..4000 {
                count[sampling.choose(&logits(), &HashSet::new(), &mut rng).unwrap().id as usize] += 1;
            }
            let probabilities = sampling.probabilities(&logits(), &HashSet::new()).unwrap().to_vec::<f64>();
            let count = count.map(|n| n as f64 / 4000.0);
            assert!(count.iter().zip(&probabilities).all(|(a, b)| (a - b).abs() < 0.03), "{count:?}");
            count
        };
        let close = |a: f64, b: f64| (a - b).abs() < 0.03;
        let all = count(Sampling::default());
        assert!(close(all[0], 1.0 / 8.0) && close(all[1], 2.0 / 8.0) && close(all[2], 5.0 / 8.0), "{all:?}");
        let two = count(Sampling { top_k: Some(2), ..Sampling::default() });
        assert!(two[0] == 0.0 && close(two[1], 2.0 / 7.0) && two[3] == 0.0, "{two:?}");
        let sharp = count(Sampling { temperature: 0.5, top_k: Some(100), ..Sampling::default() });
        assert!(close(sharp[0], 1.0 / 30.0) && close(sharp[2], 25.0 / 30.0), "{sharp:?}");
        for temperature in [1e-300, 1e-310, 0.0] {
            assert_eq!(count(Sampling { temperature, ..Sampling::default() })[2], 1.0);
        }
    }

    #[test]
    fn equal_logits_at_the_border_of_top_k_all_stay() {
        let sampling = Sampling { top_k: Some(2), ..Sampling::default() };
        let p = sampling.probabilities(&Tensor::from([1.0, 3.0, 1.0, 0.0]), &HashSet::new()).unwrap().to_vec::<f64>();
        assert!(p[0] > 0.0 && p[0] == p[2] && p[3] == 0.0, "{p:?}");
    }

    #[test]
    fn impossible_options_are_refused_by_name() {
        let refused = |sampling: Sampling, says: &str| {
            let message = sampling.check().unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        };
        let good = Sampling::default();
        assert!(good.check().is_ok() && Sampling::greedy().check().is_ok());
        refused(Sampling { temperature: -1.0, ..good }, "temperature -1");
        refused(Sampling { temperature: f64::NAN, ..good }, "temperature NaN");
        refused(Sampling { top_k: Some(0), ..good }, "top-k");
        refused(Sampling { top_p: 0.0, ..good }, "top-p 0");
        refused(Sampling { top_p: 1.5, ..good }, "top-p 1.5");
        refused(Sampling { min_p: -0.1, ..good }, "min-p -0.1");
        refused(Sampling { repetition_penalty: 0.0, ..good }, "penalty 0");
    }

    #[test]
    fn an_extreme_penalty_leaves_something_to_choose() {
        let seen = HashSet::from([0]);
        for (repetition_penalty, temperature) in [(1e-308, 1.0), (1e308, 1.0), (1e-308, 0.0)] {
            let sampling = Sampling { repetition_penalty, temperature, top_p: 0.9, min_p: 0.1, ..Sampling::default() };
            let choice = sampling.choose(&Tensor::from([5.0, 1.0]), &seen, &mut Generator::new(0)).unwrap();
            assert_eq!(choice.id, i64::from(repetition_penalty > 1.0));
        }
    }

    #[test]
    fn logits_that_are_not_finite_choose_nothing() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let logits = Tensor::from([1.0, bad]);
            assert_eq!(Sampling::default().choose(&logits, &HashSet::new(), &mut Generator::new(0)), None);
            assert!(Sampling::default().probabilities(&logits, &HashSet::new()).is_none());
        }
    }
}
