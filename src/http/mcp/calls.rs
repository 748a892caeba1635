//! The work of each tool: its arguments held to their rules, then the same search, answer and text as over REST.

use std::sync::Arc;
use std::time::Instant;

use rmcp::model::JsonObject;
use rmcp::schemars::{self, JsonSchema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strongroom_ingest::index::records::DocumentFilter;

use super::results::{AnswerResult, CollectionSummary, CollectionsResult, ReadResult, SearchResult};
use crate::http::access::Access;
use crate::http::problem::Problem;
use crate::http::search::{check_question, distinct};
use crate::http::tools::text_problem;
use crate::http::{Context, blocking};
use crate::keys::Scope;
use crate::retrieve::{Mode, Query};

/// Characters of a document that are given at a time.
const MOST_CHARACTERS: u64 = 20_000;
/// Collections in one list.
const MOST_COLLECTIONS: usize = 500;

/// What a tool gave.
pub(super) struct Called {
    /// For models.
    pub text: String,
    /// For programs.
    pub structured: Value,
}

impl Called {
    fn new(text: String, result: &impl Serialize) -> Result<Self, Problem> {
        let structured = serde_json::to_value(result).map_err(|_| Problem::internal("a tool's result could not be written"))?;
        Ok(Self { text, structured })
    }
}

/// The arguments of a call, as they were sent.
pub(super) struct Arguments(pub JsonObject);

impl Arguments {
    /// As the tool wants them, or what is wrong with them.
    pub fn take<A: DeserializeOwned>(self) -> Result<A, Problem> {
        serde_path_to_error::deserialize(Value::Object(self.0)).map_err(|error| {
            let field = error.path().to_string();
            Problem::bad_field(&field, &format!("is not as the tool's schema has it: {}", error.into_inner()))
        })
    }
}

/// Arguments of `search`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// What is looked for: a question or words.
    query: String,
    /// Names of the collections to search; all that may be read if it is not given.
    #[serde(default)]
    collections: Option<Vec<String>>,
    /// Passages wanted, 1 to 100; 10 if not given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u64>,
}

/// Arguments of `read_document`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    /// The collection's name.
    collection: String,
    /// The document's path in the collection, as passages give it.
    path: String,
    /// First character wanted; 0 if not given.
    #[serde(default)]
    start: Option<u64>,
    /// One past the last character wanted.
    #[serde(default)]
    end: Option<u64>,
}

/// Arguments of `ask`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// The question.
    question: String,
    /// Names of the collections to answer from; all that may be read if it is not given. An answer over several needs each
    /// one's consent in the server's configuration.
    #[serde(default)]
    collections: Option<Vec<String>>,
}

/// Arguments of `list_collections`: none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct List {}

/// Finds passages.
pub(super) async fn search(context: &Arc<Context>, access: &Access, wanted: Search) -> Result<Called, Problem> {
    let result = found(context, access, wanted).await?;
    Called::new(result.text(), &result)
}

async fn found(context: &Arc<Context>, access: &Access, wanted: Search) -> Result<SearchResult, Problem> {
    check_question("query", &wanted.query)?;
    let limit = match wanted.limit {
        None => 10,
        Some(limit @ 1..=100) => limit as usize,
        Some(_) => return Err(Problem::bad_field("limit", "must be a whole number from 1 to 100")),
    };
    let query = Query { text: wanted.query, mode: Mode::Hybrid, limit, filter: DocumentFilter::default(), explain: false };
    let collections = wanted.collections.map(distinct);
    let ask = context.door.ask.within(access.reach());
    let started = Instant::now();
    let found = blocking(move || ask.search(collections.as_deref(), &query)).await?;
    context.door.metrics.count_search(Mode::Hybrid, started.elapsed());
    Ok(SearchResult::of(found, context.door.public_url.as_deref()))
}

/// Gives a document's text.
pub(super) async fn read(context: &Arc<Context>, access: &Access, wanted: Read) -> Result<Called, Problem> {
    let result = part(context, access, wanted).await?;
    Called::new(result.text.clone(), &result)
}

async fn part(context: &Arc<Context>, access: &Access, wanted: Read) -> Result<ReadResult, Problem> {
    let start = wanted.start.unwrap_or(0);
    if wanted.end.is_some_and(|end| end < start) {
        return Err(Problem::bad_field("end", "must not be less than `start`"));
    }
    access.check(Scope::Read)?;
    let (pipeline, access) = (context.door.pipeline.clone(), access.clone());
    blocking(move || {
        let collection = access.seen(&pipeline, wanted.collection.clone())?;
        let text = pipeline.text(&collection, &wanted.path).map_err(text_problem)?;
        let total = text.chars().count() as u64;
        let start = start.min(total);
        let end = wanted.end.unwrap_or(total).min(total).min(start.saturating_add(MOST_CHARACTERS)).max(start);
        let text = text.chars().skip(start as usize).take((end - start) as usize).collect();
        let next = Some(end).filter(|end| *end < total);
        Ok::<_, Problem>(ReadResult { collection: wanted.collection, path: wanted.path, start, end, total, next, text })
    })
    .await
}

/// Answers a question.
pub(super) async fn ask(context: &Arc<Context>, access: &Access, wanted: Ask) -> Result<Called, Problem> {
    check_question("question", &wanted.question)?;
    let collections = wanted.collections.map(distinct);
    let ask = context.door.ask.within(access.reach());
    let result: AnswerResult = blocking(move || ask.answer(collections.as_deref(), &wanted.question)).await?.into();
    Called::new(result.text(), &result)
}

/// Lists collections.
pub(super) async fn list(context: &Arc<Context>, access: &Access, _: List) -> Result<Called, Problem> {
    let pipeline = context.door.pipeline.clone();
    let mut records = blocking(move || pipeline.collections()).await?;
    access.keep_seen(&mut records);
    records.sort_by(|a, b| a.name.cmp(&b.name));
    let truncated = records.len() > MOST_COLLECTIONS;
    records.truncate(MOST_COLLECTIONS);
    let mut collections = Vec::with_capacity(records.len());
    for record in records {
        collections.push(CollectionSummary {
            name: record.name,
            title: record.title,
            indexed: record.counts.indexed,
            pending: record.counts.pending,
            unreadable: record.counts.unreadable,
        });
    }
    let result = CollectionsResult { collections, truncated };
    Called::new(result.text(), &result)
}
