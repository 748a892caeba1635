//! Tasks and what they cost, as people write them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which local models do which kind of task, and how much of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TypedTasks {
    /// Questions: answers with citations.
    pub ask: TypedTask,
    /// Taking facts out of documents.
    pub extract: TypedTask,
    /// Shortening documents.
    pub summarise: TypedTask,
    /// Sorting documents under labels.
    pub classify: TypedTask,
    /// Writing something new from documents.
    pub draft: TypedTask,
    /// Writing programs from documents.
    pub code: TypedTask,
}

/// How one kind of task is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TypedTask {
    /// Names of the generators that may do it, tried in this order. Empty: all, in the order in which they are configured.
    pub generators: Vec<String>,
    /// Tokens that its result may have, at most. Left out: the generator's `answer_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_tokens: Option<u64>,
    /// Tokens of documents that one task may read, at most: longer ones are refused, not cut.
    pub input_tokens: u64,
    /// How long it may take in all, such as `30m`.
    pub timeout: String,
    /// A file with the JSON Schema that a result must keep to, for requests that bring none. A relative path starts where the
    /// configuration file lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<PathBuf>,
}

impl Default for TypedTask {
    fn default() -> Self {
        Self { generators: Vec::new(), answer_tokens: None, input_tokens: 1_000_000, timeout: "30m".into(), schema: None }
    }
}

/// What things cost, for `strongroom usage`: what is not given is not reckoned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TypedUsage {
    /// The currency of all prices.
    pub currency: String,
    /// What a cloud would ask for a million tokens of prompts, to set what runs here against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rent_in: Option<f64>,
    /// And for a million tokens of answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rent_out: Option<f64>,
    /// What a kilowatt-hour costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kilowatt_hour: Option<f64>,
    /// What the machine cost that the generators run on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<f64>,
    /// Months that it is to last.
    pub machine_months: u32,
}

impl Default for TypedUsage {
    fn default() -> Self {
        Self { currency: "EUR".into(), rent_in: None, rent_out: None, kilowatt_hour: None, machine: None, machine_months: 36 }
    }
}
