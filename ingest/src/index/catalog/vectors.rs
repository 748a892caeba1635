//! Vectors of the catalog, kept by text hash and model: the same text is embedded once a collection, whatever happens to its documents.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Catalog, ChangeRow, schema};
use crate::index::IndexError;
use crate::model::{ChunkId, Fingerprint, TextHash};

/// Set while some chunks have no vector of the collection's model, because none was loaded when they came.
pub(super) const UNEMBEDDED: &str = "unembedded";
/// Name of the model whose vectors are in the vector index.
const FINGERPRINT: &str = "vector_fingerprint";
/// Numbers in a vector of that model.
pub(crate) const DIMENSION: &str = "vector_dimension";
/// Number of the vector index's folder.
pub(crate) const VECTOR_GENERATION: &str = "vector_generation";

/// A chunk that lacks a vector.
#[derive(Clone, Debug)]
pub struct Unembedded {
    /// The chunk.
    pub chunk: ChunkId,
    /// Hash of its trimmed text.
    pub hash: TextHash,
    /// Its text.
    pub text: String,
}

fn id_of(tx: &Transaction<'_>, fingerprint: &Fingerprint) -> Result<i64, IndexError> {
    tx.prepare_cached("INSERT OR IGNORE INTO fingerprints (name) VALUES (?1)")?.execute([&fingerprint.0])?;
    Ok(tx.prepare_cached("SELECT id FROM fingerprints WHERE name = ?1")?.query_row([&fingerprint.0], |row| row.get(0))?)
}

fn known_id(tx: &Transaction<'_>, fingerprint: &Fingerprint) -> Result<Option<i64>, IndexError> {
    Ok(tx
        .prepare_cached("SELECT id FROM fingerprints WHERE name = ?1")?
        .query_row([&fingerprint.0], |row| row.get(0))
        .optional()?)
}

/// Whether vectors of `offered` fit the collection: `Some(id)` of the model they are kept under, `Some(None)` where none are
/// offered, `None` where the collection's are of another model. The first vectors decide.
pub(super) fn admit(tx: &Transaction<'_>, offered: Option<&Fingerprint>) -> Result<Option<Option<i64>>, IndexError> {
    let Some(offered) = offered else { return Ok(Some(None)) };
    match schema::meta(tx, FINGERPRINT)? {
        None => schema::set_meta(tx, FINGERPRINT, &offered.0)?,
        Some(held) if held == offered.0 => {}
        Some(_) => return Ok(None),
    }
    id_of(tx, offered).map(|id| Some(Some(id)))
}

pub(super) fn insert(tx: &Transaction<'_>, fingerprint: i64, vectors: &[(TextHash, Vec<f32>)]) -> Result<(), IndexError> {
    let mut insert = tx.prepare_cached("INSERT OR IGNORE INTO vectors (hash, fingerprint, vector) VALUES (?1, ?2, ?3)")?;
    for (hash, vector) in vectors {
        let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        insert.execute(params![hash.0, fingerprint, bytes])?;
    }
    Ok(())
}

