//! `POST /api/v1/search`: the request held to its rules, hits as JSON.

use axum::Json as Reply;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use strongroom_ingest::index::records::DocumentFilter;
use utoipa::ToSchema;

use super::access::Access;
use super::body::{Json, JsonRequest};
use super::openapi::{ModeUnavailable, NoCollection, NotJson, Refusals};
use super::params::Params;
use super::problem::Problem;
use super::recordings::TimeBody;
use super::types::DocumentRefBody;
use super::{Shared, blocking};
use crate::retrieve::{Explain, Found, Hit, Mode, Query};

/// Longest query or question, in characters. More than any model reads, far less than what would keep an index busy.
const LONGEST_QUERY: usize = 20_000;

/// A search.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchRequest {
    /// What is looked for; 1 to 20,000 characters.
    #[schema(min_length = 1, max_length = 20000, example = "notice period for termination")]
    pub query: String,
    /// Names of the collections to search; all if it is not given, none if it is empty.
    #[serde(default)]
    pub collections: Option<Vec<String>>,
    /// Hits wanted, 1 to 100; 10 if not given. Fewer come only if no more match.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100, default = 10)]
    pub limit: Option<u64>,
    /// Which indexes are asked; `hybrid` if not given.
    #[serde(default)]
    pub mode: Option<ModeName>,
    /// Which documents may be found.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// Whether each hit tells how it was ranked.
    #[serde(default)]
    pub explain: Option<bool>,
}

impl JsonRequest for SearchRequest {
    // A filter may name thousands of paths.
    const LIMIT: usize = 8 * 1024 * 1024;
    const FIELDS: &'static [&'static str] = &["query", "collections", "limit", "mode", "filter", "explain"];
    const NESTED: &'static [(&'static str, &'static [&'static str])] = &[(
        "filter",
        &["paths", "path_prefix", "types", "modified_from", "modified_to", "author", "written_from", "written_to"],
    )];
}

/// Which indexes are asked.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ModeName {
    /// Both, fused.
    Hybrid,
    /// By meaning: vectors only.
    Dense,
    /// By words: full text only.
    Lexical,
}

/// Which documents may be found. It is applied before ranking; all that is given must hold.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Exact paths. An empty list matches nothing; a path that does not exist is no error.
    #[serde(default)]
    pub paths: Option<Vec<String>>,
    /// Paths that begin so.
    #[serde(default)]
    pub path_prefix: Option<String>,
    /// Media types (`application/pdf`) or file endings (`pdf`).
    #[serde(default)]
    pub types: Option<Vec<String>>,
    /// Changed at this time or later; RFC 3339.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub modified_from: Option<String>,
    /// Changed at this time or earlier; RFC 3339.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub modified_to: Option<String>,
    /// Part of the author's name by the document's own metadata, whatever its case.
    #[serde(default)]
    pub author: Option<String>,
    /// Written or sent at this time or later, by the document's own metadata; RFC 3339.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub written_from: Option<String>,
    /// Written or sent at this time or earlier; RFC 3339.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub written_to: Option<String>,
}

/// What a search found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SearchResponse {
    /// Best first. No two share a character of one document.
    pub hits: Vec<HitBody>,
    /// Milliseconds that the search took.
    pub took_ms: u64,
    /// Documents of the searched collections that can't be read, and so can't be found.
    pub unreadable: u64,
}

/// A passage that answers a query.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HitBody {
    /// Name of the collection it is from.
    pub collection: String,
    /// The document it is from.
    pub document: DocumentRefBody,
    /// The version of the document that the text is from.
    pub version: u64,
    /// 1-based page that it begins on; null where the format has none.
    pub page: Option<u32>,
    /// Titles of the sections that it lies in, joined by ` › `; may be empty.
    pub heading_path: String,
    /// Its first character in the document's text.
    pub start: u64,
    /// One past its last character.
    pub end: u64,
    /// Exactly that slice of the document's text.
    pub text: String,
    /// When it is said; only where the document is a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeBody>,
    /// The higher, the better; comparable between collections.
    pub score: f32,
    /// Other documents of the collection with the identical passage.
    pub also_in: Vec<DocumentRefBody>,
    /// How it was ranked; only if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<ExplainBody>,
}

