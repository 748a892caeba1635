//! Passages to an answer: a generator behind a trait, citations checked against the stored text.

use strongroom_ingest::index::DocumentRef;
use strongroom_ingest::model::{Span, VersionId};

/// Who wrote an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratorInfo {
    /// Its name in the configuration; `extracts` for the built-in one.
    pub name: String,
    /// Its model.
    pub model: String,
    /// Whether it runs on this machine or an allowed private address.
    pub local: bool,
}

/// A claim's source: a slice of a document.
#[derive(Clone, Debug)]
pub struct Citation {
    /// The number that the answer's text uses: `[1]`.
    pub n: usize,
    /// Name of the collection.
    pub collection: String,
    /// The document.
    pub document: DocumentRef,
    /// The version that was quoted.
    pub version: VersionId,
    /// 1-based page.
    pub page: Option<u32>,
    /// Where the quote stands in the document's text.
    pub span: Span,
    /// The words quoted.
    pub quote: String,
    /// Whether the quote is byte for byte that slice of that version.
    pub verified: bool,
}

/// An answer with its sources.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The text, with `[n]` where a citation belongs.
    pub text: String,
    /// In order of n.
    pub citations: Vec<Citation>,
    /// Whether anything in the documents supports it; false means "not found".
    pub grounded: bool,
    /// Who wrote it.
    pub generator: GeneratorInfo,
}
