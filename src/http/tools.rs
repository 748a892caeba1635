//! Two operations under the names, and in the shapes, that Open WebUI makes citations of when it uses us as an OpenAPI tool
//! server; and the part of the OpenAPI file that a model may be given: what only reads.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strongroom_ingest::index::records::DocumentFilter;
use strongroom_ingest::pipeline::PipelineError;
use utoipa::ToSchema;

use super::access::Access;
use super::body::{Json, JsonRequest};
use super::openapi::{self, ModeUnavailable, NoDocument, NoText, NotJson, Refusals};
use super::params::Params;
use super::problem::Problem;
use super::search::{check_question, distinct};
use super::source::name;
use super::{Shared, blocking};
use crate::retrieve::{Hit, Mode, Query};

/// Characters of a document that a model is given at a time.
const MOST_CHARACTERS: usize = 20_000;
/// The operations that a model may be given.
const READING: &[&str] = &["search", "answer", "listCollections", "query_knowledge_files", "view_file"];

/// A search by a model.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryKnowledge {
    /// What is looked for: a question or words.
    #[schema(min_length = 1, max_length = 20000, example = "notice period for termination")]
    pub query: String,
    /// Passages wanted, 1 to 50; 5 if not given.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 50, default = 5)]
    pub count: Option<u64>,
    /// Names of the collections to search; all if it is not given.
    #[serde(default)]
    pub collections: Option<Vec<String>>,
}

impl JsonRequest for QueryKnowledge {
    const LIMIT: usize = 1024 * 1024;
    const FIELDS: &'static [&'static str] = &["query", "count", "collections"];
}

/// A document that a model wants to see.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ViewFile {
    /// The collection's name and the document's path with a slash between, as `query_knowledge_files` gives it.
    #[schema(example = "acme/contracts/lease.pdf")]
    pub file_id: String,
}

impl JsonRequest for ViewFile {
    const FIELDS: &'static [&'static str] = &["file_id"];
}

/// The beginning of a document.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ViewedFile {
    /// As it was asked for.
    pub id: String,
    /// The document's file name.
    pub filename: String,
    /// Its text, at most 20,000 characters of it.
    pub content: String,
    /// Its collection's name.
    pub knowledge_name: String,
    /// Whether its text goes on.
    pub truncated: bool,
}

/// Finds passages in the documents, for Open WebUI.
///
/// The same search as `search`. The list comes as plain text: only so does Open WebUI make citations of it.
#[utoipa::path(
    post, path = "/api/v1/tools/query_knowledge_files", tag = "tools", operation_id = "query_knowledge_files",
    request_body = QueryKnowledge,
    responses(
        (status = 200, description = "A JSON list of `{content, source, file_id, type, distance}`.", body = String, content_type = "text/plain"),
        NoDocument,
        NotJson,
        ModeUnavailable,
        Refusals,
    ),
)]
pub(super) async fn query_knowledge_files(
    State(context): Shared,
    params: Params,
    access: Access,
    Json(request): Json<QueryKnowledge>,
) -> Result<Response, Problem> {
    params.finish()?;
    check_question("query", &request.query)?;
    let limit = match request.count {
        None => 5,
        Some(count @ 1..=50) => count as usize,
        Some(_) => return Err(Problem::bad_field("count", "must be a whole number from 1 to 50")),
    };
    let query = Query { text: request.query, mode: Mode::Hybrid, limit, filter: DocumentFilter::default(), explain: false };
    let collections = request.collections.map(distinct);
    let ask = context.door.ask.within(access.reach());
    let started = std::time::Instant::now();
    let found = blocking(move || ask.search(collections.as_deref(), &query)).await?;
    context.door.metrics.count_search(Mode::Hybrid, started.elapsed());
    let list: Vec<Value> = found.hits.iter().map(passage).collect();
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], Value::Array(list).to_string()).into_response())
}

/// A hit as Open WebUI's own tool gives it. Passages of one `file_id` become one citation.
fn passage(hit: &Hit) -> Value {
    let page = hit.page.map(|page| format!(", page {page}")).unwrap_or_default();
    json!({
        "content": hit.text,
        "source": format!("{}{page}", name(&hit.document)),
        "file_id": format!("{}/{}", hit.collection_name, hit.document.path),
        "type": "file",
        "distance": hit.score,
    })
}

/// Shows the beginning of a document's text, for Open WebUI.
#[utoipa::path(
    post, path = "/api/v1/tools/view_file", tag = "tools", operation_id = "view_file",
    request_body = ViewFile,
    responses(
        (status = 200, description = "The document.", body = ViewedFile),
        NoDocument,
        NoText,
        NotJson,
        Refusals,
    ),
)]
pub(super) async fn view_file(
    State(context): Shared,
    params: Params,
    access: Access,
    Json(request): Json<ViewFile>,
) -> Result<Reply<ViewedFile>, Problem> {
    params.finish()?;
    let Some((collection, path)) = request.file_id.split_once('/') else {
        return Err(Problem::bad_field("file_id", "must be a collection and a path, with a slash between them"));
    };
    let (collection, path) = (collection.to_owned(), path.to_owned());
    let filename = path.rsplit('/').next().unwrap_or_default().to_owned();
    let knowledge_name = collection.clone();
    let pipeline = context.door.pipeline.clone();
    let text = blocking(move || {
        let collection = access.seen(&pipeline, collection)?;
        pipeline.text(&collection, &path).map_err(text_problem)
    })
    .await?;
    let content: String = text.chars().take(MOST_CHARACTERS).collect();
    let truncated = content.len() < text.len();
    Ok(Reply(ViewedFile { id: request.file_id, filename, content, knowledge_name, truncated }))
}

/// Why a document has no text to give.
pub(super) fn text_problem(error: PipelineError) -> Problem {
    match error {
        PipelineError::Unavailable(_) => super::documents::no_text(),
        other => other.into(),
    }
}

/// The OpenAPI file without what writes, for models: a tool server may be given its address in place of `/openapi.json`.
pub(super) async fn reading() -> Result<Reply<Value>, Problem> {
    let written = serde_json::to_value(openapi::document());
    let mut api = written.map_err(|_| Problem::internal("the OpenAPI document could not be written"))?;
    if let Some(paths) = api.get_mut("paths").and_then(Value::as_object_mut) {
        for item in paths.values_mut().filter_map(Value::as_object_mut) {
            item.retain(|_, operation| operation["operationId"].as_str().is_some_and(|id| READING.contains(&id)));
        }
        paths.retain(|_, item| item.as_object().is_some_and(|item| !item.is_empty()));
    }
    Ok(Reply(api))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_model_is_given_all_that_reads_and_nothing_else() {
        let Reply(api) = reading().await.unwrap();
        let mut ids: Vec<&str> = Vec::new();
        for item in api["paths"].as_object().unwrap().values() {
            ids.extend(item.as_object().unwrap().values().map(|operation| operation["operationId"].as_str().unwrap()));
        }
        ids.sort_unstable();
        let mut expected = READING.to_vec();
        expected.sort_unstable();
        assert_eq!(ids, expected);
    }
}
