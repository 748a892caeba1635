//! Two rankings and what is known of the documents become one ranking: pure arithmetic, measured before it was chosen.
//!
//! Each candidate passage gets three parts. **Meaning** is its cosine, **wording** its BM25 (where a word that the passage
//! lacks counts half of what it counts in the document), both stretched to 0..1 over the candidates. **Document** is BM25 of
//! the whole document and of its head, each over the best document's. None of the weights is fixed:
//!
//! - between meaning and wording it follows how much of the question the best passage holds, by the rarity of its words;
//! - the document's follows how far the best document stands out from the third best: a question that names a party finds
//!   that party's document, and one that names nobody is not dragged to whichever document is most of its kind.
//!   The third, because a contract and its draft are two documents of one name. It also follows how much of the question
//!   that document holds;
//! - where documents are hardly longer than a passage, the document tells nothing new and weighs nothing.
//!
//! Several collections are fused as if they were one: BM25 is put in relation to what the question could reach in its own
//! collection, cosine is comparable as it is.

use std::collections::HashMap;

use strongroom_ingest::index::lexical::{DocumentScore, LexicalHits};
use strongroom_ingest::index::vector::VectorHit;
use strongroom_ingest::model::{ChunkId, VersionId};

use super::{Explain, Mode};

/// Weight of meaning where the best passage holds no word of the question, and how much less it is where it holds all.
const MEANING: (f32, f32) = (0.7, 0.3);
/// Weight of the document where none stands out, and where one clearly does.
const DOCUMENT: (f32, f32) = (0.25, 2.0);
/// By which share of its score the best document must be above its rival: below the first none stands out, from the second
/// on one clearly does.
const CLEAR: (f32, f32) = (0.1, 0.35);
/// Place of the document that the best is compared with.
const RIVAL: usize = 3;
/// Share of the whole text in a document's score; the rest is its file name, title and first characters.
const BODY: f32 = 0.75;
/// Values closer together than this (of a cosine; of the best BM25) are not stretched any further.
const NARROWEST: f32 = 0.2;
/// A document that holds less of the question than this share does not stand out, even if it is the only one.
const DOCUMENT_HOLDS: f32 = 0.5;
/// What a word that a passage lacks counts of what it counts in the document, as the full-text index has it.
const MISSING_WORD: f32 = 0.5;

/// What the two searches of one collection gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    /// Nearest passages, best first.
    pub dense: Vec<VectorHit>,
    /// Full-text matches.
    pub lexical: LexicalHits,
    /// Cosines of passages that are not in `dense`.
    pub cosines: HashMap<ChunkId, f32>,
}

/// A passage with its place.
#[derive(Clone, Debug)]
pub(super) struct Ranked {
    /// Index of its collection among those searched.
    pub source: usize,
    /// The passage.
    pub chunk: ChunkId,
    /// 0 to 1 or nearly so.
    pub score: f32,
    /// How it got there.
    pub explain: Explain,
}

/// Ranks the passages of all collections, best first. Of each list the first `depth` are candidates.
pub(super) fn rank(mode: Mode, gathered: &[Gathered], depth: usize) -> Vec<Ranked> {
    let mut ranked = match mode {
        Mode::Dense => dense(gathered, depth),
        Mode::Lexical => lexical(gathered, depth),
        Mode::Hybrid => hybrid(gathered, depth),
    };
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.source.cmp(&b.source)).then(a.chunk.cmp(&b.chunk)));
    ranked
}

fn dense(gathered: &[Gathered], depth: usize) -> Vec<Ranked> {
    let mut ranked = Vec::new();
    for (source, side) in gathered.iter().enumerate() {
        for (at, hit) in side.dense.iter().take(depth).enumerate() {
            let score = finite(hit.score);
            let explain = Explain {
                dense_rank: Some(at + 1),
                dense_score: Some(score),
                parts: vec![("meaning", score)],
                ..Explain::default()
            };
            ranked.push(Ranked { source, chunk: hit.chunk, score, explain });
        }
    }
    ranked
}

fn lexical(gathered: &[Gathered], depth: usize) -> Vec<Ranked> {
    let mut ranked = Vec::new();
    for (source, side) in gathered.iter().enumerate() {
        let ceiling = passage_ceiling(&side.lexical);
        for (at, hit) in side.lexical.passages.iter().take(depth).enumerate() {
            let score = finite(hit.score) / ceiling;
            let document = side.lexical.documents.get(&hit.version);
            let explain = Explain {
                lexical_rank: Some(at + 1),
                lexical_score: Some(hit.score),
                document_score: document.map(|document| document.body),
                head_score: document.map(|document| document.head),
                parts: vec![("wording", score)],
                ..Explain::default()
            };
            ranked.push(Ranked { source, chunk: hit.chunk, score, explain });
        }
    }
    ranked
}

