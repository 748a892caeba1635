//! Tests of the embedded store: the contract, and what kills, damage, log cuts and large batches do to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::contract::{self, DIMENSION, delete, insert, pairs, vector};
use super::edge::{EdgeIndex, EdgeOptions};
use super::{VectorChange, VectorError, VectorStore, log};
use crate::model::{ChunkId, Scope, Seq, VersionId};

/// Tells a test that it runs as a child process, and on which folder.
const CHILD: &str = "STRONGROOM_TEST_VECTOR_CHILD";

fn open(dir: &Path) -> EdgeIndex {
    EdgeIndex::open(EdgeOptions::new(dir.into(), DIMENSION)).unwrap()
}

fn contents(dir: &Path) -> Vec<(ChunkId, VersionId)> {
    open(dir).contents().unwrap()
}

/// This test binary again, running only the test of that name.
fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("index::vector::tests::{test}"), "--nocapture"]);
    command.env(CHILD, dir).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn copy(from: &Path, to: &Path) {
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

fn files(dir: &Path) -> Vec<PathBuf> {
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
    let damage: [(&str, &dyn Fn(&Path)); 5] = [
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

/// The change of that number, for the tests that kill: one version each, and every third takes away the one before it.
fn change(seq: u64) -> VectorChange {
    if seq.is_multiple_of(3) { delete(seq - 1, chunk_ids(seq - 1)) } else { insert(seq, chunk_ids(seq), DIMENSION) }
}

fn chunk_ids(version: u64) -> std::ops::Range<u64> {
    version * 10..version * 10 + 7
}

fn expected(upto: u64) -> BTreeSet<(ChunkId, VersionId)> {
    let there = |version: u64| !version.is_multiple_of(3) && !(version % 3 == 2 && version < upto);
    (1..=upto).filter(|version| there(*version)).flat_map(|version| pairs(chunk_ids(version).map(|id| (id, version)))).collect()
}

fn apply_on(store: &EdgeIndex, count: u64) {
    let from = store.watermark().0;
    store.apply((from + 1..=from + count).map(change).collect(), Seq(from + count)).unwrap();
}

#[test]
fn a_killed_process_leaves_no_watermark_ahead_of_its_data() {
    if let Ok(dir) = std::env::var(CHILD) {
        let store = open(Path::new(&dir));
        for round in 0u64.. {
            apply_on(&store, 1 + round * 7 % 40);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0u64..10 {
        let mut process = child("a_killed_process_leaves_no_watermark_ahead_of_its_data", dir.path()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(150 + round * 37 % 200));
        assert!(process.try_wait().unwrap().is_none(), "it ended by itself in round {round}");
        process.kill().unwrap();
        process.wait().unwrap();
        let store = open(dir.path());
        let upto = store.watermark().0;
        assert!(upto >= last);
        // What it promises is there, save what a later change, half applied, took away already.
        let there: BTreeSet<_> = store.contents().unwrap().into_iter().collect();
        let later = expected(upto + 3);
        assert!(expected(upto).iter().all(|chunk| there.contains(chunk) || !later.contains(chunk)));
        // Going on from there, in other steps than those that were interrupted, gives what it should.
        apply_on(&store, 1);
        apply_on(&store, 45);
        last = store.watermark().0;
        assert_eq!(store.contents().unwrap().into_iter().collect::<BTreeSet<_>>(), expected(last));
        drop(store);
        assert_eq!(contents(dir.path()).into_iter().collect::<BTreeSet<_>>(), expected(last));
    }
    assert!(last > 600, "the children did something");
}

/// Copies that are taken while it writes, as a backup that knows nothing of it would.
#[test]
fn a_copy_taken_in_the_middle_is_whole_or_damaged() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("live");
    let store = open(&dir);
    for round in 0..12 {
        std::thread::scope(|scope| {
            scope.spawn(|| apply_on(&store, 60));
            copy_what_is_there(&dir, &root.path().join(format!("copy-{round}")));
        });
    }
    for round in 0..12 {
        let copied = EdgeIndex::open(EdgeOptions::new(root.path().join(format!("copy-{round}")), DIMENSION));
        match copied {
            Ok(copy) => {
                let refused = (0..2).any(|_| {
                    let from = copy.watermark().0;
                    copy.apply((from + 1..=from + 60).map(change).collect(), Seq(from + 60)).is_err()
                });
                let is: BTreeSet<_> = copy.contents().unwrap().into_iter().collect();
                assert!(refused || is == expected(copy.watermark().0), "copy {round}");
            }
            Err(error) => assert!(matches!(error, VectorError::Damaged(_)), "{error}"),
        }
    }
}

/// Like `copy`, for a folder whose files come and go.
fn copy_what_is_there(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            copy_what_is_there(&entry.path(), &to.join(entry.file_name()));
        } else {
            let _ = fs::copy(entry.path(), to.join(entry.file_name()));
        }
    }
}

/// Every file of a shard is cut, emptied, overwritten and removed in turn. It may be refused, and where it isn't the chunks
/// must all be there; whatever it does, the process lives.
#[test]
fn damaged_files_never_end_the_process() {
    if let Ok(root) = std::env::var(CHILD) {
        damage_each_file(Path::new(&root));
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let mut options = EdgeOptions::new(root.path().join("good"), DIMENSION);
    options.optimize_after = 200;
    let store = EdgeIndex::open(options).unwrap();
    store.apply((1..=30).map(|version| insert(version, version * 10..version * 10 + 10, DIMENSION)).collect(), Seq(30)).unwrap();
    assert!(store.optimize().unwrap());
    store.apply(vec![insert(31, 310..320, DIMENSION), delete(1, 10..20)], Seq(32)).unwrap();
    drop(store);
    let output = child("damaged_files_never_end_the_process", root.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {said}", output.status);
    let incomplete: Vec<_> = said.lines().filter(|line| line.ends_with("INCOMPLETE")).collect();
    // Flipped bits in the engine's own marks of what is deleted look like deletions; nothing short of checksums tells.
    assert!(incomplete.iter().all(|line| line.contains("garbage") && line.contains("deleted")), "{incomplete:#?}");
    for outcome in ["refused", "refused when read", "refused when written", "whole"] {
        assert!(said.lines().any(|line| line.ends_with(&format!(": {outcome}"))), "nothing was {outcome}: {said}");
    }
}

#[allow(clippy::print_stdout)] // Its parent reads it.
fn damage_each_file(root: &Path) {
    let good = root.join("good");
    let wanted = contents(&good);
    assert_eq!(wanted.len(), 300);
    let damages: [(&str, &(dyn Fn(&Path) + Sync)); 4] = [
        ("removed", &|file| fs::remove_file(file).unwrap()),
        ("emptied", &|file| fs::write(file, "").unwrap()),
        ("cut", &|file| {
            let length = fs::metadata(file).unwrap().len();
            fs::OpenOptions::new().write(true).open(file).unwrap().set_len(length / 2).unwrap();
        }),
        ("garbage", &|file| overwrite(file, 0xa5)),
    ];
    let cases: Vec<_> = files(&good.join("shard")).into_iter().flat_map(|file| damages.iter().map(move |damage| (file.clone(), damage))).collect();
    // Several at once: nearly all of the time is waiting for the disk.
    std::thread::scope(|scope| {
        for (worker, cases) in cases.chunks(cases.len().div_ceil(8)).enumerate() {
            let (good, wanted) = (&good, &wanted);
            let dir = root.join(format!("bad-{worker}"));
            scope.spawn(move || {
                for (file, (name, damage)) in cases {
                    let relative = file.strip_prefix(good).unwrap();
                    copy(good, &dir);
                    damage(&dir.join(relative));
                    println!("{worker} {name} {}", relative.display());
                    println!("{worker} {name} {}: {}", relative.display(), outcome(&dir, wanted));
                    fs::remove_dir_all(&dir).unwrap();
                }
            });
        }
    });
}

/// What became of an index with a damaged file: nothing, or it was refused, or chunks can't be found and nothing says so.
fn outcome(dir: &Path, wanted: &[(ChunkId, VersionId)]) -> &'static str {
    let store = match EdgeIndex::open(EdgeOptions::new(dir.into(), DIMENSION)) {
        Ok(store) => store,
        Err(VectorError::Damaged(_)) => return "refused",
        Err(error) => panic!("{error}"),
    };
    let scope = Scope { only: Some(vec![VersionId(7)]), except: vec![] };
    let (all, one) = (
        store.search(&vector(77, DIMENSION), &Scope::default(), 1_000),
        store.search(&vector(77, DIMENSION), &scope, 1_000),
    );
    let Ok((is, (all, one))) = store.contents().and_then(|is| Ok((is, (all?, one?)))) else { return "refused when read" };
    if store.apply(vec![insert(40, 400..410, DIMENSION), delete(2, 20..30)], Seq(40)).is_err() {
        return "refused when written";
    }
    if is != wanted || all.len() != wanted.len() || one.len() != 10 { "INCOMPLETE" } else { "whole" }
}

/// Overwrites what a file begins with; its length stays.
fn overwrite(file: &Path, byte: u8) {
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    let length = file.metadata().unwrap().len().min(1 << 20) as usize;
    file.write_all_at(&vec![byte; length], 0).unwrap();
}
