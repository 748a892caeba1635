//! A ranking of chunks becomes a list of hits: identical passages fold, neighbours join, ends are trimmed. Pure but for a
//! function that reads chunks.

use std::collections::{HashMap, HashSet};

use strongroom_ingest::index::{DocumentRef, LiveChunk};
use strongroom_ingest::model::{ChunkId, DocumentId, Span, TextHash, VersionId};

use super::fuse::Ranked;

/// Chunks join only among this many of the best: a neighbour that ranks there is most likely part of the answer. Fixed, so
/// that the first hits are the same whatever the limit.
const JOINING: usize = 20;
/// A hit is made of this many chunks at most. Two raise the share of gold characters among the first five hits by .05 to .08
/// and cost a third of the precision; three add .01 and cost another fifth.
const CHUNKS_IN_HIT: usize = 2;
/// And of this many characters.
const CHARACTERS_IN_HIT: u64 = 2_400;

/// A hit without what only the store knows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shaped {
    /// Index into the ranking of its best chunk.
    pub ranked: usize,
    pub source: usize,
    pub score: f32,
    pub document: DocumentRef,
    pub version: VersionId,
    pub page: Option<u32>,
    pub heading_path: String,
    pub span: Span,
    pub text: String,
    /// Of each of its chunks.
    pub hashes: Vec<TextHash>,
}

/// A chunk to read: index of its collection, and its id.
pub(super) type Wanted = (usize, ChunkId);

/// The first `limit` hits of a ranking, best first. `read` gives those of the wanted chunks that are still there.
pub(super) fn shape<E>(
    ranked: &[Ranked],
    limit: usize,
    mut read: impl FnMut(&[Wanted]) -> Result<HashMap<Wanted, LiveChunk>, E>,
) -> Result<Vec<Shaped>, E> {
    let mut hits = Hits::default();
    let mut at = 0;
    // The first reading is what most searches need in all; later ones make up for what folded, joined or vanished.
    while at < ranked.len() && (at < JOINING || hits.list.len() < limit) {
        let mut end = ranked.len().min(at + JOINING.max(limit));
        // Equals stay together, or their order would depend on the limit.
        while end < ranked.len() && ranked[end].score == ranked[end - 1].score {
            end += 1;
        }
        let batch = &ranked[at..end];
        let wanted: Vec<Wanted> = batch.iter().map(|hit| (hit.source, hit.chunk)).collect();
        let mut found = read(&wanted)?;
        let mut live: Vec<(usize, LiveChunk)> = Vec::with_capacity(found.len());
        for (offset, wanted) in wanted.iter().enumerate() {
            if let Some(chunk) = found.remove(wanted) {
                live.push((at + offset, chunk));
            }
        }
        live.sort_by(|(a, left), (b, right)| {
            let by_score = ranked[*b].score.total_cmp(&ranked[*a].score);
            by_score
                .then_with(|| left.document.path.cmp(&right.document.path))
                .then_with(|| left.chunk.span.start.cmp(&right.chunk.span.start))
        });
        for (place, chunk) in live {
            hits.place(place, ranked, chunk);
        }
        at = end;
    }
    Ok(hits.finish(limit))
}

#[derive(Default)]
struct Hits {
    list: Vec<Joined>,
    /// Which hit holds a chunk, by collection, version and ordinal.
    places: HashMap<(usize, VersionId, u32), usize>,
    texts: HashSet<(usize, TextHash)>,
    /// The version that each document is quoted from: it may be replaced while the search runs.
    versions: HashMap<(usize, DocumentId), VersionId>,
}

/// Neighbouring chunks, in order of their ordinals.
struct Joined {
    ranked: usize,
    source: usize,
    score: f32,
    chunks: Vec<LiveChunk>,
}

impl Hits {
    fn place(&mut self, ranked: usize, ranking: &[Ranked], live: LiveChunk) {
        let Ranked { source, score, .. } = ranking[ranked];
        let version = live.chunk.version;
        if live.chunk.text.trim().is_empty() || *self.versions.entry((source, live.document.id)).or_insert(version) != version {
            return;
        }
        if !self.texts.insert((source, live.hash)) {
            return;
        }
        let ordinal = live.chunk.ordinal;
        let neighbours = [ordinal.checked_sub(1), ordinal.checked_add(1)];
        let joins =
            neighbours.iter().flatten().filter_map(|neighbour| self.places.get(&(source, version, *neighbour)).copied());
        let hit = match joins.min().filter(|hit| ranked < JOINING && self.list[*hit].has_room_for(&live)) {
            Some(hit) => {
                self.list[hit].join(live);
                hit
            }
            None => {
                self.list.push(Joined { ranked, source, score, chunks: vec![live] });
                self.list.len() - 1
            }
        };
        self.places.insert((source, version, ordinal), hit);
    }

    fn finish(self, limit: usize) -> Vec<Shaped> {
        let mut hits: Vec<Shaped> = self.list.into_iter().filter_map(Joined::shaped).collect();
        hits.sort_by(|a, b| {
            let by_score = b.score.total_cmp(&a.score);
            let by_path = || a.document.path.cmp(&b.document.path);
            by_score.then_with(by_path).then_with(|| a.span.cmp(&b.span)).then(a.source.cmp(&b.source))
        });
        hits.truncate(limit);
        hits
    }
}

impl Joined {
    fn has_room_for(&self, live: &LiveChunk) -> bool {
        let characters: u64 = self.chunks.iter().chain([live]).map(|live| live.chunk.span.end - live.chunk.span.start).sum();
        let touches = self
            .chunks
            .iter()
            .any(|own| own.chunk.span.end == live.chunk.span.start || live.chunk.span.end == own.chunk.span.start);
        self.chunks.len() < CHUNKS_IN_HIT && characters <= CHARACTERS_IN_HIT && touches
    }

    fn join(&mut self, live: LiveChunk) {
        let at = self.chunks.partition_point(|own| own.chunk.ordinal < live.chunk.ordinal);
        self.chunks.insert(at, live);
    }

    fn shaped(self) -> Option<Shaped> {
        let hashes = self.chunks.iter().map(|live| live.hash).collect();
        let mut chunks = self.chunks.into_iter();
        let first = chunks.next()?;
        let (mut text, mut span) = (first.chunk.text, first.chunk.span);
        for live in chunks {
            text.push_str(&live.chunk.text);
            span.end = live.chunk.span.end;
        }
        let (text, span) = trimmed(text, span);
        Some(Shaped {
            ranked: self.ranked,
            source: self.source,
            score: self.score,
            document: first.document,
            version: first.chunk.version,
            page: first.chunk.page,
            heading_path: first.chunk.heading_path,
            span,
            text,
            hashes,
        })
    }
}

/// `text` without white space at its ends, and where that lies. Spans count Unicode scalar values.
fn trimmed(text: String, span: Span) -> (String, Span) {
    let without_start = text.trim_start();
    let start = span.start + text[..text.len() - without_start.len()].chars().count() as u64;
    let kept = without_start.trim_end();
    let end = span.end - without_start[kept.len()..].chars().count() as u64;
    (kept.to_owned(), Span { start, end })
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
