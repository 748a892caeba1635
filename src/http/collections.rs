//! Collections: made, listed, shown, destroyed.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use strongroom_ingest::model::Reach;
use strongroom_ingest::pipeline::PipelineError;

use super::access::{Access, Named};
use super::body::Json;
use super::openapi::{CollectionExists, DiskFull, NoCollection, NotJson, Refusals};
use super::paging::List;
use super::params::Params;
use super::problem::Problem;
use super::types::{CollectionBody, CollectionList, CreateCollection, DestroyedBody};
use super::{Shared, blocking};
use crate::usage::UsageError;

/// Makes an empty collection.
#[utoipa::path(
    post, path = "/api/v1/collections", tag = "collections", operation_id = "createCollection",
    request_body = CreateCollection,
    responses(
        (status = 201, description = "It is made.", body = CollectionBody),
        CollectionExists,
        NotJson,
        DiskFull,
        Refusals,
    ),
)]
pub(super) async fn create_collection(
    State(context): Shared,
    access: Access,
    params: Params,
    Json(request): Json<CreateCollection>,
) -> Result<(StatusCode, HeaderMap, Reply<CollectionBody>), Problem> {
    params.finish()?;
    if *access.reach() != Reach::All {
        let detail = "The key is bound to the collections that it was made for; one that reaches all can make others.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", "The key may not do this", detail));
    }
    let pipeline = context.door.pipeline.clone();
    let record = blocking(move || pipeline.create_collection(&request.name)).await?;
    let mut headers = HeaderMap::new();
    // Names of collections are plain ASCII, so this always succeeds.
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/collections/{}", record.name)) {
        headers.insert(LOCATION, location);
    }
    Ok((StatusCode::CREATED, headers, Reply(record.into())))
}

/// Lists all collections.
#[utoipa::path(
    get, path = "/api/v1/collections", tag = "collections", operation_id = "listCollections",
    params(
        ("limit" = Option<u32>, Query, description = "Entries on a page, 1 to 1000; 100 if not given."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "One page of them, by name.", body = CollectionList), Refusals),
)]
pub(super) async fn list_collections(
    State(context): Shared,
    access: Access,
    mut params: Params,
) -> Result<Reply<CollectionList>, Problem> {
    let limit = params.page_limit()?;
    let after = params.text("cursor")?.map(|cursor| List::Collections.after(&cursor)).transpose()?;
    params.finish()?;
    let pipeline = context.door.pipeline.clone();
    let mut records = blocking(move || pipeline.collections()).await?;
    access.keep_seen(&mut records);
    records.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(after) = after {
        records.retain(|record| record.name > after);
    }
    let has_more = records.len() > limit;
    records.truncate(limit);
    let last = records.last().filter(|_| has_more);
    let next_cursor = last.map(|record| List::Collections.cursor(&record.name));
    Ok(Reply(CollectionList { collections: records.into_iter().map(CollectionBody::from).collect(), next_cursor }))
}

/// Shows one collection.
#[utoipa::path(
    get, path = "/api/v1/collections/{collection}", tag = "collections", operation_id = "getCollection",
    params(("collection" = String, Path, description = "The collection's name.")),
    responses(
        (status = 200, description = "Its record.", body = CollectionBody),
        NoCollection,
        Refusals,
    ),
)]
pub(super) async fn get_collection(
    State(context): Shared,
    Named(name): Named,
    params: Params,
) -> Result<Reply<CollectionBody>, Problem> {
    params.finish()?;
    let pipeline = context.door.pipeline.clone();
    Ok(Reply(blocking(move || pipeline.collection(&name)).await?.into()))
}

/// Destroys a collection with everything derived from it. Its watched folder, if it has one, is detached and left in place.
#[utoipa::path(
    delete, path = "/api/v1/collections/{collection}", tag = "collections", operation_id = "destroyCollection",
    params(("collection" = String, Path, description = "The collection's name.")),
    responses(
        (status = 200, description = "It is gone; this is what it held.", body = DestroyedBody),
        NoCollection,
        Refusals,
    ),
)]
pub(super) async fn destroy_collection(
    State(context): Shared,
    Named(name): Named,
    params: Params,
) -> Result<Reply<DestroyedBody>, Problem> {
    params.finish()?;
    let (pipeline, meter) = (context.door.pipeline.clone(), context.door.meter.clone());
    let destroyed = blocking(move || {
        let id = pipeline.collection_id(&name)?.ok_or(PipelineError::NoCollection)?;
        let uncounted = |error: UsageError| Problem::internal(error.to_string());
        // Before, so that the look at what is left finds nothing of it; after, for what was still being answered meanwhile.
        meter.forget(id).map_err(uncounted)?;
        let destroyed = pipeline.destroy(&name)?;
        meter.forget(id).map_err(uncounted)?;
        Ok::<_, Problem>(DestroyedBody::from(destroyed))
    })
    .await?;
    Ok(Reply(destroyed))
}
