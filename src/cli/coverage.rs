//! `strongroom coverage` and `strongroom password`: what of a client could not be read, and how to change that.

use std::io::{BufRead as _, IsTerminal as _};

use axum::http::Method;
use serde_json::{Value, json};

use super::api::{Api, Needs, encoded};
use super::{CliError, Surroundings, output};

/// What may be done about a reason.
fn remedy(reason: &str) -> &'static str {
    match reason {
        "password" => "give it with `strongroom password`",
        "scanned" => "install tesseract, then `strongroom retry`",
        "unsupported" => "see the detail; then `strongroom retry`",
        "no_permission" => "let this user read it; it is then tried by itself",
        "damaged" | "empty" => "ask for another copy",
        "too_large" => "raise `indexing.max_file_size`, or split it",
        _ => "`strongroom retry` tries it once more",
    }
}

pub(super) fn coverage(here: &Surroundings, collection: &str) -> Result<(), CliError> {
    let api = Api::open(here, Needs::Catalog)?;
    let path = format!("/api/v1/collections/{}/coverage", encoded(collection));
    let mut coverage = api.ask(Method::GET, &path, None)?;
    coverage["unread"] = Value::Array(api.all(&path, "unread")?);
    if let Some(fields) = coverage.as_object_mut() {
        fields.remove("next_cursor");
    }
    if here.json {
        return output::json(&coverage);
    }
    show(&coverage);
    Ok(())
}

fn show(coverage: &Value) {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let documents = &coverage["documents"];
    output::line(format!(
        "Files     {} read ({} of them only in part), {} unreadable, {} waiting, {} failed",
        number(&documents["indexed"]),
        number(&documents["partial"]),
        number(&documents["unreadable"]),
        number(&documents["pending"]),
        number(&documents["failed"])
    ));
    let (pages, missing) = (number(&coverage["pages"]), number(&coverage["missing_pages"]));
    output::line(format!("Pages     {pages} read, {missing} that nobody could read"));
    let (members, unreadable) = (number(&coverage["members"]), number(&coverage["unreadable_members"]));
    output::line(format!("Inside    {members} attachments and files in archives read, {unreadable} unreadable"));
    for reason in coverage["reasons"].as_array().into_iter().flatten() {
        let word = reason["reason"].as_str().unwrap_or_default();
        output::line(format!("{:>8}  {word}: {}", number(&reason["count"]), remedy(word)));
    }
    let unread = coverage["unread"].as_array().cloned().unwrap_or_default();
    if unread.is_empty() {
        return;
    }
    output::line("");
    let row = |document: &Value| {
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        let missing: Vec<String> =
            document["missing_pages"].as_array().into_iter().flatten().map(|page| page.to_string()).collect();
        let why = if missing.is_empty() { text("detail") } else { format!("pages {}", missing.join(", ")) };
        let reason = if text("reason").is_empty() { text("state") } else { text("reason") };
        vec![reason, output::folded(&text("path"), 100), output::folded(&why, 100)]
    };
    let rows: Vec<Vec<String>> = unread.iter().map(row).collect();
    for line in output::table(&["REASON", "FILE", "DETAIL"], &rows) {
        output::line(line);
    }
}

pub(super) fn password(here: &Surroundings, collection: &str, path: Option<&str>, forget: bool) -> Result<(), CliError> {
    let api = Api::open(here, Needs::Catalog)?;
    let route = format!("/api/v1/collections/{}/passwords", encoded(collection));
    if forget {
        let route = path.map_or_else(|| route.clone(), |path| format!("{route}?path={}", encoded(path)));
        let answer = api.ask(Method::DELETE, &route, None)?;
        if here.json {
            return output::json(&answer);
        }
        output::line(format!("Forgotten: {}. What was read with them stays readable here.", answer["forgotten"]));
        return Ok(());
    }
    let password = typed()?;
    let answer = api.ask(Method::POST, &route, Some(&json!({ "path": path, "password": password })))?;
    if here.json {
        return output::json(&answer);
    }
    output::line(format!("Kept. Documents tried again: {}.", answer["retried"]));
    Ok(())
}

/// The password, from a terminal without showing it, or the first line of what is piped in. Never from an argument: other
/// processes can see those.
fn typed() -> Result<String, CliError> {
    let stdin = std::io::stdin();
    let password = if stdin.is_terminal() {
        output::remark("Password (it is not shown): ");
        console::Term::stderr().read_secure_line().map_err(CliError::failed)?
    } else {
        let mut line = String::new();
        stdin.lock().read_line(&mut line).map_err(CliError::failed)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if password.is_empty() { Err(CliError::usage("no password was given")) } else { Ok(password) }
}
