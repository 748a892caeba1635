//! What kind of work a language model is asked for, and the JSON Schema that its result keeps to.

use serde_json::{Value, json};

/// A schema of more bytes is refused: it goes into the prompt.
const LONGEST_SCHEMA: usize = 64 * 1024;
/// Faults of one result that are told, at most.
const FAULTS: usize = 8;

/// The kinds of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Answer a question.
    Ask,
    /// Take facts out of documents.
    Extract,
    /// Shorten documents.
    Summarise,
    /// Sort under labels.
    Classify,
    /// Write something new.
    Draft,
    /// Write a program.
    Code,
}

impl Kind {
    /// All of them, in the order of the configuration.
    pub const ALL: [Self; 6] = [Self::Ask, Self::Extract, Self::Summarise, Self::Classify, Self::Draft, Self::Code];

    /// As it is named everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Extract => "extract",
            Self::Summarise => "summarise",
            Self::Classify => "classify",
            Self::Draft => "draft",
            Self::Code => "code",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether its text is worth nothing without a source in the documents.
    pub fn needs_sources(self) -> bool {
        matches!(self, Self::Ask | Self::Extract | Self::Summarise)
    }
}

/// What a result in JSON must be.
pub struct Schema {
    json: Value,
    validator: jsonschema::Validator,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schema")
    }
}

impl Schema {
    /// Reads a JSON Schema. It refers to nothing outside itself, and its patterns are matched in linear time.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn new(json: Value) -> Result<Self, String> {
        if !json.is_object() {
            return Err("is no JSON Schema: it must be an object".into());
        }
        if json.to_string().len() > LONGEST_SCHEMA {
            return Err(format!("is longer than {LONGEST_SCHEMA} bytes"));
        }
        let options = jsonschema::options().with_pattern_options(jsonschema::PatternOptions::regex());
        let validator = options.build(&json).map_err(|error| format!("is no JSON Schema that can be used: {error}"))?;
        Ok(Self { json, validator })
    }

    /// One of some labels: `{"label": …}`.
    ///
    /// # Errors
    /// As [`Schema::new`].
    pub fn of_labels(labels: &[String]) -> Result<Self, String> {
        Self::new(json!({
            "type": "object",
            "properties": { "label": { "enum": labels } },
            "required": ["label"],
            "additionalProperties": false,
        }))
    }

    /// As it was given.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// What is wrong with a value, for the model that made it: it may quote the value.
    pub(super) fn faults(&self, value: &Value) -> Vec<String> {
        let told = self.validator.iter_errors(value).take(FAULTS);
        told.map(|error| format!("at {:?}: {error}", error.instance_path().as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_of_the_configuration() {
        assert_eq!(Kind::ALL.map(Kind::as_str), ["ask", "extract", "summarise", "classify", "draft", "code"]);
        assert_eq!((Kind::named("draft"), Kind::named("Draft")), (Some(Kind::Draft), None));
    }

    #[test]
    fn a_schema_says_what_is_wrong_and_refers_to_nothing_outside() {
        let schema = Schema::of_labels(&["lease".into(), "nda".into()]).unwrap();
        assert!(schema.faults(&json!({ "label": "nda" })).is_empty());
        assert_eq!(schema.faults(&json!({ "label": "x", "more": 1 })).len(), 2);
        for bad in [json!([]), json!({ "type": "nonsense" }), json!({ "$ref": "https://example.com/s.json" })] {
            assert!(Schema::new(bad.clone()).is_err(), "{bad}");
        }
        assert!(Schema::new(json!({ "$ref": "file:///etc/passwd" })).is_err());
        assert!(Schema::new(json!({ "title": "x".repeat(LONGEST_SCHEMA) })).is_err());
    }
}
