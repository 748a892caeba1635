//! What is known of a local model before it is trusted with documents: where it is, what serves it, which weights, and what it
//! keeps of a prompt. Asked anew before each answer, so that nothing changes under a client's work.

mod place;
mod process;
mod record;
mod servers;
mod weights;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::GeneratorError;
use crate::egress::{Client, ClientOptions, Egress, Pinned, Redirects};
use place::{Place, find};
use process::Process;
pub use record::{Record, RecordError, Records};
pub use servers::Kind;
use servers::Seen;
use weights::Weights;

/// How long making a connection may take: it is near.
const CONNECT: Duration = Duration::from_secs(5);
/// How long it may take to say what it is. One that loads a model says so at once, or not at all.
const ASKING: Duration = Duration::from_secs(5);
/// An answer may pause this long at most; each model has a patience of its own, which is shorter.
const PAUSE: Duration = Duration::from_secs(3600);

/// What is asked of a model before it is used.
#[derive(Clone, Debug, Default)]
pub struct AttestOptions {
    /// Its name in the configuration, for the log and the record.
    pub name: String,
    /// Base URL of its API.
    pub url: String,
    /// Its name there.
    pub model: String,
    /// Its key.
    pub key: Option<String>,
    /// What it must speak.
    pub speaks: Speaks,
    /// Tells addresses of private networks, where it may be at one.
    pub private: Option<fn(IpAddr) -> bool>,
    /// The only weights that may answer: `sha256:` and 64 hexadecimal digits.
    pub digest: Option<String>,
    /// The file of its weights on this machine, hashed where the server reports no digest.
    pub file: Option<PathBuf>,
    /// Where what was found out is recorded whenever it changes.
    pub records: Option<Arc<Records>>,
}

/// What a server must speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speaks {
    /// OpenAI's API; it may be an Ollama.
    #[default]
    OpenAi,
    /// Ollama's own API.
    Ollama,
    /// Anything, over HTTP: it is never asked for answers.
    Other,
}

/// What a server keeps of a prompt that another request could meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Nothing that a request of ours could meet: each is read anew (llama.cpp's `cache_prompt`), and counted, or it fails.
    CacheOff,
    /// Each collection's prompts are kept apart by a secret salt (vLLM's `cache_salt`).
    Salted,
    /// It cannot be told to keep collections apart.
    None,
}

impl Isolation {
    /// As answers and `isolation` in the configuration's words show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CacheOff => "cache_off",
            Self::Salted => "salted",
            Self::None => "none",
        }
    }
}

/// What was found out about a model, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// Where requests go: the address that its name led to once, and that is kept.
    pub endpoint: SocketAddr,
    /// What serves it, as it says itself, such as `llama.cpp b6123`.
    pub server: String,
    /// The process that listens there, such as `llama-server (pid 4711)`; none where the system does not tell.
    pub process: Option<String>,
    /// The weights, as `sha256:…`; none where nobody reports them and no file is named.
    pub digest: Option<String>,
    /// What it keeps.
    pub isolation: Isolation,
    /// Tokens that it takes in at once, as it says itself.
    pub context: Option<usize>,
    /// What was checked, for people: a proxy on this machine cannot be seen through, and this does not say otherwise.
    pub checked: String,
}

/// A model that may be asked now.
#[derive(Clone)]
pub struct Reached {
    /// Reaches its server and nothing else.
    pub client: Client,
    /// The server's address without the API's path.
    pub root: String,
    /// What serves it.
    pub kind: Kind,
    /// What was found out.
    pub found: Arc<Attestation>,
}

/// Finds out about a model once; what is asked of it is counted under the name `client`.
///
/// # Errors
/// If it cannot be reached, or is not what may be used.
pub async fn look_at(client: &str, options: AttestOptions, egress: Egress) -> Result<Arc<Attestation>, GeneratorError> {
    Attestor::new(client, options, egress).attest().await.map(|reached| reached.found)
}

/// The template that the server makes a conversation into a prompt with, where it tells (llama.cpp). Nothing is recorded.
///
/// # Errors
/// If it cannot be reached, or is not what may be used.
pub async fn chat_template(options: AttestOptions, egress: Egress) -> Result<Option<String>, GeneratorError> {
    let key = options.key.clone();
    let reached = Attestor::new("generator", options, egress).attest().await?;
    match reached.kind {
        Kind::LlamaCpp => servers::chat_template(&reached.client, &reached.root, key.as_deref()).await,
        Kind::Vllm | Kind::Ollama | Kind::Other => Ok(None),
    }
}

/// A server of language models that runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Base URL of its API.
    pub url: String,
    /// Its models.
    pub models: Vec<String>,
}

/// Looks for servers of language models at the ports of this machine where they usually are: Ollama's, that of llama.cpp and MLX,
/// LM Studio's, vLLM's.
pub async fn find_servers(egress: &Egress) -> Vec<Found> {
    let mut found = Vec::new();
    for port in [11434, 8080, 1234, 8000] {
        let (host, address) = ("127.0.0.1".to_owned(), SocketAddr::from(([127, 0, 0, 1], port)));
        let options = ClientOptions { pause: CONNECT, ..client_options("generator") };
        let Ok(client) = egress.pinned_client(options, &Pinned { host, address }) else { continue };
        let root = format!("http://{address}");
        if let Ok(Some(models)) = timeout(CONNECT, servers::models(&client, &root)).await {
            found.push(Found { url: format!("{root}/v1"), models });
        }
    }
    found
}

fn client_options(name: &str) -> ClientOptions<'_> {
    ClientOptions { name, redirects: Redirects::None, connect: CONNECT, pause: PAUSE, https_only: false }
}

