//! Events of the file system, gathered into hints. Where a file system sends none, it is looked through instead.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use notify::{Config, ErrorKind, PollWatcher, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{Debouncer, NoCache, new_debouncer_opt};
use parking_lot::{Mutex, RwLock};

use super::WatchOptions;
use super::network::on_network;
use super::rules::{Rules, RulesError};
use super::scan::identity;
use super::sorter::{Root, Sorter};

/// Something may have changed. Only a scan tells what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// These entries were created, written, renamed, removed, or had their permissions changed.
    Changed {
        /// The watched folder, as it was given to [`Watcher::watch`].
        root: PathBuf,
        /// Full paths below `root` (or `root` itself, which has come back), sorted. May be folders.
        paths: Vec<PathBuf>,
    },
    /// Events were lost or are too many to name.
    Overflow {
        /// The watched folder to be scanned.
        root: PathBuf,
    },
    /// The watched folder was removed or renamed. Call [`Watcher::watch`] again once it is back.
    Gone {
        /// The watched folder.
        root: PathBuf,
    },
}

/// Why a folder can't be watched. It can still be scanned now and then.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The configured ignore rules are wrong.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The folder is not there, or not readable.
    #[error("the folder to watch can't be opened: {0}")]
    Folder(#[source] std::io::Error),
    /// The system refused to watch.
    #[error("the system does not watch this folder: {0}")]
    System(String),
}

impl From<notify::Error> for WatchError {
    fn from(error: notify::Error) -> Self {
        // The error's own text would name paths.
        Self::System(match error.kind {
            ErrorKind::MaxFilesWatch => "its limit of watched folders is reached".to_owned(),
            ErrorKind::Io(error) => error.kind().to_string(),
            ErrorKind::PathNotFound => "it is gone".to_owned(),
            ErrorKind::WatchNotFound => "it was not watched".to_owned(),
            ErrorKind::Generic(_) | ErrorKind::InvalidConfig(_) => "the watcher could not start".to_owned(),
        })
    }
}

/// Watches folders and sends [`Hint`]s until it is dropped. The threads behind it end soon after.
///
/// Hints wait while the channel is full (the system's queue fills meanwhile, which ends in [`Hint::Overflow`]): nothing
/// is lost in silence. A folder on a network file system, or one beyond the system's limit of watches, is polled.
pub struct Watcher {
    options: WatchOptions,
    sorter: Arc<Sorter>,
    inner: Mutex<Inner>,
}

struct Inner {
    events: Debouncer<RecommendedWatcher, NoCache>,
    /// Started when first needed.
    polls: Option<Debouncer<PollWatcher, NoCache>>,
}

impl Watcher {
    /// Starts without any folder. Events are gathered for `options.settle` before they are told.
    pub fn start(options: WatchOptions, tx: Sender<Hint>) -> Result<Self, WatchError> {
        let sorter = Arc::new(Sorter {
            rules: Rules::from_options(&options)?,
            roots: RwLock::default(),
            starved: RwLock::default(),
            tx,
        });
        let settle = options.settle.max(Duration::from_millis(20));
        let events = new_debouncer_opt(settle, None, sorter.handler(), NoCache, quiet_config())?;
        Ok(Self { options, sorter, inner: Mutex::new(Inner { events, polls: None }) })
    }

    /// Watches `root` and all below it. A folder inside a watched one may be watched too: then hints name the inner.
    ///
    /// May be called again at any time and costs next to nothing if all is well: a folder that was replaced (removed and
    /// made anew, mounted over) is taken up afresh, one beyond the system's limit of watches goes over to polling.
    pub fn watch(&self, root: &Path) -> Result<(), WatchError> {
        self.watch_by(root, on_network(root))
    }

    /// As [`Self::watch`], with the choice between events and polling made.
    pub(super) fn watch_by(&self, root: &Path, polled: bool) -> Result<(), WatchError> {
        let real = root.canonicalize().map_err(WatchError::Folder)?;
        let gone = || WatchError::Folder(std::io::ErrorKind::NotFound.into());
        let identity = Some(identity(&real).ok_or_else(gone)?);
        let polled = polled || self.sorter.starved.read().contains(&real);
        let wanted = Root { real, identity, polled };

        let mut inner = self.inner.lock();
        let before = self.sorter.roots.read().get(root).cloned();
        if let Some(before) = before {
            let same = before.real == wanted.real && before.identity == identity && before.polled == polled;
            if same {
                return Ok(());
            }
            inner.remove(&before);
        }
        // Known first, so that an event that comes at once finds its folder.
        self.sorter.roots.write().insert(root.to_owned(), wanted.clone());
        if let Err(error) = inner.add(&wanted, &self.sorter, &self.options) {
            self.sorter.roots.write().remove(root);
            return Err(error);
        }
        Ok(())
    }

    /// Stops watching `root`. Folders inside it or around it that are watched themselves stay so.
    pub fn unwatch(&self, root: &Path) {
        let mut inner = self.inner.lock();
        let Some(removed) = self.sorter.roots.write().remove(root) else {
            return;
        };
        inner.remove(&removed);
        // Dropping the watches of a folder drops those of all folders inside it, whoever asked for them.
        let rest: Vec<Root> = self.sorter.roots.read().values().cloned().collect();
        for other in rest {
            let related = other.real.starts_with(&removed.real) || removed.real.starts_with(&other.real);
            if related && let Err(error) = inner.add(&other, &self.sorter, &self.options) {
                tracing::warn!(%error, "a watched folder sends no events any more; sweeps go on");
            }
        }
    }
}

impl Inner {
    fn add(&mut self, root: &Root, sorter: &Arc<Sorter>, options: &WatchOptions) -> Result<(), WatchError> {
        if !root.polled {
            match self.events.watch(&root.real, RecursiveMode::Recursive) {
                Err(notify::Error { kind: ErrorKind::MaxFilesWatch, .. }) => {
                    tracing::warn!("the system's limit of watched folders is reached; polling a folder instead");
                }
                done => return Ok(done?),
            }
        }
        let polls = match &mut self.polls {
            Some(polls) => polls,
            None => {
                let config = quiet_config().with_poll_interval(options.poll_interval);
                let settle = options.settle.max(Duration::from_millis(20));
                self.polls.insert(new_debouncer_opt(settle, None, sorter.handler(), NoCache, config)?)
            }
        };
        Ok(polls.watch(&root.real, RecursiveMode::Recursive)?)
    }

    fn remove(&mut self, root: &Root) {
        // Whichever of the two has it; the other, or both after its removal, answer that they don't.
        let _ = self.events.unwatch(&root.real);
        if let Some(polls) = &mut self.polls {
            let _ = polls.unwatch(&root.real);
        }
    }
}

/// Links are not followed: a link may lead anywhere.
fn quiet_config() -> Config {
    Config::default().with_follow_symlinks(false)
}
