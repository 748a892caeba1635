//! `POST /v1/audio/transcriptions`: taken, and told plainly that there is no speech server yet.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;

use super::read::bad;
use crate::http::openapi::OpenAiRefusals;
use crate::http::problem::Problem;

/// So much is read and thrown away, so that the client gets to read why it was refused.
const MOST: usize = 32 * 1024 * 1024;
const LONGEST: Duration = Duration::from_secs(10);

/// Writes down what is said in a recording. There is no speech server to ask in this version: always 404 `no_speech`.
#[utoipa::path(
    post, path = "/v1/audio/transcriptions", tag = "openai", operation_id = "transcribe",
    request_body(content = Vec<u8>, content_type = "multipart/form-data", description = "`file` and `model`."),
    responses((status = 200, description = "The text.", body = String), OpenAiRefusals),
)]
pub(super) async fn transcribe(headers: HeaderMap, mut body: Body) -> Result<String, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.to_ascii_lowercase();
    if !kind.starts_with("multipart/form-data") || !kind.contains("boundary=") {
        return Err(bad("file", "must come as `multipart/form-data`"));
    }
    let read = async {
        let mut left = MOST;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, |data| data.len());
            if length > left {
                break;
            }
            left -= length;
        }
    };
    // A client that is slower than this has to do without the reason.
    let _ = tokio::time::timeout(LONGEST, read).await;
    let detail = "No speech server is configured, so recordings can't be written down.";
    Err(Problem::new(StatusCode::NOT_FOUND, "no_speech", "There is no speech server", detail))
}
