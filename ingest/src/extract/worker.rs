//! The worker's side of extraction: limits itself, reads one file from its socket, answers, ends.
//!
//! It is single-purpose and takes nothing from its environment, so that the sandbox is closed around all of it before anything
//! else happens.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::archive::{self, epub};
use super::desk::Desk;
use super::detect::{Format, detect, disagreement};
use super::mail::{self, mbox, mhtml, msg};
use super::office::{docx, encrypted, legacy, odf, pptx, rtf, sheet};
use super::parent::too_much_memory;
use super::wire::{self, Answer, EXIT_UNUSABLE, Request};
use super::{Unreadable, csv, html, image, markdown, pdf, recording, sandbox, text};
use crate::model::{Extraction, Reason};

/// Engines recurse over what they read; the stack is part of the memory limit, and only touched pages count as used.
const STACK_BYTES: usize = 128 << 20;

/// Reads the file that comes over standard input and answers on it; the whole of the worker process.
pub fn worker_main() -> ExitCode {
    // A panic's message can hold document text, and nobody may see it.
    panic::set_hook(Box::new(|_| {}));
    if sandbox::close_around_worker().is_err() {
        return ExitCode::from(EXIT_UNUSABLE);
    }
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
    let reader = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || serve(socket, request));
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

fn serve(socket: UnixStream, request: Request) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut desk = Desk::new(socket, request);
    match desk.receive(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
            desk.answer(Err(too_much_memory()));
            return Ok(());
        }
        other => other?,
    };
    let answer = panic::catch_unwind(AssertUnwindSafe(|| read(bytes, &mut desk)));
    desk.answer(answer.unwrap_or_else(|_| Err(Unreadable::new(Reason::Damaged, "the reader gave up on its contents"))));
    Ok(())
}

/// Reads `bytes` by what they are.
pub(super) fn read(mut bytes: Vec<u8>, desk: &mut Desk) -> Answer {
    let request = desk.request();
    let hints = request.hints();
    let mut format = detect(&bytes, hints);
    let note = disagreement(&format, hints);
    if encrypted::is_closed(&bytes) {
        bytes = encrypted::open(&bytes, &format, &request.passwords)?;
        format = detect(&bytes, hints);
    }
    let told = desk.told();
    let answer = match format {
        Format::Pdf => pdf::read(bytes, desk),
        Format::Html => html::read(&bytes, told),
        Format::Markdown => markdown::read(&bytes, told),
        Format::Text => text::read(&bytes, told),
        Format::Csv => csv::read(&bytes, desk),
        Format::Docx => docx::read(&bytes, desk),
        Format::Pptx => pptx::read(&bytes, desk),
        Format::OpenDocument => odf::read(&bytes, desk),
        Format::Sheet => sheet::read(bytes, desk),
        Format::Rtf => rtf::read(&bytes, desk),
        Format::Mail => mail::read(&bytes, desk),
        Format::Mailbox => mbox::read(&bytes, desk),
        Format::OutlookMessage => msg::read(&bytes, desk),
        Format::Mhtml => mhtml::read(&bytes, desk),
        Format::Epub => epub::read(&bytes, desk),
        Format::Zip => archive::read(&bytes, desk),
        Format::Word97 | Format::PowerPoint97 => legacy::read(&bytes, format, desk),
        Format::Image => image::read(&bytes, desk),
        Format::Recording(sound) => recording::read(&bytes, desk.gap(), sound),
        Format::EncryptedOffice => Err(Unreadable::new(Reason::Password, "it needs a password")),
        Format::Other(name) => Err(Unreadable::new(Reason::Unsupported, format!("it is {name}, which is not read"))),
    };
    answer.map(|extraction| Extraction { note: extraction.note.or_else(|| desk.note()).or(note), ..extraction })
}
