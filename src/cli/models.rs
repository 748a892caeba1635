//! `strongroom models`: what is on this machine, and getting the rest. Needs no server and no data folder.

use indicatif::MultiProgress;
use serde_json::{Value, json};

use super::args::Models as Action;
use super::progress::Show;
use super::{CliError, Surroundings, output};
use crate::app::model;
use crate::config::{self, format_size};
use crate::models::ModelEntry;

pub(super) fn models(here: &Surroundings, action: &Action) -> Result<(), CliError> {
    let models = model::models(&here.environment).ok_or_else(|| CliError::failed(model::NO_CACHE))?;
    match action {
        Action::List => show(here, &models.list()),
        Action::Import { folder } => {
            let taken = models.import(folder).map_err(CliError::failed)?;
            output::remark("Taken over:");
            show(here, &taken)
        }
        Action::Fetch { model } => {
            let mut wanted = here.loaded.config.embedding.clone();
            if let Some(model) = model {
                wanted.model = config::model_named(model);
            }
            if wanted.offline {
                return Err(CliError::failed("`embedding.offline` forbids fetching: use `strongroom models import DIR`"));
            }
            let want = model::want(&models, &wanted).map_err(CliError::usage)?;
            let mut screen = Show::new(MultiProgress::new());
            let fetched = models.fetch(&want, &mut |progress| screen.fetch(&progress));
            screen.clear();
            fetched.map_err(CliError::failed)?;
            show(here, &models.list())
        }
    }
}

fn show(here: &Surroundings, entries: &[ModelEntry]) -> Result<(), CliError> {
    if here.json {
        let entries: Vec<Value> = entries
            .iter()
            .map(|entry| {
                json!({
                    "name": entry.name, "path": entry.path, "ready": entry.ready, "bytes": entry.bytes, "pinned": entry.pinned,
                })
            })
            .collect();
        return output::json(&json!({ "models": entries }));
    }
    let row = |entry: &ModelEntry| {
        let state = if entry.ready { "here" } else { "not here" };
        vec![entry.name.clone(), state.to_owned(), format_size(entry.bytes), entry.path.display().to_string()]
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    for line in output::table(&["NAME", "STATE", "SIZE", "FOLDER"], &rows) {
        output::line(line);
    }
    Ok(())
}
