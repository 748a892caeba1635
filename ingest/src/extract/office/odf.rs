//! OpenDocument texts and presentations (odt, odp). Tracked deletions are left out, annotations and notes read. The format is
//! OASIS OpenDocument 1.3.

use std::io::BufRead;

use super::flow::Flow;
use super::package::{beside, note_lost, property};
use super::xml::{Element, Token, Xml};
use crate::extract::Unreadable;
use crate::extract::desk::Desk;
use crate::extract::parts::Parts;
use crate::extract::wire::Answer;
use crate::extract::writer::Writer;
use crate::model::{Extraction, Reason};

const TEXT: &str = "application/vnd.oasis.opendocument.text";
/// A cell that says it stands so often is written so often at most.
const MOST_REPEATED: usize = 20;
/// Spaces that one element may stand for.
const MOST_SPACES: usize = 100;

pub(in crate::extract) fn read(bytes: &[u8], desk: &mut Desk) -> Answer {
    let mut parts = Parts::open(bytes)?;
    if let Some(manifest) = parts.bytes("META-INF/manifest.xml")?
        && manifest.windows(15).any(|window| window == b"encryption-data")
    {
        return Err(Unreadable::new(Reason::Password, "it needs a password"));
    }
    let kind = parts.bytes("mimetype")?.and_then(|bytes| String::from_utf8(bytes).ok());
    let media_type = kind.as_deref().map_or(TEXT, str::trim).to_owned();
    let mut writer = Writer::new("odf", desk.request().output_bytes);
    let Some(stream) = parts.stream("content.xml")? else {
        return Err(Unreadable::new(Reason::Damaged, "its main part is missing"));
    };
    content(&mut Xml::new(stream), &mut writer)?;
    let mut lost = 0;
    if let Some(stream) = beside(parts.stream("styles.xml"), &mut lost)?.flatten() {
        beside(headers(&mut Xml::new(stream), &mut writer), &mut lost)?;
    }
    let mut extraction = writer.finish(&media_type)?;
    beside(metadata(&mut parts, &mut extraction), &mut lost)?;
    note_lost(lost, &mut extraction);
    Ok(extraction)
}

fn content<R: BufRead>(xml: &mut Xml<R>, writer: &mut Writer) -> Result<(), Unreadable> {
    let mut reading = Reading::default();
    while let Some(token) = xml.next()? {
        if writer.is_full() {
            break;
        }
        reading.take(xml, token, writer)?;
    }
    reading.flow.finish(writer);
    Ok(())
}

/// Headers and footers of the page styles, each once.
fn headers<R: BufRead>(xml: &mut Xml<R>, writer: &mut Writer) -> Result<(), Unreadable> {
    let mut seen = std::collections::HashSet::new();
    while let Some(token) = xml.next()? {
        let Token::Open(element) = token else { continue };
        if matches!(element.name.as_str(), "header" | "footer") {
            let text = xml.text_of(&element.name)?;
            if !text.trim().is_empty() && seen.insert(text.trim().to_owned()) {
                writer.gap();
                writer.paragraph(text.trim());
            }
        }
    }
    Ok(())
}

#[derive(Default)]
struct Reading {
    flow: Flow,
    /// How many elements are open whose text is a paragraph's; of those around an open box it is kept aside.
    in_paragraph: usize,
    outside: Vec<usize>,
    slides: u32,
    /// How often the open cell stands.
    repeated: usize,
}

impl Reading {
    fn take<R: BufRead>(&mut self, xml: &mut Xml<R>, token: Token, writer: &mut Writer) -> Result<(), Unreadable> {
        match token {
            Token::Open(element) => self.open(xml, &element, writer),
            Token::Close(name) => {
                self.close(&name, writer);
                Ok(())
            }
            Token::Text(text) => {
                if self.in_paragraph > 0 {
                    // White space is folded in the format; spaces that count are elements.
                    self.flow.text(&text.replace(['\n', '\r', '\t'], " "));
                }
                Ok(())
            }
        }
    }

