//! Beam search: the likeliest text rather than likely tokens.

use std::collections::HashSet;

use super::decoder::Decoder;
use super::sampling::{finite, log_sum_exp};
use super::{Finish, Sampling};
use crate::LanguageModel;

/// How beam search searches.
#[derive(Debug, Clone, PartialEq)]
pub struct BeamOptions {
    /// The number of texts that are followed at once (default 4).
    pub beams: usize,
    /// The number of tokens after which a text ends (default 100).
    pub max_new: usize,
    /// Texts are compared by the sum of their logarithms of probabilities divided by `length^length_penalty`: above 0
    /// longer ones gain, below 0 shorter ones (default 1: the mean per token).
    pub length_penalty: f64,
    /// Stop as soon as as many texts have ended as there are beams, rather than when no other can be better (default:
    /// false).
    pub early_stopping: bool,
    /// Above 1 makes tokens that stand in the prompt or were written less likely; it acts on the logarithms of the
    /// probabilities (default 1: nothing).
    pub repetition_penalty: f64,
    /// Tokens that end a text; they count for its length and probability, but are no part of it (default: none).
    pub end: Vec<i64>,
}

impl Default for BeamOptions {
    fn default() -> BeamOptions {
        BeamOptions {
            beams: 4,
            max_new: 100,
            length_penalty: 1.0,
            early_stopping: false,
            repetition_penalty: 1.0,
            end: Vec::new(),
        }
    }
}

/// A text that beam search has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Beam {
    /// The tokens after the prompt.
    pub ids: Vec<i64>,
    /// The sum of the logarithms of their probabilities, divided by `length^length_penalty`.
    pub score: f64,
    /// Why there are no more.
    pub finish: Finish,
}

/// A continuation of one of the texts that are followed.
struct Candidate {
    row: usize,
    id: i64,
    sum: f64,
}

/// The likeliest texts that were found to follow `prompt`, the best first; at most as many as there are beams.
///
/// In each step, every text that is followed is continued by every token, and the likeliest of all these are followed
/// further. With the options' defaults it finds what Hugging Face's `generate(num_beams=..)` does. Empty when the logits
/// are not finite, which a damaged or diverged model causes.
///
/// # Panics
/// When there is no beam, the prompt is empty or has an id outside the vocabulary.
///
/// # Source
/// Sutskever, Vinyals, Le, "Sequence to Sequence Learning with Neural Networks", 2014, section 3.2; Wu et al., "Google's
/// Neural Machine Translation System", 2016, section 7 (the length).
///
/// ```
/// use models::generate::{BeamOptions, beam_search};
/// use models::{Gpt, GptConfig};
///
/// let gpt = Gpt::new(GptConfig::new(10, 8, 8))?;
/// let found = beam_search(&gpt, &[1, 2], &BeamOptions { beams: 3, max_new: 4, ..Default::default() });
/// assert_eq!(found.len(), 3);
/// assert!(found[0].score >= found[1].score && found[0].ids.len() == 4);
/// # Ok::<(), models::Error>(())
/// ```
#[track_caller]
pub fn beam_search(model: &dyn LanguageModel, prompt: &[i64], options: &BeamOptions) -> Vec<Beam> {
    assert!(options.beams > 0, "beam_search: there is no beam");
    let penalty = Sampling { repetition_penalty: options.repetition_penalty, ..Sampling::default() };
    let mut decoder = Decoder::new(model, vec![prompt.to_vec()]);
    let (mut sums, mut ended) = (vec![0.0], Vec::<Beam>::new());
    // A text's last token may be one that ends it: then others must be left to go on with.
    let wide = options.beams.saturating_mul((1 + options.end.len()).max(2));
    for written in 1..=options.max_new {
        let Some(mut candidates) = continuations(&mut decoder, &sums, &penalty) else { return Vec::new() };
        likeliest(&mut candidates, wide);
        let (mut followed, length) = (Vec::new(), (written as f64).powf(options.length_penalty));
        for (rank, candidate) in candidates.iter().enumerate() {
            let ends = options.end.contains(&candidate.id);
            if !ends && written < options.max_new {
                followed.push(candidate);
            } else if rank < options.beams {
                let mut ids = decoder.rows()[candidate.row][prompt.len()..].to_vec();
                if !ends {
                    ids.push(candidate.id);
                }
                let finish = if ends { Finish::EndOfText } else { Finish::Length };
                ended.push(Beam { ids, score: candidate.sum / length, finish });
            }
        }
        ended.sort_by(|a, b| b.score.total_cmp(&a.score));
        ended.truncate(options.beams);
        followed.truncate(options.beams);
        let full = ended.len() == options.beams;
        let hopeless = |best: &Candidate| full && best.sum / length <= ended[options.beams - 1].score;
        if (full && options.early_stopping) || followed.first().is_none_or(|best| hopeless(best)) {
            break;
        }
        sums = followed.iter().map(|candidate| candidate.sum).collect();
        decoder.select(&followed.iter().map(|candidate| candidate.row).collect::<Vec<_>>());
        decoder.push(&followed.iter().map(|candidate| candidate.id).collect::<Vec<_>>());
    }
    ended
}

