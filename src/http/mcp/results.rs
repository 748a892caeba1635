//! What the tools give, as JSON for programs and as text for models. Both are bounded: a model's window is.

use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

use crate::answer::{Citation, GeneratorInfo};
use crate::ask::Asked;
use crate::http::recordings;
use crate::http::source::{name, source};
use crate::retrieve::{Found, Hit};

/// Characters of passages that one result may hold.
const MOST_CHARACTERS: usize = 60_000;

/// What a search found.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SearchResult {
    /// Best first.
    pub passages: Vec<Passage>,
    /// Documents of the searched collections that can't be read, and so can't be found.
    pub unreadable: u64,
    /// Whether there were more than fit in here: ask for less, or more narrowly.
    pub truncated: bool,
}

/// A passage of a document.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Passage {
    /// Number to cite it by.
    pub n: usize,
    /// Its collection's name.
    pub collection: String,
    /// Its document's path in the collection.
    pub path: String,
    /// What people call the document.
    pub title: String,
    /// 1-based page that it begins on; null where the format has none.
    pub page: Option<u32>,
    /// Of a recording: when it is said, `00:12:05-00:12:40`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Its first character in the document's text.
    pub start: u64,
    /// One past its last character.
    pub end: u64,
    /// Exactly that slice of the document's text.
    pub text: String,
    /// The higher, the better.
    pub score: f32,
    /// Its place in one string, to be shown with what is cited.
    pub source: String,
}

impl SearchResult {
    /// The hits that fit, in their order.
    pub fn of(found: Found, base: Option<&str>) -> Self {
        let mut left = MOST_CHARACTERS;
        let mut passages = Vec::with_capacity(found.hits.len());
        let mut truncated = false;
        for hit in found.hits {
            let length = hit.text.chars().count();
            if length > left {
                truncated = true;
                break;
            }
            left -= length;
            passages.push(Passage::of(passages.len() + 1, hit, base));
        }
        Self { passages, unreadable: found.unreadable, truncated }
    }

    /// For models.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for passage in &self.passages {
            let page = passage.page.map(|page| format!(", page {page}")).unwrap_or_default();
            let page = passage.time.as_ref().map(|time| format!(", {time}")).unwrap_or(page);
            let Passage { n, title, collection, path, start, end, .. } = passage;
            text.push_str(&format!(
                "[{n}] {title} ({collection}: {path}{page}, characters {start}-{end})\n{}\n\n",
                passage.text
            ));
        }
        if self.passages.is_empty() {
            text.push_str("Nothing was found.\n");
        }
        if self.truncated {
            text.push_str("There were more than fit in here: ask for less, or more narrowly.\n");
        }
        if self.unreadable > 0 {
            text.push_str(&format!("{} documents can't be read, and so can't be found.\n", self.unreadable));
        }
        text
    }
}

impl Passage {
    fn of(n: usize, hit: Hit, base: Option<&str>) -> Self {
        Self {
            n,
            title: name(&hit.document),
            source: source(base, &hit),
            collection: hit.collection_name,
            path: hit.document.path,
            page: hit.page,
            time: recordings::clocks(&hit.moments),
            start: hit.span.start,
            end: hit.span.end,
            text: hit.text,
            score: hit.score,
        }
    }
}

/// A document's text, or a part of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ReadResult {
    /// Its collection's name.
    pub collection: String,
    /// Its path in the collection.
    pub path: String,
    /// First character given.
    pub start: u64,
    /// One past the last character given.
    pub end: u64,
    /// Characters of the whole text.
    pub total: u64,
    /// Where to go on; null at the end of the text.
    pub next: Option<u64>,
    /// The text from `start` to `end`.
    pub text: String,
}

/// An answer with its sources.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AnswerResult {
    /// The text, with `[n]` where a citation belongs.
    pub answer: String,
    /// Whether anything in the documents supports it.
    pub grounded: bool,
    /// In order of `n`.
    pub citations: Vec<Cited>,
    /// Name of the generator that wrote it.
    pub generator: String,
    /// Its model.
    pub model: String,
    /// Whether it runs here.
    pub local: bool,
    /// Documents of the asked collections that can't be read.
    pub unreadable: u64,
}

/// A claim's source.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Cited {
    /// The number that the answer's text uses.
    pub n: usize,
    /// Its collection's name.
    pub collection: String,
    /// Its document's path in the collection.
    pub path: String,
    /// The document's own title, or its file name.
    pub title: String,
    /// 1-based page; null where the format has none.
    pub page: Option<u32>,
    /// Of a recording: when it is said, `00:12:05-00:12:40`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The quote's first character in the document's text.
    pub start: u64,
    /// One past its last character.
    pub end: u64,
    /// The words quoted.
    pub quote: String,
    /// Whether the quote is exactly that slice of the document's text.
    pub verified: bool,
}

impl From<Citation> for Cited {
    fn from(citation: Citation) -> Self {
        Self {
            n: citation.n,
            collection: citation.collection,
            path: citation.document.path,
            title: citation.document.title,
            page: citation.page,
            time: recordings::clocks(&citation.moments),
            start: citation.span.start,
            end: citation.span.end,
            quote: citation.quote,
            verified: citation.verified,
        }
    }
}

impl From<Asked> for AnswerResult {
    fn from(asked: Asked) -> Self {
        let GeneratorInfo { name, model, local, .. } = asked.answer.generator;
        Self {
            answer: asked.answer.text,
            grounded: asked.answer.grounded,
            citations: asked.answer.citations.into_iter().map(Cited::from).collect(),
            generator: name,
            model,
            local,
            unreadable: asked.unreadable,
        }
    }
}

impl AnswerResult {
    /// For models.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.answer);
        for Cited { n, collection, path, title, page, quote, .. } in &self.citations {
            let page = page.map(|page| format!(", page {page}")).unwrap_or_default();
            text.push_str(&format!("\n[{n}] {title} ({collection}: {path}{page}): \"{quote}\""));
        }
        text
    }
}

/// The collections that may be searched.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CollectionsResult {
    /// By name.
    pub collections: Vec<CollectionSummary>,
    /// Whether there are more than fit in here.
    pub truncated: bool,
}

/// One collection.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CollectionSummary {
    /// What it is called in `collections`.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Documents that can be found.
    pub indexed: u64,
    /// Documents that wait to be read.
    pub pending: u64,
    /// Documents that can't be read.
    pub unreadable: u64,
}

impl CollectionsResult {
    /// For models.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for collection in &self.collections {
            let CollectionSummary { name, title, indexed, pending, unreadable } = collection;
            text.push_str(&format!("{name} ({title}): {indexed} documents, {pending} waiting, {unreadable} unreadable\n"));
        }
        if text.is_empty() { "There are no collections.".to_owned() } else { text }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::source::tests::hit;

    #[test]
    fn a_result_is_bounded_and_says_so() {
        let mut long = hit("a.pdf", "Lease", Some(3));
        long.text = "ü".repeat(25_000);
        let found = Found { hits: vec![long; 3], unreadable: 2, took: Duration::ZERO };
        let result = SearchResult::of(found, None);
        assert_eq!((result.passages.len(), result.truncated), (2, true));
        let text = result.text();
        assert!(text.starts_with("[1] Lease (acme: a.pdf, page 3, characters 1204-1207)\nü"), "{}", &text[..80]);
        assert!(text.contains("more than fit") && text.contains("2 documents can't be read"));
    }
}
