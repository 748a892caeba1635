//! Loads embedding models: what is cached, else what may be fetched, else the reason why there is none.
//!
//! The one place where configuration, `models` and `ingest::embed` meet.

use std::path::PathBuf;
use std::time::Duration;

use strongroom_ingest::embed::{self, Device, EmbedOptions, Embedder, ModelSpec, Precision};
use strongroom_ingest::model::Fingerprint;

use super::{App, Event};
use crate::config::{self, Environment};
use crate::http::health::Dense;
use crate::models::{HubModel, Located, LocatedModel, Missing, Models, ModelsError, RuntimeBuild, Want, WantedModel};

/// A bulk session that had nothing to do for so long gives its memory back.
const IDLE: Duration = Duration::from_secs(60);

/// Whether files may be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// Yes, unless the configuration forbids it.
    Allowed,
    /// No: what is there has to do.
    No,
}

/// Loads the configured model and makes it active, or says why there is none. Takes as long as fetching takes: call it on a
/// thread of its own. Collections that hold vectors of another model are told of, and keep it if it can be had.
pub fn load(app: &App, fetch: Fetch, tell: &dyn Fn(Event)) {
    match start(app, &app.config.embedding, fetch, tell) {
        Ok(embedder) => {
            keep_old_models(app, &embedder);
            app.embedders.activate(embedder.clone());
            app.ready.set_dense(Dense::Ok);
            tracing::info!(model = embedder.model_name(), device = embedder.device(), "the embedding model is loaded");
            tell(Event::ModelLoaded);
        }
        Err(why) => {
            tracing::warn!(why = why.short, "no embedding model: full-text search works, search by meaning does not");
            app.embedders.unavailable(why.short.clone());
            app.ready.set_dense(Dense::Missing(why.short));
            tell(Event::ModelMissing(why.full));
        }
    }
}

/// Loads another model than the configured one and makes it active. Gives its name.
///
/// # Errors
/// Why it cannot be loaded, for people.
pub fn switch(app: &App, model: &str, tell: &dyn Fn(Event)) -> Result<String, String> {
    let wanted = config::Embedding { model: config::model_named(model), ..app.config.embedding.clone() };
    let embedder = start(app, &wanted, Fetch::Allowed, tell).map_err(|why| why.short)?;
    let name = embedder.model_name().to_owned();
    app.embedders.activate(embedder);
    app.ready.set_dense(Dense::Ok);
    Ok(name)
}

fn start(app: &App, wanted: &config::Embedding, fetch: Fetch, tell: &dyn Fn(Event)) -> Result<Embedder, Why> {
    let models = app.models.as_ref().ok_or(NO_CACHE)?;
    let want = want(models, wanted)?;
    let mut located = models.locate(&want);
    if !located.missing.is_empty() {
        if fetch == Fetch::No || wanted.offline {
            return Err(missing(&located));
        }
        let fetched = models.fetch(&want, &mut |progress| tell(Event::Fetching(progress)));
        tell(Event::Fetched);
        located = fetched.map_err(not_fetched)?;
    }
    let options = options(models, located, wanted, app.config.indexing.threads)?;
    Embedder::start(options).map_err(|error| error.to_string().into())
}

/// What is said where models cannot be kept.
pub const NO_CACHE: &str = "no home folder is known to keep models in: set STRONGROOM_CACHE=DIR";

/// The models of this user; none where no folder is known to keep them in.
pub fn models(environment: &Environment) -> Option<Models> {
    let variable = |name: &str| environment.variables.get(name).filter(|value| !value.is_empty()).cloned();
    let cache = Models::default_cache(variable)?;
    let path = |name: &str| variable(name).map(PathBuf::from);
    Some(Models::new(cache).with_runtime(path("STRONGROOM_ONNXRUNTIME")).with_models(path("STRONGROOM_MODELS")))
}

