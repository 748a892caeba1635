//! `strongroom ask`: an answer and where each part of it stands.

use axum::http::Method;
use serde_json::json;

use super::api::{Api, Needs};
use super::args::Ask;
use super::{CliError, Surroundings, output, search};

pub(super) fn ask(here: &Surroundings, ask: &Ask) -> Result<(), CliError> {
    let api = Api::open(here, Needs::Model)?;
    let mut request = json!({ "question": ask.question, "stream": false });
    if !ask.collections.is_empty() {
        request["collections"] = json!(ask.collections);
    }
    let (status, answer) = api.request(Method::POST, "/api/v1/answers", Some(&request))?;
    if status == 409 && answer["code"] == "would_mix" {
        return Err(CliError::failed(
            "an answer holds text of one collection only: name one with -c NAME (`strongroom collections` lists them)",
        ));
    }
    if !(200..300).contains(&status) {
        return Err(CliError::failed(answer["detail"].as_str().unwrap_or("the server gave no reason")));
    }
    if here.json {
        return output::json(&answer);
    }
    output::line(output::clean(answer["answer"].as_str().unwrap_or_default()));
    let citations = answer["citations"].as_array().cloned().unwrap_or_default();
    if !citations.is_empty() {
        output::line("");
    }
    for citation in &citations {
        let doubt = if citation["verified"] == true { "" } else { "  (not verified)" };
        output::line(format!("[{}] {}{doubt}", citation["n"], search::place(citation)));
    }
    search::warn_of_unreadable(&answer);
    Ok(())
}
