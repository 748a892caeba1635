//! `strongroom serve`: runs the server in the foreground and shows what it does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::MultiProgress;
use strongroom_ingest::pipeline::Progress;

use super::progress::Show;
use super::{CliError, Surroundings, log};
use crate::app::{App, Event, Purpose, Tell, model, serve as run};

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
    let screen = Mutex::new(Screen { show: Show::new(bars), hint, address: None, greeted: false });
    let tell: Tell = {
        let app = Arc::downgrade(&app);
        Arc::new(move |event| {
            let collections = || app.upgrade().and_then(|app| app.pipeline.collections().ok()).unwrap_or_default();
            let counts = || collections().iter().fold((0, 0), |(n, documents), record| (n + 1, documents + record.counts.indexed));
            screen.lock().unwrap_or_else(PoisonError::into_inner).take(event, &counts);
        })
    };
    run(&app, &tell).map_err(CliError::failed)
}

/// What people see of the running server.
struct Screen {
    show: Show,
    hint: Hint,
    address: Option<SocketAddr>,
    /// Whether they were told where to go.
    greeted: bool,
}

impl Screen {
    fn take(&mut self, event: Event, counts: &dyn Fn() -> (usize, u64)) {
        match event {
            Event::Listening(address) => {
                self.address = Some(address);
                tracing::info!("listening on http://{address}");
            }
            Event::Fetching(progress) => self.show.fetch(&progress),
            Event::Fetched => self.show.end_fetch(),
            Event::ModelLoaded => {}
            // The log has told why.
            Event::ModelMissing(_) => {}
            Event::Indexing(progress) => {
                self.show.index(&progress);
                self.greet(&progress, counts);
            }
            Event::Stopping => {
                self.show.clear();
                tracing::info!("stopping: what runs is finished first; Ctrl-C once more stops at once");
            }
        }
    }

    /// Once, when what lay in the folders is searchable: where to go, and one thing to type next.
    fn greet(&mut self, progress: &Progress, counts: &dyn Fn() -> (usize, u64)) {
        let Some(address) = self.address else { return };
        if self.greeted || !progress.swept || progress.pending > 0 {
            return;
        }
        self.greeted = true;
        let (collections, documents) = counts();
        self.show.say(&greeting(address, collections, documents, &self.hint));
    }
}

fn greeting(address: SocketAddr, collections: usize, documents: u64, hint: &Hint) -> String {
    let here = format!("http://{address}");
    let next = if documents == 0 {
        format!(
            "Nothing is indexed yet. Put a client's documents into a sub-folder of a watched folder, or send one:\n\n  \
             curl -X POST {here}/api/v1/collections --json '{{\"name\":\"acme\"}}'\n  \
             curl -T lease.pdf '{here}/api/v1/collections/acme/documents/lease.pdf?wait=true'"
        )
    } else {
        format!("Next, in another terminal:\n\n  {}", hint.ask())
    };
    format!(
        "\n{documents} documents in {collections} collections are searchable.\n\n  API   {here}/api/v1\n  Docs  {here}/docs\n\n{next}\n"
    )
}

/// How this program is called from another terminal.
struct Hint {
    program: &'static str,
    data: Option<String>,
}

impl Hint {
    fn new(loaded: &crate::config::Loaded) -> Self {
        let by_cargo = std::env::current_exe().is_ok_and(|path| {
            path.parent().is_some_and(|folder| folder.ends_with("debug") || folder.ends_with("release"))
        });
        let data = loaded.origins.contains_key("data").then(|| loaded.config.data.display().to_string());
        Self { program: if by_cargo { "cargo run -q --" } else { "strongroom" }, data }
    }

    fn ask(&self) -> String {
        let data = match &self.data {
            Some(folder) if folder.contains(char::is_whitespace) => format!(" --data '{folder}'"),
            Some(folder) => format!(" --data {folder}"),
            None => String::new(),
        };
        format!("{} search \"termination for convenience\"{data}", self.program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_says_where_to_go_and_what_to_type() {
        let address = SocketAddr::from(([127, 0, 0, 1], 7710));
        let hint = Hint { program: "strongroom", data: Some("/my data".into()) };
        let text = greeting(address, 3, 12, &hint);
        for expected in ["12 documents in 3 collections", "http://127.0.0.1:7710/docs", "strongroom search \"", "--data '/my data'"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(greeting(address, 0, 0, &hint).contains("curl -T"));
    }
}
