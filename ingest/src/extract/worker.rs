//! The worker's side of extraction: limits itself, reads one file from its socket, answers, ends.
//!
//! It is single-purpose and takes nothing from its environment, so that a sandbox can be closed around all of it.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use encoding_rs::Encoding;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::detect::{Format, Hints, detect};
use super::parent::{too_long_text, too_much_memory};
use super::wire::{self, Answer, EXIT_UNUSABLE, Request};
use super::{Unreadable, html, markdown, pdf, text};
use crate::model::Reason;

/// Engines recurse over what they read; the stack is part of the memory limit, and only touched pages count as used.
const STACK_BYTES: usize = 128 << 20;

/// Reads the file that comes over standard input and answers on it; the whole of the worker process.
pub fn worker_main() -> ExitCode {
    // A panic's message can hold document text, and nobody may see it.
    panic::set_hook(Box::new(|_| {}));
    let Ok(descriptor) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::from(EXIT_UNUSABLE);
    };
    let mut socket = UnixStream::from(descriptor);
    let request = match wire::read_request(&mut socket) {
        Ok(request) => request,
        // The parent has ended, or has no use for this spare any more.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return ExitCode::SUCCESS,
        Err(_) => return ExitCode::from(EXIT_UNUSABLE),
    };
    if limit_self(&request).is_err() {
        return ExitCode::from(EXIT_UNUSABLE);
    }
    // The main thread's stack can't be sized from inside. If the parent hangs up there is nobody left to tell.
    let reader = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || serve(socket, &request));
    match reader.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(_) => ExitCode::from(EXIT_UNUSABLE),
    }
}

fn limit_self(request: &Request) -> rustix::io::Result<()> {
    let set = |resource, soft, hard| setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) });
    set(Resource::Core, 0, 0)?;
    set(Resource::Fsize, 0, 0)?;
    set(Resource::Nofile, 16, 16)?;
    // At the soft limit comes a signal that says why, at the hard one a plain kill.
    set(Resource::Cpu, request.cpu_seconds, request.cpu_seconds + 1)?;
    match set(Resource::As, request.memory_bytes, request.memory_bytes) {
        // macOS refuses limits below what the process has mapped already, its shared libraries' region included.
        Err(_) if cfg!(target_os = "macos") => Ok(()),
        other => other,
    }
}

fn serve(mut socket: UnixStream, request: &Request) -> io::Result<()> {
    let mut bytes = Vec::new();
    // Growing step by step would take twice the room in the end.
    let expected = usize::try_from(request.file_bytes).unwrap_or(usize::MAX).saturating_add(1);
    let room = bytes.try_reserve_exact(expected).map_err(|_| io::ErrorKind::OutOfMemory.into());
    match room.and_then(|()| socket.read_to_end(&mut bytes)) {
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
            return wire::write_answer(&mut socket, &Err(too_much_memory()));
        }
        other => other?,
    };
    let file_bytes = bytes.len() as u64;
    let mut send = |answer: Answer| {
        let answer = match answer {
            Ok(extraction) if extraction.text.len() as u64 > request.output_bytes => {
                Err(too_long_text(file_bytes, request.output_bytes))
            }
            other => other,
        };
        wire::write_answer(&mut socket, &answer).and_then(|()| socket.flush())
    };
    let hints = Hints { extension: &request.extension, media_type: request.media_type.as_deref() };
    let told = request.charset.as_deref().and_then(|label| Encoding::for_label(label.as_bytes()));
    let answer = panic::catch_unwind(AssertUnwindSafe(|| read(bytes, hints, told, &mut |early| send(early).is_ok())));
    let answer = answer.unwrap_or_else(|_| Err(Unreadable::new(Reason::Damaged, "the reader gave up on its contents")));
    send(answer)
}

/// Reads `bytes` by what they are; a text in the encoding that its sender told of. `early` takes an answer that counts if reading on ends this process; it says whether
/// anybody listens.
fn read(bytes: Vec<u8>, hints: Hints<'_>, told: Option<&'static Encoding>, early: &mut dyn FnMut(Answer) -> bool) -> Answer {
    match detect(&bytes, hints) {
        Format::Pdf => pdf::read(bytes, early),
        Format::Html => html::read(&bytes, told),
        Format::Markdown => markdown::read(&bytes, told),
        Format::Text => text::read(&bytes, told),
        Format::Other(name) => Err(Unreadable::new(Reason::Unsupported, format!("it is {name}, which is not read yet"))),
    }
}
