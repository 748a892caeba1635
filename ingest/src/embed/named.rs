//! Models that `fastembed` knows by name: which files they need, which prefixes they want, and running them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastembed::{
    EmbeddingModel, InitOptionsUserDefined, ModelInfo, QuantizationMode, TextEmbedding, TokenizerFiles,
    UserDefinedEmbeddingModel,
};
use ort::environment::Environment;

use super::builtin::sha256;
use super::embedder::Custom;
use super::runtime::{self, Chosen, Memory};
use super::{Backend, Device, EmbedError, Embedded, Purpose};
use crate::model::Fingerprint;

/// Word pieces that a text may have: what `fastembed` itself takes.
const MOST_TOKENS: usize = 512;
/// How many texts one run carries.
const BATCH: usize = 16;
/// Files that every such model needs beside its graph.
const TOKENIZER_FILES: [&str; 4] = ["tokenizer.json", "config.json", "special_tokens_map.json", "tokenizer_config.json"];

/// Where a named model's files are to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFiles {
    /// Its repository on the Hugging Face hub, `owner/name`.
    pub repository: String,
    /// Paths in that repository; they are laid under the same paths in the folder that [`super::ModelSpec::Fastembed`] names.
    pub files: Vec<String>,
    /// How many numbers its vectors have.
    pub dimension: usize,
}

/// The files of a model that `fastembed` knows by `name`: a repository (`nomic-ai/nomic-embed-text-v1.5`), its last part
/// (`nomic-embed-text-v1.5`, with `-q` at the end for a quantised one), or `fastembed`'s own word (`NomicEmbedTextV15`).
pub fn named_files(name: &str) -> Option<NamedFiles> {
    let info = find(name)?;
    let mut files = vec![info.model_file.clone()];
    files.extend(info.additional_files.iter().cloned());
    files.extend(TOKENIZER_FILES.map(str::to_owned));
    Some(NamedFiles { repository: info.model_code, files, dimension: info.dim })
}

/// Every name that [`named_files`] knows, in its short form, sorted.
pub fn named_models() -> Vec<String> {
    let mut names: Vec<String> = TextEmbedding::list_supported_models().iter().map(short_name).collect();
    names.sort();
    names.dedup();
    names
}

fn find(name: &str) -> Option<ModelInfo<EmbeddingModel>> {
    TextEmbedding::list_supported_models().into_iter().find(|info| {
        let repository = &info.model_code;
        name.eq_ignore_ascii_case(&format!("{:?}", info.model))
            || name.eq_ignore_ascii_case(&short_name(info))
            || (name.eq_ignore_ascii_case(repository) && !quantised(info))
    })
}

/// The last part of the repository's name, without what says that it holds ONNX, and with `-q` where the weights are quantised.
fn short_name(info: &ModelInfo<EmbeddingModel>) -> String {
    let last = info.model_code.rsplit('/').next().unwrap_or(&info.model_code).to_lowercase();
    let plain = last.trim_end_matches("-q").trim_end_matches("-onnx");
    if quantised(info) { format!("{plain}-q") } else { plain.to_owned() }
}

fn quantised(info: &ModelInfo<EmbeddingModel>) -> bool {
    let variant = format!("{:?}", info.model);
    variant.ends_with('Q') || variant.ends_with("Q4")
}

/// What a model's authors want put before a query and before a document, from their model cards.
fn prefixes(short_name: &str) -> (&'static str, &'static str) {
    const RETRIEVE: &str = "Represent this sentence for searching relevant passages: ";
    let table: [(&str, &str, &str); 8] = [
        ("nomic-embed-text", "search_query: ", "search_document: "),
        ("modernbert-embed", "search_query: ", "search_document: "),
        ("multilingual-e5", "query: ", "passage: "),
        ("bge-m3", "", ""),
        ("bge-small-zh", "为这个句子生成表示以用于检索相关文章：", ""),
        ("bge-large-zh", "为这个句子生成表示以用于检索相关文章：", ""),
        ("embeddinggemma", "task: search result | query: ", "title: none | text: "),
        ("snowflake-arctic-embed", RETRIEVE, ""),
    ];
    for (beginning, query, document) in table {
        if short_name.starts_with(beginning) {
            return (query, document);
        }
    }
    if short_name.starts_with("bge-") || short_name.starts_with("mxbai-embed-large") {
        return (RETRIEVE, "");
    }
    ("", "")
}

/// Says how to run the model called `name`, whose files lie in `files`. `threads` is for one session: these models are big, so
/// there is one for queries and one for documents.
pub(super) fn recipe(
    environment: &Environment,
    name: &str,
    files: &Path,
    device: Device,
    threads: usize,
) -> Result<Custom, EmbedError> {
    let info = find(name).ok_or_else(|| EmbedError::Unknown(name.to_owned()))?;
    let chosen = runtime::choose(device)?;
    let short = short_name(&info);
    let (query_prefix, document_prefix) = prefixes(&short);
    let pooling = TextEmbedding::get_default_pooling_method(&info.model);
    let mut hashes = Vec::new();
    for file in std::iter::once(&info.model_file).chain(&info.additional_files) {
        hashes.push(sha256(&files.join(file))?);
    }
    let fingerprint = Fingerprint(format!(
        "{short} weights={} tokenizer={} pooling={pooling:?} prefix={query_prefix:?}/{document_prefix:?} precision={} max_tokens={MOST_TOKENS}",
        hashes.join("+"),
        sha256(&files.join("tokenizer.json"))?,
        if quantised(&info) { "as-quantised" } else { "fp32" },
    ));
    // The range of a dynamic quantiser spans the batch, so a text's vector would depend on its neighbours.
    let alone = TextEmbedding::get_quantization_mode(&info.model) == QuantizationMode::Dynamic;
    let dimension = info.dim;
    let source = Source {
        environment: environment.clone(),
        info,
        files: files.to_owned(),
        chosen,
        threads: threads.max(1),
        prefixes: (query_prefix, document_prefix),
    };
    Ok(Custom {
        fingerprint,
        dimension,
        model_name: short,
        device: chosen.name().to_owned(),
        batch: if alone { 1 } else { BATCH },
        query: None,
        make: Arc::new(move |_| Ok(Box::new(source.open()?))),
    })
}

