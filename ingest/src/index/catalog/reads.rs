//! What the catalog tells: counts, records, scopes of searches, chunks with their documents, texts.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Row, Rows, Transaction, params, params_from_iter};

use super::documents::{blob, id_of, sha_of, state_of};
use super::{Catalog, ChangeKind, ChangeRow, members, recordings};
use crate::index::IndexError;
use crate::index::records::{Counts, DocumentFilter, DocumentPage, DocumentRecord, DocumentRef, LiveChunk, StoredChunk};
use crate::model::{ChunkId, DocumentId, DocumentState, Scope, Seq, Span, TextHash, VersionId};

/// The columns that [`record`] reads.
pub(super) const RECORD: &str = "SELECT d.id, d.path, d.state, d.reason, d.detail, d.sha256, d.bytes, d.modified_ns,
    d.indexed_at, d.live, v.title, v.media_type, v.pages, v.missing_pages, v.chunks, d.parent IS NOT NULL, v.author,
    v.written_at, v.note, v.engines, v.qualities, s.lane, s.chosen_by, s.name, s.model, s.endpoint, s.server, s.process, s.digest,
    s.language, s.length_ms
    FROM documents d LEFT JOIN versions v ON v.id = d.live LEFT JOIN scribes s ON s.version = v.id";

const LIVE_CHUNK: &str = "SELECT c.id, c.version, c.id - v.first_chunk, c.page, c.heading_path, c.start, c.end, c.text, c.hash,
    d.id, d.path, v.title FROM chunks c JOIN versions v ON v.id = c.version JOIN documents d ON d.id = v.document";

