//! The configuration as the program uses it: paths absolute, times and sizes as numbers, everything checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use super::typed::{
    TypedDevice as Device, TypedGeneratorKind as GeneratorKind, TypedLane as Lane, TypedLogFormat as LogFormat,
    TypedPolicy as Policy, TypedPrecision as Precision, TypedProviderKind as ProviderKind,
};

/// The whole of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Folder that holds all state; absolute.
    pub data: PathBuf,
    /// Where to listen.
    pub bind: SocketAddr,
    /// Further `Host` values, lower case.
    pub allowed_hosts: Vec<String>,
    /// Further `Origin` values.
    pub allowed_origins: Vec<String>,
    /// Where browsers reach this server, without a slash at its end; none if nobody said.
    pub public_url: Option<String>,
    /// Folders of clients; absolute.
    pub watch_folders: Vec<PathBuf>,
    /// Single folders with their collection's name.
    pub watch: Vec<Watch>,
    /// How documents are taken in.
    pub indexing: Indexing,
    /// The embedding model.
    pub embedding: Embedding,
    /// What is logged.
    pub log: Log,
    /// Local models, in the order in which they are tried.
    pub generators: Vec<Generator>,
    /// Servers that write recordings down, in the order in which those of a lane are tried.
    pub speech: Vec<Speech>,
    /// Which recordings go to which of them.
    pub transcription: Transcription,
    /// Cloud models.
    pub providers: Vec<Provider>,
    /// How each kind of task is done, in the order of [`TASKS`].
    pub tasks: [Task; 6],
    /// What things cost.
    pub usage: Usage,
    /// What encrypts connections; none on loopback without it.
    pub tls: Option<Tls>,
    /// Requests of one key: a minute, and at the same time.
    pub limits: (u32, u32),
    /// People behind an Open WebUI.
    pub open_webui: Option<OpenWebUi>,
    /// Rules by collection name.
    pub collections: BTreeMap<String, Collection>,
    /// Collections that the pipeline filter adds passages of; none means that there is no filter.
    pub filter: Vec<String>,
}

/// What encrypts connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// This program, with a certificate and its key.
    Own {
        /// PEM file; absolute.
        cert: PathBuf,
        /// PEM file; absolute.
        key: PathBuf,
    },
    /// Something in front of it, by the owner's word.
    InFront(String),
}

/// People behind an Open WebUI.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenWebUi {
    /// The shared secret.
    pub secret: Vec<u8>,
    /// Collections by e-mail address, in lower case.
    pub users: BTreeMap<String, Vec<String>>,
    /// Collections by role.
    pub roles: BTreeMap<String, Vec<String>>,
}

/// Without the secret.
impl std::fmt::Debug for OpenWebUi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenWebUi").field("users", &self.users).field("roles", &self.roles).finish_non_exhaustive()
    }
}

/// A folder that is one collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Its collection's name.
    pub name: String,
    /// The folder; absolute.
    pub path: PathBuf,
}

/// How documents are taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexing {
    /// Processors used; at least 1.
    pub threads: usize,
    /// Whether to start paused.
    pub pause: bool,
    /// Time between full sweeps.
    pub sweep_every: Duration,
    /// How long a file must have stood still.
    pub settle: Duration,
    /// Further ignore lines.
    pub ignore: Vec<String>,
    /// Whether programs of this machine may help to read.
    pub tools: bool,
    /// Languages that OCR reads; empty for the usual ones.
    pub ocr_languages: Vec<String>,
    /// Free bytes below which nothing is indexed.
    pub reserve: u64,
    /// Documents that may wait.
    pub max_pending: u64,
    /// Largest file, in bytes.
    pub max_file_size: u64,
    /// Time between purges.
    pub purge_every: Duration,
    /// Collections open at the same time.
    pub open_collections: usize,
}

/// The embedding model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedding {
    /// Which.
    pub model: Model,
    /// How the built-in one computes.
    pub precision: Precision,
    /// What computes.
    pub device: Device,
    /// Whether fetching is forbidden.
    pub offline: bool,
}

/// Which embedding model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Model {
    /// One that has a name.
    Named(String),
    /// One that lies in a folder; absolute.
    Folder(PathBuf),
}

/// The model that a text of the configuration or of a flag means: a path if it begins like one, else a name.
pub fn model_named(text: &str) -> Model {
    if super::places::looks_like_path(text) { Model::Folder(text.into()) } else { Model::Named(text.to_owned()) }
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A filter as `tracing_subscriber::EnvFilter` reads it.
    pub level: String,
    /// For people or programs.
    pub format: LogFormat,
}

/// Something that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret")
    }
}

