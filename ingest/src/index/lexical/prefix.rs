//! Words that begin with a word: what a compound language such as German needs at least, and what somebody who types half a
//! word means.

use tantivy::index::InvertedIndexReader;
use tantivy::schema::IndexRecordOption;

/// A shorter word begins too many others.
const LEAST_LETTERS: usize = 5;
/// So many words are taken from one segment, in the order of the alphabet.
const MOST_WORDS: usize = 64;

/// Whether it makes sense to look for words that begin with `word`.
pub(super) fn may_begin(word: &str) -> bool {
    word.chars().count() >= LEAST_LETTERS && word.chars().all(char::is_alphabetic)
}

/// Gives every entry of a segment with a word that begins with `word` to `found`, with how often it has one.
pub(super) fn occurrences(index: &InvertedIndexReader, word: &str, mut found: impl FnMut(u32, u32)) -> tantivy::Result<()> {
    let mut entries: Vec<(u32, u32)> = Vec::new();
    let mut terms = index.terms().range().ge(word.as_bytes()).into_stream()?;
    let mut taken = 0;
    while taken < MOST_WORDS && terms.advance() && terms.key().starts_with(word.as_bytes()) {
        taken += 1;
        let mut blocks = index.read_block_postings_from_terminfo(terms.value(), IndexRecordOption::WithFreqs)?;
        while blocks.block_len() > 0 {
            entries.extend(blocks.docs().iter().copied().zip(blocks.freqs().iter().copied()));
            blocks.advance();
        }
    }
    // One entry may have several of the words.
    entries.sort_unstable();
    for group in entries.chunk_by(|a, b| a.0 == b.0) {
        found(group[0].0, group.iter().map(|(_, count)| count).sum());
    }
    Ok(())
}
