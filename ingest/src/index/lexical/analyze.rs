//! From text to words, the same way for what is indexed and for what is asked.
//!
//! A word is lower-cased, folded to its plainest form (NFKC, no accents) and free of punctuation, but for the point inside
//! a number such as `4.2`. Scripts that are written without spaces become overlapping pairs of characters.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

/// Longest word kept as it is, in characters. Of a longer one the beginning is kept, with a hash of the whole.
const LONGEST_WORD: usize = 64;

/// What is kept of a longer one: with 16 hexadecimal digits of hash it is [`LONGEST_WORD`] again.
const KEPT_OF_LONG_WORD: usize = LONGEST_WORD - 16;

/// Words too common to tell English passages apart (the short list that most full-text engines use). Sorted.
const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of", "on",
    "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
];

/// Words that make a question of what they stand in. They are rare in contracts, so they would weigh much, and for nothing. Sorted.
const QUESTION_WORDS: [&str; 12] =
    ["did", "do", "does", "how", "what", "when", "where", "which", "who", "whom", "whose", "why"];

/// Whether `word` says nothing about an English passage.
pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// Whether `word` only says that a question is asked.
pub(super) fn is_question_word(word: &str) -> bool {
    QUESTION_WORDS.binary_search(&word).is_ok()
}

/// The words of `text`, in order.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut folded = String::new();
    // White space always ends a word, and most pieces between it are plain ASCII, for which folding is cheap.
    for piece in text.split_ascii_whitespace() {
        folded.clear();
        fold(piece, &mut folded);
        let mut rest = folded.as_str();
        while let Some(first) = rest.chars().next() {
            let spaceless = is_spaceless(first);
            let end = rest.find(|c| is_spaceless(c) != spaceless).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            if spaceless {
                push_pairs(run, &mut words);
            } else {
                for word in run.unicode_words() {
                    push_word(word, &mut words);
                }
            }
            rest = after;
        }
    }
    words
}

/// Appends `piece` in its plainest form: compatibility characters replaced, accents off, lower case.
fn fold(piece: &str, into: &mut String) {
    if piece.is_ascii() {
        into.extend(piece.chars().map(|c| c.to_ascii_lowercase()));
        return;
    }
    let mut cleaned = String::with_capacity(piece.len());
    for c in piece.chars() {
        match c {
            // Invisible: hyphenation points, joiners, marks of direction.
            '\u{ad}' | '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => {}
            '\u{2019}' | '\u{2bc}' => cleaned.push('\''),
            // Not part of the word before it: zero-width space, footnote numbers, signs that would unfold to letters.
            '\u{200b}' | '¹' | '²' | '³' | '\u{2070}'..='\u{2079}' | '©' | '®' | '™' | '℠' => cleaned.push(' '),
            '¼'..='¾' | '\u{2150}'..='\u{215e}' => {
                cleaned.push(' ');
                cleaned.push(c);
            }
            _ => cleaned.push(c),
        }
    }
    // Composed again after the accents are off: Hangul and kana would be letters in parts otherwise.
    for c in cleaned.nfkd().filter(|c| !is_accent(*c)).nfc() {
        match c {
            '\u{660}'..='\u{669}' => into.extend(char::from_digit(u32::from(c) - 0x660, 10)),
            '\u{6f0}'..='\u{6f9}' => into.extend(char::from_digit(u32::from(c) - 0x6f0, 10)),
            'ß' | 'ẞ' => into.push_str("ss"),
            'æ' | 'Æ' => into.push_str("ae"),
            'œ' | 'Œ' => into.push_str("oe"),
            'ø' | 'Ø' => into.push('o'),
            'đ' | 'Đ' => into.push('d'),
            'ł' | 'Ł' => into.push('l'),
            'ı' => into.push('i'),
            _ => into.extend(c.to_lowercase()),
        }
    }
}

