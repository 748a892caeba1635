//! What parent and worker say to each other over their socket.
//!
//! Parent: one frame with the [`Request`], the file's bytes in pieces, then a [`Reply`] to each question. Worker: any number of
//! frames, each a [`Message`]; the last complete answer counts, so that a worker can say what it has before it tries for
//! better. A frame is the header's length (4 bytes, little endian), the body's length (8 bytes), the header as JSON, the body.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::detect::Hints;
use super::{Tool, Unreadable};
use crate::model::{Extraction, Heading, Page, Recording};

/// Exit status of a worker that could not limit itself or did not understand its request.
pub(super) const EXIT_UNUSABLE: u8 = 70;
/// Names of members are labels for people; a longer one is cut by the worker and refused by the parent.
pub(super) const LONGEST_NAME: usize = 1024;

/// What the worker needs to know before the bytes come.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Request {
    pub memory_bytes: u64,
    pub cpu_seconds: u64,
    pub output_bytes: u64,
    /// How many bytes will come, most likely.
    pub file_bytes: u64,
    /// Lower-case extension of the file's name; may be empty.
    pub extension: String,
    /// Declared media type in lower case, without parameters.
    pub media_type: Option<String>,
    /// The declared type's `charset`, in lower case.
    pub charset: Option<String>,
    /// Passwords that may open the file, tried in this order.
    pub passwords: Vec<String>,
    /// Tools that the parent can run for the worker.
    pub tools: Vec<Tool>,
    /// Whether members are wanted; a container at the greatest depth says only that it has some.
    pub members: bool,
}

impl Request {
    /// What it says of the file's kind.
    pub fn hints(&self) -> Hints<'_> {
        Hints { extension: &self.extension, media_type: self.media_type.as_deref() }
    }
}

/// What the worker found.
pub(super) type Answer = Result<Extraction, Unreadable>;

/// What the worker says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// What it makes of the file, and the processor time that took in milliseconds.
    Answer(Answer, u64),
    /// Bytes found inside the file, to be read by another worker.
    Member { name: String, media_type: Option<String>, bytes: Vec<u8> },
    /// Something found inside the file whose bytes can't be had.
    LostMember { name: String, why: Unreadable },
    /// A question to a tool; a [`Reply`] is waited for.
    Ask { tool: Tool, bytes: Vec<u8> },
}

/// What a tool said, or that it could not.
pub(super) type Reply = Option<String>;

/// A recording on the wire: kind, length, title, artist.
type WireRecording = (String, Option<u64>, Option<String>, Option<String>);

/// A page on the wire: number, start, end, engine, quality.
type WirePage = (Option<u32>, usize, usize, String, Option<u8>);

#[derive(Serialize, Deserialize)]
enum Header {
    Read {
        title: Option<String>,
        author: Option<String>,
        written_at: Option<i64>,
        media_type: String,
        note: Option<String>,
        pages: Vec<WirePage>,
        headings: Vec<(usize, u8, String)>,
        missing_pages: Vec<u32>,
        cpu_ms: u64,
    },
    Unreadable {
        reason: String,
        detail: String,
        recording: Option<WireRecording>,
        cpu_ms: u64,
    },
    Member {
        name: String,
        media_type: Option<String>,
    },
    LostMember {
        name: String,
        reason: String,
        detail: String,
    },
    Ask {
        tool: Tool,
    },
}

pub(super) fn write_request(out: &mut impl Write, request: &Request) -> io::Result<()> {
    write_frame(out, &serde_json::to_vec(request)?, &[])
}

pub(super) fn read_request(input: &mut impl Read) -> io::Result<Request> {
    let (header, _) = read_frame(input, 1 << 16)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(serde_json::from_slice(&header)?)
}

