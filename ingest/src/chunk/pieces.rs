//! Measures text in BERT word pieces, so that a chunk never exceeds what the embedding model reads.
//!
//! Words of plain ASCII, nearly all of them in most documents, are counted here against the vocabulary by the model's
//! own rule (longest match first). Everything else goes through `tokenizers`, which knows accents, CJK and the rest.

use std::collections::HashSet;

use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{Model, Tokenizer};

use super::ChunkError;

const VOCABULARY: &[u8] = include_bytes!("../../assets/bert-uncased-vocab.txt");
const UNKNOWN: &str = "[UNK]";
/// A longer word is one unknown piece to the model.
const LONGEST_WORD: usize = 100;

/// One entry of the vocabulary.
type Entry = Box<[u8]>;

/// Counts word pieces.
pub(super) struct Pieces {
    tokenizer: Tokenizer,
    first: HashSet<Entry>,
    following: HashSet<Entry>,
    longest: usize,
}

impl Pieces {
    pub(super) fn new() -> Result<Self, ChunkError> {
        let model = WordPiece::builder()
            .vocab(WordPiece::read_bytes(VOCABULARY).map_err(|_| ChunkError::Vocabulary)?)
            .unk_token(UNKNOWN.to_owned())
            .max_input_chars_per_word(LONGEST_WORD)
            .build()
            .map_err(|_| ChunkError::Vocabulary)?;
        let mut first: HashSet<Entry> = HashSet::new();
        let mut following: HashSet<Entry> = HashSet::new();
        for entry in model.get_vocab().keys().filter(|entry| entry.is_ascii()) {
            match entry.strip_prefix("##") {
                Some(rest) if !rest.is_empty() => following.insert(rest.as_bytes().into()),
                _ => first.insert(entry.as_bytes().into()),
            };
        }
        let entries = first.iter().chain(&following);
        let longest = entries.map(|entry| entry.len()).max().unwrap_or(0);
        let mut tokenizer = Tokenizer::new(model);
        tokenizer
            .with_normalizer(Some(BertNormalizer::new(true, true, None, true)))
            .map_err(|_| ChunkError::Vocabulary)?
            .with_pre_tokenizer(Some(BertPreTokenizer));
        Ok(Self { tokenizer, first, following, longest })
    }

    /// The number of word pieces of `text`, without the two that mark its ends.
    ///
    /// The sum over the words of a text equals the count of the text, if it is split at [`separates_words`].
    pub(super) fn count(&self, text: &str) -> usize {
        if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return self.count_ascii_word(text.as_bytes());
        }
        match self.tokenizer.encode_fast(text, false) {
            Ok(encoding) => encoding.len(),
            // Not seen to happen: a vocabulary with an unknown piece can spell anything. An upper bound is safe.
            Err(_) => text.len(),
        }
    }

    fn count_ascii_word(&self, word: &[u8]) -> usize {
        let mut pieces = 0;
        let mut rest = word;
        while let Some(first) = rest.first() {
            if first.is_ascii_punctuation() {
                pieces += 1;
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(u8::is_ascii_punctuation).unwrap_or(rest.len());
            pieces += self.count_run(&rest[..end]);
            rest = &rest[end..];
        }
        pieces
    }

    /// Longest match first, as word-piece tokenisation is defined; a run with no full match is one unknown piece.
    fn count_run(&self, run: &[u8]) -> usize {
        if run.len() > LONGEST_WORD {
            return 1;
        }
        let mut buffer = [0_u8; LONGEST_WORD];
        let run_lower = &mut buffer[..run.len()];
        run_lower.copy_from_slice(run);
        run_lower.make_ascii_lowercase();
        let mut pieces = 0;
        let mut at = 0;
        while at < run_lower.len() {
            let vocabulary = if at == 0 { &self.first } else { &self.following };
            let most = self.longest.min(run_lower.len() - at);
            match (1..=most).rev().find(|length| vocabulary.contains(&run_lower[at..at + length])) {
                Some(length) => at += length,
                None => return 1,
            }
            pieces += 1;
        }
        pieces
    }
}

/// Whether the model sees the end of a word at `c`. Other white space (form feed, say) it drops, joining what it parted.
pub(super) fn separates_words(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c.is_whitespace() && !c.is_control())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::sync::OnceLock;

    use super::*;

    fn pieces() -> &'static Pieces {
        static PIECES: OnceLock<Pieces> = OnceLock::new();
        PIECES.get_or_init(|| Pieces::new().unwrap())
    }

    fn library_count(pieces: &Pieces, text: &str) -> usize {
        pieces.tokenizer.encode(text, false).unwrap().len()
    }

    #[test]
    fn known_counts() {
        let pieces = pieces();
        assert_eq!(pieces.count("Agreement"), 1);
        assert_eq!(pieces.count("4.2(b)"), 6);
        assert_eq!(pieces.count(&"x".repeat(101)), 1);
        assert_eq!(pieces.count("Agreement of the parties"), 4);
        assert_eq!(pieces.count("日本語"), 3);
    }

    proptest! {
        #[test]
        fn own_count_is_the_libraries_count(word in "[!-~]{1,120}") {
            prop_assert_eq!(pieces().count(&word), library_count(pieces(), &word));
        }

        #[test]
        fn words_add_up(text in "\\PC{0,80}") {
            let words = text.split(separates_words).filter(|word| !word.is_empty());
            let sum: usize = words.map(|word| pieces().count(word)).sum();
            prop_assert_eq!(sum, library_count(pieces(), &text));
        }
    }
}
