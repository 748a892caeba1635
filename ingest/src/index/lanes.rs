//! The two lanes that carry changes from the catalog to the indexes: one thread a lane, so each index has one writer.
//!
//! A lane takes a collection's changes in order from the index's own watermark, applies them, and flips to searchable what both
//! lanes have done. Collections take turns. Rebuilds go through the same lanes.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use crossbeam_channel::Sender;
use parking_lot::{Condvar, Mutex};

use super::catalog::{ChangeKind, ChangeRow};
use super::collection::Collection;
use super::lexical::{LexicalChange, LexicalChunk, LexicalIndex};
use super::vector::VectorChange;
use super::{IndexError, Store};
use crate::model::{CollectionId, Fingerprint, Seq};

/// Changes taken from the catalog at once.
const CHANGES: usize = 256;
/// Chunks applied in one durable step; more wait for the collection's next turn.
const CHUNKS: u64 = 4_000;
/// A lane without work for so long gives back what writing needed.
const IDLE: Duration = Duration::from_secs(5);
/// Full-text indexes that keep their writer at the same time.
const WRITERS: usize = 3;
/// Characters of a document's beginning that count as its head.
const HEAD_CHARS: usize = 400;

/// Where to answer when a task is done.
pub type Done = Sender<Result<(), IndexError>>;

/// Something a lane is to do.
pub enum Task {
    /// Apply what the catalog has.
    Apply(CollectionId),
    /// Build the index anew beside the old one and flip to it.
    Rebuild(CollectionId, Option<Done>),
    /// Vectors only: build the index anew with vectors of another model.
    Swap(CollectionId, Fingerprint, usize, Done),
}

impl Task {
    fn collection(&self) -> CollectionId {
        match self {
            Self::Apply(id) | Self::Rebuild(id, _) | Self::Swap(id, ..) => *id,
        }
    }
}

/// What both lanes have to do.
#[derive(Default)]
pub struct Tasks {
    text: Queue,
    vectors: Queue,
}

#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Task>,
    /// Collections with an `Apply` in `tasks`: one is enough.
    applying: HashSet<CollectionId>,
    /// Collections whose last task failed: tried again once nothing else is to be done.
    failed: HashSet<CollectionId>,
    closed: bool,
}

impl Queue {
    fn push(&self, task: Task) {
        let mut waiting = self.state.lock();
        if let Task::Apply(id) = task
            && !waiting.applying.insert(id)
        {
            return;
        }
        waiting.tasks.push_back(task);
        self.changed.notify_one();
    }

    /// The next task; `Ok(None)` after `IDLE` without one, `Err` once closed: what is left then waits for the next start.
    fn pop(&self) -> Result<Option<Task>, ()> {
        let mut waiting = self.state.lock();
        if waiting.tasks.is_empty() && !waiting.closed {
            let _ = self.changed.wait_for(&mut waiting, IDLE);
        }
        if waiting.closed {
            waiting.tasks.clear();
            return Err(());
        }
        if waiting.tasks.is_empty() {
            for id in std::mem::take(&mut waiting.failed) {
                if waiting.applying.insert(id) {
                    waiting.tasks.push_back(Task::Apply(id));
                }
            }
            return Ok(None);
        }
        let task = waiting.tasks.pop_front();
        if let Some(Task::Apply(id)) = task {
            waiting.applying.remove(&id);
        }
        Ok(task)
    }

    /// Keeps in mind that something of a collection has to be done once more.
    fn failed(&self, id: CollectionId) {
        self.state.lock().failed.insert(id);
    }

    fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}

impl Tasks {
    /// Tells both lanes that the catalog of a collection has changes.
    pub fn apply(&self, id: CollectionId) {
        self.text.push(Task::Apply(id));
        self.vectors.push(Task::Apply(id));
    }

    /// Gives the text lane a task.
    pub fn text(&self, task: Task) {
        self.text.push(task);
    }

