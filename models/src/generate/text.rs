//! Text in, text out: generation with a tokenizer, and the strings at which it stops.

use super::{Batch, Finish, GenerateOptions, Token};
use crate::tokenizer::DecodeStream;
use crate::{Error, LanguageModel, Result, Tokenizer};

/// A piece of a text that is being written.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// What the text is longer by. Empty while a character is not whole, or what came may be the beginning of a string
    /// that stops the text.
    pub text: String,
    /// The token that was written; none with what is left at the end.
    pub token: Option<Token>,
}

/// What follows a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The text, without the prompt and without what stopped it.
    pub text: String,
    /// Every token that was written, those of a string that stopped the text included.
    pub tokens: Vec<Token>,
    /// Why there is no more.
    pub finish: Finish,
}

/// The text after a prompt, piece by piece as it is written.
///
/// ```
/// use models::generate::{GenerateOptions, TextGeneration};
/// use models::{Gpt, GptConfig, Tokenizer};
///
/// let tokenizer = Tokenizer::chars("to be or not")?;
/// let gpt = Gpt::new(GptConfig::new(tokenizer.vocab_size(), 16, 8))?;
/// let options = GenerateOptions { max_new: 20, ..Default::default() };
/// let mut text = String::from("to be");
/// for piece in TextGeneration::new(&gpt, &tokenizer, "to be", options, &["or".into()])? {
///     text += &piece?.text; // print it, say
/// }
/// assert!(!text.contains("or"));
/// # Ok::<(), models::Error>(())
/// ```
pub struct TextGeneration<'a> {
    texts: Texts<'a>,
}

impl<'a> TextGeneration<'a> {
    /// Sets the model to evaluation mode and begins after `prompt`, with what the tokenizer puts before a text; an empty
    /// one is [`Tokenizer::beginning`]. The text stops before the first of the strings `stop`.
    ///
    /// # Errors
    /// When an option is impossible, a string in `stop` is empty, or the prompt has what the vocabulary has not.
    pub fn new(
        model: &'a dyn LanguageModel,
        tokenizer: &'a Tokenizer,
        prompt: &str,
        options: GenerateOptions,
        stop: &[String],
    ) -> Result<TextGeneration<'a>> {
        Ok(TextGeneration { texts: Texts::new(model, tokenizer, &[prompt], options, stop)? })
    }

    /// Why there is no more text; `None` while there is.
    pub fn finish(&self) -> Option<Finish> {
        self.texts.batch.finish(0)
    }
}

impl Iterator for TextGeneration<'_> {
    type Item = Result<Piece>;

    fn next(&mut self) -> Option<Result<Piece>> {
        match self.texts.step() {
            Ok(pieces) => pieces.into_iter().next().map(|(_, piece)| Ok(piece)),
            Err(e) => Some(Err(e)),
        }
    }
}

/// What follows each of `prompts`, written together. Prompts of different lengths in tokens take memory and time that grow with
/// the square of the longest, see [`Batch`].
///
/// # Errors
/// As [`TextGeneration::new`].
///
/// ```
/// use models::generate::{GenerateOptions, complete};
/// use models::{Gpt, GptConfig, Tokenizer};
///
/// let tokenizer = Tokenizer::bytes();
/// let gpt = Gpt::new(GptConfig::new(tokenizer.vocab_size(), 16, 8))?;
/// let options = GenerateOptions { max_new: 5, ..Default::default() };
/// let completions = complete(&gpt, &tokenizer, &["Once", "Twice upon"], options, &[])?;
/// assert_eq!(completions[1].tokens.len(), 5);
/// # Ok::<(), models::Error>(())
/// ```
pub fn complete(
    model: &dyn LanguageModel,
    tokenizer: &Tokenizer,
    prompts: &[&str],
    options: GenerateOptions,
    stop: &[String],
) -> Result<Vec<Completion>> {
    let mut texts = Texts::new(model, tokenizer, prompts, options, stop)?;
    let mut done = vec![Completion { text: String::new(), tokens: Vec::new(), finish: Finish::Length }; prompts.len()];
    while texts.growing() {
        for (index, piece) in texts.step()? {
            done[index].text += &piece.text;
            done[index].tokens.extend(piece.token);
        }
    }
    for (index, completion) in done.iter_mut().enumerate() {
        completion.finish = texts.batch.finish(index).expect("every text has ended");
    }
    Ok(done)
}

