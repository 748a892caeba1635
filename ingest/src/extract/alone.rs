//! Readers without their process, for property tests and fuzzing: whatever goes in, what comes out keeps its promises.

use super::desk::Desk;
use super::parts::package;
use super::{Unreadable, worker};
use crate::model::Extraction;

const TEXT: &[u8] = b"application/vnd.oasis.opendocument.text";
const SLIDES: &[u8] = b"application/vnd.oasis.opendocument.presentation";

/// Reads a file as a worker would, but in this process and without its limits.
///
/// # Errors
/// As a worker would say them.
pub fn read(bytes: Vec<u8>, name: &str) -> Result<Extraction, Unreadable> {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    worker::read(bytes, &mut Desk::alone(ending))
}

/// An Office file around its main part, and its name; the format is chosen by a number. So the readers of the parts are reached
/// without having to find out first how packages are made.
pub fn office(choice: u8, part: &[u8]) -> (&'static str, Vec<u8>) {
    let rels = b"<Relationships><Relationship Id='a' Type='t/slide' Target='slides/slide1.xml'/></Relationships>";
    let list = b"<p:presentation><p:sldIdLst><p:sldId id='256' r:id='a'/></p:sldIdLst></p:presentation>";
    match choice % 7 {
        0 => ("a.docx", package(&[("word/document.xml", part)])),
        1 => ("a.docx", package(&[("word/document.xml", b"<w:p><w:t>x</w:t></w:p>"), ("word/footnotes.xml", part)])),
        2 => ("a.docx", package(&[("word/document.xml", b"<w:p><w:t>x</w:t></w:p>"), ("word/styles.xml", part)])),
        3 => {
            let fixed = [("ppt/presentation.xml", &list[..]), ("ppt/_rels/presentation.xml.rels", rels)];
            ("a.pptx", package(&[fixed[0], fixed[1], ("ppt/slides/slide1.xml", part)]))
        }
        4 => ("a.odt", package(&[("mimetype", TEXT), ("content.xml", part)])),
        5 => ("a.odp", package(&[("mimetype", SLIDES), ("content.xml", part)])),
        _ => ("a.rtf", [b"{\\rtf1", part].concat()),
    }
}

/// A file's name, its ending chosen by a number: formats that are not packed.
pub fn name(choice: u8) -> &'static str {
    ["a.eml", "a.mbox", "a.mhtml", "a.html", "a.md", "a.csv", "a.txt"][usize::from(choice % 7)]
}

/// Holds an extraction to what its type promises: pages tile the text, and all offsets lie on character boundaries within it.
///
/// # Panics
/// If it breaks a promise.
pub fn hold(extraction: &Extraction) {
    let text = &extraction.text;
    assert!(!text.trim().is_empty(), "a text without a letter is none");
    let mut at = 0;
    for page in &extraction.pages {
        assert_eq!(page.bytes.start, at, "pages tile the text");
        assert!(text.is_char_boundary(page.bytes.end), "a page ends within a character");
        at = page.bytes.end;
    }
    assert_eq!(at, text.len(), "pages cover the text");
    let mut last = 0;
    for heading in &extraction.headings {
        assert!(heading.at >= last && text.is_char_boundary(heading.at), "headings point into the text, in order");
        last = heading.at;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    /// The seeds that fuzzing starts from.
    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
    }

    /// What happens to a file on its way: a piece is lost, doubled, or overwritten.
    #[derive(Clone, Debug)]
    enum Harm {
        Lose(Index, Index),
        Double(Index, Index),
        Overwrite(Index, Vec<u8>),
    }

    fn harm() -> impl Strategy<Value = Harm> {
        let bytes = prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..8),
            prop::sample::select(vec![
                &b"<"[..],
                b">",
                b"</w:p>",
                b"<w:p>",
                b"&#x0;",
                b"&",
                b"]]>",
                b"{",
                b"}",
                b"\\bin99 ",
                b"\r\n\r\n",
                b"--"
            ])
            .prop_map(<[u8]>::to_vec),
        ];
        prop_oneof![
            (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Harm::Lose(a, b)),
            (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Harm::Double(a, b)),
            (any::<Index>(), bytes).prop_map(|(at, bytes)| Harm::Overwrite(at, bytes)),
        ]
    }

    fn harmed(mut bytes: Vec<u8>, harms: &[Harm]) -> Vec<u8> {
        for harm in harms {
            let length = bytes.len() + 1;
            let range = |a: &Index, b: &Index| {
                let (a, b) = (a.index(length), b.index(length));
                a.min(b)..a.max(b)
            };
            match harm {
                Harm::Lose(a, b) => drop(bytes.drain(range(a, b))),
                Harm::Double(a, b) => {
                    let range = range(a, b);
                    let piece = bytes[range.clone()].to_vec();
                    bytes.splice(range.start..range.start, piece);
                }
                Harm::Overwrite(at, new) => {
                    let at = at.index(length);
                    let end = (at + new.len()).min(bytes.len());
                    bytes.splice(at..end, new.iter().copied());
                }
            }
        }
        bytes
    }

    #[test]
    fn seeds_are_read() {
        for seed in seeds("office") {
            let (name, bytes) = office(seed[0], &seed[1..]);
            hold(&read(bytes, name).unwrap());
        }
        for seed in seeds("mail").into_iter().chain(seeds("text")) {
            hold(&read(seed[1..].to_vec(), name(seed[0])).unwrap());
        }
    }

    proptest! {
        #[test]
        fn a_harmed_office_part_gives_a_text_or_a_reason(seed: Index, harms in proptest::collection::vec(harm(), 1..4)) {
            let seeds = seeds("office");
            let seed = &seeds[seed.index(seeds.len())];
            let (name, bytes) = office(seed[0], &harmed(seed[1..].to_vec(), &harms));
            if let Ok(extraction) = read(bytes, name) {
                hold(&extraction);
            }
        }

        #[test]
        fn a_harmed_mail_or_text_gives_a_text_or_a_reason(seed: Index, harms in proptest::collection::vec(harm(), 1..4)) {
            let seeds = [seeds("mail"), seeds("text")].concat();
            let seed = &seeds[seed.index(seeds.len())];
            if let Ok(extraction) = read(harmed(seed[1..].to_vec(), &harms), name(seed[0])) {
                hold(&extraction);
            }
        }
    }
}
