//! A transcript becomes a text: a page a minute, a heading that says the time, and when each piece is said.

use super::super::Unreadable;
use super::super::wire::Answer;
use crate::model::{Extraction, Heading, Page, Reason, Recording, Said, Transcript, clock, page_at};

/// Between two things said that lie further apart a new line begins.
const PAUSE_MS: u64 = 2000;

/// The text of a recording that somebody wrote down; `most_bytes` of it at most.
pub(in crate::extract) fn extraction(recording: &Recording, transcript: Transcript, most_bytes: u64) -> Answer {
    let Transcript { mut said, scribe } = transcript;
    said.sort_by_key(|said| said.start_ms);
    let engine = format!("{} ({})", scribe.name, scribe.model);
    let mut extraction = Extraction {
        title: recording.title.clone(),
        author: recording.artist.clone(),
        media_type: recording.sound.media_type().to_owned(),
        scribe: Some(Box::new(scribe)),
        ..Extraction::default()
    };
    let (mut page, mut silent_since) = (None, 0);
    for Said { start_ms, end_ms, text } in said {
        let words = text.split_whitespace().map(|word| word.chars().filter(|c| !c.is_control()).collect::<String>());
        let words = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        if words.is_empty() {
            continue;
        }
        let text = &mut extraction.text;
        if text.len() + words.len() + 2 > usize::try_from(most_bytes).unwrap_or(usize::MAX) {
            return Err(Unreadable::new(Reason::TooLarge, format!("its text is longer than {most_bytes} bytes")));
        }
        let number = page_at(start_ms);
        if page == Some(number) {
            text.push(if start_ms.saturating_sub(silent_since) > PAUSE_MS { '\n' } else { ' ' });
        } else {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            page = Some(number);
            let at = text.len();
            // What parts two pages belongs to the earlier one.
            if let Some(before) = extraction.pages.last_mut() {
                before.bytes.end = at;
            }
            extraction.pages.push(Page { number: Some(number), bytes: at..at, engine: engine.clone(), quality: None });
            extraction.headings.push(Heading { at, level: 1, title: clock(start_ms) });
        }
        let at = text.len();
        text.push_str(&words);
        let end_ms = end_ms.max(start_ms);
        extraction.moments.push((at..text.len(), start_ms, end_ms));
        silent_since = end_ms;
    }
    match extraction.pages.last_mut() {
        Some(last) => last.bytes.end = extraction.text.len(),
        None => return Err(Unreadable::new(Reason::Empty, "nothing is said in it, as far as the speech server can tell")),
    }
    Ok(extraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Lane, Scribe, Sound};

    fn written(said: &[(u64, u64, &str)], most_bytes: u64) -> Answer {
        let scribe = Scribe {
            lane: Lane::Fast,
            chosen_by: "length".into(),
            name: "small".into(),
            model: "tiny.en".into(),
            endpoint: "127.0.0.1:9".into(),
            server: "a server".into(),
            process: None,
            digest: None,
            language: None,
            length_ms: None,
        };
        let said = said.iter().map(|(start, end, text)| Said { start_ms: *start, end_ms: *end, text: (*text).into() });
        let transcript = Transcript { said: said.collect(), scribe };
        let recording = Recording { sound: Sound::Ogg, length_ms: None, title: Some("Call".into()), artist: None };
        extraction(&recording, transcript, most_bytes)
    }

    #[test]
    fn a_minute_is_a_page_and_each_piece_keeps_its_time() {
        let said = [
            (58_000, 61_000, " Good\u{0} morning. "),
            (62_000, 64_000, "It is"),
            (64_500, 66_000, "late."),
            (70_000, 71_000, "Yes."),
            (71_000, 72_000, "  "),
            (300_000, 301_000, "Bye."),
        ];
        let read = written(&said, 1000).unwrap();
        assert_eq!(read.text, "Good morning.\n\nIt is late.\nYes.\n\nBye.");
        let pages: Vec<_> = read.pages.iter().map(|page| (page.number, &read.text[page.bytes.clone()])).collect();
        assert_eq!(pages, [(Some(1), "Good morning.\n\n"), (Some(2), "It is late.\nYes.\n\n"), (Some(6), "Bye.")]);
        let headings: Vec<_> = read.headings.iter().map(|heading| (heading.at, heading.title.as_str())).collect();
        assert_eq!(headings, [(0, "00:00:58"), (15, "00:01:02"), (33, "00:05:00")]);
        let moments: Vec<_> = read.moments.iter().map(|(bytes, start, _)| (&read.text[bytes.clone()], *start)).collect();
        assert_eq!(
            moments,
            [("Good morning.", 58_000), ("It is", 62_000), ("late.", 64_500), ("Yes.", 70_000), ("Bye.", 300_000)]
        );
        assert_eq!((read.title.as_deref(), read.media_type.as_str()), (Some("Call"), "audio/ogg"));
        assert_eq!(read.pages[0].engine, "small (tiny.en)");
    }

    #[test]
    fn silence_is_empty_and_too_much_is_too_large() {
        assert_eq!(written(&[(0, 1, " ")], 100).unwrap_err().reason, Reason::Empty);
        assert_eq!(written(&[(0, 1, "more than ten bytes")], 10).unwrap_err().reason, Reason::TooLarge);
    }
}
