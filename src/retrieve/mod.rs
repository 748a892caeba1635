//! Question to passages: both searches, their fusion, and the walls between collections.
//!
//! `words` prepares the question, `gather` asks the stores, `fuse` ranks chunks, `shape` makes hits of them;
//! `stored` asks again what a hit is worth when an answer is made of it.

mod fuse;
mod gather;
mod shape;
pub(crate) mod stored;
pub(crate) mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use strongroom_ingest::embed::set::Embedders;
use strongroom_ingest::embed::{EmbedError, Embedder};
use strongroom_ingest::index::records::DocumentFilter;
use strongroom_ingest::index::{Collection, DocumentRef};
use strongroom_ingest::model::{CollectionId, Moment, Span, VersionId};

/// Which indexes are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Both, fused.
    Hybrid,
    /// Vectors only.
    Dense,
    /// Full text only.
    Lexical,
}

/// One search.
#[derive(Clone, Debug)]
pub struct Query {
    /// The question, as typed.
    pub text: String,
    /// Which indexes are asked.
    pub mode: Mode,
    /// Hits wanted, 1 to 100.
    pub limit: usize,
    /// Which documents may be found.
    pub filter: DocumentFilter,
    /// Whether hits tell how they were ranked.
    pub explain: bool,
}

/// A passage that answers a query: one chunk, or neighbouring chunks of one document.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The collection it is from.
    pub collection: CollectionId,
    /// That collection's name.
    pub collection_name: String,
    /// Its document.
    pub document: DocumentRef,
    /// The version of the document that the text is from.
    pub version: VersionId,
    /// 1-based page it begins on.
    pub page: Option<u32>,
    /// Titles of its sections, joined by ` › `.
    pub heading_path: String,
    /// Place in the document's text.
    pub span: Span,
    /// Exactly that slice.
    pub text: String,
    /// When the pieces of that slice are said, where the document is a recording; else empty.
    pub moments: Vec<Moment>,
    /// 0 to 1 or nearly so; higher is better; comparable between collections.
    pub score: f32,
    /// Other documents of the collection with the identical passage.
    pub also_in: Vec<DocumentRef>,
    /// How it was ranked, when asked for.
    pub explain: Option<Explain>,
}

/// How each stage saw a hit. Ranks are 1-based; none where that stage did not find it.
#[derive(Clone, Debug, Default)]
pub struct Explain {
    /// Rank among vector hits.
    pub dense_rank: Option<usize>,
    /// Cosine.
    pub dense_score: Option<f32>,
    /// Rank among full-text hits.
    pub lexical_rank: Option<usize>,
    /// BM25 of the passage.
    pub lexical_score: Option<f32>,
    /// BM25 of the whole document.
    pub document_score: Option<f32>,
    /// BM25 of file name, title and first characters.
    pub head_score: Option<f32>,
    /// What was added up, by name, after weighting.
    pub parts: Vec<(&'static str, f32)>,
}

/// Why a search could not be served.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The mode needs something that is not there; the text says what and how to get it.
    #[error("{0}")]
    ModeUnavailable(String),
    /// The vector that was given is of another model than the collection's vectors.
    #[error("the vector has {given} dimensions, and the collection's vectors have {wanted}")]
    Dimension {
        /// Numbers in the vector that was given.
        given: usize,
        /// Numbers in a vector of the collection.
        wanted: usize,
    },
    /// Anything else.
    #[error("the search failed: {0}")]
    Failed(String),
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Best first.
    pub hits: Vec<Hit>,
    /// Documents of the searched collections that cannot be read, and so cannot be found.
    pub unreadable: u64,
    /// Time it took.
    pub took: Duration,
}

/// Vectors of texts.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// The model's name.
    pub model: String,
    /// One of length 1 for each text, in order.
    pub vectors: Vec<Vec<f32>>,
}

/// How many passages of each list are candidates, at least. More only where hits fold, join or are many.
const DEPTH: usize = 200;
/// And at most: so many that say the same are not a list that people would read on.
const DEEPEST: usize = 3_200;

/// Searches collections.
#[derive(Clone)]
pub struct Retriever {
    embedders: Embedders,
}

impl Retriever {
    /// A retriever over the loaded models.
    pub fn new(embedders: Embedders) -> Self {
        Self { embedders }
    }

    /// The active model's name and the numbers in its vectors.
    pub fn model(&self) -> Option<(String, usize)> {
        self.embedders.active().map(|embedder| (embedder.model_name().to_owned(), embedder.dimension()))
    }