    /// Gives the vector lane a task.
    pub fn vectors(&self, task: Task) {
        self.vectors.push(task);
    }

    /// Forgets what is to be done for a collection that is being destroyed.
    pub fn drop_collection(&self, id: CollectionId) {
        for queue in [&self.text, &self.vectors] {
            let mut waiting = queue.state.lock();
            waiting.tasks.retain(|task| task.collection() != id);
            waiting.applying.remove(&id);
            waiting.failed.remove(&id);
        }
    }

    /// Lets both lanes end after the step that they are at. Whatever is left waits for the next start.
    pub fn close(&self) {
        self.text.close();
        self.vectors.close();
    }
}

/// Runs the text lane until the tasks are closed.
pub fn run_text(store: &Store) {
    // Collections whose index may hold a writer; by id, so that the lane keeps none of them open.
    let mut writers: VecDeque<CollectionId> = VecDeque::new();
    while let Ok(task) = store.tasks().text.pop() {
        let Some(task) = task else {
            writers.drain(..).for_each(|id| rest(store, id));
            continue;
        };
        let id = task.collection();
        let result = store.by_id(id).and_then(|collection| match &task {
            Task::Rebuild(..) => collection.rebuild_text(),
            Task::Apply(_) | Task::Swap(..) => {
                if !writers.contains(&id) {
                    writers.push_back(id);
                }
                if collection.apply_text(&*collection.text_index()?)? {
                    store.tasks().text(Task::Apply(id));
                }
                Ok(())
            }
        });
        if writers.len() > WRITERS
            && let Some(oldest) = writers.pop_front()
        {
            rest(store, oldest);
        }
        finish(store, &store.tasks().text, result, task);
    }
    writers.drain(..).for_each(|id| rest(store, id));
}

/// Runs the vector lane until the tasks are closed.
pub fn run_vectors(store: &Store) {
    let mut worked: Option<CollectionId> = None;
    while let Ok(task) = store.tasks().vectors.pop() {
        let Some(task) = task else {
            // Nothing to write for a while: the time to build what makes searches fast.
            if let Some(collection) = worked.take().and_then(|id| store.by_id(id).ok())
                && let Ok(Some(index)) = collection.vector_index()
                && let Err(error) = index.optimize()
            {
                tracing::warn!(collection = %collection.id(), %error, "the vector index could not be optimised");
                let _ = collection.vectors_failed(error);
            }
            continue;
        };
        let id = task.collection();
        let result = store.by_id(id).and_then(|collection| match &task {
            Task::Rebuild(..) => collection.rebuild_vectors(),
            Task::Swap(_, fingerprint, dimension, _) => collection.swap_vectors(fingerprint, *dimension),
            Task::Apply(_) => {
                let Some(index) = collection.vector_index()? else { return Ok(()) };
                if collection.apply_vectors(&*index)? {
                    store.tasks().vectors(Task::Apply(id));
                } else if index.wants_rebuild() {
                    drop(index);
                    collection.rebuild_vectors()?;
                }
                worked = Some(id);
                Ok(())
            }
        });
        finish(store, &store.tasks().vectors, result, task);
    }
}

/// Lets the full-text index of a collection give back what writing needed, if the collection is open.
fn rest(store: &Store, id: CollectionId) {
    // Held until it is done: a collection closed and opened again meanwhile would want a second writer.
    let Some(collection) = store.if_open(id) else { return };
    let Some(index) = collection.text.read().get() else { return };
    if let Err(error) = index.rest() {
        tracing::warn!(collection = %id, %error, "a full-text index could not finish its merges");
    }
}