fn time(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The last part of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn title_or_name(title: Option<String>, path: &str) -> String {
    title.filter(|title| !title.trim().is_empty()).unwrap_or_else(|| file_name(path).to_owned())
}

pub(super) fn record(row: &Row<'_>) -> Result<DocumentRecord, IndexError> {
    let path: String = row.get(1)?;
    let reason: Option<String> = row.get(3)?;
    let missing: Option<String> = row.get(13)?;
    Ok(DocumentRecord {
        id: id_of(row.get(0)?)?,
        title: title_or_name(row.get(10)?, &path),
        path,
        state: state_of(&row.get::<_, String>(2)?)?,
        reason: reason.and_then(|reason| reason.parse().ok()),
        detail: row.get(4)?,
        sha256: sha_of(row.get(5)?)?,
        bytes: row.get::<_, i64>(6)? as u64,
        media_type: row.get(11)?,
        pages: row.get(12)?,
        missing_pages: missing.unwrap_or_default().split(',').filter_map(|page| page.parse().ok()).collect(),
        chunks: row.get::<_, Option<i64>>(14)?.unwrap_or(0) as u64,
        modified_at: time(row.get(7)?),
        indexed_at: row.get::<_, Option<i64>>(8)?.map(time),
        version: row.get::<_, Option<i64>>(9)?.map(|id| VersionId(id as u64)),
        is_member: row.get(15)?,
        members: Vec::new(),
        author: row.get(16)?,
        written_at: row.get::<_, Option<i64>>(17)?.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        note: row.get(18)?,
        engines: row.get(19)?,
        qualities: row.get::<_, Option<String>>(20)?.map_or_else(Vec::new, |text| qualities(&text)),
        scribe: recordings::scribe(row, 21)?,
    })
}

/// The record with what is inside the document.
fn with_members(tx: &Transaction<'_>, mut record: DocumentRecord) -> Result<DocumentRecord, IndexError> {
    if !record.is_member {
        record.members = members::records(tx, record.id)?;
    }
    Ok(record)
}

/// The first `limit` of the rows, and whether there are more.
pub(super) fn page(tx: &Transaction<'_>, rows: &mut Rows<'_>, limit: usize) -> Result<DocumentPage, IndexError> {
    let mut documents = Vec::new();
    while let Some(row) = rows.next()? {
        documents.push(with_members(tx, record(row)?)?);
    }
    let more = documents.len() > limit;
    documents.truncate(limit);
    let next = documents.last().filter(|_| more).map(|last| last.path.clone());
    Ok(DocumentPage { documents, next })
}

/// A number a page, as they are kept.
fn qualities(text: &str) -> Vec<Option<u8>> {
    if text.is_empty() { Vec::new() } else { text.split(',').map(|percent| percent.parse().ok()).collect() }
}

fn live_chunk(row: &Row<'_>) -> Result<(ChunkId, LiveChunk), IndexError> {
    let path: String = row.get(10)?;
    let chunk = StoredChunk {
        version: VersionId(row.get::<_, i64>(1)? as u64),
        ordinal: row.get(2)?,
        page: row.get(3)?,
        heading_path: row.get(4)?,
        span: Span { start: row.get::<_, i64>(5)? as u64, end: row.get::<_, i64>(6)? as u64 },
        text: row.get(7)?,
    };
    let document = DocumentRef { id: id_of(row.get(9)?)?, title: title_or_name(row.get(11)?, &path), path };
    Ok((ChunkId(row.get::<_, i64>(0)? as u64), LiveChunk { chunk, hash: TextHash(row.get(8)?), document }))
}

impl Catalog {
    /// Documents by state.
    pub fn counts(&self) -> Result<Counts, IndexError> {
        self.read(|tx| {
            let mut counts = Counts::default();
            let mut statement =
                tx.prepare_cached("SELECT state, COUNT(*) FROM documents WHERE parent IS NULL GROUP BY state")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let number = row.get::<_, i64>(1)? as u64;
                match state_of(&row.get::<_, String>(0)?)? {
                    DocumentState::Indexed => counts.indexed += number,
                    DocumentState::Partial => {
                        counts.indexed += number;
                        counts.partial += number;
                    }
                    DocumentState::Pending => counts.pending += number,
                    DocumentState::Unreadable => counts.unreadable += number,
                    DocumentState::Failed => counts.failed += number,
                }
            }
            Ok(counts)
        })
    }

    /// Searchable chunks.
    pub fn live_chunks(&self) -> Result<u64, IndexError> {
        self.read(|tx| {
            let mut statement =
                tx.prepare_cached("SELECT COALESCE(SUM(v.chunks), 0) FROM documents d JOIN versions v ON v.id = d.live")?;
            Ok(statement.query_row([], |row| row.get::<_, i64>(0))? as u64)
        })
    }

    /// One document by its path.
    pub fn document(&self, path: &str) -> Result<Option<DocumentRecord>, IndexError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(&format!("{RECORD} WHERE d.path = ?1"))?;
            let mut rows = statement.query([path])?;
            rows.next()?.map(record).transpose()?.map(|found| with_members(tx, found)).transpose()
        })
    }

    /// One document by its id.
    pub fn document_by_id(&self, id: DocumentId) -> Result<Option<DocumentRecord>, IndexError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(&format!("{RECORD} WHERE d.id = ?1"))?;
            let mut rows = statement.query([blob(id)])?;
            rows.next()?.map(record).transpose()?.map(|found| with_members(tx, found)).transpose()
        })
    }

    /// Documents in order of path, after the path `after`. `Indexed` includes partial ones.
    pub fn documents(
        &self,
        state: Option<DocumentState>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<DocumentPage, IndexError> {
        let (first, second) = match state {
            None => (None, None),
            Some(DocumentState::Indexed) => (Some("indexed"), Some("partial")),
            Some(other) => (Some(other.as_str()), None),
        };
        self.read(|tx| {
            let mut statement = tx.prepare_cached(&format!(
                "{RECORD} WHERE d.path > ?1 AND d.parent IS NULL AND (?2 IS NULL OR d.state = ?2 OR d.state = ?3) ORDER BY d.path LIMIT ?4"
            ))?;
            let mut rows = statement.query(params![after.unwrap_or(""), first, second, limit as i64 + 1])?;
            page(tx, &mut rows, limit)
        })
    }

    /// What a search may see: all that is searchable now and passes the filter. `applied` is what both indexes have applied for
    /// sure, so that versions hidden before it need not be named.
    pub fn scope(&self, filter: &DocumentFilter, applied: Seq) -> Result<Scope, IndexError> {
        self.read(|tx| {
            let mut except: Vec<VersionId> = tx
                .prepare_cached(
                    "SELECT id FROM versions WHERE state = 'staged'
                     UNION ALL SELECT id FROM versions WHERE state = 'hidden' AND gone_seq > ?1",
                )?
                .query_map([applied.0 as i64], |row| Ok(VersionId(row.get::<_, i64>(0)? as u64)))?
                .collect::<Result<_, _>>()?;
            except.sort_unstable();
            if filter.is_empty() {
                return Ok(Scope { only: None, except });
            }
            let (condition, values) = conditions(filter);
            let mut only: Vec<VersionId> = tx
                .prepare(&format!("SELECT d.live FROM documents d JOIN versions v ON v.id = d.live WHERE {condition}"))?
                .query_map(params_from_iter(values), |row| Ok(VersionId(row.get::<_, i64>(0)? as u64)))?
                .collect::<Result<_, _>>()?;
            only.sort_unstable();
            Ok(Scope { only: Some(only), except })
        })
    }

    /// The given chunks with their documents, but for those whose document is gone or answers nothing.
    pub fn chunks(&self, ids: &[ChunkId]) -> Result<HashMap<ChunkId, LiveChunk>, IndexError> {
        self.read(|tx| {
            // A version replaced while a search ran still counts: its document answers, and the new one was not in scope.
            let mut statement =
                tx.prepare_cached(&format!("{LIVE_CHUNK} WHERE c.id = ?1 AND d.live IS NOT NULL AND v.state != 'staged'"))?;
            let mut found = HashMap::with_capacity(ids.len());
            for id in ids {
                let mut rows = statement.query([id.0 as i64])?;
                if let Some(row) = rows.next()? {
                    let (id, chunk) = live_chunk(row)?;
                    found.insert(id, chunk);
                }
            }
            Ok(found)
        })
    }

    /// The chunk at a place of a version.
    pub fn chunk_at(&self, version: VersionId, ordinal: u32) -> Result<Option<(ChunkId, LiveChunk)>, IndexError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(&format!(
                "{LIVE_CHUNK} WHERE v.id = ?1 AND c.id = v.first_chunk + ?2 AND c.version = v.id AND d.live IS NOT NULL AND v.state != 'staged'"
            ))?;
            let mut rows = statement.query(params![version.0 as i64, ordinal])?;
            rows.next()?.map(live_chunk).transpose()
        })
    }

    /// For each hash, the searchable documents in scope that hold that very passage, in order of path.
    pub fn twins(&self, hashes: &[TextHash], scope: &Scope) -> Result<HashMap<TextHash, Vec<DocumentRef>>, IndexError> {
        self.read(|tx| {
            // One step a version: a version's chunks have consecutive ids, and it may hold a passage a hundred thousand times.
            let mut statement = tx.prepare_cached(
                "SELECT v.id, d.id, d.path, v.title, MAX(v.first_chunk + v.chunks, c.id + 1) FROM chunks c JOIN versions v ON v.id = c.version
                 LEFT JOIN documents d ON d.id = v.document AND d.live = v.id
                 WHERE c.hash = ?1 AND c.id >= ?2 ORDER BY c.id LIMIT 1",
            )?;
            let mut twins = HashMap::new();
            for hash in hashes {
                let mut documents = Vec::new();
                let mut next = 0;
                loop {
                    let mut rows = statement.query(params![hash.0, next])?;
                    let Some(row) = rows.next()? else { break };
                    next = row.get::<_, i64>(4)?;
                    let path: Option<String> = row.get(2)?;
                    if let (Some(path), true) = (path, scope.allows(VersionId(row.get::<_, i64>(0)? as u64))) {
                        documents.push(DocumentRef { id: id_of(row.get(1)?)?, title: title_or_name(row.get(3)?, &path), path });
                    }
                }
                documents.sort_by(|a, b| a.path.cmp(&b.path));
                twins.insert(*hash, documents);
            }
            Ok(twins)
        })
    }

    /// Texts of a version's chunks, in order, with their ids.
    pub fn texts(&self, change: &ChangeRow) -> Result<Vec<(ChunkId, String)>, IndexError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached("SELECT id, text FROM chunks WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
            let end = change.first_chunk.0 + change.chunks;
            let rows = statement.query_map([change.first_chunk.0 as i64, end as i64], |row| {
                Ok((ChunkId(row.get::<_, i64>(0)? as u64), row.get(1)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The whole text of a version: its chunks tile it.
    pub fn text(&self, version: VersionId) -> Result<String, IndexError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT c.text FROM versions v JOIN chunks c ON c.id >= v.first_chunk AND c.id < v.first_chunk + v.chunks
                 WHERE v.id = ?1 ORDER BY c.id",
            )?;
            let mut rows = statement.query([version.0 as i64])?;
            let mut text = String::new();
            while let Some(row) = rows.next()? {
                text.push_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
            }
            Ok(text)
        })
    }

    /// Path and title of the document that a version is of; none if it is gone.
    pub fn named(&self, version: VersionId) -> Result<Option<(String, Option<String>)>, IndexError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT d.path, v.title FROM versions v JOIN documents d ON d.id = v.document WHERE v.id = ?1",
            )?;
            let mut rows = statement.query([version.0 as i64])?;
            Ok(rows.next()?.map(|row| Ok::<_, rusqlite::Error>((row.get(0)?, row.get(1)?))).transpose()?)
        })
    }

    /// What an index built anew has to hold: every version staged or searchable up to change `upto`, after version `after`.
    pub fn standing(&self, upto: Seq, after: VersionId, limit: usize) -> Result<Vec<ChangeRow>, IndexError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT seq, id, first_chunk, chunks FROM versions
                 WHERE state IN ('staged', 'live') AND seq <= ?1 AND id > ?2 ORDER BY id LIMIT ?3",
            )?;
            let rows = statement.query_map([upto.0 as i64, after.0 as i64, limit as i64], |row| {
                Ok(ChangeRow {
                    seq: Seq(row.get::<_, i64>(0)? as u64),
                    version: VersionId(row.get::<_, i64>(1)? as u64),
                    kind: ChangeKind::Insert,
                    first_chunk: ChunkId(row.get::<_, i64>(2)? as u64),
                    chunks: row.get::<_, i64>(3)? as u64,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Every document's path and hash, and every chunk with its version that a consistent index holds; for checks.
    pub fn expected_contents(&self) -> Result<Vec<(ChunkId, VersionId)>, IndexError> {
        self.read(|tx| {
            let mut statement = tx.prepare(
                "SELECT c.id, c.version FROM chunks c JOIN versions v ON v.id = c.version WHERE v.state IN ('staged', 'live') ORDER BY c.id",
            )?;
            let rows = statement.query_map([], |row| {
                Ok((ChunkId(row.get::<_, i64>(0)? as u64), VersionId(row.get::<_, i64>(1)? as u64)))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// The filter as an SQL condition over `documents d` and `versions v`, with its values in order.
fn conditions(filter: &DocumentFilter) -> (String, Vec<Value>) {
    let mut parts = vec!["1 = 1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    if let Some(paths) = &filter.paths {
        // One JSON value however many paths there are. A path names its members too: "mail.eml" lets "mail.eml!/a.pdf" through.
        let given = "(SELECT value FROM json_each(?))";
        parts.push(format!("(d.path IN {given} OR substr(d.path, 1, instr(d.path, '!/') - 1) IN {given})"));
        let json = serde_json::Value::from(paths.clone()).to_string();
        values.extend([Value::Text(json.clone()), Value::Text(json)]);
    }
    if let Some(prefix) = &filter.path_prefix {
        parts.push("substr(d.path, 1, length(?)) = ?".into());
        values.extend([Value::Text(prefix.clone()), Value::Text(prefix.clone())]);
    }
    if let Some(types) = &filter.types {
        let mut any = vec!["0 = 1".to_owned()];
        for one in types {
            any.push("v.media_type = ?".into());
            any.push("lower(d.path) LIKE ? ESCAPE '\\'".into());
            let ending = one.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            values.extend([Value::Text(one.to_lowercase()), Value::Text(format!("%.{}", ending.trim_start_matches('.')))]);
        }
        parts.push(format!("({})", any.join(" OR ")));
    }
    let nanoseconds = |time: &Timestamp| Value::Integer(i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX));
    if let Some(from) = &filter.modified_from {
        parts.push("d.modified_ns >= ?".into());
        values.push(nanoseconds(from));
    }
    if let Some(to) = &filter.modified_to {
        parts.push("d.modified_ns <= ?".into());
        values.push(nanoseconds(to));
    }
    if let Some(author) = &filter.author {
        parts.push("instr(lower(v.author), lower(?)) > 0".into());
        values.push(Value::Text(author.clone()));
    }
    if let Some(from) = &filter.written_from {
        parts.push("v.written_at >= ?".into());
        values.push(Value::Integer(from.as_second()));
    }
    if let Some(to) = &filter.written_to {
        parts.push("v.written_at <= ?".into());
        values.push(Value::Integer(to.as_second()));
    }
    (parts.join(" AND "), values)
}
