//! Language models, here and in clouds, and what collections allow of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use axum::http::Uri;

use super::{Faults, NAME_RULE, is_collection_name, tasks, wake};
use crate::config::keys::nearest;
use crate::config::typed::{Typed, TypedProvider};
use crate::config::valid::{Collection, Generator, GeneratorKind, Policy, Provider, Secret};
use crate::config::{Environment, parse_duration};

pub(super) fn generators(typed: &Typed, environment: &Environment, faults: &mut Faults) -> Vec<Generator> {
    let mut names = BTreeSet::new();
    let mut generators = Vec::new();
    for from in &typed.generator {
        named("generator", &from.name, &mut names, faults);
        if from.model.trim().is_empty() && from.kind != GeneratorKind::Other {
            faults.add("generator.model", format!("that of {:?} is empty", from.name));
        }
        let api_key = api_key("generator", &from.name, from.api_key_env.as_ref(), environment, faults);
        let timeout = faults.take("generator.timeout", parse_duration(&from.timeout), Duration::from_secs(60));
        if timeout < Duration::from_millis(100) || timeout > Duration::from_secs(3600) {
            faults.add("generator.timeout", format!("{:?} is out of range: from 100ms to 1h", from.timeout));
        }
        let context = from.context.unwrap_or(from.answer_tokens.saturating_mul(2).max(512));
        if !(512..=10_000_000).contains(&context) || from.answer_tokens == 0 || from.answer_tokens > context / 2 {
            faults.add(
                "generator.context",
                format!(
                    "that of {:?} must be at least 512, and at least twice `answer_tokens`, which is at least 1",
                    from.name
                ),
            );
        }
        generators.push(Generator {
            name: from.name.clone(),
            kind: from.kind,
            url: near("generator", &from.url, from.private, faults),
            model: from.model.clone(),
            api_key,
            private: from.private,
            context: from.context.map(|tokens| usize::try_from(tokens).unwrap_or(usize::MAX)),
            answer_tokens: usize::try_from(from.answer_tokens).unwrap_or(usize::MAX),
            timeout,
            digest: digest("generator", from.digest.as_ref(), faults),
            file: from.file.clone(),
            shared_cache: from.shared_cache,
            watts: tasks::amount("generator.watts", from.watts, faults),
            at_once: wake::at_once(from, faults),
            wake: wake::wake(from, faults),
            sleep: wake::sleep(from, faults),
        });
    }
    generators
}

/// The key that a local server wants, from the variable that is named.
pub(super) fn api_key(
    section: &str,
    name: &str,
    variable: Option<&String>,
    environment: &Environment,
    faults: &mut Faults,
) -> Option<Secret> {
    let variable = variable?;
    let setting = format!("{section}.api_key_env");
    if !is_variable(variable) {
        not_a_variable(&setting, name, faults);
        return None;
    }
    let key = environment.variables.get(variable).filter(|key| !key.is_empty());
    if key.is_none() {
        faults.add(&setting, format!("the variable {variable} of {name:?} is not set"));
    }
    key.map(|key| Secret(key.clone()))
}

/// The digest that a model is pinned to.
pub(super) fn digest(section: &str, digest: Option<&String>, faults: &mut Faults) -> Option<String> {
    let digest = digest?;
    let hexadecimal = digest.strip_prefix("sha256:").unwrap_or_default();
    if hexadecimal.len() != 64 || !hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        faults.add(&format!("{section}.digest"), format!("{digest:?} is not `sha256:` and 64 hexadecimal digits"));
    }
    Some(digest.to_ascii_lowercase())
}

/// The address of a local server. Documents are sent there, so it is on this machine, or on a private network if that is said. A
/// name is looked up when the server is first asked, and held to the same.
pub(super) fn near(section: &str, text: &str, private: bool, faults: &mut Faults) -> String {
    let Some((url, place)) = url(&format!("{section}.url"), text, faults) else {
        return String::new();
    };
    let remedy = match place.address {
        _ if place.loopback => None,
        Some(address) if is_private(address) && private => None,
        Some(address) if is_private(address) => Some("is on another machine: add `private = true` if that is yours"),
        Some(_) => {
            Some("is on the public internet, where no document is sent: such a server is on this machine or a private network")
        }
        None => None,
    };
    if let Some(remedy) = remedy {
        faults.add(&format!("{section}.url"), format!("{text:?} {remedy}"));
    }
    url
}

/// Whether nobody on the public internet has this address: RFC 1918, RFC 6598 (which overlay networks use), RFC 4193, link-local.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

fn is_variable(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    letters && name.as_bytes().first().is_some_and(|first| !first.is_ascii_digit())
}

/// What stands in place of a variable's name may be the key itself, so it is not repeated.
fn not_a_variable(key: &str, name: &str, faults: &mut Faults) {
    faults.add(
        key,
        format!("that of {name:?} is not the name of an environment variable: put the key into one, and its name here"),
    );
}

/// The collections of the pipeline filter.
pub(super) fn filter(typed: &Typed, faults: &mut Faults) -> Vec<String> {
    for name in &typed.openai.filter {
        if !is_collection_name(name) {
            faults.add("openai.filter", format!("{name:?} {NAME_RULE}"));
        }
    }
    typed.openai.filter.clone()
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
    if !is_variable(&from.api_key_env) {
        not_a_variable("provider.api_key_env", &from.name, faults);
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
        price: tasks::both("provider.price", from.price_in, from.price_out, faults),
    }
}

pub(super) fn named<'a>(section: &str, name: &'a str, names: &mut BTreeSet<&'a str>, faults: &mut Faults) {
    if name.trim().is_empty() {
        faults.add(&format!("{section}.name"), "is empty: each needs a name of its own");
    } else if !names.insert(name) {
        faults.add(&format!("{section}.name"), format!("{name:?} is given twice: each needs a name of its own"));
    }
}

struct Place {
    plain: bool,
    loopback: bool,
    /// None where a name stands in its place.
    address: Option<IpAddr>,
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
        let address = host.parse::<IpAddr>().ok();
        let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        (!authority.contains('@') && uri.query().is_none()).then_some(Place { plain, loopback, address })
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
