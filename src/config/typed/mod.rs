//! The configuration as people write it: the shape of `strongroom.toml`, with the defaults. Its doc comments are the schema's.

mod models;
mod speech;
mod tasks;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use models::{TypedGenerator, TypedGeneratorKind, TypedProvider, TypedProviderKind};
pub use speech::{TypedLane, TypedSpeech, TypedTranscription};
pub use tasks::{TypedTask, TypedTasks, TypedUsage};

/// The settings of Strongroom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "strongroom.toml")]
pub struct Typed {
    /// Folder that holds all state. Default: `strongroom` in the user's data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Address and port to listen on. One that others than this machine can reach needs a key and `[tls]`.
    pub bind: String,
    /// Further values of the `Host` header that we answer to.
    pub allowed_hosts: Vec<String>,
    /// Web pages of other origins that may call the API, such as `http://localhost:3000`.
    pub allowed_origins: Vec<String>,
    /// Where people's browsers reach this server, such as `https://kb.example`: citations given to other programs then link to the
    /// documents here. Without it they name them by `strongroom://collection/path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Folders whose direct sub-folders are one collection each. The FOLDER arguments of `serve` are added to them.
    pub watch_folders: Vec<PathBuf>,
    /// Folders that are one collection each, of a given name.
    pub watch: Vec<TypedWatch>,
    /// Reading, embedding and indexing of documents.
    pub indexing: TypedIndexing,
    /// The model that turns text into vectors.
    pub embedding: TypedEmbedding,
    /// What is written to stderr.
    pub log: TypedLog,
    /// Local language models that write answers, tried in this order.
    pub generator: Vec<TypedGenerator>,
    /// Local servers that write recordings down. Without one recordings are not read.
    pub speech: Vec<TypedSpeech>,
    /// Which recordings go to which of them.
    pub transcription: TypedTranscription,
    /// Cloud language models. Only the gate sends to them.
    pub provider: Vec<TypedProvider>,
    /// Which local models do which kind of task.
    pub tasks: TypedTasks,
    /// What things cost, for `strongroom usage`.
    pub usage: TypedUsage,
    /// Encryption of what goes over the network; needed where others than this machine can reach the server.
    pub tls: TypedTls,
    /// How much one key may ask.
    pub limits: TypedLimits,
    /// People behind an Open WebUI that signs who they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_webui: Option<TypedOpenWebUi>,
    /// Rules for single collections, by name.
    pub collections: BTreeMap<String, TypedCollection>,
    /// The OpenAI-compatible door.
    pub openai: TypedOpenai,
}

/// The OpenAI-compatible door.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TypedOpenai {
    /// Collections that the Open WebUI pipeline filter adds passages of to every chat, whatever its model. Empty: no filter.
    pub filter: Vec<String>,
}

impl Default for Typed {
    fn default() -> Self {
        Self {
            data: None,
            bind: "127.0.0.1:7710".into(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            public_url: None,
            watch_folders: Vec::new(),
            watch: Vec::new(),
            indexing: TypedIndexing::default(),
            embedding: TypedEmbedding::default(),
            log: TypedLog::default(),
            generator: Vec::new(),
            speech: Vec::new(),
            transcription: TypedTranscription::default(),
            provider: Vec::new(),
            tasks: TypedTasks::default(),
            usage: TypedUsage::default(),
            tls: TypedTls::default(),
            limits: TypedLimits::default(),
            open_webui: None,
            collections: BTreeMap::new(),
            openai: TypedOpenai::default(),
        }
    }
}

/// Encryption of what goes over the network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TypedTls {
    /// The certificate with its chain, a PEM file. A relative path starts where the configuration file lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// Its private key, a PEM file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// What encrypts in our place, such as `tailscale` or `caddy`: your statement that nothing goes over a network in clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminated_by: Option<String>,
}

/// How much one key may ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TypedLimits {
    /// Requests a minute, over time.
    pub requests_per_minute: u32,
    /// Requests at the same time.
    pub concurrent: u32,
}

impl Default for TypedLimits {
    fn default() -> Self {
        Self { requests_per_minute: 6_000, concurrent: 64 }
    }
}

