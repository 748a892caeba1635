//! `POST /api/v1/answers`: a question in, an answer with its citations out; whole, or as server-sent events.

use std::convert::Infallible;

use axum::Json as Reply;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::Access;
use super::body::{Json, JsonRequest};
use super::openapi::{ModeUnavailable, NoCollection, NotJson, Refusals, WouldMix};
use super::params::Params;
use super::problem::Problem;
use super::search::{check_question, distinct};
use super::types::DocumentRefBody;
use super::{Shared, blocking};
use crate::answer::{Citation, GeneratorInfo};
use crate::ask::Asked;

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
    /// Whether the answer comes as server-sent events.
    #[serde(default)]
    pub stream: Option<bool>,
}

impl JsonRequest for AnswerRequest {
    const LIMIT: usize = 1024 * 1024;
    const FIELDS: &'static [&'static str] = &["question", "collections", "stream"];
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
    /// Whether the quote is exactly that slice of that version.
    pub verified: bool,
}

/// Who wrote an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GeneratorBody {
    /// Its name in the configuration.
    pub name: String,
    /// Its model.
    pub model: String,
    /// Whether it runs here.
    pub local: bool,
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
            verified: citation.verified,
        }
    }
}

impl From<Asked> for AnswerResponse {
    fn from(asked: Asked) -> Self {
        let GeneratorInfo { name, model, local } = asked.answer.generator;
        Self {
            answer: asked.answer.text,
            citations: asked.answer.citations.into_iter().map(CitationBody::from).collect(),
            grounded: asked.answer.grounded,
            generator: GeneratorBody { name, model, local },
            unreadable: asked.unreadable,
        }
    }
}

/// Answers a question from the documents.
///
/// With `stream` the answer comes as server-sent events: `answer` with `{"delta"}`, once or more, then `done` with the whole.
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
    let collections = request.collections.map(distinct);
    let ask = context.door.ask.within(access.reach());
    let asked = blocking(move || ask.answer(collections.as_deref(), &request.question)).await?;
    let whole = AnswerResponse::from(asked);
    if request.stream.unwrap_or(false) { streamed(&whole) } else { Ok(Reply(whole).into_response()) }
}

/// The answer as events. Its citations were checked before the first word is sent, so there is one delta.
fn streamed(whole: &AnswerResponse) -> Result<Response, Problem> {
    let failed = |_| Problem::internal("an answer could not be written as an event");
    let delta = serde_json::json!({ "delta": whole.answer });
    let events = [
        Event::default().event("answer").json_data(delta).map_err(failed)?,
        Event::default().event("done").json_data(whole).map_err(failed)?,
    ];
    Ok(Sse::new(stream::iter(events.map(Ok::<_, Infallible>))).into_response())
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn a_streamed_answer_ends_with_the_whole() {
        let whole = AnswerResponse {
            answer: "In May [1].\nOr June.".to_owned(),
            citations: Vec::new(),
            grounded: true,
            generator: GeneratorBody { name: "extracts".into(), model: "none".into(), local: true },
            unreadable: 0,
        };
        let response = streamed(&whole).unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let text = String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap();
        let events: Vec<&str> = text.trim_end().split("\n\n").collect();
        assert_eq!(
            events[0],
            r#"event: answer
data: {"delta":"In May [1].\nOr June."}"#
        );
        assert!(events[1].starts_with("event: done\ndata: {\"answer\":\"In May [1].\\nOr June.\""), "{text}");
        assert_eq!(events.len(), 2);
    }
}