/// One candidate on its way.
#[derive(Clone, Default)]
struct Candidate {
    source: usize,
    chunk: Option<ChunkId>,
    meaning: Option<f32>,
    wording: f32,
    document: f32,
    /// Share of the question that it and its document hold, on average.
    matched: f32,
    explain: Explain,
}

fn hybrid(gathered: &[Gathered], depth: usize) -> Vec<Ranked> {
    let documents = Documents::of(gathered);
    let mut candidates = Vec::new();
    for (source, side) in gathered.iter().enumerate() {
        candidates.extend(candidates_of(source, side, depth, &documents));
    }
    let coverage = gathered.iter().filter_map(|side| side.lexical.passages.first()).map(|hit| hit.matched).fold(0.0, f32::max);
    let meaning_weight = MEANING.0 - MEANING.1 * coverage.clamp(0.0, 1.0);
    let document_weight = documents.weight();

    let lowest = candidates.iter().filter_map(|candidate| candidate.meaning).fold(f32::INFINITY, f32::min);
    let meanings: Vec<f32> = candidates.iter().map(|candidate| candidate.meaning.unwrap_or(lowest)).collect();
    let wordings: Vec<f32> = candidates.iter().map(|candidate| candidate.wording).collect();
    let best_wording = wordings.iter().copied().fold(0.0, f32::max);
    let stretched_meanings = stretched(&meanings, NARROWEST);
    let stretched_wordings = stretched(&wordings, NARROWEST * best_wording);

    let mut ranked = Vec::with_capacity(candidates.len());
    // How good the best one is by itself, not only beside the others: this is what keeps a search that finds nothing of
    // worth from showing a best hit of 1.
    let (mut best, mut worth) = (f32::NEG_INFINITY, 0.0);
    for (at, candidate) in candidates.into_iter().enumerate() {
        let Some(chunk) = candidate.chunk else { continue };
        let parts = vec![
            ("meaning", meaning_weight * stretched_meanings[at]),
            ("wording", (1.0 - meaning_weight) * stretched_wordings[at]),
            ("document", document_weight * candidate.document),
        ];
        let sum: f32 = parts.iter().map(|(_, part)| part).sum();
        let own_worth = 0.5 * finite(meanings[at]).clamp(0.0, 1.0) + 0.5 * candidate.matched.clamp(0.0, 1.0);
        if sum > best || (sum == best && own_worth > worth) {
            (best, worth) = (sum, own_worth);
        }
        let explain = Explain { parts, ..candidate.explain };
        ranked.push(Ranked { source: candidate.source, chunk, score: sum, explain });
    }
    for hit in &mut ranked {
        hit.score = if best > 0.0 { worth * hit.score / best } else { worth };
    }
    ranked
}

/// The first `depth` of both lists of one collection, each once.
fn candidates_of(source: usize, side: &Gathered, depth: usize, documents: &Documents) -> Vec<Candidate> {
    let ceiling = passage_ceiling(&side.lexical);
    // Inside one document, what a word counts in the document tells its passages nothing.
    let alone = documents.count == 1;
    let mut candidates: HashMap<ChunkId, Candidate> = HashMap::new();
    let begin = |chunk: ChunkId, version: VersionId| {
        let score = side.lexical.documents.get(&version).copied().unwrap_or_default();
        Candidate {
            source,
            chunk: Some(chunk),
            wording: if alone { 0.0 } else { MISSING_WORD * score.body / ceiling },
            document: documents.value(source, score),
            matched: 0.5 * score.matched,
            explain: Explain {
                document_score: Some(score.body).filter(|body| *body > 0.0),
                head_score: Some(score.head).filter(|head| *head > 0.0),
                ..Explain::default()
            },
            ..Candidate::default()
        }
    };
    for (at, hit) in side.dense.iter().take(depth).enumerate() {
        let candidate = candidates.entry(hit.chunk).or_insert_with(|| begin(hit.chunk, hit.version));
        candidate.meaning = Some(finite(hit.score));
        candidate.explain.dense_rank = Some(at + 1);
        candidate.explain.dense_score = Some(hit.score);
    }
    // The list goes on beyond `depth`: it knows more than the candidates it gives.
    for (at, hit) in side.lexical.passages.iter().enumerate() {
        if at < depth {
            candidates.entry(hit.chunk).or_insert_with(|| begin(hit.chunk, hit.version));
        }
        let Some(candidate) = candidates.get_mut(&hit.chunk) else { continue };
        candidate.wording = finite(if alone { hit.score } else { hit.missing_document }) / ceiling;
        candidate.matched += 0.5 * hit.matched;
        candidate.explain.lexical_rank = Some(at + 1);
        candidate.explain.lexical_score = Some(hit.score);
        if candidate.meaning.is_none() {
            candidate.meaning = side.cosines.get(&hit.chunk).copied().map(finite);
            candidate.explain.dense_score = candidate.meaning;
        }
    }
    let mut candidates: Vec<Candidate> = candidates.into_values().collect();
    candidates.sort_by_key(|candidate| candidate.chunk);
    candidates
}

