//! The generator that is always there: sentences of the documents, word for word, or nothing. It can quote the wrong
//! sentence, but never make one up.

use std::collections::HashSet;
use std::ops::Range;

use strongroom_ingest::model::CollectionId;

use super::support::{Wanted, words};
use super::{
    Cancel, Completed, GenerateRequest, Generated, Generator, GeneratorError, GeneratorInfo, Piece, Quote, Turn, sentences,
};
use crate::retrieve::Hit;

/// Passages that an answer is taken from, at most.
const PASSAGES: usize = 3;
/// Sentences in an answer, at most.
const SENTENCES: usize = 4;
/// A passage holds an answer only if it, with its headings and its document's name, holds this share of the question, by
/// the rarity of its words. Of 600 questions put to documents of quite another matter, one found such a passage; of those
/// put to the right ones, a third to three fifths.
const SUPPORT: f32 = 0.6;
/// Less is enough where the passage means the same as the question: people seldom ask in the words of a contract. With the
/// cosine below, none of those 600 and more than four fifths of the others.
const SUPPORT_OF_NEAR: f32 = 0.4;
/// Cosine from which it does, for the built-in model. The best passage for a question of another matter is below 0.5 nine
/// times in ten, that of the right matter above 0.45.
const NEAR: f32 = 0.55;
/// A sentence must hold this share of the question.
const SENTENCE_SUPPORT: f32 = 0.2;
/// A further sentence must be this good beside the best.
const NEAR_BEST: f32 = 0.6;
/// Fewer words than this are a heading or a number, and no sentence.
const WORDS_IN_SENTENCE: usize = 4;
/// What a sentence of the asked kind (a date, an amount, a name) is worth beside holding the whole question.
const KIND_BONUS: f32 = 0.2;
/// What standing in the best passage is worth.
const PLACE_BONUS: f32 = 0.15;

/// Quotes sentences from the best passages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extracts;

/// A sentence that may be part of the answer.
struct Candidate {
    passage: usize,
    bytes: Range<usize>,
    score: f32,
}

impl Generator for Extracts {
    fn info(&self) -> GeneratorInfo {
        GeneratorInfo { name: "extracts".to_owned(), model: "verbatim sentences".to_owned(), local: true, attested: None }
    }

    fn generate(&self, request: &GenerateRequest<'_>, sink: &mut dyn FnMut(Piece<'_>)) -> Result<Generated, GeneratorError> {
        if !request.job.kind.needs_sources() || request.job.schema.is_some() {
            let why = "this needs a language model: extracts are sentences of the documents, word for word";
            return Err(GeneratorError::Failed(why.into()));
        }
        let mut chosen = chosen(request.question, request.passages);
        chosen.sort_by(|a, b| a.passage.cmp(&b.passage).then(a.bytes.start.cmp(&b.bytes.start)));
        let mut generated = Generated::default();
        generated.work.given = (0..request.passages.len()).collect();
        for candidate in chosen {
            let Some(sentence) = request.passages.get(candidate.passage).and_then(|hit| hit.text.get(candidate.bytes.clone()))
            else {
                continue;
            };
            let gap = if generated.text.is_empty() { "" } else { " " };
            let piece = format!("{gap}{sentence} [{}]", generated.quotes.len() + 1);
            sink(Piece::Words(&piece));
            generated.text.push_str(&piece);
            generated.quotes.push(Quote { passage: candidate.passage, bytes: candidate.bytes, pointer: None });
        }
        Ok(generated)
    }

    fn complete(&self, _: &[Turn], _: &[CollectionId], _: &Cancel) -> Option<Result<Completed, GeneratorError>> {
        None
    }
}

/// The sentences to quote, best first; none where the passages do not hold the answer.
fn chosen(question: &str, passages: &[Hit]) -> Vec<Candidate> {
    let texts: Vec<HashSet<String>> = passages.iter().map(|hit| words(&hit.text)).collect();
    let wanted = Wanted::of(question, &texts);
    let best_score = passages.first().map_or(0.0, |hit| hit.score);
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut supported = 0;
    for (passage, (hit, own)) in passages.iter().zip(&texts).enumerate() {
        let surrounding = words(&format!("{} {} {}", hit.document.path, hit.document.title, hit.heading_path));
        let mut known = surrounding.clone();
        known.extend(own.iter().cloned());
        if supported == PASSAGES || !is_enough(&wanted, &known, cosine(hit)) {
            continue;
        }
        supported += 1;
        let place =
            PLACE_BONUS * if best_score > 0.0 { (hit.score / best_score).clamp(0.0, 1.0) } else { 0.0 } / supported as f32;
        for bytes in sentences::sentences(&hit.text) {
            let sentence = &hit.text[bytes.clone()];
            let held = words(sentence);
            let share = wanted.share(&held);
            if share < SENTENCE_SUPPORT || sentence.split_whitespace().count() < WORDS_IN_SENTENCE {
                continue;
            }
            let kind = if wanted.kind.is_in(sentence) { KIND_BONUS } else { 0.0 };
            candidates.push(Candidate { passage, bytes, score: share + kind + place });
        }
    }
    candidates.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then(a.passage.cmp(&b.passage)).then(a.bytes.start.cmp(&b.bytes.start))
    });
    let bar = candidates.first().map_or(0.0, |best| NEAR_BEST * best.score);
    let mut seen: Vec<HashSet<String>> = Vec::new();
    candidates.retain(|candidate| {
        let held = words(&passages[candidate.passage].text[candidate.bytes.clone()]);
        let is_new = !seen.iter().any(|other| is_repeated(&held, other));
        let stays = candidate.score >= bar && is_new && seen.len() < SENTENCES;
        if stays {
            seen.push(held);
        }
        stays
    });
    candidates
}

/// Whether a passage of these words and this cosine holds enough of the question. One word of several is chance, however
/// rare it is.
fn is_enough(wanted: &Wanted, text: &HashSet<String>, cosine: f32) -> bool {
    let (held, all) = wanted.count(text);
    let needed = if cosine >= NEAR { SUPPORT_OF_NEAR } else { SUPPORT };
    all > 0 && held >= all.min(2) && wanted.share(text) >= needed
}

/// How near a passage is to the question; 0 where nobody measured it.
fn cosine(hit: &Hit) -> f32 {
    hit.explain.as_ref().and_then(|explain| explain.dense_score).unwrap_or(0.0)
}

/// Whether two sentences say nearly the same: drafts of one contract do.
fn is_repeated(words: &HashSet<String>, other: &HashSet<String>) -> bool {
    let shared = words.intersection(other).count();
    let all = words.len() + other.len() - shared;
    all == 0 || shared * 10 >= all * 8
}
