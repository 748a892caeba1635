//! One state of the index, with what scoring asks for at every posting kept in plain arrays: about 16 bytes a chunk.

use tantivy::index::{SegmentId, SegmentReader};
use tantivy::{Opstamp, Searcher};

use super::schema;
use crate::model::{ChunkId, Scope, VersionId};

/// In place of a slot: the entry is deleted.
pub(super) const DELETED: u32 = u32::MAX;

/// A searcher and its arrays. Passages are numbered through all segments; documents (versions) by their slot.
pub(super) struct Snapshot {
    /// Reads the postings.
    pub searcher: Searcher,
    /// The segments, in the searcher's order.
    pub segments: Vec<SegmentPlace>,
    /// Slot of the version each passage belongs to, or [`DELETED`].
    pub slot_of: Vec<u32>,
    /// Number of stems in each passage.
    pub length_of: Vec<u32>,
    /// Id of each passage.
    pub chunk_of: Vec<u64>,
    /// Passages that carry a head, and its number of stems; in order.
    heads: Vec<(u32, u32)>,
    /// One entry a version, sorted by its id.
    pub documents: Vec<Document>,
    /// Sums and means over all of it.
    pub totals: Totals,
}

/// Where a segment's passages begin, and which state of it this is.
pub(super) struct SegmentPlace {
    id: SegmentId,
    deletes: Option<Opstamp>,
    /// Number of its first passage.
    pub base: u32,
}

/// What there is of one version.
#[derive(Clone, Copy)]
pub(super) struct Document {
    /// Its id.
    pub version: VersionId,
    /// Number of its passages.
    pub passages: u32,
    /// Number of stems in all of them.
    pub length: u32,
    /// Number of stems in its head.
    pub head_length: u32,
}

/// What BM25 needs to know of the whole collection. Means are at least 1, so that one may divide by them.
#[derive(Clone, Copy, Default)]
pub(super) struct Totals {
    /// Passages that are not deleted.
    pub passages: u32,
    /// Mean number of stems in a passage.
    pub passage_length: f32,
    /// Mean number of stems in a document.
    pub document_length: f32,
    /// Mean number of stems in a head.
    pub head_length: f32,
}

/// One passage while the arrays are built.
#[derive(Clone, Copy)]
struct Row {
    version: u64,
    chunk: u64,
    length: u32,
    head_length: u32,
    deleted: bool,
}

impl Snapshot {
    /// Reads the arrays of `searcher`; those of segments that `before` holds in the same state are taken from there.
    pub(super) fn build(searcher: Searcher, before: Option<&Snapshot>) -> tantivy::Result<Self> {
        let mut segments = Vec::new();
        let mut rows: Vec<Row> = Vec::new();
        for reader in searcher.segment_readers() {
            let place = SegmentPlace { id: reader.segment_id(), deletes: reader.delete_opstamp(), base: rows.len() as u32 };
            match before.and_then(|before| before.rows_of(&place, reader.max_doc())) {
                Some(known) => rows.extend(known),
                None => read_rows(reader, &mut rows)?,
            }
            segments.push(place);
        }

        // All chunks of a version were written together, so runs of one version are long and the sort has little to do.
        let mut versions: Vec<u64> = Vec::new();
        for row in rows.iter().filter(|row| !row.deleted) {
            if versions.last() != Some(&row.version) {
                versions.push(row.version);
            }
        }
        versions.sort_unstable();
        versions.dedup();
        let empty = |id: u64| Document { version: VersionId(id), passages: 0, length: 0, head_length: 0 };
        let mut documents: Vec<Document> = versions.iter().map(|id| empty(*id)).collect();

        let mut slot_of = Vec::with_capacity(rows.len());
        let mut last = (0, DELETED);
        for row in &rows {
            if row.deleted {
                slot_of.push(DELETED);
                continue;
            }
            if last.1 == DELETED || last.0 != row.version {
                let slot = versions.partition_point(|version| *version < row.version);
                last = (row.version, slot as u32);
            }
            let document = &mut documents[last.1 as usize];
            document.passages += 1;
            document.length = document.length.saturating_add(row.length);
            document.head_length += row.head_length;
            slot_of.push(last.1);
        }
        Ok(Self {
            searcher,
            segments,
            slot_of,
            length_of: rows.iter().map(|row| row.length).collect(),
            chunk_of: rows.iter().map(|row| row.chunk).collect(),
            heads: (0u32..).zip(&rows).filter(|(_, row)| row.head_length > 0).map(|(i, row)| (i, row.head_length)).collect(),
            totals: Totals::of(&documents),
            documents,
        })
    }

