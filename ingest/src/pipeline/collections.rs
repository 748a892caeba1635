//! The handle's operations on collections: make, list, watch, rebuild, retry, forget, destroy.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::shared::Ask;
use super::{Destroyed, Pipeline, PipelineError, housekeeping, reconcile};
use crate::index::records::{CollectionRecord, Coverage, DocumentPage};
use crate::index::{Collection, IndexError};
use crate::model::{CollectionId, Reason, Sha256};

/// Reasons that may have passed, or that better engines may know nothing of.
pub(super) const AGAIN: [Reason; 6] =
    [Reason::Crashed, Reason::Timeout, Reason::Unsupported, Reason::Scanned, Reason::NoPermission, Reason::Damaged];
/// A part of a file this long is looked for after a collection was destroyed.
const SAMPLE_BYTES: usize = 48;

impl Pipeline {
    /// Makes an empty collection that is filled over REST.
    pub fn create_collection(&self, name: &str) -> Result<CollectionRecord, PipelineError> {
        check_name(name)?;
        let entry = self.shared.store.create(name, name, None)?;
        Ok(self.shared.store.record(entry)?)
    }

    /// Every collection, by name.
    pub fn collections(&self) -> Result<Vec<CollectionRecord>, PipelineError> {
        Ok(self.shared.store.records()?)
    }

    /// One collection.
    pub fn collection(&self, name: &str) -> Result<CollectionRecord, PipelineError> {
        let entry = self.shared.store.registry().by_name(name)?.ok_or(PipelineError::NoCollection)?;
        Ok(self.shared.store.record(entry)?)
    }

    /// The id of the collection of that name, if there is one.
    pub fn collection_id(&self, name: &str) -> Result<Option<CollectionId>, PipelineError> {
        Ok(self.shared.store.registry().by_name(name)?.map(|entry| entry.id))
    }

