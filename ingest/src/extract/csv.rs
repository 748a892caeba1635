//! Tables as text (csv, tsv): rows with header names beside values. RFC 4180, read tolerantly.

use super::desk::Desk;
use super::text;
use super::wire::Answer;
use super::writer::{Writer, one_line};

const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];
/// Lines that are looked at to find the delimiter.
const SAMPLE_LINES: usize = 20;
/// Lines of one cell that may stand above a table, as its title; and how many rows must follow, so that no prose is a table.
const TITLE_LINES: usize = 3;
const ROWS_BELOW_TITLE: usize = 3;

pub(super) fn read(bytes: &[u8], desk: &mut Desk) -> Answer {
    let source = text::decode_told(bytes, desk.told());
    let mut writer = Writer::new("csv", desk.request().output_bytes);
    // A spreadsheet program may say its delimiter in a line of its own.
    let said =
        source.strip_prefix("sep=").and_then(|rest| rest.split_once('\n')).filter(|(line, _)| line.trim_end().len() == 1);
    let (delimiter, body) = match said {
        Some((line, body)) => (line.chars().next().unwrap_or(','), body),
        None => (delimiter(&source).unwrap_or(','), source.as_str()),
    };
    let mut rows = Rows { rest: body.chars().peekable(), delimiter };
    let mut names = rows.next().unwrap_or_default();
    for _ in 0..TITLE_LINES {
        if names.len() > 1 {
            break;
        }
        writer.row(&[], &names);
        names = rows.next().unwrap_or_default();
    }
    // Names are text; a first row of numbers is data.
    let has_names = names.len() > 1 && names.iter().all(|name| name.parse::<f64>().is_err());
    writer.row(&[], &names);
    for row in rows {
        writer.row(if has_names { &names } else { &[] }, &row);
        if writer.is_full() {
            break;
        }
    }
    writer.finish("text/csv")
}

/// Whether a text is a table: most of its first lines have the same number of some delimiter.
pub(super) fn looks_tabular(text: &str) -> bool {
    delimiter(text).is_some()
}

/// The delimiter that stands equally often, and at least once, in nearly all of the first rows below the title.
fn delimiter(text: &str) -> Option<char> {
    let counts = |delimiter: char| {
        let rows = Rows { rest: text.chars().peekable(), delimiter }.take(SAMPLE_LINES).map(|row| row.len() - 1);
        let counts: Vec<usize> = rows.collect();
        let title = counts.iter().take(TITLE_LINES).take_while(|count| **count == 0).count();
        let table = &counts[title..];
        let first = table.first().copied().unwrap_or(0);
        let same = table.iter().filter(|count| **count == first).count();
        let is_table = match title {
            0 => first > 0 && same * 10 >= table.len() * 8,
            // Some lines with one comma each are found in letters.
            _ => first > 1 && table.len() >= ROWS_BELOW_TITLE && same == table.len(),
        };
        is_table.then_some((first, delimiter))
    };
    DELIMITERS.into_iter().filter_map(counts).max_by_key(|(count, _)| *count).map(|(_, delimiter)| delimiter)
}

/// The rows of a table, blank ones left out, each cell in one line.
struct Rows<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    delimiter: char,
}

impl Iterator for Rows<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        loop {
            self.rest.peek()?;
            let row = self.row();
            if row.iter().any(|cell| !cell.is_empty()) {
                return Some(row);
            }
        }
    }
}

impl Rows<'_> {
    fn row(&mut self) -> Vec<String> {
        let mut row = Vec::new();
        let mut cell = String::new();
        let mut quoted = false;
        while let Some(c) = self.rest.next() {
            match c {
                '"' if quoted && self.rest.next_if_eq(&'"').is_some() => cell.push('"'),
                '"' if quoted => quoted = false,
                '"' if cell.trim().is_empty() => {
                    quoted = true;
                    cell.clear();
                }
                c if quoted => cell.push(c),
                '\n' | '\r' => break,
                c if c == self.delimiter => row.push(one_line(&std::mem::take(&mut cell))),
                c => cell.push(c),
            }
        }
        row.push(one_line(&cell));
        row
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn csv(text: &str) -> String {
        read(text.as_bytes(), &mut Desk::alone("csv")).unwrap().text
    }

    #[test]
    fn rows_say_the_names_of_their_columns() {
        let text = "Party;Fee\r\n\"Acme; \"\"the\n first\"\"\";10\r\n;\r\nBolt;\r\n";
        assert_eq!(csv(text), "Party | Fee\nParty: Acme; \"the first\" | Fee: 10\nParty: Bolt");
        let titled = "Fees of 2024\n\nParty,Fee,Due\nAcme,10,May\nBolt,20,June\n";
        assert!(looks_tabular(titled));
        let rows = "Party: Acme | Fee: 10 | Due: May\nParty: Bolt | Fee: 20 | Due: June";
        assert_eq!(csv(titled), format!("Fees of 2024\nParty | Fee | Due\n{rows}"));
        assert_eq!(csv("1,2\n3,4\n"), "1 | 2\n3 | 4");
        assert_eq!(csv("sep=;\r\nParty;Fee\r\nAcme;10\r\n"), "Party | Fee\nParty: Acme | Fee: 10");
    }

    #[test]
    fn prose_is_no_table() {
        assert!(looks_tabular("a\tb\nc\td\n") && looks_tabular("a,b\n\"x,\ny\",z\n"));
        assert!(
            !looks_tabular("One line.\nAnother, with a comma.\nA third one.\n")
                && !looks_tabular("Dear Ann\nfirst, this\nthen, that\nlast, these\n")
                && !looks_tabular("")
        );
    }

    proptest! {
        #[test]
        fn any_text_gives_rows(text in ".{0,200}") {
            let _ = read(text.as_bytes(), &mut Desk::alone("csv"));
        }
    }
}
