//! Speech servers, and the rule by which recordings go to them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Faults;
use super::models::{api_key, digest, named, near};
use crate::config::typed::Typed;
use crate::config::valid::{Speech, Transcription};
use crate::config::{Environment, parse_duration};

/// How long a server may take over one recording.
const TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));

pub(super) fn speech(typed: &Typed, environment: &Environment, faults: &mut Faults) -> Vec<Speech> {
    let mut names = BTreeSet::new();
    let mut servers = Vec::new();
    for from in &typed.speech {
        named("speech", &from.name, &mut names, faults);
        if from.model.trim().is_empty() {
            faults.add("speech.model", format!("that of {:?} is empty", from.name));
        }
        let timeout = faults.take("speech.timeout", parse_duration(&from.timeout), TIMEOUT.1);
        if timeout < TIMEOUT.0 || timeout > TIMEOUT.1 {
            faults.add("speech.timeout", format!("{:?} is out of range: from 1s to 24h", from.timeout));
        }
        servers.push(Speech {
            name: from.name.clone(),
            lane: from.lane,
            url: near("speech", &from.url, from.private, faults),
            model: from.model.clone(),
            api_key: api_key("speech", &from.name, from.api_key_env.as_ref(), environment, faults),
            private: from.private,
            timeout,
            digest: digest("speech", from.digest.as_ref(), faults),
            file: from.file.clone(),
        });
    }
    servers
}

pub(super) fn transcription(typed: &Typed, faults: &mut Faults) -> Transcription {
    let from = &typed.transcription;
    let mut folders = |key: &str, typed: &[String]| {
        let mut folders = Vec::with_capacity(typed.len());
        for text in typed {
            let parts: Vec<String> = text.trim_end_matches('/').split('/').map(str::to_owned).collect();
            if parts.iter().any(|part| matches!(part.as_str(), "" | "." | "..") || (part.contains('*') && part != "*")) {
                let rule = "is no folder: write a collection's name and a path there, such as \"acme/interviews\", with `*` for any \
                            one name";
                faults.add(key, format!("{text:?} {rule}"));
            }
            folders.push(parts);
        }
        folders
    };
    let accurate_folders = folders("transcription.accurate_folders", &from.accurate_folders);
    let fast_folders = folders("transcription.fast_folders", &from.fast_folders);
    if let Some(twice) = from.accurate_folders.iter().find(|folder| from.fast_folders.contains(folder)) {
        faults.add("transcription.fast_folders", format!("{twice:?} is among `accurate_folders` too"));
    }
    let accurate_up_to =
        faults.take("transcription.accurate_up_to", parse_duration(&from.accurate_up_to), Duration::from_secs(600));
    Transcription { accurate_up_to, accurate_folders, fast_folders }
}
