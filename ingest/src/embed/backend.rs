//! The seam between threads and models: what a model must be able to do, so that a test can put a fake in its place.

use super::EmbedError;

/// What a text is to the model; some put another prefix before each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody asks.
    Query,
    /// A chunk of a document.
    Document,
}

/// Which thread a backend is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The one that answers queries.
    Query,
    /// One of those that work through documents.
    Bulk,
}

/// What came of some texts.
#[derive(Clone, Debug, Default)]
pub struct Embedded {
    /// One vector a text, in their order. They need not be normalised: the embedder does that.
    pub vectors: Vec<Vec<f32>>,
    /// How many of the texts were longer than the model takes, and were cut.
    pub truncated: u64,
}

/// One loaded model. One thread owns it.
pub trait Backend: Send {
    /// Computes one vector a text. `texts` holds at most as many as the embedder was told that a batch may hold.
    fn embed(&mut self, texts: &[&str], purpose: Purpose) -> Result<Embedded, EmbedError>;
}
