//! The configured speech servers, put together.

use crate::answer::{AttestOptions, Speaks};
use crate::config::{self, Config};
use crate::egress::Egress;
use crate::speech::{Rule, ServerOptions, Speech};
use strongroom_ingest::model::Lane;

/// The speech servers; none where none is configured.
pub(super) fn speech(config: &Config, egress: &Egress) -> Option<Speech> {
    let server = |from: &config::Speech| ServerOptions {
        name: from.name.clone(),
        lane: match from.lane {
            config::Lane::Fast => Lane::Fast,
            config::Lane::Accurate => Lane::Accurate,
        },
        attest: attest_options(from),
        timeout: from.timeout,
    };
    let rule = Rule {
        accurate_up_to: config.transcription.accurate_up_to,
        accurate_folders: config.transcription.accurate_folders.clone(),
        fast_folders: config.transcription.fast_folders.clone(),
    };
    Speech::new(config.speech.iter().map(server).collect(), rule, egress)
}

/// What a configured speech server must be to be used.
pub fn attest_options(from: &config::Speech) -> AttestOptions {
    AttestOptions {
        name: from.name.clone(),
        url: from.url.clone(),
        model: from.model.clone(),
        key: from.api_key.as_ref().map(|key| key.0.clone()),
        speaks: Speaks::OpenAi,
        private: from.private.then_some(config::is_private as fn(_) -> _),
        digest: from.digest.clone(),
        file: from.file.clone(),
        records: None,
    }
}
