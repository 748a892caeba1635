//! What people wrote on a PDF's pages: notes, remarks on marked words, text boxes. The engine leaves most of it out.

use pdf_oxide::PdfDocument;
use pdf_oxide::object::Object;
use pdf_oxide::optional_content::decode_pdf_text_string;

use super::oxide::resolve;

/// More notes on a page are not looked at.
const MOST_NOTES: usize = 500;
/// In characters; a longer one is cut.
const LONGEST_NOTE: usize = 10_000;
/// Annotations that can bear a remark.
const KINDS: [&str; 14] = [
    "Text",
    "FreeText",
    "Highlight",
    "Underline",
    "StrikeOut",
    "Squiggly",
    "Caret",
    "Line",
    "Square",
    "Circle",
    "Polygon",
    "PolyLine",
    "Ink",
    "Stamp",
];
/// Flags (ISO 32000-1, 12.5.3): hidden, not viewed.
const NOT_SEEN: i64 = 2 | 32;

/// The notes on a page (from 0), in order; without those that its `text` has.
pub(super) fn read(pdf: &PdfDocument, page: usize, text: &str) -> Vec<String> {
    let annotations = pdf.get_page(page).ok().and_then(|page| resolve(pdf, page.as_dict()?.get("Annots")?));
    let Some(annotations) = annotations.as_ref().and_then(Object::as_array) else {
        return Vec::new();
    };
    let notes: Vec<String> = annotations.iter().take(MOST_NOTES).filter_map(|annotation| note(pdf, annotation)).collect();
    if notes.is_empty() {
        return notes;
    }
    let known = without_spaces(text);
    notes.into_iter().filter(|note| !known.contains(&without_spaces(note))).collect()
}

fn note(pdf: &PdfDocument, annotation: &Object) -> Option<String> {
    let annotation = resolve(pdf, annotation)?;
    let entries = annotation.as_dict()?;
    let kind = entries.get("Subtype").and_then(Object::as_name)?;
    let flags = entries.get("F").and_then(Object::as_integer).unwrap_or(0);
    if !KINDS.contains(&kind) || flags & NOT_SEEN != 0 {
        return None;
    }
    let contents = resolve(pdf, entries.get("Contents")?)?;
    let text = decode_pdf_text_string(contents.as_string()?);
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let note: String = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    let note: String = note.chars().filter(|c| !c.is_control() || *c == '\n').take(LONGEST_NOTE).collect();
    (!note.is_empty()).then_some(note)
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}
