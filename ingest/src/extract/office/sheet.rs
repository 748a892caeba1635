//! Spreadsheets (xlsx, xls, xlsb, ods) by `calamine`: sheets as pages, rows with header names beside values. Cells are read as
//! they come: a sheet is as large as what is in it, not as its corners say.

use std::collections::BTreeMap;
use std::io::Cursor;

use calamine::{Cell, Data, DataRef, DataType, Ods, Reader, Xls, Xlsb, Xlsx};

use super::{odf, package};
use crate::extract::Unreadable;
use crate::extract::desk::Desk;
use crate::extract::parts::{PART_BYTES, Parts};
use crate::extract::wire::Answer;
use crate::extract::writer::{Writer, one_line};
use crate::model::Reason;

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const XLSB: &str = "application/vnd.ms-excel.sheet.binary.macroenabled.12";
const XLS: &str = "application/vnd.ms-excel";
const ODS: &str = "application/vnd.oasis.opendocument.spreadsheet";

pub(in crate::extract) fn read(bytes: Vec<u8>, desk: &mut Desk) -> Answer {
    let most = desk.request().output_bytes;
    let mut writer = Writer::new("calamine", most);
    if !bytes.starts_with(b"PK") {
        let mut book = Xls::new(Cursor::new(&bytes)).map_err(|error| refusal(&error))?;
        let said = book.workbook_properties().unwrap_or_default();
        whole(book, &mut writer)?;
        let mut extraction = writer.finish(XLS)?;
        for (name, value) in
            [("title", said.title), ("creator", said.creator), ("created", said.created), ("modified", said.modified)]
        {
            package::property(&mut extraction, name, value.as_deref().unwrap_or_default().trim());
        }
        return Ok(extraction);
    }
    let mut parts = Parts::open(&bytes)?;
    refuse_bombs(&mut parts)?;
    if parts.has("content.xml") {
        whole(Ods::new(Cursor::new(&bytes)).map_err(|error| refusal(&error))?, &mut writer)?;
        let mut extraction = writer.finish(ODS)?;
        let mut lost = 0;
        package::beside(odf::metadata(&mut parts, &mut extraction), &mut lost)?;
        package::note_lost(lost, &mut extraction);
        return Ok(extraction);
    }
    let media_type = if parts.has("xl/workbook.bin") { XLSB } else { XLSX };
    if media_type == XLSB {
        let mut book = Xlsb::new(Cursor::new(&bytes)).map_err(|error| refusal(&error))?;
        for (number, name) in (1..).zip(book.sheet_names()) {
            let sheet = Sheet::begin(number, &name, &mut writer);
            // A chart sheet has no cells.
            let Ok(mut cells) = book.worksheet_cells_reader(&name) else { continue };
            sheet.fill(&mut writer, || cells.next_cell())?;
        }
    } else {
        let mut book = Xlsx::new(Cursor::new(&bytes)).map_err(|error| refusal(&error))?;
        for (number, name) in (1..).zip(book.sheet_names()) {
            let sheet = Sheet::begin(number, &name, &mut writer);
            let Ok(mut cells) = book.worksheet_cells_reader(&name) else { continue };
            sheet.fill(&mut writer, || cells.next_cell())?;
        }
    }
    let mut lost = 0;
    package::beside(package::embedded(&mut parts, "xl/embeddings/", desk), &mut lost)?;
    let mut extraction = writer.finish(media_type)?;
    package::beside(package::properties(&mut parts, &mut extraction), &mut lost)?;
    package::note_lost(lost, &mut extraction);
    Ok(extraction)
}

/// Refuses a workbook with a part larger than allowed before the engine, which knows no limit, unfolds it.
fn refuse_bombs(parts: &mut Parts<'_>) -> Result<(), Unreadable> {
    for name in parts.below("") {
        if (name.ends_with(".xml") || name.ends_with(".bin")) && parts.length_upto(&name, PART_BYTES)? > PART_BYTES {
            return Err(Unreadable::new(Reason::TooLarge, "one of its parts is larger than allowed"));
        }
    }
    Ok(())
}

fn refusal(error: &dyn std::fmt::Display) -> Unreadable {
    // The engine's words can hold names from the file; only what they are about is looked at.
    let words = error.to_string().to_lowercase();
    if words.contains("password") {
        return Unreadable::new(Reason::Password, "it needs a password");
    }
    if words.contains("cell limit") {
        return Unreadable::new(Reason::TooLarge, "it has more cells than are read");
    }
    Unreadable::new(Reason::Damaged, "the spreadsheet reader can't make sense of it")
}

/// Reads a book of a kind that can't be read cell by cell.
fn whole<'a, R: Reader<Cursor<&'a Vec<u8>>>>(mut book: R, writer: &mut Writer) -> Result<(), Unreadable>
where
    R::Error: std::fmt::Display,
{
    for (number, name) in (1..).zip(book.sheet_names()) {
        let mut sheet = Sheet::begin(number, &name, writer);
        let range = book.worksheet_range(&name).map_err(|error| refusal(&error))?;
        let (top, left) = range.start().unwrap_or_default();
        for (row, column, value) in range.used_cells() {
            sheet.cell((top + row as u32, left + column as u32), shown(value), writer);
        }
        sheet.finish(writer);
    }
    Ok(())
}

