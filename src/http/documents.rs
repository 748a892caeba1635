//! Documents: listed, shown (record, text, original bytes), deleted. Putting them is in `upload`.

use std::fs::File;

use axum::Json as Reply;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::stream;
use strongroom_ingest::index::records::DocumentRecord;
use strongroom_ingest::model::DocumentState;
use strongroom_ingest::pipeline::{Pipeline, PipelineError};
use tokio::io::AsyncReadExt;
use utoipa_axum::router::OpenApiRouter;

use super::access::Named;
use super::openapi::{NoCollection, NoDocument, NoPart, Refusals, WatchedCollection};
use super::paging::List;
use super::params::Params;
use super::paths::{DocumentAt, encoded};
use super::problem::Problem;
use super::types::{DocumentBody, DocumentList};
use super::{Context, Shared, blocking};

/// Bytes of an original that are read at a time.
const PIECE: usize = 64 * 1024;

/// Routes that exist only to answer well: a document without a name.
pub(super) fn undescribed() -> OpenApiRouter<std::sync::Arc<Context>> {
    let nameless = || async { Problem::bad_path("is empty") };
    OpenApiRouter::new().route("/api/v1/collections/{collection}/documents/", any(nameless))
}

/// Lists a collection's documents.
#[utoipa::path(
    get, path = "/api/v1/collections/{collection}/documents", tag = "documents", operation_id = "listDocuments",
    params(
        ("collection" = String, Path, description = "The collection's name."),
        ("state" = Option<String>, Query, description = "Only those in this state: `pending`, `indexed` (`partial` ones too), `partial`, `unreadable` or `failed`."),
        ("limit" = Option<u32>, Query, description = "Entries on a page, 1 to 1000; 100 if not given."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses(
        (status = 200, description = "One page of them, by path.", body = DocumentList),
        NoCollection,
        Refusals,
    ),
)]
pub(super) async fn list_documents(
    State(context): Shared,
    Named(collection): Named,
    mut params: Params,
) -> Result<Reply<DocumentList>, Problem> {
    let limit = params.page_limit()?;
    let after = params.text("cursor")?.map(|cursor| List::Documents.after(&cursor)).transpose()?;
    let state = match params.text("state")?.map(|word| word.parse::<DocumentState>()) {
        None => None,
        Some(Ok(state)) => Some(state),
        Some(Err(_)) => {
            let rule = "must be `pending`, `indexed`, `partial`, `unreadable` or `failed`";
            return Err(Problem::bad_field("state", rule));
        }
    };
    params.finish()?;
    let pipeline = context.door.pipeline.clone();
    let page = blocking(move || pipeline.documents(&collection, state, after.as_deref(), limit)).await?;
    Ok(Reply(DocumentList {
        documents: page.documents.into_iter().map(DocumentBody::from).collect(),
        next_cursor: page.next.map(|path| List::Documents.cursor(&path)),
    }))
}

/// What can be had of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Text,
    Original,
}

impl Part {
    fn of_word(word: &str) -> Option<Self> {
        match word {
            "text" => Some(Self::Text),
            "original" => Some(Self::Original),
            _ => None,
        }
    }
}

/// What was found at a URL.
enum Content {
    Record(Box<DocumentRecord>),
    Text(String),
    Original(File, u64, Box<DocumentRecord>),
}

/// Shows a document's record, or with `/text` or `/original` after its path its extracted text or its bytes.
///
/// A document whose path ends so is reached as such first; `part` always works.
#[utoipa::path(
    get, path = "/api/v1/collections/{collection}/documents/{*path}", tag = "documents", operation_id = "getDocument",
    params(
        ("collection" = String, Path, description = "The collection's name."),
        ("path" = String, Path, description = "The document's path; `/` may stand in it as it is or as `%2F`."),
        ("part" = Option<String>, Query, description = "`text` or `original` instead of the record."),
    ),
    responses(
        (status = 200, description = "The record, the text or the bytes.", content(
            (DocumentBody = "application/json"), (String = "text/plain"), (Vec<u8> = "application/octet-stream"),
        )),
        NoDocument,
        NoPart,
        Refusals,
    ),
)]
pub(super) async fn get_document(State(context): Shared, at: DocumentAt, mut params: Params) -> Result<Response, Problem> {
    let part = match params.text("part")? {
        None => None,
        Some(word) => match Part::of_word(&word) {
            Some(part) => Some(part),
            None => return Err(Problem::bad_field("part", "must be `text` or `original`")),
        },
    };
    params.finish()?;
    let pipeline = context.door.pipeline.clone();
    match blocking(move || find(&pipeline, &at, part)).await? {
        Content::Record(record) => Ok(Reply(DocumentBody::from(*record)).into_response()),
        Content::Text(text) => Ok(text_response(text)),
        Content::Original(file, length, record) => Ok(original_response(file, length, &record)),
    }
}

fn find(pipeline: &Pipeline, at: &DocumentAt, part: Option<Part>) -> Result<Content, Problem> {
    if let Some(part) = part {
        return find_part(pipeline, &at.collection, &at.path, part);
    }
    match pipeline.document(&at.collection, &at.path) {
        Err(PipelineError::NoDocument) => match split_part(&at.path) {
            Some((path, part)) => find_part(pipeline, &at.collection, path, part),
            None => Err(PipelineError::NoDocument.into()),
        },
        found => Ok(Content::Record(Box::new(found?))),
    }
}