/// How each stage saw a hit; null where it did not find it. Ranks are 1-based.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExplainBody {
    /// Rank among vector hits.
    pub dense_rank: Option<usize>,
    /// Cosine.
    pub dense_score: Option<f32>,
    /// Rank among full-text hits.
    pub lexical_rank: Option<usize>,
    /// BM25 of the passage.
    pub lexical_score: Option<f32>,
    /// BM25 of the whole document.
    pub document_score: Option<f32>,
    /// BM25 of file name, title and first characters.
    pub head_score: Option<f32>,
    /// What was added up to the score, by name, after weighting.
    pub parts: std::collections::BTreeMap<&'static str, f32>,
}

impl From<Explain> for ExplainBody {
    fn from(explain: Explain) -> Self {
        Self {
            dense_rank: explain.dense_rank,
            dense_score: explain.dense_score,
            lexical_rank: explain.lexical_rank,
            lexical_score: explain.lexical_score,
            document_score: explain.document_score,
            head_score: explain.head_score,
            parts: explain.parts.into_iter().collect(),
        }
    }
}

impl From<Hit> for HitBody {
    fn from(hit: Hit) -> Self {
        Self {
            collection: hit.collection_name,
            document: hit.document.into(),
            version: hit.version.0,
            page: hit.page,
            heading_path: hit.heading_path,
            start: hit.span.start,
            end: hit.span.end,
            text: hit.text,
            time: TimeBody::of(&hit.moments),
            score: hit.score,
            also_in: hit.also_in.into_iter().map(DocumentRefBody::from).collect(),
            explain: hit.explain.map(ExplainBody::from),
        }
    }
}

impl From<Found> for SearchResponse {
    fn from(found: Found) -> Self {
        Self {
            hits: found.hits.into_iter().map(HitBody::from).collect(),
            took_ms: found.took.as_millis() as u64,
            unreadable: found.unreadable,
        }
    }
}

/// Finds passages.
#[utoipa::path(
    post, path = "/api/v1/search", tag = "search", operation_id = "search",
    request_body = SearchRequest,
    responses(
        (status = 200, description = "What was found.", body = SearchResponse),
        NoCollection,
        NotJson,
        ModeUnavailable,
        Refusals,
    ),
)]
pub(super) async fn search(
    State(context): Shared,
    access: Access,
    params: Params,
    Json(request): Json<SearchRequest>,
) -> Result<Reply<SearchResponse>, Problem> {
    params.finish()?;
    let (collections, query) = asked(request)?;
    let (ask, mode) = (context.door.ask.within(access.reach()), query.mode);
    let started = std::time::Instant::now();
    let found = blocking(move || ask.search(collections.as_deref(), &query)).await?;
    context.door.metrics.count_search(mode, started.elapsed());
    Ok(Reply(found.into()))
}

/// The request in our own words, or what is wrong with it.
fn asked(request: SearchRequest) -> Result<(Option<Vec<String>>, Query), Problem> {
    check_question("query", &request.query)?;
    let limit = match request.limit {
        None => 10,
        Some(limit @ 1..=100) => limit as usize,
        Some(_) => {
            return Err(Problem::bad_field("limit", "must be a whole number from 1 to 100"));
        }
    };
    let mode = match request.mode {
        None | Some(ModeName::Hybrid) => Mode::Hybrid,
        Some(ModeName::Dense) => Mode::Dense,
        Some(ModeName::Lexical) => Mode::Lexical,
    };
    let filter = request.filter.unwrap_or_default();
    let filter = DocumentFilter {
        paths: filter.paths,
        path_prefix: filter.path_prefix,
        types: filter.types,
        modified_from: time("filter.modified_from", filter.modified_from)?,
        modified_to: time("filter.modified_to", filter.modified_to)?,
        author: filter.author,
        written_from: time("filter.written_from", filter.written_from)?,
        written_to: time("filter.written_to", filter.written_to)?,
    };
    let explain = request.explain.unwrap_or(false);
    Ok((request.collections.map(distinct), Query { text: request.query, mode, limit, filter, explain }))
}

