//! People behind an Open WebUI: who they are is believed only from its signed token, and only ever narrows what its key may see.
//!
//! The token is a JWT (RFC 7519) in `X-OpenWebUI-User-Jwt`, signed with HS256 by the secret that both sides share. The algorithm
//! is fixed here: what the token says of itself decides nothing. The headers with names and addresses in clear are ignored.

use std::collections::{BTreeMap, HashSet};

use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::Sha256;
use strongroom_ingest::model::Reach;
use strongroom_ingest::pipeline::Pipeline;

use super::access::Access;
use super::problem::Problem;

const HEADER: &str = "x-openwebui-user-jwt";
const ISSUER: &str = "open-webui";
/// Clocks of two machines may differ by this many seconds.
const LEEWAY: i64 = 30;
/// Stands for every collection.
const ALL: &str = "*";

/// Which collections people may see, by their address or role.
pub struct Visitors {
    /// The secret shared with Open WebUI.
    pub secret: Vec<u8>,
    /// Names of collections by e-mail address, in lower case; `*` for all.
    pub users: BTreeMap<String, Vec<String>>,
    /// The same by role, for those whose address is not listed.
    pub roles: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    email: String,
    #[serde(default)]
    role: String,
    iss: String,
    exp: i64,
}

impl Visitors {
    /// What the caller may see given who is behind it. Without a token that is what the key may see. Blocks.
    pub(super) fn narrowed(&self, access: Access, headers: &HeaderMap, pipeline: &Pipeline) -> Result<Access, Problem> {
        let mut tokens = headers.get_all(HEADER).iter();
        let Some(token) = tokens.next() else { return Ok(access) };
        let claims = token.to_str().ok().filter(|_| tokens.next().is_none()).and_then(|token| self.claims(token));
        let Some(claims) = claims else { return Err(not_believed()) };
        let listed = self.users.get(&claims.email.to_lowercase()).or_else(|| self.roles.get(&claims.role));
        let names = listed.map(Vec::as_slice).unwrap_or_default();
        if names.iter().any(|name| name == ALL) {
            return Ok(access);
        }
        let records = pipeline.collections()?;
        let seen = records.iter().filter(|record| names.contains(&record.name) && access.reach().allows(record.id));
        let ids: HashSet<_> = seen.map(|record| record.id).collect();
        Ok(access.seeing(Reach::Only(ids)))
    }

    /// What a token says, if it is signed with the secret, by Open WebUI, and has not ended.
    fn claims(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (head, body) = signed.split_once('.')?;
        let head: Head = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()?;
        if head.alg != "HS256" {
            return None;
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).ok()?;
        mac.update(signed.as_bytes());
        mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        (claims.iss == ISSUER && Timestamp::now().as_second() < claims.exp.saturating_add(LEEWAY)).then_some(claims)
    }
}

fn not_believed() -> Problem {
    let detail = "The token that says who asks is not signed with the shared secret, or has ended.";
    Problem::new(StatusCode::UNAUTHORIZED, "bad_identity", "Who asks is not known", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(secret: &[u8], head: &str, body: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(body));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    #[test]
    fn only_a_token_signed_with_the_secret_is_believed() {
        let visitors = Visitors { secret: b"secret".to_vec(), users: BTreeMap::new(), roles: BTreeMap::new() };
        let head = r#"{"alg":"HS256","typ":"JWT"}"#;
        let body = |exp: i64, iss: &str| format!(r#"{{"sub":"1","email":"A@x","role":"user","iss":"{iss}","exp":{exp}}}"#);
        let later = Timestamp::now().as_second() + 300;
        let good = token(b"secret", head, &body(later, ISSUER));
        assert_eq!(visitors.claims(&good).unwrap().email, "A@x");
        let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(body(later, ISSUER)));
        for bad in [
            token(b"other", head, &body(later, ISSUER)),
            token(b"secret", r#"{"alg":"HS512"}"#, &body(later, ISSUER)),
            token(b"secret", head, &body(later - 1000, ISSUER)),
            token(b"secret", head, &body(later, "somebody")),
            good[..good.len() - 1].to_owned(),
            none,
            String::new(),
            "..".to_owned(),
        ] {
            assert!(visitors.claims(&bad).is_none(), "{bad}");
        }
    }
}
