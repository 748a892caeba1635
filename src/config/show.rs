//! The configuration in force, written as the file would be, each value with where it came from.

use std::fmt::Write as _;

use serde_json::json;
use toml::{Table, Value};

use super::Loaded;
use super::layers::Origins;
use super::typed::Typed;

/// As TOML that can be saved as `strongroom.toml`, with a comment behind each value.
pub fn to_toml(loaded: &Loaded) -> String {
    let mut text = String::new();
    write_table(&table_of(&loaded.typed), "", &loaded.origins, &mut text);
    text
}

/// The same for programs: `{"settings": …, "origins": {"bind": ["--bind on the command line"]}}`; what has no origin is a default.
pub fn to_json(loaded: &Loaded) -> serde_json::Value {
    let origins: serde_json::Map<String, serde_json::Value> = loaded
        .origins
        .iter()
        .map(|(key, places)| (key.clone(), places.iter().map(ToString::to_string).collect::<Vec<_>>().into()))
        .collect();
    json!({ "settings": loaded.typed, "origins": origins })
}

fn table_of(typed: &Typed) -> Table {
    // The typed form came out of a table, so it goes back into one; an empty page would show if that ever changed.
    Table::try_from(typed).unwrap_or_default()
}

/// Values first, then sections: TOML reads what follows a section header as belonging to it.
fn write_table(table: &Table, at: &str, origins: &Origins, text: &mut String) {
    for (key, value) in table {
        if is_section(value) {
            continue;
        }
        let line = format!("{} = {value}", quoted(key));
        // Writing to a string does not fail, here and below.
        let _ = writeln!(text, "{line:<48} # {}", origin_of(&join(at, key), origins));
    }
    for (key, value) in table {
        let path = join(at, key);
        match value {
            Value::Table(inner) => {
                if inner.values().any(|value| !is_section(value)) {
                    let _ = writeln!(text, "\n[{path}]");
                }
                write_table(inner, &path, origins, text);
            }
            Value::Array(items) if is_section(value) => {
                for item in items.iter().filter_map(Value::as_table) {
                    let _ = writeln!(text, "\n[[{path}]]  # {}", origin_of(&path, origins));
                    for (key, value) in item {
                        let _ = writeln!(text, "{} = {value}", quoted(key));
                    }
                }
            }
            _ => {}
        }
    }
}

fn is_section(value: &Value) -> bool {
    match value {
        Value::Table(_) => true,
        Value::Array(items) => items.first().is_some_and(Value::is_table),
        _ => false,
    }
}

fn origin_of(path: &str, origins: &Origins) -> String {
    match origins.get(path) {
        Some(places) => places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "),
        None => "default".to_owned(),
    }
}

fn join(at: &str, key: &str) -> String {
    if at.is_empty() { quoted(key) } else { format!("{at}.{}", quoted(key)) }
}

fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if bare { key.to_owned() } else { Value::String(key.to_owned()).to_string() }
}
