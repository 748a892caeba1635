//! What of a question is worth looking up: phrases stay as they are, words that any text may hold go.

use strongroom_ingest::index::lexical::split_phrases;

/// Words that carry a sentence and not its matter, sorted. Question words are rare in contracts, so BM25 would take them for
/// telling ones; dropping them names the right document more often and costs nothing where none is named. Words that are a
/// name when written large (`US`, `IT`, `May`) are only dropped when written small.
#[rustfmt::skip]
const FUNCTION_WORDS: [&str; 144] = [
    "a", "about", "above", "after", "again", "against", "all", "also", "am", "an", "and", "any", "are", "as", "at",
    "be", "because", "been", "before", "being", "below", "between", "both", "but", "by", "can", "consider", "could",
    "did", "do", "does", "doing", "down", "during", "each", "even", "few", "find", "for", "from", "further", "give",
    "had", "has", "have", "having", "he", "her", "here", "hers", "herself", "him", "himself", "his", "how", "i",
    "if", "in", "into", "is", "it", "its", "itself", "just", "many", "may", "me", "might", "more", "most", "much",
    "must", "my", "myself", "no", "nor", "not", "now", "of", "off", "on", "once", "only", "or", "other", "ought",
    "our", "ours", "ourselves", "out", "over", "own", "please", "same", "shall", "she", "should", "show", "so",
    "some", "such", "tell", "than", "that", "the", "their", "theirs", "them", "themselves", "then", "there", "these",
    "they", "this", "those", "through", "to", "too", "under", "until", "up", "us", "very", "was", "we", "were",
    "what", "when", "where", "whether", "which", "while", "who", "whom", "whose", "why", "will", "with", "would",
    "you", "your", "yours", "yourself", "yourselves",
];

/// Whether `word`, in lower case, carries a sentence and not its matter.
pub(crate) fn is_function_word(word: &str) -> bool {
    FUNCTION_WORDS.binary_search(&word).is_ok()
}

/// What to ask the full-text index for `question`: the question without its function words. A question in quotation marks,
/// or of nothing but function words, stays as it is.
pub(super) fn telling(question: &str) -> String {
    if has_phrase(question) {
        return question.to_owned();
    }
    let kept: Vec<&str> = question.split_whitespace().filter(|piece| !is_dropped(piece)).collect();
    if kept.iter().any(|piece| piece.chars().any(char::is_alphanumeric)) { kept.join(" ") } else { question.to_owned() }
}

/// Whether `question` holds a phrase in quotation marks, which then must be in the text: by the full-text index's own rule.
pub(super) fn has_phrase(question: &str) -> bool {
    let (phrases, _) = split_phrases(question);
    phrases.iter().any(|phrase| phrase.chars().any(char::is_alphanumeric))
}

/// Only plain words are dropped, and those written large only where that may be the beginning of a sentence: `The`, not `US`.
fn is_dropped(piece: &str) -> bool {
    let word = piece.trim_matches(|c: char| matches!(c, ',' | ';' | ':' | '?' | '!' | '.' | '(' | ')'));
    if word.len() > 1 && word.chars().all(char::is_uppercase) || matches!(word, "May" | "Will") {
        return false;
    }
    is_function_word(&word.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(FUNCTION_WORDS.is_sorted());
    }

    #[test]
    fn function_words_go_and_names_stay() {
        let check = |question: &str, expect: &str| assert_eq!(telling(question), expect, "of {question:?}");
        check("What is the governing law of the Acme lease?", "governing law Acme lease?");
        check("Does US tax apply to IT services in May 2021?", "US tax apply IT services May 2021?");
        check("what is it", "what is it");
        check("who is who?", "who is who?");
        check("", "");
        check("some \"of the\" things", "some \"of the\" things");
    }

    #[test]
    fn phrases_are_seen() {
        for question in ["\"governing law\"", "law “of England”", "x «y»", "\"\" \"a\""] {
            assert!(has_phrase(question), "{question:?}");
        }
        for question in ["a 5\" x 7\" plate", "\"not closed", "\"\"", "plain", "\"§\""] {
            assert!(!has_phrase(question), "{question:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn anything_may_be_asked(question in "[\"“a the \\PC]{0,40}") {
            let kept = telling(&question);
            proptest::prop_assert_eq!(kept.trim().is_empty(), question.trim().is_empty());
        }
    }
}
