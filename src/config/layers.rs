//! Lays the file, the environment and the flags over the defaults, and remembers which layer each value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::keys::{Keys, Kind, nearest};
use super::typed::Typed;
use super::{ConfigError, places};

/// What every variable of ours begins with.
const PREFIX: &str = "STRONGROOM_";

/// Variables that begin so but are not settings: the file, and what `models` reads.
const NOT_SETTINGS: [&str; 6] = [
    "STRONGROOM_CONFIG",
    "STRONGROOM_ONNXRUNTIME",
    "STRONGROOM_MODELS",
    "STRONGROOM_CACHE",
    "STRONGROOM_BLESS",
    "STRONGROOM_KILLS",
];

/// The process's surroundings, taken once, so that tests can make up others.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Variables that are valid Unicode.
    pub variables: BTreeMap<String, String>,
    /// Where relative paths of flags and variables start.
    pub folder: PathBuf,
}

impl Environment {
    /// This process's.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        Self { variables, folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")) }
    }

    /// The path made absolute as one that was typed here: `~/` is the home folder, a relative one starts in [`Self::folder`].
    pub fn absolute(&self, path: &Path) -> PathBuf {
        places::absolute(path, &self.folder, self)
    }

    /// The program of that name, where the shell would find it.
    pub fn find_program(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(self.get("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from).filter(|path| path.is_absolute())
    }
}

/// Where a value came from. What has none is a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "{name} on the command line"),
        }
    }
}

/// By dotted key; a list that a flag added to has several.
pub type Origins = BTreeMap<String, Vec<Origin>>;

/// A flag of the command line that is a setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Flag {
    /// How it was typed: `--bind`.
    pub name: &'static str,
    /// The setting: `bind`.
    pub key: &'static str,
    /// Its value. That of a list is added to what the file has.
    pub value: Value,
}

/// What a configuration is made from.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The file given by `--config`.
    pub file: Option<PathBuf>,
    /// Flags that are settings.
    pub flags: Vec<Flag>,
    /// The surroundings.
    pub environment: Environment,
}

pub(super) struct Layered {
    pub typed: Typed,
    pub origins: Origins,
    pub warnings: Vec<String>,
}

/// Reads and merges all layers.
pub(super) fn layer(request: &Request) -> Result<Layered, ConfigError> {
    let keys = Keys::new();
    let environment = &request.environment;
    let mut merged = Table::new();
    let mut origins = Origins::new();
    if let Some(path) = find_file(request)? {
        merged = read_file(&path, &keys, environment)?;
        mark(&merged, "", &Origin::File(path), &mut origins);
    }
    let warnings = lay_variables(&keys, environment, &mut merged, &mut origins)?;
    for flag in &request.flags {
        let mut value = flag.value.clone();
        make_leaf_absolute(flag.key, &mut value, environment);
        set(&mut merged, flag.key, value, true)?;
        let places = origins.entry(flag.key.to_owned()).or_default();
        if !flag.value.is_array() {
            places.clear();
        }
        if !places.iter().any(|place| matches!(place, Origin::Flag(name) if name == flag.name)) {
            places.push(Origin::Flag(flag.name.to_owned()));
        }
    }
    let typed = merged.try_into().map_err(|error: toml::de::Error| ConfigError::one(error.to_string().trim().to_owned()))?;
    Ok(Layered { typed, origins, warnings })
}

fn find_file(request: &Request) -> Result<Option<PathBuf>, ConfigError> {
    let environment = &request.environment;
    let named = match (&request.file, environment.get("STRONGROOM_CONFIG")) {
        (Some(path), _) => Some((path.clone(), "--config")),
        (None, Some(text)) => Some((PathBuf::from(text), "STRONGROOM_CONFIG")),
        (None, None) => None,
    };
    if let Some((path, by)) = named {
        let path = places::absolute(&path, &environment.folder, environment);
        if !path.is_file() {
            return Err(ConfigError::one(format!("there is no file {} that {by} names", path.display())));
        }
        return Ok(Some(path));
    }
    let candidates = [Some(environment.folder.join("strongroom.toml")), places::user_config(environment)];
    Ok(candidates.into_iter().flatten().find(|path| path.is_file()))
}

fn read_file(path: &Path, keys: &Keys, environment: &Environment) -> Result<Table, ConfigError> {
    let wrong = |message: &dyn fmt::Display| ConfigError::one(format!("{}: {message}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    let parsed = toml::de::DeTable::parse(&text).map_err(|error| wrong(&error.to_string().trim()))?;
    let unknown = keys.unknown(parsed.get_ref(), &text);
    if !unknown.is_empty() {
        return Err(ConfigError(unknown.iter().map(|message| format!("{}: {message}", path.display())).collect()));
    }
    // Types are checked here, where the error can still show the line.
    toml::from_str::<Typed>(&text).map_err(|error| wrong(&error.to_string().trim()))?;
    let mut table: Table = toml::from_str(&text).map_err(|error| wrong(&error.to_string().trim()))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    for key in ["data", "watch_folders"] {
        if let Some(value) = table.get_mut(key) {
            make_absolute(value, folder, environment);
        }
    }
    for (section, paths) in PATHS {
        if let Some(section) = table.get_mut(section) {
            make_paths_absolute(section, paths, folder, environment);
        }
    }
    if let Some(model) = table.get_mut("embedding").and_then(|section| section.get_mut("model"))
        && model.as_str().is_some_and(places::looks_like_path)
    {
        make_absolute(model, folder, environment);
    }
    Ok(table)
}

/// Sections whose keys are paths, or that hold sections or lists of them.
const PATHS: [(&str, &[&str]); 4] =
    [("watch", &["path"]), ("tls", &["cert", "key"]), ("generator", &["file"]), ("tasks", &["schema"])];

/// Relative paths start where they were written: beside the file, or in the current folder.
fn make_paths_absolute(section: &mut Value, paths: &[&str], base: &Path, environment: &Environment) {
    match section {
        Value::Array(items) => items.iter_mut().for_each(|item| make_paths_absolute(item, paths, base, environment)),
        Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                if paths.contains(&key.as_str()) {
                    make_absolute(value, base, environment);
                } else {
                    make_paths_absolute(value, paths, base, environment);
                }
            }
        }
        _ => {}
    }
}

