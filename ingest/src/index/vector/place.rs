//! An embedded index on disk: making its shard, loading it, and looking whether it is what its watermark says.

use std::fs;
use std::path::{Path, PathBuf};

use qdrant_edge::EdgeShard;

use super::VectorError;
use super::edge::EdgeOptions;
use super::engine::{self, Query};
use super::log;
use super::watermark::Watermark;

/// Where the shard lies in an index's folder.
const SHARD: &str = "shard";

/// Makes an index where none is.
pub(super) fn create(options: &EdgeOptions) -> Result<(EdgeShard, Watermark), VectorError> {
    let dir = shard_dir(&options.dir);
    // Without a watermark there is nothing that was promised. A shard that was being made may be thrown away; one that
    // holds something has lost its watermark, and is not ours to judge.
    if dir.exists() {
        let shard = engine::load(&dir, config(options))?;
        let points = engine::points(&shard);
        engine::close(shard)?;
        if points? > 0 {
            return Err(VectorError::Damaged("its watermark is missing".into()));
        }
    }
    let failed = |error: std::io::Error| VectorError::Failed(format!("its folder could not be made: {error}"));
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(failed)?;
    }
    fs::create_dir(&dir).map_err(failed)?;
    let shard = engine::create(&dir, config(options))?;
    engine::probe(&shard)?;
    engine::flush(&shard)?;
    let watermark = Watermark::empty(options.dimension);
    watermark.write(&options.dir)?;
    Ok((shard, watermark))
}

/// Bytes of a shard that are fetched before it is asked: more would push out what others have at hand.
const READ_AHEAD: u64 = 512 << 20;

/// Loads the shard of an index, after cutting its log.
pub(super) fn load(options: &EdgeOptions, watermark: &Watermark) -> Result<EdgeShard, VectorError> {
    if watermark.dimension != options.dimension {
        return Err(VectorError::Dimension { given: options.dimension, wanted: watermark.dimension });
    }
    let dir = shard_dir(&options.dir);
    if !dir.join("segments").is_dir() {
        // The engine would make an empty shard there.
        return Err(VectorError::Damaged("its shard is missing".into()));
    }
    log::cut(&dir).map_err(|error| VectorError::Damaged(format!("its log could not be cut: {error}")))?;
    let shard = engine::load(&dir, config(options))?;
    if cfg!(target_os = "linux") {
        let mut left = READ_AHEAD;
        read_ahead(&dir.join("segments"), &mut left);
    }
    Ok(shard)
}

/// Asks the system to have a shard's files at hand, up to `left` bytes. The engine puts them out of memory as it loads, and
/// the first search would fetch them again page by page.
fn read_ahead(folder: &Path, left: &mut u64) {
    // Nothing but time depends on it.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(about) = entry.metadata() else { continue };
        if about.is_dir() {
            read_ahead(&entry.path(), left);
        } else if about.len() <= *left {
            *left -= about.len();
            #[cfg(target_os = "linux")]
            if let Ok(file) = std::fs::File::open(entry.path()) {
                let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::WillNeed);
            }
        }
    }
}

/// Looks whether a shard is what its watermark says, without reading all of it. Gives the number of its points.
pub(super) fn inspect(shard: &EdgeShard, watermark: &Watermark) -> Result<u64, VectorError> {
    let points = engine::points(shard)?;
    if !watermark.explains(points) {
        return Err(VectorError::Damaged(format!("it has {points} points, not the {} of its watermark", watermark.points)));
    }
    let searchable = engine::searchable(shard)?;
    if searchable != points {
        return Err(VectorError::Damaged(format!("only {searchable} of its {points} points can be found")));
    }
    // One search goes through the graph and the vectors, which a count does not.
    let mut vector = vec![0.0; watermark.dimension];
    if let Some(first) = vector.first_mut() {
        *first = 1.0;
    }
    let found = engine::query(shard, Query { vector: &vector, filter: None, limit: 1, exact: false })?;
    if found.is_empty() == (points == 0) { Ok(points) } else { Err(VectorError::Damaged("a search finds nothing".into())) }
}

fn config(options: &EdgeOptions) -> qdrant_edge::EdgeConfig {
    engine::config(options.dimension, options.optimize_after)
}

/// Where the shard lies in an index's folder.
pub(super) fn shard_dir(dir: &Path) -> PathBuf {
    dir.join(SHARD)
}
