//! The full-text index of one collection generation: Tantivy, derived from the catalog and rebuilt from it at will.

mod analyze;
mod best;
mod failure;
mod phrase;
mod prefix;
mod query;
mod schema;
mod score;
mod snapshot;
#[cfg(test)]
mod tests;
mod write;

pub use query::split_phrases;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use tantivy::directory::MmapDirectory;
use tantivy::schema::Schema;
use tantivy::{Index, IndexReader, IndexSettings, ReloadPolicy, TantivyError};

use self::failure::{damaged, failed, guard};
use self::schema::Fields;
use self::snapshot::Snapshot;
use self::write::Writing;
use crate::model::{ChunkId, Scope, Seq, VersionId};

/// What went wrong in the full-text index.
#[derive(Debug, thiserror::Error)]
pub enum LexicalError {
    /// Its files cannot be used; the index has to be rebuilt.
    #[error("the full-text index is damaged: {0}")]
    Damaged(String),
    /// Anything else.
    #[error("the full-text index failed: {0}")]
    Failed(String),
}

/// One chunk to index.
#[derive(Clone, Debug)]
pub struct LexicalChunk {
    /// Its id.
    pub chunk: ChunkId,
    /// Its text.
    pub text: String,
    /// On the first chunk of a version only: file name (with path), title and the first 400 characters of the document.
    pub head: Option<String>,
}

/// One change, to be applied in order. Both are idempotent.
#[derive(Clone, Debug)]
pub enum LexicalChange {
    /// All chunks of a version.
    Insert {
        /// The version.
        version: VersionId,
        /// Its chunks, in order.
        chunks: Vec<LexicalChunk>,
    },
    /// Take a version away.
    Delete {
        /// The version.
        version: VersionId,
    },
}

/// A question to the full-text index.
#[derive(Clone, Debug)]
pub struct LexicalQuery<'a> {
    /// As the user typed it; `"quoted phrases"` must match as they are.
    pub text: &'a str,
    /// What it may see.
    pub scope: &'a Scope,
    /// How many passages at most.
    pub limit: usize,
}

/// One chunk found.
#[derive(Clone, Copy, Debug)]
pub struct PassageScore {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its version.
    pub version: VersionId,
    /// BM25, above 0.
    pub score: f32,
    /// Which share of the query it holds, each word weighed by how rare it is among passages: 0 to 1.
    pub matched: f32,
    /// The same as `score`, but a word counts at least half of what it counts in the whole document: the passage that
    /// answers seldom repeats the name of what it is about.
    pub missing_document: f32,
}

/// How well a whole document matches.
#[derive(Clone, Copy, Debug, Default)]
pub struct DocumentScore {
    /// BM25 of the whole document's text.
    pub body: f32,
    /// BM25 of its file name, title and first 400 characters.
    pub head: f32,
    /// Which share of the query its text holds, each word weighed by how rare it is among documents: 0 to 1.
    pub matched: f32,
}

/// What the full-text index found.
#[derive(Clone, Debug, Default)]
pub struct LexicalHits {
    /// Best first, ties by chunk id.
    pub passages: Vec<PassageScore>,
    /// Every document in scope that matches at all, in its text or its head; where phrases in quotation marks were asked
    /// for, those only that have a passage with all of them.
    pub documents: HashMap<VersionId, DocumentScore>,
    /// How many documents are in scope.
    pub documents_in_scope: usize,
    /// How many passages are in scope.
    pub passages_in_scope: usize,
}

/// The full-text index in one folder. Searches may run on any thread; `apply`, `collect` and `rest` are called by one owner thread.
pub struct LexicalIndex {
    index: Index,
    reader: IndexReader,
    fields: Fields,
    snapshot: RwLock<Arc<Snapshot>>,
    watermark: AtomicU64,
    writing: Mutex<Writing>,
}

impl LexicalIndex {
    /// Opens the index in `dir`, or makes an empty one where there is none.
    ///
    /// It costs some file handles and about 16 bytes a chunk; threads and buffers come with the first [`apply`](Self::apply).
    /// Files that are missing, cut short or of another format are [`LexicalError::Damaged`].
    pub fn open(dir: &Path) -> Result<Self, LexicalError> {
        fs::create_dir_all(dir).map_err(|error| failed(&error.kind().to_string()))?;
        let (schema, fields) = schema::schema();
        let index = guard(|| open_or_create(dir, schema))??;
        let watermark = guard(|| index.load_metas())?.payload;
        let watermark = match watermark.as_deref().map(str::parse::<u64>) {
            None => 0,
            Some(Ok(watermark)) => watermark,
            Some(Err(_)) => return Err(damaged("its watermark is not a number")),
        };
        let (reader, snapshot) = guard(|| {
            let builder = index.reader_builder().reload_policy(ReloadPolicy::Manual).doc_store_cache_num_blocks(0);
            let reader: IndexReader = builder.try_into()?;
            let snapshot = Snapshot::build(reader.searcher(), None)?;
            // Opening every field now tells at once whether its files are whole.
            for segment in snapshot.searcher.segment_readers() {
                for field in [fields.version, fields.stem, fields.exact, fields.head] {
                    segment.inverted_index(field)?;
                }
            }
            Ok((reader, snapshot))
        })?;
        Ok(Self {
            index,
            reader,
            fields,
            snapshot: RwLock::new(Arc::new(snapshot)),
            watermark: AtomicU64::new(watermark),
            writing: Mutex::new(Writing::default()),
        })
    }