/// Flips what both lanes have done, and answers who waits.
fn finish(store: &Store, lane: &Queue, result: Result<(), IndexError>, task: Task) {
    let id = task.collection();
    let result = result.and_then(|()| {
        let collection = store.by_id(id)?;
        if collection.catalog().flip(collection.applied())? > 0 {
            // Versions that were replaced just now are hidden already; this takes them out of the indexes.
            store.tasks().apply(id);
        }
        Ok(())
    });
    store.settle();
    let failed = matches!(&result, Err(error) if !matches!(error, IndexError::NoCollection));
    if failed && matches!(task, Task::Rebuild(..)) {
        if let Some(collection) = store.if_open(id) {
            collection.forget_damage();
        }
        lane.failed(id);
    }
    match task {
        Task::Rebuild(_, Some(done)) | Task::Swap(_, _, _, done) => {
            // Whoever asked may have gone.
            let _ = done.send(result);
        }
        Task::Rebuild(_, None) | Task::Apply(_) => match result {
            Ok(()) | Err(IndexError::NoCollection) => {}
            // The rebuild that the error speaks of is queued already.
            Err(IndexError::Rebuilding(_)) => {}
            Err(error) => {
                tracing::error!(collection = %id, %error, "changes could not be applied to an index; it is tried again");
                lane.failed(id);
            }
        },
    }
}

impl Collection {
    /// One durable step of the text index. True if the catalog has more.
    pub(super) fn apply_text(&self, index: &LexicalIndex) -> Result<bool, IndexError> {
        let (rows, more) = self.next_changes(index.watermark())?;
        let Some(last) = rows.last() else { return Ok(false) };
        let upto = last.seq;
        let changes = rows.iter().map(|row| self.lexical_change(row)).collect::<Result<Vec<_>, _>>()?;
        index.apply(changes, upto).map_err(|error| self.text_failed(error))?;
        Ok(more)
    }

    /// One durable step of the vector index. True if the catalog has more.
    pub(super) fn apply_vectors(&self, index: &dyn super::vector::VectorStore) -> Result<bool, IndexError> {
        let (rows, more) = self.next_changes(index.watermark())?;
        let Some(last) = rows.last() else { return Ok(false) };
        let upto = last.seq;
        let Some(fingerprint) = self.catalog().fingerprint()? else { return Ok(false) };
        let changes = rows.iter().map(|row| self.vector_change(row, &fingerprint)).collect::<Result<Vec<_>, _>>()?;
        index.apply(changes, upto).map_err(|error| self.vectors_failed(error))?;
        Ok(more)
    }

    /// The next changes, at most so many chunks of them, and whether there are more.
    fn next_changes(&self, after: Seq) -> Result<(Vec<ChangeRow>, bool), IndexError> {
        let mut rows = self.catalog().changes(after, CHANGES)?;
        let mut more = rows.len() == CHANGES;
        let mut chunks = 0;
        for place in 0..rows.len() {
            chunks += rows[place].chunks;
            if chunks > CHUNKS && place > 0 {
                rows.truncate(place);
                more = true;
                break;
            }
        }
        Ok((rows, more))
    }

    pub(super) fn lexical_change(&self, row: &ChangeRow) -> Result<LexicalChange, IndexError> {
        if row.kind == ChangeKind::Delete {
            return Ok(LexicalChange::Delete { version: row.version });
        }
        let mut head = None;
        let texts = self.catalog().texts(row)?;
        if let Some((path, title)) = self.catalog().named(row.version)? {
            let beginning: String = texts.iter().flat_map(|(_, text)| text.chars()).take(HEAD_CHARS).collect();
            head = Some(format!("{path}\n{}\n{beginning}", title.unwrap_or_default()));
        }
        let chunks = texts.into_iter().map(|(chunk, text)| LexicalChunk { chunk, text, head: head.take() }).collect();
        Ok(LexicalChange::Insert { version: row.version, chunks })
    }

    pub(super) fn vector_change(&self, row: &ChangeRow, fingerprint: &Fingerprint) -> Result<VectorChange, IndexError> {
        Ok(match row.kind {
            ChangeKind::Delete => VectorChange::Delete { version: row.version, chunks: row.chunk_ids() },
            ChangeKind::Insert => {
                VectorChange::Insert { version: row.version, points: self.catalog().points(row, fingerprint)? }
            }
        })
    }
}
