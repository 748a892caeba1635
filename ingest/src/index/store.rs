//! The data folder: one process owns it, collections are opened when used and closed when others need the room.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use super::catalog::Catalog;
use super::collection::CATALOG;
use super::lanes::Tasks;
use super::records::CollectionRecord;
use super::registry::{Entry, Registry};
use super::{Collection, IndexError};
use crate::model::CollectionId;

/// How the data folder is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The data folder; made with mode 0700 if it is not there.
    pub data: PathBuf,
    /// Collections open at the same time, at most (more only while all of them are in use).
    pub open_collections: usize,
}

/// The opened data folder. One process has it at a time.
pub struct Store {
    options: StoreOptions,
    registry: Registry,
    open: Mutex<OpenCollections>,
    tasks: Arc<Tasks>,
    settled: (Mutex<u64>, Condvar),
    _lock: File,
}

#[derive(Default)]
struct OpenCollections {
    /// Each with the tick at which it was last asked for.
    by_id: HashMap<CollectionId, (Arc<Collection>, u64)>,
    tick: u64,
}

/// What removing a collection's folder took away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Removed {
    /// Files.
    pub files: u64,
    /// Bytes they held.
    pub bytes: u64,
}

impl Store {
    /// Opens the folder, makes it if it is new, migrates it if it is old.
    ///
    /// # Errors
    /// [`IndexError::InUse`] if another process has it, [`IndexError::Format`] if a newer program wrote it.
    pub fn open(options: StoreOptions) -> Result<Arc<Self>, IndexError> {
        make_private(&options.data)?;
        let lock = lock(&options.data.join("lock"))?;
        for sub in ["collections", "ledger", "uploads"] {
            make_private(&options.data.join(sub))?;
        }
        let registry = options.data.join("strongroom.db");
        // An empty registry would make leftovers of all collections.
        let lost = fs::metadata(&registry).map_or(true, |file| file.len() == 0);
        if lost && fs::read_dir(options.data.join("collections"))?.next().is_some() {
            return Err(IndexError::Damaged(
                "strongroom.db is gone from the data folder, but not its collections: bring it back".into(),
            ));
        }
        let registry = Registry::open(&registry)?;
        let store = Self {
            registry,
            open: Mutex::default(),
            tasks: Arc::new(Tasks::default()),
            settled: (Mutex::new(0), Condvar::new()),
            _lock: lock,
            options,
        };
        store.sweep_leftovers()?;
        Ok(Arc::new(store))
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.options.data
    }

    /// Which collections there are.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What the two index lanes have to do.
    pub fn tasks(&self) -> &Arc<Tasks> {
        &self.tasks
    }

    /// Where a collection keeps everything.
    pub fn folder(&self, id: CollectionId) -> PathBuf {
        self.options.data.join("collections").join(id.to_string())
    }

    /// Every collection's record, by name. A damaged one says so under `missing` and counts nothing.
    pub fn records(&self) -> Result<Vec<CollectionRecord>, IndexError> {
        let records = self.registry.all()?.into_iter().map(|entry| self.record(entry));
        // One that is destroyed meanwhile is simply not there.
        records.filter(|record| !matches!(record, Err(IndexError::NoCollection))).collect()
    }

    /// The record of one registered collection.
    pub fn record(&self, entry: Entry) -> Result<CollectionRecord, IndexError> {
        let mut record = CollectionRecord {
            id: entry.id,
            name: entry.name,
            title: entry.title,
            created_at: entry.created_at,
            watched: entry.watched,
            missing: entry.missing,
            counts: Default::default(),
            chunks: 0,
            fingerprint: None,
        };
        let filled = self.by_id(entry.id).and_then(|collection| {
            record.counts = collection.counts()?;
            record.chunks = collection.catalog().live_chunks()?;
            record.fingerprint = collection.catalog().fingerprint()?;
            Ok(())
        });
        match filled {
            Ok(()) => {}
            Err(IndexError::NoCollection) => return Err(IndexError::NoCollection),
            Err(IndexError::Damaged(what)) => record.missing = Some(format!("damaged: {what}")),
            // The trouble of one collection is no other's: they are listed together.
            Err(other) => record.missing = Some(format!("it can't be opened: {other}")),
        }
        Ok(record)
    }

