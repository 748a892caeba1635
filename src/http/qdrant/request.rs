//! What clients of Qdrant ask: the part that a search over passages can serve, taken apart; the rest refused by name.

use serde::Deserialize;
use serde_json::{Map, Value};
use strongroom_ingest::index::records::DocumentFilter;

use crate::http::body::JsonRequest;
use crate::http::problem::Problem;

/// Points that one request may reach: `offset` and `limit` together.
const MOST_POINTS: u64 = 1_000;
/// Longest vector that is looked at; no embedding model is near it.
const LONGEST_VECTOR: usize = 65_536;
/// Searches in one batch.
const LARGEST_BATCH: usize = 64;

/// `points/query`, and `points/search` of older clients.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    query: Value,
    vector: Value,
    limit: Option<Value>,
    offset: Option<Value>,
    filter: Value,
    with_payload: Option<Value>,
    with_vector: Value,
    score_threshold: Option<f32>,
    prefetch: Value,
    lookup_from: Value,
    shard_key: Value,
}

const FIELDS: &[&str] = &[
    "query",
    "vector",
    "limit",
    "offset",
    "filter",
    "with_payload",
    "with_vector",
    "score_threshold",
    "prefetch",
    "lookup_from",
    "shard_key",
    // There is one vector to a passage, so whatever name it is asked by means that one. Search parameters tune an index
    // that is ours.
    "using",
    "params",
];

impl JsonRequest for Search {
    const LIMIT: usize = 2 * 1024 * 1024;
    const FIELDS: &'static [&'static str] = FIELDS;
}

/// `points/query/batch` and `points/search/batch`.
#[derive(Debug, Deserialize)]
pub(super) struct Batch {
    searches: Vec<Value>,
}

impl JsonRequest for Batch {
    const LIMIT: usize = 8 * 1024 * 1024;
    const FIELDS: &'static [&'static str] = &["searches"];
}

impl Batch {
    /// Its searches, each held to the rules of a single one.
    pub fn searches(self) -> Result<Vec<Nearest>, Problem> {
        if self.searches.len() > LARGEST_BATCH {
            return Err(Problem::bad_field("searches", "must hold at most 64 searches"));
        }
        let mut searches = Vec::with_capacity(self.searches.len());
        for value in self.searches {
            let Value::Object(object) = &value else {
                return Err(Problem::bad_field("searches", "must hold objects"));
            };
            let unknown: Vec<String> =
                object.keys().filter(|name| !FIELDS.contains(&name.as_str())).take(20).cloned().collect();
            if !unknown.is_empty() {
                return Err(Problem::unknown_fields(unknown));
            }
            let search: Search = serde_json::from_value(value)
                .map_err(|_| Problem::bad_field("searches", "hold a value that is not allowed"))?;
            searches.push(search.nearest()?);
        }
        Ok(searches)
    }
}

/// `points/count`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Count {
    filter: Value,
    shard_key: Value,
}

impl JsonRequest for Count {
    const FIELDS: &'static [&'static str] = &["filter", "exact", "shard_key"];
}

impl Count {
    /// Whether all of a collection is to be counted, which is all that is offered.
    pub fn check(&self) -> Result<(), Problem> {
        refuse("shard_key", &self.shard_key)?;
        if filter(&self.filter)?.is_empty() { Ok(()) } else { Err(not_offered("filter")) }
    }
}

/// A search by vector, in our own words.
#[derive(Debug)]
pub(super) struct Nearest {
    /// As it was sent.
    pub vector: Vec<f32>,
    /// Hits wanted, those passed over included.
    pub limit: usize,
    /// Hits to pass over.
    pub offset: usize,
    /// Which documents may be found.
    pub filter: DocumentFilter,
    /// What of the payload is wanted.
    pub payload: Payload,
    /// Least score.
    pub threshold: Option<f32>,
}

impl Search {
    /// The request held to what can be served.
    pub fn nearest(self) -> Result<Nearest, Problem> {
        for (name, value) in [("prefetch", &self.prefetch), ("lookup_from", &self.lookup_from), ("shard_key", &self.shard_key)]
        {
            refuse(name, value)?;
        }
        if !matches!(&self.with_vector, Value::Null | Value::Bool(false)) {
            return Err(not_offered("with_vector"));
        }
        let limit = number("limit", self.limit)?.unwrap_or(10);
        let offset = number("offset", self.offset)?.unwrap_or(0);
        if limit == 0 || limit.saturating_add(offset) > MOST_POINTS {
            return Err(Problem::bad_field("limit", "must be at least 1 and, together with `offset`, at most 1000"));
        }
        let filter = filter(&self.filter)?;
        let payload = Payload::parse(self.with_payload)?;
        let threshold = self.score_threshold.filter(|threshold| threshold.is_finite());
        let (limit, offset) = ((limit + offset) as usize, offset as usize);
        Ok(Nearest { vector: vector(self.query, self.vector)?, limit, offset, filter, payload, threshold })
    }
}

