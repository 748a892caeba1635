//! The parent's side of extraction: streams a file into a worker, reads its answer, and turns any end into a reason.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use sha2::{Digest, Sha256 as Hasher};

use super::process::{End, Timed, Worker};
use super::tree::Tree;
use super::wire::{self, Answer, Message, Request};
use super::{EXTRACTOR_VERSION, ExtractError, ExtractOptions, Extracted, Hearing, Member, Source, Tool, Unreadable, tools};
use crate::model::{Reason, Sha256};

const BUFFER_BYTES: usize = 64 * 1024;
/// Text more than this many times as long as its file, and too long, is a bomb; otherwise it is just too long.
const BOMB_RATIO: u64 = 50;
/// A file takes about this many times its size in a worker's memory; out of memory over a smaller one is a bomb.
const MEMORY_RATIO: u64 = 8;
/// A member longer than this is not taken from a worker; nor is a picture for a tool.
pub(super) const MEMBER_BYTES: u64 = 128_000_000;

/// Reads files, each in a worker process of its own. Share one by `Arc`; every call works on its own worker.
pub struct Extractor {
    options: ExtractOptions,
    tools: Vec<Tool>,
    spares: Mutex<Vec<Worker>>,
    /// A handle on the socket of every worker that reads now, so that the reading can be broken off.
    running: Mutex<Vec<Arc<UnixStream>>>,
}

/// How the conversation with a worker went.
enum Talk {
    Answered(Box<Answer>),
    /// The worker closed the connection without an answer.
    Silent,
    TimedOut,
    /// Its answer was longer than allowed, or made no sense.
    Invalid,
}

impl Extractor {
    /// An extractor with no worker yet; the first call starts them.
    pub fn new(mut options: ExtractOptions) -> Self {
        let tools = tools::installed(&options);
        options.ocr_languages = tools::languages(&options.ocr_languages);
        Self { options, tools, spares: Mutex::default(), running: Mutex::default() }
    }

    /// Names the engines, rules and tools that read here. It changes when a document may give another text.
    pub fn engines(&self) -> String {
        let tools: Vec<&str> = self.tools.iter().map(|tool| tool.name()).collect();
        if tools.is_empty() { EXTRACTOR_VERSION.to_owned() } else { format!("{EXTRACTOR_VERSION}+{}", tools.join("+")) }
    }

    /// Breaks off whatever is read now and ends all workers. What those calls return then says nothing of their files.
    pub fn stop(&self) {
        for socket in self.running.lock().drain(..) {
            // It may have ended by itself.
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.spares.lock().clear();
    }

    /// Reads one file and what is inside it. Holds a small buffer of the bytes, one member's bytes, and the texts; nothing else
    /// of the document.
    ///
    /// # Errors
    ///
    /// Only where we are to blame: no worker could be started, or the source could not be read.
    pub fn extract(&self, source: Source<'_>) -> Result<Extracted, ExtractError> {
        let mut input = Input { source: source.bytes, hasher: Hasher::new(), bytes: 0 };
        let mut tree = Tree::new(&self.options);
        let limit = self.options.max_file_bytes;
        if source.len > limit {
            return Ok(input.into_extracted(Err(too_large_file(limit)), tree));
        }
        let Source { name, media_type, passwords, hearing, .. } = source;
        let hints = Hints { name, media_type, passwords, hearing };
        let outcome = self.read(&mut input, &hints, source.len, &mut tree)?;
        if let (Err(Unreadable { recording: Some(recording), .. }), Some(hearing)) = (&outcome, hearing) {
            let (outcome, sha256) = hearing.file(recording, input.bytes, tree.output_bytes)?;
            return Ok(Extracted { sha256, ..input.into_extracted(outcome, tree) });
        }
        Ok(input.into_extracted(outcome, tree))
    }

    /// Has a worker read what `input` gives.
    fn read(&self, input: &mut Input<'_>, hints: &Hints<'_>, bytes: u64, tree: &mut Tree) -> Result<Answer, ExtractError> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let filled = input.read(&mut buffer)?;
        if filled == 0 {
            return Ok(Err(Unreadable::new(Reason::Empty, "the file is empty")));
        }
        let worker = self.take_worker()?;
        let handle = Arc::new(worker.socket.try_clone().map_err(ExtractError::Spawn)?);
        self.running.lock().push(Arc::clone(&handle));
        let outcome = self.talk(worker, input, hints, bytes, &mut buffer[..], filled, tree);
        self.running.lock().retain(|socket| !Arc::ptr_eq(socket, &handle));
        outcome
    }

