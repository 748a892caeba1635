//! The models that are loaded: one is active, and during a model swap the one before it stays for collections not flipped yet.

use std::sync::Arc;

use parking_lot::RwLock;

use super::Embedder;
use crate::model::Fingerprint;

/// The loaded models, shared. Empty when no model could be loaded: then only full-text search works, and `why` says why.
#[derive(Clone, Default)]
pub struct Embedders {
    inner: Arc<RwLock<Loaded>>,
}

#[derive(Default)]
struct Loaded {
    all: Vec<Embedder>,
    why: Option<String>,
}

impl Embedders {
    /// Makes `embedder` the active model; those before it stay loaded.
    pub fn activate(&self, embedder: Embedder) {
        let mut loaded = self.inner.write();
        loaded.all.retain(|old| old.fingerprint() != embedder.fingerprint());
        loaded.all.push(embedder);
        loaded.why = None;
    }

    /// Says for people why no model is loaded.
    pub fn unavailable(&self, why: String) {
        self.inner.write().why = Some(why);
    }

    /// The model that new vectors are made with.
    pub fn active(&self) -> Option<Embedder> {
        self.inner.read().all.last().cloned()
    }

    /// The loaded model of that fingerprint.
    pub fn get(&self, fingerprint: &Fingerprint) -> Option<Embedder> {
        self.inner.read().all.iter().find(|embedder| embedder.fingerprint() == fingerprint).cloned()
    }

    /// Unloads every model but the active one.
    pub fn retire_others(&self) {
        let mut loaded = self.inner.write();
        let keep = loaded.all.len().saturating_sub(1);
        loaded.all.drain(..keep);
    }

    /// Why there is no active model; none if there is one, or nobody said.
    pub fn why(&self) -> Option<String> {
        self.inner.read().why.clone()
    }
}
