//! The way to a local model: woken where it sleeps, attested, and asked only when it is one's turn.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::attest::{AttestOptions, Attestation, Attestor, Reached};
use super::queue::{Queue, Turn};
use super::roster::Entry;
use super::wake::{InUse, WakeOptions, Waker};
use super::{GeneratorError, Held, Piece};
use crate::egress::Egress;

/// The way to one model.
pub(super) struct Way {
    attestor: Arc<Attestor>,
    waker: Option<Arc<Waker>>,
    queue: Queue,
}

/// The right to ask it now. It ends when this is dropped.
pub(super) struct Right(#[allow(dead_code, reason = "held for its end")] Turn, #[allow(dead_code)] Option<InUse>);

/// The name that requests to a generator are counted under.
pub(super) fn client(generator: &str) -> String {
    format!("generator:{generator}")
}

impl Way {
    pub fn new(attest: AttestOptions, wake: Option<WakeOptions>, at_once: usize, egress: Egress) -> Self {
        let name = attest.name.clone();
        let attestor = Arc::new(Attestor::new(&client(&name), attest, egress.clone()));
        let waker = wake.map(|wake| Waker::new(name, wake, Arc::clone(&attestor), egress));
        Self { attestor, waker, queue: Queue::new(at_once) }
    }

    /// What was found out last.
    pub fn last(&self) -> Option<Arc<Attestation>> {
        self.attestor.last()
    }

    /// The model as it is listed for people.
    pub fn entry(&self, name: String, kind: &'static str, model: String) -> Entry {
        Entry { name, kind, model: Some(model), attestor: Arc::clone(&self.attestor), waker: self.waker.clone() }
    }

    /// Waits for its turn, and finds out what the model is then.
    pub async fn go(&self, sink: &mut dyn FnMut(Piece<'_>)) -> Result<(Reached, Right), GeneratorError> {
        let in_use = match &self.waker {
            Some(waker) => Some(waker.enter().await),
            None => None,
        };
        // One that is not there, or may not be used, is passed over at once, however many wait for it.
        let mut reached = self.reach(sink).await?;
        let turn = self.queue.turn(&mut |time| sink(Piece::Held(Held::Queued, time))).await?;
        if turn.waited {
            reached = self.reach(sink).await?;
        }
        Ok((reached, Right(turn, in_use)))
    }

    async fn reach(&self, sink: &mut dyn FnMut(Piece<'_>)) -> Result<Reached, GeneratorError> {
        match &self.waker {
            Some(waker) => waker.attest(&mut |held, time| sink(Piece::Held(held, time))).await,
            None => self.attestor.attest().await,
        }
    }
}

/// Bounds work; the time that a model's machine takes to wake is not part of it.
pub(super) async fn within<T>(
    longest: Duration,
    work: impl Future<Output = Result<T, GeneratorError>>,
) -> Result<T, GeneratorError> {
    let late = |_| Err(GeneratorError::Failed(format!("it was not done after {} s", longest.as_secs())));
    timeout(longest, work).await.unwrap_or_else(late)
}
