//! Keys: who may ask, for which collections, and for how long. They lie as hashes beside the registry of collections, so that
//! one made on the command line counts at the very next request.
//!
//! A key is `sr_`, an id of eight hexadecimal digits that finds its row, and 256 random bits that prove it. Keys are bound to
//! ids of collections: one made again under an old name is not reached. A revoked key keeps its row, so that the server never
//! opens again by itself.

mod scopes;
mod store;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use strongroom_ingest::model::Reach;
use subtle::ConstantTimeEq;

pub use scopes::{Destination, Scope, Scopes};
use store::Store;

/// Bytes of a key's secret part.
const SECRET: usize = 32;
/// What every key begins with, so that people and scanners know one when they see it.
const PREFIX: &str = "sr_";

/// Why keys could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be used.
    #[error("the keys can't be read: {0}")]
    Store(#[from] rusqlite::Error),
    /// No key has that name or id, or it was revoked.
    #[error("there is no such key")]
    NoKey,
    /// A key of that name is in use.
    #[error("a key of that name exists already: revoke or rotate it")]
    Exists,
    /// The system gives no random bytes.
    #[error("this system gives no random bytes")]
    NoRandom,
}

/// What a key is made with.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// A name for people; one key in use bears it.
    pub name: String,
    /// Which collections it reaches.
    pub reach: Reach,
    /// What it may do there.
    pub scopes: Scopes,
    /// Where what it reads may go.
    pub destination: Destination,
    /// When it ends; none for never.
    pub expires_at: Option<Timestamp>,
}

/// A key as it is kept: everything but the secret.
#[derive(Clone, Debug)]
pub struct Key {
    /// Eight hexadecimal digits.
    pub id: String,
    /// What it was made with.
    pub made: NewKey,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the minute; none if never.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked; none if it is in use.
    pub revoked_at: Option<Timestamp>,
}

impl Key {
    /// Whether it opens anything at that time.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.made.expires_at.is_none_or(|end| now < end)
    }
}

/// The keys of a data folder. Cheap to clone; every method may wait for the disk.
#[derive(Clone)]
pub struct Keys {
    store: Arc<Store>,
    /// Whether a key was seen: there is no way back from that, so nobody need look again.
    seen: Arc<AtomicBool>,
}

impl Keys {
    /// Opens the keys of the data folder, which must exist.
    ///
    /// # Errors
    /// If the file can't be used.
    pub fn open(data: &Path) -> Result<Self, KeyError> {
        Ok(Self { store: Arc::new(Store::open(&data.join("strongroom.db"))?), seen: Arc::default() })
    }

    /// Makes a key; its text, which is told once and kept nowhere.
    ///
    /// # Errors
    /// [`KeyError::Exists`] if a key in use has the name.
    pub fn create(&self, new: &NewKey) -> Result<String, KeyError> {
        self.made(new, None)
    }

