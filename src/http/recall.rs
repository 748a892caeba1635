//! Remembers for a minute which text a vector that we handed out was made of, so that a client that asks by vector (Open WebUI's
//! external-knowledge connector does) can be answered by a search for the text. In memory only, and for each key apart: what
//! one key asked is nothing to another.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// How long a text is remembered.
const KEPT: Duration = Duration::from_secs(60);
/// Vectors remembered for one key; the oldest goes first. A client that embeds its own documents here must not push out the
/// questions of others.
const MOST_OF_A_KEY: usize = 512;
/// Bytes of text remembered for one key.
const MOST_BYTES_OF_A_KEY: usize = 1024 * 1024;
/// Keys that anything is remembered for; the one that was quiet longest goes first.
const MOST_KEYS: usize = 1024;

/// The memory. Share one by `Arc`.
#[derive(Default)]
pub struct Recall {
    by_key: Mutex<HashMap<String, Remembered>>,
}

/// What is remembered for one key.
#[derive(Default)]
struct Remembered {
    texts: HashMap<Print, (Instant, String)>,
    /// In the order of remembering. A vector remembered again stands here twice; the older entry is passed over.
    order: VecDeque<(Instant, Print)>,
    bytes: usize,
}

/// SHA-256 of a vector's exact bits.
type Print = [u8; 32];

impl Recall {
    /// Remembers for the caller `key` that `vector` was made of `text`. A text too long to be a question is not kept.
    pub fn remember(&self, key: &str, vector: &[f32], text: &str) {
        self.remember_at(key, vector, text, Instant::now());
    }

    /// The text that `vector` was made of for the same `key` within the last minute.
    pub fn recall(&self, key: &str, vector: &[f32]) -> Option<String> {
        self.recall_at(key, vector, Instant::now())
    }

    fn remember_at(&self, key: &str, vector: &[f32], text: &str, now: Instant) {
        if text.len() > MOST_BYTES_OF_A_KEY {
            return;
        }
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        by_key.retain(|_, remembered| remembered.forget(now) > 0);
        if by_key.len() >= MOST_KEYS && !by_key.contains_key(key) {
            let quietest = by_key.iter().min_by_key(|(_, remembered)| remembered.order.back().map(|(at, _)| *at));
            if let Some(quietest) = quietest.map(|(key, _)| key.clone()) {
                by_key.remove(&quietest);
            }
        }
        by_key.entry(key.to_owned()).or_default().add(print(vector), text, now);
    }

    fn recall_at(&self, key: &str, vector: &[f32], now: Instant) -> Option<String> {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = by_key.get_mut(key)?;
        remembered.forget(now);
        remembered.texts.get(&print(vector)).map(|(_, text)| text.clone())
    }
}

impl Remembered {
    fn add(&mut self, print: Print, text: &str, now: Instant) {
        if let Some((_, before)) = self.texts.insert(print, (now, text.to_owned())) {
            self.bytes -= before.len();
        }
        self.bytes += text.len();
        self.order.push_back((now, print));
        while self.order.len() > MOST_OF_A_KEY || self.bytes > MOST_BYTES_OF_A_KEY {
            self.drop_oldest();
        }
    }

    /// Drops what is too old. Gives how much is left.
    fn forget(&mut self, now: Instant) -> usize {
        while self.order.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= KEPT) {
            self.drop_oldest();
        }
        self.texts.len()
    }

    fn drop_oldest(&mut self) {
        let Some((at, print)) = self.order.pop_front() else { return };
        if self.texts.get(&print).is_some_and(|(newest, _)| *newest == at)
            && let Some((_, text)) = self.texts.remove(&print)
        {
            self.bytes -= text.len();
        }
    }
}

fn print(vector: &[f32]) -> Print {
    let mut hasher = Sha256::new();
    for number in vector {
        hasher.update(number.to_bits().to_le_bytes());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_recalled_by_the_exact_bits_and_for_its_own_key() {
        let recall = Recall::default();
        recall.remember("a", &[0.1, 0.2], "notice period");
        assert_eq!(recall.recall("a", &[0.1, 0.2]).as_deref(), Some("notice period"));
        assert_eq!(recall.recall("b", &[0.1, 0.2]), None);
        assert_eq!(recall.recall("a", &[0.1, f32::from_bits(0.2_f32.to_bits() + 1)]), None);
        assert_eq!(recall.recall("a", &[]), None);
    }

    #[test]
    fn a_text_is_forgotten_after_a_minute_and_asking_again_renews_it() {
        let (recall, start) = (Recall::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        recall.remember_at("a", &[1.0], "first", at(0));
        recall.remember_at("a", &[1.0], "first", at(50));
        recall.remember_at("a", &[2.0], "second", at(10));
        assert!(recall.recall_at("a", &[1.0], at(69)).is_some() && recall.recall_at("a", &[2.0], at(69)).is_some());
        assert_eq!(recall.recall_at("a", &[1.0], at(109)).as_deref(), Some("first"));
        assert_eq!(recall.recall_at("a", &[1.0], at(110)), None);
        // Nothing is left of a key that went quiet.
        recall.remember_at("b", &[1.0], "x", at(200));
        assert_eq!(recall.by_key.lock().unwrap().len(), 1);
    }

    #[test]
    fn it_does_not_grow() {
        let recall = Recall::default();
        for number in 0..2_000_u16 {
            recall.remember("a", &[f32::from(number)], &"x".repeat(3_000));
        }
        assert!(recall.recall("a", &[1_999.0]).is_some() && recall.recall("a", &[0.0]).is_none());
        recall.remember("a", &[-1.0], &"x".repeat(MOST_BYTES_OF_A_KEY + 1));
        assert_eq!(recall.recall("a", &[-1.0]), None);
        for key in 0..MOST_KEYS + 10 {
            recall.remember(&key.to_string(), &[1.0], "x");
        }
        let by_key = recall.by_key.lock().unwrap();
        assert!(by_key.len() <= MOST_KEYS && by_key.contains_key(&(MOST_KEYS + 9).to_string()));
        assert!(by_key.values().all(|one| one.order.len() <= MOST_OF_A_KEY && one.bytes <= MOST_BYTES_OF_A_KEY));
    }
}
