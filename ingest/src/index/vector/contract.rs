//! What every vector store must do, as one suite that runs over each of them.

// This is test code which another store's tests can call; an assertion is how it fails.
#![allow(clippy::expect_used, clippy::missing_panics_doc, missing_docs)]

use super::{VectorChange, VectorError, VectorHit, VectorStore};
use crate::model::{ChunkId, Scope, Seq, VersionId};

/// Length of the vectors that the suite uses.
pub const DIMENSION: usize = 32;

/// Opens the store of that name, making it where there is none. What is dropped and opened again is the same store.
pub type Open<'a> = &'a dyn Fn(&str) -> Box<dyn VectorStore>;

/// Runs the whole suite. Each part uses a store of its own name, which must not exist before.
pub fn contract(open: Open<'_>) {
    starts_empty(open);
    finds_inserts_and_forgets_deletes(open);
    applying_again_changes_nothing(open);
    watermark_and_data_survive_reopening(open);
    scopes_hold(open);
    ties_are_in_order_of_chunk(open);
    scores_exactly(open);
    refuses_other_dimensions(open);
    holds_ten_thousand_points(open);
}

/// A vector of length 1 that follows from `seed`.
pub fn vector(seed: u64, dimension: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut numbers = Vec::with_capacity(dimension);
    for _ in 0..dimension {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let bits = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40;
        numbers.push(bits as f32 / (1u64 << 23) as f32 - 1.0);
    }
    normalised(numbers)
}

/// The same direction at length 1.
pub fn normalised(mut numbers: Vec<f32>) -> Vec<f32> {
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.iter_mut().for_each(|number| *number /= length);
    numbers
}

/// A version whose chunks have the given ids, each with the vector that follows from its id.
pub fn insert(version: u64, chunks: impl IntoIterator<Item = u64>, dimension: usize) -> VectorChange {
    let points = chunks.into_iter().map(|chunk| (ChunkId(chunk), vector(chunk, dimension))).collect();
    VectorChange::Insert { version: VersionId(version), points }
}

/// That version's deletion.
pub fn delete(version: u64, chunks: impl IntoIterator<Item = u64>) -> VectorChange {
    VectorChange::Delete { version: VersionId(version), chunks: chunks.into_iter().map(ChunkId).collect() }
}

/// Chunk and version ids, as `contents` gives them.
pub fn pairs(of: impl IntoIterator<Item = (u64, u64)>) -> Vec<(ChunkId, VersionId)> {
    of.into_iter().map(|(chunk, version)| (ChunkId(chunk), VersionId(version))).collect()
}

fn only(versions: &[u64]) -> Scope {
    Scope { only: Some(versions.iter().copied().map(VersionId).collect()), except: Vec::new() }
}

fn except(versions: &[u64]) -> Scope {
    Scope { only: None, except: versions.iter().copied().map(VersionId).collect() }
}

fn search(store: &dyn VectorStore, query: &[f32], scope: &Scope, limit: usize) -> Vec<VectorHit> {
    store.search(query, scope, limit).expect("a search")
}

fn chunks(hits: &[VectorHit]) -> Vec<u64> {
    hits.iter().map(|hit| hit.chunk.0).collect()
}

