//! Tables of several rooms in the file of the registry: each room has a connection of its own behind a lock, so that other rooms and
//! other processes may write beside it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Result};

/// How long a write of somebody else is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// One room's tables.
pub struct Tables {
    connection: Mutex<Connection>,
}

impl Tables {
    /// Opens the file, in WAL mode and with these pragmas beside, and makes the tables that are not there.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn open(file: &Path, pragmas: &str, schema: &str) -> Result<Self> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(PATIENCE)?;
        connection.execute_batch("PRAGMA journal_mode = WAL;")?;
        connection.execute_batch(pragmas)?;
        connection.execute_batch(schema)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Does something with the connection. Nobody else has it meanwhile, so no other transaction is open on it.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        work(&self.connection.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
