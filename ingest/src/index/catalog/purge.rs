//! Takes what is hidden out of the catalog for good: rows overwritten, the log cut, so that a raw-byte search finds nothing.

use super::{Catalog, recordings};
use crate::index::IndexError;
use crate::model::Seq;

/// What a purge took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Versions.
    pub versions: u64,
    /// Chunks with their text.
    pub chunks: u64,
    /// Vectors that no chunk needs any more.
    pub vectors: u64,
}

impl Catalog {
    /// Whether a purge would take anything away.
    pub fn has_hidden(&self) -> Result<bool, IndexError> {
        self.read(|tx| Ok(tx.query_row("SELECT EXISTS (SELECT 1 FROM versions WHERE state = 'hidden')", [], |row| row.get(0))?))
    }

    /// Removes every version hidden by a change up to `upto`, which both indexes must have applied, with its chunks, vectors
    /// and changes. `secure_delete` overwrites the bytes in the file; the log is cut by [`Catalog::truncate_log`].
    pub fn purge(&self, upto: Seq) -> Result<Purged, IndexError> {
        self.write(|tx| {
            let upto = upto.0 as i64;
            let ranges: Vec<(i64, i64)> = tx
                .prepare("SELECT first_chunk, first_chunk + chunks FROM versions WHERE state = 'hidden' AND gone_seq <= ?1")?
                .query_map([upto], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let mut purged = Purged::default();
            tx.execute_batch("CREATE TEMP TABLE IF NOT EXISTS gone_hashes (hash BLOB)")?;
            for (first, end) in ranges {
                tx.execute("INSERT INTO temp.gone_hashes SELECT hash FROM chunks WHERE id >= ?1 AND id < ?2", [first, end])?;
                purged.chunks += tx.execute("DELETE FROM chunks WHERE id >= ?1 AND id < ?2", [first, end])? as u64;
            }
            if purged.chunks > 0 {
                purged.vectors = tx.execute(
                    "DELETE FROM vectors WHERE hash IN (SELECT hash FROM temp.gone_hashes)
                        AND NOT EXISTS (SELECT 1 FROM chunks c WHERE c.hash = vectors.hash)",
                    [],
                )? as u64;
                tx.execute("DELETE FROM temp.gone_hashes", [])?;
            }
            recordings::purge(tx, upto)?;
            tx.execute(
                "DELETE FROM changes WHERE seq <= ?1 AND version IN
                    (SELECT id FROM versions WHERE state = 'hidden' AND gone_seq <= ?1)",
                [upto],
            )?;
            purged.versions = tx.execute("DELETE FROM versions WHERE state = 'hidden' AND gone_seq <= ?1", [upto])? as u64;
            Ok(purged)
        })
    }

    /// Writes the log back into the file and cuts it to nothing. False if a reader is still looking at old pages.
    pub fn truncate_log(&self) -> Result<bool, IndexError> {
        let writer = self.writer.lock();
        self.readers.lock().clear();
        let busy: i64 = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok(busy == 0)
    }
}
