//! What an operator does to a running server: look, pause, rebuild, try again, give a folder up, watch another.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use strongroom_ingest::pipeline::{Pipeline, PipelineError};
use utoipa_axum::router::OpenApiRouter;

use super::access::{Access, Named};
use super::body::Json;
use super::openapi::{DiskFull, NoCollection, NotMissing, Refusals};
use super::params::Params;
use super::problem::Problem;
use super::types::{CollectionBody, IndexingBody, RetriedBody, StatusBody, WatchFolder};
use super::{Context, Shared, blocking};

/// Routes of the control socket alone: they name folders of this machine, which no page in a browser shall do.
pub(super) fn control_only() -> OpenApiRouter<Arc<Context>> {
    OpenApiRouter::new().route("/api/v1/collections/{collection}/watch", post(watch_folder))
}

/// Shows the server at a glance.
#[utoipa::path(
    get, path = "/api/v1/status", tag = "operation", operation_id = "getStatus",
    responses((status = 200, description = "Version, indexing and all collections.", body = StatusBody), Refusals),
)]
pub(super) async fn get_status(State(context): Shared, access: Access, params: Params) -> Result<Reply<StatusBody>, Problem> {
    params.finish()?;
    let pipeline = context.door.pipeline.clone();
    let (indexing, mut records) =
        blocking(move || Ok::<_, PipelineError>((pipeline.progress(), pipeline.collections()?))).await?;
    access.keep_seen(&mut records);
    Ok(Reply(StatusBody {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        dense: context.door.ready.dense().to_string(),
        indexing: indexing.into(),
        collections: records.into_iter().map(CollectionBody::from).collect(),
    }))
}

/// Shows what indexing is doing.
#[utoipa::path(
    get, path = "/api/v1/indexing", tag = "operation", operation_id = "getIndexing",
    responses((status = 200, description = "Progress and estimate.", body = IndexingBody), Refusals),
)]
pub(super) async fn get_indexing(State(context): Shared, params: Params) -> Result<Reply<IndexingBody>, Problem> {
    params.finish()?;
    progress_after(&context, |_| {}).await
}

/// Pauses indexing; searches go on.
#[utoipa::path(
    post, path = "/api/v1/indexing/pause", tag = "operation", operation_id = "pauseIndexing",
    responses((status = 200, description = "What indexing is doing now.", body = IndexingBody), Refusals),
)]
pub(super) async fn pause_indexing(State(context): Shared, params: Params) -> Result<Reply<IndexingBody>, Problem> {
    params.finish()?;
    progress_after(&context, Pipeline::pause).await
}

/// Resumes indexing.
#[utoipa::path(
    post, path = "/api/v1/indexing/resume", tag = "operation", operation_id = "resumeIndexing",
    responses((status = 200, description = "What indexing is doing now.", body = IndexingBody), Refusals),
)]
pub(super) async fn resume_indexing(State(context): Shared, params: Params) -> Result<Reply<IndexingBody>, Problem> {
    params.finish()?;
    progress_after(&context, Pipeline::resume).await
}

async fn progress_after(context: &Context, act: fn(&Pipeline)) -> Result<Reply<IndexingBody>, Problem> {
    let pipeline = context.door.pipeline.clone();
    let progress = blocking(move || {
        act(&pipeline);
        Ok::<_, PipelineError>(pipeline.progress())
    });
    Ok(Reply(progress.await?.into()))
}

/// Builds both indexes of a collection anew from the catalog, with the active model, and answers when they are in use.
#[utoipa::path(
    post, path = "/api/v1/collections/{collection}/rebuild", tag = "operation", operation_id = "rebuildCollection",
    params(("collection" = String, Path, description = "The collection's name.")),
    responses(
        (status = 200, description = "The new indexes answer.", body = CollectionBody),
        NoCollection,
        DiskFull,
        Refusals,
    ),
)]
pub(super) async fn rebuild_collection(
    State(context): Shared,
    Named(name): Named,
    params: Params,
) -> Result<Reply<CollectionBody>, Problem> {
    params.finish()?;
    let pipeline = context.door.pipeline.clone();
    let record = blocking(move || {
        pipeline.rebuild(&name)?;
        pipeline.collection(&name)
    });
    Ok(Reply(record.await?.into()))
}

/// Tries a collection's failed documents again, and those whose reading crashed or took too long.
#[utoipa::path(
    post, path = "/api/v1/collections/{collection}/retry", tag = "operation", operation_id = "retryCollection",
    params(("collection" = String, Path, description = "The collection's name.")),
    responses(
        (status = 200, description = "How many are tried again.", body = RetriedBody),
        NoCollection,
        Refusals,
    ),
)]
pub(super) async fn retry_collection(
    State(context): Shared,
    Named(name): Named,
    params: Params,
) -> Result<Reply<RetriedBody>, Problem> {
    params.finish()?;
    let pipeline = context.door.pipeline.clone();
    Ok(Reply(RetriedBody { retried: blocking(move || pipeline.retry(&name)).await? }))
}

/// Gives a missing watched folder up: its documents are removed as if each had been deleted.
#[utoipa::path(
    post, path = "/api/v1/collections/{collection}/forget", tag = "operation", operation_id = "forgetFolder",
    params(("collection" = String, Path, description = "The collection's name.")),
    responses(
        (status = 204, description = "It is given up."),
        NoCollection,
        NotMissing,
        Refusals,
    ),
)]
pub(super) async fn forget_folder(State(context): Shared, Named(name): Named, params: Params) -> Result<StatusCode, Problem> {
    params.finish()?;
    let pipeline = context.door.pipeline.clone();
    let forgotten = move || match pipeline.forget(&name) {
        Err(PipelineError::Unavailable(_)) => {
            let detail = "The folder is there: delete files in it instead.";
            Err(Problem::new(StatusCode::CONFLICT, "not_missing", "The watched folder is not missing", detail))
        }
        forgotten => forgotten.map_err(Problem::from),
    };
    blocking(forgotten).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Watches a folder as that collection from now on, over restarts too.
async fn watch_folder(
    State(context): Shared,
    Named(name): Named,
    params: Params,
    Json(request): Json<WatchFolder>,
) -> Result<Reply<CollectionBody>, Problem> {
    params.finish()?;
    // The server's working folder is not the caller's: a relative path would mean another folder.
    if !FilePath::new(&request.path).is_absolute() {
        return Err(Problem::bad_field("path", "must be an absolute path"));
    }
    let pipeline = context.door.pipeline.clone();
    let watched = move || match pipeline.watch(&name, PathBuf::from(request.path)) {
        Err(PipelineError::Unavailable(_)) => Err(Problem::bad_field("path", "must be a folder that the server can read")),
        watched => watched.map_err(Problem::from),
    };
    Ok(Reply(blocking(watched).await?.into()))
}
