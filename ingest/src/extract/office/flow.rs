//! Running text of an office document on its way to a writer: paragraphs, tables in tables, text boxes in paragraphs.

use crate::extract::writer::Writer;

/// Tables and text boxes nest at most this deep; what is deeper is text of the one above.
const MOST_DEEP: usize = 32;

/// A paragraph being collected.
#[derive(Default)]
struct Paragraph {
    text: String,
    level: Option<u8>,
    is_item: bool,
}

#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    cell: Option<String>,
}

/// Collects what is read into paragraphs and tables.
#[derive(Default)]
pub(super) struct Flow {
    paragraph: Paragraph,
    /// Paragraphs that wait while a text box in them is read.
    outer: Vec<Paragraph>,
    tables: Vec<Table>,
}

impl Flow {
    pub(super) fn text(&mut self, text: &str) {
        self.paragraph.text.push_str(text);
    }

    /// The paragraph being collected is a heading.
    pub(super) fn level(&mut self, level: u8) {
        self.paragraph.level = Some(level);
    }

    /// The paragraph being collected is an item of a list.
    pub(super) fn item(&mut self) {
        self.paragraph.is_item = true;
    }

    pub(super) fn end_paragraph(&mut self, writer: &mut Writer) {
        let Paragraph { text, level, is_item } = std::mem::take(&mut self.paragraph);
        if text.trim().is_empty() {
            return;
        }
        if let Some(cell) = self.tables.last_mut().and_then(|table| table.cell.as_mut()) {
            if !cell.is_empty() {
                cell.push('\n');
            }
            cell.push_str(text.trim());
            return;
        }
        match level {
            Some(level) => writer.heading(level, &text),
            None if is_item => writer.paragraph(&format!("- {}", text.trim())),
            None => writer.paragraph(&text),
        }
    }

    pub(super) fn begin_box(&mut self) {
        if self.outer.len() < MOST_DEEP {
            self.outer.push(std::mem::take(&mut self.paragraph));
        }
    }

    pub(super) fn end_box(&mut self, writer: &mut Writer) {
        self.end_paragraph(writer);
        if let Some(outer) = self.outer.pop() {
            self.paragraph = outer;
        }
    }

    pub(super) fn begin_table(&mut self, writer: &mut Writer) {
        self.end_paragraph(writer);
        if self.tables.len() < MOST_DEEP {
            self.tables.push(Table::default());
        }
    }

    pub(super) fn begin_cell(&mut self) {
        if let Some(table) = self.tables.last_mut() {
            table.cell.get_or_insert_default();
        }
    }

    pub(super) fn end_cell(&mut self, writer: &mut Writer) {
        self.end_paragraph(writer);
        if let Some(table) = self.tables.last_mut() {
            table.row.push(table.cell.take().unwrap_or_default());
        }
    }

    pub(super) fn end_row(&mut self) {
        if let Some(table) = self.tables.last_mut() {
            let row = std::mem::take(&mut table.row);
            table.rows.push(row);
        }
    }

    pub(super) fn end_table(&mut self, writer: &mut Writer) {
        self.end_paragraph(writer);
        let Some(table) = self.tables.pop() else { return };
        match self.tables.last_mut().and_then(|outer| outer.cell.as_mut()) {
            // A table in a cell is that cell's text.
            Some(cell) => {
                for row in table.rows {
                    cell.push('\n');
                    cell.push_str(&row.join(" "));
                }
            }
            None => writer.table(&table.rows),
        }
    }

    /// Writes what is left where the document ended too early.
    pub(super) fn finish(mut self, writer: &mut Writer) {
        self.end_paragraph(writer);
        while !self.tables.is_empty() {
            self.end_row();
            self.end_table(writer);
        }
    }
}
