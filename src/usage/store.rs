//! The tables of usage, in the file of the registry: sums by day, which stay few, and trails, which go after a while.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};
use strongroom_ingest::model::CollectionId;

use super::{Place, Row, Spent, Tokens, Trail, UsageError};
use crate::tables::Tables;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS usage (
    day TEXT NOT NULL, collection TEXT NOT NULL, task TEXT NOT NULL, generator TEXT NOT NULL, place TEXT NOT NULL,
    tasks INTEGER NOT NULL, prompt INTEGER NOT NULL, completion INTEGER NOT NULL,
    reported_prompt INTEGER NOT NULL, reported_completion INTEGER NOT NULL, busy_ms INTEGER NOT NULL,
    PRIMARY KEY (day, collection, task, generator, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trails (id TEXT PRIMARY KEY, at INTEGER NOT NULL, trail TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS trails_at ON trails(at);
CREATE TABLE IF NOT EXISTS trails_about (
    collection TEXT NOT NULL, id TEXT NOT NULL REFERENCES trails(id) ON DELETE CASCADE, PRIMARY KEY (collection, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS trails_about_id ON trails_about(id);
";
const ADD: &str = "ON CONFLICT DO UPDATE SET tasks = tasks + excluded.tasks, prompt = prompt + excluded.prompt,
    completion = completion + excluded.completion, busy_ms = busy_ms + excluded.busy_ms,
    reported_prompt = reported_prompt + excluded.reported_prompt,
    reported_completion = reported_completion + excluded.reported_completion";
/// Stands for all collections that were destroyed. Ids are random, so none is this one.
const NOBODY: CollectionId = CollectionId(0);
/// How long a trail is kept.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

pub(super) struct Store(Tables);

impl Store {
    pub(super) fn open(file: &Path) -> Result<Self, UsageError> {
        // A count is not worth a wait for the disk: it survives a crash of this process, and a loss of power may cost the last ones.
        let pragmas = "PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON;";
        Ok(Self(Tables::open(file, pragmas, TABLES)?))
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, UsageError> {
        Ok(self.0.with(work)?)
    }

    /// Adds a task to the sums of its collections, to each an equal share, and what does not divide to the first.
    pub(super) fn add(&self, spent: &Spent<'_>) -> Result<(), UsageError> {
        let day = spent.at.to_zoned(TimeZone::UTC).date().to_string();
        let many = spent.collections.len().max(1) as i64;
        let busy = u64::try_from(spent.busy.as_millis()).unwrap_or(u64::MAX);
        self.with(|connection| {
            // The one connection is behind a lock, so no other transaction is open on it.
            let transaction = connection.unchecked_transaction()?;
            for (at, collection) in spent.collections.iter().enumerate() {
                let share = |all: u64| {
                    let all = i64::try_from(all).unwrap_or(i64::MAX);
                    if at == 0 { all / many + all % many } else { all / many }
                };
                transaction.execute(
                    &format!("INSERT INTO usage VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?9, ?10) {ADD}"),
                    params![
                        day,
                        collection.to_string(),
                        spent.task,
                        spent.generator,
                        spent.place.as_str(),
                        share(spent.tokens.prompt),
                        share(spent.tokens.completion),
                        share(spent.reported.prompt),
                        share(spent.reported.completion),
                        share(busy),
                    ],
                )?;
            }
            if let Some(trail) = spent.trail {
                let id = trail.id.as_str();
                let json =
                    serde_json::to_string(trail).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
                let values = params![id, spent.at.as_second(), json];
                transaction.execute("INSERT INTO trails VALUES (?1, ?2, ?3)", values)?;
                for collection in spent.collections {
                    transaction.execute("INSERT INTO trails_about VALUES (?1, ?2)", params![collection.to_string(), id])?;
                }
            }
            transaction.commit()
        })
    }

    pub(super) fn rows(&self, from: Date, to: Date) -> Result<Vec<Row>, UsageError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT day, collection, task, generator, place, tasks, prompt, completion, reported_prompt,
                        reported_completion, busy_ms
                 FROM usage WHERE day BETWEEN ?1 AND ?2 ORDER BY day, collection, task, generator, place",
            )?;
            statement.query_map(params![from.to_string(), to.to_string()], row)?.collect()
        })
    }

    /// A trail, and the collections that it is about.
    pub(super) fn trail(&self, id: &str) -> Result<Option<(Vec<CollectionId>, Trail)>, UsageError> {
        self.with(|connection| {
            let sql = "SELECT trail FROM trails WHERE id = ?1";
            let found: Option<String> = connection.query_row(sql, [id], |row| row.get(0)).optional()?;
            let Some(trail) = found.and_then(|text| serde_json::from_str(&text).ok()) else { return Ok(None) };
            let mut statement = connection.prepare_cached("SELECT collection FROM trails_about WHERE id = ?1")?;
            let about: Vec<CollectionId> =
                statement.query_map([id], |row| collection(row, 0))?.collect::<rusqlite::Result<_>>()?;
            Ok(Some((about, trail)))
        })
    }

    pub(super) fn forget(&self, collection: CollectionId) -> Result<(), UsageError> {
        let (id, nobody) = (collection.to_string(), NOBODY.to_string());
        self.with(|connection| {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute(
                &format!(
                    "INSERT INTO usage SELECT day, ?2, task, generator, place, tasks, prompt, completion, reported_prompt,
                        reported_completion, busy_ms FROM usage WHERE collection = ?1 {ADD}"
                ),
                params![id, nobody],
            )?;
            transaction.execute("DELETE FROM usage WHERE collection = ?1", [&id])?;
            let sql = "DELETE FROM trails WHERE id IN (SELECT id FROM trails_about WHERE collection = ?1)";
            transaction.execute(sql, [&id])?;
            transaction.commit()?;
            // What was written before stays readable in the log until it is folded in.
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        })
    }

    pub(super) fn forget_old_trails(&self, now: Timestamp) -> Result<(), UsageError> {
        let before = now.as_second().saturating_sub(KEPT.as_secs() as i64);
        self.with(|connection| connection.execute("DELETE FROM trails WHERE at < ?1", [before]).map(drop))
    }
}

fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    let number = |at: usize| row.get::<_, i64>(at).map(|number| number.unsigned_abs());
    let (day, place): (String, String) = (row.get(0)?, row.get(4)?);
    Ok(Row {
        day: day.parse().map_err(|_| unreadable(0))?,
        collection: collection(row, 1)?,
        task: row.get(2)?,
        generator: row.get(3)?,
        place: if place == "cloud" { Place::Cloud } else { Place::Local },
        tasks: number(5)?,
        tokens: Tokens { prompt: number(6)?, completion: number(7)? },
        reported: Tokens { prompt: number(8)?, completion: number(9)? },
        busy: Duration::from_millis(number(10)?),
    })
}

fn collection(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<CollectionId> {
    row.get::<_, String>(at)?.parse().map_err(|_| unreadable(at))
}

fn unreadable(at: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(at, "what no version of this program wrote".into(), rusqlite::types::Type::Text)
}
