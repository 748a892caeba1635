//! `POST /api/v1/answers`: a question in, an answer with its citations out; whole, or as server-sent events.

use axum::Json as Reply;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::access::Access;
use super::asking::{Asking, Running};
use super::audit::AuditBody;
use super::body::{Json, JsonRequest};
use super::events::streamed;
use super::openapi::{ModeUnavailable, NoCollection, NotJson, Refusals, WouldMix};
use super::params::Params;
use super::problem::Problem;
use super::recordings::TimeBody;
use super::search::{check_question, distinct};
use super::types::DocumentRefBody;
use crate::answer::{Attestation, Citation, GeneratorInfo};
use crate::ask::{Asked, Task, Tried};
use crate::retrieve::Hit;

/// A question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerRequest {
    /// The question; 1 to 20,000 characters.
    #[schema(min_length = 1, max_length = 20000, example = "When does the lease end?")]
    pub question: String,
    /// Names of the collections to answer from; all if it is not given. Several need `mix = true` in each one's configuration.
    #[serde(default)]
    pub collections: Option<Vec<String>>,
    /// The only generator that may write it; those of the configuration, in order, if it is not given.
    #[serde(default)]
    pub generator: Option<String>,
    /// Whether the answer tells which passages were found, and which of them the generator was shown.
    #[serde(default)]
    pub explain: Option<bool>,
    /// Whether the answer comes as server-sent events.
    #[serde(default)]
    pub stream: Option<bool>,
}

impl JsonRequest for AnswerRequest {
    const LIMIT: usize = 1024 * 1024;
    const FIELDS: &'static [&'static str] = &["question", "collections", "generator", "explain", "stream"];
}

/// An answer with its sources.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AnswerResponse {
    /// The text, with `[n]` where a citation belongs.
    pub answer: String,
    /// In order of `n`.
    pub citations: Vec<CitationBody>,
    /// Whether anything in the documents supports it; false means that nothing was found.
    pub grounded: bool,
    /// Who wrote it.
    pub generator: GeneratorBody,
    /// Documents of the asked collections that can't be read.
    pub unreadable: u64,
    /// Passages that were found and that the generator was not shown, for they did not fit.
    pub left_out: usize,
    /// Generators that were tried before this one, and why they did not answer; left out where the first one did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<TriedBody>,
    /// How it came to be.
    pub audit: AuditBody,
    /// The passages that were found, best first; only with `explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<Vec<PassageBody>>,
}

/// A passage that an answer could have been taken from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PassageBody {
    /// Name of the collection.
    pub collection: String,
    /// The document.
    pub document: DocumentRefBody,
    /// 1-based page; null where the format has none.
    pub page: Option<u32>,
    /// Its first character in the document's text.
    pub start: u64,
    /// One past its last.
    pub end: u64,
    /// How good it is for the question.
    pub score: f32,
    /// Whether the generator was shown it. What did not fit was left out whole.
    pub shown: bool,
}

/// A generator that did not answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TriedBody {
    /// Its name in the configuration.
    pub name: String,
    /// Why it did not.
    pub why: String,
}

/// A claim's source.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CitationBody {
    /// The number that the answer's text uses.
    pub n: usize,
    /// Name of the collection.
    pub collection: String,
    /// The document.
    pub document: DocumentRefBody,
    /// The version that is quoted.
    pub version: u64,
    /// 1-based page; null where the format has none.
    pub page: Option<u32>,
    /// The quote's first character in the document's text.
    pub start: u64,
    /// One past its last character.
    pub end: u64,
    /// The words quoted.
    pub quote: String,
    /// When they are said; only where the document is a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeBody>,
    /// Whether the quote is exactly that slice of that version.
    pub verified: bool,
    /// The value of a result that it stands for, as a JSON pointer; left out for citations of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

/// Who wrote an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GeneratorBody {
    /// Its name in the configuration.
    pub name: String,
    /// Its model.
    pub model: String,
    /// Whether it runs here, and nothing that was found out says otherwise.
    pub local: bool,
    /// What was found out about a language model before it was asked; left out for `extracts`, which asks nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attested: Option<AttestedBody>,
}

