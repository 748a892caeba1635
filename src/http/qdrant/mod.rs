//! The Qdrant façade: searches by vector under `/qdrant`, for Open WebUI's external knowledge and any client that only reads.
//!
//! Behind it stands the same search as behind `/api/v1/search`. A vector that this server has made for the same key within the
//! last minute is taken for the text that it was made of, and that text is searched for; any other is searched for as it is.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Json as Reply;
use axum::routing::{any, get, post};
use serde_json::{Value, json};

use super::access::{Access, Named};
use super::body::Json;
use super::problem::Problem;
use super::search::check_question;
use super::{Context, Shared, blocking};
use crate::ask::{Ask, AskError};
use crate::retrieve::{Found, Mode, Query};

mod reply;
mod request;

use reply::envelope;
use request::{Batch, Count, Nearest, Search};

/// The routes; not described in the OpenAPI file, for their shape is Qdrant's.
pub(super) fn router() -> Router<Arc<Context>> {
    Router::new()
        .route("/qdrant", get(version).fallback(refuse))
        .route("/qdrant/", get(version).fallback(refuse))
        .route("/qdrant/collections", get(list).fallback(refuse))
        .route("/qdrant/collections/{collection}", get(show).fallback(refuse))
        .route("/qdrant/collections/{collection}/exists", get(exists).fallback(refuse))
        .route("/qdrant/collections/{collection}/points/query", post(query).fallback(refuse))
        .route("/qdrant/collections/{collection}/points/query/batch", post(query_batch).fallback(refuse))
        .route("/qdrant/collections/{collection}/points/search", post(search).fallback(refuse))
        .route("/qdrant/collections/{collection}/points/search/batch", post(search_batch).fallback(refuse))
        .route("/qdrant/collections/{collection}/points/count", post(count).fallback(refuse))
        .route("/qdrant/{*rest}", any(refuse))
}

/// What clients ask first.
async fn version() -> Reply<Value> {
    Reply(json!({ "title": "qdrant - vector search engine (Strongroom's façade)", "version": reply::VERSION }))
}

/// Everything that is not offered: what would change something, and ways to read that a search over passages has no answer to.
async fn refuse(request: Request) -> Problem {
    let path = request.uri().path();
    let reads = ["/scroll", "/points", "/recommend", "/discover", "/groups", "/facet", "/pairs", "/offsets", "/batch"];
    match *request.method() {
        Method::GET | Method::HEAD => Problem::of_status(StatusCode::NOT_FOUND),
        Method::POST if reads.iter().any(|way| path.ends_with(way)) && !path.ends_with("/points/batch") => {
            let detail = "This is a façade over a document search: it answers queries by vector and counts, nothing else.";
            Problem::new(StatusCode::BAD_REQUEST, "not_offered", "The façade does not offer this", detail)
        }
        _ => {
            let detail = "Forbidden: this is a façade that is only read from. Documents come in by their folder or over REST.";
            Problem::new(StatusCode::FORBIDDEN, "read_only", "Nothing can be changed here", detail)
        }
    }
}

async fn list(State(context): Shared, access: Access) -> Result<Reply<Value>, Problem> {
    let started = Instant::now();
    let pipeline = context.door.pipeline.clone();
    let mut records = blocking(move || pipeline.collections()).await?;
    access.keep_seen(&mut records);
    records.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Reply(envelope(reply::collections(&records), started)))
}

async fn show(State(context): Shared, Named(name): Named) -> Result<Reply<Value>, Problem> {
    let started = Instant::now();
    let (pipeline, ask) = (context.door.pipeline.clone(), context.door.ask.clone());
    let shown = blocking(move || {
        let record = pipeline.collection(&name)?;
        Ok::<_, Problem>(reply::collection(&record, ask.dimension(&name)?))
    })
    .await?;
    Ok(Reply(envelope(shown, started)))
}

