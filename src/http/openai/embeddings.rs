//! `POST /v1/embeddings`: vectors of questions. Each is remembered for a minute with its text, so that a client that searches by
//! the vector can be answered by a search for the text.

use axum::Json as Reply;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::models;
use super::read::{Body, bad};
use crate::http::access::Access;
use crate::http::openapi::OpenAiRefusals;
use crate::http::problem::Problem;
use crate::http::{Shared, blocking};

/// Texts in one request.
const MOST_TEXTS: usize = 2048;
/// Characters of one text. More than any model reads.
const LONGEST_TEXT: usize = 200_000;

/// Texts to embed.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct EmbeddingsRequest {
    /// `strongroom-embed`, or the embedding model's own name.
    model: String,
    /// A text, or up to 2,048 texts.
    input: Input,
    /// `float` (default) or `base64`: 32-bit floats, little-endian.
    #[serde(default)]
    encoding_format: Option<String>,
    /// Numbers in a vector; only the model's own number is taken.
    #[serde(default)]
    dimensions: Option<u64>,
}

/// What is embedded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Input {
    /// One text.
    One(String),
    /// Several.
    Many(Vec<String>),
    /// Numbers of word pieces, in one list or several: refused, for they are of another model.
    #[schema(value_type = Vec<Object>)]
    Tokens(#[allow(dead_code)] Vec<Tokens>),
}

/// A number of a word piece, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Tokens {
    One(#[allow(dead_code)] u64),
    Many(#[allow(dead_code)] Vec<u64>),
}

/// Vectors.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EmbeddingsResponse {
    /// `list`
    object: &'static str,
    /// One for each text, in order.
    data: Vec<Embedding>,
    /// The model, as it was called.
    model: String,
    /// An estimate.
    usage: EmbeddingUsage,
}

/// One vector.
#[derive(Debug, Serialize, ToSchema)]
struct Embedding {
    /// `embedding`
    object: &'static str,
    /// Which text it is of.
    index: usize,
    /// The vector, of length 1.
    embedding: Vector,
}

/// A vector as numbers, or as their bytes in base64.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Vector {
    /// Numbers.
    Floats(Vec<f32>),
    /// Base64.
    Base64(String),
}

/// Tokens taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EmbeddingUsage {
    /// Tokens of the texts.
    prompt_tokens: u64,
    /// The same.
    total_tokens: u64,
}

/// Turns texts into vectors, as questions.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "openai", operation_id = "createEmbeddings",
    request_body = EmbeddingsRequest,
    responses((status = 200, description = "The vectors.", body = EmbeddingsResponse), OpenAiRefusals),
)]
pub(super) async fn create_embeddings(
    State(context): Shared,
    access: Access,
    Body(request): Body<EmbeddingsRequest>,
) -> Result<Reply<EmbeddingsResponse>, Problem> {
    if !models::is_embedding(&context, &request.model) {
        return Err(models::not_found(&request.model));
    }
    let as_base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(bad("encoding_format", "must be `float` or `base64`")),
    };
    let texts = texts(request.input)?;
    if let (Some(wanted), Some((_, dimension))) = (request.dimensions, context.door.ask.embedding_model())
        && wanted != dimension as u64
    {
        return Err(bad("dimensions", &format!("must be {dimension}, the length of this model's vectors, or be left out")));
    }
    let ask = context.door.ask.clone();
    let (texts, embedded) = blocking(move || ask.embed(&texts).map(|embedded| (texts, embedded))).await?;
    let tokens: u64 = texts.iter().map(|text| text.chars().count().div_ceil(4) as u64).sum();
    let mut data = Vec::with_capacity(texts.len());
    for (index, (text, vector)) in texts.iter().zip(embedded.vectors).enumerate() {
        context.door.recall.remember(access.identity(), &vector, text);
        let embedding = if as_base64 { Vector::Base64(base64(&vector)) } else { Vector::Floats(vector) };
        data.push(Embedding { object: "embedding", index, embedding });
    }
    let usage = EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens };
    Ok(Reply(EmbeddingsResponse { object: "list", data, model: request.model, usage }))
}

fn texts(input: Input) -> Result<Vec<String>, Problem> {
    let texts = match input {
        Input::One(text) => vec![text],
        Input::Many(texts) => texts,
        Input::Tokens(_) => {
            return Err(bad("input", "must be a text or a list of texts: numbers of tokens are of another model"));
        }
    };
    if texts.is_empty() || texts.len() > MOST_TEXTS {
        return Err(bad("input", "must hold 1 to 2,048 texts"));
    }
    for text in &texts {
        if text.is_empty() || text.chars().count() > LONGEST_TEXT {
            return Err(bad("input", "must hold texts of 1 to 200,000 characters"));
        }
    }
    Ok(texts)
}

fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_taken_and_tokens_are_not() {
        let given = |json: &str| texts(serde_json::from_str(json).unwrap());
        assert_eq!(given(r#""a""#).unwrap(), ["a"]);
        assert_eq!(given(r#"["a","b"]"#).unwrap(), ["a", "b"]);
        for bad in ["[1,2]", "[[1],[2]]", "[]", r#""""#, r#"["a",""]"#] {
            assert_eq!(given(bad).unwrap_err().body("r").fields, ["input"], "{bad}");
        }
    }

    #[test]
    fn base64_holds_little_endian_floats() {
        assert_eq!(base64(&[1.0, -2.5]), "AACAPwAAIMA=");
    }
}
