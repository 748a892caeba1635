//! What may be asked for, who does it, and what is kept of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use strongroom_ingest::model::CollectionId;

use crate::answer::{Answer, Completed, Generator, GeneratorInfo, Kind, Schema, Usage};
use crate::retrieve::Hit;
use crate::usage::{Meter, Place, Spent, Tokens, Trail, TrailSpan};

/// Tokens of documents that a task reads where nothing else is said.
const INPUT_TOKENS: usize = 1_000_000;
/// How long a task may take where nothing else is said.
const LONGEST: Duration = Duration::from_secs(1800);

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Task {
    /// What kind of work it is.
    pub kind: Kind,
    /// What the result must be; none for text, or for what the configuration says of the kind.
    pub schema: Option<Arc<Schema>>,
    /// Paths of the documents that it is about, whole; none means the best passages for what is asked.
    pub documents: Option<Vec<String>>,
    /// The only generator that may do it; none means those of its kind.
    pub generator: Option<String>,
}

impl Task {
    /// A question.
    pub const ASK: Self = Self { kind: Kind::Ask, schema: None, documents: None, generator: None };
}

/// How a kind of task is done.
#[derive(Clone, Debug)]
pub struct Route {
    /// Names of the generators, in order; none means all.
    pub generators: Vec<String>,
    /// Tokens that a result may have; none where the generator's own limit holds.
    pub answer_tokens: Option<usize>,
    /// Tokens of documents that it may read.
    pub input_tokens: usize,
    /// How long it may take.
    pub longest: Duration,
    /// What a result must be where a request does not say.
    pub schema: Option<Arc<Schema>>,
}

impl Default for Route {
    fn default() -> Self {
        Self { generators: Vec::new(), answer_tokens: None, input_tokens: INPUT_TOKENS, longest: LONGEST, schema: None }
    }
}

/// Local language models, and who does what.
#[derive(Clone, Default)]
pub struct Generators {
    /// In the order of the configuration.
    pub all: Vec<Arc<dyn Generator>>,
    /// By kind, in the order of [`Kind::ALL`].
    pub routes: [Route; 6],
}

impl Generators {
    pub(super) fn route(&self, kind: Kind) -> &Route {
        let [ask, extract, summarise, classify, draft, code] = &self.routes;
        match kind {
            Kind::Ask => ask,
            Kind::Extract => extract,
            Kind::Summarise => summarise,
            Kind::Classify => classify,
            Kind::Draft => draft,
            Kind::Code => code,
        }
    }

    /// Who may do a task, in order; none where the one that it names is not there.
    pub(super) fn of(&self, task: &Task) -> Option<Vec<&Arc<dyn Generator>>> {
        let named = |name: &String| self.all.iter().find(|generator| generator.info().name == *name);
        if let Some(name) = &task.generator {
            return named(name).map(|only| vec![only]);
        }
        let route = self.route(task.kind);
        if route.generators.is_empty() {
            return Some(self.all.iter().collect());
        }
        Some(route.generators.iter().filter_map(named).collect())
    }
}

/// When things happened to a task.
pub(super) struct Clock {
    began: Instant,
    /// When the generator that answered was asked, and when its first words came.
    pub asked: Option<Instant>,
    pub first: Option<Instant>,
}

impl Clock {
    pub fn start() -> Self {
        Self { began: Instant::now(), asked: None, first: None }
    }
}

/// Counts a task that was done, and keeps its trail. What cannot be counted does not cost the answer; the log tells.
pub(super) fn account(
    meter: Option<&Meter>,
    kind: Kind,
    answer: &Answer,
    passages: &[Hit],
    walls: &[CollectionId],
    clock: &Clock,
) -> Trail {
    let (now, ended) = (Instant::now(), Timestamp::now());
    let info = &answer.generator;
    let asked = clock.asked.unwrap_or(clock.began);
    let given: Vec<&Hit> = answer.work.given.iter().filter_map(|&at| passages.get(at)).collect();
    let attested = info.attested.as_deref();
    let trail = Trail {
        id: Meter::new_id(),
        at: ended.to_string(),
        task: kind.as_str().to_owned(),
        generator: info.name.clone(),
        model: info.model.clone(),
        digest: attested.and_then(|found| found.digest.clone()),
        endpoint: attested.map(|found| found.endpoint.to_string()),
        local: info.local,
        spans: spans(&given),
        left_out: passages.len() - given.len(),
        calls: answer.work.calls,
        repaired: answer.work.repaired,
        tokens: tokens(answer.work.measured),
        reported: tokens(answer.work.usage),
        took: now - clock.began,
        generating: now - asked,
        first_token: clock.first.map(|first| first - asked),
    };
    let spent = Spent {
        at: ended,
        collections: walls,
        task: kind.as_str(),
        generator: &info.name,
        place: place(info),
        tokens: trail.tokens,
        reported: trail.reported,
        busy: if answer.work.calls > 0 { trail.generating } else { Duration::ZERO },
        trail: Some(&trail),
    };
    count(meter, &spent);
    trail
}

/// Counts what a client had done without documents, such as a title for a conversation.
pub(super) fn account_chore(
    meter: Option<&Meter>,
    completed: &Completed,
    info: &GeneratorInfo,
    walls: &[CollectionId],
    busy: Duration,
) {
    let spent = Spent {
        at: Timestamp::now(),
        collections: walls,
        task: "chat",
        generator: &info.name,
        place: place(info),
        tokens: tokens(completed.measured),
        reported: tokens(completed.usage),
        busy,
        trail: None,
    };
    count(meter, &spent);
}

fn count(meter: Option<&Meter>, spent: &Spent<'_>) {
    if let Some(Err(error)) = meter.map(|meter| meter.count(spent)) {
        tracing::error!(%error, "what a model was asked was not counted");
    }
}

fn place(info: &GeneratorInfo) -> Place {
    if info.local { Place::Local } else { Place::Cloud }
}

fn tokens(usage: Usage) -> Tokens {
    Tokens { prompt: usage.prompt, completion: usage.completion }
}

/// Where the passages stand, neighbours joined.
fn spans(given: &[&Hit]) -> Vec<TrailSpan> {
    let mut spans: Vec<TrailSpan> = Vec::new();
    for hit in given {
        let span = TrailSpan {
            collection: hit.collection.to_string(),
            document: hit.document.id.to_string(),
            version: hit.version.0,
            start: hit.span.start,
            end: hit.span.end,
        };
        match spans.last_mut() {
            Some(last) if (&last.document, last.version, last.end) == (&span.document, span.version, span.start) => {
                last.end = span.end
            }
            _ => spans.push(span),
        }
    }
    spans
}
