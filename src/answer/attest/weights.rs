//! The digest of a file of weights, computed once for as long as the file stays as it is.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use sha2::Digest;
use strongroom_ingest::model::Sha256;

use crate::answer::GeneratorError;

/// One file.
pub(super) struct Weights {
    file: Option<PathBuf>,
    known: Arc<Mutex<Option<Known>>>,
}

/// What a file was when it was hashed.
#[derive(Clone)]
struct Known {
    length: u64,
    changed: SystemTime,
    digest: String,
}

impl Weights {
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file, known: Arc::default() }
    }

    /// The file's digest, as `sha256:…`. `loaded` is the file that the server says it has loaded: it must be this one.
    pub async fn digest(&self, loaded: Option<&str>) -> Result<String, GeneratorError> {
        let Some(file) = self.file.clone() else {
            return Err(GeneratorError::Refused("no file of its weights is named".into()));
        };
        let (known, loaded) = (Arc::clone(&self.known), loaded.map(PathBuf::from));
        let hashing = tokio::task::spawn_blocking(move || hash(&file, loaded.as_deref(), &known));
        hashing.await.map_err(|_| GeneratorError::Failed("hashing its weights ended early".into()))?
    }
}

fn hash(file: &Path, loaded: Option<&Path>, known: &Mutex<Option<Known>>) -> Result<String, GeneratorError> {
    let unreadable =
        |error: io::Error| GeneratorError::Refused(format!("the file of its weights cannot be read: {}", error.kind()));
    let own = fs::canonicalize(file).map_err(unreadable)?;
    // A relative path means nothing to us but its last part.
    let is_other = loaded.is_some_and(|loaded| match fs::canonicalize(loaded) {
        Ok(loaded) if loaded.is_absolute() => loaded != own,
        _ => loaded.file_name() != own.file_name(),
    });
    if is_other {
        return Err(GeneratorError::Refused("it has loaded another file than the one that `file` names".into()));
    }
    let mut opened = File::open(&own).map_err(unreadable)?;
    let about = opened.metadata().map_err(unreadable)?;
    let (length, changed) = (about.len(), about.modified().map_err(unreadable)?);
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.as_ref().filter(|known| known.length == length && known.changed == changed) {
        return Ok(known.digest.clone());
    }
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match opened.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    let digest = format!("sha256:{}", Sha256(hasher.finalize().into()));
    *known = Some(Known { length, changed, digest: digest.clone() });
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_hashed_again_when_it_changes_and_another_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (folder.path().join("own.gguf"), folder.path().join("other.gguf"));
        fs::write(&own, "one").unwrap();
        fs::write(&other, "one").unwrap();
        let known = Mutex::default();
        let first = hash(&own, None, &known).unwrap();
        assert_eq!(first, "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed");
        assert_eq!(hash(&own, Some(&own), &known).unwrap(), first);
        assert_eq!(hash(&own, Some(Path::new("own.gguf")), &known).unwrap(), first);
        fs::write(&own, "another").unwrap();
        assert_ne!(hash(&own, None, &known).unwrap(), first);
        assert!(matches!(hash(&own, Some(&other), &known), Err(GeneratorError::Refused(_))));
        assert!(matches!(hash(&folder.path().join("gone"), None, &known), Err(GeneratorError::Refused(_))));
    }
}
