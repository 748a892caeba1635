//! What lies in a watched folder at this moment. The answer to "what changed?" is the difference of two of these.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat};
use rustix::io::Errno;

use super::open::{open_beneath, open_root};
use super::rules::{IGNORE_FILE, Level, Rules};

/// Longest path in bytes that system calls take. Also bounds how deep a tree is followed.
const LONGEST_PATH: usize = 4095;

/// A file that may become a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Path below the watched folder, `/`-separated, exactly as the file system spells it.
    pub path: String,
    /// The watched folder joined with `path`.
    pub absolute: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// When the content last changed, as the file system tells it.
    pub modified: SystemTime,
    /// The file's number on its device: the same after a rename.
    pub inode: u64,
    /// Left alone for the settling time. What is not settled should be looked at again soon instead of being read.
    pub settled: bool,
}

/// An entry that can't be a document because of its name. Its rules were never asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedName {
    /// Path below the watched folder with `�` for what is not text, for people to find it by.
    pub shown: String,
    /// Nothing below it was looked at.
    pub is_folder: bool,
    /// What is the matter.
    pub problem: NameProblem,
}

/// What is the matter with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameProblem {
    /// Not valid UTF-8.
    NotUtf8,
    /// The whole path is longer than system calls take.
    TooLong,
}

/// All that was found below a watched folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// The files, sorted by path (bytewise).
    pub files: Vec<Found>,
    /// Entries whose names can't be kept, sorted.
    pub unsupported_names: Vec<UnsupportedName>,
    /// Folders (relative paths, sorted) whose content is not fully known: what was known below them must be kept.
    pub unreadable_folders: Vec<String>,
    /// Ignore files (relative paths) with lines that were not understood and do nothing.
    pub faulty_ignore_files: Vec<String>,
    /// How many files and folders the rules left out.
    pub ignored: u64,
    /// How many symbolic links were passed over. None is ever followed.
    pub links: u64,
    /// How many sockets, pipes and devices were passed over.
    pub special: u64,
}

/// Why nothing is known about a watched folder. None of these means that its documents are gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// It is not there, or was replaced or unmounted while it was read.
    #[error("the watched folder is missing: {0}")]
    Missing(String),
    /// It is there but can't be listed.
    #[error("the watched folder can't be read: {0}")]
    Unreadable(String),
    /// It is a file.
    #[error("the watched path is not a folder")]
    NotAFolder,
}

impl From<Errno> for ScanError {
    fn from(errno: Errno) -> Self {
        let reason = std::io::Error::from(errno).to_string();
        match errno {
            Errno::NOENT | Errno::NOTCONN | Errno::STALE | Errno::NODEV | Errno::NXIO => Self::Missing(reason),
            Errno::NOTDIR => Self::NotAFolder,
            _ => Self::Unreadable(reason),
        }
    }
}

/// Lists the files below `root`, leaving out what `rules` and the tree's own ignore files say.
///
/// Never follows a symbolic link below `root`. Holds one folder open at a time and no recursion, so depth and count are
/// bounded by memory alone. Costs one `fstatat` an entry and three calls a folder.
pub fn scan(root: &Path, rules: &Rules) -> Result<Scan, ScanError> {
    let opened = open_root(root)?;
    let mut walk = Walk { rules, root, now: SystemTime::now(), todo: Vec::new(), out: Scan::default() };
    walk.folder(opened.as_fd(), Folder { path: String::new(), above: None })?;
    while let Some(next) = walk.todo.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match open_beneath(opened.as_fd(), Path::new(&next.path), flags) {
            Ok(folder) => {
                let shown = next.path.clone();
                match walk.folder(folder.as_fd(), next) {
                    // Gone with all that is in it, while it was listed.
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(_) => walk.out.unreadable_folders.push(shown),
                }
            }
            // Removed, or swapped for a link or a file, since its parent was listed.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(_) => walk.out.unreadable_folders.push(next.path),
        }
    }
    if identity(root) != Some(identity_of(&rustix::fs::fstat(&opened)?)) {
        return Err(ScanError::Missing("it was replaced while it was read".to_owned()));
    }
    let mut out = walk.out;
    out.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    out.unsupported_names.sort_unstable_by(|a, b| a.shown.cmp(&b.shown));
    out.unreadable_folders.sort_unstable();
    out.faulty_ignore_files.sort_unstable();
    Ok(out)
}

/// A folder that is still to be listed.
struct Folder {
    path: String,
    above: Option<Arc<Level>>,
}

struct Walk<'a> {
    rules: &'a Rules,
    root: &'a Path,
    now: SystemTime,
    todo: Vec<Folder>,
    out: Scan,
}

