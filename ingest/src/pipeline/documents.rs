//! The handle's operations on documents: put, wait, read, list, delete.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use super::queue::Job;
use super::{Pipeline, PipelineError, Put, Upload, housekeeping, reconcile};
use crate::index::catalog::Observed;
use crate::index::records::{DocumentPage, DocumentRecord};
use crate::index::registry::Entry;
use crate::model::{DocumentId, DocumentState};
use crate::watch;

/// Longest path of a document, in bytes.
const LONGEST_PATH: usize = 4096;
/// Longest part of such a path, in bytes.
const LONGEST_NAME: usize = 255;

impl Pipeline {
    /// Begins an upload into a collection.
    ///
    /// # Errors
    /// Everything that can be refused before the first byte: no collection, watched, bad path, busy, disk full.
    pub fn upload(&self, collection: &str, path: &str) -> Result<Upload, PipelineError> {
        let entry = self.unwatched(collection)?;
        check_path(path)?;
        if self.shared.load().0 >= self.shared.options.max_pending {
            return Err(PipelineError::Busy);
        }
        if housekeeping::free_bytes(&self.shared) < self.shared.options.reserve_bytes {
            return Err(PipelineError::DiskFull);
        }
        let folder = self.shared.store.data().join("uploads");
        Upload::begin(folder, entry.id, path, self.shared.options.extract.max_file_bytes)
    }

