//! Documents of the catalog: what was seen at which path, what is pending, what is gone.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::{Catalog, members, versions};
use crate::index::IndexError;
use crate::model::{DocumentId, DocumentState, Reason, Sha256};

/// Bytes seen at a path: by a sweep, or put over REST.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Path in the collection.
    pub path: String,
    /// SHA-256 of the bytes.
    pub sha256: Sha256,
    /// Their number.
    pub bytes: u64,
    /// The file's time of change in nanoseconds since 1970, or when it was put.
    pub modified_ns: i64,
    /// The file's inode; 0 for what was put.
    pub inode: u64,
    /// The media type that the sender declared.
    pub declared_type: Option<String>,
    /// Set where the bytes could not even be looked at.
    pub unreadable: Option<(Reason, String)>,
}

/// What an observation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The document.
    pub id: DocumentId,
    /// There was none at the path before.
    pub created: bool,
    /// The same bytes stood there already: nothing is to be done.
    pub unchanged: bool,
}

/// What a sweep compares a folder with.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The document.
    pub id: DocumentId,
    /// Bytes last seen.
    pub sha256: Sha256,
    /// Their number.
    pub bytes: u64,
    /// Time of change last seen.
    pub modified_ns: i64,
    /// Inode last seen.
    pub inode: u64,
    /// Where it stands.
    pub state: DocumentState,
}

/// A document to be read.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The document.
    pub id: DocumentId,
    /// Its path.
    pub path: String,
    /// Bytes it had when it was seen.
    pub sha256: Sha256,
    /// Their number.
    pub bytes: u64,
    /// The media type that the sender declared.
    pub declared_type: Option<String>,
    /// How often it failed before.
    pub attempts: u32,
}

pub(super) fn id_of(bytes: Vec<u8>) -> Result<DocumentId, IndexError> {
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| IndexError::Damaged("an id in its catalog is not 16 bytes".into()))?;
    Ok(DocumentId(u128::from_be_bytes(bytes)))
}

pub(super) fn sha_of(bytes: Vec<u8>) -> Result<Sha256, IndexError> {
    bytes.try_into().map(Sha256).map_err(|_| IndexError::Damaged("a hash in its catalog is not 32 bytes".into()))
}

pub(super) fn blob(id: DocumentId) -> [u8; 16] {
    id.0.to_be_bytes()
}

/// Nanoseconds since 1970, now.
pub(super) fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

impl Catalog {
    /// Takes note of what stands at paths now; new and changed documents become pending. One transaction for all.
    pub fn observe(&self, seen: &[Observed]) -> Result<Vec<Registered>, IndexError> {
        self.write(|tx| seen.iter().map(|one| observe_one(tx, one)).collect())
    }

