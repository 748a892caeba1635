//! The vector index of one collection generation, behind a trait: Qdrant embedded today, a Qdrant server later, one contract suite for both.

#[doc(hidden)]
pub mod contract;
#[cfg(test)]
mod crash_tests;
pub mod edge;
mod engine;
mod log;
#[cfg(test)]
mod measure;
mod place;
#[cfg(test)]
mod tests;
mod watermark;

use crate::model::{ChunkId, Scope, Seq, VersionId};

/// What went wrong in the vector index.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// Its files cannot be used, or its engine panicked; the index has to be rebuilt.
    #[error("the vector index is damaged: {0}")]
    Damaged(String),
    /// A vector of another length.
    #[error("a vector of {given} numbers was given to an index of {wanted}")]
    Dimension {
        /// Its length.
        given: usize,
        /// The length of the index's vectors.
        wanted: usize,
    },
    /// Anything else.
    #[error("the vector index failed: {0}")]
    Failed(String),
}

/// One change, to be applied in order. Both are idempotent.
#[derive(Clone, Debug)]
pub enum VectorChange {
    /// All chunks of a version with their vectors.
    Insert {
        /// The version.
        version: VersionId,
        /// Every chunk of it, with a vector of length 1.
        points: Vec<(ChunkId, Vec<f32>)>,
    },
    /// Take a version away; `chunks` are all it has.
    Delete {
        /// The version.
        version: VersionId,
        /// Every chunk of it.
        chunks: Vec<ChunkId>,
    },
}

/// One chunk found, by cosine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VectorHit {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its version.
    pub version: VersionId,
    /// Cosine similarity, -1 to 1.
    pub score: f32,
}

/// A vector index. Searches may run on any thread; everything that writes is called by one owner thread.
pub trait VectorStore: Send + Sync {
    /// The last change that is durably in it.
    fn watermark(&self) -> Seq;
    /// Applies `changes` in order and makes them durable, then the watermark `upto`.
    fn apply(&self, changes: Vec<VectorChange>, upto: Seq) -> Result<(), VectorError>;
    /// The nearest chunks in scope, best first, ties by chunk id.
    fn search(&self, query: &[f32], scope: &Scope, limit: usize) -> Result<Vec<VectorHit>, VectorError>;
    /// The exact cosine of the given chunks that are in it, in any order.
    fn score(&self, query: &[f32], chunks: &[ChunkId]) -> Result<Vec<VectorHit>, VectorError>;
    /// The chunks it holds, for tests and checks: every chunk id with its version, sorted.
    fn contents(&self) -> Result<Vec<(ChunkId, VersionId)>, VectorError>;
    /// Whether its log has outgrown its points so much that a rebuild beside it pays.
    fn wants_rebuild(&self) -> bool;
    /// Builds what makes searches fast, when there is enough to build; true if it did anything.
    fn optimize(&self) -> Result<bool, VectorError>;
}
