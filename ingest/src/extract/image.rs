//! Pictures: text by OCR, where it is installed.

use super::desk::Desk;
use super::wire::Answer;
use super::writer::Writer;
use super::{Tool, Unreadable};
use crate::model::{Extraction, Reason};

pub(super) fn read(bytes: &[u8], desk: &mut Desk) -> Answer {
    if !desk.has(Tool::Ocr) {
        return Err(Unreadable::new(Reason::Scanned, "it is a picture, and tesseract is not installed"));
    }
    let Some(text) = desk.ask(Tool::Ocr, bytes) else {
        return Err(Unreadable::new(Reason::Scanned, "it is a picture in which no text was found"));
    };
    let mut writer = Writer::new(Tool::Ocr.name(), desk.request().output_bytes);
    paragraphs(&text, &mut writer);
    let extraction = writer.finish(media_type(bytes))?;
    // The first line of a picture is seldom its title.
    Ok(Extraction { title: None, ..extraction })
}

/// Writes what OCR gives, whose paragraphs are parted by empty lines and whose pages by form feeds.
fn paragraphs(text: &str, writer: &mut Writer) {
    for paragraph in text.replace('\u{c}', "\n\n").split("\n\n") {
        writer.paragraph(paragraph);
        writer.gap();
    }
}

fn media_type(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x89, b'P', ..] => "image/png",
        [0xff, 0xd8, ..] => "image/jpeg",
        [b'G', ..] => "image/gif",
        _ => "image/tiff",
    }
}
