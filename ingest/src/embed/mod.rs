//! Text to vectors: ONNX Runtime sessions, each owned by one thread, fed by bounded queues.
//!
//! [`Embedder`] is the handle everybody else holds. Behind it a query lane (always ready, never behind bulk work) and some bulk
//! threads each own a [`Backend`]. The built-in model is a BERT graph put together in memory from safetensors ([`bert`]); other
//! models come by a name that `fastembed` knows, or from a folder with an ONNX file.

use std::path::PathBuf;
use std::time::Duration;

mod backend;
mod bert;
mod builtin;
mod check;
mod embedder;
mod fakes;
mod folder;
mod named;
mod runtime;
pub mod set;
#[cfg(test)]
mod tests;
mod tokens;

pub use backend::{Backend, Embedded, Lane, Purpose};
pub use builtin::peer;
pub use embedder::{Custom, Embedder, Make, give_way};
pub use fakes::HashBackend;
pub use named::{NamedFiles, named_files, named_models};
pub use runtime::disable_telemetry;

/// The name of the model that is built in.
pub const BUILTIN: &str = "all-MiniLM-L6-v2";

/// How the built-in model's weights are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Eight-bit weights with a scale an output column, activations quantised on the way: about twice as fast, cosine to fp32 .99.
    Int8,
    /// As the weights came.
    Fp32,
}

/// Which model to load, and where its files lie.
#[derive(Clone, Debug)]
pub enum ModelSpec {
    /// all-MiniLM-L6-v2.
    Builtin {
        /// `model.safetensors`
        weights: PathBuf,
        /// `tokenizer.json`
        tokenizer: PathBuf,
        /// How exactly to compute; on CUDA and CoreML it is always fp32.
        precision: Precision,
    },
    /// A model that `fastembed` knows; [`named_files`] says which files it needs.
    Fastembed {
        /// Its name, such as `nomic-embed-text-v1.5`.
        name: String,
        /// The folder that holds its files, under the paths that the hub has them under.
        files: PathBuf,
    },
    /// Somebody's own model.
    Folder {
        /// A folder with `model.onnx` and `tokenizer.json`; an `embedding.json` may say how it wants to be used.
        path: PathBuf,
    },
}

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// CUDA where the loaded library has it and a session starts on it, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA card; an error where that is not to be had.
    Cuda,
    /// Apple's CoreML; an error where that is not to be had.
    CoreMl,
}

/// Everything [`Embedder::start`] needs.
#[derive(Clone, Debug)]
pub struct EmbedOptions {
    /// The ONNX Runtime library, `libonnxruntime.so` or its like.
    pub runtime: PathBuf,
    /// The model.
    pub model: ModelSpec,
    /// What computes.
    pub device: Device,
    /// Bulk sessions, one thread each; at least one is made.
    pub threads: usize,
    /// A bulk session without work for this long is dropped, which gives its memory back; it is made again on demand.
    pub idle: Duration,
}

/// Why there is no vector. No variant ever carries the text.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// A file of the model could not be read.
    #[error("cannot read {path} of the embedding model: {source}")]
    File {
        /// The model's file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the model is not what it should be.
    #[error("{path} of the embedding model is damaged or of another kind: {reason}")]
    Model {
        /// The model's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The ONNX Runtime library cannot be used.
    #[error("cannot use ONNX Runtime at {path}: {reason}")]
    Library {
        /// The library.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The environment does not forbid the library's telemetry, so it is not loaded.
    #[error(
        "ONNX Runtime is not loaded, because ORT_DISABLE_TELEMETRY is not 1 in this process's environment: set it before the start"
    )]
    Telemetry,
    /// The device asked for is not there.
    #[error("the device {device} cannot be used: {reason}")]
    Device {
        /// `cuda` or `coreml`.
        device: &'static str,
        /// Why.
        reason: String,
    },
    /// No such model.
    #[error("no embedding model is called {0:?}")]
    Unknown(String),
    /// ONNX Runtime refused while it was running.
    #[error("the embedding model failed: {0}")]
    Failed(String),
    /// [`Embedder::stop`] was called.
    #[error("the embedder has been stopped")]
    Stopped,
}
