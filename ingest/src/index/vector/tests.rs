//! Tests of the embedded store: the contract, and what graphs, log cuts, large batches and lost files do to it.

#![allow(clippy::unwrap_used, clippy::panic)] // A test fails by it.

use std::fs;
use std::path::{Path, PathBuf};

use super::contract::{self, DIMENSION, delete, insert, pairs, vector};
use super::edge::{EdgeIndex, EdgeOptions};
use super::{VectorError, VectorStore, log};
use crate::model::{ChunkId, Scope, Seq, VersionId};

/// Something done to a folder.
type Damage<'a> = &'a dyn Fn(&Path);

pub(super) fn open(dir: &Path) -> EdgeIndex {
    EdgeIndex::open(EdgeOptions::new(dir.into(), DIMENSION)).unwrap()
}

pub(super) fn contents(dir: &Path) -> Vec<(ChunkId, VersionId)> {
    open(dir).contents().unwrap()
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() { copy(&entry.path(), &target) } else { copy_file(&entry.path(), &target) }
    }
}

/// Copies what a file holds and leaves its holes: a shard's files are many megabytes of them.
fn copy_file(from: &Path, to: &Path) {
    use std::os::unix::fs::FileExt;
    let (from, to) = (fs::File::open(from).unwrap(), fs::File::create(to).unwrap());
    to.set_len(from.metadata().unwrap().len()).unwrap();
    let mut at = 0;
    while let Ok(begin) = rustix::fs::seek(&from, rustix::fs::SeekFrom::Data(at)) {
        at = rustix::fs::seek(&from, rustix::fs::SeekFrom::Hole(begin)).unwrap();
        let mut bytes = vec![0; (at - begin) as usize];
        from.read_exact_at(&mut bytes, begin).unwrap();
        to.write_all_at(&bytes, begin).unwrap();
    }
}

pub(super) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() { all.extend(files(&entry.path())) } else { all.push(entry.path()) }
    }
    all.sort();
    all
}

#[test]
fn keeps_the_contract() {
    let root = tempfile::tempdir().unwrap();
    contract::contract(&|name| Box::new(open(&root.path().join(name))));
}

/// A graph over everything, built as soon as the store is opened: searches go another way through the engine.
#[test]
fn keeps_the_contract_when_indexed() {
    let root = tempfile::tempdir().unwrap();
    contract::contract(&|name| {
        let mut options = EdgeOptions::new(root.path().join(name), DIMENSION);
        options.optimize_after = 20;
        let store = EdgeIndex::open(options).unwrap();
        store.optimize().unwrap();
        Box::new(store)
    });
}

#[test]
fn a_graph_misses_nothing_in_scope() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = EdgeOptions::new(dir.path().into(), DIMENSION);
    options.optimize_after = 2_000;
    let store = EdgeIndex::open(options.clone()).unwrap();
    let changes = (0..240).map(|version| insert(version, version * 50..version * 50 + 50, DIMENSION)).collect();
    store.apply(changes, Seq(240)).unwrap();
    assert!(store.optimize().unwrap());
    assert!(!store.optimize().unwrap(), "there is nothing more to do");
    store.apply(vec![insert(500, 50_000..50_100, DIMENSION), delete(3, 150..200)], Seq(250)).unwrap();
    let check = |store: &EdgeIndex| {
        let everything = store.search(&vector(1, DIMENSION), &Scope::default(), 100_000).unwrap();
        assert_eq!(everything.len(), 240 * 50 + 100 - 50);
        let some: Vec<VersionId> = (0..240).step_by(2).map(VersionId).collect();
        for (only, except, expected) in [
            (Some(some.clone()), vec![], 120 * 50),
            (None, some, 120 * 50 - 50 + 100),
            (Some(vec![VersionId(7)]), vec![], 50),
            (None, vec![VersionId(3), VersionId(7)], 239 * 50 + 100 - 50),
        ] {
            let scope = Scope { only, except };
            let hits = store.search(&vector(1, DIMENSION), &scope, 100_000).unwrap();
            assert_eq!(hits.len(), expected);
            assert!(hits.iter().all(|hit| scope.allows(hit.version)));
        }
        for chunk in [7, 5_000, 11_999, 50_050] {
            assert_eq!(store.search(&vector(chunk, DIMENSION), &Scope::default(), 1).unwrap()[0].chunk, ChunkId(chunk));
        }
    };
    check(&store);
    drop(store);
    check(&EdgeIndex::open(options).unwrap());
}

