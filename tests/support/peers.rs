//! Other people's clients, run as programs of their own. `.ci/peers` installs them; where they are missing, a test that needs
//! them fails and says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const REMEDY: &str = "run `.ci/peers`, which installs the clients that the tests ask the server with";

/// The folder they are installed in.
fn folder() -> PathBuf {
    match std::env::var_os("STRONGROOM_PEERS") {
        Some(folder) => folder.into(),
        None => Path::new(&std::env::var_os("HOME").expect("HOME is not set")).join(".cache/strongroom-peers"),
    }
}

/// A file of tests/peers.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}

/// Whether what is installed is what the repository's `list` asks for.
#[track_caller]
fn check_installed(list: &str) {
    let wanted = std::fs::read(script(list)).unwrap();
    let done = std::fs::read(folder().join(format!("{list}.done"))).unwrap_or_default();
    assert!(wanted == done, "{} does not hold what tests/peers/{list} asks for: {REMEDY}", folder().display());
}

/// A program of the installed Python packages, such as `python`.
#[track_caller]
pub fn python(program: &str) -> Command {
    check_installed("requirements.txt");
    Command::new(folder().join("python/bin").join(program))
}

/// The model that reads.
#[track_caller]
pub fn reader() -> PathBuf {
    let (wanted, done) = (std::fs::read(script("reader.txt")).unwrap(), std::fs::read(folder().join("reader.txt.done")));
    assert!(done.is_ok_and(|done| done == wanted), "the model that reads is not here: run `.ci/peers reader`");
    folder().join("reader.gguf")
}

/// Runs a Python script of tests/peers, which writes one JSON value.
#[track_caller]
pub fn run_python(name: &str, arguments: &[&str]) -> Value {
    run(python("python").arg("-W").arg("ignore").arg(script(name)).args(arguments))
}

/// Runs a Node script of tests/peers, which writes one JSON value.
#[track_caller]
pub fn run_node(name: &str, arguments: &[&str]) -> Value {
    check_installed("package-lock.json");
    run(Command::new("node").arg(script(name)).arg(folder().join("node")).args(arguments))
}

#[track_caller]
fn run(command: &mut Command) -> Value {
    let output: Output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{errors}", output.status);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}\n{out}\n{errors}"))
}
