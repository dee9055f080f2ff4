//! Where a long text can be cut without changing its tokens.

use tokenizers::PreTokenizerWrapper;

/// A piece of a text has at least so many bytes: few enough for the records that the library makes of each token,
/// enough for a piece to be worth a thread.
const PIECE: usize = 1 << 16;

/// Cuts `text` into pieces between which GPT-2's way of finding words always cuts: after a visible character and
/// before a space or a line break, since none of its words has a space after a visible character.
///
/// # Source
/// GPT-2's pattern, `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`: only the last two
/// take more than one white character, and they take nothing else.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> + Send {
    cut(text, PIECE)
}

fn cut(text: &str, least: usize) -> impl Iterator<Item = &str> + Send {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut from = least.min(rest.len());
        while !rest.is_char_boundary(from) {
            from += 1;
        }
        let mut before = rest[..from].chars().next_back();
        let place = rest[from..].char_indices().find(|&(_, c)| {
            let visible = before.replace(c).is_some_and(|c| !c.is_whitespace());
            visible && matches!(c, ' ' | '\n')
        });
        let piece;
        (piece, rest) = rest.split_at(place.map_or(rest.len(), |(at, _)| from + at));
        Some(piece)
    })
}

/// Whether the tokens of [`pieces`], joined, are the tokens of the whole for `tokenizer`.
pub(super) fn may_be_cut(tokenizer: &tokenizers::Tokenizer) -> bool {
    let words = match tokenizer.get_pre_tokenizer() {
        Some(PreTokenizerWrapper::ByteLevel(found)) => found.use_regex && !found.add_prefix_space,
        _ => false,
    };
    // An added token that takes in white space, or has some inside, could lie across a cut.
    let whole = |token: &tokenizers::AddedToken| {
        !(token.lstrip || token.rstrip || token.single_word || token.content.contains(char::is_whitespace))
    };
    words
        && tokenizer.get_normalizer().is_none()
        && tokenizer.get_added_vocabulary().get_added_tokens_decoder().values().all(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_follows_a_visible_character() {
        let cut = |text| cut(text, 2).collect::<Vec<_>>();
        assert_eq!(cut("ab cd  \n e\u{e9} f"), ["ab", " cd", "  \n e\u{e9}", " f"]);
        assert_eq!(cut("   \n\n   a"), ["   \n\n   a"]);
        assert_eq!(cut("\u{a0}\u{a0} x \u{1f600} "), ["\u{a0}\u{a0} x", " \u{1f600}", " "]);
        assert_eq!(cut(""), [""; 0]);
    }

    proptest! {
        /// On texts that are mostly what the pattern treats differently.
        #[test]
        fn tokens_do_not_depend_on_cuts(text in "([ \\n\\t\u{a0}\u{3000}a'sl1!\u{e9}\u{4e16}]|<\\|endoftext\\|>){0,60}") {
            let tokenizer = super::super::Tokenizer::train_bpe(" a's 'll 11 !! \n\n  a \u{e9}\u{4e16}", 270, |_, _| {}).unwrap();
            prop_assert!(may_be_cut(&tokenizer.inner));
            let whole = tokenizer.inner.encode_fast(text.as_str(), false).unwrap();
            let parts: Vec<u32> = cut(&text, 1)
                .flat_map(|piece| tokenizer.inner.encode_fast(piece, false).unwrap().get_ids().to_vec())
                .collect();
            prop_assert_eq!(whole.get_ids(), parts);
        }
    }
}
