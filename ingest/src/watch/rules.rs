//! What is never taken for a document: a built-in list, the user's lines, and `.strongroomignore` files in the tree.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::WatchOptions;
use super::open::open_beneath;

/// Name of the files that hold more rules, for the folder they lie in and all below it.
pub const IGNORE_FILE: &str = ".strongroomignore";

/// Longest ignore file that is read, in bytes.
const LONGEST_IGNORE_FILE: u64 = 64 * 1024;

/// What no client means as a document. Any line can be taken back with `!`. Case does not matter here.
const BUILT_IN: &[&str] = &[
    // Hidden files and folders, `.DS_Store` and the hidden lock files of office programs among them.
    ".*",
    // Editors and office programs: lock, swap, backup and probe files.
    "~$*",
    "*~",
    "*.tmp",
    "*.temp",
    "*.swp",
    "*.swo",
    "4913",
    r"\#*#",
    // Downloads and transfers that are not complete.
    "*.part",
    "*.partial",
    "*.crdownload",
    "*.opdownload",
    "*.download",
    "*.filepart",
    // What operating systems and storage boxes leave in every folder.
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "__MACOSX/",
    "lost+found/",
    "$RECYCLE.BIN/",
    "System Volume Information/",
    "@eaDir/",
    r"\#recycle/",
    r"\#snapshot/",
];

/// A configured line that is no rule.
#[derive(Debug, thiserror::Error)]
#[error("ignore rule {number} is not understood: {reason}")]
pub struct RulesError {
    /// Which of the configured lines, counted from 1.
    pub number: usize,
    /// What the pattern's parser said.
    pub reason: String,
}

/// The rules that hold for whole watched folders; those of `.strongroomignore` files join while a folder is read.
///
/// The nearest rule wins: first the ignore file beside an entry, then those of the folders above it, then the configured
/// lines, then the built-in list; within one list the last line that matches. As with Git, nothing inside an ignored
/// folder can be taken back without taking back the folder.
#[derive(Debug, Clone)]
pub struct Rules {
    built_in: Arc<Gitignore>,
    configured: Arc<Gitignore>,
    pub(super) settle: Duration,
}

impl Rules {
    /// The built-in list and `extra`, lines in `.gitignore` syntax. Files settle within a second.
    pub fn new(extra: &[String]) -> Result<Self, RulesError> {
        let error = |number, error: ignore::Error| RulesError { number, reason: error.to_string() };
        let mut built_in = GitignoreBuilder::new("");
        built_in.case_insensitive(true).map_err(|e| error(0, e))?;
        for line in BUILT_IN {
            built_in.add_line(None, line).map_err(|e| error(0, e))?;
        }
        let mut configured = GitignoreBuilder::new("");
        for (index, line) in extra.iter().enumerate() {
            configured.add_line(None, line).map_err(|e| error(index + 1, e))?;
        }
        Ok(Self {
            built_in: Arc::new(built_in.build().map_err(|e| error(0, e))?),
            configured: Arc::new(configured.build().map_err(|e| error(extra.len(), e))?),
            settle: WatchOptions::default().settle,
        })
    }

    /// The rules and the settling time that `options` ask for.
    pub fn from_options(options: &WatchOptions) -> Result<Self, RulesError> {
        Ok(Self { settle: options.settle, ..Self::new(&options.ignore)? })
    }

    /// Whether the entry `path` (relative to the watched folder, `/`-separated) is to be left out.
    ///
    /// Says nothing about the folders above it: whoever walks does not enter ignored ones.
    pub(super) fn ignore(&self, nearest: Option<&Level>, path: &str, is_folder: bool) -> bool {
        let mut level = nearest;
        while let Some(here) = level {
            match here.list.matched(&path[here.prefix..], is_folder) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => level = here.above.as_deref(),
            }
        }
        match self.configured.matched(path, is_folder) {
            Match::Ignore(_) => true,
            Match::Whitelist(_) => false,
            Match::None => self.built_in.matched(path, is_folder).is_ignore(),
        }
    }

    /// The same for one path alone: reads the ignore files on the way to it and looks at the folders above it too.
    ///
    /// For events, which come without a walk. In doubt the answer is no: a needless hint costs one look.
    pub(super) fn ignore_from_root(&self, root: BorrowedFd<'_>, path: &str) -> bool {
        let mut nearest = Level::read(root, "", None).map_or(None, |read| read.level);
        for (end, _) in path.match_indices('/') {
            let folder = &path[..end];
            if self.ignore(nearest.as_deref(), folder, true) {
                return true;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            if let Ok(opened) = open_beneath(root, Path::new(folder), flags)
                && let Ok(read) = Level::read(opened.as_fd(), &path[..=end], nearest.clone())
            {
                nearest = read.level;
            }
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        name != IGNORE_FILE && self.ignore(nearest.as_deref(), path, false)
    }
}

/// The ignore file of one folder, and the nearest one above it.
#[derive(Debug)]
pub(super) struct Level {
    list: Gitignore,
    /// Length of the folder's own path with its `/`: matching is relative to the folder.
    prefix: usize,
    above: Option<Arc<Level>>,
}

/// What reading a folder's ignore file gave.
pub(super) struct LevelRead {
    /// The rules that hold in the folder: its own on top of those above, or just those above.
    pub level: Option<Arc<Level>>,
    /// Some line was not understood and does nothing.
    pub faulty: bool,
}

impl Level {
    /// Reads the ignore file in `folder`, whose path with a closing `/` is `prefix` (empty at the top).
    ///
    /// An error means there is one that can't be read. Nothing new should be taken from such a folder: what its owner
    /// wanted left out is unknown.
    pub(super) fn read(folder: BorrowedFd<'_>, prefix: &str, above: Option<Arc<Level>>) -> Result<LevelRead, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let file = match open_beneath(folder, Path::new(IGNORE_FILE), flags) {
            Err(Errno::NOENT) => {
                return Ok(LevelRead { level: above, faulty: false });
            }
            opened => opened?,
        };
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::INVAL);
        }
        let mut bytes = Vec::new();
        let read = File::from(file).take(LONGEST_IGNORE_FILE + 1).read_to_end(&mut bytes);
        read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        if bytes.len() as u64 > LONGEST_IGNORE_FILE {
            return Err(Errno::FBIG);
        }
        let text = String::from_utf8_lossy(&bytes);
        let mut faulty = false;
        let mut builder = GitignoreBuilder::new("");
        for line in text.trim_start_matches('\u{feff}').lines() {
            faulty |= builder.add_line(None, line).is_err();
        }
        // Every line was parsed above; the set as a whole can still be too large to build.
        let list = builder.build().map_err(|_| Errno::FBIG)?;
        let level = Arc::new(Level { list, prefix: prefix.len(), above });
        Ok(LevelRead { level: Some(level), faulty })
    }
}
