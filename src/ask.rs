//! Composes a question's way: retrieve, answer, record. Readable in one sitting.

mod failure;
mod words;

use std::collections::HashSet;
use std::sync::Arc;

use strongroom_ingest::index::records::DocumentFilter;
use strongroom_ingest::index::{Collection, IndexError, Store};
use strongroom_ingest::model::{CollectionId, Reach, Span, VersionId};

use crate::answer::{
    self, Answer, Cancel, Completed, Extracts, GenerateRequest, Generator, GeneratorError, GeneratorInfo, Role, Turn,
};
pub use failure::AskError;
use words::Words;

use crate::retrieve::{Embedded, Found, Hit, Mode, Query, Retriever, SearchError, stored};

/// Passages that an answer may be taken from.
const PASSAGES: usize = 10;

/// What a question gave.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The answer.
    pub answer: Answer,
    /// Documents of the asked collections that cannot be read.
    pub unreadable: u64,
    /// Generators that were tried before the one that answered, and why they did not.
    pub tried: Vec<Tried>,
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
}

/// Answers questions over the store. Cheap to clone. Every method blocks: call it off the async threads.
#[derive(Clone)]
pub struct Ask {
    store: Arc<Store>,
    retriever: Retriever,
    mixable: Arc<HashSet<String>>,
    generators: Arc<[Arc<dyn Generator>]>,
    reach: Reach,
}

impl Ask {
    /// `mixable`: names of collections whose text may stand in one answer with another's.
    pub fn new(store: Arc<Store>, retriever: Retriever, mixable: Vec<String>) -> Self {
        let mixable = Arc::new(mixable.into_iter().collect());
        Self { store, retriever, mixable, generators: Arc::from([]), reach: Reach::All }
    }

    /// Has answers written by these, the first that can.
    pub fn with_generators(mut self, generators: Vec<Arc<dyn Generator>>) -> Self {
        self.generators = generators.into();
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
        self.answered(&Question { collections, text: question, history: &[], binding: false, cancel: &cancel }, &mut |_| ())
    }

