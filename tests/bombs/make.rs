//! Ten files made to do harm, none of them large on disk. Made when they are tried, so that nothing of them is stored.

use std::fs::File;
use std::io::{BufWriter, Cursor, Write};
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const RELATIONSHIPS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const SHEETS: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const WORDS: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";

/// A part of a package: its name, how it begins, what is repeated how often, how it ends.
type Part<'a> = (&'a str, String, &'a str, usize, &'a str);

/// Writes all of them into a folder.
pub fn bombs(folder: &Path) {
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes).unwrap();
    shared_strings(&folder.join("strings.xlsx"));
    entities(&folder.join("laughs.docx"));
    repeated_cells(&folder.join("repeated.ods"));
    long_part(&folder.join("letter.odt"));
    write("nested.zip", nested_archive());
    write("many.zip", many_entries());
    write("forwarded.eml", forwarded_mail());
    write("braces.rtf", format!("{{\\rtf1 {}deep{}}}", "{\\b ".repeat(2_000_000), "}".repeat(2_000_000)).into_bytes());
    write("one-word.txt", vec![b'a'; 40 << 20]);
    write("commas.csv", [b"name,value\n".as_slice(), &vec![b','; 20_000_000], b"\nlast,row\n"].concat());
}

fn package(path: &Path, parts: &[Part<'_>]) {
    let mut writer = ZipWriter::new(BufWriter::new(File::create(path).unwrap()));
    let fast = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated).compression_level(Some(1));
    for (name, head, repeated, times, tail) in parts {
        writer.start_file(*name, fast).unwrap();
        writer.write_all(head.as_bytes()).unwrap();
        let block = repeated.repeat(1000);
        for _ in 0..times / 1000 {
            writer.write_all(block.as_bytes()).unwrap();
        }
        writer.write_all(repeated.repeat(times % 1000).as_bytes()).unwrap();
        writer.write_all(tail.as_bytes()).unwrap();
    }
    writer.finish().unwrap().flush().unwrap();
}

fn once(name: &str, text: String) -> Part<'_> {
    (name, text, "", 0, "")
}

fn types(part: &str, kind: &str) -> String {
    format!(
        r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="{part}" ContentType="application/vnd.openxmlformats-officedocument.{kind}.main+xml"/></Types>"#
    )
}

fn relations(list: &[(&str, &str)]) -> String {
    let one = |(number, (kind, target)): (usize, &(&str, &str))| {
        format!(r#"<Relationship Id="r{number}" Type="{OFFICE}/{kind}" Target="{target}"/>"#)
    };
    let all: String = (1..).zip(list).map(one).collect();
    format!(r#"<Relationships xmlns="{RELATIONSHIPS}">{all}</Relationships>"#)
}

/// Four million different-looking strings, of which one cell uses one.
fn shared_strings(path: &Path) {
    let book = format!(
        r#"<workbook xmlns="{SHEETS}" xmlns:r="{OFFICE}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>"#
    );
    let sheet = format!(
        r#"<worksheet xmlns="{SHEETS}"><sheetData><row r="1"><c r="A1" t="s"><v>7</v></c></row></sheetData></worksheet>"#
    );
    let string =
        "<si><t>one of very many strings that a reader keeps in its memory although no cell shows them, or only one</t></si>";
    package(
        path,
        &[
            once("[Content_Types].xml", types("/xl/workbook.xml", "spreadsheetml.sheet")),
            once("_rels/.rels", relations(&[("officeDocument", "xl/workbook.xml")])),
            once(
                "xl/_rels/workbook.xml.rels",
                relations(&[("worksheet", "worksheets/sheet1.xml"), ("sharedStrings", "sharedStrings.xml")]),
            ),
            once("xl/workbook.xml", book),
            once("xl/worksheets/sheet1.xml", sheet),
            ("xl/sharedStrings.xml", format!(r#"<sst xmlns="{SHEETS}">"#), string, 4_000_000, "</sst>"),
        ],
    );
}

/// Ten entities of which each names the one before ten times.
fn entities(path: &Path) {
    let mut declared = String::from(r#"<!ENTITY e0 "ha ">"#);
    for number in 1..=10 {
        declared.push_str(&format!(r#"<!ENTITY e{number} "{}">"#, format!("&e{};", number - 1).repeat(10)));
    }
    let text = format!(
        r#"<?xml version="1.0"?><!DOCTYPE d [{declared}]><w:document xmlns:w="{WORDS}"><w:body><w:p><w:r><w:t>before &e10; after</w:t></w:r></w:p></w:body></w:document>"#
    );
    package(
        path,
        &[
            once("[Content_Types].xml", types("/word/document.xml", "wordprocessingml.document")),
            once("_rels/.rels", relations(&[("officeDocument", "word/document.xml")])),
            once("word/document.xml", text),
        ],
    );
}

const OPEN_DOCUMENT: &str = r#"<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body>"#;

/// One cell that says of itself that it stands a thousand million times in each of as many rows.
fn repeated_cells(path: &Path) {
    let content = format!(
        r#"{OPEN_DOCUMENT}<office:spreadsheet><table:table table:name="S"><table:table-row table:number-rows-repeated="1000000000"><table:table-cell office:value-type="string" table:number-columns-repeated="1000000000"><text:p>again</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"#
    );
    let kind = "application/vnd.oasis.opendocument.spreadsheet".to_owned();
    let manifest = r#"<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>"#;
    let manifest = once("META-INF/manifest.xml", manifest.to_owned());
    package(path, &[once("mimetype", kind), once("content.xml", content), manifest]);
}

/// Six hundred megabytes of short paragraphs.
fn long_part(path: &Path) {
    let kind = "application/vnd.oasis.opendocument.text".to_owned();
    let (begin, end) = (format!("{OPEN_DOCUMENT}<office:text>"), "</office:text></office:body></office:document-content>");
    package(path, &[once("mimetype", kind), ("content.xml", begin, "<text:p>again and again</text:p>", 19_000_000, end)]);
}

fn stored(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Sixteen archives, in each sixteen, and so on: a million texts of a megabyte.
fn nested_archive() -> Vec<u8> {
    let mut inner = vec![b' '; 1 << 20];
    inner.extend(b"the text at the bottom");
    let mut name = "bottom.txt";
    for _ in 0..5 {
        let copies: Vec<(String, Vec<u8>)> = (0..16).map(|number| (format!("{number}-{name}"), inner.clone())).collect();
        inner = stored(&copies);
        name = "inside.zip";
    }
    inner
}

fn many_entries() -> Vec<u8> {
    let files: Vec<(String, Vec<u8>)> = (0..60_000).map(|number| (format!("{number}.txt"), b"few words".to_vec())).collect();
    stored(&files)
}

/// A message in a message in a message, and so on.
fn forwarded_mail() -> Vec<u8> {
    let mut mail = String::new();
    for number in 0..20_000 {
        let boundary = format!("b{number}");
        mail.push_str(&format!(
            "Subject: forwarded\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n"
        ));
    }
    mail.push_str("Subject: the first\r\n\r\nthe words of the first mail\r\n");
    mail.into_bytes()
}
