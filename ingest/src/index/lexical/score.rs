//! BM25 of passages and of whole documents at once, one word at a time over its postings.
//!
//! A top-k search over passages would not do: the passage that answers a question seldom names the document it is from, so
//! every passage's document is scored by all of its text, at the cost of one more addition a posting.
//!
//! BM25 as in Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), with the idf of Lucene, which is never
//! below zero: ln(1 + (N − df + ½) / (df + ½)). N, df and mean lengths are of the whole collection, whatever the scope.

use tantivy::Term;
use tantivy::schema::{Field, IndexRecordOption};

use super::best::best;
use super::query::{Parsed, Sequence};
use super::schema::{self, Fields};
use super::snapshot::{DELETED, Snapshot};
use super::{DocumentScore, LexicalHits, PassageScore, phrase, prefix};
use crate::model::{ChunkId, Scope};

const K1: f32 = 1.2;
const B: f32 = 0.75;

/// What a word is worth to a passage that lacks it, as a share of what it is worth to its document.
const MISSING_WORD: f32 = 0.5;

/// What a word that nobody wrote is worth to a passage that has words which begin with it.
const BEGINNING: f32 = 0.5;

/// The number of times that a passage holds the word in question.
#[derive(Clone, Copy)]
struct Posting {
    passage: u32,
    count: u32,
}

/// What a passage has gathered so far.
#[derive(Clone, Copy, Default)]
struct PassageSum {
    score: f32,
    /// Sum of the idf of the words it holds.
    matched: f32,
    /// By how much its own scores exceed the shares of its document's.
    above_document: f32,
    /// Number of phrases in quotation marks that it holds.
    musts: u32,
}

/// What a document has gathered so far.
#[derive(Clone, Copy, Default)]
struct DocumentSum {
    body: f32,
    head: f32,
    matched: f32,
}

/// The state of one search: dense sums, linear in the size of the collection, and buffers used again for every word.
struct Scoring<'a> {
    snapshot: &'a Snapshot,
    allowed: Vec<bool>,
    passages: Vec<PassageSum>,
    documents: Vec<DocumentSum>,
    /// What the best possible passage, or document, would match.
    passage_idf: f32,
    document_idf: f32,
    postings: Vec<Posting>,
    /// By slot: how often the document holds the word in question. All zero between words.
    counts: Vec<u32>,
    /// Slots for which that is not zero.
    touched: Vec<u32>,
    /// By slot: the document's score for the word in question; valid for touched slots only.
    word_scores: Vec<f32>,
}

/// Finds passages and scores documents.
pub(super) fn search(
    snapshot: &Snapshot,
    fields: &Fields,
    parsed: &Parsed,
    scope: &Scope,
    limit: usize,
) -> tantivy::Result<LexicalHits> {
    let mut scoring = Scoring::new(snapshot, scope);
    for (stem, word) in schema::stems(&parsed.words) {
        scoring.read_word(fields.stem, &stem)?;
        if scoring.postings.is_empty() && prefix::may_begin(word) {
            scoring.read_beginnings(fields.exact, word)?;
            scoring.add(BEGINNING, false);
        } else {
            scoring.add(1.0, false);
        }
        scoring.read_word(fields.head, &stem)?;
        scoring.add_head();
    }
    for word in &parsed.common {
        scoring.read_word(fields.exact, word)?;
        scoring.add(1.0, false);
    }
    let mut musts = 0;
    for sequence in &parsed.sequences {
        scoring.read_sequence(fields.exact, sequence)?;
        scoring.add(sequence.weight, sequence.must);
        musts += u32::from(sequence.must);
    }
    Ok(scoring.hits(musts, limit))
}

impl<'a> Scoring<'a> {
    fn new(snapshot: &'a Snapshot, scope: &Scope) -> Self {
        Self {
            snapshot,
            allowed: snapshot.allowed(scope),
            passages: vec![PassageSum::default(); snapshot.slot_of.len()],
            documents: vec![DocumentSum::default(); snapshot.documents.len()],
            passage_idf: 0.0,
            document_idf: 0.0,
            postings: Vec::new(),
            counts: vec![0; snapshot.documents.len()],
            touched: Vec::new(),
            word_scores: vec![0.0; snapshot.documents.len()],
        }
    }

    /// Reads the postings of `word`.
    fn read_word(&mut self, field: Field, word: &str) -> tantivy::Result<()> {
        let snapshot = self.snapshot;
        let term = Term::from_field_text(field, word);
        for (reader, place) in snapshot.searcher.segment_readers().iter().zip(&snapshot.segments) {
            let index = reader.inverted_index(field)?;
            let Some(mut blocks) = index.read_block_postings(&term, IndexRecordOption::WithFreqs)? else {
                continue;
            };
            while blocks.block_len() > 0 {
                for (doc, count) in blocks.docs().iter().zip(blocks.freqs()) {
                    self.note(place.base + *doc, *count);
                }
                blocks.advance();
            }
        }
        Ok(())
    }

    /// Reads the postings of all words that begin with `word`, as if they were one.
    fn read_beginnings(&mut self, field: Field, word: &str) -> tantivy::Result<()> {
        let snapshot = self.snapshot;
        for (reader, place) in snapshot.searcher.segment_readers().iter().zip(&snapshot.segments) {
            let index = reader.inverted_index(field)?;
            prefix::occurrences(&index, word, |doc, count| self.note(place.base + doc, count))?;
        }
        Ok(())
    }

