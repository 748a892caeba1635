//! Pages that are pictures: their pictures are taken out here and read by OCR, where it is installed.

use pdf_oxide::PdfDocument;
use pdf_oxide::extractors::images::ImageData;

use super::oxide::guard;
use crate::extract::Tool;
use crate::extract::desk::Desk;

/// Pages of one document that are read so, at most: each takes seconds.
const MOST_PAGES: usize = 500;
/// Smaller pictures are logos and signatures.
const SMALLEST: u32 = 200;
/// Pictures of one page that are read, the largest first: scans can come in strips.
const MOST_PICTURES: usize = 16;
/// A picture of more dots than any page has at 600 dots an inch is no scan.
const MOST_DOTS: u64 = 80_000_000;

/// The text of those of the given pages (from 0) whose pictures hold any.
pub(super) fn read(pdf: &PdfDocument, pages: &[usize], desk: &mut Desk) -> Vec<(usize, String)> {
    let mut texts = Vec::new();
    for page in pages.iter().copied().take(MOST_PAGES) {
        let pictures = guard(|| pictures(pdf, page)).unwrap_or_default();
        let read: Vec<String> = pictures.iter().filter_map(|picture| desk.ask(Tool::Ocr, picture)).collect();
        let text = read.join("\n").replace('\u{c}', "\n");
        if !text.trim().is_empty() {
            texts.push((page, text));
        }
    }
    texts
}

/// The pictures of a page from its top to its bottom, as files.
fn pictures(pdf: &PdfDocument, page: usize) -> Vec<Vec<u8>> {
    let Ok(mut handles) = pdf.page_image_handles(page) else { return Vec::new() };
    handles.retain(|picture| {
        let dots = u64::from(picture.width) * u64::from(picture.height);
        picture.width >= SMALLEST && dots >= u64::from(SMALLEST * SMALLEST) / 4 && dots <= MOST_DOTS
    });
    handles.sort_by_key(|picture| std::cmp::Reverse(u64::from(picture.width) * u64::from(picture.height)));
    handles.truncate(MOST_PICTURES);
    handles.sort_by(|a, b| b.bbox.y.total_cmp(&a.bbox.y));
    let file = |picture: &pdf_oxide::extractors::images::PdfImageHandle<'_>| {
        let picture = picture.decode().ok()?;
        match picture.data() {
            ImageData::Jpeg(bytes) => Some(bytes.clone()),
            ImageData::Raw { .. } => picture.to_png_bytes().ok(),
        }
    };
    handles.iter().filter_map(|picture| guard(|| file(picture)).flatten()).collect()
}
