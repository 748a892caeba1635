//! Tests of hits made of a ranking: nothing overlaps, nothing is missing, every text is its slice.

use proptest::prelude::*;
use strongroom_ingest::index::records::StoredChunk;

use super::super::Explain;
use super::*;

/// A collection of documents cut into chunks, `documents[d][ordinal]` being a text.
#[derive(Debug)]
struct Shelf {
    documents: Vec<Vec<String>>,
}

impl Shelf {
    fn of(documents: &[&[&str]]) -> Self {
        Self { documents: documents.iter().map(|chunks| chunks.iter().map(|text| (*text).to_owned()).collect()).collect() }
    }

    fn id(document: usize, ordinal: usize) -> ChunkId {
        ChunkId((document * 1_000 + ordinal) as u64)
    }

    fn live(&self, id: ChunkId) -> Option<LiveChunk> {
        let (document, ordinal) = ((id.0 / 1_000) as usize, (id.0 % 1_000) as usize);
        let chunks = self.documents.get(document)?;
        let text = chunks.get(ordinal)?.clone();
        let start = chunks[..ordinal].iter().map(|text| text.chars().count() as u64).sum();
        let end = start + text.chars().count() as u64;
        let mut hash = [0; 16];
        for (at, byte) in text.trim().bytes().enumerate() {
            hash[at % 16] = u8::wrapping_mul(hash[at % 16], 31).wrapping_add(byte);
        }
        Some(LiveChunk {
            chunk: StoredChunk {
                version: VersionId(document as u64),
                ordinal: ordinal as u32,
                page: Some(ordinal as u32 + 1),
                heading_path: String::new(),
                span: Span { start, end },
                text,
            },
            hash: TextHash(hash),
            document: DocumentRef {
                id: DocumentId(document as u128),
                path: format!("{document:03}.txt"),
                title: String::new(),
            },
        })
    }

    fn slice(&self, hit: &Shaped) -> String {
        let whole = self.documents[hit.version.0 as usize].concat();
        whole.chars().skip(hit.span.start as usize).take((hit.span.end - hit.span.start) as usize).collect()
    }

    fn shape(&self, order: &[(usize, usize, f32)], limit: usize) -> Vec<Shaped> {
        let ranked: Vec<Ranked> =
            order.iter().map(|(document, ordinal, score)| ranked(Self::id(*document, *ordinal), *score)).collect();
        shape(&ranked, limit, |wanted| Ok::<_, ()>(wanted.iter().filter_map(|key| Some((*key, self.live(key.1)?))).collect()))
            .unwrap()
    }
}

fn ranked(chunk: ChunkId, score: f32) -> Ranked {
    Ranked { source: 0, chunk, score, explain: Explain::default() }
}

fn texts(hits: &[Shaped]) -> Vec<&str> {
    hits.iter().map(|hit| hit.text.as_str()).collect()
}

#[test]
fn neighbours_join_at_the_better_ones_place() {
    let shelf = Shelf::of(&[&["One. ", "Two. ", "Three. ", "Four."], &["Other."]]);
    let hits = shelf.shape(&[(0, 2, 0.9), (1, 0, 0.8), (0, 1, 0.7), (0, 0, 0.6)], 10);
    assert_eq!(texts(&hits), ["Two. Three.", "Other.", "One."]);
    assert_eq!((hits[0].span, hits[0].page, hits[0].score), (Span { start: 5, end: 16 }, Some(2), 0.9));
}

#[test]
fn identical_passages_are_one_hit() {
    let shelf = Shelf::of(&[&["Same text.\n"], &["Same text."], &["Another."]]);
    let hits = shelf.shape(&[(1, 0, 0.9), (0, 0, 0.9), (2, 0, 0.1)], 10);
    assert_eq!(texts(&hits), ["Same text.", "Another."]);
    assert_eq!(hits[0].document.path, "000.txt", "ties go by path");
}

#[test]
fn what_vanished_is_replaced_by_the_next() {
    let shelf = Shelf::of(&[&["One."], &["Two."]]);
    let order: Vec<(usize, usize, f32)> = (5..60).map(|gone| (gone, 0, 0.9)).chain([(0, 0, 0.2), (1, 0, 0.1)]).collect();
    assert_eq!(texts(&shelf.shape(&order, 2)), ["One.", "Two."]);
}

#[test]
fn a_document_is_quoted_from_one_version_only() {
    let shelf = Shelf::of(&[&["Old. "], &["Old. And new."]]);
    let ranked = [ranked(Shelf::id(0, 0), 0.9), ranked(Shelf::id(1, 0), 0.8)];
    let hits = shape(&ranked, 10, |wanted| {
        let replaced = |key: &Wanted| {
            let mut live = shelf.live(key.1)?;
            live.document.id = DocumentId(7);
            Some((*key, live))
        };
        Ok::<_, ()>(wanted.iter().filter_map(replaced).collect())
    });
    assert_eq!(texts(&hits.unwrap()), ["Old."]);
}

#[test]
fn ends_are_trimmed_in_characters() {
    let (text, span) = trimmed("\u{2003}\n ü→𝄞 x\u{a0}\t".to_owned(), Span { start: 10, end: 20 });
    assert_eq!((text.as_str(), span), ("ü→𝄞 x", Span { start: 13, end: 18 }));
    assert!(Shelf::of(&[&[" \n"]]).shape(&[(0, 0, 1.0)], 1).is_empty(), "white space is no hit");
}

#[test]
fn an_error_of_reading_is_told() {
    assert_eq!(shape(&[ranked(ChunkId(1), 1.0)], 1, |_| Err("gone")), Err("gone"));
}

prop_compose! {
    fn shelves()(documents in prop::collection::vec(prop::collection::vec("[ a-cü\\n]{0,6}", 1..8), 1..8)) -> Shelf {
        Shelf { documents }
    }
}

proptest! {
    #[test]
    fn hits_are_slices_do_not_overlap_and_fill_the_limit(shelf in shelves(), limit in 1_usize..60, seed in any::<u64>()) {
        let mut order = Vec::new();
        for (document, chunks) in shelf.documents.iter().enumerate() {
            for ordinal in 0..chunks.len() {
                let mixed = (seed ^ (document * 64 + ordinal) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                order.push((document, ordinal, (mixed % 50) as f32));
            }
        }
        order.sort_by(|a, b| b.2.total_cmp(&a.2));
        let all = shelf.shape(&order, usize::MAX >> 1);
        let hits = shelf.shape(&order, limit);
        prop_assert_eq!(&hits[..], &all[..limit.min(all.len())], "a smaller limit gives the beginning of the same list");
        for hit in &hits {
            prop_assert_eq!(&shelf.slice(hit), &hit.text);
            prop_assert!(!hit.text.is_empty() && hit.text.trim() == hit.text);
        }
        for (at, hit) in all.iter().enumerate() {
            prop_assert!(at == 0 || all[at - 1].score >= hit.score);
            for other in &all[..at] {
                let apart = other.version != hit.version || other.span.end <= hit.span.start || hit.span.end <= other.span.start;
                prop_assert!(apart, "no two hits share a character");
            }
        }
        let distinct: HashSet<&str> = shelf.documents.iter().flatten().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
        let held: usize = all.iter().map(|hit| hit.hashes.len()).sum();
        prop_assert_eq!(held, distinct.len(), "every distinct passage is in one hit");
    }
}
