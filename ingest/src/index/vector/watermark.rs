//! The small file beside a shard that says which change is durably in it, and how many points that makes.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::VectorError;

const FILE: &str = "watermark";
const PARTIAL: &str = "watermark.partial";
const FORMAT: u32 = 1;

/// What a shard holds for certain, and what may be half done in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Watermark {
    format: u32,
    /// Length of its vectors.
    pub(super) dimension: usize,
    /// The last change that is durably in it.
    pub(super) seq: u64,
    /// Points it held then.
    pub(super) points: u64,
    /// An apply that had begun; none once its changes are durable.
    pub(super) begun: Option<Begun>,
}

/// How far an interrupted apply can have moved the number of points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begun {
    /// Points it was to insert.
    pub(super) inserts: u64,
    /// Points it was to delete.
    pub(super) deletes: u64,
}

impl Watermark {
    /// The watermark of a shard that holds nothing.
    pub(super) fn empty(dimension: usize) -> Watermark {
        Watermark { format: FORMAT, dimension, seq: 0, points: 0, begun: None }
    }

    /// Whether a shard with this watermark can hold that many points.
    pub(super) fn explains(&self, points: u64) -> bool {
        let begun = self.begun.unwrap_or_default();
        let least = self.points.saturating_sub(begun.deletes);
        let most = self.points.saturating_add(begun.inserts);
        (least..=most).contains(&points)
    }

    /// Reads the watermark in `dir`; none where there is no such file, `Damaged` where it is not what was written.
    pub(super) fn read(dir: &Path) -> Result<Option<Watermark>, VectorError> {
        let text = match fs::read_to_string(dir.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(garbled()),
            Err(error) => {
                return Err(VectorError::Failed(format!("its watermark could not be read: {error}")));
            }
        };
        let (record, sum) = text.split_once('\n').ok_or_else(garbled)?;
        if sum.strip_suffix('\n') != Some(checksum(record).as_str()) {
            return Err(garbled());
        }
        let watermark: Watermark = serde_json::from_str(record).map_err(|_| garbled())?;
        if watermark.format != FORMAT {
            return Err(VectorError::Damaged(format!("its format {} is not {FORMAT}", watermark.format)));
        }
        Ok(Some(watermark))
    }

    /// Writes it durably: when this returns, a crash of the machine leaves this watermark; when it fails, the old one or this.
    pub(super) fn write(&self, dir: &Path) -> Result<(), VectorError> {
        let write = || -> std::io::Result<()> {
            let record = serde_json::to_string(self)?;
            let partial = dir.join(PARTIAL);
            let mut file = File::create(&partial)?;
            file.write_all(format!("{record}\n{}\n", checksum(&record)).as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial, dir.join(FILE))?;
            sync_folder(dir)
        };
        write().map_err(|error| VectorError::Failed(format!("its watermark could not be written: {error}")))
    }
}

/// Makes renames and removals in a folder durable.
pub(super) fn sync_folder(dir: &Path) -> std::io::Result<()> {
    // Only Unix lets a folder be opened for this; elsewhere the file system journals it.
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

fn checksum(record: &str) -> String {
    Sha256::digest(record.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn garbled() -> VectorError {
    VectorError::Damaged("its watermark is garbled".into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A test fails by it.
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_written_and_a_flipped_bit_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Watermark::read(dir.path()).unwrap(), None);
        let mut watermark = Watermark::empty(384);
        watermark.seq = u64::MAX;
        watermark.begun = Some(Begun { inserts: 3, deletes: 1 });
        watermark.write(dir.path()).unwrap();
        assert_eq!(Watermark::read(dir.path()).unwrap(), Some(watermark));
        let path = dir.path().join(FILE);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert!(matches!(Watermark::read(dir.path()), Err(VectorError::Damaged(_))), "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert!(matches!(Watermark::read(dir.path()), Err(VectorError::Damaged(_))), "cut at {at}");
        }
    }

    #[test]
    fn explains_what_an_interrupted_apply_can_leave() {
        let mut watermark = Watermark::empty(4);
        watermark.points = 10;
        assert!(watermark.explains(10) && !watermark.explains(9) && !watermark.explains(11));
        watermark.begun = Some(Begun { inserts: 5, deletes: 2 });
        assert!(watermark.explains(8) && watermark.explains(15));
        assert!(!watermark.explains(7) && !watermark.explains(16));
    }
}
