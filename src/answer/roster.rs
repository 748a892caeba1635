//! The configured generators and other local endpoints as people look at them: which is ready, and why one is not.

use std::sync::Arc;

use futures_util::future::join_all;

use super::GeneratorError;
use super::attest::{AttestOptions, Attestation, Attestor, Record, RecordError, Records};
use super::wake::{Awake, Waker};
use super::way::client;
use crate::egress::Egress;

/// One of them.
pub struct Entry {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) model: Option<String>,
    pub(super) attestor: Arc<Attestor>,
    pub(super) waker: Option<Arc<Waker>>,
}

/// All of them, in the order of the configuration.
#[derive(Default)]
pub struct Roster {
    entries: Vec<Entry>,
    egress: Egress,
    records: Option<Arc<Records>>,
}

/// Whether something can be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// Not at once, and it can be woken.
    Asleep,
    /// Nobody answers there, or it still loads its model.
    Unreachable,
    /// It is not what may be used.
    Refused,
}

impl Readiness {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Asleep => "asleep",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
        }
    }
}

/// What one of them is now.
#[derive(Clone, Debug)]
pub struct Look {
    /// Its name in the configuration.
    pub name: String,
    /// `openai`, `ollama` or `other`.
    pub kind: &'static str,
    /// Its model; none where it writes no answers.
    pub model: Option<String>,
    /// Whether it can be used now.
    pub state: Readiness,
    /// Why it cannot, for people.
    pub why: Option<String>,
    /// What was found out; none where it cannot be used.
    pub attested: Option<Arc<Attestation>>,
    /// How often it was woken, where it can be.
    pub awake: Option<Awake>,
    /// Requests sent to it since the start, those that only ask what it is among them.
    pub requests: u64,
}

impl Entry {
    /// Something that is never asked for answers.
    pub fn other(options: AttestOptions, egress: Egress) -> Self {
        let model = Some(options.model.clone()).filter(|model| !model.is_empty());
        let name = options.name.clone();
        let attestor = Arc::new(Attestor::new(&client(&name), options, egress));
        Self { name, kind: "other", model, attestor, waker: None }
    }

    /// Finds out what it is now. Wakes nothing.
    async fn look(&self, egress: &Egress) -> Look {
        let found = self.attestor.attest().await;
        if let Some(waker) = &self.waker {
            waker.saw(&found, 0);
        }
        let why = found.as_ref().err().map(ToString::to_string);
        let state = match &found {
            Ok(_) => Readiness::Ready,
            Err(GeneratorError::Unreachable(_)) if self.waker.is_some() => Readiness::Asleep,
            Err(GeneratorError::Unreachable(_) | GeneratorError::Loading) => Readiness::Unreachable,
            Err(_) => Readiness::Refused,
        };
        let requests = egress.counts().get(self.attestor.client()).map_or(0, |counts| counts.requests);
        Look {
            name: self.name.clone(),
            kind: self.kind,
            model: self.model.clone(),
            state,
            why,
            attested: found.ok().map(|reached| reached.found),
            awake: self.waker.as_ref().map(|waker| waker.awake()),
            requests,
        }
    }
}

impl Roster {
    /// `egress` is what their requests leave by.
    pub fn new(entries: Vec<Entry>, egress: Egress, records: Option<Arc<Records>>) -> Self {
        Self { entries, egress, records }
    }

    /// Finds out what each is now. Wakes nothing.
    pub async fn look(&self) -> Vec<Look> {
        join_all(self.entries.iter().map(|entry| entry.look(&self.egress))).await
    }

    /// How often each that can be woken was, by name.
    pub fn awake(&self) -> Vec<(String, Awake)> {
        let woken = |entry: &Entry| Some((entry.name.clone(), entry.waker.as_ref()?.awake()));
        self.entries.iter().filter_map(woken).collect()
    }

    /// Changes of what was found out, the newest first. Blocks.
    pub fn history(&self, before: Option<i64>, limit: usize) -> Result<Vec<Record>, RecordError> {
        match &self.records {
            Some(records) => records.list(before, limit),
            None => Ok(Vec::new()),
        }
    }
}
