//! What of a collection could not be read, and why.

use rusqlite::params;

use super::Catalog;
use super::reads::{RECORD, page};
use crate::index::IndexError;
use crate::index::records::{Coverage, DocumentPage};
use crate::model::Reason;

impl Catalog {
    /// Sums of what was read and what was not.
    pub fn coverage(&self) -> Result<Coverage, IndexError> {
        let counts = self.counts()?;
        self.read(|tx| {
            let mut coverage = Coverage { counts, ..Coverage::default() };
            (coverage.members, coverage.unreadable_members) = tx.query_row(
                "SELECT COUNT(*) FILTER (WHERE live IS NOT NULL), COUNT(*) FILTER (WHERE state = 'unreadable')
                 FROM documents WHERE parent IS NOT NULL",
                [],
                |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)),
            )?;
            let mut reasons = tx.prepare_cached(
                "SELECT reason, COUNT(*) FROM documents WHERE state = 'unreadable' AND reason IS NOT NULL
                 GROUP BY reason ORDER BY 2 DESC, 1",
            )?;
            let mut rows = reasons.query([])?;
            while let Some(row) = rows.next()? {
                let reason: Option<Reason> = row.get::<_, String>(0)?.parse().ok();
                coverage.reasons.extend(reason.zip(row.get::<_, i64>(1).ok().map(|number| number as u64)));
            }
            let mut pages = tx.prepare_cached(
                "SELECT COALESCE(v.pages, 0), v.missing_pages FROM documents d JOIN versions v ON v.id = d.live",
            )?;
            let mut rows = pages.query([])?;
            while let Some(row) = rows.next()? {
                let missing = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
                let missing = missing.split(',').filter(|page| !page.is_empty()).count() as u64;
                coverage.missing_pages += missing;
                coverage.pages += (row.get::<_, i64>(0)? as u64).saturating_sub(missing);
            }
            Ok(coverage)
        })
    }

    /// Documents and members that were not read, or not all of them, in order of path, after the path `after`.
    pub fn unread(&self, after: Option<&str>, limit: usize) -> Result<DocumentPage, IndexError> {
        self.read(|tx| {
            let mut statement = tx.prepare_cached(&format!(
                "{RECORD} WHERE d.path > ?1 AND d.state IN ('unreadable', 'partial', 'failed') ORDER BY d.path LIMIT ?2"
            ))?;
            let mut rows = statement.query(params![after.unwrap_or(""), limit as i64 + 1])?;
            page(tx, &mut rows, limit)
        })
    }
}
