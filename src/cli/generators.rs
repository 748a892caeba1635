//! `strongroom generators`: which local models answer, why one does not, and what was found out about them over time.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::api::{Api, Needs};
use super::{CliError, Surroundings, output};
use crate::config::format_duration;

/// Now.
pub(super) fn list(here: &Surroundings) -> Result<(), CliError> {
    let api = Api::open(here, Needs::Catalog)?;
    let answer = api.ask(Method::GET, "/api/v1/generators", None)?;
    if here.json {
        return output::json(&answer);
    }
    let generators = answer["generators"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !generators.iter().any(|one| one["kind"] != "other") {
        output::remark("No language model is configured: answers are verbatim extracts. `strongroom doctor` looks for one.");
    }
    for one in generators {
        shown(one).iter().for_each(output::line);
    }
    Ok(())
}

fn shown(one: &Value) -> Vec<String> {
    let text = |value: &Value| output::folded(value.as_str().unwrap_or_default(), 300);
    let model = match one["model"].as_str() {
        Some(model) => format!(", {}", output::folded(model, 100)),
        None => String::new(),
    };
    let mut lines = vec![format!("{}: {} ({}{model})", text(&one["name"]), text(&one["state"]), text(&one["kind"]))];
    if one["state"] == "asleep" {
        lines.push("  the next question wakes it".into());
    } else if one["why"].is_string() {
        lines.push(format!("  {}", text(&one["why"])));
    }
    let attested = &one["attested"];
    if attested.is_object() {
        let process = if attested["process"].is_string() { format!(", {}", text(&attested["process"])) } else { String::new() };
        lines.push(format!("  {} at {}{process}", text(&attested["server"]), text(&attested["endpoint"])));
        if attested["digest"].is_string() {
            lines.push(format!("  weights {}", text(&attested["digest"])));
        }
        if one["kind"] != "other" {
            lines.push(format!("  isolation {}", text(&attested["isolation"])));
        }
        lines.push(format!("  {}", text(&attested["checked"])));
    }
    let awake = &one["awake"];
    if awake.is_object() {
        let seconds = |value: &Value| format_duration(Duration::from_secs_f64(value.as_f64().unwrap_or_default().max(0.0)));
        let (times, up, waited) = (&awake["wakes"], seconds(&awake["awake_seconds"]), seconds(&awake["waited_seconds"]));
        lines.push(format!("  since the start: woken {times} times, seen awake for {up}; questions waited {waited} for it"));
    }
    lines
}

/// Over time.
pub(super) fn history(here: &Surroundings) -> Result<(), CliError> {
    let api = Api::open(here, Needs::Catalog)?;
    let records = api.all("/api/v1/generators/history?limit=1000", "attestations")?;
    if here.json {
        return output::json(&json!({ "attestations": records }));
    }
    if records.is_empty() {
        output::remark("Nothing was found out yet: no generator was ever looked at or asked.");
        return Ok(());
    }
    let text = |value: &Value| output::folded(value.as_str().unwrap_or("-"), 120);
    for record in &records {
        let model = if record["model"].is_string() { format!(" ({})", text(&record["model"])) } else { String::new() };
        let head = format!("{}  {}{model}", text(&record["at"]), text(&record["generator"]));
        if record["refused"].is_string() {
            output::line(format!("{head}: refused: {}", output::folded(record["refused"].as_str().unwrap_or_default(), 300)));
            continue;
        }
        let context = record["context"].as_i64().map_or_else(String::new, |tokens| format!(", {tokens} tokens"));
        output::line(format!(
            "{head}: {} at {}, process {}, weights {}, isolation {}{context}",
            text(&record["server"]),
            text(&record["endpoint"]),
            text(&record["process"]),
            text(&record["digest"]),
            text(&record["isolation"]),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_with_why_it_is_not_ready() {
        let asleep = json!({ "name": "gpu", "kind": "openai", "model": "big", "state": "asleep", "why": "no answer",
            "attested": null, "awake": { "wakes": 2, "awake_seconds": 3700.5, "waited_seconds": 61.0 } });
        assert_eq!(
            shown(&asleep),
            [
                "gpu: asleep (openai, big)",
                "  the next question wakes it",
                "  since the start: woken 2 times, seen awake for 1h 1m; questions waited 1m 1s for it",
            ]
        );
        let other = json!({ "name": "images", "kind": "other", "model": null, "state": "ready", "why": null, "awake": null,
            "attested": { "endpoint": "127.0.0.1:8188", "server": "ComfyUI 0.3.9", "process": "python (pid 7)", "digest": null,
                "isolation": "none", "checked": "its address is on this machine" } });
        assert_eq!(
            shown(&other),
            ["images: ready (other)", "  ComfyUI 0.3.9 at 127.0.0.1:8188, python (pid 7)", "  its address is on this machine"]
        );
    }
}
