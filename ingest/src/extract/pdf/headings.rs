//! Headings of contracts and statutes that have no bookmarks: `ARTICLE IV`, `Section 4.2`, `4.2 Term.`, `EXHIBIT A`.
//!
//! A wrong heading is worse than none, so a line must look like one from its first to its last word, and tables of contents,
//! which are full of such lines, have none.

use crate::model::{Extraction, Heading};

const LONGEST_LINE: usize = 120;
/// A heading's own words are fewer.
const MOST_WORDS: usize = 10;
/// So many lines that end with a page number make a table of contents.
const CONTENTS_LINES: usize = 4;
/// More headings than this are not looked for.
const MOST_HEADINGS: usize = 5000;

/// The headings of the text, in order.
pub(super) fn find(extraction: &Extraction) -> Vec<Heading> {
    let mut headings: Vec<Heading> = Vec::new();
    for page in &extraction.pages {
        let text = &extraction.text[page.bytes.clone()];
        let found = on_page(text, page.bytes.start);
        let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
        let list = found.len() > CONTENTS_LINES && found.len() * 3 > lines;
        if !list && !ends_with_numbers(text) && headings.len() + found.len() <= MOST_HEADINGS {
            headings.extend(found);
        }
    }
    headings
}

fn on_page(text: &str, start: usize) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut at = start;
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let next = lines.peek().map_or("", |line| line.trim());
        if let Some((level, title)) = heading(line.trim(), next) {
            headings.push(Heading {
                at: at + (line.len() - line.trim_start().len()),
                level,
                title: title.replace('\u{ad}', ""),
            });
        }
        at += line.len();
    }
    headings
}

/// Whether lines end with page numbers, as in a table of contents.
fn ends_with_numbers(page: &str) -> bool {
    let ends_with_number = |line: &&str| {
        let line = line.trim_end();
        let digits = line.len() - line.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        (1..=3).contains(&digits) && line[..line.len() - digits].ends_with([' ', '.', '\u{a0}']) && line.len() > digits + 3
    };
    page.lines().filter(ends_with_number).count() >= CONTENTS_LINES
}

