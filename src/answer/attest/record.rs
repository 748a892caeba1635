//! What was found out about local models, kept whenever it changed: which weights answered in March is still known in May. A
//! connection of its own to the registry's file, so that commands may read beside a running server.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::Attestation;
use crate::tables::Tables;

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS attestations (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, generator TEXT NOT NULL, model TEXT NOT NULL, endpoint TEXT, server TEXT,
    process TEXT, digest TEXT, isolation TEXT, context INTEGER, checked TEXT, refused TEXT
);
CREATE INDEX IF NOT EXISTS attestations_generator ON attestations(generator, id);
";
const COLUMNS: &str = "id, at, generator, model, endpoint, server, process, digest, isolation, context, checked, refused";
/// Changes of one generator that are kept.
const MOST: i64 = 1_000;

/// One change of what is known about a generator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Grows from change to change.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Its name in the configuration.
    pub generator: String,
    /// The model that was asked for.
    pub model: String,
    /// What was found out; none where it was refused.
    pub found: Option<Found>,
    /// Why it was refused.
    pub refused: Option<String>,
}

/// What [`Attestation`] says, as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Address and port.
    pub endpoint: String,
    /// What serves it.
    pub server: String,
    /// The process that listened there.
    pub process: Option<String>,
    /// The weights.
    pub digest: Option<String>,
    /// What it keeps of a prompt.
    pub isolation: String,
    /// Tokens that it takes in.
    pub context: Option<i64>,
    /// What was checked.
    pub checked: String,
}

/// Why the records could not be used.
#[derive(Debug, thiserror::Error)]
#[error("the record of attestations cannot be used: {0}")]
pub struct RecordError(#[from] rusqlite::Error);

/// The records of a data folder.
pub struct Records(Tables);

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Records")
    }
}

impl Records {
    /// Those of the data folder `data`, which must be there.
    pub fn open(data: &Path) -> Result<Self, RecordError> {
        Ok(Self(Tables::open(&data.join("strongroom.db"), "PRAGMA synchronous = FULL;", TABLE)?))
    }

    /// Keeps what was found out, or why it was refused, unless the last record of that generator says the same.
    pub(super) fn add(
        &self,
        generator: &str,
        model: &str,
        outcome: &Result<Arc<Attestation>, String>,
    ) -> Result<(), RecordError> {
        let found = outcome.as_ref().ok().map(|found| Found {
            endpoint: found.endpoint.to_string(),
            server: found.server.clone(),
            process: found.process.clone(),
            digest: found.digest.clone(),
            isolation: found.isolation.as_str().to_owned(),
            context: found.context.and_then(|tokens| i64::try_from(tokens).ok()),
            checked: found.checked.clone(),
        });
        let refused = outcome.as_ref().err().cloned();
        Ok(self.0.with(|connection| {
            let newest = format!("SELECT {COLUMNS} FROM attestations WHERE generator = ?1 ORDER BY id DESC LIMIT 1");
            let before = connection.prepare_cached(&newest)?.query_row([generator], record).optional()?;
            if before.is_some_and(|before| before.model == model && before.found == found && before.refused == refused) {
                return Ok(());
            }
            let of = |pick: fn(&Found) -> &str| found.as_ref().map(pick);
            connection.execute(
                "INSERT INTO attestations
             (at, generator, model, endpoint, server, process, digest, isolation, context, checked, refused)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                params![
                    Timestamp::now().as_second(),
                    generator,
                    model,
                    of(|found| &found.endpoint),
                    of(|found| &found.server),
                    found.as_ref().and_then(|found| found.process.as_deref()),
                    found.as_ref().and_then(|found| found.digest.as_deref()),
                    of(|found| &found.isolation),
                    found.as_ref().and_then(|found| found.context),
                    of(|found| &found.checked),
                    refused,
                ],
            )?;
            connection.execute(
                "DELETE FROM attestations WHERE generator = ?1 AND id <=
             (SELECT id FROM attestations WHERE generator = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                params![generator, MOST],
            )?;
            Ok(())
        })?)
    }

    /// At most `limit` changes, the newest first; those before the record `before` if one is given.
    pub fn list(&self, before: Option<i64>, limit: usize) -> Result<Vec<Record>, RecordError> {
        Ok(self.0.with(|connection| {
            let mut statement = connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM attestations WHERE id < ?1 ORDER BY id DESC LIMIT ?2"))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![before.unwrap_or(i64::MAX), limit], record)?;
            rows.collect()
        })?)
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let endpoint: Option<String> = row.get(4)?;
    let found = match endpoint {
        None => None,
        Some(endpoint) => Some(Found {
            endpoint,
            server: row.get(5)?,
            process: row.get(6)?,
            digest: row.get(7)?,
            isolation: row.get(8)?,
            context: row.get(9)?,
            checked: row.get(10)?,
        }),
    };
    Ok(Record {
        id: row.get(0)?,
        at: Timestamp::from_second(row.get(1)?).unwrap_or(Timestamp::UNIX_EPOCH),
        generator: row.get(2)?,
        model: row.get(3)?,
        found,
        refused: row.get(11)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Isolation;
    use super::*;

    fn attested(server: &str) -> Result<Arc<Attestation>, String> {
        Ok(Arc::new(Attestation {
            endpoint: "127.0.0.1:8080".parse().unwrap(),
            server: server.to_owned(),
            process: None,
            digest: Some("sha256:12".to_owned()),
            isolation: Isolation::CacheOff,
            context: Some(4096),
            checked: "its address is on this machine".to_owned(),
        }))
    }

    #[test]
    fn each_change_is_kept_once_and_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let outcomes = [attested("a"), attested("a"), attested("b"), Err("no".to_owned()), Err("no".to_owned()), attested("b")];
        for (at, outcome) in outcomes.iter().enumerate() {
            // Opened anew each time: what is the same as before is known from the file.
            let records = Records::open(folder.path()).unwrap();
            records.add("small", "tiny", outcome).unwrap();
            if at == 0 {
                records.add("other", "tiny", outcome).unwrap();
            }
        }
        let records = Records::open(folder.path()).unwrap();
        let all = records.list(None, 10).unwrap();
        let shown: Vec<(&str, Option<&str>)> = all
            .iter()
            .map(|record| (record.generator.as_str(), record.found.as_ref().map(|found| found.server.as_str())))
            .collect();
        let expected =
            [("small", Some("b")), ("small", None), ("small", Some("b")), ("other", Some("a")), ("small", Some("a"))];
        assert_eq!(shown, expected);
        assert_eq!(all[1].refused.as_deref(), Some("no"));
        assert_eq!(all[0].found.as_ref().unwrap().context, Some(4096));
        assert_eq!(records.list(Some(all[0].id), 2).unwrap(), all[1..3]);
    }

    #[test]
    fn only_so_many_are_kept_of_each() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        records.add("other", "tiny", &attested("a")).unwrap();
        records.0.with(|connection| connection.execute_batch("PRAGMA synchronous = OFF")).unwrap();
        for at in 0..MOST + 5 {
            records.add("small", "tiny", &attested(&at.to_string())).unwrap();
        }
        let all = records.list(None, usize::MAX).unwrap();
        assert_eq!(all.len(), MOST as usize + 1);
        assert_eq!(all[0].found.as_ref().unwrap().server, (MOST + 4).to_string());
    }
}
