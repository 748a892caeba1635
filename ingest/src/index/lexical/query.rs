//! From what somebody typed to what is looked up. Anything may be typed; nothing is an error.

use std::collections::HashSet;

use super::analyze;

/// What lies beyond this many bytes of a query is not looked at: nobody types it, and it would only cost time.
const LONGEST_QUERY: usize = 8 * 1024;

/// A query, taken apart.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parsed {
    /// Distinct words without stop words, not stemmed yet.
    pub words: Vec<String>,
    /// Distinct words to look up unstemmed, only where there is nothing but stop words.
    pub common: Vec<String>,
    /// Words that count more, or must be there, as they follow each other.
    pub sequences: Vec<Sequence>,
}

/// Words that follow each other in the unstemmed text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sequence {
    /// The words; at least one.
    pub words: Vec<String>,
    /// How often its score counts.
    pub weight: f32,
    /// Whether a passage without it is no passage for this query.
    pub must: bool,
}

/// Takes `text` apart.
pub(super) fn parse(text: &str) -> Parsed {
    let mut end = text.len().min(LONGEST_QUERY);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let (phrases, loose) = split_phrases(&text[..end]);
    let mut sequences: Vec<Sequence> = Vec::new();
    for phrase in &phrases {
        let words = analyze::words(phrase);
        if !words.is_empty() {
            add_sequence(Sequence { words, weight: 1.0, must: true }, &mut sequences);
        }
    }
    for piece in loose.split_whitespace() {
        if let Some(sequence) = compound(piece) {
            add_sequence(sequence, &mut sequences);
        }
    }

    let mut all = analyze::words(&loose);
    for phrase in &phrases {
        all.extend(analyze::words(phrase));
    }
    let mut seen = HashSet::new();
    all.retain(|word| seen.insert(word.clone()));
    let telling: Vec<String> = all.iter().filter(|word| !analyze::is_stop_word(word)).cloned().collect();
    let mut words: Vec<String> = telling.iter().filter(|word| !analyze::is_question_word(word)).cloned().collect();
    if words.is_empty() {
        words = telling;
    }
    let common = if words.is_empty() { all } else { Vec::new() };
    Parsed { words, common, sequences }
}

/// The same sequence twice counts once; asked for in quotes, it must be there.
fn add_sequence(sequence: Sequence, sequences: &mut Vec<Sequence>) {
    match sequences.iter_mut().find(|known| known.words == sequence.words) {
        Some(known) => {
            known.weight = known.weight.max(sequence.weight);
            known.must |= sequence.must;
        }
        None => sequences.push(sequence),
    }
}

/// What stands in quotation marks, and all the rest. A mark opens only where a word could begin, so that inches and
/// apostrophes stay text, and one that is never closed is text too.
pub fn split_phrases(text: &str) -> (Vec<String>, String) {
    let is_mark = |c: char| matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '«' | '»');
    let (mut phrases, mut loose) = (Vec::new(), String::new());
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if is_mark(c)
            && !before.is_alphanumeric()
            && let Some(length) = after.find(is_mark)
        {
            phrases.push(after[..length].to_owned());
            loose.push(' ');
            rest = after[length..].trim_start_matches(is_mark);
            before = ' ';
            continue;
        }
        loose.push(c);
        before = c;
        rest = after;
    }
    (phrases, loose)
}

/// The sequence that `piece`, written without spaces, stands for: an identifier such as `EX-10.9` or `j.doe@example.com`, or a
/// compound such as `non-disclosure`; none if it is one word.
///
/// An identifier of n words counts n + 1 times: as much as its words can count where they are strewn about, and once more.
/// A compound counts half: in full it helps questions that name parties, and costs a little where it is only style.
fn compound(piece: &str) -> Option<Sequence> {
    let words = analyze::words(piece);
    let apart_only = !piece.chars().any(|c| c.is_ascii_punctuation() && c != '\'');
    if words.len() < 2 || apart_only || words.iter().all(|word| analyze::is_stop_word(word)) {
        return None;
    }
    let identifier = piece.contains('@') || words.iter().any(|word| word.contains(|c: char| c.is_numeric()));
    let weight = if identifier { words.len() as f32 + 1.0 } else { 0.5 };
    Some(Sequence { words, weight, must: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequences(text: &str) -> Vec<(String, f32, bool)> {
        parse(text).sequences.iter().map(|s| (s.words.join(" "), s.weight, s.must)).collect()
    }

    #[test]
    fn plain_words_lose_what_says_nothing() {
        assert_eq!(parse("What is the governing law, the LAW?").words, ["governing", "law"]);
        assert_eq!(parse("who what").words, ["who", "what"]);
        let stop = parse("to be or not to be");
        assert_eq!((stop.words.len(), stop.common), (0, ["to", "be", "or", "not"].map(String::from).to_vec()));
    }

    #[test]
    fn quoted_phrases_must_be_there() {
        assert_eq!(sequences("law \"governing Law\" x"), [("governing law".to_owned(), 1.0, true)]);
        assert_eq!(sequences("“The Party” \"\" \"§\""), [("the party".to_owned(), 1.0, true)]);
        assert_eq!(parse("law \"of England\"").words, ["law", "england"]);
        assert_eq!(sequences("\"not closed"), []);
        assert_eq!(sequences("a 5\" x 7\" plate"), []);
    }

    #[test]
    fn identifiers_count_more() {
        assert_eq!(sequences("§ 4.2(b)"), [("4.2 b".to_owned(), 3.0, false)]);
        assert_eq!(sequences("INV-2024-0093"), [("inv 2024 0093".to_owned(), 4.0, false)]);
        assert_eq!(sequences("non-disclosure and/or 4.2 law. it's"), [("non disclosure".to_owned(), 0.5, false)]);
        assert_eq!(sequences("EX-10.9 \"EX 10.9\""), [("ex 10.9".to_owned(), 3.0, true)]);
    }

    proptest::proptest! {
        #[test]
        fn anything_may_be_typed(text in "([\"“a §(-]|\\PC){0,40}") {
            for sequence in parse(&text).sequences {
                proptest::prop_assert!(!sequence.words.is_empty());
            }
        }
    }
}