    /// Destroys a collection and everything derived from it; detaches its watched folder for good.
    pub fn destroy(&self, name: &str) -> Result<Destroyed, PipelineError> {
        let entry = self.shared.store.registry().by_name(name)?.ok_or(PipelineError::NoCollection)?;
        let record = self.shared.store.record(entry)?;
        let (documents, samples) = match self.shared.store.by_id(record.id) {
            Ok(collection) => (list(&collection)?, samples(&collection)?),
            // A damaged one is destroyed all the same; it can't say what it had.
            Err(IndexError::Damaged(_)) => Default::default(),
            Err(other) => return Err(other.into()),
        };
        self.shared.drop_collection(record.id);
        let removed = self.shared.store.destroy(record.id, record.watched.as_deref())?;
        // A document that was being read just now finds no collection to commit to; nothing of it may wait any more.
        for _ in 0..100 {
            if !self.shared.drop_collection(record.id) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Some(folder) = &record.watched {
            self.shared.bad_names.lock().remove(folder);
        }
        let mut needles = samples;
        needles.push(record.id.to_string().into_bytes());
        needles.push(record.id.0.to_be_bytes().to_vec());
        let clean = !holds_any(self.shared.store.data(), &needles)?;
        let left_in_place = record.watched.clone();
        Ok(Destroyed { record, documents, files_removed: removed.files, bytes_removed: removed.bytes, clean, left_in_place })
    }

    /// Watches `path` as the collection `name` from now on, over restarts too (also takes a detached folder back).
    pub fn watch(&self, name: &str, path: PathBuf) -> Result<CollectionRecord, PipelineError> {
        check_name(name)?;
        if !path.is_dir() {
            return Err(PipelineError::Unavailable("the path is not a folder that can be read".into()));
        }
        let path = fs::canonicalize(path)?;
        let registry = self.shared.store.registry();
        match registry.by_name(name)? {
            Some(entry) if entry.watched.is_none() && self.shared.store.record(entry.clone())?.counts != Default::default() => {
                return Err(PipelineError::Exists);
            }
            Some(entry) => registry.set_watched(entry.id, Some(&path))?,
            None => {
                registry.attach(&path)?;
                self.shared.store.create(name, name, Some(&path))?;
            }
        }
        // The sweeper ends only with the pipeline.
        let _ = self.shared.asks.send(Ask::Everything);
        self.collection(name)
    }

    /// Gives a missing watched folder up: its documents are removed as if they had been deleted. Where the folder itself is gone
    /// the collection goes too.
    pub fn forget(&self, name: &str) -> Result<(), PipelineError> {
        let entry = self.shared.store.registry().by_name(name)?.ok_or(PipelineError::NoCollection)?;
        let folder = entry.watched.clone().ok_or(PipelineError::NotWatched)?;
        if entry.missing.is_none() {
            return Err(PipelineError::Unavailable("the watched folder is not missing: delete files there instead".into()));
        }
        if !folder.is_dir() {
            self.shared.drop_collection(entry.id);
            self.shared.store.destroy(entry.id, None)?;
            return Ok(());
        }
        let collection = self.shared.store.by_id(entry.id)?;
        let paths: Vec<String> = collection.catalog().known()?.into_keys().collect();
        collection.catalog().remove(&paths)?;
        self.shared.store.registry().set_missing(entry.id, None)?;
        self.shared.store.tasks().apply(entry.id);
        self.shared.look(Some(&folder));
        Ok(())
    }

    /// Tries documents again that failed by our fault, or could not be read for a reason that may have passed. How many.
    pub fn retry(&self, name: &str) -> Result<u64, PipelineError> {
        let collection = self.shared.store.by_name(name)?;
        let ids = collection.catalog().retry(&AGAIN, Some(&self.shared.extractor.engines()))?;
        ids.iter().for_each(|id| reconcile::enqueue(&self.shared, collection.id(), *id, 0));
        Ok(ids.len() as u64)
    }

    /// What of a collection was read, in sums.
    pub fn coverage(&self, name: &str) -> Result<Coverage, PipelineError> {
        Ok(self.shared.store.by_name(name)?.catalog().coverage()?)
    }

    /// Documents and members that were not read, or not all of them, in order of path, after the path `after`.
    pub fn unread(&self, name: &str, after: Option<&str>, limit: usize) -> Result<DocumentPage, PipelineError> {
        Ok(self.shared.store.by_name(name)?.catalog().unread(after, limit)?)
    }

    /// Keeps a password for the document at a path, or for all of a collection. What needed one is tried again: how many.
    pub fn add_password(&self, name: &str, path: Option<&str>, password: &str) -> Result<u64, PipelineError> {
        let collection = self.shared.store.by_name(name)?;
        collection.catalog().add_password(path, password)?;
        let ids = collection.catalog().retry(&[Reason::Password], None)?;
        ids.iter().for_each(|id| reconcile::enqueue(&self.shared, collection.id(), *id, 0));
        Ok(ids.len() as u64)
    }

    /// Forgets the passwords for a path, or all of a collection's. How many.
    pub fn remove_passwords(&self, name: &str, path: Option<&str>) -> Result<u64, PipelineError> {
        Ok(self.shared.store.by_name(name)?.catalog().remove_passwords(path)?)
    }

    /// Builds both indexes of a collection anew beside the old ones and flips to them; waits until done. With the model that is
    /// active now, so after a change of model this is also the swap: until the flip the old vectors answer.
    pub fn rebuild(&self, name: &str) -> Result<(), PipelineError> {
        let collection = self.shared.store.by_name(name)?;
        if let Some(active) = self.shared.embedders.active() {
            let held = collection.catalog().fingerprint()?;
            if held.as_ref() != Some(active.fingerprint()) || collection.catalog().has_unembedded()? {
                housekeeping::revector(&self.shared, &collection, &active)?;
            }
        }
        housekeeping::rebuild_indexes(&self.shared, &collection)
    }
}

/// `[a-z0-9][a-z0-9-]{0,62}`
fn check_name(name: &str) -> Result<(), PipelineError> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    let rest = bytes.iter().all(|byte| good(*byte) || *byte == b'-');
    if (1..=63).contains(&bytes.len()) && good(bytes[0]) && rest { Ok(()) } else { Err(PipelineError::BadName) }
}

fn list(collection: &Collection) -> Result<Vec<(String, Sha256)>, PipelineError> {
    let known = collection.catalog().known()?;
    let mut documents: Vec<(String, Sha256)> = known.into_iter().map(|(path, known)| (path, known.sha256)).collect();
    documents.sort();
    Ok(documents)
}

/// Some pieces of the collection's text, to be looked for once it should be gone.
fn samples(collection: &Collection) -> Result<Vec<Vec<u8>>, PipelineError> {
    let mut samples = Vec::new();
    for row in collection.catalog().standing(collection.catalog().last_change()?, crate::model::VersionId(0), 8)? {
        if let Some((_, text)) = collection.catalog().texts(&row)?.into_iter().nth(row.chunks as usize / 2) {
            let bytes = text.trim().as_bytes();
            if bytes.len() >= SAMPLE_BYTES {
                samples.push(bytes[..SAMPLE_BYTES].to_vec());
            }
        }
    }
    Ok(samples)
}

/// Whether a file of the data folder holds any of the given bytes. Other collections are walls of their own and are not entered.
fn holds_any(data: &Path, needles: &[Vec<u8>]) -> Result<bool, PipelineError> {
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let name = entry.file_name();
            if needles.iter().any(|needle| contains(name.as_encoded_bytes(), needle)) {
                return Ok(true);
            }
            if kind.is_dir() {
                if entry.path() != data.join("collections") {
                    folders.push(entry.path());
                }
            } else if kind.is_file() {
                let bytes = fs::read(entry.path())?;
                if needles.iter().any(|needle| contains(&bytes, needle)) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(fs::read_dir(data.join("collections"))?
        .flatten()
        .any(|entry| needles.iter().any(|needle| contains(entry.file_name().as_encoded_bytes(), needle))))
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