/// Whether `c` is a mark on a letter that people leave away when they search: accents, Hebrew points, Arabic vowels and hamzas,
/// and the stroke that lengthens an Arabic word.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}'
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}'
    )
}

/// Whether `c` belongs to a script whose words are not set apart by spaces (or, as in Korean, carry endings that hide the word).
fn is_spaceless(c: char) -> bool {
    matches!(c,
        '\u{0e01}'..='\u{0e3a}' | '\u{0e40}'..='\u{0e4e}' | '\u{0e50}'..='\u{0e59}' // Thai
        | '\u{0e81}'..='\u{0eff}' // Lao
        | '\u{1000}'..='\u{1049}' // Myanmar
        | '\u{1780}'..='\u{17d3}' // Khmer
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}' // kana
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' // Han
        | '\u{20000}'..='\u{3ffff}'
        | '\u{ac00}'..='\u{d7a3}' // Hangul
    )
}

/// Overlapping pairs of the characters of `run`; a single character stands for itself.
fn push_pairs(run: &str, words: &mut Vec<String>) {
    let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).collect();
    if starts.len() < 2 {
        words.push(run.to_owned());
        return;
    }
    for (i, start) in starts.iter().enumerate().take(starts.len() - 1) {
        let end = starts.get(i + 2).copied().unwrap_or(run.len());
        words.push(run[*start..end].to_owned());
    }
}

/// Takes apart what Unicode counts as one word but people search for in parts, and appends the parts.
fn push_word(word: &str, words: &mut Vec<String>) {
    let word = word.strip_suffix("'s").unwrap_or(word);
    if word.bytes().all(|b| b.is_ascii_alphanumeric()) {
        push_part(word, words);
        return;
    }
    if let Some(number) = without_thousands_commas(word) {
        push_part(&number, words);
        return;
    }
    for piece in word.split(|c: char| c != '.' && !c.is_alphanumeric() && !is_combining_mark(c)) {
        push_dotted(piece, words);
    }
}

/// A point stays between digits (`4.2`), goes from abbreviations (`u.s.a` is `usa`), and parts all else (`file.txt`).
fn push_dotted(piece: &str, words: &mut Vec<String>) {
    let parts: Vec<&str> = piece.split('.').filter(|part| !part.is_empty()).collect();
    let is_letter = |part: &&str| part.chars().count() == 1 && part.chars().all(char::is_alphabetic);
    if parts.len() > 1 && parts.iter().all(is_letter) {
        push_part(&parts.concat(), words);
        return;
    }
    let mut whole = String::new();
    for part in parts {
        let joins = whole.ends_with(char::is_numeric) && part.starts_with(char::is_numeric);
        if joins {
            whole.push('.');
        } else if !whole.is_empty() {
            push_part(&whole, words);
            whole.clear();
        }
        whole.push_str(part);
    }
    if !whole.is_empty() {
        push_part(&whole, words);
    }
}

/// `1,000,000.50` without its commas; none if they do not part thousands.
fn without_thousands_commas(word: &str) -> Option<String> {
    let whole = word.split('.').next()?;
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let mut commas = 0;
    for group in groups {
        commas += 1;
        if group.len() != 3 {
            return None;
        }
    }
    let digits_only = word.bytes().all(|b| b.is_ascii_digit() || b == b',' || b == b'.');
    let proper = commas > 0 && (1..=3).contains(&first.len()) && digits_only && !word[whole.len()..].contains(',');
    proper.then(|| word.replace(',', ""))
}

fn push_part(part: &str, words: &mut Vec<String>) {
    match part.char_indices().nth(LONGEST_WORD) {
        None => words.push(part.to_owned()),
        Some(_) => {
            let kept = part.char_indices().nth(KEPT_OF_LONG_WORD).map_or(part.len(), |(at, _)| at);
            words.push(format!("{}{:016x}", &part[..kept], fnv1a(part.as_bytes())));
        }
    }
}

