//! The HTTP door: REST under `/api/v1`, health and metrics, the OpenAPI file and its viewer. It translates and refuses, nothing else.
//!
//! Every request passes, from the outside in: [`layers`] (request id, time limit, panics, problem bodies, metrics, the log
//! line), [`guard`] (who may talk to us at all), [`access`] (who asks, and what they may see), then one handler. Handlers only translate; what blocks runs off the async
//! threads. Errors get their HTTP status and code in [`verdict`].

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use strongroom_ingest::pipeline::Pipeline;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::Roster;
use crate::ask::Ask;
use crate::speech::Speech;
use crate::usage::{Meter, Prices};

pub mod access;
pub mod guard;
pub mod health;
pub mod metrics;
pub mod openapi;
pub mod problem;
pub mod recall;
pub mod serve;
pub mod visitor;

mod answers;
mod asking;
mod audit;
mod body;
mod collections;
mod coverage;
mod docs;
mod documents;
mod events;
mod generators;
mod layers;
mod mcp;
mod openai;
mod operate;
mod paging;
mod params;
mod paths;
mod qdrant;
mod recordings;
mod routes;
mod search;
mod shape;
mod source;
mod tasks;
mod tools;
mod types;
mod upload;
mod usage;
mod verdict;
mod waking;

pub use access::{Access, Gate, KeyLimits};
pub use guard::AllowedHosts;
pub use health::Readiness;
pub use metrics::{Metrics, Outbound, OutboundCounts};
pub use recall::Recall;
pub use serve::{serve_tcp, serve_tls, serve_unix};
pub use visitor::Visitors;

use problem::Problem;

/// Uploads that are received at the same time; each holds one blocking thread while its bytes come in.
const UPLOADS_AT_ONCE: usize = 64;
/// Requests that wait for a document to become searchable at the same time; each holds one blocking thread.
const WAITERS_AT_ONCE: usize = 128;

/// Recordings that are written down for others at the same time; each is held in memory.
const HEARINGS_AT_ONCE: usize = 4;

/// Files that are read for others at the same time; each is held in memory.
const LOADS_AT_ONCE: usize = 2;

/// What the door opens onto. Built once, by `app`.
pub struct Door {
    /// Changes and lists documents.
    pub pipeline: Pipeline,
    /// Searches and answers.
    pub ask: Ask,
    /// Counts what models were asked.
    pub meter: Meter,
    /// What things cost.
    pub prices: Prices,
    /// Counts requests; shows what the pipeline does.
    pub metrics: Arc<Metrics>,
    /// Whether searches can be served yet.
    pub ready: Arc<Readiness>,
    /// What is too much.
    pub limits: Limits,
    /// The names we answer to.
    pub names: AllowedHosts,
    /// Collections that the pipeline filter adds passages of; none means that there is no filter.
    pub filter: Vec<String>,
    /// Who may come in.
    pub gate: Arc<Gate>,
    /// Where browsers reach this server, for links to documents.
    pub public_url: Option<String>,
    /// Which text each vector was made of that was handed out a moment ago.
    pub recall: Arc<Recall>,
    /// Writes recordings down; none where no speech server is configured.
    pub speech: Option<Arc<Speech>>,
    /// How much has left this process.
    pub outbound: Outbound,
    /// The configured generators, as people look at them.
    pub roster: Arc<Roster>,
}

/// What is too much for one request.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest document taken by PUT, in bytes.
    pub upload_bytes: u64,
    /// Time that an ordinary request may take.
    pub request: Duration,
    /// Time that an answer may take; generators are slow.
    pub answer: Duration,
    /// Time that `PUT …?wait=true` waits before it answers 202.
    pub wait: Duration,
    /// Time without a byte after which an upload is given up.
    pub upload_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_bytes: 1024 * 1024 * 1024,
            request: Duration::from_secs(60),
            answer: Duration::from_secs(300),
            wait: Duration::from_secs(300),
            upload_idle: Duration::from_secs(60),
        }
    }
}

/// The way a request comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The network, even if only loopback: browsers can reach it, so `Host` and `Origin` are checked.
    Tcp,
    /// The socket in the data folder: who can open it owns the data, so more is allowed and nothing is checked.
    ControlSocket,
}

/// What handlers share.
struct Context {
    door: Arc<Door>,
    uploads: Semaphore,
    waiters: Semaphore,
    loads: Semaphore,
    hearings: Semaphore,
}

type Shared = axum::extract::State<Arc<Context>>;

/// All routes of the door, ready to be served.
pub fn router(door: Arc<Door>, via: Via) -> Router {
    let context = Arc::new(Context {
        door: Arc::clone(&door),
        uploads: Semaphore::new(UPLOADS_AT_ONCE),
        waiters: Semaphore::new(WAITERS_AT_ONCE),
        loads: Semaphore::new(LOADS_AT_ONCE),
        hearings: Semaphore::new(HEARINGS_AT_ONCE),
    });
    let mut routes = described().merge(documents::undescribed()).merge(openai::undescribed());
    if via == Via::ControlSocket {
        routes = routes.merge(operate::control_only());
    }
    let (routes, _) = routes.split_for_parts();
    let mcp = mcp::router(&context);
    let routes = routes.merge(qdrant::router()).with_state(context).merge(docs::router()).merge(mcp);
    let guarded = match via {
        Via::Tcp => guard::guarded(access::behind(routes, Arc::clone(&door.gate)), door.names.clone(), Arc::clone(&door.gate)),
        Via::ControlSocket => access::owned(routes),
    };
    layers::wrapped(guarded, layers::Around { metrics: Arc::clone(&door.metrics), limits: door.limits.clone() })
}

/// The routes that the OpenAPI file describes: everything that the network can reach but the file itself and its viewer.
fn described() -> OpenApiRouter<Arc<Context>> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(collections::list_collections, collections::create_collection))
        .routes(routes!(collections::get_collection, collections::destroy_collection))
        .routes(routes!(coverage::get_coverage))
        .routes(routes!(coverage::add_password, coverage::forget_passwords))
        .routes(routes!(documents::list_documents))
        .routes(routes!(documents::get_document, upload::put_document, documents::delete_document))
        .routes(routes!(search::search))
        .routes(routes!(answers::answer))
        .routes(routes!(tasks::do_task))
        .routes(routes!(audit::get_task))
        .routes(routes!(tools::query_knowledge_files))
        .routes(routes!(tools::view_file))
        .merge(openai::described())
        .routes(routes!(generators::list_generators))
        .routes(routes!(generators::list_attestations))
        .routes(routes!(operate::get_status))
        .routes(routes!(operate::get_indexing))
        .routes(routes!(usage::get_usage))
        .routes(routes!(operate::pause_indexing))
        .routes(routes!(operate::resume_indexing))
        .routes(routes!(operate::rebuild_collection))
        .routes(routes!(operate::retry_collection))
        .routes(routes!(operate::forget_folder))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
}

/// Runs what blocks on disk or the processor off the async threads.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, Problem>
where
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(Problem::internal("a blocking task panicked or was cancelled")),
    }
}
