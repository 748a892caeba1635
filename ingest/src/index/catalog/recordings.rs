//! Of recordings: who wrote them down, and when each piece of what was written is said.

use rusqlite::{Row, Transaction, params};

use super::Catalog;
use super::versions::NewVersion;
use crate::index::IndexError;
use crate::model::{Moment, Scribe, Span, VersionId};

/// Keeps what is known of a version that is a recording's.
pub(super) fn insert(tx: &Transaction<'_>, version: i64, new: &NewVersion) -> Result<(), IndexError> {
    if let Some(scribe) = &new.scribe {
        tx.prepare_cached("INSERT INTO scribes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?.execute(params![
            version,
            scribe.lane.as_str(),
            scribe.chosen_by,
            scribe.name,
            scribe.model,
            scribe.endpoint,
            scribe.server,
            scribe.process,
            scribe.digest,
            scribe.language,
            scribe.length_ms.map(|length| length as i64)
        ])?;
    }
    let mut insert = tx.prepare_cached("INSERT INTO moments VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for Moment { span, start_ms, end_ms } in &new.moments {
        insert.execute([version, span.start as i64, span.end as i64, *start_ms as i64, *end_ms as i64])?;
    }
    Ok(())
}

/// Keeps the same for a copy of the version.
pub(super) fn copy(tx: &Transaction<'_>, from: i64, to: i64) -> Result<(), IndexError> {
    tx.prepare_cached(
        "INSERT INTO scribes SELECT ?2, lane, chosen_by, name, model, endpoint, server, process, digest, language, length_ms
         FROM scribes WHERE version = ?1",
    )?
    .execute([from, to])?;
    tx.prepare_cached("INSERT INTO moments SELECT ?2, start, end, start_ms, end_ms FROM moments WHERE version = ?1")?
        .execute([from, to])?;
    Ok(())
}

/// Takes away what is kept of versions that were hidden by a change up to `upto`.
pub(super) fn purge(tx: &Transaction<'_>, upto: i64) -> Result<(), IndexError> {
    for table in ["scribes", "moments"] {
        let gone = "SELECT id FROM versions WHERE state = 'hidden' AND gone_seq <= ?1";
        tx.execute(&format!("DELETE FROM {table} WHERE version IN ({gone})"), [upto])?;
    }
    Ok(())
}

/// Who wrote a recording down: ten columns from `first` on, all null where it is none.
pub(super) fn scribe(row: &Row<'_>, first: usize) -> Result<Option<Scribe>, IndexError> {
    let Some(lane) = row.get::<_, Option<String>>(first)? else { return Ok(None) };
    let lane = lane.parse().map_err(|_| IndexError::Damaged("a lane in its catalog is unknown".into()))?;
    Ok(Some(Scribe {
        lane,
        chosen_by: row.get(first + 1)?,
        name: row.get(first + 2)?,
        model: row.get(first + 3)?,
        endpoint: row.get(first + 4)?,
        server: row.get(first + 5)?,
        process: row.get(first + 6)?,
        digest: row.get(first + 7)?,
        language: row.get(first + 8)?,
        length_ms: row.get::<_, Option<i64>>(first + 9)?.map(|length| length as u64),
    }))
}

impl Catalog {
    /// For each span of a version: when the pieces of its text are said that it touches, in order. None where it is no recording's.
    pub fn moments(&self, of: &[(VersionId, Span)]) -> Result<Vec<Vec<Moment>>, IndexError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT start, end, start_ms, end_ms FROM moments WHERE version = ?1 AND start < ?3 AND end > ?2 AND start >=
                    COALESCE((SELECT MAX(start) FROM moments WHERE version = ?1 AND start <= ?2), 0) ORDER BY start",
            )?;
            let mut moments = Vec::with_capacity(of.len());
            for (version, span) in of {
                let rows = statement.query_map([version.0 as i64, span.start as i64, span.end as i64], |row| {
                    let number = |column| row.get::<_, i64>(column).map(|number| number as u64);
                    let span = Span { start: number(0)?, end: number(1)? };
                    Ok(Moment { span, start_ms: number(2)?, end_ms: number(3)? })
                })?;
                moments.push(rows.collect::<Result<_, _>>()?);
            }
            Ok(moments)
        })
    }
}
