//! The model at work: a batch of growing texts, of which each token passes through it once.

use autograd::no_grad;
use tensor::Tensor;

use crate::{Cache, LanguageModel};

/// A batch of texts that grow by a token at a time, and what the model remembers of them.
pub(super) struct Decoder<'a> {
    model: &'a dyn LanguageModel,
    cache: Cache,
    /// All tokens of each text, those that the model no longer sees included.
    rows: Vec<Vec<i64>>,
    /// How many of the last tokens of each text the cache holds.
    held: Vec<usize>,
}

impl<'a> Decoder<'a> {
    /// Sets the model to evaluation mode and begins with `prompts`, none of which is empty.
    #[track_caller]
    pub fn new(model: &'a dyn LanguageModel, prompts: Vec<Vec<i64>>) -> Decoder<'a> {
        let empty = prompts.iter().any(Vec::is_empty);
        assert!(!empty, "generate: the model needs at least one token to begin with");
        model.eval();
        Decoder { model, cache: Cache::new(&model.config()), held: vec![0; prompts.len()], rows: prompts }
    }

    /// The texts so far.
    pub fn rows(&self) -> &[Vec<i64>] {
        &self.rows
    }

    /// The logits of each text's next token: `[b, v]`.
    ///
    /// What the cache holds is not computed again. Of a text that fills the context the last half is kept, encoded anew
    /// from the first position on.
    pub fn logits(&mut self) -> Tensor {
        let context = self.model.context();
        let seen = if self.cache.is_empty() || self.cache.len() == context {
            self.encode(context)
        } else {
            self.held.iter_mut().for_each(|held| *held += 1);
            let last: Vec<i64> = self.rows.iter().map(|row| row[row.len() - 1]).collect();
            Tensor::from_vec(last, [self.rows.len(), 1])
        };
        no_grad(|| {
            let x = self.model.hidden_cached(&seen, &mut self.cache);
            // Only the last position decides the next token: the head, the largest matrix, is for it alone.
            self.model.head(&x.select(1, seen.dim(1) - 1)).value()
        })
    }

    /// Adds a token to each text.
    pub fn push(&mut self, ids: &[i64]) {
        self.rows.iter_mut().zip(ids).for_each(|(row, &id)| row.push(id));
    }

    /// Takes the texts `rows`, in this order; one may be taken several times.
    pub fn select(&mut self, rows: &[usize]) {
        self.cache.select(rows);
        self.rows = rows.iter().map(|&row| self.rows[row].clone()).collect();
        self.held = rows.iter().map(|&row| self.held[row]).collect();
    }

    /// Empties the cache and gives the tokens of each text that the model is to see, in rows of one length: a new text as
    /// far as the context reaches, of one that fills it the last half, of others what was seen and the last token.
    ///
    /// How much of a text that is does not depend on the other texts.
    fn encode(&mut self, context: usize) -> Tensor {
        let lengths = self.rows.iter().zip(&self.held).map(|(row, &held)| match held {
            0 => row.len().min(context),
            full if full == context => (context / 2).max(1),
            held => held + 1,
        });
        self.held = lengths.collect();
        let t = self.held.iter().copied().max().unwrap_or(0);
        // What stands in the padding is never looked at; 0 is an id of every vocabulary.
        let padded = |(row, &n): (&Vec<i64>, &usize)| [vec![0; t - n], row[row.len() - n..].to_vec()].concat();
        let ids: Vec<i64> = self.rows.iter().zip(&self.held).flat_map(padded).collect();
        self.cache.clear(self.held.iter().map(|n| t - n).collect());
        Tensor::from_vec(ids, [self.rows.len(), t])
    }
}
