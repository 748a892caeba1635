//! Every file of a corpus through the real server, against a manifest that says what each must give.
//!
//! The corpus is a folder with a `manifest.tsv`: tab-separated, a header line, columns found by name: `path`, `expectation`
//! (`text`, or `unreadable:` and the reason), `expect` (words a right extraction contains), `page` (the page they are on) and
//! `password` (what opens the file). `STRONGROOM_CORPUS` names it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization as _;

use crate::support::{Server, Start};

/// The largest corpus takes minutes; a file that is stuck shows by then.
const PATIENCE: Duration = Duration::from_secs(900);

struct Row {
    path: String,
    expectation: String,
    expect: String,
    page: Option<u64>,
    password: Option<String>,
}

fn rows(manifest: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(manifest).unwrap();
    let mut lines = text.lines();
    let names: HashMap<&str, usize> = lines.next().unwrap().split('\t').zip(0..).collect();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let cell = |name: &str| names.get(name).and_then(|at| cells.get(*at)).copied().unwrap_or_default().to_owned();
        Row {
            path: cell("path"),
            expectation: cell("expectation"),
            expect: cell("expect"),
            page: cell("page").parse().ok(),
            password: Some(cell("password")).filter(|password| !password.is_empty()),
        }
    };
    lines.map(row).collect()
}

/// Folded as a reader sees it: compatibility forms, one kind of quote and space, no marks of direction.
fn folded(text: &str) -> String {
    let plain = text.nfkc().filter_map(|c| match c {
        '\u{2018}' | '\u{2019}' | '\u{201b}' => Some('\''),
        '\u{201c}' | '\u{201d}' => Some('"'),
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{ad}' => None,
        c => Some(c),
    });
    plain.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Copies a folder's files; what is read-only there can be written here.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::write(&target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// The collection of a file, and its path there: `clients/acme/a.pdf` is `a.pdf` of acme, `hard/a.pdf` is `a.pdf` of hard.
fn place(path: &str) -> (&str, &str) {
    let inside = path.strip_prefix("clients/").unwrap_or(path);
    inside.split_once('/').unwrap()
}

fn encoded(path: &str) -> String {
    percent_encoding::utf8_percent_encode(path, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn record(server: &Server, collection: &str, path: &str) -> Value {
    let reply = server.get(&format!("/api/v1/collections/{collection}/documents/{}", encoded(path)));
    if reply.status == 200 { reply.json() } else { json!({ "state": "absent" }) }
}

fn settle(server: &Server, rows: &[Row]) {
    let begun = Instant::now();
    let waits = |row: &Row| {
        let (collection, path) = place(&row.path);
        matches!(record(server, collection, path)["state"].as_str(), Some("absent" | "pending"))
    };
    while rows.iter().any(waits) {
        assert!(begun.elapsed() < PATIENCE, "some files are still pending:\n{}", server.log());
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// What is wrong with the phrase of a row: not in the text, or not found on its page.
fn misses(server: &Server, row: &Row) -> Option<String> {
    let (collection, path) = place(&row.path);
    if row.expect.is_empty() {
        return None;
    }
    let text = server.get(&format!("/api/v1/collections/{collection}/documents/{}?part=text", encoded(path))).text();
    let phrase = folded(&row.expect);
    if !folded(&text).contains(&phrase) {
        return Some("its words are not in the text".to_owned());
    }
    let page = row.page?;
    let query = json!({
        "query": row.expect.replace('"', " "), "collections": [collection], "mode": "lexical", "limit": 100,
        "filter": { "paths": [path] },
    });
    let reply = server.request("POST", "/api/v1/search", Some(&query));
    let hits = reply.json()["hits"].as_array().cloned().unwrap_or_default();
    // Neighbouring passages are one hit, which bears the page that it begins on.
    let holds = |hit: &&Value| folded(hit["text"].as_str().unwrap_or_default()).contains(&phrase);
    let pages: Vec<u64> = hits.iter().filter(holds).filter_map(|hit| hit["page"].as_u64()).collect();
    if pages.iter().any(|found| *found <= page && page - found <= 1) {
        return None;
    }
    Some(format!("its words are found on pages {pages:?}, not on {page}"))
}

/// What is wrong with a row; none if it gave what it must.
fn fault(server: &Server, row: &Row) -> Option<String> {
    let (collection, path) = place(&row.path);
    let record = record(server, collection, path);
    let state = record["state"].as_str().unwrap_or_default();
    let read = matches!(state, "indexed" | "partial");
    match row.expectation.strip_prefix("unreadable:") {
        None if read => misses(server, row),
        None => Some(format!("it is {state}: {} {}", record["reason"], record["detail"])),
        Some(reason) if record["reason"] == reason => None,
        // A tool of this machine may read what the program alone can't.
        Some("scanned" | "unsupported") if read => misses(server, row),
        Some(reason) => Some(format!("it is {state} ({}), not unreadable: {reason}", record["reason"])),
    }
}

#[test]
#[ignore = "needs a corpus: STRONGROOM_CORPUS=FOLDER with a manifest.tsv"]
fn every_file_of_a_corpus_gives_what_its_manifest_says() {
    let corpus = PathBuf::from(std::env::var_os("STRONGROOM_CORPUS").expect("STRONGROOM_CORPUS names the corpus"));
    let rows = rows(&corpus.join("manifest.tsv"));
    let home = tempfile::tempdir().unwrap();
    let copied = home.path().join("corpus");
    copy(&corpus, &copied);
    let others = std::fs::read_dir(&copied).unwrap().flatten().filter(|entry| entry.path().is_dir());
    let others = others.filter(|entry| entry.file_name() != "clients");
    let arguments = others.flat_map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        ["--watch".to_owned(), format!("{name}={}", entry.path().display())]
    });
    let clients = copied.join("clients");
    let arguments = arguments.collect();
    let server = Server::start(&home.path().join("data"), Start { folders: vec![&clients], arguments, ..Start::default() });
    settle(&server, &rows);
    let mut faults: Vec<String> =
        rows.iter().filter_map(|row| fault(&server, row).map(|fault| format!("{}: {fault}", row.path))).collect();
    // What a password opens is read once it is given.
    let locked: Vec<&Row> = rows.iter().filter(|row| row.password.is_some()).collect();
    for row in &locked {
        let (collection, path) = place(&row.path);
        let body = json!({ "path": path, "password": row.password });
        let reply = server.request("POST", &format!("/api/v1/collections/{collection}/passwords"), Some(&body));
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    settle(&server, &rows);
    for row in &locked {
        let (collection, path) = place(&row.path);
        let state = record(&server, collection, path)["state"].clone();
        let fault = if state == "indexed" { misses(&server, row) } else { Some(format!("with its password it is {state}")) };
        faults.extend(fault.map(|fault| format!("{}: {fault}", row.path)));
    }
    println!("{} of {} rows as the manifest says", rows.len().saturating_sub(faults.len()), rows.len());
    assert!(faults.is_empty(), "{} rows differ:\n{}", faults.len(), faults.join("\n"));
}
