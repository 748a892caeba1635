//! Measurements, run by hand: `cargo test -p strongroom-ingest vector::measure -- --ignored --nocapture`.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // They print, and nobody relies on them.

use std::time::{Duration, Instant};

use super::contract::{normalised, vector};
use super::edge::{EdgeIndex, EdgeOptions};
use super::{VectorChange, VectorStore, log};
use crate::model::{ChunkId, Scope, Seq, VersionId};

const DIMENSION: usize = 384;
const CHUNKS_OF_A_VERSION: u64 = 50;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Vectors that lie as those of texts do: some hundred topics in forty directions, with noise in all.
struct Texts {
    directions: Vec<Vec<f32>>,
    topics: Vec<Vec<f32>>,
}

impl Texts {
    fn new() -> Texts {
        Texts {
            directions: (0..40).map(|at| vector(1_000_000 + at, DIMENSION)).collect(),
            topics: (0..400).map(|at| vector(2_000_000 + at, 40)).collect(),
        }
    }

    fn text(&self, seed: u64) -> Vec<f32> {
        let topic = &self.topics[(seed.wrapping_mul(0x9e37_79b9) >> 7) as usize % self.topics.len()];
        let own = vector(seed + 3_000_000, 40);
        let mut sum = vector(seed + 4_000_000, DIMENSION);
        sum.iter_mut().for_each(|number| *number *= 0.6);
        for ((direction, topic), own) in self.directions.iter().zip(topic).zip(own) {
            sum.iter_mut().zip(direction).for_each(|(sum, number)| *sum += number * (topic + own));
        }
        normalised(sum)
    }
}

/// Resident memory in MiB: private, and pages of files.
fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("0");
        line.split_whitespace().find_map(|word| word.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    (of("RssAnon:"), of("RssFile:") + of("RssShmem:"))
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    format!("p50 {:.2} ms, p99 {:.2} ms", at(50), at(99))
}

fn searches(store: &EdgeIndex, texts: &Texts, scope: &Scope, count: u64, limit: usize) -> String {
    let queries: Vec<_> = (0..count).map(|at| texts.text(90_000_000 + at)).collect();
    let mut times = Vec::new();
    for query in &queries {
        let begin = Instant::now();
        store.search(query, scope, limit).unwrap();
        times.push(begin.elapsed());
    }
    percentiles(times)
}

fn report(store: &EdgeIndex, texts: &Texts, versions: u64) {
    let spread = |count: u64| (0..count).map(|at| VersionId(1 + at * versions / count)).collect::<Vec<_>>();
    for (name, only, except) in [
        ("unfiltered", None, vec![]),
        ("only 1", Some(spread(1)), vec![]),
        ("only 20", Some(spread(20)), vec![]),
        ("only 2,000 (or all)", Some(spread(versions.min(2_000))), vec![]),
        ("only half", Some(spread(versions / 2)), vec![]),
        ("except 10", None, spread(10)),
        ("except 1,000", None, spread(versions.min(1_000))),
    ] {
        let scope = Scope { only, except };
        println!(
            "  {name}: {}; at limit 200 {}",
            searches(store, texts, &scope, 200, 10),
            searches(store, texts, &scope, 100, 200)
        );
    }
}

#[test]
#[ignore = "takes minutes; prints, asserts nothing"]
fn large() {
    let dir = std::env::var("DIR").map_or_else(|_| tempfile::tempdir().unwrap().keep(), Into::into);
    let points = setting("POINTS", 100_000);
    let versions = points / CHUNKS_OF_A_VERSION;
    let texts = Texts::new();
    println!("start {:?}", resident());
    let store = EdgeIndex::open(EdgeOptions::new(dir.clone(), DIMENSION)).unwrap();
    let mut applying = Duration::ZERO;
    for from in (0..versions).step_by(100) {
        let changes: Vec<_> = (from..(from + 100).min(versions))
            .map(|at| VectorChange::Insert {
                version: VersionId(at + 1),
                points: (0..CHUNKS_OF_A_VERSION)
                    .map(|chunk| at * CHUNKS_OF_A_VERSION + chunk)
                    .map(|id| (ChunkId(id), texts.text(id)))
                    .collect(),
            })
            .collect();
        let begin = Instant::now();
        store.apply(changes, Seq(from + 100)).unwrap();
        applying += begin.elapsed();
    }
    println!(
        "inserted {points} in {applying:.1?}, resident {:?}, log {} MiB",
        resident(),
        log::allocated(&dir.join("shard")) >> 20
    );
    println!("exact");
    report(&store, &texts, versions);
    let queries: Vec<_> = (0..200).map(|at| texts.text(90_000_000 + at)).collect();
    let truth: Vec<_> = queries.iter().map(|query| store.search(query, &Scope::default(), 10).unwrap()).collect();
    if setting("OPTIMIZE", 1) == 1 {
        let begin = Instant::now();
        std::thread::scope(|scope| {
            let building = scope.spawn(|| store.optimize().unwrap());
            let mut most = (0, 0);
            let mut times = Vec::new();
            while !building.is_finished() {
                std::thread::sleep(Duration::from_millis(100));
                let begin = Instant::now();
                store.search(&queries[0], &Scope::default(), 10).unwrap();
                times.push(begin.elapsed());
                let now = resident();
                if now.0 + now.1 > most.0 + most.1 {
                    most = now
                }
            }
            println!("optimized in {:.1?}, most resident {most:?}, searches meanwhile {}", begin.elapsed(), percentiles(times));
        });
        println!("with the graph, resident {:?}", resident());
        report(&store, &texts, versions);
        let found: usize = queries
            .iter()
            .zip(&truth)
            .map(|(query, truth)| {
                let hits = store.search(query, &Scope::default(), 10).unwrap();
                truth.iter().filter(|wanted| hits.iter().any(|hit| hit.chunk == wanted.chunk)).count()
            })
            .sum();
        println!("recall@10 {:.4}", found as f64 / (queries.len() * 10) as f64);
    }
    let begin = Instant::now();
    drop(store);
    println!("closed in {:.1?}; folder {}", begin.elapsed(), dir.display());
}

