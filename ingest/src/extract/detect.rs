//! Says what bytes are. The contents decide; a name or declared type decides only among kinds of text.

use super::parts::Parts;
use super::recording::sound_of;
use crate::model::Sound;

/// What the outside says about a file.
#[derive(Clone, Copy)]
pub(super) struct Hints<'a> {
    /// Lower case, may be empty.
    pub extension: &'a str,
    /// Lower case, without parameters.
    pub media_type: Option<&'a str>,
}

/// What bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Pdf,
    Html,
    Markdown,
    Text,
    /// Comma or tab separated.
    Csv,
    Docx,
    Pptx,
    /// A text or presentation of OpenDocument.
    OpenDocument,
    /// xlsx, xls, xlsb, ods.
    Sheet,
    Rtf,
    /// RFC 5322.
    Mail,
    Mailbox,
    OutlookMessage,
    Mhtml,
    Epub,
    Zip,
    Word97,
    PowerPoint97,
    Image,
    Recording(Sound),
    /// An Office file in an encrypted envelope.
    EncryptedOffice,
    /// A format that no module here reads, named for people.
    Other(&'static str),
}

/// Formats known by their first bytes; none of these begins a text.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\0", "a program"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x78\x9f\x3e\x22", "a winmail.dat of Outlook"),
    (b"ID3\x03", "a sound recording of a rare kind"),
    (b"ID3\x04", "a sound recording of a rare kind"),
    (b"OggS\0", "a film"),
];

const IMAGES: &[&[u8]] = &[b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF87a", b"GIF89a"];

/// OLE compound files: Office 97-2003, Outlook, encrypted Office.
pub(super) const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Zip archives are told apart by what they say they are, or the folder that their parts are in.
const ZIP_PARTS: &[(&[u8], Format)] = &[
    (b"application/epub+zip", Format::Epub),
    (b"application/vnd.oasis.opendocument.spreadsheet", Format::Sheet),
    (b"application/vnd.oasis.opendocument", Format::OpenDocument),
    (b"word/", Format::Docx),
    (b"xl/", Format::Sheet),
    (b"ppt/", Format::Pptx),
];

/// Entries by whose names OLE files are told apart.
const OLE_ENTRIES: &[(&str, Format)] = &[
    ("EncryptedPackage", Format::EncryptedOffice),
    ("WordDocument", Format::Word97),
    ("PowerPoint Document", Format::PowerPoint97),
    ("Workbook", Format::Sheet),
    ("Book", Format::Sheet),
    ("__properties_version1.0", Format::OutlookMessage),
];

/// What a name's ending promises, for formats that can be told by their contents.
const EXTENSIONS: &[(&str, &[Format])] = &[
    ("pdf", &[Format::Pdf]),
    ("docx", &[Format::Docx, Format::EncryptedOffice]),
    ("doc", &[Format::Word97]),
    ("pptx", &[Format::Pptx, Format::EncryptedOffice]),
    ("ppt", &[Format::PowerPoint97]),
    ("xlsx", &[Format::Sheet, Format::EncryptedOffice]),
    ("xls", &[Format::Sheet]),
    ("odt", &[Format::OpenDocument]),
    ("rtf", &[Format::Rtf]),
    ("msg", &[Format::OutlookMessage]),
    ("epub", &[Format::Epub]),
    ("zip", &[Format::Zip]),
    ("txt", &[Format::Text]),
    ("html", &[Format::Html]),
];

/// A format's name in that sentence; none for those that are only guessed at.
fn name_of(format: &Format) -> Option<&'static str> {
    Some(match format {
        Format::Pdf => "a PDF",
        Format::Html => "a web page",
        Format::Docx => "a Word document",
        Format::Pptx => "a PowerPoint presentation",
        Format::OpenDocument => "an OpenDocument file",
        Format::Sheet => "a spreadsheet",
        Format::Rtf => "Rich Text",
        Format::Mail => "an e-mail message",
        Format::Mailbox => "a mailbox",
        Format::OutlookMessage => "an Outlook message",
        Format::Mhtml => "a saved web page",
        Format::Epub => "an e-book",
        Format::Zip => "a zip archive",
        Format::Word97 => "a Word 97-2003 document",
        Format::PowerPoint97 => "a PowerPoint 97-2003 presentation",
        Format::Image => "a picture",
        Format::Recording(_) => "a sound recording",
        Format::Markdown | Format::Text | Format::Csv | Format::EncryptedOffice | Format::Other(_) => return None,
    })
}

