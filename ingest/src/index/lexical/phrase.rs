//! Where words follow each other: the occurrences of a sequence in the unstemmed text of one segment.

use tantivy::index::InvertedIndexReader;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, TERMINATED, Term};

/// Gives every entry of a segment in which `words` follow each other to `found`, with how often they do.
pub(super) fn occurrences(
    index: &InvertedIndexReader,
    field: Field,
    words: &[String],
    mut found: impl FnMut(u32, u32),
) -> tantivy::Result<()> {
    let mut members: Vec<(u32, SegmentPostings)> = Vec::with_capacity(words.len());
    for (offset, word) in (0u32..).zip(words) {
        let term = Term::from_field_text(field, word);
        match index.read_postings(&term, IndexRecordOption::WithFreqsAndPositions)? {
            Some(postings) => members.push((offset, postings)),
            None => return Ok(()),
        }
    }
    // The rarest word leads, so that the cost follows it and not the most common one.
    members.sort_by_key(|(_, postings)| postings.doc_freq());
    let Some(((lead_offset, lead), others)) = members.split_first_mut() else {
        return Ok(());
    };
    let (mut starts, mut places) = (Vec::new(), Vec::new());
    let mut doc = lead.doc();
    'entries: while doc != TERMINATED {
        for (_, other) in others.iter_mut() {
            let at = if other.doc() < doc { other.seek(doc) } else { other.doc() };
            if at > doc {
                doc = lead.seek(at);
                continue 'entries;
            }
        }
        // Places are counted from where the sequence would begin, shifted so that none is below zero.
        let shift = words.len() as u32;
        lead.positions_with_offset(shift - *lead_offset, &mut starts);
        for (offset, other) in others.iter_mut() {
            if starts.is_empty() {
                break;
            }
            other.positions_with_offset(shift - *offset, &mut places);
            keep_common(&mut starts, &places);
        }
        if !starts.is_empty() {
            found(doc, starts.len() as u32);
        }
        doc = lead.advance();
    }
    Ok(())
}

/// Keeps what is in both; both are sorted.
fn keep_common(kept: &mut Vec<u32>, other: &[u32]) {
    let mut i = 0;
    kept.retain(|value| {
        while i < other.len() && other[i] < *value {
            i += 1;
        }
        i < other.len() && other[i] == *value
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_common_keeps_what_is_in_both() {
        let mut kept = vec![1, 3, 5, 9];
        keep_common(&mut kept, &[0, 3, 4, 9, 12]);
        assert_eq!(kept, [3, 9]);
        keep_common(&mut kept, &[]);
        assert!(kept.is_empty());
    }
}