fn close_to(a: f32, b: f32) -> bool {
    (a - b).abs() < 1e-3
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn starts_empty(open: Open<'_>) {
    let store = open("empty");
    assert_eq!(store.watermark(), Seq(0));
    assert!(store.contents().expect("contents").is_empty());
    assert!(search(&*store, &vector(1, DIMENSION), &Scope::default(), 10).is_empty());
    assert!(search(&*store, &vector(1, DIMENSION), &only(&[1]), 10).is_empty());
    assert!(store.score(&vector(1, DIMENSION), &[ChunkId(1)]).expect("scores").is_empty());
    assert!(!store.wants_rebuild());
    assert!(!store.optimize().expect("nothing to optimise"));
    store.apply(Vec::new(), Seq(7)).expect("no change");
    drop(store);
    assert_eq!(open("empty").watermark(), Seq(7), "a watermark moves without changes too");
}

fn finds_inserts_and_forgets_deletes(open: Open<'_>) {
    let store = open("forgets");
    store.apply(vec![insert(1, 10..20, DIMENSION), insert(2, 20..25, DIMENSION)], Seq(2)).expect("inserts");
    assert_eq!(store.watermark(), Seq(2));
    for chunk in 10..25 {
        let hits = search(&*store, &vector(chunk, DIMENSION), &Scope::default(), 3);
        assert_eq!(hits.len(), 3);
        assert_eq!(hits[0].chunk, ChunkId(chunk));
        assert_eq!(hits[0].version, VersionId(if chunk < 20 { 1 } else { 2 }));
        assert!(close_to(hits[0].score, 1.0));
        assert!(hits.is_sorted_by(|a, b| a.score >= b.score));
    }
    assert_eq!(search(&*store, &vector(1, DIMENSION), &Scope::default(), 1_000).len(), 15, "a limit above what there is");
    assert!(search(&*store, &vector(1, DIMENSION), &Scope::default(), 0).is_empty());
    store.apply(vec![delete(1, 10..20)], Seq(3)).expect("a deletion");
    assert_eq!(store.contents().expect("contents"), pairs((20..25).map(|chunk| (chunk, 2))));
    assert_eq!(search(&*store, &vector(10, DIMENSION), &Scope::default(), 1_000).len(), 5);
    // In one apply: order counts.
    let changes = vec![insert(3, 30..32, DIMENSION), delete(2, 20..25), delete(3, 30..32), insert(4, 40..41, DIMENSION)];
    store.apply(changes, Seq(7)).expect("a mix");
    assert_eq!(store.contents().expect("contents"), pairs([(40, 4)]));
}

fn applying_again_changes_nothing(open: Open<'_>) {
    let store = open("again");
    let changes = || vec![insert(1, 0..30, DIMENSION), insert(2, 30..60, DIMENSION), delete(1, 0..30)];
    for _ in 0..3 {
        store.apply(changes(), Seq(3)).expect("the same again");
        assert_eq!(store.contents().expect("contents"), pairs((30..60).map(|chunk| (chunk, 2))));
        assert_eq!(search(&*store, &vector(31, DIMENSION), &Scope::default(), 100).len(), 30);
    }
    store.apply(vec![delete(9, 900..910)], Seq(4)).expect("deleting what is not there");
    assert!(store.apply(changes(), Seq(3)).is_err(), "changes older than the watermark are refused");
    assert_eq!(store.watermark(), Seq(4));
}

fn watermark_and_data_survive_reopening(open: Open<'_>) {
    let store = open("survives");
    store.apply(vec![insert(1, 0..30, DIMENSION)], Seq(11)).expect("inserts");
    drop(store);
    for round in 0u64..3 {
        let store = open("survives");
        assert_eq!(store.watermark(), Seq(11 + round));
        assert_eq!(store.contents().expect("contents").len(), 30 + 10 * round as usize);
        let next = 100 + 10 * round;
        store.apply(vec![insert(2 + round, next..next + 10, DIMENSION)], Seq(12 + round)).expect("more");
        assert_eq!(search(&*store, &vector(next, DIMENSION), &Scope::default(), 1)[0].chunk, ChunkId(next));
    }
    let store = open("survives");
    store.apply(vec![delete(1, 0..30)], Seq(20)).expect("a deletion after reopening");
    drop(store);
    let expect = (0..3).flat_map(|round| (0..10).map(move |chunk| (100 + 10 * round + chunk, 2 + round)));
    assert_eq!(open("survives").contents().expect("contents"), pairs(expect));
}

fn scopes_hold(open: Open<'_>) {
    let store = open("scopes");
    let changes = (1..=50).map(|version| insert(version, version * 100..version * 100 + 10, DIMENSION)).collect();
    store.apply(changes, Seq(50)).expect("inserts");
    let query = vector(5, DIMENSION);
    let every: Vec<u64> = (1..=50).collect();
    let odd: Vec<u64> = every.iter().copied().filter(|version| version % 2 == 1).collect();
    assert_eq!(search(&*store, &query, &only(&every), 1_000).len(), 500);
    for (scope, expected) in [
        (Scope::default(), 500),
        (only(&[]), 0),
        (only(&[7]), 10),
        (only(&[7, 8, 99]), 20),
        (only(&[99]), 0),
        (only(&odd), 250),
        (except(&[7]), 490),
        (except(&odd), 250),
        (except(&every), 0),
        (except(&[99]), 500),
        (Scope { only: only(&[7, 8]).only, except: vec![VersionId(8)] }, 10),
        (Scope { only: only(&[7]).only, except: vec![VersionId(7)] }, 0),
    ] {
        let hits = search(&*store, &query, &scope, 1_000);
        assert_eq!(hits.len(), expected, "{scope:?}");
        assert!(hits.iter().all(|hit| scope.allows(hit.version) && hit.version.0 == hit.chunk.0 / 100), "{scope:?}");
        let few = search(&*store, &query, &scope, 5);
        assert_eq!(few[..], hits[..few.len()], "the best of {scope:?}");
        assert_eq!(few.len(), expected.min(5));
    }
}

fn ties_are_in_order_of_chunk(open: Open<'_>) {
    let store = open("ties");
    let points = |ids: std::ops::Range<u64>| ids.rev().map(|chunk| (ChunkId(chunk), vector(1, DIMENSION))).collect();
    // The higher ids first, so that the order of insertion does not help.
    let changes = vec![
        VectorChange::Insert { version: VersionId(2), points: points(100..200) },
        VectorChange::Insert { version: VersionId(1), points: points(0..100) },
        insert(3, 500..600, DIMENSION),
    ];
    store.apply(changes, Seq(3)).expect("inserts");
    for limit in [1, 2, 10, 50, 199, 200] {
        let hits = search(&*store, &vector(1, DIMENSION), &Scope::default(), limit);
        assert_eq!(chunks(&hits), (0..limit as u64).collect::<Vec<_>>());
    }
    let again = search(&*store, &vector(77, DIMENSION), &Scope::default(), 150);
    assert_eq!(search(&*store, &vector(77, DIMENSION), &Scope::default(), 150), again);
}

fn scores_exactly(open: Open<'_>) {
    let store = open("scores");
    store.apply(vec![insert(1, 0..50, DIMENSION), insert(2, 50..90, DIMENSION)], Seq(2)).expect("inserts");
    let query = vector(1_000, DIMENSION);
    let asked: Vec<ChunkId> = [3, 80, 51, 777].map(ChunkId).to_vec();
    let mut scores = store.score(&query, &asked).expect("scores");
    scores.sort_by_key(|hit| hit.chunk);
    assert_eq!(chunks(&scores), [3, 51, 80], "what is not there has no score");
    assert_eq!(scores.iter().map(|hit| hit.version.0).collect::<Vec<_>>(), [1, 2, 2]);
    for hit in &scores {
        assert!(close_to(hit.score, dot(&query, &vector(hit.chunk.0, DIMENSION))));
    }
    let all = search(&*store, &query, &Scope::default(), 90);
    for hit in &scores {
        assert_eq!(all.iter().find(|found| found.chunk == hit.chunk), Some(hit), "a search says the same");
    }
    assert!(store.score(&query, &[]).expect("no scores").is_empty());
}

fn refuses_other_dimensions(open: Open<'_>) {
    let store = open("dimensions");
    store.apply(vec![insert(1, 0..5, DIMENSION)], Seq(1)).expect("inserts");
    let short = vector(1, DIMENSION - 1);
    let wrong = |error: &VectorError| matches!(error, VectorError::Dimension { given, wanted } if (*given, *wanted) == (DIMENSION - 1, DIMENSION));
    assert!(wrong(&store.search(&short, &Scope::default(), 3).expect_err("a short query")));
    assert!(wrong(&store.score(&short, &[ChunkId(1)]).expect_err("a short query")));
    let changes = vec![insert(2, 5..9, DIMENSION), insert(3, 9..12, DIMENSION - 1)];
    assert!(wrong(&store.apply(changes, Seq(3)).expect_err("short vectors")));
    assert_eq!(store.watermark(), Seq(1));
    assert_eq!(store.contents().expect("contents").len(), 5, "nothing of it was applied");
    let nothing = vec![f32::NAN; DIMENSION];
    assert!(store.search(&nothing, &Scope::default(), 3).is_err());
    let points = vec![(ChunkId(20), nothing)];
    assert!(store.apply(vec![VectorChange::Insert { version: VersionId(4), points }], Seq(2)).is_err());
    store.apply(vec![insert(2, 5..9, DIMENSION)], Seq(2)).expect("it goes on");
    assert_eq!(store.contents().expect("contents").len(), 9);
}

fn holds_ten_thousand_points(open: Open<'_>) {
    let store = open("thousands");
    for part in 0..10u64 {
        let changes = (0..20).map(|document| {
            let version = part * 20 + document;
            insert(version, version * 50..version * 50 + 50, DIMENSION)
        });
        store.apply(changes.collect(), Seq((part + 1) * 20)).expect("inserts");
    }
    let query = vector(123_456, DIMENSION);
    let mut expected: Vec<(u64, f32)> = (0..10_000).map(|chunk| (chunk, dot(&query, &vector(chunk, DIMENSION)))).collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let hits = search(&*store, &query, &Scope::default(), 1_000);
    assert_eq!(hits.len(), 1_000);
    for (hit, (_, score)) in hits.iter().zip(&expected) {
        assert!(close_to(hit.score, *score));
    }
    assert_eq!(search(&*store, &query, &Scope::default(), 20_000).len(), 10_000, "every point can be reached");
    let half: Vec<u64> = (0..100).collect();
    assert_eq!(search(&*store, &query, &only(&half), 20_000).len(), 5_000);
    store
        .apply((0..100).map(|version| delete(version, version * 50..version * 50 + 50)).collect(), Seq(300))
        .expect("deletions");
    assert_eq!(store.contents().expect("contents"), pairs((5_000..10_000).map(|chunk| (chunk, chunk / 50))));
    assert_eq!(search(&*store, &query, &Scope::default(), 20_000).len(), 5_000);
}