    /// The last change that is durably in it.
    pub fn watermark(&self) -> Seq {
        Seq(self.watermark.load(Ordering::Acquire))
    }

    /// Applies `changes` in order, makes them durable together with the watermark `upto`, and lets searches see them.
    ///
    /// After an error nothing of it is visible, and it may be tried again.
    pub fn apply(&self, changes: Vec<LexicalChange>, upto: Seq) -> Result<(), LexicalError> {
        let mut writing = self.writing.lock();
        writing.commit(&self.index, &self.fields, changes, upto)?;
        self.reload()?;
        self.watermark.store(upto.0, Ordering::Release);
        Ok(())
    }

    /// Finds passages and scores documents.
    pub fn search(&self, query: &LexicalQuery<'_>) -> Result<LexicalHits, LexicalError> {
        let snapshot = self.snapshot();
        let parsed = query::parse(query.text);
        guard(|| score::search(&snapshot, &self.fields, &parsed, query.scope, query.limit))
    }

    /// The chunks it holds, for tests and checks: every chunk id with its version, sorted.
    pub fn contents(&self) -> Result<Vec<(ChunkId, VersionId)>, LexicalError> {
        Ok(self.snapshot().contents())
    }

    /// Rewrites whatever still holds deleted text, and removes the files that held it. Nothing of a version deleted before can
    /// be found in the folder afterwards (unless a search that began earlier still runs on a system that keeps open files).
    pub fn collect(&self) -> Result<(), LexicalError> {
        let mut writing = self.writing.lock();
        writing.finish()?;
        writing.expunge(&self.index)?;
        self.reload()?;
        write::remove_unused_files(&self.index)
    }

    /// Gives back what writing needs (threads, buffers) once nothing more is to be written for a while.
    ///
    /// Waits for merges under way, and removes the files that they replaced.
    pub fn rest(&self) -> Result<(), LexicalError> {
        let mut writing = self.writing.lock();
        if !writing.finish()? {
            return Ok(());
        }
        self.reload()?;
        write::remove_unused_files(&self.index)
    }

    /// Reads every file and compares it with its checksum: for `doctor` and for the doubtful, it takes as long as reading.
    pub fn verify(&self) -> Result<(), LexicalError> {
        match guard(|| self.index.validate_checksum())?.is_empty() {
            true => Ok(()),
            false => Err(damaged("a file does not match its checksum")),
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.read().clone()
    }

    /// Lets searches see what was committed last. Searches that run keep what they began with.
    fn reload(&self) -> Result<(), LexicalError> {
        let before = self.snapshot();
        let after = guard(|| {
            self.reader.reload()?;
            Snapshot::build(self.reader.searcher(), Some(&before))
        })?;
        *self.snapshot.write() = Arc::new(after);
        Ok(())
    }
}

impl Drop for LexicalIndex {
    /// Waits for merges under way, so that nothing is written to the folder any more once it is closed.
    fn drop(&mut self) {
        if let Err(error) = self.writing.get_mut().finish() {
            tracing::warn!(%error, "the full-text index was not closed properly");
        }
    }
}

fn open_or_create(dir: &Path, schema: Schema) -> tantivy::Result<Result<Index, LexicalError>> {
    let directory = MmapDirectory::open(dir)?;
    let mut index = if Index::exists(&directory)? {
        Index::open(directory)?
    } else if has_segments(dir)? {
        return Ok(Err(damaged("it has files, but not the one that lists them")));
    } else {
        // Nothing is stored, so there is nothing to compress, nor a thread needed for it.
        let settings = IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() };
        Index::create(directory, schema.clone(), settings)?
    };
    if index.schema() != schema {
        return Ok(Err(damaged("it was made with other fields")));
    }
    index.set_tokenizers(schema::tokenizers());
    Ok(Ok(index))
}

/// Whether `dir` holds files of an index. Those whose names begin with a point are locks and lists, and may be left from a
/// beginning that was interrupted.
fn has_segments(dir: &Path) -> Result<bool, TantivyError> {
    for entry in fs::read_dir(dir)? {
        if !entry?.file_name().as_encoded_bytes().starts_with(b".") {
            return Ok(true);
        }
    }
    Ok(false)
}
