//! What kills, copies taken in the middle and damaged files do to the embedded store.

#![allow(clippy::unwrap_used, clippy::panic)] // A test fails by it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::contract::{DIMENSION, delete, insert, pairs, vector};
use super::edge::{EdgeIndex, EdgeOptions};
use super::tests::{contents, copy, files, open};
use super::{VectorChange, VectorError, VectorStore};
use crate::model::{ChunkId, Scope, Seq, VersionId};

/// Something done to a file.
type Damage = &'static (dyn Fn(&Path) + Sync);

/// Tells a test that it runs as a child process, and on which folder.
const CHILD: &str = "STRONGROOM_TEST_VECTOR_CHILD";

/// What a child says before each apply.
const READY: &str = "ready";

/// This test binary again, running only the test of that name.
fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("index::vector::crash_tests::{test}"), "--nocapture"]);
    command.env(CHILD, dir).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// The change of that number, for the tests that kill: one version each, and every third takes away the one before it.
fn change(seq: u64) -> VectorChange {
    if seq.is_multiple_of(3) { delete(seq - 1, chunk_ids(seq - 1)) } else { insert(seq, chunk_ids(seq), DIMENSION) }
}

fn chunk_ids(version: u64) -> std::ops::Range<u64> {
    version * 10..version * 10 + 7
}

fn expected(upto: u64) -> BTreeSet<(ChunkId, VersionId)> {
    let there = |version: u64| version % 3 == 1 || (version % 3 == 2 && version >= upto);
    (1..=upto).filter(|version| there(*version)).flat_map(|version| pairs(chunk_ids(version).map(|id| (id, version)))).collect()
}

fn apply_on(store: &EdgeIndex, count: u64) {
    let from = store.watermark().0;
    store.apply((from + 1..=from + count).map(change).collect(), Seq(from + count)).unwrap();
}

#[test]
#[allow(clippy::print_stdout)] // Its parent reads it.
fn a_killed_process_leaves_no_watermark_ahead_of_its_data() {
    if let Ok(dir) = std::env::var(CHILD) {
        let store = open(Path::new(&dir));
        for round in 0u64.. {
            println!("\n{READY}");
            apply_on(&store, 1 + round * 7 % 40);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0u64..10 {
        let mut process = child("a_killed_process_leaves_no_watermark_ahead_of_its_data", dir.path()).spawn().unwrap();
        // After some applies that are done, somewhere in the next: however slow the machine is.
        // (Kept until it is dead: a child that can't print would end by itself.)
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let done = said.by_ref().map_while(Result::ok).filter(|line| line == READY).take(1 + round as usize % 4).count();
        assert_eq!(done, 1 + round as usize % 4, "it ended by itself in round {round}");
        std::thread::sleep(Duration::from_millis(round * 37 % 100));
        process.kill().unwrap();
        process.wait().unwrap();
        drop(said);
        let store = open(dir.path());
        let upto = store.watermark().0;
        assert!(upto >= last + round % 4, "what was applied before the kill is there");
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
    store
        .apply((1..=30).map(|version| insert(version, version * 10..version * 10 + 10, DIMENSION)).collect(), Seq(30))
        .unwrap();
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
    let damages: [(&str, Damage); 4] = [
        ("removed", &|file| fs::remove_file(file).unwrap()),
        ("emptied", &|file| fs::write(file, "").unwrap()),
        ("cut", &|file| {
            let length = fs::metadata(file).unwrap().len();
            fs::OpenOptions::new().write(true).open(file).unwrap().set_len(length / 2).unwrap();
        }),
        ("garbage", &|file| overwrite(file, 0xa5)),
    ];
    let cases: Vec<_> = files(&good.join("shard"))
        .into_iter()
        .flat_map(|file| damages.iter().map(move |damage| (file.clone(), damage)))
        .collect();
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
    let (all, one) =
        (store.search(&vector(77, DIMENSION), &Scope::default(), 1_000), store.search(&vector(77, DIMENSION), &scope, 1_000));
    let Ok((is, (all, one))) = store.contents().and_then(|is| Ok((is, (all?, one?)))) else {
        return "refused when read";
    };
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
