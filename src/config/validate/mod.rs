//! Typed to valid: every value by itself, then all of them together. Each message names the setting and the remedy.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::http::Uri;

use super::typed::Typed;
use super::valid::{Config, Embedding, Indexing, Log, Watch, model_named};
use super::{ConfigError, Environment, parse_duration, parse_size, places};

pub(super) mod models;
mod network;
mod speech;
mod tasks;
mod wake;

/// Deleted text has to be gone from every file within a day.
const LONGEST_PURGE: Duration = Duration::from_secs(24 * 3600);

/// Checks everything and turns it into what the program uses; all faults are told at once.
pub(super) fn validate(typed: &Typed, environment: &Environment) -> Result<Config, ConfigError> {
    let mut faults = Faults(Vec::new());
    let data = match typed.data.clone().or_else(|| places::default_data(environment)) {
        Some(path) => places::absolute(&path, &environment.folder, environment),
        None => {
            faults.add("data", "no home folder is known: say `--data DIR`");
            environment.folder.clone()
        }
    };
    let config = Config {
        bind: bind(typed, &mut faults),
        allowed_hosts: typed.allowed_hosts.iter().map(|host| host.trim().to_lowercase()).collect(),
        allowed_origins: origins(&typed.allowed_origins, &mut faults),
        public_url: typed.public_url.as_deref().and_then(|url| public_url(url, &mut faults)),
        watch_folders: typed.watch_folders.clone(),
        watch: watch(typed, &mut faults),
        indexing: indexing(typed, &mut faults),
        embedding: embedding(typed, &mut faults),
        log: log(typed, &mut faults),
        generators: models::generators(typed, environment, &mut faults),
        speech: speech::speech(typed, environment, &mut faults),
        transcription: speech::transcription(typed, &mut faults),
        providers: models::providers(typed, &mut faults),
        tasks: tasks::tasks(typed, &mut faults),
        usage: tasks::usage(typed, &mut faults),
        tls: network::tls(typed, environment, &mut faults),
        limits: network::limits(typed, &mut faults),
        open_webui: network::open_webui(typed, environment, &mut faults),
        collections: models::collections(typed, &mut faults),
        filter: models::filter(typed, &mut faults),
        data,
    };
    apart(&config, &mut faults);
    if faults.0.is_empty() { Ok(config) } else { Err(ConfigError(faults.0)) }
}

struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, key: &str, message: impl AsRef<str>) {
        self.0.push(format!("`{key}`: {}", message.as_ref()));
    }

    fn take<T>(&mut self, key: &str, result: Result<T, String>, otherwise: T) -> T {
        result.unwrap_or_else(|message| {
            self.add(key, message);
            otherwise
        })
    }
}

fn bind(typed: &Typed, faults: &mut Faults) -> SocketAddr {
    let text = typed.bind.as_str();
    let fallback = SocketAddr::from(([127, 0, 0, 1], 7710));
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let Ok(address) = numeric.as_deref().unwrap_or(text).parse::<SocketAddr>() else {
        faults.add("bind", format!("{text:?} is not an address and a port: write it like \"127.0.0.1:7710\""));
        return fallback;
    };
    let encrypted = typed.tls.terminated_by.is_some() || (typed.tls.cert.is_some() && typed.tls.key.is_some());
    if !address.ip().is_loopback() && !encrypted {
        faults.add(
            "bind",
            format!(
                "{address} can be reached from outside, and what goes over a network must be encrypted: give `tls.cert` and \
                 `tls.key`, or say with `tls.terminated_by` what encrypts in front of it, or listen on 127.0.0.1:{port} and \
                 reach it over an SSH tunnel (ssh -L {port}:127.0.0.1:{port} HOST)",
                port = address.port()
            ),
        );
    }
    address
}

fn origins(typed: &[String], faults: &mut Faults) -> Vec<String> {
    let mut origins = Vec::new();
    for text in typed {
        let origin = text.trim().trim_end_matches('/').to_lowercase();
        match origin.parse::<Uri>() {
            Ok(uri) if uri.scheme().is_some() && uri.host().is_some() && matches!(uri.path(), "" | "/") => origins.push(origin),
            _ => faults.add("allowed_origins", format!("{text:?} is not an origin: write it like \"http://localhost:3000\"")),
        }
    }
    origins
}

fn public_url(typed: &str, faults: &mut Faults) -> Option<String> {
    let url = typed.trim().trim_end_matches('/');
    let is_web =
        |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none();
    let bare = |uri: &Uri| uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if url.parse::<Uri>().is_ok_and(|uri| is_web(&uri) && bare(&uri)) {
        return Some(url.to_owned());
    }
    // It may hold a password, so it is not repeated.
    faults.add("public_url", "is not a plain web address: write it like \"https://kb.example\"");
    None
}

