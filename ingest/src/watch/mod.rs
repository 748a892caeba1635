//! Watched folders: what is in them now, and hints that something changed.
//!
//! Two halves that never trust each other. [`scan`] lists a folder as it is at this moment and is the truth; it never
//! follows a symbolic link, names what it had to leave out, and says plainly when a folder can't be seen at all, so
//! that an unmounted disk is not taken for a deleted client. [`Watcher`] turns the system's events into [`Hint`]s:
//! they say when a scan is worth its cost, and may be late, doubled or lost.

mod names;
mod network;
mod notice;
mod open;
mod rules;
mod scan;
mod sorter;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use names::collection_name;
pub use notice::{Hint, WatchError, Watcher};
pub use open::{ReadError, read_file};
pub use rules::{IGNORE_FILE, Rules, RulesError};
pub use scan::{Found, NameProblem, RootListing, Scan, ScanError, UnsupportedName, scan, subfolders};

/// How watched folders are treated.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// Lines in `.gitignore` syntax, added after the built-in list (so `!*.tmp` takes temporary files back in).
    pub ignore: Vec<String>,
    /// How often a network file system is looked through, since it sends no events.
    pub poll_interval: Duration,
    /// How long a file must have been left alone before it counts as settled, and how long events are gathered.
    pub settle: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self { ignore: Vec::new(), poll_interval: Duration::from_secs(30), settle: Duration::from_secs(1) }
    }
}
