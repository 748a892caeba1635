//! Joins words that the end of a line parts.

use std::collections::HashSet;

/// The words of a document that decide whether a hyphen at the end of a line belongs to the word.
#[derive(Default)]
pub(super) struct Words(HashSet<String>);

impl Words {
    /// Takes in the words of `text` that stand inside lines.
    pub(super) fn learn(&mut self, text: &str) {
        let mut parted = false;
        for line in text.lines() {
            // Not the halves that are asked about.
            let whole = if parted { line.trim_start().split_once(' ').map_or("", |(_, rest)| rest) } else { line };
            parted = line.ends_with(is_hyphen);
            let whole = if parted { whole.rsplit_once(' ').map_or("", |(rest, _)| rest) } else { whole };
            for word in whole.split_whitespace() {
                let word = word.trim_matches(|c: char| !c.is_alphanumeric());
                // Only what a hyphen could part, or have parted, is ever asked for.
                if word.len() >= 3 && !self.0.contains(word) {
                    self.0.insert(word.to_lowercase());
                }
            }
        }
    }

    fn has(&self, word: &str) -> bool {
        self.0.contains(&word.to_lowercase())
    }
}

/// Joins the words that line ends part in `text`: `termi-` and `nation` are `termination`, `non-` and `payment` stay
/// `non-payment` where the document writes it so, or where both halves are words of their own.
pub(super) fn join(text: &str, words: &Words) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\n') {
        let (line, after) = (&rest[..at], &rest[at + 1..]);
        let Some((first, hyphen, second)) = parted(line, after) else {
            out.push_str(&rest[..=at]);
            rest = after;
            continue;
        };
        out.push_str(&line[..line.len() - hyphen.len_utf8()]);
        if keeps_hyphen(first, hyphen, second, words) {
            out.push(hyphen);
        }
        rest = after.trim_start_matches(' ');
        // The line ends after the joined word, so that lines stay about as long as they were.
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        out.push_str(&rest[..end]);
        rest = &rest[end..];
        if let Some(more) = rest.strip_prefix(' ') {
            out.push('\n');
            rest = more;
        }
    }
    out.push_str(rest);
    out
}

/// The halves of a word that is parted between `line` and `after`, and the hyphen.
fn parted<'a>(line: &'a str, after: &'a str) -> Option<(&'a str, char, &'a str)> {
    let hyphen = line.chars().next_back().filter(|c| is_hyphen(*c))?;
    let head = &line[..line.len() - hyphen.len_utf8()];
    let first = &head[head.rfind(|c: char| !c.is_alphabetic()).map_or(0, |at| at + next_len(head, at))..];
    let after = after.trim_start_matches(' ');
    let second = &after[..after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len())];
    let begins_small = second.chars().next().is_some_and(char::is_lowercase);
    (first.chars().count() >= 2 && second.chars().count() >= 2 && begins_small).then_some((first, hyphen, second))
}

fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}' | '\u{ad}')
}

fn next_len(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}

fn keeps_hyphen(first: &str, hyphen: char, second: &str, words: &Words) -> bool {
    if hyphen == '\u{ad}' || words.has(&format!("{first}{second}")) {
        return false;
    }
    words.has(&format!("{first}-{second}")) || (words.has(first) && words.has(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parted_words_are_joined_as_the_document_writes_them() {
        let mut words = Words::default();
        words.learn("The non-payment of a long-term debt, and its termination; money");
        let text = "on termi-\nnation, non-\npayment of a soft\u{ad}\nware li-\ncence";
        assert_eq!(join(text, &words), "on termination,\nnon-payment\nof a software\nlicence");
        assert_eq!(
            join("pages 3-\n5, the A-\nteam, Know-\nHow, a -\nb", &words),
            "pages 3-\n5, the A-\nteam, Know-\nHow, a -\nb"
        );
        assert_eq!(join("debt-\nmoney", &words), "debt-money");
        assert_eq!(join("end-\n", &words), "end-\n");
    }

    proptest::proptest! {
        #[test]
        fn nothing_but_hyphens_and_white_space_is_lost(text in "([a-c]{1,3}|-|\n| |\u{ad}|é|漢){0,40}") {
            let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{ad}')).collect::<String>();
            proptest::prop_assert_eq!(bare(&join(&text, &Words::default())), bare(&text));
        }
    }
}
