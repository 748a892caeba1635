//! Text to vectors: ONNX Runtime sessions, each owned by one thread, fed by bounded queues.

pub mod set;

use crate::model::Fingerprint;

/// What went wrong while embedding.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// Anything.
    #[error("embedding failed: {0}")]
    Failed(String),
}

/// Handle on a loaded model.
#[derive(Clone)]
pub struct Embedder {}

impl Embedder {
    /// Names everything that shapes its vectors.
    pub fn fingerprint(&self) -> &Fingerprint {
        unimplemented!()
    }
    /// Numbers in a vector.
    pub fn dimension(&self) -> usize {
        unimplemented!()
    }
    /// The model's name.
    pub fn model_name(&self) -> &str {
        unimplemented!()
    }
    /// Where it runs.
    pub fn device(&self) -> &str {
        unimplemented!()
    }
    /// The vector of a question; never waits behind documents.
    pub fn embed_query(&self, _text: &str) -> Result<Vec<f32>, EmbedError> {
        unimplemented!()
    }
    /// The vectors of chunks, in their order.
    pub fn embed_documents(&self, _texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        unimplemented!()
    }
    /// Chunks embedded since the start.
    pub fn embedded(&self) -> u64 {
        unimplemented!()
    }
    /// Texts that were longer than the model takes.
    pub fn truncated(&self) -> u64 {
        unimplemented!()
    }
}
