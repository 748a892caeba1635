//! Somebody's own model: a folder with `model.onnx` and `tokenizer.json`, and perhaps an `embedding.json` that says how to use it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;
use serde::Deserialize;

use super::builtin::sha256;
use super::embedder::Custom;
use super::runtime::{self, Chosen, Memory, SessionOptions, failed};
use super::tokens::Tokens;
use super::{Backend, Device, EmbedError, Embedded, Lane, Purpose};
use crate::model::Fingerprint;

/// How the last hidden states become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Pooling {
    /// Their mean.
    #[default]
    Mean,
    /// The first.
    Cls,
    /// The last.
    Last,
}

/// `embedding.json`. Everything has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Use {
    name: Option<String>,
    pooling: Pooling,
    query_prefix: String,
    document_prefix: String,
    max_tokens: usize,
}

impl Default for Use {
    fn default() -> Self {
        Self {
            name: None,
            pooling: Pooling::Mean,
            query_prefix: String::new(),
            document_prefix: String::new(),
            max_tokens: 512,
        }
    }
}

/// Says how to run the model in the folder `path`.
pub(super) fn recipe(environment: &Environment, path: &Path, device: Device) -> Result<Custom, EmbedError> {
    let usage = read_usage(&path.join("embedding.json"))?;
    let graph = path.join("model.onnx");
    let tokenizer = path.join("tokenizer.json");
    let tokens = Arc::new(Tokens::read(&tokenizer, usage.max_tokens)?);
    let chosen = runtime::choose(device)?;
    let folder_name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = usage.name.clone().or(folder_name).unwrap_or_else(|| "own model".into());
    let fingerprint = Fingerprint(format!(
        "{name} weights={} tokenizer={} pooling={:?} prefix={:?}/{:?} precision=as-given max_tokens={}",
        weights_hash(path, &graph)?,
        sha256(&tokenizer)?,
        usage.pooling,
        usage.query_prefix,
        usage.document_prefix,
        usage.max_tokens,
    ));
    let source = Source { environment: environment.clone(), graph, tokens, usage, chosen };
    let mut first = source.open()?;
    // The graph's declared shape may leave the last dimension open, so it is asked by running it.
    let dimension = first.embed(&["dimension"], Purpose::Document)?.vectors.first().map_or(0, Vec::len);
    Ok(Custom {
        fingerprint,
        dimension,
        model_name: name,
        device: chosen.name().to_owned(),
        batch: 1,
        query: Some(Box::new(first)),
        make: Arc::new(move |_: Lane| Ok(Box::new(source.open()?))),
    })
}

fn read_usage(path: &Path) -> Result<Use, EmbedError> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| EmbedError::Model { path: path.to_owned(), reason: error.to_string() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Use::default()),
        Err(source) => Err(EmbedError::File { path: path.to_owned(), source }),
    }
}

/// The hash of the graph, and of the files beside it that graphs keep their weights in when they are too big for one.
fn weights_hash(folder: &Path, graph: &Path) -> Result<String, EmbedError> {
    let mut hash = sha256(graph)?;
    for beside in ["model.onnx_data", "model.onnx.data"] {
        let path = folder.join(beside);
        if path.is_file() {
            hash = format!("{hash}+{}", sha256(&path)?);
        }
    }
    Ok(hash)
}

/// Everything that one more session needs.
struct Source {
    environment: Environment,
    graph: PathBuf,
    tokens: Arc<Tokens>,
    usage: Use,
    chosen: Chosen,
}

impl Source {
    fn open(&self) -> Result<Own, EmbedError> {
        let options = SessionOptions { device: self.chosen, threads: 1, memory: Memory::Lean };
        let damaged = |reason: String| EmbedError::Model { path: self.graph.clone(), reason };
        let session = runtime::session_builder(&self.environment, options)?
            .commit_from_file(&self.graph)
            .map_err(|error| damaged(error.message().to_owned()))?;
        let inputs: Vec<String> = session.inputs().iter().map(|input| input.name().to_owned()).collect();
        if let Some(other) = inputs.iter().find(|name| !INPUTS.contains(&name.as_str())) {
            return Err(damaged(format!("it wants an input called {other}")));
        }
        Ok(Own { session, inputs, tokens: Arc::clone(&self.tokens), usage: self.usage.clone() })
    }
}

/// Inputs that a text embedding model may want.
const INPUTS: [&str; 3] = ["input_ids", "attention_mask", "token_type_ids"];

struct Own {
    session: Session,
    inputs: Vec<String>,
    tokens: Arc<Tokens>,
    usage: Use,
}

impl Own {
    fn one(&mut self, ids: &[u32]) -> Result<Vec<f32>, EmbedError> {
        let length = ids.len();
        let mut inputs: Vec<(String, SessionInputValue<'_>)> = Vec::new();
        for name in &self.inputs {
            let numbers: Vec<i64> = match name.as_str() {
                "input_ids" => ids.iter().map(|&id| i64::from(id)).collect(),
                "attention_mask" => vec![1; length],
                _ => vec![0; length],
            };
            let tensor = Tensor::from_array(([1, length], numbers)).map_err(failed)?;
            inputs.push((name.clone(), tensor.into()));
        }
        let outputs = self.session.run(inputs).map_err(failed)?;
        // A sentence's vector where the graph gives one, else the first output: the hidden states.
        let output = outputs.get("sentence_embedding").unwrap_or(&outputs[0]);
        let (shape, numbers) = output.try_extract_tensor::<f32>().map_err(failed)?;
        match (&shape[..], self.usage.pooling) {
            ([1, _], _) => Ok(numbers.to_vec()),
            (&[1, words, width], pooling) if words > 0 && width > 0 => {
                let rows = numbers.chunks_exact(width as usize);
                Ok(match pooling {
                    Pooling::Cls => rows.take(1).flatten().copied().collect(),
                    Pooling::Last => rows.skip(words as usize - 1).flatten().copied().collect(),
                    Pooling::Mean => mean(rows, width as usize),
                })
            }
            _ => Err(EmbedError::Failed("the model's output is neither hidden states nor a vector".into())),
        }
    }
}

/// The sum of the rows; its direction is that of their mean, and vectors are normalised afterwards.
fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>, width: usize) -> Vec<f32> {
    let mut sum = vec![0f32; width];
    for row in rows {
        sum.iter_mut().zip(row).for_each(|(sum, number)| *sum += number);
    }
    sum
}

impl Backend for Own {
    fn embed(&mut self, texts: &[&str], purpose: Purpose) -> Result<Embedded, EmbedError> {
        let prefix = match purpose {
            Purpose::Query => self.usage.query_prefix.clone(),
            Purpose::Document => self.usage.document_prefix.clone(),
        };
        let mut embedded = Embedded::default();
        for text in texts {
            let (ids, cut) = self.tokens.encode(&format!("{prefix}{text}"))?;
            embedded.truncated += u64::from(cut);
            embedded.vectors.push(self.one(&ids)?);
        }
        Ok(embedded)
    }
}
