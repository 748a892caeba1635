//! Puts lines right that the first engine gives in a wrong order, by where they stand on the page.
//!
//! The engine takes pieces that are less than 1.2 em apart for one line and sorts them from left to right. In text set
//! tighter than that, a line made of several pieces (a footnote mark or an italic word is enough) changes places with its
//! neighbour, or is torn apart. Only neighbours are exchanged here, and only where the page shows that they must be.

use std::collections::HashMap;

use pdf_oxide::layout::TextSpan;

/// A page of more pieces is a drawing or an attack.
const MOST_PIECES: usize = 5000;
/// Distances are in font sizes. Nearer than this, two pieces stand on one line…
const SAME_LINE: f32 = 0.4;
/// …and a line further above than this was not torn from its neighbour.
const NEXT_LINE: f32 = 1.5;
/// Pieces in one of the engine's lines that are further apart than this stand on two lines of the page.
const TORN: f32 = 0.8;
/// Pieces of a line with a gap wider than this are separate words.
const WORD_GAP: f32 = 0.15;
/// So often all lines are gone through; a line is never further from its place.
const MOST_PASSES: usize = 8;

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    x: f32,
    end: f32,
    y: f32,
    size: f32,
}

impl Place {
    /// How far `other` is above, in font sizes.
    fn rise(&self, other: &Place) -> f32 {
        (other.y - self.y) / self.size.max(other.size).max(1.0)
    }

    fn is_below_neighbour(&self, other: &Place) -> bool {
        (SAME_LINE..NEXT_LINE).contains(&self.rise(other))
    }

    fn shares_line(&self, other: &Place) -> bool {
        self.rise(other).abs() < SAME_LINE
    }

    fn overlaps(&self, other: &Place) -> bool {
        self.x < other.end && other.x < self.end
    }
}

/// A line of the engine, or the part of one that stands on one line of the page.
struct Line<'a> {
    text: &'a str,
    place: Option<Place>,
    /// What the engine put before it.
    before: &'a str,
    moved: bool,
}

/// The text with its lines in order; none if they are.
pub(super) fn repair(text: &str, spans: &[TextSpan]) -> Option<String> {
    if spans.len() > MOST_PIECES {
        return None;
    }
    let mut lines = placed_lines(text, spans);
    for _ in 0..MOST_PASSES {
        if !exchange(&mut lines) {
            break;
        }
    }
    lines.iter().any(|line| line.moved).then(|| joined(&lines))
}

fn placed_lines<'a>(text: &'a str, spans: &[TextSpan]) -> Vec<Line<'a>> {
    let mut pieces = Pieces::new(spans);
    let mut lines = Vec::new();
    let mut before = "";
    for line in text.lines() {
        if line.trim().is_empty() {
            before = "\n\n";
            continue;
        }
        let Some(parts) = pieces.parts(line) else {
            lines.push(Line { text: line, place: None, before, moved: false });
            before = "\n";
            continue;
        };
        let mut at = 0;
        for (end, place) in parts {
            let part = &line[at..end];
            let visible = if at == 0 { part } else { part.trim_start() };
            if at > 0 {
                before = if visible.len() < part.len() { " " } else { "" };
            }
            lines.push(Line { text: visible, place: Some(place), before, moved: false });
            at = end;
        }
        before = "\n";
    }
    lines
}

/// The page's pieces of text, by their first character, each to be used once.
struct Pieces<'a> {
    spans: Vec<&'a TextSpan>,
    /// Their texts without white space.
    keys: Vec<String>,
    by_first: HashMap<char, Vec<usize>>,
}

impl<'a> Pieces<'a> {
    fn new(spans: &'a [TextSpan]) -> Self {
        let upright = spans.iter().filter(|span| span.rotation_degrees == 0.0);
        let visible = upright.map(|span| (span, without_spaces(&span.text))).filter(|(_, key)| !key.is_empty());
        let (spans, keys): (Vec<_>, Vec<_>) = visible.unzip();
        let mut by_first: HashMap<char, Vec<usize>> = HashMap::new();
        for (index, key) in keys.iter().enumerate() {
            if let Some(first) = key.chars().next() {
                by_first.entry(first).or_default().push(index);
            }
        }
        Self { spans, keys, by_first }
    }

