//! Speech servers as people write them, and the rule by which recordings go to one of two kinds.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A local server that writes down what is said in recordings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypedSpeech {
    /// The name that documents show.
    pub name: String,
    /// What it is good for.
    pub lane: TypedLane,
    /// Where its OpenAI-compatible API is, such as `http://127.0.0.1:8000/v1`. A name is looked up once, and must lead to this machine
    /// or, with `private`, to a private network.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// The environment variable that holds its key, if it wants one. The key itself never stands in this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// Whether it may be at an address of a private network. Without this only loopback addresses are taken.
    #[serde(default)]
    pub private: bool,
    /// How long it may take over one recording, such as `1h`.
    #[serde(default = "default_speech_timeout")]
    pub timeout: String,
    /// The only weights that may listen, as `sha256:…`: with others it is not used. Few speech servers report a digest; for others
    /// `file` is hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The file of its weights on this machine, for servers that report no digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

fn default_speech_timeout() -> String {
    "1h".into()
}

/// What a speech server is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypedLane {
    /// It is done soon.
    Fast,
    /// It mishears less.
    Accurate,
}

/// Which recordings go to which kind of speech server. What a request names comes first, then the folder, then the length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TypedTranscription {
    /// Recordings up to this length go to an accurate one, longer ones to a fast one, as do those that do not say how long they are.
    pub accurate_up_to: String,
    /// Folders whose recordings go to an accurate one: a collection's name and a path there, such as `acme/interviews`. `*` stands for
    /// any one name.
    pub accurate_folders: Vec<String>,
    /// Folders whose recordings go to a fast one.
    pub fast_folders: Vec<String>,
}

impl Default for TypedTranscription {
    fn default() -> Self {
        Self { accurate_up_to: "10m".into(), accurate_folders: Vec::new(), fast_folders: Vec::new() }
    }
}
