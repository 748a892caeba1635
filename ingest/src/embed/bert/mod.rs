//! all-MiniLM-L6-v2 without an ONNX file: its weights from safetensors, its graph put together in memory.
//!
//! The word embeddings, half of the weights, stay outside the graph: every session of the process reads one shared [`Table`].

mod graph;
mod table;
mod weights;

pub(super) use graph::{Form, session_model};
pub(super) use table::Table;
pub(super) use weights::Weights;

/// Numbers of a hidden state, and of a vector.
pub(super) const HIDDEN: usize = 384;
/// Width of the feed-forward layers.
const INNER: usize = 1536;
/// Layers.
const LAYERS: usize = 6;
/// Attention heads.
const HEADS: i64 = 12;
/// What keeps LayerNorm from dividing by zero.
const EPSILON: f32 = 1e-12;
/// Word pieces that the model's authors let a text have, the two special ones included.
pub(super) const MOST_TOKENS: usize = 256;

/// How the big weights enter the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// Floats.
    Fp32,
    /// Integers up to `top` either way, with one scale an output column: 127, or 63 where products of larger ones saturate.
    Int8 { top: i8 },
}

impl Kernel {
    /// The word that stands in the fingerprint.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Int8 { top: 127 } => "int8",
            Self::Int8 { .. } => "int7",
        }
    }
}
