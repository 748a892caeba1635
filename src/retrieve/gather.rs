//! Asks the stores: both searches of every collection at the same time, and the chunks that the ranking names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use strongroom_ingest::embed::set::Embedders;
use strongroom_ingest::index::lexical::{LexicalHits, LexicalQuery};
use strongroom_ingest::index::vector::VectorHit;
use strongroom_ingest::index::{Collection, DocumentRef, IndexError, LiveChunk};
use strongroom_ingest::model::{ChunkId, Fingerprint, Moment, Scope, TextHash};

use super::fuse::Gathered;
use super::shape::{Shaped, Wanted};
use super::{Mode, Query, SearchError, words};

/// The full-text list goes at least this deep, even where fewer are candidates: a nearest passage that is not among the best
/// matches still gets its true score.
const LEXICAL_DEPTH: usize = 1_000;

/// A collection with what of it may be seen.
pub(super) struct Source {
    pub collection: Arc<Collection>,
    pub scope: Scope,
}

/// A question, ready to be asked of any number of sources.
pub(super) struct Asking<'a> {
    query: &'a Query,
    /// Question as the full-text index is asked it.
    telling: String,
    /// Hybrid with a phrase in quotation marks: passages without it are none.
    phrase: bool,
    embedders: &'a Embedders,
    vectors: HashMap<Fingerprint, Vec<f32>>,
    /// The question as a vector, where the asker brought one.
    given: Option<&'a [f32]>,
}

impl From<IndexError> for SearchError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::NoVectors(why) => Self::ModeUnavailable(why),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// What may be seen of each collection.
pub(super) fn sources(query: &Query, collections: &[Arc<Collection>]) -> Result<Vec<Source>, SearchError> {
    let mut sources = Vec::with_capacity(collections.len());
    for collection in collections {
        let scope = collection.scope(&query.filter)?;
        sources.push(Source { collection: collection.clone(), scope });
    }
    Ok(sources)
}

impl<'a> Asking<'a> {
    pub fn new(query: &'a Query, embedders: &'a Embedders) -> Self {
        Self {
            query,
            telling: words::telling(&query.text),
            phrase: query.mode == Mode::Hybrid && words::has_phrase(&query.text),
            embedders,
            vectors: HashMap::new(),
            given: None,
        }
    }

    /// The same by the asker's own vector; the question's text is not looked at.
    pub fn by_vector(query: &'a Query, embedders: &'a Embedders, vector: &'a [f32]) -> Self {
        Self { given: Some(vector), ..Self::new(query, embedders) }
    }

    /// Asks every source for `depth` passages of each list. Full text is searched on a thread of its own meanwhile.
    pub fn gather(&mut self, sources: &[Source], depth: usize) -> Result<Vec<Gathered>, SearchError> {
        let (mode, telling) = (self.query.mode, self.telling.clone());
        let (lexical, dense) = std::thread::scope(|threads| {
            let matching = (mode == Mode::Hybrid).then(|| threads.spawn(|| lexical(sources, &telling, depth)));
            let dense = if mode == Mode::Lexical { Ok(Vec::new()) } else { self.dense(sources, depth) };
            let lexical = match matching {
                Some(thread) => thread.join().unwrap_or_else(|_| Err(SearchError::Failed("full-text search broke off".into()))),
                None if mode == Mode::Lexical => lexical(sources, &telling, depth),
                None => Ok(Vec::new()),
            };
            (lexical, dense)
        });
        let (mut lexical, mut dense) = (lexical?.into_iter(), dense?.into_iter());
        let mut gathered = Vec::with_capacity(sources.len());
        for source in sources {
            let mut side = Gathered {
                dense: dense.next().unwrap_or_default(),
                lexical: lexical.next().unwrap_or_default(),
                cosines: HashMap::new(),
            };
            if mode == Mode::Hybrid {
                self.add_cosines(source, depth, &mut side)?;
            }
            gathered.push(side);
        }
        Ok(gathered)
    }

    fn dense(&mut self, sources: &[Source], depth: usize) -> Result<Vec<Vec<VectorHit>>, SearchError> {
        let phrase = self.phrase;
        let mut found = Vec::with_capacity(sources.len());
        for source in sources {
            let hits = match self.vector(&source.collection)? {
                Some(vector) if !phrase => source.collection.dense(vector, &source.scope, depth)?,
                _ => Vec::new(),
            };
            found.push(hits);
        }
        Ok(found)
    }

    /// The question as a vector of the model whose vectors `collection` holds; none where there is nothing to compare it with.
    fn vector(&mut self, collection: &Collection) -> Result<Option<&[f32]>, SearchError> {
        if let Some(given) = self.given
            && let Some(wanted) = dimension(collection, self.embedders)?
            && given.len() != wanted
        {
            return Err(SearchError::Dimension { given: given.len(), wanted });
        }
        let Some(fingerprint) = collection.fingerprint()? else {
            return match (self.embedders.active(), collection.counts()?.indexed) {
                (_, 0) => Ok(None),
                (None, _) => Err(self.unavailable()),
                (Some(_), _) => Err(SearchError::ModeUnavailable("its vectors are still being made".into())),
            };
        };
        if self.given.is_some() {
            return Ok(self.given);
        }
        if !self.vectors.contains_key(&fingerprint) {
            let Some(embedder) = self.embedders.get(&fingerprint) else { return Err(self.unavailable()) };
            let vector = embedder.embed_query(&self.query.text).map_err(|error| SearchError::Failed(error.to_string()))?;
            self.vectors.insert(fingerprint.clone(), vector);
        }
        Ok(self.vectors.get(&fingerprint).map(Vec::as_slice))
    }