    /// The conversation with one worker about one file, of which the first bytes are read.
    #[expect(clippy::too_many_arguments, reason = "one call, and each is a different thing")]
    fn talk(
        &self,
        worker: Worker,
        input: &mut Input<'_>,
        hints: &Hints<'_>,
        bytes: u64,
        buffer: &mut [u8],
        mut filled: usize,
        tree: &mut Tree,
    ) -> Result<Answer, ExtractError> {
        let limit = self.options.max_file_bytes;
        let request = self.request(hints, bytes, tree);
        let mut timed = Timed::new(&worker.socket, tree.wall);
        let mut sent = wire::write_request(&mut timed, &request);
        while filled > 0 {
            if input.bytes > limit {
                return Ok(Err(too_large_file(limit)));
            }
            if sent.is_ok() {
                sent = wire::write_piece(&mut timed, &buffer[..filled]);
            }
            // Whatever became of the worker, the hash is that of the whole file.
            filled = input.read(buffer)?;
        }
        if sent.is_ok() {
            sent = wire::write_piece(&mut timed, &[]);
        }
        let talk = match sent {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Talk::TimedOut,
            // A worker may answer, or die, before it has all the bytes.
            _ => self.listen(&mut timed, hints, &request, tree)?,
        };
        tree.wall = timed.left();
        self.judge(talk, worker, input.bytes, &request)
    }

