//! What the process does before anything else, so that nothing of a document gets out by way of the operating system.

use std::io::Write as _;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

/// Sets the process up. The first thing in `main`, while there is one thread.
///
/// No telemetry of ONNX Runtime, no core dumps, files for this user only, as many open files as the system lets us have, and
/// panics that tell where but never what.
pub fn set_up_process() {
    strongroom_ingest::embed::disable_telemetry();
    // Each of these may be forbidden; the process is then as its surroundings want it, and `doctor` tells.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    umask(Mode::RWXG | Mode::RWXO);
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum });
    std::panic::set_hook(Box::new(tell_panic));
}

/// The payload of a panic may hold text of a document, a query or a name, so only the place is told.
fn tell_panic(info: &std::panic::PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    if tracing::dispatcher::has_been_set() {
        tracing::error!(place, thread, "a thread panicked");
    } else {
        // Nothing can be done where stderr is closed.
        let _ = writeln!(std::io::stderr(), "strongroom: a thread panicked at {place} ({thread})");
    }
}