    /// The rows of the segment at `place`, if this snapshot holds it in the same state.
    fn rows_of(&self, place: &SegmentPlace, len: u32) -> Option<impl Iterator<Item = Row>> {
        let known = self.segments.iter().find(|known| known.id == place.id && known.deletes == place.deletes)?;
        let range = known.base as usize..(known.base + len) as usize;
        let mut heads = self.heads[self.heads.partition_point(|head| (head.0 as usize) < range.start)..].iter().peekable();
        Some(range.map(move |i| {
            let document = self.documents.get(self.slot_of[i] as usize);
            Row {
                version: document.map_or(0, |document| document.version.0),
                chunk: self.chunk_of[i],
                length: self.length_of[i],
                head_length: heads.next_if(|head| head.0 as usize == i).map_or(0, |head| head.1),
                deleted: document.is_none(),
            }
        }))
    }

    /// For every slot, whether `scope` allows its version.
    pub(super) fn allowed(&self, scope: &Scope) -> Vec<bool> {
        let mut allowed = vec![scope.only.is_none(); self.documents.len()];
        let slot = |version: &VersionId| self.documents.binary_search_by_key(version, |document| document.version);
        for version in scope.only.iter().flatten() {
            if let Ok(slot) = slot(version) {
                allowed[slot] = true;
            }
        }
        for version in &scope.except {
            if let Ok(slot) = slot(version) {
                allowed[slot] = false;
            }
        }
        allowed
    }

    /// Every passage with its version, sorted.
    pub(super) fn contents(&self) -> Vec<(ChunkId, VersionId)> {
        let alive = self.slot_of.iter().zip(&self.chunk_of).filter(|(slot, _)| **slot != DELETED);
        let mut contents: Vec<_> =
            alive.map(|(slot, chunk)| (ChunkId(*chunk), self.documents[*slot as usize].version)).collect();
        contents.sort_unstable();
        contents
    }
}

impl Totals {
    fn of(documents: &[Document]) -> Self {
        let mut passages = 0u32;
        let (mut length, mut head_length) = (0u64, 0u64);
        for document in documents {
            passages += document.passages;
            length += u64::from(document.length);
            head_length += u64::from(document.head_length);
        }
        let mean = |sum: u64, count: usize| (sum as f64 / count.max(1) as f64).max(1.0) as f32;
        Self {
            passages,
            passage_length: mean(length, passages as usize),
            document_length: mean(length, documents.len()),
            head_length: mean(head_length, documents.len()),
        }
    }
}

fn read_rows(reader: &SegmentReader, rows: &mut Vec<Row>) -> tantivy::Result<()> {
    let columns = reader.fast_fields();
    let column = |name: &str| tantivy::Result::Ok(columns.u64(name)?.first_or_default_col(0));
    let (chunk, version) = (column(schema::CHUNK)?, column(schema::VERSION)?);
    let (length, head_length) = (column(schema::LENGTH)?, column(schema::HEAD_LENGTH)?);
    for doc in 0..reader.max_doc() {
        rows.push(Row {
            version: version.get_val(doc),
            chunk: chunk.get_val(doc),
            length: length.get_val(doc) as u32,
            head_length: head_length.get_val(doc) as u32,
            deleted: reader.is_deleted(doc),
        });
    }
    Ok(())
}
