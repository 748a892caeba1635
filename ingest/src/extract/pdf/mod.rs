//! PDF: two engines, a gate between them, and a record of what neither could read.

mod outline;
mod oxide;
mod quality;
mod scan;
mod second;

use super::desk::Desk;
use super::wire::Answer;
use super::{Tool, Unreadable};
use crate::model::{Extraction, Heading, Page, Reason};

/// Between two pages; belongs to the earlier one.
const PAGE_BREAK: &str = "\n\n";
/// More blank pages than this share (in percent) are a sign that the first engine missed something.
const MOST_BLANK_PERCENT: usize = 30;

/// What an engine says of one page.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PageText {
    Text(String),
    /// Nothing is on it.
    Blank,
    /// It shows pictures and no text.
    Image,
    Failed,
}

/// What the first engine found.
#[derive(Default)]
struct Document {
    /// Whether the engine could open it.
    opened: bool,
    pages: Vec<PageText>,
    title: Option<String>,
    outline: Vec<outline::Entry>,
}

/// Why an engine can't open a document at all.
enum Failure {
    Password,
    Damaged,
    TooManyPages,
}

/// Reads a PDF. What the first engine found is answered early, before the second, which can crash, is asked.
pub(super) fn read(bytes: Vec<u8>, desk: &mut Desk) -> Answer {
    let first = match oxide::read(&bytes) {
        Ok(document) => document,
        Err(Failure::Password) => {
            return Err(Unreadable::new(Reason::Password, "it needs a password"));
        }
        Err(Failure::TooManyPages) => {
            return Err(Unreadable::new(Reason::TooLarge, "it has too many pages"));
        }
        Err(Failure::Damaged) => Document::default(),
    };
    let mut pages: Vec<(PageText, &str)> = first.pages.iter().map(|page| (page.clone(), oxide::ENGINE)).collect();
    let doubtful = doubtful_pages(&first.pages);
    if first.pages.is_empty() || !doubtful.is_empty() {
        let so_far = assemble(&pages, &first);
        if so_far.is_ok() && !desk.answer(so_far) {
            return Err(Unreadable::new(Reason::Crashed, "nobody listens"));
        }
        let second = second::read(&bytes, (!first.pages.is_empty()).then_some(doubtful.as_slice()));
        pages.resize(pages.len().max(second.len()), (PageText::Failed, oxide::ENGINE));
        for (page, text) in pages.iter_mut().zip(second) {
            if let Some(text) = text.filter(|text| is_better(text, &page.0)) {
                *page = (PageText::Text(text), second::ENGINE);
            }
        }
    }
    for (page, _) in &mut pages {
        if matches!(page, PageText::Text(text) if quality::is_hopeless(text)) {
            *page = PageText::Failed;
        }
    }
    let scanned = pages.iter().enumerate().filter(|(_, (page, _))| matches!(page, PageText::Image | PageText::Failed));
    let scanned: Vec<usize> = scanned.map(|(index, _)| index).collect();
    for (index, text) in scan::read(&bytes, &scanned, desk) {
        pages[index] = (PageText::Text(text), Tool::Ocr.name());
    }
    assemble(&pages, &first)
}

/// The pages (from 0) worth a second opinion.
fn doubtful_pages(pages: &[PageText]) -> Vec<usize> {
    let blank = pages.iter().filter(|page| matches!(page, PageText::Blank | PageText::Image)).count();
    let many_blank = blank * 100 > pages.len() * MOST_BLANK_PERCENT;
    let doubtful = pages.iter().enumerate().filter(|(_, page)| match page {
        PageText::Failed => true,
        PageText::Blank | PageText::Image => many_blank,
        PageText::Text(text) => quality::is_poor(text),
    });
    doubtful.map(|(index, _)| index).collect()
}

fn is_better(second: &str, first: &PageText) -> bool {
    match first {
        PageText::Text(first) => quality::is_poor(first) && !quality::is_poor(second) && second.len() * 2 > first.len(),
        _ => !second.trim().is_empty() && !quality::is_garbage(second),
    }
}

fn assemble(pages: &[(PageText, &str)], document: &Document) -> Answer {
    let mut extraction = Extraction { media_type: "application/pdf".to_owned(), ..Extraction::default() };
    let mut images = 0;
    let mut failed = 0;
    for (index, (page, engine)) in pages.iter().enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let start = extraction.text.len();
        match page {
            PageText::Text(text) => {
                push_clean(&mut extraction.text, text);
                if index + 1 < pages.len() {
                    extraction.text.push_str(PAGE_BREAK);
                }
            }
            PageText::Blank => {}
            PageText::Image => images += 1,
            PageText::Failed => failed += 1,
        }
        if matches!(page, PageText::Image | PageText::Failed) {
            extraction.missing_pages.push(number);
        }
        let bytes = start..extraction.text.len();
        extraction.pages.push(Page { number: Some(number), bytes, engine: (*engine).to_owned(), quality: None });
    }
    if extraction.text.trim().is_empty() {
        return Err(match (images, failed) {
            (0, 0) if !pages.is_empty() => Unreadable::new(Reason::Empty, "its pages are blank"),
            (0, 0) if document.opened => Unreadable::new(Reason::Empty, "it has no pages"),
            (0, _) => Unreadable::new(Reason::Damaged, "no reader can make out its pages"),
            _ => Unreadable::new(Reason::Scanned, "its pages are pictures without text"),
        });
    }
    extraction.headings = outline::headings(&document.outline, &extraction);
    let first_heading = extraction.headings.first().map(|heading: &Heading| heading.title.clone());
    extraction.title = document.title.clone().or(first_heading);
    Ok(extraction)
}

/// Adds a page's text without control characters, with one kind of line end and no white space at its ends.
fn push_clean(out: &mut String, text: &str) {
    for line in text.trim_matches(['\n', '\r', '\u{c}', ' ']).lines() {
        out.extend(line.trim_end().chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()));
        out.push('\n');
    }
    out.truncate(out.trim_end_matches('\n').len());
}

#[cfg(test)]
mod tests;
