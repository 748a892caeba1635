//! PowerPoint presentations (pptx): slides in their order as pages, each with its notes and comments.

use std::io::BufRead;

use super::flow::Flow;
use super::package::{Relation, beside, embedded, main_part, note_lost, properties, relations};
use super::xml::{Token, Xml};
use crate::extract::Unreadable;
use crate::extract::desk::Desk;
use crate::extract::parts::Parts;
use crate::extract::wire::Answer;
use crate::extract::writer::Writer;

const MEDIA_TYPE: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";

pub(in crate::extract) fn read(bytes: &[u8], desk: &mut Desk) -> Answer {
    let mut parts = Parts::open(bytes)?;
    let main = main_part(&mut parts, "ppt/presentation.xml")?;
    let slides = slides(&mut parts, &main)?;
    let mut writer = Writer::new("pptx", desk.request().output_bytes);
    let mut lost = 0;
    let mut missing = Vec::new();
    for (number, slide) in (1..).zip(&slides) {
        writer.page(number);
        let mut unread = 0;
        beside(shapes(&mut parts, slide, &mut writer), &mut unread)?;
        if unread > 0 {
            missing.push(number);
        }
        for relation in beside(relations(&mut parts, slide), &mut lost)?.unwrap_or_default() {
            if matches!(relation.kind.as_str(), "notesSlide" | "diagramData" | "comments" | "chart") {
                beside(shapes(&mut parts, &relation.target, &mut writer), &mut lost)?;
            }
        }
    }
    beside(embedded(&mut parts, "ppt/embeddings/", desk), &mut lost)?;
    let mut extraction = writer.finish(MEDIA_TYPE)?;
    extraction.missing_pages = missing;
    beside(properties(&mut parts, &mut extraction), &mut lost)?;
    note_lost(lost, &mut extraction);
    Ok(extraction)
}

/// The parts of the slides in the order in which they are shown.
fn slides(parts: &mut Parts<'_>, main: &str) -> Result<Vec<String>, Unreadable> {
    let relations = relations(parts, main)?;
    let target = |id: &str| relations.iter().find(|relation: &&Relation| relation.id == id).map(|found| found.target.clone());
    let mut slides = Vec::new();
    if let Some(stream) = parts.stream(main)? {
        let mut xml = Xml::new(stream);
        while let Some(token) = xml.next()? {
            let Token::Open(element) = token else { continue };
            if element.name == "sldId" {
                // Two attributes are called `id`; the relationship's is the one that a relationship has.
                slides.extend(element.values().find_map(target));
            }
        }
    }
    if slides.is_empty() {
        slides = parts.below("ppt/slides/").into_iter().filter(|name| name.ends_with(".xml")).collect();
    }
    Ok(slides)
}

fn shapes(parts: &mut Parts<'_>, part: &str, writer: &mut Writer) -> Result<(), Unreadable> {
    match parts.stream(part)? {
        Some(stream) => texts(&mut Xml::new(stream), writer),
        None => Ok(()),
    }
}

/// Texts of a slide, of its notes, or of comments: paragraphs and tables; the first title shape is a heading.
fn texts<R: BufRead>(xml: &mut Xml<R>, writer: &mut Writer) -> Result<(), Unreadable> {
    let mut flow = Flow::default();
    let mut is_title = false;
    while let Some(token) = xml.next()? {
        match token {
            Token::Open(element) => match element.name.as_str() {
                // `a:t` in shapes, `p:text` in comments, `c:v` in charts.
                "t" | "text" | "v" => {
                    flow.text(&xml.text_of(&element.name)?);
                    if element.name != "t" {
                        flow.end_paragraph(writer);
                    }
                }
                "Fallback" => xml.skip("Fallback")?,
                // Numbers and dates that the program fills in on each slide.
                "fld" if element.attribute("type").is_some_and(|kind| kind == "slidenum") => xml.skip("fld")?,
                "ph" => is_title = element.attribute("type").is_some_and(|kind| kind.ends_with("itle")),
                "br" => flow.text("\n"),
                "tab" => flow.text(" "),
                "tbl" => flow.begin_table(writer),
                "tc" => flow.begin_cell(),
                _ => {}
            },
            Token::Close(name) => match name.as_str() {
                "p" => {
                    if is_title {
                        flow.level(1);
                    }
                    flow.end_paragraph(writer);
                }
                "sp" => is_title = false,
                "tc" => flow.end_cell(writer),
                "tr" => flow.end_row(),
                "tbl" => flow.end_table(writer),
                _ => {}
            },
            Token::Text(_) => {}
        }
    }
    flow.finish(writer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::parts::package;

    #[test]
    fn slides_come_in_the_order_shown_with_their_notes() {
        let slide = |title: &str, text: &str| {
            format!(
                "<p:sld><p:sp><p:ph type='ctrTitle'/><a:p><a:t>{title}</a:t></a:p></p:sp>
                 <p:sp><a:p><a:t>{text}</a:t><a:fld type='slidenum'><a:t>7</a:t></a:fld></a:p></p:sp></p:sld>"
            )
        };
        let rels = |rows: &[(&str, &str, &str)]| -> String {
            let rows: String = rows
                .iter()
                .map(|(id, kind, target)| format!("<Relationship Id='{id}' Type='t/{kind}' Target='{target}'/>"))
                .collect();
            format!("<Relationships>{rows}</Relationships>")
        };
        let presentation = "<p:presentation><p:sldIdLst><p:sldId id='256' r:id='b'/><p:sldId id='257' r:id='a'/></p:sldIdLst></p:presentation>";
        let main = rels(&[("a", "slide", "slides/slide1.xml"), ("b", "slide", "slides/slide2.xml")]);
        let notes = rels(&[("n", "notesSlide", "../notesSlides/n.xml")]);
        let bytes = package(&[
            ("ppt/presentation.xml", presentation.as_bytes()),
            ("ppt/_rels/presentation.xml.rels", main.as_bytes()),
            ("ppt/slides/slide1.xml", slide("Second", "two").as_bytes()),
            ("ppt/slides/slide2.xml", slide("First", "one").as_bytes()),
            ("ppt/slides/_rels/slide2.xml.rels", notes.as_bytes()),
            ("ppt/notesSlides/n.xml", b"<p:notes><a:p><a:t>Say hello.</a:t></a:p></p:notes>"),
        ]);
        let extraction = read(&bytes, &mut Desk::alone("pptx")).unwrap();
        assert_eq!(extraction.text, "First\none\nSay hello.\n\nSecond\ntwo");
        assert_eq!(extraction.pages.iter().map(|page| page.number).collect::<Vec<_>>(), [Some(1), Some(2)]);
        assert_eq!(extraction.title.as_deref(), Some("First"));
    }
}
