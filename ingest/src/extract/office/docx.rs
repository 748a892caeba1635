//! Word documents (docx): paragraphs, headings, tables, notes, comments, text boxes, headers and footers once. Tracked
//! insertions are read, deletions left out. The format is ECMA-376 part 1.

use std::collections::{HashMap, HashSet};
use std::io::BufRead;

use super::flow::Flow;
use super::package::{beside, embedded, main_part, note_lost, properties, relations};
use super::xml::{Token, Xml};
use crate::extract::Unreadable;
use crate::extract::desk::Desk;
use crate::extract::parts::Parts;
use crate::extract::wire::Answer;
use crate::extract::writer::{Writer, one_line};
use crate::model::Reason;

const MEDIA_TYPE: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

pub(in crate::extract) fn read(bytes: &[u8], desk: &mut Desk) -> Answer {
    let mut parts = Parts::open(bytes)?;
    let main = main_part(&mut parts, "word/document.xml")?;
    let relations = relations(&mut parts, &main)?;
    let mut lost = 0;
    let styles = match relations.iter().find(|relation| relation.kind == "styles") {
        Some(styles) => beside(levels(&mut parts, &styles.target), &mut lost)?.unwrap_or_default(),
        None => HashMap::new(),
    };
    let mut writer = Writer::new("docx", desk.request().output_bytes);
    let Some(stream) = parts.stream(&main)? else {
        return Err(Unreadable::new(Reason::Damaged, "its main part is missing"));
    };
    body(&mut Xml::new(stream), &styles, &mut writer)?;
    for kind in ["footnotes", "endnotes", "comments"] {
        for relation in relations.iter().filter(|relation| relation.kind == kind) {
            writer.gap();
            beside(side_part(&mut parts, &relation.target, kind, &mut writer), &mut lost)?;
        }
    }
    let mut seen = HashSet::new();
    for relation in relations.iter().filter(|relation| matches!(relation.kind.as_str(), "header" | "footer")) {
        let mut own = Writer::new("docx", desk.request().output_bytes);
        beside(side_part(&mut parts, &relation.target, &relation.kind, &mut own), &mut lost)?;
        if let Ok(extraction) = own.finish(MEDIA_TYPE)
            && seen.insert(extraction.text.clone())
        {
            writer.gap();
            writer.paragraph(&extraction.text);
        }
    }
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder);
    beside(embedded(&mut parts, &format!("{folder}/embeddings/"), desk), &mut lost)?;
    let mut extraction = writer.finish(MEDIA_TYPE)?;
    beside(properties(&mut parts, &mut extraction), &mut lost)?;
    note_lost(lost, &mut extraction);
    Ok(extraction)
}

/// Reads notes, comments, a header or a footer; nothing where the part is not there.
fn side_part(parts: &mut Parts<'_>, part: &str, kind: &str, writer: &mut Writer) -> Result<(), Unreadable> {
    let Some(stream) = parts.stream(part)? else { return Ok(()) };
    let mut xml = Xml::new(stream);
    if kind == "comments" { comments(&mut xml, writer) } else { body(&mut xml, &HashMap::new(), writer) }
}

/// Which styles are headings, and of which level: by their outline level, their name, or the style they are based on.
fn levels(parts: &mut Parts<'_>, part: &str) -> Result<HashMap<String, u8>, Unreadable> {
    let Some(stream) = parts.stream(part)? else { return Ok(HashMap::new()) };
    let mut xml = Xml::new(stream);
    let mut levels = HashMap::new();
    let mut based: Vec<(String, String)> = Vec::new();
    let mut style = String::new();
    while let Some(token) = xml.next()? {
        let Token::Open(element) = token else { continue };
        let value = element.attribute("val").unwrap_or_default();
        match element.name.as_str() {
            "style" => style = element.attribute("styleId").unwrap_or_default().to_owned(),
            "name" => {
                let name = value.to_lowercase();
                let level = name.strip_prefix("heading ").and_then(|number| number.parse().ok());
                if let Some(level) = level.or((name == "title").then_some(1)) {
                    levels.insert(style.clone(), level);
                }
            }
            "outlineLvl" => {
                if let Ok(level @ 0..=8) = value.parse::<u8>() {
                    levels.insert(style.clone(), level + 1);
                }
            }
            "basedOn" => based.push((style.clone(), value.to_owned())),
            _ => {}
        }
    }
    // Styles are written after those they are based on, nearly always; twice is enough for the others.
    for _ in 0..2 {
        for (style, base) in &based {
            if let (None, Some(level)) = (levels.get(style), levels.get(base).copied()) {
                levels.insert(style.clone(), level);
            }
        }
    }
    Ok(levels)
}

