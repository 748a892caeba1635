//! Language models, here and in clouds, and what collections allow of them.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Uri;

use super::{Faults, NAME_RULE, is_collection_name};
use crate::config::keys::nearest;
use crate::config::typed::{Typed, TypedProvider};
use crate::config::valid::{Collection, Generator, Policy, Provider};

pub(super) fn generators(typed: &Typed, faults: &mut Faults) -> Vec<Generator> {
    let mut names = BTreeSet::new();
    let mut generators = Vec::new();
    for from in &typed.generator {
        named("generator", &from.name, &mut names, faults);
        if from.model.trim().is_empty() {
            faults.add("generator.model", format!("that of {:?} is empty", from.name));
        }
        let url = url("generator.url", &from.url, faults).map(|(url, _)| url).unwrap_or_default();
        generators.push(Generator { name: from.name.clone(), kind: from.kind, url, model: from.model.clone() });
    }
    generators
}

pub(super) fn providers(typed: &Typed, faults: &mut Faults) -> Vec<Provider> {
    let mut names = BTreeSet::new();
    let mut providers = Vec::new();
    for from in &typed.provider {
        named("provider", &from.name, &mut names, faults);
        providers.push(provider(from, faults));
    }
    providers
}

fn provider(from: &TypedProvider, faults: &mut Faults) -> Provider {
    let checked = url("provider.url", &from.url, faults);
    if let Some((_, place)) = &checked
        && place.plain
        && !place.loopback
    {
        faults.add(
            "provider.url",
            format!("{:?} would send in the clear: write https:// (plain http goes to loopback only, for tests)", from.url),
        );
    }
    let letters = from.api_key_env.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if from.api_key_env.is_empty() || !letters || from.api_key_env.as_bytes()[0].is_ascii_digit() {
        // What stands here may be the key itself, so it is not repeated.
        faults.add(
            "provider.api_key_env",
            format!(
                "that of {:?} is not the name of an environment variable: put the key into one, and its name here",
                from.name
            ),
        );
    }
    if from.models.is_empty() {
        faults.add("provider.models", format!("{:?} allows none: name at least one model", from.name));
    }
    Provider {
        name: from.name.clone(),
        kind: from.kind,
        url: checked.map(|(url, _)| url).unwrap_or_default(),
        api_key_env: from.api_key_env.clone(),
        models: from.models.clone(),
    }
}

fn named<'a>(section: &str, name: &'a str, names: &mut BTreeSet<&'a str>, faults: &mut Faults) {
    if name.trim().is_empty() {
        faults.add(&format!("{section}.name"), "is empty: each needs a name of its own");
    } else if !names.insert(name) {
        faults.add(&format!("{section}.name"), format!("{name:?} is given twice: each needs a name of its own"));
    }
}

struct Place {
    plain: bool,
    loopback: bool,
}

fn url(key: &str, text: &str, faults: &mut Faults) -> Option<(String, Place)> {
    let parsed = text.parse::<Uri>().ok();
    let place = parsed.as_ref().and_then(|uri| {
        let plain = match uri.scheme_str()? {
            "http" => true,
            "https" => false,
            _ => return None,
        };
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
        let authority = uri.authority()?.as_str();
        let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        (!authority.contains('@') && uri.query().is_none()).then_some(Place { plain, loopback })
    });
    let Some(place) = place else {
        faults.add(
            key,
            format!("{text:?} is not an address: write it like \"http://127.0.0.1:8080/v1\", without user, password and query"),
        );
        return None;
    };
    Some((text.trim_end_matches('/').to_owned(), place))
}

pub(super) fn collections(typed: &Typed, faults: &mut Faults) -> BTreeMap<String, Collection> {
    let known: Vec<&str> = typed.provider.iter().map(|provider| provider.name.as_str()).collect();
    let mut collections = BTreeMap::new();
    for (name, from) in &typed.collections {
        let section = format!("collections.{name}");
        if !is_collection_name(name) {
            faults.add(&section, format!("the name {NAME_RULE}; `strongroom collections` shows the names"));
        }
        for wanted in &from.escalation.providers {
            if !known.contains(&wanted.as_str()) {
                let hint = match nearest(wanted, known.iter().copied()) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("add a [[provider]] with name = {wanted:?}"),
                };
                faults.add(&format!("{section}.escalation.providers"), format!("there is no provider {wanted:?}: {hint}"));
            }
        }
        if from.escalation.policy != Policy::Never && from.escalation.providers.is_empty() {
            faults
                .add(&format!("{section}.escalation"), "allows escalation but names no providers: add providers = [\"NAME\"]");
        }
        let rules = Collection { mix: from.mix, policy: from.escalation.policy, providers: from.escalation.providers.clone() };
        collections.insert(name.clone(), rules);
    }
    collections
}
