//! The checks of the machine itself: processor, limits of the system, programs that may help.

use std::path::Path;

use super::{Check, State};
use crate::config::Environment;

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

/// Programs that later readers can make use of.
pub(super) fn optional_programs(environment: &Environment) -> Vec<Check> {
    let programs = [
        ("tesseract", "text from scans", "Debian: apt install tesseract-ocr, macOS: brew install tesseract"),
        ("catdoc", "text from old .doc files", "Debian: apt install catdoc, macOS: brew install catdoc"),
    ];
    let mut checks = Vec::new();
    for (name, gives, remedy) in programs {
        checks.push(match environment.find_program(name) {
            Some(path) => Check::good(name, path.display().to_string()),
            None => {
                let found = format!("not here: would give {gives} (not used by this version yet)");
                Check::not(name, State::Could, found, remedy)
            }
        });
    }
    checks.push(pdfium());
    checks
}

fn pdfium() -> Check {
    let names = ["libpdfium.so", "libpdfium.dylib"];
    let folders =
        ["/usr/lib", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/opt/homebrew/lib"];
    let found = folders
        .iter()
        .flat_map(|folder| names.iter().map(move |name| Path::new(folder).join(name)))
        .find(|path| path.is_file());
    match found {
        Some(path) => Check::good("pdfium", path.display().to_string()),
        None => {
            let found = "not here: would read some damaged PDF files (not used by this version yet)";
            Check::not("pdfium", State::Could, found, "put libpdfium into /usr/local/lib")
        }
    }
}
