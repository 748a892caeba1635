//! What a model's server says of itself, in each kind's own words.

use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{AttestOptions, Speaks};
use crate::answer::GeneratorError;
use crate::egress::Client;

/// Bytes of what a server says of itself, at most: lists of models are long.
const MOST_BYTES: usize = 4 << 20;

/// Servers whose own words are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// llama.cpp's `llama-server`.
    LlamaCpp,
    /// vLLM.
    Vllm,
    /// Ollama.
    Ollama,
    /// Anything else that speaks OpenAI.
    Other,
}

/// What it says.
#[derive(Debug)]
pub struct Seen {
    pub kind: Kind,
    /// Its name and version.
    pub server: String,
    /// The digest of the model.
    pub digest: Option<String>,
    /// The file that it has loaded.
    pub file: Option<String>,
    /// Tokens that it takes in at once.
    pub context: Option<usize>,
    /// Whether the model is in truth somewhere else.
    pub remote: bool,
}

impl Seen {
    fn new(kind: Kind, server: String) -> Self {
        Self { kind, server, digest: None, file: None, context: None, remote: false }
    }
}

#[derive(Deserialize)]
struct Models {
    #[serde(default)]
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    id: String,
    #[serde(default)]
    owned_by: Option<String>,
    /// vLLM's.
    #[serde(default)]
    max_model_len: Option<usize>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

/// llama.cpp's properties.
#[derive(Deserialize)]
struct Props {
    #[serde(default)]
    build_info: Option<String>,
    #[serde(default)]
    model_path: Option<String>,
    #[serde(default)]
    chat_template: Option<String>,
    #[serde(default)]
    default_generation_settings: Settings,
}

#[derive(Default, Deserialize)]
struct Settings {
    #[serde(default)]
    n_ctx: Option<usize>,
}

/// ComfyUI's statistics.
#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    system: System,
}

#[derive(Default, Deserialize)]
struct System {
    #[serde(default)]
    comfyui_version: Option<String>,
}

/// Ollama's models.
#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    #[serde(default)]
    name: String,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    remote_host: Option<String>,
    #[serde(default)]
    remote_model: Option<String>,
}

impl Tag {
    fn is_remote(&self) -> bool {
        [&self.remote_host, &self.remote_model].into_iter().flatten().any(|remote| !remote.is_empty())
    }
}

/// The models that it lists; none where nothing there speaks OpenAI's API.
pub(super) async fn models(client: &Client, root: &str) -> Option<Vec<String>> {
    let listed = Asker { client, root, key: None }.get::<Models>("/v1/models").await.ok()??;
    let names = listed.data.into_iter().map(|model| model.id).filter(|id| !id.is_empty());
    Some(names.map(|name| named(&name, None)).collect())
}

/// llama.cpp's template of conversations.
pub(super) async fn chat_template(client: &Client, root: &str, key: Option<&str>) -> Result<Option<String>, GeneratorError> {
    let props = Asker { client, root, key }.get::<Props>("/props").await?;
    Ok(props.and_then(|props| props.chat_template).filter(|template| !template.is_empty()))
}

/// Asks it, in the words of its kind.
pub(super) async fn look(client: &Client, root: &str, options: &AttestOptions) -> Result<Seen, GeneratorError> {
    let asker = Asker { client, root, key: options.key.as_deref() };
    match options.speaks {
        Speaks::OpenAi => {}
        Speaks::Ollama => {
            let seen = ollama(&asker, &options.model).await?;
            return seen.ok_or_else(|| GeneratorError::Failed("it is no Ollama: check `kind`".into()));
        }
        Speaks::Other => return asker.other().await,
    }
    let listed = asker.get::<Models>("/v1/models").await?.map(|models| models.data).unwrap_or_default();
    let own = listed.iter().find(|model| model.id == options.model).or(listed.first());
    match own.and_then(|model| model.owned_by.as_deref()) {
        Some("llamacpp") => {
            let mut seen = Seen::new(Kind::LlamaCpp, "llama.cpp".into());
            if let Some(props) = asker.get::<Props>("/props").await? {
                seen.server = named("llama.cpp", props.build_info.as_deref());
                seen.context = props.default_generation_settings.n_ctx.filter(|tokens| *tokens > 0);
                seen.file = props.model_path.filter(|path| !path.is_empty());
            }
            Ok(seen)
        }
        Some("vllm") => {
            let version = asker.get::<Version>("/version").await?.map(|said| said.version);
            let mut seen = Seen::new(Kind::Vllm, named("vLLM", version.as_deref()));
            seen.context = own.and_then(|model| model.max_model_len);
            Ok(seen)
        }
        // An Ollama is told by its own API even where it is configured as something else: it may have cloud models.
        _ => Ok(match ollama(&asker, &options.model).await? {
            Some(seen) => seen,
            None => Seen::new(Kind::Other, "a server that speaks OpenAI's API".into()),
        }),
    }
}

