//! PUT of a document: its bytes go to disk as they come, never held as a whole, and its answer says how far it got.

use std::time::{Duration, Instant};

use axum::Json as Reply;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use strongroom_ingest::index::records::DocumentRecord;
use strongroom_ingest::model::DocumentState;
use strongroom_ingest::pipeline::{Pipeline, PipelineError, Put};
use tokio::sync::{mpsc, oneshot};

use super::openapi::{DiskFull, NoCollection, Refusals, TooLarge, Unreadable, UploadStalled, WatchedCollection};
use super::params::Params;
use super::paths::DocumentAt;
use super::problem::Problem;
use super::types::DocumentBody;
use super::{Context, Shared, blocking};

/// Pieces of a body between the network and the disk. Small: a fast client shall wait for a slow disk.
const PIECES_AHEAD: usize = 8;
/// How long a refused client may go on sending before it is cut off, so that it gets to read why it was refused.
const DRAIN: Duration = Duration::from_secs(10);
/// How long one look at a document's state blocks a thread; a client that went away is noticed after that.
const LOOK: Duration = Duration::from_secs(2);

/// Puts a document: the request's body is the file.
#[utoipa::path(
    put, path = "/api/v1/collections/{collection}/documents/{*path}", tag = "documents", operation_id = "putDocument",
    params(
        ("collection" = String, Path, description = "The collection's name."),
        ("path" = String, Path, description = "The document's path; `/` may stand in it as it is or as `%2F`."),
        ("wait" = Option<bool>, Query, description = "Whether to answer only when it is searchable."),
        ("Content-Type" = Option<String>, Header, description = "What the bytes are; found out if it is not given."),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The file's bytes."),
    responses(
        (status = 200, description = "There was a document at this path: the same bytes (nothing is done again), or others, now searchable.", body = DocumentBody),
        (status = 201, description = "It is new and searchable.", body = DocumentBody),
        (status = 202, description = "It is stored and will be searchable; `state` says how far it is.", body = DocumentBody),
        NoCollection,
        UploadStalled,
        WatchedCollection,
        TooLarge,
        Unreadable,
        DiskFull,
        Refusals,
    ),
)]
pub(super) async fn put_document(
    State(context): Shared,
    at: DocumentAt,
    mut params: Params,
    headers: HeaderMap,
    mut body: Body,
) -> Result<Response, Problem> {
    let checked = params.flag("wait").and_then(|wait| params.finish().and_then(|()| at.check_new()).map(|()| wait));
    let received = match checked {
        Ok(wait) => receive(&context, &at, &headers, &mut body).await.map(|put| (put, wait)),
        Err(problem) => Err(problem),
    };
    let (put, wait) = match received {
        Ok(received) => received,
        Err(problem) => {
            drain(body, &headers).await;
            return Err(problem);
        }
    };
    let Put { document, created, unchanged } = put;
    let document = if wait { settled(&context, &at, document).await? } else { document };
    let status = match document.state {
        DocumentState::Unreadable => {
            return Err(Problem::unreadable(document.reason, document.detail.as_deref()));
        }
        DocumentState::Indexed | DocumentState::Partial if created => StatusCode::CREATED,
        DocumentState::Indexed | DocumentState::Partial => StatusCode::OK,
        DocumentState::Pending | DocumentState::Failed if unchanged && !wait => StatusCode::OK,
        DocumentState::Pending | DocumentState::Failed => StatusCode::ACCEPTED,
    };
    let mut response = (status, Reply(DocumentBody::from(document))).into_response();
    if let Ok(location) = HeaderValue::from_str(&at.url())
        && created
    {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// One message from the network to the disk. Without an end, the bytes so far are no document.
enum Piece {
    Bytes(Bytes),
    End,
}

/// Takes the whole body, or says why not. On an error some of the body may be left.
async fn receive(context: &Context, at: &DocumentAt, headers: &HeaderMap, body: &mut Body) -> Result<Put, Problem> {
    let limits = &context.door.limits;
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.upload_bytes) {
        return Err(Problem::too_large(limits.upload_bytes));
    }
    let full = || Problem::busy("Too many uploads are coming in; try again later.");
    let permit = tokio::time::timeout(limits.request, context.uploads.acquire()).await;
    let _permit = permit.map_err(|_| full())?.map_err(|_| full())?;

    let (pieces, inbox) = mpsc::channel(PIECES_AHEAD);
    let (opened, is_open) = oneshot::channel();
    let pipeline = context.door.pipeline.clone();
    let (collection, path, kind) = (at.collection.clone(), at.path.clone(), media_type(headers));
    let writing = blocking(move || {
        let target = Target { collection: &collection, path: &path, media_type: kind.as_deref() };
        write_down(&pipeline, &target, inbox, opened)
    });
    let sending = async move {
        // Nothing is read before the pipeline has agreed: a client that asked with `Expect: 100-continue` then sends nothing.
        let opened = is_open.await.is_ok();
        if opened { forward(body, &pieces, limits.upload_idle, limits.upload_bytes).await } else { Ok(()) }
    };
    let (sent, written) = tokio::join!(sending, writing);
    match (sent, written) {
        (Err(problem), _) | (Ok(()), Err(problem)) => Err(problem),
        (Ok(()), Ok(Some(put))) => Ok(put),
        (Ok(()), Ok(None)) => Err(Problem::internal("an upload ended without an end")),
    }
}

struct Target<'a> {
    collection: &'a str,
    path: &'a str,
    media_type: Option<&'a str>,
}

