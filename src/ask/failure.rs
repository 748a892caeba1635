//! Why a question could not be answered.

use strongroom_ingest::index::IndexError;

use crate::retrieve::SearchError;

/// Why a question could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// A collection that is not there, or may not be read: the same to the asker.
    #[error("there is no such collection")]
    NoCollection,
    /// The mode cannot be served; the text says why and what to do.
    #[error("{0}")]
    ModeUnavailable(String),
    /// A vector of another model than the collection's.
    #[error("the vector has {given} dimensions, and the collection's vectors have {wanted}")]
    Dimension {
        /// Numbers in the vector that was given.
        given: usize,
        /// Numbers in a vector of the collection.
        wanted: usize,
    },
    /// An answer over several collections that do not all allow it.
    #[error("an answer over several collections needs `mix = true` in each one's configuration")]
    WouldMix,
    /// The language model broke off after its words had been handed out.
    #[error("the language model broke off: {0}")]
    BrokeOff(String),
    /// A document that is not there or cannot be searched.
    #[error("there is no searchable document {0:?}")]
    NoDocument(String),
    /// The documents are longer than one task may read.
    #[error(
        "the documents have about {tokens} tokens, and a task of this kind may read {limit}: name fewer, or raise `input_tokens`"
    )]
    TooMuch {
        /// Tokens that they have, about.
        tokens: usize,
        /// Tokens that it may read.
        limit: usize,
    },
    /// A generator that is not configured.
    #[error("there is no generator of that name")]
    NoGenerator,
    /// No language model did it; the text says who was tried and why not.
    #[error("no language model did this: {0}")]
    NotDone(String),
    /// Nobody waits any more.
    #[error("nobody waits for the answer any more")]
    Cancelled,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl From<IndexError> for AskError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::NoCollection => Self::NoCollection,
            other => SearchError::from(other).into(),
        }
    }
}

impl From<SearchError> for AskError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::ModeUnavailable(why) => Self::ModeUnavailable(why),
            SearchError::Dimension { given, wanted } => Self::Dimension { given, wanted },
            SearchError::Failed(why) => Self::Failed(why),
        }
    }
}