    /// Takes documents away: they answer nothing from the moment this returns. How many there were.
    pub fn remove(&self, paths: &[String]) -> Result<u64, IndexError> {
        self.write(|tx| {
            let mut removed = 0;
            for path in paths {
                let found = tx
                    .prepare_cached("SELECT id, live, staged FROM documents WHERE path = ?1")?
                    .query_row([path], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?)))
                    .optional()?;
                if let Some((id, live, staged)) = found {
                    versions::hide(tx, live)?;
                    versions::hide(tx, staged)?;
                    members::remove(tx, id_of(id.clone())?)?;
                    tx.prepare_cached("DELETE FROM documents WHERE id = ?1")?.execute([id])?;
                    removed += 1;
                }
            }
            Ok(removed)
        })
    }

    /// Moves documents to other paths, keeping their ids; each is indexed again under its new name, nothing is read or
    /// embedded. A document already at the new path gives way.
    pub fn rename(&self, moves: &[(String, Observed)]) -> Result<Vec<DocumentId>, IndexError> {
        self.write(|tx| {
            let mut moved = Vec::new();
            for (from, to) in moves {
                let at_target = tx
                    .prepare_cached("SELECT id, live, staged FROM documents WHERE path = ?1")?
                    .query_row([&to.path], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                    .optional()?;
                if let Some((id, live, staged)) = at_target {
                    versions::hide(tx, live)?;
                    versions::hide(tx, staged)?;
                    members::remove(tx, id_of(id)?)?;
                    tx.execute("DELETE FROM documents WHERE path = ?1", [&to.path])?;
                }
                let staged = tx
                    .prepare_cached("SELECT staged FROM documents WHERE path = ?1")?
                    .query_row([from], |row| row.get(0))
                    .optional()?;
                versions::hide(tx, staged.flatten())?;
                // Pending again: the version is copied, so that the indexes learn the new name; what was unreadable is tried again.
                tx.prepare_cached(
                    "UPDATE documents SET path = ?2, modified_ns = ?3, inode = ?4, state = 'pending', reason = NULL,
                        detail = NULL, attempts = 0, staged = NULL, queued = ?5 WHERE path = ?1",
                )?
                .execute(params![from, to.path, to.modified_ns, to.inode as i64, now_ns()])?;
                let id = tx
                    .prepare_cached("SELECT id FROM documents WHERE path = ?1")?
                    .query_row([&to.path], |row| row.get::<_, Vec<u8>>(0))
                    .optional()?;
                if let Some(id) = id {
                    let id = id_of(id)?;
                    members::rename(tx, id, from, &to.path)?;
                    moved.push(id);
                }
            }
            Ok(moved)
        })
    }

    /// Every document by path, as a sweep compares them.
    pub fn known(&self) -> Result<HashMap<String, Known>, IndexError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT path, id, sha256, bytes, modified_ns, inode, state FROM documents WHERE parent IS NULL",
            )?;
            let mut rows = statement.query([])?;
            let mut known = HashMap::new();
            while let Some(row) = rows.next()? {
                let entry = Known {
                    id: id_of(row.get(1)?)?,
                    sha256: sha_of(row.get(2)?)?,
                    bytes: row.get::<_, i64>(3)? as u64,
                    modified_ns: row.get(4)?,
                    inode: row.get::<_, i64>(5)? as u64,
                    state: state_of(&row.get::<_, String>(6)?)?,
                };
                known.insert(row.get(0)?, entry);
            }
            Ok(known)
        })
    }

    /// A document to be read; none if it is not pending any more, or is only waiting for the indexes.
    pub fn pending(&self, id: DocumentId) -> Result<Option<Pending>, IndexError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT path, sha256, bytes, declared_type, attempts FROM documents
                 WHERE id = ?1 AND state = 'pending' AND staged IS NULL",
            )?;
            let mut rows = statement.query([blob(id)])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            Ok(Some(Pending {
                id,
                path: row.get(0)?,
                sha256: sha_of(row.get(1)?)?,
                bytes: row.get::<_, i64>(2)? as u64,
                declared_type: row.get(3)?,
                attempts: row.get(4)?,
            }))
        })
    }

    /// Ids and sizes of documents to be read, oldest first.
    pub fn queue(&self) -> Result<Vec<(DocumentId, u64)>, IndexError> {
        self.read(|tx| {
            let mut statement = tx
                .prepare_cached("SELECT id, bytes FROM documents WHERE state = 'pending' AND staged IS NULL ORDER BY queued")?;
            let mut rows = statement.query([])?;
            let mut queue = Vec::new();
            while let Some(row) = rows.next()? {
                queue.push((id_of(row.get(0)?)?, row.get::<_, i64>(1)? as u64));
            }
            Ok(queue)
        })
    }

    /// Makes documents pending again: failed ones, unreadable ones of the given reasons and those that hold such a member, and,
    /// where `engines` are given, those that other engines could read only in part. Their ids.
    pub fn retry(&self, reasons: &[Reason], engines: Option<&str>) -> Result<Vec<DocumentId>, IndexError> {
        let reasons: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
        let reasons = serde_json::Value::from(reasons).to_string();
        self.write(|tx| {
            let mut statement = tx.prepare(
                "SELECT d.id FROM documents d LEFT JOIN versions v ON v.id = d.live
                 WHERE d.parent IS NULL AND d.staged IS NULL AND (d.state = 'failed'
                    OR (d.state = 'unreadable' AND d.reason IN (SELECT value FROM json_each(?1)))
                    OR (?2 IS NOT NULL AND d.state = 'partial' AND substr(v.extractor, 1, length(?2) + 1) != ?2 || ' ')
                    OR (d.state IN ('indexed', 'partial') AND d.id IN (SELECT parent FROM documents m
                        WHERE m.parent IS NOT NULL AND m.state = 'unreadable' AND m.reason IN (SELECT value FROM json_each(?1)))))",
            )?;
            let rows = statement.query_map(params![reasons, engines], |row| row.get::<_, Vec<u8>>(0))?;
            let ids = rows.map(|id| id_of(id?)).collect::<Result<Vec<_>, IndexError>>()?;
            for id in &ids {
                tx.prepare_cached(
                    "UPDATE documents SET state = 'pending', reason = NULL, detail = NULL, queued = ?2 WHERE id = ?1",
                )?
                .execute(params![blob(*id), now_ns()])?;
            }
            Ok(ids)
        })
    }

    /// Notes that a document failed by our fault; `detail` is for people and holds nothing of its text.
    pub fn fail(&self, id: DocumentId, sha256: Sha256, detail: &str) -> Result<(), IndexError> {
        self.write(|tx| {
            tx.prepare_cached(
                "UPDATE documents SET state = 'failed', detail = ?3, attempts = attempts + 1
                 WHERE id = ?1 AND sha256 = ?2 AND state = 'pending' AND staged IS NULL",
            )?
            .execute(params![blob(id), sha256.0, detail])?;
            Ok(())
        })
    }
}