    /// Makes the uploaded bytes durable and the document pending.
    pub fn put(&self, upload: Upload, media_type: Option<&str>) -> Result<Put, PipelineError> {
        let collection = self.shared.store.by_id(upload.collection)?;
        let sha256 = upload.sha256();
        let before = collection.catalog().document(&upload.path)?;
        if let Some(document) = before
            && document.sha256 == sha256
            && document.state != DocumentState::Failed
        {
            return Ok(Put { document, created: false, unchanged: true });
        }
        let observed = Observed {
            path: upload.path.clone(),
            sha256,
            bytes: upload.bytes,
            modified_ns: i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX),
            inode: 0,
            declared_type: media_type.map(str::to_owned),
            unreadable: None,
        };
        let registered = {
            let _kept = self.shared.originals.read();
            upload.keep(&collection.originals(), sha256)?;
            collection.catalog().observe(std::slice::from_ref(&observed))?
        };
        let Some(registered) = registered.first() else {
            return Err(PipelineError::Failed("the document was not registered".into()));
        };
        if registered.unchanged {
            // Failed before with the same bytes: once more, and whatever else failed with it.
            collection.catalog().retry(&[], None)?;
            reconcile::enqueue_all(&self.shared, &collection)?;
        }
        reconcile::enqueue(&self.shared, collection.id(), registered.id, upload.bytes);
        self.shared.store.tasks().apply(collection.id());
        let document = collection.catalog().document_by_id(registered.id)?.ok_or(PipelineError::NoDocument)?;
        Ok(Put { document, created: registered.created, unchanged: false })
    }

    /// Waits until the document is no longer pending, at most `timeout`; its record as it then stands.
    pub fn wait(&self, collection: &str, document: DocumentId, timeout: Duration) -> Result<DocumentRecord, PipelineError> {
        let begun = Instant::now();
        let id = self.entry(collection)?.id;
        self.shared.queue.hurry(Job { collection: id, document });
        self.shared.recordings.hurry(Job { collection: id, document });
        loop {
            let seen = self.shared.store.settled();
            let record = self.shared.store.by_id(id)?.catalog().document_by_id(document)?.ok_or(PipelineError::NoDocument)?;
            let left = timeout.saturating_sub(begun.elapsed());
            if record.state != DocumentState::Pending || left.is_zero() || self.shared.ending() {
                return Ok(record);
            }
            self.shared.store.wait_settled(seen, left.min(Duration::from_secs(1)));
        }
    }

    /// One document by its path.
    pub fn document(&self, collection: &str, path: &str) -> Result<DocumentRecord, PipelineError> {
        self.shared.store.by_name(collection)?.catalog().document(path)?.ok_or(PipelineError::NoDocument)
    }

    /// Documents in order of path, after the path `after`; `state` none means all, `Indexed` includes partial ones.
    pub fn documents(
        &self,
        collection: &str,
        state: Option<DocumentState>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<DocumentPage, PipelineError> {
        Ok(self.shared.store.by_name(collection)?.catalog().documents(state, after, limit)?)
    }

    /// The text of the version that answers searches.
    ///
    /// # Errors
    /// [`PipelineError::Unavailable`] if none does: pending, or unreadable.
    pub fn text(&self, collection: &str, path: &str) -> Result<String, PipelineError> {
        let collection = self.shared.store.by_name(collection)?;
        let document = collection.catalog().document(path)?.ok_or(PipelineError::NoDocument)?;
        let Some(version) = document.version else {
            let state = document.state.as_str();
            return Err(PipelineError::Unavailable(format!("the document has no text to give: it is {state}")));
        };
        Ok(collection.catalog().text(version)?)
    }

    /// Tokens of a text by the vocabulary that chunks are measured with, whichever model is loaded.
    pub fn count_tokens(&self, text: &str) -> usize {
        self.shared.chunker.tokens(text)
    }

    /// The bytes as they came, opened for reading.
    pub fn original(&self, collection: &str, path: &str) -> Result<(File, DocumentRecord), PipelineError> {
        let entry = self.entry(collection)?;
        let collection = self.shared.store.by_id(entry.id)?;
        let document = collection.catalog().document(path)?.ok_or(PipelineError::NoDocument)?;
        if document.is_member {
            return Err(PipelineError::Member);
        }
        let file = match &entry.watched {
            Some(root) => watch::read_file(Path::new(path), root)
                .map_err(|error| PipelineError::Unavailable(format!("the original can't be read: {error}")))?,
            None => File::open(collection.originals().join(document.sha256.to_string()))?,
        };
        Ok((file, document))
    }

    /// Hides a document at once; with `purge` also waits until its text is gone from every file.
    pub fn delete(&self, collection: &str, path: &str, purge: bool) -> Result<(), PipelineError> {
        let entry = self.unwatched(collection)?;
        let collection = self.shared.store.by_id(entry.id)?;
        if collection.catalog().document(path)?.is_some_and(|document| document.is_member) {
            return Err(PipelineError::Member);
        }
        if collection.catalog().remove(&[path.to_owned()])? == 0 {
            return Err(PipelineError::NoDocument);
        }
        self.shared.store.tasks().apply(entry.id);
        self.shared.store.settle();
        if purge {
            housekeeping::purge(&self.shared, &collection)?;
        }
        Ok(())
    }

    fn entry(&self, collection: &str) -> Result<Entry, PipelineError> {
        self.shared.store.registry().by_name(collection)?.ok_or(PipelineError::NoCollection)
    }

    fn unwatched(&self, collection: &str) -> Result<Entry, PipelineError> {
        let entry = self.entry(collection)?;
        if entry.watched.is_some() { Err(PipelineError::Watched) } else { Ok(entry) }
    }
}

/// A document's path: relative, `/` between its parts, nothing in it that a file system or a log could take for something else.
fn check_path(path: &str) -> Result<(), PipelineError> {
    let problem = if path.is_empty() {
        "is empty"
    } else if path.len() > LONGEST_PATH {
        "is longer than 4096 bytes"
    } else if path.starts_with('/') {
        "begins with a slash"
    } else if path.contains('\\') {
        "holds a backslash"
    } else if path.chars().any(char::is_control) {
        "holds a control character"
    } else if path.contains("!/") {
        "holds `!/`, which names what is inside a file"
    } else if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        "has an empty part, `.` or `..`"
    } else if path.split('/').any(|part| part.len() > LONGEST_NAME) {
        "has a part longer than 255 bytes"
    } else {
        return Ok(());
    };
    Err(PipelineError::BadPath(problem))
}
