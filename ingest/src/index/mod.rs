//! Where everything is kept: the catalog (the truth) and the two indexes derived from it.
//!
//! [`Store`] is the data folder, [`Collection`] one client in it. Writes go to the catalog in one transaction; [`lanes`] carry
//! them to both indexes in order; a version becomes searchable when both have it.

pub mod catalog;
mod collection;
pub mod lanes;
pub mod lexical;
mod rebuild;
pub mod records;
pub mod registry;
mod store;
pub mod vector;

pub use collection::Collection;
pub use records::{DocumentRef, LiveChunk};
pub use store::{Removed, Store, StoreOptions};

use lexical::LexicalError;
use vector::VectorError;

/// What went wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// No collection of that id or name, or it was destroyed meanwhile.
    #[error("there is no such collection")]
    NoCollection,
    /// A collection of that name is there already.
    #[error("a collection of that name exists already")]
    Exists,
    /// The collection cannot be searched by vectors now; the text says why.
    #[error("{0}")]
    NoVectors(String),
    /// An index is being built anew; ask again soon.
    #[error("the collection's {0} index is being rebuilt")]
    Rebuilding(&'static str),
    /// The data folder belongs to another running process.
    #[error("the data folder is in use by process {0}")]
    InUse(u32),
    /// Written by a newer version.
    #[error("the data has format {found}, this program knows formats up to {known}: use the newer program")]
    Format {
        /// What is there.
        found: u32,
        /// What we know.
        known: u32,
    },
    /// A file that cannot be rebuilt from others is broken; the text says which.
    #[error("the collection is damaged: {0}")]
    Damaged(String),
    /// Anything else.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl From<rusqlite::Error> for IndexError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Self::Damaged("its database is not sound".into())
            }
            // SQLite's own messages name tables and columns, never values.
            _ => Self::Failed(format!("database: {error}")),
        }
    }
}

impl From<std::io::Error> for IndexError {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(format!("file system: {error}"))
    }
}

impl From<LexicalError> for IndexError {
    fn from(error: LexicalError) -> Self {
        match error {
            LexicalError::Damaged(_) => Self::Rebuilding("full-text"),
            LexicalError::Failed(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<VectorError> for IndexError {
    fn from(error: VectorError) -> Self {
        match error {
            VectorError::Damaged(_) => Self::Rebuilding("vector"),
            VectorError::Dimension { .. } | VectorError::Failed(_) => Self::Failed(error.to_string()),
        }
    }
}
