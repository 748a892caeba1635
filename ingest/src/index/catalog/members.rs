//! Documents inside documents: rows of their own with a parent, which come and go with it and are counted nowhere.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::commit::{insert_version, stage};
use super::documents::{blob, id_of, now_ns};
use super::reads::{RECORD, record};
use super::versions::{NewMember, hide};
use crate::index::IndexError;
use crate::index::records::DocumentRecord;
use crate::model::DocumentId;

/// Between a document's path and the name of what is inside it.
const INSIDE: &str = "!/";

/// A member as it stands.
struct Known {
    id: DocumentId,
    live: Option<i64>,
    staged: Option<i64>,
}

/// Makes `new` the members of a document. Those that stay keep their ids, and answer until their new version does.
pub(super) fn replace(tx: &Transaction<'_>, parent: DocumentId, new: &[NewMember]) -> Result<(), IndexError> {
    let mut known = known(tx, parent)?;
    if new.is_empty() && known.is_empty() {
        return Ok(());
    }
    let (path, modified_ns) = tx.query_row("SELECT path, modified_ns FROM documents WHERE id = ?1", [blob(parent)], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
    })?;
    let inside = counts_inside(new);
    for member in new {
        let wanted = format!("{path}{INSIDE}{}", member.name);
        let (id, path) = match known.remove(&wanted) {
            Some(known) => {
                hide(tx, known.staged)?;
                if member.outcome.is_err() {
                    hide(tx, known.live)?;
                }
                (known.id, wanted)
            }
            None => (DocumentId(Uuid::new_v4().as_u128()), free_path(tx, wanted)?),
        };
        let (state, reason, detail) = match &member.outcome {
            Ok(_) => ("pending", None, None),
            Err(why) => ("unreadable", Some(why.reason.as_str()), Some(why.detail.as_str())),
        };
        // What can't be read answers nothing any more; what can answers until its new version does.
        tx.prepare_cached(
            "INSERT INTO documents (id, path, parent, state, reason, detail, queued, sha256, bytes, modified_ns, inode)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0)
             ON CONFLICT (id) DO UPDATE SET state = ?4, reason = ?5, detail = ?6, sha256 = ?8, bytes = ?9, modified_ns = ?10,
                staged = NULL, live = CASE ?4 WHEN 'unreadable' THEN NULL ELSE live END",
        )?
        .execute(params![
            blob(id),
            path,
            blob(parent),
            state,
            reason,
            detail,
            now_ns(),
            member.sha256.0,
            member.bytes as i64,
            modified_ns
        ])?;
        if let Ok(version) = &member.outcome {
            let members = inside.get(member.name.as_str()).copied().unwrap_or(0);
            let version = insert_version(tx, id, version, members)?;
            stage(tx, id, version)?;
        }
    }
    for gone in known.into_values() {
        take_away(tx, &gone)?;
    }
    Ok(())
}

/// Takes all members of a document away.
pub(super) fn remove(tx: &Transaction<'_>, parent: DocumentId) -> Result<(), IndexError> {
    for member in known(tx, parent)?.into_values() {
        take_away(tx, &member)?;
    }
    Ok(())
}

/// Gives the members of a document that moved their new paths. The indexes learn of them when it is read again.
pub(super) fn rename(tx: &Transaction<'_>, parent: DocumentId, from: &str, to: &str) -> Result<(), IndexError> {
    tx.prepare_cached("UPDATE documents SET path = ?3 || substr(path, length(?2) + 1) WHERE parent = ?1")?.execute(params![
        blob(parent),
        from,
        to
    ])?;
    Ok(())
}

fn known(tx: &Transaction<'_>, parent: DocumentId) -> Result<HashMap<String, Known>, IndexError> {
    let mut statement = tx.prepare_cached("SELECT path, id, live, staged FROM documents WHERE parent = ?1")?;
    let mut rows = statement.query([blob(parent)])?;
    let mut known = HashMap::new();
    while let Some(row) = rows.next()? {
        known.insert(row.get(0)?, Known { id: id_of(row.get(1)?)?, live: row.get(2)?, staged: row.get(3)? });
    }
    Ok(known)
}

fn take_away(tx: &Transaction<'_>, member: &Known) -> Result<(), IndexError> {
    hide(tx, member.live)?;
    hide(tx, member.staged)?;
    tx.prepare_cached("DELETE FROM documents WHERE id = ?1")?.execute([blob(member.id)])?;
    Ok(())
}

/// How many members lie inside each member, by its name.
fn counts_inside(members: &[NewMember]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for member in members {
        for (at, _) in member.name.match_indices(INSIDE) {
            *counts.entry(&member.name[..at]).or_default() += 1;
        }
    }
    counts
}

/// The path, or where a file of its own stands there, the next one that is free.
fn free_path(tx: &Transaction<'_>, wanted: String) -> Result<String, IndexError> {
    let mut path = wanted.clone();
    let mut number = 2;
    let mut taken = tx.prepare_cached("SELECT 1 FROM documents WHERE path = ?1")?;
    while taken.query_row([&path], |_| Ok(())).optional()?.is_some() {
        path = format!("{wanted} ({number})");
        number += 1;
    }
    Ok(path)
}

/// What is inside a document, in order of path.
pub(super) fn records(tx: &Transaction<'_>, parent: DocumentId) -> Result<Vec<DocumentRecord>, IndexError> {
    let mut statement = tx.prepare_cached(&format!("{RECORD} WHERE d.parent = ?1 ORDER BY d.path"))?;
    let mut rows = statement.query([blob(parent)])?;
    let mut members = Vec::new();
    while let Some(row) = rows.next()? {
        members.push(record(row)?);
    }
    Ok(members)
}
