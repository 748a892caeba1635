//! An open collection: its catalog, and both indexes, opened when first asked. Searches run on any thread.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::IndexError;
use super::catalog::Catalog;
use super::lanes::{Task, Tasks};
use super::lexical::{LexicalError, LexicalHits, LexicalIndex, LexicalQuery};
use super::records::{Counts, DocumentFilter, DocumentRef, LiveChunk};
use super::vector::edge::{EdgeIndex, EdgeOptions};
use super::vector::{VectorError, VectorHit, VectorStore};
use crate::model::{ChunkId, CollectionId, Fingerprint, Scope, Seq, TextHash, VersionId};

pub(super) const CATALOG: &str = "catalog.db";
pub(super) const TEXT_GENERATION: &str = "text_generation";

/// Why an index can't be used that knows of changes which the catalog has not.
const AHEAD: &str = "it is ahead of the catalog";

/// An open collection.
pub struct Collection {
    id: CollectionId,
    name: String,
    folder: PathBuf,
    catalog: Catalog,
    tasks: Arc<Tasks>,
    pub(super) text: RwLock<Slot<LexicalIndex>>,
    pub(super) vectors: RwLock<Slot<dyn VectorStore>>,
    closed: AtomicBool,
}

/// An index that is opened when first asked.
pub(super) enum Slot<T: ?Sized> {
    /// Not asked yet.
    Closed,
    /// Ready.
    Open(Arc<T>),
    /// Its files can't be used; a rebuild is on its way.
    Damaged,
}

impl<T: ?Sized> Slot<T> {
    pub(super) fn get(&self) -> Option<Arc<T>> {
        match self {
            Self::Open(index) => Some(index.clone()),
            Self::Closed | Self::Damaged => None,
        }
    }
}

impl Collection {
    pub(super) fn open(id: CollectionId, name: String, folder: PathBuf, tasks: Arc<Tasks>) -> Result<Self, IndexError> {
        let file = folder.join(CATALOG);
        // It was made with the collection: an empty one in its place would pass for a collection without documents.
        if fs::metadata(&file).map_or(0, |file| file.len()) == 0 {
            return Err(IndexError::Damaged("its catalog is gone".into()));
        }
        let catalog = Catalog::open(&file)?;
        let collection = Self {
            id,
            name,
            catalog,
            tasks,
            text: RwLock::new(Slot::Closed),
            vectors: RwLock::new(Slot::Closed),
            closed: AtomicBool::new(false),
            folder,
        };
        collection.remove_old_generations()?;
        Ok(collection)
    }