    fn unavailable(&self) -> SearchError {
        let other = "its vectors are of a model that is not loaded: configure that model, or run `strongroom rebuild`";
        SearchError::ModeUnavailable(self.embedders.why().unwrap_or_else(|| other.to_owned()))
    }

    /// The cosine of full-text candidates that are not among the nearest.
    fn add_cosines(&mut self, source: &Source, depth: usize, side: &mut Gathered) -> Result<(), SearchError> {
        let near: HashSet<ChunkId> = side.dense.iter().map(|hit| hit.chunk).collect();
        let candidates = side.lexical.passages.iter().take(depth).map(|hit| hit.chunk);
        let missing: Vec<ChunkId> = candidates.filter(|chunk| !near.contains(chunk)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        if let Some(vector) = self.vector(&source.collection)? {
            let scores = source.collection.dense_scores(vector, &missing)?;
            side.cosines = scores.into_iter().map(|hit| (hit.chunk, hit.score)).collect();
        }
        Ok(())
    }

    /// Whether a list may go on beyond `depth`.
    pub fn goes_on(&self, gathered: &[Gathered], depth: usize) -> bool {
        gathered.iter().any(|side| {
            // A list is full when it is as long as was asked for, and the full-text one is asked for more than it must give.
            let matches = side.lexical.passages.len();
            let lexical = matches > depth || matches >= depth.max(LEXICAL_DEPTH);
            let dense = self.query.mode != Mode::Lexical && side.dense.len() >= depth;
            lexical || dense
        })
    }
}

/// Numbers in a vector of `collection`, or of those that it will get before its first; none where no model is loaded.
pub(super) fn dimension(collection: &Collection, embedders: &Embedders) -> Result<Option<usize>, SearchError> {
    let active = || embedders.active().map(|embedder| embedder.dimension());
    Ok(collection.dimension()?.or_else(active))
}

fn lexical(sources: &[Source], telling: &str, depth: usize) -> Result<Vec<LexicalHits>, SearchError> {
    let limit = depth.max(LEXICAL_DEPTH);
    let ask = |source: &Source| source.collection.lexical(&LexicalQuery { text: telling, scope: &source.scope, limit });
    sources.iter().map(|source| Ok(ask(source)?)).collect()
}

/// Reads chunks of several collections.
pub(super) fn read(sources: &[Source], wanted: &[Wanted]) -> Result<HashMap<Wanted, LiveChunk>, SearchError> {
    let mut found = HashMap::with_capacity(wanted.len());
    for (at, source) in sources.iter().enumerate() {
        let ids: Vec<ChunkId> = wanted.iter().filter(|(source, _)| *source == at).map(|(_, chunk)| *chunk).collect();
        if !ids.is_empty() {
            found.extend(source.collection.chunks(&ids)?.into_iter().map(|(id, live)| ((at, id), live)));
        }
    }
    Ok(found)
}

/// For each hit, the other documents that hold all of it.
pub(super) fn twins(sources: &[Source], hits: &[Shaped]) -> Result<Vec<Vec<DocumentRef>>, SearchError> {
    let mut twins = vec![Vec::new(); hits.len()];
    for (at, source) in sources.iter().enumerate() {
        let own = || hits.iter().enumerate().filter(|(_, hit)| hit.source == at);
        let hashes: Vec<TextHash> = own().flat_map(|(_, hit)| hit.hashes.iter().copied()).collect();
        if hashes.is_empty() {
            continue;
        }
        let holders = source.collection.twins(&hashes, &source.scope)?;
        for (index, hit) in own() {
            twins[index] = others(hit, &holders);
        }
    }
    Ok(twins)
}

/// For each hit: when the pieces of its text are said, where it is a recording's.
pub(super) fn moments(sources: &[Source], hits: &[Shaped]) -> Result<Vec<Vec<Moment>>, SearchError> {
    let mut moments = vec![Vec::new(); hits.len()];
    for (at, source) in sources.iter().enumerate() {
        let own = || hits.iter().enumerate().filter(|(_, hit)| hit.source == at);
        let spans: Vec<_> = own().map(|(_, hit)| (hit.version, hit.span)).collect();
        if spans.is_empty() {
            continue;
        }
        for ((index, _), found) in own().zip(source.collection.catalog().moments(&spans)?) {
            moments[index] = found;
        }
    }
    Ok(moments)
}

/// The documents that hold every passage of `hit`, itself left out, in the order given.
fn others(hit: &Shaped, holders: &HashMap<TextHash, Vec<DocumentRef>>) -> Vec<DocumentRef> {
    let mut lists = hit.hashes.iter().map(|hash| holders.get(hash).map(Vec::as_slice).unwrap_or_default());
    let mut others: Vec<DocumentRef> = lists.next().unwrap_or_default().to_vec();
    for list in lists {
        let ids: HashSet<_> = list.iter().map(|document| document.id).collect();
        others.retain(|document| ids.contains(&document.id));
    }
    others.retain(|document| document.id != hit.document.id);
    others
}
