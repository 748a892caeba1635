//! Sixty-four clients with four keys at once for a minute, asking, answering and bringing documents: nothing fails but what is
//! told to wait, and memory does not grow with the number of requests.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::try_request;
use crate::support::{Server, Start, command};

const CLIENTS: u64 = 64;
/// Fewer at once than a key has clients, so that some are told to wait.
const CONFIG: &str = "[limits]\nconcurrent = 12\nrequests_per_minute = 30000\n";
/// How long a client waits that was told to.
const PAUSE: Duration = Duration::from_millis(100);

/// What came back: times and counts by kind of request and status.
#[derive(Default)]
struct Outcome {
    times: BTreeMap<&'static str, Vec<Duration>>,
    statuses: BTreeMap<(&'static str, u16), u64>,
    broken: Vec<String>,
}

fn seconds() -> u64 {
    std::env::var("STRONGROOM_LOAD_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(60)
}

/// A text of the `n`th document: no two alike, so that each is embedded.
fn text(n: u64) -> String {
    format!(
        "Agreement {n}. The supplier of lot {} delivers within {} days; either party may terminate with {} months' notice. \
         The price is {} euros and is due on the first of the month.\n",
        n * 7919 % 10_007,
        n % 90 + 1,
        n % 12 + 1,
        n * 31 % 5_000
    )
}

/// Kilobytes of the process's own memory: what is mapped from files comes and goes as the system likes.
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

/// The `n`th request of all: its kind, method, path and body.
fn request(n: u64, documents: &AtomicU64) -> (&'static str, &'static str, String, Vec<u8>) {
    let collection = format!("load-{}", n % 4);
    let post = |kind, path: &str, body: Value| (kind, "POST", path.to_owned(), body.to_string().into_bytes());
    let words = format!("notice period of lot {}", n * 7919 % 10_007);
    match n % 20 {
        0..=9 => post("search", "/api/v1/search", json!({ "query": words, "collections": [collection] })),
        10..=12 => post("search all", "/api/v1/search", json!({ "query": words, "limit": 50 })),
        13..=15 => post(
            "answer",
            "/api/v1/answers",
            json!({ "question": format!("When is agreement {n} due?"), "collections": [collection] }),
        ),
        16 => {
            let vector: Vec<f64> = (0..384).map(|at| ((at * 31 + n) % 97) as f64 / 97.0 - 0.5).collect();
            let body = json!({ "query": { "nearest": vector }, "limit": 5, "with_payload": true });
            post("façade", &format!("/qdrant/collections/{collection}/points/query"), body)
        }
        17 => post("tool", "/mcp", crate::mcp::call("search", json!({ "query": words, "collections": [collection] }))),
        _ => {
            let document = documents.fetch_add(1, Ordering::Relaxed);
            let path = format!("/api/v1/collections/{collection}/documents/{document}.txt");
            ("put", "PUT", path, text(document).into_bytes())
        }
    }
}

/// A key for one of the four collections and nothing else.
fn key(server: &Server, n: u64) -> String {
    let collection = format!("load-{n}");
    let scopes = ["--scopes", "search,read,ingest"];
    let made = command(
        &server.data,
        &[&["keys", "create", "--name", &collection, "--collections", &collection], &scopes[..]].concat(),
    );
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

fn one(server: &Server, keys: &[String], n: u64, documents: &AtomicU64, outcome: &Mutex<Outcome>) {
    let (kind, method, path, body) = request(n, documents);
    let put = method == "PUT";
    let bearer = format!("Bearer {}", keys[(n % 4) as usize]);
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", if put { "text/plain" } else { "application/json" }),
        ("Accept", "application/json, text/event-stream"),
    ];
    let started = Instant::now();
    let reply = try_request(server.address, method, &path, &headers, &body);
    let took = started.elapsed();
    if matches!(&reply, Ok(reply) if reply.status == 429) {
        std::thread::sleep(PAUSE);
    }
    let mut outcome = outcome.lock().unwrap();
    match reply {
        Ok(reply) => {
            if reply.status != 429 {
                outcome.times.entry(kind).or_default().push(took);
            }
            *outcome.statuses.entry((kind, reply.status)).or_default() += 1;
            let busy = reply.status == 429 || (put && reply.status == 503);
            if !(200..300).contains(&reply.status) && !busy {
                outcome.broken.push(format!("{kind}: {} {}", reply.status, reply.text()));
            }
        }
        Err(error) => outcome.broken.push(format!("{kind}: {error}")),
    }
}

/// So many seconds of all clients at once.
fn round(server: &Server, keys: &[String], seconds: u64, next: &AtomicU64, documents: &AtomicU64) -> Outcome {
    let outcome = Mutex::new(Outcome::default());
    let end = Instant::now() + Duration::from_secs(seconds);
    std::thread::scope(|threads| {
        for _ in 0..CLIENTS {
            threads.spawn(|| {
                while Instant::now() < end {
                    one(server, keys, next.fetch_add(1, Ordering::Relaxed), documents, &outcome);
                }
            });
        }
    });
    outcome.into_inner().unwrap()
}

#[test]
#[ignore = "a minute of load; STRONGROOM_LOAD_SECONDS makes it longer"]
fn load_of_64_clients_breaks_nothing_and_leaves_memory_flat() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start { config: CONFIG, ..Start::default() });
    for n in 0..4 {
        server.create(&format!("load-{n}"));
    }
    let keys: Vec<String> = (0..4).map(|n| key(&server, n)).collect();
    let (next, documents) = (AtomicU64::new(0), AtomicU64::new(0));
    // What is opened and allocated once is not growth.
    round(&server, &keys, (seconds() / 4).max(1), &next, &documents);
    let before = memory(&server);
    let outcome = round(&server, &keys, seconds(), &next, &documents);
    let after = memory(&server);

    for (kind, mut times) in outcome.times {
        times.sort();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        println!("{kind}: {} requests, median {:?}, p99 {:?}, slowest {:?}", times.len(), at(0.5), at(0.99), at(1.0));
    }
    println!("statuses: {:?}", outcome.statuses);
    println!("memory: {before} kB before, {after} kB after; {} documents", documents.load(Ordering::Relaxed));
    assert!(
        outcome.broken.is_empty(),
        "{} broken, such as {:?}",
        outcome.broken.len(),
        &outcome.broken[..outcome.broken.len().min(5)]
    );
    // What indexes keep in memory grows with the documents, by little; what each request left behind would be far more.
    assert!(after < before + before / 2 + 100 * 1024, "memory grew from {before} to {after} kB");
    assert_eq!(server.stop(), Some(0));
}
