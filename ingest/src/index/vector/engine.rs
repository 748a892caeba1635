//! `qdrant-edge` as this project uses it: its configuration and requests, with every panic of its turned into an error.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use half::f16;
use qdrant_edge::{
    AnyVariants, Condition, CountRequest, CreateIndex, Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard, EdgeVectorParams,
    FieldCondition, FieldIndexOperations, Filter, HasIdCondition, HasVectorCondition, HnswIndexConfig, IsEmptyCondition,
    JsonPath, Match, NamedQuery, NamedVectors, OperationResult, Payload, PayloadFieldSchema, PayloadSchemaType, PointId,
    PointInsertOperations, PointOperations, PointStruct, QueryEnum, QueryRequest, ScoredPoint, ScoringQuery, SearchParams,
    UpdateOperation, VectorInternal, VectorStorageDatatype, WalOptions, WithPayloadInterface, WithVector,
};

use super::VectorError;
use crate::model::{ChunkId, Scope, VersionId};

/// Name of the vector of every point.
const VECTOR: &str = "dense";
/// Payload key that holds a point's version.
const VERSION: &str = "v";
/// Payload key of the probe.
const PROBE_VALUE: &str = "n";
/// A point without a vector, so that no search finds it: see [`probe`]. No chunk may have its id.
pub(super) const PROBE: u64 = u64::MAX;
/// Bytes of one number as stored: half precision keeps cosines to about 1e-4 and halves files, log and memory.
pub(super) const NUMBER_BYTES: usize = 2;
/// Log segments: small, because hundreds of shards each hold two, and because opening a shard reads what is in them. A record
/// that is larger gets a segment of its own size.
const LOG_SEGMENT: usize = 2 * 1024 * 1024;
/// Candidates kept while walking the graph.
const BEAM: usize = 128;

/// The configuration of every shard. `index_after` is the number of points from which a segment gets a graph.
pub(super) fn config(dimension: usize, index_after: usize) -> EdgeConfig {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2);
    let hnsw = HnswIndexConfig {
        m: 16,
        ef_construct: 128,
        // In kilobytes of vectors: below about 4,000 points in scope it is faster, and exact, to look at each.
        full_scan_threshold: (4_000 * dimension * NUMBER_BYTES / 1024).max(1),
        // Half the processors: searches go on while a graph is built.
        max_indexing_threads: threads,
        on_disk: Some(false),
        payload_m: None,
        inline_storage: None,
    };
    let params =
        EdgeVectorParams::builder(dimension, Distance::Cosine).on_disk(true).datatype(VectorStorageDatatype::Float16).build();
    let optimizers = EdgeOptimizersConfig {
        default_segment_number: Some(2),
        // One graph for up to 4 GiB of vectors.
        max_segment_size: Some(4 * 1024 * 1024),
        indexing_threshold: Some((index_after * dimension * NUMBER_BYTES / 1024).max(1)),
        ..EdgeOptimizersConfig::default()
    };
    EdgeConfig::builder()
        .vector(VECTOR, params)
        .on_disk_payload(true)
        .hnsw_config(hnsw)
        .optimizers(optimizers)
        .wal_options(WalOptions { segment_capacity: LOG_SEGMENT, ..WalOptions::default() })
        .build()
}

/// Runs one call into the engine; its errors become `Failed`, its panics `Damaged`.
pub(super) fn guarded<T>(what: &'static str, call: impl FnOnce() -> OperationResult<T>) -> Result<T, VectorError> {
    // Unwind safety: after a panic of a writing call its owner refuses all writes and rebuilds the index elsewhere, so broken
    // state behind the reference is read by searches at most, which can panic again but are guarded too.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(VectorError::Failed(format!("{what}: {error}"))),
        Err(_) => Err(VectorError::Damaged(format!("its engine panicked: {what}"))),
    }
}

/// Makes a new shard in an existing empty folder, with the payload index that filters by version need.
pub(super) fn create(dir: &Path, config: EdgeConfig) -> Result<EdgeShard, VectorError> {
    guarded("create", || {
        let shard = EdgeShard::new(dir, config)?;
        shard.update(UpdateOperation::FieldIndexOperation(FieldIndexOperations::CreateIndex(CreateIndex {
            field_name: key(),
            field_schema: Some(PayloadFieldSchema::FieldType(PayloadSchemaType::Integer)),
        })))?;
        Ok(shard)
    })
}

