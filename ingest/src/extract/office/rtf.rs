//! Rich Text (rtf): the words of it, in whatever code pages its parts are in. After the Rich Text Format specification 1.9.1,
//! read tolerantly: what is not understood is passed over, what is cut short ends.

use encoding_rs::{Encoding, WINDOWS_1252};

use crate::extract::Unreadable;
use crate::extract::desk::Desk;
use crate::extract::wire::Answer;
use crate::extract::writer::Writer;
use crate::model::Reason;

/// Groups that nest deeper are not written by any program.
const MOST_DEEP: usize = 500;

/// A longer table is written in pieces.
const MOST_ROWS: usize = 1000;

/// Groups whose text is no text of the document.
const SKIPPED: &[&str] = &[
    "fonttbl",
    "colortbl",
    "stylesheet",
    "pict",
    "object",
    "themedata",
    "colorschememapping",
    "latentstyles",
    "datastore",
    "listtable",
    "listoverridetable",
    "revtbl",
    "rsidtbl",
    "generator",
    "xmlnstbl",
    "fldinst",
    "filetbl",
    "mmathPr",
    "bkmkstart",
    "bkmkend",
    "operator",
    "company",
    "nonshppict",
    "pgptbl",
    "listtext",
    "pntext",
    "wgrffmtfilter",
    "shppict",
    "upr",
    "keywords",
];

pub(in crate::extract) fn read(bytes: &[u8], desk: &mut Desk) -> Answer {
    let mut reading = Reading::new(Writer::new("rtf", desk.request().output_bytes));
    reading.run(bytes)?;
    let Reading { mut writer, flow, title, author, .. } = reading;
    writer.paragraph(&flow.text);
    let mut extraction = writer.finish("application/rtf")?;
    let said = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    extraction.title = said(title).or(extraction.title);
    extraction.author = said(author);
    Ok(extraction)
}

/// The text that an RTF is of; for bodies of mail. Empty where there is none.
pub(in crate::extract) fn plain(bytes: &[u8], most_bytes: u64) -> String {
    let mut reading = Reading::new(Writer::new("rtf", most_bytes));
    if reading.run(bytes).is_err() {
        return String::new();
    }
    let Reading { mut writer, flow, .. } = reading;
    writer.paragraph(&flow.text);
    writer.finish("application/rtf").map(|extraction| extraction.text).unwrap_or_default()
}

/// Where a group's text goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Into {
    Text,
    Title,
    Author,
    Nowhere,
}

/// What holds inside a group.
#[derive(Clone, Copy)]
struct State {
    into: Into,
    encoding: &'static Encoding,
    /// Bytes that stand for a `\\u` where it is not understood.
    after_unicode: usize,
    hidden: bool,
    /// Inside the table of fonts.
    in_fonts: bool,
}

#[derive(Default)]
struct Flow {
    text: String,
    cells: Vec<String>,
    rows: Vec<Vec<String>>,
}

struct Reading {
    writer: Writer,
    flow: Flow,
    title: String,
    author: String,
    state: State,
    groups: Vec<State>,
    /// Code pages of the fonts by their numbers.
    fonts: Vec<(i32, &'static Encoding)>,
    font: i32,
    /// Bytes in the present encoding that are still to be decoded.
    raw: Vec<u8>,
    skip: usize,
    high: Option<u16>,
}

impl Reading {
    fn new(writer: Writer) -> Self {
        let state = State { into: Into::Text, encoding: WINDOWS_1252, after_unicode: 1, hidden: false, in_fonts: false };
        Self {
            writer,
            flow: Flow::default(),
            title: String::new(),
            author: String::new(),
            state,
            groups: Vec::new(),
            fonts: Vec::new(),
            font: 0,
            raw: Vec::new(),
            skip: 0,
            high: None,
        }
    }

