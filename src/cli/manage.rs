//! The commands that change something: rebuild, retry, pause, resume, watch, forget, destroy.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use axum::http::Method;
use serde_json::{Value, json};

use super::api::{Api, Needs, encoded};
use super::args::Rebuild;
use super::{CliError, Surroundings, output};

pub(super) fn rebuild(here: &Surroundings, rebuild: &Rebuild) -> Result<(), CliError> {
    let api = Api::open(here, Needs::Model)?;
    if let Some(model) = &rebuild.model {
        let model = absolute_if_path(here, model);
        api.ask(Method::POST, "/control/model", Some(&json!({ "model": model })))?;
    }
    let mut rebuilt = Vec::new();
    for name in chosen(&api, rebuild.collection.as_deref())? {
        if !here.json {
            output::remark(format!("Rebuilding {name} …"));
        }
        rebuilt.push(api.ask(Method::POST, &format!("/api/v1/collections/{}/rebuild", encoded(&name)), None)?);
    }
    if here.json {
        return output::json(&json!({ "rebuilt": rebuilt }));
    }
    output::line(format!("Rebuilt {}.", counted(rebuilt.len(), "collection")));
    if let Some(model) = &rebuild.model
        && *model != here.loaded.typed.embedding.model
    {
        output::remark(format!(
            "Keep it: write this into strongroom.toml, under [embedding]: model = {}",
            Value::from(model.as_str())
        ));
    }
    Ok(())
}

pub(super) fn retry(here: &Surroundings, collection: Option<&str>) -> Result<(), CliError> {
    let api = Api::open(here, Needs::Catalog)?;
    let mut retried = 0;
    for name in chosen(&api, collection)? {
        let answer = api.ask(Method::POST, &format!("/api/v1/collections/{}/retry", encoded(&name)), None)?;
        retried += answer["retried"].as_u64().unwrap_or_default();
    }
    if here.json {
        return output::json(&json!({ "retried": retried }));
    }
    let count = counted(usize::try_from(retried).unwrap_or(usize::MAX), "document");
    let when = if api.is_server() { "tried again now" } else { "tried again when the server runs" };
    output::line(format!("{count} will be {when}."));
    Ok(())
}

pub(super) fn pause(here: &Surroundings, pause: bool) -> Result<(), CliError> {
    let api = Api::open(here, Needs::Catalog)?;
    if !api.is_server() {
        return Err(CliError::failed(format!(
            "no server runs on {}: to start one that is paused, set `indexing.pause = true` in strongroom.toml",
            here.loaded.config.data.display()
        )));
    }
    let act = if pause { "pause" } else { "resume" };
    let progress = api.ask(Method::POST, &format!("/api/v1/indexing/{act}"), None)?;
    if here.json {
        return output::json(&progress);
    }
    output::line(if pause { "Indexing is paused until `strongroom resume`; searches go on." } else { "Indexing goes on." });
    Ok(())
}

pub(super) fn watch(here: &Surroundings, name: &str, path: &Path) -> Result<(), CliError> {
    let folder = std::fs::canonicalize(path).map_err(|error| CliError::failed(format!("{}: {error}", path.display())))?;
    if !folder.is_dir() {
        return Err(CliError::failed(format!("{} is not a folder", folder.display())));
    }
    let Some(text) = folder.to_str() else {
        return Err(CliError::failed(format!("{} is not valid Unicode: rename it", folder.display())));
    };
    let api = Api::open(here, Needs::Catalog)?;
    let record =
        api.ask(Method::POST, &format!("/api/v1/collections/{}/watch", encoded(name)), Some(&json!({ "path": text })))?;
    if here.json {
        return output::json(&record);
    }
    let when = if api.is_server() { "is watched from now on" } else { "is watched as soon as the server runs" };
    output::line(format!("{} {when}, as the collection {name}.", folder.display()));
    Ok(())
}

pub(super) fn forget(here: &Surroundings, name: &str) -> Result<(), CliError> {
    let api = Api::open(here, Needs::Catalog)?;
    api.ask(Method::POST, &format!("/api/v1/collections/{}/forget", encoded(name)), None)?;
    if here.json {
        return output::json(&json!({ "forgotten": name }));
    }
    output::line(format!("The folder of {name} is given up; its documents are gone from the index."));
    Ok(())
}

pub(super) fn destroy(here: &Surroundings, name: &str, yes: bool) -> Result<(), CliError> {
    let api = Api::open(here, Needs::Catalog)?;
    let path = format!("/api/v1/collections/{}", encoded(name));
    let record = api.ask(Method::GET, &path, None)?;
    if !yes {
        confirm(name, &record)?;
    }
    let answer = api.ask(Method::DELETE, &path, None)?;
    if here.json {
        return output::json(&answer);
    }
    output::line(format!("{name} is destroyed. Certificate:"));
    output::json(&answer["certificate"])
}

fn confirm(name: &str, record: &Value) -> Result<(), CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::usage(format!("destroying {name} cannot be undone: say --yes")));
    }
    let indexed = record["documents"]["indexed"].as_u64().unwrap_or_default();
    output::remark(format!("This destroys {name} with {indexed} indexed documents. It cannot be undone."));
    if let Some(folder) = record["watched"].as_str() {
        output::remark(format!("The files in {} stay; the folder is no longer watched.", output::folded(folder, 300)));
    }
    output::remark(format!("Type the collection's name ({name}) to go on:"));
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed).map_err(CliError::failed)?;
    if typed.trim() == name { Ok(()) } else { Err(CliError::failed("nothing was destroyed")) }
}

/// The named collection, or all.
fn chosen(api: &Api, only: Option<&str>) -> Result<Vec<String>, CliError> {
    if let Some(name) = only {
        return Ok(vec![name.to_owned()]);
    }
    let records = api.all("/api/v1/collections", "collections")?;
    Ok(records.iter().filter_map(|record| record["name"].as_str()).map(str::to_owned).collect())
}

/// The server's working folder is not ours.
fn absolute_if_path(here: &Surroundings, model: &str) -> String {
    match crate::config::model_named(model) {
        crate::config::Model::Named(name) => name,
        crate::config::Model::Folder(path) => here.environment.absolute(&path).to_string_lossy().into_owned(),
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
