//! What surrounds every request: its id, its time limit, a net for panics, problem bodies, metrics, and one line in the log.
//!
//! The log line and the metrics know the route's template, never the path or the query: those name clients and documents.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::{error, info};

use super::Limits;
use super::metrics::{Metrics, Outcome};
use super::problem::Problem;
use super::shape::Shape;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What the surrounding layer needs.
#[derive(Clone)]
pub(super) struct Around {
    pub metrics: std::sync::Arc<Metrics>,
    pub limits: Limits,
}

/// Puts the layer around all routes, unknown ones included.
pub(super) fn wrapped(routes: Router, around: Around) -> Router {
    routes.layer(from_fn_with_state(around, surround))
}

async fn surround(State(around): State<Around>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = method_name(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let limit = time_limit(request.method(), &route, &around.limits);
    let shape = Shape::of(request.uri().path());

    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    let handled = match limit {
        Some(limit) => tokio::time::timeout(limit, handled).await,
        None => Ok(handled.await),
    };
    let mut response = match handled {
        Ok(Ok(response)) => response,
        // What a panic says may hold anything; it goes to nobody.
        Ok(Err(_)) => Problem::internal("a handler panicked").into_response(),
        Err(_) => Problem::timeout("The request took longer than it may; try again later.").into_response(),
    };

    if let Some(problem) = problem_of(&mut response) {
        if let Some(cause) = problem.cause() {
            error!(request_id = id, route, cause, "a request failed");
        }
        let rendered = shape.render(&problem, &id);
        let allow = response.headers_mut().remove(ALLOW);
        response = rendered;
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, allow);
        }
    }
    add_headers(response.headers_mut(), &id);

    let status = response.status().as_u16();
    let took = started.elapsed();
    info!(request_id = id, method, route, status, ms = took.as_millis() as u64, "request");
    around.metrics.count_request(Outcome { method, route, status }, took);
    response
}

/// The problem that a response is: one that a handler gave, or one made of a bare error status, as the router answers.
fn problem_of(response: &mut Response) -> Option<Problem> {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return Some(problem);
    }
    // Whatever answers in JSON has said its own: `/readyz` does, with a status that is an error to machines only.
    if response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json") {
        return None;
    }
    let status = response.status();
    (status.is_client_error() || status.is_server_error()).then(|| Problem::of_status(status))
}

/// How long a request may take. Uploads, deletions, rebuilds, recordings and tasks work for as long as they need: each has limits of its own.
fn time_limit(method: &Method, route: &str, limits: &Limits) -> Option<Duration> {
    let is_long = ["/rebuild", "/transcriptions", "/tasks"].iter().any(|end| route.ends_with(end));
    if *method == Method::PUT || *method == Method::DELETE || is_long {
        return None;
    }
    Some(if ["/answers", "/completions", "/filter/inlet"].iter().any(|end| route.ends_with(end)) || route == "/mcp" {
        limits.answer
    } else {
        limits.request
    })
}

/// The caller's own id if it is harmless, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !given.is_empty() && given.len() <= 128 && given.bytes().all(harmless) {
        return given.to_owned();
    }
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Differs between runs of the process, so that ids in an old log are not those of a new one.
    static RUN: LazyLock<u32> = LazyLock::new(|| RandomState::new().hash_one("run") as u32);
    format!("{:08x}-{:08x}", *RUN, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Methods are a client's free choice; a metric label must come from a closed set.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => "other",
    }
}