/// A local language model.
#[derive(Clone, Debug, PartialEq)]
pub struct Generator {
    /// Its name in answers.
    pub name: String,
    /// Its API.
    pub kind: GeneratorKind,
    /// Its base URL, without a slash at the end.
    pub url: String,
    /// Its model; may be empty where it writes no answers.
    pub model: String,
    /// Its key, if it wants one.
    pub api_key: Option<Secret>,
    /// Whether it may be at an address of a private network.
    pub private: bool,
    /// Tokens that it takes in at once, its answer included; none where it says so itself.
    pub context: Option<usize>,
    /// Tokens that an answer may have.
    pub answer_tokens: usize,
    /// How long it may be silent.
    pub timeout: Duration,
    /// The only weights that may answer, as `sha256:…`.
    pub digest: Option<String>,
    /// The file of its weights.
    pub file: Option<PathBuf>,
    /// Whether it may serve several collections though it cannot keep their prompts apart.
    pub shared_cache: bool,
    /// What its machine draws while it computes, in watts.
    pub watts: Option<f64>,
    /// Requests that it is given at the same time; at least 1.
    pub at_once: usize,
    /// How its machine is woken.
    pub wake: Option<Wake>,
    /// How its machine is told to sleep.
    pub sleep: Option<Sleep>,
}

impl Generator {
    /// Whether it writes answers; what does not is only looked at.
    pub fn answers(&self) -> bool {
        self.kind != GeneratorKind::Other
    }
}

/// How a machine is woken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    /// The hardware address of its network card.
    pub mac: [u8; 6],
    /// Where the packet is sent: near.
    pub address: SocketAddr,
    /// How long a question waits for it.
    pub within: Duration,
}

/// How a machine is told to sleep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sleep {
    /// A program and its arguments; at least the program.
    pub command: Vec<String>,
    /// How long nothing must have been asked of it.
    pub after: Duration,
}

/// The kinds of tasks, as they are named everywhere.
pub const TASKS: [&str; 6] = ["ask", "extract", "summarise", "classify", "draft", "code"];

/// How one kind of task is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Names of the generators that may do it, in order; none means all.
    pub generators: Vec<String>,
    /// Tokens that its result may have; none where the generator's own limit holds.
    pub answer_tokens: Option<usize>,
    /// Tokens of documents that it may read.
    pub input_tokens: usize,
    /// How long it may take.
    pub timeout: Duration,
    /// The file of the JSON Schema for requests that bring none; absolute.
    pub schema: Option<PathBuf>,
}

/// What things cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// The currency of all prices.
    pub currency: String,
    /// What a cloud would ask for a million tokens in and out.
    pub rent: Option<(f64, f64)>,
    /// What a kilowatt-hour costs.
    pub kilowatt_hour: Option<f64>,
    /// What the machine costs a month.
    pub machine_a_month: Option<f64>,
}

/// A local server that writes recordings down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    /// Its name in documents.
    pub name: String,
    /// What it is good for.
    pub lane: Lane,
    /// Its base URL, without a slash at the end.
    pub url: String,
    /// Its model.
    pub model: String,
    /// Its key, if it wants one.
    pub api_key: Option<Secret>,
    /// Whether it may be at an address of a private network.
    pub private: bool,
    /// How long it may take over one recording.
    pub timeout: Duration,
    /// The only weights that may listen, as `sha256:…`.
    pub digest: Option<String>,
    /// The file of its weights.
    pub file: Option<PathBuf>,
}

/// Which recordings go to which lane. Folders are a collection's name and a path there, in parts; `*` is any one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcription {
    /// Recordings up to this length are written down accurately.
    pub accurate_up_to: Duration,
    /// Folders whose recordings are written down accurately.
    pub accurate_folders: Vec<Vec<String>>,
    /// Folders whose recordings are written down fast.
    pub fast_folders: Vec<Vec<String>>,
}

/// A cloud language model.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// Its name in rules and the ledger.
    pub name: String,
    /// Its API.
    pub kind: ProviderKind,
    /// Its base URL, without a slash at the end.
    pub url: String,
    /// The environment variable with its key.
    pub api_key_env: String,
    /// The models allowed.
    pub models: Vec<String>,
    /// What it asks for a million tokens in and out.
    pub price: Option<(f64, f64)>,
}

/// Rules for one collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Whether its text may stand beside that of others.
    pub mix: bool,
    /// When questions may go to a cloud.
    pub policy: Policy,
    /// To whom.
    pub providers: Vec<String>,
}

impl Config {
    /// Names of the collections whose text may stand in one answer with another's.
    pub fn mixable(&self) -> Vec<String> {
        self.collections.iter().filter(|(_, rules)| rules.mix).map(|(name, _)| name.clone()).collect()
    }

    /// Names of the collections whose passages may go to a cloud, one way or another.
    pub fn cloud(&self) -> Vec<String> {
        let may = self.collections.iter().filter(|(_, rules)| rules.policy != Policy::Never);
        may.map(|(name, _)| name.clone()).collect()
    }

    /// What is configured but does nothing in this version, one line each.
    pub(super) fn not_used_yet(&self) -> Vec<String> {
        let mut told = Vec::new();
        let mut tell = |what: String| told.push(format!("{what} is configured but this version does not use it yet"));
        for provider in &self.providers {
            tell(format!("[[provider]] {:?}", provider.name));
        }
        for (name, rules) in &self.collections {
            if rules.policy != Policy::Never {
                tell(format!("[collections.{name}.escalation]"));
            }
        }
        told
    }
}
