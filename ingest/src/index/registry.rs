//! The registry of the data folder: which collections there are, what each is called, which folder it watches.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::IndexError;
use crate::model::CollectionId;

const FORMAT: u32 = 1;

const TABLES: &str = "
CREATE TABLE collections (
    id BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, title TEXT NOT NULL, created_at INTEGER NOT NULL,
    watched TEXT, missing TEXT
) WITHOUT ROWID;
CREATE TABLE detached (path TEXT PRIMARY KEY) WITHOUT ROWID;
";

/// One collection as registered.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: CollectionId,
    /// Its name in the API.
    pub name: String,
    /// What people see.
    pub title: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The folder that is its truth.
    pub watched: Option<PathBuf>,
    /// Why that folder is missing.
    pub missing: Option<String>,
}

/// The open registry, `strongroom.db`.
pub struct Registry {
    connection: Mutex<Connection>,
}

impl Registry {
    /// Opens the registry at `file`; makes it where there is none.
    pub fn open(file: &Path) -> Result<Self, IndexError> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")?;
        let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if found > FORMAT {
            return Err(IndexError::Format { found, known: FORMAT });
        }
        if found == 0 {
            connection.execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT;"))?;
        }
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Every collection, by name.
    pub fn all(&self) -> Result<Vec<Entry>, IndexError> {
        let connection = self.connection.lock();
        let mut statement =
            connection.prepare_cached("SELECT id, name, title, created_at, watched, missing FROM collections ORDER BY name")?;
        let rows = statement.query_map([], entry)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The collection of that name.
    pub fn by_name(&self, name: &str) -> Result<Option<Entry>, IndexError> {
        let connection = self.connection.lock();
        let mut statement = connection
            .prepare_cached("SELECT id, name, title, created_at, watched, missing FROM collections WHERE name = ?1")?;
        Ok(statement.query_row([name], entry).optional()?)
    }

    /// The collection of that id.
    pub fn by_id(&self, id: CollectionId) -> Result<Option<Entry>, IndexError> {
        let connection = self.connection.lock();
        let mut statement =
            connection.prepare_cached("SELECT id, name, title, created_at, watched, missing FROM collections WHERE id = ?1")?;
        Ok(statement.query_row([id.0.to_be_bytes()], entry).optional()?)
    }

    /// Adds a collection.
    ///
    /// # Errors
    /// [`IndexError::Exists`] if the name is taken.
    pub fn add(&self, entry: &Entry) -> Result<(), IndexError> {
        let connection = self.connection.lock();
        let added = connection.execute(
            "INSERT OR IGNORE INTO collections (id, name, title, created_at, watched, missing) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                entry.id.0.to_be_bytes(),
                entry.name,
                entry.title,
                entry.created_at.as_second(),
                entry.watched.as_deref().map(text_of),
                entry.missing
            ],
        )?;
        if added == 1 { Ok(()) } else { Err(IndexError::Exists) }
    }

    /// Takes a collection away; with `detach` its watched folder is not taken up again by itself.
    pub fn remove(&self, id: CollectionId, detach: Option<&Path>) -> Result<(), IndexError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM collections WHERE id = ?1", [id.0.to_be_bytes()])?;
        if let Some(path) = detach {
            transaction.execute("INSERT OR IGNORE INTO detached VALUES (?1)", [text_of(path)])?;
        }
        transaction.commit()?;
        // The row's bytes leave the log too: a destroyed client's name is not kept.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Sets why a collection's watched folder is missing, or that it is back.
    pub fn set_missing(&self, id: CollectionId, why: Option<&str>) -> Result<(), IndexError> {
        let connection = self.connection.lock();
        connection.execute("UPDATE collections SET missing = ?2 WHERE id = ?1", params![id.0.to_be_bytes(), why])?;
        Ok(())
    }

    /// Sets which folder a collection watches, if any, and that the folder is not detached.
    pub fn set_watched(&self, id: CollectionId, path: Option<&Path>) -> Result<(), IndexError> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction()?;
        let text = path.map(text_of);
        transaction
            .execute("UPDATE collections SET watched = ?2, missing = NULL WHERE id = ?1", params![id.0.to_be_bytes(), text])?;
        transaction.execute("DELETE FROM detached WHERE path = ?1", [text])?;
        transaction.commit()?;
        Ok(())
    }

    /// Whether a folder was detached, and not taken back since.
    pub fn is_detached(&self, path: &Path) -> Result<bool, IndexError> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare_cached("SELECT 1 FROM detached WHERE path = ?1")?;
        Ok(statement.exists([text_of(path)])?)
    }

    /// Takes a detached folder back.
    pub fn attach(&self, path: &Path) -> Result<(), IndexError> {
        let connection = self.connection.lock();
        connection.execute("DELETE FROM detached WHERE path = ?1", [text_of(path)])?;
        Ok(())
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: CollectionId(u128::from_be_bytes(row.get(0)?)),
        name: row.get(1)?,
        title: row.get(2)?,
        created_at: Timestamp::from_second(row.get(3)?).unwrap_or(Timestamp::UNIX_EPOCH),
        watched: row.get::<_, Option<String>>(4)?.map(|text| path_of(&text)),
        missing: row.get(5)?,
    })
}

/// A path as text that can be turned back: bytes that are no UTF-8 are written as `%XX`, and so is `%`.
fn text_of(path: &Path) -> String {
    let mut text = String::new();
    for part in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.push_str(&part.valid().replace('%', "%25"));
        for byte in part.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(unix)]
fn path_of(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten();
        let value = escaped.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match value {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(not(unix))]
fn path_of(text: &str) -> PathBuf {
    PathBuf::from(text.replace("%25", "%"))
}
