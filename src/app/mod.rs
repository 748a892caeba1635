//! Built once, run, cancelled: everything the process holds.
//!
//! [`App::open`] puts the rooms together, [`serve`] runs them behind their doors until a signal comes. Commands that find no
//! running server open an app of their own that watches and reads nothing, and ask its router without a socket between.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use strongroom_ingest::embed::set::Embedders;
use strongroom_ingest::extract::{ExtractOptions, Transcriber};
use strongroom_ingest::index::{IndexError, Store, StoreOptions};
use strongroom_ingest::pipeline::{Pipeline, PipelineError, PipelineOptions, WatchedRoot};

use crate::answer::{RecordError, Records, Roster};
use crate::ask::Ask;
use crate::config::{Config, format_size};
use crate::egress::{Counts, Egress};
use crate::http::{
    AllowedHosts, Door, Gate, KeyLimits, Limits, Metrics, Outbound, OutboundCounts, Readiness, Recall, Via, Visitors,
};
use crate::keys::{KeyError, Keys};
use crate::models::Models;
use crate::retrieve::Retriever;
use crate::speech::Speech;
use crate::usage::{Meter, UsageError};

pub mod control;
mod hygiene;
mod language;
pub mod model;
mod serve;
pub mod speech;
mod tls;

pub use hygiene::set_up_process;
pub use language::attest_options;
pub use serve::{Event, Tell, serve};

