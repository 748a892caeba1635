//! The handle: hands texts to the threads that own the models, and their vectors back in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use parking_lot::Mutex;

use super::builtin::{self, Builtin};
use super::{Backend, EmbedError, EmbedOptions, Embedded, Lane, ModelSpec, Purpose, folder, named, runtime};
use crate::model::Fingerprint;

/// How threads that do bulk work are ranked on Linux.
#[cfg(target_os = "linux")]
const BULK_NICENESS: i32 = 10;

/// Ranks the calling thread behind those that answer queries, and with it every thread and process that it starts from now on.
/// Does nothing but on Linux, where each thread has a rank of its own.
pub fn give_way() {
    // Where it is forbidden, nothing is lost but the courtesy.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, BULK_NICENESS);
}

/// Makes one loaded model for one thread.
pub type Make = Arc<dyn Fn(Lane) -> Result<Box<dyn Backend>, EmbedError> + Send + Sync>;

/// A model as [`Embedder::with_backend`] takes it.
pub struct Custom {
    /// What is stored with its vectors.
    pub fingerprint: Fingerprint,
    /// How many numbers a vector has.
    pub dimension: usize,
    /// Its name.
    pub model_name: String,
    /// What it computes on.
    pub device: String,
    /// The most texts that one call of its backends gets.
    pub batch: usize,
    /// The backend of the query thread, if one is at hand; otherwise one is made at the start.
    pub query: Option<Box<dyn Backend>>,
    /// Makes the others, on the threads that use them.
    pub make: Make,
}

/// Turns texts into L2-normalised vectors. A cheap handle: clones share the same threads, which end with the last of them.
#[derive(Clone)]
pub struct Embedder(Arc<Inner>);

struct Inner {
    fingerprint: Fingerprint,
    dimension: usize,
    model_name: String,
    device: String,
    batch: usize,
    counters: Arc<Counters>,
    lanes: Mutex<Option<Lanes>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Clone)]
struct Lanes {
    query: Sender<Job>,
    bulk: Sender<Job>,
}

#[derive(Default)]
struct Counters {
    embedded: AtomicU64,
    truncated: AtomicU64,
    stopped: AtomicBool,
}

/// Some texts on their way to a thread.
struct Job {
    texts: Vec<String>,
    purpose: Purpose,
    /// Where in the caller's list each text stands.
    places: Vec<usize>,
    reply: Sender<Reply>,
}

struct Reply {
    places: Vec<usize>,
    result: Result<Vec<Vec<f32>>, EmbedError>,
}

impl Embedder {
    /// Loads the library and the model, checks it, and starts the threads. Takes some tenths of a second.
    pub fn start(options: EmbedOptions) -> Result<Self, EmbedError> {
        let environment = runtime::environment(&options.runtime)?;
        let EmbedOptions { model, device, threads, idle, .. } = options;
        let custom = match &model {
            ModelSpec::Builtin { weights, tokenizer, precision } => {
                builtin::recipe(&Builtin { environment, weights, tokenizer, precision: *precision, device })?
            }
            ModelSpec::Fastembed { name, files } => named::recipe(&environment, name, files, device, threads)?,
            ModelSpec::Folder { path } => folder::recipe(&environment, path, device)?,
        };
        // A model that `fastembed` runs takes its threads inside one session, which is held only once.
        let sessions = if matches!(model, ModelSpec::Fastembed { .. }) { 1 } else { threads };
        Self::with_backend(custom, sessions, idle)
    }

    /// Starts with a model of the caller's own: `threads` bulk threads that drop theirs after `idle` without work.
    /// This is how tests and benches put a [`super::HashBackend`] in place of a model.
    pub fn with_backend(custom: Custom, threads: usize, idle: Duration) -> Result<Self, EmbedError> {
        let threads = threads.max(1);
        let counters = Arc::new(Counters::default());
        let first = match custom.query {
            Some(backend) => backend,
            None => (custom.make)(Lane::Query)?,
        };
        // Deep enough that no thread waits for work, and not deeper: the texts wait outside.
        let (query, queries) = bounded(16);
        let (bulk, jobs) = bounded(2 * threads);
        let mut handles = Vec::new();
        let worker = |lane, jobs, backend| Worker {
            lane,
            jobs,
            backend,
            make: Arc::clone(&custom.make),
            counters: Arc::clone(&counters),
            // The query thread keeps its model for ever.
            idle: (lane == Lane::Bulk).then_some(idle),
        };
        handles.push(spawn("embed-query".into(), worker(Lane::Query, queries, Some(first)))?);
        for number in 0..threads {
            handles.push(spawn(format!("embed-bulk-{number}"), worker(Lane::Bulk, jobs.clone(), None))?);
        }
        Ok(Self(Arc::new(Inner {
            fingerprint: custom.fingerprint,
            dimension: custom.dimension,
            model_name: custom.model_name,
            device: custom.device,
            batch: custom.batch.max(1),
            counters,
            lanes: Mutex::new(Some(Lanes { query, bulk })),
            threads: Mutex::new(handles),
        })))
    }

    /// A fake for tests and benches: [`super::HashBackend`] vectors of any dimension on one bulk thread.
    pub fn hashing(dimension: usize) -> Result<Self, EmbedError> {
        let custom = Custom {
            fingerprint: Fingerprint(format!("hash-{dimension}")),
            dimension,
            model_name: format!("hash-{dimension}"),
            device: "cpu".into(),
            batch: 8,
            query: None,
            make: Arc::new(move |_| Ok(Box::new(super::HashBackend { dimension }))),
        };
        Self::with_backend(custom, 1, Duration::from_secs(60))
    }

