//! The vector index embedded in this process: one `qdrant-edge` shard in a folder, and a watermark beside it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use qdrant_edge::{EdgeShard, PointId, PointStruct, ScoredPoint, ScrollRequest, WithPayloadInterface, WithVector};

use super::engine::{self, Query, guarded};
use super::log;
use super::place::{create, inspect, load, shard_dir};
use super::watermark::{Begun, Watermark};
use super::{VectorChange, VectorError, VectorHit, VectorStore};
use crate::model::{ChunkId, Scope, Seq, VersionId};

/// Points sent to the engine at once: enough to be fast, few enough to be a log record of some megabytes at most.
const BATCH_POINTS: usize = 500;
/// The same, in numbers.
const BATCH_NUMBERS: usize = 512 * 1024;
/// Unindexed points from which [`VectorStore::optimize`] builds a graph.
const OPTIMIZE_AFTER: usize = 20_000;
/// Log size from which the shard is closed and opened to cut it.
const LOG_LIMIT: u64 = 64 * 1024 * 1024;
/// Hits asked for beyond the limit, to see whether a tie crosses it.
const SPARE: usize = 8;

/// Where an [`EdgeIndex`] lies and what it holds.
#[derive(Clone, Debug)]
pub struct EdgeOptions {
    /// Its folder, made where missing. Nothing else may lie in it.
    pub dir: PathBuf,
    /// Length of its vectors.
    pub dimension: usize,
    /// [`VectorStore::optimize`] builds a graph from this many unindexed points.
    pub optimize_after: usize,
}

impl EdgeOptions {
    /// Options with the usual thresholds.
    pub fn new(dir: PathBuf, dimension: usize) -> EdgeOptions {
        EdgeOptions { dir, dimension, optimize_after: OPTIMIZE_AFTER }
    }
}

/// A vector index in a folder of this machine. Dropping it closes it; its folder may be removed then.
///
/// Data is durable before the watermark that claims it. After an engine's panic it answers every write with `Damaged`.
pub struct EdgeIndex {
    options: EdgeOptions,
    /// None only after it could not be opened again.
    shard: RwLock<Option<EdgeShard>>,
    /// Held by whatever writes, so that `flush`, which panics on contention, never meets any.
    writer: Mutex<Writer>,
    seq: AtomicU64,
    points: AtomicU64,
    /// Whether some points are reached by graph, so that a search may miss.
    indexed: AtomicBool,
    broken: AtomicBool,
}

struct Writer {
    watermark: Watermark,
    /// Whether updates were proved to take effect since the shard was loaded.
    proved: bool,
}

impl EdgeIndex {
    /// Opens the index in a folder, or makes one there.
    ///
    /// # Errors
    /// `Damaged` if what lies there is not a whole index that its watermark explains; `Dimension` if it holds other vectors.
    pub fn open(options: EdgeOptions) -> Result<EdgeIndex, VectorError> {
        let failed = |error: std::io::Error| VectorError::Failed(format!("its folder could not be made: {error}"));
        fs::create_dir_all(&options.dir).map_err(failed)?;
        let (shard, watermark) = match Watermark::read(&options.dir)? {
            Some(watermark) => (load(&options, &watermark)?, watermark),
            None => create(&options)?,
        };
        let points = match inspect(&shard, &watermark) {
            Ok(points) => points,
            Err(error) => {
                // Closing what is damaged may fail too; the first reason is the one to tell.
                let _ = engine::close(shard);
                return Err(engine::damaged(error));
            }
        };
        let indexed = engine::indexed(&shard)? > 0;
        Ok(EdgeIndex {
            options,
            shard: RwLock::new(Some(shard)),
            seq: AtomicU64::new(watermark.seq),
            points: AtomicU64::new(points),
            indexed: AtomicBool::new(indexed),
            broken: AtomicBool::new(false),
            writer: Mutex::new(Writer { watermark, proved: false }),
        })
    }

    /// Runs a reading call on the shard.
    fn read<T>(&self, call: impl FnOnce(&EdgeShard) -> Result<T, VectorError>) -> Result<T, VectorError> {
        call(self.shard.read().as_ref().ok_or_else(closed)?)
    }

    /// Runs a writing call; a `Damaged` that it returns is remembered.
    fn write<T>(&self, call: impl FnOnce(&mut Writer) -> Result<T, VectorError>) -> Result<T, VectorError> {
        let mut writer = self.writer.lock();
        if self.broken.load(Ordering::Acquire) {
            return Err(VectorError::Damaged("an earlier write failed".into()));
        }
        let result = call(&mut writer);
        if let Err(VectorError::Damaged(what)) = &result {
            tracing::error!(what, "a vector index is damaged and has to be rebuilt");
            self.broken.store(true, Ordering::Release);
        }
        result
    }