async fn ollama(asker: &Asker<'_>, model: &str) -> Result<Option<Seen>, GeneratorError> {
    let Some(Version { version }) = asker.get("/api/version").await? else { return Ok(None) };
    let mut seen = Seen::new(Kind::Ollama, named("Ollama", Some(&version)));
    let tags = asker.get::<Tags>("/api/tags").await?.map(|tags| tags.models).unwrap_or_default();
    // A name without a tag means the latest.
    let latest = format!("{model}:latest");
    let Some(tag) = tags.into_iter().find(|tag| tag.name == model || tag.name == latest) else {
        return Err(GeneratorError::Failed("it has no such model: check `model`, or fetch it with `ollama pull`".into()));
    };
    seen.remote = tag.is_remote();
    seen.digest = tag.digest.filter(|digest| !digest.is_empty()).map(|digest| {
        let hexadecimal = digest.strip_prefix("sha256:").unwrap_or(&digest);
        format!("sha256:{hexadecimal}")
    });
    Ok(Some(seen))
}

/// A version that a server says, kept short: it stands in answers and logs.
fn named(server: &str, version: Option<&str>) -> String {
    let version: String = version.unwrap_or_default().chars().filter(|c| c.is_ascii_graphic()).take(40).collect();
    if version.is_empty() { server.to_owned() } else { format!("{server} {version}") }
}

struct Asker<'a> {
    client: &'a Client,
    root: &'a str,
    key: Option<&'a str>,
}

impl Asker<'_> {
    /// What it answers at that path; none where it has nothing there.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, GeneratorError> {
        let mut request = self.client.request(Method::GET, &format!("{}{path}", self.root));
        if let Some(key) = self.key {
            request = request.bearer_auth(key);
        }
        let unreachable = |error: crate::egress::EgressError| GeneratorError::Unreachable(error.to_string());
        let response = self.client.send(request).await.map_err(unreachable)?;
        match response.status() {
            StatusCode::OK => {
                let body = response.body(MOST_BYTES).await.map_err(unreachable)?;
                Ok(serde_json::from_slice(&body).ok())
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(GeneratorError::Failed("it refuses its key: set `api_key_env`".into()))
            }
            // llama.cpp says so while it loads; whatever else says this stands for somebody who is not there.
            StatusCode::SERVICE_UNAVAILABLE => {
                let said = response.body(MOST_BYTES).await.unwrap_or_default();
                let loads = String::from_utf8_lossy(&said).to_lowercase().contains("loading");
                let busy = || GeneratorError::Unreachable("it is busy, or nobody stands behind it (503)".into());
                Err(if loads { GeneratorError::Loading } else { busy() })
            }
            status @ (StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) => {
                Err(GeneratorError::Unreachable(format!("nobody stands behind it ({})", status.as_u16())))
            }
            _ => Ok(None),
        }
    }

    /// Whatever answers over HTTP; ComfyUI says more of itself.
    async fn other(&self) -> Result<Seen, GeneratorError> {
        if let Some(Stats { system: System { comfyui_version: Some(version) } }) = self.get("/system_stats").await? {
            return Ok(Seen::new(Kind::Other, named("ComfyUI", Some(&version))));
        }
        let request = self.client.request(Method::GET, self.root);
        let response = self.client.send(request).await.map_err(|error| GeneratorError::Unreachable(error.to_string()))?;
        let server = response.headers().get("server").and_then(|server| server.to_str().ok());
        Ok(Seen::new(Kind::Other, named("a web server", server)))
    }
}
