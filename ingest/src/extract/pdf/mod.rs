//! PDF: two engines, a gate between them, and a record of what neither could read.

mod attached;
mod columns;
mod headings;
mod hyphens;
mod info;
mod notes;
mod order;
mod outline;
mod oxide;
mod quality;
mod running;
mod scan;
mod second;

use pdf_oxide::PdfDocument;

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
    /// What people wrote on them, by page.
    notes: Vec<Vec<String>>,
    info: info::Info,
    /// What opened it; empty for most.
    password: String,
    outline: Vec<outline::Entry>,
}

/// Why an engine can't open a document at all.
enum Failure {
    Password,
    Damaged,
    TooManyPages,
}

/// A page and the engine that read it.
type Judged = (PageText, &'static str);

/// Reads a PDF. What the first engine found is answered early, before anything is tried that can end this process.
pub(super) fn read(bytes: Vec<u8>, desk: &mut Desk) -> Answer {
    let (first, pdf) = match oxide::read(&bytes, &desk.passwords()) {
        Ok((document, pdf)) => (document, Some(pdf)),
        Err(Failure::Password) => {
            return Err(Unreadable::new(Reason::Password, "it needs a password"));
        }
        Err(Failure::TooManyPages) => {
            return Err(Unreadable::new(Reason::TooLarge, "it has too many pages"));
        }
        Err(Failure::Damaged) => (Document::default(), None),
    };
    let mut pages: Vec<Judged> = first.pages.iter().map(|page| (page.clone(), oxide::ENGINE)).collect();
    let doubtful = doubtful_pages(&first.pages);
    if first.pages.is_empty() || !doubtful.is_empty() {
        answer_early(&pages, &first, desk)?;
        ask_second(&bytes, &first, &doubtful, &mut pages);
    }
    for (page, _) in &mut pages {
        if matches!(page, PageText::Text(text) if quality::is_hopeless(text)) {
            *page = PageText::Failed;
        }
    }
    if let Some(pdf) = pdf {
        read_scans(&pdf, &mut pages, &first, desk)?;
        let files = attached::find(&pdf, pages.len());
        if !files.is_empty() {
            answer_early(&pages, &first, desk)?;
            attached::hand_in(&pdf, &files, desk);
        }
    }
    assemble(pages, &first)
}

/// Has pages without text read as pictures.
fn read_scans(pdf: &PdfDocument, pages: &mut [Judged], document: &Document, desk: &mut Desk) -> Result<(), Unreadable> {
    let scanned = pages.iter().enumerate().filter(|(_, (page, _))| matches!(page, PageText::Image | PageText::Failed));
    let scanned: Vec<usize> = scanned.map(|(index, _)| index).collect();
    if scanned.is_empty() || !desk.has(Tool::Ocr) {
        return Ok(());
    }
    answer_early(pages, document, desk)?;
    for (index, text) in scan::read(pdf, &scanned, desk) {
        pages[index] = (PageText::Text(text), Tool::Ocr.name());
    }
    Ok(())
}

/// Gives what is known so far, if it is text.
fn answer_early(pages: &[Judged], document: &Document, desk: &mut Desk) -> Result<(), Unreadable> {
    let so_far = assemble(pages.to_vec(), document);
    if so_far.is_ok() && !desk.answer(so_far) {
        return Err(Unreadable::new(Reason::Crashed, "nobody listens"));
    }
    Ok(())
}

/// Takes pages from the second engine where it reads them better.
fn ask_second(bytes: &[u8], first: &Document, doubtful: &[usize], pages: &mut Vec<Judged>) {
    let second = second::read(bytes, &first.password, (!first.pages.is_empty()).then_some(doubtful));
    pages.resize(pages.len().max(second.len()), (PageText::Failed, oxide::ENGINE));
    for (page, text) in pages.iter_mut().zip(second) {
        if let Some(text) = text.filter(|text| is_better(text, &page.0)) {
            *page = (PageText::Text(text), second::ENGINE);
        }
    }
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

fn assemble(pages: Vec<Judged>, document: &Document) -> Answer {
    let mut extraction = Extraction { media_type: "application/pdf".to_owned(), ..Extraction::default() };
    let texts = readable(&pages, &document.notes);
    let mut images = 0;
    let mut failed = 0;
    for (index, ((page, engine), text)) in pages.iter().zip(&texts).enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let start = extraction.text.len();
        let mut quality = None;
        match page {
            PageText::Text(raw) => {
                quality = Some(quality::score(raw));
                extraction.text.push_str(text);
                if index + 1 < pages.len() {
                    extraction.text.push_str(PAGE_BREAK);
                }
            }
            PageText::Blank => {}
            PageText::Image => images += 1,
            PageText::Failed => failed += 1,
        }
        if matches!(page, PageText::Image | PageText::Failed) {
            quality = Some(0);
            extraction.missing_pages.push(number);
        }
        let bytes = start..extraction.text.len();
        extraction.pages.push(Page { number: Some(number), bytes, engine: (*engine).to_owned(), quality });
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
    extraction.title = document.info.title.clone().or(first_heading);
    extraction.author = document.info.author.clone();
    extraction.written_at = document.info.written_at;
    if extraction.headings.is_empty() {
        extraction.headings = headings::find(&extraction);
    }
    Ok(extraction)
}

/// The pages' texts as they are kept: clean, without what is printed on every page, words whole, and notes at their end.
fn readable(pages: &[Judged], notes: &[Vec<String>]) -> Vec<String> {
    let mut texts: Vec<String> = pages.iter().map(|_| String::new()).collect();
    for ((page, _), out) in pages.iter().zip(&mut texts) {
        if let PageText::Text(text) = page {
            push_clean(out, text);
        }
    }
    running::remove(&mut texts);
    let mut words = hyphens::Words::default();
    for text in &texts {
        words.learn(text);
    }
    let no_notes = Vec::new();
    let with_notes = texts.iter().zip(notes.iter().chain(std::iter::repeat(&no_notes))).map(|(text, notes)| {
        let mut text = hyphens::join(text, &words);
        for note in notes {
            text.push_str("\n\n");
            text.push_str(note);
        }
        text
    });
    with_notes.collect()
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