    /// The parts of a line that stand on one line of the page each, by where they end in `line`; none if its pieces are not
    /// found.
    fn parts(&mut self, line: &str) -> Option<Vec<(usize, Place)>> {
        let used = self.find(line)?;
        let mut parts: Vec<(usize, Place)> = Vec::new();
        let mut characters = line.char_indices().filter(|(_, c)| !c.is_whitespace());
        for index in &used {
            let span = self.spans[*index];
            let end = characters.nth(self.keys[*index].chars().count() - 1).map_or(line.len(), |(at, c)| at + c.len_utf8());
            let (x, y) = (span.bbox.x, span.bbox.y);
            let place = Place { x, end: x + span.bbox.width, y, size: span.font_size };
            match parts.last_mut() {
                Some((last_end, last)) if !is_torn(last, &place) => {
                    if place.size > last.size {
                        (last.y, last.size) = (place.y, place.size);
                    }
                    (last.x, last.end) = (last.x.min(place.x), last.end.max(place.end));
                    *last_end = end;
                }
                _ => parts.push((end, place)),
            }
        }
        if let Some((end, _)) = parts.last_mut() {
            *end = line.len();
        }
        for candidates in self.by_first.values_mut() {
            candidates.retain(|index| !used.contains(index));
        }
        Some(parts)
    }

    /// The pieces that make up a line, in its order.
    fn find(&self, line: &str) -> Option<Vec<usize>> {
        let wanted = without_spaces(line);
        let mut rest = wanted.as_str();
        let mut used = Vec::new();
        while let Some(first) = rest.chars().next() {
            let candidates = self.by_first.get(&first)?;
            let fitting =
                candidates.iter().copied().filter(|index| rest.starts_with(&self.keys[*index]) && !used.contains(index));
            // The longest fits best; of equal ones, such as quotation marks, the one whose neighbours fit too, then the first that
            // is left, as they are in reading order.
            let follows = |index: usize| used.last().is_some_and(|last| last + 1 == index);
            let leads = |index: usize| {
                let after = &rest[self.keys[index].len()..];
                self.keys.get(index + 1).is_some_and(|next| after.starts_with(next.as_str()))
            };
            let rank = |index: &usize| (self.keys[*index].len(), follows(*index), leads(*index), std::cmp::Reverse(*index));
            let best = fitting.max_by_key(rank)?;
            rest = &rest[self.keys[best].len()..];
            used.push(best);
        }
        (!used.is_empty()).then_some(used)
    }
}

/// Whether two pieces of like size are a line's height apart: not a mark that is raised or lowered.
fn is_torn(before: &Place, place: &Place) -> bool {
    let alike = before.size.min(place.size) > 0.8 * before.size.max(place.size);
    alike && before.rise(place).abs() > TORN
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Exchanges lines that stand one above the other in the wrong order, and tells whether there were any.
fn exchange(lines: &mut [Line<'_>]) -> bool {
    let mut changed = false;
    for index in 1..lines.len() {
        let (Some(before), Some(line)) = (lines[index - 1].place, lines[index].place) else {
            continue;
        };
        if !before.is_below_neighbour(&line) {
            continue;
        }
        // Without overlap it is a cell beside a cell, unless what follows goes on with the line that came too early, and nothing
        // before belongs to the line that came too late.
        let after = lines.get(index + 1).and_then(|line| line.place);
        let earlier = index.checked_sub(2).and_then(|index| lines[index].place);
        let torn = after.is_some_and(|after| before.shares_line(&after) && line.overlaps(&after))
            && !earlier.is_some_and(|earlier| earlier.shares_line(&line));
        if before.overlaps(&line) || torn {
            lines[index - 1].moved = true;
            lines[index].moved = true;
            lines.swap(index - 1, index);
            changed = true;
        }
    }
    changed
}

fn joined(lines: &[Line<'_>]) -> String {
    let mut out = String::new();
    let mut before: Option<&Line<'_>> = None;
    for line in lines {
        let gap = match before.map(|before| (before.moved || line.moved, before.place, line.place)) {
            None => "",
            Some((true, Some(above), Some(place))) => gap(&above, &place),
            Some((true, ..)) if !line.before.contains('\n') => "\n",
            Some(_) => line.before,
        };
        out.push_str(gap);
        out.push_str(if gap.contains('\n') || out.is_empty() { line.text } else { line.text.trim_start() });
        before = Some(line);
    }
    out
}

fn gap(before: &Place, place: &Place) -> &'static str {
    let size = before.size.max(place.size);
    if before.shares_line(place) && before.end <= place.x + size {
        return if place.x - before.end < WORD_GAP * size { "" } else { " " };
    }
    if place.rise(before) > NEXT_LINE { "\n\n" } else { "\n" }
}

#[cfg(test)]
mod tests;
