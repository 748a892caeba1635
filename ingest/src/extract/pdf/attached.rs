//! Files attached to a PDF: those of its name tree, where portfolios keep their contents, and those pinned to a page.

use std::collections::HashSet;

use pdf_oxide::PdfDocument;
use pdf_oxide::object::{Object, ObjectRef};
use pdf_oxide::optional_content::decode_pdf_text_string;

use super::oxide::{guard, resolve};
use crate::extract::Unreadable;
use crate::extract::desk::Desk;
use crate::model::Reason;

/// Deeper name trees are not followed.
const DEEPEST: usize = 32;
/// More are not looked at; the parent takes fewer.
const MOST_FILES: usize = 5000;

/// An attached file: its name and the stream that holds it.
pub(super) struct Attached {
    name: String,
    stream: ObjectRef,
}

/// The files of the name tree and of pages' annotations, each once; of the tree alone in an encrypted document.
pub(super) fn find(pdf: &PdfDocument, pages: usize) -> Vec<Attached> {
    let mut specifications = Vec::new();
    let tree = pdf.catalog().ok().and_then(|catalog| {
        let names = resolve(pdf, catalog.as_dict()?.get("Names")?)?;
        resolve(pdf, names.as_dict()?.get("EmbeddedFiles")?)
    });
    let is_tree = tree.is_none_or(|tree| walk(pdf, &tree, &mut specifications));
    if pdf.is_encrypted() && !is_tree {
        // The engine would go round in it.
        return Vec::new();
    }
    for page in 0..if pdf.is_encrypted() { 0 } else { pages } {
        let _ = guard(|| pinned(pdf, page, &mut specifications));
    }
    let mut seen = HashSet::new();
    let files = specifications.iter().filter_map(|specification| file(pdf, specification));
    files.filter(|file| seen.insert(file.stream)).take(MOST_FILES).collect()
}

/// Collects the file specifications of a name tree, and tells whether it is one: its branches may loop.
fn walk(pdf: &PdfDocument, root: &Object, specifications: &mut Vec<Object>) -> bool {
    let mut is_tree = true;
    let mut seen = HashSet::new();
    let mut waiting = vec![(root.clone(), 0)];
    while let Some((node, depth)) = waiting.pop() {
        let Some(node) = node.as_dict() else { continue };
        let list = |key: &str| node.get(key).and_then(|list| resolve(pdf, list)).and_then(|list| list.as_array().cloned());
        let names = list("Names").unwrap_or_default();
        for specification in names.iter().skip(1).step_by(2).take(MOST_FILES.saturating_sub(specifications.len())) {
            specifications.extend(resolve(pdf, specification));
        }
        for kid in list("Kids").unwrap_or_default().iter().rev() {
            let is_new = kid.as_reference().is_none_or(|reference| seen.insert(reference));
            if depth < DEEPEST && is_new && seen.len() < MOST_FILES {
                waiting.extend(resolve(pdf, kid).map(|kid| (kid, depth + 1)));
            } else {
                is_tree = false;
            }
        }
    }
    is_tree
}

/// Collects the file specifications of a page's annotations.
fn pinned(pdf: &PdfDocument, page: usize, specifications: &mut Vec<Object>) -> Option<()> {
    let page = pdf.get_page(page).ok()?;
    let annotations = resolve(pdf, page.as_dict()?.get("Annots")?)?;
    for annotation in annotations.as_array()?.iter().take(MOST_FILES.saturating_sub(specifications.len())) {
        let annotation = resolve(pdf, annotation);
        let Some(entries) = annotation.as_ref().and_then(Object::as_dict) else { continue };
        if entries.get("Subtype").and_then(Object::as_name) == Some("FileAttachment") {
            specifications.extend(entries.get("FS").and_then(|specification| resolve(pdf, specification)));
        }
    }
    Some(())
}

fn file(pdf: &PdfDocument, specification: &Object) -> Option<Attached> {
    let entries = specification.as_dict()?;
    let name = ["UF", "F"].iter().find_map(|key| resolve(pdf, entries.get(*key)?));
    let name = name.as_ref().and_then(Object::as_string).map(decode_pdf_text_string).unwrap_or_default();
    let streams = resolve(pdf, entries.get("EF")?)?;
    let streams = streams.as_dict()?;
    let stream = streams.get("F").or_else(|| streams.get("UF"))?.as_reference()?;
    Some(Attached { name, stream })
}

/// Gives the attached files to the parent, which has them read.
pub(super) fn hand_in(pdf: &PdfDocument, files: &[Attached], desk: &mut Desk) {
    // The engine has no way to decrypt one stream, only all files of the name tree, in its order.
    let decrypted = if pdf.is_encrypted() { guard(|| pdf.extract_embedded_files().ok()).flatten() } else { None };
    let mut decrypted = decrypted.unwrap_or_default().into_iter();
    for file in files {
        let bytes = if pdf.is_encrypted() {
            decrypted.next().map(|(_, bytes)| bytes)
        } else {
            guard(|| pdf.load_object(file.stream).ok()?.decode_stream_data().ok()).flatten()
        };
        let goes_on = match bytes {
            Some(bytes) => desk.member(&file.name, None, &bytes),
            None => desk.lost_member(&file.name, Unreadable::new(Reason::Damaged, "it can't be unpacked")),
        };
        if !goes_on {
            return;
        }
    }
}
