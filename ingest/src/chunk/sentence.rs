//! Tells whether a word ends a sentence, by its last characters and what follows it.

/// Words that end with a full stop inside a sentence; lower case, without it. Contracts are full of them.
const ABBREVIATIONS: &[&str] = &[
    "inc", "corp", "co", "cos", "ltd", "llc", "plc", "bros", "no", "nos", "mr", "mrs", "ms", "dr", "prof", "hon", "st", "jr",
    "sr", "vs", "v", "al", "art", "arts", "sec", "secs", "sect", "par", "para", "paras", "ch", "cl", "fig", "figs", "p", "pp",
    "vol", "ed", "eds", "cf", "e.g", "i.e", "eg", "ie", "ca", "approx", "ex", "exh", "app", "dept", "ave", "blvd", "rd", "ste",
    "fl", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "nr", "bzw", "abs", "ziff",
    "vgl", "z.b", "d.h", "s.a", "u.s", "u.k", "u.s.c", "c.f.r",
];

/// Whether the sentence ends with `word`, where `next` is the first character after the white space (none at the end).
pub(super) fn ends(word: &str, next: Option<char>) -> bool {
    let closed = word.trim_end_matches(is_closing);
    let Some(last) = closed.chars().next_back() else {
        return false;
    };
    if ends_without_space(last) || is_other_full_stop(last) {
        return true;
    }
    if last == '…' {
        return next.is_none_or(|c| !c.is_lowercase());
    }
    if last != '.' || next.is_some_and(char::is_lowercase) {
        return false;
    }
    let stem = closed.trim_end_matches('.').trim_start_matches(is_opening);
    if stem.is_empty() {
        return closed.len() > 1; // an ellipsis of three full stops
    }
    !is_abbreviation(stem, next) && !is_label(stem)
}

/// Full stops and question marks of scripts that put a space after them.
fn is_other_full_stop(c: char) -> bool {
    // Arabic, Devanagari, Ethiopic, Burmese, Armenian, Khmer, Tibetan, Mongolian.
    matches!(
        c,
        '؟' | '۔'
            | '।'
            | '॥'
            | '።'
            | '፧'
            | '။'
            | '։'
            | '។'
            | '៕'
            | '།'
            | '༎'
            | '᠃'
            | '!'
            | '?'
            | '‼'
            | '⁇'
            | '⁈'
            | '⁉'
    )
}

/// Whether a sentence ends with `c` though no space follows: the full stops of scripts written without spaces.
pub(super) fn ends_without_space(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '｡' | '．')
}

fn is_abbreviation(stem: &str, next: Option<char>) -> bool {
    let mut letters = stem.chars();
    let initial = letters.next().is_some_and(char::is_uppercase) && letters.next().is_none();
    // A number after "No." and the like belongs to it; after any other word a sentence may begin with one.
    let numbered = next.is_some_and(|c| c.is_ascii_digit()) && stem.chars().count() <= 4 && !stem.ends_with(char::is_numeric);
    initial || numbered || ABBREVIATIONS.iter().any(|known| known.eq_ignore_ascii_case(stem))
}

/// "4.", "4.2.", "(a)." and "iv." number what follows them.
fn is_label(stem: &str) -> bool {
    let bare = stem.trim_matches(|c| is_opening(c) || is_closing(c));
    let roman = |c: char| matches!(c.to_ascii_lowercase(), 'i' | 'v' | 'x');
    let section = bare.len() <= 8 && bare.split('.').all(|part| part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit()));
    section || (!bare.is_empty() && bare.len() <= 5 && bare.chars().all(roman))
}

/// Whether `c` can close a quotation or bracket that ends with the sentence.
pub(super) fn is_closing(c: char) -> bool {
    matches!(
        c,
        ')' | ']'
            | '}'
            | '"'
            | '\''
            | '”'
            | '’'
            | '»'
            | '」'
            | '』'
            | '）'
            | '］'
            | '〉'
            | '》'
            | '】'
            | '〕'
            | '｣'
            | '*'
            | '_'
    )
}

fn is_opening(c: char) -> bool {
    matches!(c, '(' | '[' | '{' | '"' | '\'' | '“' | '‘' | '„' | '«' | '§' | '*' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_at_full_stops_only_where_a_reader_would_say_so() {
        for (word, next, expected) in [
            ("terminated.", Some('T'), true),
            ("terminated.”", Some('T'), true),
            ("terminated.", None, true),
            ("Why?", Some('b'), true),
            ("Inc.", Some('T'), false),
            ("(“Corp.", Some('T'), false),
            ("No.", Some('5'), false),
            ("4.2.", Some('T'), false),
            ("(iv).", Some('T'), false),
            ("J.", Some('S'), false),
            ("approx.", Some('t'), false),
            ("終わり。", Some('次'), true),
            ("है।", Some('य'), true),
            ("1999.", Some('T'), true),
            ("終わった。」", Some('次'), true),
            ("العقد؟", Some('ن'), true),
            ("معاہدہ۔", Some('ا'), true),
            ("ውል።", Some('አ'), true),
            ("wait…", Some('T'), true),
            ("wait…", Some('t'), false),
            ("word", Some('T'), false),
            (")", Some('T'), false),
        ] {
            assert_eq!(ends(word, next), expected, "{word} before {next:?}");
        }
    }
}
