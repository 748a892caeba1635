//! What a text looks like before the first layer: word, position and type embeddings, added up outside the graph.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::super::EmbedError;
use super::{HIDDEN, MOST_TOKENS, Weights};

const WORDS: usize = 30_522;
const POSITIONS: usize = 512;

/// The embedding tables, shared by every session. Words are kept as 16-bit floats (23 MB instead of 47): the rounding changes
/// the cosine of a vector in the seventh digit.
pub(in super::super) struct Table {
    words: Vec<f16>,
    /// Position and type 0, already added.
    places: Vec<f32>,
}

impl Table {
    pub(in super::super) fn read(weights: &Weights) -> Result<Self, EmbedError> {
        let floats = weights.floats("embeddings.word_embeddings.weight", &[WORDS, HIDDEN])?;
        let mut words = vec![f16::ZERO; floats.len()];
        words.convert_from_f32_slice(&floats);
        drop(floats);
        let kind = weights.floats("embeddings.token_type_embeddings.weight", &[2, HIDDEN])?;
        let mut places = weights.floats("embeddings.position_embeddings.weight", &[POSITIONS, HIDDEN])?;
        places.truncate(MOST_TOKENS * HIDDEN);
        for place in places.chunks_exact_mut(HIDDEN) {
            for (number, kind) in place.iter_mut().zip(&kind) {
                *number += kind;
            }
        }
        Ok(Self { words, places })
    }

    /// Writes the hidden states of `ids` to `out`, which has room for exactly that many.
    pub(in super::super) fn gather(&self, ids: &[u32], out: &mut [f32]) -> Result<(), EmbedError> {
        let rows = out.chunks_exact_mut(HIDDEN).zip(self.places.chunks_exact(HIDDEN)).zip(ids);
        for ((out, place), &id) in rows {
            let at = id as usize * HIDDEN;
            let Some(word) = self.words.get(at..at + HIDDEN) else {
                return Err(EmbedError::Failed("the tokenizer knows more words than the model".into()));
            };
            word.convert_to_f32_slice(out);
            for (number, place) in out.iter_mut().zip(place) {
                *number += place;
            }
        }
        Ok(())
    }
}
