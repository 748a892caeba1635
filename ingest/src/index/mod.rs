//! Where everything is kept: the catalog (the truth) and the two indexes derived from it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use records::{CollectionRecord, Counts, DocumentFilter, StoredChunk};

use crate::model::{ChunkId, CollectionId, DocumentId, Fingerprint, Scope, TextHash, VersionId};

pub mod lexical;
pub mod records;
pub mod vector;

/// What went wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// No collection of that id or name, or it was destroyed meanwhile.
    #[error("there is no such collection")]
    NoCollection,
    /// Vectors of this model are not what the collection's index holds.
    #[error("no vectors are there to search: {0}")]
    NoVectors(String),
    /// The data folder belongs to another running process.
    #[error("the data folder is in use by process {0}")]
    InUse(u32),
    /// Written by a newer version.
    #[error("the data folder has format {found}, this program knows formats up to {known}")]
    Format {
        /// What is there.
        found: u32,
        /// What we know.
        known: u32,
    },
    /// Anything else.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// How the data folder is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The data folder; made with mode 0700 if it is not there.
    pub data: PathBuf,
    /// Collections open at the same time, at most.
    pub open_collections: usize,
}

/// The opened data folder. One process has it at a time.
pub struct Store {}

impl Store {
    /// Opens the folder, makes it if it is new, migrates it if it is old.
    pub fn open(_options: StoreOptions) -> Result<Arc<Self>, IndexError> {
        unimplemented!()
    }
    /// The data folder.
    pub fn data(&self) -> &Path {
        unimplemented!()
    }
    /// Every collection's record, by name.
    pub fn records(&self) -> Result<Vec<CollectionRecord>, IndexError> {
        unimplemented!()
    }
    /// The open collection of that name; opens it if needed.
    pub fn by_name(&self, _name: &str) -> Result<Arc<Collection>, IndexError> {
        unimplemented!()
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

/// An open collection: searches run on any thread.
pub struct Collection {}

impl Collection {
    /// Its id.
    pub fn id(&self) -> CollectionId {
        unimplemented!()
    }
    /// Its name.
    pub fn name(&self) -> &str {
        unimplemented!()
    }
    /// Documents by state.
    pub fn counts(&self) -> Result<Counts, IndexError> {
        unimplemented!()
    }
    /// The fingerprint of the vectors that its index holds; none if it has none yet.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        unimplemented!()
    }
    /// What a search with this filter may see, as of now.
    pub fn scope(&self, _filter: &DocumentFilter) -> Result<Scope, IndexError> {
        unimplemented!()
    }
    /// Asks the full-text index.
    pub fn lexical(&self, _query: &lexical::LexicalQuery<'_>) -> Result<lexical::LexicalHits, IndexError> {
        unimplemented!()
    }
    /// Asks the vector index; `query` must come from the model of [`Collection::fingerprint`].
    pub fn dense(&self, _query: &[f32], _scope: &Scope, _limit: usize) -> Result<Vec<vector::VectorHit>, IndexError> {
        unimplemented!()
    }
    /// The exact cosine of the given chunks.
    pub fn dense_scores(&self, _query: &[f32], _chunks: &[ChunkId]) -> Result<Vec<vector::VectorHit>, IndexError> {
        unimplemented!()
    }
    /// The given chunks with their documents; those of versions that are not searchable (any more) are left out.
    pub fn chunks(&self, _ids: &[ChunkId]) -> Result<HashMap<ChunkId, LiveChunk>, IndexError> {
        unimplemented!()
    }
    /// The neighbours of a chunk in its version, by ordinal.
    pub fn chunk_at(&self, _version: VersionId, _ordinal: u32) -> Result<Option<(ChunkId, LiveChunk)>, IndexError> {
        unimplemented!()
    }
    /// The documents in scope that hold an identical passage, for each of the given hashes; in order of path.
    pub fn twins(&self, _hashes: &[TextHash], _scope: &Scope) -> Result<HashMap<TextHash, Vec<DocumentRef>>, IndexError> {
        unimplemented!()
    }
}
