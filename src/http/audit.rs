//! How an answer or a result came to be, for whoever asks later: places and numbers, no text.

use axum::Json as Reply;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::access::Access;
use super::openapi::{NoTask, Refusals};
use super::params::Params;
use super::problem::Problem;
use super::{Shared, blocking};
use crate::usage::{Tokens, Trail, TrailSpan};

/// How an answer or a result came to be.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditBody {
    /// Names the task: `GET /api/v1/tasks/{id}` gives this again, for 90 days.
    pub id: String,
    /// When it ended.
    #[schema(format = DateTime)]
    pub at: String,
    /// `ask`, `extract`, `summarise`, `classify`, `draft` or `code`.
    pub task: String,
    /// The generator's name in the configuration.
    pub generator: String,
    /// Its model.
    pub model: String,
    /// The weights, as `sha256:…`; null where they are not known.
    pub digest: Option<String>,
    /// Address and port that it was asked at; null for the built-in one.
    pub endpoint: Option<String>,
    /// Whether it ran here, and nothing that was found out says otherwise.
    pub local: bool,
    /// What it was shown of documents.
    pub spans: Vec<AuditSpan>,
    /// Passages that it was not shown, for they did not fit.
    pub left_out: usize,
    /// Times that the model was asked.
    pub calls: u32,
    /// Whether a result that did not keep to its schema was repaired.
    pub repaired: bool,
    /// Tokens by one tokenizer for all models: `tokenizer` of `GET /api/v1/usage` names it.
    pub tokens: TokensBody,
    /// Tokens as the generator's server says, or by a guess where it does not.
    pub reported_tokens: TokensBody,
    /// Milliseconds from the question to the end.
    pub took_ms: u64,
    /// Milliseconds that the generator was at it.
    pub generating_ms: u64,
    /// Milliseconds from asking the generator to its first words; null where it gave none.
    pub first_token_ms: Option<u64>,
}

/// A slice of a version of a document.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditSpan {
    /// The collection's id.
    pub collection: String,
    /// The document's id.
    pub document: String,
    /// Its version.
    pub version: u64,
    /// The first character in the document's text.
    pub start: u64,
    /// One past the last.
    pub end: u64,
}

/// Tokens in and out of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokensBody {
    /// In prompts.
    pub prompt: u64,
    /// In what it wrote.
    pub completion: u64,
}

impl From<Tokens> for TokensBody {
    fn from(Tokens { prompt, completion }: Tokens) -> Self {
        Self { prompt, completion }
    }
}

impl From<Trail> for AuditBody {
    fn from(trail: Trail) -> Self {
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let span =
            |TrailSpan { collection, document, version, start, end }| AuditSpan { collection, document, version, start, end };
        Self {
            id: trail.id,
            at: trail.at,
            task: trail.task,
            generator: trail.generator,
            model: trail.model,
            digest: trail.digest,
            endpoint: trail.endpoint,
            local: trail.local,
            spans: trail.spans.into_iter().map(span).collect(),
            left_out: trail.left_out,
            calls: trail.calls,
            repaired: trail.repaired,
            tokens: trail.tokens.into(),
            reported_tokens: trail.reported.into(),
            took_ms: ms(trail.took),
            generating_ms: ms(trail.generating),
            first_token_ms: trail.first_token.map(ms),
        }
    }
}

/// Shows how an answer or a result came to be.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}", tag = "tasks", operation_id = "getTask",
    params(("id" = String, Path, description = "`audit.id` of the answer or the result.")),
    responses((status = 200, description = "Its audit trail; text of documents or answers is not kept.", body = AuditBody), NoTask, Refusals),
)]
pub(super) async fn get_task(
    State(context): Shared,
    access: Access,
    Path(id): Path<String>,
    params: Params,
) -> Result<Reply<AuditBody>, Problem> {
    params.finish()?;
    let ask = context.door.ask.within(access.reach());
    match blocking(move || ask.trail(&id)).await? {
        Some(trail) => Ok(Reply(trail.into())),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "no_task",
            "There is no such task",
            "There is no task of that id, or it is past its time.",
        )),
    }
}
