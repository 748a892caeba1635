//! Shows people what happens: bars on a terminal, a plain line every few seconds elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use strongroom_ingest::pipeline::Progress;

use super::output;
use crate::config::format_duration;
use crate::models;

/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Bars or lines.
pub(super) struct Show {
    bars: MultiProgress,
    terminal: bool,
    fetching: Option<ProgressBar>,
    what: String,
    indexing: Option<ProgressBar>,
    last_line: Option<Instant>,
    last_text: String,
}

impl Show {
    pub fn new(bars: MultiProgress) -> Self {
        Self {
            bars,
            terminal: std::io::stderr().is_terminal(),
            fetching: None,
            what: String::new(),
            indexing: None,
            last_line: None,
            last_text: String::new(),
        }
    }

    /// A line that stays, above the bars.
    pub fn say(&self, text: &str) {
        self.bars.suspend(|| output::remark(text));
    }

    /// Files that are being fetched.
    pub fn fetch(&mut self, progress: &models::Progress) {
        match progress {
            models::Progress::Waiting => self.say("Another process is fetching the same files; waiting for it."),
            models::Progress::Begin { what, from } => {
                self.what.clone_from(what);
                if self.terminal {
                    self.end_fetch();
                    let bar = self.bars.add(ProgressBar::no_length().with_style(bytes_style(false)));
                    self.fetching = Some(bar.with_message(format!("{what} from {from}")));
                } else {
                    self.say(&format!("Fetching {what} from {from}"));
                }
            }
            models::Progress::Bytes { done, total } => self.bytes(*done, *total),
            models::Progress::Done { what } => {
                self.end_fetch();
                self.say(&format!("Fetched {what}."));
            }
        }
    }

    fn bytes(&mut self, done: u64, total: Option<u64>) {
        if let Some(bar) = &self.fetching {
            if bar.length() != total
                && let Some(total) = total
            {
                bar.set_length(total);
                bar.set_style(bytes_style(true));
            }
            bar.set_position(done);
        } else {
            let of = total.map(|total| format!(" of {}", crate::config::format_size(total))).unwrap_or_default();
            self.line(format!("{}: {}{of}", self.what, crate::config::format_size(done)));
        }
    }

    /// Takes the bar of what was fetched away.
    pub fn end_fetch(&mut self) {
        if let Some(bar) = self.fetching.take() {
            bar.finish_and_clear();
        }
    }

    /// What indexing does now.
    pub fn index(&mut self, progress: &Progress) {
        let text = indexing_text(progress);
        if progress.pending == 0 || progress.paused.is_some() {
            if let Some(bar) = self.indexing.take() {
                bar.finish_and_clear();
            }
            if let Some(why) = &progress.paused
                && self.last_text != *why
            {
                self.say(&format!("Indexing is paused: {why}"));
                self.last_text.clone_from(why);
            }
            return;
        }
        if !self.terminal {
            self.line(text);
            return;
        }
        let bars = &self.bars;
        let bar = self.indexing.get_or_insert_with(|| bars.add(ProgressBar::new(0).with_style(documents_style())));
        bar.set_length(progress.finished + progress.pending);
        bar.set_position(progress.finished);
        let left = progress.left.map(|left| format!("about {} left", format_duration(left)));
        bar.set_message(left.unwrap_or_default());
    }

    /// Takes every bar away.
    pub fn clear(&mut self) {
        self.end_fetch();
        if let Some(bar) = self.indexing.take() {
            bar.finish_and_clear();
        }
    }

    fn line(&mut self, text: String) {
        let due = self.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY);
        if due && text != self.last_text {
            self.say(&text);
            self.last_line = Some(Instant::now());
            self.last_text = text;
        }
    }
}

fn indexing_text(progress: &Progress) -> String {
    let mut text = format!("Indexing: {} of {} documents", progress.finished, progress.finished + progress.pending);
    if let Some(why) = &progress.paused {
        text += &format!(", paused: {why}");
    } else if let Some(left) = progress.left {
        text += &format!(", about {} left", format_duration(left));
    }
    text
}

// The templates are constants: were one wrong, the plain default would show.
fn bytes_style(known: bool) -> ProgressStyle {
    let template = match known {
        true => "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
        false => "{msg} {bytes} {bytes_per_sec}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

fn documents_style() -> ProgressStyle {
    ProgressStyle::with_template("Indexing [{bar:30}] {pos}/{len} documents {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
