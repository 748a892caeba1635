//! Keeps the catalogs true to the watched folders: events are hints, a sweep by size, time and content hash is the truth.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, select};

use super::reconcile::{self, Fresh};
use super::shared::{Ask, Shared};
use super::{PipelineError, WatchedRoot};
use crate::index::IndexError;
use crate::model::CollectionId;
use crate::watch::{self, Hint, Rules, ScanError, WatchOptions, Watcher};

/// Files hashed and registered in one transaction, at most.
const BATCH_FILES: usize = 64;
/// Bytes hashed before the results are registered and hints are looked at again.
const BATCH_BYTES: u64 = 64 << 20;
/// Time until a folder is looked at again whose catalog could not be read or written.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// The thread that watches.
pub(super) struct Sweeper<'a> {
    shared: &'a Shared,
    rules: Rules,
    watcher: Option<Watcher>,
    /// Every watched folder that is a collection.
    folders: HashMap<PathBuf, CollectionId>,
    /// Folders to be looked at, and when.
    due: HashMap<PathBuf, Instant>,
    /// New and changed files that are still to be hashed.
    fresh: VecDeque<Fresh>,
    /// Folders that the watcher knows.
    listening: HashSet<PathBuf>,
}

/// Runs until asked to stop.
pub(super) fn run(shared: &Shared, asks: Receiver<Ask>) -> Result<(), PipelineError> {
    let options =
        WatchOptions { ignore: shared.options.ignore.clone(), settle: shared.options.settle, ..WatchOptions::default() };
    let rules = Rules::from_options(&options).map_err(|error| PipelineError::Failed(error.to_string()))?;
    let (sender, hints) = crossbeam_channel::bounded(1024);
    let watcher = match Watcher::start(options, sender) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "no events come from watched folders: only the regular sweeps will find changes");
            None
        }
    };
    let mut sweeper = Sweeper {
        shared,
        rules,
        watcher,
        folders: HashMap::new(),
        due: HashMap::new(),
        fresh: VecDeque::new(),
        listening: HashSet::new(),
    };
    sweeper.run(&asks, &hints);
    Ok(())
}