/// What is known of a local language model, and by what.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AttestedBody {
    /// Address and port that it was asked at: where its name led once, and that was kept.
    pub endpoint: String,
    /// What serves it, as it says itself.
    pub server: String,
    /// The process that listens there, where the system tells.
    pub process: Option<String>,
    /// The weights, as `sha256:…`; null where nobody reports them and no file is named.
    pub digest: Option<String>,
    /// What it keeps of a prompt: `cache_off` and `salted` keep collections apart, `none` means that it cannot be told to.
    pub isolation: &'static str,
    /// Tokens that it takes in at once, as it says itself; null where it does not.
    pub context: Option<usize>,
    /// What was checked, in words.
    pub checked: String,
}

impl From<&Attestation> for AttestedBody {
    fn from(found: &Attestation) -> Self {
        Self {
            endpoint: found.endpoint.to_string(),
            server: found.server.clone(),
            process: found.process.clone(),
            digest: found.digest.clone(),
            isolation: found.isolation.as_str(),
            context: found.context,
            checked: found.checked.clone(),
        }
    }
}

impl From<GeneratorInfo> for GeneratorBody {
    fn from(info: GeneratorInfo) -> Self {
        let attested = info.attested.map(|found| AttestedBody::from(&*found));
        Self { name: info.name, model: info.model, local: info.local, attested }
    }
}

impl From<Citation> for CitationBody {
    fn from(citation: Citation) -> Self {
        Self {
            n: citation.n,
            collection: citation.collection,
            document: citation.document.into(),
            version: citation.version.0,
            page: citation.page,
            start: citation.span.start,
            end: citation.span.end,
            quote: citation.quote,
            time: TimeBody::of(&citation.moments),
            verified: citation.verified,
            pointer: citation.pointer,
        }
    }
}

impl From<Tried> for TriedBody {
    fn from(Tried { name, why }: Tried) -> Self {
        Self { name, why }
    }
}

impl AnswerResponse {
    pub(super) fn of(asked: Asked, explain: bool) -> Self {
        let passage = |(at, hit): (usize, &Hit)| PassageBody {
            collection: hit.collection_name.clone(),
            document: hit.document.clone().into(),
            page: hit.page,
            start: hit.span.start,
            end: hit.span.end,
            score: hit.score,
            shown: asked.answer.work.given.contains(&at),
        };
        let explain = explain.then(|| asked.passages.iter().enumerate().map(passage).collect());
        Self {
            answer: asked.answer.text,
            citations: asked.answer.citations.into_iter().map(CitationBody::from).collect(),
            grounded: asked.answer.grounded,
            generator: asked.answer.generator.into(),
            unreadable: asked.unreadable,
            left_out: asked.trail.left_out,
            tried: asked.tried.into_iter().map(TriedBody::from).collect(),
            audit: asked.trail.into(),
            explain,
        }
    }
}

/// Answers a question from the documents.
///
/// With `stream` the answer comes as server-sent events while it is written: `answer` with `{"delta"}`, then `done` with the
/// whole, which alone is checked and counts. `anew` says that what came so far is void, `error` (a problem) ends it. `status` with
/// `{"status", "generator", "seconds"}` says every few seconds why no words come: a generator's machine is `waking`, or the
/// question is `queued` behind others.
#[utoipa::path(
    post, path = "/api/v1/answers", tag = "answers", operation_id = "answer",
    request_body = AnswerRequest,
    responses(
        (status = 200, description = "The answer; `grounded` is false if the documents hold none.", content(
            (AnswerResponse = "application/json"), (String = "text/event-stream"),
        )),
        NoCollection,
        WouldMix,
        NotJson,
        ModeUnavailable,
        Refusals,
    ),
)]
pub(super) async fn answer(
    State(context): Shared,
    access: Access,
    params: Params,
    Json(request): Json<AnswerRequest>,
) -> Result<Response, Problem> {
    params.finish()?;
    check_question("question", &request.question)?;
    let task = Task { generator: request.generator, ..Task::ASK };
    let explain = request.explain.unwrap_or(false);
    let collections = request.collections.map(distinct);
    let asking = Asking { collections, text: request.question, task, history: Vec::new(), binding: false };
    let running = Running::begin(&context, &access, asking).await?;
    if request.stream.unwrap_or(false) {
        return Ok(streamed(running, "answer", move |asked| AnswerResponse::of(asked, explain)));
    }
    Ok(Reply(AnswerResponse::of(*running.whole().await?, explain)).into_response())
}