    /// Its id.
    pub fn id(&self) -> CollectionId {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its catalog.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Where bytes that came over REST are kept.
    pub fn originals(&self) -> PathBuf {
        self.folder.join("originals")
    }

    /// Documents by state.
    pub fn counts(&self) -> Result<Counts, IndexError> {
        self.catalog.counts()
    }

    /// The model that the collection can be searched with by vectors, all of it; none if there are no vectors yet, or some chunks lack one.
    pub fn fingerprint(&self) -> Result<Option<Fingerprint>, IndexError> {
        if self.catalog.has_unembedded()? {
            return Ok(None);
        }
        self.catalog.fingerprint()
    }

    /// What a search with this filter may see, as of now.
    pub fn scope(&self, filter: &DocumentFilter) -> Result<Scope, IndexError> {
        self.catalog.scope(filter, self.applied())
    }

    /// Asks the full-text index.
    pub fn lexical(&self, query: &LexicalQuery<'_>) -> Result<LexicalHits, IndexError> {
        let index = self.text_index()?;
        index.search(query).map_err(|error| self.text_failed(error))
    }

    /// Asks the vector index; `query` must come from the model of [`Collection::fingerprint`]. Nothing if there are no vectors yet.
    pub fn dense(&self, query: &[f32], scope: &Scope, limit: usize) -> Result<Vec<VectorHit>, IndexError> {
        let Some(index) = self.vector_index()? else { return Ok(Vec::new()) };
        index.search(query, scope, limit).map_err(|error| self.vectors_failed(error))
    }

    /// The exact cosine of the given chunks; those without a vector are left out.
    pub fn dense_scores(&self, query: &[f32], chunks: &[ChunkId]) -> Result<Vec<VectorHit>, IndexError> {
        let Some(index) = self.vector_index()? else { return Ok(Vec::new()) };
        index.score(query, chunks).map_err(|error| self.vectors_failed(error))
    }

    /// The given chunks with their documents; those whose document answers nothing (any more) are left out.
    pub fn chunks(&self, ids: &[ChunkId]) -> Result<HashMap<ChunkId, LiveChunk>, IndexError> {
        self.catalog.chunks(ids)
    }

    /// The chunk at a place of a version.
    pub fn chunk_at(&self, version: VersionId, ordinal: u32) -> Result<Option<(ChunkId, LiveChunk)>, IndexError> {
        self.catalog.chunk_at(version, ordinal)
    }

    /// The documents in scope that hold an identical passage, for each hash; in order of path.
    pub fn twins(&self, hashes: &[TextHash], scope: &Scope) -> Result<HashMap<TextHash, Vec<DocumentRef>>, IndexError> {
        self.catalog.twins(hashes, scope)
    }

    /// The full-text index; opens it if needed.
    pub fn text_index(&self) -> Result<Arc<LexicalIndex>, IndexError> {
        if let Some(index) = self.text.read().get() {
            return Ok(index);
        }
        let mut slot = self.text.write();
        self.refuse_closed()?;
        match &*slot {
            Slot::Open(index) => Ok(index.clone()),
            Slot::Damaged => Err(IndexError::Rebuilding("full-text")),
            Slot::Closed => match self.open_text() {
                Ok(index) => {
                    let index = Arc::new(index);
                    *slot = Slot::Open(index.clone());
                    Ok(index)
                }
                Err(error) => {
                    if let LexicalError::Damaged(why) = &error {
                        tracing::warn!(collection = %self.id, why, "the full-text index is damaged: rebuilding it from the catalog");
                        *slot = Slot::Damaged;
                        self.tasks.text(Task::Rebuild(self.id, None));
                    }
                    Err(error.into())
                }
            },
        }
    }

    fn open_text(&self) -> Result<LexicalIndex, LexicalError> {
        let failed = |error: IndexError| LexicalError::Failed(error.to_string());
        let index = LexicalIndex::open(&self.text_folder(self.generation(TEXT_GENERATION).map_err(failed)?))?;
        if let Some(why) = self.misfit(index.watermark()).map_err(failed)? {
            return Err(LexicalError::Damaged(why.into()));
        }
        Ok(index)
    }

    fn open_vectors(&self, dimension: usize) -> Result<EdgeIndex, VectorError> {
        let failed = |error: IndexError| VectorError::Failed(error.to_string());
        let generation = self.generation(super::catalog::VECTOR_GENERATION).map_err(failed)?;
        let index = EdgeIndex::open(EdgeOptions::new(self.vector_folder(generation), dimension))?;
        if let Some(why) = self.misfit(index.watermark()).map_err(failed)? {
            return Err(VectorError::Damaged(why.into()));
        }
        Ok(index)
    }

    /// Why an index with this watermark is not the catalog's: what is searchable was in both indexes once, and no index has what
    /// the catalog has not.
    fn misfit(&self, watermark: Seq) -> Result<Option<&'static str>, IndexError> {
        if watermark < self.catalog.last_live()? {
            return Ok(Some("it lacks what is searchable"));
        }
        Ok((watermark > self.catalog.last_change()?).then_some(AHEAD))
    }

    /// The vector index; opens it if needed. None before the collection's first vectors.
    pub fn vector_index(&self) -> Result<Option<Arc<dyn VectorStore>>, IndexError> {
        if let Some(index) = self.vectors.read().get() {
            return Ok(Some(index));
        }
        let mut slot = self.vectors.write();
        self.refuse_closed()?;
        match &*slot {
            Slot::Open(index) => Ok(Some(index.clone())),
            Slot::Damaged => Err(IndexError::Rebuilding("vector")),
            Slot::Closed => {
                let Some(dimension) = self.dimension()? else { return Ok(None) };
                match self.open_vectors(dimension) {
                    Ok(index) => {
                        let index: Arc<dyn VectorStore> = Arc::new(index);
                        *slot = Slot::Open(index.clone());
                        Ok(Some(index))
                    }
                    Err(error) => {
                        if let VectorError::Damaged(why) = &error {
                            tracing::warn!(collection = %self.id, why, "the vector index is damaged: rebuilding it from the catalog");
                            *slot = Slot::Damaged;
                            self.tasks.vectors(Task::Rebuild(self.id, None));
                        }
                        Err(error.into())
                    }
                }
            }
        }
    }