const HEAD: usize = 1024;
/// Where mail passes many servers, what they write comes before what people know of it.
const MAIL_HEAD: usize = 16 * HEAD;

pub(super) fn detect(bytes: &[u8], hints: Hints<'_>) -> Format {
    let head = &bytes[..bytes.len().min(HEAD)];
    if head.starts_with(b"%PDF-") {
        return Format::Pdf;
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return zip_format(bytes);
    }
    if head.starts_with(OLE) {
        return ole_format(bytes);
    }
    if IMAGES.iter().any(|signature| head.starts_with(signature)) {
        return Format::Image;
    }
    if let Some(sound) = sound_of(bytes, hints) {
        return Format::Recording(sound);
    }
    if let Some((_, name)) = SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)) {
        return Format::Other(name);
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Format::Other("a tar archive");
    }
    if head.get(4..8) == Some(b"ftyp") {
        return Format::Other("a film, picture or sound recording");
    }
    let text_hint = text_hint(hints);
    let binary = looks_binary(&bytes[..bytes.len().min(64 * HEAD)]);
    if let (Some(format), false) = (text_hint, binary) {
        return format;
    }
    let says_pdf = hints.extension == "pdf" || hints.media_type == Some("application/pdf");
    // Readers accept rubbish before the header, and a lost header.
    if (binary || says_pdf) && (contains(head, b"%PDF-") || (says_pdf && contains(bytes, b" obj"))) {
        return Format::Pdf;
    }
    if binary {
        return Format::Other("a binary file of unknown kind");
    }
    let start = lower_start(head);
    if start.starts_with(b"{\\rtf") {
        return Format::Rtf;
    }
    if is_html(&start, hints) {
        return Format::Html;
    }
    if is_mhtml(&start, hints) {
        return Format::Mhtml;
    }
    let start = lower_start(&bytes[..bytes.len().min(MAIL_HEAD)]);
    if start.starts_with(b"from ") && (hints.extension == "mbox" || is_mailbox(&start)) {
        return Format::Mailbox;
    }
    if hints.extension == "eml" || hints.media_type == Some("message/rfc822") || is_mail(&start) {
        return Format::Mail;
    }
    let says_table = matches!(hints.extension, "csv" | "tsv" | "tab")
        || matches!(hints.media_type, Some("text/csv" | "text/tab-separated-values"));
    if says_table && super::csv::looks_tabular(&super::text::decode(&bytes[..bytes.len().min(64 * HEAD)], None)) {
        return Format::Csv;
    }
    Format::Text
}

fn text_hint(hints: Hints<'_>) -> Option<Format> {
    match (hints.media_type, hints.extension) {
        (Some("text/markdown" | "text/x-markdown"), _) => Some(Format::Markdown),
        // Many clients call Markdown plain text.
        (Some("text/plain") | None, "md" | "markdown") => Some(Format::Markdown),
        (Some("text/plain"), _) | (None, "txt") => Some(Format::Text),
        (Some("application/octet-stream"), extension) => text_hint(Hints { extension, media_type: None }),
        _ => None,
    }
}

fn is_html(start: &[u8], hints: Hints<'_>) -> bool {
    let says_html = matches!(hints.extension, "html" | "htm" | "xhtml")
        || matches!(hints.media_type, Some("text/html" | "application/xhtml+xml"));
    let begins = [&b"<!doctype html"[..], b"<html", b"<head", b"<body"].iter().any(|tag| start.starts_with(tag));
    let later = [&b"<?xml"[..], b"<!--"].iter().any(|tag| start.starts_with(tag))
        && [&b"<!doctype html"[..], b"<html"].iter().any(|tag| contains(start, tag));
    says_html || begins || later
}

