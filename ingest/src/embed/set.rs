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
    active: Option<Embedder>,
    others: Vec<Embedder>,
    why: Option<String>,
}

impl Embedders {
    /// Makes `embedder` the active model; those before it stay loaded.
    pub fn activate(&self, embedder: Embedder) {
        let mut loaded = self.inner.write();
        loaded.others.retain(|old| old.fingerprint() != embedder.fingerprint());
        let before = loaded.active.replace(embedder.clone());
        loaded.others.extend(before.filter(|before| before.fingerprint() != embedder.fingerprint()));
        loaded.why = None;
    }

    /// Loads a model beside the active one, for collections that still hold its vectors.
    pub fn keep(&self, embedder: Embedder) {
        let mut loaded = self.inner.write();
        loaded.others.retain(|old| old.fingerprint() != embedder.fingerprint());
        loaded.others.push(embedder);
    }

    /// Says for people why no model is loaded.
    pub fn unavailable(&self, why: String) {
        self.inner.write().why = Some(why);
    }

    /// The model that new vectors are made with.
    pub fn active(&self) -> Option<Embedder> {
        self.inner.read().active.clone()
    }

    /// The loaded model of that fingerprint.
    pub fn get(&self, fingerprint: &Fingerprint) -> Option<Embedder> {
        let loaded = self.inner.read();
        let mut all = loaded.active.iter().chain(&loaded.others);
        all.find(|embedder| embedder.fingerprint() == fingerprint).cloned()
    }

    /// Chunks that went through any of the loaded models since it was loaded.
    pub fn embedded(&self) -> u64 {
        let loaded = self.inner.read();
        loaded.active.iter().chain(&loaded.others).map(Embedder::embedded).sum()
    }

    /// Why there is no active model; none if there is one, or nobody said.
    pub fn why(&self) -> Option<String> {
        self.inner.read().why.clone()
    }
}
