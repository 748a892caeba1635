//! E-books (epub): chapters in reading order, each through the reader of web pages. EPUB 3.3.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use crate::extract::desk::Desk;
use crate::extract::office::xml::{Token, Xml};
use crate::extract::parts::{Parts, damaged};
use crate::extract::wire::Answer;
use crate::extract::{Unreadable, html};
use crate::model::{Extraction, Heading, Page, Reason};

/// Between two chapters.
const GAP: &str = "\n\n";
/// Scrambling of fonts, which hides no text.
const FONTS: [&str; 2] = ["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"];

pub(in crate::extract) fn read(bytes: &[u8], desk: &mut Desk) -> Answer {
    let mut parts = Parts::open(bytes)?;
    if is_locked(&mut parts)? {
        return Err(Unreadable::new(Reason::Password, "the book is locked"));
    }
    let package = package_document(&mut parts)?;
    let book = book(&mut parts, &package)?;
    let most = usize::try_from(desk.request().output_bytes).unwrap_or(usize::MAX);
    let mut extraction = Extraction {
        title: book.title,
        author: book.author,
        written_at: book.date,
        media_type: "application/epub+zip".to_owned(),
        ..Extraction::default()
    };
    let mut unread = 0;
    for chapter in &book.chapters {
        let chapter = match parts.bytes(chapter)?.map(|bytes| html::read(&bytes, None)) {
            Some(Ok(chapter)) => chapter,
            // A picture on a page of its own.
            Some(Err(why)) if why.reason == Reason::Empty => continue,
            _ => {
                unread += 1;
                continue;
            }
        };
        if extraction.text.len() + chapter.text.len() > most {
            return Err(Unreadable::new(Reason::TooLarge, "its text is longer than allowed"));
        }
        if !extraction.text.is_empty() {
            extraction.text.push_str(GAP);
        }
        let start = extraction.text.len();
        extraction.headings.extend(chapter.headings.into_iter().map(|heading| Heading { at: heading.at + start, ..heading }));
        extraction.text.push_str(&chapter.text);
    }
    if unread > 0 {
        extraction.note = Some(format!("{unread} of its chapters are missing or can't be read"));
    }
    if extraction.text.trim().is_empty() {
        return Err(Unreadable::new(Reason::Empty, "it has no text"));
    }
    let bytes = 0..extraction.text.len();
    extraction.pages.push(Page { number: None, bytes, engine: "epub".to_owned(), quality: None });
    Ok(extraction)
}

/// What the package document says of the book.
#[derive(Default)]
struct Book {
    title: Option<String>,
    author: Option<String>,
    date: Option<i64>,
    /// Parts in reading order.
    chapters: Vec<String>,
}

