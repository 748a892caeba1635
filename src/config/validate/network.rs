//! What concerns the network: encryption, limits of keys, people behind an Open WebUI.

use std::collections::BTreeMap;

use super::Faults;
use crate::config::typed::Typed;
use crate::config::valid::{OpenWebUi, Tls};
use crate::config::{Environment, places};

/// A shorter secret can be guessed.
const SHORTEST_SECRET: usize = 16;

pub(super) fn tls(typed: &Typed, environment: &Environment, faults: &mut Faults) -> Option<Tls> {
    let from = &typed.tls;
    match (&from.cert, &from.key, &from.terminated_by) {
        (None, None, None) => None,
        (None, None, Some(name)) if !name.trim().is_empty() => Some(Tls::InFront(name.trim().to_owned())),
        (Some(cert), Some(key), None) => {
            let absolute = |path| places::absolute(path, &environment.folder, environment);
            Some(Tls::Own { cert: absolute(cert), key: absolute(key) })
        }
        _ => {
            faults.add("tls", "needs `cert` and `key` together, or `terminated_by` alone");
            None
        }
    }
}

pub(super) fn limits(typed: &Typed, faults: &mut Faults) -> (u32, u32) {
    let limits = (typed.limits.requests_per_minute, typed.limits.concurrent);
    if limits.0 == 0 || limits.1 == 0 {
        faults.add("limits", "must be at least 1");
    }
    limits
}

pub(super) fn open_webui(typed: &Typed, environment: &Environment, faults: &mut Faults) -> Option<OpenWebUi> {
    let from = typed.open_webui.as_ref()?;
    let secret = environment.get(&from.jwt_secret_env).unwrap_or_default().to_owned();
    if secret.len() < SHORTEST_SECRET {
        let message = format!("the environment has no secret of at least {SHORTEST_SECRET} characters under this name");
        faults.add("open_webui.jwt_secret_env", message);
    }
    let lower = |names: &BTreeMap<String, Vec<String>>| {
        names.iter().map(|(address, collections)| (address.to_lowercase(), collections.clone())).collect()
    };
    Some(OpenWebUi { secret: secret.into_bytes(), users: lower(&from.users), roles: from.roles.clone() })
}