    /// Marks the full-text index for rebuild if the error says that its files are broken.
    pub(super) fn text_failed(&self, error: LexicalError) -> IndexError {
        if let LexicalError::Damaged(why) = &error {
            tracing::warn!(collection = %self.id, why, "the full-text index is damaged: rebuilding it from the catalog");
            *self.text.write() = Slot::Damaged;
            self.tasks.text(Task::Rebuild(self.id, None));
        }
        error.into()
    }

    /// Marks the vector index for rebuild if the error says that its files are broken.
    pub(super) fn vectors_failed(&self, error: VectorError) -> IndexError {
        if let VectorError::Damaged(why) = &error {
            tracing::warn!(collection = %self.id, why, "the vector index is damaged: rebuilding it from the catalog");
            *self.vectors.write() = Slot::Damaged;
            self.tasks.vectors(Task::Rebuild(self.id, None));
        }
        error.into()
    }

    /// The last change that both indexes have for sure.
    pub fn applied(&self) -> Seq {
        let text = self.text_index().map(|index| index.watermark()).unwrap_or_default();
        let vectors = match self.vector_index() {
            Ok(Some(index)) => index.watermark(),
            Ok(None) => Seq(u64::MAX),
            Err(_) => Seq(0),
        };
        text.min(vectors)
    }

    /// Numbers in a vector of the collection's model; none before its first vectors.
    pub fn dimension(&self) -> Result<Option<usize>, IndexError> {
        Ok(self.catalog.meta(super::catalog::DIMENSION)?.and_then(|number| number.parse().ok()))
    }

    pub(super) fn generation(&self, key: &str) -> Result<u64, IndexError> {
        Ok(self.catalog.meta(key)?.and_then(|number| number.parse().ok()).unwrap_or(1))
    }

    pub(super) fn text_folder(&self, generation: u64) -> PathBuf {
        self.folder.join("text").join(generation.to_string())
    }

    pub(super) fn vector_folder(&self, generation: u64) -> PathBuf {
        self.folder.join("vectors").join(generation.to_string())
    }

    fn refuse_closed(&self) -> Result<(), IndexError> {
        if self.closed.load(Ordering::Acquire) { Err(IndexError::NoCollection) } else { Ok(()) }
    }

    /// Lets go of both indexes for good, before the folder is removed.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let text = std::mem::replace(&mut *self.text.write(), Slot::Closed);
        if let Slot::Open(index) = text {
            // A failing merge of an index that is about to be removed harms nobody.
            let _ = index.rest();
        }
        *self.vectors.write() = Slot::Closed;
    }

    /// After a rebuild that failed: what is used next finds the damage again and asks for another.
    pub(super) fn forget_damage(&self) {
        let mut text = self.text.write();
        if matches!(&*text, Slot::Damaged) {
            *text = Slot::Closed;
        }
        drop(text);
        let mut vectors = self.vectors.write();
        if matches!(&*vectors, Slot::Damaged) {
            *vectors = Slot::Closed;
        }
    }

    /// Generations that an interrupted rebuild left, and those that a finished one replaced.
    fn remove_old_generations(&self) -> Result<(), IndexError> {
        for (kind, key) in [("text", TEXT_GENERATION), ("vectors", super::catalog::VECTOR_GENERATION)] {
            let current = self.generation(key)?.to_string();
            let folder = self.folder.join(kind);
            super::store::make_private(&folder)?;
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_name() != current.as_str() {
                    remove(&entry.path())?;
                }
            }
        }
        Ok(())
    }
}

pub(super) fn remove(folder: &Path) -> Result<(), IndexError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
