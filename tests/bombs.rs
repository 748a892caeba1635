//! Files made to do harm, one after another through the watched folder of a real server, while it is asked and its memory
//! watched.
//!
//! Ten are made here; `STRONGROOM_BOMBS` may name a folder with others. What each took is printed, not judged: how fast a machine
//! is and what else it does is its own affair. How each ends, the memory of the whole process tree, and that nothing else is
//! harmed, is judged.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Server, Start};

mod make;

/// Memory that the server, its workers and its tools may take at any time, together.
const MOST_BYTES: u64 = 1_300 << 20;
/// Reasons that a bomb may be refused for. A crash is none of them: there, something gave way that should have held.
const REASONS: [&str; 7] = ["bomb", "too_large", "timeout", "damaged", "unsupported", "empty", "scanned"];
const STATES: [&str; 3] = ["indexed", "partial", "unreadable"];
const PATIENCE: Duration = Duration::from_secs(300);

/// Memory of a process and all that it started, in bytes: what is shared is counted once where the system tells, else each time.
fn memory_of_tree(root: u32) -> u64 {
    let mut processes: Vec<(u32, u32)> = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        processes.extend(parent.map(|parent| (process, parent)));
    }
    let mut tree = vec![root];
    let mut next = 0;
    while next < tree.len() {
        let parent = tree[next];
        tree.extend(processes.iter().filter(|(_, above)| *above == parent).map(|(process, _)| *process));
        next += 1;
    }
    tree.into_iter().map(memory).sum()
}

fn memory(process: u32) -> u64 {
    let kilobytes = |file: &str, field: &str| {
        let text = std::fs::read_to_string(format!("/proc/{process}/{file}")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(field))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    // It may have ended meanwhile.
    1024 * kilobytes("smaps_rollup", "Pss:").or_else(|| kilobytes("status", "VmRSS:")).unwrap_or(0)
}

/// One search in milliseconds, which must find the document that was there first.
fn search(server: &Server) -> f64 {
    let began = Instant::now();
    let hits = server.search("acme", "hybrid", "heron lease");
    assert!(hits.iter().any(|hit| hit["document"]["path"] == "before.txt"), "{hits:?}");
    began.elapsed().as_secs_f64() * 1000.0
}

fn p99(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[(times.len() * 99).div_ceil(100) - 1]
}

fn record(server: &Server, name: &str) -> Value {
    let path = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    let reply = server.get(&format!("/api/v1/collections/acme/documents/{path}"));
    if reply.status == 200 { reply.json() } else { json!({ "state": "absent" }) }
}

/// Drops a file into the folder, under its own name and whole, and waits for how it ends.
fn drop_in(server: &Server, folder: &Path, bomb: &Path) -> (Value, Duration) {
    let name = bomb.file_name().unwrap().to_str().unwrap();
    std::fs::copy(bomb, folder.join(name)).unwrap();
    let began = Instant::now();
    loop {
        let record = record(server, name);
        if STATES.contains(&record["state"].as_str().unwrap_or_default()) {
            return (record, began.elapsed());
        }
        assert!(began.elapsed() < PATIENCE, "{name} never ends: {record}\n{}", server.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Ends the threads that watch, also when the test fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is wrong with how a bomb ended.
fn fault(record: &Value) -> Option<String> {
    let reason = record["reason"].as_str().unwrap_or_default();
    let wrong = record["state"] == "unreadable" && !REASONS.contains(&reason);
    wrong.then(|| format!("it is unreadable: {reason}, {}", record["detail"]))
}

fn bombs(home: &Path) -> Vec<PathBuf> {
    let folder = match std::env::var_os("STRONGROOM_BOMBS") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let folder = home.join("bombs");
            std::fs::create_dir(&folder).unwrap();
            make::bombs(&folder);
            folder
        }
    };
    let mut files = crate::support::files(&folder);
    files.sort();
    files
}

#[test]
#[ignore = "minutes of work: files made to do harm, ours or those of the folder STRONGROOM_BOMBS"]
fn bombs_harm_nothing() {
    let home = tempfile::tempdir().unwrap();
    let bombs = bombs(home.path());
    assert!(!bombs.is_empty(), "no bombs");
    let folder = home.path().join("clients/acme");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("before.txt"), "The heron lease ends in March.").unwrap();
    let clients = home.path().join("clients");
    let server = Server::start(&home.path().join("data"), Start { folders: vec![&clients], ..Start::default() });
    server.wait_indexed("acme", 1);
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut faults, times) = (Vec::new(), Mutex::new(Vec::new()));
    let (mut quiet, mut busy) = ([0.0; 2], Vec::new());
    // Being watched, and asked with pauses, costs something too; so both are in both figures.
    let now_and_then = || {
        std::thread::sleep(Duration::from_millis(20));
        search(&server)
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(memory_of_tree(server.pid()), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let watching = Done(&done);
        quiet[0] = p99((0..200).map(|_| now_and_then()).collect());
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let took = now_and_then();
                times.lock().unwrap().push(took);
            }
        });
        for bomb in &bombs {
            let name = bomb.file_name().unwrap().to_string_lossy();
            peak.store(0, Ordering::Relaxed);
            let (record, took) = drop_in(&server, &folder, bomb);
            let most = peak.load(Ordering::Relaxed);
            let (state, reason) = (record["state"].as_str().unwrap_or_default(), record["reason"].as_str().unwrap_or("-"));
            let meanwhile = std::mem::take(&mut *times.lock().unwrap());
            let slowest = meanwhile.iter().copied().fold(0.0, f64::max);
            busy.extend(meanwhile);
            println!("{name}\t{state}\t{reason}\t{:.1} s\t{} MiB\tsearches ≤ {slowest:.1} ms", took.as_secs_f64(), most >> 20);
            faults.extend(fault(&record).map(|fault| format!("{name}: {fault}")));
            if most > MOST_BYTES {
                faults.push(format!("{name}: the process tree took {} MiB", most >> 20));
            }
        }
        // What is indexed by now makes searches slower too, without anything going on.
        std::thread::sleep(Duration::from_secs(5));
        times.lock().unwrap().clear();
        std::thread::sleep(Duration::from_secs(5));
        quiet[1] = p99(std::mem::take(&mut *times.lock().unwrap()));
        drop(watching);
    });
    let [before, after] = quiet;
    println!("p99 of {} searches meanwhile {:.1} ms, quiet before {before:.1} and after {after:.1} ms", busy.len(), p99(busy));
    std::fs::write(folder.join("after.txt"), "The egret licence goes on.").unwrap();
    server.wait_for("acme", "the file that came after them", |_| record(&server, "after.txt")["state"] == "indexed");
    assert_eq!(server.found("acme", "heron"), ["before.txt"]);
    assert_eq!(server.found("acme", "egret"), ["after.txt"]);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
