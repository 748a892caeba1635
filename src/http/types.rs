//! What collections and documents look like in JSON. Times are RFC 3339 in UTC; counts are of files.

use serde::{Deserialize, Serialize};
use strongroom_ingest::index::DocumentRef;
use strongroom_ingest::index::records::{CollectionRecord, Counts, DocumentRecord};
use strongroom_ingest::pipeline::{Destroyed, Progress};
use utoipa::ToSchema;

use super::body::JsonRequest;
use super::recordings::ScribeBody;

/// A request for a new collection.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateCollection {
    /// Its name.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,62}$", example = "acme")]
    pub name: String,
}

impl JsonRequest for CreateCollection {
    const FIELDS: &'static [&'static str] = &["name"];
}

/// A request to watch a folder from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WatchFolder {
    /// The folder's absolute path on the server's machine.
    pub path: String,
}

impl JsonRequest for WatchFolder {
    const FIELDS: &'static [&'static str] = &["path"];
}

/// Documents of a collection by state. Each is counted once, and partial ones once more.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CountsBody {
    /// Searchable, partial ones included.
    pub indexed: u64,
    /// Searchable, but some pages could not be read.
    pub partial: u64,
    /// Accepted, not searchable yet.
    pub pending: u64,
    /// Could not be read: the file's fault.
    pub unreadable: u64,
    /// Our fault; tried again.
    pub failed: u64,
}

impl From<Counts> for CountsBody {
    fn from(counts: Counts) -> Self {
        let Counts { indexed, partial, pending, unreadable, failed } = counts;
        Self { indexed, partial, pending, unreadable, failed }
    }
}

/// One collection.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CollectionBody {
    /// Its id, never used again, not even after it is destroyed.
    pub id: String,
    /// Its name.
    #[schema(example = "acme")]
    pub name: String,
    /// The watched folder's own name, or the name.
    pub title: String,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// The watched folder that is its truth; null if documents come over REST.
    pub watched: Option<String>,
    /// Why its watched folder counts as missing; null if it does not.
    pub missing: Option<String>,
    /// Documents by state.
    pub documents: CountsBody,
    /// Searchable chunks.
    pub chunks: u64,
    /// The embedding model whose vectors it is searched with; null before the first.
    pub model: Option<String>,
}

impl From<CollectionRecord> for CollectionBody {
    fn from(record: CollectionRecord) -> Self {
        Self {
            id: record.id.to_string(),
            name: record.name,
            title: record.title,
            created_at: record.created_at.to_string(),
            watched: record.watched.map(|folder| folder.to_string_lossy().into_owned()),
            missing: record.missing,
            documents: record.counts.into(),
            chunks: record.chunks,
            model: record.fingerprint.map(|fingerprint| fingerprint.0),
        }
    }
}

/// One page of collections.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CollectionList {
    /// By name.
    pub collections: Vec<CollectionBody>,
    /// Pass it as `cursor` to get the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// One document.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DocumentBody {
    /// Its id: it survives new versions and renames.
    pub id: String,
    /// Its path in the collection.
    #[schema(example = "contracts/lease.pdf")]
    pub path: String,
    /// Its own title, or its file name.
    pub title: String,
    /// `pending`, `indexed`, `partial`, `unreadable` or `failed`.
    #[schema(example = "indexed")]
    pub state: String,
    /// Why it can't be read: `password`, `empty`, `scanned`, `damaged`, `unsupported`, `too_large`, `timeout`, `crashed`,
    /// `bomb` or `no_permission`; null if it can.
    pub reason: Option<String>,
    /// More about the reason, for people.
    pub detail: Option<String>,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// Length of its bytes.
    pub bytes: u64,
    /// Its media type; null until it was read.
    pub media_type: Option<String>,
    /// Number of pages; null where the format has none.
    pub pages: Option<u32>,
    /// Numbers of pages that could not be read.
    pub missing_pages: Vec<u32>,
    /// Searchable chunks.
    pub chunks: u64,
    /// The file's own time of change, or when it was put.
    #[schema(format = DateTime)]
    pub modified_at: String,
    /// When its searchable version became searchable; null if it has none.
    #[schema(format = DateTime)]
    pub indexed_at: Option<String>,
    /// Who wrote it, by its own metadata; null if it doesn't say.
    pub author: Option<String>,
    /// When it was written or sent, by its own metadata; null if it doesn't say.
    #[schema(format = DateTime)]
    pub written_at: Option<String>,
    /// What people should know though it was read, such as that its name promises another format.
    pub note: Option<String>,
    /// Which engine read it, or which pages; null until it was read.
    #[schema(example = "1-3 pdf_oxide, 4 tesseract")]
    pub engines: Option<String>,
    /// How much like text its worst page is, in percent; null where nobody judged.
    pub quality: Option<u8>,
    /// Who wrote it down; only where it is a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcription: Option<ScribeBody>,
    /// What is inside it: attachments, files in an archive.
    #[schema(no_recursion)]
    pub members: Vec<DocumentBody>,
}

