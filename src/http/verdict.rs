//! The one place where errors of the pipeline and of questions become HTTP statuses and stable codes.

use axum::http::StatusCode;
use strongroom_ingest::pipeline::PipelineError;

use super::problem::Problem;
use crate::ask::AskError;

impl From<PipelineError> for Problem {
    fn from(error: PipelineError) -> Self {
        let said = sentence(&error.to_string());
        match error {
            PipelineError::NoCollection => no_collection(),
            PipelineError::NoDocument => Self::new(StatusCode::NOT_FOUND, "no_document", "There is no such document", said),
            PipelineError::Exists => {
                Self::new(StatusCode::CONFLICT, "collection_exists", "The collection exists already", said)
            }
            PipelineError::BadName => {
                Self::new(StatusCode::BAD_REQUEST, "bad_name", "The name is not allowed", said).about("name")
            }
            PipelineError::BadPath(rule) => Self::bad_path(rule),
            PipelineError::Watched => {
                Self::new(StatusCode::CONFLICT, "watched_collection", "A watched folder keeps this collection", said)
            }
            PipelineError::Member => Self::new(StatusCode::CONFLICT, "member", "It is part of another file", said),
            PipelineError::NotWatched => {
                Self::new(StatusCode::CONFLICT, "not_watched", "No watched folder keeps this collection", said)
            }
            PipelineError::Busy => Self::busy(&said),
            PipelineError::TooLarge { limit } => Self::too_large(limit),
            PipelineError::DiskFull => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", "The disk is nearly full", said)
            }
            PipelineError::Unavailable(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Something needed is not there", said)
            }
            PipelineError::InUse { .. } | PipelineError::Failed(_) => Self::internal(error.to_string()),
        }
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        let said = sentence(&error.to_string());
        match error {
            AskError::NoCollection => no_collection(),
            AskError::ModeUnavailable(_) => {
                Self::new(StatusCode::NOT_IMPLEMENTED, "mode_unavailable", "The mode can't be served", said)
            }
            AskError::Dimension { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "wrong_dimension", "The vector is of another model", said)
            }
            AskError::WouldMix => Self::new(StatusCode::CONFLICT, "would_mix", "The answer would mix collections", said),
            AskError::BrokeOff(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "broke_off", "The language model broke off", said)
            }
            AskError::NoDocument(_) => Self::new(StatusCode::NOT_FOUND, "no_document", "There is no such document", said),
            AskError::TooMuch { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_much", "The documents are too long", said).about("documents")
            }
            AskError::NoGenerator => Self::bad_field("generator", "names no generator of the configuration"),
            AskError::NotDone(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "not_done", "No language model did it", said),
            AskError::Cancelled => Self::busy(&said),
            AskError::Failed(_) => Self::internal(error.to_string()),
        }
    }
}

fn no_collection() -> Problem {
    let detail = "There is no such collection.";
    Problem::new(StatusCode::NOT_FOUND, "no_collection", "There is no such collection", detail)
}

/// Errors begin small and end bare, so that they can be joined; people read sentences.
fn sentence(error: &str) -> String {
    let mut letters = error.chars();
    let mut text: String = letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pipeline_error_has_its_status_and_code() {
        let cases = [
            (PipelineError::NoCollection, 404, "no_collection"),
            (PipelineError::NoDocument, 404, "no_document"),
            (PipelineError::Exists, 409, "collection_exists"),
            (PipelineError::BadName, 400, "bad_name"),
            (PipelineError::BadPath("is odd"), 400, "bad_path"),
            (PipelineError::Watched, 409, "watched_collection"),
            (PipelineError::Member, 409, "member"),
            (PipelineError::NotWatched, 409, "not_watched"),
            (PipelineError::Busy, 503, "busy"),
            (PipelineError::TooLarge { limit: 5 }, 413, "too_large"),
            (PipelineError::DiskFull, 507, "disk_full"),
            (PipelineError::Unavailable("no model".into()), 503, "unavailable"),
            (PipelineError::InUse { pid: 7 }, 500, "internal"),
            (PipelineError::Failed("secret".into()), 500, "internal"),
        ];
        for (error, status, code) in cases {
            let problem = Problem::from(error);
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
        }
    }

    #[test]
    fn each_ask_error_has_its_status_and_code() {
        let cases = [
            (AskError::NoCollection, 404, "no_collection"),
            (AskError::ModeUnavailable("no model".into()), 501, "mode_unavailable"),
            (AskError::Dimension { given: 3, wanted: 384 }, 400, "wrong_dimension"),
            (AskError::WouldMix, 409, "would_mix"),
            (AskError::BrokeOff("its answer broke off".into()), 503, "broke_off"),
            (AskError::NoDocument("a.txt".into()), 404, "no_document"),
            (AskError::TooMuch { tokens: 9, limit: 5 }, 422, "too_much"),
            (AskError::NoGenerator, 400, "bad_field"),
            (AskError::NotDone("small: it is asleep".into()), 422, "not_done"),
            (AskError::Cancelled, 503, "busy"),
            (AskError::Failed("secret".into()), 500, "internal"),
        ];
        for (error, status, code) in cases {
            let problem = Problem::from(error);
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
        }
    }

    #[test]
    fn an_internal_error_keeps_its_cause_from_the_client() {
        let problem = Problem::from(PipelineError::Failed("catalog of acme is broken".into()));
        let body = serde_json::to_string(&problem.body("r1")).unwrap();
        assert!(!body.contains("acme"), "{body}");
        assert_eq!(problem.cause(), Some("catalog of acme is broken"));
    }
}