/// Fowler–Noll–Vo hash 1a, 64 bits: part of the data format, so it must never change.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        assert_eq!(words(text), expect, "of {text:?}");
    }

    #[test]
    fn words_are_plain_and_lower_case() {
        check("The Supplier SHALL indemnify…", &["the", "supplier", "shall", "indemnify"]);
        check("Café Müller Straße Łódź İstanbul", &["cafe", "muller", "strasse", "lodz", "istanbul"]);
        check("ﬁnancial ＡＢＣ１２", &["financial", "abc12"]);
        check("ter\u{ad}mination agreement¹ Acme™", &["termination", "agreement", "acme"]);
        check("client's Client’s don't O'Brien", &["client", "client", "don", "t", "o", "brien"]);
    }

    #[test]
    fn identifiers_keep_their_parts_in_order() {
        check("§ 4.2(b)", &["4.2", "b"]);
        check("INV-2024-0093", &["inv", "2024", "0093"]);
        check("EX-10.9", &["ex", "10.9"]);
        check("acme_NDA-final.v2.pdf", &["acme", "nda", "final", "v2", "pdf"]);
        check("j.doe@example.com", &["j", "doe", "example", "com"]);
        check("U.S.A. and N.V.", &["usa", "and", "nv"]);
        check("$1,000,000.50 1,2,3 10,000", &["1000000.50", "1", "2", "3", "10000"]);
        check("1½", &["1", "1", "2"]);
    }

    #[test]
    fn scripts_without_spaces_become_pairs() {
        check("契約解除", &["契約", "約解", "解除"]);
        check("水", &["水"]);
        check("第3条に基づく", &["第", "3", "条に", "に基", "基づ", "づく"]);
        check("ガイド", &["ガイ", "イド"]);
        check("ｶﾞｲﾄﾞ", &["ガイ", "イド"]);
        check("계약서를", &["계약", "약서", "서를"]);
        check("สัญญา", &["สั", "ัญ", "ญญ", "ญา"]);
    }

    #[test]
    fn right_to_left_scripts_lose_their_points() {
        check("العَرَبِيَّة أنواع ١٤٣٤", &["العربية", "انواع", "1434"]);
        // Letters as a PDF draws them, joined forms and ligatures, and a stretched word.
        check("\u{fe8d}\u{fee7}\u{feee}\u{fe8d}\u{feca} ا\u{fccb}طوط كـــتاب", &["انواع", "الخطوط", "كتاب"]);
        check("שָׁלוֹם", &["שלום"]);
    }

    #[test]
    fn english_is_as_it_was() {
        let text = "4.2(b) Notwithstanding the foregoing, Licensee's obligations (the \"Obligations\") under Section 10.3 of the \
                    U.S. Agreement -- incl. $1,250.00/month, net-30 -- shall survive; see Ex. A-1, p.12 & EX-10.9_v2.";
        let expected = "4.2 b notwithstanding the foregoing licensee obligations the obligations under section 10.3 of the us \
                        agreement incl 1250.00 month net 30 shall survive see ex a 1 p 12 ex 10.9 v2";
        check(text, &expected.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn a_long_word_is_shortened_but_stays_itself() {
        let long = "x".repeat(100);
        let other = format!("{long}y");
        let shortened = words(&long);
        assert_eq!(shortened.len(), 1);
        assert_eq!(shortened[0].chars().count(), LONGEST_WORD);
        assert_ne!(shortened, words(&other));
        check(&"x".repeat(64), &["x".repeat(64).as_str()]);
    }

    #[test]
    fn the_lists_are_sorted() {
        assert!(STOP_WORDS.is_sorted() && QUESTION_WORDS.is_sorted());
        assert!(is_stop_word("the") && !is_stop_word("thee") && is_question_word("what"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_words_without_spaces(text in "\\PC{0,60}") {
            for word in words(&text) {
                proptest::prop_assert!(!word.is_empty() && !word.contains(char::is_whitespace));
                proptest::prop_assert!(word.chars().count() <= LONGEST_WORD);
            }
        }
    }
}
