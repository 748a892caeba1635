//! How a generator learns that nobody waits for its answer any more.

use tokio::sync::watch;

/// Held by whoever waits for an answer; dropping it says that nobody does.
#[derive(Debug)]
pub struct Waiting {
    // Never sent through: its end is the message.
    _alive: watch::Sender<()>,
}

/// Tells whether somebody still waits.
#[derive(Clone, Debug)]
pub struct Cancel(Option<watch::Receiver<()>>);

/// The two ends.
pub fn waiting() -> (Waiting, Cancel) {
    let (alive, seen) = watch::channel(());
    (Waiting { _alive: alive }, Cancel(Some(seen)))
}

impl Cancel {
    /// For work that is always wanted.
    pub fn never() -> Self {
        Self(None)
    }

    /// Whether nobody waits any more.
    pub fn is_cancelled(&self) -> bool {
        self.0.as_ref().is_some_and(|seen| seen.has_changed().is_err())
    }

    /// Comes back once nobody waits any more.
    pub async fn cancelled(&self) {
        match self.0.clone() {
            Some(mut seen) => while seen.changed().await.is_ok() {},
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dropping_the_waiting_end_cancels() {
        let (waiting, cancel) = waiting();
        assert!(!cancel.is_cancelled());
        let seen = tokio::spawn({
            let cancel = cancel.clone();
            async move { cancel.cancelled().await }
        });
        drop(waiting);
        seen.await.unwrap();
        assert!(cancel.is_cancelled() && !Cancel::never().is_cancelled());
    }
}
