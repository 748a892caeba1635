//! The table of keys, in the file of the registry: a connection of its own, so that other processes may write beside it.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use strongroom_ingest::model::{CollectionId, Reach};

use super::{Key, KeyError, NewKey, Scopes};
use crate::tables::Tables;

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL, collections TEXT NOT NULL, scopes TEXT NOT NULL,
    destination TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER, last_used_at INTEGER, revoked_at INTEGER
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS keys_name ON keys(name) WHERE revoked_at IS NULL;
";
const COLUMNS: &str = "id, name, collections, scopes, destination, created_at, expires_at, last_used_at, revoked_at, hash";
/// Stands for every collection.
const ALL: &str = "*";
/// The last use is written at most once in so many seconds.
const USED_EVERY: i64 = 60;

pub(super) struct Store(Tables);

impl Store {
    pub(super) fn open(file: &Path) -> Result<Self, KeyError> {
        Ok(Self(Tables::open(file, "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;", TABLE)?))
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, KeyError> {
        Ok(self.0.with(work)?)
    }

    /// Keeps a new key, and revokes the one that it stands for, if it stands for one.
    pub(super) fn insert(&self, id: &str, hash: &[u8; 32], new: &NewKey, instead_of: Option<&str>) -> Result<(), KeyError> {
        let inserted = self.with(|connection| {
            // The one connection is behind a lock, so no other transaction is open on it.
            let transaction = connection.unchecked_transaction()?;
            if let Some(old) = instead_of {
                revoke(&transaction, old)?;
            }
            transaction.execute(
                "INSERT INTO keys (id, name, hash, collections, scopes, destination, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    id,
                    new.name,
                    hash,
                    reach_text(&new.reach),
                    new.scopes.to_string(),
                    new.destination.as_str(),
                    Timestamp::now().as_second(),
                    new.expires_at.map(Timestamp::as_second)
                ],
            )?;
            transaction.commit()
        });
        match inserted {
            Err(KeyError::Store(rusqlite::Error::SqliteFailure(failure, _)))
                if failure.code == ErrorCode::ConstraintViolation =>
            {
                Err(KeyError::Exists)
            }
            other => other,
        }
    }

    pub(super) fn all(&self) -> Result<Vec<Key>, KeyError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM keys ORDER BY created_at, id"))?;
            let rows = statement.query_map([], |row| key(row).map(|(_, key)| key))?;
            rows.collect()
        })
    }

    /// The key of that id with the hash of its secret.
    pub(super) fn find(&self, id: &str) -> Result<Option<([u8; 32], Key)>, KeyError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM keys WHERE id = ?1"))?;
            statement.query_row([id], key).optional()
        })
    }

    pub(super) fn revoke(&self, id: &str) -> Result<(), KeyError> {
        self.with(|connection| revoke(connection, id))
    }

    pub(super) fn used(&self, key: &Key) -> Result<(), KeyError> {
        let now = Timestamp::now().as_second();
        if key.last_used_at.is_some_and(|last| now - last.as_second() < USED_EVERY) {
            return Ok(());
        }
        self.with(|connection| connection.execute("UPDATE keys SET last_used_at = ?2 WHERE id = ?1", params![key.id, now]))
            .map(drop)
    }

    pub(super) fn any(&self) -> Result<bool, KeyError> {
        self.with(|connection| connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM keys)")?.query_row([], |row| row.get(0)))
    }
}

fn revoke(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    let now = Timestamp::now().as_second();
    let revoking = "UPDATE keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
    connection.execute(revoking, params![id, now]).map(drop)
}

fn reach_text(reach: &Reach) -> String {
    match reach {
        Reach::All => ALL.to_owned(),
        Reach::Only(ids) => {
            let mut ids: Vec<String> = ids.iter().map(CollectionId::to_string).collect();
            ids.sort();
            ids.join(",")
        }
    }
}

/// What can't be understood reaches and allows nothing.
fn key(row: &Row<'_>) -> rusqlite::Result<([u8; 32], Key)> {
    let time =
        |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.and_then(|at| Timestamp::from_second(at).ok()));
    let (collections, scopes, destination): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
    let reach = if collections == ALL {
        Reach::All
    } else {
        Reach::Only(collections.split(',').filter_map(|id| id.parse().ok()).collect::<HashSet<_>>())
    };
    let made = NewKey {
        name: row.get(1)?,
        reach,
        scopes: scopes.parse().unwrap_or(Scopes(Vec::new())),
        destination: destination.parse().unwrap_or(super::Destination::Cloud),
        expires_at: time(6)?,
    };
    let created_at = time(5)?.unwrap_or(Timestamp::UNIX_EPOCH);
    Ok((row.get(9)?, Key { id: row.get(0)?, made, created_at, last_used_at: time(7)?, revoked_at: time(8)? }))
}