/// Whether more than fonts is encrypted.
fn is_locked(parts: &mut Parts<'_>) -> Result<bool, Unreadable> {
    let Some(stream) = parts.stream("META-INF/encryption.xml")? else { return Ok(false) };
    let mut xml = Xml::new(stream);
    while let Some(token) = xml.next()? {
        if let Token::Open(element) = token
            && element.name == "EncryptionMethod"
            && !element.attribute("Algorithm").is_some_and(|algorithm| FONTS.contains(&algorithm))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn package_document(parts: &mut Parts<'_>) -> Result<String, Unreadable> {
    if let Some(stream) = parts.stream("META-INF/container.xml")? {
        let mut xml = Xml::new(stream);
        while let Some(token) = xml.next()? {
            if let Token::Open(element) = token
                && element.name == "rootfile"
                && let Some(path) = element.attribute("full-path")
            {
                return Ok(path.to_owned());
            }
        }
    }
    parts.below("").into_iter().find(|name| name.ends_with(".opf")).ok_or_else(damaged)
}

fn book(parts: &mut Parts<'_>, package: &str) -> Result<Book, Unreadable> {
    let mut book = Book::default();
    let folder = package.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let mut manifest: HashMap<String, String> = HashMap::new();
    let mut spine = Vec::new();
    let Some(stream) = parts.stream(package)? else { return Err(damaged()) };
    let mut xml = Xml::new(stream);
    while let Some(token) = xml.next()? {
        let Token::Open(element) = token else { continue };
        let attribute = |name| element.attribute(name).unwrap_or_default().to_owned();
        match element.name.as_str() {
            "title" if book.title.is_none() => book.title = said(xml.text_of("title")?),
            "creator" if book.author.is_none() => book.author = said(xml.text_of("creator")?),
            "date" if book.date.is_none() => book.date = date(xml.text_of("date")?.trim()),
            "item" => {
                let href = attribute("href");
                let href = percent_decode_str(href.split('#').next().unwrap_or_default()).decode_utf8_lossy().into_owned();
                manifest.insert(attribute("id"), format!("{folder}{href}"));
            }
            "itemref" => spine.push(attribute("idref")),
            _ => {}
        }
    }
    // No chapter is read twice, whatever the spine says.
    book.chapters = spine.iter().filter_map(|id| manifest.remove(id)).collect();
    Ok(book)
}

fn said(text: String) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Seconds since 1970 of a time or a day.
fn date(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_second());
    }
    let day: jiff::civil::Date = text.get(..10)?.parse().ok()?;
    Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::parts::package;

    fn book(more: &[(&str, &str)]) -> Answer {
        let container = "<container><rootfiles><rootfile full-path='OEBPS/book.opf'/></rootfiles></container>";
        let opf =
            "<package><metadata><dc:title>Leases</dc:title><dc:creator>Ada</dc:creator><dc:date>1970-01-02</dc:date></metadata>
            <manifest><item id='b' href='b%20b.xhtml'/><item id='a' href='a.xhtml'/></manifest>
            <spine><itemref idref='a'/><itemref idref='b'/></spine></package>";
        let mut parts = vec![
            ("mimetype", &b"application/epub+zip"[..]),
            ("META-INF/container.xml", container.as_bytes()),
            ("OEBPS/book.opf", opf.as_bytes()),
            ("OEBPS/a.xhtml", b"<html><body><h1>One</h1><p>First.</p></body></html>"),
            ("OEBPS/b b.xhtml", b"<html><body><h1>Two</h1><p>Second.</p></body></html>"),
        ];
        parts.retain(|(name, _)| more.iter().all(|(other, _)| name != other));
        parts.extend(more.iter().map(|(name, text)| (*name, text.as_bytes())));
        read(&package(&parts), &mut Desk::alone("epub"))
    }

    #[test]
    fn chapters_come_in_reading_order() {
        let extraction = book(&[]).unwrap();
        assert_eq!(extraction.text, "One\n\nFirst.\n\nTwo\n\nSecond.");
        assert!(extraction.text[extraction.headings[1].at..].starts_with("Two"));
        assert_eq!((extraction.title.as_deref(), extraction.written_at), (Some("Leases"), Some(86_400)));
        assert_eq!(extraction.note, None);
    }

    #[test]
    fn a_chapter_that_can_not_be_read_is_told_of_and_the_others_are_read() {
        let deep = format!("<html><body>{}", "<div>".repeat(5000));
        let extraction = book(&[("OEBPS/a.xhtml", &deep)]).unwrap();
        assert_eq!(extraction.text, "Two\n\nSecond.");
        assert_eq!(extraction.note.as_deref(), Some("1 of its chapters are missing or can't be read"));
    }

    #[test]
    fn a_locked_book_needs_a_password_and_scrambled_fonts_do_not() {
        let with = |algorithm: &str| {
            let text = format!("<encryption><EncryptionMethod Algorithm='{algorithm}'/></encryption>");
            book(&[("META-INF/encryption.xml", &text)]).map(|_| ()).map_err(|why| why.reason)
        };
        assert_eq!(with("http://www.w3.org/2001/04/xmlenc#aes128-cbc"), Err(Reason::Password));
        assert_eq!(with(FONTS[0]), Ok(()));
    }
}
