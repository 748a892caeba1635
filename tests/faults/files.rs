//! Files that are odd, hostile, changing, or many at once.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, Start, files, http};

use super::*;

#[test]
fn files_that_cannot_be_documents_say_why_and_the_others_are_found() {
    let place = Place::new();
    place.write("good.txt", "The good clause is about marmalade.");
    place.write("empty.txt", "");
    File::create(place.file("huge.txt")).unwrap().set_len(2 << 30).unwrap();
    place.write("noise.pdf", "this is no PDF at all");
    let server = place.serve();
    server.wait_for("acme", "four documents", |record| {
        let count = |state: &str| record["documents"][state].as_u64().unwrap();
        count("pending") == 0 && count("indexed") + count("unreadable") + count("failed") == 4
    });
    assert_eq!(outcome(&server, "good.txt"), ("indexed".into(), Value::Null));
    assert_eq!(outcome(&server, "empty.txt"), ("unreadable".into(), json!("empty")));
    assert_eq!(outcome(&server, "huge.txt"), ("unreadable".into(), json!("too_large")));
    assert_eq!(
        outcome(&server, "noise.pdf").0,
        if outcome(&server, "noise.pdf").1.is_null() { "indexed" } else { "unreadable" }
    );
    // Each becomes a document as soon as it can be one.
    place.write("empty.txt", "The empty file is now about gooseberries.");
    place.write("huge.txt", "The huge file is now about persimmons.");
    wait_found(&server, "acme", "gooseberries", &["empty.txt"]);
    wait_found(&server, "acme", "persimmons", &["huge.txt"]);
    // And a document becomes none: the old text must not answer for it.
    place.write("good.txt", "");
    wait_found(&server, "acme", "marmalade", &[]);
    assert_eq!(outcome(&server, "good.txt"), ("unreadable".into(), json!("empty")));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_file_that_may_not_be_read_says_so_and_is_read_once_it_may() {
    // Root may read everything, so there the server runs as somebody else, who owns all but that file.
    const NOBODY: u32 = 65534;
    let place = Place::new();
    place.write("locked.txt", "The locked clause is about anchovies.");
    let user = is_root().then_some(NOBODY);
    if user.is_some() {
        for path in [place.home.path().to_owned(), place.clients(), place.file("")] {
            chown(path, user, user).unwrap();
        }
    }
    fs::set_permissions(place.file("locked.txt"), fs::Permissions::from_mode(0o000)).unwrap();
    let clients = place.clients();
    let start = Start { folders: vec![&clients], user, ..Start::default() };
    let server = Server::start(&place.data(), start);
    assert_eq!(outcome(&server, "locked.txt"), ("unreadable".into(), json!("no_permission")));
    fs::set_permissions(place.file("locked.txt"), fs::Permissions::from_mode(0o644)).unwrap();
    wait_found(&server, "acme", "anchovies", &["locked.txt"]);
}

#[test]
fn odd_names_are_found_or_named_and_links_are_not_followed() {
    let place = Place::new();
    let long = format!("{}.txt", "n".repeat(251));
    place.write("line\nbreak.txt", "The newline clause is about quinces.");
    place.write(&long, "The long clause is about rhubarb.");
    place.write(" ümläut 契約 %2e.txt", "The umlaut clause is about medlars.");
    let bad_names = fs::write(place.file(OsStr::from_bytes(b"bad\xff.txt")), "nobody reads this").is_ok();
    assert!(fs::write(place.file("n".repeat(300)), "").is_err(), "the file system itself refuses 300 characters");
    let outside = place.home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret.txt"), "The outside clause is about durians.").unwrap();
    symlink(&outside, place.file("out")).unwrap();
    symlink(outside.join("secret.txt"), place.file("secret.txt")).unwrap();
    symlink(place.clients().join("acme"), place.file("loop")).unwrap();
    symlink(&outside, place.clients().join("linked-client")).unwrap();
    let server = place.serve();
    server.wait_indexed("acme", 3);
    wait_found(&server, "acme", "quinces", &["line\nbreak.txt"]);
    wait_found(&server, "acme", "rhubarb", &[&long]);
    wait_found(&server, "acme", "medlars", &[" ümläut 契約 %2e.txt"]);
    let text = server.get("/api/v1/collections/acme/documents/line%0Abreak.txt/text");
    assert_eq!((text.status, text.text()), (200, "The newline clause is about quinces.".into()));
    assert!(server.found("acme", "durians").is_empty());
    let names: Vec<String> = server.get("/api/v1/collections").json()["collections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|collection| collection["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["acme"]);
    if bad_names {
        let shown = server.get("/api/v1/indexing").json()["bad_names"].clone();
        assert_eq!(shown, json!(["bad\u{fffd}.txt"]));
    } else {
        println!("skipped: a name that is not UTF-8, because this file system refuses it");
    }
}

#[test]
fn paths_over_rest_never_leave_their_collection() {
    let place = Place::new();
    let server = place.serve();
    server.create("vault");
    let before = files(place.home.path()).len();
    let bad = [
        "..%2fescape.txt",
        "..%2f..%2f..%2fescape.txt",
        "%2e%2e/escape.txt",
        "../escape.txt",
        "a/../../escape.txt",
        "%2Ftmp%2Fescape.txt",
        "/tmp/escape.txt",
        "a%00escape.txt",
        "..%5cescape.txt",
        "a%5cescape.txt",
        "a%0Aescape.txt",
        "./escape.txt",
        "a//escape.txt",
        "a/",
        "%FFescape.txt",
        &"n".repeat(300),
    ];
    for path in bad {
        for method in ["PUT", "GET", "DELETE"] {
            let body: &[u8] = if method == "PUT" { b"escaped" } else { b"" };
            let target = format!("/api/v1/collections/vault/documents/{path}");
            let reply = http::request(server.address, method, &target, &[], body);
            // What only a new document may not be called can be asked for: it is not there.
            let allowed: &[u16] = if method == "PUT" { &[400] } else { &[400, 404] };
            assert!(allowed.contains(&reply.status), "{method} {path}: {} {}", reply.status, reply.text());
        }
    }
    assert!(!files(place.home.path()).iter().any(|file| file.to_string_lossy().contains("escape")));
    // The server's own files may come and go by one or two (logs of a database); no document may have come.
    assert!(files(place.home.path()).len() <= before + 6);
    assert_eq!(server.collection("vault")["documents"]["indexed"], 0);
}

#[test]
fn files_that_change_and_vanish_while_they_are_read_end_as_they_are() {
    let place = Place::new();
    let server = place.serve();
    // Large enough to be read for a while; changed in between, some deleted at once.
    let long = |word: &str| format!("The clause on {word} goes on and on. ").repeat(3_000);
    for round in 0..6 {
        for file in 0..4 {
            place.write(format!("moving-{file}.txt"), &long(&format!("draft{round}")));
            place.write(format!("gone-{round}-{file}.txt"), &long("nothing"));
        }
        std::thread::sleep(Duration::from_millis(120));
        for file in 0..4 {
            fs::remove_file(place.file(format!("gone-{round}-{file}.txt"))).unwrap();
        }
    }
    // One grows while it is read, as a log or a download does.
    let mut growing = File::create(place.file("growing.txt")).unwrap();
    for _ in 0..40 {
        std::io::Write::write_all(&mut growing, long("growth").as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(growing);
    for file in 0..4 {
        place.write(format!("moving-{file}.txt"), &format!("Final words about jackfruit number{file}."));
    }
    place.write("growing.txt", "It has grown into starfruit.");
    let record = server.wait_for("acme", "the last state", |record| {
        record["documents"] == json!({ "indexed": 5, "partial": 0, "pending": 0, "unreadable": 0, "failed": 0 })
            && server.found("acme", "starfruit") == ["growing.txt"]
            && server.found("acme", "jackfruit").len() == 4
    });
    assert_eq!(record["chunks"], 5);
    for word in ["draft5", "nothing", "growth"] {
        assert!(server.found("acme", word).is_empty(), "{word}");
    }
}

#[test]
fn names_that_swap_chain_and_are_replaced_keep_every_text_and_embed_nothing() {
    let place = Place::new();
    for name in ["a", "b", "c", "d", "e"] {
        place.write(format!("{name}.txt"), &format!("The file first called {name} holds the word origin{name}."));
    }
    let server = place.serve();
    server.wait_indexed("acme", 5);
    wait_embedded(&server, 5.0);
    // A chain (c to z, b to c, a to b) and a swap (d and e), as one sweep sees them.
    fs::rename(place.file("c.txt"), place.file("z.txt")).unwrap();
    fs::rename(place.file("b.txt"), place.file("c.txt")).unwrap();
    fs::rename(place.file("a.txt"), place.file("b.txt")).unwrap();
    fs::rename(place.file("d.txt"), place.file("swap.tmp")).unwrap();
    fs::rename(place.file("e.txt"), place.file("d.txt")).unwrap();
    fs::rename(place.file("swap.tmp"), place.file("e.txt")).unwrap();
    for (word, path) in
        [("origina", "b.txt"), ("originb", "c.txt"), ("originc", "z.txt"), ("origind", "e.txt"), ("origine", "d.txt")]
    {
        wait_found(&server, "acme", word, &[path]);
    }
    server.wait_indexed("acme", 5);
    // A whole folder of many documents that gets another name is moved, not lost.
    fs::create_dir(place.file("before")).unwrap();
    for number in 0..12 {
        place.write(format!("before/{number}.txt"), &format!("Paper number {number} is about mover{number}."));
    }
    for name in ["b", "c", "z", "d", "e"] {
        fs::remove_file(place.file(format!("{name}.txt"))).unwrap();
    }
    server.wait_indexed("acme", 12);
    // Five at first, none for the new names, twelve now.
    wait_embedded(&server, 17.0);
    fs::rename(place.file("before"), place.file("after")).unwrap();
    wait_found(&server, "acme", "mover7", &["after/7.txt"]);
    let record = server.wait_indexed("acme", 12);
    assert_eq!(record["missing"], Value::Null);
    std::thread::sleep(Duration::from_secs(1));
    wait_embedded(&server, 17.0);
}

#[test]
fn many_files_at_once_are_all_indexed() {
    let number: u64 = std::env::var("STRONGROOM_TEST_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let place = Place::new();
    let server = place.serve();
    for file in 0..number {
        place.write(format!("{file}.txt"), &format!("Sheet word{file}."));
    }
    let begun = Instant::now();
    // Longer than other waits: this is about all arriving, not about when.
    while server.collection("acme")["documents"]["indexed"] != number {
        assert!(begun.elapsed() < PATIENCE * 10, "{}\n{}", server.collection("acme"), server.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    for file in [0, number / 2, number - 1] {
        assert_eq!(server.found("acme", &format!("word{file}")), [format!("{file}.txt")]);
    }
    assert_eq!(server.collection("acme")["chunks"], number);
}
