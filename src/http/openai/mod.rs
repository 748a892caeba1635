//! The door for OpenAI clients, `/v1`: collections as models that answer with citations, the embedding model, reranking, and
//! what Open WebUI asks of such a server beside that. Errors have OpenAI's shape.

mod audio;
mod chat;
mod chunks;
mod embeddings;
mod filter;
mod loader;
mod models;
mod read;
mod rerank;
mod tasks;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::router::UtoipaMethodRouterExt;
use utoipa_axum::routes;

use super::Context;

/// What is wrong, in OpenAI's shape.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code)] // Only its shape is used: `shape::openai` writes it.
pub(super) struct OpenAiError {
    /// The error.
    pub error: OpenAiErrorBody,
}

/// The error itself.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code)] // Only its shape is used.
pub(super) struct OpenAiErrorBody {
    /// What is wrong, for people.
    pub message: String,
    /// `invalid_request_error`, `authentication_error`, `permission_error`, `rate_limit_error` or `server_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The field at fault.
    pub param: Option<String>,
    /// The stable name of the error.
    pub code: String,
}

/// The routes that the OpenAPI file describes.
pub(super) fn described() -> OpenApiRouter<Arc<Context>> {
    OpenApiRouter::new()
        .routes(routes!(models::list_models))
        .routes(routes!(models::get_model))
        .routes(routes!(chat::chat_completion))
        .routes(routes!(embeddings::create_embeddings))
        .routes(routes!(rerank::rerank))
        .routes(routes!(audio::transcribe).layer(DefaultBodyLimit::max(audio::MOST)))
        .routes(routes!(loader::load_document))
        .routes(routes!(filter::filter_inlet))
        .routes(routes!(filter::filter_outlet))
}

/// The document loader once more, for those who give the server's bare address.
pub(super) fn undescribed() -> OpenApiRouter<Arc<Context>> {
    OpenApiRouter::new().route("/process", axum::routing::put(loader::load_document))
}

/// Seconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
