//! Passwords that people gave for files. They stay in the collection's own catalog, and are told to extraction workers only.

use rusqlite::params;

use super::Catalog;
use crate::index::IndexError;

/// Stands for every document of the collection.
const ALL: &str = "";

impl Catalog {
    /// Keeps a password for the document at a path, or for all documents.
    pub fn add_password(&self, path: Option<&str>, password: &str) -> Result<(), IndexError> {
        self.write(|tx| {
            tx.execute("INSERT OR IGNORE INTO passwords VALUES (?1, ?2)", [path.unwrap_or(ALL), password])?;
            Ok(())
        })
    }

    /// Forgets the passwords for a path, or all there are. How many.
    pub fn remove_passwords(&self, path: Option<&str>) -> Result<u64, IndexError> {
        self.write(|tx| Ok(tx.execute("DELETE FROM passwords WHERE ?1 IS NULL OR path = ?1", params![path])? as u64))
    }

    /// Passwords to try on the document at a path: its own first.
    pub fn passwords(&self, path: &str) -> Result<Vec<String>, IndexError> {
        self.read(|tx| {
            let mut statement =
                tx.prepare_cached("SELECT DISTINCT secret FROM passwords WHERE path IN (?1, ?2) ORDER BY path = ?2, secret")?;
            let rows = statement.query_map([path, ALL], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}
