//! Mailboxes (mbox): every message is a member, the mailbox's own text the list of their subjects. RFC 4155, and what programs
//! write in its place.

use mail_parser::MessageParser;

use crate::extract::Unreadable;
use crate::extract::desk::Desk;
use crate::extract::wire::Answer;
use crate::extract::writer::{Writer, one_line};
use crate::model::Reason;

/// Longest part of a subject that goes into a member's name, in characters.
const LONGEST_SUBJECT: usize = 80;

pub(in crate::extract) fn read(bytes: &[u8], desk: &mut Desk) -> Answer {
    let messages = messages(bytes);
    if messages.is_empty() {
        return Err(Unreadable::new(Reason::Empty, "the mailbox is empty"));
    }
    let mut writer = Writer::new("mail", desk.request().output_bytes);
    writer.paragraph(&format!("{} messages", messages.len()));
    let mut names = Vec::with_capacity(messages.len());
    for (number, message) in (1..).zip(&messages) {
        let subject = MessageParser::default().parse_headers(*message).and_then(|headers| headers.subject().map(one_line));
        let subject = subject.unwrap_or_default();
        writer.paragraph(&subject);
        let short: String = subject.replace(['/', '\\'], " ").chars().take(LONGEST_SUBJECT).collect();
        names.push(format!("{}.eml", format!("{number:05} {short}").trim()));
    }
    let extraction = writer.finish("application/mbox")?;
    desk.answer_so_far(&extraction);
    for (name, message) in names.iter().zip(messages) {
        if !desk.member(name, Some("message/rfc822"), &unquoted(message)) {
            break;
        }
    }
    Ok(extraction)
}

/// The messages between the lines that begin with `From ` after an empty line.
fn messages(bytes: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    let mut start: Option<usize> = None;
    let mut after_empty = true;
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let begins = after_empty && line.starts_with(b"From ");
        if begins {
            if let Some(start) = start {
                messages.push(&bytes[start..at]);
            }
            start = Some(at + line.len());
        }
        after_empty = line.trim_ascii().is_empty();
        at += line.len();
    }
    messages.extend(start.map(|start| &bytes[start..]));
    messages.retain(|message| !message.trim_ascii().is_empty());
    messages
}

/// The message as it was before its lines that begin with `From ` were quoted.
fn unquoted(raw: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(raw.len());
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        let marks = line.iter().take_while(|byte| **byte == b'>').count();
        let quoted = marks > 0 && line[marks..].starts_with(b"From ");
        message.extend(if quoted { &line[1..] } else { line });
    }
    message
}
