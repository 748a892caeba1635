//! A user's own list of tasks, as it is written: what is asked, what is expected, and how that is graded.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::answer::Kind;
use crate::cli::CliError;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sheet {
    /// The tasks.
    #[serde(rename = "task", default)]
    pub tasks: Vec<Item>,
}

/// One task.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    /// A name for people; the question's beginning where there is none.
    #[serde(default)]
    pub name: String,
    /// Its kind.
    #[serde(default = "ask")]
    pub kind: String,
    /// What is asked.
    pub question: String,
    /// The collections that are asked.
    pub collections: Vec<String>,
    /// The documents that it is about, whole.
    #[serde(default)]
    pub documents: Option<Vec<String>>,
    /// Labels to choose from.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// A file with the JSON Schema of the result.
    #[serde(default)]
    pub schema: Option<PathBuf>,
    /// How it is graded.
    pub grade: Rule,
    /// What must be in it, or be it.
    #[serde(default)]
    pub expect: Vec<String>,
    /// The same, one a line, in a file; of `schema`, the JSON that the result must be.
    #[serde(default)]
    pub expect_file: Option<PathBuf>,
    /// What a `rubric` counts.
    #[serde(default)]
    pub rubric: Vec<Criterion>,
}

/// How a task is graded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Rule {
    /// The answer is one of those expected, but for case, white space, marks at the end and citations.
    Exact,
    /// The share of what is expected that stands in the answer.
    Contains,
    /// The result keeps to the schema; with an expected result, the share of its fields that are equal.
    Schema,
    /// Points for what stands in it and does not.
    Rubric,
}

/// One line of a rubric.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Criterion {
    /// What it is worth.
    #[serde(default = "one")]
    pub points: f64,
    /// One of these stands in the answer.
    #[serde(default)]
    pub any: Vec<String>,
    /// None of these does.
    #[serde(default)]
    pub none: Vec<String>,
    /// A citation is of a document with this path.
    #[serde(default)]
    pub cites: Option<String>,
}

fn ask() -> String {
    "ask".into()
}

fn one() -> f64 {
    1.0
}

/// A task with the files that it names.
pub(super) struct Ready {
    pub item: Item,
    pub kind: Kind,
    pub schema: Option<Value>,
    pub result: Option<Value>,
}

/// Reads the file and all that it names, and refuses what could not be graded before anything is asked.
pub(super) fn read(file: &Path) -> Result<Vec<Ready>, CliError> {
    let text = std::fs::read_to_string(file).map_err(|error| failed(file, error))?;
    let sheet: Sheet = toml::from_str(&text).map_err(|error| CliError::usage(format!("{}: {error}", file.display())))?;
    if sheet.tasks.is_empty() {
        return Err(failed(file, "holds no [[task]]: `strongroom scorecard --help` shows one"));
    }
    let folder = file.parent().unwrap_or(Path::new("."));
    sheet.tasks.into_iter().enumerate().map(|(at, item)| ready(file, folder, at, item)).collect()
}

fn ready(file: &Path, folder: &Path, at: usize, mut item: Item) -> Result<Ready, CliError> {
    let wrong = |why: &str| failed(file, format!("task {}: {why}", at + 1));
    if item.name.is_empty() {
        item.name = item.question.chars().take(40).collect();
    }
    let kind = Kind::named(&item.kind).ok_or_else(|| wrong("`kind` is ask, extract, summarise, classify, draft or code"))?;
    let json = |path: &PathBuf| {
        let path = folder.join(path);
        let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
        serde_json::from_str::<Value>(&text).map_err(|error| failed(&path, format!("is no JSON: {error}")))
    };
    let schema = item.schema.as_ref().map(json).transpose()?;
    let mut result = None;
    match (&item.expect_file, item.grade) {
        (Some(path), Rule::Schema) => result = Some(json(path)?),
        (Some(path), _) => {
            let path = folder.join(path);
            let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
            item.expect.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        }
        (None, _) => {}
    }
    match item.grade {
        Rule::Exact | Rule::Contains if item.expect.is_empty() => {
            Err(wrong("`expect` or `expect_file` must say what is expected"))
        }
        Rule::Schema if schema.is_none() && item.labels.is_none() => Err(wrong("`schema` must name the file of a JSON Schema")),
        Rule::Rubric if !item.rubric.iter().any(|criterion| criterion.points > 0.0) => {
            Err(wrong("`rubric` must hold something that gives points"))
        }
        _ => Ok(Ready { item, kind, schema, result }),
    }
}

fn failed(file: &Path, why: impl std::fmt::Display) -> CliError {
    CliError::usage(format!("{}: {why}", file.display()))
}
