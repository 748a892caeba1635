//! How a passage's place is named for programs of others: one string for each page of a document, the key of its citation.

use strongroom_ingest::index::DocumentRef;

use super::paths::encoded;
use crate::retrieve::Hit;

/// The place of `hit`: `strongroom://acme/folder/lease.pdf#page=12`, or below `base` (`https://kb.example`) the address of
/// the document's own bytes. The page is 1-based, as in links to PDF files, and left out where the format has none. A recording
/// has the second instead at which to begin to listen.
pub(super) fn source(base: Option<&str>, hit: &Hit) -> String {
    match hit.moments.first() {
        Some(first) => {
            let place = place(base, &hit.collection_name, &hit.document.path, None);
            format!("{place}#t={}", first.start_ms / 1000)
        }
        None => place(base, &hit.collection_name, &hit.document.path, hit.page),
    }
}

/// The same for a page of any document.
pub(super) fn place(base: Option<&str>, collection: &str, path: &str, page: Option<u32>) -> String {
    let parts: Vec<String> = path.split('/').map(encoded).collect();
    let (collection, path) = (encoded(collection), parts.join("/"));
    let mut source = match base {
        None => format!("strongroom://{collection}/{path}"),
        Some(base) => {
            let base = base.trim_end_matches('/');
            format!("{base}/api/v1/collections/{collection}/documents/{path}?part=original")
        }
    };
    if let Some(page) = page {
        source.push_str(&format!("#page={page}"));
    }
    source
}

/// What people call the document: its title, or its file name if that is blank.
pub(super) fn name(document: &DocumentRef) -> String {
    let title = document.title.trim();
    if title.is_empty() { document.path.rsplit('/').next().unwrap_or_default().to_owned() } else { title.to_owned() }
}

#[cfg(test)]
pub(super) mod tests {
    use strongroom_ingest::model::{CollectionId, DocumentId, Span, VersionId};

    use super::*;

    pub(in crate::http) fn hit(path: &str, title: &str, page: Option<u32>) -> Hit {
        Hit {
            collection: CollectionId(1),
            collection_name: "acme".into(),
            document: DocumentRef { id: DocumentId(2), path: path.into(), title: title.into() },
            version: VersionId(4),
            page,
            heading_path: String::new(),
            span: Span { start: 1204, end: 1207 },
            text: "the".into(),
            moments: Vec::new(),
            score: 0.71,
            also_in: Vec::new(),
            explain: None,
        }
    }

    #[test]
    fn a_source_names_the_page_and_survives_odd_names() {
        let lease = hit("a b/ü#1.pdf", "Lease", Some(12));
        assert_eq!(source(None, &lease), "strongroom://acme/a%20b/%C3%BC%231.pdf#page=12");
        assert_eq!(
            source(Some("https://kb.example/"), &lease),
            "https://kb.example/api/v1/collections/acme/documents/a%20b/%C3%BC%231.pdf?part=original#page=12"
        );
        assert_eq!(source(None, &hit("a.md", "A", None)), "strongroom://acme/a.md");
    }

    #[test]
    fn a_document_without_a_title_is_called_by_its_file_name() {
        assert_eq!(name(&hit("a/b.pdf", " ", None).document), "b.pdf");
        assert_eq!(name(&hit("a/b.pdf", "Lease", None).document), "Lease");
    }
}
