//! Tells text from what an engine makes of fonts that it does not understand.
//!
//! A page's score is 100 less penalties for four things that only bad text has: characters that stand for nothing, words
//! split into pieces, letters that are other letters' numbers, and words that no language has. Below [`POOR`], another engine
//! is asked.

/// Below this score, in percent, another engine is asked.
const POOR: usize = 60;
/// What each percent of characters that stand for nothing costs.
const GARBAGE_COST: usize = 8;
/// A share of words of one or two letters up to this, in percent, is that of prose; each more costs [`SHORT_COST`].
const SHORT_PERCENT: usize = 24;
const SHORT_COST: usize = 4;
/// Fewer words say nothing about a share.
const LEAST_WORDS: usize = 40;
/// Words of four letters and more without a vowel, in percent: product codes and abbreviations; each more costs [`STRANGE_COST`].
const STRANGE_PERCENT: usize = 10;
const STRANGE_COST: usize = 2;
/// With more of the characters that stand for nothing, in percent, the rest is not text either. A page of symbols in a bullet
/// list stays below.
const HOPELESS_PERCENT: usize = 12;
/// Fewer letters could be an abbreviation or a part number.
const LEAST_CIPHER_LETTERS: usize = 60;
const FEWEST_VOWELS_PERCENT: usize = 22;
/// Words of more letters than this on average are several words.
const LONG_WORD: usize = 14;
/// A text of so many words of the plain Latin alphabet has some of [`COMMON_WORDS`]. If not, it is a cipher, or a long table.
const LEAST_COMMON_WORDS: usize = 100;
const UNCOMMON_COST: usize = 45;
/// The commonest words of languages written in that alphabet.
const COMMON_WORDS: [&str; 60] = [
    "the", "of", "and", "to", "in", "or", "for", "is", "a", "by", "der", "die", "und", "des", "den", "das", "le", "la", "les",
    "de", "et", "du", "el", "los", "y", "en", "il", "di", "che", "e", "per", "o", "os", "da", "het", "een", "van", "och",
    "att", "af", "og", "ja", "on", "ei", "i", "w", "na", "z", "se", "v", "u", "je", "az", "ve", "bir", "yang", "dan", "ng",
    "ya", "si",
];

/// How much like text it is, in percent.
pub(super) fn score(text: &str) -> u8 {
    let mut penalty = garbage_percent(text) * GARBAGE_COST;
    if is_cipher(text) {
        penalty += 100;
    }
    let words = Words::count(text);
    if words.all >= LEAST_WORDS {
        penalty += (words.short * 100).div_ceil(words.all).saturating_sub(SHORT_PERCENT) * SHORT_COST;
        penalty += (words.strange * 100 / words.all).saturating_sub(STRANGE_PERCENT) * STRANGE_COST;
    }
    if words.latin >= LEAST_COMMON_WORDS && words.common * 100 < words.latin {
        penalty += UNCOMMON_COST;
    }
    u8::try_from(100_usize.saturating_sub(penalty)).unwrap_or(0)
}

/// Whether another engine should be asked.
pub(super) fn is_poor(text: &str) -> bool {
    usize::from(score(text)) < POOR
}

/// Whether too many characters are placeholders, for private use, or control characters.
pub(super) fn is_garbage(text: &str) -> bool {
    garbage_percent(text) * GARBAGE_COST > 100 - POOR
}

/// Whether the text is of no use to anybody: glyph numbers of a font whose characters are not known.
pub(super) fn is_hopeless(text: &str) -> bool {
    garbage_percent(text) > HOPELESS_PERCENT || is_cipher(text)
}

/// Whether the letters are other letters' numbers, as fonts without a character table give them: all words run together
/// (the space is shifted too) and vowels are rare. Either alone is found in real text, both together are not.
fn is_cipher(text: &str) -> bool {
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let vowels = text.bytes().filter(|byte| b"aeiouAEIOU".contains(byte)).count();
    let words = text.split_whitespace().filter(|word| word.bytes().any(|byte| byte.is_ascii_alphabetic())).count();
    letters >= LEAST_CIPHER_LETTERS && vowels * 100 < letters * FEWEST_VOWELS_PERCENT && letters > words * LONG_WORD
}

fn garbage_percent(text: &str) -> usize {
    let mut all = 0;
    let mut bad = 0;
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        all += 1;
        bad += usize::from(c == '\u{fffd}' || c.is_control() || ('\u{e000}'..='\u{f8ff}').contains(&c));
    }
    (bad * 100_usize).div_ceil(all.max(1))
}

/// Words of letters that are written with spaces: numbers in tables and CJK are short by nature.
#[derive(Default)]
struct Words {
    all: usize,
    /// Of one or two letters.
    short: usize,
    /// Of plain Latin letters.
    latin: usize,
    /// Of four plain Latin letters and more, none a vowel.
    strange: usize,
    common: usize,
}

impl Words {
    fn count(text: &str) -> Self {
        let mut words = Self::default();
        for word in text.split_whitespace() {
            let bare = word.trim_end_matches(['.', ',', ';', ':']);
            if bare.is_empty() || !bare.chars().all(is_spaced_letter) {
                continue;
            }
            words.all += 1;
            words.short += usize::from(bare.chars().nth(2).is_none());
            if bare.is_ascii() {
                words.latin += 1;
                let vowel = bare.bytes().any(|byte| b"aeiouyAEIOUY".contains(&byte));
                words.strange += usize::from(bare.len() >= 4 && !vowel);
                words.common += usize::from(COMMON_WORDS.iter().any(|common| common.eq_ignore_ascii_case(bare)));
            }
        }
        words
    }
}

fn is_spaced_letter(c: char) -> bool {
    c.is_alphabetic() && c < '\u{e00}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_words_and_garbage_are_poor() {
        let good = "The parties agree that all notices under this contract shall be given in writing to the address below. ";
        assert!(!is_poor(&good.repeat(5)));
        let split = "Th e par ti es a gr ee th at al l no ti ce s un de r th is co nt ra ct sh al l be gi ve n ";
        assert!(is_poor(&split.repeat(5)));
        assert!(is_poor("\u{f021}\u{f022}\u{f023} abc") && is_hopeless("7+,6\u{3}$*5((0(17\u{3}DQG\u{3}R"));
        assert!(!is_hopeless("\u{f0b7} a line of a list \u{f0b7} and another one"));
        assert!(!is_poor("合 同 双 方 ".repeat(50).as_str()));
        assert!(!is_poor("1 2 3 4 5 6 7 8 9 ".repeat(50).as_str()));
    }

    #[test]
    fn the_score_falls_with_what_is_wrong() {
        let good =
            "The parties agree that all notices under this contract shall be given in writing to the address below. ".repeat(5);
        assert_eq!(score(&good), 100);
        assert_eq!(score("Alle Mitteilungen bedürfen der Schriftform."), 100);
        let one_bad = good.replacen("parties", "p\u{fffd}rties", 4);
        assert!((80..100).contains(&score(&one_bad)), "{}", score(&one_bad));
        let shifted =
            "Wkh sduwlhv djuhh wkdw doo qrwlfhv xqghu wklv frqwudfw vkdoo eh jlyhq lq zulwlqj wr wkh dgguhvv ehorz ".repeat(8);
        assert!(is_poor(&shifted), "{}", score(&shifted));
        assert_eq!(score(""), 100);
    }
}