    fn check(&self, vector: &[f32]) -> Result<(), VectorError> {
        let wanted = self.options.dimension;
        if vector.len() != wanted {
            return Err(VectorError::Dimension { given: vector.len(), wanted });
        }
        if vector.iter().all(|number| number.is_finite()) {
            Ok(())
        } else {
            Err(VectorError::Failed("a vector holds something that is not a number".into()))
        }
    }

    /// What an apply may do to the number of points; errors for what can't be applied at all.
    fn plan(&self, changes: &[VectorChange]) -> Result<Begun, VectorError> {
        let mut begun = Begun::default();
        for change in changes {
            match change {
                VectorChange::Insert { version, points } => {
                    if i64::try_from(version.0).is_err() {
                        return Err(VectorError::Failed("a version id is too large".into()));
                    }
                    for (chunk, vector) in points {
                        self.check(vector)?;
                        if chunk.0 == engine::PROBE {
                            return Err(VectorError::Failed("a chunk id is too large".into()));
                        }
                    }
                    begun.inserts += points.len() as u64;
                }
                VectorChange::Delete { chunks, .. } => begun.deletes += chunks.len() as u64,
            }
        }
        Ok(begun)
    }

    /// Searches once; hits sorted best first, ties by chunk id.
    fn hits(&self, shard: &EdgeShard, query: Query<'_>) -> Result<Vec<VectorHit>, VectorError> {
        let found = engine::query(shard, query)?;
        let mut hits = found.iter().map(hit).collect::<Result<Vec<_>, _>>()?;
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
        Ok(hits)
    }

    /// Closes the shard, cuts its log and opens it again. Searches wait that long.
    fn reopen(&self, writer: &mut Writer) -> Result<(), VectorError> {
        let mut slot = self.shard.write();
        if let Some(shard) = slot.take() {
            engine::close(shard)?;
        }
        writer.proved = false;
        *slot = Some(load(&self.options, &writer.watermark)?);
        Ok(())
    }
}

impl VectorStore for EdgeIndex {
    fn watermark(&self) -> Seq {
        Seq(self.seq.load(Ordering::Acquire))
    }

    fn apply(&self, changes: Vec<VectorChange>, upto: Seq) -> Result<(), VectorError> {
        self.write(|writer| {
            if upto < self.watermark() {
                return Err(VectorError::Failed("changes older than the watermark".into()));
            }
            let begun = self.plan(&changes)?;
            if begun != Begun::default() {
                // An earlier apply that failed half way may have left its points behind.
                let before = writer.watermark.begun.unwrap_or_default();
                writer.watermark.begun =
                    Some(Begun { inserts: begun.inserts + before.inserts, deletes: begun.deletes + before.deletes });
                writer.watermark.write(&self.options.dir)?;
                let points = self.read(|shard| {
                    if !writer.proved {
                        engine::probe(shard)?;
                        writer.proved = true;
                    }
                    apply(shard, changes)?;
                    engine::probe(shard)?;
                    engine::flush(shard)?;
                    engine::points(shard)
                })?;
                writer.watermark.points = points;
                writer.watermark.begun = None;
                self.points.store(points, Ordering::Release);
            }
            writer.watermark.seq = upto.0;
            writer.watermark.write(&self.options.dir)?;
            self.seq.store(upto.0, Ordering::Release);
            if begun != Begun::default() && log::allocated(&shard_dir(&self.options.dir)) > LOG_LIMIT {
                self.reopen(writer)?;
            }
            Ok(())
        })
    }

    fn search(&self, query: &[f32], scope: &Scope, limit: usize) -> Result<Vec<VectorHit>, VectorError> {
        self.check(query)?;
        let Ok(filter) = engine::filter(scope) else {
            return Ok(Vec::new());
        };
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut ask = limit.saturating_add(SPARE);
        self.read(|shard| {
            // A graph that was walked under a filter, or for as many hits as there are points, can miss some.
            let mut exact = !self.indexed.load(Ordering::Acquire);
            loop {
                // The engine makes room for as many hits as it is asked for.
                let most = usize::try_from(self.points.load(Ordering::Acquire)).unwrap_or(usize::MAX).saturating_add(SPARE);
                ask = ask.min(most.max(SPARE));
                let query = Query { vector: query, filter: filter.clone(), limit: ask, exact };
                let mut hits = self.hits(shard, query)?;
                let short = hits.len() < ask;
                if short && !exact && hits.len() < limit {
                    exact = true;
                    continue;
                }
                // Points with one score beyond the last asked for could belong before the limit by their ids.
                let cut_in_tie = !short && hits.len() > limit && hits[limit - 1].score == hits[hits.len() - 1].score;
                if cut_in_tie && ask < most {
                    ask = ask.saturating_mul(4);
                    continue;
                }
                hits.truncate(limit);
                return Ok(hits);
            }
        })
    }

