//! Raw events in, hints out: which folder they belong to, which of them say nothing, and when there are too many.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::Sender;
use notify::event::{AccessKind, AccessMode, MetadataKind, ModifyKind, RenameMode};
use notify::{ErrorKind, EventKind};
use notify_debouncer_full::{DebounceEventResult, DebouncedEvent};
use parking_lot::RwLock;

use super::notice::Hint;
use super::open::open_root;
use super::rules::Rules;

/// More changed paths than this in one go are told as [`Hint::Overflow`]: looking at the whole folder is cheaper then.
const MOST_PATHS: usize = 2_000;

/// One watched folder.
#[derive(Debug, Clone)]
pub(super) struct Root {
    /// With links resolved, as events spell it.
    pub real: PathBuf,
    /// Device and file number, to notice another folder in its place.
    pub identity: Option<(u64, u64)>,
    pub polled: bool,
}

/// The watched folders by the paths they were given with.
pub(super) type Roots = BTreeMap<PathBuf, Root>;

/// Sorts raw events by watched folder and passes them on.
pub(super) struct Sorter {
    pub rules: Rules,
    pub roots: RwLock<Roots>,
    /// Real paths of folders for which the system had no watches left.
    pub starved: RwLock<BTreeSet<PathBuf>>,
    pub tx: Sender<Hint>,
}

/// What was gathered for one folder.
#[derive(Default)]
struct Gathered {
    paths: Vec<PathBuf>,
    gone: bool,
    overflow: bool,
}

impl Sorter {
    /// What a debouncer calls with each batch of events.
    pub fn handler(self: &Arc<Self>) -> impl FnMut(DebounceEventResult) + Send + 'static {
        let sorter = Arc::clone(self);
        move |result| {
            let hints = match result {
                Ok(events) => sorter.sort(&events),
                Err(errors) => sorter.sort_errors(&errors),
            };
            for hint in hints {
                // Waits while the channel is full. A closed one means that nobody listens any more.
                if sorter.tx.send(hint).is_err() {
                    return;
                }
            }
        }
    }

    fn sort(&self, events: &[DebouncedEvent]) -> Vec<Hint> {
        let roots = self.roots.read().clone();
        let mut gathered: BTreeMap<&PathBuf, Gathered> = BTreeMap::new();
        for event in events {
            if event.need_rescan() {
                for root in roots.keys() {
                    gathered.entry(root).or_default().overflow = true;
                }
            }
            if !tells_of_change(&event.kind) {
                continue;
            }
            for path in &event.paths {
                for (given, root) in owners(&roots, path) {
                    let here = gathered.entry(given).or_default();
                    if *path == root.real {
                        here.gone |= is_departure(&event.kind);
                    }
                    if here.paths.len() <= MOST_PATHS {
                        here.paths.push(path.clone());
                    }
                }
            }
        }
        let mut hints = Vec::new();
        for (given, found) in gathered {
            let root = &roots[given];
            if found.gone {
                self.forget_identity(given);
                hints.push(Hint::Gone { root: given.clone() });
            } else if found.overflow || found.paths.len() > MOST_PATHS {
                hints.push(Hint::Overflow { root: given.clone() });
            } else if let Some(paths) = self.worth_telling(given, root, found.paths) {
                hints.push(Hint::Changed { root: given.clone(), paths });
            }
        }
        hints
    }

    /// Makes the next `watch` of a folder install it anew. (A new folder in its place may even have its old number.)
    fn forget_identity(&self, given: &Path) {
        if let Some(root) = self.roots.write().get_mut(given) {
            root.identity = None;
        }
    }

    /// The paths that no rule leaves out, spelled as the folder was given, or nothing.
    fn worth_telling(&self, given: &Path, root: &Root, mut paths: Vec<PathBuf>) -> Option<Vec<PathBuf>> {
        paths.sort_unstable();
        paths.dedup();
        let opened = open_root(&root.real).ok();
        let mut told = Vec::new();
        for path in paths {
            let Ok(below) = path.strip_prefix(&root.real) else {
                continue;
            };
            let ignored = match (below.to_str(), &opened) {
                (Some(text), Some(opened)) if !text.is_empty() => self.rules.ignore_from_root(opened.as_fd(), text),
                _ => false,
            };
            if !ignored {
                told.push(if below.as_os_str().is_empty() { given.to_owned() } else { given.join(below) });
            }
        }
        (!told.is_empty()).then_some(told)
    }

    fn sort_errors(&self, errors: &[notify::Error]) -> Vec<Hint> {
        let roots = self.roots.read();
        let mut hints = Vec::new();
        for (given, root) in roots.iter() {
            let concerned =
                |error: &&notify::Error| error.paths.is_empty() || error.paths.iter().any(|path| path.starts_with(&root.real));
            let mut mine = errors.iter().filter(concerned).peekable();
            if mine.peek().is_none() {
                continue;
            }
            if mine.any(|error| matches!(error.kind, ErrorKind::MaxFilesWatch)) {
                self.starved.write().insert(root.real.clone());
            }
            hints.push(Hint::Overflow { root: given.clone() });
        }
        hints
    }
}

