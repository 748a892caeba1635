//! Bytes to text with pages and headings, in a worker process with limits.
//!
//! Files come from strangers, so nothing here parses them in the server's own process. [`Extractor`] is the parent's
//! side: it feeds a child over a socket, reads the child's answer, and kills it at its limits. [`worker_main`] is the
//! child's side: it limits itself, then hands the bytes to the one module that reads their format. A reader gets a `Desk`,
//! where it can hand in members (attachments, parts of archives: the parent has other workers read them) and ask for tools
//! (the parent runs them, in a sandbox of their own). A new format is a new module, a line in `worker::read` and a line in
//! `detect`.

#[cfg(any(test, fuzzing))]
pub mod alone;
mod archive;
mod csv;
mod desk;
mod detect;
mod hearing;
mod html;
mod image;
mod mail;
mod markdown;
mod office;
mod parent;
mod parts;
mod pdf;
mod process;
mod recording;
pub mod sandbox;
mod text;
mod tools;
mod tree;
mod wire;
mod worker;
mod writer;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::{Extraction, Reason, Recording, Sha256};

pub use hearing::{Audio, Hearing, TranscribeError, Transcriber};
pub use parent::Extractor;
pub use tools::tool_main;
pub use worker::worker_main;

/// Names the engines and rules in this module. It changes when any document would give another text.
pub const EXTRACTOR_VERSION: &str = "3:pdf_oxide-0.3.78,pdf-extract-0.12";

/// How workers are started and what they may use.
#[derive(Clone, Debug)]
pub struct ExtractOptions {
    /// The program to run, by its absolute path; it must call [`worker_main`] when given `arguments`.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its arguments when it must call [`tool_main`] with those that follow; empty where no tools are to be run.
    pub tool_arguments: Vec<OsString>,
    /// Languages that OCR reads, as tesseract calls them; those that are installed are used.
    pub ocr_languages: Vec<String>,
    /// Address space of a worker, in bytes.
    pub memory_bytes: u64,
    /// Processor time that a document may take, its members included, in seconds.
    pub cpu_seconds: u64,
    /// Time that all workers for one document may take, not counting the time that reading the source takes, in seconds.
    pub wall_seconds: u64,
    /// A document's text may be this long, its members' included, in bytes.
    pub output_bytes: u64,
    /// So many things inside a file are read, at all depths.
    pub most_members: usize,
    /// What is inside something inside a file is read down to this depth.
    pub most_depth: usize,
    /// All members of a file together may be this long, in bytes.
    pub member_bytes: u64,
    /// A larger file is not read.
    pub max_file_bytes: u64,
    /// How many workers are started before they are needed.
    pub spare_workers: usize,
}

impl ExtractOptions {
    /// The limits that Strongroom was tried with.
    pub fn new(program: PathBuf, arguments: Vec<OsString>) -> Self {
        Self {
            program,
            arguments,
            tool_arguments: Vec::new(),
            ocr_languages: Vec::new(),
            memory_bytes: 640 << 20,
            cpu_seconds: 30,
            wall_seconds: 60,
            output_bytes: 200_000_000,
            most_members: 2000,
            most_depth: 4,
            member_bytes: 1_000_000_000,
            max_file_bytes: 256_000_000,
            spare_workers: 2,
        }
    }
}

/// One file to read.
pub struct Source<'a> {
    /// The file's bytes, read to their end.
    pub bytes: &'a mut dyn io::Read,
    /// How many bytes are expected.
    pub len: u64,
    /// The file's name. Only its extension is looked at, and the contents have the last word.
    pub name: &'a str,
    /// The declared media type, if any; a hint like the name, and stronger.
    pub media_type: Option<&'a str>,
    /// Passwords that may open it, tried in this order.
    pub passwords: &'a [String],
    /// Who writes recordings down; without anybody they are told of and not read.
    pub hearing: Option<Hearing<'a>>,
}

/// What came of one file.
#[derive(Debug)]
pub struct Extracted {
    /// The text, or why there is none.
    pub outcome: Result<Extraction, Unreadable>,
    /// What was found inside it, in order, at all depths.
    pub members: Vec<Member>,
    /// Hash of the bytes that were read: all of them, unless the file is larger than allowed.
    pub sha256: Sha256,
    /// How many bytes were read.
    pub bytes: u64,
}

impl Extracted {
    /// Whether it is a recording, or holds one, that nobody has written down.
    pub fn has_unheard(&self) -> bool {
        let is_unheard = |outcome: &Result<Extraction, Unreadable>| matches!(outcome, Err(why) if why.recording.is_some());
        is_unheard(&self.outcome) || self.members.iter().any(|member| is_unheard(&member.outcome))
    }
}

/// Something inside a file: an attachment, a part of an archive, or something inside one of those.
#[derive(Debug)]
pub struct Member {
    /// Its label below the file's path, `!/` between the depths: `letter.pdf`, `old.zip!/2019/letter.pdf`. No two members of a
    /// file have the same.
    pub name: String,
    /// The text, or why there is none.
    pub outcome: Result<Extraction, Unreadable>,
    /// Hash of its bytes; of none if they could not be had.
    pub sha256: Sha256,
    /// Their number.
    pub bytes: u64,
}

/// A program of this machine that reads what no library here can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Tool {
    /// `tesseract`: text of a picture.
    Ocr,
    /// `catdoc`: text of a Word 97-2003 document.
    Word97,
    /// `catppt`: text of a PowerPoint 97-2003 presentation, slides separated by form feeds.
    PowerPoint97,
}

impl Tool {
    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ocr => "tesseract",
            Self::Word97 => "catdoc",
            Self::PowerPoint97 => "catppt",
        }
    }
}

/// Where a tool's program is on this machine, if it is there.
pub fn find_tool(tool: Tool) -> Option<PathBuf> {
    tools::program(tool)
}

/// Why a file gave no text. Nothing in it is from the document or its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The reason that is stored and counted.
    pub reason: Reason,
    /// A sentence for people.
    pub detail: String,
    /// That it is a recording: whoever can have it written down knows enough from this.
    pub recording: Option<Recording>,
}

impl Unreadable {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), recording: None }
    }
}

/// What went wrong on our side; the file may be perfectly good.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// No worker could be started.
    #[error("cannot start an extraction worker")]
    Spawn(#[source] io::Error),
    /// The source could not be read.
    #[error("cannot read the file")]
    Source(#[source] io::Error),
    /// The worker could not be spoken to, or could not limit itself.
    #[error("the extraction worker does not work")]
    Worker(#[source] io::Error),
    /// It is a recording, and nobody can write it down just now.
    #[error(transparent)]
    Speech(TranscribeError),
}
