//! `strongroom status` and `strongroom collections`: what is there, what waits, what cannot be read and why.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::api::{Api, Needs, encoded};
use super::{CliError, Surroundings, output};
use crate::config::{format_duration, format_size};

/// Unreadable files shown a collection, unless one collection was asked for.
const SHOWN: usize = 20;

pub(super) fn status(here: &Surroundings, only: Option<&str>) -> Result<(), CliError> {
    let api = Api::open(here, Needs::Catalog)?;
    let mut status = api.ask(Method::GET, "/api/v1/status", None)?;
    if let Some(name) = only {
        let one = api.ask(Method::GET, &format!("/api/v1/collections/{}", encoded(name)), None)?;
        status["collections"] = json!([one]);
    }
    let mut troubled = Vec::new();
    for collection in status["collections"].as_array().into_iter().flatten() {
        troubled.extend(troubles(&api, collection)?);
    }
    status["process"] = if api.is_server() { api.ask(Method::GET, "/control/process", None)? } else { Value::Null };
    status["troubles"] = Value::Array(troubled);
    if here.json {
        return output::json(&status);
    }
    show_server(here, &status);
    show_collections(&status["collections"]);
    show_troubles(&status, only.is_some());
    show_outsiders(&status["indexing"]);
    Ok(())
}

pub(super) fn collections(here: &Surroundings) -> Result<(), CliError> {
    let api = Api::open(here, Needs::Catalog)?;
    let collections = Value::Array(api.all("/api/v1/collections", "collections")?);
    if here.json {
        return output::json(&json!({ "collections": collections }));
    }
    show_collections(&collections);
    Ok(())
}

/// The documents that cannot be found, or not all of them, and why.
fn troubles(api: &Api, collection: &Value) -> Result<Vec<Value>, CliError> {
    let name = collection["name"].as_str().unwrap_or_default();
    let mut found = Vec::new();
    for state in ["unreadable", "partial", "failed"] {
        if collection["documents"][state].as_u64().unwrap_or_default() == 0 {
            continue;
        }
        let path = format!("/api/v1/collections/{}/documents?state={state}", encoded(name));
        for mut document in api.all(&path, "documents")? {
            document["collection"] = name.into();
            found.push(document);
        }
    }
    Ok(found)
}

fn show_server(here: &Surroundings, status: &Value) {
    let data = here.loaded.config.data.display();
    match status["process"]["pid"].as_u64() {
        Some(pid) => output::line(format!("Server    running, process {pid}, data in {data}")),
        None => output::line(format!("Server    not running, data in {data}")),
    }
    if !status["process"].is_null() {
        output::line(format!("Indexing  {}", indexing(&status["indexing"])));
        output::line(format!("Meaning   {}", status["dense"].as_str().unwrap_or_default()));
    }
    output::line("");
}

fn indexing(progress: &Value) -> String {
    let number = |name: &str| progress[name].as_u64().unwrap_or_default();
    let mut text = match progress["paused"].as_str() {
        Some(why) => format!("paused: {why}"),
        None if number("pending") > 0 => "going on".to_owned(),
        None if progress["swept"] == false => "looking through the folders".to_owned(),
        None => "up to date".to_owned(),
    };
    if number("pending") > 0 {
        text += &format!(", {} waiting ({})", number("pending"), format_size(number("pending_bytes")));
    }
    if let Some(seconds) = progress["seconds_left"].as_u64() {
        text += &format!(", about {} left", format_duration(Duration::from_secs(seconds)));
    }
    text
}

fn show_collections(collections: &Value) {
    let collections = collections.as_array().cloned().unwrap_or_default();
    if collections.is_empty() {
        output::remark("No collections yet: `strongroom serve FOLDER` makes one of each sub-folder.");
        return;
    }
    let row = |collection: &Value| {
        let count = |name: &str| collection["documents"][name].as_u64().unwrap_or_default().to_string();
        let mut row = vec![collection["name"].as_str().unwrap_or_default().to_owned()];
        row.extend(["indexed", "pending", "unreadable", "failed"].map(count));
        row.push(collection["chunks"].as_u64().unwrap_or_default().to_string());
        row
    };
    let rows: Vec<Vec<String>> = collections.iter().map(row).collect();
    for line in output::table(&["COLLECTION", "INDEXED", "PENDING", "UNREADABLE", "FAILED", "CHUNKS"], &rows) {
        output::line(line);
    }
    for collection in &collections {
        if let Some(why) = collection["missing"].as_str() {
            let name = collection["name"].as_str().unwrap_or_default();
            output::line("");
            output::line(format!("The folder of {name} is missing: {}", output::folded(why, 300)));
            output::line(format!(
                "  It is kept and answers. Bring the folder back, or give it up with `strongroom forget {name}`."
            ));
        }
    }
}

fn show_troubles(status: &Value, all: bool) {
    let troubles = status["troubles"].as_array().cloned().unwrap_or_default();
    if troubles.is_empty() {
        return;
    }
    output::line("");
    output::line("Not found by searches, or only in part:");
    let mut last = String::new();
    let mut shown = 0;
    for document in &troubles {
        let name = document["collection"].as_str().unwrap_or_default();
        if name != last {
            (last, shown) = (name.to_owned(), 0);
        }
        shown += 1;
        if shown == SHOWN + 1 && !all {
            output::line(format!("  … `strongroom status {name}` shows the rest"));
        }
        if shown <= SHOWN || all {
            let path = output::folded(document["path"].as_str().unwrap_or_default(), 200);
            output::line(format!("  {name} · {path}: {}", why(document)));
        }
    }
}

/// A document's state and reason in words.
fn why(document: &Value) -> String {
    if document["state"] == "partial" {
        let pages = document["missing_pages"].as_array().cloned().unwrap_or_default();
        let pages: Vec<String> = pages.iter().map(ToString::to_string).collect();
        return format!("pages {} could not be read", pages.join(", "));
    }
    let reason = match document["reason"].as_str().unwrap_or_default() {
        "password" => "needs a password",
        "empty" => "is empty",
        "scanned" => "holds pictures of text only",
        "damaged" => "is damaged",
        "unsupported" => "is of a kind that is not read yet",
        "too_large" => "is too large",
        "timeout" => "took too long to read; `strongroom retry` tries again",
        "crashed" => "crashed its reader; `strongroom retry` tries again",
        "bomb" => "unfolds to far more than it is",
        "no_permission" => "may not be read by this user",
        _ => "failed on our side; it is tried again",
    };
    match document["detail"].as_str() {
        Some(detail) if !detail.is_empty() => format!("{reason} ({})", output::folded(detail, 200)),
        _ => reason.to_owned(),
    }
}

fn show_outsiders(progress: &Value) {
    let groups = [
        ("strays", "Files that lie directly in a folder of clients belong to nobody and are not indexed:"),
        ("bad_names", "Files whose names are not valid text are not indexed; rename them:"),
    ];
    for (list, told) in groups {
        let files = progress[list].as_array().cloned().unwrap_or_default();
        if files.is_empty() {
            continue;
        }
        output::line("");
        output::line(told);
        for file in files.iter().take(SHOWN) {
            output::line(format!("  {}", output::folded(file.as_str().unwrap_or_default(), 200)));
        }
        if files.len() > SHOWN {
            output::line(format!("  … and {} more (--json shows all)", files.len() - SHOWN));
        }
    }
}
