//! Models kept for next year: a folder with their files and a list of hashes, from which a machine without a network takes them again.

use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{Lock, place, sha256, unusable};
use super::import::search;
use super::{Models, ModelsError, Want};

/// The list's name in an archive. It is written last: a folder without it is no whole archive.
pub const LIST: &str = "archive.json";
const README: &str = "README.txt";
/// What may lie in the folder of an archive, beside temporary files of one that was broken off.
const OURS: [&str; 5] = [LIST, README, "runtime", "models", "generators"];
/// The version of the list's format.
const FORMAT: u32 = 1;
/// How many folders deep an archive is.
const DEPTH: u32 = 8;

const HOW_TO: &str = "\
This folder keeps the models of a Strongroom server: see archive.json for each file's SHA-256.

    strongroom models archive --verify FOLDER    checks that no byte has changed
    strongroom models import FOLDER              takes the embedding model and its runtime over; needs no network

Each folder below generators/ holds the weights of a language model and, where its server told it, the template that turns a
conversation into its prompt. Put the weights where `file` of the [[generator]] names them, and start the server with both; for
llama.cpp: llama-server -m WEIGHTS --jinja --chat-template-file template.jinja
";

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// The version of this list's format.
    pub format: u32,
    /// When it was made, in UTC.
    pub made_at: String,
    /// What made it.
    pub made_by: String,
    /// The models, each with its files.
    pub models: Vec<Archived>,
}

/// One model of an archive, or a runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// Its name.
    pub name: String,
    /// `embedding`, `runtime` or `generator`.
    pub kind: String,
    /// What is not archived of it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Its files.
    pub files: Vec<ArchivedFile>,
}

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedFile {
    /// Where it lies below the archive's folder, with `/` between the parts.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its hash, in hexadecimal.
    pub sha256: String,
}

/// A language model that is archived beside what this program knows itself.
pub struct Weights {
    /// Its name in the configuration.
    pub name: String,
    /// The file of its weights.
    pub file: PathBuf,
    /// The hash that the file must have, if it is pinned.
    pub sha256: Option<String>,
    /// Its template of conversations, or why there is none.
    pub template: Result<String, String>,
}

/// Something to be archived, and where it will lie.
struct Source<'a> {
    from: Bytes<'a>,
    to: String,
    wanted: Option<String>,
}

enum Bytes<'a> {
    File(PathBuf),
    Text(&'a str),
}

impl Models {
    /// Writes all that is here of models and runtimes, and these weights, into `folder`, reads it back, and gives the list. What
    /// an earlier run has written there is kept where it is right. `tell` hears of each file before it is written.
    ///
    /// # Errors
    /// If something that is wanted is not here, or `folder` is something else.
    pub fn archive(
        &self,
        want: &Want,
        weights: &[Weights],
        folder: &Path,
        tell: &mut dyn FnMut(&str, u64),
    ) -> Result<Archive, ModelsError> {
        let located = self.locate(want);
        if !located.missing.is_empty() {
            return Err(ModelsError::Unavailable { missing: located.missing, tried: Vec::new() });
        }
        let _lock = Lock::take(&self.cache, &mut |_| {})?;
        prepare(folder)?;
        let mut models = Vec::new();
        for (name, kind, note, sources) in self.sources(want, weights)? {
            let mut files = Vec::new();
            for source in sources {
                files.push(write(&source, folder, tell)?);
            }
            models.push(Archived { name, kind: kind.to_owned(), note, files });
        }
        place(&mut HOW_TO.as_bytes(), &folder.join(README), README, None)?;
        let made_by = concat!("strongroom ", env!("CARGO_PKG_VERSION")).to_owned();
        let archive = Archive { format: FORMAT, made_at: jiff::Timestamp::now().to_string(), made_by, models };
        let faults = faults(&archive, folder);
        if !faults.is_empty() {
            return Err(ModelsError::Refused(format!("what was written is not what was read: {}", faults.join("; "))));
        }
        let list = serde_json::to_string_pretty(&archive).map_err(|error| unusable(folder)(error.into()))?;
        place(&mut list.as_bytes(), &folder.join(LIST), LIST, None)?;
        Ok(archive)
    }

    /// Everything to be archived: name, kind, note, files.
    fn sources<'a>(&self, want: &Want, weights: &'a [Weights]) -> Result<Vec<Item<'a>>, ModelsError> {
        let mut items: Vec<Item<'a>> = Vec::new();
        for (name, package, folder) in self.packages() {
            if !package.files.iter().all(|pin| super::is_there(&folder.join(pin.name), Some(pin.bytes))) {
                continue;
            }
            let (kind, place) = if name == super::BUILTIN { ("embedding", "models") } else { ("runtime", "runtime") };
            let source = |pin: &super::catalogue::Pinned| Source {
                from: Bytes::File(folder.join(pin.name)),
                to: format!("{place}/{name}/{}", pin.name),
                wanted: Some(pin.sha256.to_owned()),
            };
            let sources = package.files.iter().map(source).collect();
            items.push((name, kind, None, sources));
        }
        if let (Some(library), Some(_)) = (&self.runtime, want.runtime) {
            let name = file_name(library);
            let note = "a library of the user's own: let STRONGROOM_ONNXRUNTIME name it".to_owned();
            let sources = vec![Source { to: format!("runtime/own/{name}"), from: Bytes::File(library.clone()), wanted: None }];
            items.push((name, "runtime", Some(note), sources));
        }
        for entry in self.list().into_iter().filter(|entry| entry.ready && !entry.pinned) {
            let mut found = Vec::new();
            search(&entry.path, DEPTH, &mut found)?;
            found.sort();
            let mut sources = Vec::new();
            for file in found {
                if let Some(below) = file.strip_prefix(&entry.path).ok().and_then(slashed) {
                    sources.push(Source {
                        to: format!("models/{}/{below}", entry.name),
                        from: Bytes::File(file),
                        wanted: None,
                    });
                }
            }
            items.push((entry.name, "embedding", None, sources));
        }
        for (at, one) in weights.iter().enumerate() {
            // Two names may look the same once they are names of folders.
            let place = format!("generators/{}-{}", at + 1, harmless(&one.name));
            let mut sources = vec![Source {
                from: Bytes::File(one.file.clone()),
                to: format!("{place}/{}", harmless(&file_name(&one.file))),
                wanted: one.sha256.clone(),
            }];
            let note = match &one.template {
                Ok(template) => {
                    let to = format!("{place}/template.jinja");
                    sources.push(Source { from: Bytes::Text(template), to, wanted: None });
                    None
                }
                Err(why) => Some(format!("its template is not archived: {why}")),
            };
            items.push((one.name.clone(), "generator", note, sources));
        }
        Ok(items)
    }
}