#[test]
fn records_larger_than_a_log_segment_are_kept() {
    const LONG: usize = 3_072;
    let dir = tempfile::tempdir().unwrap();
    let options = EdgeOptions::new(dir.path().into(), LONG);
    let store = EdgeIndex::open(options.clone()).unwrap();
    // Numbers that are not rounded to half precision by the caller, and more points than fit into one batch.
    store.apply(vec![insert(1, 0..1_300, LONG), insert(2, 2_000..2_001, LONG)], Seq(1)).unwrap();
    store.apply(vec![insert(3, 3_000..3_500, LONG)], Seq(2)).unwrap();
    drop(store);
    let store = EdgeIndex::open(options.clone()).unwrap();
    assert_eq!(store.contents().unwrap().len(), 1_801);
    store.apply(vec![delete(1, 0..1_300), insert(4, 4_000..4_600, LONG)], Seq(3)).unwrap();
    drop(store);
    let store = EdgeIndex::open(options).unwrap();
    assert_eq!(store.contents().unwrap().len(), 1_101);
    assert_eq!(store.search(&vector(4_321, LONG), &Scope::default(), 1).unwrap()[0].chunk, ChunkId(4_321));
}

#[test]
fn opening_cuts_the_log_and_updates_still_take_effect() {
    const LONG: usize = 768;
    let dir = tempfile::tempdir().unwrap();
    let options = EdgeOptions::new(dir.path().into(), LONG);
    for round in 0..4u64 {
        let store = EdgeIndex::open(options.clone()).unwrap();
        let at_open = log::allocated(&dir.path().join("shard"));
        assert!(at_open < 6 << 20, "{at_open} bytes of log after opening in round {round}");
        // The same points again and again: what counts is that a later version of each takes effect.
        for again in 0..6 {
            let version = round * 6 + again + 1;
            store.apply(vec![insert(version, 0..500, LONG)], Seq(version)).unwrap();
            assert!(store.contents().unwrap().iter().all(|(_, is)| is.0 == version));
        }
        assert!(log::allocated(&dir.path().join("shard")) > 4 << 20, "there was something to cut");
    }
    let store = EdgeIndex::open(options).unwrap();
    store.apply(vec![delete(24, 0..499)], Seq(30)).unwrap();
    assert_eq!(store.contents().unwrap(), pairs([(499, 24)]));
}

#[test]
fn a_lost_log_is_noticed_before_the_watermark_moves() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.apply(vec![insert(1, 0..10, DIMENSION)], Seq(1)).unwrap();
    store.apply(vec![insert(2, 10..20, DIMENSION)], Seq(2)).unwrap();
    drop(store);
    for file in files(&dir.path().join("shard/wal")) {
        fs::remove_file(file).unwrap();
    }
    let store = open(dir.path());
    assert_eq!(store.contents().unwrap().len(), 20);
    let refused = |result| matches!(result, Err(VectorError::Damaged(_)));
    assert!(refused(store.apply(vec![delete(1, 0..10)], Seq(3))));
    assert_eq!(store.watermark(), Seq(2));
    assert!(refused(store.apply(vec![insert(3, 20..30, DIMENSION)], Seq(3))), "it stays refused");
    assert!(store.wants_rebuild());
    assert_eq!(store.search(&vector(3, DIMENSION), &Scope::default(), 50).unwrap().len(), 20, "searches go on");
}

#[test]
fn a_watermark_that_is_missing_garbled_or_not_the_shards_is_damage() {
    let root = tempfile::tempdir().unwrap();
    let good = root.path().join("good");
    open(&good).apply(vec![insert(1, 0..10, DIMENSION)], Seq(1)).unwrap();
    let older = fs::read(good.join("watermark")).unwrap();
    open(&good).apply(vec![insert(2, 10..20, DIMENSION)], Seq(2)).unwrap();
    let damage: [(&str, Damage<'_>); 5] = [
        ("missing", &|dir| fs::remove_file(dir.join("watermark")).unwrap()),
        ("garbled", &|dir| fs::write(dir.join("watermark"), "{\"seq\":2}").unwrap()),
        ("older", &|dir| fs::write(dir.join("watermark"), &older).unwrap()),
        ("no shard", &|dir| fs::remove_dir_all(dir.join("shard")).unwrap()),
        ("no segments", &|dir| fs::remove_dir_all(dir.join("shard/segments")).unwrap()),
    ];
    for (name, damage) in damage {
        let dir = root.path().join(name);
        copy(&good, &dir);
        damage(&dir);
        let result = EdgeIndex::open(EdgeOptions::new(dir.clone(), DIMENSION)).map(drop);
        assert!(matches!(result, Err(VectorError::Damaged(_))), "{name}: {result:?}");
        fs::remove_dir_all(dir).unwrap();
    }
    let other = EdgeIndex::open(EdgeOptions::new(good.clone(), 2 * DIMENSION)).map(drop);
    assert!(matches!(other, Err(VectorError::Dimension { given: 64, wanted: 32 })), "{other:?}");
    assert_eq!(contents(&good).len(), 20);
}

#[test]
fn a_closed_index_can_be_removed() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("gone");
    for _ in 0..3 {
        let store = open(&dir);
        assert_eq!(store.watermark(), Seq(0));
        store.apply(vec![insert(1, 0..100, DIMENSION)], Seq(1)).unwrap();
        drop(store);
        fs::remove_dir_all(&dir).unwrap();
    }
}
