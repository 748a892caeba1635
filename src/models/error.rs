//! Why there is no model, told so that a person offline knows what to carry here.

use std::path::PathBuf;

use super::Missing;

/// Why files could not be brought.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// A file or folder of the cache cannot be used.
    #[error("cannot use {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not the one that was pinned.
    #[error("{what} has the SHA-256 {found}, not {wanted}: it is not used")]
    Hash {
        /// Which.
        what: String,
        /// What was pinned.
        wanted: String,
        /// What came.
        found: String,
    },
    /// No source had them.
    #[error("{}", explain(missing, tried))]
    Unavailable {
        /// The files.
        missing: Vec<Missing>,
        /// What each source said.
        tried: Vec<String>,
    },
    /// A name that is none, or nothing to import.
    #[error("{0}")]
    Refused(String),
}

fn explain(missing: &[Missing], tried: &[String]) -> String {
    let mut text = String::from("These files are missing:\n");
    for missing in missing {
        text.push_str(&format!("  {}\n", missing.file.display()));
    }
    if !tried.is_empty() {
        text.push_str("They could not be fetched:\n");
        for reason in tried {
            text.push_str(&format!("  {reason}\n"));
        }
    }
    text.push_str("Any one of these brings them:\n");
    let mut remedies: Vec<&str> = Vec::new();
    for remedy in missing.iter().flat_map(|missing| &missing.remedies) {
        if !remedies.contains(&remedy.as_str()) {
            remedies.push(remedy);
        }
    }
    for remedy in remedies {
        text.push_str(&format!("  - {remedy}\n"));
    }
    text.push_str("Until then only full-text search works.");
    text
}
