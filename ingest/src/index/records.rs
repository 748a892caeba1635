//! What the index tells about collections and documents: plain records, read from the catalog.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::model::{CollectionId, DocumentId, DocumentState, Fingerprint, Reason, Scribe, Sha256, Span, TextHash, VersionId};

/// How many documents of a collection stand where. `partial` is the part of `indexed` that lacks pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Searchable, partial ones included.
    pub indexed: u64,
    /// Searchable, but with pages that could not be read.
    pub partial: u64,
    /// Accepted, not searchable yet.
    pub pending: u64,
    /// Could not be read; the file's fault.
    pub unreadable: u64,
    /// Our fault; will be tried again.
    pub failed: u64,
}

/// One collection as the registry and its catalog know it.
#[derive(Clone, Debug)]
pub struct CollectionRecord {
    /// Its id, never used again.
    pub id: CollectionId,
    /// Its name in the API: `[a-z0-9][a-z0-9-]{0,62}`.
    pub name: String,
    /// The watched folder's own name, or the name.
    pub title: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The watched folder that is its truth; none if documents come over REST.
    pub watched: Option<PathBuf>,
    /// Why its watched folder is counted as missing; none if it is not.
    pub missing: Option<String>,
    /// Documents by state.
    pub counts: Counts,
    /// Searchable chunks.
    pub chunks: u64,
    /// The embedding model whose vectors it is searched with; none before the first.
    pub fingerprint: Option<Fingerprint>,
}

/// One document as the catalog knows it.
#[derive(Clone, Debug)]
pub struct DocumentRecord {
    /// Survives new versions and renames.
    pub id: DocumentId,
    /// Relative path, `/` between its parts.
    pub path: String,
    /// Its own title, or its file name.
    pub title: String,
    /// Where it stands.
    pub state: DocumentState,
    /// Why it could not be read, when it could not.
    pub reason: Option<Reason>,
    /// More about the reason, for people. Never holds document text.
    pub detail: Option<String>,
    /// SHA-256 of the bytes last seen at its path.
    pub sha256: Sha256,
    /// Length of those bytes.
    pub bytes: u64,
    /// Its media type; none until it was read.
    pub media_type: Option<String>,
    /// Number of pages; none where the format has none, or it was not read.
    pub pages: Option<u32>,
    /// Numbers of pages that nobody could read.
    pub missing_pages: Vec<u32>,
    /// Searchable chunks.
    pub chunks: u64,
    /// The file's own time of change, or when it was put.
    pub modified_at: Timestamp,
    /// When its searchable version became searchable; none if it has none.
    pub indexed_at: Option<Timestamp>,
    /// The version that answers searches; none if none does.
    pub version: Option<VersionId>,
    /// Whether it is inside another file; its path then begins with that file's, and `!/`.
    pub is_member: bool,
    /// What is inside it, in order of path; empty for members.
    pub members: Vec<DocumentRecord>,
    /// Who wrote it, by its own metadata.
    pub author: Option<String>,
    /// When it was written or sent, by its own metadata.
    pub written_at: Option<Timestamp>,
    /// What people should know though it was read.
    pub note: Option<String>,
    /// Which engine read which pages; none until it was read.
    pub engines: Option<String>,
    /// How much like text each page is, in percent; none where nobody judged.
    pub qualities: Vec<Option<u8>>,
    /// Of a recording: who wrote it down.
    pub scribe: Option<Scribe>,
}

/// What of a collection could not be read: the honest half of every answer.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Documents by state.
    pub counts: Counts,
    /// Things inside documents that were read.
    pub members: u64,
    /// Things inside documents that could not be read.
    pub unreadable_members: u64,
    /// Pages that were read.
    pub pages: u64,
    /// Pages that nobody could read.
    pub missing_pages: u64,
    /// Documents by reason of not being read, members included; most first.
    pub reasons: Vec<(Reason, u64)>,
}

/// One page of a list of documents, and where the next begins.
#[derive(Clone, Debug)]
pub struct DocumentPage {
    /// In order of path.
    pub documents: Vec<DocumentRecord>,
    /// The path to continue after; none on the last page.
    pub next: Option<String>,
}

/// What a search result needs to know of one chunk. `span` covers `text` exactly.
#[derive(Clone, Debug)]
pub struct StoredChunk {
    /// The version it belongs to.
    pub version: VersionId,
    /// 0-based place in its document.
    pub ordinal: u32,
    /// 1-based page; none where the format has none.
    pub page: Option<u32>,
    /// Titles of its sections, joined by ` › `.
    pub heading_path: String,
    /// Place in the document's text.
    pub span: Span,
    /// Exactly that slice.
    pub text: String,
}

/// Which documents a list or a search is about. Empty vectors of `Some` match nothing.
#[derive(Clone, Debug, Default)]
pub struct DocumentFilter {
    /// Exact paths.
    pub paths: Option<Vec<String>>,
    /// Paths that begin so.
    pub path_prefix: Option<String>,
    /// Media types, or file endings without the dot.
    pub types: Option<Vec<String>>,
    /// Changed at or after.
    pub modified_from: Option<Timestamp>,
    /// Changed at or before.
    pub modified_to: Option<Timestamp>,
    /// Part of the author's name by the document's own metadata, whatever its case.
    pub author: Option<String>,
    /// Written or sent at or after, by the document's own metadata.
    pub written_from: Option<Timestamp>,
    /// Written or sent at or before.
    pub written_to: Option<Timestamp>,
}

impl DocumentFilter {
    /// Whether it lets every document through.
    pub fn is_empty(&self) -> bool {
        self.paths.is_none()
            && self.path_prefix.is_none()
            && self.types.is_none()
            && self.modified_from.is_none()
            && self.modified_to.is_none()
            && self.author.is_none()
            && self.written_from.is_none()
            && self.written_to.is_none()
    }
}

/// What a hit says of its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRef {
    /// Its id.
    pub id: DocumentId,
    /// Its path in the collection.
    pub path: String,
    /// Its title, or file name.
    pub title: String,
}

/// A chunk together with its document, as they stand in the catalog.
#[derive(Clone, Debug)]
pub struct LiveChunk {
    /// The chunk.
    pub chunk: StoredChunk,
    /// Hash of its trimmed text; equal for identical passages.
    pub hash: TextHash,
    /// Its document.
    pub document: DocumentRef,
}