    /// Reads where the words of `sequence` follow each other, as if that were one word's postings.
    fn read_sequence(&mut self, field: Field, sequence: &Sequence) -> tantivy::Result<()> {
        let snapshot = self.snapshot;
        for (reader, place) in snapshot.searcher.segment_readers().iter().zip(&snapshot.segments) {
            let index = reader.inverted_index(field)?;
            phrase::occurrences(&index, field, &sequence.words, |doc, count| self.note(place.base + doc, count))?;
        }
        Ok(())
    }

    #[inline]
    fn note(&mut self, passage: u32, count: u32) {
        let slot = self.snapshot.slot_of[passage as usize];
        if slot == DELETED {
            return;
        }
        self.postings.push(Posting { passage, count });
        let sum = &mut self.counts[slot as usize];
        if *sum == 0 {
            self.touched.push(slot);
        }
        *sum += count;
    }

    /// Adds the scores of what was read, and makes ready for the next word.
    fn add(&mut self, weight: f32, must: bool) {
        let totals = self.snapshot.totals;
        let idf = weight * idf(self.snapshot.documents.len(), self.touched.len());
        self.document_idf += idf;
        let norm = Norm::new(idf, totals.document_length);
        for slot in &self.touched {
            let slot = *slot as usize;
            let score = norm.score(self.counts[slot], self.snapshot.documents[slot].length);
            self.counts[slot] = 0;
            self.word_scores[slot] = MISSING_WORD * score;
            self.documents[slot].body += score;
            self.documents[slot].matched += idf;
        }
        self.touched.clear();

        let idf = weight * self::idf(totals.passages as usize, self.postings.len());
        self.passage_idf += idf;
        let norm = Norm::new(idf, totals.passage_length);
        for posting in &self.postings {
            let passage = posting.passage as usize;
            let slot = self.snapshot.slot_of[passage] as usize;
            if !self.allowed[slot] {
                continue;
            }
            let score = norm.score(posting.count, self.snapshot.length_of[passage]);
            let sum = &mut self.passages[passage];
            sum.score += score;
            sum.matched += idf;
            sum.above_document += (score - self.word_scores[slot]).max(0.0);
            sum.musts += u32::from(must);
        }
        self.postings.clear();
    }

    /// Adds the scores of what was read from heads, and makes ready for the next word.
    fn add_head(&mut self) {
        let idf = idf(self.snapshot.documents.len(), self.touched.len());
        let norm = Norm::new(idf, self.snapshot.totals.head_length);
        for slot in &self.touched {
            let slot = *slot as usize;
            self.documents[slot].head += norm.score(self.counts[slot], self.snapshot.documents[slot].head_length);
            self.counts[slot] = 0;
        }
        self.touched.clear();
        self.postings.clear();
    }

    /// What was found, where a passage must hold all of `musts` phrases.
    fn hits(mut self, musts: u32, limit: usize) -> LexicalHits {
        let mut hits = LexicalHits::default();
        for (allowed, document) in self.allowed.iter().zip(&self.snapshot.documents) {
            if *allowed {
                hits.documents_in_scope += 1;
                hits.passages_in_scope += document.passages as usize;
            }
        }
        if musts > 0 {
            self.demand(musts);
        }
        for (slot, sum) in self.documents.iter().enumerate() {
            if self.allowed[slot] && (sum.body > 0.0 || sum.head > 0.0) {
                let matched = share(sum.matched, self.document_idf);
                let score = DocumentScore { body: sum.body, head: sum.head, matched };
                hits.documents.insert(self.snapshot.documents[slot].version, score);
            }
        }
        let scores = self.passages.iter().map(|sum| sum.score);
        for candidate in best(scores, &self.snapshot.chunk_of, limit) {
            let sum = self.passages[candidate.passage];
            let slot = self.snapshot.slot_of[candidate.passage] as usize;
            hits.passages.push(PassageScore {
                chunk: ChunkId(candidate.chunk),
                version: self.snapshot.documents[slot].version,
                score: sum.score,
                matched: share(sum.matched, self.passage_idf),
                missing_document: MISSING_WORD * self.documents[slot].body + sum.above_document,
            });
        }
        hits
    }

    /// Takes away all passages without all of `musts` phrases, and all documents without such a passage.
    fn demand(&mut self, musts: u32) {
        let mut demanded = vec![false; self.allowed.len()];
        for (sum, slot) in self.passages.iter_mut().zip(&self.snapshot.slot_of) {
            if sum.musts < musts {
                *sum = PassageSum::default();
            } else {
                demanded[*slot as usize] = true;
            }
        }
        self.allowed = demanded;
    }
}

/// Lucene's inverse document frequency: `holding` of `all` hold the word.
fn idf(all: usize, holding: usize) -> f32 {
    let (all, holding) = (all as f32, holding as f32);
    ((all - holding + 0.5) / (holding + 0.5)).ln_1p()
}

fn share(part: f32, whole: f32) -> f32 {
    if whole > 0.0 { (part / whole).min(1.0) } else { 0.0 }
}

/// BM25 for one word with all constants multiplied out: factor · count / (count + still + slope · length).
struct Norm {
    factor: f32,
    still: f32,
    slope: f32,
}

impl Norm {
    fn new(idf: f32, mean_length: f32) -> Self {
        Self { factor: idf * (K1 + 1.0), still: K1 * (1.0 - B), slope: K1 * B / mean_length }
    }

    #[inline]
    fn score(&self, count: u32, length: u32) -> f32 {
        let count = count as f32;
        self.factor * count / (count + self.still + self.slope * length as f32)
    }
}
