//! Is the process up, can it serve, and what does it count: `/healthz`, `/readyz`, `/metrics`.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Json as Reply;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use strongroom_ingest::pipeline::PipelineError;
use utoipa::ToSchema;

use super::access::Access;
use super::metrics::Scrape;
use super::openapi::Refusals;
use super::params::Params;
use super::problem::Problem;
use super::{Shared, blocking};

/// Whether searches by meaning can be served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Dense {
    /// Nobody knows yet.
    #[default]
    Loading,
    /// The model is loaded.
    Ok,
    /// There is no model, for this reason.
    Missing(String),
}

impl fmt::Display for Dense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loading => f.write_str("loading"),
            Self::Ok => f.write_str("ok"),
            Self::Missing(why) => write!(f, "model missing: {why}"),
        }
    }
}

/// How far the process has come up. `app` sets it; `/readyz` shows it.
#[derive(Debug, Default)]
pub struct Readiness {
    state: RwLock<(bool, Dense)>,
}

impl Readiness {
    /// Nothing is there yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The stores are open.
    pub fn stores_open(&self) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).0 = true;
    }

    /// What is known of the embedding model now.
    pub fn set_dense(&self, dense: Dense) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).1 = dense;
    }

    /// What was last said of the embedding model.
    pub fn dense(&self) -> Dense {
        self.state.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Whether the stores are open and the model is loaded, or known to be missing.
    pub fn is_ready(&self) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.0 && state.1 != Dense::Loading
    }
}

/// The process is up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthBody {
    /// Always `ok`.
    pub status: &'static str,
}

/// What can be served.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReadyBody {
    /// Whether searches can be served.
    pub ready: bool,
    /// `ok`, `loading`, or `model missing: …`; then dense and hybrid searches are answered 501. Not told without a key where
    /// one is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense: Option<String>,
    /// Whether every watched folder was looked through once since the start. Not told without a key where one is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swept: Option<bool>,
}

/// Says that the process is up.
#[utoipa::path(
    get, path = "/healthz", tag = "health", operation_id = "health",
    responses((status = 200, description = "It is up.", body = HealthBody), Refusals),
)]
pub(super) async fn healthz() -> Reply<HealthBody> {
    Reply(HealthBody { status: "ok" })
}

/// Says whether searches can be served, and what is missing.
#[utoipa::path(
    get, path = "/readyz", tag = "health", operation_id = "ready",
    responses(
        (status = 200, description = "The stores are open, and the model is loaded or known to be missing.", body = ReadyBody),
        (status = 503, description = "Not yet; also the problems of every route, by their content type.", body = ReadyBody),
        Refusals,
    ),
)]
pub(super) async fn readyz(State(context): Shared, access: Access) -> Result<Response, Problem> {
    if !access.is_known() {
        return Ok(ready_response(&context.door.ready, None));
    }
    let (pipeline, ready) = (context.door.pipeline.clone(), &context.door.ready);
    let progress = blocking(move || Ok::<_, PipelineError>(pipeline.progress())).await?;
    Ok(ready_response(ready, Some(progress.swept)))
}

/// With `swept` the details are told.
fn ready_response(readiness: &Readiness, swept: Option<bool>) -> Response {
    let ready = readiness.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let dense = swept.map(|_| readiness.dense().to_string());
    (status, Reply(ReadyBody { ready, dense, swept })).into_response()
}

/// Shows what is counted, for Prometheus. No name of a collection or document is in it.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses(
        (status = 200, description = "OpenMetrics text.", body = String, content_type = "application/openmetrics-text"),
        Refusals,
    ),
)]
pub(super) async fn metrics(State(context): Shared, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    let (pipeline, outbound) = (context.door.pipeline.clone(), Arc::clone(&context.door.outbound));
    let scrape = blocking(move || {
        let progress = pipeline.progress();
        Ok::<_, PipelineError>(Scrape { progress, collections: pipeline.collections()?, outbound: outbound() })
    });
    context.door.metrics.take(&scrape.await?);
    context.door.metrics.take_waking(&context.door.roster);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], context.door.metrics.encode()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_open_stores_and_a_known_state_of_the_model() {
        let readiness = Readiness::new();
        assert!(!readiness.is_ready());
        readiness.stores_open();
        assert!(!readiness.is_ready());
        assert_eq!(ready_response(&readiness, Some(false)).status(), 503);
        readiness.set_dense(Dense::Missing("no network".to_owned()));
        assert!(readiness.is_ready());
        assert_eq!(readiness.dense().to_string(), "model missing: no network");
        assert_eq!(ready_response(&readiness, Some(false)).status(), 200);
        readiness.set_dense(Dense::Ok);
        assert_eq!(readiness.dense().to_string(), "ok");
    }
}
