//! The first PDF engine, `pdf_oxide`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pdf_oxide::object::Object;
use pdf_oxide::{Error, PdfDocument};

use super::{Document, Failure, PageText, columns, info, notes, order, outline};

pub(super) const ENGINE: &str = "pdf_oxide";

/// A page with so many drawn paths and no text shows text as drawings; fewer are a logo or a frame.
const DRAWN_TEXT_PATHS: usize = 100;
/// No book is longer; a page can be listed a million times in a few kilobytes.
const MOST_PAGES: usize = 20_000;

/// What the engine makes of the document, and the engine's own view of it, for what else is in there. The first of `passwords`
/// that opens an encrypted document is used; the empty one opens many and is tried by itself.
pub(super) fn read(bytes: &[u8], passwords: &[String]) -> Result<(Document, PdfDocument), Failure> {
    guard(|| open(bytes, passwords)).unwrap_or(Err(Failure::Damaged))
}

fn open(bytes: &[u8], passwords: &[String]) -> Result<(Document, PdfDocument), Failure> {
    let pdf = PdfDocument::from_bytes(bytes.to_vec()).map_err(failure)?;
    let password = if pdf.is_encrypted() { unlock(&pdf, passwords)? } else { String::new() };
    let count = pdf.page_count().map_err(failure)?;
    if count > MOST_PAGES {
        return Err(Failure::TooManyPages);
    }
    let info = guard(|| info::read(&pdf)).unwrap_or_default();
    let mut document = Document { opened: true, info, password, ..Document::default() };
    for index in 0..count {
        let page = guard(|| page(&pdf, index)).unwrap_or(PageText::Failed);
        document.notes.push(match &page {
            PageText::Text(text) => guard(|| notes::read(&pdf, index, text)).unwrap_or_default(),
            _ => Vec::new(),
        });
        document.pages.push(page);
    }
    document.outline = guard(|| outline::read(&pdf)).unwrap_or_default();
    Ok((document, pdf))
}

/// The password that opens the document, be it the user's or the owner's.
fn unlock(pdf: &PdfDocument, passwords: &[String]) -> Result<String, Failure> {
    for password in std::iter::once("").chain(passwords.iter().map(String::as_str)) {
        if pdf.authenticate(password.as_bytes()).map_err(failure)? {
            return Ok(password.to_owned());
        }
        // Before AES-256, passwords were bytes of PDFDocEncoding, which is Latin-1 where they are typed.
        let (latin, _, lost) = encoding_rs::WINDOWS_1252.encode(password);
        if !lost && !password.is_ascii() && pdf.authenticate(&latin).map_err(failure)? {
            return Ok(password.to_owned());
        }
    }
    Err(Failure::Password)
}

fn failure(error: Error) -> Failure {
    match error {
        Error::EncryptedPdf => Failure::Password,
        _ => Failure::Damaged,
    }
}

fn page(pdf: &PdfDocument, index: usize) -> PageText {
    match pdf.extract_text(index) {
        Ok(text) if !text.trim().is_empty() => {
            // They are at hand: the text was made of them.
            let spans = pdf.extract_spans(index).unwrap_or_default();
            let repaired = columns::repair(&text, &spans).or_else(|| order::repair(&text, &spans));
            PageText::Text(repaired.unwrap_or(text))
        }
        Ok(_) if shows_something(pdf, index) => PageText::Image,
        Ok(_) => PageText::Blank,
        Err(_) => PageText::Failed,
    }
}

fn shows_something(pdf: &PdfDocument, index: usize) -> bool {
    let images = pdf.page_image_handles(index).is_ok_and(|images| !images.is_empty());
    images || pdf.extract_paths(index).is_ok_and(|paths| paths.len() >= DRAWN_TEXT_PATHS)
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
