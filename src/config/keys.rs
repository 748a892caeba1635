//! Which keys there are, read from the schema of the typed configuration, so that there is no second list to keep.

use std::fmt::Write as _;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::typed::json_schema;

/// What kind of value a key takes, as far as an environment variable needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// Text.
    Text,
    /// Several texts.
    List,
}

/// The tree of known keys.
pub(super) struct Keys {
    schema: Value,
}

impl Keys {
    pub fn new() -> Self {
        Self { schema: json_schema() }
    }

    /// One message for each key of the file that does not exist, with its line and the nearest that does.
    pub fn unknown(&self, table: &DeTable<'_>, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        self.walk(table, &self.schema, "", &mut found);
        found.sort_unstable_by_key(|(at, _)| *at);
        found.into_iter().map(|(at, message)| format!("line {}: {message}", line_of(text, at))).collect()
    }

    fn walk(&self, table: &DeTable<'_>, schema: &Value, at: &str, found: &mut Vec<(usize, String)>) {
        let schema = self.resolve(schema);
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let path = if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
            let known =
                schema["properties"].get(name).or_else(|| schema.get("additionalProperties").filter(|any| any.is_object()));
            let Some(inner) = known else {
                found.push((key.span().start, format!("there is no setting `{path}`{}", self.suggest(name, at, schema))));
                continue;
            };
            match value.get_ref() {
                DeValue::Table(table) => self.walk(table, inner, &path, found),
                DeValue::Array(items) => {
                    for item in items.iter().filter_map(|item| item.get_ref().as_table()) {
                        self.walk(item, &self.resolve(inner)["items"], &path, found);
                    }
                }
                _ => {}
            }
        }
    }

    /// The settings that hold one value or one list of values, with the kind of it, by dotted key.
    pub fn leaves(&self) -> Vec<(String, Kind)> {
        let mut leaves = Vec::new();
        self.collect(&self.schema, "", &mut leaves);
        leaves
    }

    fn collect(&self, schema: &Value, at: &str, leaves: &mut Vec<(String, Kind)>) {
        let Some(properties) = self.resolve(schema)["properties"].as_object() else {
            return;
        };
        for (name, inner) in properties {
            let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            let inner = self.resolve(inner);
            match kind_of(inner) {
                Some(Kind::List) if self.resolve(&inner["items"])["type"] != "string" => {}
                Some(kind) => leaves.push((path, kind)),
                None => self.collect(inner, &path, leaves),
            }
        }
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        // A section that may be left out is that section or nothing.
        let one = |any: &'a Vec<Value>| any.iter().find(|one| one["$ref"].is_string());
        let schema = schema["anyOf"].as_array().and_then(one).unwrap_or(schema);
        match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => self.schema.pointer(pointer).unwrap_or(schema),
            None => schema,
        }
    }

    fn suggest(&self, name: &str, at: &str, schema: &Value) -> String {
        let here: Vec<&str> = schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        if let Some(near) = nearest(name, here.iter().copied()) {
            return format!(": did you mean `{near}`?");
        }
        let elsewhere = self.leaves().into_iter().map(|(path, _)| path).find(|path| path.rsplit('.').next() == Some(name));
        match elsewhere {
            Some(path) => match path.rsplit_once('.') {
                Some((section, key)) => format!(": did you mean `{key}` in [{section}]?"),
                None => format!(": `{path}` belongs to the top of the file, before the first [section]"),
            },
            None => {
                let place = if at.is_empty() { "here".to_owned() } else { format!("in `{at}`") };
                let mut text = String::new();
                // Writing to a string does not fail.
                let _ = write!(text, "; {place} there are: {}", here.join(", "));
                text
            }
        }
    }
}

fn kind_of(schema: &Value) -> Option<Kind> {
    // Unit variants with documentation become `oneOf` constants, which are written as text.
    if schema.get("oneOf").is_some() || schema.get("enum").is_some() {
        return Some(Kind::Text);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    types.iter().find_map(|name| match *name {
        "boolean" => Some(Kind::Bool),
        "integer" => Some(Kind::Integer),
        "string" => Some(Kind::Text),
        "array" => Some(Kind::List),
        _ => None,
    })
}

/// The candidate that was most likely meant, if any is near enough.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.map(|candidate| (strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase()), candidate));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.8).then_some(best.1)
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
