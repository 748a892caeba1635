//! Opening files below a watched folder: whatever the path and the links say, never anything outside it.

use std::io::Read;
use std::path::PathBuf;

use proptest::prelude::*;

use super::super::open::{open_by_kernel, open_by_steps};
use super::*;

#[test]
fn files_are_opened_inside_the_folder_only() {
    let outside = tree(&["secret", "folder/secret"]);
    let root = tree(&["a/b/x", "top"]);
    symlink(outside.path().join("secret"), root.path().join("file")).unwrap();
    symlink(outside.path().join("folder"), root.path().join("folder")).unwrap();
    symlink("a", root.path().join("inside")).unwrap();
    let mut text = String::new();
    read_file(&root.path().join("a/b/x"), root.path()).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "a/b/x");
    let outcome = |path: &str| match read_file(Path::new(path), root.path()) {
        Ok(_) => "opened",
        Err(ReadError::Missing) => "missing",
        Err(ReadError::Outside) => "outside",
        Err(ReadError::Link) => "link",
        Err(ReadError::NotAFile) => "not a file",
        Err(ReadError::Denied | ReadError::Io(_)) => "other",
    };
    for (path, expected) in [
        ("./a/b/x", "opened"),
        ("top", "opened"),
        ("none", "missing"),
        ("top/x", "missing"),
        ("a/b", "not a file"),
        ("", "not a file"),
        ("../x", "outside"),
        ("a/../top", "outside"),
        ("/etc/passwd", "outside"),
        ("file", "link"),
        ("folder/secret", "link"),
        ("inside/b/x", "link"),
    ] {
        assert_eq!(outcome(path), expected, "{path}");
    }
    assert!(matches!(read_file(Path::new("x"), &root.path().join("gone")), Err(ReadError::Missing)));
}

#[cfg(target_os = "linux")]
#[test]
fn both_ways_of_opening_agree() {
    use std::os::fd::AsFd;
    let root = tree(&["a/b/x"]);
    symlink("a", root.path().join("l")).unwrap();
    symlink("a/b/x", root.path().join("f")).unwrap();
    symlink("f", root.path().join("a/g")).unwrap();
    let opened = open_root(root.path()).unwrap();
    for path in ["a", "a/b", "a/b/x", "l", "l/b/x", "f", "a/g", "a/none", "none/x", "a/b/x/y"] {
        let flags = rustix::fs::OFlags::RDONLY;
        let by_kernel = open_by_kernel(opened.as_fd(), Path::new(path), flags).map(|_| ());
        let by_steps = open_by_steps(opened.as_fd(), Path::new(path), flags).map(|_| ());
        assert_eq!(by_kernel, by_steps, "{path}");
    }
}

proptest! {
    // Each case makes real files: fewer of them than of pure ones.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever path comes in, what is opened lies inside, and no path is in the message.
    #[test]
    fn no_path_climbs(parts in prop::collection::vec("\\.\\.|\\.|a|b|x|/|canary", 0..6)) {
        let tree = tree(&["x", "root/a/b/x", "root/x"]);
        let root = tree.path().join("root");
        let path = PathBuf::from(parts.join("/"));
        match read_file(&path, &root) {
            Ok(mut file) => {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                prop_assert!(text == "root/x" || text == "root/a/b/x");
            }
            Err(error) => prop_assert!(!error.to_string().contains("canary")),
        }
    }

    /// A scan gives back exactly the files that were made, and each path opens its own file.
    #[test]
    fn every_plain_path_is_found_and_opens(
        names in prop::collection::btree_set("[a-cé]{1,3}(/[x-z ]{1,2}){0,2}/[0-9\n]{1,2}\\.t", 0..12)
    ) {
        let root = tempfile::tempdir().unwrap();
        for name in &names {
            put(root.path(), name, name.as_bytes());
        }
        let scan = scan(root.path(), &rules(&[])).unwrap();
        prop_assert_eq!(paths(&scan), names.iter().map(String::as_str).collect::<Vec<_>>());
        for file in &scan.files {
            let mut text = String::new();
            read_file(&file.absolute, root.path()).unwrap().read_to_string(&mut text).unwrap();
            prop_assert_eq!(&text, &file.path);
        }
    }
}
