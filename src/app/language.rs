//! The language models as the configuration has them: which there are, who does what, and what they cost.

use std::collections::HashMap;
use std::sync::Arc;

use strongroom_ingest::pipeline::Pipeline;

use super::AppError;
use crate::answer::{
    AttestOptions, ChatModel, ChatOptions, Entry, Kind, Machine, Records, Roster, Schema, SleepOptions, Speaks, WakeOptions,
};
use crate::ask::{Generators, Route};
use crate::config::{self, Config, GeneratorKind};
use crate::egress::Egress;
use crate::usage::Prices;

/// The language models that write answers, and the list of them and of all that is configured beside them.
pub(super) fn generators(
    config: &Config,
    pipeline: &Pipeline,
    egress: &Egress,
    records: &Arc<Records>,
) -> Result<(Generators, Roster), AppError> {
    let machines = machines(config);
    let mut generators = Generators::default();
    let mut entries = Vec::new();
    for from in &config.generators {
        let attest = AttestOptions { records: Some(Arc::clone(records)), ..attest_options(from) };
        if !from.answers() {
            entries.push(Entry::other(attest, egress.clone()));
            continue;
        }
        let pipeline = pipeline.clone();
        let options = ChatOptions {
            attest,
            context: from.context,
            answer_tokens: from.answer_tokens,
            silence: from.timeout,
            shared_cache: from.shared_cache,
            count: Arc::new(move |text| pipeline.count_tokens(text)),
            at_once: from.at_once,
            wake: from.wake.as_ref().and_then(|wake| {
                let machine = Arc::clone(machines.get(&wake.mac)?);
                Some(WakeOptions { machine, within: wake.within })
            }),
        };
        let model = ChatModel::new(options, egress.clone());
        entries.push(model.entry(if from.kind == GeneratorKind::Ollama { "ollama" } else { "openai" }));
        generators.all.push(Arc::new(model));
    }
    for (at, kind) in Kind::ALL.into_iter().enumerate() {
        generators.routes[at] = route(kind, &config.tasks[at])?;
    }
    Ok((generators, Roster::new(entries, egress.clone(), Some(Arc::clone(records)))))
}

/// The machines that can be woken. Generators with one hardware address share one: it sleeps only when none of them is in use.
fn machines(config: &Config) -> HashMap<[u8; 6], Arc<Machine>> {
    let mut machines = HashMap::new();
    for wake in config.generators.iter().filter_map(|from| from.wake.as_ref()) {
        let on_it = |from: &&config::Generator| from.wake.as_ref().is_some_and(|other| other.mac == wake.mac);
        let sleep = config.generators.iter().filter(on_it).find_map(|from| from.sleep.as_ref());
        let sleep = sleep.map(|sleep| SleepOptions { command: sleep.command.clone(), after: sleep.after });
        machines.entry(wake.mac).or_insert_with(|| Machine::new(wake.mac, wake.address, sleep));
    }
    machines
}

fn route(kind: Kind, from: &config::Task) -> Result<Route, AppError> {
    let schema = match &from.schema {
        Some(file) => {
            let wrong = |why: String| AppError::Schema { kind: kind.as_str(), file: file.clone(), why };
            let text = std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
            let json = serde_json::from_str(&text).map_err(|error| wrong(format!("is no JSON: {error}")))?;
            Some(Arc::new(Schema::new(json).map_err(wrong)?))
        }
        None => None,
    };
    Ok(Route {
        generators: from.generators.clone(),
        answer_tokens: from.answer_tokens,
        input_tokens: from.input_tokens,
        longest: from.timeout,
        schema,
    })
}

/// What a configured model must be to be used.
pub fn attest_options(from: &config::Generator) -> AttestOptions {
    AttestOptions {
        name: from.name.clone(),
        url: from.url.clone(),
        model: from.model.clone(),
        key: from.api_key.as_ref().map(|key| key.0.clone()),
        speaks: match from.kind {
            GeneratorKind::Openai => Speaks::OpenAi,
            GeneratorKind::Ollama => Speaks::Ollama,
            GeneratorKind::Other => Speaks::Other,
        },
        private: from.private.then_some(config::is_private as fn(_) -> _),
        digest: from.digest.clone(),
        file: from.file.clone(),
        records: None,
    }
}

/// What things cost.
pub(super) fn prices(config: &Config) -> Prices {
    let providers = config.providers.iter().filter_map(|provider| Some((provider.name.clone(), provider.price?)));
    let watts = config.generators.iter().filter_map(|generator| Some((generator.name.clone(), generator.watts?)));
    Prices {
        currency: config.usage.currency.clone(),
        rent: config.usage.rent,
        providers: providers.collect(),
        kilowatt_hour: config.usage.kilowatt_hour,
        watts: watts.collect(),
        machine_a_month: config.usage.machine_a_month,
    }
}
