//! The models as people write them: local ones that write answers, and cloud ones.

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
    /// The model's name there.
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
}

fn default_answer_tokens() -> u64 {
    1024
}

fn default_generator_timeout() -> String {
    "60s".into()
}

/// The API that a local language model speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypedGeneratorKind {
    /// Chat completions, as llama.cpp, vLLM and others have them.
    Openai,
    /// Ollama, by its own API: only that is told how many tokens to take in.
    Ollama,
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
