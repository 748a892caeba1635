//! Builds an extraction piece by piece: paragraphs, headings, table rows, pages. What every format but PDF and plain text is
//! written with.

use super::Unreadable;
use super::wire::Answer;
use crate::model::{Extraction, Heading, Page, Reason};

/// Longest heading that goes into heading paths, in characters; a longer one is a paragraph that looks like one.
const LONGEST_HEADING: usize = 200;
/// A first row whose cells are no longer than this names the columns.
const LONGEST_COLUMN_NAME: usize = 60;

/// Text with what is known of it.
pub(super) struct Writer {
    text: String,
    headings: Vec<Heading>,
    /// Number and first byte of every page so far.
    pages: Vec<(Option<u32>, usize)>,
    engine: &'static str,
    /// So much text is kept at most; the rest is a bomb's.
    most_bytes: usize,
    overflowed: bool,
}

impl Writer {
    /// For a format without pages, or with them: see [`Writer::page`].
    pub(super) fn new(engine: &'static str, most_bytes: u64) -> Self {
        let most_bytes = usize::try_from(most_bytes).unwrap_or(usize::MAX);
        Self { text: String::new(), headings: Vec::new(), pages: Vec::new(), engine, most_bytes, overflowed: false }
    }

    /// Begins a page.
    pub(super) fn page(&mut self, number: u32) {
        self.gap();
        self.pages.push((Some(number), self.text.len()));
    }

    /// Leaves an empty line before what comes, if there is anything before.
    pub(super) fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// A paragraph of its own lines; blank ones leave nothing.
    pub(super) fn paragraph(&mut self, text: &str) {
        for line in text.lines() {
            self.line(line);
        }
    }

    /// A heading; 1 is the outermost level.
    pub(super) fn heading(&mut self, level: u8, title: &str) {
        let title = one_line(title);
        if title.is_empty() {
            return;
        }
        self.gap();
        if title.chars().count() <= LONGEST_HEADING {
            self.headings.push(Heading { at: self.text.len(), level: level.max(1), title: title.clone() });
        }
        self.line(&title);
    }

    /// The rows of a table: header names beside values where the first row names the columns.
    pub(super) fn table(&mut self, rows: &[Vec<String>]) {
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| one_line(cell)).collect::<Vec<_>>())
            .filter(|row| !is_blank(row))
            .collect();
        let Some(first) = rows.first() else { return };
        self.gap();
        let names = if names_columns(&rows) { first.as_slice() } else { &[] };
        for (number, row) in rows.iter().enumerate() {
            self.row(if number == 0 { &[] } else { names }, row);
        }
        self.gap();
    }

    /// One row of a table; blank cells leave nothing.
    pub(super) fn row(&mut self, names: &[String], cells: &[String]) {
        let mut line = String::new();
        for (at, cell) in cells.iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty()) {
            if !line.is_empty() {
                line.push_str(" | ");
            }
            if let Some(name) = names.get(at).filter(|name| !name.is_empty() && *name != cell) {
                line.push_str(name);
                line.push_str(": ");
            }
            line.push_str(cell);
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        if line.trim().is_empty() {
            return;
        }
        if self.text.len() + line.len() >= self.most_bytes {
            self.overflowed = true;
            return;
        }
        self.text.extend(line.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()));
        self.text.push('\n');
    }

    /// Whether more was written than may be; whoever reads on does so for nothing.
    pub(super) fn is_full(&self) -> bool {
        self.overflowed
    }

    /// What was written. Without any text it is empty, for the reason that is stored then.
    pub(super) fn finish(mut self, media_type: &str) -> Answer {
        if self.overflowed {
            return Err(Unreadable::new(Reason::TooLarge, "its text is longer than allowed"));
        }
        self.text.truncate(self.text.trim_end().len());
        if self.text.is_empty() {
            return Err(Unreadable::new(Reason::Empty, "it has no text"));
        }
        let length = self.text.len();
        self.headings.retain(|heading| heading.at < length);
        if self.pages.is_empty() {
            self.pages.push((None, 0));
        }
        let ends: Vec<usize> = self.pages.iter().skip(1).map(|(_, start)| (*start).min(length)).chain([length]).collect();
        // What comes before the first page belongs to it.
        let starts = [0].into_iter().chain(self.pages.iter().skip(1).map(|(_, start)| (*start).min(length)));
        let pages = self.pages.iter().zip(starts.zip(ends)).map(|((number, _), (start, end))| Page {
            number: *number,
            bytes: start..end,
            engine: self.engine.to_owned(),
            quality: None,
        });
        Ok(Extraction {
            title: self.headings.first().map(|heading| heading.title.clone()),
            media_type: media_type.to_owned(),
            pages: pages.collect(),
            headings: self.headings,
            text: self.text,
            ..Extraction::default()
        })
    }
}

/// Words in one line, with single spaces.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_blank(row: &[String]) -> bool {
    row.iter().all(String::is_empty)
}

/// Whether the first row names the columns: short words in every cell, no numbers, over rows of at least two cells.
fn names_columns(rows: &[Vec<String>]) -> bool {
    let Some(first) = rows.first() else { return false };
    let is_name = |cell: &String| {
        let short = (1..=LONGEST_COLUMN_NAME).contains(&cell.chars().count());
        short && cell.chars().any(char::is_alphabetic) && !cell.ends_with(['.', ':', ';', ','])
    };
    let distinct: std::collections::HashSet<&String> = first.iter().collect();
    first.len() >= 2 && rows.len() >= 3 && first.iter().all(is_name) && distinct.len() == first.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn pages_tile_the_text_and_headings_point_into_it() {
        let mut writer = Writer::new("test", 1000);
        writer.page(1);
        writer.heading(1, " One \n title ");
        writer.paragraph("a\tb\u{0}\n\n  \nc");
        writer.page(2);
        writer.page(3);
        writer.paragraph("last");
        let extraction = writer.finish("x/y").unwrap();
        assert_eq!(extraction.text, "One title\na b\nc\n\nlast");
        let pages: Vec<_> = extraction.pages.iter().map(|page| (page.number, page.bytes.clone())).collect();
        assert_eq!(pages, [(Some(1), 0..17), (Some(2), 17..17), (Some(3), 17..21)]);
        assert_eq!((extraction.headings[0].at, extraction.title.as_deref()), (0, Some("One title")));
    }

    #[test]
    fn a_table_says_its_columns_beside_the_values() {
        let mut writer = Writer::new("test", 1000);
        writer.table(&rows(&[&["Party", "Fee"], &["Acme", "10"], &["", ""], &["Bolt", ""]]));
        assert_eq!(writer.finish("x").unwrap().text, "Party | Fee\nParty: Acme | Fee: 10\nParty: Bolt");
        let mut writer = Writer::new("test", 1000);
        writer.table(&rows(&[&["A sentence that stands here.", "x"], &["1", "2"], &["3", "4"]]));
        assert_eq!(writer.finish("x").unwrap().text, "A sentence that stands here. | x\n1 | 2\n3 | 4");
    }

    #[test]
    fn no_text_is_empty_and_too_much_is_too_large() {
        assert_eq!(Writer::new("test", 10).finish("x").unwrap_err().reason, Reason::Empty);
        let mut writer = Writer::new("test", 10);
        writer.paragraph("more than ten bytes");
        assert!(writer.is_full());
        assert_eq!(writer.finish("x").unwrap_err().reason, Reason::TooLarge);
    }
}