/// The innermost watched folder around `path`; for such a folder itself also the next one around it.
fn owners<'a>(roots: &'a Roots, path: &Path) -> Vec<(&'a PathBuf, &'a Root)> {
    let mut around: Vec<_> = roots.iter().filter(|(_, root)| path.starts_with(&root.real)).collect();
    around.sort_by_key(|(_, root)| std::cmp::Reverse(root.real.as_os_str().len()));
    let inner_itself = around.first().is_some_and(|(_, root)| root.real == path);
    around.truncate(if inner_itself { 2 } else { 1 });
    around
}

/// Reading is no change. (Our own scans and readers cause such events; telling them would never end.)
fn tells_of_change(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(access) => matches!(access, AccessKind::Close(AccessMode::Write)),
        EventKind::Modify(ModifyKind::Metadata(MetadataKind::AccessTime)) => false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) => true,
        EventKind::Other => false,
    }
}

fn is_departure(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From | RenameMode::Both | RenameMode::Any))
    )
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use notify::Event;
    use notify::event::{CreateKind, Flag};

    use super::super::scan::identity;
    use super::*;

    fn sorter(root: &Path) -> Sorter {
        let real = root.canonicalize().unwrap();
        let root_known = Root { identity: identity(&real), real, polled: false };
        Sorter {
            rules: Rules::new(&[]).unwrap(),
            roots: RwLock::new(BTreeMap::from([(root.to_owned(), root_known)])),
            starved: RwLock::default(),
            tx: crossbeam_channel::bounded(0).0,
        }
    }

    fn created(path: PathBuf) -> DebouncedEvent {
        let event = Event::new(EventKind::Create(CreateKind::File)).add_path(path);
        DebouncedEvent::new(event, Instant::now())
    }

    #[test]
    fn too_many_paths_or_lost_events_are_an_overflow() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let sorter = sorter(root);
        let many: Vec<_> = (0..=MOST_PATHS).map(|n| created(root.join(n.to_string()))).collect();
        let overflow = vec![Hint::Overflow { root: root.to_owned() }];
        assert_eq!(sorter.sort(&many), overflow);
        let told = sorter.sort(&many[..MOST_PATHS]);
        assert!(matches!(&told[..], [Hint::Changed { paths, .. }] if paths.len() == MOST_PATHS));

        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(sorter.sort(&[DebouncedEvent::new(lost, Instant::now())]), overflow);
    }

    #[test]
    fn a_lack_of_watches_is_remembered_and_told() {
        let root = tempfile::tempdir().unwrap();
        let sorter = sorter(root.path());
        let real = root.path().canonicalize().unwrap();
        let inside = |kind| notify::Error::new(kind).add_path(real.join("sub"));
        let elsewhere = notify::Error::generic("x").add_path("elsewhere".into());
        assert_eq!(sorter.sort_errors(&[elsewhere]), []);
        let hints = sorter.sort_errors(&[inside(ErrorKind::MaxFilesWatch)]);
        assert_eq!(hints, [Hint::Overflow { root: root.path().to_owned() }]);
        assert!(sorter.starved.read().contains(&real));
    }
}