impl Walk<'_> {
    /// Lists one folder. An error leaves in place what was found before it.
    fn folder(&mut self, opened: BorrowedFd<'_>, folder: Folder) -> Result<(), Errno> {
        let mut path = folder.path;
        if !path.is_empty() {
            path.push('/');
        }
        let read = Level::read(opened, &path, folder.above)?;
        if read.faulty {
            self.out.faulty_ignore_files.push(format!("{path}{IGNORE_FILE}"));
        }
        let prefix = path.len();
        for entry in Dir::read_from(opened)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || name.to_bytes() == IGNORE_FILE.as_bytes() {
                continue;
            }
            let stat = match rustix::fs::statat(opened, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(errno),
            };
            let kind = FileType::from_raw_mode(stat.st_mode);
            let is_folder = kind == FileType::Directory;
            match kind {
                FileType::Directory | FileType::RegularFile => {}
                FileType::Symlink => {
                    self.out.links += 1;
                    continue;
                }
                _ => {
                    self.out.special += 1;
                    continue;
                }
            }
            path.truncate(prefix);
            let Ok(text) = name.to_str() else {
                let shown = format!("{path}{}", name.to_string_lossy());
                self.unsupported(shown, is_folder, NameProblem::NotUtf8);
                continue;
            };
            path.push_str(text);
            if self.rules.ignore(read.level.as_deref(), &path, is_folder) {
                self.out.ignored += 1;
            } else if self.root.as_os_str().len() + 1 + path.len() > LONGEST_PATH {
                self.unsupported(path.clone(), is_folder, NameProblem::TooLong);
            } else if is_folder {
                self.todo.push(Folder { path: path.clone(), above: read.level.clone() });
            } else {
                self.out.files.push(self.found(&path, &stat));
            }
        }
        Ok(())
    }

    fn unsupported(&mut self, shown: String, is_folder: bool, problem: NameProblem) {
        self.out.unsupported_names.push(UnsupportedName { shown, is_folder, problem });
    }

    #[allow(clippy::unnecessary_cast)] // the fields of `Stat` differ in width and sign between systems
    fn found(&self, path: &str, stat: &Stat) -> Found {
        let modified = time(stat.st_mtime as i64, stat.st_mtime_nsec as u32);
        let changed = time(stat.st_ctime as i64, stat.st_ctime_nsec as u32);
        Found {
            path: path.to_owned(),
            absolute: self.root.join(path),
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            modified,
            inode: stat.st_ino as u64,
            settled: is_settled(self.now, modified, changed, self.rules.settle),
        }
    }
}

/// Whether a file was left alone for `settle` before `now`.
///
/// A content time in the future (a wrong clock, or set by hand) says nothing, so the time of the last change of any kind
/// decides; if that lies in the future too, the clocks disagree and waiting for them would be waiting for ever.
pub(super) fn is_settled(now: SystemTime, modified: SystemTime, changed: SystemTime, settle: Duration) -> bool {
    let old_enough = |time: SystemTime| now.duration_since(time).ok().map(|age| age >= settle);
    old_enough(modified).or_else(|| old_enough(changed)).unwrap_or(true)
}

fn time(seconds: i64, nanos: u32) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    base.and_then(|base| base.checked_add(Duration::from_nanos(u64::from(nanos)))).unwrap_or(UNIX_EPOCH)
}

/// Device and file number of what `path` is now: the same folder as before, or another in its place?
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|now| (now.dev(), now.ino()))
}

#[allow(clippy::unnecessary_cast)] // as above
fn identity_of(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// What lies directly in a folder whose sub-folders are clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootListing {
    /// The sub-folders: own name and full path, sorted by name. Each is a client.
    pub folders: Vec<(String, PathBuf)>,
    /// Files beside them, sorted: they belong to nobody.
    pub stray_files: Vec<String>,
    /// Symbolic links, sorted: they are not followed, so whatever they lead to is no client.
    pub links: Vec<String>,
    /// Entries whose names are not UTF-8.
    pub unsupported_names: Vec<UnsupportedName>,
}

/// Lists the clients of a served folder: its direct sub-folders, without hidden ones and the like.
///
/// The built-in rules hold and so does an ignore file in `root`; the files of clients are not looked at.
pub fn subfolders(root: &Path) -> Result<RootListing, ScanError> {
    let rules = Rules::new(&[]).map_err(|error| ScanError::Unreadable(error.to_string()))?;
    let opened = open_root(root)?;
    let level = Level::read(opened.as_fd(), "", None)?.level;
    let mut out = RootListing::default();
    for entry in Dir::read_from(&opened)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") || name.to_bytes() == IGNORE_FILE.as_bytes() {
            continue;
        }
        let kind = match rustix::fs::statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno.into()),
        };
        let is_folder = kind == FileType::Directory;
        let Ok(text) = name.to_str() else {
            let shown = name.to_string_lossy().into_owned();
            out.unsupported_names.push(UnsupportedName { shown, is_folder, problem: NameProblem::NotUtf8 });
            continue;
        };
        if rules.ignore(level.as_deref(), text, is_folder) {
            continue;
        }
        match kind {
            FileType::Directory => out.folders.push((text.to_owned(), root.join(text))),
            FileType::RegularFile => out.stray_files.push(text.to_owned()),
            FileType::Symlink => out.links.push(text.to_owned()),
            _ => {}
        }
    }
    out.folders.sort_unstable();
    out.stray_files.sort_unstable();
    out.links.sort_unstable();
    out.unsupported_names.sort_unstable_by(|a, b| a.shown.cmp(&b.shown));
    Ok(out)
}
