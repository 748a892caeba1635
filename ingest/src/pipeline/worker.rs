//! One document's way from its bytes to a committed version: read, cut, embed what is new, commit.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256 as Hasher};

use super::queue::{Job, Queue};
use super::shared::Shared;
use crate::chunk::CHUNKER_VERSION;
use crate::embed::Embedder;
use crate::extract::{ExtractError, Extracted, Hearing, Member, Source};
use crate::index::catalog::{Committed, NewChunk, NewMember, NewVersion, Pending, Unreadable};
use crate::index::{Collection, IndexError};
use crate::model::{Extraction, Fingerprint, Moment, Page, Reason, Sha256, Span, TextHash};
use crate::watch::{self, ReadError};

/// Texts given to the model at once: enough to fill its queue, few enough that a large document doesn't hold all of its vectors twice.
const TEXTS: usize = 256;
/// How often a commit is tried again because the collection's model changed meanwhile.
const MODEL_CHANGES: usize = 3;

/// Takes documents from one of the queues until it is closed.
pub(super) fn run(shared: &Shared, queue: &Queue) {
    while let Some(job) = queue.pop() {
        if let Err(error) = one(shared, job, std::ptr::eq(queue, &shared.recordings)) {
            shared.failed(job, &error);
        }
        queue.done(job);
    }
}

/// What came in the way of one document, by our fault. Never holds its text or name.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("{0}")]
    Other(String),
}

fn one(shared: &Shared, job: Job, listens: bool) -> Result<(), WorkError> {
    let collection = match shared.store.by_id(job.collection) {
        Err(IndexError::NoCollection) => return Ok(()),
        other => other?,
    };
    let Some(pending) = collection.catalog().pending(job.document)? else { return Ok(()) };
    let entry = shared.store.registry().by_id(job.collection)?;
    let place = entry.as_ref().map(|entry| format!("{}/{}", entry.name, pending.path)).unwrap_or_default();
    let mut extractor = extractor_name(&shared.extractor.engines(), &pending.path, pending.declared_type.as_deref());
    // Equal recordings in places of different lanes are different texts.
    if let Some(lane) = shared.options.transcriber.as_ref().and_then(|transcriber| transcriber.lane_at(&place)) {
        extractor = format!("{extractor} {}", lane.as_str());
    }
    if let Some(committed) = collection.catalog().commit_copy(pending.id, pending.sha256, &extractor)? {
        shared.committed(&collection, &pending, committed, 0);
        return Ok(());
    }
    let root = entry.and_then(|entry| entry.watched);
    let passwords = collection.catalog().passwords(&pending.path)?;
    let mut tries = 0;
    let extracted = loop {
        let file = match open(&collection, &pending, root.as_deref()) {
            Ok(file) => file,
            Err(ReadError::Denied) => {
                let why = Unreadable { reason: Reason::NoPermission, detail: "this user may not read the file".into() };
                return unreadable(shared, &collection, &pending, &why);
            }
            // Gone or moved since it was seen: the next look at the folder says what became of it.
            Err(_) if root.is_some() => {
                shared.troubled.lock().insert(job.collection);
                shared.look(root.as_deref());
                return Ok(());
            }
            Err(error) => return Err(WorkError::Other(format!("the stored original can't be opened: {error}"))),
        };
        let extracted = extract(shared, &pending, &passwords, &file, listens.then_some(&place))?;
        tries += 1;
        // A crash can be bad luck; one that comes twice is the file's fault.
        let crashed = matches!(&extracted.outcome, Err(why) if why.reason == Reason::Crashed);
        if !crashed || tries == 2 || shared.ending() {
            break extracted;
        }
    };
    if shared.ending() {
        // The reader may have been ended under it.
        return Ok(());
    }
    if !listens && shared.options.transcriber.is_some() && extracted.has_unheard() {
        shared.recordings.push(job, pending.bytes);
        return Ok(());
    }
    match extracted.outcome {
        Err(why) if why.reason == Reason::TooLarge || extracted.sha256 == pending.sha256 => {
            unreadable(shared, &collection, &pending, &Unreadable { reason: why.reason, detail: why.detail })
        }
        Ok(extraction) if extracted.sha256 == pending.sha256 => {
            let version = version(shared, &pending, extractor, &extraction, extracted.members);
            commit(shared, &collection, &pending, version)
        }
        _ => {
            shared.look(root.as_deref());
            Err(WorkError::Other("the file changed while it was read".into()))
        }
    }
}