/// What all documents in scope together say of the question.
struct Documents {
    /// By collection: what its BM25 of whole documents is divided by to be comparable.
    ceilings: Vec<f32>,
    best_body: f32,
    best_head: f32,
    count: usize,
    passages: usize,
    /// Values of the best [`RIVAL`] documents, best first.
    top: [f32; RIVAL],
    /// Share of the question that the best document holds.
    held: f32,
}

impl Documents {
    fn of(gathered: &[Gathered]) -> Self {
        let ceilings: Vec<f32> = gathered.iter().map(|side| document_ceiling(&side.lexical)).collect();
        let mut documents =
            Self { ceilings, best_body: 0.0, best_head: 0.0, count: 0, passages: 0, top: [0.0; RIVAL], held: 0.0 };
        for (side, ceiling) in gathered.iter().zip(&documents.ceilings) {
            documents.count += side.lexical.documents_in_scope;
            documents.passages += side.lexical.passages_in_scope;
            for score in side.lexical.documents.values() {
                documents.best_body = documents.best_body.max(score.body / ceiling);
                documents.best_head = documents.best_head.max(score.head / ceiling);
            }
        }
        for (source, side) in gathered.iter().enumerate() {
            for score in side.lexical.documents.values() {
                let mut value = documents.value(source, *score);
                if value > documents.top[0] || (value == documents.top[0] && score.matched > documents.held) {
                    documents.held = score.matched;
                }
                for place in &mut documents.top {
                    if value > *place {
                        std::mem::swap(place, &mut value);
                    }
                }
            }
        }
        documents
    }

    /// How well a document matches, beside the best: 0 to 1.
    fn value(&self, source: usize, score: DocumentScore) -> f32 {
        let ceiling = self.ceilings.get(source).copied().unwrap_or(1.0);
        BODY * share(score.body / ceiling, self.best_body) + (1.0 - BODY) * share(score.head / ceiling, self.best_head)
    }

    /// What the document part of every passage is multiplied by.
    fn weight(&self) -> f32 {
        if self.count < 2 {
            return 0.0;
        }
        let rival = self.top[RIVAL.min(self.count) - 1];
        let lead = share(self.top[0] - rival, self.top[0]);
        let clearness = ((lead - CLEAR.0) / (CLEAR.1 - CLEAR.0)).clamp(0.0, 1.0);
        let longer_than_passages = 1.0 - share(self.count as f32, self.passages as f32).min(1.0);
        let held = (self.held / DOCUMENT_HOLDS).clamp(0.0, 1.0);
        (DOCUMENT.0 + (DOCUMENT.1 - DOCUMENT.0) * clearness) * held * longer_than_passages
    }
}

/// What a passage that held the whole question would score, had it the word counts of the best one here.
///
/// BM25 of a passage is at most its share of the question's idf times a constant of the question. The greatest ratio seen is
/// that constant, less what no passage saturates; dividing by it makes scores of collections with other idfs comparable.
fn passage_ceiling(lexical: &LexicalHits) -> f32 {
    let ratios = lexical.passages.iter().map(|hit| share(finite(hit.score), hit.matched));
    positive(ratios.fold(0.0, f32::max))
}

/// The same for whole documents.
fn document_ceiling(lexical: &LexicalHits) -> f32 {
    let ratios = lexical.documents.values().map(|score| share(finite(score.body), score.matched));
    positive(ratios.fold(0.0, f32::max))
}

/// Stretches values so that the least is 0 and the greatest 1, or less where they are closer together than `narrowest`:
/// among a handful of passages that are alike, the small difference between them must not decide alone.
fn stretched(values: &[f32], narrowest: f32) -> Vec<f32> {
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let greatest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let width = (greatest - least).max(narrowest);
    values.iter().map(|value| if width > 0.0 && width.is_finite() { (value - least) / width } else { 0.0 }).collect()
}

fn share(part: f32, whole: f32) -> f32 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn positive(value: f32) -> f32 {
    if value > 0.0 && value.is_finite() { value } else { 1.0 }
}

fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
#[path = "fuse_tests.rs"]
mod tests;