impl From<DocumentRecord> for DocumentBody {
    fn from(record: DocumentRecord) -> Self {
        Self {
            id: record.id.to_string(),
            path: record.path,
            title: record.title,
            state: record.state.as_str().to_owned(),
            reason: record.reason.map(|reason| reason.as_str().to_owned()),
            detail: record.detail,
            sha256: record.sha256.to_string(),
            bytes: record.bytes,
            media_type: record.media_type,
            pages: record.pages,
            missing_pages: record.missing_pages,
            chunks: record.chunks,
            modified_at: record.modified_at.to_string(),
            indexed_at: record.indexed_at.map(|time| time.to_string()),
            author: record.author,
            written_at: record.written_at.map(|time| time.to_string()),
            note: record.note,
            engines: record.engines,
            quality: record.qualities.into_iter().flatten().min(),
            transcription: record.scribe.map(ScribeBody::from),
            members: record.members.into_iter().map(Self::from).collect(),
        }
    }
}

/// One page of documents.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DocumentList {
    /// By path.
    pub documents: Vec<DocumentBody>,
    /// Pass it as `cursor` to get the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// The document that a hit or a citation is from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DocumentRefBody {
    /// Its id.
    pub id: String,
    /// Its path in the collection.
    pub path: String,
    /// Its own title, or its file name.
    pub title: String,
}

impl From<DocumentRef> for DocumentRefBody {
    fn from(document: DocumentRef) -> Self {
        Self { id: document.id.to_string(), path: document.path, title: document.title }
    }
}

/// The answer to destroying a collection.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DestroyedBody {
    /// What was destroyed.
    pub certificate: Certificate,
}

/// What a destroyed collection held, and that it is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Certificate {
    /// The collection as it was just before.
    pub collection: CollectionBody,
    /// When it was destroyed.
    #[schema(format = DateTime)]
    pub destroyed_at: String,
    /// Every document that it held.
    pub documents: Vec<DestroyedDocument>,
    /// Files removed from the data folder.
    pub files_removed: u64,
    /// Bytes that they held.
    pub bytes_removed: u64,
    /// Whether a scan of what is left of the data folder found none of its identifiers.
    pub clean: bool,
    /// What is not ours to remove: the watched folder, if it had one.
    pub left_in_place: Option<String>,
}

/// A document that a destroyed collection held.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DestroyedDocument {
    /// Its path.
    pub path: String,
    /// SHA-256 of its bytes as last seen.
    pub sha256: String,
}

impl From<Destroyed> for DestroyedBody {
    fn from(destroyed: Destroyed) -> Self {
        let documents = destroyed.documents.into_iter();
        let certificate = Certificate {
            collection: destroyed.record.into(),
            destroyed_at: jiff::Timestamp::now().to_string(),
            documents: documents.map(|(path, hash)| DestroyedDocument { path, sha256: hash.to_string() }).collect(),
            files_removed: destroyed.files_removed,
            bytes_removed: destroyed.bytes_removed,
            clean: destroyed.clean,
            left_in_place: destroyed.left_in_place.map(|folder| folder.to_string_lossy().into_owned()),
        };
        Self { certificate }
    }
}

/// What indexing is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IndexingBody {
    /// Why nothing is taken up just now; null if indexing goes on.
    pub paused: Option<String>,
    /// Documents waiting or being worked on.
    pub pending: u64,
    /// Bytes of source files still to be read.
    pub pending_bytes: u64,
    /// Documents finished since the process started.
    pub finished: u64,
    /// Chunks made searchable since the process started.
    pub chunks: u64,
    /// Estimate of the seconds left; null while it is unknown.
    pub seconds_left: Option<u64>,
    /// Whether every watched folder was looked through once since the start.
    pub swept: bool,
    /// Files directly in a folder of clients: they belong to nobody and are not indexed.
    pub strays: Vec<String>,
    /// Files whose names are not valid text; they are not indexed.
    pub bad_names: Vec<String>,
}

impl From<Progress> for IndexingBody {
    fn from(progress: Progress) -> Self {
        Self {
            paused: progress.paused,
            pending: progress.pending,
            pending_bytes: progress.pending_bytes,
            finished: progress.finished,
            chunks: progress.chunks,
            seconds_left: progress.left.map(|left| left.as_secs()),
            swept: progress.swept,
            strays: progress.strays,
            bad_names: progress.bad_names,
        }
    }
}

/// The server at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatusBody {
    /// The program's version.
    pub version: String,
    /// `ok`, `loading`, or why there are no embeddings.
    pub dense: String,
    /// What indexing is doing.
    pub indexing: IndexingBody,
    /// Every collection, by name.
    pub collections: Vec<CollectionBody>,
}

/// How many documents will be tried again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RetriedBody {
    /// That many.
    pub retried: u64,
}