/// Everything that one more session needs.
struct Source {
    environment: Environment,
    info: ModelInfo<EmbeddingModel>,
    files: PathBuf,
    chosen: Chosen,
    threads: usize,
    prefixes: (&'static str, &'static str),
}

impl Source {
    fn open(&self) -> Result<Named, EmbedError> {
        let read = |name: &str| {
            let path = self.files.join(name);
            std::fs::read(&path).map_err(|source| EmbedError::File { path, source })
        };
        let [tokenizer, config, special, tokenizer_config] = TOKENIZER_FILES;
        let tokenizer_files = TokenizerFiles {
            tokenizer_file: read(tokenizer)?,
            config_file: read(config)?,
            special_tokens_map_file: read(special)?,
            tokenizer_config_file: read(tokenizer_config)?,
        };
        let mut model = UserDefinedEmbeddingModel::new(read(&self.info.model_file)?, tokenizer_files);
        for file in &self.info.additional_files {
            // The graph names its weights by file name, beside itself.
            let name = file.rsplit('/').next().unwrap_or(file).to_owned();
            model = model.with_external_initializer(name, read(file)?);
        }
        model.pooling = TextEmbedding::get_default_pooling_method(&self.info.model);
        model.quantization = TextEmbedding::get_quantization_mode(&self.info.model);
        model.output_key = self.info.output_key.clone();
        let options = InitOptionsUserDefined::new()
            .with_environment(self.environment.clone())
            .with_execution_providers(runtime::providers(self.chosen, Memory::Lean))
            .with_intra_threads(self.threads)
            .with_max_length(MOST_TOKENS);
        let model = TextEmbedding::try_new_from_user_defined(model, options).map_err(failed)?;
        Ok(Named { model, prefixes: self.prefixes })
    }
}

struct Named {
    model: TextEmbedding,
    prefixes: (&'static str, &'static str),
}

impl Backend for Named {
    fn embed(&mut self, texts: &[&str], purpose: Purpose) -> Result<Embedded, EmbedError> {
        let prefix = match purpose {
            Purpose::Query => self.prefixes.0,
            Purpose::Document => self.prefixes.1,
        };
        let prefixed: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
        let mut truncated = 0;
        for text in &prefixed {
            // The tokenizer's message might quote the text, so it is not passed on.
            let encoding = self
                .model
                .tokenizer
                .encode_fast(text.as_str(), true)
                .map_err(|_| EmbedError::Failed("the tokenizer refused a text".into()))?;
            truncated += u64::from(!encoding.get_overflowing().is_empty());
        }
        let vectors = self.model.embed(&prefixed, None).map_err(failed)?;
        Ok(Embedded { vectors, truncated })
    }
}

/// Errors of `fastembed` as ours; what its tokenizer says might quote the text.
fn failed(error: fastembed::Error) -> EmbedError {
    EmbedError::Failed(match error {
        fastembed::Error::Tokenization(_) => "the tokenizer refused a text".into(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_every_form() {
        for name in ["nomic-embed-text-v1.5", "nomic-ai/nomic-embed-text-v1.5", "NomicEmbedTextV15", "NOMIC-embed-text-v1.5"] {
            let found = named_files(name).unwrap_or_else(|| panic!("{name} is not known"));
            assert_eq!(found.repository, "nomic-ai/nomic-embed-text-v1.5");
            assert_eq!(found.files[0], "onnx/model.onnx");
            assert_eq!(found.dimension, 768);
        }
        assert_eq!(
            named_files("nomic-embed-text-v1.5-q").map(|found| found.files[0].clone()).as_deref(),
            Some("onnx/model_quantized.onnx")
        );
        assert_eq!(named_files("no-such-model"), None);
    }

    #[test]
    fn every_listed_name_is_found() {
        let names = named_models();
        assert!(names.len() > 30, "{names:?}");
        for name in names {
            assert!(named_files(&name).is_some(), "{name}");
        }
    }

    #[test]
    fn prefixes_are_those_of_the_model_cards() {
        assert_eq!(prefixes("nomic-embed-text-v1.5-q"), ("search_query: ", "search_document: "));
        assert_eq!(prefixes("multilingual-e5-small"), ("query: ", "passage: "));
        assert_eq!(prefixes("bge-m3"), ("", ""));
        assert!(prefixes("bge-base-en-v1.5").0.starts_with("Represent"));
        assert_eq!(prefixes("all-mpnet-base-v2"), ("", ""));
    }
}
