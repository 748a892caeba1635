//! Puts pages of newspaper columns in order where the first engine reads across them.
//!
//! Columns are taken for such only if they can be nothing else: the same width, many full lines of words in each, and hardly a
//! piece of text that crosses from one to the next. Tables are not like that, and are best read across.

use pdf_oxide::layout::TextSpan;

/// A page of more pieces is a drawing or an attack.
const MOST_PIECES: usize = 5000;
/// A column has so many lines…
const LEAST_LINES: usize = 10;
/// …of so many characters on average, and is so wide, in points.
const LEAST_CHARACTERS: usize = 18;
const LEAST_WIDTH: f32 = 110.0;
/// Columns differ in width by at most this share.
const MOST_DIFFERENCE: f32 = 0.15;
/// Left edges vary by so many points.
const SLACK: f32 = 3.0;
/// At most one piece in so many crosses from one column to another.
const FEW: usize = 12;
/// So many lines that the engine read across columns are no chance.
const LEAST_MIXED: usize = 4;
/// In font sizes: two pieces nearer than this stand on one line; with a gap wider than this they are words.
const SAME_LINE: f32 = 0.4;
const WORD_GAP: f32 = 0.15;

/// The page's text column by column; none if the engine's `text` is good.
pub(super) fn repair(text: &str, spans: &[TextSpan]) -> Option<String> {
    if spans.len() > MOST_PIECES {
        return None;
    }
    let visible = spans.iter().filter(|span| span.rotation_degrees == 0.0 && !span.text.trim().is_empty());
    let mut pieces: Vec<&TextSpan> = visible.collect();
    let starts = starts(&pieces)?;
    let column = |x: f32| starts.iter().rposition(|start| x >= start - SLACK).unwrap_or(0);
    let crosses =
        |span: &TextSpan| starts.get(column(span.bbox.x) + 1).is_some_and(|next| span.bbox.x + span.bbox.width > next + SLACK);
    pieces.sort_by(|a, b| b.bbox.y.total_cmp(&a.bbox.y).then(a.bbox.x.total_cmp(&b.bbox.x)));
    if !is_mixed(text, &pieces, column) {
        return None;
    }
    // What goes across parts the page into bands; the columns of each are read one after the other.
    let mut ordered = Vec::with_capacity(pieces.len());
    for band in pieces.split_inclusive(|span| crosses(span)) {
        let (across, inside) =
            band.split_last().filter(|(last, _)| crosses(last)).map_or((None, band), |(last, rest)| (Some(*last), rest));
        for number in 0..starts.len() {
            ordered.extend(inside.iter().copied().filter(|span| column(span.bbox.x) == number));
        }
        ordered.extend(across);
    }
    Some(joined(&ordered))
}

/// The left edges of the page's columns, if it has some.
fn starts(pieces: &[&TextSpan]) -> Option<Vec<f32>> {
    let mut edges: Vec<f32> = pieces.iter().map(|span| span.bbox.x).collect();
    edges.sort_by(f32::total_cmp);
    let mut starts: Vec<(usize, f32)> = Vec::new();
    for group in edges.chunk_by(|a, b| b - a < 0.5).filter(|group| group.len() >= LEAST_LINES) {
        match starts.last_mut() {
            Some(last) if group[0] - last.1 < LEAST_WIDTH => {
                if group.len() > last.0 {
                    *last = (group.len(), group[0]);
                }
            }
            _ => starts.push((group.len(), group[0])),
        }
    }
    let starts: Vec<f32> = starts.into_iter().map(|(_, start)| start).collect();
    let end = pieces.iter().map(|span| span.bbox.x + span.bbox.width).fold(0.0, f32::max);
    let widths: Vec<f32> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let width = *widths.first()?;
    let last_width = end - starts.last()?;
    let equal = |other: f32| (other - width).abs() <= width * MOST_DIFFERENCE;
    let fits = widths.iter().all(|other| equal(*other)) && last_width > width * 0.75 && last_width < width * 1.1;
    (fits && starts.len() <= 6 && are_prose(pieces, &starts)).then_some(starts)
}

