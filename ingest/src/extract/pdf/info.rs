//! What a PDF's metadata say of it: title, author, and when it was written.

use jiff::civil::date;
use jiff::tz::Offset;
use pdf_oxide::PdfDocument;
use pdf_oxide::object::Object;
use pdf_oxide::optional_content::decode_pdf_text_string;

use super::oxide::resolve;

const LONGEST: usize = 200;

/// What the information dictionary says.
#[derive(Debug, Default)]
pub(super) struct Info {
    pub title: Option<String>,
    pub author: Option<String>,
    /// Seconds since 1970.
    pub written_at: Option<i64>,
}

pub(super) fn read(pdf: &PdfDocument) -> Info {
    let entries = pdf.trailer().as_dict().and_then(|trailer| resolve(pdf, trailer.get("Info")?));
    let Some(entries) = entries.as_ref().and_then(Object::as_dict) else {
        return Info::default();
    };
    let text = |key: &str| {
        let value = resolve(pdf, entries.get(key)?)?;
        let text = decode_pdf_text_string(value.as_string()?);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let odd = line.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER);
        (!odd && line.chars().count() <= LONGEST).then_some(line)
    };
    Info {
        title: text("Title").filter(|title| is_sane_title(title)),
        author: text("Author").filter(|author| author.chars().any(char::is_alphabetic)),
        written_at: text("CreationDate")
            .and_then(|date| seconds(&date))
            .or_else(|| text("ModDate").and_then(|date| seconds(&date))),
    }
}

/// Whether people, not a program, gave this title.
fn is_sane_title(title: &str) -> bool {
    let lower = title.to_lowercase();
    let endings = [
        "doc", "docx", "pdf", "rtf", "txt", "qxd", "indd", "xls", "xlsx", "ppt", "pptx", "htm", "html", "tmp", "wpd", "odt",
        "pages", "dvi", "tex",
    ];
    let beginnings = [
        "microsoft word",
        "microsoft powerpoint",
        "untitled",
        "document1",
        "slide 1",
        "http:",
        "https:",
        "file:",
        "(anonymous)",
    ];
    title.chars().filter(|c| c.is_alphabetic()).count() >= 2
        && !lower.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending))
        && !beginnings.iter().any(|beginning| lower.starts_with(beginning))
}

/// Seconds since 1970 of a PDF date, `D:20190102030405+01'00'`, of which all behind the year may be missing (ISO 32000-1,
/// 7.9.4). Without an offset it is taken as UTC.
fn seconds(date_text: &str) -> Option<i64> {
    let text = date_text.strip_prefix("D:").unwrap_or(date_text);
    let digits = &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())];
    let part = |from: usize, to: usize, missing: i8| digits.get(from..to).map_or(Some(missing), |part| part.parse().ok());
    let year = digits.get(..4)?.parse().ok().filter(|year| (1970..2200).contains(year))?;
    let (month, day) = (part(4, 6, 1)?, part(6, 8, 1)?);
    let (hour, minute, second) = (part(8, 10, 0)?, part(10, 12, 0)?, part(12, 14, 0)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let civil = date(year, month, 1).with().day(day).build().ok()?.at(hour, minute, second, 0);
    let zone = Offset::from_seconds(offset(&text[digits.len()..])).ok()?;
    zone.to_timestamp(civil).ok().map(|time| time.as_second())
}

fn offset(text: &str) -> i32 {
    let sign = match text.chars().next() {
        Some('+') => 1,
        Some('-') => -1,
        _ => return 0,
    };
    let mut parts = text[1..].split('\'').map(|part| part.parse::<i32>().unwrap_or(0));
    let (hours, minutes) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if (0..=14).contains(&hours) && (0..60).contains(&minutes) { sign * (hours * 3600 + minutes * 60) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_that_programs_make_up_are_dropped() {
        for (title, sane) in [
            ("Master Services Agreement", true),
            ("契約書", true),
            ("Microsoft Word - agreement.doc", false),
            ("ex10-1.htm", false),
            ("untitled", false),
            ("10.1", false),
            ("", false),
        ] {
            assert_eq!(is_sane_title(title), sane, "{title}");
        }
    }

    #[test]
    fn dates_are_read_as_far_as_they_go() {
        assert_eq!(seconds("D:20190102030405+01'00'"), Some(1_546_394_645));
        assert_eq!(seconds("D:20190102030405Z"), Some(1_546_398_245));
        assert_eq!(seconds("20190102"), Some(1_546_387_200));
        assert_eq!(seconds("D:2019"), Some(1_546_300_800));
        for wrong in ["D:20190231", "D:20191301", "D:19", "yesterday", "", "D:0000"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_date_is_read_or_not(text in "(D:)?[0-9]{0,16}[-+Z']?\\PC{0,8}") {
            seconds(&text);
        }
    }
}
