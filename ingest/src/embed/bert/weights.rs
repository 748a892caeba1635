//! Reads single tensors out of a safetensors file, so that the 90 MB of it are never in memory at once.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use safetensors::tensor::{Dtype, Metadata};

use super::super::EmbedError;

/// An open safetensors file of 32-bit floats. It stays open, so that sessions made later come from the bytes that were hashed.
pub(in super::super) struct Weights {
    path: PathBuf,
    file: Mutex<File>,
    metadata: Metadata,
    /// Where the tensors' bytes begin in the file.
    data: u64,
}

impl Weights {
    /// Opens the file and reads its header.
    pub(in super::super) fn open(path: &Path) -> Result<Self, EmbedError> {
        let unreadable = |source| EmbedError::File { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(unreadable)?;
        let mut length = [0u8; 8];
        file.read_exact(&mut length).map_err(unreadable)?;
        let header = u64::from_le_bytes(length);
        if header > 16 * 1024 * 1024 {
            return Err(damaged(path, "its header is too long"));
        }
        // The crate's own reader wants the whole file in memory; its type checks the header by itself.
        let mut json = vec![0u8; header as usize];
        file.read_exact(&mut json).map_err(unreadable)?;
        let metadata: Metadata = serde_json::from_slice(&json).map_err(|error| damaged(path, &error.to_string()))?;
        if file.metadata().map_err(unreadable)?.len() != 8 + header + metadata.data_len() as u64 {
            return Err(damaged(path, "its length is not what its header says"));
        }
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), metadata, data: 8 + header })
    }

    /// One tensor's numbers, row by row. It is an error if its shape is not `shape`.
    pub(super) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EmbedError> {
        let info = self.metadata.info(name).ok_or_else(|| damaged(&self.path, &format!("it has no {name}")))?;
        if info.dtype != Dtype::F32 || info.shape != shape {
            return Err(damaged(&self.path, &format!("{name} is {:?} {:?}", info.dtype, info.shape)));
        }
        let unreadable = |source| EmbedError::File { path: self.path.clone(), source };
        let mut bytes = vec![0u8; info.data_offsets.1 - info.data_offsets.0];
        let mut file = self.file.lock();
        file.seek(SeekFrom::Start(self.data + info.data_offsets.0 as u64)).map_err(unreadable)?;
        file.read_exact(&mut bytes).map_err(unreadable)?;
        drop(file);
        Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
}

fn damaged(path: &Path, reason: &str) -> EmbedError {
    EmbedError::Model { path: path.to_owned(), reason: reason.to_owned() }
}
