//! JSON bodies as OpenAI clients send them: what nobody here knows is passed over, for they send much of it.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use crate::http::problem::{Problem, unsupported_media_type};

/// Longest body: a conversation may carry pictures, which nobody looks at.
const LIMIT: usize = 16 * 1024 * 1024;

/// A request's body as `T`.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if let Some(kind) = request.headers().get(CONTENT_TYPE) {
            let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
            if !kind.eq_ignore_ascii_case("application/json") {
                return Err(unsupported_media_type());
            }
        }
        let bytes = to_bytes(request.into_body(), LIMIT).await.map_err(|error| {
            let too_long =
                std::error::Error::source(&error).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
            if too_long { Problem::too_large(LIMIT as u64) } else { bad("body", "broke off") }
        })?;
        parse(&bytes).map(Self)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let place = error.path().to_string();
        let error = error.into_inner();
        if error.is_syntax() || error.is_eof() {
            return bad("body", &format!("is not valid JSON at line {}, column {}", error.line(), error.column()));
        }
        // The front part of serde's message quotes what was sent; what follows these words is ours.
        let said = error.to_string();
        if let Some(missing) = said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            let missing = if place == "." { missing.to_owned() } else { format!("{place}.{missing}") };
            return bad(&missing, "is missing");
        }
        bad(&place, "has a value of a kind that is not taken here")
    })
}

/// A field with a value that is not allowed.
pub(super) fn bad(field: &str, rule: &str) -> Problem {
    Problem::bad_field(field, rule)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Asked {
        #[allow(dead_code)]
        model: String,
    }

    #[test]
    fn unknown_fields_pass_and_faults_name_their_field_without_its_value() {
        assert!(parse::<Asked>(br#"{"model":"m","tools":[{"x":1}],"seed":3}"#).is_ok());
        for (body, field) in [
            (&b"{}"[..], "model"),
            (br#"{"model":["a secret"]}"#, "model"),
            (br#"{"model":"#, "body"),
            (b"a secret", "body"),
            (b"[1]", "body"),
        ] {
            let told = parse::<Asked>(body).unwrap_err().body("r");
            assert!(!told.detail.contains("secret"), "{}", told.detail);
            assert!(told.fields == [field] || body == b"[1]", "{:?}", told.fields);
        }
    }
}
