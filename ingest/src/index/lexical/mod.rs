//! The full-text index of one collection generation: Tantivy, derived from the catalog and rebuilt from it at will.

use std::collections::HashMap;
use std::path::Path;

use crate::model::{ChunkId, Scope, Seq, VersionId};

/// What went wrong in the full-text index.
#[derive(Debug, thiserror::Error)]
pub enum LexicalError {
    /// Its files cannot be used; the index has to be rebuilt.
    #[error("the full-text index is damaged: {0}")]
    Damaged(String),
    /// Anything else.
    #[error("the full-text index failed: {0}")]
    Failed(String),
}

/// One chunk to index.
#[derive(Clone, Debug)]
pub struct LexicalChunk {
    /// Its id.
    pub chunk: ChunkId,
    /// Its text.
    pub text: String,
    /// On the first chunk of a version only: file name (with path), title and the first 400 characters of the document.
    pub head: Option<String>,
}

/// One change, to be applied in order. Both are idempotent.
#[derive(Clone, Debug)]
pub enum LexicalChange {
    /// All chunks of a version.
    Insert { version: VersionId, chunks: Vec<LexicalChunk> },
    /// Take a version away.
    Delete { version: VersionId },
}

/// A question to the full-text index.
#[derive(Clone, Debug)]
pub struct LexicalQuery<'a> {
    /// As the user typed it; `"quoted phrases"` must match as they are.
    pub text: &'a str,
    /// What it may see.
    pub scope: &'a Scope,
    /// How many passages at most.
    pub limit: usize,
}

/// One chunk found.
#[derive(Clone, Copy, Debug)]
pub struct PassageScore {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its version.
    pub version: VersionId,
    /// BM25, above 0.
    pub score: f32,
}

/// How well a whole document matches.
#[derive(Clone, Copy, Debug, Default)]
pub struct DocumentScore {
    /// BM25 of the whole document's text.
    pub body: f32,
    /// BM25 of its file name, title and first 400 characters.
    pub head: f32,
}

/// What the full-text index found.
#[derive(Clone, Debug, Default)]
pub struct LexicalHits {
    /// Best first, ties by chunk id.
    pub passages: Vec<PassageScore>,
    /// Every document in scope that matches at all.
    pub documents: HashMap<VersionId, DocumentScore>,
    /// How many documents are in scope.
    pub documents_in_scope: usize,
    /// How many passages are in scope.
    pub passages_in_scope: usize,
}

/// The full-text index in one folder. Searches may run on any thread; `apply`, `collect` and `rest` are called by one owner thread.
pub struct LexicalIndex {}

impl LexicalIndex {
    /// Opens the index in `dir`, or makes an empty one where there is none.
    pub fn open(_dir: &Path) -> Result<Self, LexicalError> {
        unimplemented!()
    }
    /// The last change that is durably in it.
    pub fn watermark(&self) -> Seq {
        unimplemented!()
    }
    /// Applies `changes` in order, makes them durable together with the watermark `upto`, and lets searches see them.
    pub fn apply(&self, _changes: Vec<LexicalChange>, _upto: Seq) -> Result<(), LexicalError> {
        unimplemented!()
    }
    /// Finds passages and scores documents.
    pub fn search(&self, _query: &LexicalQuery<'_>) -> Result<LexicalHits, LexicalError> {
        unimplemented!()
    }
    /// The chunks it holds, for tests and checks: every chunk id with its version, sorted.
    pub fn contents(&self) -> Result<Vec<(ChunkId, VersionId)>, LexicalError> {
        unimplemented!()
    }
    /// Gives back what writing needs (threads, buffers) once nothing more is to be written for a while.
    pub fn rest(&self) -> Result<(), LexicalError> {
        unimplemented!()
    }
}