/// The one vector that a request holds: as `query`, as `query.nearest`, or as `vector`, with or without a name.
fn vector(query: Value, vector: Value) -> Result<Vec<f32>, Problem> {
    let (field, value) = match (query, vector) {
        (Value::Object(mut object), Value::Null) => match (object.remove("nearest"), object.is_empty()) {
            (Some(nearest), true) => ("query.nearest", nearest),
            _ => return Err(not_offered("query")),
        },
        (query, Value::Null) => ("query", query),
        (Value::Null, Value::Object(mut named)) => ("vector", named.remove("vector").unwrap_or_default()),
        (Value::Null, vector) => ("vector", vector),
        _ => return Err(Problem::bad_field("vector", "is given beside `query`")),
    };
    let rule = "must be a list of finite numbers: points can be searched by vector only";
    let Value::Array(numbers) = value else {
        return Err(Problem::bad_field(field, rule));
    };
    if numbers.is_empty() || numbers.len() > LONGEST_VECTOR {
        return Err(Problem::bad_field(field, "must have 1 to 65,536 numbers"));
    }
    let mut vector = Vec::with_capacity(numbers.len());
    for number in &numbers {
        match number.as_f64().map(|number| number as f32).filter(|number| number.is_finite()) {
            Some(number) => vector.push(number),
            None => return Err(Problem::bad_field(field, rule)),
        }
    }
    Ok(vector)
}

fn number(field: &str, value: Option<Value>) -> Result<Option<u64>, Problem> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(Problem::bad_field(field, "must be a whole number")),
        },
    }
}

fn refuse(field: &str, value: &Value) -> Result<(), Problem> {
    if value.is_null() { Ok(()) } else { Err(not_offered(field)) }
}

fn not_offered(field: &str) -> Problem {
    Problem::bad_field(field, "asks for something that is not offered here: see the documentation of the Qdrant façade")
}

/// A filter by exact path is the one that is offered: `must` of matches of `metadata.path`.
fn filter(value: &Value) -> Result<DocumentFilter, Problem> {
    let mut filter = DocumentFilter::default();
    let object = match value {
        Value::Null => return Ok(filter),
        Value::Object(object) => object,
        _ => return Err(not_offered("filter")),
    };
    for (clause, conditions) in object {
        let conditions: &[Value] = match conditions {
            Value::Null => &[],
            Value::Array(list) => list,
            one => std::slice::from_ref(one),
        };
        if clause != "must" && !conditions.is_empty() {
            return Err(not_offered("filter"));
        }
        for condition in conditions {
            let paths = paths(condition).ok_or_else(|| not_offered("filter"))?;
            filter.paths = Some(match filter.paths.take() {
                None => paths,
                Some(earlier) => earlier.into_iter().filter(|path| paths.contains(path)).collect(),
            });
        }
    }
    Ok(filter)
}

/// The paths of a condition on a document's path; none if it is any other condition.
fn paths(condition: &Value) -> Option<Vec<String>> {
    let object = condition.as_object().filter(|object| object.len() == 2)?;
    object.get("key").and_then(Value::as_str).filter(|key| *key == "metadata.path")?;
    let condition = object.get("match")?.as_object().filter(|object| object.len() == 1)?;
    match (condition.get("value"), condition.get("any")) {
        (Some(Value::String(path)), None) => Some(vec![path.clone()]),
        (None, Some(Value::Array(list))) => list.iter().map(|path| path.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// What of a point's payload is wanted.
#[derive(Debug)]
pub(super) enum Payload {
    /// All or nothing.
    Whole(bool),
    /// These keys only; a dot leads into `metadata`.
    Include(Vec<String>),
    /// All but these keys.
    Exclude(Vec<String>),
}

impl Payload {
    /// Of the request's `with_payload`: a yes or no, a list of keys, or an object with one list.
    pub fn parse(value: Option<Value>) -> Result<Self, Problem> {
        let refused =
            || Problem::bad_field("with_payload", "must be a boolean, a list of keys, or `include` or `exclude` with one");
        let keys = |list: Vec<Value>| -> Result<Vec<String>, Problem> {
            list.iter().map(|key| key.as_str().map(str::to_owned).ok_or_else(refused)).collect()
        };
        match value {
            None | Some(Value::Null) => Ok(Self::Whole(false)),
            Some(Value::Bool(whole)) => Ok(Self::Whole(whole)),
            Some(Value::Array(list)) => Ok(Self::Include(keys(list)?)),
            Some(Value::Object(mut object)) => match (object.remove("include"), object.remove("exclude"), object.is_empty()) {
                (Some(Value::Array(list)), None | Some(Value::Null), true) => Ok(Self::Include(keys(list)?)),
                (None | Some(Value::Null), Some(Value::Array(list)), true) => Ok(Self::Exclude(keys(list)?)),
                _ => Err(refused()),
            },
            Some(_) => Err(refused()),
        }
    }

    /// What is sent of a whole payload.
    pub fn of(&self, mut whole: Value) -> Option<Value> {
        match self {
            Self::Whole(false) => None,
            Self::Whole(true) => Some(whole),
            Self::Include(keys) => {
                let mut kept = Map::new();
                for key in keys {
                    match key.split_once('.') {
                        None => {
                            if let Some(value) = whole.get(key) {
                                kept.insert(key.clone(), value.clone());
                            }
                        }
                        Some((outer, inner)) => {
                            let Some(value) = whole.get(outer).and_then(|nested| nested.get(inner)) else { continue };
                            let nested = kept.entry(outer).or_insert_with(|| Value::Object(Map::new()));
                            if let Value::Object(nested) = nested {
                                nested.insert(inner.to_owned(), value.clone());
                            }
                        }
                    }
                }
                Some(Value::Object(kept))
            }
            Self::Exclude(keys) => {
                for key in keys {
                    let (outer, inner) =
                        key.split_once('.').map_or((None, key.as_str()), |(outer, inner)| (Some(outer), inner));
                    let within = match outer {
                        None => Some(&mut whole),
                        Some(outer) => whole.get_mut(outer),
                    };
                    if let Some(Value::Object(object)) = within {
                        object.remove(inner);
                    }
                }
                Some(whole)
            }
        }
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
