//! Versions of the catalog: staged by a commit, flipped to searchable once both indexes have them, hidden when gone.

use rusqlite::{OptionalExtension, Transaction, params};

use super::Catalog;
use super::documents::now_ns;
use crate::index::IndexError;
use crate::model::{Chunk, ChunkId, Fingerprint, Moment, Reason, Scribe, Seq, Sha256, TextHash, VersionId};

/// A chunk on its way into the catalog.
#[derive(Clone, Debug)]
pub struct NewChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// Hash of its trimmed text.
    pub hash: TextHash,
}

/// What reading a document gave.
#[derive(Clone, Debug, Default)]
pub struct NewVersion {
    /// The bytes it was read from; must still be the document's.
    pub sha256: Sha256,
    /// Names what made text and chunks of the bytes; equal bytes under an equal name are not read again.
    pub extractor: String,
    /// Title found in the document.
    pub title: Option<String>,
    /// What the bytes are.
    pub media_type: String,
    /// Which engine read which pages, for people.
    pub engines: String,
    /// Number of pages; none where the format has none.
    pub pages: Option<u32>,
    /// Pages that nobody could read.
    pub missing_pages: Vec<u32>,
    /// Who wrote it, by its own metadata.
    pub author: Option<String>,
    /// When it was written or sent, by its own metadata, in seconds since 1970.
    pub written_at: Option<i64>,
    /// What people should know though it was read.
    pub note: Option<String>,
    /// How much like text each page is, in percent; none where nobody judged.
    pub qualities: Vec<Option<u8>>,
    /// Of a recording: when each piece of its text is said.
    pub moments: Vec<Moment>,
    /// Of a recording: who wrote it down.
    pub scribe: Option<Scribe>,
    /// What was found inside it, at all depths. Empty in what is itself a member.
    pub members: Vec<NewMember>,
    /// All of its chunks, in order.
    pub chunks: Vec<NewChunk>,
    /// The model that `vectors` are of; none if no model is loaded. A member's is its document's.
    pub fingerprint: Option<Fingerprint>,
    /// Vectors made for this version and its members; those the catalog has already are not among them.
    pub vectors: Vec<(TextHash, Vec<f32>)>,
}

/// Something inside a document, on its way into the catalog.
#[derive(Clone, Debug)]
pub struct NewMember {
    /// Its name below the document's path, `!/` between the depths.
    pub name: String,
    /// Hash of its bytes.
    pub sha256: Sha256,
    /// Their number.
    pub bytes: u64,
    /// What reading it gave.
    pub outcome: Result<NewVersion, Unreadable>,
}

/// Why a document gives no version.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// The reason.
    pub reason: Reason,
    /// More about it, for people; holds nothing of the text.
    pub detail: String,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It stands in the catalog as this change.
    At(Seq),
    /// The document is gone, or has other bytes by now: nothing was kept.
    Stale,
    /// The collection's vectors are of another model by now, or some that were there are gone: embed again.
    OtherModel,
}

/// What a change does to the indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A version is to be inserted.
    Insert,
    /// A version is to be taken away.
    Delete,
}

/// One row of the change sequence, with where the version's chunks are.
#[derive(Clone, Copy, Debug)]
pub struct ChangeRow {
    /// Its place.
    pub seq: Seq,
    /// The version.
    pub version: VersionId,
    /// What to do.
    pub kind: ChangeKind,
    /// The first of its chunks.
    pub first_chunk: ChunkId,
    /// How many it has; 0 if the version was purged meanwhile.
    pub chunks: u64,
}

impl ChangeRow {
    /// Ids of the version's chunks.
    pub fn chunk_ids(&self) -> Vec<ChunkId> {
        (self.first_chunk.0..self.first_chunk.0 + self.chunks).map(ChunkId).collect()
    }
}

/// Adds a change; its place.
pub(super) fn add_change(tx: &Transaction<'_>, version: i64, kind: &str) -> Result<i64, IndexError> {
    tx.prepare_cached("INSERT INTO changes (version, kind) VALUES (?1, ?2)")?.execute(params![version, kind])?;
    Ok(tx.last_insert_rowid())
}