/// The level and title of the heading that `line` is; `next` is the line after it.
fn heading(line: &str, next: &str) -> Option<(u8, String)> {
    if line.len() > 4 * LONGEST_LINE {
        return None;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let (first, rest) = words.split_first()?;
    match *first {
        "ARTICLE" | "Article" | "PART" | "CHAPTER" | "Chapter" | "TITLE" | "EXHIBIT" | "SCHEDULE" | "ANNEX" | "APPENDIX"
        | "ATTACHMENT" => {
            let (number, title) = rest.split_first()?;
            (is_label(number) && title_words(title) == title.len()).then(|| (1, with_next(&words, title, next)))
        }
        "SECTION" | "Section" | "§" => {
            let (number, title) = rest.split_first()?;
            let depth = depth(number)?;
            let length = sentence_title(title)?;
            Some((1 + depth, words[..2 + length].join(" ").trim_end_matches(['.', ':']).to_owned()))
        }
        number => {
            let depth = depth(number)?;
            let length = sentence_title(rest)?;
            Some((1 + depth, words[..1 + length].join(" ").trim_end_matches(['.', ':']).to_owned()))
        }
    }
}

/// `IV`, `4`, `4.2`, `A`, `B-1`, with or without punctuation.
fn is_label(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let roman = !bare.is_empty() && bare.len() <= 6 && bare.chars().all(|c| matches!(c, 'I' | 'V' | 'X' | 'L'));
    let short = bare.len() <= 5 && bare.chars().next().is_some_and(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let counting = bare.chars().filter(|c| c.is_ascii_uppercase()).count() <= 1;
    roman || (short && counting && bare.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')))
}

/// How many numbers `4.2.` has; none if it is no section number.
fn depth(word: &str) -> Option<u8> {
    let bare = word.strip_suffix('.').unwrap_or(word).trim_end_matches(':');
    let parts: Vec<&str> = bare.split('.').collect();
    let proper = |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()) && **part != *"00";
    // A bare number without its point is a quantity more often than a section.
    let marked = parts.len() > 1 || word.ends_with('.');
    (marked && parts.len() <= 4 && parts.iter().all(proper)).then(|| u8::try_from(parts.len()).unwrap_or(4))
}

/// How many of `words` are written as in titles: with a capital, or small words that titles leave small.
fn title_words(words: &[&str]) -> usize {
    let small =
        ["of", "and", "the", "to", "in", "for", "on", "or", "by", "with", "a", "an", "from", "at", "as", "–", "-", "—", "&"];
    let is_title = |word: &&&str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        small.contains(&bare) || small.contains(*word) || bare.chars().next().is_some_and(char::is_uppercase)
    };
    let count = words.iter().take_while(is_title).count();
    if words.len() > MOST_WORDS { 0 } else { count }
}

/// How many words at the beginning of `words` are a title that ends there: the whole line, or all up to a full stop.
fn sentence_title(words: &[&str]) -> Option<usize> {
    let end = words.iter().position(|word| word.ends_with(['.', ':'])).map_or(words.len(), |at| at + 1);
    let title = words.get(..end).filter(|title| !title.is_empty() && title.len() <= MOST_WORDS)?;
    let begins = title[0].chars().find(|c| c.is_alphanumeric()).is_some_and(char::is_uppercase);
    let has_word = title.iter().any(|word| word.chars().filter(|c| c.is_alphabetic()).count() >= 3);
    // A line that goes on without a full stop is a title only if it is short: a sentence can begin with capitals.
    let whole = title.last().is_some_and(|word| word.ends_with(['.', ':'])) || title.len() <= 6;
    (begins && has_word && whole && title_words(title) == title.len()).then_some(end)
}

/// The words of a heading, with the next line if that is its title.
fn with_next(words: &[&str], title: &[&str], next: &str) -> String {
    let line = words.join(" ");
    let shouted = next.chars().any(char::is_alphabetic) && !next.chars().any(char::is_lowercase);
    let open = title.last().is_none_or(|last| matches!(*last, "TO" | "OF" | "AND" | "FOR" | "-" | "–"));
    if open && shouted && next.split_whitespace().count() <= MOST_WORDS {
        return format!("{} {}", line, next.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_look_like_headings_from_end_to_end() {
        for (line, next, expected) in [
            ("ARTICLE IV", "REPRESENTATIONS AND WARRANTIES", Some((1, "ARTICLE IV REPRESENTATIONS AND WARRANTIES"))),
            ("ARTICLE 5 – TERM", "text", Some((1, "ARTICLE 5 – TERM"))),
            ("Section 4.2 Term of the Agreement. This Agreement begins", "", Some((3, "Section 4.2 Term of the Agreement"))),
            ("4.2 Governing Law.", "", Some((3, "4.2 Governing Law"))),
            ("7. Non-Solicitation. During the Term", "", Some((2, "7. Non-Solicitation"))),
            ("EXHIBIT A", "the form", Some((1, "EXHIBIT A"))),
            ("Section 4.2 shall not apply to", "", None),
            ("Article 5 of this Agreement shall", "", None),
            ("4.2 million dollars", "", None),
            ("12 Monkeys", "", None),
            ("30. ", "", None),
            ("1.5 2.5 3.5", "", None),
            ("PART TIME EMPLOYEES", "", None),
        ] {
            assert_eq!(heading(line, next), expected.map(|(level, title)| (level, title.to_owned())), "{line}");
        }
    }

    #[test]
    fn a_table_of_contents_has_no_headings() {
        let page = |text: &str| {
            let page = crate::model::Page { number: Some(1), bytes: 0..text.len(), engine: String::new(), quality: None };
            find(&Extraction { text: text.into(), pages: vec![page], ..Extraction::default() }).len()
        };
        assert_eq!(page("ARTICLE I\nTERM\nText of it.\n1.1 Notice. Text\n1.2 Fees."), 3);
        assert_eq!(page("1. Term 1\n2. Fees 3\n3. Notice 4\n4. Law 9\nARTICLE I\nTERM"), 0);
        assert_eq!(page("1. Term\n2. Fees\n3. Notice\n4. Law\n5. Costs\n6. Other"), 0);
    }

    proptest::proptest! {
        #[test]
        fn any_line_may_come(line in "\\PC{0,60}", next in "\\PC{0,20}") {
            heading(&line, &next);
        }
    }
}
