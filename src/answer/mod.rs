//! Passages to an answer: a generator behind a trait, citations checked against the stored text.

mod attest;
mod cancel;
mod chat;
mod events;
mod extracts;
mod prompt;
mod rewrite;
mod sentences;
mod stream;
mod support;

use std::ops::Range;
use std::sync::Arc;

use strongroom_ingest::index::DocumentRef;
use strongroom_ingest::model::{CollectionId, Span, VersionId};

use crate::retrieve::Hit;

pub use attest::{AttestOptions, Attestation, Found, Isolation, find_servers, look_at};
pub use cancel::{Cancel, Waiting, waiting};
pub use chat::{ChatModel, ChatOptions, Completed};
pub use extracts::Extracts;
pub(crate) use support::names;

/// What is said when nothing in the documents supports an answer.
pub const NOT_FOUND: &str = "Not found in these documents.";

/// Who wrote an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratorInfo {
    /// Its name in the configuration; `extracts` for the built-in one.
    pub name: String,
    /// Its model.
    pub model: String,
    /// Whether it runs on this machine or an allowed private address, and nothing that was found out says otherwise.
    pub local: bool,
    /// What was found out; none for the built-in one, which has nobody to ask.
    pub attested: Option<Arc<Attestation>>,
}

/// A claim's source: a slice of a document.
#[derive(Clone, Debug)]
pub struct Citation {
    /// The number that the answer's text uses: `[1]`.
    pub n: usize,
    /// Name of the collection.
    pub collection: String,
    /// The document.
    pub document: DocumentRef,
    /// The version that was quoted.
    pub version: VersionId,
    /// 1-based page.
    pub page: Option<u32>,
    /// Where the quote stands in the document's text.
    pub span: Span,
    /// The words quoted.
    pub quote: String,
    /// Whether the quote is byte for byte that slice of that version.
    pub verified: bool,
    /// How good the passage is that it is from, as [`Hit::score`] says.
    pub score: f32,
}

/// An answer with its sources.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The text, with `[n]` where a citation belongs.
    pub text: String,
    /// In order of n.
    pub citations: Vec<Citation>,
    /// Whether anything in the documents supports it; false means "not found".
    pub grounded: bool,
    /// Who wrote it.
    pub generator: GeneratorInfo,
    /// Passages that were found and that the generator was not shown, for they did not fit.
    pub left_out: usize,
    /// What it cost.
    pub usage: Usage,
}

/// What a generator is given.
#[derive(Clone, Copy, Debug)]
pub struct GenerateRequest<'a> {
    /// The question, as typed.
    pub question: &'a str,
    /// What it may use, best first.
    pub passages: &'a [Hit],
    /// The collections asked about, sorted: what a model remembers of one must not reach another.
    pub walls: &'a [CollectionId],
    /// What was said before, oldest first.
    pub history: &'a [Turn],
    /// Whether somebody still waits.
    pub cancel: &'a Cancel,
}

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whoever set the rules.
    System,
    /// The asker.
    User,
    /// The model.
    Assistant,
}

/// Something that was said in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// By whom.
    pub role: Role,
    /// The words.
    pub text: String,
}

/// Tokens that a language model took and gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt: u64,
    /// Tokens of the answer.
    pub completion: u64,
}

/// What a generator gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// The text, with `[n]` where the n-th quote belongs, counted from 1. Empty where nothing supports an answer.
    pub text: String,
    /// What it quotes.
    pub quotes: Vec<Quote>,
    /// Passages that it was not shown, for they did not fit.
    pub left_out: usize,
    /// What it cost.
    pub usage: Usage,
}

/// A slice of a passage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Index of the passage in the request.
    pub passage: usize,
    /// Bytes of the passage's text.
    pub bytes: Range<usize>,
}

/// Why nothing was written. No variant holds anything of a prompt or an answer.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// It cannot be reached, or is busy; another may be tried.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It was silent for longer than it may.
    #[error("it was silent for {0} s")]
    Silent(u64),
    /// It is not what may be used: another place, other weights, or one that mixes collections.
    #[error("it is not used: {0}")]
    Refused(String),
    /// It says that the prompt is too long for it.
    #[error("the prompt is too long for it: set its `context` to what it takes")]
    TooLong,
    /// Nobody waits any more.
    #[error("nobody waits for the answer any more")]
    Cancelled,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Writes answers from passages. A call blocks until the answer is whole.
pub trait Generator: Send + Sync {
    /// Who it is.
    fn info(&self) -> GeneratorInfo;
    /// Writes an answer. Each piece of its text goes to `sink` as soon as it is written; what was handed out is void on an error.
    fn generate(&self, request: &GenerateRequest<'_>, sink: &mut dyn FnMut(&str)) -> Result<Generated, GeneratorError>;
    /// Has a language model go on with a conversation about these collections, without passages and without citations; none where
    /// this is no language model.
    fn complete(&self, turns: &[Turn], walls: &[CollectionId], cancel: &Cancel) -> Option<Result<Completed, GeneratorError>>;
}

/// Makes an answer of what a generator wrote. `stored` reads the slice of a version from the store, now; a citation is
/// verified only if that is byte for byte what it quotes.
pub fn cite<E>(
    generated: Generated,
    passages: &[Hit],
    generator: GeneratorInfo,
    mut stored: impl FnMut(&Hit, Span) -> Result<Option<String>, E>,
) -> Result<Answer, E> {
    let mut citations = Vec::with_capacity(generated.quotes.len());
    for (at, quote) in generated.quotes.iter().enumerate() {
        // A quote of nothing that was given is no source; its number is left unexplained rather than explained wrongly.
        let Some(passage) = passages.get(quote.passage) else { continue };
        let Some(words) = passage.text.get(quote.bytes.clone()) else { continue };
        let start = passage.span.start + passage.text[..quote.bytes.start].chars().count() as u64;
        let span = Span { start, end: start + words.chars().count() as u64 };
        let verified = !words.is_empty() && stored(passage, span)?.as_deref() == Some(words);
        citations.push(Citation {
            n: at + 1,
            collection: passage.collection_name.clone(),
            document: passage.document.clone(),
            version: passage.version,
            page: passage.page,
            span,
            quote: words.to_owned(),
            verified,
            score: passage.score,
        });
    }
    let grounded = citations.iter().any(|citation| citation.verified);
    if generated.text.is_empty() || !grounded {
        let (text, citations) = (NOT_FOUND.to_owned(), Vec::new());
        let Generated { left_out, usage, .. } = generated;
        return Ok(Answer { text, citations, grounded: false, generator, left_out, usage });
    }
    let Generated { text, left_out, usage, .. } = generated;
    Ok(Answer { text, citations, grounded, generator, left_out, usage })
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