/// Why the process cannot do its work. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Another process has the data folder.
    #[error(
        "the data folder {} is in use by process {pid}: stop it, or use another folder with --data. \
         Commands such as `strongroom search` talk to that process by themselves", data.display()
    )]
    InUse {
        /// The data folder.
        data: PathBuf,
        /// The process.
        pid: u32,
    },
    /// The store did not open.
    #[error("the data folder {} cannot be opened: {source}", data.display())]
    Store {
        /// The data folder.
        data: PathBuf,
        /// Why.
        source: IndexError,
    },
    /// The keys could not be opened.
    #[error("the keys in the data folder cannot be used: {0}")]
    Keys(#[from] KeyError),
    /// What was found out about models could not be opened.
    #[error("the data folder cannot be used: {0}")]
    Records(#[from] RecordError),
    /// Others could reach a server without keys.
    #[error(
        "{0} can be reached from outside, and no key was made yet that would keep others out: make one first with \
         `strongroom keys create --name NAME --collections '*' --scopes search,read`"
    )]
    NoKeys(std::net::SocketAddr),
    /// The certificate or its key could not be used.
    #[error("TLS cannot be had with {}: {source}", file.display())]
    Tls {
        /// The file.
        file: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The pipeline did not start.
    #[error("indexing cannot be started: {0}")]
    Pipeline(#[from] PipelineError),
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}. Say another with --bind 127.0.0.1:PORT")]
    Bind {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A JSON Schema of the configuration that cannot be used.
    #[error("`tasks.{kind}.schema`: {file} {why}", file = file.display())]
    Schema {
        /// The kind of task.
        kind: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it; completes "The file …".
        why: String,
    },
    /// Usage cannot be counted.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// Anything of the operating system.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// What the app is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To watch, read and serve.
    Serve,
    /// For one command: nothing is watched, and no document is taken up.
    Command,
}

/// Everything the process holds.
pub struct App {
    /// As it was started with.
    pub config: Config,
    /// The models on this machine; none where no folder is known to keep them in.
    pub models: Option<Models>,
    /// The data folder.
    pub store: Arc<Store>,
    /// Takes documents in.
    pub pipeline: Pipeline,
    /// The loaded models.
    pub embedders: Embedders,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How far we have come up.
    pub ready: Arc<Readiness>,
    /// Who may ask.
    pub keys: Keys,
    /// What language models were asked.
    meter: Meter,
    recall: Arc<Recall>,
    ask: Ask,
    speech: Option<Arc<Speech>>,
    egress: Egress,
    roster: Arc<Roster>,
}

impl App {
    /// Opens the data folder and starts the pipeline. No model is loaded yet: see [`model::load`].
    ///
    /// # Errors
    /// When the folder is in use or cannot be opened.
    pub fn open(config: Config, models: Option<Models>, purpose: Purpose) -> Result<Arc<Self>, AppError> {
        let options = StoreOptions { data: config.data.clone(), open_collections: config.indexing.open_collections };
        let store = Store::open(options).map_err(|error| match error {
            IndexError::InUse(pid) => AppError::InUse { data: config.data.clone(), pid },
            source => AppError::Store { data: config.data.clone(), source },
        })?;
        let embedders = Embedders::default();
        // One for the whole process, so that its counts are of all that leaves.
        let egress = Egress::default();
        let models = models.map(|models| models.with_egress(egress.clone()));
        let speech = speech::speech(&config, &egress).map(Arc::new);
        let mut options = pipeline_options(&config, purpose)?;
        options.transcriber = speech.clone().map(|speech| speech as Arc<dyn Transcriber>);
        let pipeline = Pipeline::start(options, Arc::clone(&store), embedders.clone())?;
        if config.indexing.pause && purpose == Purpose::Serve {
            pipeline.pause();
        }
        let ready = Arc::new(Readiness::new());
        ready.stores_open();
        let meter = Meter::open(&config.data)?;
        let records = Arc::new(Records::open(&config.data)?);
        let (generators, roster) = language::generators(&config, &pipeline, &egress, &records)?;
        let ask = Ask::new(Arc::clone(&store), Retriever::new(embedders.clone()), config.mixable())
            .with_generators(generators)
            .with_meter(meter.clone());
        let metrics = Arc::new(Metrics::new());
        let keys = Keys::open(&config.data)?;
        let (recall, roster) = (Arc::default(), Arc::new(roster));
        Ok(Arc::new(Self {
            config,
            models,
            store,
            pipeline,
            embedders,
            metrics,
            ready,
            keys,
            meter,
            recall,
            ask,
            speech,
            egress,
            roster,
        }))
    }

    /// The routes as they are offered on one way in.
    pub fn router(self: &Arc<Self>, via: Via, names: AllowedHosts) -> Router {
        let door = Arc::new(Door {
            pipeline: self.pipeline.clone(),
            ask: self.ask.clone(),
            meter: self.meter.clone(),
            prices: language::prices(&self.config),
            metrics: Arc::clone(&self.metrics),
            ready: Arc::clone(&self.ready),
            limits: self.limits(),
            names,
            filter: self.config.filter.clone(),
            gate: Arc::new(self.gate()),
            public_url: self.config.public_url.clone(),
            recall: Arc::clone(&self.recall),
            speech: self.speech.clone(),
            outbound: self.outbound(),
            roster: Arc::clone(&self.roster),
        });
        let routes = crate::http::router(door, via);
        match via {
            Via::Tcp => routes,
            Via::ControlSocket => routes.merge(control::router(Arc::clone(self))),
        }
    }

    /// What tells how much has left through each client.
    fn outbound(&self) -> Outbound {
        let egress = self.egress.clone();
        let told = |(client, counts): (Arc<str>, Counts)| {
            let counts = OutboundCounts { requests: counts.requests, sent: counts.sent, received: counts.received };
            (client.to_string(), counts)
        };
        Arc::new(move || egress.counts().into_iter().map(told).collect())
    }

    fn limits(&self) -> Limits {
        let usual = Limits::default();
        // An answer that waits for machines to wake has its usual time beside that.
        let waking: Duration = self.config.generators.iter().filter_map(|from| Some(from.wake.as_ref()?.within)).sum();
        Limits { upload_bytes: self.config.indexing.max_file_size, answer: usual.answer + waking, ..usual }
    }

    fn gate(&self) -> Gate {
        let config = &self.config;
        let limits = KeyLimits { per_minute: config.limits.0, at_once: config.limits.1 as usize };
        let visitors = config.open_webui.as_ref().map(|from| Visitors {
            secret: from.secret.clone(),
            users: from.users.clone(),
            roles: from.roles.clone(),
        });
        let mut gate = Gate::new(self.keys.clone(), self.pipeline.clone(), config.bind, limits, config.cloud());
        gate.visitors = visitors;
        gate
    }

    /// Commits what is being committed and ends the threads.
    pub fn stop(&self) {
        self.pipeline.stop();
        // The library does not like to be unloaded while a thread computes.
        if let Some(embedder) = self.embedders.active() {
            embedder.stop();
        }
    }
}

fn pipeline_options(config: &Config, purpose: Purpose) -> Result<PipelineOptions, AppError> {
    let indexing = &config.indexing;
    let serving = purpose == Purpose::Serve;
    let clients = config.watch_folders.iter().cloned().map(WatchedRoot::Clients);
    let named = config.watch.iter().map(|watch| WatchedRoot::Named { name: watch.name.clone(), path: watch.path.clone() });
    Ok(PipelineOptions {
        watched: if serving { clients.chain(named).collect() } else { Vec::new() },
        extract: extract_options(config)?,
        // No workers: what is asked for is done, but nothing is taken up.
        workers: if serving { indexing.threads } else { 0 },
        sweep_every: indexing.sweep_every,
        settle: indexing.settle,
        ignore: indexing.ignore.clone(),
        reserve_bytes: indexing.reserve,
        max_pending: indexing.max_pending,
        purge_every: indexing.purge_every,
        transcriber: None,
    })
}

/// The name of the hidden subcommand that makes this program the extraction worker.
pub const WORKER: &str = "extract-worker";
/// The name of the hidden subcommand that makes this program the launcher of a tool.
pub const TOOL: &str = "extract-tool";

fn extract_options(config: &Config) -> Result<ExtractOptions, AppError> {
    let program = std::env::current_exe().map_err(|source| AppError::Io { what: "find this program's own file", source })?;
    let mut options = ExtractOptions::new(program, vec![WORKER.into()]);
    options.max_file_bytes = config.indexing.max_file_size;
    if config.indexing.tools {
        options.tool_arguments = vec![TOOL.into()];
        options.ocr_languages = config.indexing.ocr_languages.clone();
    }
    Ok(options)
}

/// Tells in the log what may go wrong later: little free space.
pub(crate) fn warn_of_little_space(config: &Config) {
    if let Ok(free) = control::free_space(&config.data)
        && free < config.indexing.reserve
    {
        tracing::warn!(
            free = format_size(free),
            reserve = format_size(config.indexing.reserve),
            "too little free space: nothing is indexed until there is more, or `indexing.reserve` is less"
        );
    }
}
