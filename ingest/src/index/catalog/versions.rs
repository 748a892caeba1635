//! Versions of the catalog: staged by a commit, flipped to searchable once both indexes have them, hidden when gone.

use rusqlite::{OptionalExtension, Transaction, params};

use super::documents::{blob, now_ns};
use super::{Catalog, vectors};
use crate::index::IndexError;
use crate::model::{Chunk, ChunkId, DocumentId, Fingerprint, Reason, Seq, Sha256, TextHash, VersionId};

/// A chunk on its way into the catalog.
#[derive(Clone, Debug)]
pub struct NewChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// Hash of its trimmed text.
    pub hash: TextHash,
}

/// What reading a document gave.
#[derive(Clone, Debug)]
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
    /// All of its chunks, in order.
    pub chunks: Vec<NewChunk>,
    /// The model that `vectors` are of; none if no model is loaded.
    pub fingerprint: Option<Fingerprint>,
    /// Vectors made for this version; those the catalog has already are not among them.
    pub vectors: Vec<(TextHash, Vec<f32>)>,
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
fn add_change(tx: &Transaction<'_>, version: i64, kind: &str) -> Result<i64, IndexError> {
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

/// Whether the document still waits for these bytes; its staged version if so.
fn waiting(tx: &Transaction<'_>, id: DocumentId, sha256: Sha256) -> Result<Option<Option<i64>>, IndexError> {
    Ok(tx
        .prepare_cached("SELECT staged FROM documents WHERE id = ?1 AND sha256 = ?2 AND state = 'pending'")?
        .query_row(params![blob(id), sha256.0], |row| row.get(0))
        .optional()?)
}

impl Catalog {
    /// Keeps what was read of a document: its chunks, its vectors and the change, in one transaction.
    pub fn commit(&self, id: DocumentId, new: &NewVersion) -> Result<Committed, IndexError> {
        self.write(|tx| {
            let Some(staged) = waiting(tx, id, new.sha256)? else { return Ok(Committed::Stale) };
            let fits = vectors::admit(tx, new.fingerprint.as_ref())?;
            let Some(fingerprint) = fits else { return Ok(Committed::OtherModel) };
            if let Some(fingerprint) = fingerprint
                && vectors::lacking(tx, fingerprint, new.chunks.iter().map(|new| &new.hash), &new.vectors)?
            {
                return Ok(Committed::OtherModel);
            }
            hide(tx, staged)?;
            let first = next_chunk(tx)?;
            let missing = new.missing_pages.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            let characters = new.chunks.last().map_or(0, |last| last.chunk.span.end);
            tx.prepare_cached(
                "INSERT INTO versions (document, sha256, extractor, state, seq, first_chunk, chunks, title, media_type, engines,
                    pages, missing_pages, characters) VALUES (?1, ?2, ?3, 'staged', 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                blob(id), new.sha256.0, new.extractor, first, new.chunks.len() as i64, new.title, new.media_type, new.engines,
                new.pages, missing, characters as i64
            ])?;
            let version = tx.last_insert_rowid();
            {
                let mut insert = tx.prepare_cached(
                    "INSERT INTO chunks (id, version, page, heading_path, start, end, hash, text)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?;
                for (id, NewChunk { chunk, hash }) in (first..).zip(&new.chunks) {
                    insert.execute(params![
                        id,
                        version,
                        chunk.page,
                        chunk.heading_path,
                        chunk.span.start as i64,
                        chunk.span.end as i64,
                        hash.0,
                        chunk.text
                    ])?;
                }
            }
            if let Some(fingerprint) = fingerprint {
                vectors::insert(tx, fingerprint, &new.vectors)?;
                if let Some((_, vector)) = new.vectors.first() {
                    super::schema::set_meta(tx, vectors::DIMENSION, &vector.len().to_string())?;
                }
            } else if !new.chunks.is_empty() {
                super::schema::set_meta(tx, vectors::UNEMBEDDED, "yes")?;
            }
            stage(tx, id, version)
        })
    }

    /// Makes a version of a document out of one that was read from the same bytes in the same way before. None if there is none.
    pub fn commit_copy(&self, id: DocumentId, sha256: Sha256, extractor: &str) -> Result<Option<Committed>, IndexError> {
        self.write(|tx| {
            let Some(staged) = waiting(tx, id, sha256)? else { return Ok(Some(Committed::Stale)) };
            let source = tx
                .prepare_cached(
                    "SELECT id, first_chunk, chunks FROM versions WHERE sha256 = ?1 AND extractor = ?2 ORDER BY id DESC LIMIT 1",
                )?
                .query_row(params![sha256.0, extractor], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))
                .optional()?;
            let Some((source, from, chunks)) = source else { return Ok(None) };
            hide(tx, staged)?;
            let first = next_chunk(tx)?;
            tx.prepare_cached(
                "INSERT INTO versions (document, sha256, extractor, state, seq, first_chunk, chunks, title, media_type, engines,
                    pages, missing_pages, characters)
                 SELECT ?2, sha256, extractor, 'staged', 0, ?3, chunks, title, media_type, engines, pages, missing_pages, characters
                 FROM versions WHERE id = ?1",
            )?
            .execute(params![source, blob(id), first])?;
            let version = tx.last_insert_rowid();
            tx.prepare_cached(
                "INSERT INTO chunks (id, version, page, heading_path, start, end, hash, text)
                 SELECT id - ?1 + ?2, ?3, page, heading_path, start, end, hash, text FROM chunks WHERE id >= ?1 AND id < ?1 + ?4",
            )?
            .execute([from, first, version, chunks])?;
            stage(tx, id, version).map(Some)
        })
    }

    /// Notes that a document's bytes cannot be read. What answered for it before answers no more.
    pub fn commit_unreadable(&self, id: DocumentId, sha256: Sha256, why: &Unreadable) -> Result<Committed, IndexError> {
        self.write(|tx| {
            let Some(staged) = waiting(tx, id, sha256)? else { return Ok(Committed::Stale) };
            let live = tx.query_row("SELECT live FROM documents WHERE id = ?1", [blob(id)], |row| row.get(0))?;
            hide(tx, staged)?;
            hide(tx, live)?;
            tx.prepare_cached(
                "UPDATE documents SET state = 'unreadable', reason = ?2, detail = ?3, live = NULL, staged = NULL, indexed_at = NULL
                 WHERE id = ?1",
            )?
            .execute(params![blob(id), why.reason.as_str(), why.detail])?;
            Ok(Committed::At(last_seq(tx)?))
        })
    }

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

/// Gives a version that was just inserted its change and makes it what its document waits for.
fn stage(tx: &Transaction<'_>, id: DocumentId, version: i64) -> Result<Committed, IndexError> {
    let seq = add_change(tx, version, "insert")?;
    tx.prepare_cached("UPDATE versions SET seq = ?2 WHERE id = ?1")?.execute([version, seq])?;
    tx.prepare_cached("UPDATE documents SET staged = ?2 WHERE id = ?1")?.execute(params![blob(id), version])?;
    Ok(Committed::At(Seq(seq as u64)))
}

/// The id that the next chunk gets; AUTOINCREMENT's own counter, so that ids of purged chunks stay unused.
fn next_chunk(tx: &Transaction<'_>) -> Result<i64, IndexError> {
    let last = tx
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'")?
        .query_row([], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(last.unwrap_or(0) + 1)
}

/// The last change ever made; AUTOINCREMENT's own counter, so that it outlives the purging of old changes.
fn last_seq(tx: &Transaction<'_>) -> Result<Seq, IndexError> {
    let last = tx
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")?
        .query_row([], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(Seq(last.unwrap_or(0) as u64))
}
