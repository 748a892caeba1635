//! `POST /v1/rerank`: orders texts by how near they are to a question.

use axum::Json as Reply;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::models;
use super::read::{Body, bad};
use crate::http::openapi::OpenAiRefusals;
use crate::http::problem::Problem;
use crate::http::search::check_question;
use crate::http::{Shared, blocking};

/// Documents in one request.
const MOST_DOCUMENTS: usize = 1000;

/// Texts to order.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct RerankRequest {
    /// `strongroom-embed`, or the embedding model's own name; that if it is not given.
    #[serde(default)]
    model: Option<String>,
    /// The question; 1 to 20,000 characters.
    query: String,
    /// Up to 1,000 texts.
    documents: Vec<Text>,
    /// How many of the best are given; all if it is not given.
    #[serde(default)]
    top_n: Option<u64>,
}

/// A text, or an object that holds it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Text {
    /// As it is.
    Plain(String),
    /// In a field.
    Field {
        /// The text.
        text: String,
    },
}

/// Texts by relevance.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RerankResponse {
    /// The model, as it was called.
    model: String,
    /// Best first.
    results: Vec<Ranked>,
}

/// One text.
#[derive(Debug, Serialize, ToSchema)]
struct Ranked {
    /// Its place in the request.
    index: usize,
    /// Cosine with the question: -1 to 1.
    relevance_score: f32,
}

/// Orders texts by how near they are to a question.
#[utoipa::path(
    post, path = "/v1/rerank", tag = "openai", operation_id = "rerank",
    request_body = RerankRequest,
    responses((status = 200, description = "The texts by relevance.", body = RerankResponse), OpenAiRefusals),
)]
pub(super) async fn rerank(
    State(context): Shared,
    Body(request): Body<RerankRequest>,
) -> Result<Reply<RerankResponse>, Problem> {
    let model = request.model.unwrap_or_else(|| models::EMBED.to_owned());
    if !models::is_embedding(&context, &model) {
        return Err(models::not_found(&model));
    }
    check_question("query", &request.query)?;
    if request.documents.len() > MOST_DOCUMENTS {
        return Err(bad("documents", "must hold at most 1,000 texts"));
    }
    let (ask, query, documents) = (context.door.ask.clone(), request.query, request.documents);
    let scores = blocking(move || {
        let texts: Vec<&str> = documents.iter().map(Text::text).collect();
        if texts.is_empty() { Ok(Vec::new()) } else { ask.nearness(&query, &texts) }
    });
    let scores = scores.await?;
    Ok(Reply(RerankResponse { model, results: ranked(&scores, request.top_n) }))
}

impl Text {
    fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Field { text } => text,
        }
    }
}

fn ranked(scores: &[f32], most: Option<u64>) -> Vec<Ranked> {
    let mut results: Vec<Ranked> =
        scores.iter().enumerate().map(|(index, score)| Ranked { index, relevance_score: *score }).collect();
    results.sort_by(|a, b| b.relevance_score.total_cmp(&a.relevance_score).then(a.index.cmp(&b.index)));
    results.truncate(most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX)));
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_comes_first_and_keeps_its_place_in_the_request() {
        let order = |most| ranked(&[0.1, 0.9, 0.5, 0.9], most).iter().map(|one| one.index).collect::<Vec<_>>();
        assert_eq!(order(None), [1, 3, 2, 0]);
        assert_eq!(order(Some(2)), [1, 3]);
    }
}
