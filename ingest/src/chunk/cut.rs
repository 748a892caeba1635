//! Decides where one chunk ends and the next begins.

use std::collections::VecDeque;
use std::ops::Range;

use super::atoms::{Atom, Atoms, Strength};
use super::pieces::Pieces;

/// How much a chunk holds at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub chars: usize,
    pub tokens: usize,
}

impl Limits {
    /// How full a chunk is, in thousandths of the limit that is nearer.
    fn fill(self, chars: usize, tokens: usize) -> usize {
        (chars * FULL).div_ceil(self.chars).max((tokens * FULL).div_ceil(self.tokens))
    }
}

const FULL: usize = 1000;
/// A good place to cut is not looked for in a chunk emptier than this…
const LEAST_FILL: usize = 500;
/// …unless a new section begins there.
const LEAST_FILL_BEFORE_HEADING: usize = 350;
/// What is left of a page is cut in two of like size, not in a full chunk and a crumb, if it is at most this full.
const HALVE_BELOW: usize = 1500;

/// The next atoms of a stretch of text: always more than one chunk can hold, or all that is left.
pub(super) struct Window<'a> {
    atoms: Atoms<'a>,
    ahead: VecDeque<Atom>,
    ahead_chars: usize,
    ahead_tokens: usize,
    complete: bool,
}

impl<'a> Window<'a> {
    pub(super) fn new(atoms: Atoms<'a>) -> Self {
        Self { atoms, ahead: VecDeque::new(), ahead_chars: 0, ahead_tokens: 0, complete: false }
    }

    /// The byte range of the next chunk; none at the end of the stretch.
    pub(super) fn next_chunk(&mut self, text: &str, limits: Limits, pieces: &Pieces) -> Option<Range<usize>> {
        self.look_ahead(limits);
        let start = self.ahead.front()?.start;
        let mut count = self.best_count(limits);
        // Atoms that part a word count other than the word does, so such a chunk is measured as it is.
        while count > 1 && !self.adds_up(count) {
            let tokens = pieces.count(text[start..self.ahead[count - 1].content_end].trim());
            if tokens <= limits.tokens {
                break;
            }
            count = (count * limits.tokens / tokens).clamp(1, count - 1);
        }
        let mut end = start;
        for atom in self.ahead.drain(..count) {
            end = atom.end;
            self.ahead_chars -= atom.chars + atom.gap_chars;
            self.ahead_tokens -= atom.tokens;
        }
        Some(start..end)
    }

    fn look_ahead(&mut self, limits: Limits) {
        while !self.complete && limits.fill(self.ahead_chars, self.ahead_tokens) <= 2 * FULL {
            match self.atoms.next() {
                Some(atom) => {
                    self.ahead_chars += atom.chars + atom.gap_chars;
                    self.ahead_tokens += atom.tokens;
                    self.ahead.push_back(atom);
                }
                None => self.complete = true,
            }
        }
    }

    /// How many of the atoms ahead make the next chunk, by the sum of their lengths.
    fn best_count(&self, limits: Limits) -> usize {
        let mut fills = Vec::new();
        let mut chars = 0;
        let mut tokens = 0;
        for atom in &self.ahead {
            tokens += atom.tokens;
            fills.push(limits.fill(chars + atom.chars, tokens));
            chars += atom.chars + atom.gap_chars;
        }
        let all = fills.last().copied().unwrap_or(0);
        if self.complete && all <= FULL {
            return fills.len();
        }
        let (ideal, least) = if self.complete && all <= HALVE_BELOW {
            (all / 2, (all - FULL).max(LEAST_FILL_BEFORE_HEADING))
        } else {
            (FULL, LEAST_FILL)
        };
        let mut best: Option<(Strength, usize, usize)> = None;
        let mut fitting = 1;
        for (index, (fill, atom)) in fills.iter().copied().zip(&self.ahead).enumerate() {
            if fill > FULL {
                break;
            }
            fitting = index + 1;
            let from = if atom.after == Strength::Section { LEAST_FILL_BEFORE_HEADING.min(least) } else { least };
            let distance = fill.abs_diff(ideal);
            let better = best
                .is_none_or(|(strength, nearest, _)| atom.after > strength || (atom.after == strength && distance <= nearest));
            if fill >= from && better {
                best = Some((atom.after, distance, fitting));
            }
        }
        best.map_or(fitting, |(_, _, count)| count)
    }

    fn adds_up(&self, count: usize) -> bool {
        let parts_no_word = |atom: &Atom| atom.after != Strength::InsideWord;
        let begins_at_a_word = self.ahead.front().is_some_and(|atom| !atom.continues_word);
        begins_at_a_word && self.ahead.iter().take(count).all(parts_no_word)
    }
}