/// Whether a query or question has a length that can be worked with.
pub(super) fn check_question(field: &str, text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() || text.chars().count() > LONGEST_QUERY {
        return Err(Problem::bad_field(field, "must have 1 to 20,000 characters, not all of them white space"));
    }
    Ok(())
}

/// The names in their order, each once: a collection named twice is searched once.
pub(super) fn distinct(names: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

fn time(field: &str, text: Option<String>) -> Result<Option<jiff::Timestamp>, Problem> {
    let parsed = text.map(|text| text.parse::<jiff::Timestamp>()).transpose();
    parsed.map_err(|_| Problem::bad_field(field, "must be an RFC 3339 time, such as `2026-01-31T00:00:00Z`"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use strongroom_ingest::index::DocumentRef;
    use strongroom_ingest::model::{CollectionId, DocumentId, Span, VersionId};

    use super::*;

    fn check(body: Value) -> Result<(Option<Vec<String>>, Query), Problem> {
        asked(serde_json::from_value(body).unwrap())
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let (collections, query) = check(json!({"query": "x"})).unwrap();
        assert_eq!(collections, None);
        assert_eq!((query.limit, query.mode, query.explain), (10, Mode::Hybrid, false));
        assert!(query.filter.is_empty());
        let nulls = json!({"query": "x", "collections": null, "limit": null, "mode": null, "filter": null, "explain": null});
        assert!(check(nulls).is_ok());
    }

    #[test]
    fn empty_lists_stay_empty_lists() {
        let (collections, query) = check(json!({"query": "x", "collections": [], "filter": {"paths": []}})).unwrap();
        assert_eq!(collections, Some(Vec::new()));
        assert_eq!(query.filter.paths, Some(Vec::new()));
    }

    #[test]
    fn limits_and_times_and_questions_are_held_to_their_rules() {
        for (body, field) in [
            (json!({"query": "x", "limit": 0}), "limit"),
            (json!({"query": "x", "limit": 101}), "limit"),
            (json!({"query": " \n"}), "query"),
            (json!({"query": "x".repeat(20_001)}), "query"),
            (json!({"query": "x", "filter": {"modified_from": "yesterday"}}), "filter.modified_from"),
            (json!({"query": "x", "filter": {"modified_to": "2026-01-31"}}), "filter.modified_to"),
        ] {
            assert_eq!(check(body).unwrap_err().body("r").fields, [field]);
        }
        let (_, query) =
            check(json!({"query": "x", "limit": 100, "filter": {"modified_to": "2026-01-31T01:00:00+01:00"}})).unwrap();
        assert_eq!(query.filter.modified_to.unwrap().to_string(), "2026-01-31T00:00:00Z");
    }

    #[test]
    fn a_collection_named_twice_is_searched_once() {
        let (collections, _) = check(json!({"query": "x", "collections": ["b", "a", "b"]})).unwrap();
        assert_eq!(collections.unwrap(), ["b", "a"]);
    }

    #[test]
    fn a_hit_has_the_promised_shape() {
        let document = |id: u128, path: &str| DocumentRef { id: DocumentId(id), path: path.into(), title: path.into() };
        let hit = Hit {
            collection: CollectionId(1),
            collection_name: "acme".into(),
            document: document(1, "a.pdf"),
            version: VersionId(4),
            page: None,
            heading_path: String::new(),
            span: Span { start: 1204, end: 2010 },
            text: "…".into(),
            moments: Vec::new(),
            score: 0.71,
            also_in: vec![document(2, "b.pdf")],
            explain: None,
        };
        let body = serde_json::to_value(HitBody::from(hit)).unwrap();
        assert_eq!(body["collection"], "acme");
        assert_eq!(body["document"]["path"], "a.pdf");
        assert_eq!((body["page"].is_null(), &body["start"], &body["end"]), (true, &json!(1204), &json!(2010)));
        assert_eq!(body["also_in"][0]["id"], "00000000000000000000000000000002");
        assert!(body.get("explain").is_none());
    }
}
