//! The models as people write them: local ones that write answers and what wakes them, and cloud ones.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A local language model that writes answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypedGenerator {
    /// The name that answers show.
    pub name: String,
    /// The API it speaks.
    pub kind: TypedGeneratorKind,
    /// Where it is, such as `http://127.0.0.1:8080/v1`. A name is looked up once, and must lead to this machine or, with `private`,
    /// to a private network.
    pub url: String,
    /// The model's name there. One of kind `other` needs none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// The environment variable that holds its key, if it wants one. The key itself never stands in this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// Whether it may be at an address of a private network. Without this only loopback addresses are taken.
    #[serde(default)]
    pub private: bool,
    /// Tokens that the model takes in at once, its answer included. Passages that do not fit are left out. Left out, it is what
    /// the server says (llama.cpp, vLLM), else 4096; more than the server says is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// Tokens that an answer may have, at most.
    #[serde(default = "default_answer_tokens")]
    pub answer_tokens: u64,
    /// How long it may be silent before it is given up, such as `60s`. A model that is loaded first is silent meanwhile.
    #[serde(default = "default_generator_timeout")]
    pub timeout: String,
    /// The only weights that may answer, as `sha256:…`: with others it is not used. Ollama reports its model's digest; for other
    /// servers `file` is hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The file of its weights on this machine, for servers that report no digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Whether it may serve several collections though it cannot be told to keep their prompts apart (Ollama, LM Studio, MLX). Without
    /// this it serves the first collection that it is asked about, until the next start.
    #[serde(default)]
    pub shared_cache: bool,
    /// What its machine draws while it computes, in watts, for `strongroom usage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watts: Option<f64>,
    /// Requests that it is given at the same time. Further ones wait here, in the order in which they came.
    #[serde(default = "default_at_once")]
    pub at_once: u32,
    /// How its machine is woken by a question that finds it asleep. Without this a sleeping one is passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake: Option<TypedWake>,
    /// How its machine is told to sleep again after it was woken by a question. Needs `wake`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep: Option<TypedSleep>,
}

/// How a machine is woken: by Wake-on-LAN's magic packet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypedWake {
    /// The hardware address of its network card, such as `aa:bb:cc:dd:ee:ff`.
    pub mac: String,
    /// Where the packet is sent: an address of a private network (its broadcast address, such as `192.168.1.255:9`), of this machine, or
    /// `255.255.255.255:9`.
    #[serde(default = "default_wake_address")]
    pub address: String,
    /// How long a question waits for it to answer, its model loaded, such as `3m`; then the next generator is asked.
    #[serde(default = "default_wake_within")]
    pub within: String,
}

/// How a machine is told to sleep again. Only one that a question woke since the start is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypedSleep {
    /// The program to run and its arguments, such as `["ssh", "gpu", "systemctl", "suspend"]`. No shell reads it, what it prints is
    /// thrown away, and after a minute it is ended.
    pub command: Vec<String>,
    /// How long nothing must have been asked of it, such as `15m`.
    #[serde(default = "default_sleep_after")]
    pub after: String,
}

fn default_at_once() -> u32 {
    4
}

fn default_wake_address() -> String {
    "255.255.255.255:9".into()
}

fn default_wake_within() -> String {
    "3m".into()
}

fn default_sleep_after() -> String {
    "15m".into()
}

fn default_answer_tokens() -> u64 {
    1024
}

fn default_generator_timeout() -> String {
    "60s".into()
}

/// The API that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypedGeneratorKind {
    /// Chat completions, as llama.cpp, vLLM and others have them.
    Openai,
    /// Ollama, by its own API: only that is told how many tokens to take in.
    Ollama,
    /// Something else that runs near, such as ComfyUI: attested, listed and counted like the others, and never asked for answers.
    Other,
}

/// A cloud language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypedProvider {
    /// The name that collections' rules and the ledger use.
    pub name: String,
    /// The API it speaks.
    pub kind: TypedProviderKind,
    /// Where it is. Plain `http` only to loopback, for tests.
    pub url: String,
    /// The environment variable that holds its key. The key itself never stands in this file.
    pub api_key_env: String,
    /// The models that may be used.
    pub models: Vec<String>,
    /// What it asks for a million tokens of prompts, for `strongroom usage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_in: Option<f64>,
    /// And for a million tokens of answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_out: Option<f64>,
}

/// The API that a cloud language model speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypedProviderKind {
    /// Chat completions.
    Openai,
    /// Messages.
    Anthropic,
}
