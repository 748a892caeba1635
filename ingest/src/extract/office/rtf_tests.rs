//! Rich Text in small, and any bytes at all.

use proptest::prelude::*;

use super::*;

fn rtf(text: &str) -> Answer {
    read(text.as_bytes(), &mut Desk::alone("rtf"))
}

#[test]
fn words_are_read_in_every_encoding_and_what_is_no_text_is_not() {
    let text = r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Times;}}{\info{\title Lease}{\author Ada}{\company X}}
{\*\generator Word;}\f0 Caf\'e9 \u8364?10\par {\f1\'cf\'f0\'e8\'e2\'e5\'f2} \emdash  end{\v hidden}{\pict\bin4 }}}}}\line{\field{\*\fldinst HYPERLINK x}{\fldrslt link}}\par
\trowd a\cell b\cell\row c\cell d\cell\row\pard Last \u-10179?\u-8704?.}";
    let extraction = rtf(text).unwrap();
    assert_eq!(extraction.text, "Café €10\nПривет — end\nlink\n\na | b\nc | d\n\nLast 😀.");
    assert_eq!((extraction.title.as_deref(), extraction.author.as_deref()), (Some("Lease"), Some("Ada")));
}

#[test]
fn what_is_cut_short_or_nests_for_ever_ends() {
    assert_eq!(rtf(r"{\rtf1 cut short\").unwrap().text, "cut short");
    assert_eq!(rtf(&"{".repeat(10_000)).unwrap_err().reason, Reason::Bomb);
    assert_eq!(rtf(r"{\rtf1}").unwrap_err().reason, Reason::Empty);
}

proptest! {
    #[test]
    fn any_bytes_give_a_text_or_a_reason(bytes in proptest::collection::vec(prop_oneof![Just(b'{'), Just(b'}'), Just(b'\\'), Just(b'u'), any::<u8>()], 0..300)) {
        let _ = read(&bytes, &mut Desk::alone("rtf"));
    }
}