/// A sheet on its way to the writer: one row is held at a time, one that may name columns until the next is known, and the
/// names in force. A wrong name is worse than none.
struct Sheet {
    names: BTreeMap<u32, String>,
    /// A row of texts that names the columns if numbers, dates or a wider row come below it.
    candidate: Option<(u32, BTreeMap<u32, String>)>,
    row: BTreeMap<u32, String>,
    at: Option<u32>,
}

impl Sheet {
    /// Begins the sheet's page, under its name.
    fn begin(number: u32, name: &str, writer: &mut Writer) -> Self {
        writer.page(number);
        writer.heading(1, name);
        Self { names: BTreeMap::new(), candidate: None, row: BTreeMap::new(), at: None }
    }

    /// Takes cells as they come, to the last.
    fn fill<'a, E: std::fmt::Display>(
        mut self,
        writer: &mut Writer,
        mut next: impl FnMut() -> Result<Option<Cell<DataRef<'a>>>, E>,
    ) -> Result<(), Unreadable> {
        while let Some(cell) = next().map_err(|error| refusal(&error))? {
            self.cell(cell.get_position(), shown_ref(cell.get_value()), writer);
        }
        self.finish(writer);
        Ok(())
    }

    fn cell(&mut self, (row, column): (u32, u32), value: String, writer: &mut Writer) {
        if value.is_empty() || writer.is_full() {
            return;
        }
        if self.at != Some(row) {
            self.end_row(writer);
            // What comes after a gap is another table.
            if self.at.is_some_and(|at| row > at + 1) {
                self.forget_names(writer);
            }
            self.at = Some(row);
        }
        self.row.insert(column, value);
    }

    fn end_row(&mut self, writer: &mut Writer) {
        let row = std::mem::take(&mut self.row);
        let (Some(at), false) = (self.at, row.is_empty()) else { return };
        if row.len() == 1 {
            // A title or a remark; what is below it is a table of its own.
            self.forget_names(writer);
            write(&BTreeMap::new(), &row, writer);
            return;
        }
        let all_texts =
            row.values().all(|value| value.chars().any(char::is_alphabetic) && !value.starts_with(char::is_numeric));
        if let Some((above, names)) = self.candidate.take() {
            write(&BTreeMap::new(), &names, writer);
            let fits = row.keys().all(|column| names.contains_key(column));
            if above + 1 == at && fits && (!all_texts || names.len() > 2) {
                self.names = names;
            }
        } else if self.names.is_empty() && all_texts {
            self.candidate = Some((at, row));
            return;
        }
        write(&self.names, &row, writer);
    }

    fn forget_names(&mut self, writer: &mut Writer) {
        self.names.clear();
        if let Some((_, row)) = self.candidate.take() {
            write(&BTreeMap::new(), &row, writer);
        }
    }

    fn finish(mut self, writer: &mut Writer) {
        self.end_row(writer);
        self.forget_names(writer);
    }
}

/// Writes a row, with the names of those of its columns that have one.
fn write(names: &BTreeMap<u32, String>, row: &BTreeMap<u32, String>, writer: &mut Writer) {
    let names: Vec<String> = row.keys().map(|column| names.get(column).cloned().unwrap_or_default()).collect();
    let values: Vec<String> = row.values().cloned().collect();
    writer.row(&names, &values);
}

fn shown(value: &Data) -> String {
    match value {
        Data::Empty => String::new(),
        Data::String(text) => one_line(text),
        Data::Float(number) => float(*number),
        Data::DateTime(time) if time.is_datetime() => date(time.to_ymd_hms_milli()),
        other => other.as_string().unwrap_or_else(|| other.to_string()),
    }
}

fn shown_ref(value: &DataRef<'_>) -> String {
    match value {
        DataRef::SharedString(text) => one_line(text),
        other => shown(&Data::from(other.clone())),
    }
}

/// Numbers as they were typed: 0.1 + 0.2 is 0.3 in a spreadsheet.
fn float(number: f64) -> String {
    let rounded = format!("{number:.10}");
    let short = rounded.trim_end_matches('0').trim_end_matches('.');
    if number != 0.0 && (number.abs() < 1e-6 || number.abs() >= 1e15) { number.to_string() } else { short.to_owned() }
}

