//! What the pipeline's threads share: the stages, the queue, the counters.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use parking_lot::{Mutex, RwLock};

use super::queue::{Job, Queue};
use super::worker::WorkError;
use super::{PipelineOptions, Progress};
use crate::chunk::Chunker;
use crate::embed::set::Embedders;
use crate::extract::Extractor;
use crate::index::catalog::{Committed, Pending};
use crate::index::{Collection, Store};
use crate::model::CollectionId;

/// Something the sweeper is asked to do.
#[derive(Debug)]
pub(super) enum Ask {
    /// Look at this watched folder soon.
    Look(PathBuf),
    /// Take the list of watched folders anew from configuration and registry, and look at all of them.
    Everything,
    /// End.
    Stop,
}

pub(super) struct Shared {
    pub options: PipelineOptions,
    pub store: Arc<Store>,
    pub embedders: Embedders,
    pub extractor: Extractor,
    pub chunker: Chunker,
    pub queue: Queue,
    /// Documents that are recordings, or hold some: they take so long that all others would wait for them.
    pub recordings: Queue,
    pub asks: Sender<Ask>,
    pub paused: AtomicBool,
    pub stopping: AtomicBool,
    pub swept: AtomicBool,
    pub finished: AtomicU64,
    pub chunks: AtomicU64,
    /// Files that belong to nobody, and names that are no text, by watched folder.
    pub strays: Mutex<HashMap<PathBuf, Vec<String>>>,
    pub bad_names: Mutex<HashMap<PathBuf, Vec<String>>>,
    /// Collections with documents that failed, or left the queue unread: looked through again at the next full sweep.
    pub troubled: Mutex<HashSet<CollectionId>>,
    /// Held for reading while an original is kept and registered, for writing while unneeded ones are removed.
    pub originals: RwLock<()>,
    pub pace: Mutex<Pace>,
}

/// How fast it goes: bytes of files done since the queue was last empty.
#[derive(Default)]
pub(super) struct Pace {
    since: Option<Instant>,
    bytes: u64,
}

impl Shared {
    /// Asks the sweeper to look at a watched folder.
    pub fn look(&self, root: Option<&Path>) {
        if let Some(root) = root {
            // The sweeper ends only with the pipeline.
            let _ = self.asks.send(Ask::Look(root.to_owned()));
        }
    }

    /// Counts what a commit came to, and lets the indexes know.
    pub fn committed(&self, collection: &Collection, pending: &Pending, committed: Committed, chunks: u64) {
        if !matches!(committed, Committed::At(_)) {
            return;
        }
        self.finished.fetch_add(1, Ordering::Relaxed);
        self.chunks.fetch_add(chunks, Ordering::Relaxed);
        let mut pace = self.pace.lock();
        pace.since.get_or_insert_with(Instant::now);
        pace.bytes += pending.bytes;
        drop(pace);
        self.store.tasks().apply(collection.id());
        // An unreadable document changes its state here and now; nobody else will say so.
        self.store.settle();
    }

    /// Stores that a document failed by our fault. It is tried again at the next full sweep, or by `retry`.
    pub fn failed(&self, job: Job, error: &WorkError) {
        self.troubled.lock().insert(job.collection);
        if self.ending() {
            // It stays pending, and is the first to be read at the next start.
            return;
        }
        tracing::error!(collection = %job.collection, document = %job.document, %error, "a document could not be ingested");
        let stored = self.store.by_id(job.collection).and_then(|collection| {
            let Some(pending) = collection.catalog().pending(job.document)? else { return Ok(()) };
            collection.catalog().fail(pending.id, pending.sha256, &error.to_string())
        });
        if let Err(error) = stored {
            tracing::error!(collection = %job.collection, %error, "that a document failed could not be stored");
        }
        self.store.settle();
    }

    /// What ingestion is doing.
    pub fn progress(&self) -> Progress {
        let (pending, pending_bytes) = self.load();
        let mut pace = self.pace.lock();
        if pending == 0 {
            *pace = Pace::default();
        }
        let left = pace.since.filter(|_| pace.bytes > 0).map(|since| {
            let rate = pace.bytes as f64 / since.elapsed().as_secs_f64().max(0.001);
            Duration::from_secs_f64((pending_bytes as f64 / rate).min(1e9))
        });
        let sorted = |names: &Mutex<HashMap<PathBuf, Vec<String>>>| {
            let mut all: Vec<String> = names.lock().values().flatten().cloned().collect();
            all.sort();
            all
        };
        Progress {
            paused: self.queue.held(),
            pending,
            finished: self.finished.load(Ordering::Relaxed),
            chunks: self.chunks.load(Ordering::Relaxed),
            embedded: self.embedders.embedded(),
            pending_bytes,
            left,
            strays: sorted(&self.strays),
            bad_names: sorted(&self.bad_names),
            swept: self.swept.load(Ordering::Relaxed),
        }
    }

    /// Documents waiting or being read, and bytes of those waiting.
    pub fn load(&self) -> (u64, u64) {
        let (documents, recordings) = (self.queue.load(), self.recordings.load());
        (documents.0 + recordings.0, documents.1 + recordings.1)
    }

    /// Lets no document be taken up, with a reason for people, or lets it go on.
    pub fn hold(&self, why: Option<&str>) {
        self.queue.hold(why.map(str::to_owned));
        self.recordings.hold(why.map(str::to_owned));
    }

    /// Forgets what waits of a collection that is being destroyed; true while a document of it is still being read.
    pub fn drop_collection(&self, id: CollectionId) -> bool {
        let (documents, recordings) = (self.queue.drop_collection(id), self.recordings.drop_collection(id));
        documents || recordings
    }

    /// Names all that reads here. It changes when something may be read that was not before.
    pub fn engines(&self) -> String {
        let speech = if self.options.transcriber.is_some() { "+speech" } else { "" };
        self.extractor.engines() + speech
    }

    /// Whether the threads are to end.
    pub fn ending(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}