    fn request(&self, hints: &Hints<'_>, file_bytes: u64, tree: &Tree) -> Request {
        let extension = Path::new(hints.name).extension().and_then(|extension| extension.to_str()).unwrap_or("");
        let declared = hints.media_type.unwrap_or_default().to_ascii_lowercase();
        let mut parts = declared.split(';').map(str::trim);
        let media_type = parts.next().filter(|kind| !kind.is_empty()).map(str::to_owned);
        let charset = parts.find_map(|part| part.strip_prefix("charset=")).map(|label| label.trim_matches('"').to_owned());
        Request {
            memory_bytes: self.options.memory_bytes,
            cpu_seconds: tree.cpu_ms.div_ceil(1000).max(1),
            output_bytes: tree.output_bytes,
            file_bytes,
            extension: extension.to_ascii_lowercase(),
            media_type,
            charset,
            passwords: hints.passwords.to_vec(),
            tools: self.tools.clone(),
            members: tree.depth < self.options.most_depth,
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

    /// Reads what a worker says to the end of the stream; the last complete answer counts.
    fn listen(
        &self,
        timed: &mut Timed<'_>,
        hints: &Hints<'_>,
        request: &Request,
        tree: &mut Tree,
    ) -> Result<Talk, ExtractError> {
        let most_bytes = request.output_bytes.max(MEMBER_BYTES);
        let began = Instant::now();
        let (mut last, mut spent_ms) = (None, None);
        let failure = loop {
            // Making sense of what comes counts like waiting for it: a worker that never stops talking is stopped too.
            let (turn, left) = (Instant::now(), timed.left());
            let message = wire::read_message(timed, most_bytes);
            timed.set_left(left.saturating_sub(turn.elapsed()));
            match message {
                Ok(Some(Message::Answer(answer, cpu_ms))) => (last, spent_ms) = (Some(answer), Some(cpu_ms)),
                Ok(Some(Message::Member { name, media_type, bytes })) => {
                    tree.wall = timed.left();
                    self.member(&name, media_type.as_deref(), &bytes, hints, tree)?;
                    timed.set_left(tree.wall);
                }
                Ok(Some(Message::LostMember { name, why })) => tree.lose(&name, why),
                Ok(Some(Message::Ask { tool, bytes })) => {
                    let reply = self.ask(tool, &bytes, tree);
                    if wire::write_reply(timed, &reply).is_err() {
                        break Talk::Silent;
                    }
                }
                Ok(None) => break Talk::Silent,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => break Talk::TimedOut,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break Talk::Silent,
                Err(_) => break Talk::Invalid,
            }
        };
        // A worker that died used what it could.
        let most_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tree.cpu_ms = tree.cpu_ms.saturating_sub(spent_ms.unwrap_or(most_ms));
        if let Some(Ok(extraction)) = &last {
            tree.output_bytes = tree.output_bytes.saturating_sub(extraction.text.len() as u64);
        }
        Ok(last.map_or(failure, |answer| Talk::Answered(Box::new(answer))))
    }

    /// Has a tool read bytes, within what is left of the document's time for that.
    fn ask(&self, tool: Tool, bytes: &[u8], tree: &mut Tree) -> Option<String> {
        if !self.tools.contains(&tool) || tree.tools.is_zero() {
            return None;
        }
        let began = Instant::now();
        let text = tools::run(&self.options, tool, bytes);
        tree.tools = tree.tools.saturating_sub(began.elapsed());
        text
    }

    /// Has another worker read something found inside a file; once more if that one dies.
    fn member(
        &self,
        name: &str,
        media_type: Option<&str>,
        bytes: &[u8],
        file: &Hints<'_>,
        tree: &mut Tree,
    ) -> Result<(), ExtractError> {
        if let Some(why) = tree.refusal(&self.options, bytes.len() as u64) {
            tree.lose(name, why);
            return Ok(());
        }
        let name = tree.take_name(name);
        let mut tries = 0;
        let found_before = tree.members.len();
        let extracted = loop {
            let above = tree.enter(&name);
            let mut source = bytes;
            let mut input = Input { source: &mut source, hasher: Hasher::new(), bytes: 0 };
            let hints = Hints { name: &name, media_type, ..*file };
            let outcome = self.read(&mut input, &hints, bytes.len() as u64, tree);
            tree.leave(above);
            let mut outcome = outcome?;
            if let (Err(Unreadable { recording: Some(recording), .. }), Some(hearing)) = (&outcome, file.hearing) {
                outcome = hearing.member(recording, bytes, tree.output_bytes);
                let written = outcome.as_ref().map_or(0, |extraction| extraction.text.len() as u64);
                tree.output_bytes = tree.output_bytes.saturating_sub(written);
            }
            tries += 1;
            if tries == 1 && matches!(&outcome, Err(why) if why.reason == Reason::Crashed) {
                tree.forget_since(found_before);
                continue;
            }
            break Member { name, outcome, sha256: input.sha256(), bytes: bytes.len() as u64 };
        };
        tree.members.push(extracted);
        Ok(())
    }

    fn judge(&self, talk: Talk, worker: Worker, file_bytes: u64, request: &Request) -> Result<Answer, ExtractError> {
        let limits = &self.options;
        Ok(match talk {
            Talk::Answered(answer) if is_longer(&answer, request.output_bytes) => {
                Err(too_long_text(file_bytes, request.output_bytes))
            }
            Talk::Answered(answer) => *answer,
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

fn is_longer(answer: &Answer, limit: u64) -> bool {
    answer.as_ref().is_ok_and(|extraction| extraction.text.len() as u64 > limit)
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

/// What is known of a file beside its bytes.
struct Hints<'a> {
    name: &'a str,
    media_type: Option<&'a str>,
    passwords: &'a [String],
    hearing: Option<Hearing<'a>>,
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

    fn sha256(self) -> Sha256 {
        Sha256(self.hasher.finalize().into())
    }

    fn into_extracted(self, outcome: Answer, tree: Tree) -> Extracted {
        Extracted { outcome, members: tree.members, bytes: self.bytes, sha256: self.sha256() }
    }
}
