//! JSON request bodies: read with a limit, and refused with the names of what is wrong, never with the values that were sent.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::{Problem, unsupported_media_type};

/// A request body as JSON.
pub(super) trait JsonRequest: DeserializeOwned {
    /// Longest body in bytes.
    const LIMIT: usize = 64 * 1024;
    /// The fields that there are. A test compares them with the type's schema.
    const FIELDS: &'static [&'static str];
    /// Fields that are objects themselves, with their fields.
    const NESTED: &'static [(&'static str, &'static [&'static str])] = &[];
}

/// Takes a request's body as `T`, or refuses it with a problem.
pub(super) struct Json<T>(pub T);

impl<T: JsonRequest, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if let Some(kind) = request.headers().get(CONTENT_TYPE) {
            let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
            if !kind.eq_ignore_ascii_case("application/json") && !kind.to_ascii_lowercase().ends_with("+json") {
                return Err(unsupported_media_type());
            }
        }
        let bytes = to_bytes(request.into_body(), T::LIMIT).await.map_err(|error| {
            let too_long =
                std::error::Error::source(&error).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
            if too_long { Problem::too_large(T::LIMIT as u64) } else { bad_json("The request's body broke off.") }
        })?;
        parse(&bytes).map(Json)
    }
}

fn parse<T: JsonRequest>(bytes: &[u8]) -> Result<T, Problem> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        bad_json(&format!("The body is not valid JSON at line {}, column {}.", error.line(), error.column()))
    })?;
    let Value::Object(object) = &value else {
        return Err(bad_json("The body must be a JSON object."));
    };

    let mut unknown = strangers(object, T::FIELDS, "");
    for (name, fields) in T::NESTED {
        if let Some(Value::Object(inner)) = object.get(*name) {
            unknown.extend(strangers(inner, fields, &format!("{name}.")));
        }
    }
    if !unknown.is_empty() {
        return Err(Problem::unknown_fields(unknown));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let place = error.path().to_string();
        let said = error.into_inner().to_string();
        if let Some(missing) = said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            let missing = if place == "." { missing.to_owned() } else { format!("{place}.{missing}") };
            return Problem::bad_field(&missing, "is missing");
        }
        // The front part of serde's message quotes what was sent; what was expected instead comes last and is ours.
        match said.rsplit_once(", expected ") {
            Some((_, expected)) => Problem::bad_field(&place, &format!("must be {expected}")),
            None => Problem::bad_field(&place, "has a value that is not allowed"),
        }
    })
}

/// Names of fields that nobody knows. Few and short: somebody may have put a text where a name belongs.
fn strangers(object: &serde_json::Map<String, Value>, known: &[&str], prefix: &str) -> Vec<String> {
    let unknown = object.keys().filter(|name| !known.contains(&name.as_str()));
    unknown.take(20).map(|name| format!("{prefix}{}", name.chars().take(64).collect::<String>())).collect()
}

fn bad_json(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_json", "The body is not the JSON that is needed", detail)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use utoipa::PartialSchema;

    use super::*;
    use crate::http::answers::AnswerRequest;
    use crate::http::search::{Filter, SearchRequest};
    use crate::http::tools::{QueryKnowledge, ViewFile};
    use crate::http::types::{CreateCollection, WatchFolder};

    fn schema_fields<T: PartialSchema>() -> BTreeSet<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{schema}");
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    }

    fn listed(fields: &[&str]) -> BTreeSet<String> {
        fields.iter().map(|field| (*field).to_owned()).collect()
    }

    #[test]
    fn the_lists_of_fields_are_those_of_the_types() {
        assert_eq!(listed(SearchRequest::FIELDS), schema_fields::<SearchRequest>());
        assert_eq!(listed(SearchRequest::NESTED[0].1), schema_fields::<Filter>());
        assert_eq!(listed(AnswerRequest::FIELDS), schema_fields::<AnswerRequest>());
        assert_eq!(listed(QueryKnowledge::FIELDS), schema_fields::<QueryKnowledge>());
        assert_eq!(listed(ViewFile::FIELDS), schema_fields::<ViewFile>());
        assert_eq!(listed(CreateCollection::FIELDS), schema_fields::<CreateCollection>());
        assert_eq!(listed(WatchFolder::FIELDS), schema_fields::<WatchFolder>());
    }

    #[test]
    fn a_wrong_type_is_told_by_its_place_and_never_by_its_value() {
        let problem = parse::<SearchRequest>(br#"{"query":"q","filter":{"paths":["a",{"secret":1}]}}"#).unwrap_err();
        let body = problem.body("r");
        assert_eq!(body.fields, ["filter.paths[1]"]);
        assert!(!body.detail.contains("secret"), "{}", body.detail);
        let sly = parse::<SearchRequest>(br#"{"query":"q","limit":"a, expected secret"}"#).unwrap_err();
        assert!(!sly.body("r").detail.contains("secret"), "{:?}", sly.body("r"));
    }

    #[test]
    fn a_filter_of_thousands_of_paths_is_taken() {
        let paths: Vec<String> = (0..5000).map(|n| format!("folder/of/papers/{n}.pdf")).collect();
        let body = serde_json::json!({"query": "q", "filter": {"paths": paths}}).to_string();
        let request: SearchRequest = parse(body.as_bytes()).unwrap();
        assert_eq!(request.filter.unwrap().paths.unwrap().len(), 5000);
    }
}
