//! Saved web pages (mhtml): the page's text. Its pictures and styles are left out. RFC 2557.

use mail_parser::{MessageParser, PartType};

use crate::extract::desk::Desk;
use crate::extract::wire::Answer;
use crate::extract::{Unreadable, html};
use crate::model::Reason;

pub(in crate::extract) fn read(bytes: &[u8], _desk: &mut Desk) -> Answer {
    let message = MessageParser::default().parse(bytes);
    let message = message.ok_or_else(|| Unreadable::new(Reason::Damaged, "it is no saved web page"))?;
    let pages = message.parts.iter().filter_map(|part| match &part.body {
        PartType::Html(page) => Some(page),
        _ => None,
    });
    // The first is the page, others are frames in it: the first with words is what people saw.
    for page in pages {
        if let Ok(mut extraction) = html::read(page.as_bytes(), Some(encoding_rs::UTF_8)) {
            extraction.media_type = "multipart/related".to_owned();
            extraction.written_at = message.date().map(mail_parser::DateTime::to_timestamp);
            return Ok(extraction);
        }
    }
    Err(Unreadable::new(Reason::Empty, "the saved page has no text"))
}