impl Sweeper<'_> {
    fn run(&mut self, asks: &Receiver<Ask>, hints: &Receiver<Hint>) {
        self.everything();
        let mut next_full = Instant::now() + self.shared.options.sweep_every;
        loop {
            self.look_at_due();
            if self.fresh.is_empty() && !self.due.values().any(|at| *at <= Instant::now()) {
                self.shared.swept.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            let wait = if self.fresh.is_empty() { self.patience(next_full) } else { Duration::ZERO };
            select! {
                recv(asks) -> ask => match ask {
                    Ok(Ask::Look(root)) => self.soon(root, Duration::ZERO),
                    Ok(Ask::Everything) => self.everything(),
                    Ok(Ask::Stop) | Err(_) => return,
                },
                recv(hints) -> hint => match hint {
                    Ok(hint) => self.hinted(hint),
                    Err(_) => std::thread::sleep(wait.min(Duration::from_secs(1))),
                },
                default(wait) => {}
            }
            if self.shared.ending() {
                return;
            }
            if Instant::now() >= next_full {
                self.everything();
                next_full = Instant::now() + self.shared.options.sweep_every;
            }
            self.take_in();
        }
    }

    fn patience(&self, next_full: Instant) -> Duration {
        let next = self.due.values().copied().chain([next_full]).min().unwrap_or(next_full);
        next.saturating_duration_since(Instant::now())
    }

    fn soon(&mut self, folder: PathBuf, after: Duration) {
        let at = Instant::now() + after;
        let due = self.due.entry(folder).or_insert(at);
        *due = at.min(*due);
    }

    /// An event names its root: a collection's folder, or a folder of clients.
    fn hinted(&mut self, hint: Hint) {
        match hint {
            Hint::Changed { root, paths } => {
                if self.folders.contains_key(&root) {
                    return self.soon(root, Duration::ZERO);
                }
                for path in paths {
                    let client = path.strip_prefix(&root).ok().and_then(|below| below.components().next());
                    let folder = client.map(|client| root.join(client));
                    match folder.filter(|folder| self.folders.contains_key(folder)) {
                        Some(folder) => self.soon(folder, Duration::ZERO),
                        None => self.soon(root.clone(), Duration::ZERO),
                    }
                }
            }
            Hint::Overflow { root } | Hint::Gone { root } => {
                self.listening.remove(&root);
                let below: Vec<PathBuf> = self.folders.keys().filter(|folder| folder.starts_with(&root)).cloned().collect();
                below.into_iter().for_each(|folder| self.soon(folder, Duration::ZERO));
                self.soon(root, Duration::ZERO);
            }
        }
    }

    /// Looks at every configured and registered folder.
    fn everything(&mut self) {
        for root in self.shared.options.watched.clone() {
            match root {
                WatchedRoot::Clients(path) => self.clients(&path),
                WatchedRoot::Named { name, path } => {
                    if let Err(error) = self.named(&name, &path) {
                        tracing::error!(%error, "a configured folder can't be watched");
                    }
                }
            }
        }
        // Folders that were given while running, and those of an earlier configuration: they stay what they are.
        match self.shared.store.registry().all() {
            Ok(entries) => {
                for entry in entries {
                    if let Some(folder) = entry.watched {
                        self.folders.insert(folder.clone(), entry.id);
                        self.soon(folder, Duration::ZERO);
                    }
                }
            }
            Err(error) => tracing::error!(%error, "the registry can't be read"),
        }
        self.retry_failed();
    }

    /// Failed documents, and those that left the queue unread, are tried again at each full sweep.
    fn retry_failed(&self) {
        let troubled = std::mem::take(&mut *self.shared.troubled.lock());
        for id in troubled {
            let tried = self.shared.store.by_id(id).and_then(|collection| {
                collection.catalog().retry(&[], None)?;
                reconcile::enqueue_all(self.shared, &collection)
            });
            match tried {
                Ok(()) | Err(IndexError::NoCollection) => {}
                Err(error) => {
                    tracing::error!(collection = %id, %error, "failed documents can't be tried again");
                    self.shared.troubled.lock().insert(id);
                }
            }
        }
    }

    fn named(&mut self, name: &str, path: &Path) -> Result<(), IndexError> {
        let registry = self.shared.store.registry();
        if registry.is_detached(path)? {
            return Ok(());
        }
        let id = match registry.by_name(name)? {
            Some(entry) if entry.watched.as_deref() == Some(path) => entry.id,
            Some(entry) => {
                // What came over REST is not in the folder, and would be taken for deleted.
                if entry.watched.is_none() && self.shared.store.by_id(entry.id)?.counts()? != Default::default() {
                    return Err(IndexError::Exists);
                }
                registry.set_watched(entry.id, Some(path))?;
                entry.id
            }
            None => self.shared.store.create(name, name, Some(path))?.id,
        };
        self.folders.insert(path.to_owned(), id);
        self.soon(path.to_owned(), Duration::ZERO);
        Ok(())
    }

    /// Each direct sub-folder is a client; files beside them belong to nobody.
    fn clients(&mut self, root: &Path) {
        self.listen(root);
        let listing = match watch::subfolders(root) {
            Ok(listing) => listing,
            Err(error) => {
                let below: Vec<PathBuf> = self.folders.keys().filter(|folder| folder.parent() == Some(root)).cloned().collect();
                below.iter().for_each(|folder| self.missing(folder, &error.to_string()));
                tracing::warn!(%error, "a folder of clients can't be listed");
                return;
            }
        };
        self.shared.strays.lock().insert(root.to_owned(), listing.stray_files);
        let bad = listing.unsupported_names.into_iter().map(|name| name.shown).collect();
        self.shared.bad_names.lock().insert(root.to_owned(), bad);
        for (name, path) in listing.folders {
            if self.folders.contains_key(&path) {
                continue;
            }
            if let Err(error) = self.client(&name, &path) {
                tracing::error!(%error, "a client's folder can't be taken up");
            }
        }
    }

    fn client(&mut self, name: &str, path: &Path) -> Result<(), IndexError> {
        let registry = self.shared.store.registry();
        if registry.is_detached(path)? {
            return Ok(());
        }
        let entries = registry.all()?;
        let id = match entries.iter().find(|entry| entry.watched.as_deref() == Some(path)) {
            Some(entry) => entry.id,
            None => {
                let folded = watch::collection_name(name, &|taken| entries.iter().any(|entry| entry.name == taken));
                self.shared.store.create(&folded, name, Some(path))?.id
            }
        };
        self.folders.insert(path.to_owned(), id);
        self.soon(path.to_owned(), Duration::ZERO);
        Ok(())
    }

    /// Asks for events of a folder, unless a folder above it is listened to already.
    fn listen(&mut self, folder: &Path) {
        if self.listening.iter().any(|root| folder.starts_with(root)) {
            return;
        }
        let Some(watcher) = &self.watcher else { return };
        match watcher.watch(folder) {
            Ok(()) => {
                self.listening.insert(folder.to_owned());
            }
            Err(error) => {
                tracing::warn!(%error, "no events come from a watched folder: only the regular sweeps will find changes")
            }
        }
    }

    fn look_at_due(&mut self) {
        let now = Instant::now();
        let due: Vec<PathBuf> = self.due.iter().filter(|(_, at)| **at <= now).map(|(folder, _)| folder.clone()).collect();
        for folder in due {
            self.due.remove(&folder);
            match self.folders.get(&folder).copied() {
                Some(id) => self.look(id, &folder),
                None => self.clients(&folder),
            }
        }
    }

    /// One look at one client's folder.
    fn look(&mut self, id: CollectionId, folder: &Path) {
        match self.shared.store.registry().by_id(id) {
            Ok(Some(entry)) if entry.watched.as_deref() == Some(folder) => {}
            // Destroyed or detached since.
            _ => {
                self.folders.remove(folder);
                return;
            }
        }
        let scan = match watch::scan(folder, &self.rules) {
            Ok(scan) => scan,
            Err(error) => {
                let why = match &error {
                    ScanError::Missing(_) => "its folder is not there".to_owned(),
                    ScanError::Unreadable(_) | ScanError::NotAFolder => error.to_string(),
                };
                self.missing(folder, &why);
                self.listening.remove(folder);
                return;
            }
        };
        self.listen(folder);
        let bad = scan.unsupported_names.iter().map(|name| name.shown.clone()).collect();
        self.shared.bad_names.lock().insert(folder.to_owned(), bad);
        if scan.files.iter().any(|file| !file.settled) {
            self.soon(folder.to_owned(), self.shared.options.settle.max(Duration::from_millis(100)));
        }
        self.fresh.retain(|fresh| fresh.collection != id);
        match reconcile::reconcile(self.shared, id, folder, scan) {
            Ok(fresh) => self.fresh.extend(fresh),
            Err(IndexError::NoCollection) => {}
            Err(error) => {
                tracing::error!(collection = %id, %error, "a watched folder can't be compared with its catalog");
                self.soon(folder.to_owned(), AFTER_FAILURE);
            }
        }
    }

    fn missing(&self, folder: &Path, why: &str) {
        let Some(id) = self.folders.get(folder) else { return };
        reconcile::set_missing(self.shared, *id, why);
    }

    /// Hashes and registers some of the new files, then lets hints be looked at again.
    fn take_in(&mut self) {
        let mut batch: Vec<Fresh> = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_FILES && bytes < BATCH_BYTES {
            let Some(fresh) = self.fresh.pop_front() else { break };
            if batch.last().is_some_and(|last| last.collection != fresh.collection) {
                self.fresh.push_front(fresh);
                break;
            }
            bytes += fresh.file.bytes;
            batch.push(fresh);
        }
        let Some(first) = batch.first() else { return };
        let (id, root) = (first.collection, first.root.clone());
        match reconcile::take_in(self.shared, id, &batch) {
            Ok(true) => {}
            // Some file changed under our eyes: look again when it has settled.
            Ok(false) => self.soon(root, self.shared.options.settle.max(Duration::from_millis(100))),
            Err(IndexError::NoCollection) => {}
            Err(error) => {
                tracing::error!(collection = %id, %error, "new files can't be registered; they are tried again");
                self.soon(root, AFTER_FAILURE);
            }
        }
    }
}
