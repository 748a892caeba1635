//! The shard's write-ahead log, which its engine writes and never reads again: how large it is, and cutting its old part.

use std::fs;
use std::path::Path;

use super::watermark::sync_folder;

/// Name of the log's folder inside a shard's.
const FOLDER: &str = "wal";

/// Bytes that the log of the shard in `dir` takes on disk. Its files are sparse: what counts is what is allocated.
pub(super) fn allocated(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir.join(FOLDER)) else {
        return 0;
    };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|metadata| size(&metadata)).sum()
}

#[cfg(unix)]
fn size(metadata: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.blocks() * 512
}

#[cfg(not(unix))]
fn size(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}

/// Removes the full segments of a *closed* shard's log, all but the last.
///
/// The engine numbers its operations by their place in the log and ignores an update whose number is not above that of the
/// point, so the log must never begin again at zero. A full segment carries the number of its first operation in its name
/// (`closed-N`); with the last of them and the open one left, numbering goes on where it was, which is how the engine's own
/// server cuts it. Nothing is lost by it: the log is not replayed when a shard is loaded.
pub(super) fn cut(dir: &Path) -> std::io::Result<()> {
    let folder = dir.join(FOLDER);
    let mut closed = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(start) = name.to_str().and_then(|name| name.strip_prefix("closed-")?.parse::<u64>().ok()) {
            closed.push((start, entry.path()));
        }
    }
    if closed.len() < 2 {
        return Ok(());
    }
    closed.sort();
    closed.pop();
    // Oldest first: wherever this stops, what is left has no gap.
    for (_, path) in &closed {
        fs::remove_file(path)?;
    }
    sync_folder(&folder)
}
