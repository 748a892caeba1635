//! Who asks, and what they may see: every request passes here after its route is known and before its handler.
//!
//! What a key may not see does not exist for it. So no handler is told "forbidden" about a collection: [`Named`] gives it a name
//! that no collection has, and whatever it then says is what it says of any name that is not there.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{FromRequestParts, MatchedPath, Path, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use strongroom_ingest::index::records::CollectionRecord;
use strongroom_ingest::model::Reach;
use strongroom_ingest::pipeline::Pipeline;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;
use super::routes::{Needs, needs};
use super::visitor::Visitors;
use super::{Context, blocking};
use crate::keys::{Destination, Key, Keys, Scope, Scopes};

/// A name that no collection has: names begin with a letter or digit.
const NOBODY: &str = "-";

/// What one caller may do. Handlers get it as an extractor.
#[derive(Clone, Debug)]
pub struct Access {
    identity: String,
    reach: Arc<Reach>,
    scopes: Scopes,
    is_known: bool,
}

impl Access {
    /// Everything, for whoever owns the data folder, or while there are no keys.
    pub(super) fn owner() -> Self {
        Self { identity: "open".to_owned(), reach: Arc::new(Reach::All), scopes: Scopes::all(), is_known: true }
    }

    /// Nothing, for whoever shows no key where none is needed.
    fn nobody() -> Self {
        let reach = Arc::new(Reach::Only(Default::default()));
        Self { identity: "nobody".to_owned(), reach, is_known: false, ..Self::owner() }
    }

    /// Names the caller among others: the key's id.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Which collections may be seen.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Whether the caller showed a key, or needs none.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Whether the caller may do such things.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.allow(scope)
    }

    /// Refuses what the caller's scopes do not allow.
    pub fn check(&self, scope: Scope) -> Result<(), Problem> {
        if self.may(scope) { Ok(()) } else { Err(no_scope(scope)) }
    }

    /// The name if the caller may see its collection, else one that no collection has. Blocks.
    pub fn seen(&self, pipeline: &Pipeline, name: String) -> Result<String, Problem> {
        match (&*self.reach, pipeline.collection_id(&name)?) {
            (Reach::All, _) | (_, None) => Ok(name),
            (reach, Some(id)) if reach.allows(id) => Ok(name),
            _ => Ok(NOBODY.to_owned()),
        }
    }

    /// The same caller with less in sight.
    pub(super) fn seeing(self, reach: Reach) -> Self {
        Self { reach: Arc::new(reach), ..self }
    }

    /// Leaves the collections that the caller may see.
    pub fn keep_seen(&self, records: &mut Vec<CollectionRecord>) {
        records.retain(|record| self.reach.allows(record.id));
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Access {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Every route is behind the layer; one that was not would see nothing.
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(Self::nobody))
    }
}

/// The collection that a URL names, if the caller may see it.
pub(super) struct Named(pub String);

impl FromRequestParts<Arc<Context>> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, context)
            .await
            .map_err(|_| Problem::of_status(StatusCode::BAD_REQUEST))?;
        seen_name(parts, context, name).await.map(Self)
    }
}

/// The same for a name that stands beside other parameters.
pub(super) async fn seen_name(parts: &Parts, context: &Context, name: String) -> Result<String, Problem> {
    let access = parts.extensions.get::<Access>().cloned().unwrap_or_else(Access::nobody);
    let pipeline = context.door.pipeline.clone();
    blocking(move || access.seen(&pipeline, name)).await
}

/// How much one key may ask.
#[derive(Clone, Copy, Debug)]
pub struct KeyLimits {
    /// Requests a minute, over time.
    pub per_minute: u32,
    /// Requests at the same time.
    pub at_once: usize,
}

/// Lets callers in or refuses them.
pub struct Gate {
    /// The keys of the data folder.
    pub keys: Keys,
    /// Looks up collections.
    pub pipeline: Pipeline,
    /// Whether callers need no key as long as there is none.
    pub may_be_open: bool,
    /// How much one key may ask.
    pub limits: KeyLimits,
    /// Names of collections whose passages may be read by what sends them to a cloud.
    pub cloud: Vec<String>,
    /// People behind an Open WebUI.
    pub visitors: Option<Visitors>,
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
}

struct Bucket {
    rate: DefaultDirectRateLimiter,
    running: Arc<Semaphore>,
}

impl Gate {
    /// A gate with nobody behind an Open WebUI.
    pub fn new(keys: Keys, pipeline: Pipeline, bind: SocketAddr, limits: KeyLimits, cloud: Vec<String>) -> Self {
        let may_be_open = bind.ip().is_loopback();
        Self { keys, pipeline, may_be_open, limits, cloud, visitors: None, buckets: Mutex::default() }
    }

    /// Whether callers need no key now.
    pub(super) fn is_open(&self) -> Result<bool, Problem> {
        Ok(self.may_be_open && !self.keys.any_ever().map_err(broken)?)
    }

    /// Who asks, or why they are refused. Blocks.
    fn who(&self, token: Option<&str>, headers: &HeaderMap) -> Result<Access, Problem> {
        let known = match token {
            Some(token) => self.keys.check(token).map_err(broken)?,
            None => None,
        };
        if let Some(key) = known {
            let access = self.access(key)?;
            return match &self.visitors {
                Some(visitors) => visitors.narrowed(access, headers, &self.pipeline),
                None => Ok(access),
            };
        }
        if self.is_open()? {
            return Ok(Access::owner());
        }
        Err(no_key(token.is_some()))
    }

