//! `strongroom search`: passages, best first.

use axum::http::Method;
use serde_json::{Value, json};

use super::api::{Api, Needs};
use super::args::{Mode, Search};
use super::{CliError, Surroundings, output};

/// Characters of a passage that are shown; `--json` has all.
const SHOWN: usize = 400;

pub(super) fn search(here: &Surroundings, search: &Search) -> Result<(), CliError> {
    let needs = if search.mode == Mode::Lexical { Needs::Catalog } else { Needs::Model };
    let api = Api::open(here, needs)?;
    let mut request = json!({
        "query": search.query,
        "mode": search.mode.as_str(),
        "limit": search.limit,
        "explain": search.explain,
    });
    if !search.collections.is_empty() {
        request["collections"] = json!(search.collections);
    }
    let found = api.ask(Method::POST, "/api/v1/search", Some(&request))?;
    if here.json {
        return output::json(&found);
    }
    let hits = found["hits"].as_array().cloned().unwrap_or_default();
    if hits.is_empty() {
        output::remark("Nothing found.");
    }
    for (at, hit) in hits.iter().enumerate() {
        show(at + 1, hit);
    }
    warn_of_unreadable(&found);
    Ok(())
}

fn show(number: usize, hit: &Value) {
    let place = place(hit);
    let score = hit["score"].as_f64().unwrap_or_default();
    output::line(format!("{number:>2}  {place}  ({score:.2})"));
    let heading = output::folded(hit["heading_path"].as_str().unwrap_or_default(), 120);
    if !heading.is_empty() {
        output::line(format!("    {heading}"));
    }
    output::line(format!("    {}", output::folded(hit["text"].as_str().unwrap_or_default(), SHOWN)));
    for twin in hit["also_in"].as_array().into_iter().flatten() {
        output::line(format!("    also in {}", output::folded(twin["path"].as_str().unwrap_or_default(), 200)));
    }
    if let Some(explain) = hit["explain"].as_object() {
        let told = explain.iter().filter(|(_, value)| !value.is_null());
        let told: Vec<String> = told.map(|(name, value)| format!("{name} {value}")).collect();
        output::line(format!("    ranked by: {}", told.join(", ")));
    }
    output::line("");
}

/// Where a hit or citation is from: `acme · leases/a.pdf, page 3`.
pub(super) fn place(hit: &Value) -> String {
    let collection = hit["collection"].as_str().unwrap_or_default();
    let path = output::folded(hit["document"]["path"].as_str().unwrap_or_default(), 200);
    if let Some(clock) = hit["time"]["clock"].as_str() {
        return format!("{collection} · {path}, {clock}");
    }
    match hit["page"].as_u64() {
        Some(page) => format!("{collection} · {path}, page {page}"),
        None => format!("{collection} · {path}"),
    }
}

/// What was not searched is always told.
pub(super) fn warn_of_unreadable(answer: &Value) {
    match answer["unreadable"].as_u64().unwrap_or_default() {
        0 => {}
        1 => output::remark("1 file here cannot be read and was not searched: `strongroom status` says why."),
        many => {
            output::remark(format!("{many} files here cannot be read and were not searched: `strongroom status` says why."))
        }
    }
}
