//! Ids of MCP sessions, bound to the key that began them, without a table: each id carries its own proof.
//!
//! An id is 16 random bytes and the HMAC-SHA-256 of those bytes and the key's identity, under a secret of this process. So an
//! id that another key presents is as unknown as one that was never given, no session costs memory, and after a restart every
//! client begins anew, as the protocol has it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const NONCE: usize = 16;
const PROOF: usize = 32;

/// Gives ids and knows its own again.
pub(super) struct Sessions {
    secret: [u8; 32],
}

impl Sessions {
    /// With a secret of its own; none where the system gives no random bytes.
    pub fn new() -> Option<Self> {
        Some(Self { secret: random()? })
    }

    /// A new id for the key called `identity`; none where the system gives no random bytes.
    pub fn begin(&self, identity: &str) -> Option<String> {
        let nonce: [u8; NONCE] = random()?;
        let proof = self.proof(&nonce, identity)?.finalize().into_bytes();
        Some(nonce.iter().chain(proof.iter()).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Whether `id` was given to the key called `identity`. Takes the same time for all ids of the right length.
    pub fn knows(&self, id: &str, identity: &str) -> bool {
        let Some(bytes) = from_hex(id) else { return false };
        let (nonce, given) = bytes.split_at(NONCE);
        self.proof(nonce, identity).is_some_and(|proof| proof.verify_slice(given).is_ok())
    }

    fn proof(&self, nonce: &[u8], identity: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).ok()?;
        mac.update(nonce);
        mac.update(identity.as_bytes());
        Some(mac)
    }
}

fn random<const LENGTH: usize>() -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(bytes)
}

fn from_hex(id: &str) -> Option<[u8; NONCE + PROOF]> {
    if id.len() != 2 * (NONCE + PROOF) || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; NONCE + PROOF];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(id.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_to_its_own_key_only() {
        let sessions = Sessions::new().unwrap();
        let id = sessions.begin("acme").unwrap();
        assert!(sessions.knows(&id, "acme"));
        assert!(!sessions.knows(&id, "zeta"));
        assert!(!sessions.knows(&id, ""));
        assert_ne!(id, sessions.begin("acme").unwrap());
        assert!(!Sessions::new().unwrap().knows(&id, "acme"), "another process knows the id");
    }

    #[test]
    fn an_id_that_was_touched_is_unknown() {
        let sessions = Sessions::new().unwrap();
        let id = sessions.begin("acme").unwrap();
        for at in [0, 31, 32, 95] {
            let mut letters: Vec<char> = id.chars().collect();
            letters[at] = if letters[at] == '0' { '1' } else { '0' };
            assert!(!sessions.knows(&letters.iter().collect::<String>(), "acme"), "{at}");
        }
        for odd in ["", "ü", &id[..94], &format!("{id}00"), &"g".repeat(96), &"ü".repeat(48)] {
            assert!(!sessions.knows(odd, "acme"), "{odd}");
        }
    }
}
