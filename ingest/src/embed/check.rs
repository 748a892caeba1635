//! Reference vectors: what the built-in model must give, computed once by a plain implementation that shares no code with this one.

use super::embedder::normalise;
use super::{Backend, EmbedError, Purpose};

/// The least cosine that an integer kernel may have on the texts checked at start. Right ones have .985 and more, saturating
/// ones fall far below.
pub(super) const ENOUGH: f32 = 0.97;

const TEXTS: &str = include_str!("testdata/reference.json");
const VECTORS: &[u8] = include_bytes!("testdata/reference.f32");

/// Places of the texts that are checked at start: prose, numbers, Cyrillic (where products saturate first), and a paragraph.
const AT_START: [usize; 4] = [0, 7, 10, 16];

/// A text and its vector.
pub(super) struct Reference {
    pub text: String,
    pub vector: Vec<f32>,
}

/// All reference texts with their vectors.
pub(super) fn references() -> Result<Vec<Reference>, EmbedError> {
    let texts: Vec<String> =
        serde_json::from_str(TEXTS).map_err(|_| EmbedError::Failed("the reference texts are damaged".into()))?;
    let vectors = VECTORS.chunks_exact(VECTORS.len() / texts.len().max(1));
    let numbers = |bytes: &[u8]| bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Ok(texts.into_iter().zip(vectors).map(|(text, bytes)| Reference { text, vector: numbers(bytes) }).collect())
}

/// The worst cosine of `backend` to the references that are checked at start.
pub(super) fn least_cosine(backend: &mut dyn Backend) -> Result<f32, EmbedError> {
    let references = references()?;
    let mut least = 1f32;
    for reference in AT_START.iter().filter_map(|&at| references.get(at)) {
        let embedded = backend.embed(&[&reference.text], Purpose::Document)?;
        for mut vector in embedded.vectors {
            normalise(&mut vector);
            // Not `min`, which would let a NaN pass.
            let cosine = dot(&vector, &reference.vector);
            if cosine.is_nan() || cosine < least {
                least = cosine;
            }
        }
    }
    Ok(least)
}

/// The product of two vectors; their cosine, as both are normalised.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