    /// Makes an empty collection.
    ///
    /// # Errors
    /// [`IndexError::Exists`] if the name is taken.
    pub fn create(&self, name: &str, title: &str, watched: Option<&Path>) -> Result<Entry, IndexError> {
        // As it is stored: in whole seconds, so that a record reads the same now and ever after.
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH);
        let entry = Entry {
            id: CollectionId(Uuid::new_v4().as_u128()),
            name: name.to_owned(),
            title: title.to_owned(),
            created_at: now,
            watched: watched.map(Path::to_owned),
            missing: None,
        };
        // The folder first: a registered collection always has one; a folder nobody registered is removed at the next start.
        let folder = self.folder(entry.id);
        make_private(&folder)?;
        make_private(&folder.join("originals"))?;
        drop(Catalog::open(&folder.join(CATALOG))?);
        if let Err(error) = self.registry.add(&entry) {
            fs::remove_dir_all(&folder)?;
            return Err(error);
        }
        Ok(entry)
    }

    /// The open collection of that name; opens it if needed.
    pub fn by_name(&self, name: &str) -> Result<Arc<Collection>, IndexError> {
        let entry = self.registry.by_name(name)?.ok_or(IndexError::NoCollection)?;
        self.opened(entry)
    }

    /// The open collection of that id; opens it if needed.
    pub fn by_id(&self, id: CollectionId) -> Result<Arc<Collection>, IndexError> {
        {
            let mut open = self.open.lock();
            open.tick += 1;
            let tick = open.tick;
            if let Some((collection, used)) = open.by_id.get_mut(&id) {
                *used = tick;
                return Ok(collection.clone());
            }
        }
        let entry = self.registry.by_id(id)?.ok_or(IndexError::NoCollection)?;
        self.opened(entry)
    }

    /// Opens the collections that were written to last, at most so many, so that the first questions after a start need not wait
    /// for that. What cannot be opened is told to whoever asks for it.
    pub fn warm(&self, most: usize) {
        let Ok(entries) = self.registry.all() else { return };
        let written = |id| std::fs::metadata(self.folder(id).join(CATALOG)).and_then(|about| about.modified()).ok();
        let mut newest: Vec<_> = entries.into_iter().map(|entry| (written(entry.id), entry.id)).collect();
        newest.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
        for (_, id) in newest.into_iter().take(most.min(self.options.open_collections)) {
            let Ok(collection) = self.by_id(id) else { continue };
            let _ = collection.text_index();
            let _ = collection.vector_index();
        }
    }

    /// The collection of that id, only if it is open.
    pub fn if_open(&self, id: CollectionId) -> Option<Arc<Collection>> {
        self.open.lock().by_id.get(&id).map(|(collection, _)| collection.clone())
    }

    fn opened(&self, entry: Entry) -> Result<Arc<Collection>, IndexError> {
        let mut open = self.open.lock();
        open.tick += 1;
        let tick = open.tick;
        if let Some((collection, used)) = open.by_id.get_mut(&entry.id) {
            *used = tick;
            return Ok(collection.clone());
        }
        // Asked again, now that nobody can destroy it unseen.
        if self.registry.by_id(entry.id)?.is_none() {
            return Err(IndexError::NoCollection);
        }
        let folder = self.folder(entry.id);
        let collection = Arc::new(Collection::open(entry.id, entry.name, folder, self.tasks.clone())?);
        open.make_room(self.options.open_collections);
        open.by_id.insert(entry.id, (collection.clone(), tick));
        Ok(collection)
    }

    /// Takes a collection out of the registry and removes its folder. Waits a while for searches that still look at it.
    pub fn destroy(&self, id: CollectionId, detach: Option<&Path>) -> Result<Removed, IndexError> {
        self.registry.remove(id, detach)?;
        self.tasks.drop_collection(id);
        let held = self.open.lock().by_id.remove(&id);
        if let Some((collection, _)) = held {
            collection.close();
            for _ in 0..200 {
                if Arc::strong_count(&collection) == 1 {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
        let folder = self.folder(id);
        let mut removed = Removed::default();
        measure(&folder, &mut removed)?;
        // Moved aside first: from here on it is no collection, however often removing it is interrupted.
        let aside = self.options.data.join("collections").join(format!("{id}.destroyed"));
        fs::rename(&folder, &aside)?;
        fs::remove_dir_all(&aside)?;
        Ok(removed)
    }

    /// Tells everybody who waits that documents may have changed their state.
    pub fn settle(&self) {
        *self.settled.0.lock() += 1;
        self.settled.1.notify_all();
    }

    /// A number that grows with every [`Store::settle`].
    pub fn settled(&self) -> u64 {
        *self.settled.0.lock()
    }

    /// Waits until it has grown past `seen`, at most `timeout`.
    pub fn wait_settled(&self, seen: u64, timeout: std::time::Duration) {
        let mut count = self.settled.0.lock();
        if *count == seen {
            let _ = self.settled.1.wait_for(&mut count, timeout);
        }
    }

    /// Closes every collection that is not in use right now.
    pub fn close_idle(&self) {
        self.open.lock().make_room(0);
    }

    /// Removes what an interrupted creation, destruction or upload left behind.
    fn sweep_leftovers(&self) -> Result<(), IndexError> {
        for upload in fs::read_dir(self.options.data.join("uploads"))? {
            fs::remove_file(upload?.path())?;
        }
        for folder in fs::read_dir(self.options.data.join("collections"))? {
            let folder = folder?;
            let id = folder.file_name().to_str().and_then(|name| name.parse::<CollectionId>().ok());
            let known = match id {
                Some(id) => self.registry.by_id(id)?.is_some(),
                None => false,
            };
            if !known && folder.file_type()?.is_dir() {
                fs::remove_dir_all(folder.path())?;
            }
        }
        Ok(())
    }
}

impl OpenCollections {
    /// Closes the least recently used collections that nobody holds, until fewer than `most` are open.
    fn make_room(&mut self, most: usize) {
        while self.by_id.len() >= most.max(1) {
            let idle = self.by_id.iter().filter(|(_, (collection, _))| Arc::strong_count(collection) == 1);
            let Some(oldest) = idle.min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id) else { return };
            self.by_id.remove(&oldest);
        }
    }
}

/// Makes a folder that only its owner can enter, or sees to it that it is one.
pub(crate) fn make_private(folder: &Path) -> Result<(), IndexError> {
    fs::create_dir_all(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Takes the lock file, or says which process has it.
fn lock(file: &Path) -> Result<File, IndexError> {
    let mut lock = File::options().read(true).write(true).create(true).truncate(false).open(file)?;
    if lock.try_lock().is_err() {
        let mut text = String::new();
        lock.read_to_string(&mut text)?;
        return Err(IndexError::InUse(text.trim().parse().unwrap_or(0)));
    }
    lock.set_len(0)?;
    lock.rewind()?;
    write!(lock, "{}", std::process::id())?;
    Ok(lock)
}

fn measure(folder: &Path, removed: &mut Removed) -> Result<(), IndexError> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                removed.files += 1;
                removed.bytes += metadata.len();
            }
        }
    }
    Ok(())
}