    fn score(&self, query: &[f32], chunks: &[ChunkId]) -> Result<Vec<VectorHit>, VectorError> {
        self.check(query)?;
        if chunks.is_empty() {
            return Ok(Vec::new());
        }
        let filter = Some(engine::these(chunks));
        self.read(|shard| self.hits(shard, Query { vector: query, filter, limit: chunks.len(), exact: true }))
    }

    fn contents(&self) -> Result<Vec<(ChunkId, VersionId)>, VectorError> {
        self.read(|shard| {
            let mut all = BTreeSet::new();
            let mut offset = None;
            loop {
                let request = ScrollRequest {
                    offset,
                    limit: Some(10_000),
                    filter: None,
                    with_payload: Some(WithPayloadInterface::Bool(true)),
                    with_vector: WithVector::Bool(false),
                    order_by: None,
                };
                let (records, next) = guarded("scroll", || shard.scroll(request))?;
                for record in records {
                    if record.id != PointId::NumId(engine::PROBE) {
                        all.insert((engine::chunk(&record.id)?, engine::version(record.payload.as_ref())?));
                    }
                }
                match next {
                    Some(_) => offset = next,
                    None => return Ok(all.into_iter().collect()),
                }
            }
        })
    }

    fn wants_rebuild(&self) -> bool {
        let live = self.points.load(Ordering::Acquire).saturating_mul(4 * self.options.dimension as u64);
        let log = log::allocated(&shard_dir(&self.options.dir));
        self.broken.load(Ordering::Acquire) || (log > LOG_LIMIT && log > live.saturating_mul(2))
    }

    fn optimize(&self) -> Result<bool, VectorError> {
        self.write(|_| {
            self.read(|shard| {
                let indexed = engine::indexed(shard)?;
                let unindexed = self.points.load(Ordering::Acquire).saturating_sub(indexed);
                // A graph is built anew for all, so the unindexed part may grow with the whole.
                if unindexed < (self.options.optimize_after as u64).max(indexed / 3) {
                    return Ok(false);
                }
                // The log first: no number in a new segment may be higher than what the log has on disk.
                engine::flush(shard)?;
                let did = guarded("optimize", || shard.optimize())?;
                engine::flush(shard)?;
                self.indexed.store(engine::indexed(shard)? > 0, Ordering::Release);
                Ok(did)
            })
        })
    }
}

impl Drop for EdgeIndex {
    fn drop(&mut self) {
        // Closing flushes. What that makes durable beyond the watermark is explained by its `begun`.
        if let Some(shard) = self.shard.get_mut().take()
            && let Err(error) = engine::close(shard)
        {
            tracing::error!(%error, "a vector index could not be closed");
        }
    }
}

/// Sends changes to the engine in order, inserts that follow each other together.
fn apply(shard: &EdgeShard, changes: Vec<VectorChange>) -> Result<(), VectorError> {
    let mut batch: Vec<PointStruct> = Vec::new();
    let mut numbers = 0;
    for change in changes {
        match change {
            VectorChange::Insert { version, points } => {
                let version = i64::try_from(version.0).map_err(|_| VectorError::Failed("a version id is too large".into()))?;
                for (chunk, vector) in points {
                    if !batch.is_empty() && (batch.len() == BATCH_POINTS || numbers + vector.len() > BATCH_NUMBERS) {
                        engine::upsert(shard, std::mem::take(&mut batch))?;
                        numbers = 0;
                    }
                    numbers += vector.len();
                    batch.push(engine::point(version, chunk, &vector));
                }
            }
            VectorChange::Delete { chunks, .. } => {
                if !batch.is_empty() {
                    engine::upsert(shard, std::mem::take(&mut batch))?;
                    numbers = 0;
                }
                for chunks in chunks.chunks(10 * BATCH_POINTS) {
                    engine::delete(shard, chunks)?;
                }
            }
        }
    }
    if batch.is_empty() { Ok(()) } else { engine::upsert(shard, batch) }
}

fn hit(point: &ScoredPoint) -> Result<VectorHit, VectorError> {
    Ok(VectorHit { chunk: engine::chunk(&point.id)?, version: engine::version(point.payload.as_ref())?, score: point.score })
}

fn closed() -> VectorError {
    VectorError::Damaged("its shard could not be opened again".into())
}
