//! Markdown: the text as it is, and its headings.

use encoding_rs::Encoding;

use super::text;
use super::wire::Answer;
use crate::model::Heading;

pub(super) fn read(bytes: &[u8], told: Option<&'static Encoding>) -> Answer {
    let mut extraction = text::whole(text::decode_told(bytes, told), "text/markdown")?;
    extraction.headings = headings(&extraction.text);
    extraction.title = extraction.headings.first().map(|heading| heading.title.clone());
    Ok(extraction)
}

/// The headings of a Markdown text: `#` lines and underlined lines, outside fenced code.
fn headings(text: &str) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut fence: Option<&str> = None;
    let mut paragraph: Option<(usize, &str)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let indent = line.len() - line.trim_start_matches(' ').len();
        let line = line.trim();
        if let Some(open) = fence {
            if line.starts_with(open) && line.trim_start_matches(&open[..1]).is_empty() {
                fence = None;
            }
            continue;
        }
        let before = paragraph.take();
        if let Some(open) = ["```", "~~~"].into_iter().find(|open| line.starts_with(open)) {
            let length = line.len() - line.trim_start_matches(&open[..1]).len();
            fence = line.get(..length);
            continue;
        }
        if indent > 3 {
            continue;
        }
        let hashes = line.len() - line.trim_start_matches('#').len();
        let after_hashes = &line[hashes..];
        if (1..=6).contains(&hashes) && (after_hashes.is_empty() || after_hashes.starts_with([' ', '\t'])) {
            let title = after_hashes.trim();
            let closing = title.trim_end_matches('#');
            let title = if closing.is_empty() || closing.ends_with(' ') { closing.trim_end() } else { title };
            push(&mut headings, start, hashes, title);
        } else if let Some((above, title)) = before.filter(|_| is_underline(line)) {
            push(&mut headings, above, if line.starts_with('=') { 1 } else { 2 }, title);
        } else if !line.is_empty() && before.is_none() && !line.starts_with(['>', '-', '*', '+', '|', '=']) {
            // Only a paragraph of one line is taken for an underlined heading: front matter and wrapped text are not.
            paragraph = Some((start, line));
        }
    }
    headings
}

fn is_underline(line: &str) -> bool {
    line.len() >= 2 && (line.bytes().all(|byte| byte == b'=') || line.bytes().all(|byte| byte == b'-'))
}

fn push(headings: &mut Vec<Heading>, at: usize, level: usize, title: &str) {
    let title = plain(title);
    if !title.is_empty() {
        headings.push(Heading { at, level: level as u8, title });
    }
}

/// A heading's words without emphasis marks and link targets.
fn plain(title: &str) -> String {
    let mut plain = String::new();
    let mut rest = title;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("](") {
            match after.find(')') {
                Some(end) => rest = &after[end + 1..],
                None => rest = after,
            }
            continue;
        }
        if !matches!(c, '*' | '`' | '[' | '\\') {
            plain.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_found_where_they_are() {
        let text =
            "Title\r\n=====\r\n\r\n## The *fee* [see](x.md) ##\n```\n# not one\n```\ntext\n---\n#no\n    # code\n### C#\n";
        let found = headings(text);
        let seen: Vec<(u8, &str)> = found.iter().map(|heading| (heading.level, heading.title.as_str())).collect();
        assert_eq!(seen, [(1, "Title"), (2, "The fee see"), (2, "text"), (3, "C#")]);
        assert!(text[found[1].at..].starts_with("## The"));
        assert!(text[found[2].at..].starts_with("text"));
    }

    #[test]
    fn the_text_is_unaltered() {
        let bytes = "\u{feff}# Eins\r\n\r\n  Zwei \t\r\n".as_bytes();
        let extraction = read(bytes, None).unwrap();
        assert_eq!(extraction.text, "# Eins\r\n\r\n  Zwei \t\r\n");
        assert_eq!(extraction.title.as_deref(), Some("Eins"));
        assert!(read(b" \n", None).is_err());
    }
}