fn date((year, month, day, hour, minute, second, _): (u16, u8, u8, u8, u8, u8, u16)) -> String {
    if (hour, minute, second) == (0, 0, 0) {
        return format!("{year:04}-{month:02}-{day:02}");
    }
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::parts::package;

    fn xlsx(rows: &str) -> Answer {
        let types = "<Types><Override PartName='/xl/workbook.xml' ContentType='x'/></Types>";
        let rels = "<Relationships><Relationship Id='r1' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument' Target='xl/workbook.xml'/></Relationships>";
        let own = "<Relationships><Relationship Id='r1' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet' Target='worksheets/sheet1.xml'/></Relationships>";
        let book = "<workbook xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main' xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships'><sheets><sheet name='Fees' sheetId='1' r:id='r1'/></sheets></workbook>";
        let sheet = format!(
            "<worksheet xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'><dimension ref='A1:XFD1048576'/><sheetData>{rows}</sheetData></worksheet>"
        );
        let bytes = package(&[
            ("[Content_Types].xml", types.as_bytes()),
            ("_rels/.rels", rels.as_bytes()),
            ("xl/workbook.xml", book.as_bytes()),
            ("xl/_rels/workbook.xml.rels", own.as_bytes()),
            ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ]);
        read(bytes, &mut Desk::alone("xlsx"))
    }

    fn text(at: &str, text: &str) -> String {
        format!("<c r='{at}' t='inlineStr'><is><t>{text}</t></is></c>")
    }

    #[test]
    fn rows_say_the_names_of_their_columns_and_corners_cost_nothing() {
        let rows = format!(
            "<row r='1'>{}</row><row r='2'>{}{}</row><row r='3'>{}<c r='B3'><v>12.5</v></c></row><row r='1048576'>{}</row>",
            text("A1", "Fees of 2019"),
            text("A2", "Party"),
            text("B2", "Fee"),
            text("A3", "Acme"),
            text("XFD1048576", "last corner")
        );
        let extraction = xlsx(&rows).unwrap();
        assert_eq!(extraction.text, "Fees\nFees of 2019\nParty | Fee\nParty: Acme | Fee: 12.5\nlast corner");
        assert_eq!((extraction.pages[0].number, extraction.headings[0].title.as_str()), (Some(1), "Fees"));
    }

    #[test]
    fn names_hold_for_one_table_and_pairs_of_texts_have_none() {
        let row = |number: u32, cells: &[(&str, &str)]| {
            let cells: String = cells.iter().map(|(column, value)| text(&format!("{column}{number}"), value)).collect();
            format!("<row r='{number}'>{cells}</row>")
        };
        let rows = [
            row(1, &[("A", "Kind"), ("B", "a text")]),
            row(2, &[("A", "Colour"), ("B", "red")]),
            row(4, &[("A", "Party"), ("B", "Role"), ("C", "Town")]),
            row(5, &[("A", "Acme"), ("B", "seller"), ("C", "Bath")]),
            row(7, &[("A", "12"), ("B", "13")]),
        ];
        let expected =
            "Fees\nKind | a text\nColour | red\nParty | Role | Town\nParty: Acme | Role: seller | Town: Bath\n12 | 13";
        assert_eq!(xlsx(&rows.concat()).unwrap().text, expected);
    }

    #[test]
    fn numbers_and_dates_are_as_people_type_them() {
        assert_eq!([float(0.1 + 0.2), float(3.0), float(-1250.5), float(0.0)], ["0.3", "3", "-1250.5", "0"]);
        assert_eq!(date((2020, 2, 3, 0, 0, 0, 0)), "2020-02-03");
        assert_eq!(date((2020, 2, 3, 4, 5, 6, 0)), "2020-02-03 04:05:06");
    }

    #[test]
    fn an_open_document_book_is_read_with_what_it_says_of_itself() {
        let names =
            ["office", "table", "text"].map(|name| format!("xmlns:{name}='urn:oasis:names:tc:opendocument:xmlns:{name}:1.0'"));
        let cell = "<table:table-cell office:value-type='string'><text:p>Acme</text:p></table:table-cell>";
        let table = format!("<table:table table:name='Fees'><table:table-row>{cell}</table:table-row></table:table>");
        let body = format!("<office:body><office:spreadsheet>{table}</office:spreadsheet></office:body>");
        let content = format!("<office:document-content {}>{body}</office:document-content>", names.join(" "));
        let manifest = "<manifest:manifest xmlns:manifest='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'/>";
        let meta = "<office:meta><dc:title>Prices</dc:title><meta:initial-creator>Ada</meta:initial-creator>
            <meta:creation-date>1970-01-02T00:00:00</meta:creation-date></office:meta>";
        let parts =
            [("mimetype", ODS), ("content.xml", content.as_str()), ("META-INF/manifest.xml", manifest), ("meta.xml", meta)];
        let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let extraction = read(package(&parts), &mut Desk::alone("ods")).unwrap();
        assert_eq!(extraction.text, "Fees\nAcme");
        assert_eq!((extraction.title.as_deref(), extraction.author.as_deref()), (Some("Prices"), Some("Ada")));
        assert_eq!(extraction.written_at, Some(86_400));
    }

    #[test]
    fn what_is_no_workbook_is_damaged() {
        assert_eq!(read(package(&[("xl/x", b"y")]), &mut Desk::alone("xlsx")).unwrap_err().reason, Reason::Damaged);
        assert_eq!(read(b"\xd0\xcf\x11\xe0 no".to_vec(), &mut Desk::alone("xls")).unwrap_err().reason, Reason::Damaged);
    }
}
