//! The shape that errors have at each door: problem documents over REST, and what the clients of the other doors expect.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::problem::Problem;

/// The shape of a door's errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// RFC 9457.
    Problem,
    /// As Qdrant has them.
    Qdrant,
    /// JSON-RPC 2.0, as MCP has them.
    JsonRpc,
    /// As OpenAI has them.
    OpenAi,
}

impl Shape {
    /// The shape that is expected at this path.
    pub fn of(path: &str) -> Self {
        let below = |door: &str| path.strip_prefix(door).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if below("/qdrant") {
            Self::Qdrant
        } else if below("/mcp") {
            Self::JsonRpc
        } else if below("/v1") {
            Self::OpenAi
        } else {
            Self::Problem
        }
    }

    /// The finished response for the request of that id.
    pub fn render(self, problem: &Problem, request_id: &str) -> Response {
        let mut response = problem.render(request_id);
        let body = match self {
            Self::Problem => return response,
            Self::Qdrant => qdrant(problem, request_id),
            Self::JsonRpc => json_rpc(problem, request_id),
            Self::OpenAi => openai(problem),
        };
        *response.body_mut() = Body::from(body.to_string());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

fn qdrant(problem: &Problem, request_id: &str) -> Value {
    let body = problem.body(request_id);
    json!({ "status": { "error": body.detail, "code": body.code, "request_id": body.request_id }, "time": 0.0 })
}

fn json_rpc(problem: &Problem, request_id: &str) -> Value {
    let body = problem.body(request_id);
    // The protocol's own codes where it has them; the rest lies in the range that is left to servers.
    let code = match (problem.status(), problem.code()) {
        (_, "bad_json") => -32700,
        (StatusCode::INTERNAL_SERVER_ERROR, _) => -32603,
        (StatusCode::BAD_REQUEST | StatusCode::NOT_ACCEPTABLE | StatusCode::UNSUPPORTED_MEDIA_TYPE, _) => -32600,
        _ => -32000,
    };
    let data = json!({ "code": body.code, "request_id": body.request_id });
    json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": body.detail, "data": data } })
}

/// Also sent inside a stream that has begun.
pub(super) fn openai(problem: &Problem) -> Value {
    let body = problem.body("");
    let kind = match problem.status().as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    };
    json!({ "error": { "message": body.detail, "type": kind, "param": body.fields.first(), "code": body.code } })
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[test]
    fn a_door_is_known_by_its_whole_name() {
        for (path, shape) in [
            ("/qdrant", Shape::Qdrant),
            ("/qdrant/", Shape::Qdrant),
            ("/qdrant/collections/a", Shape::Qdrant),
            ("/qdrants", Shape::Problem),
            ("/mcp", Shape::JsonRpc),
            ("/mcpx", Shape::Problem),
            ("/v1/nothing", Shape::OpenAi),
            ("/api/v1/qdrant", Shape::Problem),
        ] {
            assert_eq!(Shape::of(path), shape, "{path}");
        }
    }

    #[tokio::test]
    async fn each_shape_keeps_the_status_and_when_to_come_back() {
        for (shape, pointer) in [
            (Shape::OpenAi, "/error/message"),
            (Shape::Qdrant, "/status/error"),
            (Shape::JsonRpc, "/error/message"),
            (Shape::Problem, "/detail"),
        ] {
            let response = shape.render(&Problem::busy("Try again later."), "r1");
            assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &HeaderValue::from_static("5")));
            let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let body: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(body.pointer(pointer), Some(&json!("Try again later.")), "{body}");
            assert!(shape == Shape::OpenAi || body.to_string().contains("r1"), "{body}");
        }
    }
}
