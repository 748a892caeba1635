//! XML as a stream of elements and texts: local names only, entities resolved, depth bounded.

use std::io::BufRead;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::extract::Unreadable;
use crate::extract::parts::{damaged, unreadable};
use crate::model::Reason;

/// Real documents nest some dozens deep.
const MOST_DEEP: usize = 256;

/// What comes next in a document.
pub(in crate::extract) enum Token {
    /// An element begins; an empty one begins and ends.
    Open(Element),
    /// The element of that local name ends.
    Close(String),
    Text(String),
}

/// An element's local name and attributes.
pub(in crate::extract) struct Element {
    pub name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    fn new(start: &BytesStart<'_>) -> Self {
        let mut raw_attributes = start.attributes();
        let attributes = raw_attributes.with_checks(false).flatten().map(|attribute| {
            let name = String::from_utf8_lossy(attribute.key.local_name().as_ref()).into_owned();
            let raw = String::from_utf8_lossy(attribute.value.as_ref()).into_owned();
            (name, quick_xml::escape::unescape(&raw).map_or_else(|_| raw.clone(), |value| value.into_owned()))
        });
        let attributes = attributes.collect();
        Self { name: String::from_utf8_lossy(start.local_name().as_ref()).into_owned(), attributes }
    }

    /// The values of all attributes.
    pub(in crate::extract) fn values(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|(_, value)| value.as_str())
    }

    /// The value of the first attribute of that local name.
    pub(in crate::extract) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a document token by token.
pub(in crate::extract) struct Xml<R: BufRead> {
    reader: Reader<R>,
    buffer: Vec<u8>,
    depth: usize,
    /// The empty element that was just opened and is still to be closed.
    empty: Option<String>,
}

impl<R: BufRead> Xml<R> {
    pub(in crate::extract) fn new(source: R) -> Self {
        let mut reader = Reader::from_reader(source);
        let config = reader.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        Self { reader, buffer: Vec::new(), depth: 0, empty: None }
    }

    /// The next token; none at the end.
    ///
    /// # Errors
    /// If the document is no XML, nests too deep, or is larger than a part may be.
    pub(in crate::extract) fn next(&mut self) -> Result<Option<Token>, Unreadable> {
        if let Some(name) = self.empty.take() {
            return Ok(Some(Token::Close(name)));
        }
        loop {
            self.buffer.clear();
            let event = self.reader.read_event_into(&mut self.buffer).map_err(|error| match error {
                quick_xml::Error::Io(error) => unreadable(&error),
                _ => damaged(),
            })?;
            return Ok(Some(match event {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > MOST_DEEP {
                        return Err(Unreadable::new(Reason::Bomb, format!("its elements nest more than {MOST_DEEP} deep")));
                    }
                    Token::Open(Element::new(&start))
                }
                Event::Empty(start) => {
                    let element = Element::new(&start);
                    self.empty = Some(element.name.clone());
                    Token::Open(element)
                }
                Event::End(end) => {
                    self.depth = self.depth.saturating_sub(1);
                    Token::Close(String::from_utf8_lossy(end.local_name().as_ref()).into_owned())
                }
                Event::Text(text) => Token::Text(text.decode().map_err(|_| damaged())?.into_owned()),
                Event::CData(text) => Token::Text(text.decode().map_err(|_| damaged())?.into_owned()),
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(c)) => Token::Text(c.to_string()),
                    _ => {
                        let name = reference.decode().unwrap_or_default();
                        Token::Text(quick_xml::escape::resolve_xml_entity(&name).unwrap_or(" ").to_owned())
                    }
                },
                Event::Eof => return Ok(None),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => continue,
            }));
        }
    }

    /// Passes over what is left of the element of that name, which has been opened.
    pub(in crate::extract) fn skip(&mut self, name: &str) -> Result<(), Unreadable> {
        let mut open = 1;
        while open > 0 {
            match self.next()? {
                Some(Token::Open(element)) if element.name == name => open += 1,
                Some(Token::Close(closed)) if closed == name => open -= 1,
                Some(_) => {}
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// The text inside the element of that name, which has been opened.
    pub(in crate::extract) fn text_of(&mut self, name: &str) -> Result<String, Unreadable> {
        let mut text = String::new();
        let mut open = 1;
        loop {
            match self.next()? {
                Some(Token::Open(element)) if element.name == name => open += 1,
                Some(Token::Close(closed)) if closed == name => {
                    open -= 1;
                    if open == 0 {
                        return Ok(text);
                    }
                }
                Some(Token::Text(piece)) => text.push_str(&piece),
                Some(_) => {}
                None => return Ok(text),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<String>, Unreadable> {
        let mut xml = Xml::new(text.as_bytes());
        let mut seen = Vec::new();
        while let Some(token) = xml.next()? {
            seen.push(match token {
                Token::Open(element) => format!("<{} {:?}", element.name, element.attribute("val")),
                Token::Close(name) => format!("/{name}"),
                Token::Text(text) => text,
            });
        }
        Ok(seen)
    }

    #[test]
    fn names_are_local_and_entities_resolved() {
        let seen = tokens("<?xml version='1.0'?><w:p w:val='a&amp;b'>x &lt; &#233;<b/><![CDATA[<y>]]></w:p>").unwrap();
        assert_eq!(seen, ["<p Some(\"a&b\")", "x ", "<", " ", "é", "<b None", "/b", "<y>", "/p"]);
    }

    #[test]
    fn depth_is_bounded_and_what_is_no_xml_is_damaged() {
        assert_eq!(tokens(&"<a>".repeat(1000)).unwrap_err().reason, Reason::Bomb);
        assert_eq!(tokens("<a <<b").unwrap_err().reason, Reason::Damaged);
    }
}
