//! `POST /api/v1/tasks`: work on documents whose result is a text with citations, or JSON that keeps to a schema.

use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Shared;
use super::access::Access;
use super::answers::{CitationBody, GeneratorBody, TriedBody};
use super::asking::{Asking, Running};
use super::audit::AuditBody;
use super::body::{Json, JsonRequest};
use super::events::streamed;
use super::openapi::{ModeUnavailable, NoDocument, NotDone, NotJson, Refusals, WouldMix};
use super::params::Params;
use super::problem::Problem;
use super::search::{check_question, distinct};
use crate::answer::{Kind, Schema};
use crate::ask::{Asked, Task};
use crate::keys::Scope;

/// Documents of one task.
const MOST_DOCUMENTS: usize = 1_000;
/// Labels of one task.
const MOST_LABELS: usize = 200;

/// Work to be done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskRequest {
    /// `extract`, `summarise`, `classify`, `draft`, `code` or `ask`.
    #[schema(example = "extract")]
    pub task: String,
    /// What is wanted, in words; 1 to 20,000 characters.
    #[schema(min_length = 1, max_length = 20000, example = "Take out the parties, the monthly rent and the notice period.")]
    pub instruction: String,
    /// Names of the collections to work from; all if it is not given. Several need `mix = true` in each one's configuration.
    #[serde(default)]
    pub collections: Option<Vec<String>>,
    /// Paths of the documents to work from, whole, 1 to 1,000. Without it, the passages that suit the instruction best.
    #[serde(default)]
    pub documents: Option<Vec<String>>,
    /// A JSON Schema that the result must keep to: the result is then JSON. It refers to nothing outside itself. Not for `summarise`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// In place of a schema: the result is one of these, as `{"label": …}`. 2 to 200, each once. `classify` needs them, or a schema.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// The only generator that may do it; those of its kind, by the configuration, if it is not given.
    #[serde(default)]
    pub generator: Option<String>,
    /// Whether the result comes as server-sent events.
    #[serde(default)]
    pub stream: Option<bool>,
}

impl JsonRequest for TaskRequest {
    const LIMIT: usize = 1024 * 1024;
    const FIELDS: &'static [&'static str] =
        &["task", "instruction", "collections", "documents", "schema", "labels", "generator", "stream"];
}

/// A result.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TaskResponse {
    /// The kind of task.
    pub task: String,
    /// The text, with `[n]` where a citation belongs; null where a schema or labels were given.
    pub text: Option<String>,
    /// The JSON, which keeps to the schema; null where none was given.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    /// In order of `n`. Those of a result have a `pointer` to the value that they stand for.
    pub citations: Vec<CitationBody>,
    /// Values of a result, as JSON pointers, that stand word for word in nothing that the generator was shown: nobody but the
    /// model says that they are so.
    pub unsupported: Vec<String>,
    /// Whether anything in the documents supports it.
    pub grounded: bool,
    /// Who did it.
    pub generator: GeneratorBody,
    /// Documents of the asked collections that can't be read.
    pub unreadable: u64,
    /// Generators that were tried before this one, and why they did not do it; left out where the first one did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<TriedBody>,
    /// How it came to be.
    pub audit: AuditBody,
}

impl From<Asked> for TaskResponse {
    fn from(asked: Asked) -> Self {
        let answer = asked.answer;
        Self {
            task: asked.trail.task.clone(),
            text: answer.result.is_none().then_some(answer.text),
            result: answer.result,
            citations: answer.citations.into_iter().map(CitationBody::from).collect(),
            unsupported: answer.unsupported,
            grounded: answer.grounded,
            generator: answer.generator.into(),
            unreadable: asked.unreadable,
            tried: asked.tried.into_iter().map(TriedBody::from).collect(),
            audit: asked.trail.into(),
        }
    }
}

