//! Opening what lies below a watched folder without ever leaving it, whatever links say or somebody swaps meanwhile.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Why a file below a watched folder was not opened. No variant holds a path: these texts reach logs.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not there (any more), or the watched folder itself is gone.
    #[error("the file is gone")]
    Missing,
    /// The path is not below the watched folder.
    #[error("the path leads out of the watched folder")]
    Outside,
    /// A part of the path is a symbolic link; none is followed.
    #[error("the path goes through a symbolic link")]
    Link,
    /// A folder, socket, pipe or device.
    #[error("this is not a regular file")]
    NotAFile,
    /// This user may not read it.
    #[error("no permission to read the file")]
    Denied,
    /// Anything else that the system said.
    #[error("the file can't be opened: {0}")]
    Io(#[source] io::Error),
}

impl From<Errno> for ReadError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::STALE => Self::Missing,
            Errno::LOOP => Self::Link,
            Errno::XDEV => Self::Outside,
            Errno::ACCESS | Errno::PERM => Self::Denied,
            other => Self::Io(other.into()),
        }
    }
}

/// Opens the regular file `path` for reading. `path` is relative to the watched folder `root`, or begins with it.
///
/// No symbolic link below `root` is followed, not even one that leads back inside, and a path swapped for a link while
/// it is being opened is caught by the kernel. Pipes and devices are refused without waiting for them.
pub fn read_file(path: &Path, root: &Path) -> Result<File, ReadError> {
    let relative = below(path, root)?;
    let root = open_root(root)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open_beneath(root.as_fd(), &relative, flags)?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ReadError::NotAFile);
    }
    Ok(File::from(file))
}

/// The part of `path` below `root`, refused when it climbs.
fn below(path: &Path, root: &Path) -> Result<PathBuf, ReadError> {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let mut clean = PathBuf::new();
    for part in relative.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(ReadError::Outside);
            }
        }
    }
    if clean.as_os_str().is_empty() { Err(ReadError::NotAFile) } else { Ok(clean) }
}

/// Opens the watched folder itself. Here links are followed: the user named this path.
pub(super) fn open_root(root: &Path) -> Result<OwnedFd, Errno> {
    rustix::io::retry_on_intr(|| rustix::fs::open(root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()))
}

/// Opens `relative` (no `..`, not absolute) below `root`. A link on the way is `Errno::LOOP`.
pub(super) fn open_beneath(root: BorrowedFd<'_>, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    match open_by_kernel(root, relative, flags) {
        // Older kernels lack the call and some container profiles forbid it.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {}
        done => return done,
    }
    open_by_steps(root, relative, flags)
}

/// One system call that refuses links and climbing itself (Linux 5.6 and later).
#[cfg(target_os = "linux")]
pub(super) fn open_by_kernel(root: BorrowedFd<'_>, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(root, relative, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::INTR) => {}
            // Something was renamed during the look-up, and the kernel could not rule out an escape.
            Err(Errno::AGAIN) if tries < 64 => tries += 1,
            done => return done,
        }
    }
}

/// The same by opening one folder after the other, none of them through a link.
pub(super) fn open_by_steps(root: BorrowedFd<'_>, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut parts = relative.components().peekable();
    let mut folder: Option<OwnedFd> = None;
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else {
            return Err(Errno::XDEV);
        };
        let last = parts.peek().is_none();
        let wanted = if last { flags } else { OFlags::RDONLY | OFlags::DIRECTORY };
        let wanted = wanted | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let here = folder.as_ref().map_or(root, |folder| folder.as_fd());
        let opened = rustix::io::retry_on_intr(|| rustix::fs::openat(here, name, wanted, Mode::empty()));
        match opened {
            Ok(next) if last => return Ok(next),
            Ok(next) => folder = Some(next),
            // A link that should have been a folder is NOTDIR on Linux and LOOP elsewhere: say one thing.
            Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) if is_link(here, name) => {
                return Err(Errno::LOOP);
            }
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::INVAL)
}

fn is_link(folder: BorrowedFd<'_>, name: &std::ffi::OsStr) -> bool {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}
