//! Outlook messages (msg): a compound file of properties. Texts of old messages are in the code page that the message names.
//! Attachments are members; messages inside messages are members as text. The format is in [MS-OXMSG].

use std::io::{Cursor, Read};

use cfb::CompoundFile;
use encoding_rs::{Encoding, WINDOWS_1252};

use super::{page_text, rtf_body};
use crate::extract::Unreadable;
use crate::extract::desk::Desk;
use crate::extract::office::rtf;
use crate::extract::wire::Answer;
use crate::extract::writer::Writer;
use crate::model::{Extraction, Reason};

/// Messages inside messages are read down to here.
const MOST_DEEP: usize = 8;

const SUBJECT: u16 = 0x0037;
const SENT: u16 = 0x0039;
const SENDER: u16 = 0x0c1a;
const SENDER_ADDRESS: u16 = 0x0c1f;
const SENDER_SMTP: u16 = 0x5d01;
const CC: u16 = 0x0e03;
const TO: u16 = 0x0e04;
const DELIVERED: u16 = 0x0e06;
const BODY: u16 = 0x1000;
const RTF: u16 = 0x1009;
const HTML: u16 = 0x1013;
const DATA: u16 = 0x3701;
const SHORT_NAME: u16 = 0x3704;
const LONG_NAME: u16 = 0x3707;
const DISPLAY_NAME: u16 = 0x3001;
const MEDIA_TYPE: u16 = 0x370e;
const INTERNET_CODE_PAGE: u16 = 0x3fde;
const CODE_PAGE: u16 = 0x3ffd;

/// Types of properties: a number, a time, a text in the code page, a text in UTF-16, bytes.
const LONG: u16 = 0x0003;
const TIME: u16 = 0x0040;
const STRING8: u16 = 0x001e;
const UNICODE: u16 = 0x001f;
const BINARY: u16 = 0x0102;

pub(in crate::extract) fn read(bytes: &[u8], desk: &mut Desk) -> Answer {
    let file = CompoundFile::open(Cursor::new(bytes)).map_err(|_| damaged())?;
    let mut message = Outlook { file, encoding: WINDOWS_1252, most_bytes: desk.request().output_bytes };
    message.read("", "", 0, desk)
}

fn damaged() -> Unreadable {
    Unreadable::new(Reason::Damaged, "it is no whole Outlook message")
}

struct Outlook<'a> {
    file: CompoundFile<Cursor<&'a [u8]>>,
    encoding: &'static Encoding,
    most_bytes: u64,
}

