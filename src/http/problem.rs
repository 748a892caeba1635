//! What every error looks like to a client: RFC 9457 bodies with stable codes.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use strongroom_ingest::model::Reason;
use utoipa::ToSchema;

/// Seconds after which a client that was told "busy" may try again.
const RETRY_AFTER_SECONDS: u32 = 5;

/// An error on its way to a client. It travels as a response extension, so that the outermost layer can add the request's id.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Box<str>,
    reason: Option<&'static str>,
    fields: Vec<String>,
    cause: Option<Box<str>>,
    retry_after: Option<u32>,
}

/// The body of every error: RFC 9457 `application/problem+json`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// `urn:strongroom:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:strongroom:problem:no_collection")]
    pub kind: String,
    /// What is wrong in general.
    pub title: String,
    /// The HTTP status.
    #[schema(example = 404)]
    pub status: u16,
    /// The stable name of the error: programs decide by it.
    #[schema(example = "no_collection")]
    pub code: String,
    /// What is wrong here, for people.
    pub detail: String,
    /// The request's id, as in the header `X-Request-Id` and in the log.
    pub request_id: String,
    /// Why a document can't be read; only with the code `unreadable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The request's fields or parameters that are at fault; left out where none is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

impl Problem {
    /// An error with a stable `code`, a `title` that never changes with it, and a `detail` for this one case.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into().into_boxed_str(),
            reason: None,
            fields: Vec::new(),
            cause: None,
            retry_after: None,
        }
    }

    /// Names the field or parameter at fault.
    pub fn about(mut self, field: &str) -> Self {
        self.fields.push(field.to_owned());
        self
    }

    /// Something failed on our side. `cause` goes to the log only.
    pub fn internal(cause: impl Into<String>) -> Self {
        let detail = "Something failed on the server. Its log says more under this request's id.";
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail);
        problem.cause = Some(cause.into().into_boxed_str());
        problem
    }

    /// A field or parameter has a value that is not allowed. `rule` completes "`field` …".
    pub fn bad_field(field: &str, rule: &str) -> Self {
        let detail = format!("`{field}` {rule}.");
        Self::new(StatusCode::BAD_REQUEST, "bad_field", "A field's value is not allowed", detail).about(field)
    }

    /// Fields or parameters that no such request has.
    pub fn unknown_fields(names: Vec<String>) -> Self {
        let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let detail = format!("This request has no {}.", quoted.join(", "));
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "unknown_field", "The request has an unknown field", detail);
        problem.fields = names;
        problem
    }

    /// The document's path breaks a rule; `rule` completes "The document's path …".
    pub fn bad_path(rule: &str) -> Self {
        let detail = format!("The document's path {rule}.");
        Self::new(StatusCode::BAD_REQUEST, "bad_path", "The document's path is not allowed", detail)
    }

    /// More bytes than allowed.
    pub fn too_large(limit: u64) -> Self {
        let detail = format!("At most {limit} bytes are allowed here.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "Too many bytes", detail)
    }

    /// Too much is going on or waiting.
    pub fn busy(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too much is waiting", detail)
    }

    /// The key asked too much; it may come back after so many seconds.
    pub fn too_many(seconds: u32) -> Self {
        let detail = format!("The key asks more than its limits allow: come back in {seconds} s.");
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "The key asks too much", detail);
        problem.retry_after = Some(seconds);
        problem
    }

    /// The request took longer than it may.
    pub fn timeout(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "The request took too long", detail)
    }

    /// A document that can't be read; `detail` is the stored one, if there is any.
    pub fn unreadable(reason: Option<Reason>, detail: Option<&str>) -> Self {
        let word = reason.map_or("unknown", Reason::as_str);
        let told = match detail {
            Some(detail) => format!("The document can't be read ({word}): {detail}"),
            None => format!("The document can't be read ({word})."),
        };
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unreadable", "The document can't be read", told);
        problem.reason = Some(word);
        problem
    }

    /// What to say of an error that is no more than a status, as the router gives for unknown routes and methods.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => {
                Self::new(status, "not_found", "Nothing is here", "There is no such route; see /openapi.json.")
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                let detail = "This route has other methods; the header `Allow` lists them.";
                Self::new(status, "method_not_allowed", "The method is not allowed", detail)
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => unsupported_media_type(),
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(status, "too_large", "Too many bytes", "The request has more bytes than are allowed here.")
            }
            status if status.is_client_error() => {
                Self::new(status, "bad_request", "The request is not valid", "The request can't be understood.")
            }
            status => {
                let mut problem = Self::internal(format!("a handler answered {status} without a reason"));
                problem.status = status;
                problem
            }
        }
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its stable name.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What the log may know and the client may not.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// What the client gets.
    pub fn body(&self, request_id: &str) -> ProblemBody {
        ProblemBody {
            kind: format!("urn:strongroom:problem:{}", self.code),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            detail: self.detail.to_string(),
            request_id: request_id.to_owned(),
            reason: self.reason.map(str::to_owned),
            fields: self.fields.clone(),
        }
    }

    /// The finished response for the request of that id.
    pub fn render(&self, request_id: &str) -> Response {
        // A struct of strings and numbers always serialises; an empty body would be the lesser evil.
        let body = serde_json::to_vec(&self.body(request_id)).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let soon = matches!(self.code, "busy" | "timeout").then_some(RETRY_AFTER_SECONDS);
        if let Some(seconds) = self.retry_after.or(soon) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A body of a type that the route does not take.
pub fn unsupported_media_type() -> Problem {
    let detail = "This route takes `Content-Type: application/json`.";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Not a type this route takes", detail)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render("");
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_says_when_to_come_back() {
        let response = Problem::busy("Try again later.").render("r1");
        assert_eq!(response.headers()[RETRY_AFTER], "5");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn an_unreadable_document_tells_its_reason() {
        let body = Problem::unreadable(Some(Reason::Password), None).body("r1");
        assert_eq!((body.status, body.reason.as_deref()), (422, Some("password")));
    }
}