/// Does a task on documents.
///
/// `extract` takes facts out, `summarise` shortens (documents longer than the model's context in parts, keeping each statement's
/// source), `classify` sorts under labels, `draft` writes something new, `code` a program, `ask` answers as `/api/v1/answers`. With
/// `stream` the result comes as server-sent events: `text` with `{"delta"}`, then `done` with the whole, which alone is checked and
/// counts. `anew` says that what came so far is void, `status` why nothing comes yet, as for answers, `error` (a problem) ends it.
#[utoipa::path(
    post, path = "/api/v1/tasks", tag = "tasks", operation_id = "doTask",
    request_body = TaskRequest,
    responses(
        (status = 200, description = "The result.", content(
            (TaskResponse = "application/json"), (String = "text/event-stream"),
        )),
        NoDocument,
        WouldMix,
        NotJson,
        NotDone,
        ModeUnavailable,
        Refusals,
    ),
)]
pub(super) async fn do_task(
    State(context): Shared,
    access: Access,
    params: Params,
    Json(request): Json<TaskRequest>,
) -> Result<Response, Problem> {
    params.finish()?;
    check_question("instruction", &request.instruction)?;
    let streams = request.stream.unwrap_or(false);
    let task = task(&request)?;
    if task.documents.is_some() {
        access.check(Scope::Read)?;
    }
    let asking = Asking {
        collections: request.collections.map(distinct),
        text: request.instruction,
        task,
        history: Vec::new(),
        binding: false,
    };
    let running = Running::begin(&context, &access, asking).await?;
    if streams {
        return Ok(streamed(running, "text", TaskResponse::from));
    }
    Ok(Reply(TaskResponse::from(*running.whole().await?)).into_response())
}

fn task(request: &TaskRequest) -> Result<Task, Problem> {
    let bad = Problem::bad_field;
    let kinds = "must be one of `extract`, `summarise`, `classify`, `draft`, `code`, `ask`";
    let kind = Kind::named(&request.task).ok_or_else(|| bad("task", kinds))?;
    let documents = request.documents.clone().map(distinct);
    if documents.as_ref().is_some_and(|paths| paths.is_empty() || paths.len() > MOST_DOCUMENTS) {
        return Err(bad("documents", "must name 1 to 1,000 documents"));
    }
    let schema = match (&request.schema, &request.labels) {
        (Some(_), Some(_)) => return Err(bad("labels", "and `schema` exclude each other").about("schema")),
        (Some(schema), None) => Some(Schema::new(schema.clone()).map_err(|why| bad("schema", &why))?),
        (None, Some(labels)) => {
            let distinct: std::collections::HashSet<&str> = labels.iter().map(|label| label.trim()).collect();
            let is_fine = (2..=MOST_LABELS).contains(&labels.len()) && distinct.len() == labels.len();
            if !is_fine || distinct.contains("") {
                return Err(bad("labels", "must hold 2 to 200 words or phrases, each once"));
            }
            Some(Schema::of_labels(labels).map_err(|why| bad("labels", &why))?)
        }
        (None, None) => None,
    };
    if schema.is_some() && kind == Kind::Summarise {
        return Err(bad("schema", "is not for summaries: `extract` gives JSON"));
    }
    Ok(Task { kind, schema: schema.map(Arc::new), documents, generator: request.generator.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(more: Value) -> Result<Task, Vec<String>> {
        let mut request = json!({ "task": "extract", "instruction": "x" });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        task(&serde_json::from_value(request).unwrap()).map_err(|problem| problem.body("r").fields)
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        assert!(read(json!({ "schema": { "type": "object" } })).unwrap().schema.is_some());
        assert!(read(json!({ "labels": ["a", "b"], "task": "classify" })).unwrap().schema.is_some());
        for (request, field) in [
            (json!({ "task": "think" }), "task"),
            (json!({ "documents": [] }), "documents"),
            (json!({ "schema": [] }), "schema"),
            (json!({ "schema": { "$ref": "https://example.com" } }), "schema"),
            (json!({ "schema": {}, "task": "summarise" }), "schema"),
            (json!({ "labels": ["a"] }), "labels"),
            (json!({ "labels": ["a", " a"] }), "labels"),
            (json!({ "labels": ["a", "b"], "schema": {} }), "labels"),
        ] {
            assert_eq!(read(request.clone()).unwrap_err()[0], field, "{request}");
        }
    }
}