fn find_part(pipeline: &Pipeline, collection: &str, path: &str, part: Part) -> Result<Content, Problem> {
    match part {
        Part::Text => match pipeline.text(collection, path) {
            Err(PipelineError::Unavailable(_)) => Err(no_text()),
            text => Ok(Content::Text(text?)),
        },
        Part::Original => match pipeline.original(collection, path) {
            Err(PipelineError::Unavailable(_)) => Err(no_original()),
            found => {
                let (file, record) = found?;
                // A watched file may have changed since it was indexed: its length now is what can be sent.
                let length = file.metadata().map_err(|_| no_original())?.len();
                Ok(Content::Original(file, length, Box::new(record)))
            }
        },
    }
}

/// Nothing of the document answers searches.
pub(super) fn no_text() -> Problem {
    let detail = "No text of the document is searchable: it is pending or can't be read; its record says which.";
    Problem::new(StatusCode::CONFLICT, "no_text", "The document has no text to give", detail)
}

fn no_original() -> Problem {
    let detail = "The file is gone from the watched folder, or may not be read.";
    Problem::new(StatusCode::CONFLICT, "no_original", "The document's bytes are not there just now", detail)
}

/// The document's path and the part, of a path that ends in `/text` or `/original`.
fn split_part(path: &str) -> Option<(&str, Part)> {
    let (document, word) = path.rsplit_once('/')?;
    Part::of_word(word).map(|part| (document, part))
}

fn text_response(text: String) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CONTENT_SECURITY_POLICY, "sandbox")];
    (headers, text).into_response()
}

/// The bytes as an attachment that no browser runs: somebody else's HTML must not act in our name.
fn original_response(file: File, length: u64, record: &DocumentRecord) -> Response {
    let mut headers = HeaderMap::new();
    let kind = record.media_type.as_deref().and_then(|kind| HeaderValue::from_str(kind).ok());
    headers.insert(CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    if let Ok(disposition) = HeaderValue::from_str(&disposition(&record.path)) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    let left = tokio::fs::File::from_std(file).take(length);
    let pieces = stream::try_unfold(left, |mut left| async move {
        let mut piece = Vec::with_capacity(PIECE);
        let read = (&mut left).take(PIECE as u64).read_to_end(&mut piece).await?;
        Ok::<_, std::io::Error>((read > 0).then_some((piece, left)))
    });
    (headers, Body::from_stream(pieces)).into_response()
}

/// The file name twice: roughly for old clients, exactly (RFC 8187) for all others.
fn disposition(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() || ".-_ ".contains(letter) { letter } else { '_' }
    };
    let rough: String = name.chars().map(plain).collect();
    format!("attachment; filename=\"{rough}\"; filename*=UTF-8''{}", encoded(name))
}

/// Deletes a document. It is out of every search before the answer is sent.
#[utoipa::path(
    delete, path = "/api/v1/collections/{collection}/documents/{*path}", tag = "documents", operation_id = "deleteDocument",
    params(
        ("collection" = String, Path, description = "The collection's name."),
        ("path" = String, Path, description = "The document's path; `/` may stand in it as it is or as `%2F`."),
        ("purge" = Option<bool>, Query, description = "Whether to wait until its text is gone from every file on disk."),
    ),
    responses(
        (status = 204, description = "It is deleted."),
        NoDocument,
        WatchedCollection,
        Refusals,
    ),
)]
pub(super) async fn delete_document(State(context): Shared, at: DocumentAt, mut params: Params) -> Result<StatusCode, Problem> {
    let purge = params.flag("purge")?;
    params.finish()?;
    let pipeline = context.door.pipeline.clone();
    blocking(move || pipeline.delete(&at.collection, &at.path, purge)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::body::to_bytes;
    use strongroom_ingest::model::{DocumentId, Sha256};

    use super::*;

    fn record(path: &str) -> DocumentRecord {
        DocumentRecord {
            id: DocumentId(1),
            path: path.to_owned(),
            title: String::new(),
            state: DocumentState::Indexed,
            reason: None,
            detail: None,
            sha256: Sha256([0; 32]),
            bytes: 0,
            media_type: Some("text/html".to_owned()),
            pages: None,
            missing_pages: Vec::new(),
            chunks: 0,
            modified_at: jiff::Timestamp::UNIX_EPOCH,
            indexed_at: None,
            version: None,
            is_member: false,
            members: Vec::new(),
            author: None,
            written_at: None,
            note: None,
            engines: None,
            qualities: Vec::new(),
            scribe: None,
        }
    }

    #[test]
    fn only_a_last_part_of_that_name_asks_for_a_part() {
        assert_eq!(split_part("a.pdf/text"), Some(("a.pdf", Part::Text)));
        assert_eq!(split_part("a/b/original"), Some(("a/b", Part::Original)));
        for path in ["text", "a.text", "a/text/b", "a/Text"] {
            assert_eq!(split_part(path), None, "{path}");
        }
    }

    #[test]
    fn a_file_name_can_not_break_out_of_its_header() {
        let value = disposition("a/b\"; x=\r\nSet-Cookie: ü.pdf");
        assert_eq!(
            value,
            "attachment; filename=\"b__ x___Set-Cookie_ _.pdf\"; filename*=UTF-8''b%22%3B%20x%3D%0D%0ASet-Cookie%3A%20%C3%BC.pdf"
        );
        assert!(HeaderValue::from_str(&value).is_ok());
    }

    #[tokio::test]
    async fn an_original_is_streamed_whole_and_as_an_attachment() {
        let bytes: Vec<u8> = (0..200_001_u32).map(|n| n as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let response = original_response(file, bytes.len() as u64, &record("page.html"));
        assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], "sandbox");
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html");
        assert!(response.headers()[CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment;"));
        assert_eq!(to_bytes(response.into_body(), usize::MAX).await.unwrap(), bytes);
    }
}
