//! Plain text: finds the encoding and decodes, changing nothing else.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE};

use super::Unreadable;
use super::wire::Answer;
use crate::model::{Extraction, Page, Reason};

/// So much of a text is looked at to guess its encoding.
const GUESS_BYTES: usize = 1 << 20;
/// A text with this many good multi-byte characters for each bad byte is damaged UTF-8, not another encoding.
const GOOD_FOR_EACH_BAD: usize = 4;

pub(super) fn read(bytes: &[u8], told: Option<&'static Encoding>) -> Answer {
    whole(decode_told(bytes, told), "text/plain")
}

/// A text without pages, headings or title.
pub(super) fn whole(text: String, media_type: &str) -> Answer {
    if text.trim().is_empty() {
        return Err(Unreadable::new(Reason::Empty, "it has no text"));
    }
    let page = Page { number: None, bytes: 0..text.len(), engine: "text".to_owned(), quality: None };
    Ok(Extraction { pages: vec![page], media_type: media_type.to_owned(), text, ..Extraction::default() })
}

/// Encodings of more than one byte a character, in which ASCII has zero bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wide {
    Utf16Le,
    Utf16Be,
    Utf32Le,
    Utf32Be,
}

/// The text of `bytes`: without a byte-order mark, every bad sequence and NUL as U+FFFD, otherwise unaltered.
///
/// A mark decides, then the pattern of zero bytes, then validity as UTF-8, then `declared`, then `chardetng`'s guess.
pub(super) fn decode(bytes: &[u8], declared: Option<&'static Encoding>) -> String {
    let text = decode_any(bytes, declared);
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// The same for a text whose sender told its encoding. Who says UTF-8 means it: what is wrong in it is damage, and no guess
/// at another encoding is worth as much.
pub(super) fn decode_told(bytes: &[u8], told: Option<&'static Encoding>) -> String {
    if told != Some(UTF_8) || wide_encoding(bytes).is_some() {
        return decode(bytes, told);
    }
    String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).replace('\0', "\u{fffd}")
}

