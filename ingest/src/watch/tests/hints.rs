//! Hints from real events: what is told, what is kept quiet, and what happens when a watched folder goes.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Instant;

use crossbeam_channel::Receiver;

use super::super::network::is_network_type;
use super::*;

/// Takes hints until one satisfies `wanted`. Fails only after a time that no working system needs.
fn wait_for(hints: &Receiver<Hint>, what: &str, wanted: impl Fn(&Hint) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Ok(hint) = hints.recv_deadline(deadline) {
        if wanted(&hint) {
            return;
        }
    }
    panic!("no hint for: {what}");
}

fn names(hint: &Hint, root: &Path, path: &str) -> bool {
    let full = root.join(path);
    matches!(hint, Hint::Changed { root: told, paths } if told == root && paths.contains(&full))
}

fn watcher() -> (Watcher, Receiver<Hint>) {
    let (tx, rx) = crossbeam_channel::bounded(8);
    let short = Duration::from_millis(50);
    let options = WatchOptions { settle: short, poll_interval: short, ..WatchOptions::default() };
    (Watcher::start(options, tx).unwrap(), rx)
}

#[test]
fn hints_tell_of_new_changed_renamed_and_removed_files() {
    let root = tree(&["there/old"]);
    let (watcher, hints) = watcher();
    watcher.watch(root.path()).unwrap();
    let root = root.path();
    put(root, "new", b"1");
    wait_for(&hints, "create", |hint| names(hint, root, "new"));
    put(root, "there/old", b"longer than before");
    wait_for(&hints, "modify", |hint| names(hint, root, "there/old"));
    fs::rename(root.join("new"), root.join("there/renamed")).unwrap();
    wait_for(&hints, "rename", |hint| names(hint, root, "there/renamed"));
    fs::remove_file(root.join("there/renamed")).unwrap();
    wait_for(&hints, "delete", |hint| names(hint, root, "there/renamed"));
    put(root, "later/deep/x", b"1");
    wait_for(&hints, "a new folder", |hint| names(hint, root, "later"));
    put(root, "there/.strongroomignore", b"old");
    wait_for(&hints, "new rules", |hint| names(hint, root, "there/.strongroomignore"));
}

#[test]
fn reading_and_junk_cause_no_hints() {
    let root = tree(&["x", "sub/y"]);
    put(root.path(), ".strongroomignore", b"*.log\n");
    let (watcher, hints) = watcher();
    watcher.watch(root.path()).unwrap();
    for _ in 0..3 {
        scan(root.path(), &rules(&[])).unwrap();
        fs::read(root.path().join("sub/y")).unwrap();
    }
    put(root.path(), "~$x.docx", b"");
    put(root.path(), "x.log", b"");
    put(root.path(), ".git/index", b"");
    put(root.path(), "last", b"");
    let junk = ["x", "sub", "sub/y", "~$x.docx", "x.log", ".git", ".git/index"];
    wait_for(&hints, "the last file", |hint| {
        assert!(!junk.iter().any(|path| names(hint, root.path(), path)), "{hint:?}");
        names(hint, root.path(), "last")
    });
}

#[test]
fn a_folder_that_goes_is_told_and_can_be_taken_up_again() {
    let parent = tree(&["root/x"]);
    let root = parent.path().join("root");
    let (watcher, hints) = watcher();
    watcher.watch(&root).unwrap();
    fs::rename(&root, parent.path().join("away")).unwrap();
    wait_for(&hints, "renamed away", |hint| *hint == Hint::Gone { root: root.clone() });
    assert!(watcher.watch(&root).is_err());
    put(&root, "x", b"1");
    watcher.watch(&root).unwrap();
    put(&root, "y", b"1");
    wait_for(&hints, "in the new folder", |hint| names(hint, &root, "y"));
    fs::remove_dir_all(&root).unwrap();
    wait_for(&hints, "removed", |hint| *hint == Hint::Gone { root: root.clone() });
}

#[test]
fn an_inner_folder_has_its_own_hints_and_outlives_the_outer() {
    let outer = tree(&["acme/x"]);
    let acme = outer.path().join("acme");
    let (watcher, hints) = watcher();
    watcher.watch(outer.path()).unwrap();
    watcher.watch(&acme).unwrap();
    watcher.watch(&acme).unwrap();
    put(&acme, "y", b"1");
    wait_for(&hints, "inner", |hint| names(hint, &acme, "y"));
    fs::create_dir(outer.path().join("beta")).unwrap();
    wait_for(&hints, "a new client", |hint| names(hint, outer.path(), "beta"));
    watcher.unwatch(outer.path());
    put(&acme, "z", b"1");
    wait_for(&hints, "inner alone", |hint| names(hint, &acme, "z"));
    watcher.watch(outer.path()).unwrap();
    watcher.unwatch(&acme);
    put(&acme, "zz", b"1");
    wait_for(&hints, "outer alone", |hint| names(hint, outer.path(), "acme/zz"));
}

#[test]
fn hints_spell_paths_as_the_folder_was_given() {
    let real = tree(&["x"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let alias = elsewhere.path().join("alias");
    symlink(real.path(), &alias).unwrap();
    let (watcher, hints) = watcher();
    watcher.watch(&alias).unwrap();
    put(real.path(), "y", b"1");
    wait_for(&hints, "through a link", |hint| names(hint, &alias, "y"));
}

#[test]
fn polling_finds_what_events_would_have_told() {
    let root = tree(&["x"]);
    let (watcher, hints) = watcher();
    watcher.watch_by(root.path(), true).unwrap();
    put(root.path(), "y", b"1");
    wait_for(&hints, "polled create", |hint| names(hint, root.path(), "y"));
    fs::remove_file(root.path().join("x")).unwrap();
    wait_for(&hints, "polled delete", |hint| names(hint, root.path(), "x"));
}

#[test]
fn a_flood_is_told_file_by_file_or_as_an_overflow() {
    let root = tempfile::tempdir().unwrap();
    let (watcher, hints) = watcher();
    watcher.watch(root.path()).unwrap();
    let mut untold = BTreeSet::new();
    for number in 0..3_000 {
        let path = root.path().join(format!("{number}"));
        fs::File::create(&path).unwrap();
        untold.insert(path);
    }
    let untold = RefCell::new(untold);
    wait_for(&hints, "all of many files", |hint| match hint {
        Hint::Changed { paths, .. } => {
            untold.borrow_mut().retain(|path| !paths.contains(path));
            untold.borrow().is_empty()
        }
        Hint::Overflow { .. } => true,
        Hint::Gone { .. } => panic!("the folder is still there"),
    });
}

#[cfg(target_os = "linux")]
#[test]
fn network_file_systems_are_known_by_number() {
    assert!(is_network_type(0x6969) && is_network_type(0xFF53_4D42) && is_network_type(0x6573_5546));
    assert!(!is_network_type(0xEF53) && !is_network_type(0x0102_1994) && !is_network_type(0x9123_683E));
}
