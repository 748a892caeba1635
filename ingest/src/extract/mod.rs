//! Bytes to text with pages and headings, in a worker process with limits.

use std::ffi::OsString;
use std::path::PathBuf;

/// How the worker is started and limited.
#[derive(Clone, Debug)]
pub struct ExtractOptions {
    /// The program that is the worker: this one.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Address space of one worker, in bytes.
    pub memory_bytes: u64,
    /// Processor time of one worker, in seconds.
    pub cpu_seconds: u64,
    /// Time on the clock of one worker, in seconds.
    pub wall_seconds: u64,
    /// Longest text taken from a worker, in bytes.
    pub output_bytes: u64,
    /// Largest file that is read, in bytes.
    pub max_file_bytes: u64,
    /// Workers started ahead.
    pub spare_workers: usize,
}