/// Hides a version, if there is one: it answers no search that begins from now on, and both indexes are told.
pub(super) fn hide(tx: &Transaction<'_>, version: Option<i64>) -> Result<(), IndexError> {
    let Some(version) = version else { return Ok(()) };
    let seq = add_change(tx, version, "delete")?;
    tx.prepare_cached("UPDATE versions SET state = 'hidden', gone_seq = ?2 WHERE id = ?1")?.execute([version, seq])?;
    Ok(())
}

impl Catalog {
    /// Makes every staged version that both indexes hold (changes up to `upto`) searchable, in one transaction. How many.
    pub fn flip(&self, upto: Seq) -> Result<u64, IndexError> {
        let any = self.read(|tx| {
            let mut statement =
                tx.prepare_cached("SELECT EXISTS (SELECT 1 FROM versions WHERE state = 'staged' AND seq <= ?1)")?;
            Ok(statement.query_row([upto.0 as i64], |row| row.get::<_, bool>(0))?)
        })?;
        if !any {
            return Ok(0);
        }
        self.write(|tx| {
            let ready: Vec<(i64, Option<i64>)> = tx
                .prepare_cached(
                    "SELECT v.id, d.live FROM versions v JOIN documents d ON d.id = v.document
                     WHERE v.state = 'staged' AND v.seq <= ?1 AND d.staged = v.id ORDER BY v.id",
                )?
                .query_map([upto.0 as i64], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            for (version, old) in &ready {
                hide(tx, *old)?;
                tx.prepare_cached("UPDATE versions SET state = 'live' WHERE id = ?1")?.execute([version])?;
                tx.prepare_cached(
                    "UPDATE documents SET live = ?1, staged = NULL, indexed_at = ?2, reason = NULL, detail = NULL, attempts = 0,
                        state = (SELECT CASE missing_pages WHEN '' THEN 'indexed' ELSE 'partial' END FROM versions WHERE id = ?1)
                     WHERE id = (SELECT document FROM versions WHERE id = ?1)",
                )?
                .execute([*version, now_ns()])?;
            }
            Ok(ready.len() as u64)
        })
    }

    /// Changes after `after`, in order, at most `limit`.
    pub fn changes(&self, after: Seq, limit: usize) -> Result<Vec<ChangeRow>, IndexError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT c.seq, c.version, c.kind, COALESCE(v.first_chunk, 0), COALESCE(v.chunks, 0)
                 FROM changes c LEFT JOIN versions v ON v.id = c.version WHERE c.seq > ?1 ORDER BY c.seq LIMIT ?2",
            )?;
            let rows = statement.query_map([after.0 as i64, limit as i64], |row| {
                let kind: String = row.get(2)?;
                Ok(ChangeRow {
                    seq: Seq(row.get::<_, i64>(0)? as u64),
                    version: VersionId(row.get::<_, i64>(1)? as u64),
                    kind: if kind == "insert" { ChangeKind::Insert } else { ChangeKind::Delete },
                    first_chunk: ChunkId(row.get::<_, i64>(3)? as u64),
                    chunks: row.get::<_, i64>(4)? as u64,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Whether an index may be behind: a version waits to be flipped, or a hidden one was not purged yet.
    pub fn has_unapplied(&self) -> Result<bool, IndexError> {
        self.read(|tx| {
            let asked = "SELECT EXISTS (SELECT 1 FROM versions WHERE state = 'staged') OR EXISTS
                (SELECT 1 FROM versions WHERE state = 'hidden')";
            Ok(tx.query_row(asked, [], |row| row.get(0))?)
        })
    }

    /// The newest change that a searchable version came with: an index that is behind it has lost what it had.
    pub fn last_live(&self) -> Result<Seq, IndexError> {
        self.read(|tx| {
            let seq: i64 =
                tx.query_row("SELECT COALESCE(MAX(seq), 0) FROM versions WHERE state = 'live'", [], |row| row.get(0))?;
            Ok(Seq(seq as u64))
        })
    }

    /// The last change there is.
    pub fn last_change(&self) -> Result<Seq, IndexError> {
        self.read(|tx| Ok(Seq(last_seq(tx)?.0)))
    }
}

/// The last change ever made; AUTOINCREMENT's own counter, so that it outlives the purging of old changes.
pub(super) fn last_seq(tx: &Transaction<'_>) -> Result<Seq, IndexError> {
    let last = tx
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")?
        .query_row([], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(Seq(last.unwrap_or(0) as u64))
}
