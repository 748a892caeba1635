//! What goes on beside the flow: holding it when the disk runs full or somebody says so, making vectors that are missing,
//! purging what was deleted.

use std::collections::HashSet;
use std::fs;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::PipelineError;
use super::shared::Shared;
use super::worker;
use crate::embed::Embedder;
use crate::index::lanes::Task;
use crate::index::{Collection, IndexError};
use crate::model::ChunkId;

/// Chunks embedded and stored in one step while vectors are made for chunks that are in the catalog already.
const STEP: usize = 256;
/// How long both indexes may take to catch up before a purge gives up until the next time.
const CATCH_UP: Duration = Duration::from_secs(120);

/// Runs until the pipeline ends.
pub(super) fn run(shared: &Shared) {
    let mut next_purge = Instant::now() + shared.options.purge_every;
    let mut filled_for = None;
    while !shared.ending() {
        shared.hold(why_held(shared).as_deref());
        let active = shared.embedders.active().map(|embedder| embedder.fingerprint().clone());
        if active.is_some() && active != filled_for {
            fill_in(shared);
            filled_for = active;
        }
        if Instant::now() >= next_purge {
            purge_all(shared);
            next_purge = Instant::now() + shared.options.purge_every;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Why nothing may be ingested now.
fn why_held(shared: &Shared) -> Option<String> {
    if shared.paused.load(Ordering::Relaxed) {
        return Some("paused by request".into());
    }
    if shared.embedders.active().is_none() && shared.embedders.why().is_none() {
        return Some("waiting for the embedding model".into());
    }
    let free = free_bytes(shared);
    if free < shared.options.reserve_bytes {
        let mib = |bytes: u64| bytes >> 20;
        return Some(format!(
            "the disk of the data folder has {} MiB free, less than the reserve of {} MiB",
            mib(free),
            mib(shared.options.reserve_bytes)
        ));
    }
    None
}

/// Free bytes on the data folder's disk; all there could be if that can't be asked.
pub(super) fn free_bytes(shared: &Shared) -> u64 {
    match rustix::fs::statvfs(shared.store.data()) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(_) => u64::MAX,
    }
}

/// Makes the vectors that collections lack because no model was loaded when their documents came.
fn fill_in(shared: &Shared) {
    let Ok(entries) = shared.store.registry().all() else { return };
    for entry in entries {
        let filled = shared.store.by_id(entry.id).map_err(PipelineError::from).and_then(|collection| {
            if !collection.catalog().has_unembedded()? {
                return Ok(());
            }
            let embedder = match collection.catalog().fingerprint()? {
                Some(fingerprint) => shared.embedders.get(&fingerprint),
                None => shared.embedders.active(),
            };
            let Some(embedder) = embedder else { return Ok(()) };
            tracing::info!(collection = %entry.id, "making vectors for chunks that came while no model was loaded");
            revector(shared, &collection, &embedder)
        });
        if let Err(error) = filled {
            tracing::error!(collection = %entry.id, %error, "missing vectors could not be made");
        }
    }
}

/// Sees to it that every chunk has a vector of `embedder`'s model, then flips the collection to an index of them.
pub(super) fn revector(shared: &Shared, collection: &Collection, embedder: &Embedder) -> Result<(), PipelineError> {
    loop {
        let mut after = ChunkId(0);
        loop {
            if shared.ending() {
                return Err(PipelineError::Unavailable("the server is stopping; start again and repeat".into()));
            }
            let chunks = collection.catalog().unembedded(embedder.fingerprint(), after, STEP)?;
            let Some(last) = chunks.last() else { break };
            after = last.chunk;
            let texts = chunks.iter().map(|chunk| (chunk.hash, chunk.text.trim()));
            let vectors = worker::embed_new(collection, embedder, texts).map_err(|e| PipelineError::Failed(e.to_string()))?;
            collection.catalog().add_vectors(embedder.fingerprint(), &vectors)?;
        }
        let (done, answer) = bounded(1);
        let fingerprint = embedder.fingerprint().clone();
        shared.store.tasks().vectors(Task::Swap(collection.id(), fingerprint, embedder.dimension(), done));
        match answer.recv().unwrap_or(Err(IndexError::NoCollection)) {
            // Documents came in between: embed those too.
            Err(IndexError::NoVectors(_)) => {}
            other => return Ok(other?),
        }
    }
}

/// Builds both indexes of a collection anew and waits.
pub(super) fn rebuild_indexes(shared: &Shared, collection: &Collection) -> Result<(), PipelineError> {
    let (done, answer) = bounded(2);
    shared.store.tasks().text(Task::Rebuild(collection.id(), Some(done.clone())));
    shared.store.tasks().vectors(Task::Rebuild(collection.id(), Some(done)));
    for _ in 0..2 {
        answer.recv().unwrap_or(Err(IndexError::NoCollection))?;
    }
    Ok(())
}

fn purge_all(shared: &Shared) {
    let Ok(entries) = shared.store.registry().all() else { return };
    for entry in entries {
        let purged = shared
            .store
            .by_id(entry.id)
            .map_err(PipelineError::from)
            .and_then(|collection| if collection.catalog().has_hidden()? { purge(shared, &collection) } else { Ok(()) });
        if let Err(error) = purged {
            tracing::warn!(collection = %entry.id, %error, "a collection could not be purged; it is tried again");
        }
    }
}

/// Takes all that is hidden out of every file: catalog rows overwritten, originals removed, both indexes built anew, logs cut.
pub(super) fn purge(shared: &Shared, collection: &Collection) -> Result<(), PipelineError> {
    let wanted = collection.catalog().last_change()?;
    let begun = Instant::now();
    while collection.applied() < wanted {
        if begun.elapsed() > CATCH_UP || shared.ending() {
            return Err(PipelineError::Unavailable("the indexes have not caught up yet; the purge is tried again".into()));
        }
        let seen = shared.store.settled();
        shared.store.tasks().apply(collection.id());
        shared.store.wait_settled(seen, Duration::from_millis(200));
    }
    let purged = collection.catalog().purge(wanted)?;
    remove_originals(shared, collection)?;
    rebuild_indexes(shared, collection)?;
    for _ in 0..50 {
        if collection.catalog().truncate_log()? {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    tracing::info!(collection = %collection.id(), versions = purged.versions, chunks = purged.chunks, "purged what was deleted");
    Ok(())
}

/// Removes bytes that came over REST and that no document has any more.
fn remove_originals(shared: &Shared, collection: &Collection) -> Result<(), PipelineError> {
    let _alone = shared.originals.write();
    let needed: HashSet<String> = collection.catalog().known()?.values().map(|known| known.sha256.to_string()).collect();
    for entry in fs::read_dir(collection.originals())? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(|name| needed.contains(name)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