/// Whether some of `hashes` have no vector of that model, neither in the catalog nor among `brought`: a purge may have taken
/// away what was there when the others were embedded.
pub(super) fn lacking<'a>(
    tx: &Transaction<'_>,
    fingerprint: i64,
    hashes: impl Iterator<Item = &'a TextHash>,
    brought: &[(TextHash, Vec<f32>)],
) -> Result<bool, IndexError> {
    let mut known: HashSet<TextHash> = brought.iter().map(|(hash, _)| *hash).collect();
    let mut statement = tx.prepare_cached("SELECT 1 FROM vectors WHERE hash = ?1 AND fingerprint = ?2")?;
    for hash in hashes {
        if known.insert(*hash) && !statement.exists(params![hash.0, fingerprint])? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
}

impl Catalog {
    /// The model whose vectors the collection is searched with; none before its first vectors.
    pub fn fingerprint(&self) -> Result<Option<Fingerprint>, IndexError> {
        Ok(self.meta(FINGERPRINT)?.map(Fingerprint))
    }

    /// Whether some chunks may lack vectors of the collection's model.
    pub fn has_unembedded(&self) -> Result<bool, IndexError> {
        Ok(self.meta(UNEMBEDDED)?.is_some())
    }

    /// Which of the given texts have no vector of that model yet.
    pub fn without_vector(&self, hashes: &[TextHash], fingerprint: &Fingerprint) -> Result<HashSet<TextHash>, IndexError> {
        self.read(|tx| {
            let mut missing = HashSet::new();
            let Some(id) = known_id(tx, fingerprint)? else { return Ok(hashes.iter().copied().collect()) };
            let mut statement = tx.prepare_cached("SELECT 1 FROM vectors WHERE hash = ?1 AND fingerprint = ?2")?;
            for hash in hashes {
                if !statement.exists(params![hash.0, id])? {
                    missing.insert(*hash);
                }
            }
            Ok(missing)
        })
    }

    /// Chunks after `after` without a vector of that model, in order of id, at most `limit`.
    pub fn unembedded(&self, fingerprint: &Fingerprint, after: ChunkId, limit: usize) -> Result<Vec<Unembedded>, IndexError> {
        self.read(|tx| {
            let id = known_id(tx, fingerprint)?.unwrap_or(-1);
            let mut statement = tx.prepare_cached(
                "SELECT c.id, c.hash, c.text FROM chunks c WHERE c.id > ?2 AND NOT EXISTS
                    (SELECT 1 FROM vectors v WHERE v.hash = c.hash AND v.fingerprint = ?1) ORDER BY c.id LIMIT ?3",
            )?;
            let rows = statement.query_map([id, after.0 as i64, limit as i64], |row| {
                Ok(Unembedded { chunk: ChunkId(row.get::<_, i64>(0)? as u64), hash: TextHash(row.get(1)?), text: row.get(2)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Keeps vectors that were made for chunks which are in the catalog already.
    pub fn add_vectors(&self, fingerprint: &Fingerprint, vectors: &[(TextHash, Vec<f32>)]) -> Result<(), IndexError> {
        self.write(|tx| {
            let id = id_of(tx, fingerprint)?;
            insert(tx, id, vectors)
        })
    }

    /// The vectors of a change's chunks, in order of id. Chunks without one are left out, and so are those that say again what an
    /// earlier one of the same version says: a document of one line a hundred thousand times would be all that any search finds.
    pub fn points(&self, change: &ChangeRow, fingerprint: &Fingerprint) -> Result<Vec<(ChunkId, Vec<f32>)>, IndexError> {
        self.read(|tx| {
            let Some(id) = known_id(tx, fingerprint)? else { return Ok(Vec::new()) };
            let mut statement = tx.prepare_cached(
                "SELECT MIN(c.id), v.vector FROM chunks c JOIN vectors v ON v.hash = c.hash AND v.fingerprint = ?1
                 WHERE c.id >= ?2 AND c.id < ?3 GROUP BY c.hash ORDER BY 1",
            )?;
            let last = change.first_chunk.0 + change.chunks;
            let rows = statement.query_map([id, change.first_chunk.0 as i64, last as i64], |row| {
                Ok((ChunkId(row.get::<_, i64>(0)? as u64), numbers(row.get_ref(1)?.as_blob()?)))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Makes `generation` the vector index that answers, with vectors of `fingerprint`. A change of model needs such a vector for
    /// every chunk: false if some chunk has none yet (embed the rest and ask again).
    pub fn flip_vectors(&self, generation: u64, fingerprint: &Fingerprint, dimension: usize) -> Result<bool, IndexError> {
        self.write(|tx| {
            let id = id_of(tx, fingerprint)?;
            let same = schema::meta(tx, FINGERPRINT)?.as_deref() == Some(fingerprint.0.as_str());
            // The whole table is asked only where something may lack: every other commit brought its vectors with it.
            let doubtful = !same || schema::meta(tx, UNEMBEDDED)?.is_some();
            let lacking: bool = doubtful
                && tx.query_row(
                    "SELECT EXISTS (SELECT 1 FROM chunks c WHERE NOT EXISTS
                        (SELECT 1 FROM vectors v WHERE v.hash = c.hash AND v.fingerprint = ?1))",
                    [id],
                    |row| row.get(0),
                )?;
            if lacking && !same {
                return Ok(false);
            }
            schema::set_meta(tx, FINGERPRINT, &fingerprint.0)?;
            schema::set_meta(tx, DIMENSION, &dimension.to_string())?;
            schema::set_meta(tx, VECTOR_GENERATION, &generation.to_string())?;
            if !lacking {
                tx.execute("DELETE FROM meta WHERE key = ?1", [UNEMBEDDED])?;
            }
            // Vectors of a model that no index uses any more.
            if !same {
                tx.execute("DELETE FROM vectors WHERE fingerprint != ?1", [id])?;
            }
            Ok(true)
        })
    }
}
