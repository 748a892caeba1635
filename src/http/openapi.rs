//! The OpenAPI document: generated from the routes, kept in `openapi/openapi.json`, held equal by a test.

use utoipa::IntoResponses;
use utoipa::openapi::{ComponentsBuilder, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

use super::described;
use super::problem::ProblemBody;

/// What stands above the routes.
pub(super) fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Strongroom")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Search and answers over collections of documents that never leave this machine. Errors are RFC 9457 problems; \
             programs decide by their `code`. Positions count Unicode scalar values of a document's extracted text.",
        ))
        .contact(Some(ContactBuilder::new().name(Some("The Strongroom authors")).build()))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    // Errors are described by shapes of their own, which name this schema and do not bring it.
    let components = ComponentsBuilder::new()
        .schema_from::<ProblemBody>()
        .schema_from::<super::openai::OpenAiError>()
        .schema_from::<super::openai::OpenAiErrorBody>()
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// The whole document.
pub fn document() -> OpenApi {
    let mut api = described().into_openapi();
    // The router marks a parameter that spans `/` with a star; OpenAPI knows plain names only.
    let starred: Vec<String> = api.paths.paths.keys().filter(|path| path.contains("{*")).cloned().collect();
    for path in starred {
        if let Some(item) = api.paths.paths.remove(&path) {
            api.paths.paths.insert(path.replace("{*", "{"), item);
        }
    }
    api
}

/// The text of `openapi/openapi.json`.
///
/// # Errors
/// None in practice: the document is plain data.
pub fn text() -> Result<String, serde_json::Error> {
    let value = serde_json::to_value(document())?;
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

/// Describes one error of some routes: its documentation is what the OpenAPI file says of it.
macro_rules! described_error {
    ($name:ident, $status:literal, $says:literal) => {
        #[doc = $says]
        #[derive(IntoResponses)]
        #[response(status = $status, content_type = "application/problem+json")]
        #[allow(dead_code)] // Only its shape is used.
        pub(super) struct $name(ProblemBody);
    };
}

described_error!(NoCollection, 404, "Code `no_collection`.");
described_error!(NoDocument, 404, "Codes `no_collection` and `no_document`.");
described_error!(NoTask, 404, "Code `no_task`.");
described_error!(
    NotDone,
    422,
    "Code `not_done`: no language model did it, and `detail` says who was tried and why not. Code `too_much`: the documents are \
     longer than a task may read."
);
described_error!(UploadStalled, 408, "Code `upload_stalled`: no bytes came for too long.");
described_error!(CollectionExists, 409, "Code `collection_exists`.");
described_error!(WatchedCollection, 409, "Code `watched_collection`: change the file in the watched folder.");
described_error!(NoPart, 409, "Codes `no_text` and `no_original`: the document has none to give, or none just now.");
described_error!(NoText, 409, "Code `no_text`: nothing of the document is searchable, or not yet.");
described_error!(NotMissing, 409, "Codes `not_watched` and `not_missing`: there is no missing folder to give up.");
described_error!(WouldMix, 409, "Code `would_mix`: several collections, not all of which allow it.");
described_error!(TooLarge, 413, "Code `too_large`.");
described_error!(Unreadable, 422, "Code `unreadable`: the document is stored, and `reason` says why it can't be read.");
described_error!(
    ModeUnavailable,
    501,
    "Code `mode_unavailable`: `detail` says what is missing. Another mode is never used instead."
);
described_error!(DiskFull, 507, "Code `disk_full`.");

/// Errors of routes that take JSON.
#[derive(IntoResponses)]
#[allow(dead_code)] // Only its shape is used.
pub(super) enum NotJson {
    /// Code `too_large`.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemBody),
    /// Code `unsupported_media_type`.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(ProblemBody),
}

/// Errors that every route can give.
#[derive(IntoResponses)]
#[allow(dead_code)] // Only its shape is used.
pub(super) enum Refusals {
    /// Codes `unknown_field` and `bad_field` (in `fields`: which), `bad_json`, `bad_request`.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemBody),
    /// Code `unauthorized`: a key is needed, or the one shown is not in use.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(ProblemBody),
    /// Code `open_mode`: the server runs open, and the request has a foreign `Origin` or `Host`, or a proxy's headers.
    /// Code `foreign_origin`: the same of an `Origin` on a server with keys. Code `scope_missing`: the key may not do this.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemBody),
    /// Code `too_many_requests`: the key asks more than its limits allow; come back after `Retry-After` seconds.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(ProblemBody),
    /// Code `internal`: something failed; the server's log says more under the same `request_id`.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(ProblemBody),
    /// Codes `busy` and `timeout`: come back after `Retry-After` seconds. Code `unavailable`: `detail` says what is missing.
    #[response(status = 503, content_type = "application/problem+json")]
    Busy(ProblemBody),
}

/// Errors of the OpenAI-compatible door.
#[derive(IntoResponses)]
#[allow(dead_code)] // Only its shape is used.
pub(super) enum OpenAiRefusals {
    /// `param` says which field is at fault.
    #[response(status = 400)]
    BadRequest(super::openai::OpenAiError),
    /// Code `unauthorized`: a key is needed.
    #[response(status = 401)]
    Unauthorized(super::openai::OpenAiError),
    /// Codes `open_mode`, `foreign_origin` and `scope_missing`.
    #[response(status = 403)]
    Forbidden(super::openai::OpenAiError),
    /// Code `model_not_found`, or `not_found`.
    #[response(status = 404)]
    NotFound(super::openai::OpenAiError),
    /// Code `would_mix`: the model stands for several collections, not all of which allow it.
    #[response(status = 409)]
    WouldMix(super::openai::OpenAiError),
    /// Code `too_large`.
    #[response(status = 413)]
    TooLarge(super::openai::OpenAiError),
    /// Code `unsupported_media_type`.
    #[response(status = 415)]
    UnsupportedMediaType(super::openai::OpenAiError),
    /// Code `unreadable`: a file from which no text can be had.
    #[response(status = 422)]
    Unreadable(super::openai::OpenAiError),
    /// The key asks too much at once, or too often: come back after `Retry-After` seconds.
    #[response(status = 429)]
    TooMany(super::openai::OpenAiError),
    /// Code `internal`.
    #[response(status = 500)]
    Internal(super::openai::OpenAiError),
    /// Codes `mode_unavailable` (no embedding model) and `no_speech` (no speech server).
    #[response(status = 501)]
    Unavailable(super::openai::OpenAiError),
    /// Codes `busy` and `timeout`: come back after `Retry-After` seconds.
    #[response(status = 503)]
    Busy(super::openai::OpenAiError),
}
