//! The catalog's tables, their version, and how older ones are brought up to date.

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::damaged;
use crate::index::IndexError;

/// Version of the tables below, kept in SQLite's `user_version`.
const FORMAT: u32 = 3;

/// Step `i` brings format `i` to `i + 1`; a new catalog takes them all.
const STEPS: [&str; FORMAT as usize] = [FIRST, SECOND, THIRD];

/// Chunk ids of a version are `first_chunk .. first_chunk + chunks`; AUTOINCREMENT keeps ids from being used again.
/// `documents.live` answers searches; `documents.staged` waits until both indexes have it. `queued` orders what is pending.
const FIRST: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    id BLOB PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    parent BLOB,
    state TEXT NOT NULL,
    reason TEXT,
    detail TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    queued INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    declared_type TEXT,
    live INTEGER,
    staged INTEGER,
    indexed_at INTEGER
) WITHOUT ROWID;
CREATE INDEX documents_state ON documents(state, queued);
CREATE INDEX documents_sha256 ON documents(sha256);
CREATE TABLE versions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document BLOB NOT NULL,
    sha256 BLOB NOT NULL,
    extractor TEXT NOT NULL,
    state TEXT NOT NULL,
    seq INTEGER NOT NULL,
    gone_seq INTEGER,
    first_chunk INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    title TEXT,
    media_type TEXT NOT NULL,
    engines TEXT NOT NULL,
    pages INTEGER,
    missing_pages TEXT NOT NULL,
    characters INTEGER NOT NULL
);
CREATE INDEX versions_sha256 ON versions(sha256);
CREATE INDEX versions_document ON versions(document);
CREATE INDEX versions_staged ON versions(seq) WHERE state = 'staged';
CREATE INDEX versions_hidden ON versions(gone_seq) WHERE state = 'hidden';
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    version INTEGER NOT NULL,
    page INTEGER,
    heading_path TEXT NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    hash BLOB NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX chunks_hash ON chunks(hash);
CREATE TABLE fingerprints (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE vectors (hash BLOB NOT NULL, fingerprint INTEGER NOT NULL, vector BLOB NOT NULL, UNIQUE (hash, fingerprint));
CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, version INTEGER NOT NULL, kind TEXT NOT NULL);
";

/// What documents say of themselves, what is inside them, and what opens them. `versions.members` is the number of documents
/// inside the one that was read: a version with some is not copied. `versions.qualities` has a number a page, `-` for none.
const SECOND: &str = "
ALTER TABLE versions ADD COLUMN author TEXT;
ALTER TABLE versions ADD COLUMN written_at INTEGER;
ALTER TABLE versions ADD COLUMN note TEXT;
ALTER TABLE versions ADD COLUMN qualities TEXT NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN members INTEGER NOT NULL DEFAULT 0;
CREATE INDEX documents_parent ON documents(parent) WHERE parent IS NOT NULL;
CREATE TABLE passwords (path TEXT NOT NULL, secret TEXT NOT NULL, PRIMARY KEY (path, secret)) WITHOUT ROWID;
";

/// Who wrote a recording down, and when each piece of what was written is said: characters of the text, milliseconds.
const THIRD: &str = "
CREATE TABLE scribes (
    version INTEGER PRIMARY KEY,
    lane TEXT NOT NULL,
    chosen_by TEXT NOT NULL,
    name TEXT NOT NULL,
    model TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    server TEXT NOT NULL,
    process TEXT,
    digest TEXT,
    language TEXT,
    length_ms INTEGER
);
CREATE TABLE moments (
    version INTEGER NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    PRIMARY KEY (version, start)
) WITHOUT ROWID;
";

/// What every writing connection is set to.
pub(super) fn prepare_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
         PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 8388608;",
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// What every reading connection is set to.
pub(super) fn prepare_reader(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.execute_batch("PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY;")
}

/// Brings the tables to [`FORMAT`], one step a transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), IndexError> {
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(damaged)?;
    if found > FORMAT {
        return Err(IndexError::Format { found, known: FORMAT });
    }
    for (format, step) in STEPS.iter().enumerate().skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", format as u32 + 1)?;
        transaction.commit()?;
    }
    // Touches every table, so that a file overwritten or cut short is mostly found now; the rest shows when it is read.
    let tables =
        ["meta", "documents", "versions", "chunks", "fingerprints", "vectors", "changes", "passwords", "scribes", "moments"];
    for table in tables {
        let mut statement = connection.prepare(&format!("SELECT 1 FROM {table} LIMIT 1")).map_err(damaged)?;
        statement.query([]).and_then(|mut rows| rows.next().map(|_| ())).map_err(damaged)?;
    }
    Ok(())
}

pub(super) fn meta(tx: &Transaction<'_>, key: &str) -> Result<Option<String>, IndexError> {
    Ok(tx.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()?)
}

pub(super) fn set_meta(tx: &Transaction<'_>, key: &str, value: &str) -> Result<(), IndexError> {
    tx.prepare_cached("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2")?.execute([key, value])?;
    Ok(())
}