async fn exists(State(context): Shared, Named(name): Named) -> Result<Reply<Value>, Problem> {
    let started = Instant::now();
    let pipeline = context.door.pipeline.clone();
    let found = blocking(move || Ok::<_, Problem>(pipeline.collection(&name).is_ok())).await?;
    Ok(Reply(envelope(json!({ "exists": found }), started)))
}

async fn count(State(context): Shared, Named(name): Named, Json(wanted): Json<Count>) -> Result<Reply<Value>, Problem> {
    let started = Instant::now();
    wanted.check()?;
    let pipeline = context.door.pipeline.clone();
    let record = blocking(move || pipeline.collection(&name)).await?;
    Ok(Reply(envelope(json!({ "count": record.chunks }), started)))
}

async fn query(state: Shared, access: Access, Named(name): Named, Json(wanted): Json<Search>) -> Result<Reply<Value>, Problem> {
    let started = Instant::now();
    let points = found(&state, &access, name, vec![wanted.nearest()?]).await?.remove(0);
    Ok(Reply(envelope(json!({ "points": points }), started)))
}

async fn query_batch(
    state: Shared,
    access: Access,
    Named(name): Named,
    Json(wanted): Json<Batch>,
) -> Result<Reply<Value>, Problem> {
    let started = Instant::now();
    let lists = found(&state, &access, name, wanted.searches()?).await?;
    let results: Vec<Value> = lists.into_iter().map(|points| json!({ "points": points })).collect();
    Ok(Reply(envelope(Value::Array(results), started)))
}

async fn search(
    state: Shared,
    access: Access,
    Named(name): Named,
    Json(wanted): Json<Search>,
) -> Result<Reply<Value>, Problem> {
    let started = Instant::now();
    let points = found(&state, &access, name, vec![wanted.nearest()?]).await?.remove(0);
    Ok(Reply(envelope(Value::Array(points), started)))
}

async fn search_batch(
    state: Shared,
    access: Access,
    Named(name): Named,
    Json(wanted): Json<Batch>,
) -> Result<Reply<Value>, Problem> {
    let started = Instant::now();
    let lists = found(&state, &access, name, wanted.searches()?).await?;
    Ok(Reply(envelope(lists.into_iter().map(Value::Array).collect(), started)))
}

/// The points of each search, in order.
async fn found(
    context: &Shared,
    access: &Access,
    collection: String,
    wanted: Vec<Nearest>,
) -> Result<Vec<Vec<Value>>, Problem> {
    let ask = context.door.ask.within(access.reach());
    let metrics = Arc::clone(&context.door.metrics);
    let base = context.door.public_url.clone();
    let mut searches = Vec::with_capacity(wanted.len());
    for nearest in wanted {
        let text = context.door.recall.recall(access.identity(), &nearest.vector);
        searches.push((text.filter(|text| check_question("query", text).is_ok()), nearest));
    }
    blocking(move || {
        let mut lists = Vec::with_capacity(searches.len());
        for (text, wanted) in searches {
            let started = Instant::now();
            let (mode, found) = one(&ask, &collection, text, &wanted)?;
            metrics.count_search(mode, started.elapsed());
            lists.push(reply::points(&found.hits, wanted.offset, wanted.threshold, &wanted.payload, base.as_deref()));
        }
        Ok::<_, Problem>(lists)
    })
    .await
}

/// One search, by the text that the vector was made of if that is known, else by the vector.
fn one(ask: &Ask, collection: &str, text: Option<String>, wanted: &Nearest) -> Result<(Mode, Found), AskError> {
    let mut query = Query {
        text: text.unwrap_or_default(),
        mode: Mode::Hybrid,
        limit: wanted.limit,
        filter: wanted.filter.clone(),
        explain: false,
    };
    if !query.text.is_empty() {
        match ask.search(Some(&[collection.to_owned()]), &query) {
            // The vector itself is what was asked for: it can still be answered by.
            Err(AskError::ModeUnavailable(_) | AskError::Failed(_)) => {}
            other => return Ok((Mode::Hybrid, other?)),
        }
    }
    query.mode = Mode::Dense;
    Ok((Mode::Dense, ask.nearest(collection, &wanted.vector, &query)?))
}