fn watch(typed: &Typed, faults: &mut Faults) -> Vec<Watch> {
    let mut names = BTreeSet::new();
    for watch in &typed.watch {
        if !is_collection_name(&watch.name) {
            faults.add("watch.name", format!("{:?} {NAME_RULE}", watch.name));
        }
        if !names.insert(&watch.name) {
            faults.add("watch.name", format!("{:?} is given twice: two folders are never one collection", watch.name));
        }
    }
    typed.watch.iter().map(|watch| Watch { name: watch.name.clone(), path: watch.path.clone() }).collect()
}

fn indexing(typed: &Typed, faults: &mut Faults) -> Indexing {
    let from = &typed.indexing;
    let mut time = |key: &str, text: &str, least: Duration, most: Duration| {
        let time = faults.take(key, parse_duration(text), least);
        if time < least || time > most {
            faults.add(key, format!("{text:?} is out of range: from {} to {}", short(least), short(most)));
        }
        time
    };
    let day = LONGEST_PURGE;
    let sweep_every = time("indexing.sweep_every", &from.sweep_every, Duration::from_secs(1), day);
    let settle = time("indexing.settle", &from.settle, Duration::ZERO, Duration::from_secs(600));
    let purge_every = time("indexing.purge_every", &from.purge_every, Duration::from_secs(1), day);
    let at_least_one = [
        ("indexing.threads", from.threads == Some(0)),
        ("indexing.max_pending", from.max_pending == 0),
        ("indexing.open_collections", from.open_collections == 0),
    ];
    for (key, zero) in at_least_one {
        if zero {
            faults.add(key, "must be at least 1");
        }
    }
    let is_language = |name: &String| name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !from.ocr_languages.iter().all(is_language) {
        faults.add("indexing.ocr_languages", "must be names such as `eng` or `chi_sim`");
    }
    Indexing {
        threads: from.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        pause: from.pause,
        sweep_every,
        settle,
        ignore: from.ignore.clone(),
        tools: from.tools,
        ocr_languages: from.ocr_languages.clone(),
        reserve: faults.take("indexing.reserve", parse_size(&from.reserve), 0),
        max_pending: from.max_pending,
        max_file_size: faults.take("indexing.max_file_size", parse_size(&from.max_file_size), 0),
        purge_every,
        open_collections: from.open_collections,
    }
}

fn short(time: Duration) -> String {
    super::format_duration(time)
}

fn embedding(typed: &Typed, faults: &mut Faults) -> Embedding {
    let from = &typed.embedding;
    let model = from.model.trim();
    if model.is_empty() {
        faults.add("embedding.model", "is empty: leave it out for the built-in model");
    }
    Embedding { model: model_named(model), precision: from.precision, device: from.device, offline: from.offline }
}

fn log(typed: &Typed, faults: &mut Faults) -> Log {
    let level = typed.log.level.trim().to_owned();
    if tracing_subscriber::EnvFilter::try_new(&level).is_err() || level.is_empty() {
        faults.add(
            "log.level",
            format!("{level:?} is not error, warn, info, debug, trace or a filter like \"info,strongroom_ingest=debug\""),
        );
    }
    Log { level, format: typed.log.format }
}

/// Nothing is indexed twice, and the data folder not at all.
fn apart(config: &Config, faults: &mut Faults) {
    let named = config.watch.iter().map(|watch| ("watch.path", watch.path.as_path()));
    let folders: Vec<(&str, &Path)> =
        config.watch_folders.iter().map(|path| ("watch_folders", path.as_path())).chain(named).collect();
    for (key, path) in &folders {
        if config.data.starts_with(path) {
            faults.add(
                key,
                format!(
                    "{} holds the data folder {}, which would index itself: keep them apart with --data",
                    path.display(),
                    config.data.display()
                ),
            );
        } else if path.starts_with(&config.data) {
            faults
                .add(key, format!("{} lies inside the data folder {}: keep them apart", path.display(), config.data.display()));
        }
    }
    for (at, (key, path)) in folders.iter().enumerate() {
        if folders[..at].iter().any(|(_, other)| other == path) {
            faults.add(key, format!("{} is given twice: watch it once", path.display()));
        }
    }
}

const NAME_RULE: &str = "is not a collection's name: 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit";

fn is_collection_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    first && name.len() <= 63 && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
