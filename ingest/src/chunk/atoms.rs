//! Parts text into atoms, the smallest pieces that chunks are put together from, and says how well each ends.
//!
//! An atom is a word with the white space after it; a very long word (a script without spaces, base64) is several.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::cut::Limits;
use super::pieces::{Pieces, separates_words};
use super::sentence;
use crate::model::Heading;

/// Longer words are parted, so that a chunk can be filled with text that has no spaces.
const LONGEST_ATOM: usize = 64;
/// A line at least this long that does not end a sentence was most likely broken by the page's width.
const WRAPPED_LINE: usize = 50;

/// How good a place is to cut at; later is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    InsideWord,
    Word,
    /// A line end where the sentence goes on.
    WrappedLine,
    Sentence,
    Line,
    Paragraph,
    /// The next section's heading follows.
    Section,
}

/// One piece of text, by byte offsets.
#[derive(Debug)]
pub(super) struct Atom {
    /// Where it begins; the first of a stretch includes the white space before it.
    pub start: usize,
    /// Where its last visible character ends.
    pub content_end: usize,
    /// Where the next begins.
    pub end: usize,
    /// Characters of its content.
    pub chars: usize,
    /// Characters of white space after it.
    pub gap_chars: usize,
    /// Word pieces of its content.
    pub tokens: usize,
    /// How good it is to cut after it.
    pub after: Strength,
    /// Whether the word that it belongs to began before it.
    pub continues_word: bool,
}

/// The atoms of one stretch of text, one at a time, so that a huge text is never held as atoms all at once.
pub(super) struct Atoms<'a> {
    text: &'a str,
    at: usize,
    end: usize,
    line_start: usize,
    continues_word: bool,
    headings: &'a [Heading],
    /// Where the line of the last heading ends.
    heading_ends: usize,
    most_chars: usize,
    most_tokens: usize,
    pieces: &'a Pieces,
    /// The rest of a word that is being parted.
    word_end: usize,
}

impl<'a> Atoms<'a> {
    pub(super) fn new(text: &'a str, range: Range<usize>, headings: &'a [Heading], limits: Limits, pieces: &'a Pieces) -> Self {
        Self {
            text,
            at: range.start,
            end: range.end,
            line_start: range.start,
            continues_word: false,
            headings: &headings[headings.partition_point(|heading| heading.at < range.start)..],
            heading_ends: 0,
            most_chars: LONGEST_ATOM.min(limits.chars),
            most_tokens: limits.tokens,
            pieces,
            word_end: range.start,
        }
    }

    pub(super) fn next(&mut self) -> Option<Atom> {
        if self.at >= self.end {
            return None;
        }
        let start = self.at;
        let rest = &self.text[start..self.end];
        let content_start = start + (rest.len() - rest.trim_start().len());
        self.pass_headings(content_start);
        if self.word_end <= content_start {
            let rest = &self.text[content_start..self.end];
            self.word_end = content_start + rest.find(char::is_whitespace).unwrap_or(rest.len());
        }
        let (content_end, chars, tokens) = self.content(content_start);
        let (end, gap_chars, after) = if content_end < self.word_end {
            let content = &self.text[content_start..content_end];
            let unclosed = content.trim_end_matches(sentence::is_closing);
            let ends_sentence = unclosed.chars().next_back().is_some_and(sentence::ends_without_space);
            // Ideographic full stops and closing marks are words of their own to the model, so nothing is parted there.
            (content_end, 0, if ends_sentence { Strength::Sentence } else { Strength::InsideWord })
        } else {
            self.gap(content_start, content_end)
        };
        let continues_word = std::mem::replace(&mut self.continues_word, after == Strength::InsideWord);
        self.at = end;
        Some(Atom { start, content_end, end, chars, gap_chars, tokens, after, continues_word })
    }

