//! Compares one look at a watched folder with its catalog: what is gone is hidden at once, what moved keeps its vectors, what is
//! new or changed is hashed and becomes pending.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256 as Hasher};

use super::queue::Job;
use super::shared::Shared;
use crate::index::catalog::{Known, Observed};
use crate::index::{Collection, IndexError};
use crate::model::{CollectionId, DocumentId, DocumentState, Reason, Sha256};
use crate::watch::{self, Found, ReadError, Scan};

/// A folder that lost all of so many documents at once is taken for an unmounted disk, not for a deletion.
const SUSPICIOUS: usize = 10;

/// A new or changed file that is still to be hashed.
pub(super) struct Fresh {
    pub collection: CollectionId,
    pub root: PathBuf,
    pub file: Found,
}

/// Hides what is gone, moves what moved; gives what is to be hashed.
pub(super) fn reconcile(shared: &Shared, id: CollectionId, root: &Path, scan: Scan) -> Result<Vec<Fresh>, IndexError> {
    let collection = shared.store.by_id(id)?;
    let known = collection.catalog().known()?;
    let mut gone: HashMap<&str, &Known> = known.iter().map(|(path, known)| (path.as_str(), known)).collect();
    for file in &scan.files {
        gone.remove(file.path.as_str());
    }
    // Nothing is known about what lies in a folder that could not be read.
    gone.retain(|path, _| !scan.unreadable_folders.iter().any(|folder| below(path, folder)));
    let mut fresh: Vec<Found> = Vec::new();
    for file in scan.files {
        if file.settled && !same(known.get(&file.path), &file) {
            fresh.push(file);
        }
    }
    let moves = moved(shared, root, &mut gone, &known, &mut fresh);
    // A folder that was renamed inside the client has lost nothing.
    if known.len() >= SUSPICIOUS && gone.len() == known.len() {
        set_missing(shared, id, "all of its files are gone at once: is a disk not mounted? (`strongroom forget` accepts it)");
        return Ok(Vec::new());
    }
    clear_missing(shared, id)?;
    if !moves.is_empty() {
        let renamed = collection.catalog().rename(&moves)?;
        renamed.into_iter().for_each(|document| enqueue(shared, id, document, 0));
    }
    if !gone.is_empty() {
        let paths: Vec<String> = gone.into_keys().map(str::to_owned).collect();
        collection.catalog().remove(&paths)?;
    }
    shared.store.tasks().apply(id);
    Ok(fresh.into_iter().map(|file| Fresh { collection: id, root: root.to_owned(), file }).collect())
}

/// Hashes new files and registers them in one transaction. False if one of them changed meanwhile.
pub(super) fn take_in(shared: &Shared, id: CollectionId, batch: &[Fresh]) -> Result<bool, IndexError> {
    let collection = shared.store.by_id(id)?;
    let mut steady = true;
    let mut seen = Vec::with_capacity(batch.len());
    for fresh in batch {
        match observe(shared, &fresh.root, &fresh.file) {
            Look::Seen(observed) => seen.push(observed),
            Look::Changed => steady = false,
        }
    }
    let registered = collection.catalog().observe(&seen)?;
    for (observed, registered) in seen.iter().zip(registered) {
        if !registered.unchanged && observed.unreadable.is_none() {
            enqueue(shared, id, registered.id, observed.bytes);
        }
    }
    shared.store.tasks().apply(id);
    shared.store.settle();
    Ok(steady)
}

/// Puts a document into the queue.
pub(super) fn enqueue(shared: &Shared, collection: CollectionId, document: DocumentId, bytes: u64) {
    shared.queue.push(Job { collection, document }, bytes);
}

/// Puts all that a catalog has pending into the queue.
pub(super) fn enqueue_all(shared: &Shared, collection: &Collection) -> Result<(), IndexError> {
    for (document, bytes) in collection.catalog().queue()? {
        enqueue(shared, collection.id(), document, bytes);
    }
    Ok(())
}

/// Flags a collection whose folder is missing. It is kept and goes on answering.
pub(super) fn set_missing(shared: &Shared, id: CollectionId, why: &str) {
    let registry = shared.store.registry();
    match registry.by_id(id) {
        Ok(Some(entry)) if entry.missing.as_deref() != Some(why) => {
            tracing::warn!(collection = %id, why, "a watched folder is missing; what was indexed is kept");
            if let Err(error) = registry.set_missing(id, Some(why)) {
                tracing::error!(collection = %id, %error, "that a folder is missing could not be stored");
            }
        }
        Ok(_) => {}
        Err(error) => tracing::error!(collection = %id, %error, "the registry can't be read"),
    }
}

