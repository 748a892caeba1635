//! The second PDF engine, `pdf-extract`: asked only about pages that the first could not read well.

use pdf_extract::{Document, PlainTextOutput, output_doc_page};

use super::oxide::guard;

pub(super) const ENGINE: &str = "pdf-extract";

/// Finding a page costs this engine time in proportion to the number of pages, so that many are asked about at most.
const MOST_PAGES: usize = 1000;

/// The text of the pages named in `wanted` (from 0; all of them if none), by page; none for the others and for failures.
pub(super) fn read(bytes: &[u8], password: &str, wanted: Option<&[usize]>) -> Vec<Option<String>> {
    guard(|| {
        let mut pdf = Document::load_mem(bytes).ok()?;
        if pdf.is_encrypted() {
            pdf.decrypt(password).ok()?;
        }
        let count = pdf.get_pages().len();
        let mut pages = vec![None; count];
        let asked: Vec<usize> = wanted.map_or_else(|| (0..count).collect(), <[usize]>::to_vec);
        for index in asked.into_iter().filter(|index| *index < count).take(MOST_PAGES) {
            pages[index] = guard(|| page(&pdf, index)).flatten();
        }
        Some(pages)
    })
    .flatten()
    .unwrap_or_default()
}

fn page(pdf: &Document, index: usize) -> Option<String> {
    let number = u32::try_from(index + 1).ok()?;
    let mut text = String::new();
    output_doc_page(pdf, &mut PlainTextOutput::new(&mut text), number).ok()?;
    Some(text)
}
