//! Which modules of ours a source file names. A reader of Rust just good enough for that, kept apart to be tested.

/// Replaces comments and the insides of strings and character literals by spaces; line breaks stay.
pub fn code_only(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => find(&chars, at, |i| chars[i] == '\n'),
            ('/', Some('*')) => end_of_block_comment(&chars, at),
            ('"', _) => end_of_string(&chars, at),
            ('r', Some('"' | '#')) if !continues_a_word(&chars, at) => end_of_raw_string(&chars, at),
            ('\'', _) => end_of_character(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
        }
        while at < end {
            out.push(if chars[at] == '\n' { '\n' } else { ' ' });
            at += 1;
        }
    }
    out
}

fn find(chars: &[char], from: usize, is_end: impl Fn(usize) -> bool) -> usize {
    (from..chars.len()).find(|&i| is_end(i)).unwrap_or(chars.len())
}

fn continues_a_word(chars: &[char], at: usize) -> bool {
    // `br"…"` is a raw string too.
    let before = |back: usize| at.checked_sub(back).map_or(' ', |i| chars[i]);
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let prefixed = matches!(before(1), 'b' | 'c') && !word(before(2));
    word(before(1)) && !prefixed
}

fn end_of_block_comment(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// `start` itself where this is no raw string (a raw identifier, say).
fn end_of_raw_string(chars: &[char], start: usize) -> usize {
    let opening = find(chars, start + 1, |i| chars[i] != '#');
    let hashes = opening - start - 1;
    if chars.get(opening) != Some(&'"') {
        return start;
    }
    let closes = |i: usize| chars[i] == '"' && chars.len() > i + hashes && chars[i + 1..=i + hashes].iter().all(|&c| c == '#');
    (find(chars, opening + 1, closes) + hashes + 1).min(chars.len())
}

/// `start` itself where this is a lifetime.
fn end_of_character(chars: &[char], start: usize) -> usize {
    if chars.get(start + 1) == Some(&'\\') {
        (find(chars, start + 3, |i| chars[i] == '\'') + 1).min(chars.len())
    } else if chars.get(start + 2) == Some(&'\'') {
        start + 3
    } else {
        start
    }
}

/// The parts of `code` that matter here: words, `::`, and single signs.
fn tokens(code: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = match word {
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            word => word,
        };
        out.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    out
}

/// Every path in `source` that starts at a crate of ours, written from the top: `crate::model::Span`,
/// `strongroom_ingest::index::Store`. Groups are taken apart, `super` is resolved.
///
/// `module` is where the file's content lives: `["index", "vector"]` for `src/index/vector/mod.rs`.
pub fn references(source: &str, module: &[String]) -> Vec<String> {
    let code = code_only(source);
    let tokens = tokens(&code);
    let mut here = module.to_vec();
    // For each open brace: does it close an inline module?
    let mut braces = Vec::new();
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let before = at.checked_sub(1).map_or("", |i| tokens[i]);
        match tokens[at] {
            "{" => {
                let inline = at >= 2 && tokens[at - 2] == "mod";
                if inline {
                    here.push(before.to_owned());
                }
                braces.push(inline);
            }
            "}" if braces.pop() == Some(true) => {
                here.pop();
            }
            "crate" | "strongroom" | "strongroom_ingest" if before != "::" && before != "$" => {
                if tokens.get(at + 1) == Some(&"::") {
                    expand(&tokens, at, String::new(), &mut out);
                } else if tokens.get(at + 1) == Some(&"as") {
                    out.push(format!("{} as", tokens[at]));
                }
            }
            "super" if before != "::" => {
                let mut climbed = here.clone();
                while tokens.get(at) == Some(&"super") && tokens.get(at + 1) == Some(&"::") {
                    climbed.pop();
                    at += 2;
                }
                if tokens.get(at) != Some(&"super") {
                    let start = climbed.iter().fold("crate".to_owned(), |path, part| format!("{path}::{part}"));
                    expand(&tokens, at, start, &mut out);
                    at -= 1; // what `expand` read is looked at again: it may open braces
                }
            }
            _ => {}
        }
        at += 1;
    }
    out
}

/// Reads a path or a group of paths at `at` into `out`, each with `prefix` before it; returns where it ends.
fn expand(tokens: &[&str], mut at: usize, mut prefix: String, out: &mut Vec<String>) -> usize {
    loop {
        match tokens.get(at) {
            Some(&"{") => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" {
                    at = match tokens[at] {
                        "," => at + 1,
                        "as" => at + 2,
                        _ => expand(tokens, at, prefix.clone(), out),
                    };
                }
                return at + 1;
            }
            Some(part) => {
                if !prefix.is_empty() {
                    prefix.push_str("::");
                }
                prefix.push_str(part);
                at += 1;
            }
            None => break,
        }
        if tokens.get(at) != Some(&"::") || tokens.get(at + 1) == Some(&"<") {
            break;
        }
        at += 1;
    }
    out.push(prefix);
    at
}

#[test]
fn comments_strings_and_characters_are_blanked() {
    let source = "a // crate::x\n/* b /* c */ d */ e \"f\\\" // g\" r#\"h\" i\"# 'j' '\\'' b\"k\" br#\"l\"# r#type <'m> '\"' n";
    let words: Vec<String> = code_only(source).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["a", "e", "b", "b", "r#type", "<'m>", "n"]);
}

#[test]
fn paths_are_found_whichever_way_they_are_written() {
    let found =
        |source: &str, module: &[&str]| references(source, &module.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
    assert_eq!(
        found("use crate::model::{Span, ids::{Id, self}};", &["chunk"]),
        ["crate::model::Span", "crate::model::ids::Id", "crate::model::ids::self",]
    );
    assert_eq!(found("use crate::{a, b as c};", &["x"]), ["crate::a", "crate::b"]);
    assert_eq!(found("let x = crate::a::b::<T>(); pub(crate) fn f() {}", &["x"]), ["crate::a::b"]);
    assert_eq!(found("use super::super::embed::Y;", &["index", "vector"]), ["crate::embed::Y"]);
    assert_eq!(
        found("use super::Z; mod tests { use super::Z; use super::super::W; }", &["index"]),
        ["crate::Z", "crate::index::Z", "crate::W",]
    );
    assert_eq!(found("use strongroom_ingest as i; $crate::a; // crate::b", &["x"]), ["strongroom_ingest as"]);
}