    /// Answers, and tells how far it is.
    ///
    /// Full text alone is searched where no vectors can be: an answer is its quotes, whichever way they were found.
    pub fn answered(&self, question: &Question<'_>, tell: &mut dyn FnMut(Step<'_>)) -> Result<Asked, AskError> {
        let collections = self.mixed(question.collections)?;
        let found = self.passages(&searched(question.text, question.history), PASSAGES, &collections)?;
        let passages = stored::of_the_named(&answer::names(question.text), found.hits, &collections)?;
        tell(Step::Found(passages.len()));
        let (answer, tried) = self.generated(question, passages, &collections, tell)?;
        Ok(Asked { answer, unreadable: found.unreadable, tried })
    }

    /// The best passages for a question, by the rules of an answer.
    pub fn grounds(&self, collections: Option<&[String]>, question: &str, limit: usize) -> Result<Found, AskError> {
        let collections = self.mixed(collections)?;
        Ok(self.passages(question, limit, &collections)?)
    }

    /// Has a language model go on with a conversation about the named collections (`None` means all) as it is, without documents. None where no language model is configured
    /// or none can.
    pub fn complete(
        &self,
        collections: Option<&[String]>,
        turns: &[Turn],
        cancel: &Cancel,
    ) -> Result<Option<(Completed, GeneratorInfo)>, AskError> {
        let walls = walls(&self.open(&self.named(collections)?, collections.is_none())?);
        for generator in self.generators.iter() {
            match generator.complete(turns, &walls, cancel) {
                Some(Ok(completed)) => return Ok(Some((completed, generator.info()))),
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
        let mut query = Query { text: text.to_owned(), mode: Mode::Hybrid, limit, filter, explain: true };
        match self.retriever.search(&query, from) {
            Err(SearchError::ModeUnavailable(_)) => {
                query.mode = Mode::Lexical;
                self.retriever.search(&query, from)
            }
            other => other,
        }
    }

    /// Has an answer written, by the first generator that can; the built-in one always can.
    fn generated(
        &self,
        question: &Question<'_>,
        mut passages: Vec<Hit>,
        from: &[Arc<Collection>],
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<(Answer, Vec<Tried>), AskError> {
        let mut tried = Vec::new();
        let extracts: Arc<dyn Generator> = Arc::new(Extracts);
        for generator in self.generators.iter().chain([&extracts]) {
            let mut words = Words { binding: question.binding, held: String::new(), out: false };
            match self.by_one(generator.as_ref(), question, &mut passages, from, &mut words, tell) {
                Err(Stop::Generator(GeneratorError::Cancelled)) => return Err(AskError::Cancelled),
                Err(Stop::Generator(error)) => {
                    tell_failure(generator.as_ref(), &error);
                    if words.out && question.binding {
                        return Err(AskError::BrokeOff(error.to_string()));
                    }
                    words.void(tell);
                    tried.push(Tried { name: generator.info().name, why: error.to_string() });
                }
                Err(Stop::Ask(error)) => return Err(error),
                Ok(answer) => {
                    if !answer.grounded {
                        words.void(tell);
                        tell(Step::Words(&answer.text));
                    }
                    return Ok((answer, tried));
                }
            }
        }
        Err(AskError::Failed("no generator answered".into()))
    }

    /// Has one generator write. Passages that are no longer what they were when they were found are taken away, and it writes
    /// again without them.
    fn by_one(
        &self,
        generator: &dyn Generator,
        question: &Question<'_>,
        passages: &mut Vec<Hit>,
        from: &[Arc<Collection>],
        words: &mut Words,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<Answer, Stop> {
        let walls = walls(from);
        loop {
            let request = GenerateRequest {
                question: question.text,
                passages: passages.as_slice(),
                walls: &walls,
                history: question.history,
                cancel: question.cancel,
            };
            let generated = generator.generate(&request, &mut |piece| words.add(piece, tell)).map_err(Stop::Generator)?;
            let mut changed: Vec<(CollectionId, VersionId, Span)> = Vec::new();
            let answer = answer::cite(generated, passages, generator.info(), |hit, span| {
                let stored = stored::slice(from, hit, span)?;
                if stored.is_none() {
                    changed.push((hit.collection, hit.version, hit.span));
                }
                Ok::<_, AskError>(stored)
            })
            .map_err(Stop::Ask)?;
            if changed.is_empty() {
                return Ok(answer);
            }
            if words.out && question.binding {
                return Err(Stop::Ask(AskError::BrokeOff("a document changed meanwhile".into())));
            }
            words.void(tell);
            passages.retain(|hit| !changed.contains(&(hit.collection, hit.version, hit.span)));
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

/// Why a generator's answer was not taken.
enum Stop {
    /// The generator's fault: another may be tried.
    Generator(GeneratorError),
    /// Ours.
    Ask(AskError),
}

fn tell_failure(generator: &dyn Generator, error: &GeneratorError) {
    tracing::warn!(generator = generator.info().name, %error, "a generator did not answer; the next one is tried");
}

/// Questions of fewer words, or with one of these words, lean on what was said before.
const FEW_WORDS: usize = 4;
const POINTING: [&str; 16] = [
    "it", "its", "that", "this", "these", "those", "they", "them", "their", "he", "she", "his", "her", "there", "same",
    "former",
];

/// What is searched for a question that may lean on the one before.
fn searched(question: &str, history: &[Turn]) -> String {
    let before = history.iter().rev().find(|turn| turn.role == Role::User);
    let mut words = question.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let leans = words.clone().count() <= FEW_WORDS || words.any(|word| POINTING.contains(&word.to_lowercase().as_str()));
    match before {
        Some(before) if leans => format!("{} {question}", before.text.trim()),
        _ => question.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_points_back_is_searched_with_the_one_before() {
        let turn = |role, text: &str| Turn { role, text: text.to_owned() };
        let history = [turn(Role::User, "What is the rent of the Acme lease?"), turn(Role::Assistant, "€4,500 [1].")];
        assert_eq!(
            searched("And when is it payable?", &history),
            "What is the rent of the Acme lease? And when is it payable?"
        );
        assert_eq!(searched("And parking?", &history), "What is the rent of the Acme lease? And parking?");
        let whole = "Which law governs the Globex services agreement?";
        assert_eq!(searched(whole, &history), whole);
        assert_eq!(searched("And parking?", &[]), "And parking?");
    }

    #[test]
    fn words_that_bind_wait_for_their_first_citation() {
        let mut told = Vec::new();
        let mut words = Words { binding: true, held: String::new(), out: false };
        for piece in ["Ninety", " days [sic] ", "[1]", " and"] {
            words.add(piece, &mut |step| told.push(format!("{step:?}")));
        }
        assert_eq!(told, ["Words(\"Ninety days [sic] [1]\")", "Words(\" and\")"]);
    }
}
