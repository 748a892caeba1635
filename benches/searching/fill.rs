//! Seeded stores: words drawn as in real text (few common, many rare), vectors around some hundreds of topics.

use std::time::{Duration, Instant};

use strongroom_ingest::embed::Embedder;
use strongroom_ingest::index::catalog::{Committed, NewChunk, NewVersion, Observed};
use strongroom_ingest::index::{Collection, Store, lanes};
use strongroom_ingest::model::{Chunk, Fingerprint, Sha256, Span, TextHash};

use super::Outcome;

/// Name of the large collection.
pub const NAME: &str = "bench";
const WORDS: usize = 30_000;
const WORDS_IN_CHUNK: usize = 160;
const CHUNKS_IN_DOCUMENT: usize = 50;
const TOPICS: usize = 400;

/// A small generator, so that every run has the same data (SplitMix64).
pub struct Seeded(pub u64);

impl Seeded {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A word's rank by Zipf's law: log-uniform over the vocabulary.
    fn rank(&mut self) -> usize {
        ((WORDS as f64).powf(self.unit()) as usize).min(WORDS) - 1
    }

    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        let mut topic = Seeded(self.next() % TOPICS as u64 + 1);
        let mut vector: Vec<f32> = (0..dimension).map(|_| (topic.unit() + 0.6 * self.unit() - 0.8) as f32).collect();
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|number| *number /= length);
        vector
    }
}

fn word(rank: usize) -> String {
    let syllables = ["ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "zu"];
    let mut rest = rank + 10;
    let mut word = String::new();
    while rest > 0 {
        word.push_str(syllables[rest % 10]);
        rest /= 10;
    }
    word
}

/// Questions of some words each, common and rare.
pub fn questions(number: usize) -> Vec<String> {
    let mut seeded = Seeded(7);
    (0..number).map(|_| (0..8).map(|_| word(seeded.rank())).collect::<Vec<_>>().join(" ")).collect()
}

/// A text of so many chunks' words.
pub fn text(seed: u64, chunks: usize) -> String {
    let mut seeded = Seeded(seed);
    (0..chunks * WORDS_IN_CHUNK).map(|n| word(seeded.rank()) + if n % 14 == 13 { ". " } else { " " }).collect()
}

/// One collection of so many chunks.
pub fn large(store: &Store, embedder: &Embedder, chunks: usize) -> Outcome {
    store.create(NAME, NAME, None)?;
    let collection = store.by_name(NAME)?;
    for document in 0..chunks.div_ceil(CHUNKS_IN_DOCUMENT) {
        commit(&collection, embedder, document as u64, CHUNKS_IN_DOCUMENT)?;
    }
    drop(collection);
    apply(store, &[NAME.to_owned()])
}

/// Many collections of some one-page documents.
pub fn many(store: &Store, embedder: &Embedder, collections: usize, documents: usize) -> Outcome {
    let names: Vec<String> = (0..collections).map(|number| format!("client-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        store.create(name, name, None)?;
        let collection = store.by_name(name)?;
        for document in 0..documents {
            commit(&collection, embedder, (number * documents + document) as u64, 2)?;
        }
    }
    apply(store, &names)
}

fn commit(collection: &Collection, embedder: &Embedder, number: u64, chunks: usize) -> Outcome {
    let mut seeded = Seeded(number.wrapping_mul(1_000_003));
    let mut sha256 = [0; 32];
    sha256[..8].copy_from_slice(&number.to_le_bytes());
    let mut version = NewVersion {
        sha256: Sha256(sha256),
        extractor: "bench".into(),
        title: None,
        media_type: "text/plain".into(),
        engines: "bench".into(),
        pages: None,
        missing_pages: Vec::new(),
        chunks: Vec::new(),
        fingerprint: Some(Fingerprint(embedder.fingerprint().0.clone())),
        vectors: Vec::new(),
        ..NewVersion::default()
    };
    let mut at = 0;
    for ordinal in 0..chunks {
        let text = text(seeded.next(), 1);
        let end = at + text.chars().count() as u64;
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        hash[8..].copy_from_slice(&(ordinal as u64).to_le_bytes());
        let span = Span { start: at, end };
        let chunk = Chunk { ordinal: ordinal as u32, page: None, heading_path: String::new(), span, text };
        version.chunks.push(NewChunk { chunk, hash: TextHash(hash) });
        version.vectors.push((TextHash(hash), seeded.vector(embedder.dimension())));
        at = end;
    }
    let seen = Observed {
        path: format!("{number}.txt"),
        sha256: version.sha256,
        bytes: at,
        modified_ns: 0,
        inode: 0,
        declared_type: None,
        unreadable: None,
    };
    let id = collection.catalog().observe(&[seen])?[0].id;
    match collection.catalog().commit(id, &version)? {
        Committed::At(_) => Ok(()),
        other => Err(format!("a document was not committed: {other:?}").into()),
    }
}

/// Lets both lanes do their work, the graph included, and ends them.
fn apply(store: &Store, names: &[String]) -> Outcome {
    std::thread::scope(|scope| -> Outcome {
        let text = scope.spawn(|| lanes::run_text(store));
        let vectors = scope.spawn(|| lanes::run_vectors(store));
        let done = wait(store, names);
        store.tasks().close();
        text.join().map_err(|_| "the text lane panicked")?;
        vectors.join().map_err(|_| "the vector lane panicked")?;
        done
    })
}

fn wait(store: &Store, names: &[String]) -> Outcome {
    let began = Instant::now();
    for name in names {
        let collection = store.by_name(name)?;
        store.tasks().apply(collection.id());
        while collection.counts()?.pending > 0 {
            if began.elapsed() > Duration::from_secs(1200) {
                return Err("the indexes did not catch up".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if let Some(index) = collection.vector_index()? {
            index.optimize()?;
        }
    }
    Ok(())
}