/// Reads a part of running text: the body, notes, a header.
fn body<R: BufRead>(xml: &mut Xml<R>, styles: &HashMap<String, u8>, writer: &mut Writer) -> Result<(), Unreadable> {
    let mut flow = Flow::default();
    while let Some(token) = xml.next()? {
        if writer.is_full() {
            break;
        }
        match token {
            Token::Open(element) => match element.name.as_str() {
                "t" => flow.text(&xml.text_of("t")?),
                // Deleted, moved away, the drawing for old programs, codes of fields, hidden marks of notes.
                "del" | "moveFrom" | "Fallback" | "instrText" | "delText" => xml.skip(&element.name)?,
                "separator" | "continuationSeparator" => {}
                "tab" | "ptab" => flow.text(" "),
                "br" | "cr" => flow.text("\n"),
                "noBreakHyphen" => flow.text("-"),
                "pStyle" => {
                    if let Some(level) = element.attribute("val").and_then(|style| styles.get(style)) {
                        flow.level(*level);
                    }
                }
                "outlineLvl" => {
                    if let Some(Ok(level @ 0..=8)) = element.attribute("val").map(str::parse::<u8>) {
                        flow.level(level + 1);
                    }
                }
                "numPr" => flow.item(),
                "txbxContent" => flow.begin_box(),
                "tbl" => flow.begin_table(writer),
                "tc" => flow.begin_cell(),
                _ => {}
            },
            Token::Close(name) => match name.as_str() {
                "p" => flow.end_paragraph(writer),
                "txbxContent" => flow.end_box(writer),
                "tc" => flow.end_cell(writer),
                "tr" => flow.end_row(),
                "tbl" => flow.end_table(writer),
                _ => {}
            },
            // Text outside of `t` is white space between elements.
            Token::Text(_) => {}
        }
    }
    flow.finish(writer);
    Ok(())
}

