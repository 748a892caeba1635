//! Cuts a document's text into chunks that fit the embedding model, where a reader would cut it; pure.
//!
//! The chunks of a document tile its text: joined in order they give it back byte for byte. None spans two pages. The
//! white space between two chunks belongs to the earlier one, and a chunk's length is that of its trimmed text.

mod atoms;
mod cut;
mod headings;
mod pieces;
mod sentence;

use std::ops::Range;

use crate::model::{Chunk, Extraction, Span};
use atoms::Atoms;
use cut::{Limits, Window};
use headings::HeadingPath;
use pieces::Pieces;

/// Names the rules in this module. It changes when any text would be cut in another way.
pub const CHUNKER_VERSION: &str = "2";

/// A single character can be several word pieces, so a lower limit could not always be held.
const LEAST_TOKENS: usize = 8;

/// How long a chunk may be; both limits hold for its trimmed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkOptions {
    /// At most this many Unicode scalar values.
    pub max_chars: usize,
    /// At most this many word pieces of the uncased BERT vocabulary (the model adds two of its own).
    pub max_tokens: usize,
}

impl Default for ChunkOptions {
    fn default() -> Self {
        Self { max_chars: 1000, max_tokens: 254 }
    }
}

/// Why there is no chunker.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ChunkError {
    /// The vocabulary in the binary could not be loaded.
    #[error("the word-piece vocabulary in this program is damaged")]
    Vocabulary,
    /// No text could be cut to these limits.
    #[error("chunks need room for at least 1 character and {LEAST_TOKENS} word pieces")]
    TooSmall,
}

/// Cuts extractions into chunks. Costs some megabytes: make one and share it.
pub struct Chunker {
    limits: Limits,
    pieces: Pieces,
}

impl Chunker {
    /// Loads the vocabulary.
    ///
    /// # Errors
    ///
    /// The vocabulary is damaged, or the limits are too small to be held.
    pub fn new(options: ChunkOptions) -> Result<Self, ChunkError> {
        if options.max_chars == 0 || options.max_tokens < LEAST_TOKENS {
            return Err(ChunkError::TooSmall);
        }
        let limits = Limits { chars: options.max_chars, tokens: options.max_tokens };
        Ok(Self { limits, pieces: Pieces::new()? })
    }

    /// Word pieces of a text of any length. Takes time linear in it.
    pub fn tokens(&self, text: &str) -> usize {
        self.pieces.count(text)
    }

    /// The chunks of a document, in order; none if it has no text. Takes time linear in the text's length.
    ///
    /// Pages that do not tile the text, which extraction does not produce, are ignored.
    pub fn chunk(&self, extraction: &Extraction) -> Vec<Chunk> {
        let text = extraction.text.as_str();
        let mut chunks = Vec::new();
        let mut path = HeadingPath::new(&extraction.headings);
        let mut at_char = 0;
        for (page, range) in stretches(extraction) {
            let mut window = Window::new(Atoms::new(text, range, &extraction.headings, self.limits, &self.pieces));
            while let Some(bytes) = window.next_chunk(text, self.limits, &self.pieces) {
                let slice = &text[bytes.clone()];
                let length = slice.chars().count() as u64;
                let leading = slice.len() - slice.trim_start().len();
                chunks.push(Chunk {
                    ordinal: u32::try_from(chunks.len()).unwrap_or(u32::MAX),
                    page,
                    heading_path: path.at(bytes.start + leading).to_owned(),
                    span: Span { start: at_char, end: at_char + length },
                    text: slice.to_owned(),
                });
                at_char += length;
            }
        }
        chunks
    }
}

/// The stretches of text that are cut on their own: the pages, each blank one joined to the one before it (blank ones at
/// the start to the first that is not).
fn stretches(extraction: &Extraction) -> Vec<(Option<u32>, Range<usize>)> {
    let text = extraction.text.as_str();
    if text.is_empty() {
        return Vec::new();
    }
    let mut stretches: Vec<(Option<u32>, Range<usize>)> = Vec::new();
    let mut end = 0;
    let mut only_blank = true;
    for page in &extraction.pages {
        let slice = text.get(page.bytes.clone());
        let (true, Some(slice)) = (page.bytes.start == end, slice) else {
            return vec![(None, 0..text.len())];
        };
        end = page.bytes.end;
        let blank = slice.trim().is_empty();
        match stretches.last_mut() {
            Some(last) if blank => last.1.end = end,
            Some(last) if only_blank => *last = (page.number, last.1.start..end),
            _ => stretches.push((page.number, page.bytes.clone())),
        }
        only_blank &= blank;
    }
    if end == text.len() { stretches } else { vec![(None, 0..text.len())] }
}

#[cfg(test)]
mod tests;
