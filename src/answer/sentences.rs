//! Where the sentences of a passage lie. Legal text abbreviates and numbers a lot, so a point alone ends nothing.

use std::ops::Range;

/// A longer sentence is cut at its semicolons: clauses of contracts run over a page.
const LONGEST: usize = 600;

/// After these words a point is no end. Lower case.
const ABBREVIATIONS: [&str; 32] = [
    "art", "arts", "cf", "ch", "cl", "co", "corp", "dept", "dr", "eg", "etc", "ex", "fig", "ie", "inc", "jr", "llc", "ltd",
    "messrs", "mr", "mrs", "ms", "no", "nos", "op", "para", "pp", "prof", "sec", "st", "v", "vs",
];

/// Byte ranges of the sentences of `text`, without white space at their ends, in order. Headings come as sentences too.
pub(super) fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        let after = at + c.len_utf8();
        let ends = match c {
            '.' | '!' | '?' => ends_at(text, start, at, after),
            '。' | '！' | '？' => true,
            '\n' => text[after..].trim_start_matches([' ', '\t', '\r']).starts_with('\n'),
            ';' => after - start > LONGEST / 2 && text[start..].len() > LONGEST,
            _ => false,
        };
        if ends && after > start {
            let end = after + closing(&text[after..]);
            push(text, start..end, &mut found);
            start = end;
        }
    }
    push(text, start..text.len(), &mut found);
    found
}

/// Whether the mark at `at` ends the sentence that began at `start`.
fn ends_at(text: &str, start: usize, at: usize, after: usize) -> bool {
    if after <= start {
        return false;
    }
    let rest = &text[after + closing(&text[after..])..];
    let Some(next) = rest.chars().next() else { return true };
    if !next.is_whitespace() {
        return false;
    }
    let begins = rest.trim_start().chars().next();
    if begins.is_some_and(char::is_lowercase) {
        return false;
    }
    if !text[at..].starts_with('.') {
        return true;
    }
    let word = text[start..at].rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default();
    let plain: String = word.chars().filter(|c| *c != '.').flat_map(char::to_lowercase).collect();
    let initial = plain.chars().count() == 1 && plain.chars().all(char::is_alphabetic);
    // "1." and "4.2." at the beginning of a line number what follows.
    let number = !plain.is_empty() && plain.chars().all(|c| c.is_ascii_digit()) && text[start..at].trim() == word;
    !(initial || number || ABBREVIATIONS.binary_search(&plain.as_str()).is_ok())
}

/// Length in bytes of the quotation marks and brackets that `rest` begins with: they belong to the sentence before.
fn closing(rest: &str) -> usize {
    rest.len() - rest.trim_start_matches(['"', '”', '’', '»', ')', ']']).len()
}

fn push(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let slice = &text[range.clone()];
    let start = range.start + slice.len() - slice.trim_start().len();
    let end = start + slice.trim().len();
    if start < end {
        found.push(start..end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        let found: Vec<&str> = sentences(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, expect, "of {text:?}");
    }

    #[test]
    fn sentences_end_where_a_reader_would_end_them() {
        assert!(ABBREVIATIONS.is_sorted());
        check("One. Two! Three? Four", &["One.", "Two!", "Three?", "Four"]);
        check("Acme Inc. of the U.S. pays. It owes.", &["Acme Inc. of the U.S. pays.", "It owes."]);
        check("See Sec. 4.2 and No. 7. Done.", &["See Sec. 4.2 and No. 7.", "Done."]);
        check("1. Term. The term is 2 years.", &["1. Term.", "The term is 2 years."]);
        check("He said \"Stop.\" She did (so.) End", &["He said \"Stop.\"", "She did (so.)", "End"]);
        check("A heading\n\nA line\nthat goes on.", &["A heading", "A line\nthat goes on."]);
        check("Costs €1.50. Yes.", &["Costs €1.50.", "Yes."]);
        check(" \n ", &[]);
    }

    #[test]
    fn a_very_long_sentence_is_cut_at_semicolons() {
        let text = format!("{}; {}; end.", "a ".repeat(200), "b ".repeat(200));
        assert_eq!(sentences(&text).len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn nothing_but_white_space_lies_between(text in "[a-zA-Z.;!ü”) \\n\\PC]{0,80}") {
            let mut at = 0;
            for range in sentences(&text) {
                proptest::prop_assert!(range.start >= at && text[at..range.start].trim().is_empty());
                proptest::prop_assert_eq!(text[range.clone()].trim(), &text[range.clone()]);
                at = range.end;
            }
            proptest::prop_assert!(text[at..].trim().is_empty());
        }
    }
}
