//! The check of speech servers: those that are configured are attested as before a recording.

use super::{Check, State};
use crate::answer;
use crate::app;
use crate::config::{Config, Lane};
use crate::egress::Egress;
use crate::speech::CLIENT;

const WHAT: &str = "speech server";

pub(super) fn speech(config: &Config) -> Vec<Check> {
    if config.speech.is_empty() {
        let remedy = "nothing to do; to have recordings written down, run a speech server that speaks OpenAI's API (whisper.cpp, \
                      speaches, LocalAI), and name it in a `[[speech]]`";
        return vec![Check::not(WHAT, State::Could, "none is configured: recordings are not read", remedy)];
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let egress = Egress::default();
    let mut checks = Vec::with_capacity(config.speech.len());
    for server in &config.speech {
        let lane = if server.lane == Lane::Fast { "fast" } else { "accurate" };
        let options = app::speech::attest_options(server);
        checks.push(match runtime.block_on(answer::look_at(CLIENT, options, egress.clone())) {
            Ok(found) => {
                let process = found.process.as_ref().map(|process| format!(", {process}")).unwrap_or_default();
                let digest = found.digest.as_deref().unwrap_or("weights not known");
                let (name, server, endpoint) = (&server.name, &found.server, found.endpoint);
                Check::good(WHAT, format!("{name} ({lane}): {server} at {endpoint}{process}; {digest}"))
            }
            Err(error) => {
                let remedy = "start it, or correct its `[[speech]]`; until then its recordings wait and are tried again";
                Check::not(WHAT, State::Could, format!("{} ({lane}): {error}", server.name), remedy)
            }
        });
    }
    checks
}