    fn run(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        let mut at = 0;
        let mut starred = false;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'{' => {
                    self.flush();
                    if self.groups.len() >= MOST_DEEP {
                        return Err(Unreadable::new(Reason::Bomb, format!("its groups nest more than {MOST_DEEP} deep")));
                    }
                    self.groups.push(self.state);
                    starred = false;
                }
                b'}' => {
                    self.flush();
                    match self.groups.pop() {
                        Some(outer) => self.state = outer,
                        None => break,
                    }
                    if self.groups.is_empty() {
                        break;
                    }
                }
                b'\r' | b'\n' => {}
                b'\\' => {
                    let Some(&next) = bytes.get(at) else { break };
                    if next.is_ascii_alphabetic() {
                        let (word, number, end) = control_word(bytes, at);
                        at = end;
                        if word == "bin" {
                            at = at.saturating_add(usize::try_from(number.unwrap_or(0)).unwrap_or(0));
                            continue;
                        }
                        self.word(word, number, starred);
                        starred = false;
                    } else {
                        at += 1;
                        match next {
                            b'\'' => {
                                let hex = bytes.get(at..at + 2).and_then(|hex| std::str::from_utf8(hex).ok());
                                if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                                    at += 2;
                                    self.byte(byte);
                                }
                            }
                            b'*' => starred = true,
                            b'~' => self.character('\u{a0}'),
                            b'_' => self.character('-'),
                            b'\\' | b'{' | b'}' => self.byte(next),
                            b'\r' | b'\n' => self.word("par", None, false),
                            _ => {}
                        }
                    }
                }
                b'\t' => self.character(' '),
                byte => self.byte(byte),
            }
            if self.writer.is_full() {
                break;
            }
        }
        self.flush();
        self.end_table();
        Ok(())
    }

    fn word(&mut self, word: &str, number: Option<i32>, starred: bool) {
        if !matches!(word, "u" | "uc") {
            self.flush();
        }
        match word {
            _ if SKIPPED.contains(&word) => {
                self.state.in_fonts |= word == "fonttbl";
                self.state.into = Into::Nowhere;
            }
            "title" => self.state.into = Into::Title,
            "author" => self.state.into = Into::Author,
            "info" => self.state.into = Into::Nowhere,
            // Notes, annotations, headers and what fields show are text too.
            "footnote" | "annotation" | "header" | "footer" | "headerl" | "headerr" | "headerf" | "footerl" | "footerr"
            | "footerf" => {
                self.break_line();
            }
            "shptxt" | "fldrslt" | "result" if self.state.into != Into::Text => self.state.into = Into::Text,
            "ansicpg" => self.state.encoding = code_page(number.unwrap_or(1252)),
            "mac" => self.state.encoding = encoding_rs::MACINTOSH,
            "f" => {
                self.font = number.unwrap_or(0);
                let known = self.fonts.iter().find(|(font, _)| *font == self.font);
                if let (Some((_, encoding)), false) = (known, self.state.in_fonts) {
                    self.state.encoding = encoding;
                }
            }
            "fcharset" if self.state.in_fonts => {
                self.fonts.extend(charset(number.unwrap_or(0)).map(|encoding| (self.font, encoding)))
            }
            "uc" => self.state.after_unicode = usize::try_from(number.unwrap_or(1)).unwrap_or(1).min(16),
            "u" => self.unicode(number.unwrap_or(0)),
            // What only stands there to be turned back into the page that a mail was.
            "htmlrtf" => self.state.hidden = number != Some(0),
            "v" => self.state.hidden = number != Some(0),
            "deleted" => self.state.hidden = number != Some(0),
            "plain" => self.state.hidden = false,
            "par" | "sect" | "page" | "line" | "softline" => self.break_line(),
            "tab" | "emspace" | "enspace" | "qmspace" => self.character(' '),
            "cell" | "nestcell" if self.is_text() => {
                let cell = std::mem::take(&mut self.flow.text);
                self.flow.cells.push(cell);
            }
            "row" | "nestrow" if self.is_text() => {
                let row = std::mem::take(&mut self.flow.cells);
                self.flow.rows.push(row);
                if self.flow.rows.len() >= MOST_ROWS {
                    self.end_table();
                }
            }
            "emdash" => self.character('—'),
            "endash" => self.character('–'),
            "bullet" => self.character('•'),
            "lquote" => self.character('‘'),
            "rquote" => self.character('’'),
            "ldblquote" => self.character('“'),
            "rdblquote" => self.character('”'),
            _ if starred => self.state.into = Into::Nowhere,
            _ => {}
        }
    }

    fn is_text(&self) -> bool {
        self.state.into == Into::Text && !self.state.hidden
    }

    fn byte(&mut self, byte: u8) {
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        if self.state.into != Into::Nowhere {
            self.raw.push(byte);
        }
    }

    fn character(&mut self, c: char) {
        self.flush();
        self.push(&c.to_string());
    }

    fn unicode(&mut self, number: i32) {
        self.flush();
        self.skip = self.state.after_unicode;
        // Numbers above 32,767 are written as negative ones; characters above U+FFFF as two.
        let Ok(unit) = u16::try_from(if number < 0 { number + 65_536 } else { number }) else { return };
        let high = self.high.take();
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
            return;
        }
        let units: Vec<u16> = high.into_iter().chain([unit]).collect();
        let text = String::from_utf16_lossy(&units);
        self.push(&text);
    }

    /// Decodes what was collected.
    fn flush(&mut self) {
        self.skip = 0;
        if self.raw.is_empty() {
            return;
        }
        let raw = std::mem::take(&mut self.raw);
        let (text, _) = self.state.encoding.decode_without_bom_handling(&raw);
        self.push(&text);
    }

    fn push(&mut self, text: &str) {
        match self.state.into {
            Into::Text if !self.state.hidden => self.flow.text.push_str(text),
            Into::Title => self.title.push_str(text),
            Into::Author => self.author.push_str(text),
            _ => {}
        }
    }

    fn break_line(&mut self) {
        if !self.is_text() {
            return;
        }
        if !self.flow.cells.is_empty() {
            // A paragraph inside a cell.
            self.flow.text.push(' ');
            return;
        }
        self.end_table();
        let text = std::mem::take(&mut self.flow.text);
        self.writer.paragraph(&text);
    }

    fn end_table(&mut self) {
        let mut rows = std::mem::take(&mut self.flow.rows);
        if !self.flow.cells.is_empty() {
            rows.push(std::mem::take(&mut self.flow.cells));
        }
        self.writer.table(&rows);
    }
}

/// A control word, its number, and where the text goes on.
fn control_word(bytes: &[u8], start: usize) -> (&str, Option<i32>, usize) {
    let letters = bytes[start..].iter().take(32).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let mut at = start + letters;
    // Letters of ASCII are UTF-8.
    let word = std::str::from_utf8(&bytes[start..at]).unwrap_or_default();
    let digits_start = at;
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at += bytes[at..].iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&bytes[digits_start..at]).ok().and_then(|digits| digits.parse().ok());
    if number.is_none() {
        at = digits_start;
    }
    if bytes.get(at) == Some(&b' ') {
        at += 1;
    }
    (word, number, at)
}

fn code_page(number: i32) -> &'static Encoding {
    u16::try_from(number).ok().and_then(codepage::to_encoding).unwrap_or(WINDOWS_1252)
}

/// The encoding of a font's character set, by Windows' numbers.
fn charset(number: i32) -> Option<&'static Encoding> {
    let page = match number {
        0 => 1252,
        77 => 10_000,
        128 => 932,
        129 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    };
    Some(code_page(page))
}

#[cfg(test)]
#[path = "rtf_tests.rs"]
mod tests;
