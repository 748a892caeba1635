//! Wires the stages: watched folders and uploads in, searchable versions out. The handle that doors and tools use to change anything.

mod collections;
mod documents;
mod housekeeping;
mod passing;
mod queue;
mod reconcile;
mod shared;
mod sweeper;
mod uploads;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::chunk::{ChunkOptions, Chunker};
use crate::embed;
use crate::embed::set::Embedders;
use crate::extract::{ExtractOptions, Extractor, Transcriber};
use crate::index::records::{CollectionRecord, DocumentRecord};
use crate::index::{IndexError, Store, lanes};
use crate::model::Sha256;
use shared::{Ask, Shared};

pub use passing::ReadFile;
pub use uploads::Upload;

/// Name under which a catalog keeps which engines tried its documents last.
const ENGINES: &str = "engines";

/// Recordings that are written down at the same time: a long one shall not hold up all others.
const LISTENERS: usize = 2;

/// How long each kind of thread may take to end.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// What the pipeline needs to run.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// Folders whose content is kept searchable.
    pub watched: Vec<WatchedRoot>,
    /// How the extraction worker is started and limited.
    pub extract: ExtractOptions,
    /// Documents worked on at the same time. With 0 nothing is watched and nothing is read.
    pub workers: usize,
    /// Time between two full sweeps of every watched folder.
    pub sweep_every: Duration,
    /// How long a file must have stood still before it is read.
    pub settle: Duration,
    /// Further lines in `.gitignore` syntax: files that are never read.
    pub ignore: Vec<String>,
    /// Free bytes on the data folder's disk below which nothing is ingested.
    pub reserve_bytes: u64,
    /// Documents that may be pending over REST before a PUT is refused as busy.
    pub max_pending: u64,
    /// Time between two purges of what was deleted.
    pub purge_every: Duration,
    /// Writes recordings down; without it they are unsupported.
    pub transcriber: Option<Arc<dyn Transcriber>>,
}

/// A folder to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchedRoot {
    /// Each direct sub-folder is a collection named after it.
    Clients(PathBuf),
    /// The folder is one collection of this name.
    Named {
        /// The collection's name.
        name: String,
        /// Its folder.
        path: PathBuf,
    },
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// No collection of that name.
    #[error("there is no such collection")]
    NoCollection,
    /// No document at that path.
    #[error("there is no such document")]
    NoDocument,
    /// The name is taken.
    #[error("a collection of that name exists already")]
    Exists,
    /// The name breaks the rule.
    #[error("a collection's name is 1 to 63 of a-z, 0-9 and -, and begins with a letter or digit")]
    BadName,
    /// The path breaks the rule; the text says which.
    #[error("the document's path {0}")]
    BadPath(&'static str),
    /// The collection's truth is a watched folder.
    #[error("the collection is kept by a watched folder: change the file there")]
    Watched,
    /// It is inside another file.
    #[error("it is inside another file, and only that file has an original and can be changed")]
    Member,
    /// The collection is not kept by a watched folder.
    #[error("the collection is not kept by a watched folder")]
    NotWatched,
    /// Too much is waiting.
    #[error("too many documents are waiting; try again later")]
    Busy,
    /// The bytes are more than the limit.
    #[error("the document is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The disk is nearly full.
    #[error("the disk of the data folder has less than the reserve of free space")]
    DiskFull,
    /// The data folder belongs to another running process.
    #[error("the data folder is in use by process {pid}")]
    InUse {
        /// That process.
        pid: u32,
    },
    /// A rebuild asked for a model that is not loaded, or similar.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// What became of a PUT.
#[derive(Clone, Debug)]
pub struct Put {
    /// The document as it stands now.
    pub document: DocumentRecord,
    /// Whether there was no document at its path before.
    pub created: bool,
    /// Whether the same bytes stood at its path already, so that nothing was to be done.
    pub unchanged: bool,
}

/// What a destroyed collection had, and that it is gone.
#[derive(Clone, Debug)]
pub struct Destroyed {
    /// As it was just before.
    pub record: CollectionRecord,
    /// Every document's path and SHA-256 as last seen.
    pub documents: Vec<(String, Sha256)>,
    /// Files removed from the data folder.
    pub files_removed: u64,
    /// Bytes they held.
    pub bytes_removed: u64,
    /// Whether a scan of what is left of the data folder found none of its identifiers.
    pub clean: bool,
    /// What stays out of reach: the watched folder, if it had one.
    pub left_in_place: Option<PathBuf>,
}

/// What ingestion is doing.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Why nothing is ingested just now; none if it is going on.
    pub paused: Option<String>,
    /// Documents waiting or being worked on, over all collections.
    pub pending: u64,
    /// Documents finished since the process started.
    pub finished: u64,
    /// Chunks committed since the process started.
    pub chunks: u64,
    /// Chunks that went through a model since the process started; what had a vector already did not.
    pub embedded: u64,
    /// Bytes of source files still to be read.
    pub pending_bytes: u64,
    /// Estimate of the time left; none while it is unknown.
    pub left: Option<Duration>,
    /// Files that lie directly in a folder of clients and so belong to nobody.
    pub strays: Vec<String>,
    /// Files whose names cannot be written as text, shown lossily; they are not read.
    pub bad_names: Vec<String>,
    /// Whether the first sweep of every watched folder is done.
    pub swept: bool,
}

