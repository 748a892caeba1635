//! Tells in which sections a place of the text lies.

use crate::model::Heading;

const SEPARATOR: &str = " › ";

/// Walks a document's headings in order; asked for growing offsets only.
pub(super) struct HeadingPath<'a> {
    rest: &'a [Heading],
    open: Vec<&'a Heading>,
    joined: String,
}

impl<'a> HeadingPath<'a> {
    pub(super) fn new(headings: &'a [Heading]) -> Self {
        Self { rest: headings, open: Vec::new(), joined: String::new() }
    }

    /// The titles of the sections open at byte `offset`, outermost first.
    pub(super) fn at(&mut self, offset: usize) -> &str {
        let before = self.rest.len();
        while let Some((heading, rest)) = self.rest.split_first().filter(|(heading, _)| heading.at <= offset) {
            self.open.retain(|open| open.level < heading.level);
            self.open.push(heading);
            self.rest = rest;
        }
        if self.rest.len() < before {
            let titles: Vec<&str> = self.open.iter().map(|heading| heading.title.as_str()).collect();
            self.joined = titles.join(SEPARATOR);
        }
        &self.joined
    }
}