#[test]
#[ignore = "needs DIR as `large` left it; prints, asserts nothing"]
fn reopened() {
    let Ok(dir) = std::env::var("DIR").map(std::path::PathBuf::from) else {
        println!("not measured: DIR does not say where `large` left its index");
        return;
    };
    let texts = Texts::new();
    println!("start {:?}", resident());
    let begin = Instant::now();
    let store = EdgeIndex::open(EdgeOptions::new(dir, DIMENSION)).unwrap();
    println!("opened in {:.1?}, resident {:?}", begin.elapsed(), resident());
    let begin = Instant::now();
    store.search(&texts.text(1), &Scope::default(), 10).unwrap();
    println!("first search {:.1?}", begin.elapsed());
    println!(
        "1,000 searches {}, resident {:?}",
        searches(&store, &texts, &Scope::default(), setting("SEARCHES", 1_000), 200),
        resident()
    );
    println!(
        "10,000 more {}, resident {:?}",
        searches(&store, &texts, &Scope::default(), setting("MORE", 10_000), 200),
        resident()
    );
}

#[test]
#[ignore = "prints, asserts nothing"]
fn small() {
    let dir = tempfile::tempdir().unwrap();
    let texts = Texts::new();
    let count = setting("COUNT", 60);
    let at = |index: u64| EdgeOptions::new(dir.path().join(index.to_string()), DIMENSION);
    let begin = Instant::now();
    for index in 0..count {
        let store = EdgeIndex::open(at(index)).unwrap();
        let changes = (1..=20).map(|version| VectorChange::Insert {
            version: VersionId(version),
            points: (0..20).map(|chunk| version * 20 + chunk).map(|id| (ChunkId(id), texts.text(id))).collect(),
        });
        store.apply(changes.collect(), Seq(20)).unwrap();
    }
    println!("made {count} in {:.1?}, resident {:?}", begin.elapsed(), resident());
    let maps = || std::fs::read_to_string("/proc/self/maps").unwrap_or_default().lines().count();
    let files = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let (mapped, opened) = (maps(), files());
    let before = resident();
    let mut times = Vec::new();
    let mut stores = Vec::new();
    for index in 0..count {
        let begin = Instant::now();
        let store = EdgeIndex::open(at(index)).unwrap();
        store.search(&texts.text(5), &Scope::default(), 10).unwrap();
        times.push(begin.elapsed());
        stores.push(store);
    }
    let after = resident();
    println!("open and first search {}", percentiles(times));
    println!(
        "each: private {} KiB, file pages {} KiB, {} mappings, {} files",
        (after.0.saturating_sub(before.0)) * 1024 / count,
        (after.1.saturating_sub(before.1)) * 1024 / count,
        (maps() - mapped) as u64 / count,
        (files() - opened) as u64 / count
    );
    let begin = Instant::now();
    stores.iter().take(10).for_each(|store| {
        store
            .apply(vec![VectorChange::Delete { version: VersionId(1), chunks: (20..40).map(ChunkId).collect() }], Seq(30))
            .unwrap()
    });
    println!("a small apply {:.1?}", begin.elapsed() / 10);
    let begin = Instant::now();
    drop(stores);
    println!("closing {:.1?}", begin.elapsed() / count as u32);
}
