//! Whether indexing slows down as a collection grows: the whole way, from files in a watched folder to searchable chunks.
//!
//! Counted in chunks a second of processor time of the server and its workers, so that what else the machine does counts for little.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Server, Start};

/// Chunks at whose passing the pace is taken; `STRONGROOM_GROWTH` sets the last.
const STEPS: [u64; 3] = [1_000, 10_000, 100_000];
/// Words a document; about forty chunks.
const WORDS: usize = 8_000;

/// Text of a reproducible mixture of words: common ones often, rare ones seldom, as in prose.
fn text(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    for number in 0..WORDS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
        let word = (40_000_f64.powf(uniform)) as u64;
        text.push_str(&format!("w{word}"));
        text.push_str(if number % 14 == 13 { ". " } else { " " });
    }
    text
}

/// Clock ticks of processor time that a process and its ended children used.
fn ticks(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<f64> = fields.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
    // utime, stime, cutime, cstime: fields 14 to 17 of the file, counted from 1.
    fields[11..15].iter().sum()
}

/// Adds documents until so many chunks are searchable; chunks for each tick.
fn pace(server: &Server, folder: &Path, documents: &mut u64, upto: u64) -> (u64, f64) {
    let chunks = |server: &Server| server.collection("acme")["chunks"].as_u64().unwrap();
    let (before, began) = (chunks(server), ticks(server.pid()));
    let (mut pending, mut held, mut since) = (0, before, Instant::now());
    while held < upto {
        while pending < 8 {
            std::fs::write(folder.join(format!("{documents}.txt")), text(*documents)).unwrap();
            *documents += 1;
            pending += 1;
        }
        std::thread::sleep(Duration::from_millis(200));
        let record = server.collection("acme");
        pending = *documents - record["documents"]["indexed"].as_u64().unwrap();
        let now = record["chunks"].as_u64().unwrap();
        assert!(now > held || since.elapsed() < Duration::from_secs(300), "stuck: {record}\n{}", server.log());
        if now > held {
            (held, since) = (now, Instant::now());
        }
    }
    (held, (held - before) as f64 / (ticks(server.pid()) - began))
}

#[test]
#[ignore = "a measurement that takes half an hour: STRONGROOM_GROWTH=100000 chunks"]
fn indexing_is_as_fast_at_the_end_as_at_the_start() {
    let last = std::env::var("STRONGROOM_GROWTH").ok().and_then(|text| text.parse().ok()).unwrap_or(STEPS[2]);
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("clients/acme");
    std::fs::create_dir_all(&folder).unwrap();
    let clients = home.path().join("clients");
    let server = Server::start(&home.path().join("data"), Start { folders: vec![&clients], ..Start::default() });
    server.wait_for("acme", "the collection", |_| true);
    let mut documents = 0;
    // The model loads, and the first pages of everything are touched.
    pace(&server, &folder, &mut documents, 300);
    let mut paces = Vec::new();
    let mut from = 300;
    for upto in STEPS.into_iter().filter(|step| *step < last).chain([last]) {
        // The last tenth of each step.
        pace(&server, &folder, &mut documents, (upto - (upto - from) / 10).max(from));
        let (held, pace) = pace(&server, &folder, &mut documents, upto);
        println!("{held} chunks: {:.2} chunks a tick of processor time", pace);
        paces.push(pace);
        from = upto;
    }
    println!("at the end {:.2} of the pace at the start", paces[paces.len() - 1] / paces[0]);
}
