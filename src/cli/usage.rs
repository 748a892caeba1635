//! `strongroom usage`: what language models were asked, how much of it stayed here, and what it cost.

use axum::http::Method;
use clap::Args;
use serde_json::Value;

use super::api::{Api, Needs, encoded};
use super::{CliError, Surroundings, output};

const EXAMPLES: &str = "\
Examples:
  strongroom usage                                this month, by client, task and generator
  strongroom usage --from 2026-01-01 --to 2026-03-31
  strongroom usage -c acme --json                 one client's, for a bill

Tokens are counted by one tokenizer for models here and in clouds. Prices stand in [usage] of the configuration, `watts` at
generators, `price_in` and `price_out` at providers.";

/// Show what language models were asked.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Usage {
    /// The first day [default: the first of the month]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub from: Option<String>,
    /// The last day [default: today]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub to: Option<String>,
    /// Only this collection
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
}

pub(super) fn usage(here: &Surroundings, wanted: &Usage) -> Result<(), CliError> {
    let api = Api::open(here, Needs::Catalog)?;
    let given = [("from", &wanted.from), ("to", &wanted.to), ("collection", &wanted.collection)];
    let given = given.iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_deref()?))));
    let usage = api.ask(Method::GET, &format!("/api/v1/usage?{}", given.collect::<Vec<_>>().join("&")), None)?;
    if here.json {
        return output::json(&usage);
    }
    show(&usage);
    Ok(())
}

fn show(usage: &Value) {
    let share = match usage["local_share"].as_f64() {
        Some(share) => format!("{:.1} % of all tokens stayed here", 100.0 * share),
        None => "no language model was asked".to_owned(),
    };
    output::line(format!("{} to {}: {share}", text(&usage["from"]), text(&usage["to"])));
    let rows = list(usage, "rows");
    if rows.is_empty() {
        return;
    }
    output::line("");
    let head = ["Month", "Collection", "Task", "Generator", "Tasks", "Tokens in", "Tokens out", "Seconds"];
    let cells = |row: &Value| {
        let place = if row["place"] == "cloud" { " (cloud)" } else { "" };
        vec![
            text(&row["month"]),
            text(&row["collection"]),
            text(&row["task"]),
            format!("{}{place}", text(&row["generator"])),
            row["tasks"].to_string(),
            row["tokens"]["prompt"].to_string(),
            row["tokens"]["completion"].to_string(),
            format!("{:.1}", row["seconds"].as_f64().unwrap_or_default()),
        ]
    };
    output::table(&head, &rows.iter().map(cells).collect::<Vec<_>>()).iter().for_each(output::line);
    let months = list(usage, "months");
    output::line("");
    if !months.iter().any(is_priced) {
        output::line("With prices in [usage] and `watts` at generators, this also reckons own against rent.");
        return;
    }
    let currency = text(&usage["currency"]);
    let (own, rent, paid) = (format!("Own, {currency}"), format!("As rent, {currency}"), format!("Clouds, {currency}"));
    let head = ["Month", "Collection", "Tokens here", "kWh", &own, &rent, &paid];
    let cells = |month: &Value| {
        let tokens = &month["local_tokens"];
        let all = tokens["prompt"].as_u64().unwrap_or_default() + tokens["completion"].as_u64().unwrap_or_default();
        vec![
            text(&month["month"]),
            text(&month["collection"]),
            all.to_string(),
            amount(&month["kilowatt_hours"], 3),
            amount(&month["own"], 2),
            amount(&month["rent"], 2),
            amount(&month["paid"], 2),
        ]
    };
    output::table(&head, &months.iter().map(cells).collect::<Vec<_>>()).iter().for_each(output::line);
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("(destroyed)").to_owned()
}

fn amount(value: &Value, digits: usize) -> String {
    value.as_f64().map_or("-".to_owned(), |amount| format!("{amount:.digits$}"))
}

fn is_priced(month: &Value) -> bool {
    !month["own"].is_null() || !month["rent"].is_null() || month["paid"].as_f64().is_some_and(|paid| paid > 0.0)
}

fn list<'a>(usage: &'a Value, name: &str) -> &'a [Value] {
    usage[name].as_array().map_or(&[], Vec::as_slice)
}