/// What a flag or a variable says, by its whole key.
fn make_leaf_absolute(key: &str, value: &mut Value, environment: &Environment) {
    if let Some((_, paths)) = PATHS.iter().find(|(section, _)| *section == key) {
        return make_paths_absolute(value, paths, &environment.folder, environment);
    }
    let of_section = |(section, paths): &(&str, &[&str])| {
        let rest = key.strip_prefix(section).and_then(|rest| rest.strip_prefix('.'));
        rest.is_some_and(|rest| paths.contains(&rest.rsplit('.').next().unwrap_or(rest)))
    };
    let is_model = key == "embedding.model" && value.as_str().is_some_and(places::looks_like_path);
    if is_model || matches!(key, "data" | "watch_folders") || PATHS.iter().any(of_section) {
        make_absolute(value, &environment.folder, environment);
    }
}

fn make_absolute(value: &mut Value, base: &Path, environment: &Environment) {
    match value {
        Value::String(text) => {
            *text = places::absolute(Path::new(text.as_str()), base, environment).to_string_lossy().into_owned();
        }
        Value::Array(items) => items.iter_mut().for_each(|item| make_absolute(item, base, environment)),
        _ => {}
    }
}

fn lay_variables(
    keys: &Keys,
    environment: &Environment,
    merged: &mut Table,
    origins: &mut Origins,
) -> Result<Vec<String>, ConfigError> {
    let leaves: BTreeMap<String, (String, Kind)> =
        keys.leaves().into_iter().map(|(key, kind)| (variable_of(&key), (key, kind))).collect();
    let mut wrong = Vec::new();
    let mut warnings = Vec::new();
    for (name, text) in environment.variables.iter().filter(|(name, text)| name.starts_with(PREFIX) && !text.is_empty()) {
        let Some((key, kind)) = leaves.get(name) else {
            if !NOT_SETTINGS.contains(&name.as_str()) && !name.starts_with("STRONGROOM_TEST_") {
                let near = nearest(name, leaves.keys().map(String::as_str));
                let hint = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();
                warnings.push(format!("the environment variable {name} is no setting and is ignored{hint}"));
            }
            continue;
        };
        match value_of(text, *kind, key) {
            Ok(mut value) => {
                make_leaf_absolute(key, &mut value, environment);
                set(merged, key, value, false)?;
                origins.insert(key.clone(), vec![Origin::Variable(name.clone())]);
            }
            Err(expected) => wrong.push(format!("the environment variable {name} must be {expected}")),
        }
    }
    if wrong.is_empty() { Ok(warnings) } else { Err(ConfigError(wrong)) }
}

/// `indexing.sweep_every` is `STRONGROOM_INDEXING_SWEEP_EVERY`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

fn value_of(text: &str, kind: Kind, key: &str) -> Result<Value, &'static str> {
    match kind {
        Kind::Bool => match text {
            "true" | "1" | "yes" => Ok(Value::Boolean(true)),
            "false" | "0" | "no" => Ok(Value::Boolean(false)),
            _ => Err("true or false"),
        },
        Kind::Integer => text.parse().map(Value::Integer).map_err(|_| "a whole number"),
        Kind::Text => Ok(Value::String(text.to_owned())),
        // Paths may hold commas, and have a separator of their own.
        Kind::List if key == "watch_folders" => {
            let paths = std::env::split_paths(text).map(|path| path.to_string_lossy().into_owned());
            Ok(Value::Array(paths.map(Value::String).collect()))
        }
        Kind::List => Ok(Value::Array(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect())),
    }
}

/// Puts a value at a dotted key; with `add`, lists grow instead of being replaced.
fn set(table: &mut Table, key: &str, value: Value, add: bool) -> Result<(), ConfigError> {
    let (sections, last) = key.rsplit_once('.').unwrap_or(("", key));
    let mut at = table;
    for section in sections.split('.').filter(|section| !section.is_empty()) {
        let inner = at.entry(section).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = inner else {
            return Err(ConfigError::one(format!("[{section}] must be a section")));
        };
        at = inner;
    }
    match (at.get_mut(last), value) {
        (Some(Value::Array(old)), Value::Array(new)) if add => old.extend(new),
        (_, value) => {
            at.insert(last.to_owned(), value);
        }
    }
    Ok(())
}

fn mark(table: &Table, at: &str, origin: &Origin, origins: &mut Origins) {
    for (key, value) in table {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        match value {
            Value::Table(inner) => mark(inner, &path, origin, origins),
            _ => {
                origins.insert(path, vec![origin.clone()]);
            }
        }
    }
}
