//! How files come to their places: written beside, checked, flushed, renamed; one process at a time.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::{ModelsError, Progress};

/// `map_err(unusable(path))`
pub(super) fn unusable(path: &Path) -> impl Fn(std::io::Error) -> ModelsError + '_ {
    |source| ModelsError::File { path: path.to_owned(), source }
}

/// Copies `from` to `to`. With `wanted`, only what has that SHA-256 ever gets there. Gives the hash.
pub(super) fn place(from: &mut dyn Read, to: &Path, what: &str, wanted: Option<&str>) -> Result<String, ModelsError> {
    let folder = to.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(unusable(folder))?;
    let mut file = NamedTempFile::new_in(folder).map_err(unusable(folder))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        let length = from.read(&mut buffer).map_err(unusable(to))?;
        if length == 0 {
            break;
        }
        hasher.update(&buffer[..length]);
        file.write_all(&buffer[..length]).map_err(unusable(to))?;
    }
    let found = hex(&hasher.finalize());
    check(what, wanted, &found)?;
    settle(file, to)?;
    Ok(found)
}

/// Gives a file that was written beside its place to it, durably.
pub(super) fn settle(file: NamedTempFile, to: &Path) -> Result<(), ModelsError> {
    // Temporary files are for their owner alone; a cache may be shared by a group.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(unusable(to))?;
    }
    file.as_file().sync_all().map_err(unusable(to))?;
    file.persist(to).map_err(|error| unusable(to)(error.error))?;
    // The rename itself, which only Unix lets one flush.
    #[cfg(unix)]
    if let Some(folder) = to.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(unusable(folder))?;
    }
    Ok(())
}

/// An error unless `found` is what was wanted.
pub(super) fn check(what: &str, wanted: Option<&str>, found: &str) -> Result<(), ModelsError> {
    match wanted {
        Some(wanted) if wanted != found => {
            Err(ModelsError::Hash { what: what.to_owned(), wanted: wanted.to_owned(), found: found.to_owned() })
        }
        _ => Ok(()),
    }
}

/// The SHA-256 of a file.
pub(super) fn sha256(path: &Path) -> Result<String, ModelsError> {
    let mut file = File::open(path).map_err(unusable(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        let length = file.read(&mut buffer).map_err(unusable(path))?;
        if length == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..length]);
    }
}

/// Bytes in lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The right to change the cache. It ends when this is dropped, or with the process.
pub(super) struct Lock(#[allow(dead_code, reason = "held for its lock")] File);

impl Lock {
    /// Waits until no other process is changing the cache.
    pub(super) fn take(cache: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Self, ModelsError> {
        fs::create_dir_all(cache).map_err(unusable(cache))?;
        let path = cache.join("fetch.lock");
        let file = File::options().create(true).append(true).open(&path).map_err(unusable(&path))?;
        if file.try_lock().is_err() {
            progress(Progress::Waiting);
            file.lock().map_err(unusable(&path))?;
        }
        Ok(Self(file))
    }
}
