//! Scans against real folders: what is found, what is left out, and where nobody may lead us.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::open::open_root;
use super::scan::is_settled;
use super::*;

mod hints;
mod opening;

fn tree(paths: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for path in paths {
        put(root.path(), path, path.as_bytes());
    }
    root
}

fn put(root: &Path, path: &str, bytes: &[u8]) {
    let full = root.join(path);
    fs::create_dir_all(full.parent().unwrap()).unwrap();
    fs::write(full, bytes).unwrap();
}

fn rules(lines: &[&str]) -> Rules {
    Rules::new(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn paths(scan: &Scan) -> Vec<&str> {
    scan.files.iter().map(|file| file.path.as_str()).collect()
}

fn found(root: &TempDir, lines: &[&str]) -> Vec<String> {
    scan(root.path(), &rules(lines)).unwrap().files.into_iter().map(|file| file.path).collect()
}

#[test]
fn files_come_sorted_with_what_tells_them_apart() {
    let root = tree(&["b/deep/er/x.txt", "b.txt", "a b/ä.pdf", "a"]);
    let scan = scan(root.path(), &rules(&[])).unwrap();
    assert_eq!(paths(&scan), ["a", "a b/ä.pdf", "b.txt", "b/deep/er/x.txt"]);
    let file = &scan.files[3];
    assert_eq!(file.absolute, root.path().join("b/deep/er/x.txt"));
    let meta = fs::metadata(&file.absolute).unwrap();
    assert_eq!((file.bytes, file.modified), (meta.len(), meta.modified().unwrap()));
    let inode = file.inode;
    fs::rename(&file.absolute, root.path().join("moved")).unwrap();
    let again = super::scan(root.path(), &rules(&[])).unwrap();
    assert_eq!(again.files.iter().find(|file| file.path == "moved").unwrap().inode, inode);
}

#[test]
fn what_no_client_means_as_a_document_is_left_out_and_counted() {
    let junk = [
        "~$letter.docx",
        ".~lock.letter.odt#",
        "x.tmp",
        ".x.swp",
        "x.swp",
        "x~",
        "4913",
        "#x#",
        ".DS_Store",
        "Thumbs.db",
        "THUMBS.DB",
        "desktop.ini",
        ".hidden",
        ".folder/x",
        "x.part",
        "x.crdownload",
        "x.download",
        "x.partial",
        "x.filepart",
        "__MACOSX/x",
        "lost+found/x",
        "$RECYCLE.BIN/x",
        "System Volume Information/x",
        "a/b/x.TMP",
    ];
    let kept = ["#notes", "49130", "a/b/tmp", "download", "lost+found.txt", "part.txt", "x.part.pdf", "~draft"];
    let root = tree(&[&junk[..], &kept[..]].concat());
    let scan = scan(root.path(), &rules(&[])).unwrap();
    assert_eq!(paths(&scan), kept);
    assert_eq!(scan.ignored, junk.len() as u64);
    assert_eq!(scan.unreadable_folders, [""; 0]);
}

#[test]
fn rules_are_added_and_taken_back_by_config_and_by_files_in_the_tree() {
    let root = tree(&["x.tmp", "x.log", "keep/y.log", "keep/z.tmp", "keep/deep/z.tmp", "old/a", "keep/old/a", ".h/x"]);
    assert_eq!(found(&root, &[]), ["keep/old/a", "keep/y.log", "old/a", "x.log"]);
    assert_eq!(found(&root, &["*.log", "/old/"]), ["keep/old/a"]);
    put(root.path(), ".strongroomignore", b"\xef\xbb\xbf*.log\r\n# a remark\n!.h/\n");
    put(root.path(), "keep/.strongroomignore", b"!*.log\n!/z.tmp\n");
    assert_eq!(found(&root, &[]), [".h/x", "keep/old/a", "keep/y.log", "keep/z.tmp", "old/a"]);
    // The nearest file wins over the configured lines, and ignore files are never documents themselves.
    assert_eq!(found(&root, &["!.*", "z.tmp", "old"]), [".h/x", "keep/y.log", "keep/z.tmp"]);
}

#[test]
fn a_wrong_configured_rule_is_an_error_and_a_wrong_line_in_a_file_is_named() {
    let error = Rules::new(&["fine".to_owned(), "a{b".to_owned()]).unwrap_err();
    assert_eq!(error.number, 2);
    let root = tree(&["a/x", "a/y"]);
    put(root.path(), "a/.strongroomignore", b"a{b\ny\n");
    let scan = scan(root.path(), &rules(&[])).unwrap();
    assert_eq!((paths(&scan), scan.faulty_ignore_files.clone()), (vec!["a/x"], vec!["a/.strongroomignore".to_owned()]));
}

#[test]
fn nothing_is_taken_from_a_folder_whose_ignore_file_cannot_be_read() {
    let root = tree(&["a/x", "b/y"]);
    symlink(root.path().join("a/x"), root.path().join("a/.strongroomignore")).unwrap();
    let scan = scan(root.path(), &rules(&[])).unwrap();
    assert_eq!((paths(&scan), scan.unreadable_folders.clone()), (vec!["b/y"], vec!["a".to_owned()]));
    put(root.path(), ".strongroomignore", &vec![b'#'; 100_000]);
    assert!(matches!(super::scan(root.path(), &rules(&[])), Err(ScanError::Unreadable(_))));
}

#[test]
fn links_are_counted_and_never_followed() {
    let outside = tree(&["secret.txt", "folder/secret.txt"]);
    let root = tree(&["x/own.txt"]);
    let link = |to: &Path, name: &str| symlink(to, root.path().join(name)).unwrap();
    link(&outside.path().join("secret.txt"), "file");
    link(&outside.path().join("folder"), "folder");
    link(root.path(), "x/loop");
    link(Path::new("x/own.txt"), "inside");
    link(Path::new("nowhere"), "dangling");
    let scan = scan(root.path(), &rules(&[])).unwrap();
    assert_eq!((paths(&scan), scan.links), (vec!["x/own.txt"], 5));
    // The watched folder itself may be reached through a link: the user named it.
    let alias = outside.path().join("alias");
    symlink(root.path(), &alias).unwrap();
    assert_eq!(paths(&super::scan(&alias, &rules(&[])).unwrap()), ["x/own.txt"]);
}

#[test]
fn odd_names_are_kept_exactly_or_named() {
    let long = "n".repeat(255);
    let odd = ["a\nb", "a\\b", " lead", "trail ", "-rf", "e\u{301}", "é", "\u{202e}txt.fdp", &long];
    let root = tree(&odd);
    fs::write(root.path().join(OsStr::from_bytes(b"bad\xffname")), "").unwrap();
    fs::create_dir(root.path().join(OsStr::from_bytes(b"bad\xfefolder"))).unwrap();
    fs::write(root.path().join(OsStr::from_bytes(b"bad\xfefolder/x")), "").unwrap();
    let scan = scan(root.path(), &rules(&[])).unwrap();
    let mut expected = odd.to_vec();
    expected.sort_unstable();
    assert_eq!(paths(&scan), expected);
    let unsupported: Vec<_> = scan.unsupported_names.iter().map(|name| (name.shown.as_str(), name.is_folder)).collect();
    assert_eq!(unsupported, [("bad\u{fffd}folder", true), ("bad\u{fffd}name", false)]);
}

#[test]
fn a_tree_deeper_than_paths_can_be_ends_in_a_named_entry() {
    let root = tempfile::tempdir().unwrap();
    let name = "d".repeat(200);
    let mut here = open_root(root.path()).unwrap();
    for _ in 0..40 {
        rustix::fs::mkdirat(&here, &name, 0o700.into()).unwrap();
        here = rustix::fs::openat(&here, &name, rustix::fs::OFlags::DIRECTORY, 0.into()).unwrap();
    }
    let scan = scan(root.path(), &rules(&[])).unwrap();
    assert_eq!(scan.unsupported_names.len(), 1);
    assert_eq!(scan.unsupported_names[0].problem, NameProblem::TooLong);
}

#[test]
fn pipes_are_passed_over_and_refused_without_waiting() {
    let root = tree(&["x"]);
    rustix::fs::mknodat(rustix::fs::CWD, root.path().join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let scan = scan(root.path(), &rules(&[])).unwrap();
    assert_eq!((paths(&scan), scan.special), (vec!["x"], 1));
    assert!(matches!(read_file(Path::new("pipe"), root.path()), Err(ReadError::NotAFile)));
}

#[test]
fn a_folder_that_cannot_be_seen_is_an_error_and_never_an_empty_list() {
    let root = tree(&["file"]);
    let gone = root.path().join("gone");
    assert!(matches!(scan(&gone, &rules(&[])), Err(ScanError::Missing(_))));
    assert!(matches!(subfolders(&gone), Err(ScanError::Missing(_))));
    assert_eq!(scan(&root.path().join("file"), &rules(&[])), Err(ScanError::NotAFolder));
    let error = scan(&gone, &rules(&[])).unwrap_err().to_string();
    assert!(!error.contains("gone") && !error.contains('/'), "a path in {error:?}");
}

#[test]
fn folders_without_permission_are_named() {
    use std::os::unix::fs::PermissionsExt;
    let root = tree(&["open/x", "shut/y"]);
    let shut = root.path().join("shut");
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
    let result = scan(root.path(), &rules(&[])).unwrap();
    let as_root = fs::read_dir(&shut).is_ok();
    let own_root = scan(&shut, &rules(&[]));
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o700)).unwrap();
    if as_root {
        return; // permissions do not bind this user, so there is nothing to see
    }
    assert_eq!((paths(&result), result.unreadable_folders.clone()), (vec!["open/x"], vec!["shut".to_owned()]));
    assert!(matches!(own_root, Err(ScanError::Unreadable(_))));
}

#[test]
fn many_files_are_no_matter() {
    let root = tempfile::tempdir().unwrap();
    for folder in 0..100 {
        fs::create_dir(root.path().join(format!("{folder}"))).unwrap();
        for file in 0..100 {
            fs::File::create(root.path().join(format!("{folder}/{file}"))).unwrap();
        }
    }
    assert_eq!(scan(root.path(), &rules(&[])).unwrap().files.len(), 10_000);
}

#[test]
fn settled_means_left_alone_and_a_wrong_clock_blocks_nothing() {
    let root = tree(&["x"]);
    assert!(!scan(root.path(), &rules(&[])).unwrap().files[0].settled);
    let past = SystemTime::now() - Duration::from_secs(60);
    fs::File::options().write(true).open(root.path().join("x")).unwrap().set_modified(past).unwrap();
    assert!(scan(root.path(), &rules(&[])).unwrap().files[0].settled);

    let now = SystemTime::now();
    let second = Duration::from_secs(1);
    let (old, new, future) = (now - second, now - second / 2, now + 3600 * second);
    for (modified, changed, settled) in [
        (old, old, true),
        (new, old, false),
        (old, new, true),
        (future, new, false),
        (future, old, true),
        (future, future, true),
    ] {
        assert_eq!(is_settled(now, modified, changed, second), settled);
    }
}

#[test]
fn sub_folders_are_clients_and_files_beside_them_are_nobodys() {
    let root = tree(&["acme/x", "Béta & Co/x", ".git/x", "lost+found/x", "README.md", ".hidden", "old/x", "~$x.docx"]);
    put(root.path(), ".strongroomignore", b"/old/\n");
    symlink("/", root.path().join("everything")).unwrap();
    fs::create_dir(root.path().join(OsStr::from_bytes(b"\xff"))).unwrap();
    let listing = subfolders(root.path()).unwrap();
    let folder = |name: &str| (name.to_owned(), root.path().join(name));
    assert_eq!(listing.folders, [folder("Béta & Co"), folder("acme")]);
    assert_eq!(listing.stray_files, ["README.md"]);
    assert_eq!(listing.links, ["everything"]);
    assert_eq!(listing.unsupported_names.len(), 1);
}
