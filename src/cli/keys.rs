//! `strongroom keys`: made, listed, revoked, rotated. They are written into the data folder directly, so a running server sees
//! them at its next request, and none needs to run.

use std::collections::HashSet;
use std::os::unix::fs::DirBuilderExt as _;

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use strongroom_ingest::model::{CollectionId, Reach};

use super::api::{Api, Needs, encoded};
use super::args::KeyAction;
use super::{CliError, Surroundings, output};
use crate::config::parse_duration;
use crate::keys::{Key, Keys, NewKey};

/// Stands for every collection.
const ALL: &str = "*";

pub(super) fn keys(here: &Surroundings, action: &KeyAction) -> Result<(), CliError> {
    let keys = open(here)?;
    match action {
        KeyAction::Create { name, collections, scopes, destination, expires } => {
            let reach = reach(here, collections)?;
            let expires_at = expires.as_deref().map(end).transpose()?;
            let new = NewKey { name: name.clone(), reach, scopes: scopes.clone(), destination: *destination, expires_at };
            told(here, &keys.create(&new).map_err(CliError::failed)?)
        }
        KeyAction::Rotate { key } => told(here, &keys.rotate(key).map_err(CliError::failed)?),
        KeyAction::Revoke { key } => {
            let revoked = keys.revoke(key).map_err(CliError::failed)?;
            if here.json {
                return output::json(&json!({ "revoked": revoked.id }));
            }
            output::line(format!("The key {} ({}) opens nothing any more.", revoked.made.name, revoked.id));
            Ok(())
        }
        KeyAction::List => list(here, &keys),
    }
}

/// The keys of the data folder; makes the folder where there is none yet, so that keys can come before the first start.
fn open(here: &Surroundings) -> Result<Keys, CliError> {
    let data = &here.loaded.config.data;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(|error| CliError::failed(format!("{}: {error}", data.display())))?;
    Keys::open(data).map_err(CliError::failed)
}

fn reach(here: &Surroundings, names: &[String]) -> Result<Reach, CliError> {
    if names.iter().any(|name| name == ALL) {
        return Ok(Reach::All);
    }
    let api = Api::open(here, Needs::Catalog)?;
    let mut ids = HashSet::new();
    for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
        let record = api.ask(Method::GET, &format!("/api/v1/collections/{}", encoded(name)), None);
        let record = record.map_err(|error| CliError::failed(format!("{name}: {error}")))?;
        let id = record["id"].as_str().and_then(|id| id.parse::<CollectionId>().ok());
        ids.insert(id.ok_or_else(|| CliError::failed(format!("{name}: the server did not tell its id")))?);
    }
    if ids.is_empty() {
        return Err(CliError::usage("no collection is named: say --collections a,b or --collections '*'"));
    }
    Ok(Reach::Only(ids))
}

fn end(expires: &str) -> Result<Timestamp, CliError> {
    let span = parse_duration(expires).map_err(CliError::usage)?;
    Timestamp::now().checked_add(span).map_err(|_| CliError::usage(format!("{expires:?} is too long")))
}

/// Prints a key alone on standard output; what else is to be said goes beside it.
fn told(here: &Surroundings, text: &str) -> Result<(), CliError> {
    if here.json {
        return output::json(&json!({ "key": text }));
    }
    output::line(text);
    output::remark("Keep it now: it is not shown again. From now on the server asks for a key at every door.");
    Ok(())
}

fn list(here: &Surroundings, keys: &Keys) -> Result<(), CliError> {
    let all = keys.all().map_err(CliError::failed)?;
    if here.json {
        return output::json(&json!({ "keys": all.iter().map(shown).collect::<Vec<_>>() }));
    }
    if all.is_empty() {
        output::remark("No key was ever made: the server is open to this machine, and to nobody else.");
        return Ok(());
    }
    let day = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| time.strftime("%Y-%m-%d").to_string());
    let row = |key: &Key| {
        let state = match (key.revoked_at, key.is_valid(Timestamp::now())) {
            (Some(_), _) => "revoked",
            (None, true) => "in use",
            (None, false) => "ended",
        };
        vec![
            key.id.clone(),
            key.made.name.clone(),
            state.to_owned(),
            key.made.scopes.to_string(),
            reached(&key.made.reach),
            key.made.destination.as_str().to_owned(),
            day(key.made.expires_at),
            day(key.last_used_at),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    for line in output::table(&["ID", "NAME", "STATE", "SCOPES", "COLLECTIONS", "READER", "ENDS", "LAST USED"], &rows) {
        output::line(line);
    }
    Ok(())
}

fn reached(reach: &Reach) -> String {
    match reach {
        Reach::All => "all".to_owned(),
        Reach::Only(ids) => ids.len().to_string(),
    }
}

fn shown(key: &Key) -> Value {
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let collections = match &key.made.reach {
        Reach::All => json!(ALL),
        Reach::Only(ids) => ids.iter().map(CollectionId::to_string).collect(),
    };
    json!({
        "id": key.id,
        "name": key.made.name,
        "collections": collections,
        "scopes": key.made.scopes.to_string(),
        "destination": key.made.destination.as_str(),
        "created_at": key.created_at.to_string(),
        "expires_at": time(key.made.expires_at),
        "last_used_at": time(key.last_used_at),
        "revoked_at": time(key.revoked_at),
        "in_use": key.is_valid(Timestamp::now()),
    })
}