fn clear_missing(shared: &Shared, id: CollectionId) -> Result<(), IndexError> {
    let registry = shared.store.registry();
    if registry.by_id(id)?.is_some_and(|entry| entry.missing.is_some()) {
        tracing::info!(collection = %id, "a missing watched folder is back");
        registry.set_missing(id, None)?;
    }
    Ok(())
}

fn below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether the file is what the catalog saw last. What could not be opened is looked at again every time.
fn same(known: Option<&Known>, file: &Found) -> bool {
    let refused = |known: &Known| known.state == DocumentState::Unreadable && known.sha256 == Sha256([0; 32]);
    known.is_some_and(|known| {
        known.bytes == file.bytes
            && known.modified_ns == nanoseconds(file.modified)
            && known.inode == file.inode
            && !refused(known)
    })
}

/// Files that only have another path now: taken out of `gone` and `fresh`. Only files of a vanished one's size are hashed.
fn moved(
    shared: &Shared,
    root: &Path,
    gone: &mut HashMap<&str, &Known>,
    known: &HashMap<String, Known>,
    fresh: &mut Vec<Found>,
) -> Vec<(String, Observed)> {
    let mut by_size: HashMap<u64, Vec<String>> = HashMap::new();
    for (path, known) in gone.iter() {
        if known.sha256 != Sha256([0; 32]) {
            by_size.entry(known.bytes).or_default().push((*path).to_owned());
        }
    }
    if by_size.is_empty() {
        return Vec::new();
    }
    // A fixed order, so that several equal files move in the same way whenever this is tried.
    by_size.values_mut().for_each(|paths| paths.sort());
    let mut moves = Vec::new();
    fresh.retain(|file| {
        let Some(candidates) = by_size.get_mut(&file.bytes) else { return true };
        if known.contains_key(&file.path) || candidates.is_empty() {
            return true;
        }
        let Look::Seen(observed) = observe(shared, root, file) else { return true };
        let Some(place) =
            candidates.iter().position(|path| gone.get(path.as_str()).is_some_and(|k| k.sha256 == observed.sha256))
        else {
            return true;
        };
        let from = candidates.remove(place);
        gone.remove(from.as_str());
        moves.push((from, observed));
        false
    });
    moves
}

enum Look {
    Seen(Observed),
    Changed,
}

/// Opens and hashes a file. What can't be opened is unreadable, with the reason; what is gone or changed is looked at again.
fn observe(shared: &Shared, root: &Path, file: &Found) -> Look {
    let mut observed = Observed {
        path: file.path.clone(),
        sha256: Sha256([0; 32]),
        bytes: file.bytes,
        modified_ns: nanoseconds(file.modified),
        inode: file.inode,
        declared_type: None,
        unreadable: None,
    };
    let limit = shared.options.extract.max_file_bytes;
    if file.bytes > limit {
        // Not worth the time that hashing it would take.
        observed.unreadable = Some((Reason::TooLarge, format!("the file is larger than {limit} bytes")));
        return Look::Seen(observed);
    }
    let mut opened = match watch::read_file(Path::new(&file.path), root) {
        Ok(opened) => opened,
        Err(ReadError::Denied) => {
            observed.unreadable = Some((Reason::NoPermission, "this user may not read the file".into()));
            return Look::Seen(observed);
        }
        Err(ReadError::Io(error)) => {
            observed.unreadable = Some((Reason::Damaged, format!("the file can't be read: {}", error.kind())));
            return Look::Seen(observed);
        }
        Err(_) => return Look::Changed,
    };
    match hash(&mut opened) {
        Ok((sha256, bytes)) => {
            let now = opened.metadata().and_then(|metadata| metadata.modified());
            if bytes != file.bytes || now.ok() != Some(file.modified) {
                return Look::Changed;
            }
            observed.sha256 = sha256;
        }
        Err(error) => observed.unreadable = Some((Reason::Damaged, format!("the file can't be read: {}", error.kind()))),
    }
    Look::Seen(observed)
}

fn hash(file: &mut File) -> std::io::Result<(Sha256, u64)> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((Sha256(hasher.finalize().into()), bytes));
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
}

fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanoseconds| -nanoseconds),
    }
}
