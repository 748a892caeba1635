//! E-mail messages (eml): who, when, what about, and the body. Attachments are members. The other kinds of mail are beside it:
//! Outlook messages, mailboxes, saved web pages.

pub(super) mod mbox;
pub(super) mod mhtml;
pub(super) mod msg;

mod rtf_body;

use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::desk::Desk;
use super::wire::Answer;
use super::writer::Writer;
use super::{Unreadable, html};
use crate::model::Reason;

/// Pictures in the text of a mail that are smaller are logos and smileys.
const SMALL_PICTURE: usize = 20_000;

pub(super) fn read(bytes: &[u8], desk: &mut Desk) -> Answer {
    let message = MessageParser::default().parse(bytes);
    let message = message.ok_or_else(|| Unreadable::new(Reason::Damaged, "it is no e-mail message"))?;
    if is_encrypted(&message) {
        return Err(Unreadable::new(Reason::Password, "the message is encrypted"));
    }
    let mut writer = Writer::new("mail", desk.request().output_bytes);
    writer.paragraph(&head(&message));
    writer.gap();
    body(&message, &mut writer);
    let mut extraction = writer.finish("message/rfc822")?;
    extraction.title = message.subject().map(str::to_owned).filter(|subject| !subject.trim().is_empty());
    extraction.author = message.from().map(people).filter(|from| !from.is_empty());
    extraction.written_at = message.date().map(mail_parser::DateTime::to_timestamp);
    let (pictures, attached): (Vec<_>, Vec<_>) =
        message.attachments().filter(|part| !is_signature(part)).partition(|part| is_decoration(part));
    if !pictures.is_empty() {
        extraction.note = Some(format!("{} small pictures in its text are left out", pictures.len()));
    }
    if !attached.is_empty() {
        desk.answer_so_far(&extraction);
    }
    for part in attached {
        let kind = part.content_type().map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("x")));
        let wanted = if is_opaque(part) {
            let why = "the message lies inside its signature, which is not read";
            desk.lost_member(&name(part), Unreadable::new(Reason::Unsupported, why))
        } else {
            desk.member(&name(part), kind.as_deref(), part.contents())
        };
        if !wanted {
            break;
        }
    }
    Ok(extraction)
}

/// The signature of a message that is in clear: nothing in it is for people.
fn is_signature(part: &MessagePart<'_>) -> bool {
    let kinds = ["pkcs7-signature", "x-pkcs7-signature", "pgp-signature"];
    subtype(part).is_some_and(|subtype| kinds.contains(&subtype.as_str()))
}

/// A signature with the signed message inside.
fn is_opaque(part: &MessagePart<'_>) -> bool {
    subtype(part).is_some_and(|subtype| matches!(subtype.as_str(), "pkcs7-mime" | "x-pkcs7-mime"))
}

/// What follows `application/`, in lower case.
fn subtype(part: &MessagePart<'_>) -> Option<String> {
    let kind = part.content_type().filter(|kind| kind.ctype().eq_ignore_ascii_case("application"))?;
    Some(kind.subtype()?.to_ascii_lowercase())
}

/// The lines that say who wrote to whom, when, about what.
fn head(message: &Message<'_>) -> String {
    let mut head = String::new();
    let mut line = |name: &str, value: String| {
        if !value.trim().is_empty() {
            head.push_str(&format!("{name}: {value}\n"));
        }
    };
    line("Subject", message.subject().unwrap_or_default().to_owned());
    for (name, value) in [("From", message.from()), ("To", message.to()), ("Cc", message.cc()), ("Bcc", message.bcc())] {
        line(name, value.map(people).unwrap_or_default());
    }
    line("Date", message.date().map(mail_parser::DateTime::to_rfc822).unwrap_or_default());
    head
}

fn people(address: &Address<'_>) -> String {
    let one = |person: &mail_parser::Addr<'_>| match (person.name(), person.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (name, address) => name.or(address).unwrap_or_default().to_owned(),
    };
    address.iter().map(one).filter(|person| !person.is_empty()).collect::<Vec<_>>().join(", ")
}

/// The body's parts as text; what is only there as a web page through the reader of those.
fn body(message: &Message<'_>, writer: &mut Writer) {
    for part in message.text_bodies() {
        match &part.body {
            PartType::Text(text) => writer.paragraph(text),
            PartType::Html(page) => writer.paragraph(&page_text(page)),
            _ => {}
        }
        writer.gap();
    }
}

/// The text of a web page; nothing if it has none.
pub(super) fn page_text(page: &str) -> String {
    html::read(page.as_bytes(), Some(encoding_rs::UTF_8)).map(|extraction| extraction.text).unwrap_or_default()
}

fn is_encrypted(message: &Message<'_>) -> bool {
    let Some(kind) = message.content_type() else { return false };
    let subtype = kind.subtype().unwrap_or_default().to_ascii_lowercase();
    let enveloped = kind.attribute("smime-type").is_none_or(|kind| kind.eq_ignore_ascii_case("enveloped-data"));
    match kind.ctype().to_ascii_lowercase().as_str() {
        "multipart" => subtype == "encrypted",
        "application" => subtype.ends_with("pkcs7-mime") && enveloped,
        _ => false,
    }
}

fn is_decoration(part: &MessagePart<'_>) -> bool {
    let picture = part.content_type().is_some_and(|kind| kind.ctype().eq_ignore_ascii_case("image"));
    let inline = part.content_id().is_some() || part.content_disposition().is_some_and(|place| place.is_inline());
    picture && inline && part.contents().len() < SMALL_PICTURE
}

/// An attachment's name; one without gets a name by what it is.
fn name(part: &MessagePart<'_>) -> String {
    if let Some(name) = part.attachment_name() {
        return name.to_owned();
    }
    if let PartType::Message(inner) = &part.body {
        return format!("{}.eml", inner.subject().unwrap_or("message"));
    }
    let subtype = part.content_type().and_then(|kind| kind.subtype()).unwrap_or_default().to_ascii_lowercase();
    let extension = match subtype.as_str() {
        "plain" => "txt",
        "html" => "html",
        "calendar" => "ics",
        "pdf" => "pdf",
        "jpeg" => "jpg",
        "png" => "png",
        _ => "bin",
    };
    format!("attachment.{extension}")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