pub(super) fn state_of(word: &str) -> Result<DocumentState, IndexError> {
    word.parse().map_err(|_| IndexError::Damaged("a state in its catalog is unknown".into()))
}

fn observe_one(tx: &Transaction<'_>, seen: &Observed) -> Result<Registered, IndexError> {
    let found = tx
        .prepare_cached("SELECT id, sha256, state, staged, live, reason FROM documents WHERE path = ?1")?
        .query_row([&seen.path], |row| {
            let reason = row.get::<_, Option<String>>(5)?;
            Ok((
                row.get::<_, Vec<u8>>(0)?,
                row.get::<_, Vec<u8>>(1)?,
                row.get::<_, String>(2)?,
                row.get(3)?,
                row.get(4)?,
                reason,
            ))
        })
        .optional()?;
    let (state, reason, detail) = match &seen.unreadable {
        None => ("pending", None, None),
        Some((reason, detail)) => ("unreadable", Some(reason.as_str()), Some(detail.as_str())),
    };
    let Some((id, sha256, old_state, staged, live, old_reason)) = found else {
        let id = DocumentId(Uuid::new_v4().as_u128());
        tx.prepare_cached(
            "INSERT INTO documents (id, path, state, reason, detail, queued, sha256, bytes, modified_ns, inode, declared_type)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            blob(id),
            seen.path,
            state,
            reason,
            detail,
            now_ns(),
            seen.sha256.0,
            seen.bytes as i64,
            seen.modified_ns,
            seen.inode as i64,
            seen.declared_type
        ])?;
        return Ok(Registered { id, created: true, unchanged: false });
    };
    let was_refused = state_of(&old_state)? == DocumentState::Unreadable && seen.unreadable.is_none() && sha256 == [0; 32];
    let same = sha256 == seen.sha256.0 && !was_refused && (seen.unreadable.is_none() || old_reason.as_deref() == reason);
    let id = id_of(id)?;
    if same {
        tx.prepare_cached("UPDATE documents SET modified_ns = ?2, inode = ?3 WHERE id = ?1")?.execute(params![
            blob(id),
            seen.modified_ns,
            seen.inode as i64
        ])?;
        return Ok(Registered { id, created: false, unchanged: true });
    }
    // A version of other bytes that no search has seen yet will not be seen any more.
    versions::hide(tx, staged)?;
    if seen.unreadable.is_some() {
        versions::hide(tx, live)?;
        members::remove(tx, id)?;
        tx.prepare_cached("UPDATE documents SET live = NULL WHERE id = ?1")?.execute([blob(id)])?;
    }
    tx.prepare_cached(
        "UPDATE documents SET state = ?2, reason = ?3, detail = ?4, queued = ?5, sha256 = ?6, bytes = ?7, modified_ns = ?8,
            inode = ?9, declared_type = ?10, staged = NULL, attempts = 0 WHERE id = ?1",
    )?
    .execute(params![
        blob(id),
        state,
        reason,
        detail,
        now_ns(),
        seen.sha256.0,
        seen.bytes as i64,
        seen.modified_ns,
        seen.inode as i64,
        seen.declared_type
    ])?;
    Ok(Registered { id, created: false, unchanged: false })
}
