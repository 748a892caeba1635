//! Builds an index anew from the catalog, beside the one that answers, and flips to it: after damage, for another model, for a
//! log that grew too long, and to leave no byte behind of what was purged.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::IndexError;
use super::catalog::{Catalog, ChangeRow, VECTOR_GENERATION};
use super::collection::{Collection, Slot, TEXT_GENERATION, remove};
use super::lexical::LexicalIndex;
use super::vector::VectorStore;
use super::vector::edge::{EdgeIndex, EdgeOptions};
use crate::model::{Fingerprint, Seq, VersionId};

/// Versions copied in one durable step.
const VERSIONS: usize = 64;

impl Collection {
    /// Builds the full-text index anew. Runs on the text lane.
    pub(super) fn rebuild_text(&self) -> Result<(), IndexError> {
        let old = self.generation(TEXT_GENERATION)?;
        let folder = self.text_folder(old + 1);
        remove(&folder)?;
        let index = Arc::new(LexicalIndex::open(&folder)?);
        let upto = for_standing(self.catalog(), |rows| {
            let changes = rows.iter().map(|row| self.lexical_change(row)).collect::<Result<Vec<_>, _>>()?;
            Ok(index.apply(changes, Seq(0))?)
        })?;
        index.apply(Vec::new(), upto)?;
        while self.apply_text(&index)? {}
        index.rest()?;
        self.catalog().set_meta(&[(TEXT_GENERATION, &(old + 1).to_string())])?;
        let before = std::mem::replace(&mut *self.text.write(), Slot::Open(index));
        retire(before, &self.text_folder(old))
    }

    /// Builds the vector index anew with vectors of the model it has. Runs on the vector lane.
    pub(super) fn rebuild_vectors(&self) -> Result<(), IndexError> {
        match (self.catalog().fingerprint()?, self.dimension()?) {
            (Some(fingerprint), Some(dimension)) => self.swap_vectors(&fingerprint, dimension),
            _ => Ok(()),
        }
    }

    /// Builds the vector index anew with vectors of `fingerprint`, which the catalog must have. Runs on the vector lane.
    ///
    /// # Errors
    /// [`IndexError::NoVectors`] if some chunk has no such vector yet: embed the rest and ask again.
    pub(super) fn swap_vectors(&self, fingerprint: &Fingerprint, dimension: usize) -> Result<(), IndexError> {
        let old = self.generation(VECTOR_GENERATION)?;
        let folder = self.vector_folder(old + 1);
        remove(&folder)?;
        let index: Arc<dyn VectorStore> = Arc::new(EdgeIndex::open(EdgeOptions::new(folder.clone(), dimension))?);
        let upto = for_standing(self.catalog(), |rows| {
            let changes = rows.iter().map(|row| self.vector_change(row, fingerprint)).collect::<Result<Vec<_>, _>>()?;
            Ok(index.apply(changes, Seq(0))?)
        })?;
        index.apply(Vec::new(), upto)?;
        if let Err(error) = index.optimize() {
            tracing::warn!(collection = %self.id(), %error, "the rebuilt vector index could not be optimised");
        }
        if !self.catalog().flip_vectors(old + 1, fingerprint, dimension)? {
            drop(index);
            remove(&folder)?;
            return Err(IndexError::NoVectors("some chunks have no vector of the new model yet".into()));
        }
        let before = std::mem::replace(&mut *self.vectors.write(), Slot::Open(index));
        retire(before, &self.vector_folder(old))
    }
}

/// Calls `copy` with all that an index has to hold as of now, in steps; the change up to which that is.
fn for_standing(catalog: &Catalog, mut copy: impl FnMut(&[ChangeRow]) -> Result<(), IndexError>) -> Result<Seq, IndexError> {
    let upto = catalog.last_change()?;
    let mut after = VersionId(0);
    loop {
        let rows = catalog.standing(upto, after, VERSIONS)?;
        let Some(last) = rows.last() else { return Ok(upto) };
        after = last.version;
        copy(&rows)?;
    }
}

/// Removes a replaced index's folder once no search looks at it any more; else it goes when the collection is next opened.
fn retire<T: ?Sized>(before: Slot<T>, folder: &Path) -> Result<(), IndexError> {
    if let Slot::Open(index) = before {
        for _ in 0..500 {
            if Arc::strong_count(&index) == 1 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if Arc::strong_count(&index) > 1 {
            return Ok(());
        }
    }
    remove(folder)
}