/// Web pages as browsers save them: a message of several related parts, with places instead of recipients.
fn is_mhtml(start: &[u8], hints: Hints<'_>) -> bool {
    let says = matches!(hints.extension, "mhtml" | "mht") || hints.media_type == Some("multipart/related");
    let headers = &start[..start.windows(2).position(|window| window == b"\n\n").unwrap_or(start.len())];
    let saved = [&b"snapshot-content-location:"[..], b"saved by "].iter().any(|mark| contains(headers, mark));
    (says || saved) && contains(headers, b"mime-version:") && contains(headers, b"multipart/related")
}

/// A line that says from whom and when, and headers below it.
fn is_mailbox(start: &[u8]) -> bool {
    start.iter().position(|byte| *byte == b'\n').is_some_and(|end| is_mail(&start[end + 1..]))
}

fn is_mail(start: &[u8]) -> bool {
    let headers = [
        &b"from:"[..],
        b"received:",
        b"return-path:",
        b"mime-version:",
        b"message-id:",
        b"delivered-to:",
        b"subject:",
        b"date:",
    ];
    let mut known = 0;
    for line in start.split_inclusive(|&byte| byte == b'\n') {
        if line.trim_ascii().is_empty() {
            break;
        }
        if headers.iter().any(|header| line.starts_with(header)) {
            known += 1;
        } else if !is_header(line) {
            // The last line may be cut short.
            return !line.ends_with(b"\n") && known >= 3;
        }
    }
    known >= 3
}

/// A line of a name, a colon and a value, or one that goes on with the value of the line before.
fn is_header(line: &[u8]) -> bool {
    let name = line.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).count();
    line.starts_with(b" ") || line.starts_with(b"\t") || (name > 0 && line.get(name) == Some(&b':'))
}

/// The beginning without mark and white space, in lower case; every second byte if it looks like UTF-16.
fn lower_start(head: &[u8]) -> Vec<u8> {
    let start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let visible = start.iter().filter(|&&byte| !matches!(byte, 0 | 0xfe | 0xff));
    visible.skip_while(|byte| byte.is_ascii_whitespace()).map(u8::to_ascii_lowercase).collect()
}

fn zip_format(bytes: &[u8]) -> Format {
    if let Ok(mut parts) = Parts::open(bytes) {
        let kind = parts.bytes("mimetype").ok().flatten().unwrap_or_default();
        // Folders of these names mean that only in a package with a list of what its parts are.
        let is_package = parts.has("[Content_Types].xml");
        let named = |part: &&(&[u8], Format)| kind.starts_with(part.0) || (is_package && parts.has_below(part.0));
        let found = ZIP_PARTS.iter().find(named).map(|(_, format)| *format);
        return found.unwrap_or(if parts.has("META-INF/container.xml") { Format::Epub } else { Format::Zip });
    }
    // One that is cut short has no directory any more: the name of its first part has to do.
    let head = &bytes[..bytes.len().min(4 * HEAD)];
    let found = ZIP_PARTS.iter().find(|(part, _)| contains(head, part));
    found.map_or(Format::Zip, |(_, format)| *format)
}

fn ole_format(bytes: &[u8]) -> Format {
    let Ok(file) = cfb::CompoundFile::open(std::io::Cursor::new(bytes)) else {
        return Format::Other("a damaged Office 97-2003 or Outlook file");
    };
    let found = OLE_ENTRIES.iter().find(|(entry, _)| file.exists(entry));
    found.map_or(Format::Other("an OLE file of unknown kind"), |(_, format)| *format)
}

/// Says for people that a file's name promises another format than its contents are.
pub(super) fn disagreement(format: &Format, hints: Hints<'_>) -> Option<String> {
    let (_, expected) = EXTENSIONS.iter().find(|(extension, _)| *extension == hints.extension)?;
    let is = name_of(format)?;
    (!expected.contains(format)).then(|| format!("the name ends in .{}, the contents are {is}", hints.extension))
}

