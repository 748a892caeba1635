//! The log: to stderr, around progress bars, for people or for programs.

use std::io::{self, Write};

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFormat};

/// Writes to stderr while the bars step aside.
#[derive(Clone)]
struct AroundBars(MultiProgress);

impl Write for AroundBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AroundBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Starts the log. Libraries stay silent unless the configured filter names them: some of them write paths and contents of files
/// at every level, and those are nobody's to read.
pub(super) fn start(log: &Log, bars: &MultiProgress) {
    let text = match log.level.contains('=') {
        true => log.level.clone(),
        false => format!("off,strongroom={0},strongroom_ingest={0}", log.level),
    };
    // The configuration has checked it; what could be wrong now would only make the log louder.
    let filter = EnvFilter::try_new(text).unwrap_or_else(|_| EnvFilter::new("off,strongroom=info,strongroom_ingest=info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(AroundBars(bars.clone()));
    let colours = io::IsTerminal::is_terminal(&io::stderr());
    // A second start happens in tests only, and the first one's log then goes on.
    let _ = match log.format {
        LogFormat::Text => builder.with_ansi(colours).with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
