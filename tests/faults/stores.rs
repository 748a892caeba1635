//! Damaged stores, vanished folders, a second process, a signal at a bad moment.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{command, files};

use super::*;

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
    type Ruin = (&'static str, fn(&Path));
    let ruins: [Ruin; 3] = [
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
