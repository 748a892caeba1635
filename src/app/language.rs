//! The language models as the configuration has them: which there are, who does what, and what they cost.

use std::sync::Arc;

use strongroom_ingest::pipeline::Pipeline;

use super::AppError;
use crate::answer::{AttestOptions, ChatModel, ChatOptions, Generator, Kind, Schema};
use crate::ask::{Generators, Route};
use crate::config::{self, Config};
use crate::egress::Egress;
use crate::usage::Prices;

/// The language models that write answers.
pub(super) fn generators(config: &Config, pipeline: &Pipeline, egress: &Egress) -> Result<Generators, AppError> {
    let all = config.generators.iter().map(|from| generator(from, pipeline, egress)).collect();
    let mut generators = Generators { all, ..Generators::default() };
    for (at, kind) in Kind::ALL.into_iter().enumerate() {
        generators.routes[at] = route(kind, &config.tasks[at])?;
    }
    Ok(generators)
}

fn generator(from: &config::Generator, pipeline: &Pipeline, egress: &Egress) -> Arc<dyn Generator> {
    let pipeline = pipeline.clone();
    let options = ChatOptions {
        name: from.name.clone(),
        attest: attest_options(from),
        context: from.context,
        answer_tokens: from.answer_tokens,
        silence: from.timeout,
        shared_cache: from.shared_cache,
        count: Arc::new(move |text| pipeline.count_tokens(text)),
    };
    Arc::new(ChatModel::new(options, egress.clone()))
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
        url: from.url.clone(),
        model: from.model.clone(),
        key: from.api_key.as_ref().map(|key| key.0.clone()),
        ollama: from.kind == config::GeneratorKind::Ollama,
        private: from.private.then_some(config::is_private as fn(_) -> _),
        digest: from.digest.clone(),
        file: from.file.clone(),
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
