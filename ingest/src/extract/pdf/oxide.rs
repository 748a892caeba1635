//! The first PDF engine, `pdf_oxide`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pdf_oxide::object::Object;
use pdf_oxide::optional_content::decode_pdf_text_string;
use pdf_oxide::{Error, PdfDocument};

use super::{Document, Failure, PageText, outline};

pub(super) const ENGINE: &str = "pdf_oxide";

/// A page with so many drawn paths and no text shows text as drawings; fewer are a logo or a frame.
const DRAWN_TEXT_PATHS: usize = 100;
/// No book is longer; a page can be listed a million times in a few kilobytes.
const MOST_PAGES: usize = 20_000;
const LONGEST_TITLE: usize = 200;

pub(super) fn read(bytes: &[u8]) -> Result<Document, Failure> {
    guard(|| open(bytes)).unwrap_or(Err(Failure::Damaged))
}

fn open(bytes: &[u8]) -> Result<Document, Failure> {
    let pdf = PdfDocument::from_bytes(bytes.to_vec()).map_err(failure)?;
    // Many files are encrypted with an empty user password and open without asking.
    if pdf.is_encrypted() && !pdf.authenticate(b"").map_err(failure)? {
        return Err(Failure::Password);
    }
    let count = pdf.page_count().map_err(failure)?;
    if count > MOST_PAGES {
        return Err(Failure::TooManyPages);
    }
    let mut document = Document { opened: true, title: title(&pdf), ..Document::default() };
    for index in 0..count {
        document.pages.push(guard(|| page(&pdf, index)).unwrap_or(PageText::Failed));
    }
    document.outline = guard(|| outline::read(&pdf)).unwrap_or_default();
    Ok(document)
}

fn failure(error: Error) -> Failure {
    match error {
        Error::EncryptedPdf => Failure::Password,
        _ => Failure::Damaged,
    }
}

fn page(pdf: &PdfDocument, index: usize) -> PageText {
    match pdf.extract_text(index) {
        Ok(text) if !text.trim().is_empty() => PageText::Text(text),
        Ok(_) if shows_something(pdf, index) => PageText::Image,
        Ok(_) => PageText::Blank,
        Err(_) => PageText::Failed,
    }
}

fn shows_something(pdf: &PdfDocument, index: usize) -> bool {
    let images = pdf.page_image_handles(index).is_ok_and(|images| !images.is_empty());
    images || pdf.extract_paths(index).is_ok_and(|paths| paths.len() >= DRAWN_TEXT_PATHS)
}

/// The title in the document's own metadata, unless a program put it there.
fn title(pdf: &PdfDocument) -> Option<String> {
    let information = resolve(pdf, pdf.trailer().as_dict()?.get("Info")?)?;
    let title = resolve(pdf, information.as_dict()?.get("Title")?)?;
    let title = decode_pdf_text_string(title.as_string()?);
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    is_sane_title(&title).then_some(title)
}

fn is_sane_title(title: &str) -> bool {
    let lower = title.to_lowercase();
    let endings = [
        "doc", "docx", "pdf", "rtf", "txt", "qxd", "indd", "xls", "xlsx", "ppt", "pptx", "htm", "html", "tmp", "wpd", "odt",
        "pages", "dvi", "tex",
    ];
    let beginnings = [
        "microsoft word",
        "microsoft powerpoint",
        "untitled",
        "document1",
        "slide 1",
        "http:",
        "https:",
        "file:",
        "(anonymous)",
    ];
    let odd = title.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER);
    title.chars().filter(|c| c.is_alphabetic()).count() >= 2
        && title.chars().count() <= LONGEST_TITLE
        && !odd
        && !lower.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending))
        && !beginnings.iter().any(|beginning| lower.starts_with(beginning))
}

pub(super) fn resolve(pdf: &PdfDocument, object: &Object) -> Option<Object> {
    match object.as_reference() {
        Some(reference) => pdf.load_object(reference).ok(),
        None => Some(object.clone()),
    }
}

/// Runs `work`; none if it panics. Engines are not ours, and a page lost is better than a document.
pub(super) fn guard<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::is_sane_title;

    #[test]
    fn titles_that_programs_make_up_are_dropped() {
        for (title, sane) in [
            ("Master Services Agreement", true),
            ("契約書", true),
            ("Microsoft Word - agreement.doc", false),
            ("ex10-1.htm", false),
            ("untitled", false),
            ("10.1", false),
            ("", false),
        ] {
            assert_eq!(is_sane_title(title), sane, "{title}");
        }
    }
}