/// A piece of the file; an empty one ends it.
pub(super) fn write_piece(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

/// Appends the whole file to `bytes`; `looked` sees them after each piece.
pub(super) fn read_pieces(
    input: &mut impl Read,
    bytes: &mut Vec<u8>,
    mut looked: impl FnMut(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        input.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length == 0 {
            return Ok(());
        }
        bytes.try_reserve(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        if input.take(length as u64).read_to_end(bytes)? != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        looked(bytes)?;
    }
}

pub(super) fn write_reply(out: &mut impl Write, reply: &Reply) -> io::Result<()> {
    write_frame(out, &serde_json::to_vec(&reply.is_some())?, reply.as_deref().unwrap_or_default().as_bytes())
}

pub(super) fn read_reply(input: &mut impl Read, most_bytes: u64) -> io::Result<Reply> {
    let (header, text) = read_frame(input, most_bytes)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let text = String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(serde_json::from_slice::<bool>(&header)?.then_some(text))
}

pub(super) fn write_answer(out: &mut impl Write, answer: &Answer, cpu_ms: u64) -> io::Result<()> {
    let (header, text) = match answer {
        Ok(extraction) => (
            Header::Read {
                title: extraction.title.clone(),
                author: extraction.author.clone(),
                written_at: extraction.written_at,
                media_type: extraction.media_type.clone(),
                note: extraction.note.clone(),
                pages: extraction
                    .pages
                    .iter()
                    .map(|page| (page.number, page.bytes.start, page.bytes.end, page.engine.clone(), page.quality))
                    .collect(),
                headings: extraction
                    .headings
                    .iter()
                    .map(|heading| (heading.at, heading.level, heading.title.clone()))
                    .collect(),
                missing_pages: extraction.missing_pages.clone(),
                cpu_ms,
            },
            extraction.text.as_str(),
        ),
        Err(Unreadable { reason, detail, recording }) => {
            let recording = recording.as_ref().map(|recording| {
                let Recording { sound, length_ms, title, artist } = recording;
                (sound.as_str().to_owned(), *length_ms, title.clone(), artist.clone())
            });
            (Header::Unreadable { reason: reason.as_str().to_owned(), detail: detail.clone(), recording, cpu_ms }, "")
        }
    };
    write_frame(out, &serde_json::to_vec(&header)?, text.as_bytes())
}

pub(super) fn write_member(out: &mut impl Write, name: &str, media_type: Option<&str>, bytes: &[u8]) -> io::Result<()> {
    let header = Header::Member { name: name.to_owned(), media_type: media_type.map(str::to_owned) };
    write_frame(out, &serde_json::to_vec(&header)?, bytes)
}

pub(super) fn write_lost_member(out: &mut impl Write, name: &str, why: &Unreadable) -> io::Result<()> {
    let (reason, detail) = (why.reason.as_str().to_owned(), why.detail.clone());
    write_frame(out, &serde_json::to_vec(&Header::LostMember { name: name.to_owned(), reason, detail })?, &[])
}

pub(super) fn write_question(out: &mut impl Write, tool: Tool, bytes: &[u8]) -> io::Result<()> {
    write_frame(out, &serde_json::to_vec(&Header::Ask { tool })?, bytes)
}

/// The next message; none if the stream ends before it. One that is not well formed, or a frame longer than `most_bytes`, is
/// an `InvalidData` error.
pub(super) fn read_message(input: &mut impl Read, most_bytes: u64) -> io::Result<Option<Message>> {
    let Some((header, body)) = read_frame(input, most_bytes)? else {
        return Ok(None);
    };
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let unreadable = |reason: String, detail| match reason.parse() {
        Ok(reason) => Ok(Unreadable { reason, detail, recording: None }),
        Err(_) => Err(invalid()),
    };
    let named = |name: String| if name.is_empty() || name.len() > LONGEST_NAME { Err(invalid()) } else { Ok(name) };
    Ok(Some(match serde_json::from_slice(&header)? {
        Header::Read { title, author, written_at, media_type, note, pages, headings, missing_pages, cpu_ms } => {
            let page = |(number, start, end, engine, quality): WirePage| Page { number, bytes: start..end, engine, quality };
            let extraction = Extraction {
                text: String::from_utf8(body).map_err(|_| invalid())?,
                title,
                author,
                written_at,
                media_type,
                note,
                pages: pages.into_iter().map(page).collect(),
                headings: headings.into_iter().map(|(at, level, title)| Heading { at, level, title }).collect(),
                missing_pages,
                ..Extraction::default()
            };
            if !is_well_formed(&extraction) {
                return Err(invalid());
            }
            Message::Answer(Ok(extraction), cpu_ms)
        }
        Header::Unreadable { reason, detail, recording, cpu_ms } => {
            let known = |(sound, length_ms, title, artist): WireRecording| match sound.parse() {
                Ok(sound) => Ok(Recording { sound, length_ms, title, artist }),
                Err(_) => Err(invalid()),
            };
            let recording = recording.map(known).transpose()?;
            Message::Answer(Err(Unreadable { recording, ..unreadable(reason, detail)? }), cpu_ms)
        }
        Header::Member { name, media_type } => Message::Member { name: named(name)?, media_type, bytes: body },
        Header::LostMember { name, reason, detail } => {
            Message::LostMember { name: named(name)?, why: unreadable(reason, detail)? }
        }
        Header::Ask { tool } => Message::Ask { tool, bytes: body },
    }))
}

/// Whether the extraction keeps what its type promises: a worker that was taken over must not harm the parent.
fn is_well_formed(extraction: &Extraction) -> bool {
    let text = &extraction.text;
    let mut end = 0;
    for page in &extraction.pages {
        if page.bytes.start != end || text.get(page.bytes.clone()).is_none() {
            return false;
        }
        end = page.bytes.end;
    }
    let mut at = 0;
    for heading in &extraction.headings {
        if heading.at < at || !text.is_char_boundary(heading.at) {
            return false;
        }
        at = heading.at;
    }
    end == text.len() && !text.contains('\0')
}

fn write_frame(out: &mut impl Write, header: &[u8], body: &[u8]) -> io::Result<()> {
    let header_length = u32::try_from(header.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    out.write_all(&header_length.to_le_bytes())?;
    out.write_all(&(body.len() as u64).to_le_bytes())?;
    out.write_all(header)?;
    out.write_all(body)
}

fn read_frame(input: &mut impl Read, most_bytes: u64) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut header_length = [0; 4];
    let mut body_length = [0; 8];
    match input.read_exact(&mut header_length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    input.read_exact(&mut body_length)?;
    let header_length = u64::from(u32::from_le_bytes(header_length));
    let body_length = u64::from_le_bytes(body_length);
    if header_length > most_bytes || body_length > most_bytes {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Some((read_bytes(input, header_length)?, read_bytes(input, body_length)?)))
}

/// Exactly `length` bytes; memory is taken as they arrive, not as they are announced.
fn read_bytes(input: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