    /// Makes a key, and ends another in the same moment: whatever happens, one of the two is in use.
    fn made(&self, new: &NewKey, instead_of: Option<&str>) -> Result<String, KeyError> {
        let (id, secret) = (random::<4>()?, random::<SECRET>()?);
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        self.store.insert(&id, &hash(&secret), new, instead_of)?;
        Ok(format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret)))
    }

    /// Every key there ever was, oldest first.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn all(&self) -> Result<Vec<Key>, KeyError> {
        self.store.all()
    }

    /// Ends a key, by its id or name.
    ///
    /// # Errors
    /// [`KeyError::NoKey`] if none in use has it.
    pub fn revoke(&self, id_or_name: &str) -> Result<Key, KeyError> {
        let key = self.in_use(id_or_name)?;
        self.store.revoke(&key.id)?;
        Ok(key)
    }

    /// Ends a key and makes another that may do the same; the new one's text.
    ///
    /// # Errors
    /// [`KeyError::NoKey`] if none in use has the id or name.
    pub fn rotate(&self, id_or_name: &str) -> Result<String, KeyError> {
        let key = self.in_use(id_or_name)?;
        self.made(&key.made, Some(&key.id))
    }

    /// Whether a key was ever made, whatever became of it.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn any_ever(&self) -> Result<bool, KeyError> {
        if !self.seen.load(Ordering::Relaxed) && self.store.any()? {
            self.seen.store(true, Ordering::Relaxed);
        }
        Ok(self.seen.load(Ordering::Relaxed))
    }

    /// The key that this text is, if it is in use now. Takes the same time whichever part is wrong.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn check(&self, text: &str) -> Result<Option<Key>, KeyError> {
        let parsed = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
        let (id, secret) = parsed.unwrap_or_default();
        let secret = URL_SAFE_NO_PAD.decode(secret).unwrap_or_default();
        let found = self.store.find(id)?;
        let (held, key) = found.map_or(([0; 32], None), |(hash, key)| (hash, Some(key)));
        let matches: bool = hash(&secret).ct_eq(&held).into();
        let Some(key) = key.filter(|key| matches && key.is_valid(Timestamp::now())) else { return Ok(None) };
        // A full disk is no reason to turn away whoever only asks.
        if let Err(error) = self.store.used(&key) {
            tracing::warn!(key = key.id, %error, "the last use of a key could not be written down");
        }
        Ok(Some(key))
    }

    fn in_use(&self, id_or_name: &str) -> Result<Key, KeyError> {
        let bears = |key: &Key| key.revoked_at.is_none() && (key.id == id_or_name || key.made.name == id_or_name);
        self.all()?.into_iter().find(bears).ok_or(KeyError::NoKey)
    }
}

fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], KeyError> {
    let mut bytes = [0; LENGTH];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| KeyError::NoRandom)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use strongroom_ingest::model::CollectionId;

    use super::*;

    fn new(name: &str) -> NewKey {
        NewKey {
            name: name.to_owned(),
            reach: Reach::Only(HashSet::from([CollectionId(7)])),
            scopes: "search,read".parse().unwrap(),
            destination: Destination::Cloud,
            expires_at: None,
        }
    }

    #[test]
    fn a_key_opens_until_it_is_revoked_and_is_kept_as_a_hash() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path()).unwrap();
        assert!(!keys.any_ever().unwrap());
        let text = keys.create(&new("one")).unwrap();
        assert!(matches!(keys.create(&new("one")), Err(KeyError::Exists)));
        let key = keys.check(&text).unwrap().unwrap();
        assert_eq!(
            (key.made.name.as_str(), &key.made.reach, key.made.destination),
            ("one", &new("one").reach, Destination::Cloud)
        );
        assert!(keys.all().unwrap()[0].last_used_at.is_some());
        let secret = text.rsplit('_').next().unwrap();
        let mut stored = Vec::new();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            stored.extend(std::fs::read(entry.unwrap().path()).unwrap());
        }
        assert!(!stored.windows(secret.len()).any(|window| window == secret.as_bytes()));

        // Another process sees what this one does, at once.
        let other = Keys::open(folder.path()).unwrap();
        let rotated = other.rotate("one").unwrap();
        assert!(keys.check(&text).unwrap().is_none());
        assert!(keys.check(&rotated).unwrap().is_some());
        other.revoke("one").unwrap();
        assert!(keys.check(&rotated).unwrap().is_none());
        assert!(matches!(keys.revoke("one"), Err(KeyError::NoKey)));
        assert!(keys.any_ever().unwrap());
    }

    #[test]
    fn what_is_nearly_a_key_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path()).unwrap();
        let text = keys.create(&new("one")).unwrap();
        let mut altered = text.clone().into_bytes();
        let at = altered.len() - 5;
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        let no_secret = text.rsplit_once('_').unwrap().0.to_owned() + "_";
        for wrong in ["", "sr_", "sr__", &text[..text.len() - 1], &text[3..], &no_secret, &altered, &format!("{text}x")] {
            assert!(keys.check(wrong).unwrap().is_none(), "{wrong}");
        }
        let ended = NewKey { expires_at: Some(Timestamp::UNIX_EPOCH), ..new("two") };
        let ended = keys.create(&ended).unwrap();
        assert!(keys.check(&ended).unwrap().is_none());
    }
}