impl Outlook<'_> {
    /// Reads the message in the storage at `place`; its attachments are named below `prefix`.
    fn read(&mut self, place: &str, prefix: &str, depth: usize, desk: &mut Desk) -> Answer {
        let header = if depth == 0 { 32 } else { 24 };
        let code_page = self.number(place, header, INTERNET_CODE_PAGE).or(self.number(place, header, CODE_PAGE));
        if let Some(encoding) = code_page.and_then(|page| u16::try_from(page).ok()).and_then(codepage::to_encoding) {
            self.encoding = encoding;
        }
        let mut writer = Writer::new("msg", self.most_bytes);
        let subject = self.text(place, SUBJECT).unwrap_or_default();
        let sender = self.sender(place);
        let sent = self.time(place, header, SENT).or(self.time(place, header, DELIVERED));
        let date = sent.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).map(|time| time.to_string());
        for (name, value) in [
            ("Subject", Some(subject.clone())),
            ("From", Some(sender.clone())),
            ("To", self.text(place, TO)),
            ("Cc", self.text(place, CC)),
            ("Date", date),
        ] {
            if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
                writer.paragraph(&format!("{name}: {value}"));
            }
        }
        writer.gap();
        writer.paragraph(&self.body(place));
        // A message without a word of its own can have attachments.
        let answer = writer.finish("application/vnd.ms-outlook").map(|extraction| {
            let said = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
            Extraction { title: said(subject), author: said(sender), written_at: sent, ..extraction }
        });
        if let (Ok(extraction), 0) = (&answer, depth) {
            desk.answer_so_far(extraction);
        }
        self.attachments(place, prefix, depth, desk);
        answer
    }

    fn sender(&mut self, place: &str) -> String {
        let name = self.text(place, SENDER).unwrap_or_default();
        let address = self.text(place, SENDER_SMTP).or(self.text(place, SENDER_ADDRESS)).unwrap_or_default();
        // Addresses inside a company are paths of its directory, which tell people nothing.
        if !address.contains('@') || name == address { name } else { format!("{name} <{address}>") }
    }

    /// The body as plain text, else of the page, else of the Rich Text that is kept of it.
    fn body(&mut self, place: &str) -> String {
        if let Some(text) = self.text(place, BODY).filter(|text| !text.trim().is_empty()) {
            return text;
        }
        let page = match self.bytes(place, HTML, BINARY) {
            Some(bytes) => {
                let (page, _, _) = self.encoding.decode(&bytes);
                Some(page.into_owned())
            }
            None => self.text(place, HTML),
        };
        if let Some(text) = page.map(|page| page_text(&page)).filter(|text| !text.trim().is_empty()) {
            return text;
        }
        let most_bytes = usize::try_from(self.most_bytes).unwrap_or(usize::MAX);
        let rich = self.bytes(place, RTF, BINARY).and_then(|bytes| rtf_body::unpacked(&bytes, most_bytes));
        rich.map(|rich| rtf::plain(&rich, self.most_bytes)).unwrap_or_default()
    }

    fn attachments(&mut self, place: &str, prefix: &str, depth: usize, desk: &mut Desk) {
        let Ok(entries) = self.file.read_storage(format!("/{place}")) else { return };
        let mut storages: Vec<String> =
            entries.map(|entry| entry.name().to_owned()).filter(|name| name.starts_with("__attach_version1.0_")).collect();
        storages.sort();
        for (number, storage) in (1..).zip(storages) {
            let at = format!("{place}{storage}/");
            let name = self.text(&at, LONG_NAME).or(self.text(&at, SHORT_NAME)).or(self.text(&at, DISPLAY_NAME));
            let name = name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| format!("attachment {number}"));
            let inner = format!("{at}__substg1.0_3701000D/");
            let wanted = if let Some(bytes) = self.bytes(&at, DATA, BINARY) {
                let kind = self.text(&at, MEDIA_TYPE);
                desk.member(&format!("{prefix}{name}"), kind.as_deref(), &bytes)
            } else if depth < MOST_DEEP && self.file.is_storage(format!("/{inner}")) {
                let inside = format!("{prefix}{name}.msg");
                let outer = self.encoding;
                let answer = self.read(&inner, &format!("{inside}/"), depth + 1, desk);
                self.encoding = outer;
                match answer {
                    Ok(extraction) => desk.member(&inside, Some("text/plain; charset=utf-8"), extraction.text.as_bytes()),
                    Err(why) => desk.lost_member(&inside, why),
                }
            } else {
                let why = Unreadable::new(Reason::Unsupported, "the attachment is an object of another program, or a link");
                desk.lost_member(&format!("{prefix}{name}"), why)
            };
            if !wanted {
                break;
            }
        }
    }

    /// A text property, in UTF-16 or in the message's code page.
    fn text(&mut self, place: &str, id: u16) -> Option<String> {
        if let Some(bytes) = self.bytes(place, id, UNICODE) {
            let (text, _) = encoding_rs::UTF_16LE.decode_without_bom_handling(&bytes);
            return Some(text.trim_end_matches('\0').to_owned());
        }
        let bytes = self.bytes(place, id, STRING8)?;
        let (text, _) = self.encoding.decode_without_bom_handling(&bytes);
        Some(text.trim_end_matches('\0').to_owned())
    }

    fn bytes(&mut self, place: &str, id: u16, kind: u16) -> Option<Vec<u8>> {
        self.stream(&format!("/{place}__substg1.0_{id:04X}{kind:04X}"))
    }

    fn stream(&mut self, path: &str) -> Option<Vec<u8>> {
        let stream = self.file.open_stream(path).ok()?;
        let mut bytes = Vec::new();
        stream.take(self.most_bytes).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The eight bytes of a property of fixed length, from the list that comes after a header.
    fn fixed(&mut self, place: &str, header: usize, id: u16, kind: u16) -> Option<[u8; 8]> {
        let list = self.stream(&format!("/{place}__properties_version1.0"))?;
        let tag = (u32::from(id) << 16 | u32::from(kind)).to_le_bytes();
        let (entries, _) = list.get(header..)?.as_chunks::<16>();
        let entry = entries.iter().find(|entry| entry[..4] == tag)?;
        entry[8..].try_into().ok()
    }

    fn number(&mut self, place: &str, header: usize, id: u16) -> Option<u32> {
        let [a, b, c, d, ..] = self.fixed(place, header, id, LONG)?;
        Some(u32::from_le_bytes([a, b, c, d]))
    }

    /// Seconds since 1970 of a time, which is kept in tenths of microseconds since 1601.
    fn time(&mut self, place: &str, header: usize, id: u16) -> Option<i64> {
        let ticks = u64::from_le_bytes(self.fixed(place, header, id, TIME)?);
        i64::try_from(ticks / 10_000_000).ok()?.checked_sub(11_644_473_600)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn message() -> Vec<u8> {
        let mut file = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        let stream = |file: &mut CompoundFile<Cursor<Vec<u8>>>, path: &str, bytes: &[u8]| {
            file.create_stream(path).unwrap().write_all(bytes).unwrap();
        };
        let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let mut list = vec![0; 32];
        list.extend([3, 0, 0xfd, 0x3f, 0, 0, 0, 0, 0xe3, 4, 0, 0, 0, 0, 0, 0]);
        list.extend([0x40, 0, 0x39, 0, 0, 0, 0, 0]);
        list.extend(((11_644_473_600_u64 + 60) * 10_000_000).to_le_bytes());
        stream(&mut file, "/__properties_version1.0", &list);
        stream(&mut file, "/__substg1.0_0037001F", &utf16("The lease"));
        stream(&mut file, "/__substg1.0_0C1A001F", &utf16("Ada"));
        stream(&mut file, "/__substg1.0_1000001E", &encoding_rs::WINDOWS_1251.encode("Привет").0);
        file.create_storage("/__attach_version1.0_#00000000").unwrap();
        stream(&mut file, "/__attach_version1.0_#00000000/__substg1.0_3707001F", &utf16("a.txt"));
        stream(&mut file, "/__attach_version1.0_#00000000/__substg1.0_37010102", b"inside");
        file.create_storage_all("/__attach_version1.0_#00000001/__substg1.0_3701000D").unwrap();
        stream(&mut file, "/__attach_version1.0_#00000001/__substg1.0_3707001F", &utf16("Old"));
        stream(&mut file, "/__attach_version1.0_#00000001/__substg1.0_3701000D/__substg1.0_1000001F", &utf16("Older words"));
        file.flush().unwrap();
        file.into_inner().into_inner()
    }

    #[test]
    fn a_message_is_read_in_its_code_page_with_what_is_attached() {
        let mut desk = Desk::alone("msg");
        let extraction = read(&message(), &mut desk).unwrap();
        assert_eq!(extraction.text, "Subject: The lease\nFrom: Ada\nDate: 1970-01-01T00:01:00Z\n\nПривет");
        assert_eq!((extraction.title.as_deref(), extraction.written_at), (Some("The lease"), Some(60)));
        let members: Vec<(&str, &[u8])> =
            desk.members().iter().map(|(name, bytes)| (name.as_str(), bytes.as_deref().unwrap())).collect();
        assert_eq!(members, [("a.txt", &b"inside"[..]), ("Old.msg", b"Older words")]);
    }

    proptest! {
        #[test]
        fn a_broken_message_gives_a_text_or_a_reason(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8)) {
            let mut bytes = message();
            for (place, byte) in changes {
                let place = place % bytes.len();
                bytes[place] = byte;
            }
            if let Ok(extraction) = read(&bytes, &mut Desk::alone("msg")) {
                prop_assert!(!extraction.text.trim().is_empty());
            }
        }
    }

    #[test]
    fn what_is_no_compound_file_is_damaged() {
        assert_eq!(read(b"\xd0\xcf\x11\xe0", &mut Desk::alone("msg")).unwrap_err().reason, Reason::Damaged);
    }
}