/// The disk's side: none if the network's side gave up.
fn write_down(
    pipeline: &Pipeline,
    target: &Target<'_>,
    mut inbox: mpsc::Receiver<Piece>,
    opened: oneshot::Sender<()>,
) -> Result<Option<Put>, PipelineError> {
    let mut upload = pipeline.upload(target.collection, target.path)?;
    if opened.send(()).is_err() {
        return Ok(None);
    }
    while let Some(piece) = inbox.blocking_recv() {
        match piece {
            Piece::Bytes(bytes) => upload.write(&bytes)?,
            Piece::End => return pipeline.put(upload, target.media_type).map(Some),
        }
    }
    Ok(None)
}

/// The network's side. Ends early, without an error of its own, when the disk's side has refused.
async fn forward(body: &mut Body, pieces: &mpsc::Sender<Piece>, idle: Duration, limit: u64) -> Result<(), Problem> {
    let mut length = 0;
    loop {
        let frame = match tokio::time::timeout(idle, body.frame()).await {
            Err(_) => {
                let detail = "No bytes of the upload came for too long.";
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "upload_stalled", "The upload stalled", detail));
            }
            Ok(Some(Err(_))) => {
                let detail = "The upload broke off before its end.";
                return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_request", "The upload broke off", detail));
            }
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => {
                let _ = pieces.send(Piece::End).await;
                return Ok(());
            }
        };
        if let Ok(bytes) = frame.into_data() {
            length += bytes.len() as u64;
            if length > limit {
                return Err(Problem::too_large(limit));
            }
            if pieces.send(Piece::Bytes(bytes)).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Reads on after a refusal. Most clients read no answer before they have sent everything, and would see a broken connection.
async fn drain(mut body: Body, headers: &HeaderMap) {
    if headers.contains_key(EXPECT) {
        return;
    }
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(DRAIN, reading).await;
}

/// The document once it is no longer pending, or as it is when the longest wait is over.
async fn settled(context: &Context, at: &DocumentAt, document: DocumentRecord) -> Result<DocumentRecord, Problem> {
    let deadline = Instant::now() + context.door.limits.wait;
    let mut document = document;
    while document.state == DocumentState::Pending {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let Ok(Ok(_permit)) = tokio::time::timeout(left, context.waiters.acquire()).await else {
            break;
        };
        let (pipeline, collection, id) = (context.door.pipeline.clone(), at.collection.clone(), document.id);
        let (look, looked) = (left.min(LOOK), Instant::now());
        document = blocking(move || pipeline.wait(&collection, id, look)).await?;
        // Back early and still pending: the pipeline is stopping, and nothing more will come of it in this process.
        if document.state == DocumentState::Pending && looked.elapsed() < look {
            break;
        }
    }
    Ok(document)
}

/// The given media type, with its `charset` and without other parameters; none if it says nothing. Several clients call every
/// body a form.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let given = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let given = given.to_ascii_lowercase();
    let mut parts = given.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let says_something = !matches!(kind, "" | "application/octet-stream" | "application/x-www-form-urlencoded");
    let charset = parts.find_map(|part| part.strip_prefix("charset=")).map(|label| label.trim_matches('"'));
    // Only a well-formed name is kept: it is stored with the document.
    let named = charset.filter(|label| {
        (1..=40).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:.".contains(&byte))
    });
    says_something.then(|| named.map_or_else(|| kind.to_owned(), |label| format!("{kind}; charset={label}")))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// Short enough to be waited for, and only ever waited for where nothing comes.
    const IDLE: Duration = Duration::from_millis(200);

    fn body_of(pieces: Vec<Result<&'static str, std::io::Error>>) -> Body {
        Body::from_stream(stream::iter(pieces))
    }

    async fn forwarded(mut body: Body, limit: u64) -> (Result<(), Problem>, Vec<u8>, bool) {
        let (pieces, mut inbox) = mpsc::channel(PIECES_AHEAD);
        let sending = async move { forward(&mut body, &pieces, IDLE, limit).await };
        let taking = async {
            let (mut bytes, mut ended) = (Vec::new(), false);
            while let Some(piece) = inbox.recv().await {
                match piece {
                    Piece::Bytes(more) => bytes.extend_from_slice(&more),
                    Piece::End => ended = true,
                }
            }
            (bytes, ended)
        };
        let (sent, (bytes, ended)) = tokio::join!(sending, taking);
        (sent, bytes, ended)
    }

    #[tokio::test]
    async fn a_whole_body_ends_and_a_broken_one_does_not() {
        let (sent, bytes, ended) = forwarded(body_of(vec![Ok("one "), Ok("two")]), 100).await;
        assert!(sent.is_ok() && ended);
        assert_eq!(bytes, b"one two");
        let broken = body_of(vec![Ok("one "), Err(std::io::ErrorKind::ConnectionReset.into())]);
        let (sent, _, ended) = forwarded(broken, 100).await;
        assert_eq!(sent.unwrap_err().status(), StatusCode::BAD_REQUEST);
        assert!(!ended);
    }

    #[tokio::test]
    async fn a_body_without_a_length_is_stopped_at_the_limit() {
        let (sent, bytes, ended) = forwarded(body_of(vec![Ok("12345"), Ok("67890"), Ok("x")]), 10).await;
        assert_eq!(sent.unwrap_err().code(), "too_large");
        assert_eq!(bytes.len(), 10);
        assert!(!ended);
    }

    #[tokio::test]
    async fn a_stalled_body_is_given_up() {
        let (sent, _, ended) = forwarded(Body::from_stream(stream::pending::<Result<&str, std::io::Error>>()), 10).await;
        assert_eq!(sent.unwrap_err().code(), "upload_stalled");
        assert!(!ended);
    }

    #[tokio::test]
    async fn a_refusing_disk_stops_the_network_without_an_error() {
        let (pieces, inbox) = mpsc::channel(1);
        drop(inbox);
        let sent = forward(&mut body_of(vec![Ok("x")]), &pieces, Duration::from_secs(5), 10).await;
        assert!(sent.is_ok());
    }

    #[test]
    fn types_that_say_nothing_are_not_passed_on() {
        let cases = [
            (Some("text/plain"), Some("text/plain")),
            (Some("Text/Plain;Charset=\"UTF-8\"; format=flowed"), Some("text/plain; charset=utf-8")),
            (Some("text/plain; charset=no such <thing>"), Some("text/plain")),
            (Some("Application/PDF"), Some("application/pdf")),
            (Some("application/octet-stream"), None),
            (Some("application/x-www-form-urlencoded"), None),
            (None, None),
        ];
        for (given, expect) in cases {
            let mut headers = HeaderMap::new();
            if let Some(given) = given {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(given));
            }
            assert_eq!(media_type(&headers).as_deref(), expect);
        }
    }
}