/// The ids of a prompt, with what the tokenizer puts before a text; of an empty one, its beginning.
///
/// # Errors
/// When the prompt has what the vocabulary has not.
pub fn prompt_ids(tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<i64>> {
    let ids =
        tokenizer.encode_with_special_tokens(prompt).map_err(|e| Error::invalid(format!("the prompt has {e}")))?;
    Ok(if ids.is_empty() || prompt.is_empty() { tokenizer.beginning() } else { ids })
}

/// Decodes what follows a prompt of these ids. An empty prompt has a beginning that is not shown, so that the text that
/// follows is one of its own; otherwise the two belong together: a decoder may drop the space that a text begins with.
pub(crate) fn stream_after<'a>(tokenizer: &'a Tokenizer, prompt: &str, ids: &[i64]) -> Result<DecodeStream<'a>> {
    if prompt.is_empty() { Ok(tokenizer.stream()) } else { DecodeStream::after(tokenizer, ids) }
}

/// A batch of texts that are written together.
struct Texts<'a> {
    batch: Batch<'a>,
    streams: Vec<Option<DecodeStream<'a>>>,
    /// What may be the beginning of a string that stops the text.
    held: Vec<String>,
    stop: Vec<String>,
    ended: Vec<bool>,
}

impl<'a> Texts<'a> {
    fn new(
        model: &'a dyn LanguageModel,
        tokenizer: &'a Tokenizer,
        prompts: &[&str],
        options: GenerateOptions,
        stop: &[String],
    ) -> Result<Texts<'a>> {
        options.sampling.check()?;
        if stop.iter().any(String::is_empty) {
            return Err(Error::invalid("a string to stop at is empty"));
        }
        let ids = prompts.iter().map(|prompt| prompt_ids(tokenizer, prompt)).collect::<Result<Vec<_>>>()?;
        let vocab = model.vocab();
        if let Some(id) = ids.iter().flatten().find(|&&id| !usize::try_from(id).is_ok_and(|id| id < vocab)) {
            return Err(Error::invalid(format!(
                "the prompt has the token {id}, but the model has only {vocab} tokens"
            )));
        }
        Ok(Texts {
            streams: prompts
                .iter()
                .zip(&ids)
                .map(|(prompt, ids)| stream_after(tokenizer, prompt, ids).map(Some))
                .collect::<Result<_>>()?,
            batch: Batch::new(model, &ids, options),
            held: vec![String::new(); prompts.len()],
            stop: stop.to_vec(),
            ended: vec![false; prompts.len()],
        })
    }

    /// Whether a text has more to come.
    fn growing(&self) -> bool {
        self.ended.contains(&false)
    }

    /// What a step adds to each text; nothing when all have ended.
    fn step(&mut self) -> Result<Vec<(usize, Piece)>> {
        let mut pieces = Vec::new();
        while pieces.is_empty() && self.growing() {
            for (index, token) in self.batch.step() {
                let stream = self.streams[index].as_mut().expect("a text that grows has its stream");
                // A vocabulary may have more rows than the tokenizer has tokens: such an id stands for no text.
                let new = stream.push(token.id).unwrap_or_default().unwrap_or_default();
                let text = self.pass(index, &new);
                pieces.push((index, Piece { text, token: Some(token) }));
            }
            for index in 0..self.ended.len() {
                if self.batch.finish(index).is_some() && !self.ended[index] {
                    self.ended[index] = true;
                    let text = self.rest(index)?;
                    match pieces.iter_mut().find(|(of, _)| *of == index) {
                        Some((_, piece)) => piece.text += &text,
                        None if !text.is_empty() => pieces.push((index, Piece { text, token: None })),
                        None => {}
                    }
                }
            }
        }
        Ok(pieces)
    }

    /// Adds `new` to what is held back and gives what can no longer be a part of a string that stops the text.
    fn pass(&mut self, index: usize, new: &str) -> String {
        self.held[index].push_str(new);
        let held = &mut self.held[index];
        if let Some(at) = self.stop.iter().filter_map(|stop| held.find(stop.as_str())).min() {
            held.truncate(at);
            self.batch.stop(index, Finish::Stop);
            self.streams[index] = None;
            return std::mem::take(held);
        }
        let begins = |at: &usize| self.stop.iter().any(|stop| stop.starts_with(&held[*at..]));
        let from = held.char_indices().map(|(at, _)| at).find(begins).unwrap_or(held.len());
        let rest = held.split_off(from);
        std::mem::replace(held, rest)
    }

    /// What is left of a text that has ended.
    fn rest(&mut self, index: usize) -> Result<String> {
        let last = match self.streams[index].take() {
            Some(stream) => stream.finish()?.unwrap_or_default(),
            None => String::new(),
        };
        let mut text = std::mem::take(&mut self.held[index]) + &last;
        if let Some(at) = self.stop.iter().filter_map(|stop| text.find(stop.as_str())).min() {
            text.truncate(at);
            self.batch.end_as(index, Finish::Stop);
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Generation, Sampling};
    use super::*;
    use crate::{Gpt, GptConfig};

    fn model() -> (Gpt, Tokenizer) {
        tensor::manual_seed(12);
        let tokenizer = Tokenizer::bytes();
        let gpt = Gpt::new(GptConfig { layers: 1, heads: 2, ..GptConfig::new(256, 32, 16) }).unwrap();
        (gpt, tokenizer)
    }

    fn options(max_new: usize) -> GenerateOptions {
        GenerateOptions { max_new, ..Default::default() }
    }

    #[test]
    fn pieces_joined_are_the_tokens_decoded() {
        let (gpt, tokenizer) = model();
        let generation = TextGeneration::new(&gpt, &tokenizer, "ab", options(120), &[]).unwrap();
        let pieces: Vec<Piece> = generation.map(Result::unwrap).collect();
        let text: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
        let ids: Vec<i64> =
            Generation::new(&gpt, &[97, 98], Sampling::default(), 1337).take(120).map(|t| t.id).collect();
        assert_eq!(pieces.iter().filter_map(|piece| piece.token).map(|token| token.id).collect::<Vec<_>>(), ids);
        assert_eq!(text, tokenizer.decode(&ids).unwrap());
        // Bytes at random are seldom characters: something was held back until it was clear.
        assert!(pieces.iter().any(|piece| piece.text.is_empty()));
    }

    #[test]
    fn a_text_stops_before_the_first_of_its_strings_wherever_tokens_end() {
        let (gpt, tokenizer) = model();
        let free = complete(&gpt, &tokenizer, &["ab"], options(200), &[]).unwrap().remove(0);
        assert_eq!(free.finish, Finish::Length);
        let chars: Vec<char> = free.text.chars().collect();
        for (from, len) in [(10, 3), (40, 1), (25, 7)] {
            let stop: String = chars[from..from + len].iter().collect();
            let also = "not in the text".to_string();
            let stopped = complete(&gpt, &tokenizer, &["ab"], options(200), &[also, stop.clone()]).unwrap().remove(0);
            assert_eq!(stopped.finish, Finish::Stop);
            assert_eq!(stopped.text, free.text[..free.text.find(&stop).unwrap()]);
            assert!(stopped.tokens.len() < 200 && stopped.tokens[..] == free.tokens[..stopped.tokens.len()]);
        }
    }

    #[test]
    fn what_only_begins_like_a_string_to_stop_at_is_written_in_the_end() {
        let (gpt, tokenizer) = model();
        let free = complete(&gpt, &tokenizer, &["ab"], options(30), &[]).unwrap().remove(0);
        let stop = format!("{}and more", free.text.chars().last().unwrap());
        let same = complete(&gpt, &tokenizer, &["ab"], options(30), &[stop]).unwrap().remove(0);
        assert_eq!((same.text, same.finish), (free.text, Finish::Length));
    }

    #[test]
    fn texts_of_a_batch_stop_each_for_itself() {
        let (gpt, tokenizer) = model();
        let free = complete(&gpt, &tokenizer, &["ab", "c", ""], options(40), &[]).unwrap();
        assert!(free.iter().all(|text| text.tokens.len() == 40));
        let stop: String = free[1].text.chars().skip(5).take(2).collect();
        let stopped = complete(&gpt, &tokenizer, &["ab", "c", ""], options(40), std::slice::from_ref(&stop)).unwrap();
        for (text, free) in stopped.iter().zip(&free) {
            let end = free.text.find(&stop).unwrap_or(free.text.len());
            assert_eq!(text.text, free.text[..end]);
        }
        assert_eq!(stopped[1].finish, Finish::Stop);
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let (gpt, _) = model();
        let letters = Tokenizer::chars("ab").unwrap();
        let refused = |prompt: &str, options: GenerateOptions, stop: &[String], says: &str| {
            let message = TextGeneration::new(&gpt, &letters, prompt, options, stop).err().unwrap().to_string();
            assert!(message.contains(says), "{message}");
        };
        refused("abc", options(1), &[], "the prompt has characters outside the vocabulary: 'c'");
        refused("ab", options(1), &[String::new()], "a string to stop at is empty");
        let sampling = Sampling { top_p: 2.0, ..Default::default() };
        refused("ab", GenerateOptions { sampling, ..options(1) }, &[], "top-p 2");
        let small = Gpt::new(GptConfig::new(1, 8, 8)).unwrap();
        let message = TextGeneration::new(&small, &letters, "ab", options(1), &[]).err().unwrap().to_string();
        assert!(message.contains("the token 1, but the model has only 1 tokens"), "{message}");
    }
}
