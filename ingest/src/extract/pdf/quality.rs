//! Tells text from what an engine makes of fonts that it does not understand.

/// A share of words this short, in percent, means that words were split; prose has about twenty.
const MOST_SHORT_PERCENT: usize = 34;
/// Fewer words say nothing about the share.
const LEAST_WORDS: usize = 40;
/// Characters that stand for nothing, in percent.
const MOST_GARBAGE_PERCENT: usize = 5;
/// With more of them the rest is not text either. A page of symbols in a bullet list stays below.
const HOPELESS_PERCENT: usize = 12;
/// Fewer letters could be an abbreviation or a part number.
const LEAST_CIPHER_LETTERS: usize = 60;
const FEWEST_VOWELS_PERCENT: usize = 22;
/// Words of more letters than this on average are several words.
const LONG_WORD: usize = 14;

/// Whether another engine should be asked.
pub(super) fn is_poor(text: &str) -> bool {
    is_garbage(text) || has_split_words(text) || is_cipher(text)
}

/// Whether too many characters are placeholders, for private use, or control characters.
pub(super) fn is_garbage(text: &str) -> bool {
    garbage_percent(text) > MOST_GARBAGE_PERCENT
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

fn has_split_words(text: &str) -> bool {
    let mut words = 0;
    let mut short = 0;
    // Only words of letters that are written with spaces: numbers in tables and CJK are short by nature.
    for word in text.split_whitespace().filter(|word| word.chars().all(is_spaced_letter)) {
        words += 1;
        short += usize::from(word.chars().count() <= 2);
    }
    words >= LEAST_WORDS && short * 100 > words * MOST_SHORT_PERCENT
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
}