fn decode_any(bytes: &[u8], declared: Option<&'static Encoding>) -> String {
    if let Some(wide) = wide_encoding(bytes) {
        return decode_wide(bytes, wide);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return decode_iso_2022_jp(bytes).unwrap_or_else(|| text.to_owned());
    }
    if is_damaged_utf8(bytes) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    if let Some(encoding) = declared.filter(|encoding| *encoding != UTF_16LE && *encoding != UTF_16BE)
        && let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(bytes)
    {
        return text.into_owned();
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(&bytes[..bytes.len().min(GUESS_BYTES)], bytes.len() <= GUESS_BYTES);
    let guess = detector.guess(None, Utf8Detection::Deny);
    guess.decode_without_bom_handling(bytes).0.into_owned()
}

/// Which wide encoding `bytes` are in, by a byte-order mark or by where the zero bytes are.
pub(super) fn wide_encoding(bytes: &[u8]) -> Option<Wide> {
    for (mark, wide) in [
        (&b"\xff\xfe\0\0"[..], Wide::Utf32Le),
        (b"\0\0\xfe\xff", Wide::Utf32Be),
        (b"\xff\xfe", Wide::Utf16Le),
        (b"\xfe\xff", Wide::Utf16Be),
    ] {
        if bytes.starts_with(mark) {
            return Some(wide);
        }
    }
    let sample = &bytes[..bytes.len().min(GUESS_BYTES) & !3];
    let sample = if sample.is_empty() { &bytes[..bytes.len() & !1] } else { sample };
    let mut zeros = [0_usize; 4];
    for (index, _) in sample.iter().enumerate().filter(|(_, byte)| **byte == 0) {
        zeros[index % 4] += 1;
    }
    let most = |count: usize| count * 10 > sample.len() / 4 * 3 && count > 0;
    let few = |count: usize| count * 20 <= sample.len() / 4;
    let wide = match zeros.map(most) {
        [false, true, true, true] => Wide::Utf32Le,
        [true, true, true, false] => Wide::Utf32Be,
        [false, true, false, true] if few(zeros[0] + zeros[2]) => Wide::Utf16Le,
        [true, false, true, false] if few(zeros[1] + zeros[3]) => Wide::Utf16Be,
        _ => return None,
    };
    // Short binary files can have such a pattern by chance; text has letters and no stray surrogates.
    let text = decode_wide(&bytes[..bytes.len().min(4096) & !3], wide);
    let odd = text.chars().filter(|c| *c == '\u{fffd}' || (c.is_control() && !c.is_whitespace())).count();
    (odd * 20 <= text.chars().count()).then_some(wide)
}

fn decode_wide(bytes: &[u8], wide: Wide) -> String {
    let encoding = match wide {
        Wide::Utf16Le => UTF_16LE,
        Wide::Utf16Be => UTF_16BE,
        Wide::Utf32Le => return decode_utf32(bytes, u32::from_le_bytes),
        Wide::Utf32Be => return decode_utf32(bytes, u32::from_be_bytes),
    };
    encoding.decode_with_bom_removal(bytes).0.into_owned()
}

fn decode_utf32(bytes: &[u8], number: fn([u8; 4]) -> u32) -> String {
    let mut text = String::new();
    for four in bytes.chunks(4) {
        let character = <[u8; 4]>::try_from(four).ok().and_then(|four| char::from_u32(number(four)));
        text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
}

/// ISO-2022-JP is seven-bit and so valid UTF-8; its escape sequences, into Japanese and back, give it away.
fn decode_iso_2022_jp(bytes: &[u8]) -> Option<String> {
    let has = |sequences: [&[u8; 3]; 2]| bytes.windows(3).any(|window| sequences.iter().any(|sequence| window == *sequence));
    let escapes = bytes.contains(&0x1b) && has([b"\x1b$B", b"\x1b$@"]) && has([b"\x1b(B", b"\x1b(J"]);
    let text = escapes.then(|| ISO_2022_JP.decode_without_bom_handling_and_without_replacement(bytes)).flatten();
    text.map(|text| text.into_owned())
}

fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let mut good = 0;
    let mut bad = 0;
    for chunk in bytes[..bytes.len().min(GUESS_BYTES)].utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good >= GOOD_FOR_EACH_BAD * bad && good > 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utf16(text: &str, number: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(number).collect()
    }

    #[test]
    fn encodings_are_found() {
        let text = "Die Gebühr beträgt “zehn” Euro.\r\nZweite Zeile.\r\n";
        assert_eq!(decode(text.as_bytes(), None), text);
        assert_eq!(decode(&[b"\xef\xbb\xbf", text.as_bytes()].concat(), None), text);
        assert_eq!(decode(&utf16(text, u16::to_le_bytes), None), text);
        assert_eq!(decode(&utf16(text, u16::to_be_bytes), None), text);
        assert_eq!(decode(&utf16(&format!("\u{feff}{text}"), u16::to_be_bytes), None), text);
        let utf32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        assert_eq!(decode(&utf32, None), text);
        assert_eq!(decode(&encoding_rs::WINDOWS_1252.encode(text).0, None), text);
        let japanese = "日本国民は、正当に選挙された国会における代表者を通じて行動し、";
        for encoding in [encoding_rs::SHIFT_JIS, encoding_rs::EUC_JP, ISO_2022_JP] {
            assert_eq!(decode(&encoding.encode(japanese).0, None), japanese, "{}", encoding.name());
        }
    }

    #[test]
    fn bad_bytes_in_utf8_become_replacement_characters() {
        assert_eq!(decode("Grüße aus Köln für Jürgen\u{0}".as_bytes(), None), "Grüße aus Köln für Jürgen\u{fffd}");
        assert_eq!(decode(b"Gr\xc3\xbc\xc3\x9fe \xff K\xc3\xb6ln f\xc3\xbcr", None), "Grüße \u{fffd} Köln für");
    }

    #[test]
    fn a_text_that_is_said_to_be_utf8_is_not_guessed_at() {
        let bytes = b"\xef\xbb\xbfnotice \xff period \xc3( \xf0\x9f\x93 weeks";
        assert_eq!(decode_told(bytes, Some(UTF_8)), "notice \u{fffd} period \u{fffd}( \u{fffd} weeks");
        let latin = encoding_rs::WINDOWS_1252.encode("Die Gebühr beträgt zehn Euro.").0.into_owned();
        assert_eq!(decode_told(&latin, None), "Die Gebühr beträgt zehn Euro.");
        assert_eq!(decode_told(b"b\xe4r", Some(encoding_rs::ISO_8859_2)), "bär");
    }

    #[test]
    fn colours_in_a_log_are_not_japanese() {
        let log = "\u{1b}[31merror\u{1b}[0m (B)";
        assert_eq!(decode(log.as_bytes(), None), log);
    }

    proptest! {
        #[test]
        fn any_bytes_decode(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(!decode(&bytes, None).contains('\0'));
        }

        #[test]
        fn utf8_is_utf8(text in "[^\u{0}\u{1b}\u{feff}]{0,200}") {
            prop_assert_eq!(decode(text.as_bytes(), None), text);
        }
    }
}
