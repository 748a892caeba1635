//! Wires the stages: watched folders and uploads in, searchable versions out. The handle that doors and tools use to change anything.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::embed::set::Embedders;
use crate::extract::ExtractOptions;
use crate::index::Store;
use crate::index::records::{CollectionRecord, DocumentPage, DocumentRecord};
use crate::model::{DocumentId, DocumentState, Sha256};

/// What the pipeline needs to run.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// Folders whose content is kept searchable.
    pub watched: Vec<WatchedRoot>,
    /// How the extraction worker is started and limited.
    pub extract: ExtractOptions,
    /// Documents worked on at the same time.
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

/// Bytes on their way in: written to a file of the data folder, hashed as they come.
pub struct Upload {}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`PipelineError::TooLarge`] past the limit; otherwise what the disk says.
    pub fn write(&mut self, _bytes: &[u8]) -> Result<(), PipelineError> {
        unimplemented!()
    }
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

/// Handle on the running pipeline. Cheap to clone; every method may block on disk, so call it off the async threads.
#[derive(Clone)]
pub struct Pipeline {
    _inner: Arc<()>,
}

impl Pipeline {
    /// Starts the threads. `store` is the opened data folder, `embedders` the loaded models (possibly none).
    pub fn start(_options: PipelineOptions, _store: Arc<Store>, _embedders: Embedders) -> Result<Self, PipelineError> {
        unimplemented!()
    }
    /// Finishes what is being committed, then ends all threads. What is pending stays pending.
    pub fn stop(&self) {
        unimplemented!()
    }
    /// Makes an empty collection that is filled over REST.
    pub fn create_collection(&self, _name: &str) -> Result<CollectionRecord, PipelineError> {
        unimplemented!()
    }
    /// Every collection, by name.
    pub fn collections(&self) -> Result<Vec<CollectionRecord>, PipelineError> {
        unimplemented!()
    }
    /// One collection.
    pub fn collection(&self, _name: &str) -> Result<CollectionRecord, PipelineError> {
        unimplemented!()
    }
    /// Destroys a collection and everything derived from it; detaches its watched folder for good.
    pub fn destroy(&self, _name: &str) -> Result<Destroyed, PipelineError> {
        unimplemented!()
    }
    /// Watches `path` as the collection `name` from now on, over restarts too (also takes a detached folder back).
    pub fn watch(&self, _name: &str, _path: PathBuf) -> Result<CollectionRecord, PipelineError> {
        unimplemented!()
    }
    /// Gives a missing watched folder up: its documents are removed as if they had been deleted.
    pub fn forget(&self, _name: &str) -> Result<(), PipelineError> {
        unimplemented!()
    }
    /// Begins an upload into a collection.
    ///
    /// # Errors
    /// Everything that can be refused before the first byte: no collection, watched, bad path, busy, disk full.
    pub fn upload(&self, _collection: &str, _path: &str) -> Result<Upload, PipelineError> {
        unimplemented!()
    }
    /// Makes the uploaded bytes durable and the document pending.
    pub fn put(&self, _upload: Upload, _media_type: Option<&str>) -> Result<Put, PipelineError> {
        unimplemented!()
    }
    /// Waits until the document is no longer pending, at most `timeout`; its record as it then stands.
    pub fn wait(&self, _collection: &str, _document: DocumentId, _timeout: Duration) -> Result<DocumentRecord, PipelineError> {
        unimplemented!()
    }
    /// One document by its path.
    pub fn document(&self, _collection: &str, _path: &str) -> Result<DocumentRecord, PipelineError> {
        unimplemented!()
    }
    /// Documents in order of path, after the path `after`; `state` none means all.
    pub fn documents(
        &self,
        _collection: &str,
        _state: Option<DocumentState>,
        _after: Option<&str>,
        _limit: usize,
    ) -> Result<DocumentPage, PipelineError> {
        unimplemented!()
    }
    /// The text of the version that answers searches.
    pub fn text(&self, _collection: &str, _path: &str) -> Result<String, PipelineError> {
        unimplemented!()
    }
    /// The bytes as they came, opened for reading.
    pub fn original(&self, _collection: &str, _path: &str) -> Result<(File, DocumentRecord), PipelineError> {
        unimplemented!()
    }
    /// Hides a document at once; with `purge` also waits until its text is gone from every file.
    pub fn delete(&self, _collection: &str, _path: &str, _purge: bool) -> Result<(), PipelineError> {
        unimplemented!()
    }
    /// Stops taking up documents until [`Pipeline::resume`].
    pub fn pause(&self) {
        unimplemented!()
    }
    /// Goes on after [`Pipeline::pause`].
    pub fn resume(&self) {
        unimplemented!()
    }
    /// What ingestion is doing.
    pub fn progress(&self) -> Progress {
        unimplemented!()
    }
    /// Tries failed documents, and crashed or timed-out ones, again.
    pub fn retry(&self, _collection: &str) -> Result<u64, PipelineError> {
        unimplemented!()
    }
    /// Builds both indexes of a collection anew beside the old ones and flips to them; waits until done.
    /// With the model that is active now, so after a change of model this is also the swap.
    pub fn rebuild(&self, _collection: &str) -> Result<(), PipelineError> {
        unimplemented!()
    }
}
