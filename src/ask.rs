//! Composes a question's way: retrieve, answer, record. Readable in one sitting.

use std::sync::Arc;

use strongroom_ingest::index::Store;

use crate::answer::Answer;
use crate::retrieve::{Found, Query, Retriever};

/// Why a question could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// A collection that is not there, or may not be read: the same to the asker.
    #[error("there is no such collection")]
    NoCollection,
    /// The mode cannot be served; the text says why and what to do.
    #[error("{0}")]
    ModeUnavailable(String),
    /// An answer over several collections that do not all allow it.
    #[error("an answer over several collections needs `mix = true` in each one's configuration")]
    WouldMix,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// What a question gave.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The answer.
    pub answer: Answer,
    /// Documents of the asked collections that cannot be read.
    pub unreadable: u64,
}

/// Answers questions over the store. Cheap to clone. Every method blocks: call it off the async threads.
#[derive(Clone)]
pub struct Ask {
    _store: Arc<Store>,
    _retriever: Retriever,
}

impl Ask {
    /// `mixable`: names of collections whose text may stand in one answer with another's.
    pub fn new(store: Arc<Store>, retriever: Retriever, _mixable: Vec<String>) -> Self {
        Self { _store: store, _retriever: retriever }
    }
    /// Searches the named collections; `None` means all.
    pub fn search(&self, _collections: Option<&[String]>, _query: &Query) -> Result<Found, AskError> {
        unimplemented!()
    }
    /// Answers from the named collections; `None` means all.
    pub fn answer(&self, _collections: Option<&[String]>, _question: &str) -> Result<Asked, AskError> {
        unimplemented!()
    }
}
