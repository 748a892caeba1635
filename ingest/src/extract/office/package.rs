//! What Office Open XML packages have in common: relationships between parts, properties, embedded files.

use crate::extract::Unreadable;
use crate::extract::desk::Desk;
use crate::extract::detect::{Format, Hints, detect};
use crate::extract::parts::Parts;
use crate::model::{Extraction, Reason};

use super::xml::{Token, Xml};

/// One relationship of a part.
pub(super) struct Relation {
    pub id: String,
    /// The last word of its type: `footnotes`, `slide`.
    pub kind: String,
    /// The part it leads to, as a name in the package.
    pub target: String,
}

/// Relationships of a part; of the package itself for `""`.
pub(super) fn relations(parts: &mut Parts<'_>, part: &str) -> Result<Vec<Relation>, Unreadable> {
    let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
    let slash = if folder.is_empty() { "" } else { "/" };
    let name = format!("{folder}{slash}_rels/{file}.rels");
    let Some(stream) = parts.stream(&name)? else { return Ok(Vec::new()) };
    let mut xml = Xml::new(stream);
    let mut relations = Vec::new();
    while let Some(token) = xml.next()? {
        let Token::Open(element) = token else { continue };
        let value = |name| element.attribute(name).unwrap_or_default();
        if element.name == "Relationship" && value("TargetMode") != "External" {
            relations.push(Relation {
                id: value("Id").to_owned(),
                kind: value("Type").rsplit('/').next().unwrap_or_default().to_owned(),
                target: resolved(folder, value("Target")),
            });
        }
    }
    Ok(relations)
}

/// The part that the package is about, found by its relationship: writers give it various names.
pub(super) fn main_part(parts: &mut Parts<'_>, usual: &str) -> Result<String, Unreadable> {
    let found = relations(parts, "")?.into_iter().find(|relation| relation.kind == "officeDocument");
    Ok(found.map(|relation| relation.target).filter(|target| parts.has(target)).unwrap_or_else(|| usual.to_owned()))
}

/// A target as a name in the package: relative ones begin in the part's folder.
fn resolved(folder: &str, target: &str) -> String {
    let mut path: Vec<&str> = if target.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(path.pop()),
            step => path.push(step),
        }
    }
    path.retain(|step| !step.is_empty());
    path.join("/")
}

/// What came of a side part: the document is worth reading without one that is damaged or not there. What is made to do harm, or
/// is locked, counts for all of it.
pub(super) fn beside<T>(read: Result<T, Unreadable>, lost: &mut usize) -> Result<Option<T>, Unreadable> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(why) if matches!(why.reason, Reason::Damaged | Reason::Unsupported | Reason::Empty) => {
            *lost += 1;
            Ok(None)
        }
        Err(why) => Err(why),
    }
}

/// Tells people of side parts that could not be read.
pub(super) fn note_lost(lost: usize, extraction: &mut Extraction) {
    if lost > 0 {
        extraction.note = Some(format!("{lost} of its parts beside the main text could not be read"));
    }
}

/// Fills in title, author and time from the package's properties.
pub(super) fn properties(parts: &mut Parts<'_>, extraction: &mut Extraction) -> Result<(), Unreadable> {
    let Some(stream) = parts.stream("docProps/core.xml")? else { return Ok(()) };
    let mut xml = Xml::new(stream);
    while let Some(token) = xml.next()? {
        let Token::Open(element) = token else { continue };
        if matches!(element.name.as_str(), "title" | "creator" | "created" | "modified") {
            let value = xml.text_of(&element.name)?;
            property(extraction, &element.name, value.trim());
        }
    }
    Ok(())
}

/// Takes one property; what says nothing is passed over.
pub(super) fn property(extraction: &mut Extraction, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    match name {
        "title" => extraction.title = Some(value.to_owned()),
        "creator" => extraction.author = Some(value.to_owned()),
        "created" if extraction.written_at.is_some() => {}
        "created" | "modified" => extraction.written_at = seconds(value).or(extraction.written_at),
        _ => {}
    }
}

/// Seconds since 1970 of a time as XML writes it, with or without a zone.
fn seconds(text: &str) -> Option<i64> {
    let zoned = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    zoned.or_else(|| {
        let local = text.parse::<jiff::civil::DateTime>().ok()?;
        Some(local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
    })
}

/// Hands in the files that are embedded below a folder. Objects that only another program draws are left out.
pub(super) fn embedded(parts: &mut Parts<'_>, folder: &str, desk: &mut Desk) -> Result<(), Unreadable> {
    for name in parts.below(folder) {
        let file = name.rsplit('/').next().unwrap_or(&name).to_owned();
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension).to_owned();
        let Some(bytes) = parts.bytes(&name)? else { continue };
        let drawn = matches!(detect(&bytes, Hints { extension: &extension, media_type: None }), Format::Other(_));
        if !drawn && !desk.member(&file, None, &bytes) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_names_in_the_package() {
        for (folder, target, expected) in [
            ("word", "footnotes.xml", "word/footnotes.xml"),
            ("ppt/slides", "../notesSlides/n1.xml", "ppt/notesSlides/n1.xml"),
            ("", "word/document2.xml", "word/document2.xml"),
            ("word", "/word/x.xml", "word/x.xml"),
            ("word", "../../../x", "x"),
        ] {
            assert_eq!(resolved(folder, target), expected);
        }
    }

    #[test]
    fn times_are_read_with_and_without_a_zone() {
        assert_eq!(seconds("1970-01-01T00:00:10Z"), Some(10));
        assert_eq!(seconds("1970-01-01T00:00:10.5"), Some(10));
        assert_eq!(seconds("yesterday"), None);
    }
}