impl From<IndexError> for PipelineError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::NoCollection => Self::NoCollection,
            IndexError::Exists => Self::Exists,
            IndexError::InUse(pid) => Self::InUse { pid },
            IndexError::NoVectors(_) | IndexError::Rebuilding(_) => Self::Unavailable(error.to_string()),
            IndexError::Format { .. } | IndexError::Damaged(_) | IndexError::Failed(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<std::io::Error> for PipelineError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::DiskFull,
            // The kind only: the error's own text may name paths.
            kind => Self::Failed(format!("file system: {kind}")),
        }
    }
}

/// Handle on the running pipeline. Cheap to clone; every method may block on disk, so call it off the async threads.
#[derive(Clone)]
pub struct Pipeline {
    shared: Arc<Shared>,
    threads: Arc<Mutex<Threads>>,
}

#[derive(Default)]
struct Threads {
    /// Those that find and read documents.
    feeding: Vec<JoinHandle<()>>,
    /// Those that write the indexes; they end last.
    lanes: Vec<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts the threads, sink first. `store` is the opened data folder, `embedders` the loaded models: documents wait until
    /// one is active, or until it says why none is.
    ///
    /// # Errors
    /// If the store can't be read, the ignore rules are wrong, or a thread can't be started.
    pub fn start(options: PipelineOptions, store: Arc<Store>, embedders: Embedders) -> Result<Self, PipelineError> {
        let chunker = Chunker::new(ChunkOptions::default()).map_err(|error| PipelineError::Failed(error.to_string()))?;
        let (asks, asked) = crossbeam_channel::unbounded();
        let workers = options.workers;
        let shared = Arc::new(Shared {
            extractor: Extractor::new(options.extract.clone()),
            chunker,
            queue: queue::Queue::default(),
            recordings: queue::Queue::default(),
            asks,
            paused: false.into(),
            stopping: false.into(),
            swept: false.into(),
            finished: 0.into(),
            chunks: 0.into(),
            strays: Mutex::default(),
            bad_names: Mutex::default(),
            troubled: Mutex::default(),
            originals: parking_lot::RwLock::default(),
            pace: Mutex::default(),
            options,
            store,
            embedders,
        });
        let pipeline = Self { shared: shared.clone(), threads: Arc::default() };
        pipeline.resume_pending()?;
        let mut threads = pipeline.threads.lock();
        threads.lanes.push(spawn("text-lane", &shared, |shared| lanes::run_text(&shared.store))?);
        threads.lanes.push(spawn("vector-lane", &shared, |shared| lanes::run_vectors(&shared.store))?);
        threads.feeding.push(spawn("housekeeping", &shared, housekeeping::run)?);
        for number in 0..workers {
            threads.feeding.push(spawn(&format!("reader-{number}"), &shared, |shared| worker::run(shared, &shared.queue))?);
        }
        let listeners = if workers > 0 && shared.options.transcriber.is_some() { LISTENERS } else { 0 };
        for number in 0..listeners {
            let listen = |shared: &Shared| worker::run(shared, &shared.recordings);
            threads.feeding.push(spawn(&format!("listener-{number}"), &shared, listen)?);
        }
        let sweep = move |shared: &Shared| {
            if let Err(error) = sweeper::run(shared, asked) {
                tracing::error!(%error, "watched folders are not looked at");
            }
        };
        if workers > 0 {
            threads.feeding.push(spawn("sweeper", &shared, sweep)?);
        }
        drop(threads);
        Ok(pipeline)
    }

