//! What the façade answers, in the shapes that clients of Qdrant parse: points, collections, and the envelope around them.

use std::time::Instant;

use serde_json::{Value, json};
use strongroom_ingest::index::records::CollectionRecord;

use super::request::Payload;
use crate::http::recordings;
use crate::http::source::{name, source};
use crate::retrieve::Hit;

/// The version of Qdrant whose REST shapes these are: clients warn about any that is far from their own.
pub(super) const VERSION: &str = "1.18.0";

/// A result in its envelope.
pub(super) fn envelope(result: Value, started: Instant) -> Value {
    json!({ "result": result, "status": "ok", "time": started.elapsed().as_secs_f64() })
}

/// Hits as scored points, those below `threshold` left out.
pub(super) fn points(hits: &[Hit], offset: usize, threshold: Option<f32>, payload: &Payload, base: Option<&str>) -> Vec<Value> {
    let mut points = Vec::with_capacity(hits.len().saturating_sub(offset));
    for hit in hits.iter().skip(offset) {
        let score = hit.score.clamp(-1.0, 1.0);
        if threshold.is_some_and(|threshold| score < threshold) {
            continue;
        }
        let mut point = json!({ "id": id(hit), "version": hit.version.0, "score": score });
        if let Some(payload) = payload.of(content(hit, base)) {
            point["payload"] = payload;
        }
        points.push(point);
    }
    points
}

/// Everything in here may reach a browser.
fn content(hit: &Hit, base: Option<&str>) -> Value {
    let mut metadata = json!({
        "source": source(base, hit),
        "name": name(&hit.document),
        "collection": hit.collection_name,
        "path": hit.document.path,
        "start": hit.span.start,
        "end": hit.span.end,
    });
    if let Some(page) = hit.page {
        // 0-based here, and only here: that is how those who made this payload's shape count.
        metadata["page"] = json!(page.saturating_sub(1));
    }
    if let Some((start, end)) = recordings::seconds(&hit.moments) {
        metadata["time"] = json!({ "start": start, "end": end });
    }
    if !hit.heading_path.is_empty() {
        metadata["heading"] = json!(hit.heading_path);
    }
    json!({ "text": hit.text, "metadata": metadata })
}

/// The point's id: a UUID (version 8) made of the version and the place that is quoted, so the same passage always has the
/// same. Unique within its collection, as ids of points are.
fn id(hit: &Hit) -> String {
    let (start, length) = (u128::from(hit.span.start), u128::from(hit.span.end.saturating_sub(hit.span.start)));
    let (version, start, length) =
        (u128::from(hit.version.0) & 0xff_ffff_ffff, start & 0xff_ffff_ffff, length & 0xff_ffff_ffff);
    // 122 bits are free: 40 each, around the bits that say "version 8" and "variant 2".
    let free = (version << 80) | (start << 40) | length;
    let high = (free >> 62) & 0x0fff_ffff_ffff_ffff;
    let low = free & 0x3fff_ffff_ffff_ffff;
    let high = ((high & 0x0fff_ffff_ffff_f000) << 4) | 0x8000 | (high & 0x0fff);
    let text = format!("{:032x}", (high << 64) | (1 << 63) | low);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

/// The names of collections.
pub(super) fn collections(records: &[CollectionRecord]) -> Value {
    let names: Vec<Value> = records.iter().map(|record| json!({ "name": record.name })).collect();
    json!({ "collections": names })
}

/// What a client may want to know of a collection; `dimension` is none before its first vectors.
pub(super) fn collection(record: &CollectionRecord, dimension: Option<usize>) -> Value {
    // Yellow is "works, and is still being optimised", which is what waiting documents are.
    let status = if record.counts.pending > 0 { "yellow" } else { "green" };
    json!({
        "status": status,
        "optimizer_status": "ok",
        "points_count": record.chunks,
        "indexed_vectors_count": record.chunks,
        "segments_count": 1,
        "payload_schema": {},
        "config": {
            "params": {
                "vectors": { "size": dimension.unwrap_or_default(), "distance": "Cosine", "on_disk": true },
                "shard_number": 1,
                "replication_factor": 1,
                "write_consistency_factor": 1,
                "on_disk_payload": true,
            },
            "hnsw_config": { "m": 16, "ef_construct": 128, "full_scan_threshold": 10000, "on_disk": false },
            "optimizer_config": {
                "deleted_threshold": 0.2,
                "vacuum_min_vector_number": 1000,
                "default_segment_number": 1,
                "indexing_threshold": 10000,
                "flush_interval_sec": 5,
            },
            "wal_config": { "wal_capacity_mb": 32, "wal_segments_ahead": 0 },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::source::tests::hit;

    fn all() -> Payload {
        Payload::parse(Some(json!(true))).unwrap()
    }

    #[test]
    fn a_point_has_the_promised_payload() {
        let mut found = hit("a/manual.pdf", "Manual", Some(12));
        found.score = 1.2;
        let point = points(&[found], 0, None, &all(), None).remove(0);
        assert_eq!((&point["score"], &point["version"]), (&json!(1.0), &json!(4)));
        assert_eq!(point["payload"]["text"], "the");
        let metadata = &point["payload"]["metadata"];
        assert_eq!(metadata["source"], "strongroom://acme/a/manual.pdf#page=12");
        assert_eq!((&metadata["name"], &metadata["page"]), (&json!("Manual"), &json!(11)));
        let without = points(&[hit("a.md", "A", None)], 0, None, &all(), None).remove(0);
        assert!(without["payload"]["metadata"].get("page").is_none());
    }

    #[test]
    fn ids_are_uuids_that_tell_places_apart() {
        let first = hit("a.pdf", "A", None);
        let mut others = [first.clone(), first.clone(), first.clone(), first.clone()];
        others[1].span.start += 1;
        others[2].span.end += 1;
        others[3].version.0 += 1;
        let ids: std::collections::BTreeSet<String> = others.iter().map(id).collect();
        assert_eq!(ids.len(), 4, "{ids:?}");
        for text in ids {
            assert_eq!(text.len(), 36);
            assert_eq!((text.as_bytes()[14], text.as_bytes()[19]), (b'8', b'8'), "{text}");
        }
        assert_eq!(id(&first), id(&hit("b.pdf", "B", Some(3))));
    }

    #[test]
    fn a_threshold_and_an_offset_leave_out() {
        let (mut good, mut poor) = (hit("a", "A", None), hit("b", "B", None));
        (good.score, poor.score) = (0.5, 0.25);
        let hits = [good, poor];
        assert_eq!(points(&hits, 0, Some(0.5), &all(), None).len(), 1);
        assert_eq!(points(&hits, 0, Some(0.51), &all(), None).len(), 0);
        let rest = points(&hits, 1, None, &Payload::parse(None).unwrap(), None);
        assert_eq!(rest[0]["score"], 0.25);
        assert!(rest[0].get("payload").is_none());
    }
}
