//! The writing side: a Tantivy writer that lives from the first change to the next rest, and the care for its files.

use std::path::PathBuf;

use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, NoMergePolicy};
use tantivy::schema::Field;
use tantivy::{Index, IndexWriter, Term};

use super::failure::guard;
use super::schema::Fields;
use super::{LexicalChange, LexicalError};
use crate::model::{Seq, VersionId};

/// What one writer may gather before it writes a segment, in bytes. Tantivy wants 15 MB at least.
const WRITER_BYTES: usize = 16_000_000;

/// From this share of deleted entries on, a segment is rewritten without them at the next occasion.
const DELETED_SHARE: f32 = 0.2;

/// Segments of fewer entries than this count as equally small.
const SMALL_SEGMENT: u32 = 2_000;

/// As many segments of like size are merged into one.
const SEGMENTS_TO_MERGE: usize = 4;

/// The writer, if there is one.
#[derive(Default)]
pub(super) struct Writing {
    writer: Option<IndexWriter>,
}

impl Writing {
    /// Commits `changes` with the watermark `upto`. After an error the writer is gone, and with it all that was not committed.
    pub(super) fn commit(
        &mut self,
        index: &Index,
        fields: &Fields,
        changes: Vec<LexicalChange>,
        upto: Seq,
    ) -> Result<(), LexicalError> {
        let taken = self.writer.take();
        let writer = guard(|| {
            let mut writer = match taken {
                Some(writer) => writer,
                None => writer_for(index)?,
            };
            for change in changes {
                write(&writer, fields, change)?;
            }
            let mut commit = writer.prepare_commit()?;
            commit.set_payload(&upto.0.to_string());
            commit.commit()?;
            Ok(writer)
        })?;
        self.writer = Some(writer);
        Ok(())
    }

    /// Waits for merges under way and lets the writer go. Tells whether there was one.
    pub(super) fn finish(&mut self) -> Result<bool, LexicalError> {
        let Some(writer) = self.writer.take() else {
            return Ok(false);
        };
        guard(|| writer.wait_merging_threads())?;
        Ok(true)
    }

    /// Rewrites every segment that holds deleted entries. There must be no writer.
    pub(super) fn expunge(&mut self, index: &Index) -> Result<(), LexicalError> {
        guard(|| {
            let mut holding = index.searchable_segment_metas()?;
            holding.retain(|segment| segment.has_deletes());
            if holding.is_empty() {
                return Ok(());
            }
            let mut writer = writer_for(index)?;
            writer.set_merge_policy(Box::new(NoMergePolicy));
            for segment in holding {
                writer.merge(&[segment.id()]).wait()?;
            }
            writer.wait_merging_threads()
        })
    }
}

fn writer_for(index: &Index) -> tantivy::Result<IndexWriter> {
    let options =
        IndexWriterOptions::builder().memory_budget_per_thread(WRITER_BYTES).num_worker_threads(1).num_merge_threads(1).build();
    let writer = index.writer_with_options(options)?;
    let mut policy = LogMergePolicy::default();
    policy.set_min_num_segments(SEGMENTS_TO_MERGE);
    policy.set_min_layer_size(SMALL_SEGMENT);
    policy.set_del_docs_ratio_before_merge(DELETED_SHARE);
    writer.set_merge_policy(Box::new(policy));
    Ok(writer)
}

fn write(writer: &IndexWriter, fields: &Fields, change: LexicalChange) -> tantivy::Result<()> {
    let all_of = |field: Field, version: VersionId| Term::from_field_u64(field, version.0);
    match change {
        LexicalChange::Insert { version, chunks } => {
            // It may be there already, from before a crash.
            writer.delete_term(all_of(fields.version, version));
            for chunk in &chunks {
                writer.add_document(fields.entry(version, chunk))?;
            }
        }
        LexicalChange::Delete { version } => {
            writer.delete_term(all_of(fields.version, version));
        }
    }
    Ok(())
}

/// Removes the files that no segment uses any more. There must be no writer, which could be making some.
pub(super) fn remove_unused_files(index: &Index) -> Result<(), LexicalError> {
    guard(|| {
        let mut used = index.load_metas()?.list_segment_files();
        used.insert(PathBuf::from("meta.json"));
        index.clone().directory_mut().garbage_collect(move || used)?;
        Ok(())
    })
}
