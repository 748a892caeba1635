//! Programs of this machine that read what no library here can (pictures, Office 97-2003), each run by a launcher that closes
//! the walls around itself and then becomes the program. Nothing of a document is in their arguments or environment.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{ExtractOptions, Tool, sandbox};

/// Folders that tools are looked for in. Never the environment's: whoever sets that would choose what runs.
const FOLDERS: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/local/bin"];
/// Time that a tool may take over a page or a file.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a tool may write about one page or file.
const MOST_BYTES: u64 = 16 << 20;
/// Address space of a tool.
const MEMORY: u64 = 1 << 30;
/// Where tools keep what they know: languages, character sets.
const DATA: [&str; 5] =
    ["/usr/share/tesseract-ocr", "/usr/share/tessdata", "/usr/share/catdoc", "/etc/catdocrc", "/opt/homebrew/share/tessdata"];
/// Exit status of a launcher that could not close its walls.
const EXIT_UNUSABLE: u8 = 70;

/// The tools that this machine has.
pub(super) fn installed(options: &ExtractOptions) -> Vec<Tool> {
    let all = [Tool::Ocr, Tool::Word97, Tool::PowerPoint97];
    all.into_iter().filter(|tool| !options.tool_arguments.is_empty() && program(*tool).is_some()).collect()
}

/// Where a tool's program is.
pub(super) fn program(tool: Tool) -> Option<PathBuf> {
    let found = FOLDERS.iter().map(|folder| Path::new(folder).join(tool.name())).find(|path| path.is_file())?;
    // The walls are closed around what is really there.
    std::fs::canonicalize(found).ok()
}

/// Runs a tool over bytes: its text, or none if it could not, took too long or said nothing.
pub(super) fn run(options: &ExtractOptions, tool: Tool, bytes: &[u8]) -> Option<String> {
    let text = attempt(options, tool, bytes).ok()??;
    (!text.trim().is_empty()).then_some(text)
}

fn attempt(options: &ExtractOptions, tool: Tool, bytes: &[u8]) -> io::Result<Option<String>> {
    // Some tools go back and forth in what they read, so it is a file, though one without a name.
    let mut input = unnamed()?;
    input.write_all(bytes)?;
    input.rewind()?;
    let mut child = Command::new(&options.program)
        .args(&options.tool_arguments)
        .arg(tool.name())
        .args(match tool {
            Tool::Ocr => options.ocr_languages.as_slice(),
            Tool::Word97 | Tool::PowerPoint97 => &[],
        })
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(input))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = read_within(&mut child, PATIENCE);
    let _ = child.kill();
    let status = child.wait()?;
    let output = output?;
    Ok(status.success().then(|| String::from_utf8_lossy(&output).replace('\0', "\u{fffd}")))
}

/// What the child writes until it closes its output; an error if that takes too long.
fn read_within(child: &mut Child, patience: Duration) -> io::Result<Vec<u8>> {
    let Some(output) = child.stdout.take() else { return Ok(Vec::new()) };
    let (sender, receiver) = crossbeam_channel::bounded(1);
    // The child is killed at the limit; then this thread's reading ends too.
    std::thread::Builder::new().spawn(move || {
        let mut bytes = Vec::new();
        let read = output.take(MOST_BYTES).read_to_end(&mut bytes).map(|_| bytes);
        let _ = sender.send(read);
    })?;
    let began = Instant::now();
    let read = receiver.recv_timeout(patience).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
    // A tool that has closed its output is done, or may be ended.
    while began.elapsed() < patience && child.try_wait()?.is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    read
}

#[cfg(target_os = "linux")]
fn unnamed() -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    // It must not be started as a program. Kernels before 6.3 can't be told so.
    let sealed = memfd_create("input", MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL);
    Ok(File::from(sealed.or_else(|_| memfd_create("input", MemfdFlags::CLOEXEC))?))
}

#[cfg(not(target_os = "linux"))]
fn unnamed() -> io::Result<File> {
    tempfile::tempfile()
}

/// The launcher: limits itself, closes the walls around itself, and becomes the tool that its first argument names. The
/// others are languages. Returns only if that failed.
pub fn tool_main(arguments: &[String]) -> ExitCode {
    let Some((name, languages)) = arguments.split_first() else { return ExitCode::from(EXIT_UNUSABLE) };
    let all = [Tool::Ocr, Tool::Word97, Tool::PowerPoint97];
    let Some(tool) = all.into_iter().find(|tool| tool.name() == name) else { return ExitCode::from(EXIT_UNUSABLE) };
    let Some(program) = program(tool) else { return ExitCode::from(EXIT_UNUSABLE) };
    let data: Vec<&Path> = DATA.iter().map(Path::new).collect();
    if limit_self().is_err() || sandbox::close_around_tool(&program, &data).is_err() {
        return ExitCode::from(EXIT_UNUSABLE);
    }
    let mut command = Command::new(&program);
    match tool {
        Tool::Ocr => {
            let languages = if languages.is_empty() { "eng".to_owned() } else { languages.join("+") };
            // Read a page as it comes, in whatever columns, and write plain text.
            command.args(["stdin", "stdout", "-l", &languages, "--psm", "1", "--dpi", "200"])
        }
        Tool::Word97 => command.args(["-w", "-d", "utf-8"]),
        // This one takes no standard input for itself, but its name.
        Tool::PowerPoint97 => command.args(["-d", "utf-8", "/proc/self/fd/0"]),
    };
    // A page is read by one thread: others are read beside it.
    let failed = command.env_clear().env("OMP_THREAD_LIMIT", "1").env("LC_ALL", "C.UTF-8").exec();
    drop(failed);
    ExitCode::from(EXIT_UNUSABLE)
}

fn limit_self() -> rustix::io::Result<()> {
    let set = |resource, limit| setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) });
    set(Resource::Core, 0)?;
    set(Resource::Fsize, 0)?;
    set(Resource::Nofile, 32)?;
    set(Resource::Cpu, PATIENCE.as_secs())?;
    match set(Resource::As, MEMORY) {
        Err(_) if cfg!(target_os = "macos") => Ok(()),
        other => other,
    }
}

/// Languages of the OCR data on this machine, of those wanted; the usual ones where nothing is said.
pub(super) fn languages(wanted: &[String]) -> Vec<String> {
    let folders: Vec<PathBuf> = DATA
        .iter()
        .flat_map(|folder| {
            let below = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path().join("tessdata"));
            [PathBuf::from(folder)].into_iter().chain(below)
        })
        .collect();
    let here = |language: &String| folders.iter().any(|folder| folder.join(format!("{language}.traineddata")).is_file());
    let usual = ["eng", "deu", "fra", "spa", "ita", "nld", "por"].map(str::to_owned);
    let wanted = if wanted.is_empty() { usual.to_vec() } else { wanted.to_vec() };
    wanted.into_iter().filter(here).collect()
}