/// Finds out about one model.
pub struct Attestor {
    /// The name that requests to it are counted under.
    client: String,
    options: AttestOptions,
    egress: Egress,
    place: OnceCell<Place>,
    weights: Weights,
    process: Process,
    last: Mutex<Last>,
}

/// What came of the last time.
#[derive(Default)]
struct Last {
    found: Option<Arc<Attestation>>,
    /// Why it was not what may be used, unless it was.
    refused: Option<String>,
}

impl Attestor {
    /// Nothing is asked yet. What will be is counted under the name `client`.
    pub fn new(client: &str, options: AttestOptions, egress: Egress) -> Self {
        let (client, weights) = (client.to_owned(), Weights::new(options.file.clone()));
        Self { client, options, egress, place: OnceCell::new(), weights, process: Process::default(), last: Mutex::default() }
    }

    /// The name that requests to it are counted under.
    pub(super) fn client(&self) -> &str {
        &self.client
    }

    /// What was found out last.
    pub fn last(&self) -> Option<Arc<Attestation>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).found.clone()
    }

    /// Finds out what the model is now, and how to reach it.
    ///
    /// # Errors
    /// If it cannot be reached, or is not what may be used.
    pub async fn attest(&self) -> Result<Reached, GeneratorError> {
        let looked = self.look().await;
        let changed = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            match &looked {
                Ok(reached) => {
                    let same = last.refused.take().is_none() && last.found.as_ref() == Some(&reached.found);
                    last.found = Some(Arc::clone(&reached.found));
                    (!same).then(|| Ok(Arc::clone(&reached.found)))
                }
                Err(error @ (GeneratorError::Refused(_) | GeneratorError::Failed(_))) => {
                    let why = error.to_string();
                    let same = last.refused.replace(why.clone()).as_ref() == Some(&why);
                    (!same).then_some(Err(why))
                }
                // It sleeps, or loads: nothing was found out.
                Err(_) => None,
            }
        };
        if let Some(changed) = changed {
            self.tell(changed).await;
        }
        looked
    }

    async fn look(&self) -> Result<Reached, GeneratorError> {
        let place = self.place.get_or_try_init(|| find(&self.client, &self.options, &self.egress)).await?;
        let asked = servers::look(&place.client, &place.root, &self.options);
        let seen =
            timeout(ASKING, asked).await.map_err(|_| GeneratorError::Unreachable("it does not say what it is".into()))??;
        let kind = seen.kind;
        let found = self.judge(place, seen).await?;
        let found = self.last().filter(|last| **last == found).unwrap_or_else(|| Arc::new(found));
        Ok(Reached { client: place.client.clone(), root: place.root.clone(), kind, found })
    }

    /// Tells of a change in the log, and records it.
    async fn tell(&self, changed: Result<Arc<Attestation>, String>) {
        let (name, model) = (self.options.name.clone(), self.options.model.clone());
        match &changed {
            Ok(found) => tracing::info!(
                generator = name,
                endpoint = %found.endpoint,
                server = found.server,
                process = found.process.as_deref().unwrap_or("-"),
                digest = found.digest.as_deref().unwrap_or("-"),
                isolation = found.isolation.as_str(),
                "a local model was attested"
            ),
            Err(why) => tracing::warn!(generator = name, why, "a local model is not what may be used"),
        }
        let Some(records) = self.options.records.clone() else { return };
        let recording = tokio::task::spawn_blocking(move || records.add(&name, &model, &changed));
        if !matches!(recording.await, Ok(Ok(()))) {
            tracing::error!(generator = self.options.name, "what was found out about a local model could not be recorded");
        }
    }

    async fn judge(&self, place: &Place, seen: Seen) -> Result<Attestation, GeneratorError> {
        if seen.remote {
            let why = "it is a model of a cloud under a local name: what it is asked leaves this machine";
            return Err(GeneratorError::Refused(why.into()));
        }
        let loopback = place.address.ip().is_loopback();
        let mut checked =
            String::from(if loopback { "its address is on this machine" } else { "its address is a private one" });
        let digest = match (seen.digest, &self.options.file) {
            (Some(digest), _) => {
                checked.push_str("; the server reports the digest");
                Some(digest)
            }
            (None, Some(_)) => {
                let digest = self.weights.digest(seen.file.as_deref()).await?;
                checked.push_str(if seen.file.is_some() {
                    "; the file that the server says it has loaded was hashed"
                } else {
                    "; the named file was hashed, and the server does not say which it has loaded"
                });
                Some(digest)
            }
            (None, None) => None,
        };
        if let Some(pinned) = &self.options.digest {
            match &digest {
                Some(digest) if digest.eq_ignore_ascii_case(pinned) => checked.push_str("; it is the pinned one"),
                Some(digest) => {
                    let why = format!("its digest is {digest}, and the configuration pins {pinned}");
                    return Err(GeneratorError::Refused(why));
                }
                None => {
                    let why = "its digest is pinned, and the server reports none: name the file of its weights with `file`";
                    return Err(GeneratorError::Refused(why.into()));
                }
            }
        }
        if loopback {
            checked.push_str("; whether what listens there passes requests on cannot be seen from here");
        }
        let process = if loopback { self.process.listening(place.address).await } else { None };
        let isolation = match seen.kind {
            Kind::LlamaCpp => {
                checked.push_str(
                    "; it is told to read each prompt anew, and an answer to one that it did not is thrown away; \
                                  what it keeps for programs that ask it directly cannot be seen or turned off from here",
                );
                Isolation::CacheOff
            }
            Kind::Vllm => Isolation::Salted,
            Kind::Ollama | Kind::Other => Isolation::None,
        };
        let Seen { server, context, .. } = seen;
        Ok(Attestation { endpoint: place.address, server, process, digest, isolation, context, checked })
    }
}
