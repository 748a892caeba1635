//! The seam to whoever writes recordings down: this package links no HTTP client, so somebody else brings one.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256 as Hasher};

use super::wire::Answer;
use super::{ExtractError, Unreadable, recording};
use crate::model::{Lane, Reason, Recording, Sha256, Transcript};

/// Writes down what is said in recordings.
pub trait Transcriber: fmt::Debug + Send + Sync {
    /// The lane that a place has by rule, whatever is recorded there: the same bytes in two such places are two transcripts.
    fn lane_at(&self, place: &str) -> Option<Lane>;

    /// Writes one recording down. Blocks for as long as that takes.
    ///
    /// # Errors
    /// Whose fault it is that there is no transcript.
    fn transcribe(&self, audio: Audio<'_>) -> Result<Transcript, TranscribeError>;
}

/// One recording on its way to be written down.
pub struct Audio<'a> {
    /// Its bytes, read once.
    pub bytes: Box<dyn Read + Send>,
    /// Their number.
    pub length: u64,
    /// What its headers say.
    pub recording: &'a Recording,
    /// Where it lies: its collection's name and its path there, `acme/calls/monday.mp3`.
    pub place: &'a str,
}

/// Why a recording was not written down. Nothing in it is from the recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranscribeError {
    /// Not the recording's fault: it is tried again.
    #[error("no speech server wrote it down: {0}")]
    Unavailable(String),
    /// The speech server cannot make anything of it.
    #[error("{0}")]
    Refused(String),
}

/// Who is asked about the recordings of one file, and how their bytes are had once more.
#[derive(Clone, Copy)]
pub struct Hearing<'a> {
    /// Who is asked.
    pub transcriber: &'a dyn Transcriber,
    /// Where the file lies, as [`Audio::place`] says it.
    pub place: &'a str,
    /// Opens the file's bytes once more.
    pub again: &'a dyn Fn() -> io::Result<Box<dyn Read + Send>>,
}

impl Hearing<'_> {
    /// Has the file itself written down. The hash is that of the bytes that were sent.
    pub(super) fn file(&self, recording: &Recording, length: u64, most_bytes: u64) -> Result<(Answer, Sha256), ExtractError> {
        let hasher = Arc::new(Mutex::new(Hasher::new()));
        let bytes = Hashed { bytes: (self.again)().map_err(ExtractError::Source)?, hasher: Arc::clone(&hasher) };
        let audio = Audio { bytes: Box::new(bytes), length, recording, place: self.place };
        let outcome = match self.transcriber.transcribe(audio) {
            Ok(transcript) => recording::extraction(recording, transcript, most_bytes),
            Err(TranscribeError::Refused(why)) => Err(Unreadable::new(Reason::Unsupported, why)),
            Err(error) => return Err(ExtractError::Speech(error)),
        };
        let hasher = hasher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok((outcome, Sha256(hasher.finalize().into())))
    }

    /// Has something inside the file written down. If nobody can now, the rest of the file is found all the same.
    pub(super) fn member(&self, recording: &Recording, bytes: &[u8], most_bytes: u64) -> Answer {
        let length = bytes.len() as u64;
        let audio = Audio { bytes: Box::new(io::Cursor::new(bytes.to_vec())), length, recording, place: self.place };
        match self.transcriber.transcribe(audio) {
            Ok(transcript) => recording::extraction(recording, transcript, most_bytes),
            Err(TranscribeError::Refused(why)) => Err(Unreadable::new(Reason::Unsupported, why)),
            Err(error) => Err(Unreadable::new(Reason::Unsupported, format!("{error}; `strongroom retry` tries again"))),
        }
    }
}

/// Bytes that are hashed as they are read.
struct Hashed {
    bytes: Box<dyn Read + Send>,
    hasher: Arc<Mutex<Hasher>>,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let filled = self.bytes.read(buffer)?;
        self.hasher.lock().unwrap_or_else(PoisonError::into_inner).update(&buffer[..filled]);
        Ok(filled)
    }
}
