//! Tells text from what an engine makes of fonts that it does not understand.

/// A share of words this short, in percent, means that words were split; prose has about twenty.
const MOST_SHORT_PERCENT: usize = 34;
/// Fewer words say nothing about the share.
const LEAST_WORDS: usize = 40;
/// Characters that stand for nothing, in percent.
const MOST_GARBAGE_PERCENT: usize = 5;

/// Whether another engine should be asked.
pub(super) fn is_poor(text: &str) -> bool {
    is_garbage(text) || has_split_words(text)
}

/// Whether too many characters are placeholders, for private use, or control characters.
pub(super) fn is_garbage(text: &str) -> bool {
    let mut all = 0;
    let mut bad = 0;
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        all += 1;
        bad += usize::from(
            c == '\u{fffd}' || c.is_control() || ('\u{e000}'..='\u{f8ff}').contains(&c),
        );
    }
    bad * 100 > all * MOST_GARBAGE_PERCENT
}

fn has_split_words(text: &str) -> bool {
    let mut words = 0;
    let mut short = 0;
    // Only words of letters that are written with spaces: numbers in tables and CJK are short by nature.
    for word in text
        .split_whitespace()
        .filter(|word| word.chars().all(is_spaced_letter))
    {
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
        assert!(is_poor("\u{f021}\u{f022}\u{f023} abc"));
        assert!(!is_poor("合 同 双 方 ".repeat(50).as_str()));
        assert!(!is_poor("1 2 3 4 5 6 7 8 9 ".repeat(50).as_str()));
    }
}
