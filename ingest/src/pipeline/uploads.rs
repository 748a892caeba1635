//! Bytes on their way in over REST: to a file of the data folder, hashed as they come, durable before anybody is told so.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use sha2::{Digest, Sha256 as Hasher};
use uuid::Uuid;

use super::PipelineError;
use crate::model::{CollectionId, Sha256};

/// Bytes on their way in. Dropped before it is put, it leaves nothing.
pub struct Upload {
    pub(super) collection: CollectionId,
    pub(super) path: String,
    pub(super) bytes: u64,
    limit: u64,
    file: File,
    at: PathBuf,
    hasher: Hasher,
}

impl Upload {
    pub(super) fn begin(folder: PathBuf, collection: CollectionId, path: &str, limit: u64) -> Result<Self, PipelineError> {
        let at = folder.join(Uuid::new_v4().to_string());
        let file = File::create_new(&at)?;
        Ok(Self { collection, path: path.to_owned(), bytes: 0, limit, file, at, hasher: Hasher::new() })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`PipelineError::TooLarge`] past the limit; otherwise what the disk says.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), PipelineError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limit {
            return Err(PipelineError::TooLarge { limit: self.limit });
        }
        self.hasher.update(bytes);
        Ok(self.file.write_all(bytes)?)
    }

    /// Hash of what came so far.
    pub(super) fn sha256(&self) -> Sha256 {
        Sha256(self.hasher.clone().finalize().into())
    }

    /// Moves the bytes to `originals/<sha256>`, durably.
    pub(super) fn keep(&self, originals: &std::path::Path, sha256: Sha256) -> Result<(), PipelineError> {
        self.file.sync_all()?;
        fs::rename(&self.at, originals.join(sha256.to_string()))?;
        File::open(originals)?.sync_all()?;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Gone already if the bytes were kept; anything else is removed at the next start.
        let _ = fs::remove_file(&self.at);
    }
}