/// Reads a document; with a `place`, recordings are written down.
fn extract(
    shared: &Shared,
    pending: &Pending,
    passwords: &[String],
    mut file: &File,
    place: Option<&String>,
) -> Result<Extracted, WorkError> {
    let name = crate::index::catalog::file_name(&pending.path);
    let media_type = pending.declared_type.as_deref();
    let again = || -> io::Result<Box<dyn Read + Send>> {
        let mut file = file.try_clone()?;
        file.rewind()?;
        Ok(Box::new(file))
    };
    let transcriber = shared.options.transcriber.as_deref();
    let hearing = transcriber.zip(place).map(|(transcriber, place)| Hearing { transcriber, place, again: &again });
    let source = Source { bytes: &mut file, len: pending.bytes, name, media_type, passwords, hearing };
    shared.extractor.extract(source).map_err(|error| match &error {
        ExtractError::Spawn(cause) | ExtractError::Source(cause) | ExtractError::Worker(cause) => {
            WorkError::Other(format!("{error}: {}", cause.kind()))
        }
        ExtractError::Speech(_) => WorkError::Other(error.to_string()),
    })
}

/// Equal bytes under an equal name give an equal text. The name's ending and the declared type are hints to the reader, so they count.
fn extractor_name(engines: &str, path: &str, declared: Option<&str>) -> String {
    let file = crate::index::catalog::file_name(path);
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending).to_lowercase();
    format!("{engines} {CHUNKER_VERSION} {ending} {}", declared.unwrap_or(""))
}

fn open(collection: &Collection, pending: &Pending, root: Option<&Path>) -> Result<File, ReadError> {
    match root {
        Some(root) => watch::read_file(Path::new(&pending.path), root),
        None => File::open(original(collection, pending)).map_err(ReadError::Io),
    }
}

fn original(collection: &Collection, pending: &Pending) -> PathBuf {
    collection.originals().join(pending.sha256.to_string())
}

fn unreadable(shared: &Shared, collection: &Collection, pending: &Pending, why: &Unreadable) -> Result<(), WorkError> {
    let committed = collection.catalog().commit_unreadable(pending.id, pending.sha256, why)?;
    shared.committed(collection, pending, committed, 0);
    Ok(())
}

/// What is kept of a document: its chunks, and what is inside it.
fn version(shared: &Shared, pending: &Pending, extractor: String, extraction: &Extraction, members: Vec<Member>) -> NewVersion {
    let engines = shared.extractor.engines();
    let inside = members.into_iter().map(|member| {
        let Member { name, outcome, sha256, bytes } = member;
        let outcome = match outcome {
            Ok(extraction) => {
                let extractor = extractor_name(&engines, &name, None);
                Ok(cut(shared, sha256, extractor, &extraction))
            }
            Err(why) => Err(Unreadable { reason: why.reason, detail: why.detail }),
        };
        NewMember { name, sha256, bytes, outcome }
    });
    let members = inside.collect();
    NewVersion { members, ..cut(shared, pending.sha256, extractor, extraction) }
}

/// A version of one text, without vectors and members.
fn cut(shared: &Shared, sha256: Sha256, extractor: String, extraction: &Extraction) -> NewVersion {
    let chunks = shared.chunker.chunk(extraction).into_iter();
    NewVersion {
        sha256,
        extractor,
        title: extraction.title.clone(),
        media_type: extraction.media_type.clone(),
        engines: engines(&extraction.pages),
        pages: extraction.pages.iter().filter_map(|page| page.number).max(),
        missing_pages: extraction.missing_pages.clone(),
        author: extraction.author.clone(),
        written_at: extraction.written_at,
        note: extraction.note.clone(),
        qualities: extraction.pages.iter().map(|page| page.quality).collect(),
        moments: moments(extraction),
        scribe: extraction.scribe.as_deref().cloned(),
        members: Vec::new(),
        chunks: chunks.map(|chunk| NewChunk { hash: text_hash(chunk.text.trim()), chunk }).collect(),
        fingerprint: None,
        vectors: Vec::new(),
    }
}