type Item<'a> = (String, &'static str, Option<String>, Vec<Source<'a>>);

/// Reads an archive's list.
///
/// # Errors
/// If there is none, or it is none that this version can read.
pub fn read(folder: &Path) -> Result<Archive, ModelsError> {
    let path = folder.join(LIST);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let why = format!("{} is no whole archive: it has no {LIST}. Archive into it again to finish it", folder.display());
            return Err(ModelsError::Refused(why));
        }
        text => text.map_err(unusable(&path))?,
    };
    let archive: Archive = serde_json::from_str(&text)
        .map_err(|error| ModelsError::Refused(format!("{} cannot be understood: {error}", path.display())))?;
    if archive.format != FORMAT {
        let why = format!("{} is of format {}, and this version reads {FORMAT}", path.display(), archive.format);
        return Err(ModelsError::Refused(why));
    }
    Ok(archive)
}

/// Reads an archive and all of its files. What is wrong with them, one line each; nothing where it is whole.
///
/// # Errors
/// If there is no list of files.
pub fn verify(folder: &Path) -> Result<(Archive, Vec<String>), ModelsError> {
    let archive = read(folder)?;
    let faults = faults(&archive, folder);
    Ok((archive, faults))
}

fn faults(archive: &Archive, folder: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for file in archive.models.iter().flat_map(|model| &model.files) {
        let path = Path::new(&file.path);
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            faults.push(format!("{} leads out of the archive", file.path));
            continue;
        }
        let path = folder.join(path);
        match fs::metadata(&path) {
            Err(error) => faults.push(format!("{}: {}", file.path, error.kind())),
            Ok(found) if found.len() != file.bytes => {
                faults.push(format!("{} has {} bytes, not {}", file.path, found.len(), file.bytes));
            }
            Ok(_) => match sha256(&path) {
                Ok(found) if found == file.sha256 => {}
                Ok(found) => faults.push(format!("{} has the SHA-256 {found}, not {}", file.path, file.sha256)),
                Err(error) => faults.push(error.to_string()),
            },
        }
    }
    faults
}

/// Makes the folder ready: it is new, or empty, or an archive. Its list goes until all is written again.
fn prepare(folder: &Path) -> Result<(), ModelsError> {
    fs::create_dir_all(folder).map_err(unusable(folder))?;
    for entry in fs::read_dir(folder).map_err(unusable(folder))? {
        let name = entry.map_err(unusable(folder))?.file_name();
        let name = name.to_string_lossy();
        if !OURS.contains(&name.as_ref()) && !name.starts_with(".tmp") {
            let why = format!("{} holds {name}, which is no part of an archive: name a new folder", folder.display());
            return Err(ModelsError::Refused(why));
        }
    }
    let list = folder.join(LIST);
    match fs::remove_file(&list) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(&list)(error)),
        _ => {}
    }
    // What a run that was broken off has left half written.
    let mut found = Vec::new();
    search(folder, DEPTH, &mut found)?;
    for half in found.iter().filter(|path| file_name(path).starts_with(".tmp")) {
        fs::remove_file(half).map_err(unusable(half))?;
    }
    Ok(())
}

/// Writes one file, unless it is there already.
fn write(source: &Source<'_>, folder: &Path, tell: &mut dyn FnMut(&str, u64)) -> Result<ArchivedFile, ModelsError> {
    let to = folder.join(&source.to);
    let (sha256, bytes) = match &source.from {
        Bytes::Text(text) => (place(&mut text.as_bytes(), &to, &source.to, None)?, text.len() as u64),
        Bytes::File(from) => {
            let bytes = fs::metadata(from).map_err(unusable(from))?.len();
            tell(&source.to, bytes);
            let there = fs::metadata(&to).is_ok_and(|found| found.is_file() && found.len() == bytes);
            let wanted = match (&source.wanted, there) {
                (Some(wanted), _) => Some(wanted.clone()),
                (None, true) => Some(sha256(from)?),
                (None, false) => None,
            };
            match wanted.clone().filter(|_| there) {
                Some(wanted) if sha256(&to)? == wanted => (wanted, bytes),
                _ => {
                    let mut file = File::open(from).map_err(unusable(from))?;
                    (place(&mut file, &to, &from.display().to_string(), wanted.as_deref())?, bytes)
                }
            }
        }
    };
    Ok(ArchivedFile { path: source.to.clone(), bytes, sha256 })
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A path below a folder with `/` between its parts; none where a part is no text.
fn slashed(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}

/// A name that can be one of a file on every system.
fn harmless(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = name.chars().map(kept).take(100).collect();
    let name = name.trim_matches('.').to_owned();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
