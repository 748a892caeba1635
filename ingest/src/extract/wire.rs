//! What parent and worker say to each other over their socket.
//!
//! Parent: one frame with the [`Request`], then the file's bytes to the end of the stream. Worker: any number of frames,
//! each an [`Answer`]; the last complete one counts, so that a worker can say what it has before it tries for better.
//! A frame is the header's length (4 bytes, little endian), the text's length (8 bytes), the header as JSON, the text.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::Unreadable;
use crate::model::{Extraction, Heading, Page, Reason};

/// Exit status of a worker that could not limit itself or did not understand its request.
pub(super) const EXIT_UNUSABLE: u8 = 70;

/// What the worker needs to know before the bytes come.
#[derive(Serialize, Deserialize)]
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
}

/// What the worker found.
pub(super) type Answer = Result<Extraction, Unreadable>;

#[derive(Serialize, Deserialize)]
enum Header {
    Read {
        title: Option<String>,
        media_type: String,
        pages: Vec<(Option<u32>, usize, usize, String)>,
        headings: Vec<(usize, u8, String)>,
        missing_pages: Vec<u32>,
    },
    Unreadable {
        reason: String,
        detail: String,
    },
}

pub(super) fn write_request(out: &mut impl Write, request: &Request) -> io::Result<()> {
    write_frame(out, &serde_json::to_vec(request)?, "")
}

pub(super) fn read_request(input: &mut impl Read) -> io::Result<Request> {
    let (header, _) = read_frame(input, 1 << 16)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(serde_json::from_slice(&header)?)
}

pub(super) fn write_answer(out: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let (header, text) = match answer {
        Ok(extraction) => (
            Header::Read {
                title: extraction.title.clone(),
                media_type: extraction.media_type.clone(),
                pages: extraction
                    .pages
                    .iter()
                    .map(|page| (page.number, page.bytes.start, page.bytes.end, page.engine.clone()))
                    .collect(),
                headings: extraction
                    .headings
                    .iter()
                    .map(|heading| (heading.at, heading.level, heading.title.clone()))
                    .collect(),
                missing_pages: extraction.missing_pages.clone(),
            },
            extraction.text.as_str(),
        ),
        Err(unreadable) => {
            (Header::Unreadable { reason: unreadable.reason.as_str().to_owned(), detail: unreadable.detail.clone() }, "")
        }
    };
    write_frame(out, &serde_json::to_vec(&header)?, text)
}

/// The next answer; none if the stream ends before it. An answer that is not well formed, or a frame longer than
/// `most_bytes`, is an `InvalidData` error.
pub(super) fn read_answer(input: &mut impl Read, most_bytes: u64) -> io::Result<Option<Answer>> {
    let Some((header, text)) = read_frame(input, most_bytes)? else {
        return Ok(None);
    };
    let text = String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData)?;
    match serde_json::from_slice(&header)? {
        Header::Read { title, media_type, pages, headings, missing_pages } => {
            let pages = pages.into_iter().map(|(number, start, end, engine)| Page { number, bytes: start..end, engine });
            let headings = headings.into_iter().map(|(at, level, title)| Heading { at, level, title });
            let extraction =
                Extraction { title, media_type, pages: pages.collect(), headings: headings.collect(), missing_pages, text };
            if !is_well_formed(&extraction) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            Ok(Some(Ok(extraction)))
        }
        Header::Unreadable { reason, detail } => {
            let reason: Reason = reason.parse().map_err(|_| io::ErrorKind::InvalidData)?;
            Ok(Some(Err(Unreadable { reason, detail })))
        }
    }
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

fn write_frame(out: &mut impl Write, header: &[u8], text: &str) -> io::Result<()> {
    let header_length = u32::try_from(header.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    out.write_all(&header_length.to_le_bytes())?;
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(header)?;
    out.write_all(text.as_bytes())
}

fn read_frame(input: &mut impl Read, most_bytes: u64) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut header_length = [0; 4];
    let mut text_length = [0; 8];
    match input.read_exact(&mut header_length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    input.read_exact(&mut text_length)?;
    let header_length = u64::from(u32::from_le_bytes(header_length));
    let text_length = u64::from_le_bytes(text_length);
    if header_length > most_bytes || text_length > most_bytes {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Some((read_bytes(input, header_length)?, read_bytes(input, text_length)?)))
}

/// Exactly `length` bytes; memory is taken as they arrive, not as they are announced.
fn read_bytes(input: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extraction() -> Extraction {
        Extraction {
            text: "Eins\n\nZwölf".to_owned(),
            title: Some("Eins".to_owned()),
            media_type: "application/pdf".to_owned(),
            pages: vec![
                Page { number: Some(1), bytes: 0..6, engine: "a".to_owned() },
                Page { number: Some(2), bytes: 6..12, engine: "b".to_owned() },
            ],
            headings: vec![Heading { at: 6, level: 2, title: "Zwölf".to_owned() }],
            missing_pages: vec![3],
        }
    }

    fn there_and_back(answer: &Answer) -> io::Result<Option<Answer>> {
        let mut bytes = Vec::new();
        write_answer(&mut bytes, answer).unwrap();
        read_answer(&mut bytes.as_slice(), 10_000)
    }

    #[test]
    fn answers_arrive_as_they_were_sent() {
        for answer in [Ok(extraction()), Err(Unreadable::new(Reason::Scanned, "pictures"))] {
            assert_eq!(there_and_back(&answer).unwrap(), Some(answer));
        }
        assert_eq!(read_answer(&mut [].as_slice(), 10).unwrap(), None);
    }

    #[test]
    fn answers_that_break_the_promises_are_refused() {
        let mut inside_a_character = extraction();
        inside_a_character.headings[0].at = 9;
        let mut gap = extraction();
        gap.pages[1].bytes.start = 7;
        let mut too_far = extraction();
        too_far.pages[1].bytes.end = 13;
        let mut nul = extraction();
        nul.text = nul.text.replace('E', "\0");
        for broken in [inside_a_character, gap, too_far, nul] {
            assert_eq!(there_and_back(&Ok(broken)).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn a_frame_cut_short_or_too_long_is_an_error() {
        let mut bytes = Vec::new();
        write_answer(&mut bytes, &Ok(extraction())).unwrap();
        assert!(read_answer(&mut &bytes[..bytes.len() - 1], 10_000).is_err());
        assert!(read_answer(&mut bytes.as_slice(), 11).is_err());
    }
}
