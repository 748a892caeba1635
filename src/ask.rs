//! Composes a question's way: retrieve, answer, record. Readable in one sitting.

use std::collections::HashSet;
use std::sync::Arc;

use strongroom_ingest::index::records::DocumentFilter;
use strongroom_ingest::index::{Collection, IndexError, Store};
use strongroom_ingest::model::{CollectionId, Reach, Span, VersionId};

use crate::answer::{self, Answer, Extracts, GenerateRequest, Generator};
use crate::retrieve::{Found, Hit, Mode, Query, Retriever, SearchError, stored};

/// Passages that an answer may be taken from.
const PASSAGES: usize = 10;

/// Why a question could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// A collection that is not there, or may not be read: the same to the asker.
    #[error("there is no such collection")]
    NoCollection,
    /// The mode cannot be served; the text says why and what to do.
    #[error("{0}")]
    ModeUnavailable(String),
    /// A vector of another model than the collection's.
    #[error("the vector has {given} dimensions, and the collection's vectors have {wanted}")]
    Dimension {
        /// Numbers in the vector that was given.
        given: usize,
        /// Numbers in a vector of the collection.
        wanted: usize,
    },
    /// An answer over several collections that do not all allow it.
    #[error("an answer over several collections needs `mix = true` in each one's configuration")]
    WouldMix,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl From<IndexError> for AskError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::NoCollection => Self::NoCollection,
            other => SearchError::from(other).into(),
        }
    }
}

impl From<SearchError> for AskError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::ModeUnavailable(why) => Self::ModeUnavailable(why),
            SearchError::Dimension { given, wanted } => Self::Dimension { given, wanted },
            SearchError::Failed(why) => Self::Failed(why),
        }
    }
}

/// What a question gave.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The answer.
    pub answer: Answer,
    /// Documents of the asked collections that cannot be read.
    pub unreadable: u64,
}

/// Answers questions over the store. Cheap to clone. Every method blocks: call it off the async threads.
#[derive(Clone)]
pub struct Ask {
    store: Arc<Store>,
    retriever: Retriever,
    mixable: Arc<HashSet<String>>,
    generator: Arc<dyn Generator>,
    reach: Reach,
}

impl Ask {
    /// `mixable`: names of collections whose text may stand in one answer with another's.
    pub fn new(store: Arc<Store>, retriever: Retriever, mixable: Vec<String>) -> Self {
        Self {
            store,
            retriever,
            mixable: Arc::new(mixable.into_iter().collect()),
            generator: Arc::new(Extracts),
            reach: Reach::All,
        }
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
        Ok(self.retriever.nearest(vector, query, &self.open(&[collection.to_owned()], false)?)?)
    }

    /// Numbers in a vector that `collection` can be searched by; none where that is not known yet.
    pub fn dimension(&self, collection: &str) -> Result<Option<usize>, AskError> {
        let opened = self.open(&[collection.to_owned()], false)?;
        Ok(opened.first().map(|collection| self.retriever.dimension(collection)).transpose()?.flatten())
    }

    /// Answers from the named collections; `None` means all.
    ///
    /// Full text alone is searched where no vectors can be: an answer is its quotes, whichever way they were found.
    pub fn answer(&self, collections: Option<&[String]>, question: &str) -> Result<Asked, AskError> {
        let names = self.named(collections)?;
        if names.len() > 1 && !names.iter().all(|name| self.mixable.contains(name)) {
            return Err(AskError::WouldMix);
        }
        let collections = self.open(&names, collections.is_none())?;
        let mut query = Query {
            text: question.to_owned(),
            mode: Mode::Hybrid,
            limit: PASSAGES,
            filter: DocumentFilter::default(),
            // The generator looks at how near a passage is.
            explain: true,
        };
        let found = match self.retriever.search(&query, &collections) {
            Err(SearchError::ModeUnavailable(_)) => {
                query.mode = Mode::Lexical;
                self.retriever.search(&query, &collections)?
            }
            other => other?,
        };
        let passages = stored::of_the_named(&answer::names(question), found.hits, &collections)?;
        Ok(Asked { answer: self.generated(question, passages, &collections)?, unreadable: found.unreadable })
    }

    /// Has an answer written. Passages that are no longer what they were when they were found are taken away, and it is
    /// written again without them.
    fn generated(&self, question: &str, mut passages: Vec<Hit>, from: &[Arc<Collection>]) -> Result<Answer, AskError> {
        loop {
            let request = GenerateRequest { question, passages: &passages };
            let generated =
                self.generator.generate(&request, &mut |_| ()).map_err(|error| AskError::Failed(error.to_string()))?;
            let mut changed: Vec<(CollectionId, VersionId, Span)> = Vec::new();
            let answer = answer::cite(generated, &passages, self.generator.info(), |hit, span| {
                let stored = stored::slice(from, hit, span)?;
                if stored.is_none() {
                    changed.push((hit.collection, hit.version, hit.span));
                }
                Ok::<_, AskError>(stored)
            })?;
            if changed.is_empty() {
                return Ok(answer);
            }
            passages.retain(|hit| !changed.contains(&(hit.collection, hit.version, hit.span)));
        }
    }

    /// The names meant, each once, in the order given.
    fn named(&self, collections: Option<&[String]>) -> Result<Vec<String>, AskError> {
        let Some(names) = collections else {
            let mut records = self.store.records()?;
            records.retain(|record| self.reach.allows(record.id));
            return Ok(records.into_iter().map(|record| record.name).collect());
        };
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
