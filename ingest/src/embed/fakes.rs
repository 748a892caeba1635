//! A model that is no model: vectors from hashes of words, for tests and benches that need vectors but no weights.

use sha2::{Digest, Sha256};

use super::{Backend, EmbedError, Embedded, Purpose};

/// Turns a text into the sum of its words' hash vectors: equal texts get equal vectors, texts that share words get near ones.
#[derive(Clone, Copy, Debug)]
pub struct HashBackend {
    /// How many numbers a vector has.
    pub dimension: usize,
}

impl Backend for HashBackend {
    fn embed(&mut self, texts: &[&str], _purpose: Purpose) -> Result<Embedded, EmbedError> {
        let vectors = texts.iter().map(|text| hash_vector(text, self.dimension)).collect();
        Ok(Embedded { vectors, truncated: 0 })
    }
}

fn hash_vector(text: &str, dimension: usize) -> Vec<f32> {
    let mut sum = vec![0f32; dimension];
    // The empty word is in every text, so that no vector is all zeros.
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).chain([""]) {
        let digest: [u8; 32] = Sha256::digest(word.to_lowercase().as_bytes()).into();
        let mut state =
            u64::from_le_bytes([digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7]]);
        let weight = if word.is_empty() { 0.1 } else { 1.0 };
        for number in &mut sum {
            // One step of SplitMix64 (Steele, Lea and Flood 2014) a number.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            *number += weight * ((mixed >> 40) as f32 / (1u64 << 23) as f32 - 1.0);
        }
    }
    sum
}
