//! Bad input and bad luck: each has a clear outcome, and nothing is lost by it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{PATIENCE, Server, Start, command, files, http};

/// A data folder, and a folder of clients with one client, `acme`.
struct Place {
    home: TempDir,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("clients/acme")).unwrap();
        Self { home }
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn clients(&self) -> PathBuf {
        self.home.path().join("clients")
    }

    fn file(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.clients().join("acme").join(name.as_ref())
    }

    fn write(&self, name: impl AsRef<OsStr>, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    fn serve_with(&self, environment: &[(&'static str, &str)]) -> Server {
        let environment = environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Server::start(&self.data(), Start { folders: vec![&self.clients()], environment, ..Start::default() })
    }

    /// The folders of all collections.
    fn collections(&self) -> Vec<PathBuf> {
        fs::read_dir(self.data().join("collections")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

/// Waits until `check` gives something.
fn wait<T>(server: &Server, what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "waited for {what}\n{}\n{}", server.get("/api/v1/status").text(), server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// State and reason of a document, once it is there and not pending.
fn outcome(server: &Server, path: &str) -> (String, Value) {
    wait(server, path, || {
        let reply = server.get(&format!("/api/v1/collections/acme/documents/{path}"));
        let record = (reply.status == 200).then(|| reply.json())?;
        let state = record["state"].as_str()?.to_owned();
        (state != "pending").then(|| (state, record["reason"].clone()))
    })
}

/// Waits until a lexical search answers with these paths. A rebuild under way is waited for.
fn wait_found(server: &Server, collection: &str, query: &str, paths: &[&str]) {
    let body = json!({ "query": query, "collections": [collection], "mode": "lexical", "limit": 100 });
    wait(server, &format!("{query} in {paths:?}"), || {
        let reply = server.request("POST", "/api/v1/search", Some(&body));
        let hits = (reply.status == 200).then(|| reply.json()["hits"].clone())?;
        let found: Vec<String> =
            hits.as_array()?.iter().map(|hit| hit["document"]["path"].as_str().unwrap().to_owned()).collect();
        (found == paths).then_some(())
    });
}

/// Waits until so many chunks went through the model: the metric follows a little behind.
fn wait_embedded(server: &Server, number: f64) {
    wait(server, "the metric of embedded chunks", || {
        (server.metric("strongroom_chunks_embedded_total") == number).then_some(())
    });
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn files_that_cannot_be_documents_say_why_and_the_others_are_found() {
    let place = Place::new();
    place.write("good.txt", "The good clause is about marmalade.");
    place.write("empty.txt", "");
    File::create(place.file("huge.txt")).unwrap().set_len(2 << 30).unwrap();
    place.write("noise.pdf", "this is no PDF at all");
    place.write("locked.txt", "The locked clause is about anchovies.");
    fs::set_permissions(place.file("locked.txt"), fs::Permissions::from_mode(0o000)).unwrap();
    let server = place.serve();
    server.wait_for("acme", "five documents", |record| {
        let count = |state: &str| record["documents"][state].as_u64().unwrap();
        count("pending") == 0 && count("indexed") + count("unreadable") + count("failed") == 5
    });
    assert_eq!(outcome(&server, "good.txt"), ("indexed".into(), Value::Null));
    assert_eq!(outcome(&server, "empty.txt"), ("unreadable".into(), json!("empty")));
    assert_eq!(outcome(&server, "huge.txt"), ("unreadable".into(), json!("too_large")));
    assert_eq!(
        outcome(&server, "noise.pdf").0,
        if outcome(&server, "noise.pdf").1.is_null() { "indexed" } else { "unreadable" }
    );
    if is_root() {
        println!("skipped: a file without read permission, because root may read everything");
    } else {
        assert_eq!(outcome(&server, "locked.txt"), ("unreadable".into(), json!("no_permission")));
        fs::set_permissions(place.file("locked.txt"), fs::Permissions::from_mode(0o600)).unwrap();
        wait_found(&server, "acme", "anchovies", &["locked.txt"]);
    }
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

#[test]
fn a_damaged_catalog_is_that_collections_trouble_alone() {
    let place = Place::new();
    place.write("a.txt", "The watched clause is about tangerines.");
    let server = place.serve();
    server.wait_indexed("acme", 1);
    for (name, word) in [("broken", "tamarillo"), ("cut", "feijoa"), ("late", "sapodilla")] {
        server.create(name);
        assert_eq!(server.put(name, "a.txt", &format!("This is about {word}.")).status, 201);
    }
    let id = |name: &str| server.collection(name)["id"].as_str().unwrap().to_owned();
    let catalogs: Vec<PathBuf> = ["broken", "cut", "late"]
        .iter()
        .map(|name| place.data().join("collections").join(id(name)).join("catalog.db"))
        .collect();
    assert_eq!(server.stop(), Some(0));
    for wal in ["-wal", "-shm"] {
        // Clean stops leave none; if one were left it would heal the file.
        catalogs.iter().for_each(|file| drop(fs::remove_file(format!("{}{wal}", file.display()))));
    }
    fs::write(&catalogs[0], vec![0x5a; 20_000]).unwrap();
    fs::write(&catalogs[1], b"").unwrap();
    // Only pages in the middle: found when they are read.
    let mut bytes = fs::read(&catalogs[2]).unwrap();
    let end = bytes.len();
    bytes[4096..end].fill(0xa5);
    fs::write(&catalogs[2], bytes).unwrap();

    let server = place.serve();
    wait_found(&server, "acme", "tangerines", &["a.txt"]);
    for name in ["broken", "cut", "late"] {
        let missing = server.collection(name)["missing"].as_str().unwrap_or_default().to_owned();
        assert!(missing.contains("damaged"), "{name}: {missing}");
        let body = json!({ "query": "fruit", "collections": [name], "mode": "lexical" });
        let reply = server.request("POST", "/api/v1/search", Some(&body));
        assert!(reply.status >= 500, "{name}: {} {}", reply.status, reply.text());
        assert!(!reply.text().contains("a.txt"));
    }
    assert_eq!(server.get("/api/v1/status").status, 200);
    assert_eq!(server.get("/api/v1/collections").json()["collections"].as_array().unwrap().len(), 4);
    place.write("b.txt", "New files are still taken: kumquats.");
    wait_found(&server, "acme", "kumquats", &["b.txt"]);
    assert!(server.log().contains("the others are not affected"), "{}", server.log());
    // Destroying what is broken is the way out.
    assert_eq!(server.request("DELETE", "/api/v1/collections/broken", None).status, 200);
    assert_eq!(server.get("/api/v1/collections/broken").status, 404);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn damaged_indexes_are_rebuilt_by_themselves_and_embed_nothing() {
    let ruins: [(&str, fn(&Path)); 3] = [
        ("overwritten", |file| {
            fs::write(file, vec![0xee; usize::try_from(fs::metadata(file).unwrap().len()).unwrap()]).unwrap()
        }),
        ("cut short", |file| File::options().write(true).open(file).unwrap().set_len(3).unwrap()),
        ("removed", |file| fs::remove_file(file).unwrap()),
    ];
    let place = Place::new();
    for number in 0..8 {
        place.write(format!("{number}.txt"), &format!("Clause {number} is about subject{number}."));
    }
    place.serve().wait_indexed("acme", 8);
    for (what, ruin) in ruins {
        for kind in ["text", "vectors"] {
            let server = place.serve();
            wait_found(&server, "acme", "subject3", &["3.txt"]);
            assert_eq!(server.stop(), Some(0));
            let index = place.collections()[0].join(kind);
            files(&index).iter().filter(|file| fs::metadata(file).unwrap().len() > 0).for_each(|file| ruin(file));
            let log = fs::read_to_string(place.home.path().join("data.log")).unwrap().len();
            let server = place.serve();
            wait_found(&server, "acme", "subject3", &["3.txt"]);
            let body = json!({ "query": "subject", "collections": ["acme"], "mode": "dense", "limit": 100 });
            wait(&server, "all of them by meaning", || {
                let reply = server.request("POST", "/api/v1/search", Some(&body));
                (reply.status == 200 && reply.json()["hits"].as_array()?.len() == 8).then_some(())
            });
            if what != "removed" {
                assert!(
                    server.log()[log..].contains("damaged"),
                    "{kind} {what}: the log does not say so:\n{}",
                    &server.log()[log..]
                );
            }
            assert_eq!(server.metric("strongroom_chunks_embedded_total"), 0.0, "{kind} {what}");
            // And it goes on taking changes.
            place.write("new.txt", &format!("Something new about {kind} {what}."));
            server.wait_indexed("acme", 9);
            fs::remove_file(place.file("new.txt")).unwrap();
            server.wait_indexed("acme", 8);
            assert_eq!(server.stop(), Some(0));
        }
    }
}

#[test]
fn a_second_process_is_refused_and_told_of_the_first() {
    let place = Place::new();
    let server = place.serve();
    let second = Command::new(crate::support::binary())
        .args(["serve", "--bind", "127.0.0.1:0", "--data"])
        .arg(place.data())
        .output()
        .unwrap();
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains(&server.pid().to_string()), "{told}");
    assert_eq!(server.get("/readyz").status, 200);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_folder_that_vanishes_or_loses_all_is_missing_answers_and_comes_back() {
    let place = Place::new();
    for number in 0..11 {
        place.write(format!("{number}.txt"), &format!("Sheet {number} is about thing{number}."));
    }
    let server = place.serve();
    server.wait_indexed("acme", 11);
    wait_embedded(&server, 11.0);
    let answers = || assert_eq!(server.found("acme", "thing4"), ["4.txt"]);
    let away = place.home.path().join("away");

    // The folder is gone, then back.
    fs::rename(place.clients().join("acme"), &away).unwrap();
    server.wait_for("acme", "the folder to be missed", |record| record["missing"].is_string());
    answers();
    fs::rename(&away, place.clients().join("acme")).unwrap();
    server.wait_for("acme", "the folder's return", |record| record["missing"].is_null());
    answers();

    // All of its files are gone, then back: a disk that was not mounted.
    fs::rename(place.clients().join("acme"), &away).unwrap();
    fs::create_dir(place.clients().join("acme")).unwrap();
    server.wait_for("acme", "the files to be missed", |record| {
        record["missing"].is_string() && record["documents"]["indexed"] == 11
    });
    std::thread::sleep(Duration::from_secs(3));
    answers();
    fs::remove_dir(place.clients().join("acme")).unwrap();
    fs::rename(&away, place.clients().join("acme")).unwrap();
    server.wait_for("acme", "the files' return", |record| record["missing"].is_null());
    answers();
    // Longer than the metric is behind: it must not have grown.
    std::thread::sleep(Duration::from_secs(1));
    wait_embedded(&server, 11.0);

    // Forgetting needs something missing; then it removes what was there.
    let refused = command(&place.data(), &["forget", "acme"]);
    assert!(!refused.status.success());
    for number in 0..11 {
        fs::rename(place.file(format!("{number}.txt")), place.home.path().join(format!("{number}.txt"))).unwrap();
    }
    // Removed one by one, a sweep may have come in between and taken some for deleted: what is left may be few.
    let left = server.wait_for("acme", "an end", |record| record["missing"].is_string() || record["documents"]["indexed"] == 0);
    if left["missing"].is_string() {
        let forgotten = command(&place.data(), &["forget", "acme"]);
        assert!(forgotten.status.success(), "{}", String::from_utf8_lossy(&forgotten.stderr));
    }
    server.wait_indexed("acme", 0);
    assert!(server.found("acme", "thing4").is_empty());
    assert_eq!(server.collection("acme")["missing"], Value::Null);
    place.write("new.txt", "A new beginning with lychees.");
    wait_found(&server, "acme", "lychees", &["new.txt"]);

    // A folder that is gone for good goes with its collection.
    fs::remove_dir_all(place.clients().join("acme")).unwrap();
    server.wait_for("acme", "the folder to be missed", |record| record["missing"].is_string());
    assert!(command(&place.data(), &["forget", "acme"]).status.success());
    assert_eq!(server.get("/api/v1/collections/acme").status, 404);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_signal_ends_the_server_while_a_large_document_is_read() {
    let place = Place::new();
    let server = place.serve();
    let mut text = String::new();
    for number in 0..60_000 {
        text.push_str(&format!(
            "Article {number}. The parties shall honour obligation {number} at all times and in good faith.\n\n"
        ));
    }
    place.write("large.txt", &text);
    server.wait_for("acme", "the large file", |record| record["documents"]["pending"] == 1);
    // Well into embedding, and far from its end.
    wait(&server, "the model to work", || (server.metric("strongroom_chunks_embedded_total") > 0.0).then_some(()));
    let (stopped, told) = std::sync::mpsc::channel();
    let stopping = std::thread::spawn(move || {
        let code = server.stop();
        stopped.send(()).unwrap();
        code
    });
    // Not a measurement: the document would take many times as long as this.
    assert!(told.recv_timeout(Duration::from_secs(30)).is_ok(), "it does not end");
    assert_eq!(stopping.join().unwrap(), Some(0));
    // It is as pending as before, and nobody calls that a failure.
    let server = place.serve_with(&[("STRONGROOM_INDEXING_PAUSE", "true")]);
    let record = server.wait_for("acme", "its state", |record| record["documents"]["pending"] == 1);
    assert_eq!(record["documents"]["failed"], 0);
}

/// A small file system of its own, if this process may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, mib: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={mib}m,mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whatever still looks at it must not keep it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_disk_that_runs_full_pauses_indexing_and_space_lets_it_go_on() {
    let place = Place::new();
    let disk = place.home.path().join("disk");
    let Some(_disk) = SmallDisk::mount(&disk, 160) else {
        println!("skipped: a full disk, because this process may not mount a small file system");
        return;
    };
    let data = disk.join("data");
    let environment = || vec![("STRONGROOM_INDEXING_RESERVE", "64MiB".to_owned())];
    let start = || Start { folders: vec![], environment: environment(), ..Start::default() };
    let clients = place.clients();
    place.write("a.txt", "The first clause is about papayas.");
    let server = Server::start(&data, Start { folders: vec![&clients], ..start() });
    server.wait_indexed("acme", 1);
    server.create("vault");

    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![1; 110 << 20]).unwrap();
    let paused = wait(&server, "the pause", || server.get("/api/v1/indexing").json()["paused"].as_str().map(str::to_owned));
    assert!(paused.contains("reserve"), "{paused}");
    place.write("b.txt", "The second clause is about guavas.");
    server.wait_for("acme", "the file that waits", |record| record["documents"]["pending"] == 1);
    assert_eq!(server.found("acme", "papayas"), ["a.txt"], "searches go on");
    let refused =
        http::request(server.address, "PUT", "/api/v1/collections/vault/documents/c.txt", &[], b"No room for lemons.");
    assert!((500..600).contains(&refused.status), "{}", refused.text());
    assert!(server.get("/api/v1/collections/vault/documents/c.txt").status == 404, "nothing of it was stored");

    fs::remove_file(&ballast).unwrap();
    wait_found(&server, "acme", "guavas", &["b.txt"]);
    assert_eq!(server.put("vault", "c.txt", "Room for lemons.").status, 201);
    assert_eq!(server.get("/api/v1/indexing").json()["paused"], Value::Null);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn forced_past_a_full_disk_it_may_die_but_converges_once_there_is_space() {
    let place = Place::new();
    let disk = place.home.path().join("disk");
    let Some(_disk) = SmallDisk::mount(&disk, 120) else {
        println!("skipped: a disk full to the last byte, because this process may not mount a small file system");
        return;
    };
    let data = disk.join("data");
    let clients = place.clients();
    let start = || Start {
        folders: vec![&clients],
        environment: vec![("STRONGROOM_INDEXING_RESERVE", "0B".to_owned())],
        ..Start::default()
    };
    place.write("a.txt", "The first clause is about papayas.");
    let mut server = Server::start(&data, start());
    server.wait_indexed("acme", 1);
    server.create("vault");
    assert_eq!(server.put("vault", "kept.txt", "Acknowledged: breadfruit.").status, 201);
    // Fill it to the last byte, then go on.
    let ballast = disk.join("ballast");
    let mut file = File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 1 << 16]).is_ok() {}
    drop(file);
    for number in 0..60 {
        place.write(format!("{number}.txt"), &format!("Clause {number} is about filler{number}. ").repeat(50));
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) && !server.ended() {
        // What it answers, if it does, is its own affair; it must not lose what it acknowledges.
        let _ =
            http::try_request(server.address, "PUT", "/api/v1/collections/vault/documents/full.txt", &[], b"Refused or kept.");
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("on a full disk the server {}", if server.ended() { "died" } else { "lived on" });
    fs::remove_file(&ballast).unwrap();
    if !server.ended() {
        // Without a restart, too: nothing that failed for want of space may be forgotten.
        server.wait_indexed("acme", 61);
        wait_found(&server, "acme", "filler42", &["42.txt"]);
    }
    drop(server);
    let server = Server::start(&data, start());
    server.wait_indexed("acme", 61);
    wait_found(&server, "acme", "filler42", &["42.txt"]);
    wait_found(&server, "acme", "papayas", &["a.txt"]);
    wait_found(&server, "vault", "breadfruit", &["kept.txt"]);
    assert_eq!(server.stop(), Some(0));
}