/// How often a shard whose log is still locked is tried again, and how long after.
const LOCKED: (u32, Duration) = (40, Duration::from_millis(50));

/// Loads a shard. Whatever it complains of, its files can't be used. But a lock on its log passes: a worker process that was
/// being started when the shard was last closed holds a copy of it until it runs its own program.
pub(super) fn load(dir: &Path, config: EdgeConfig) -> Result<EdgeShard, VectorError> {
    for _ in 0..LOCKED.0 {
        match guarded("load", || EdgeShard::load(dir, Some(config.clone()))) {
            Err(error) if error.to_string().contains("WouldBlock") => std::thread::sleep(LOCKED.1),
            other => return other.map_err(damaged),
        }
    }
    guarded("load", || EdgeShard::load(dir, Some(config))).map_err(damaged)
}

/// Makes everything applied so far durable.
pub(super) fn flush(shard: &EdgeShard) -> Result<(), VectorError> {
    guarded("flush", || {
        shard.flush();
        Ok(())
    })
}

/// Closes a shard, which flushes it.
pub(super) fn close(shard: EdgeShard) -> Result<(), VectorError> {
    guarded("close", || {
        drop(shard);
        Ok(())
    })
}

/// Number of points that are chunks.
pub(super) fn points(shard: &EdgeShard) -> Result<u64, VectorError> {
    let all = guarded("count", || Ok(shard.info().points_count))? as u64;
    let probe = guarded("count", || shard.retrieve(&[PointId::NumId(PROBE)], Some(WithPayloadInterface::Bool(false)), None))?;
    Ok(all - (probe.len() as u64).min(all))
}

/// Points that have a vector and a version, counted one by one: what searches can find. Reads no vector.
pub(super) fn searchable(shard: &EdgeShard) -> Result<u64, VectorError> {
    let vector = Condition::HasVector(HasVectorCondition::from(VECTOR.to_string()));
    let version = Condition::IsEmpty(IsEmptyCondition::from(key()));
    let filter = Filter { must: Some(vec![vector]), must_not: Some(vec![version]), ..Filter::new() };
    let count = guarded("count", || shard.count(CountRequest { filter: Some(filter), exact: true }))?;
    Ok(count as u64)
}

/// How many points a search reaches by graph.
pub(super) fn indexed(shard: &EdgeShard) -> Result<u64, VectorError> {
    guarded("info", || Ok(shard.info().indexed_vectors_count as u64))
}

/// Proves that updates still take effect, by changing the probe point and reading it back.
///
/// The engine answers Ok to an update whose number is not above that of the point, and does nothing. That happens when the
/// log lost its end, so that numbers were given again. As the probe is written last in every apply, its own number is the
/// highest of all that is durable, and a change of it that takes effect has a higher one.
pub(super) fn probe(shard: &EdgeShard) -> Result<(), VectorError> {
    let value = read_probe(shard)?.map_or(1, |value| value.wrapping_add(1) & i64::MAX);
    let point = PointStruct::new(PointId::NumId(PROBE), NamedVectors::default(), serde_json::json!({ PROBE_VALUE: value }));
    guarded("probe", || {
        shard.update(UpdateOperation::PointOperation(PointOperations::UpsertPoints(PointInsertOperations::PointsList(vec![
            point.into(),
        ]))))
    })?;
    if read_probe(shard)? == Some(value) {
        Ok(())
    } else {
        Err(VectorError::Damaged("its log lost operations: updates have no effect".into()))
    }
}

fn read_probe(shard: &EdgeShard) -> Result<Option<i64>, VectorError> {
    let found = guarded("probe", || shard.retrieve(&[PointId::NumId(PROBE)], Some(WithPayloadInterface::Bool(true)), None))?;
    Ok(found.first().and_then(|record| record.payload.as_ref()?.0.get(PROBE_VALUE)?.as_i64()))
}

/// A chunk as a point.
pub(super) fn point(version: i64, chunk: ChunkId, vector: &[f32]) -> PointStruct {
    // Rounded to what is stored: the log writes such numbers in three bytes in place of five.
    let rounded: Vec<f32> = vector.iter().map(|&number| f16::from_f32(number).to_f32()).collect();
    let vectors = NamedVectors::default().add_vector(VECTOR, rounded);
    PointStruct::new(PointId::NumId(chunk.0), vectors, serde_json::json!({ VERSION: version }))
}

