//! `PUT /v1/process`: Open WebUI's external document loader. A file in, its text out; nothing is kept.

use axum::Json as Reply;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use strongroom_ingest::pipeline::ReadFile;
use utoipa::ToSchema;

use super::read::bad;
use crate::http::access::Access;
use crate::http::openapi::OpenAiRefusals;
use crate::http::problem::Problem;
use crate::http::{Shared, blocking};
use crate::keys::Scope;

/// Bytes of one file. It is held in memory, so this is less than for documents of a collection.
const MOST: usize = 128 * 1024 * 1024;

/// A file's text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Loaded {
    /// The text; that of what is inside the file follows.
    page_content: String,
    /// What is known of it.
    metadata: LoadedMetadata,
}

/// What is known of a file.
#[derive(Debug, Serialize, ToSchema)]
struct LoadedMetadata {
    /// The file's name, as it was given.
    source: String,
    /// Its title.
    title: Option<String>,
    /// What its bytes are.
    media_type: String,
    /// Its pages, where it has any.
    pages: usize,
    /// What people should know though it was read.
    note: Option<String>,
}

/// Reads a file: bytes in, text out. Nothing is kept.
#[utoipa::path(
    put, path = "/v1/process", tag = "openai", operation_id = "loadDocument",
    params(
        ("X-Filename" = Option<String>, Header, description = "The file's name, %-encoded."),
        ("Content-Type" = Option<String>, Header, description = "What the bytes are; found out if it is not given."),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The file's bytes."),
    responses((status = 200, description = "The text.", body = Loaded), OpenAiRefusals),
)]
pub(super) async fn load_document(
    State(context): Shared,
    access: Access,
    headers: HeaderMap,
    body: Body,
) -> Result<Reply<Loaded>, Problem> {
    // Nothing of a collection is given or changed here; whoever may do either may have a file read.
    if !access.may(Scope::Ingest) {
        access.check(Scope::Read)?;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let given = text("x-filename");
    let name = percent_decode_str(&given).decode_utf8().map_err(|_| bad("X-Filename", "must be %-encoded UTF-8"))?.into_owned();
    if name.len() > 1024 || name.chars().any(char::is_control) {
        return Err(bad("X-Filename", "must be a file's name of at most 1,024 bytes"));
    }
    let kind = text(CONTENT_TYPE.as_str());
    let kind = kind.split(';').next().map(str::trim).filter(|kind| !kind.is_empty() && *kind != "application/octet-stream");
    let kind = kind.map(str::to_owned);
    let full = || Problem::busy("Too many files are being read; try again later.");
    let permit = tokio::time::timeout(context.door.limits.request, context.loads.acquire()).await;
    let _permit = permit.map_err(|_| full())?.map_err(|_| full())?;
    let bytes = tokio::time::timeout(context.door.limits.request, to_bytes(body, MOST)).await;
    let bytes =
        bytes.map_err(|_| Problem::timeout("The file did not come in time."))?.map_err(|_| Problem::too_large(MOST as u64))?;
    let (pipeline, file) = (context.door.pipeline.clone(), name.clone());
    let ReadFile { extraction, members } = blocking(move || match pipeline.read(&file, kind.as_deref(), &bytes) {
        Ok(Ok(read)) => Ok(read),
        Ok(Err((reason, detail))) => Err(Problem::unreadable(Some(reason), Some(&detail))),
        Err(error) => Err(error.into()),
    })
    .await?;
    let mut page_content = extraction.text;
    for (name, text) in members {
        page_content.push_str(&format!("\n\n{name}\n\n{text}"));
    }
    let pages = extraction.pages.iter().filter(|page| page.number.is_some()).count();
    let (title, media_type, note) = (extraction.title, extraction.media_type, extraction.note);
    Ok(Reply(Loaded { page_content, metadata: LoadedMetadata { source: name, title, media_type, pages, note } }))
}