fn add_headers(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::{Body, to_bytes};
    use axum::http::StatusCode;
    use axum::routing::{get, post};
    use serde_json::Value;
    use strongroom_ingest::pipeline::PipelineError;
    use tower::ServiceExt;

    use super::*;
    use crate::http::body::Json;
    use crate::http::search::SearchRequest;

    fn app(limits: Limits) -> (Router, Arc<Metrics>) {
        async fn panics() -> Response {
            panic!("a secret of acme")
        }
        async fn fails() -> Result<(), Problem> {
            Err(PipelineError::Failed("a secret of acme".to_owned()).into())
        }
        async fn sleeps() {
            std::future::pending::<()>().await
        }
        let metrics = Arc::new(Metrics::new());
        let routes = Router::new()
            .route("/panics", get(panics))
            .route("/fails/{name}", get(fails))
            .route("/sleeps", get(sleeps))
            .route("/search", post(|Json(_): Json<SearchRequest>| async {}));
        (wrapped(routes, Around { metrics: Arc::clone(&metrics), limits }), metrics)
    }

    async fn problem(app: Router, request: axum::http::request::Builder, body: impl Into<Body>) -> (StatusCode, Value) {
        let response = app.oneshot(request.body(body.into()).unwrap()).await.unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let status = response.status();
        let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
        let body: Value = serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap();
        assert_eq!(body["request_id"], id);
        assert_eq!(body["status"], status.as_u16());
        assert!(!body.to_string().contains("secret"), "{body}");
        (status, body)
    }

    #[tokio::test]
    async fn every_kind_of_failure_is_a_problem_with_the_requests_id() {
        let (app, _) = app(Limits::default());
        let cases = [
            ("GET", "/panics", 500, "internal"),
            ("GET", "/fails/acme", 500, "internal"),
            ("GET", "/nowhere", 404, "not_found"),
            ("DELETE", "/panics", 405, "method_not_allowed"),
        ];
        for (method, path, status, code) in cases {
            let request = Request::builder().method(method).uri(path).header("x-request-id", "mine-1");
            let (got, body) = problem(app.clone(), request, Body::empty()).await;
            assert_eq!((got.as_u16(), body["code"].as_str().unwrap()), (status, code), "{path}");
            assert_eq!(body["request_id"], "mine-1");
        }
    }

    #[tokio::test]
    async fn a_request_that_takes_too_long_is_given_up() {
        let (app, _) = app(Limits { request: Duration::from_millis(5), ..Limits::default() });
        let (status, body) = problem(app, Request::builder().uri("/sleeps"), Body::empty()).await;
        assert_eq!((status.as_u16(), body["code"].as_str().unwrap()), (503, "timeout"));
    }

    #[tokio::test]
    async fn an_id_that_could_forge_log_lines_is_replaced() {
        let (app, _) = app(Limits::default());
        for id in ["a b", "x\ty", &"x".repeat(129)] {
            let (_, body) = problem(app.clone(), Request::builder().uri("/panics").header("x-request-id", id), "").await;
            assert_ne!(body["request_id"], id);
        }
    }

    #[tokio::test]
    async fn metrics_know_the_route_and_not_the_path() {
        let (app, metrics) = app(Limits::default());
        problem(app.clone(), Request::builder().uri("/fails/acme?q=acme"), "").await;
        problem(app, Request::builder().uri("/acme").method("ACME"), "").await;
        let text = metrics.encode();
        assert!(text.contains("/fails/{name}"), "{text}");
        assert!(!text.contains("acme") && !text.contains("ACME"), "{text}");
    }

    #[tokio::test]
    async fn a_bad_json_body_is_refused_before_the_handler() {
        let (app, _) = app(Limits::default());
        let post = || Request::builder().method("POST").uri("/search").header("content-type", "application/json");
        let cases = [
            (r#"{"query":"x","limits":3,"modus":1}"#, 400, "unknown_field"),
            (r#"{"query":"x","filter":{"paths":[],"path":"a"}}"#, 400, "unknown_field"),
            (r#"{"query":"secret","limit":"a secret"}"#, 400, "bad_field"),
            (r#"{"query":"x","mode":"secret"}"#, 400, "bad_field"),
            (r#"{"limit":3}"#, 400, "bad_field"),
            (r#"{"query":"#, 400, "bad_json"),
            (r#"["secret"]"#, 400, "bad_json"),
        ];
        for (body, status, code) in cases {
            let (got, told) = problem(app.clone(), post(), body).await;
            assert_eq!((got.as_u16(), told["code"].as_str().unwrap()), (status, code), "{body}: {told}");
        }
        let (_, told) = problem(app.clone(), post(), r#"{"query":"x","modus":1,"filter":{"path":"a"}}"#).await;
        assert_eq!(told["fields"], serde_json::json!(["modus", "filter.path"]));
        let plain = Request::builder().method("POST").uri("/search").header("content-type", "text/plain");
        let (status, _) = problem(app.clone(), plain, "{}").await;
        assert_eq!(status.as_u16(), 415);
        let long = format!(r#"{{"query":"{}"}}"#, "x".repeat(9 << 20));
        let (status, _) = problem(app, post(), long).await;
        assert_eq!(status.as_u16(), 413);
    }
}
