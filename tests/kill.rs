//! Invariant 3: the real process is killed at random moments while files change, and a restart always converges.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use strongroom_ingest::index::{Store, StoreOptions, lanes};

use self::world::{Content, Dice, World};
use crate::support::{self, PATIENCE, Server, Start};

/// Kills in the ordinary test; `STRONGROOM_KILLS` sets another number.
const KILLS: u64 = 25;
/// Everything is compared after so many kills, and at the end.
const COMPARE_EVERY: u64 = 9;
/// Most text files at a time: fewer than a search gives hits, so that one search must show them all.
const MOST_FILES: usize = 60;

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every document of a collection: path, hash, state.
fn listed(server: &Server, collection: &str) -> BTreeMap<String, (String, String)> {
    let mut all = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let reply = server.get(&format!("/api/v1/collections/{collection}/documents?limit=100{cursor}"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        let page = reply.json();
        for document in page["documents"].as_array().unwrap() {
            let word = |key: &str| document[key].as_str().unwrap().to_owned();
            assert!(all.insert(word("path"), (word("sha256"), word("state"))).is_none(), "a document is listed twice");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// Waits until exactly these documents are listed with these hashes, all searchable.
fn settle(server: &Server, collection: &str, wanted: &BTreeMap<String, String>) {
    let begun = Instant::now();
    loop {
        let listed = listed(server, collection);
        let right = listed.len() == wanted.len()
            && listed.iter().all(|(path, (hash, state))| state == "indexed" && wanted.get(path) == Some(hash));
        let record = server.collection(collection);
        if right && record["documents"]["pending"] == 0 && server.get("/api/v1/indexing").json()["pending"] == 0 {
            return;
        }
        let wrong: Vec<_> =
            listed.iter().filter(|(path, (hash, state))| state != "indexed" || wanted.get(*path) != Some(hash)).collect();
        let lacking: Vec<_> = wanted.keys().filter(|path| !listed.contains_key(*path)).collect();
        assert!(
            begun.elapsed() < PATIENCE,
            "{collection} does not converge.\nwrong: {wrong:?}\nlacking: {lacking:?}\nrecord: {record}\nindexing: {}\n{}",
            server.get("/api/v1/indexing").text(),
            server.log()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The paths that a hit stands for: its own, and those of the same text.
fn paths(hit: &Value) -> Vec<String> {
    let twins = hit["also_in"].as_array().cloned().unwrap_or_default();
    let own = hit["document"]["path"].as_str().unwrap().to_owned();
    std::iter::once(own).chain(twins.iter().map(|twin| twin["path"].as_str().unwrap().to_owned())).collect()
}

fn search(server: &Server, collection: &str, mode: &str, query: &str, among: Option<&BTreeSet<String>>) -> Vec<Value> {
    let mut body = json!({ "query": query, "collections": [collection], "mode": mode, "limit": 100 });
    if let Some(among) = among {
        body["filter"] = json!({ "paths": among });
    }
    // An index that was found damaged is being rebuilt: that is allowed, as long as it ends.
    let begun = Instant::now();
    loop {
        let reply = server.request("POST", "/api/v1/search", Some(&body));
        if reply.status == 200 {
            return reply.json()["hits"].as_array().cloned().unwrap();
        }
        assert!(begun.elapsed() < PATIENCE, "{} {}", reply.text(), server.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Compares what the server says of a collection with what has to be there.
fn compare(server: &Server, collection: &str, wanted: &BTreeMap<String, Content>, dead: &[String]) {
    settle(server, collection, &wanted.iter().map(|(path, content)| (path.clone(), sha256(&content.bytes))).collect());
    let mut by_word: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (path, content) in wanted {
        let reply = server.get(&format!("/api/v1/collections/{collection}/documents/{path}?part=text"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        match &content.word {
            Some(word) => {
                assert_eq!(reply.body, content.bytes, "the text of {path}");
                by_word.entry(word).or_default().insert(path.clone());
            }
            None => assert!(reply.body.len() > 1000, "the text of {path}"),
        }
    }
    for (word, holders) in &by_word {
        let hits = search(server, collection, "lexical", word, None);
        let found: Vec<String> = hits.iter().flat_map(paths).collect();
        assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), *holders, "{word}: {hits:?}");
        assert_eq!(found.len(), holders.len(), "{word} is found twice: {hits:?}");
    }
    for word in dead.iter().rev().take(40).filter(|word| !by_word.contains_key(word.as_str())) {
        assert!(search(server, collection, "lexical", word, None).is_empty(), "{word} is gone but found");
    }
    let texts: BTreeSet<String> = by_word.values().flatten().cloned().collect();
    let hits = search(server, collection, "dense", "what do the parties agree on", Some(&texts));
    let found: Vec<String> = hits.iter().flat_map(paths).collect();
    assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), texts, "dense finds every text");
    let places: BTreeSet<String> =
        hits.iter().map(|hit| format!("{} {} {}", hit["document"]["path"], hit["start"], hit["end"])).collect();
    assert_eq!(places.len(), hits.len(), "dense finds a passage twice: {hits:?}");
}

/// With no server running: every store holds exactly what the catalog says, each chunk once, and nothing lies about.
fn compare_stores(data: &Path) {
    let store = Store::open(StoreOptions { data: data.to_owned(), open_collections: 8 }).unwrap();
    let entries = store.registry().all().unwrap();
    let folders = fs::read_dir(data.join("collections")).unwrap().count();
    assert_eq!(folders, entries.len(), "every folder is a collection's");
    assert_eq!(fs::read_dir(data.join("uploads")).unwrap().count(), 0);
    // Versions replaced just before the stop may wait to be taken out of the indexes: the lanes do it, as in the next start.
    std::thread::scope(|scope| {
        scope.spawn(|| lanes::run_text(&store));
        scope.spawn(|| lanes::run_vectors(&store));
        let begun = Instant::now();
        for entry in &entries {
            let collection = store.by_id(entry.id).unwrap();
            store.tasks().apply(entry.id);
            while collection.applied() < collection.catalog().last_change().unwrap() && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        store.tasks().close();
    });
    for entry in entries {
        let collection = store.by_id(entry.id).unwrap();
        let expected = collection.catalog().expected_contents().unwrap();
        assert_eq!(collection.text_index().unwrap().contents().unwrap(), expected, "Tantivy of {}", entry.name);
        let vectors = collection.vector_index().unwrap().map(|index| index.contents().unwrap()).unwrap_or_default();
        assert_eq!(vectors, expected, "Qdrant of {}", entry.name);
        for kind in ["text", "vectors"] {
            let generations = fs::read_dir(store.folder(entry.id).join(kind)).unwrap().count();
            assert_eq!(generations, 1, "generations of {kind} of {}", entry.name);
        }
    }
}

/// Starts the server, settles what no answer told, compares everything, and stops it.
fn check(world: &mut World, data: &Path, clients: &Path) {
    let server = Server::start(data, Start { folders: vec![clients], ..Start::default() });
    let stored = listed(&server, "uploads");
    for (path, possible) in &mut world.put {
        let hash = stored.get(path).map(|(hash, _)| hash);
        possible.retain(|one| one.as_ref().map(|content| sha256(&content.bytes)).as_ref() == hash);
        assert!(!possible.is_empty(), "{path} over REST was acknowledged, but is now {:?}\n{}", stored.get(path), server.log());
        possible.truncate(1);
    }
    let put: BTreeMap<String, Content> =
        world.put.iter().filter_map(|(path, possible)| Some((path.clone(), possible[0].clone()?))).collect();
    world.put.retain(|_, possible| possible[0].is_some());
    compare(&server, "acme", &world.files, &world.dead);
    compare(&server, "uploads", &put, &world.dead);
    for (path, content) in &put {
        let original = server.get(&format!("/api/v1/collections/uploads/documents/{path}?part=original"));
        assert!(original.status == 200 && original.body == content.bytes, "the bytes of {path}");
    }
    assert_eq!(server.stop(), Some(0));
    compare_stores(data);
}

#[test]
fn invariant_3_after_kill_9_at_any_moment_a_restart_converges() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let kills = number("STRONGROOM_KILLS").unwrap_or(KILLS);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = number("STRONGROOM_TEST_SEED").unwrap_or(now.as_nanos() as u64) | 1;
    println!("{kills} kills; STRONGROOM_TEST_SEED={seed} repeats what is done, though not the moments exactly");

    let home = tempfile::tempdir().unwrap();
    let (data, clients) = (home.path().join("data"), home.path().join("clients"));
    fs::create_dir_all(clients.join("acme")).unwrap();
    let mut pdfs = support::files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/clients"));
    pdfs.retain(|file| file.extension().is_some_and(|ending| ending == "pdf"));
    pdfs.sort_by_key(|file| fs::metadata(file).unwrap().len());
    pdfs.truncate(2);
    let mut world = World {
        dice: Dice(seed),
        words: 0,
        folder: clients.join("acme"),
        pdfs,
        files: BTreeMap::new(),
        put: BTreeMap::new(),
        dead: Vec::new(),
        acknowledged: 0,
    };
    let server = Server::start(&data, Start { folders: vec![&clients], ..Start::default() });
    server.create("uploads");
    server.kill();

    for kill in 1..=kills {
        for _ in 0..world.dice.roll(4) {
            world.change_folder();
        }
        let server = Server::launch(&data, Start { folders: vec![&clients], ..Start::default() });
        // Some are killed while they start, some while they work.
        let life =
            Duration::from_millis(if world.dice.roll(4) == 0 { world.dice.roll(600) } else { 600 + world.dice.roll(1500) });
        let pid = rustix::process::Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(life);
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        });
        while !killer.is_finished() {
            world.change_folder();
            if world.dice.roll(3) == 0 {
                world.change_over_rest(&server);
            }
            std::thread::sleep(Duration::from_millis(world.dice.roll(40)));
        }
        killer.join().unwrap();
        server.kill();
        if kill % COMPARE_EVERY == 0 || kill == kills {
            check(&mut world, &data, &clients);
        }
    }
    println!("{} files, {} acknowledged changes over REST", world.files.len(), world.acknowledged);
    assert!(world.acknowledged > 0);
}
