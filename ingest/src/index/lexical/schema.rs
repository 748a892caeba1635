//! The fields of the index, and how a chunk becomes one of its entries.

use tantivy::TantivyDocument;
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{Language, Stemmer, TextAnalyzer, TokenStream, TokenizerManager, WhitespaceTokenizer};

use super::{LexicalChunk, analyze};
use crate::model::VersionId;

/// Words as [`analyze`] gives them. The number is that of its rules: it is part of the schema, and so an index whose words were
/// made by other rules is rebuilt. It grows when any text would give other words.
const AS_IT_IS: &str = "as_it_is_2";
/// The same, reduced to their English stems.
const STEMMED: &str = "stemmed_2";

/// Names of the columns that are read back.
pub(super) const CHUNK: &str = "chunk";
pub(super) const VERSION: &str = "version";
pub(super) const LENGTH: &str = "length";
pub(super) const HEAD_LENGTH: &str = "head_length";

/// The fields. Nothing is stored: the catalog holds the texts.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    /// The chunk's id.
    pub chunk: Field,
    /// The id of the version it belongs to; also how it is deleted.
    pub version: Field,
    /// Stems without stop words.
    pub stem: Field,
    /// Every word as it is, with its place.
    pub exact: Field,
    /// Stems of the document's head, on its first chunk.
    pub head: Field,
    /// How many stems there are: exactly, which Tantivy's one-byte norms are not.
    pub length: Field,
    /// How many stems the head has.
    pub head_length: Field,
}

/// The schema of every index. A change to it is a new data format: indexes made with another are rebuilt.
pub(super) fn schema() -> (Schema, Fields) {
    let text = |tokenizer: &str, option| {
        let indexing = TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(option).set_fieldnorms(false);
        TextOptions::default().set_indexing_options(indexing)
    };
    let mut builder = Schema::builder();
    let fields = Fields {
        chunk: builder.add_u64_field(CHUNK, FAST),
        version: builder.add_u64_field(VERSION, FAST | INDEXED),
        stem: builder.add_text_field("stem", text(STEMMED, IndexRecordOption::WithFreqs)),
        exact: builder.add_text_field("exact", text(AS_IT_IS, IndexRecordOption::WithFreqsAndPositions)),
        head: builder.add_text_field("head", text(STEMMED, IndexRecordOption::WithFreqs)),
        length: builder.add_u64_field(LENGTH, FAST),
        head_length: builder.add_u64_field(HEAD_LENGTH, FAST),
    };
    (builder.build(), fields)
}

/// Words reach Tantivy analysed and joined by spaces: one analysis serves two fields, and little waits in its queue.
pub(super) fn tokenizers() -> TokenizerManager {
    // Not an empty manager: Tantivy looks up the one named "default" even for numbers.
    let manager = TokenizerManager::default();
    manager.register(AS_IT_IS, WhitespaceTokenizer::default());
    manager.register(STEMMED, stemmed());
    manager
}

fn stemmed() -> TextAnalyzer {
    TextAnalyzer::builder(WhitespaceTokenizer::default()).filter(Stemmer::new(Language::English)).build()
}

/// The distinct stems of `words`, in order, each with the first word that has it, by the very analyser that the index uses.
pub(super) fn stems(words: &[String]) -> Vec<(String, &str)> {
    let mut analyzer = stemmed();
    let mut stems: Vec<(String, &str)> = Vec::new();
    for word in words {
        let mut stream = analyzer.token_stream(word);
        while let Some(token) = stream.next() {
            if !stems.iter().any(|(stem, _)| *stem == token.text) {
                stems.push((token.text.clone(), word));
            }
        }
    }
    stems
}

impl Fields {
    /// The entry for `chunk` of `version`.
    pub(super) fn entry(&self, version: VersionId, chunk: &LexicalChunk) -> TantivyDocument {
        let words = analyze::words(&chunk.text);
        let (telling, length) = without_stop_words(&words);
        let mut entry = TantivyDocument::new();
        entry.add_u64(self.chunk, chunk.chunk.0);
        entry.add_u64(self.version, version.0);
        entry.add_text(self.exact, words.join(" "));
        entry.add_text(self.stem, telling);
        entry.add_u64(self.length, length);
        let mut head_length = 0;
        if let Some(head) = &chunk.head {
            let (telling, length) = without_stop_words(&analyze::words(head));
            entry.add_text(self.head, telling);
            head_length = length;
        }
        entry.add_u64(self.head_length, head_length);
        entry
    }
}

/// The words that are no stop words, joined, and their number.
fn without_stop_words(words: &[String]) -> (String, u64) {
    let telling: Vec<&str> = words.iter().map(String::as_str).filter(|word| !analyze::is_stop_word(word)).collect();
    (telling.join(" "), telling.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_are_distinct_and_english() {
        let words = ["terminating", "terminated", "parties", "10.9", "契約"].map(String::from);
        let stems: Vec<(String, &str)> = stems(&words);
        let stems: Vec<(&str, &str)> = stems.iter().map(|(stem, word)| (stem.as_str(), *word)).collect();
        assert_eq!(stems, [("termin", "terminating"), ("parti", "parties"), ("10.9", "10.9"), ("契約", "契約")]);
    }
}