    fn access(&self, key: Key) -> Result<Access, Problem> {
        let mut reach = key.made.reach;
        if key.made.destination == Destination::Cloud {
            let records = self.pipeline.collections()?;
            let may = records.iter().filter(|record| self.cloud.contains(&record.name) && reach.allows(record.id));
            reach = Reach::Only(may.map(|record| record.id).collect());
        }
        Ok(Access { identity: key.id, reach: Arc::new(reach), scopes: key.made.scopes, is_known: true })
    }

    /// A place among the requests of one key, or when to come back.
    fn place(&self, identity: &str) -> Result<OwnedSemaphorePermit, Problem> {
        let bucket = {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(buckets.entry(identity.to_owned()).or_insert_with(|| Arc::new(self.bucket())))
        };
        if let Err(until) = bucket.rate.check() {
            let wait = until.wait_time_from(DefaultClock::default().now());
            return Err(Problem::too_many(wait.max(Duration::from_secs(1)).as_secs_f64().ceil() as u32));
        }
        Arc::clone(&bucket.running).try_acquire_owned().map_err(|_| Problem::too_many(1))
    }

    fn bucket(&self) -> Bucket {
        let per_minute = std::num::NonZeroU32::new(self.limits.per_minute).unwrap_or(std::num::NonZeroU32::MIN);
        // A tenth of a minute's worth may come at once: a page that loads asks for many things.
        let burst = std::num::NonZeroU32::new(self.limits.per_minute.div_ceil(10)).unwrap_or(std::num::NonZeroU32::MIN);
        let quota = Quota::per_minute(per_minute).allow_burst(burst);
        Bucket { rate: RateLimiter::direct(quota), running: Arc::new(Semaphore::new(self.limits.at_once.max(1))) }
    }
}

/// Puts the gate in front of all routes.
pub(super) fn behind(routes: Router, gate: Arc<Gate>) -> Router {
    routes.layer(from_fn_with_state(gate, admit))
}

/// Lets everything through: the socket in the data folder is its owner's.
pub(super) fn owned(routes: Router) -> Router {
    routes.layer(axum::Extension(Access::owner()))
}

async fn admit(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let needed = needs(request.method(), route.as_deref(), request.uri().path());
    let token = token(request.uri().path(), request.headers());
    let headers = request.headers().clone();
    let (asked, shown) = (Arc::clone(&gate), token.is_some());
    let who = match blocking(move || asked.who(token.as_deref(), &headers)).await {
        // Where nothing is needed, whoever shows nothing is let through as nobody; who shows a wrong key is told so nowhere.
        Err(problem) if needed == Needs::Nothing && problem.status() == StatusCode::UNAUTHORIZED => Ok(Access::nobody()),
        other => other,
    };
    let access = match who {
        Ok(access) => access,
        Err(problem) => return refused(problem),
    };
    if let Needs::Scope(scope) = needed
        && let Err(problem) = access.check(scope)
    {
        return refused(problem);
    }
    // Without a key there is nobody to count by, and only this machine can ask.
    let place = if shown && access.is_known() && access.identity() != "open" {
        match gate.place(access.identity()) {
            Ok(place) => Some(place),
            Err(problem) => return refused(problem),
        }
    } else {
        None
    };
    request.extensions_mut().insert(access);
    // Whoever only listens for news has asked for no work.
    let listens = request.method() == Method::GET;
    let response = next.run(request).await;
    match place {
        Some(place) if !listens && response.body().size_hint().exact().is_none() => response.map(|body| holding(body, place)),
        _ => response,
    }
}

/// A body that is still being made keeps its request's place until it ends.
fn holding(body: Body, place: OwnedSemaphorePermit) -> Body {
    Body::from_stream(body.into_data_stream().map(move |piece| {
        let _held = &place;
        piece
    }))
}

fn refused(problem: Problem) -> Response {
    let challenge = problem.status() == StatusCode::UNAUTHORIZED;
    let mut response = problem.into_response();
    if challenge {
        let value = axum::http::HeaderValue::from_static("Bearer");
        response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, value);
    }
    response
}

/// The key that a request shows.
fn token(path: &str, headers: &HeaderMap) -> Option<String> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (kind, token) = value.split_once(' ')?;
        kind.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    // Qdrant's clients have a header of their own.
    let own = || headers.get("api-key").and_then(|value| value.to_str().ok()).map(str::to_owned);
    bearer.or_else(|| if path.starts_with("/qdrant") { own() } else { None })
}

fn broken(error: crate::keys::KeyError) -> Problem {
    Problem::internal(error.to_string())
}

fn no_key(shown: bool) -> Problem {
    let detail = if shown {
        "The key is not one that is in use here: it may be mistyped, ended or revoked."
    } else {
        "A key is needed: `Authorization: Bearer KEY`. `strongroom keys create` makes one."
    };
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "A key is needed", detail)
}

fn no_scope(scope: Scope) -> Problem {
    let detail = format!("The key lacks the scope `{}` that this needs.", scope.as_str());
    Problem::new(StatusCode::FORBIDDEN, "scope_missing", "The key may not do this", detail)
}