/// Every text continued by every token; `None` when the logits are not finite.
fn continuations(decoder: &mut Decoder, sums: &[f64], penalty: &Sampling) -> Option<Vec<Candidate>> {
    let logits = decoder.logits();
    let mut all = Vec::new();
    for (row, sum) in sums.iter().enumerate() {
        let logits = finite(&logits.select(0, row))?;
        let norm = log_sum_exp(&logits);
        let seen: HashSet<i64> = if penalty.repetition_penalty == 1.0 {
            HashSet::new()
        } else {
            decoder.rows()[row].iter().copied().collect()
        };
        let scores = penalty.penalised(logits.into_iter().map(|logit| logit - norm).collect(), &seen);
        all.extend(scores.iter().zip(0..).map(|(score, id)| Candidate { row, id, sum: sum + score }));
    }
    Some(all)
}

/// The `n` likeliest, the best first; of equal ones those of earlier texts and smaller ids.
fn likeliest(candidates: &mut Vec<Candidate>, n: usize) {
    let order = |a: &Candidate, b: &Candidate| b.sum.total_cmp(&a.sum).then(a.row.cmp(&b.row)).then(a.id.cmp(&b.id));
    if n < candidates.len() {
        candidates.select_nth_unstable_by(n, order);
        candidates.truncate(n);
    }
    candidates.sort_by(order);
}

#[cfg(test)]
mod tests {
    use super::super::tests::tiny;
    use super::super::{GenerateOptions, generate};
    use super::*;
    use nn::prelude::*;

    /// The logarithm of the probability of `ids` after `prompt`, computed without a cache.
    fn logprob(model: &dyn LanguageModel, prompt: &[i64], ids: &[i64]) -> f64 {
        let text = [prompt, ids].concat();
        let logits = no_grad(|| model.forward(&Tensor::from_slice(&text, [1, text.len()]))).value();
        let logprobs = logits.select(0, 0).to_dtype(DType::F64).log_softmax(-1);
        ids.iter().enumerate().map(|(i, &id)| logprobs.get::<f64>(&[prompt.len() - 1 + i, id as usize])).sum()
    }

    #[test]
    fn as_many_beams_as_texts_find_the_likeliest_of_all() {
        let gpt = tiny();
        gpt.eval();
        let options = BeamOptions { beams: 81, max_new: 3, ..Default::default() };
        let found = beam_search(&gpt, &[1, 2], &options);
        let all = (0..9).flat_map(|a| (0..9).flat_map(move |b| (0..9).map(move |c| [a, b, c])));
        let mut all: Vec<(f64, [i64; 3])> = all.map(|ids| (logprob(&gpt, &[1, 2], &ids), ids)).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (beam, (logprob, ids)) in found.iter().zip(&all).take(20) {
            assert_eq!(beam.ids, ids);
            assert!((beam.score - logprob / 3.0).abs() < 1e-5);
        }
    }

    #[test]
    fn one_beam_is_greedy() {
        let gpt = tiny();
        let greedy = GenerateOptions { sampling: Sampling::greedy(), max_new: 15, ..Default::default() };
        let greedy: Vec<i64> = generate(&gpt, &[vec![3]], greedy)[0].tokens.iter().map(|token| token.id).collect();
        let found = beam_search(&gpt, &[3], &BeamOptions { beams: 1, max_new: 15, ..Default::default() });
        assert!(found.len() == 1 && found[0].ids == greedy);
    }

    #[test]
    fn texts_that_end_are_shorter_and_scored_with_their_end() {
        let gpt = tiny();
        gpt.eval();
        let options = BeamOptions { beams: 3, max_new: 4, end: vec![4, 7], ..Default::default() };
        let found = beam_search(&gpt, &[1], &options);
        assert!(found.iter().any(|beam| beam.finish == Finish::EndOfText));
        for beam in &found {
            assert!(!beam.ids.contains(&4) && !beam.ids.contains(&7));
            let ends: &[i64] = if beam.finish == Finish::Length { &[] } else { &[4, 7] };
            let whole = |end: &[i64]| {
                let ids = [&beam.ids, end].concat();
                logprob(&gpt, &[1], &ids) / ids.len() as f64
            };
            let scores: Vec<f64> =
                if ends.is_empty() { vec![whole(&[])] } else { ends.iter().map(|&e| whole(&[e])).collect() };
            assert!(scores.iter().any(|score| (score - beam.score).abs() < 1e-5), "{beam:?} {scores:?}");
        }
    }

    #[test]
    fn a_diverged_model_finds_nothing() {
        let gpt = tiny();
        nn::init::constant_(&gpt.parameters()[0], f64::NAN);
        assert!(beam_search(&gpt, &[0], &BeamOptions::default()).is_empty());
    }
}