    /// Vectors of texts as questions, by the active model. Blocks. Texts go one by one, so that searches get their turn.
    ///
    /// # Errors
    /// [`SearchError::ModeUnavailable`] where no model is loaded.
    pub fn embed(&self, texts: &[String]) -> Result<Embedded, SearchError> {
        let embedder = self.active()?;
        let vectors: Result<Vec<_>, _> = texts.iter().map(|text| embedder.embed_query(text)).collect();
        let vectors = vectors.map_err(|error| SearchError::Failed(error.to_string()))?;
        Ok(Embedded { model: embedder.model_name().to_owned(), vectors })
    }

    /// How near each document is to the question: the cosine of their vectors by the active model. Blocks.
    ///
    /// # Errors
    /// [`SearchError::ModeUnavailable`] where no model is loaded.
    pub fn nearness(&self, question: &str, documents: &[&str]) -> Result<Vec<f32>, SearchError> {
        let embedder = self.active()?;
        let failed = |error: EmbedError| SearchError::Failed(error.to_string());
        let asked = embedder.embed_query(question).map_err(failed)?;
        let vectors = embedder.embed_documents(documents).map_err(failed)?;
        Ok(vectors.iter().map(|vector| vector.iter().zip(&asked).map(|(a, b)| a * b).sum()).collect())
    }

    fn active(&self) -> Result<Embedder, SearchError> {
        let why = || self.embedders.why().unwrap_or_else(|| "the embedding model is not loaded yet".to_owned());
        self.embedders.active().ok_or_else(|| SearchError::ModeUnavailable(why()))
    }

    /// Searches the given collections and merges what they give. Blocks; call it off the async threads.
    ///
    /// Fewer hits than asked for come only if no more passages match. In dense mode every passage within the filter matches,
    /// in hybrid mode too, unless the question holds a phrase in quotation marks: that must be in the text.
    pub fn search(&self, query: &Query, collections: &[Arc<Collection>]) -> Result<Found, SearchError> {
        self.run(gather::Asking::new(query, &self.embedders), query, collections)
    }

    /// Searches by a vector that somebody else made of a question, in place of the question's text: the mode is
    /// [`Mode::Dense`], whatever `query` says. Blocks.
    ///
    /// # Errors
    /// [`SearchError::Dimension`] where a collection's vectors have another length.
    pub fn nearest(&self, vector: &[f32], query: &Query, collections: &[Arc<Collection>]) -> Result<Found, SearchError> {
        let query = Query { mode: Mode::Dense, ..query.clone() };
        self.run(gather::Asking::by_vector(&query, &self.embedders, vector), &query, collections)
    }

    /// Numbers in a vector of `collection`, or of those that it will get before its first; none where no model is loaded.
    pub fn dimension(&self, collection: &Collection) -> Result<Option<usize>, SearchError> {
        gather::dimension(collection, &self.embedders)
    }

    fn run(
        &self,
        mut asking: gather::Asking<'_>,
        query: &Query,
        collections: &[Arc<Collection>],
    ) -> Result<Found, SearchError> {
        let started = Instant::now();
        let mut unreadable = 0;
        for collection in collections {
            unreadable += collection.counts()?.unreadable;
        }
        let sources = gather::sources(query, collections)?;
        let mut depth = DEPTH.max(2 * query.limit);
        let (ranked, shaped) = loop {
            let gathered = asking.gather(&sources, depth)?;
            let ranked = fuse::rank(query.mode, &gathered, depth);
            let shaped = shape::shape(&ranked, query.limit, |wanted| gather::read(&sources, wanted))?;
            if shaped.len() >= query.limit || depth >= DEEPEST || !asking.goes_on(&gathered, depth) {
                break (ranked, shaped);
            }
            depth *= 4;
        };
        let twins = gather::twins(&sources, &shaped)?;
        let moments = gather::moments(&sources, &shaped)?;
        let mut hits = Vec::with_capacity(shaped.len());
        for ((hit, also_in), moments) in shaped.into_iter().zip(twins).zip(moments) {
            let collection = &sources[hit.source].collection;
            hits.push(Hit {
                collection: collection.id(),
                collection_name: collection.name().to_owned(),
                document: hit.document,
                version: hit.version,
                page: hit.page,
                heading_path: hit.heading_path,
                span: hit.span,
                text: hit.text,
                moments,
                score: hit.score,
                also_in,
                explain: query.explain.then(|| ranked[hit.ranked].explain.clone()),
            });
        }
        Ok(Found { hits, unreadable, took: started.elapsed() })
    }
}