/// Inserts or replaces points.
pub(super) fn upsert(shard: &EdgeShard, points: Vec<PointStruct>) -> Result<(), VectorError> {
    let points = points.into_iter().map(Into::into).collect();
    guarded("insert", || {
        shard.update(UpdateOperation::PointOperation(PointOperations::UpsertPoints(PointInsertOperations::PointsList(points))))
    })
}

/// Deletes points, and looks that they are gone.
pub(super) fn delete(shard: &EdgeShard, chunks: &[ChunkId]) -> Result<(), VectorError> {
    let ids: Vec<PointId> = chunks.iter().map(|chunk| PointId::NumId(chunk.0)).collect();
    let operation = UpdateOperation::PointOperation(PointOperations::DeletePoints { ids: ids.clone() });
    guarded("delete", || shard.update(operation))?;
    let left = guarded("delete", || shard.retrieve(&ids, Some(WithPayloadInterface::Bool(false)), None))?;
    if left.is_empty() { Ok(()) } else { Err(VectorError::Damaged("deleted points are still there".into())) }
}

/// One search of the engine.
pub(super) struct Query<'a> {
    /// The vector to be near to.
    pub(super) vector: &'a [f32],
    /// What may be found; none means everything.
    pub(super) filter: Option<Filter>,
    /// How many points at most.
    pub(super) limit: usize,
    /// Look at every point, without a graph.
    pub(super) exact: bool,
}

/// The nearest points with their payload, as the engine orders them.
pub(super) fn query(shard: &EdgeShard, query: Query<'_>) -> Result<Vec<ScoredPoint>, VectorError> {
    let nearest = NamedQuery::new(VectorInternal::Dense(query.vector.to_vec()), VECTOR);
    let request = QueryRequest {
        prefetches: Vec::new(),
        query: Some(ScoringQuery::Vector(QueryEnum::Nearest(nearest))),
        filter: query.filter,
        score_threshold: None,
        limit: query.limit,
        offset: 0,
        params: Some(SearchParams { hnsw_ef: Some(BEAM.max(query.limit)), exact: query.exact, ..SearchParams::default() }),
        with_vector: WithVector::Bool(false),
        with_payload: WithPayloadInterface::Bool(true),
    };
    guarded("search", || shard.query(request))
}

/// The filter of a scope. `Err(())` if nothing can be in it; `Ok(None)` if everything is.
pub(super) fn filter(scope: &Scope) -> Result<Option<Filter>, ()> {
    match &scope.only {
        None if scope.except.is_empty() => Ok(None),
        None => Ok(Some(Filter::new_must_not(versions(scope.except.iter().copied())))),
        Some(only) => {
            let mut allowed = only.iter().copied().filter(|version| scope.except.binary_search(version).is_err()).peekable();
            if allowed.peek().is_none() { Err(()) } else { Ok(Some(Filter::new_must(versions(allowed)))) }
        }
    }
}

fn versions(of: impl Iterator<Item = VersionId>) -> Condition {
    // A version too large for the payload's type was never inserted.
    let any = AnyVariants::Integers(of.filter_map(|version| i64::try_from(version.0).ok()).collect());
    Condition::Field(FieldCondition::new_match(key(), Match::from(any)))
}

/// The filter that lets just these chunks through.
pub(super) fn these(chunks: &[ChunkId]) -> Filter {
    Filter::new_must(Condition::HasId(chunks.iter().map(|chunk| PointId::NumId(chunk.0)).collect::<HasIdCondition>()))
}

/// The version that a point's payload names.
pub(super) fn version(payload: Option<&Payload>) -> Result<VersionId, VectorError> {
    payload
        .and_then(|payload| payload.0.get(VERSION)?.as_u64())
        .map(VersionId)
        .ok_or_else(|| VectorError::Damaged("a point has no version".into()))
}

/// The chunk that a point is.
pub(super) fn chunk(id: &PointId) -> Result<ChunkId, VectorError> {
    match id {
        PointId::NumId(id) => Ok(ChunkId(*id)),
        PointId::Uuid(_) => Err(VectorError::Damaged("a point is not a chunk".into())),
    }
}

/// The same error, saying that the index is to be rebuilt.
pub(super) fn damaged(error: VectorError) -> VectorError {
    match error {
        VectorError::Failed(what) => VectorError::Damaged(what),
        other => other,
    }
}

fn key() -> JsonPath {
    JsonPath { first_key: VERSION.into(), rest: Vec::new() }
}
