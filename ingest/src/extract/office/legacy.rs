//! Office 97-2003 texts and presentations (doc, ppt), by `catdoc` where it is installed.

use crate::extract::desk::Desk;
use crate::extract::detect::Format;
use crate::extract::wire::Answer;
use crate::extract::writer::Writer;
use crate::extract::{Tool, Unreadable};
use crate::model::{Extraction, Reason};

pub(in crate::extract) fn read(bytes: &[u8], format: Format, desk: &mut Desk) -> Answer {
    let (tool, media_type) = match format {
        Format::PowerPoint97 => (Tool::PowerPoint97, "application/vnd.ms-powerpoint"),
        _ => (Tool::Word97, "application/msword"),
    };
    if !desk.has(tool) {
        let detail = "it is a document of Office 97-2003, and catdoc is not installed";
        return Err(Unreadable::new(Reason::Unsupported, detail));
    }
    let Some(text) = desk.ask(tool, bytes) else {
        return Err(Unreadable::new(Reason::Damaged, "catdoc found no text in it"));
    };
    let mut writer = Writer::new("catdoc", desk.request().output_bytes);
    if tool == Tool::PowerPoint97 {
        for (number, slide) in (1..).zip(text.split('\u{c}').filter(|slide| !slide.trim().is_empty())) {
            writer.page(number);
            writer.paragraph(slide);
        }
    } else {
        writer.paragraph(&text);
    }
    Ok(Extraction { title: None, ..writer.finish(media_type)? })
}