/// When each piece of a recording's text is said, by characters.
fn moments(extraction: &Extraction) -> Vec<Moment> {
    let characters = |from, to| extraction.text.get(from..to).unwrap_or_default().chars().count() as u64;
    let (mut byte, mut character) = (0, 0);
    let mut moments = Vec::with_capacity(extraction.moments.len());
    for (bytes, start_ms, end_ms) in &extraction.moments {
        let start = character + characters(byte, bytes.start);
        let end = start + characters(bytes.start, bytes.end);
        moments.push(Moment { span: Span { start, end }, start_ms: *start_ms, end_ms: *end_ms });
        (byte, character) = (bytes.end, end);
    }
    moments
}

fn commit(shared: &Shared, collection: &Collection, pending: &Pending, mut version: NewVersion) -> Result<(), WorkError> {
    let inside = || version.members.iter().filter_map(|member| member.outcome.as_ref().ok());
    let number: usize = inside().chain([&version]).map(|version| version.chunks.len()).sum();
    for _ in 0..MODEL_CHANGES {
        let embedder = match collection.catalog().fingerprint()? {
            Some(fingerprint) => shared.embedders.get(&fingerprint),
            None => shared.embedders.active(),
        };
        version.fingerprint = embedder.as_ref().map(|embedder| embedder.fingerprint().clone());
        version.vectors = match &embedder {
            Some(embedder) => {
                let inside = version.members.iter().filter_map(|member| member.outcome.as_ref().ok());
                let chunks = inside.chain([&version]).flat_map(|version| &version.chunks);
                embed_new(collection, embedder, chunks.map(|new| (new.hash, new.chunk.text.trim())))?
            }
            None => Vec::new(),
        };
        match collection.catalog().commit(pending.id, &version)? {
            Committed::OtherModel => continue,
            committed => {
                shared.committed(collection, pending, committed, number as u64);
                return Ok(());
            }
        }
    }
    Err(WorkError::Other("the collection's model kept changing".into()))
}

/// The vectors of those texts that the catalog has none of yet.
pub(super) fn embed_new<'a>(
    collection: &Collection,
    embedder: &Embedder,
    texts: impl Iterator<Item = (TextHash, &'a str)>,
) -> Result<Vec<(TextHash, Vec<f32>)>, WorkError> {
    let mut seen = HashSet::new();
    let all: Vec<(TextHash, &str)> = texts.filter(|(hash, _)| seen.insert(*hash)).collect();
    let hashes: Vec<TextHash> = all.iter().map(|(hash, _)| *hash).collect();
    let fingerprint: &Fingerprint = embedder.fingerprint();
    let missing = collection.catalog().without_vector(&hashes, fingerprint)?;
    let wanted: Vec<(TextHash, &str)> = all.into_iter().filter(|(hash, _)| missing.contains(hash)).collect();
    let mut vectors = Vec::with_capacity(wanted.len());
    for piece in wanted.chunks(TEXTS) {
        let texts: Vec<&str> = piece.iter().map(|(_, text)| *text).collect();
        let made = embedder.embed_documents(&texts).map_err(|error| WorkError::Other(error.to_string()))?;
        vectors.extend(piece.iter().map(|(hash, _)| *hash).zip(made));
    }
    Ok(vectors)
}

/// The key under which a chunk's vector is kept.
pub(super) fn text_hash(trimmed: &str) -> TextHash {
    let digest: [u8; 32] = Hasher::digest(trimmed.as_bytes()).into();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    TextHash(hash)
}

/// Which engine read which pages: "pdf_oxide" for all, else "1-3 pdf_oxide, 4 pdf-extract".
fn engines(pages: &[Page]) -> String {
    let Some(first) = pages.first() else { return String::new() };
    if pages.iter().all(|page| page.engine == first.engine) {
        return first.engine.clone();
    }
    let mut runs: Vec<(u32, u32, &str)> = Vec::new();
    for page in pages {
        let number = page.number.unwrap_or(0);
        match runs.last_mut() {
            Some((_, end, engine)) if *engine == page.engine => *end = number,
            _ => runs.push((number, number, &page.engine)),
        }
    }
    let words = runs.iter().map(
        |(from, to, engine)| {
            if from == to { format!("{from} {engine}") } else { format!("{from}-{to} {engine}") }
        },
    );
    words.collect::<Vec<_>>().join(", ")
}