fn are_prose(pieces: &[&TextSpan], starts: &[f32]) -> bool {
    let mut crossing = 0;
    for (number, start) in starts.iter().enumerate() {
        let end = starts.get(number + 1).copied().unwrap_or(f32::MAX);
        let mut lines: Vec<f32> = Vec::new();
        let mut characters = 0;
        for span in pieces.iter().filter(|span| span.bbox.x >= start - SLACK && span.bbox.x < end - SLACK) {
            crossing += usize::from(span.bbox.x + span.bbox.width > end + SLACK);
            characters += span.text.chars().filter(|c| c.is_alphabetic()).count();
            lines.push(span.bbox.y);
        }
        lines.sort_by(f32::total_cmp);
        lines.dedup_by(|a, b| (*a - *b).abs() < 2.0);
        if lines.len() < LEAST_LINES || characters < lines.len() * LEAST_CHARACTERS {
            return false;
        }
    }
    crossing * FEW <= pieces.len()
}

/// Whether lines of `text` hold what stands side by side in two columns.
fn is_mixed(text: &str, pieces: &[&TextSpan], column: impl Fn(f32) -> usize) -> bool {
    let neighbours = pieces.windows(2).filter(|pair| {
        let same_line = (pair[0].bbox.y - pair[1].bbox.y).abs() < SAME_LINE * pair[0].font_size;
        same_line && column(pair[0].bbox.x) < column(pair[1].bbox.x)
    });
    let together = |pair: &&[&TextSpan]| text.contains(&format!("{} {}", pair[0].text.trim(), pair[1].text.trim()));
    neighbours.filter(together).take(LEAST_MIXED).count() >= LEAST_MIXED
}

fn joined(pieces: &[&TextSpan]) -> String {
    let mut out = String::new();
    let mut before: Option<&TextSpan> = None;
    for span in pieces {
        if let Some(before) = before {
            let size = before.font_size.max(span.font_size).max(1.0);
            let (fall, gap) = ((before.bbox.y - span.bbox.y) / size, span.bbox.x - (before.bbox.x + before.bbox.width));
            let new_line = fall.abs() >= SAME_LINE || gap < -size;
            let spaced = out.ends_with(char::is_whitespace) || span.text.starts_with(char::is_whitespace);
            match (new_line, (0.0..1.6).contains(&fall)) {
                (true, true) => out.push('\n'),
                (true, false) => out.push_str("\n\n"),
                _ if gap >= WORD_GAP * size && !spaced => out.push(' '),
                _ => {}
            }
        }
        out.push_str(if out.ends_with('\n') { span.text.trim_start() } else { &span.text });
        before = Some(span);
    }
    out
}

#[cfg(test)]
mod tests {
    use pdf_oxide::geometry::Rect;

    use super::*;

    fn span(text: &str, x: f32, y: f32) -> TextSpan {
        let width = text.chars().count() as f32 * 5.0;
        TextSpan { text: text.into(), bbox: Rect::new(x, y, width, 10.0), font_size: 10.0, ..TextSpan::default() }
    }

    fn page(columns: usize, words: &str) -> Vec<TextSpan> {
        let mut spans = vec![span("A title that goes across the columns of the page and on to its end", 60.0, 760.0)];
        for column in 0..columns {
            for line in 0..20 {
                let text = format!("{words} {column} {line:02}");
                spans.push(span(&text, 50.0 + column as f32 * 180.0, 700.0 - line as f32 * 12.0));
            }
        }
        spans
    }

    fn across(spans: &[TextSpan]) -> String {
        let mut rows: Vec<&TextSpan> = spans.iter().collect();
        rows.sort_by(|a, b| b.bbox.y.total_cmp(&a.bbox.y).then(a.bbox.x.total_cmp(&b.bbox.x)));
        let lines = rows.chunk_by(|a, b| a.bbox.y == b.bbox.y);
        lines
            .map(|line| line.iter().map(|span| span.text.as_str()).collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn columns_that_were_read_across_are_read_down() {
        let spans = page(3, "the lease of the mill and");
        let text = across(&spans);
        assert!(text.contains("and 0 00 the lease"));
        let repaired = repair(&text, &spans).unwrap();
        assert!(repaired.starts_with("A title that goes"), "{repaired}");
        assert!(repaired.contains("and 0 00\nthe lease of the mill and 0 01\n"), "{repaired}");
        assert!(repaired.contains("and 0 19\n\nthe lease of the mill and 1 00\n"), "{repaired}");
        assert_eq!(repair(&repaired, &spans), None);
    }

    #[test]
    fn tables_are_read_across() {
        let spans = page(3, "paid");
        assert_eq!(repair(&across(&spans), &spans), None);
    }
}