/// More control characters than any text has, in no known wide encoding.
fn looks_binary(sample: &[u8]) -> bool {
    if super::text::wide_encoding(sample).is_some() {
        return false;
    }
    let odd = |byte: &&u8| matches!(byte, 0..=6 | 0xe | 0xf | 0x10..=0x19 | 0x1c..=0x1f | 0x7f);
    let count = sample.iter().filter(odd).count();
    let nuls = sample.iter().filter(|&&byte| byte == 0).count();
    count * 20 > sample.len() || nuls * 100 > sample.len()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], extension: &str, media_type: Option<&str>, expected: Format) {
        let found = detect(bytes, Hints { extension, media_type });
        assert_eq!(found, expected, "{:?} as {extension:?} {media_type:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn contents_decide() {
        check(b"%PDF-1.4\n", "txt", Some("text/plain"), Format::Pdf);
        check(b"\n\0\x01%PDF-1.4\n", "", None, Format::Pdf);
        check(b"PK\x03\x04....word/document.xml", "pdf", None, Format::Docx);
        check(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "docx", None, Format::Other("a damaged Office 97-2003 or Outlook file"));
        check(b"\x89PNG\r\n\x1a\n", "pdf", None, Format::Image);
        check(b"<!DOCTYPE html><p>x", "", None, Format::Html);
        check(b"\xff\xfe<\0h\0t\0m\0l\0>\0", "", None, Format::Html);
        check(b"<?xml version='1.0'?>\n<!DOCTYPE html>", "", None, Format::Html);
        check(b"<?xml version='1.0'?><invoice/>", "xml", None, Format::Text);
        check(b"{\\rtf1 x}", "", None, Format::Rtf);
        check(b"From: a\nTo: b\nSubject: c\nDate: d\n\nhello", "", None, Format::Mail);
        check(b"\0\x01\x02\x03\0\0\0", "txt", Some("text/plain"), Format::Other("a binary file of unknown kind"));
        check(b"fn main() {}", "rs", None, Format::Text);
        check(b"From ada Mon\nFrom: a\nTo: b\nSubject: c\nDate: d\n\nhello", "", None, Format::Mailbox);
        let thunderbird = b"From - Mon Jan 1\r\nX-Mozilla-Status: 0001\r\nX-Other: a;\r\n\tb\r\nFrom: a\r\nTo: b\r\nSubject: c\r\nDate: d\r\n\r\nx";
        check(thunderbird, "", None, Format::Mailbox);
        let signed = format!("DKIM-Signature: v=1;\n{}From: a\nSubject: b\nDate: c\n\nhello", "\tabc\n".repeat(900));
        check(signed.as_bytes(), "", None, Format::Mail);
        check(b"Subject: a\nDate: b\nFrom: c\nand then prose, as in a letter.\n", "", None, Format::Text);
        check(b"\x78\x9f\x3e\x22\x01", "dat", None, Format::Other("a winmail.dat of Outlook"));
        check(b"From here on, all is prose.\nDate: none", "", None, Format::Text);
        let saved = b"From: <Saved by Blink>\nSnapshot-Content-Location: x\nSubject: y\nMIME-Version: 1.0\nContent-Type: multipart/related;";
        check(saved, "", None, Format::Mhtml);
        check(b"a,b\nc,d\n", "csv", None, Format::Csv);
        check(b"a,b\nc,d\n", "", Some("text/csv"), Format::Csv);
        check(b"no table at all", "csv", None, Format::Text);
        check(b"a,b\nc,d\n", "txt", None, Format::Text);
    }

    #[test]
    fn a_name_that_promises_something_else_is_told_of() {
        let told = |format, extension| disagreement(&format, Hints { extension, media_type: None });
        assert_eq!(told(Format::Docx, "pdf").unwrap(), "the name ends in .pdf, the contents are a Word document");
        assert_eq!(told(Format::Pdf, "pdf"), None);
        assert_eq!(told(Format::Text, "pdf"), None);
        assert_eq!(told(Format::Pdf, "weird"), None);
    }

    #[test]
    fn text_stays_text_where_it_is_said_to_be() {
        check(b"<html><p>x", "txt", None, Format::Text);
        check(b"<html><p>x", "html", Some("text/plain"), Format::Text);
        check(b"<html><p>x", "md", None, Format::Markdown);
        check(b"# x", "", Some("text/markdown"), Format::Markdown);
        check(b"# x", "md", Some("application/octet-stream"), Format::Markdown);
        check(b"{\\rtf1 x}", "txt", None, Format::Text);
        check(b"about %PDF-1.4", "txt", None, Format::Text);
    }
}
