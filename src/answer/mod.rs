//! Passages to an answer: a generator behind a trait, citations checked against the stored text.

mod attest;
mod cancel;
mod chat;
mod events;
mod extracts;
mod grounded;
mod job;
mod prompt;
mod queue;
mod rewrite;
mod roster;
mod sentences;
mod sleep;
mod stream;
mod structured;
mod summary;
mod support;
mod wake;
mod way;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use strongroom_ingest::index::DocumentRef;
use strongroom_ingest::model::{CollectionId, Moment, Span, VersionId, page_at};

use crate::retrieve::Hit;

pub use attest::{
    AttestOptions, Attestation, Attestor, Found, Isolation, Reached, Record, RecordError, Records, Speaks, chat_template,
    find_servers, look_at,
};
pub use cancel::{Cancel, Waiting, waiting};
pub use chat::{ChatModel, ChatOptions, Completed};
pub use extracts::Extracts;
pub use job::{Kind, Schema};
pub use roster::{Entry, Look, Readiness, Roster};
pub use sleep::SleepOptions;
pub(crate) use support::names;
pub use wake::{Awake, Machine, WakeOptions};

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
    /// When they are said, where the document is a recording; else empty.
    pub moments: Vec<Moment>,
    /// Whether the quote is byte for byte that slice of that version.
    pub verified: bool,
    /// How good the passage is that it is from, as [`Hit::score`] says.
    pub score: f32,
    /// The value of a structured result that it stands for, as a JSON pointer.
    pub pointer: Option<String>,
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
    /// The result, where a schema was given; the text is then its JSON.
    pub result: Option<Value>,
    /// Values of the result that stand word for word in no passage, as JSON pointers.
    pub unsupported: Vec<String>,
    /// How it came to be.
    pub work: Work,
}

/// What a generator did for an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Indexes of the passages that it was shown, rising. The others did not fit.
    pub given: Vec<usize>,
    /// Times that the model was asked.
    pub calls: u32,
    /// Whether a result that did not keep to its schema was repaired.
    pub repaired: bool,
    /// What it cost, as its server says, or by a guess where it does not.
    pub usage: Usage,
    /// The same by one tokenizer for all models.
    pub measured: Usage,
}

impl Work {
    /// Adds a time that the model was asked.
    fn add(&mut self, completed: &Completed) {
        self.calls += 1;
        for (sum, new) in [(&mut self.usage, completed.usage), (&mut self.measured, completed.measured)] {
            sum.prompt += new.prompt;
            sum.completion += new.completion;
        }
    }
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
    /// What is to be done with them.
    pub job: Job<'a>,
    /// Whether somebody still waits.
    pub cancel: &'a Cancel,
}

/// What is to be done with passages.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// What kind of work it is.
    pub kind: Kind,
    /// What the result must be; none for text.
    pub schema: Option<&'a Schema>,
    /// Whether the passages are whole documents in their order, all of which count, rather than the best ones first.
    pub whole: bool,
    /// Tokens that the result may have, where that is not the model's own limit.
    pub answer_tokens: Option<usize>,
    /// How long it may take in all.
    pub longest: Duration,
}

impl Job<'_> {
    /// A question.
    pub const ASK: Self =
        Self { kind: Kind::Ask, schema: None, whole: false, answer_tokens: None, longest: Duration::from_secs(1800) };
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
    /// The result, where a schema was given.
    pub result: Option<Value>,
    /// Values of the result that no quote stands for, as JSON pointers.
    pub unsupported: Vec<String>,
    /// How it came to be.
    pub work: Work,
}

/// A slice of a passage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Index of the passage in the request.
    pub passage: usize,
    /// Bytes of the passage's text.
    pub bytes: Range<usize>,
    /// The value of a structured result that it stands for, as a JSON pointer.
    pub pointer: Option<String>,
}

/// What a generator hands out while it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The next words.
    Words(&'a str),
    /// It cannot begin yet, and has not for so long.
    Held(Held, Duration),
}

/// Why a generator cannot begin yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Its machine is being woken, or it loads its model.
    Waking,
    /// Others came first.
    Queued,
}

impl Held {
    /// As status events show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waking => "waking",
            Self::Queued => "queued",
        }
    }
}

/// Why nothing was written. No variant holds anything of a prompt or an answer.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// It cannot be reached, or is busy; another may be tried.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It is there, and not ready yet.
    #[error("it is loading its model")]
    Loading,
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
    fn generate(&self, request: &GenerateRequest<'_>, sink: &mut dyn FnMut(Piece<'_>)) -> Result<Generated, GeneratorError>;
    /// Has a language model go on with a conversation about these collections, without passages and without citations; none where
    /// this is no language model.
    fn complete(&self, turns: &[Turn], walls: &[CollectionId], cancel: &Cancel) -> Option<Result<Completed, GeneratorError>>;
}

/// Makes an answer of what a generator wrote. `stored` reads the slice of a version from the store, now; a citation is
/// verified only if that is byte for byte what it quotes. Text of a kind that needs sources and has none becomes [`NOT_FOUND`].
pub fn cite<E>(
    generated: Generated,
    kind: Kind,
    passages: &[Hit],
    generator: GeneratorInfo,
    mut stored: impl FnMut(&Hit, Span) -> Result<Option<String>, E>,
) -> Result<Answer, E> {
    let Generated { text, quotes, result, mut unsupported, work } = generated;
    let mut citations = Vec::with_capacity(quotes.len());
    for (at, quote) in quotes.into_iter().enumerate() {
        // A quote of nothing that was given is no source; its number is left unexplained rather than explained wrongly.
        let Some(passage) = passages.get(quote.passage) else { continue };
        let Some(words) = passage.text.get(quote.bytes.clone()) else { continue };
        let start = passage.span.start + passage.text[..quote.bytes.start].chars().count() as u64;
        let span = Span { start, end: start + words.chars().count() as u64 };
        let moments = touched(&passage.moments, span);
        let verified = !words.is_empty() && stored(passage, span)?.as_deref() == Some(words);
        if !verified {
            unsupported.extend(quote.pointer.clone());
        }
        citations.push(Citation {
            n: at + 1,
            collection: passage.collection_name.clone(),
            document: passage.document.clone(),
            version: passage.version,
            // A passage names the page that it begins on; of a recording the quote's own is known.
            page: moments.first().map(|moment| page_at(moment.start_ms)).or(passage.page),
            span,
            quote: words.to_owned(),
            moments,
            verified,
            score: passage.score,
            pointer: quote.pointer,
        });
    }
    let grounded = citations.iter().any(|citation| citation.verified);
    let missing = text.is_empty() || (kind.needs_sources() && !grounded && result.is_none());
    if missing {
        let (text, citations) = (NOT_FOUND.to_owned(), Vec::new());
        return Ok(Answer { text, citations, grounded: false, generator, result, unsupported, work });
    }
    Ok(Answer { text, citations, grounded, generator, result, unsupported, work })
}

/// Those of a passage's moments that a span touches.
fn touched(moments: &[Moment], span: Span) -> Vec<Moment> {
    moments.iter().filter(|moment| moment.span.start < span.end && moment.span.end > span.start).copied().collect()
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
