//! A worker process as its parent holds it: started, spoken to under a deadline, and always ended.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::ExtractOptions;
use super::wire::EXIT_UNUSABLE;

/// A child that has closed its socket is gone in milliseconds; if it is not, it is killed after this time.
const EXIT_GRACE: Duration = Duration::from_secs(1);

/// One running worker; dropping it ends it.
pub(super) struct Worker {
    child: Child,
    pub socket: UnixStream,
}

/// How a worker that gave no answer ended.
pub(super) enum End {
    /// It could not be used at all; our fault.
    Unusable,
    /// It used all the processor time it may.
    OutOfTime,
    /// It used all the memory it may.
    OutOfMemory,
    /// Anything else, in words.
    Crash(String),
}

impl Worker {
    pub(super) fn start(options: &ExtractOptions) -> io::Result<Self> {
        // One socket both ways, as the child's standard input: whatever a library prints can't reach the answer.
        let (socket, theirs) = UnixStream::pair()?;
        let child = Command::new(&options.program)
            .args(&options.arguments)
            .env_clear()
            // Each thread's own heap and stack would count against the limit of address space.
            .envs([("RAYON_NUM_THREADS", "1"), ("MALLOC_ARENA_MAX", "1")])
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self { child, socket })
    }

    /// Whether the process is still there; a spare may have been killed while it waited.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How the worker ended; it has closed its socket.
    pub(super) fn end(mut self) -> End {
        let deadline = Instant::now() + EXIT_GRACE;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
                _ => {
                    return End::Crash("the reader closed its connection and did not end".to_owned());
                }
            }
        };
        if status.code() == Some(i32::from(EXIT_UNUSABLE)) {
            return End::Unusable;
        }
        match status.signal() {
            Some(signal) if signal == Signal::XCPU.as_raw() => End::OutOfTime,
            Some(signal) if signal == Signal::ABORT.as_raw() && self.was_out_of_memory() => End::OutOfMemory,
            Some(signal) => End::Crash(format!("the reader was ended by signal {signal}")),
            None => End::Crash(format!("the reader ended with status {}", status.code().unwrap_or(-1))),
        }
    }

    /// Whether the runtime's last words were about memory. They may also hold document text and go nowhere else.
    fn was_out_of_memory(&mut self) -> bool {
        let mut words = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            // The process has ended, so this returns what the pipe holds.
            let _ = stderr.take(1 << 16).read_to_end(&mut words);
        }
        let sought = b"memory allocation of";
        words.windows(sought.len()).any(|window| window == sought)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The socket, with a limit on the time spent waiting for the child in all.
pub(super) struct Timed<'a> {
    socket: &'a UnixStream,
    left: Duration,
}

impl<'a> Timed<'a> {
    pub(super) fn new(socket: &'a UnixStream, limit: Duration) -> Self {
        Self { socket, left: limit }
    }

    /// How much of that time is left.
    pub(super) fn left(&self) -> Duration {
        self.left
    }

    /// Changes how much is left.
    pub(super) fn set_left(&mut self, left: Duration) {
        self.left = left;
    }

    fn spend<T>(&mut self, work: impl FnOnce(&UnixStream, Duration) -> io::Result<T>) -> io::Result<T> {
        if self.left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let began = Instant::now();
        let result = work(self.socket, self.left.max(Duration::from_millis(1)));
        self.left = self.left.saturating_sub(began.elapsed());
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::TimedOut.into()),
            other => other,
        }
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.spend(|mut socket, left| {
            socket.set_write_timeout(Some(left))?;
            socket.write(bytes)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.spend(|mut socket, left| {
            socket.set_read_timeout(Some(left))?;
            socket.read(buffer)
        });
        match result {
            // A worker that died with bytes still unread resets the connection; what it had said came before.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(0),
            other => other,
        }
    }
}