    fn open<R: BufRead>(&mut self, xml: &mut Xml<R>, element: &Element, writer: &mut Writer) -> Result<(), Unreadable> {
        match element.name.as_str() {
            // What was deleted is kept apart, before the text.
            "tracked-changes" | "changed-region" | "settings" | "forms" | "sequence-decls" | "page-number" | "page-count" => {
                xml.skip(&element.name)?;
            }
            "p" => self.in_paragraph += 1,
            "h" => {
                self.in_paragraph += 1;
                self.flow.level(element.attribute("outline-level").and_then(|level| level.parse().ok()).unwrap_or(1));
            }
            "s" => {
                let count = element.attribute("c").and_then(|count| count.parse().ok()).unwrap_or(1);
                self.flow.text(&" ".repeat(std::cmp::min(count, MOST_SPACES)));
            }
            "tab" => self.flow.text(" "),
            "line-break" => self.flow.text("\n"),
            "page" => {
                self.slides += 1;
                writer.page(self.slides);
            }
            // Boxes, notes and annotations stand in the middle of a paragraph.
            "text-box" | "note-body" | "annotation" => {
                self.outside.push(std::mem::take(&mut self.in_paragraph));
                self.flow.begin_box();
            }
            // Who annotated and when stands there as text of its own.
            "note-citation" | "creator" | "date" | "date-string" => xml.skip(&element.name)?,
            "list-item" => self.flow.item(),
            "table" => self.flow.begin_table(writer),
            "table-cell" => {
                let repeated = element.attribute("number-columns-repeated").and_then(|count| count.parse().ok());
                self.repeated = repeated.unwrap_or(1_usize).min(MOST_REPEATED);
                self.flow.begin_cell();
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str, writer: &mut Writer) {
        match name {
            "p" | "h" => {
                self.in_paragraph = self.in_paragraph.saturating_sub(1);
                self.flow.end_paragraph(writer);
            }
            "text-box" | "note-body" | "annotation" => {
                self.in_paragraph = self.outside.pop().unwrap_or(0);
                self.flow.end_box(writer);
            }
            "table-cell" => {
                self.flow.end_cell(writer);
                for _ in 1..std::mem::take(&mut self.repeated) {
                    self.flow.end_cell(writer);
                }
            }
            "table-row" => self.flow.end_row(),
            "table" => self.flow.end_table(writer),
            _ => {}
        }
    }
}

/// Fills in title, author and time.
pub(super) fn metadata(parts: &mut Parts<'_>, extraction: &mut Extraction) -> Result<(), Unreadable> {
    let Some(stream) = parts.stream("meta.xml")? else { return Ok(()) };
    let mut xml = Xml::new(stream);
    while let Some(token) = xml.next()? {
        let Token::Open(element) = token else { continue };
        let name = match element.name.as_str() {
            "title" => "title",
            "initial-creator" => "creator",
            "creator" if extraction.author.is_none() => "creator",
            "creation-date" => "created",
            "date" => "modified",
            _ => continue,
        };
        let value = xml.text_of(&element.name)?;
        if !(name == "modified" && extraction.written_at.is_some()) {
            property(extraction, name, value.trim());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::parts::package;

    fn odt(body: &str) -> Answer {
        let content = format!(
            "<office:document-content><office:body><office:text>{body}</office:text></office:body></office:document-content>"
        );
        let meta = "<office:meta><dc:title>Lease</dc:title><meta:initial-creator>Ada</meta:initial-creator>
            <meta:creation-date>1970-01-02T00:00:00</meta:creation-date><dc:date>1980-01-01T00:00:00</dc:date></office:meta>";
        let parts = [("mimetype", TEXT.as_bytes()), ("content.xml", content.as_bytes()), ("meta.xml", meta.as_bytes())];
        read(&package(&parts), &mut Desk::alone("odt"))
    }

    #[test]
    fn text_is_read_with_notes_and_tables_and_without_deletions() {
        let body =
            "<text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:h text:outline-level='2'>Term</text:h>
            <text:p>It<text:s text:c='2'/>ends<text:note><text:note-citation>1</text:note-citation><text:note-body>
            <text:p>Maybe.</text:p></text:note-body></text:note> in <text:span>May</text:span>.</text:p>
            <table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>
            <table:table-cell table:number-columns-repeated='1000000'/></table:table-row></table:table>";
        let extraction = odt(body).unwrap();
        assert_eq!(extraction.text, "Term\nMaybe.\nIt  ends in May.\n\na");
        assert_eq!(extraction.headings[0].level, 2);
        assert_eq!((extraction.title.as_deref(), extraction.author.as_deref()), (Some("Lease"), Some("Ada")));
        assert_eq!(extraction.written_at, Some(86_400));
    }

    #[test]
    fn slides_are_pages() {
        let extraction = odt("<draw:page><text:p>one</text:p></draw:page><draw:page><text:p>two</text:p></draw:page>").unwrap();
        assert_eq!(extraction.text, "one\n\ntwo");
        assert_eq!(extraction.pages[1].number, Some(2));
    }

    #[test]
    fn what_nests_without_end_is_a_bomb() {
        assert_eq!(odt(&"<text:span>".repeat(1000)).unwrap_err().reason, Reason::Bomb);
    }
}