    /// Queues what an earlier run left pending, and lets both indexes catch up where they are behind.
    fn resume_pending(&self) -> Result<(), PipelineError> {
        for entry in self.shared.store.registry().all()? {
            let resumed = self.shared.store.by_id(entry.id).and_then(|collection| {
                // What failed in an earlier run is tried once more; what could not be read, by engines that are new.
                let engines = self.shared.engines();
                if collection.catalog().meta(ENGINES)?.as_deref() == Some(&engines) {
                    collection.catalog().retry(&[], None)?;
                } else {
                    collection.catalog().retry(&collections::AGAIN, Some(&self.shared.extractor.engines()))?;
                    collection.catalog().set_meta(&[(ENGINES, &engines)])?;
                }
                reconcile::enqueue_all(&self.shared, &collection)?;
                if collection.catalog().has_unapplied()? {
                    self.shared.store.tasks().apply(entry.id);
                }
                Ok(())
            });
            if let Err(error) = resumed {
                tracing::error!(collection = %entry.id, %error, "a collection can't be opened; the others are not affected");
            }
        }
        Ok(())
    }

    /// Ends all threads once each has finished its present step, or after a few seconds: a file may take minutes to read, an
    /// index to build, and killing is safe at any moment. What is pending stays pending.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.queue.close();
        self.shared.recordings.close();
        // The sweeper may have ended already.
        let _ = self.shared.asks.send(Ask::Stop);
        if let Some(embedder) = self.shared.embedders.active() {
            // Whoever embeds a large document is told so now.
            embedder.stop();
        }
        self.shared.extractor.stop();
        let mut threads = self.threads.lock();
        join_within(STOP_GRACE, threads.feeding.drain(..).collect());
        self.shared.store.tasks().close();
        join_within(STOP_GRACE, threads.lanes.drain(..).collect());
        self.shared.store.settle();
    }

    /// Stops taking up documents until [`Pipeline::resume`].
    pub fn pause(&self) {
        self.shared.paused.store(true, Ordering::Relaxed);
        self.shared.hold(Some("paused by request"));
    }

    /// Goes on after [`Pipeline::pause`].
    pub fn resume(&self) {
        self.shared.paused.store(false, Ordering::Relaxed);
    }

    /// What ingestion is doing.
    pub fn progress(&self) -> Progress {
        self.shared.progress()
    }
}

/// Starts a thread that does bulk work; readers and writers that it starts give way to queries as it does.
fn spawn(
    name: &str,
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) + Send + 'static,
) -> Result<JoinHandle<()>, PipelineError> {
    let shared = shared.clone();
    let courteous = move || {
        embed::give_way();
        work(&shared);
    };
    Ok(std::thread::Builder::new().name(name.into()).spawn(courteous)?)
}

/// Waits for threads to end. Those that take longer are left to the end of the process.
fn join_within(grace: Duration, threads: Vec<JoinHandle<()>>) {
    let begun = Instant::now();
    for thread in threads {
        while !thread.is_finished() && begun.elapsed() < grace {
            std::thread::sleep(Duration::from_millis(5));
        }
        if !thread.is_finished() {
            tracing::info!("something long was going on at the stop; the next start takes it up again");
        } else if thread.join().is_err() {
            tracing::error!("a thread of the pipeline had panicked");
        }
    }
}