/// What the configuration asks of `models`.
///
/// # Errors
/// When no model is called so; with the nearest that is.
pub fn want(models: &Models, embedding: &config::Embedding) -> Result<Want, String> {
    let model = match &embedding.model {
        config::Model::Folder(_) => None,
        config::Model::Named(name) if name == embed::BUILTIN => Some(WantedModel::Builtin),
        config::Model::Named(name) => match embed::named_files(name) {
            Some(files) => Some(WantedModel::Hub(HubModel {
                name: short(name).to_owned(),
                repository: files.repository,
                files: files.files,
            })),
            None if imported(models, name).is_some() => None,
            None => return Err(unknown(name)),
        },
    };
    Ok(Want { runtime: Some(runtime_build(models, embedding.device)), model })
}

/// The last part of `owner/name`.
fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// A model that was imported as a folder of its own.
fn imported(models: &Models, name: &str) -> Option<PathBuf> {
    models.list().into_iter().find(|entry| entry.name == name && entry.ready).map(|entry| entry.path)
}

fn unknown(name: &str) -> String {
    let mut known = embed::named_models();
    known.push(embed::BUILTIN.to_owned());
    let near = known.iter().max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    let hint = near.map(|near| format!("did you mean {near:?}? ")).unwrap_or_default();
    format!("no embedding model is called {name:?}: {hint}A folder is given as a path, such as \"./{name}\"")
}

/// The CUDA build is large and needs libraries of the card's maker, so it comes only to those who ask for it.
fn runtime_build(models: &Models, device: config::Device) -> RuntimeBuild {
    let has_cuda = || {
        let cuda = Want { runtime: Some(RuntimeBuild::Cuda), model: None };
        models.locate(&cuda).missing.is_empty()
    };
    match device {
        config::Device::Cuda => RuntimeBuild::Cuda,
        config::Device::Auto if has_cuda() => RuntimeBuild::Cuda,
        config::Device::Auto | config::Device::Cpu | config::Device::Coreml => RuntimeBuild::Plain,
    }
}

/// Why there is no model.
#[derive(Clone, Debug)]
pub struct Why {
    /// In one line, for answers of the API and for the log.
    pub short: String,
    /// With every way to get it, a line each, for people at a terminal.
    pub full: String,
}

impl<T: Into<String>> From<T> for Why {
    fn from(text: T) -> Self {
        let full = text.into();
        // What is many lines long says what it is about in its first.
        let short = full.lines().next().unwrap_or_default().trim_end_matches(':').to_owned();
        Self { short, full }
    }
}

/// What is missing and the ways to bring it.
pub fn missing(located: &Located) -> Why {
    let name = |missing: &Missing| missing.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let names: Vec<String> = located.missing.iter().filter_map(name).collect();
    let short = format!(
        "not on this machine: {}: `strongroom models fetch` fetches it, `strongroom doctor` shows other ways",
        names.join(", ")
    );
    let mut full = String::from("not on this machine:\n");
    for missing in &located.missing {
        full += &format!("  {}\n", missing.file.display());
    }
    full += "Each of these brings it:";
    let mut told: Vec<&str> = Vec::new();
    for remedy in located.missing.iter().flat_map(|missing| &missing.remedies) {
        if !told.contains(&remedy.as_str()) {
            told.push(remedy);
            full += &format!("\n  - {remedy}");
        }
    }
    Why { short, full }
}

