//! Everything that goes to stdout and stderr. A closed pipe is no error, and no document can send codes to the terminal.

use std::io::Write as _;

use serde_json::Value;

use super::CliError;

/// One line of what was asked for, on stdout.
pub(super) fn line(text: impl AsRef<str>) {
    // `strongroom search … | head` closes the pipe when it has enough.
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// What was asked for, as JSON.
pub(super) fn json(value: &Value) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(CliError::failed)?;
    line(text);
    Ok(())
}

/// A remark beside what was asked for, on stderr.
pub(super) fn remark(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
}

/// Why the command failed, on stderr.
pub(super) fn error(message: &str) {
    remark(format!("strongroom: {message}"));
}

/// Text of a document on one line: white space folded, control characters gone, at most `longest` characters.
pub(super) fn folded(text: &str, longest: usize) -> String {
    let mut out = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    if out.chars().count() > longest {
        out = out.chars().take(longest.saturating_sub(1)).collect();
        out.push('…');
    }
    out
}

/// Text of a document with its lines, without control characters.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c }).collect()
}

/// Lines of a table: the first column to the left, numbers to the right.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let one = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![one(head.to_vec())];
    lines.extend(rows.iter().map(|row| one(row.iter().map(String::as_str).collect())));
    lines
}
