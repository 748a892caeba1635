//! Composes a question's way: retrieve, answer, record. Readable in one sitting.

mod attempt;
mod failure;
mod material;
mod task;
mod words;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use strongroom_ingest::index::records::DocumentFilter;
use strongroom_ingest::index::{Collection, IndexError, Store};
use strongroom_ingest::model::{CollectionId, Reach};

use crate::answer::{Answer, Cancel, Completed, GeneratorError, GeneratorInfo, Held, Job, Turn};
use attempt::{Attempt, generated, tell_failure};
pub use failure::AskError;
use material::Material;
use task::Clock;
pub use task::{Generators, Route, Task};

use crate::retrieve::{Embedded, Found, Hit, Mode, Query, Retriever, SearchError};
use crate::usage::{Meter, Trail};

/// What a question gave.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The answer.
    pub answer: Answer,
    /// Documents of the asked collections that cannot be read.
    pub unreadable: u64,
    /// Generators that were tried before the one that answered, and why they did not.
    pub tried: Vec<Tried>,
    /// The passages that it could have been taken from; the answer's work tells which the generator was shown.
    pub passages: Vec<Hit>,
    /// How it came to be.
    pub trail: Trail,
}

/// A generator that did not answer.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Its name in the configuration.
    pub name: String,
    /// Why, for people. It holds nothing of question, passages or answer.
    pub why: String,
}

/// A question with all that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Names of the collections; `None` means all.
    pub collections: Option<&'a [String]>,
    /// As typed.
    pub text: &'a str,
    /// What is to be done.
    pub task: &'a Task,
    /// What was said before, oldest first.
    pub history: &'a [Turn],
    /// Whether words that were handed out cannot be taken back. Then nothing is handed out before its first citation, and
    /// a generator that breaks off after that ends the answer.
    pub binding: bool,
    /// Whether somebody still waits.
    pub cancel: &'a Cancel,
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// So many passages were found.
    Found(usize),
    /// The next words.
    Words(&'a str),
    /// The words so far are void: another generator begins.
    Anew,
    /// A generator cannot begin yet.
    Held {
        /// Its name in the configuration.
        generator: &'a str,
        /// Why.
        why: Held,
        /// How long it has not.
        seconds: u64,
    },
}

/// Answers questions over the store. Cheap to clone. Every method blocks: call it off the async threads.
#[derive(Clone)]
pub struct Ask {
    store: Arc<Store>,
    retriever: Retriever,
    mixable: Arc<HashSet<String>>,
    generators: Arc<Generators>,
    meter: Option<Meter>,
    reach: Reach,
}

impl Ask {
    /// `mixable`: names of collections whose text may stand in one answer with another's.
    pub fn new(store: Arc<Store>, retriever: Retriever, mixable: Vec<String>) -> Self {
        let mixable = Arc::new(mixable.into_iter().collect());
        Self { store, retriever, mixable, generators: Arc::default(), meter: None, reach: Reach::All }
    }

    /// Has answers written by these.
    pub fn with_generators(mut self, generators: Generators) -> Self {
        self.generators = Arc::new(generators);
        self
    }

    /// Has what models are asked counted.
    pub fn with_meter(mut self, meter: Meter) -> Self {
        self.meter = Some(meter);
        self
    }

    /// The same for somebody who may see only so much: other collections are not there.
    pub fn within(&self, reach: &Reach) -> Self {
        Self { reach: reach.clone(), ..self.clone() }
    }

    /// Searches the named collections; `None` means all.
    pub fn search(&self, collections: Option<&[String]>, query: &Query) -> Result<Found, AskError> {
        let names = self.named(collections)?;
        Ok(self.retriever.search(query, &self.open(&names, collections.is_none())?)?)
    }

    /// Searches one collection by a vector that the asker brought instead of a question.
    pub fn nearest(&self, collection: &str, vector: &[f32], query: &Query) -> Result<Found, AskError> {
        Ok(self.retriever.nearest(vector, query, &self.open(&self.named(Some(&[collection.to_owned()]))?, false)?)?)
    }

    /// Numbers in a vector that `collection` can be searched by; none where that is not known yet.
    pub fn dimension(&self, collection: &str) -> Result<Option<usize>, AskError> {
        let opened = self.open(&self.named(Some(&[collection.to_owned()]))?, false)?;
        Ok(opened.first().map(|collection| self.retriever.dimension(collection)).transpose()?.flatten())
    }

    /// Answers from the named collections; `None` means all.
    pub fn answer(&self, collections: Option<&[String]>, question: &str) -> Result<Asked, AskError> {
        let cancel = Cancel::never();
        let question =
            Question { collections, text: question, task: &Task::ASK, history: &[], binding: false, cancel: &cancel };
        self.answered(&question, &mut |_| ())
    }

