//! MCP over streamable HTTP under `/mcp`: what a model may do with the documents, as tools that only read.
//!
//! Every request is answered by itself, in one JSON body: there is no stream that could outlive a key, hold the server open or
//! show one client's work to another. A session is an id and no more; see [`session`].

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;

use super::Context;
use super::access::Access;
use super::problem::Problem;
use session::Sessions;
use tools::Tools;

mod calls;
mod results;
mod session;
mod tools;

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Longest message, in bytes: a question has at most 20,000 characters.
const LONGEST_MESSAGE: usize = 256 * 1024;
/// Longest text of an error that the protocol's library gives.
const LONGEST_ERROR: usize = 4 * 1024;

/// What answers at this door.
#[derive(Clone)]
struct Server {
    service: StreamableHttpService<Tools, NeverSessionManager>,
    sessions: Arc<Option<Sessions>>,
}

/// The one route of the door.
pub(super) fn router(context: &Arc<Context>) -> Router {
    // `Host` and `Origin` were checked for all doors alike before a request comes here.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(LONGEST_MESSAGE)
        .disable_allowed_hosts();
    let context = Arc::clone(context);
    let tools = move || Ok(Tools::new(Arc::clone(&context)));
    let service = StreamableHttpService::new(tools, Arc::new(NeverSessionManager::default()), config);
    let server = Server { service, sessions: Arc::new(Sessions::new()) };
    Router::new().route("/mcp", any(answer)).with_state(server)
}

/// The part of a message that is looked at here.
#[derive(Deserialize)]
struct Message {
    method: Option<String>,
}

async fn answer(State(server): State<Server>, access: Access, request: Request) -> Result<Response, Problem> {
    let identity = access.identity();
    if let Some(id) = request.headers().get(&SESSION_ID) {
        let known = |sessions: &Sessions| id.to_str().is_ok_and(|id| sessions.knows(id, identity));
        if !server.sessions.as_ref().as_ref().is_some_and(known) {
            return Err(no_session());
        }
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, LONGEST_MESSAGE).await.map_err(|_| Problem::too_large(LONGEST_MESSAGE as u64))?;
    let begins = parts.method == axum::http::Method::POST && message(&bytes)?.method.as_deref() == Some("initialize");

    let response = server.service.handle(Request::from_parts(parts, Body::from(bytes))).await.map(Body::new);
    let mut response = in_our_words(response).await;
    if begins
        && response.status() == StatusCode::OK
        && let Some(id) = server.sessions.as_ref().as_ref().and_then(|sessions| sessions.begin(identity))
        && let Ok(id) = HeaderValue::from_str(&id)
    {
        response.headers_mut().insert(SESSION_ID, id);
    }
    Ok(response)
}

fn message(bytes: &[u8]) -> Result<Message, Problem> {
    serde_json::from_slice(bytes).map_err(|_| {
        let detail = "The body must be one JSON-RPC message: a JSON object.";
        Problem::new(StatusCode::BAD_REQUEST, "bad_json", "The body is not the JSON that is needed", detail)
    })
}

/// A session of another key, of an earlier run, or of nobody: all the same to whoever asks.
fn no_session() -> Problem {
    let detail = "There is no such session: begin a new one with `initialize`.";
    Problem::new(StatusCode::NOT_FOUND, "no_session", "There is no such session", detail)
}

/// Errors that the library tells in plain text become problems; everything else is passed on.
async fn in_our_words(response: Response) -> Response {
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let status = response.status();
    if is_json || status.is_success() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let said = to_bytes(body, LONGEST_ERROR).await.unwrap_or_default();
    let problem = match status.is_server_error() {
        true => Problem::internal("the MCP library failed to answer"),
        false => Problem::new(status, "bad_request", "The request is not valid", String::from_utf8_lossy(&said)),
    };
    let mut response = problem.into_response();
    // What a refusal says beside its body, such as which methods there are.
    parts.headers.remove(CONTENT_TYPE);
    response.headers_mut().extend(parts.headers);
    response
}
