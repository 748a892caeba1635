//! The check of language models: those that are configured are attested as before an answer; where none is, this machine is
//! searched for some.

use std::sync::Arc;

use super::{Check, State};
use crate::answer::{self, Attestation, Found, GeneratorError};
use crate::app;
use crate::config::{Config, Generator};
use crate::egress::Egress;

const WHAT: &str = "language model";

pub(super) fn generators(config: &Config) -> Vec<Check> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let egress = Egress::default();
    let none = !config.generators.iter().any(Generator::answers);
    let could = none.then(|| found(&runtime.block_on(answer::find_servers(&egress))));
    let attest = |generator: &Generator| {
        let looked = runtime.block_on(answer::look_at("generator", app::attest_options(generator), egress.clone()));
        match looked {
            Ok(attested) => good(generator, &attested),
            // Checking wakes nothing.
            Err(GeneratorError::Unreachable(_)) if generator.wake.is_some() => {
                Check::good(what(generator), format!("{}: asleep; the next question wakes it", generator.name))
            }
            Err(error) => {
                let remedy = if generator.answers() {
                    "start it, or correct its `[[generator]]`; until then the next one answers, or extracts do"
                } else {
                    "start it, or correct its `[[generator]]`"
                };
                Check::not(what(generator), State::Could, format!("{}: {error}", generator.name), remedy)
            }
        }
    };
    could.into_iter().chain(config.generators.iter().map(attest)).collect()
}

fn good(generator: &Generator, attested: &Arc<Attestation>) -> Check {
    let process = attested.process.as_ref().map(|process| format!(", {process}")).unwrap_or_default();
    let mut found = format!("{}: {} at {}{process}", generator.name, attested.server, attested.endpoint);
    if generator.answers() || attested.digest.is_some() {
        found.push_str("; ");
        found.push_str(attested.digest.as_deref().unwrap_or("weights not known"));
    }
    if generator.answers() && attested.isolation == answer::Isolation::None && !generator.shared_cache {
        let remedy = "it serves the first collection that it is asked about, until the next start: `shared_cache = true` in its \
                      `[[generator]]` lets it serve all";
        return Check::not(WHAT, State::Could, format!("{found}; it cannot keep collections' prompts apart"), remedy);
    }
    Check::good(what(generator), found)
}

fn what(generator: &Generator) -> &'static str {
    if generator.answers() { WHAT } else { "local endpoint" }
}

/// What could be configured.
fn found(servers: &[Found]) -> Check {
    let Some(server) = servers.iter().find(|server| !server.models.is_empty()) else {
        let remedy = "nothing to do; to have answers written, run llama.cpp, Ollama, vLLM, LM Studio or MLX, and name it in a \
                      `[[generator]]`";
        return Check::not(WHAT, State::Could, "none is configured: answers are verbatim extracts", remedy);
    };
    let url = &server.url;
    let kind = if url.contains(":11434") { "ollama" } else { "openai" };
    let remedy = format!(
        "add to strongroom.toml:\n[[generator]]\nname = \"local\"\nkind = \"{kind}\"\nurl = \"{url}\"\nmodel = \"{}\"",
        server.models[0]
    );
    Check::not(WHAT, State::Could, format!("none is configured, and one runs at {url}: answers are verbatim extracts"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_told_ready_to_be_pasted() {
        let nothing = found(&[]);
        assert!(nothing.found.contains("verbatim extracts") && nothing.state == State::Could);
        let server = Found { url: "http://127.0.0.1:11434/v1".into(), models: vec!["tiny".into()] };
        let remedy = found(&[server]).remedy.unwrap();
        let pasted = remedy.split_once('\n').unwrap().1;
        let parsed: toml::Table = pasted.parse().unwrap();
        assert_eq!(parsed["generator"][0]["kind"].as_str(), Some("ollama"), "{remedy}");
    }
}