    /// What is stored with the vectors: model, hashes of weights and tokenizer, pooling, prefixes, quantisation, longest text.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.0.fingerprint
    }

    /// How many numbers a vector has.
    pub fn dimension(&self) -> usize {
        self.0.dimension
    }

    /// The model's name.
    pub fn model_name(&self) -> &str {
        &self.0.model_name
    }

    /// What is really used: `cpu`, `cuda` or `coreml`.
    pub fn device(&self) -> &str {
        &self.0.device
    }

    /// The vector of a query. Blocks for its own computation and for other queries, never for documents.
    pub fn embed_query(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let lanes = self.lanes()?;
        let (reply, replies) = bounded(1);
        let job = Job { texts: vec![text.to_owned()], purpose: Purpose::Query, places: vec![0], reply };
        lanes.query.send(job).map_err(|_| EmbedError::Stopped)?;
        drop(lanes);
        let reply = replies.recv().map_err(|_| EmbedError::Stopped)?;
        reply.result?.pop().ok_or_else(|| EmbedError::Failed("the model gave no vector".into()))
    }

    /// The vectors of some chunks, in their order. Blocks until all are there. Any number may be given: they are sorted by
    /// length, cut into batches and shared out over the bulk threads, whose queue is short.
    pub fn embed_documents(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let lanes = self.lanes()?;
        let mut order: Vec<usize> = (0..texts.len()).collect();
        // Long ones first: the last to finish is then a short one.
        order.sort_by_key(|&at| std::cmp::Reverse(texts[at].len()));
        let (reply, replies) = unbounded();
        for places in order.chunks(self.0.batch) {
            let job = Job {
                texts: places.iter().map(|&at| texts[at].to_owned()).collect(),
                purpose: Purpose::Document,
                places: places.to_vec(),
                reply: reply.clone(),
            };
            lanes.bulk.send(job).map_err(|_| EmbedError::Stopped)?;
        }
        drop((reply, lanes));
        let mut vectors = vec![Vec::new(); texts.len()];
        for Reply { places, result } in replies {
            for (at, vector) in places.into_iter().zip(result?) {
                vectors[at] = vector;
            }
        }
        // A thread that died took its job's reply with it.
        if vectors.iter().any(Vec::is_empty) {
            return Err(EmbedError::Stopped);
        }
        Ok(vectors)
    }

    /// Chunks that went through the model since the start. Queries are not counted.
    pub fn embedded(&self) -> u64 {
        self.0.counters.embedded.load(Ordering::Relaxed)
    }

    /// Texts, queries among them, that were longer than the model takes and were cut.
    pub fn truncated(&self) -> u64 {
        self.0.counters.truncated.load(Ordering::Relaxed)
    }

    /// Ends the threads and gives the models' memory back. Work in the queues gets [`EmbedError::Stopped`].
    pub fn stop(&self) {
        self.0.stop();
    }

    fn lanes(&self) -> Result<Lanes, EmbedError> {
        self.0.lanes.lock().clone().ok_or(EmbedError::Stopped)
    }
}

impl Inner {
    fn stop(&self) {
        self.counters.stopped.store(true, Ordering::Relaxed);
        drop(self.lanes.lock().take());
        for handle in self.threads.lock().drain(..) {
            // A thread catches its model's panics, so there is nothing to learn here.
            let _ = handle.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(name: String, worker: Worker) -> Result<JoinHandle<()>, EmbedError> {
    std::thread::Builder::new()
        .name(name)
        .spawn(move || worker.run())
        .map_err(|error| EmbedError::Failed(format!("no thread for the embedding model: {error}")))
}

/// A thread that owns a model.
struct Worker {
    lane: Lane,
    jobs: Receiver<Job>,
    backend: Option<Box<dyn Backend>>,
    make: Make,
    counters: Arc<Counters>,
    idle: Option<Duration>,
}

impl Worker {
    fn run(mut self) {
        if self.lane == Lane::Bulk {
            give_way();
        }
        loop {
            let next = match self.idle {
                Some(idle) if self.backend.is_some() => self.jobs.recv_timeout(idle),
                _ => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(job) => {
                    let result = self.work(&job);
                    // Nobody waits any more: fine.
                    let _ = job.reply.send(Reply { places: job.places, result });
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.backend = None;
                    runtime::give_memory_back();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn work(&mut self, job: &Job) -> Result<Vec<Vec<f32>>, EmbedError> {
        if self.counters.stopped.load(Ordering::Relaxed) {
            return Err(EmbedError::Stopped);
        }
        let mut backend = match self.backend.take() {
            Some(backend) => backend,
            None => (self.make)(self.lane)?,
        };
        let texts: Vec<&str> = job.texts.iter().map(String::as_str).collect();
        // After a panic the model is in an unknown state, and is dropped; the next job gets a new one.
        let embedded = catch_unwind(AssertUnwindSafe(|| backend.embed(&texts, job.purpose)))
            .map_err(|_| EmbedError::Failed("the embedding model panicked".into()))?;
        self.backend = Some(backend);
        let Embedded { mut vectors, truncated } = embedded?;
        if vectors.len() != texts.len() {
            return Err(EmbedError::Failed("the model gave another number of vectors than it got texts".into()));
        }
        vectors.iter_mut().for_each(|vector| normalise(vector));
        if job.purpose == Purpose::Document {
            self.counters.embedded.fetch_add(texts.len() as u64, Ordering::Relaxed);
        }
        self.counters.truncated.fetch_add(truncated, Ordering::Relaxed);
        Ok(vectors)
    }
}

/// Scales a vector to length 1; one of zeros stays as it is.
pub(super) fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number /= length);
    }
}
