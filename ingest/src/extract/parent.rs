//! The parent's side of extraction: streams a file into a worker, reads its answer, and turns any end into a reason.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256 as Hasher};

use super::process::{End, Timed, Worker};
use super::wire::{self, Answer, Request};
use super::{ExtractError, ExtractOptions, Extracted, Source, Unreadable};
use crate::model::{Reason, Sha256};

const BUFFER_BYTES: usize = 64 * 1024;
/// Text more than this many times as long as its file, and too long, is a bomb; otherwise it is just too long.
const BOMB_RATIO: u64 = 50;
/// A file takes about this many times its size in a worker's memory; out of memory over a smaller one is a bomb.
const MEMORY_RATIO: u64 = 8;

/// Reads files, each in a worker process of its own. Share one by `Arc`; every call works on its own worker.
pub struct Extractor {
    options: ExtractOptions,
    spares: Mutex<Vec<Worker>>,
    /// A handle on the socket of every worker that reads now, so that the reading can be broken off.
    running: Mutex<Vec<Arc<UnixStream>>>,
}

/// How the conversation with a worker went.
enum Talk {
    Answered(Answer),
    /// The worker closed the connection without an answer.
    Silent,
    TimedOut,
    /// Its answer was longer than allowed, or made no sense.
    Invalid,
}

impl Extractor {
    /// An extractor with no worker yet; the first call starts them.
    pub fn new(options: ExtractOptions) -> Self {
        Self { options, spares: Mutex::default(), running: Mutex::default() }
    }

