//! A PDF's bookmarks as headings, where their words stand on the page that they name.

use std::collections::HashSet;

use pdf_oxide::{Destination, OutlineItem, PdfDocument};

use super::oxide::resolve;
use crate::model::{Extraction, Heading};

/// More bookmarks than this are not looked at.
const MOST_ENTRIES: usize = 5000;
const DEEPEST: usize = 16;
const LONGEST_TITLE: usize = 200;

/// One bookmark.
pub(super) struct Entry {
    title: String,
    level: u8,
    /// From 0.
    page: usize,
}

/// The bookmarks in order; none if there are none, or if their chain is damaged.
pub(super) fn read(pdf: &PdfDocument) -> Vec<Entry> {
    let mut entries = Vec::new();
    // The engine follows the chain without looking where it has been, so a loop would hold it for ever.
    if is_finite(pdf) == Some(true)
        && let Ok(Some(items)) = pdf.get_outline()
    {
        collect(pdf, &items, 1, &mut entries);
    }
    entries
}

fn is_finite(pdf: &PdfDocument) -> Option<bool> {
    let catalog = pdf.catalog().ok()?;
    let root = resolve(pdf, catalog.as_dict()?.get("Outlines")?)?;
    let mut waiting = vec![(root.as_dict()?.get("First")?.as_reference()?, 1)];
    let mut seen = HashSet::new();
    while let Some((reference, depth)) = waiting.pop() {
        if !seen.insert(reference) || seen.len() > MOST_ENTRIES || depth > DEEPEST {
            return Some(false);
        }
        let item = pdf.load_object(reference).ok()?;
        let item = item.as_dict()?;
        let link = |key: &str| item.get(key).and_then(|object| object.as_reference());
        waiting.extend(link("Next").map(|next| (next, depth)));
        waiting.extend(link("First").map(|first| (first, depth + 1)));
    }
    Some(true)
}

fn collect(pdf: &PdfDocument, items: &[OutlineItem], level: u8, entries: &mut Vec<Entry>) {
    for item in items {
        let page = match &item.dest {
            Some(Destination::PageIndex(page)) => Some(*page),
            Some(Destination::Named(name)) => pdf.resolve_named_destination(name).ok().flatten(),
            None => None,
        };
        let words: Vec<&str> = item.title.split_whitespace().collect();
        let title: String = words.join(" ").chars().filter(|c| !c.is_control()).take(LONGEST_TITLE).collect();
        if let Some(page) = page.filter(|_| !title.is_empty()) {
            entries.push(Entry { title, level, page });
        }
        collect(pdf, &item.children, level.saturating_add(1), entries);
    }
}

/// The entries whose title is found, as a line begins, on the page that they point to.
pub(super) fn headings(entries: &[Entry], extraction: &Extraction) -> Vec<Heading> {
    let mut headings: Vec<Heading> = Vec::new();
    for entry in entries {
        let Some(page) = extraction.pages.get(entry.page) else {
            continue;
        };
        // In order and never twice at one place, whatever the bookmarks say.
        let from = headings.last().map_or(0, |heading| heading.at + 1).max(page.bytes.start);
        if let Some(at) = find_line(&extraction.text, from, page.bytes.end, &entry.title) {
            headings.push(Heading { at, level: entry.level, title: entry.title.clone() });
        }
    }
    headings
}

/// Where in `text[from..to]` a line begins with `title`, whatever its case and spacing.
fn find_line(text: &str, from: usize, to: usize, title: &str) -> Option<usize> {
    let mut at = from;
    // `from` may lie inside a line or even a character; the first whole line after it is meant, or one that begins there.
    if at > 0 && text.as_bytes().get(at - 1) != Some(&b'\n') {
        at += text.as_bytes().get(at..to)?.iter().position(|byte| *byte == b'\n')? + 1;
    }
    while at < to {
        let line = text.get(at..to)?;
        if begins_with(line, title) {
            return Some(at + (line.len() - line.trim_start().len()));
        }
        at += line.find('\n')? + 1;
    }
    None
}

fn begins_with(text: &str, title: &str) -> bool {
    let fold = |c: char| c.to_lowercase();
    let mut rest = text.chars().filter(|c| !c.is_whitespace()).flat_map(fold);
    title.chars().filter(|c| !c.is_whitespace()).flat_map(fold).all(|wanted| rest.next() == Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Page;

    #[test]
    fn bookmarks_become_headings_only_where_their_words_are() {
        let text = "Contents\n1. Fees\n\n1.  FEES\nPay.\nZahlung für 1. Fees\n";
        let page = |number, bytes| Page { number: Some(number), bytes, engine: String::new(), quality: None };
        let extraction =
            Extraction { text: text.into(), pages: vec![page(1, 0..18), page(2, 18..text.len())], ..Extraction::default() };
        let entry = |title: &str, page| Entry { title: title.into(), level: 1, page };
        let found = headings(&[entry("1. Fees", 1), entry("Nowhere", 1), entry("1. Fees", 1), entry("x", 7)], &extraction);
        assert_eq!(found.iter().map(|heading| heading.at).collect::<Vec<_>>(), [18]);
    }
}
