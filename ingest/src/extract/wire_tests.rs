//! Messages there and back, and messages that a broken worker could send.

use super::*;
use crate::model::{Reason, Sound};

fn extraction() -> Extraction {
    Extraction {
        text: "Eins\n\nZwölf".to_owned(),
        title: Some("Eins".to_owned()),
        author: Some("Ada".to_owned()),
        written_at: Some(-7),
        media_type: "application/pdf".to_owned(),
        note: Some("its name says something else".to_owned()),
        pages: vec![
            Page { number: Some(1), bytes: 0..6, engine: "a".to_owned(), quality: Some(97) },
            Page { number: Some(2), bytes: 6..12, engine: "b".to_owned(), quality: None },
        ],
        headings: vec![Heading { at: 6, level: 2, title: "Zwölf".to_owned() }],
        missing_pages: vec![3],
        ..Extraction::default()
    }
}

fn there_and_back(answer: &Answer) -> io::Result<Option<Message>> {
    let mut bytes = Vec::new();
    write_answer(&mut bytes, answer, 12).unwrap();
    read_message(&mut bytes.as_slice(), 10_000)
}

#[test]
fn messages_arrive_as_they_were_sent() {
    let recording = Recording { sound: Sound::Flac, length_ms: Some(5), title: Some("Call".into()), artist: None };
    let heard = Unreadable { recording: Some(recording), ..Unreadable::new(Reason::Unsupported, "sound") };
    for answer in [Ok(extraction()), Err(Unreadable::new(Reason::Scanned, "pictures")), Err(heard)] {
        assert_eq!(there_and_back(&answer).unwrap(), Some(Message::Answer(answer, 12)));
    }
    let mut bytes = Vec::new();
    let why = Unreadable::new(Reason::TooLarge, "too much");
    write_member(&mut bytes, "a/b.txt", Some("text/plain"), &[0, 255]).unwrap();
    write_lost_member(&mut bytes, "c", &why).unwrap();
    write_question(&mut bytes, Tool::Ocr, b"picture").unwrap();
    let mut input = bytes.as_slice();
    let mut next = || read_message(&mut input, 100).unwrap();
    let member = Message::Member { name: "a/b.txt".into(), media_type: Some("text/plain".into()), bytes: vec![0, 255] };
    assert_eq!(next(), Some(member));
    assert_eq!(next(), Some(Message::LostMember { name: "c".into(), why }));
    assert_eq!(next(), Some(Message::Ask { tool: Tool::Ocr, bytes: b"picture".to_vec() }));
    assert_eq!(next(), None);
}

#[test]
fn pieces_and_replies_arrive_as_they_were_sent() {
    let mut bytes = Vec::new();
    for piece in [&b"one"[..], b"two", b""] {
        write_piece(&mut bytes, piece).unwrap();
    }
    for reply in [Some("Größe".to_owned()), None] {
        write_reply(&mut bytes, &reply).unwrap();
    }
    let (mut input, mut whole) = (bytes.as_slice(), Vec::new());
    read_pieces(&mut input, &mut whole, |_| Ok(())).unwrap();
    assert_eq!(whole, b"onetwo");
    assert_eq!(read_reply(&mut input, 100).unwrap().as_deref(), Some("Größe"));
    assert_eq!(read_reply(&mut input, 100).unwrap(), None);
    assert!(read_pieces(&mut &b"\x05\0\0\0ab"[..], &mut whole, |_| Ok(())).is_err());
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
    let mut bytes = Vec::new();
    write_member(&mut bytes, &"n".repeat(LONGEST_NAME + 1), None, b"").unwrap();
    assert!(read_message(&mut bytes.as_slice(), 10_000).is_err());
}

#[test]
fn a_frame_cut_short_or_too_long_is_an_error() {
    let mut bytes = Vec::new();
    write_answer(&mut bytes, &Ok(extraction()), 0).unwrap();
    assert!(read_message(&mut &bytes[..bytes.len() - 1], 10_000).is_err());
    assert!(read_message(&mut bytes.as_slice(), 11).is_err());
}