    /// Breaks off whatever is read now and ends all workers. What those calls return then says nothing of their files.
    pub fn stop(&self) {
        for socket in self.running.lock().drain(..) {
            // It may have ended by itself.
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.spares.lock().clear();
    }

    /// Reads one file. Holds a small buffer of the bytes and the text, nothing else of the document.
    ///
    /// # Errors
    ///
    /// Only where we are to blame: no worker could be started, or the source could not be read.
    pub fn extract(&self, source: Source<'_>) -> Result<Extracted, ExtractError> {
        let request = self.request(source.name, source.media_type, source.len);
        let mut input = Input { source: source.bytes, hasher: Hasher::new(), bytes: 0 };
        let limit = self.options.max_file_bytes;
        if source.len > limit {
            return Ok(input.into_extracted(Err(too_large_file(limit))));
        }
        let mut buffer = vec![0; BUFFER_BYTES];
        let filled = input.read(&mut buffer)?;
        if filled == 0 {
            return Ok(input.into_extracted(Err(Unreadable::new(Reason::Empty, "the file is empty"))));
        }
        let worker = self.take_worker()?;
        let handle = Arc::new(worker.socket.try_clone().map_err(ExtractError::Spawn)?);
        self.running.lock().push(Arc::clone(&handle));
        let outcome = self.talk(worker, &mut input, &request, &mut buffer, filled);
        self.running.lock().retain(|socket| !Arc::ptr_eq(socket, &handle));
        Ok(input.into_extracted(outcome?))
    }

    /// The conversation with one worker about one file, of which the first bytes are read.
    fn talk(
        &self,
        worker: Worker,
        input: &mut Input<'_>,
        request: &Request,
        buffer: &mut [u8],
        mut filled: usize,
    ) -> Result<Answer, ExtractError> {
        let limit = self.options.max_file_bytes;
        let mut timed = Timed::new(&worker.socket, Duration::from_secs(self.options.wall_seconds));
        let mut sent = wire::write_request(&mut timed, request);
        while filled > 0 {
            if input.bytes > limit {
                return Ok(Err(too_large_file(limit)));
            }
            if sent.is_ok() {
                sent = timed.write_all(&buffer[..filled]);
            }
            // Whatever became of the worker, the hash is that of the whole file.
            filled = input.read(buffer)?;
        }
        let _ = worker.socket.shutdown(Shutdown::Write);
        let talk = match sent {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Talk::TimedOut,
            // A worker may answer, or die, before it has all the bytes.
            _ => self.listen(&mut timed),
        };
        self.judge(talk, worker, input.bytes)
    }

    fn request(&self, name: &str, media_type: Option<&str>, file_bytes: u64) -> Request {
        let extension = Path::new(name).extension().and_then(|extension| extension.to_str()).unwrap_or("");
        let declared = media_type.unwrap_or_default().to_ascii_lowercase();
        let mut parts = declared.split(';').map(str::trim);
        let media_type = parts.next().filter(|kind| !kind.is_empty()).map(str::to_owned);
        let charset = parts.find_map(|part| part.strip_prefix("charset=")).map(|label| label.trim_matches('"').to_owned());
        Request {
            memory_bytes: self.options.memory_bytes,
            cpu_seconds: self.options.cpu_seconds,
            output_bytes: self.options.output_bytes,
            file_bytes,
            extension: extension.to_ascii_lowercase(),
            media_type,
            charset,
        }
    }

    /// Takes a spare worker, or starts one, and starts another for the next call.
    fn take_worker(&self) -> Result<Worker, ExtractError> {
        let mut spares = self.spares.lock();
        spares.retain_mut(Worker::is_alive);
        while spares.len() < self.options.spare_workers {
            match Worker::start(&self.options) {
                Ok(worker) => spares.push(worker),
                Err(error) if spares.is_empty() => return Err(ExtractError::Spawn(error)),
                Err(_) => break,
            }
        }
        if spares.is_empty() {
            return Worker::start(&self.options).map_err(ExtractError::Spawn);
        }
        // The oldest has had the most time to get ready. Its place is filled now, not by the next caller.
        let worker = spares.remove(0);
        if let Ok(next) = Worker::start(&self.options) {
            spares.push(next);
        }
        Ok(worker)
    }

    /// Reads answers to the end of the stream; the last complete one counts.
    fn listen(&self, timed: &mut Timed<'_>) -> Talk {
        let mut last = None;
        let failure = loop {
            match wire::read_answer(timed, self.options.output_bytes) {
                Ok(Some(answer)) => last = Some(answer),
                Ok(None) => break Talk::Silent,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => break Talk::TimedOut,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break Talk::Silent,
                Err(_) => break Talk::Invalid,
            }
        };
        last.map_or(failure, Talk::Answered)
    }

    fn judge(&self, talk: Talk, worker: Worker, file_bytes: u64) -> Result<Answer, ExtractError> {
        let limits = &self.options;
        Ok(match talk {
            Talk::Answered(Ok(extraction)) if extraction.text.len() as u64 > limits.output_bytes => {
                Err(too_long_text(file_bytes, limits.output_bytes))
            }
            Talk::Answered(answer) => answer,
            Talk::TimedOut => Err(out_of_time()),
            Talk::Invalid => Err(Unreadable::new(Reason::Crashed, "the reader's answer made no sense")),
            Talk::Silent => match worker.end() {
                End::Unusable => {
                    return Err(ExtractError::Worker(io::Error::other("it could not limit itself or read its request")));
                }
                End::OutOfTime => Err(out_of_time()),
                End::OutOfMemory if file_bytes.saturating_mul(MEMORY_RATIO) > limits.memory_bytes => Err(too_much_memory()),
                End::OutOfMemory => Err(Unreadable::new(Reason::Bomb, "it unfolds to more than the memory a reader may use")),
                End::Crash(detail) => Err(Unreadable::new(Reason::Crashed, detail)),
            },
        })
    }
}

/// Why a text over the limit is refused.
pub(super) fn too_long_text(file_bytes: u64, limit: u64) -> Unreadable {
    if limit / BOMB_RATIO > file_bytes {
        Unreadable::new(Reason::Bomb, "its text is many times longer than the file")
    } else {
        Unreadable::new(Reason::TooLarge, format!("its text is longer than {limit} bytes"))
    }
}

/// Why a file is refused that is itself large for a worker's memory.
pub(super) fn too_much_memory() -> Unreadable {
    Unreadable::new(Reason::TooLarge, "reading it takes more memory than allowed")
}

fn too_large_file(limit: u64) -> Unreadable {
    Unreadable::new(Reason::TooLarge, format!("the file is larger than {limit} bytes"))
}

fn out_of_time() -> Unreadable {
    Unreadable::new(Reason::Timeout, "reading it took longer than allowed")
}

/// The source, hashed and counted as it is read.
struct Input<'a> {
    source: &'a mut dyn Read,
    hasher: Hasher,
    bytes: u64,
}

impl Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ExtractError> {
        loop {
            match self.source.read(buffer) {
                Ok(filled) => {
                    self.hasher.update(&buffer[..filled]);
                    self.bytes += filled as u64;
                    return Ok(filled);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ExtractError::Source(error)),
            }
        }
    }

    fn into_extracted(self, outcome: Answer) -> Extracted {
        Extracted { outcome, sha256: Sha256(self.hasher.finalize().into()), bytes: self.bytes }
    }
}