/// People behind an Open WebUI: what each may see of what its key may see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypedOpenWebUi {
    /// Environment variable with the secret that Open WebUI has as `FORWARD_USER_INFO_HEADER_JWT_SECRET`.
    pub jwt_secret_env: String,
    /// Names of collections by e-mail address; `*` stands for all.
    #[serde(default)]
    pub users: BTreeMap<String, Vec<String>>,
    /// The same by role (`admin`, `user`), for people who are not listed.
    #[serde(default)]
    pub roles: BTreeMap<String, Vec<String>>,
}

/// A folder that is one collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypedWatch {
    /// Name of the collection: a-z, 0-9 and `-`, at most 63.
    pub name: String,
    /// The folder. A relative one starts where the configuration file lies.
    pub path: PathBuf,
}

/// Reading, embedding and indexing of documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TypedIndexing {
    /// Processors used for indexing. Default: as many as there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Start paused; `strongroom resume` begins.
    pub pause: bool,
    /// Time between two full comparisons of watched folders with the index, such as `5m`.
    pub sweep_every: String,
    /// How long a file must have stood still before it is read, such as `2s`.
    pub settle: String,
    /// Files that are never read, in the syntax of `.gitignore`; added to the built-in list.
    pub ignore: Vec<String>,
    /// Whether programs of this machine may help to read: `tesseract` (pictures and scans), `catdoc` (old Office files).
    pub tools: bool,
    /// Languages that tesseract reads, by its names (`eng`, `deu`). Default: the usual ones that are installed.
    pub ocr_languages: Vec<String>,
    /// Free space on the data folder's disk below which nothing is indexed, such as `1GiB`.
    pub reserve: String,
    /// Documents that may wait before uploads are refused as busy.
    pub max_pending: u64,
    /// Largest file that is read, such as `512MiB`.
    pub max_file_size: String,
    /// Time between two removals of what was deleted from the files of the index, at most `24h`.
    pub purge_every: String,
    /// Collections that are open at the same time; the least recently used is closed.
    pub open_collections: usize,
}

impl Default for TypedIndexing {
    fn default() -> Self {
        Self {
            threads: None,
            pause: false,
            sweep_every: "5m".into(),
            settle: "2s".into(),
            ignore: Vec::new(),
            tools: true,
            ocr_languages: Vec::new(),
            reserve: "1GiB".into(),
            max_pending: 100_000,
            max_file_size: "1GiB".into(),
            purge_every: "6h".into(),
            open_collections: 32,
        }
    }
}

/// The model that turns text into vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TypedEmbedding {
    /// `all-MiniLM-L6-v2` (built in), another model's name, or a folder with `model.onnx` and `tokenizer.json`: a path that
    /// begins with `/`, `./`, `../` or `~/`.
    pub model: String,
    /// How the built-in model computes.
    pub precision: TypedPrecision,
    /// What computes.
    pub device: TypedDevice,
    /// Never fetch anything: what is missing is only told.
    pub offline: bool,
}

impl Default for TypedEmbedding {
    fn default() -> Self {
        Self { model: "all-MiniLM-L6-v2".into(), precision: TypedPrecision::Int8, device: TypedDevice::Auto, offline: false }
    }
}

/// How the built-in model computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypedPrecision {
    /// Eight-bit weights: twice as fast, hardly different.
    Int8,
    /// As the weights came.
    Fp32,
}

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypedDevice {
    /// A graphics card where the runtime has support for it, else the processor.
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA card.
    Cuda,
    /// Apple's CoreML.
    Coreml,
}

/// What is written to stderr.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TypedLog {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,strongroom_ingest=debug`.
    pub level: String,
    /// For people or for programs.
    pub format: TypedLogFormat,
}

impl Default for TypedLog {
    fn default() -> Self {
        Self { level: "info".into(), format: TypedLogFormat::Text }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypedLogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Rules for one collection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TypedCollection {
    /// Whether its text may stand in one answer with that of other collections that say the same.
    pub mix: bool,
    /// Whether and how questions about it may go to a cloud.
    pub escalation: TypedEscalation,
}

/// Whether and how questions may go to a cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TypedEscalation {
    /// When.
    pub policy: TypedPolicy,
    /// Names of the providers allowed, in order of preference.
    pub providers: Vec<String>,
}

/// When a question may go to a cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypedPolicy {
    /// Not at all.
    #[default]
    Never,
    /// When a person has said yes to exactly this.
    Ask,
    /// When the local answer is not good enough.
    Auto,
}

/// The JSON Schema of the file, as `schemas/config.json` holds it.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Typed).to_value()
}
