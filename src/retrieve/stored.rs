//! Asks the store once more before a hit becomes part of an answer: does its document hold the names that were asked about,
//! and are its words still there?

use std::collections::HashMap;
use std::sync::Arc;

use strongroom_ingest::index::lexical::LexicalQuery;
use strongroom_ingest::index::records::{DocumentFilter, StoredChunk};
use strongroom_ingest::index::{Collection, IndexError};
use strongroom_ingest::model::{CollectionId, Span, VersionId};

use super::Hit;

/// The hits from documents that hold at least half of `names`, in their text, title or path. A passage of another party's
/// contract may look like an answer, and is the wrong one.
pub(crate) fn of_the_named(names: &[String], mut hits: Vec<Hit>, from: &[Arc<Collection>]) -> Result<Vec<Hit>, IndexError> {
    if names.is_empty() || hits.is_empty() {
        return Ok(hits);
    }
    let mut held: HashMap<(CollectionId, VersionId), usize> = HashMap::new();
    for collection in from {
        let scope = collection.scope(&DocumentFilter::default())?;
        for name in names {
            let found = collection.lexical(&LexicalQuery { text: name, scope: &scope, limit: 1 })?;
            for (version, score) in &found.documents {
                // Of a name of several words, such as an invoice number, all must be in the text; its head tells no more
                // than that one is there.
                if score.matched > 0.99 || score.head > 0.0 {
                    *held.entry((collection.id(), *version)).or_default() += 1;
                }
            }
        }
    }
    hits.retain(|hit| held.get(&(hit.collection, hit.version)).is_some_and(|held| 2 * held >= names.len()));
    Ok(hits)
}

/// The passages of a whole document, in order, and of what is inside it; none where the collection has no searchable document at
/// `path`.
pub(crate) fn whole(collection: &Collection, path: &str) -> Result<Option<Vec<Hit>>, IndexError> {
    let Some(record) = collection.catalog().document(path)? else { return Ok(None) };
    let mut hits = Vec::new();
    for version in std::iter::once(&record).chain(&record.members).filter_map(|part| part.version) {
        let mut ordinal = 0;
        while let Some((_, live)) = collection.chunk_at(version, ordinal)? {
            let chunk = live.chunk;
            hits.push(Hit {
                collection: collection.id(),
                collection_name: collection.name().to_owned(),
                document: live.document,
                version,
                page: chunk.page,
                heading_path: chunk.heading_path,
                span: chunk.span,
                text: chunk.text,
                moments: Vec::new(),
                score: 0.0,
                also_in: Vec::new(),
                explain: None,
            });
            ordinal += 1;
        }
    }
    let spans: Vec<_> = hits.iter().map(|hit| (hit.version, hit.span)).collect();
    for (hit, moments) in hits.iter_mut().zip(collection.catalog().moments(&spans)?) {
        hit.moments = moments;
    }
    Ok((!hits.is_empty()).then_some(hits))
}

/// What the catalog holds at `span` of the version that `hit` is from, read now; none if that version no longer answers.
pub(crate) fn slice(from: &[Arc<Collection>], hit: &Hit, span: Span) -> Result<Option<String>, IndexError> {
    match from.iter().find(|collection| collection.id() == hit.collection) {
        Some(collection) => {
            slice_of(span, |ordinal| Ok(collection.chunk_at(hit.version, ordinal)?.map(|(_, live)| live.chunk)))
        }
        None => Ok(None),
    }
}

/// The characters at `span` of the text that the chunks of a version tile; `read` gives the chunk of an ordinal.
fn slice_of<E>(span: Span, mut read: impl FnMut(u32) -> Result<Option<StoredChunk>, E>) -> Result<Option<String>, E> {
    let mut ordinal = ordinal_at(span.start, &mut read)?;
    let mut text = String::new();
    let mut at = span.start;
    while at < span.end {
        let Some(chunk) = read(ordinal)? else { return Ok(None) };
        let (start, end) = (chunk.span.start, chunk.span.end.min(span.end));
        if start > at || end < at {
            return Ok(None);
        }
        text.extend(chunk.text.chars().skip((at - start) as usize).take((end - at) as usize));
        at = end;
        ordinal += 1;
    }
    Ok(Some(text))
}

/// The last chunk that begins at or before the character `at`. Chunks are in order, so a binary search finds it.
fn ordinal_at<E>(at: u64, read: &mut impl FnMut(u32) -> Result<Option<StoredChunk>, E>) -> Result<u32, E> {
    let mut begins_before = |ordinal: u32| Ok(read(ordinal)?.is_some_and(|chunk| chunk.span.start <= at));
    let (mut from, mut to) = (0_u32, 1_u32);
    while begins_before(to)? {
        (from, to) = (to, to.saturating_mul(2));
    }
    while to - from > 1 {
        let middle = from + (to - from) / 2;
        if begins_before(middle)? { from = middle } else { to = middle }
    }
    Ok(from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(chunks: &[String], ordinal: u32) -> Option<StoredChunk> {
        let text = chunks.get(ordinal as usize)?.clone();
        let start = chunks[..ordinal as usize].iter().map(|text| text.chars().count() as u64).sum();
        let span = Span { start, end: start + text.chars().count() as u64 };
        Some(StoredChunk { version: VersionId(1), ordinal, page: None, heading_path: String::new(), span, text })
    }

    proptest! {
        #[test]
        fn any_slice_is_found(chunks in prop::collection::vec("[aü𝄞 \\n]{1,9}", 1..40), start in 0_usize..200, length in 0_usize..60) {
            let whole: Vec<char> = chunks.concat().chars().collect();
            let span = Span { start: start as u64, end: (start + length) as u64 };
            let expect = (length == 0 || start + length <= whole.len()).then(|| whole.iter().skip(start).take(length).collect::<String>());
            let found = slice_of(span, |ordinal| Ok::<_, ()>(read(&chunks, ordinal)));
            prop_assert_eq!(found, Ok(expect));
        }
    }

    #[test]
    fn a_version_that_is_gone_has_no_slice() {
        assert_eq!(slice_of(Span { start: 3, end: 9 }, |_| Ok::<_, ()>(None)), Ok(None));
        assert_eq!(slice_of(Span { start: 3, end: 9 }, |_| Err(1)), Err(1));
    }
}