    /// Answers, or does another task, and tells how far it is.
    ///
    /// Full text alone is searched where no vectors can be: an answer is its quotes, whichever way they were found.
    pub fn answered(&self, question: &Question<'_>, tell: &mut dyn FnMut(Step<'_>)) -> Result<Asked, AskError> {
        let mut clock = Clock::start();
        let collections = self.mixed(question.collections)?;
        let generators = self.generators.of(question.task).ok_or(AskError::NoGenerator)?;
        let route = self.generators.route(question.task.kind);
        let Material { mut passages, unreadable, whole } = self.material(question, &collections, route.input_tokens)?;
        tell(Step::Found(passages.len()));
        let schema = question.task.schema.as_deref().or(route.schema.as_deref());
        let job = Job { kind: question.task.kind, schema, whole, answer_tokens: route.answer_tokens, longest: route.longest };
        let walls = walls(&collections);
        let mut attempt = Attempt { question, job, from: &collections, walls: &walls, clock: &mut clock };
        let (answer, tried) = generated(&generators, &mut attempt, &mut passages, tell)?;
        let trail = task::account(self.meter.as_ref(), job.kind, &answer, &passages, &walls, &clock);
        Ok(Asked { answer, unreadable, tried, passages, trail })
    }

    /// The trail of a task, if it is still kept and all that it was about is within reach.
    pub fn trail(&self, id: &str) -> Result<Option<Trail>, AskError> {
        let Some(meter) = &self.meter else { return Ok(None) };
        meter.trail(&self.reach, id).map_err(|error| AskError::Failed(error.to_string()))
    }

    /// The best passages for a question, by the rules of an answer.
    pub fn grounds(&self, collections: Option<&[String]>, question: &str, limit: usize) -> Result<Found, AskError> {
        let collections = self.mixed(collections)?;
        Ok(self.passages(question, limit, &collections)?)
    }

    /// Has a language model go on with a conversation about the named collections (`None` means all) as it is, without documents.
    /// None where no language model is configured or none can.
    pub fn complete(
        &self,
        collections: Option<&[String]>,
        turns: &[Turn],
        cancel: &Cancel,
    ) -> Result<Option<(Completed, GeneratorInfo)>, AskError> {
        let walls = walls(&self.open(&self.named(collections)?, collections.is_none())?);
        for generator in self.generators.of(&Task::ASK).unwrap_or_default() {
            let asked = Instant::now();
            match generator.complete(turns, &walls, cancel) {
                Some(Ok(completed)) => {
                    let info = generator.info();
                    task::account_chore(self.meter.as_ref(), &completed, &info, &walls, asked.elapsed());
                    return Ok(Some((completed, info)));
                }
                Some(Err(GeneratorError::Cancelled)) => return Ok(None),
                Some(Err(error)) => tell_failure(generator.as_ref(), &error),
                None => {}
            }
        }
        Ok(None)
    }

    /// Vectors of texts as questions, by the active model.
    pub fn embed(&self, texts: &[String]) -> Result<Embedded, AskError> {
        Ok(self.retriever.embed(texts)?)
    }

    /// How near each document is to the question: the cosine of their vectors.
    pub fn nearness(&self, question: &str, documents: &[&str]) -> Result<Vec<f32>, AskError> {
        Ok(self.retriever.nearness(question, documents)?)
    }

    /// The active embedding model: its name and the numbers in its vectors; none where there is none.
    pub fn embedding_model(&self) -> Option<(String, usize)> {
        self.retriever.model()
    }

    /// Names of all collections within reach, and whether their text may stand beside others'.
    pub fn collections(&self) -> Result<Vec<(String, bool)>, AskError> {
        let names = self.named(None)?.into_iter();
        Ok(names.map(|name| (name.clone(), self.mixable.contains(&name))).collect())
    }

    /// Opens the collections of one answer.
    fn mixed(&self, collections: Option<&[String]>) -> Result<Vec<Arc<Collection>>, AskError> {
        let names = self.named(collections)?;
        if names.len() > 1 && !names.iter().all(|name| self.mixable.contains(name)) {
            return Err(AskError::WouldMix);
        }
        self.open(&names, collections.is_none())
    }

    fn passages(&self, text: &str, limit: usize, from: &[Arc<Collection>]) -> Result<Found, SearchError> {
        let filter = DocumentFilter::default();
        // The built-in generator looks at how near a passage is.
        let query = Query { text: text.to_owned(), mode: Mode::Hybrid, limit, filter, explain: true };
        self.searched_by_words_at_least(query, from)
    }

    /// Searches, by words alone where there are no vectors.
    fn searched_by_words_at_least(&self, mut query: Query, from: &[Arc<Collection>]) -> Result<Found, SearchError> {
        match self.retriever.search(&query, from) {
            Err(SearchError::ModeUnavailable(_)) => {
                query.mode = Mode::Lexical;
                self.retriever.search(&query, from)
            }
            other => other,
        }
    }

    /// The names meant, each once, in the order given. One that is not there, or not in reach, is refused before anything else
    /// is looked at or opened: neither a time nor another error tells the two apart.
    fn named(&self, collections: Option<&[String]>) -> Result<Vec<String>, AskError> {
        let Some(names) = collections else {
            let mut records = self.store.records()?;
            records.retain(|record| self.reach.allows(record.id));
            return Ok(records.into_iter().map(|record| record.name).collect());
        };
        for name in names {
            let entry = self.store.registry().by_name(name)?;
            if !entry.is_some_and(|entry| self.reach.allows(entry.id)) {
                return Err(AskError::NoCollection);
            }
        }
        let mut seen = HashSet::new();
        Ok(names.iter().filter(|name| seen.insert(name.as_str())).cloned().collect())
    }

    /// Opens them. One that nobody asked for by name and that was destroyed just now is left out.
    fn open(&self, names: &[String], all: bool) -> Result<Vec<Arc<Collection>>, AskError> {
        let mut opened = Vec::with_capacity(names.len());
        for name in names {
            match self.store.by_name(name) {
                Err(IndexError::NoCollection) if all => {}
                Ok(hidden) if !self.reach.allows(hidden.id()) => return Err(AskError::NoCollection),
                other => opened.push(other?),
            }
        }
        Ok(opened)
    }
}

/// The collections' ids, sorted.
fn walls(collections: &[Arc<Collection>]) -> Vec<CollectionId> {
    let mut ids: Vec<CollectionId> = collections.iter().map(|collection| collection.id()).collect();
    ids.sort();
    ids
}
