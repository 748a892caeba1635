//! A bounded line in front of a local model: local servers have few slots, and what waits here can be given up by its asker, while
//! what waits there times out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::GeneratorError;

/// Requests that may wait for one model.
const MOST: usize = 64;
/// Time between two words to who waits.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// The line of one model.
pub(super) struct Queue {
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// The right to ask now. It ends when this is dropped.
pub(super) struct Turn {
    _slot: OwnedSemaphorePermit,
    /// Whether others came first.
    pub waited: bool,
}

impl Queue {
    /// So many are let through at the same time.
    pub fn new(at_once: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS))), waiting: AtomicUsize::new(0) }
    }

    /// Waits for its turn, first come first served. `tell` hears every few seconds how long it has waited.
    pub async fn turn(&self, tell: &mut dyn FnMut(Duration)) -> Result<Turn, GeneratorError> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(Turn { _slot: slot, waited: false });
        }
        let _waiting = Waiting::begin(&self.waiting)?;
        let begun = Instant::now();
        let mut slot = Box::pin(Arc::clone(&self.slots).acquire_owned());
        loop {
            tell(begun.elapsed());
            match timeout(TELL_EVERY, &mut slot).await {
                Err(_) => {}
                Ok(Ok(slot)) => return Ok(Turn { _slot: slot, waited: true }),
                // Nobody ever closes it.
                Ok(Err(_)) => return Err(GeneratorError::Failed("nobody may ask it any more".into())),
            }
        }
    }
}

/// A place in the line.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Result<Self, GeneratorError> {
        let place = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) >= MOST {
            return Err(GeneratorError::Unreachable(format!("{MOST} requests wait for it already")));
        }
        Ok(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_came_first_goes_first_and_who_gives_up_leaves_no_gap() {
        tokio::task::LocalSet::new().run_until(in_order()).await;
    }

    async fn in_order() {
        let queue = Arc::new(Queue::new(1));
        let first = queue.turn(&mut |_| ()).await.unwrap();
        assert!(!first.waited);
        let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
        let mut waiting = Vec::new();
        for number in 0..3 {
            let (own, done) = (Arc::clone(&queue), done.clone());
            waiting.push(tokio::task::spawn_local(async move {
                let turn = own.turn(&mut |_| ()).await.unwrap();
                assert!(turn.waited);
                done.send(number).unwrap();
            }));
            while queue.waiting.load(Ordering::Relaxed) <= number {
                tokio::task::yield_now().await;
            }
        }
        waiting[0].abort();
        drop(first);
        assert_eq!((order.recv().await, order.recv().await), (Some(1), Some(2)));
        drop(queue.turn(&mut |_| ()).await.unwrap());
        assert_eq!(queue.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_says_so() {
        tokio::task::LocalSet::new().run_until(too_long()).await;
    }

    async fn too_long() {
        let queue = Arc::new(Queue::new(1));
        let _first = queue.turn(&mut |_| ()).await.unwrap();
        let waiting: Vec<_> = (0..MOST)
            .map(|_| {
                let own = Arc::clone(&queue);
                tokio::task::spawn_local(async move { own.turn(&mut |_| ()).await.map(drop) })
            })
            .collect();
        while queue.waiting.load(Ordering::Relaxed) < MOST {
            tokio::task::yield_now().await;
        }
        let refused = queue.turn(&mut |_| ()).await.err().unwrap();
        assert!(refused.to_string().contains("64 requests wait"), "{refused}");
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
