//! `strongroom scorecard`: one's own tasks put to each generator, graded and timed, so that routing is chosen by one's own work.

mod file;
mod grade;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use axum::http::Method;
use clap::Args;
use serde_json::{Value, json};

use super::api::{Api, Needs};
use super::{CliError, Surroundings, output};
use file::Ready;

const EXAMPLES: &str = "\
A file of tasks (TOML):
  [[task]]
  question = \"What is the notice period?\"     what is asked
  collections = [\"acme\"]
  grade = \"contains\"                          the share of `expect` that stands in the answer
  expect = [\"ninety days\"]

  [[task]]
  kind = \"extract\"                            ask (if not said), extract, summarise, classify, draft or code
  question = \"Take out the rent.\"
  collections = [\"acme\"]
  documents = [\"lease.pdf\"]                   whole documents; without it the passages that suit best
  schema = \"rent.schema.json\"                 a file; or labels = [\"lease\", \"nda\"]
  grade = \"schema\"                            keeps to the schema; and is what expect_file = \"rent.json\" holds

  grade = \"exact\"                             is one of `expect`, but for case, white space and citations
  grade = \"rubric\"                            points for what is there, and what is not:
  rubric = [{ points = 2, any = [\"ninety\", \"90\"], cites = \"lease.pdf\" }, { none = [\"perhaps\"] }]

Files that it names lie beside it. Results are kept in the data folder and compared with the run before of the same file.
  strongroom scorecard tasks.toml                every generator of the configuration
  strongroom scorecard tasks.toml -g small -g big
  strongroom scorecard --history                 the runs that are kept";

/// Put one's own tasks to each generator.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Scorecard {
    /// The tasks
    #[arg(required_unless_present = "history")]
    pub file: Option<PathBuf>,
    /// Only this generator; may be given several times [default: all of the configuration]
    #[arg(short, long = "generator", value_name = "NAME")]
    pub generators: Vec<String>,
    /// Show the runs that are kept
    #[arg(long)]
    pub history: bool,
}

/// What one generator did with one task.
struct Run {
    generator: String,
    kind: &'static str,
    task: String,
    grade: f64,
    first_token_ms: Option<u64>,
    tokens_per_second: Option<f64>,
    digest: Option<String>,
    /// Why it was not done; none where it was.
    failed: Option<String>,
}

pub(super) fn scorecard(here: &Surroundings, wanted: &Scorecard) -> Result<(), CliError> {
    let folder = here.loaded.config.data.join("scorecards");
    let Some(file) = &wanted.file else { return history(here, &folder) };
    let tasks = file::read(file)?;
    let answering = here.loaded.config.generators.iter().filter(|generator| generator.answers());
    let configured: Vec<&str> = answering.map(|generator| generator.name.as_str()).collect();
    let chosen: Vec<&str> = match wanted.generators.as_slice() {
        [] => configured.clone(),
        names => names.iter().map(String::as_str).collect(),
    };
    if let Some(stranger) = chosen.iter().find(|name| !configured.contains(name)) {
        return Err(CliError::usage(format!(
            "there is no generator {stranger:?}: the configuration has {}",
            configured.join(", ")
        )));
    }
    if chosen.is_empty() {
        return Err(CliError::usage("there is no generator to score: `strongroom doctor` finds one and says what to write"));
    }
    let api = Api::open(here, Needs::Model)?;
    let mut runs = Vec::new();
    for (at, generator) in chosen.iter().enumerate() {
        for (number, task) in tasks.iter().enumerate() {
            let name = output::folded(&task.item.name, 50);
            output::remark(format!("{}/{} {generator}: {name}", at * tasks.len() + number + 1, chosen.len() * tasks.len()));
            runs.push(run(&api, generator, task)?);
        }
    }
    let card = card(file, &runs)?;
    let before = latest(&folder, &card["file_sha256"])?;
    save(&folder, &card)?;
    if here.json {
        return output::json(&card);
    }
    show(&card, before.as_ref());
    for run in runs.iter().filter(|run| run.failed.is_some()) {
        let why = run.failed.as_deref().unwrap_or_default();
        output::line(format!("{} did not do {:?}: {why}", run.generator, output::folded(&run.task, 50)));
    }
    Ok(())
}

fn run(api: &Api, generator: &str, task: &Ready) -> Result<Run, CliError> {
    let item = &task.item;
    let mut request = json!({
        "task": item.kind, "instruction": item.question, "collections": item.collections, "generator": generator,
    });
    for (name, value) in [("documents", item.documents.as_ref()), ("labels", item.labels.as_ref())] {
        if let Some(value) = value {
            request[name] = json!(value);
        }
    }
    if let Some(schema) = &task.schema {
        request["schema"] = schema.clone();
    }
    let (status, done) = api.request(Method::POST, "/api/v1/tasks", Some(&request))?;
    let mut run = Run {
        generator: generator.to_owned(),
        kind: task.kind.as_str(),
        task: item.name.clone(),
        grade: 0.0,
        first_token_ms: None,
        tokens_per_second: None,
        digest: None,
        failed: None,
    };
    if status != 200 {
        let detail = done["detail"].as_str().unwrap_or("the server gave no reason").to_owned();
        // A wrong list of tasks is nobody's failure but its writer's.
        if !matches!(done["code"].as_str(), Some("not_done" | "timeout" | "broke_off" | "busy")) {
            return Err(CliError::failed(format!("task {:?}: {detail}", item.name)));
        }
        run.failed = Some(detail);
        return Ok(run);
    }
    let audit = &done["audit"];
    run.grade = grade::grade(task, &done);
    run.first_token_ms = audit["first_token_ms"].as_u64();
    run.digest = audit["digest"].as_str().map(str::to_owned);
    let tokens = audit["reported_tokens"]["completion"].as_u64().unwrap_or_default();
    let writing = audit["generating_ms"].as_u64().zip(run.first_token_ms).map(|(all, first)| all.saturating_sub(first));
    run.tokens_per_second = writing.filter(|ms| *ms > 0 && tokens > 0).map(|ms| tokens as f64 * 1000.0 / ms as f64);
    Ok(run)
}

/// The run as it is kept: grades and times by generator and kind, and of each task; no answers.
fn card(file: &Path, runs: &[Run]) -> Result<Value, CliError> {
    let bytes = std::fs::read(file).map_err(CliError::failed)?;
    let hash = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
    let mut groups: BTreeMap<(&str, &str), Vec<&Run>> = BTreeMap::new();
    for run in runs {
        groups.entry((&run.generator, run.kind)).or_default().push(run);
    }
    let summary: Vec<Value> = groups
        .iter()
        .map(|((generator, kind), runs)| {
            let first = median(runs.iter().filter_map(|run| run.first_token_ms.map(|ms| ms as f64)).collect());
            let speed = median(runs.iter().filter_map(|run| run.tokens_per_second).collect());
            json!({
                "generator": generator,
                "kind": kind,
                "digest": runs.iter().find_map(|run| run.digest.clone()),
                "tasks": runs.len(),
                "failed": runs.iter().filter(|run| run.failed.is_some()).count(),
                "quality": runs.iter().map(|run| run.grade).sum::<f64>() / runs.len() as f64,
                "first_token_ms": first,
                "tokens_per_second": speed,
            })
        })
        .collect();
    let each = |run: &Run| {
        json!({
            "generator": run.generator, "kind": run.kind, "task": run.task, "grade": run.grade,
            "first_token_ms": run.first_token_ms, "tokens_per_second": run.tokens_per_second, "failed": run.failed,
        })
    };
    Ok(json!({
        "at": jiff::Timestamp::now().to_string(),
        "file": file.file_name().map(|name| name.to_string_lossy()),
        "file_sha256": hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "summary": summary,
        "tasks": runs.iter().map(each).collect::<Vec<_>>(),
    }))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Every run that is kept, the oldest first.
fn kept(folder: &Path) -> Result<Vec<Value>, CliError> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "json"));
    files.sort();
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).map_err(CliError::failed)?;
        serde_json::from_str(&text).map_err(|error| CliError::failed(format!("{} is no scorecard: {error}", file.display())))
    };
    files.iter().map(read).collect()
}

fn latest(folder: &Path, hash: &Value) -> Result<Option<Value>, CliError> {
    Ok(kept(folder)?.into_iter().rev().find(|card| card["file_sha256"] == *hash))
}

/// Written beside and renamed, so that there is a whole one or none.
fn save(folder: &Path, card: &Value) -> Result<(), CliError> {
    std::fs::create_dir_all(folder).map_err(CliError::failed)?;
    let name = card["at"].as_str().unwrap_or_default().replace(':', "-");
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(CliError::failed)?;
    serde_json::to_writer_pretty(&mut file, card).map_err(CliError::failed)?;
    file.persist(folder.join(format!("{name}.json"))).map_err(CliError::failed)?;
    Ok(())
}

fn history(here: &Surroundings, folder: &Path) -> Result<(), CliError> {
    let cards = kept(folder)?;
    if here.json {
        return output::json(&Value::Array(cards));
    }
    if cards.is_empty() {
        output::line("No scorecard was run yet: `strongroom scorecard --help` shows a file of tasks.");
    }
    for card in &cards {
        output::line(format!("{}  {}", card["at"].as_str().unwrap_or_default(), card["file"].as_str().unwrap_or_default()));
        show(card, None);
        output::line("");
    }
    Ok(())
}

/// The table, with the change of quality since `before`.
fn show(card: &Value, before: Option<&Value>) {
    let list = |card: &Value| card["summary"].as_array().cloned().unwrap_or_default();
    let earlier = before.map(list).unwrap_or_default();
    let number = |value: &Value, digits: usize| value.as_f64().map_or("-".to_owned(), |number| format!("{number:.digits$}"));
    let row = |row: &Value| {
        let same = |old: &&Value| old["generator"] == row["generator"] && old["kind"] == row["kind"];
        let old = earlier.iter().find(same);
        let change = match old.and_then(|old| Some(row["quality"].as_f64()? - old["quality"].as_f64()?)) {
            Some(change) => format!("{change:+.2}"),
            None => "-".to_owned(),
        };
        let other = old.is_some_and(|old| old["digest"] != row["digest"]);
        vec![
            row["generator"].as_str().unwrap_or_default().to_owned(),
            row["kind"].as_str().unwrap_or_default().to_owned(),
            row["tasks"].to_string(),
            row["failed"].to_string(),
            number(&row["quality"], 2),
            if other { format!("{change} (other weights)") } else { change },
            number(&row["first_token_ms"], 0),
            number(&row["tokens_per_second"], 1),
        ]
    };
    let head = ["Generator", "Kind", "Tasks", "Failed", "Quality", "Change", "First token, ms", "Tokens/s"];
    output::table(&head, &list(card).iter().map(row).collect::<Vec<_>>()).iter().for_each(output::line);
}