fn not_fetched(error: ModelsError) -> Why {
    let short = match &error {
        ModelsError::Unavailable { missing: files, tried } => {
            let located = Located { missing: files.clone(), ..Located::default() };
            let tried: Vec<String> =
                tried.iter().map(|reason| reason.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            format!("{} (tried: {})", missing(&located).short, tried.join("; "))
        }
        other => other.to_string(),
    };
    Why { short, full: error.to_string() }
}

fn options(models: &Models, located: Located, wanted: &config::Embedding, threads: usize) -> Result<EmbedOptions, Why> {
    let message = missing(&located);
    let precision = match wanted.precision {
        config::Precision::Int8 => Precision::Int8,
        config::Precision::Fp32 => Precision::Fp32,
    };
    let model = match (located.model, &wanted.model) {
        (Some(LocatedModel::Builtin { weights, tokenizer }), _) => Some(ModelSpec::Builtin { weights, tokenizer, precision }),
        (Some(LocatedModel::Hub { name, files }), _) => Some(ModelSpec::Fastembed { name, files }),
        (None, config::Model::Folder(path)) => Some(ModelSpec::Folder { path: path.clone() }),
        (None, config::Model::Named(name)) => imported(models, name).map(|path| ModelSpec::Folder { path }),
    };
    let (Some(runtime), Some(model)) = (located.runtime, model) else {
        return Err(message);
    };
    let device = match wanted.device {
        config::Device::Auto => Device::Auto,
        config::Device::Cpu => Device::Cpu,
        config::Device::Cuda => Device::Cuda,
        config::Device::Coreml => Device::CoreMl,
    };
    Ok(EmbedOptions { runtime, model, device, threads, idle: IDLE })
}

/// Collections whose vectors are another model's are searched with that one until they are rebuilt.
fn keep_old_models(app: &App, active: &Embedder) {
    let records = match app.store.records() {
        Ok(records) => records,
        Err(error) => {
            tracing::warn!(%error, "the collections' models are not known");
            return;
        }
    };
    let mut tried: Vec<Fingerprint> = Vec::new();
    let mut affected = 0_usize;
    for fingerprint in records.into_iter().filter_map(|record| record.fingerprint) {
        if fingerprint == *active.fingerprint() {
            continue;
        }
        affected += 1;
        if tried.contains(&fingerprint) {
            continue;
        }
        tried.push(fingerprint.clone());
        let old = of_fingerprint(&fingerprint, &app.config.embedding);
        match start(app, &old, Fetch::No, &|_| {}) {
            Ok(embedder) if *embedder.fingerprint() == fingerprint => app.embedders.keep(embedder),
            _ => tracing::warn!(
                model = model_of(&fingerprint),
                "the model that some collections were embedded with is not on this machine: \
                 they are searched by full text only until `strongroom rebuild --all`"
            ),
        }
    }
    if affected > 0 {
        tracing::warn!(
            collections = affected,
            configured = active.model_name(),
            "collections hold vectors of another model than the configured one and go on with those: \
             `strongroom rebuild --all --model {}` moves them over",
            active.model_name()
        );
    }
}

/// A fingerprint begins with the model's name, and says how the weights are used.
fn of_fingerprint(fingerprint: &Fingerprint, configured: &config::Embedding) -> config::Embedding {
    let precision = if fingerprint.0.contains("precision=fp32") { config::Precision::Fp32 } else { config::Precision::Int8 };
    let model = match &configured.model {
        // The same folder as before may hold another file now; only its contents tell.
        config::Model::Folder(path) if path.ends_with(model_of(fingerprint)) => configured.model.clone(),
        _ => config::Model::Named(model_of(fingerprint).to_owned()),
    };
    config::Embedding { model, precision, ..configured.clone() }
}

/// The name that a fingerprint begins with.
pub fn model_of(fingerprint: &Fingerprint) -> &str {
    fingerprint.0.split(" weights=").next().unwrap_or(&fingerprint.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_leads_back_to_its_model() {
        let configured = config::Embedding {
            model: config::Model::Folder("/models/own model".into()),
            precision: config::Precision::Int8,
            device: config::Device::Cpu,
            offline: true,
        };
        let of = |text: &str| of_fingerprint(&Fingerprint(text.to_owned()), &configured);
        let builtin = of("all-MiniLM-L6-v2 weights=53aa tokenizer=be50 pooling=mean prefix=none precision=fp32 max_tokens=256");
        assert_eq!(builtin.model, config::Model::Named("all-MiniLM-L6-v2".into()));
        assert_eq!(builtin.precision, config::Precision::Fp32);
        assert_eq!(of("own model weights=1 precision=as-given").model, configured.model);
    }
}
