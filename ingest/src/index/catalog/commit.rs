//! Puts what was read into the catalog: a version with its chunks, its vectors and its members, in one transaction.

use rusqlite::{OptionalExtension, Transaction, params};

use super::documents::blob;
use super::versions::{Committed, NewChunk, NewVersion, Unreadable, add_change, hide, last_seq};
use super::{Catalog, members, recordings, schema, vectors};
use crate::index::IndexError;
use crate::model::{DocumentId, Seq, Sha256};

/// Whether the document still waits for these bytes; its staged version if so.
fn waiting(tx: &Transaction<'_>, id: DocumentId, sha256: Sha256) -> Result<Option<Option<i64>>, IndexError> {
    Ok(tx
        .prepare_cached("SELECT staged FROM documents WHERE id = ?1 AND sha256 = ?2 AND state = 'pending'")?
        .query_row(params![blob(id), sha256.0], |row| row.get(0))
        .optional()?)
}

/// Inserts a version of a document with its chunks; `members` is how many documents are inside it.
pub(super) fn insert_version(
    tx: &Transaction<'_>,
    id: DocumentId,
    new: &NewVersion,
    members: usize,
) -> Result<i64, IndexError> {
    let first = next_chunk(tx)?;
    let missing = new.missing_pages.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let quality = |quality: &Option<u8>| quality.map_or_else(|| "-".to_owned(), |percent| percent.to_string());
    let qualities = new.qualities.iter().map(quality).collect::<Vec<_>>().join(",");
    let characters = new.chunks.last().map_or(0, |last| last.chunk.span.end);
    tx.prepare_cached(
        "INSERT INTO versions (document, sha256, extractor, state, seq, first_chunk, chunks, title, media_type, engines,
            pages, missing_pages, characters, author, written_at, note, qualities, members)
         VALUES (?1, ?2, ?3, 'staged', 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        blob(id),
        new.sha256.0,
        new.extractor,
        first,
        new.chunks.len() as i64,
        new.title,
        new.media_type,
        new.engines,
        new.pages,
        missing,
        characters as i64,
        new.author,
        new.written_at,
        new.note,
        qualities,
        members as i64
    ])?;
    let version = tx.last_insert_rowid();
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
    recordings::insert(tx, version, new)?;
    Ok(version)
}

impl Catalog {
    /// Keeps what was read of a document: its chunks, its vectors, what is inside it, and the changes, in one transaction.
    pub fn commit(&self, id: DocumentId, new: &NewVersion) -> Result<Committed, IndexError> {
        self.write(|tx| {
            let Some(staged) = waiting(tx, id, new.sha256)? else { return Ok(Committed::Stale) };
            let fits = vectors::admit(tx, new.fingerprint.as_ref())?;
            let Some(fingerprint) = fits else { return Ok(Committed::OtherModel) };
            let inside = new.members.iter().filter_map(|member| member.outcome.as_ref().ok());
            let mut hashes = inside.chain([new]).flat_map(|version| &version.chunks).map(|new| &new.hash).peekable();
            match fingerprint {
                Some(fingerprint) if vectors::lacking(tx, fingerprint, &mut hashes, &new.vectors)? => {
                    return Ok(Committed::OtherModel);
                }
                Some(fingerprint) => vectors::insert(tx, fingerprint, &new.vectors)?,
                None if hashes.peek().is_some() => schema::set_meta(tx, vectors::UNEMBEDDED, "yes")?,
                None => {}
            }
            if let Some((_, vector)) = new.vectors.first() {
                schema::set_meta(tx, vectors::DIMENSION, &vector.len().to_string())?;
            }
            // The document's own change comes last: once it is searchable, all that is inside it is.
            members::replace(tx, id, &new.members)?;
            hide(tx, staged)?;
            let version = insert_version(tx, id, new, new.members.len())?;
            stage(tx, id, version)
        })
    }

    /// Makes a version of a document out of one that was read from the same bytes in the same way before. None if there is none,
    /// or if there are documents inside it: those are read again.
    pub fn commit_copy(&self, id: DocumentId, sha256: Sha256, extractor: &str) -> Result<Option<Committed>, IndexError> {
        self.write(|tx| {
            let Some(staged) = waiting(tx, id, sha256)? else { return Ok(Some(Committed::Stale)) };
            let source = tx
                .prepare_cached(
                    "SELECT id, first_chunk, chunks FROM versions WHERE sha256 = ?1 AND extractor = ?2 AND members = 0
                     ORDER BY id DESC LIMIT 1",
                )?
                .query_row(params![sha256.0, extractor], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))
                .optional()?;
            let Some((source, from, chunks)) = source else { return Ok(None) };
            hide(tx, staged)?;
            let first = next_chunk(tx)?;
            tx.prepare_cached(
                "INSERT INTO versions (document, sha256, extractor, state, seq, first_chunk, chunks, title, media_type, engines,
                    pages, missing_pages, characters, author, written_at, note, qualities)
                 SELECT ?2, sha256, extractor, 'staged', 0, ?3, chunks, title, media_type, engines, pages, missing_pages,
                    characters, author, written_at, note, qualities
                 FROM versions WHERE id = ?1",
            )?
            .execute(params![source, blob(id), first])?;
            let version = tx.last_insert_rowid();
            tx.prepare_cached(
                "INSERT INTO chunks (id, version, page, heading_path, start, end, hash, text)
                 SELECT id - ?1 + ?2, ?3, page, heading_path, start, end, hash, text FROM chunks WHERE id >= ?1 AND id < ?1 + ?4",
            )?
            .execute([from, first, version, chunks])?;
            recordings::copy(tx, source, version)?;
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
            members::remove(tx, id)?;
            tx.prepare_cached(
                "UPDATE documents SET state = 'unreadable', reason = ?2, detail = ?3, live = NULL, staged = NULL, indexed_at = NULL
                 WHERE id = ?1",
            )?
            .execute(params![blob(id), why.reason.as_str(), why.detail])?;
            Ok(Committed::At(last_seq(tx)?))
        })
    }
}

/// Gives a version that was just inserted its change and makes it what its document waits for.
pub(super) fn stage(tx: &Transaction<'_>, id: DocumentId, version: i64) -> Result<Committed, IndexError> {
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
