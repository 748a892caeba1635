//! Text to word pieces: the model's own tokenizer, cut at the model's own limit and counted when it cuts.

use std::path::Path;

use tokenizers::Tokenizer;

use super::EmbedError;

/// Longer texts are cut here before they are tokenised: no model of ours takes as much, and a pasted book must not cost a second.
const MOST_BYTES: usize = 128 * 1024;

pub(super) struct Tokens {
    tokenizer: Tokenizer,
    most: usize,
}

impl Tokens {
    /// Reads a `tokenizer.json`. The truncation and the padding that such files carry are switched off: MiniLM's would
    /// silently cut every text at 128 and pad every shorter one up to that.
    pub(super) fn read(path: &Path, most: usize) -> Result<Self, EmbedError> {
        let bytes = std::fs::read(path).map_err(|source| EmbedError::File { path: path.to_owned(), source })?;
        let damaged = |reason: String| EmbedError::Model { path: path.to_owned(), reason };
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| damaged(error.to_string()))?;
        tokenizer.with_truncation(None).map_err(|error| damaged(error.to_string()))?;
        tokenizer.with_padding(None);
        Ok(Self { tokenizer, most: most.max(2) })
    }

    /// The ids of a text, special tokens included, and whether it had to be cut.
    pub(super) fn encode(&self, text: &str) -> Result<(Vec<u32>, bool), EmbedError> {
        let short = &text[..text.floor_char_boundary(MOST_BYTES)];
        // The library's message might quote the text, so it is not passed on.
        let encoding =
            self.tokenizer.encode_fast(short, true).map_err(|_| EmbedError::Failed("the tokenizer refused a text".into()))?;
        let mut ids = encoding.get_ids().to_vec();
        let mut cut = short.len() < text.len();
        if ids.len() > self.most {
            // The closing special token stays the last one.
            let last = ids[ids.len() - 1];
            ids.truncate(self.most);
            ids[self.most - 1] = last;
            cut = true;
        }
        Ok((ids, cut))
    }
}