fn comments<R: BufRead>(xml: &mut Xml<R>, writer: &mut Writer) -> Result<(), Unreadable> {
    let mut author = String::new();
    let mut text = String::new();
    while let Some(token) = xml.next()? {
        match token {
            Token::Open(element) if element.name == "comment" => {
                author = element.attribute("author").unwrap_or_default().to_owned();
                text.clear();
            }
            Token::Open(element) if element.name == "t" => text.push_str(&xml.text_of("t")?),
            Token::Close(name) if name == "p" => text.push(' '),
            Token::Close(name) if name == "comment" => {
                writer.gap();
                writer.paragraph(&format!("Comment by {}: {}", one_line(&author), one_line(&text)));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::parts::package;

    const RELS: &str =
        r#"<Relationships><Relationship Id="r1" Type="http://x/officeDocument" Target="word/document2.xml"/></Relationships>"#;

    fn docx(body: &str, more: &[(&str, &str)]) -> Answer {
        let document = format!("<w:document xmlns:w='w'><w:body>{body}</w:body></w:document>");
        let kinds = ["styles", "footnotes", "comments", "header"];
        let own: String = kinds
            .iter()
            .map(|kind| format!("<Relationship Id='{kind}' Type='http://x/{kind}' Target='{kind}.xml'/>"))
            .collect();
        let own = format!("<Relationships>{own}</Relationships>");
        let mut parts = vec![
            ("_rels/.rels", RELS.as_bytes()),
            ("word/document2.xml", document.as_bytes()),
            ("word/_rels/document2.xml.rels", own.as_bytes()),
        ];
        parts.extend(more.iter().map(|(name, text)| (*name, text.as_bytes())));
        read(&package(&parts), &mut Desk::alone("docx"))
    }

    #[test]
    fn what_people_read_is_read_and_what_is_deleted_is_not() {
        let body = "<w:p><w:pPr><w:pStyle w:val='H'/></w:pPr><w:r><w:t>Term</w:t></w:r></w:p>
            <w:p><w:r><w:t xml:space='preserve'>It ends </w:t></w:r><w:del><w:r><w:delText>never</w:delText></w:r></w:del>
            <w:ins><w:r><w:t>in May</w:t></w:r></w:ins><w:r><w:tab/><w:t>&amp; June</w:t><w:instrText>PAGE</w:instrText></w:r></w:p>
            <w:p><w:r><w:t>Before</w:t><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p>
            </w:txbxContent></mc:Choice><mc:Fallback><w:p><w:r><w:t>In a box</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent>
            <w:t> after</w:t></w:r></w:p>
            <w:tbl><w:tr><w:tc><w:p><w:r><w:t>Party</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>Fee</w:t></w:r></w:p></w:tc></w:tr>
            <w:tr><w:tc><w:p><w:r><w:t>Acme</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>1</w:t></w:r></w:p></w:tc></w:tr>
            <w:tr><w:tc><w:p><w:r><w:t>Bolt</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>2</w:t></w:r></w:p></w:tc></w:tr></w:tbl>";
        let styles = "<w:styles><w:style w:styleId='B'><w:name w:val='heading 2'/></w:style>
            <w:style w:styleId='H'><w:name w:val='Own'/><w:basedOn w:val='B'/></w:style></w:styles>";
        let notes = "<w:footnotes><w:footnote><w:p><w:r><w:t>A note.</w:t></w:r></w:p></w:footnote></w:footnotes>";
        let comments = "<w:comments><w:comment w:author='Ada'><w:p><w:r><w:t>Why?</w:t></w:r></w:p></w:comment></w:comments>";
        let header = "<w:hdr><w:p><w:r><w:t>Draft 3</w:t></w:r></w:p></w:hdr>";
        let core = "<cp:coreProperties><dc:title>Lease</dc:title><dc:creator>Ada</dc:creator>
            <dcterms:created>1970-01-02T00:00:00Z</dcterms:created></cp:coreProperties>";
        let extraction = docx(
            body,
            &[
                ("word/styles.xml", styles),
                ("word/footnotes.xml", notes),
                ("word/comments.xml", comments),
                ("word/header.xml", header),
                ("docProps/core.xml", core),
            ],
        )
        .unwrap();
        let expected = "Term\nIt ends in May & June\nIn a box\nBefore after\n\nParty | Fee\nParty: Acme | Fee: 1\nParty: Bolt | Fee: 2\n\n\
            A note.\n\nComment by Ada: Why?\n\nDraft 3";
        assert_eq!(extraction.text, expected);
        assert_eq!((extraction.headings[0].level, extraction.headings[0].title.as_str()), (2, "Term"));
        assert_eq!((extraction.title.as_deref(), extraction.author.as_deref()), (Some("Lease"), Some("Ada")));
        assert_eq!(extraction.written_at, Some(86_400));
    }

    #[test]
    fn a_damaged_part_beside_the_text_is_told_of_and_costs_nothing_else() {
        let body = "<w:p><w:r><w:t>The whole body.</w:t></w:r></w:p>";
        let extraction = docx(body, &[("word/footnotes.xml", "<w:footnotes <<"), ("docProps/core.xml", "<a <<")]).unwrap();
        assert_eq!(extraction.text, "The whole body.");
        assert_eq!(extraction.note.as_deref(), Some("2 of its parts beside the main text could not be read"));
    }

    #[test]
    fn what_is_broken_says_how() {
        assert_eq!(docx("", &[]).unwrap_err().reason, Reason::Empty);
        assert_eq!(docx(&"<w:p>".repeat(500), &[]).unwrap_err().reason, Reason::Bomb);
        assert_eq!(read(b"PK\x03\x04", &mut Desk::alone("docx")).unwrap_err().reason, Reason::Damaged);
        let whole = package(&[("word/document.xml", b"<w:p><w:t>x</w:t></w:p>")]);
        assert_eq!(read(&whole, &mut Desk::alone("docx")).unwrap().text, "x");
    }
}
