//! The catalog of one collection: the only truth about its documents, versions, chunks, vectors and the order of changes.
//!
//! One SQLite file in WAL mode. Every change is one transaction; both indexes are derived from what stands here.

mod commit;
mod coverage;
mod documents;
mod members;
mod passwords;
mod purge;
mod reads;
mod recordings;
mod schema;
mod vectors;
mod versions;

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub use documents::{Known, Observed, Pending, Registered};
pub(crate) use reads::file_name;
pub(super) use vectors::{DIMENSION, VECTOR_GENERATION};
pub use versions::{ChangeKind, ChangeRow, Committed, NewChunk, NewMember, NewVersion, Unreadable};

use super::IndexError;

/// Read connections kept open for reuse, at most.
const IDLE_READERS: usize = 2;

/// An open catalog. Any thread may use it: writes take turns, reads don't wait for them.
pub struct Catalog {
    file: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Catalog {
    /// Opens the catalog at `file`; makes it where there is none, migrates it where it is old.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] if the file is no catalog or its structure is broken, [`IndexError::Format`] if it is newer.
    pub fn open(file: &Path) -> Result<Self, IndexError> {
        let mut writer = Connection::open(file).map_err(damaged)?;
        schema::prepare_writer(&writer).map_err(damaged)?;
        schema::migrate(&mut writer)?;
        Ok(Self { file: file.to_owned(), writer: Mutex::new(writer), readers: Mutex::new(Vec::new()) })
    }

    /// Runs `work` in one write transaction, durable when this returns.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let mut writer = self.writer.lock();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = work(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    /// Runs `work` on one consistent snapshot.
    fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, IndexError>) -> Result<T, IndexError> {
        let idle = self.readers.lock().pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => self.open_reader()?,
        };
        let result = {
            let transaction = reader.transaction()?;
            work(&transaction)
        };
        let mut readers = self.readers.lock();
        if readers.len() < IDLE_READERS {
            readers.push(reader);
        }
        result
    }

    fn open_reader(&self) -> Result<Connection, IndexError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&self.file, flags)?;
        schema::prepare_reader(&reader)?;
        Ok(reader)
    }

    /// A word kept with the collection, such as the number of an index generation.
    pub fn meta(&self, key: &str) -> Result<Option<String>, IndexError> {
        self.read(|tx| schema::meta(tx, key))
    }

    /// Keeps words with the collection, all or none.
    pub fn set_meta(&self, pairs: &[(&str, &str)]) -> Result<(), IndexError> {
        self.write(|tx| pairs.iter().try_for_each(|(key, value)| schema::set_meta(tx, key, value)))
    }
}

/// What opening a file that is no sound catalog comes to.
fn damaged(error: rusqlite::Error) -> IndexError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            IndexError::Damaged("its catalog is not a sound database".into())
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests;
