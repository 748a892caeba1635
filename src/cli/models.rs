//! `strongroom models`: what is on this machine, getting the rest, and keeping it. Needs no server and no data folder.

use std::path::Path;

use indicatif::MultiProgress;
use serde_json::{Value, json};

use super::args::Models as Action;
use super::progress::Show;
use super::{CliError, Surroundings, output};
use crate::answer::{self, AttestOptions};
use crate::app::{self, model};
use crate::config::{self, format_size};
use crate::egress::Egress;
use crate::models::archive::{self, Archive, Weights};
use crate::models::{ModelEntry, Models};

pub(super) fn models(here: &Surroundings, action: &Action) -> Result<(), CliError> {
    let models = model::models(&here.environment).ok_or_else(|| CliError::failed(model::NO_CACHE))?;
    match action {
        Action::List => show(here, &models.list()),
        Action::Import { folder } => {
            let taken = models.import(folder).map_err(CliError::failed)?;
            output::remark("Taken over:");
            show(here, &taken)
        }
        Action::Archive { verify: Some(folder), .. } => verify(here, folder),
        Action::Archive { out, .. } => {
            let folder = out.as_deref().ok_or_else(|| CliError::usage("say where to with --out DIR"))?;
            write(here, &models, folder)
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

/// Keeps everything that is here.
fn write(here: &Surroundings, models: &Models, folder: &Path) -> Result<(), CliError> {
    let config = &here.loaded.config;
    let want = model::want(models, &config.embedding).map_err(CliError::usage)?;
    let weights = weights(&config.generators)?;
    let tell = &mut |file: &str, bytes| output::remark(format!("{file} ({})", format_size(bytes)));
    let archive = models.archive(&want, &weights, folder, tell).map_err(CliError::failed)?;
    if let config::Model::Folder(own) = &config.embedding.model {
        output::remark(format!(
            "The embedding model in {} is not archived: it has a folder of its own to keep.",
            own.display()
        ));
    }
    told(here, folder, &archive, &[])
}

/// The weights of the generators that name a file, with the templates of those that run now.
fn weights(generators: &[config::Generator]) -> Result<Vec<Weights>, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::failed)?;
    let mut weights = Vec::new();
    for from in generators {
        let Some(file) = from.file.clone() else { continue };
        // The file is hashed as it is copied; here the server is only asked.
        let options = AttestOptions { digest: None, file: None, ..app::attest_options(from) };
        let template = match runtime.block_on(answer::chat_template(options, Egress::default())) {
            Ok(Some(template)) => Ok(template),
            Ok(None) => Err("its server does not tell it".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let sha256 = from.digest.as_deref().map(|digest| digest.trim_start_matches("sha256:").to_owned());
        weights.push(Weights { name: from.name.clone(), file, sha256, template });
    }
    Ok(weights)
}

fn verify(here: &Surroundings, folder: &Path) -> Result<(), CliError> {
    let (archive, faults) = archive::verify(folder).map_err(CliError::failed)?;
    told(here, folder, &archive, &faults)?;
    match faults.len() {
        0 => Ok(()),
        1 => Err(CliError::failed("one file of the archive is not what it was: archive again from a machine that has it")),
        many => Err(CliError::failed(format!(
            "{many} files of the archive are not what they were: archive again from a machine that has them"
        ))),
    }
}

fn told(here: &Surroundings, folder: &Path, archive: &Archive, faults: &[String]) -> Result<(), CliError> {
    if here.json {
        return output::json(&json!({ "folder": folder, "archive": archive, "faults": faults }));
    }
    let row = |model: &archive::Archived| {
        let bytes = model.files.iter().map(|file| file.bytes).sum();
        vec![model.name.clone(), model.kind.clone(), model.files.len().to_string(), format_size(bytes)]
    };
    let rows: Vec<Vec<String>> = archive.models.iter().map(row).collect();
    for line in output::table(&["NAME", "KIND", "FILES", "SIZE"], &rows) {
        output::line(line);
    }
    for model in &archive.models {
        if let Some(note) = &model.note {
            output::remark(format!("{}: {note}", model.name));
        }
    }
    faults.iter().for_each(output::remark);
    if faults.is_empty() {
        output::line(format!("Every file in {} was read and is what it was.", folder.display()));
    }
    Ok(())
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
