//! `strongroom serve`: runs the server in the foreground and shows what it does.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::MultiProgress;
use strongroom_ingest::index::records::CollectionRecord;
use strongroom_ingest::pipeline::Progress;

use super::progress::Show;
use super::{CliError, Surroundings, log};
use crate::app::{App, Event, Purpose, Tell, model, serve as run};

/// Looks with nothing to do after which there seems to be nothing; a few seconds.
const PATIENCE: u32 = 15;

pub(super) fn serve(here: Surroundings) -> Result<(), CliError> {
    let Surroundings { loaded, environment, .. } = here;
    let bars = MultiProgress::new();
    log::start(&loaded.config.log, &bars);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    for folder in loaded.config.watch_folders.iter().chain(loaded.config.watch.iter().map(|watch| &watch.path)) {
        if !folder.is_dir() {
            tracing::warn!(folder = %folder.display(), "there is no such folder (yet): it is watched as soon as it is there");
        }
    }
    let hint = Hint::new(&loaded);
    let app = App::open(loaded.config, model::models(&environment), Purpose::Serve).map_err(CliError::failed)?;
    let screen = Mutex::new(Screen { show: Show::new(bars), hint, address: None, greeted: false, quiet: 0 });
    let tell: Tell = {
        let app = Arc::downgrade(&app);
        Arc::new(move |event| {
            let holdings = || Holdings::of(&app.upgrade().and_then(|app| app.pipeline.collections().ok()).unwrap_or_default());
            screen.lock().unwrap_or_else(PoisonError::into_inner).take(event, &holdings);
        })
    };
    run(&app, &tell).map_err(CliError::failed)
}

/// What is searchable.
struct Holdings {
    collections: usize,
    documents: u64,
    /// A collection that can answer.
    example: Option<String>,
}

impl Holdings {
    fn of(records: &[CollectionRecord]) -> Self {
        Self {
            collections: records.len(),
            documents: records.iter().map(|record| record.counts.indexed).sum(),
            example: records.iter().find(|record| record.counts.indexed > 0).map(|record| record.name.clone()),
        }
    }
}

/// What people see of the running server.
struct Screen {
    show: Show,
    hint: Hint,
    address: Option<SocketAddr>,
    /// Whether they were told where to go.
    greeted: bool,
    /// How many times in a row there was nothing to do.
    quiet: u32,
}

impl Screen {
    fn take(&mut self, event: Event, holdings: &dyn Fn() -> Holdings) {
        match event {
            Event::Listening(address) => {
                self.address = Some(address);
                tracing::info!("listening on http://{address}");
            }
            Event::Fetching(progress) => self.show.fetch(&progress),
            Event::Fetched => self.show.end_fetch(),
            Event::ModelLoaded => {}
            Event::ModelMissing(why) => self.show.say(&format!("\nNo embedding model: {why}\n")),
            Event::Indexing(progress) => {
                self.show.index(&progress);
                self.greet(&progress, holdings);
            }
            Event::Stopping => {
                self.show.clear();
                tracing::info!("stopping: what runs is finished first; Ctrl-C once more stops at once");
            }
        }
    }

    /// Once, when what lay in the folders is searchable: where to go, and one thing to type next.
    fn greet(&mut self, progress: &Progress, holdings: &dyn Fn() -> Holdings) {
        let Some(address) = self.address else { return };
        if self.greeted {
            return;
        }
        self.quiet = if progress.swept && progress.pending == 0 { self.quiet + 1 } else { 0 };
        // A file that was just written is waited for before it counts as pending.
        if self.quiet == 0 || self.quiet < PATIENCE && holdings().documents == 0 {
            return;
        }
        self.greeted = true;
        self.show.say(&greeting(address, &holdings(), &self.hint));
    }
}

fn greeting(address: SocketAddr, holdings: &Holdings, hint: &Hint) -> String {
    let here = format!("http://{address}");
    let next = match &holdings.example {
        Some(collection) => format!("Next, in another terminal:\n\n  {}", hint.ask(collection)),
        None => format!(
            "Nothing is indexed yet. Put a client's documents into a sub-folder of a watched folder, or send one:\n\n  \
             curl {here}/api/v1/collections --json '{{\"name\":\"acme\"}}'\n  \
             curl -T lease.pdf '{here}/api/v1/collections/acme/documents/lease.pdf?wait=true'"
        ),
    };
    let Holdings { collections, documents, .. } = holdings;
    format!(
        "\nSearchable: documents {documents}, collections {collections}.\n\n  API   {here}/api/v1\n  Docs  {here}/docs\n\n{next}\n"
    )
}

/// How this program is called from another terminal.
struct Hint {
    program: &'static str,
    data: Option<String>,
    /// Whether people read it at once. What goes to a log names no client.
    terminal: bool,
}

impl Hint {
    fn new(loaded: &crate::config::Loaded) -> Self {
        let by_cargo = std::env::current_exe()
            .is_ok_and(|path| path.parent().is_some_and(|folder| folder.ends_with("debug") || folder.ends_with("release")));
        let data = loaded.origins.contains_key("data").then(|| loaded.config.data.display().to_string());
        Self {
            program: if by_cargo { "cargo run -q --" } else { "strongroom" },
            data,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    fn ask(&self, collection: &str) -> String {
        let data = match &self.data {
            Some(folder) if folder.contains(char::is_whitespace) => format!(" --data '{folder}'"),
            Some(folder) => format!(" --data {folder}"),
            None => String::new(),
        };
        if !self.terminal {
            return format!("{} search \"governing law\"{data}", self.program);
        }
        format!("{} ask \"Which law governs this agreement?\" -c {collection}{data}", self.program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_says_where_to_go_and_what_to_type() {
        let address = SocketAddr::from(([127, 0, 0, 1], 7710));
        let hint = Hint { program: "strongroom", data: Some("/my data".into()), terminal: true };
        let holdings = Holdings { collections: 3, documents: 12, example: Some("acme".into()) };
        let text = greeting(address, &holdings, &hint);
        for expected in ["documents 12, collections 3", "http://127.0.0.1:7710/docs", "-c acme --data '/my data'"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(greeting(address, &Holdings::of(&[]), &hint).contains("curl -T"));
        let logged = greeting(address, &holdings, &Hint { terminal: false, ..hint });
        assert!(logged.contains("strongroom search ") && !logged.contains("acme"), "{logged}");
    }
}