    /// Where the content of the atom that begins at `start` ends, its characters and its word pieces.
    fn content(&self, start: usize) -> (usize, usize, usize) {
        let word = &self.text[start..self.word_end];
        let mut end = word.len();
        let mut chars = 0;
        if word.len() > self.most_chars {
            end = 0;
            // One more character than fits is enough to see; a cluster may be as long as the text.
            let enough = word.char_indices().nth(self.most_chars + 1);
            let head = &word[..enough.map_or(word.len(), |(at, _)| at)];
            let mut ended = false;
            for (at, cluster) in head.grapheme_indices(true) {
                let more = cluster.chars().count();
                // A quotation mark that closes stays with its sentence.
                if chars + more > self.most_chars || (ended && !cluster.chars().all(sentence::is_closing)) {
                    break;
                }
                end = at + cluster.len();
                chars += more;
                ended |= cluster.chars().any(sentence::ends_without_space);
            }
            if end == 0 {
                // One cluster alone is longer than an atom: hostile text, cut at characters.
                end = word.char_indices().nth(self.most_chars).map_or(word.len(), |(at, _)| at);
            }
        }
        loop {
            let content = &word[..end];
            let tokens = self.pieces.count(content);
            chars = content.chars().count();
            if tokens <= self.most_tokens || chars <= 1 {
                return (start + end, chars, tokens);
            }
            end = content.char_indices().nth(chars / 2).map_or(end, |(at, _)| at);
        }
    }

    /// The white space after a word: where it ends, its characters, and how good it is to cut there.
    fn gap(&mut self, content_start: usize, content_end: usize) -> (usize, usize, Strength) {
        let mut chars = 0;
        let mut lines = 0;
        let mut parts_words = false;
        let mut end = self.end;
        for (at, c) in self.text[content_end..self.end].char_indices() {
            if !c.is_whitespace() {
                end = content_end + at;
                break;
            }
            chars += 1;
            parts_words |= separates_words(c);
            lines += match c {
                '\n' | '\u{b}' | '\u{85}' | '\u{2028}' => 1,
                '\u{c}' | '\u{2029}' => 2,
                // Old files end lines with a lone carriage return.
                '\r' if !self.text[content_end + at + 1..].starts_with('\n') => 1,
                _ => 0,
            };
        }
        let strength = self.strength(content_start..content_end, end, lines, parts_words);
        if lines > 0 {
            self.line_start = end;
        }
        (end, chars, strength)
    }

    fn strength(&self, content: Range<usize>, next: usize, lines: usize, parts_words: bool) -> Strength {
        if !parts_words && next < self.end {
            return Strength::InsideWord;
        }
        let next_char = self.text[next..self.end].chars().next();
        if lines > 0 && content.start < self.heading_ends && content.end <= self.heading_ends {
            return Strength::Word; // a heading stays with what follows it
        }
        if self.headings.first().is_some_and(|heading| heading.at <= next && heading.at >= content.end) {
            return Strength::Section;
        }
        let ends_sentence = sentence::ends(&self.text[content.clone()], next_char);
        let line_length = content.end.saturating_sub(self.line_start);
        let goes_on = next_char.is_some_and(char::is_lowercase) || line_length >= WRAPPED_LINE;
        match lines {
            0 if ends_sentence => Strength::Sentence,
            0 => Strength::Word,
            1 if !ends_sentence && goes_on => Strength::WrappedLine,
            1 => Strength::Line,
            _ => Strength::Paragraph,
        }
    }

    /// Takes note of the headings that begin at or before `offset`.
    fn pass_headings(&mut self, offset: usize) {
        while let Some((heading, rest)) = self.headings.split_first().filter(|(heading, _)| heading.at <= offset) {
            let line = &self.text[offset.min(self.end)..self.end];
            if heading.at >= self.at.min(offset) {
                self.heading_ends = offset + line.find(['\n', '\r']).unwrap_or(line.len());
            }
            self.headings = rest;
        }
    }
}
