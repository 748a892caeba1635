//! The vocabulary every stage shares: ids, documents, extractions, chunks, scopes. Nothing here does any work.

#[path = "model/speech.rs"]
mod speech;

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

pub use speech::{Lane, Moment, Recording, Said, Scribe, Sound, Transcript, clock, page_at};

/// Identifies a collection for ever: 128 random bits, never used again after the collection is destroyed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CollectionId(pub u128);

/// Identifies a document inside its collection; it survives new versions and renames.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId(pub u128);

/// One extraction of one document's bytes. Grows within a collection and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId(pub u64);

/// One chunk of one version. Grows within a collection and is never used again; the id of its point in both indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkId(pub u64);

/// Place of a change in a collection's change sequence; 0 is "before the first change".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub u64);

/// SHA-256 of a file's bytes.
#[derive(Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256(pub [u8; 32]);

/// First 16 bytes of the SHA-256 of a chunk's trimmed text: the key under which its vector is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextHash(pub [u8; 16]);

/// Names everything that shaped a vector (model, weights, pooling, prefix, quantisation). Vectors of two fingerprints never meet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub String);

/// The text was not written the way its type asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError(pub &'static str);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a valid {}", self.0)
    }
}

impl std::error::Error for ParseError {}

macro_rules! hex_id {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:032x})", stringify!($name), self.0)
            }
        }
        impl FromStr for $name {
            type Err = ParseError;
            fn from_str(text: &str) -> Result<Self, ParseError> {
                if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(ParseError($what));
                }
                u128::from_str_radix(text, 16).map($name).map_err(|_| ParseError($what))
            }
        }
    };
}
hex_id!(CollectionId, "collection id");
hex_id!(DocumentId, "document id");

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

impl fmt::Debug for TextHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where a document stands. It is counted in exactly one of these; `Partial` is also counted as indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DocumentState {
    /// Accepted and durable, not searchable yet.
    Pending,
    /// Searchable, all of it.
    Indexed,
    /// Searchable, but some pages could not be read.
    Partial,
    /// The file's fault; see its [`Reason`].
    Unreadable,
    /// Our fault; it is tried again.
    Failed,
}

impl DocumentState {
    /// The word that the API, the catalog and the command line use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Indexed => "indexed",
            Self::Partial => "partial",
            Self::Unreadable => "unreadable",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for DocumentState {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Ok(match text {
            "pending" => Self::Pending,
            "indexed" => Self::Indexed,
            "partial" => Self::Partial,
            "unreadable" => Self::Unreadable,
            "failed" => Self::Failed,
            _ => return Err(ParseError("document state")),
        })
    }
}

/// Why a document could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It needs a password.
    Password,
    /// It has no bytes, or no text at all.
    Empty,
    /// It holds pictures of text only.
    Scanned,
    /// Its bytes do not follow its format.
    Damaged,
    /// No engine here reads this format.
    Unsupported,
    /// It is larger than the configured limit, or its text is.
    TooLarge,
    /// Reading it took longer than allowed.
    Timeout,
    /// The worker that read it died.
    Crashed,
    /// It unfolds to far more than it is.
    Bomb,
    /// The file system would not let us read it.
    NoPermission,
}

impl Reason {
    /// The word that the API, the catalog and the command line use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Empty => "empty",
            Self::Scanned => "scanned",
            Self::Damaged => "damaged",
            Self::Unsupported => "unsupported",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
            Self::Crashed => "crashed",
            Self::Bomb => "bomb",
            Self::NoPermission => "no_permission",
        }
    }
}

impl FromStr for Reason {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Ok(match text {
            "password" => Self::Password,
            "empty" => Self::Empty,
            "scanned" => Self::Scanned,
            "damaged" => Self::Damaged,
            "unsupported" => Self::Unsupported,
            "too_large" => Self::TooLarge,
            "timeout" => Self::Timeout,
            "crashed" => Self::Crashed,
            "bomb" => Self::Bomb,
            "no_permission" => Self::NoPermission,
            _ => return Err(ParseError("reason")),
        })
    }
}

/// A document's text as the extraction stage gives it.
///
/// `pages` and `headings` point into `text` by byte offsets that lie on character boundaries. Pages are in order,
/// do not overlap, and together cover the whole text (what separates two pages belongs to the earlier one). A format
/// without pages has one page with `number` none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extraction {
    /// The whole text.
    pub text: String,
    /// Title from the document's own metadata or first heading, if it has one.
    pub title: Option<String>,
    /// Who wrote it, by the document's own metadata.
    pub author: Option<String>,
    /// When it was written or sent, by the document's own metadata, in seconds since 1970.
    pub written_at: Option<i64>,
    /// What the bytes are, as a media type: `application/pdf`, `text/plain`, `text/markdown`, `text/html`.
    pub media_type: String,
    /// What people should know though the document was read: that its name says another format than its contents, for example.
    pub note: Option<String>,
    /// Where each page lies in `text`.
    pub pages: Vec<Page>,
    /// Headings in order of appearance.
    pub headings: Vec<Heading>,
    /// 1-based numbers of pages that nobody could read; not empty means the document is partial.
    pub missing_pages: Vec<u32>,
    /// Of a recording: when what is said, by byte ranges of the text. In order; they do not overlap.
    pub moments: Vec<(Range<usize>, u64, u64)>,
    /// Of a recording: who wrote it down.
    pub scribe: Option<Box<Scribe>>,
}

/// One page of an extraction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// 1-based; none where the format has no pages.
    pub number: Option<u32>,
    /// Byte range in the text.
    pub bytes: Range<usize>,
    /// Name of the engine that read it.
    pub engine: String,
    /// How much like text it is, in percent; none where nobody judged.
    pub quality: Option<u8>,
}

/// One heading of an extraction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Byte offset in the text where the heading's section begins.
    pub at: usize,
    /// 1 is the outermost.
    pub level: u8,
    /// The heading's words, in one line.
    pub title: String,
}

/// A piece of a document's text. The chunks of a document, in order, tile its text: joined they give it back byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// 0-based place in the document.
    pub ordinal: u32,
    /// 1-based page it begins on; none where the format has no pages.
    pub page: Option<u32>,
    /// Titles of the sections it lies in, outermost first, joined by ` › `; may be empty.
    pub heading_path: String,
    /// Where it lies, in Unicode scalar values of the document's text.
    pub span: Span,
    /// Exactly that slice of the text, white space at its ends included.
    pub text: String,
}

/// A half-open range of Unicode scalar values in a document's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First character.
    pub start: u64,
    /// One past the last character.
    pub end: u64,
}

/// Which collections somebody may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every one, those made later included.
    All,
    /// These.
    Only(HashSet<CollectionId>),
}

impl Reach {
    /// Whether the collection may be seen.
    pub fn allows(&self, id: CollectionId) -> bool {
        match self {
            Self::All => true,
            Self::Only(ids) => ids.contains(&id),
        }
    }
}

/// Which versions a search may see. `only`, where given, is all that is allowed; `except` is always taken away. Both sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The versions allowed; none means every version.
    pub only: Option<Vec<VersionId>>,
    /// Versions that are in an index but not searchable: staged, or hidden and not purged yet.
    pub except: Vec<VersionId>,
}

impl Scope {
    /// Whether the scope allows `version`.
    pub fn allows(&self, version: VersionId) -> bool {
        let within = self.only.as_ref().is_none_or(|only| only.binary_search(&version).is_ok());
        within && self.except.binary_search(&version).is_err()
    }
}
