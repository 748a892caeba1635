//! The checks of the machine itself: processor, limits of the system, programs that may help.

use strongroom_ingest::extract::sandbox::{self, Layers};
use strongroom_ingest::extract::{Tool, find_tool};

use super::{Check, State};

/// Watches that a large folder may need; each costs the system about 1 kB when used.
const ENOUGH_WATCHES: u64 = 65_536;
/// Open files that some dozens of collections need.
const ENOUGH_FILES: u64 = 4_096;

pub(super) fn processor() -> Check {
    let what = "processor";
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    #[cfg(target_arch = "x86_64")]
    {
        let vnni = std::arch::is_x86_feature_detected!("avx512vnni") || std::arch::is_x86_feature_detected!("avxvnni");
        if vnni {
            return Check::good(what, format!("{count} cores with VNNI: int8 embedding is at its best"));
        }
        let avx2 = std::arch::is_x86_feature_detected!("avx2");
        let found = if avx2 { "AVX2 but no VNNI" } else { "neither AVX2 nor VNNI" };
        Check::not(
            what,
            State::Could,
            format!("{count} cores with {found}: embedding is slower"),
            "nothing to do; `embedding.device` can use a card",
        )
    }
    #[cfg(not(target_arch = "x86_64"))]
    Check::good(what, format!("{count} cores"))
}

/// Linux only: elsewhere there is no such limit.
pub(super) fn watches() -> Option<Check> {
    let what = "file watches";
    let limit: u64 = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").ok()?.trim().parse().ok()?;
    Some(if limit >= ENOUGH_WATCHES {
        Check::good(what, format!("up to {limit} folders"))
    } else {
        let remedy = format!("for large folders: sudo sysctl fs.inotify.max_user_watches={}", 8 * ENOUGH_WATCHES);
        Check::not(what, State::Could, format!("only {limit} folders; the rest is found by sweeps alone"), remedy)
    })
}

pub(super) fn open_files() -> Check {
    let what = "open files";
    match rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        Some(limit) if limit < ENOUGH_FILES => {
            Check::not(what, State::Could, format!("at most {limit}"), format!("before the start: ulimit -n {ENOUGH_FILES}"))
        }
        Some(limit) => Check::good(what, format!("at most {limit}")),
        None => Check::good(what, "as many as wanted"),
    }
}

pub(super) fn core_dumps() -> Check {
    let what = "core dumps";
    match rustix::process::getrlimit(rustix::process::Resource::Core).current {
        Some(0) => Check::good(what, "off in this program: no document ends up in one"),
        _ => Check::not(what, State::Could, "on: a crash could write documents to disk", "before the start: ulimit -c 0"),
    }
}

/// The walls around the process that reads a document.
pub(super) fn sandbox() -> Check {
    let what = "sandbox";
    let Layers { landlock, seccomp } = sandbox::layers();
    let found = match (landlock, seccomp) {
        (0, false) => "limits on memory and time alone".to_owned(),
        (0, true) => "limits and filtered system calls (seccomp); no landlock".to_owned(),
        (version, false) => format!("limits and landlock {version}; no seccomp"),
        (version, true) => format!("limits, landlock {version}: no files, no network, and filtered system calls (seccomp)"),
    };
    if landlock > 0 && seccomp {
        return Check::good(what, found);
    }
    Check::not(what, State::Could, found, "a Linux kernel of 5.13 or later with landlock gives all of it")
}

/// Programs that read what no library here can.
pub(super) fn optional_programs() -> Vec<Check> {
    let programs = [
        (Tool::Ocr, "text from scans and pictures", "Debian: apt install tesseract-ocr, macOS: brew install tesseract"),
        (Tool::Word97, "text from old .doc files", "Debian: apt install catdoc, macOS: brew install catdoc"),
        (Tool::PowerPoint97, "text from old .ppt files", "Debian: apt install catdoc, macOS: brew install catdoc"),
    ];
    let check = |(tool, gives, remedy): (Tool, &str, &str)| match find_tool(tool) {
        Some(path) => Check::good(tool.name(), path.display().to_string()),
        None => {
            let remedy = format!("{remedy}; then `strongroom retry`");
            Check::not(tool.name(), State::Could, format!("not here: would give {gives}"), remedy)
        }
    };
    programs.into_iter().map(check).collect()
}
