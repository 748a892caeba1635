//! What is to be read next: collections take turns, and what somebody waits for goes first.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::model::{CollectionId, DocumentId};

/// One document to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub collection: CollectionId,
    pub document: DocumentId,
}

/// The queue. Only ids are kept: what a document is stands in its catalog.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Documents of each collection, oldest first, with their sizes.
    waiting: HashMap<CollectionId, VecDeque<(DocumentId, u64)>>,
    /// Whose turn it is next.
    turns: VecDeque<CollectionId>,
    /// Waited for: these go first.
    urgent: VecDeque<Job>,
    /// Everything in `waiting`, so that nothing stands there twice.
    known: HashSet<Job>,
    /// Being read right now.
    running: HashSet<Job>,
    /// Seen again while it was being read: to be read once more.
    again: HashMap<Job, u64>,
    bytes: u64,
    held: Option<String>,
    closed: bool,
}

impl Queue {
    /// Adds a document; nothing happens if it waits already.
    pub fn push(&self, job: Job, bytes: u64) {
        let mut state = self.state.lock();
        if state.running.contains(&job) {
            state.again.insert(job, bytes);
            return;
        }
        state.add(job, bytes);
        self.changed.notify_one();
    }

    /// Lets a document go first, if it waits.
    pub fn hurry(&self, job: Job) {
        let mut state = self.state.lock();
        if state.known.contains(&job) && !state.urgent.contains(&job) {
            state.urgent.push_back(job);
            self.changed.notify_one();
        }
    }

    /// The next document, as soon as there is one and nothing holds the queue; none once closed.
    pub fn pop(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            let next = if state.held.is_none() { state.next() } else { None };
            if let Some(job) = next {
                state.running.insert(job);
                return Some(job);
            }
            let _ = self.changed.wait_for(&mut state, Duration::from_secs(1));
        }
    }

    /// Says that a document taken by [`Queue::pop`] is done with.
    pub fn done(&self, job: Job) {
        let mut state = self.state.lock();
        state.running.remove(&job);
        if let Some(bytes) = state.again.remove(&job) {
            state.add(job, bytes);
            self.changed.notify_one();
        }
    }

    /// Forgets a collection that is being destroyed; true while a document of it is still being read.
    pub fn drop_collection(&self, id: CollectionId) -> bool {
        let mut state = self.state.lock();
        if let Some(waiting) = state.waiting.remove(&id) {
            state.bytes -= waiting.iter().map(|(_, bytes)| bytes).sum::<u64>();
        }
        state.turns.retain(|turn| *turn != id);
        state.urgent.retain(|job| job.collection != id);
        state.known.retain(|job| job.collection != id);
        state.again.retain(|job, _| job.collection != id);
        state.running.iter().any(|job| job.collection == id)
    }

    /// Holds the queue, with a reason for people, or lets it go on.
    pub fn hold(&self, why: Option<String>) {
        self.state.lock().held = why;
        self.changed.notify_all();
    }

    /// Why it is held.
    pub fn held(&self) -> Option<String> {
        self.state.lock().held.clone()
    }

    /// Documents waiting or being read, and bytes of those waiting.
    pub fn load(&self) -> (u64, u64) {
        let state = self.state.lock();
        ((state.known.len() + state.running.len()) as u64, state.bytes)
    }

    /// Ends every [`Queue::pop`].
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}

impl State {
    fn add(&mut self, job: Job, bytes: u64) {
        if !self.known.insert(job) {
            return;
        }
        self.bytes += bytes;
        let waiting = self.waiting.entry(job.collection).or_default();
        if waiting.is_empty() {
            self.turns.push_back(job.collection);
        }
        waiting.push_back((job.document, bytes));
    }

    fn next(&mut self) -> Option<Job> {
        if let Some(job) = self.urgent.pop_front() {
            let waiting = self.waiting.get_mut(&job.collection)?;
            let place = waiting.iter().position(|(document, _)| *document == job.document)?;
            let (_, bytes) = waiting.remove(place)?;
            self.taken(job, bytes);
            return Some(job);
        }
        let collection = self.turns.pop_front()?;
        let (document, bytes) = self.waiting.get_mut(&collection)?.pop_front()?;
        let job = Job { collection, document };
        self.turns.push_back(collection);
        self.taken(job, bytes);
        Some(job)
    }

    /// Keeps the counts right after a document left `waiting`; a collection without more gives up its turn.
    fn taken(&mut self, job: Job, bytes: u64) {
        self.known.remove(&job);
        self.bytes -= bytes;
        if self.waiting.get(&job.collection).is_some_and(VecDeque::is_empty) {
            self.waiting.remove(&job.collection);
            self.turns.retain(|turn| *turn != job.collection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(collection: u128, document: u128) -> Job {
        Job { collection: CollectionId(collection), document: DocumentId(document) }
    }

    #[test]
    fn collections_take_turns_and_nothing_stands_twice() {
        let queue = Queue::default();
        for document in 0..3 {
            queue.push(job(1, document), 10);
            queue.push(job(1, document), 10);
        }
        queue.push(job(2, 9), 5);
        assert_eq!(queue.load(), (4, 35));
        let order: Vec<_> = (0..4).filter_map(|_| queue.pop()).collect();
        assert_eq!(order, [job(1, 0), job(2, 9), job(1, 1), job(1, 2)]);
        assert_eq!(queue.load(), (4, 0));
    }

    #[test]
    fn who_is_waited_for_goes_first_and_a_change_meanwhile_is_not_lost() {
        let queue = Queue::default();
        queue.push(job(1, 1), 1);
        queue.push(job(1, 2), 1);
        queue.hurry(job(1, 2));
        assert_eq!(queue.pop(), Some(job(1, 2)));
        queue.push(job(1, 2), 1);
        queue.done(job(1, 2));
        assert_eq!(queue.pop(), Some(job(1, 1)));
        assert_eq!(queue.pop(), Some(job(1, 2)));
    }
}
